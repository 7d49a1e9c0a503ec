//! What the person or program that started a run gets to see: one of two forms, on standard output.

use super::json::JsonReport;
use super::terminal::TerminalReport;
use super::view::{End, View};
use crate::driver::Warning;
use baton_machine::codec::Stamped;
use baton_workflow::id::OrderId;
use std::io;

/// What a person can do about a question.
pub(super) const HOW_TO_ANSWER: &str = "press Enter to go on, or Ctrl-C to cancel";

/// A form of output.
pub(super) enum Report {
    /// For programs: an object per line.
    Json(JsonReport),
    /// For people.
    Terminal(TerminalReport),
}

impl Report {
    /// An event. The view knows it already.
    pub(super) fn event(&mut self, view: &View, stamped: &Stamped) -> io::Result<()> {
        match self {
            Self::Json(report) => report.event(stamped),
            Self::Terminal(report) => report.event(view, stamped),
        }
    }

    /// Shows what was told, and how things are now.
    pub(super) fn show(&mut self, view: &View) -> io::Result<()> {
        match self {
            Self::Json(report) => report.flush(),
            Self::Terminal(report) => report.show(view),
        }
    }

    /// Something that the run says about itself.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Json(report) => report.note(text),
            Self::Terminal(report) => report.note(text),
        }
    }

    /// The question of an order is put to the person at the terminal.
    pub(super) fn question(&mut self, view: &View, order: &OrderId) -> io::Result<()> {
        match self {
            Self::Json(report) => report.question(view, order),
            Self::Terminal(report) => report.question(view, order),
        }
    }

    /// The person has typed a line, which the terminal shows.
    pub(super) fn line_was_typed(&mut self) {
        match self {
            Self::Json(_) => {}
            Self::Terminal(report) => report.line_was_typed(),
        }
    }

    /// What a node has to say.
    pub(super) fn warning(&mut self, warning: &Warning) -> io::Result<()> {
        match self {
            Self::Json(report) => report.warning(warning),
            Self::Terminal(report) => report.note(&warning.to_string()),
        }
    }

    /// Which order is run, as soon as that is known.
    pub(super) fn set_order(&mut self, order: &OrderId) {
        match self {
            Self::Json(report) => report.set_order(order),
            Self::Terminal(report) => report.set_order(order),
        }
    }

    /// The end, once.
    pub(super) fn end(&mut self, end: &End, status: u8) -> io::Result<()> {
        match self {
            Self::Json(report) => report.end(end, status),
            Self::Terminal(report) => report.end(end),
        }
    }
}
