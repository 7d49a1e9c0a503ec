//! Output of a run for people: what happens, line by line, with the jobs' output prefixed by where it comes from. On a
//! terminal, the last lines show what is going on now.

use super::lines::Lines;
use super::report::HOW_TO_ANSWER;
use super::view::{End, How, View, describe, plain};
use crate::driver::wall_clock;
use baton_machine::codec::Stamped;
use baton_workflow::id::OrderId;
use baton_workflow::model::event::{AgentEvent, Event, SubagentEvent};
use baton_workflow::model::order::OrderState;
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::outcome::Outcome;
use baton_workflow::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

/// Most lines that show what is going on.
const STATUS_LINES: usize = 8;

/// A terminal of unknown width has so many columns.
const COLUMNS: usize = 80;

/// Text is written when so much of it has been collected, in bytes.
const WRITE: usize = 64 << 10;

/// How something is shown.
#[derive(Clone, Copy)]
enum Style {
    Plain,
    Dim,
    Good,
    Bad,
    Notable,
}

/// The output.
pub(super) struct TerminalReport {
    /// Whether escape sequences are understood.
    is_terminal: bool,
    /// What is to be written.
    text: String,
    /// How many lines of status are on the screen.
    shown: usize,
    lines: Lines<(OrderId, &'static str)>,
    /// What runs: the label it was started with, and when.
    running: BTreeMap<OrderId, (String, Timestamp)>,
    /// The last question that was shown.
    asked: Option<String>,
    start: i64,
    /// The order that is run.
    order: String,
}

impl TerminalReport {
    pub(super) fn new() -> Self {
        Self {
            is_terminal: io::stdout().is_terminal(),
            text: String::new(),
            shown: 0,
            lines: Lines::default(),
            running: BTreeMap::new(),
            asked: None,
            start: wall_clock().as_millis(),
            order: String::new(),
        }
    }

    pub(super) fn event(&mut self, view: &View, stamped: &Stamped) -> io::Result<()> {
        match &stamped.event {
            Event::Order(id, event) => self.order_event(view, stamped.timestamp, id, event),
            Event::Agent(path, AgentEvent::AgentCouplingFailed { problem }) => {
                self.line(Style::Notable, &format!("! Agent {path}: {problem}"));
            }
            Event::Subagent(id, SubagentEvent::SubagentCouplingFailed { problem }) => {
                self.line(Style::Notable, &format!("! Subagent {id}: {problem}"));
            }
            _ => {}
        }
        if self.text.len() > WRITE { self.write() } else { Ok(()) }
    }

