//! Output of a run for programs: one JSON object per line.
//!
//! First events of orders, and of agents that cannot be reached, each with its members and `Key`, `eventId` and `timestamp` (milliseconds since 1970); notes of
//! the run itself have the `TYPE` `Note`, warnings of its nodes the `TYPE` `Warning`. The last line is always the result, with the
//! `TYPE` `Result`, whatever happens; except that a second signal ends the process at once.
//!
//! Items are not shown: their variables may be secrets.

use super::report::HOW_TO_ANSWER;
use super::view::{End, How, View};
use crate::driver::{Warning, wall_clock};
use baton_machine::codec::Stamped;
use baton_workflow::id::OrderId;
use baton_workflow::json::print;
use baton_workflow::model::event::{AgentEvent, Event, SubagentEvent};
use baton_workflow::value::Value;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};

/// The output.
pub(super) struct JsonReport {
    out: BufWriter<StdoutLock<'static>>,
    start: i64,
    order: Option<OrderId>,
}

impl JsonReport {
    pub(super) fn new() -> Self {
        Self { out: BufWriter::new(io::stdout().lock()), start: wall_clock().as_millis(), order: None }
    }

    pub(super) fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        let is_shown = match &stamped.event {
            Event::Order(..) => true,
            Event::Agent(_, event) => matches!(event, AgentEvent::AgentCouplingFailed { .. }),
            Event::Subagent(_, event) => matches!(event, SubagentEvent::SubagentCouplingFailed { .. }),
            _ => false,
        };
        if !is_shown {
            return Ok(());
        }
        let event_id = Value::from(i64::try_from(stamped.event_id.0).unwrap_or(i64::MAX));
        let members = [("eventId", event_id), ("timestamp", Value::from(stamped.timestamp.as_millis()))];
        let event = match (Value::object(members), stamped.event.to_json()) {
            (Value::Object(members), Value::Object(event)) => Value::Object(members.overridden_by(&event)),
            (_, event) => event,
        };
        writeln!(self.out, "{}", print(&event))
    }

    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        self.line(vec![("TYPE", Value::from("Note")), ("message", Value::from(text))])
    }

    /// Where the person does not see these lines, standard error asks.
    pub(super) fn question(&mut self, view: &View, order: &OrderId) -> io::Result<()> {
        if !io::stdout().is_terminal() && io::stderr().is_terminal() {
            writeln!(io::stderr(), "? {}\n! {HOW_TO_ANSWER}", view.question(order))?;
        }
        self.note(HOW_TO_ANSWER)
    }

    pub(super) fn warning(&mut self, Warning { node, text }: &Warning) -> io::Result<()> {
        let (node, text) = (Value::from(&**node), Value::from(text.as_str()));
        self.line(vec![("TYPE", Value::from("Warning")), ("node", node), ("message", text)])
    }

    pub(super) fn set_order(&mut self, order: &OrderId) {
        self.order = Some(order.clone());
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(super) fn end(&mut self, end: &End, status: u8) -> io::Result<()> {
        let state = match end.how {
            How::Finished => "Finished",
            How::Failed => "Failed",
            How::Cancelled => "Cancelled",
            How::NotRun => "NotRun",
            How::BrokenOff => "BrokenOff",
        };
        let milliseconds = wall_clock().as_millis() - self.start;
        let order = self.order.take().map(|order| ("orderId", Value::from(order.as_str())));
        let reason = end.reason.as_ref().map(|reason| ("message", Value::from(reason.as_str())));
        let members = [("TYPE", Value::from("Result"))].into_iter().chain(order).chain([
            ("state", Value::from(state)),
            ("exitStatus", Value::from(i64::from(status))),
            ("milliseconds", Value::from(milliseconds)),
        ]);
        self.line(members.chain(reason).collect())
    }

    fn line(&mut self, members: Vec<(&str, Value)>) -> io::Result<()> {
        writeln!(self.out, "{}", print(&Value::object(members)))?;
        self.out.flush()
    }
}
