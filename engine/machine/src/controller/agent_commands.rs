//! The commands that an agent is sent in a session: in messages of some length, and not too many in one step.

use super::Controller;
use super::agent_link::{AgentLink, Session};
use crate::codec;
use crate::message::{AgentCommand, CausedCommand, ToAgent};
use crate::replica::Turn;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::outbox::Outbox;

/// Most commands in one message.
const MESSAGE_COMMANDS: usize = 1_000;

/// Most bytes of commands in one message, unless it has only one.
const MESSAGE_BYTES: usize = 1 << 20;

/// About how many bytes of commands are sent to an agent in one step.
const STEP_BYTES: usize = 8 << 20;

impl Session {
    /// To be sent to the agent, if it is known what it has.
    pub(super) fn tell(&mut self, cause: EventId, command: AgentCommand) {
        if self.is_reconciled {
            self.commands.push_back(CausedCommand { cause, command });
        }
    }

    fn execute(&mut self, commands: Vec<CausedCommand>) -> ToAgent {
        self.messages += 1;
        ToAgent::Execute { session: self.number, number: self.messages, commands }
    }
}

impl AgentLink {
    fn has_commands(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.commands.is_empty())
    }
}

impl Controller {
    /// Sends the commands of this step, or of earlier ones, as far as they are not too many.
    pub(super) fn flush_commands(&mut self, turn: Turn<'_>, out: &Outbox<'_, Self>) {
        let mut messages = Vec::new();
        for agent in self.agents.values_mut() {
            let Some(session) = agent.session().filter(|session| !session.commands.is_empty()) else { continue };
            let (mut commands, mut bytes, mut sent) = (Vec::new(), 0, 0);
            while let Some(command) = session.commands.pop_front() {
                let length = codec::encoded_length(&command);
                if !commands.is_empty() && (bytes + length > MESSAGE_BYTES || commands.len() == MESSAGE_COMMANDS) {
                    messages.push((session.link, session.execute(core::mem::take(&mut commands))));
                    sent += bytes;
                    bytes = 0;
                }
                if sent >= STEP_BYTES || (sent > 0 && out.is_congested()) {
                    session.commands.push_front(command);
                    break;
                }
                commands.push(command);
                bytes += length;
            }
            if !commands.is_empty() {
                messages.push((session.link, session.execute(commands)));
            }
        }
        for (link, message) in messages {
            self.say(turn, link, &message);
        }
    }

    /// Whether there are commands which one step had no room for.
    pub(super) fn has_unsent_commands(&self) -> bool {
        self.agents.values().any(AgentLink::has_commands)
    }
}
