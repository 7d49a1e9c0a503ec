//! What the controller does about its own events, before they are written: alarms, messages to agents, and further events.

use super::Controller;
use crate::codec::Stamped;
use crate::message::AgentCommand;
use crate::relations::AgentRelation;
use crate::replica::Turn;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_workflow::command::after_detaching;
use baton_workflow::id::{AgentPath, OrderId, SubagentId};
use baton_workflow::model::event::{Event, SubagentEvent};
use baton_workflow::model::item::Item;
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::operation::ItemEvent;
use baton_workflow::model::order_event::OrderEvent;

/// Something to be done about an event.
enum Reaction {
    /// The order changed.
    Order(OrderId),
    /// The order is to go to an agent.
    Attach(OrderId, AgentPath, EventId),
    /// The agent has the order.
    Attached(OrderId, AgentPath),
    /// The order is to come back.
    Detach(OrderId, EventId),
    /// The agent does not know yet how the order is marked.
    Mark(OrderId),
    /// The item is on its way to an agent, or back.
    Item(ItemKey, AgentPath, EventId),
    /// An agent has one more item, in this revision.
    ItemAttached(ItemKey, Option<u32>, AgentPath),
    /// An agent has given an item back.
    ItemDetached(ItemKey, AgentPath),
    /// The item is new or another.
    ItemChanged(Item),
    /// The item is gone.
    ItemDeleted(ItemKey),
    /// A subagent is to be reset.
    Reset(SubagentId),
}

fn reactions(stamped: &Stamped, reactions: &mut Vec<Reaction>) {
    match &stamped.event {
        Event::Order(id, event) => {
            reactions.push(Reaction::Order(id.clone()));
            match event {
                OrderEvent::OrderAttachable { agent_path } => {
                    reactions.push(Reaction::Attach(id.clone(), agent_path.clone(), stamped.event_id));
                }
                OrderEvent::OrderAttached { agent_path } => {
                    reactions.push(Reaction::Attached(id.clone(), agent_path.clone()));
                    reactions.push(Reaction::Mark(id.clone()));
                }
                OrderEvent::OrderDetachable => reactions.push(Reaction::Detach(id.clone(), stamped.event_id)),
                OrderEvent::OrderCancellationMarked { .. }
                | OrderEvent::OrderSuspensionMarked { .. }
                | OrderEvent::OrderResumptionMarked { .. }
                | OrderEvent::OrderGoMarked { .. } => reactions.push(Reaction::Mark(id.clone())),
                OrderEvent::OrderOrderAdded { order_id, .. } => reactions.push(Reaction::Order(order_id.clone())),
                _ => {}
            }
        }
        Event::Item(event) => match event {
            ItemEvent::UnsignedSimpleItemAdded { item } | ItemEvent::UnsignedSimpleItemChanged { item } => {
                reactions.push(Reaction::ItemChanged(item.clone()));
            }
            ItemEvent::ItemDeleted { key } => reactions.push(Reaction::ItemDeleted(key.clone())),
            ItemEvent::ItemAttachable { key, agent_path } | ItemEvent::ItemDetachable { key, agent_path } => {
                reactions.push(Reaction::Item(key.clone(), agent_path.clone(), stamped.event_id));
            }
            ItemEvent::ItemAttached { key, item_revision, agent_path } => {
                reactions.push(Reaction::ItemAttached(key.clone(), *item_revision, agent_path.clone()));
            }
            ItemEvent::ItemDetached { key, agent_path } => {
                reactions.push(Reaction::ItemDetached(key.clone(), agent_path.clone()));
            }
            _ => {}
        },
        Event::Subagent(id, SubagentEvent::SubagentResetStarted { .. }) => reactions.push(Reaction::Reset(id.clone())),
        _ => {}
    }
}

impl Controller {
    /// Reacts to the events of this step, and to those that this leads to.
    pub(super) fn react(&mut self, turn: Turn<'_>) {
        let mut seen = 0;
        while seen < self.replica.pending_len() {
            let mut to_do = Vec::new();
            for stamped in self.replica.pending_from(seen) {
                reactions(stamped, &mut to_do);
            }
            seen = self.replica.pending_len();
            for reaction in to_do {
                self.carry_out(turn, reaction);
            }
        }
    }

