//! The answers to commands which have an id, so that such a command is carried out once, however often and wherever in the
//! pair it is asked for. They are folded from the journal, like all of the replica, and part of its images.
//!
//! Kept are the answers to the last [`KEPT`] commands with an id, and of these not more than [`KEPT_BYTES`]; the oldest are
//! forgotten first. Who repeats a command therefore has to give up before so many others have been carried out. Refused
//! commands have done nothing, and are not recorded.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use baton_protocol::checksum::checksum;
use baton_workflow::id::CommandId;
use baton_workflow::json::{self, from_text};
use baton_workflow::model::command::{Command, Response};
use baton_workflow::problem::{Checked, Problem};
use serde::{Deserialize, Serialize};

/// So many answers are kept, the newest.
pub const KEPT: usize = 32_768;

/// So many bytes of ids and answers are kept; of the newest answer in any case.
pub const KEPT_BYTES: usize = 4 << 20;

/// The answers to commands with ids.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    by_id: BTreeMap<CommandId, Answered>,
    /// By the event that says so.
    in_order: BTreeMap<u64, CommandId>,
    bytes: usize,
}

/// What is known of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Of the command.
    digest: String,
    /// The event that says so.
    pub event_id: u64,
    /// How far it is.
    pub progress: Progress,
}

/// How far a command is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// It is carried out in parts, and began with this event.
    Begun(u64),
    /// It is done; the answer, in JSON.
    Done(String),
}

/// Tells commands apart.
#[must_use]
pub fn digest(command: &Command) -> String {
    format!("{:016x}", checksum(0, json::to_text(command).as_bytes()))
}

impl Answers {
    /// What is known of the command with this id; none if there was none, or it is forgotten.
    ///
    /// # Errors
    /// When the id is that of another command.
    pub fn find(&self, id: &CommandId, command: &Command) -> Checked<Option<&Answered>> {
        match self.by_id.get(id) {
            Some(answered) if answered.digest != digest(command) => {
                let message =
                    format!("The command id '{id}' was used for another command. Each command needs an id of its own");
                Err(Problem::coded("DuplicateCommandId", [("commandId", id.as_str().into())], message))
            }
            answered => Ok(answered),
        }
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Keeps what an event says.
    pub(crate) fn put(&mut self, event_id: u64, id: &CommandId, digest: &str, progress: Progress) {
        self.forget(id);
        let answered = Answered { digest: digest.into(), event_id, progress };
        self.bytes += answered.bytes(id);
        self.in_order.insert(event_id, id.clone());
        self.by_id.insert(id.clone(), answered);
        while (self.by_id.len() > KEPT || self.bytes > KEPT_BYTES && self.by_id.len() > 1)
            && let Some((_, oldest)) = self.in_order.first_key_value()
        {
            self.forget(&oldest.clone());
        }
    }

    /// The command which began with this event is done.
    pub(crate) fn end(&mut self, begun: u64) {
        // Its name comes right after its begin.
        let Some((_, id)) = self.in_order.range(begun..).next() else { return };
        let Some(answered) = self.by_id.get_mut(id).filter(|it| it.progress == Progress::Begun(begun)) else { return };
        let before = answered.bytes(id);
        answered.progress = Progress::Done(json::to_text(&Response::Accepted));
        self.bytes = self.bytes - before + answered.bytes(id);
    }

    fn forget(&mut self, id: &CommandId) {
        if let Some(answered) = self.by_id.remove(id) {
            self.in_order.remove(&answered.event_id);
            self.bytes -= answered.bytes(id);
        }
    }
}

impl Answered {
    /// The answer, if the command is done.
    #[must_use]
    pub fn answer(&self) -> Option<Checked<Response>> {
        match &self.progress {
            Progress::Begun(_) => None,
            Progress::Done(answer) => Some(from_text(answer)),
        }
    }

    fn bytes(&self, id: &CommandId) -> usize {
        let answer = match &self.progress {
            Progress::Begun(_) => 0,
            Progress::Done(answer) => answer.len(),
        };
        id.as_str().len() + self.digest.len() + answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> CommandId {
        CommandId::new(&format!("id-{number}"))
    }

    fn put(answers: &mut Answers, number: u64, answer: &str) {
        answers.put(number, &id(number), "", Progress::Done(answer.into()));
    }

    #[test]
    fn what_was_begun_is_accepted_when_it_ends() {
        let mut answers = Answers::default();
        answers.put(11, &id(1), "", Progress::Begun(10));
        put(&mut answers, 12, "");
        answers.end(12);
        assert_eq!(answers.by_id[&id(1)].answer(), None);
        answers.end(10);
        assert_eq!(answers.by_id[&id(1)].answer(), Some(Ok(Response::Accepted)));
        answers.forget(&id(1));
        answers.forget(&id(12));
        assert_eq!(answers, Answers::default());
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut answers = Answers::default();
        let most = KEPT as u64;
        for number in 0..most + 10 {
            put(&mut answers, number, "");
        }
        assert_eq!(answers.len(), KEPT);
        assert!(!answers.by_id.contains_key(&id(9)) && answers.by_id.contains_key(&id(10)));
        // Long ones push out several; the newest stays, however long it is.
        put(&mut answers, most + 10, &" ".repeat(KEPT_BYTES + 1));
        assert_eq!(answers.len(), 1);
        put(&mut answers, most + 11, "");
        assert!(answers.by_id.contains_key(&id(most + 11)) && answers.len() == 1);
        answers.forget(&id(most + 11));
        assert_eq!(answers, Answers::default());
    }
}
