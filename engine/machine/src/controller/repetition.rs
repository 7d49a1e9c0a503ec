//! Commands which are asked for again: who gives a command an id gets the same answer as the first time, however often the
//! command comes and whichever node of a pair it reaches. See [`answers`](crate::answers) for how long.

use super::Controller;
use crate::answers::{Progress, digest};
use crate::host::{CallerId, Lane, Outgoing, Reply};
use crate::replica::Turn;
use baton_protocol::event_id::EventId;
use baton_workflow::id::CommandId;
use baton_workflow::json;
use baton_workflow::model::command::{Command, Response};
use baton_workflow::model::event::{Event, NodeEvent};
use baton_workflow::problem::Problem;

/// So many callers may wait for the end of one command.
const MAX_CALLERS: usize = 100;

impl Controller {
    /// Whether the command was given before. Then the caller has the answer, or gets it when the command is done.
    pub(super) fn answer_again(&mut self, caller: CallerId, id: &CommandId, command: &Command) -> bool {
        let (answer, event_id) = match self.replica.relations().answers.find(id, command) {
            Ok(None) => return false,
            Ok(Some(answered)) => match &answered.progress {
                Progress::Begun(begun) => {
                    let begun = *begun;
                    let is_full = self.waiting.get(&begun).is_some_and(|callers| callers.len() >= MAX_CALLERS);
                    if !is_full {
                        self.answer_after(begun, caller);
                        return true;
                    }
                    (Err(Problem::coded("Busy", [], "Too many wait for this command. Try again later")), None)
                }
                Progress::Done(_) => match answered.answer() {
                    Some(answer) => (answer, Some(EventId(answered.event_id))),
                    None => return false,
                },
            },
            Err(problem) => (Err(problem), None),
        };
        let event_id = event_id.unwrap_or(self.replica.last_event_id());
        self.outgoing.push((Lane::Caller(caller), Outgoing::Reply(Reply { answer, event_id })));
        true
    }

    /// The command was carried out in this step.
    pub(super) fn record_answer(&mut self, turn: Turn<'_>, id: &CommandId, command: &Command, response: &Response) {
        let answer = json::to_text(response);
        let event = NodeEvent::CommandAnswered { id: id.clone(), digest: digest(command), answer };
        self.replica.take(turn, Event::Node(event));
    }

    /// The command began in this step.
    pub(super) fn name_command(&mut self, turn: Turn<'_>, id: &CommandId, command: &Command, begun: u64) {
        let begun = i64::try_from(begun).unwrap_or(i64::MAX);
        let event = NodeEvent::CommandNamed { id: id.clone(), digest: digest(command), begun };
        self.replica.take(turn, Event::Node(event));
    }
}