    fn order_event(&mut self, view: &View, time: Timestamp, id: &OrderId, event: &OrderEvent) {
        let label = || view.label(id);
        let prefix = || {
            let branch = view.branch(id);
            if branch.is_empty() { String::new() } else { format!("{branch}: ") }
        };
        match event {
            OrderEvent::OrderAdded { workflow_id, .. } => {
                self.line(Style::Dim, &format!("  {}order {id} in workflow {}", prefix(), workflow_id.path));
            }
            OrderEvent::OrderOrderAdded { order_id, workflow_id, .. } => {
                self.line(Style::Plain, &format!("+ {}adds order {order_id} in {}", prefix(), workflow_id.path));
            }
            OrderEvent::OrderProcessingStarted { .. } => {
                let label = label();
                let again = match view.tries(id) {
                    0 | 1 => String::new(),
                    tries => format!(" (try {tries})"),
                };
                self.line(Style::Plain, &format!("▶ {label}{again}"));
                self.running.insert(id.clone(), (label, time));
            }
            OrderEvent::OrderStdoutWritten { chunk } => self.output(view, id, "", chunk),
            OrderEvent::OrderStderrWritten { chunk } => self.output(view, id, "!", chunk),
            OrderEvent::OrderProcessed { outcome } => self.processed(view, time, id, outcome),
            OrderEvent::OrderForked { children } => {
                let names: Vec<_> = children
                    .iter()
                    .map(|child| view.branch(&child.order_id).rsplit('/').next().unwrap_or_default().to_owned())
                    .collect();
                self.line(Style::Plain, &format!("⑂ {}forks: {}", prefix(), names.join(", ")));
            }
            OrderEvent::OrderJoined { outcome } if !outcome.is_succeeded() => {
                self.line(Style::Bad, &format!("✘ {}joins: {}", prefix(), describe(outcome)));
            }
            OrderEvent::OrderJoined { .. } => self.line(Style::Plain, &format!("⑃ {}joined", prefix())),
            OrderEvent::OrderCaught { .. } | OrderEvent::OrderCatched { .. } => {
                self.line(Style::Notable, &format!("↷ {}the failure is caught", prefix()));
            }
            OrderEvent::OrderRetrying { delayed_until, .. } => {
                let when = delayed_until.map_or_else(String::new, |until| format!(" at {}", clock_time(until)));
                self.line(Style::Notable, &format!("↻ {}tries again{when}", prefix()));
            }
            OrderEvent::OrderSleeping { until, .. } => {
                self.line(Style::Dim, &format!("⏾ {}sleeps until {}", prefix(), clock_time(*until)));
            }
            OrderEvent::OrderWaitingForAdmission { until } => {
                self.line(Style::Dim, &format!("⏾ {} waits for admission until {}", label(), date_time(*until)));
            }
            OrderEvent::OrderLocksQueued { demands } => {
                let locks: Vec<_> = demands.iter().map(|demand| demand.lock_path.as_str()).collect();
                self.line(Style::Dim, &format!("⏾ {}waits for the lock {}", prefix(), locks.join(", ")));
            }
            OrderEvent::OrderNoticesExpected { notice_ids } => {
                let boards: Vec<_> = notice_ids.iter().map(|notice| notice.board_path.as_str()).collect();
                self.line(Style::Dim, &format!("⏾ {}waits for a notice on {}", prefix(), boards.join(", ")));
            }
            OrderEvent::OrderSaid { value } => self.line(Style::Plain, &format!("“ {}{}", prefix(), plain(value))),
            OrderEvent::OrderPrompted { .. } => {
                let question = view.question(id);
                self.line(Style::Notable, &format!("? {question}"));
                self.asked = Some(question);
            }
            OrderEvent::OrderPromptAnswered => {
                self.line(Style::Dim, &format!("  {}answered", prefix()));
                self.asked = None;
            }
            OrderEvent::OrderOutcomeAdded { outcome } if !outcome.is_succeeded() => {
                self.line(Style::Bad, &format!("✘ {}: {}", label(), describe(outcome)));
            }
            OrderEvent::OrderFailed { .. } | OrderEvent::OrderFailedInFork { .. } if *id != *view.root() => {
                self.line(Style::Bad, &format!("✘ {}failed", prefix()));
            }
            OrderEvent::OrderCancellationMarked { .. } => {
                self.line(Style::Notable, &format!("✗ order {id} is being cancelled"))
            }
            OrderEvent::OrderStopped => self.line(Style::Bad, &format!("✘ {}stopped", prefix())),
            _ => {}
        }
    }

    fn output(&mut self, view: &View, id: &OrderId, mark: &'static str, chunk: &str) {
        let label = self.running.get(id).map_or_else(|| view.label(id), |(label, _)| label.clone());
        for line in self.lines.take((id.clone(), mark), chunk) {
            self.output_line(&label, mark, &line);
        }
    }

    fn output_line(&mut self, label: &str, mark: &str, line: &str) {
        let (on, off) = self.codes(Style::Dim);
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{on}[{label}]{mark}{off} {line}");
    }

    fn processed(&mut self, view: &View, time: Timestamp, id: &OrderId, outcome: &Outcome) {
        let (label, start) = self.running.remove(id).unwrap_or_else(|| (view.label(id), time));
        for mark in ["", "!"] {
            if let Some(line) = self.lines.end(&(id.clone(), mark)) {
                self.output_line(&label, mark, &line);
            }
        }
        let took = duration(time.as_millis() - start.as_millis());
        if outcome.is_succeeded() {
            self.line(Style::Good, &format!("✔ {label} ({took})"));
        } else {
            self.line(Style::Bad, &format!("✘ {label}: {} ({took})", describe(outcome)));
        }
    }

    /// Puts a question. It was shown when it was asked; but others may have come since.
    pub(super) fn question(&mut self, view: &View, order: &OrderId) -> io::Result<()> {
        let question = view.question(order);
        if self.asked.as_ref() != Some(&question) {
            self.line(Style::Notable, &format!("? {question}"));
        }
        self.note(HOW_TO_ANSWER)
    }

    /// The terminal shows a line which is not ours.
    pub(super) fn line_was_typed(&mut self) {
        self.shown += usize::from(self.shown > 0);
    }

    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        self.line(Style::Notable, &format!("! {text}"));
        self.write()
    }

    /// Writes what was told, and below it what is going on.
    pub(super) fn show(&mut self, view: &View) -> io::Result<()> {
        if !self.is_terminal {
            return self.write();
        }
        let text = std::mem::take(&mut self.text);
        let mut screen = erase(self.shown);
        screen.push_str(&text);
        let status = self.status(view);
        self.shown = status.len();
        for line in status {
            let (on, off) = self.codes(Style::Dim);
            let _ = writeln!(screen, "{on}{line}{off}");
        }
        write_all(&screen)
    }

