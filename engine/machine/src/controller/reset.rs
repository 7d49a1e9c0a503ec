//! Resetting agents and subagents: the last resort when they cannot go on with what they know.
//!
//! A reset begins with an event and is carried out when the agent can be told. Whatever was at the agent comes back at once,
//! and fails: nobody knows what became of it.

use super::Controller;
use crate::message::AgentCommand;
use crate::replica::Turn;
use alloc::format;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::outbox::Outbox;
use baton_workflow::id::{AgentPath, OrderId, SubagentId};
use baton_workflow::model::command::Response;
use baton_workflow::model::event::{AgentEvent, Event, SubagentEvent};
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::operation::ItemEvent;
use baton_workflow::problem::{Checked, Problem};

impl Controller {
    pub(super) fn reset_subagent(&mut self, turn: Turn<'_>, id: &SubagentId, force: bool) -> Checked<Response> {
        if self.state().items().subagent(id).is_none() {
            return Err(unknown(&ItemKey::Subagent(id.clone())));
        }
        self.replica.take(turn, Event::Subagent(id.clone(), SubagentEvent::SubagentResetStarted { force }));
        Ok(Response::Accepted)
    }

    /// Tells the agent of a subagent that is to be reset.
    pub(super) fn tell_reset(&mut self, id: &SubagentId) {
        let Some(agent) = self.state().items().subagent(id).map(|subagent| subagent.agent_path.clone()) else { return };
        let transit = self.replica.relations().transit(&agent);
        if let Some((cause, force)) = transit.and_then(|transit| transit.resets.get(id)).copied() {
            let command = AgentCommand::ResetSubagent { subagent_id: id.clone(), force };
            self.tell(&agent, EventId(cause), command);
        }
    }

    pub(super) fn reset_agent(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        force: bool,
        out: &mut Outbox<'_, Self>,
    ) -> Checked<Response> {
        if self.state().items().agent(path).is_none() {
            return Err(unknown(&ItemKey::Agent(path.clone())));
        }
        let is_dedicated = self.replica.relations().agents.get(path).is_some_and(|agent| agent.run_id.is_some());
        if !is_dedicated && !force {
            let message =
                format!("Agent:{path} does not belong to this controller yet, so it can be reset by force only");
            return Err(Problem::coded("AgentNotDedicated", [], message));
        }
        self.replica.take(turn, Event::Agent(path.clone(), AgentEvent::AgentResetStarted { force }));
        let subagents: Vec<SubagentId> = self
            .replica
            .relations()
            .subagents
            .iter()
            .filter(|(_, subagent)| subagent.item().agent_path == *path)
            .map(|(id, _)| id.clone())
            .collect();
        for id in subagents {
            self.replica.take(turn, Event::Subagent(id, SubagentEvent::SubagentReset));
        }
        let orders: Vec<OrderId> = self
            .state()
            .orders()
            .filter(|order| order.agent_path() == Some(path))
            .map(|order| order.id.clone())
            .collect();
        for id in orders {
            let message = format!("Agent:{path} has been reset");
            self.fetch_back(turn, &id, Problem::coded("AgentReset", [], message));
        }
        let items: Vec<ItemKey> = self
            .state()
            .items()
            .all_attachments()
            .filter(|(_, agent, _)| *agent == path)
            .map(|(key, _, _)| key.clone())
            .collect();
        for key in items {
            self.replica.take(turn, Event::Item(ItemEvent::ItemDetached { key, agent_path: path.clone() }));
        }
        self.give_up(turn, path, "it is going to be reset", out);
        Ok(Response::Accepted)
    }

    /// The items which an agent has without an order that needs them are to be handed to it again.
    pub(super) fn attach_dedicated_items(&mut self, turn: Turn<'_>, path: &AgentPath) {
        let keys: Vec<ItemKey> = self
            .state()
            .items()
            .simple()
            .filter(|item| self.dedicated_agents(item).contains(path))
            .map(|item| item.key())
            .collect();
        for key in keys {
            if self.state().items().attachment(&key, path).is_none() {
                self.replica.take(turn, Event::Item(ItemEvent::ItemAttachable { key, agent_path: path.clone() }));
            }
        }
    }
}

fn unknown(key: &ItemKey) -> Problem {
    baton_workflow::state::items::unknown_item(key)
}
