//! Commands over very many orders: accepted when they can be carried out for all, journaled, and carried out in parts, one
//! command after the other. Meanwhile others are answered. Who gave the command is answered when it is done; after a restart
//! nobody is, but the command goes on where its last part ended.

use super::{Controller, length};
use crate::host::CallerId;
use crate::replica::Turn;
use alloc::string::ToString as _;
use baton_workflow::command::bulk::{Bulk, Part};
use baton_workflow::json::{self, Json as _, from_text};
use baton_workflow::model::command::{Command, Response};
use baton_workflow::model::event::{Event, NodeEvent};
use baton_workflow::problem::{Checked, Problem};

/// Most commands which are being carried out in parts at a time.
const MAX_COMMANDS: usize = 100;

/// The command whose turn it is.
#[derive(Clone, Debug)]
pub(super) struct Current {
    begun: u64,
    /// None if the command cannot be understood, which only a newer program could have written.
    bulk: Option<Bulk>,
}

impl Controller {
    /// The event with which the command begins, if it is one to be carried out in parts; none if it can be done at once.
    pub(super) fn begin_bulk(&mut self, turn: Turn<'_>, command: &Command) -> Checked<Option<u64>> {
        let Some(bulk) = Bulk::of(command) else { return Ok(None) };
        if !bulk.is_longer_than(self.state(), self.replica.room()) {
            return Ok(None);
        }
        bulk.check(self.state(), turn.around)?;
        if self.replica.relations().commands.len() >= MAX_COMMANDS {
            let message = "Too many commands over very many orders are being carried out. Try again later";
            return Err(Problem::coded("Busy", [], message));
        }
        let command = json::print(&command.write()).to_string();
        length::check_text(&command)?;
        self.replica.take(turn, Event::Node(NodeEvent::CommandBegun { command }));
        Ok(Some(self.replica.last_event_id().0))
    }

    /// The caller is answered when the command is done.
    pub(super) fn answer_after(&mut self, begun: u64, caller: CallerId) {
        self.waiting.entry(begun).or_default().push(caller);
    }

    /// Carries out the next part of the first command.
    pub(super) fn go_on_with_commands(&mut self, turn: Turn<'_>) {
        let Some((begun, command)) = self.replica.relations().commands.first_key_value() else { return };
        let (begun, until) = (*begun, command.until.clone());
        let most = self.replica.room();
        if most == 0 {
            return;
        }
        let current = match self.current.take() {
            Some(current) if current.begun == begun => current,
            _ => {
                let bulk = from_text::<Command>(&command.command).ok().as_ref().and_then(Bulk::of);
                Current { begun, bulk }
            }
        };
        let part = current.bulk.as_ref().map(|bulk| bulk.part(self.state(), turn.around, until.as_ref(), most));
        let number = i64::try_from(begun).unwrap_or(i64::MAX);
        let is_understood = part.is_some();
        let until = part.and_then(|Part { decision, until }| {
            self.replica.decide(turn, decision.events, decision.orders);
            until
        });
        if let Some(until) = until {
            self.replica.take(turn, Event::Node(NodeEvent::CommandContinued { begun: number, until }));
            self.current = Some(current);
            return;
        }
        self.replica.take(turn, Event::Node(NodeEvent::CommandEnded { begun: number }));
        for caller in self.waiting.remove(&begun).unwrap_or_default() {
            let answer = if is_understood {
                Ok(Response::Accepted)
            } else {
                Err(Problem::new("The command that was begun is not understood any more"))
            };
            self.reply(caller, answer);
        }
    }
}