    pub(super) fn set_order(&mut self, order: &OrderId) {
        self.order = order.to_string();
    }

    pub(super) fn end(&mut self, end: &End) -> io::Result<()> {
        let took = duration(wall_clock().as_millis() - self.start);
        let id = &self.order;
        let reason = end.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        match end.how {
            How::Finished => self.line(Style::Good, &format!("✔ order {id} finished ({took})")),
            How::Failed => self.line(Style::Bad, &format!("✘ order {id} failed{reason} ({took})")),
            How::Cancelled => self.line(Style::Bad, &format!("✘ order {id} cancelled ({took})")),
            // That is told on standard error.
            How::NotRun | How::BrokenOff => {}
        }
        self.write()
    }

    /// Writes without a status.
    fn write(&mut self) -> io::Result<()> {
        let screen = erase(std::mem::take(&mut self.shown)) + &std::mem::take(&mut self.text);
        write_all(&screen)
    }

    fn status(&self, view: &View) -> Vec<String> {
        let now = wall_clock().as_millis();
        let columns = columns();
        let mut lines = Vec::new();
        let mut more = 0;
        for order in view.living() {
            let since = view.since(&order.id).map_or(now, Timestamp::as_millis);
            let what = match &order.state {
                OrderState::Processing { .. } => duration(now - since),
                OrderState::Sleeping { until, .. } | OrderState::DelayingRetry { until } => {
                    format!("sleeps until {}", clock_time(*until))
                }
                OrderState::WaitingForAdmission { until } => format!("waits until {}", date_time(*until)),
                OrderState::WaitingForLock => format!("waits for a lock, {}", duration(now - since)),
                OrderState::ExpectingNotices { .. } => format!("waits for a notice, {}", duration(now - since)),
                OrderState::Prompting { .. } => "waits for an answer".to_owned(),
                OrderState::BetweenCycles { cycle_state: Some(cycle) } => {
                    format!("next cycle at {}", clock_time(cycle.next))
                }
                OrderState::Fresh => match order.scheduled_for {
                    Some(at) if at.as_millis() > now => format!("starts at {}", date_time(at)),
                    _ => continue,
                },
                _ => continue,
            };
            if lines.len() == STATUS_LINES {
                more += 1;
                continue;
            }
            let tries = match order.position().try_count() {
                0 | 1 => String::new(),
                tries => format!(" try {tries},"),
            };
            lines.push(cut(&format!("  … {}:{tries} {what}", view.label(&order.id)), columns));
        }
        if more > 0 {
            lines.push(format!("  … and {more} more"));
        }
        lines
    }

    fn line(&mut self, style: Style, line: &str) {
        let (on, off) = self.codes(style);
        // One line per event, whatever is in it.
        let line = line.replace('\n', "\n    ");
        let _ = writeln!(self.text, "{on}{line}{off}");
    }

    fn codes(&self, style: Style) -> (&'static str, &'static str) {
        let on = match style {
            _ if !self.is_terminal => return ("", ""),
            Style::Plain => return ("", ""),
            Style::Dim => "\x1b[2m",
            Style::Good => "\x1b[32m",
            Style::Bad => "\x1b[31m",
            Style::Notable => "\x1b[33m",
        };
        (on, "\x1b[0m")
    }
}

/// Removes the last lines from the screen.
fn erase(lines: usize) -> String {
    // The person may have typed something.
    if lines == 0 { String::new() } else { format!("\r\x1b[{lines}A\x1b[J") }
}

fn write_all(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.map_or(COLUMNS, |size| usize::from(size.ws_col).max(20))
}

/// As much of a line as fits, taking every character for one column.
fn cut(line: &str, columns: usize) -> String {
    line.chars().take(columns.saturating_sub(1)).collect()
}

/// For people.
fn duration(milliseconds: i64) -> String {
    let seconds = milliseconds.max(0) / 1000;
    match seconds {
        0..60 => format!("{}.{} s", seconds, milliseconds.max(0) % 1000 / 100),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

/// The time, with the date unless it is near.
fn clock_time(time: Timestamp) -> String {
    let near = (time.as_millis() - wall_clock().as_millis()).abs() < 12 * 3_600_000;
    let text = time.to_string();
    match text.split_once('T') {
        Some((_, clock)) if near => clock.to_owned(),
        _ => text,
    }
}

fn date_time(time: Timestamp) -> String {
    time.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(0), "0.0 s");
        assert_eq!(duration(-5), "0.0 s");
        assert_eq!(duration(1_234), "1.2 s");
        assert_eq!(duration(61_000), "1:01");
        assert_eq!(duration(3_723_000), "1:02:03");
    }
}