    fn carry_out(&mut self, turn: Turn<'_>, reaction: Reaction) {
        match reaction {
            Reaction::Order(id) => self.set_alarm(&id),
            Reaction::Reset(id) => self.tell_reset(&id),
            Reaction::Attach(id, agent, cause) => self.offer_one(turn, &agent, &id, cause),
            Reaction::Attached(id, agent) => self.offer_more(turn, &agent, &id),
            Reaction::Detach(id, cause) => {
                let agent = self.state().order(&id).and_then(|order| order.agent_path().cloned());
                if let Some(agent) = agent {
                    self.tell(&agent, cause, AgentCommand::DetachOrder(id));
                }
            }
            Reaction::Mark(id) => {
                let Some(agent) = self.state().order(&id).and_then(|order| order.agent_path().cloned()) else { return };
                let transit = self.replica.relations().transit(&agent);
                if let Some((cause, mark)) = transit.and_then(|transit| transit.marks.get(&id)).cloned() {
                    self.tell(&agent, EventId(cause), AgentCommand::MarkOrder { order_id: id, mark });
                }
            }
            Reaction::Item(key, agent, cause) => self.tell_item(&agent, &key, cause),
            Reaction::ItemAttached(key, revision, agent) => {
                self.hand_over_what_changed(turn, key, revision, &agent);
                let transit = self.replica.relations().transit(&agent);
                let waiting: Vec<_> =
                    transit.map(|transit| transit.attaching.keys().cloned().collect()).unwrap_or_default();
                for workflow_id in waiting {
                    self.offer_all(turn, &agent, &workflow_id);
                }
            }
            Reaction::ItemDetached(key, agent) => {
                for event in after_detaching(self.replica.state(), &key) {
                    self.replica.take(turn, event);
                }
                self.hand_over_what_is_back(turn, key, agent);
            }
            Reaction::ItemChanged(item) => {
                let key = item.key();
                for agent_path in self.dedicated_agents(&item) {
                    if self.state().items().attachment(&key, &agent_path).is_none() {
                        let event = ItemEvent::ItemAttachable { key: key.clone(), agent_path };
                        self.replica.take(turn, Event::Item(event));
                    }
                }
                self.forget_needs();
                if matches!(item, Item::AgentRef(_) | Item::SubagentItem(_)) {
                    self.refresh_agents(turn);
                }
            }
            Reaction::ItemDeleted(key) => {
                self.forget_needs();
                if matches!(key, ItemKey::Agent(_) | ItemKey::Subagent(_)) {
                    self.refresh_agents(turn);
                }
            }
        }
    }

    /// While an item was on its way, it may have been changed or deleted: then what the agent has now is not what it is to have.
    fn hand_over_what_changed(&mut self, turn: Turn<'_>, key: ItemKey, revision: Option<u32>, agent: &AgentPath) {
        let agent_path = agent.clone();
        let items = self.state().items();
        let event = if items.is_deletion_marked(&key) {
            ItemEvent::ItemDetachable { key, agent_path }
        } else if items.get(&key).is_some_and(|item| item.revision() != revision) {
            ItemEvent::ItemAttachable { key, agent_path }
        } else {
            return;
        };
        self.replica.take(turn, Event::Item(event));
    }

    /// While an item was on its way back, it may have been added again.
    fn hand_over_what_is_back(&mut self, turn: Turn<'_>, key: ItemKey, agent_path: AgentPath) {
        let items = self.state().items();
        let is_reset = |agent: &AgentRelation| agent.resetting.is_some();
        if items.is_deletion_marked(&key) || self.replica.relations().agents.get(&agent_path).is_some_and(is_reset) {
            return;
        }
        if items.get(&key).is_some_and(|item| self.dedicated_agents(&item).contains(&agent_path)) {
            self.replica.take(turn, Event::Item(ItemEvent::ItemAttachable { key, agent_path }));
        }
    }

    fn forget_needs(&mut self) {
        for agent in self.agents.values_mut() {
            agent.needs.clear();
        }
    }
}
