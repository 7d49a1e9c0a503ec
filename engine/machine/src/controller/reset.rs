//! Resetting agents and subagents: the last resort when they cannot go on with what they know.
//!
//! A reset begins with an event and is carried out when the agent can be told. Whatever was at the agent comes back at once
//! (in parts, if it is much), and fails: nobody knows what became of it.

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

/// How many orders are looked at for each that may come back in a step.
const SCAN: usize = 20;

/// An agent whose orders are coming back.
#[derive(Clone, Debug)]
pub(super) struct Returning {
    /// The last event before.
    since: EventId,
    /// The last order that was looked at.
    after: Option<OrderId>,
}

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
        let since = self.replica.last_event_id();
        self.returning.insert(path.clone(), Returning { since, after: None });
        self.fetch_back_more(turn);
        self.give_up_all(turn, path, "it is going to be reset", out);
        Ok(Response::Accepted)
    }

    /// After a start: agents which are to be reset may still have orders.
    pub(super) fn go_on_with_resets(&mut self) {
        let since = self.replica.last_event_id();
        let resetting = self.replica.relations().agents.iter().filter(|(_, agent)| agent.resetting.is_some());
        self.returning = resetting.map(|(path, _)| (path.clone(), Returning { since, after: None })).collect();
    }

    /// Whether some of the agent's orders have not come back yet, because it is going to be reset.
    pub(super) fn is_returning(&self, path: &AgentPath) -> bool {
        self.returning.contains_key(path)
    }

    /// Lets orders come back from the first of the agents which are going to be reset, and then its items.
    pub(super) fn fetch_back_more(&mut self, turn: Turn<'_>) {
        let Some((path, Returning { since, after })) = self.returning.pop_first() else { return };
        let most = self.replica.room().max(1);
        let seen: Vec<OrderId> = self.state().order_ids_after(after.as_ref()).take(most * SCAN).cloned().collect();
        let (mut last, mut count) = (None, 0);
        for id in &seen {
            if count == most {
                break;
            }
            last = Some(id);
            if self.was_at(&path, id, since) {
                count += 1;
                self.replica.count_order();
                let message = format!("Agent:{path} has been reset");
                self.fetch_back(turn, id, Problem::coded("AgentReset", [], message));
            }
        }
        if last.is_some_and(|last| self.state().order_ids_after(Some(last)).next().is_some()) {
            self.returning.insert(path, Returning { since, after: last.cloned() });
            return;
        }
        let items: Vec<ItemKey> = self
            .state()
            .items()
            .all_attachments()
            .filter(|(_, agent, _)| **agent == path)
            .map(|(key, _, _)| key.clone())
            .collect();
        for key in items {
            self.replica.take(turn, Event::Item(ItemEvent::ItemDetached { key, agent_path: path.clone() }));
        }
    }

    /// Whether the order was at the agent, or on its way there, when the reset began.
    fn was_at(&self, path: &AgentPath, id: &OrderId, since: EventId) -> bool {
        let Some(order) = self.state().order(id).filter(|order| order.agent_path() == Some(path)) else { return false };
        let transit = self.replica.relations().transit(path);
        let attaching = transit.and_then(|transit| transit.attaching.get(&order.workflow_position.workflow_id));
        attaching.and_then(|orders| orders.get(id)).is_none_or(|cause| *cause <= since.0)
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
