//! Output of a run for programs: one JSON object per line.
//!
//! First events of orders, and of agents that cannot be reached, each with its members and `Key`, `eventId` and `timestamp` (milliseconds since 1970); notes of
//! the run itself have the `TYPE` `Note`. The last line is the result, with the `TYPE` `Result`.
//!
//! Items are not shown: their variables may be secrets.

use super::view::{End, How, View};
use crate::driver::wall_clock;
use baton_machine::codec::Stamped;
use baton_workflow::json::print;
use baton_workflow::model::event::{AgentEvent, Event, SubagentEvent};
use baton_workflow::value::Value;
use std::io::{self, BufWriter, StdoutLock, Write as _};

/// The output.
pub(super) struct JsonReport {
    out: BufWriter<StdoutLock<'static>>,
    start: i64,
}

impl JsonReport {
    pub(super) fn new() -> Self {
        Self { out: BufWriter::new(io::stdout().lock()), start: wall_clock().as_millis() }
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
        let note = Value::object([("TYPE", Value::from("Note")), ("message", Value::from(text))]);
        writeln!(self.out, "{}", print(&note))?;
        self.out.flush()
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(super) fn end(&mut self, view: &View, end: &End, status: u8) -> io::Result<()> {
        let how = match end.how {
            How::Finished => "Finished",
            How::Failed => "Failed",
            How::Cancelled => "Cancelled",
        };
        let milliseconds = wall_clock().as_millis() - self.start;
        let mut members = vec![
            ("TYPE", Value::from("Result")),
            ("orderId", Value::from(view.root().as_str())),
            ("state", Value::from(how)),
            ("exitStatus", Value::from(i64::from(status))),
            ("milliseconds", Value::from(milliseconds)),
        ];
        if let Some(reason) = &end.reason {
            members.push(("message", Value::from(reason.as_str())));
        }
        writeln!(self.out, "{}", print(&Value::object(members)))?;
        self.out.flush()
    }
}
