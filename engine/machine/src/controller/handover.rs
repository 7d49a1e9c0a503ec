//! Handing orders and items to agents, and taking them back.
//!
//! An order goes to an agent only after everything that its workflow needs there. What is needed depends on the workflow
//! and the agent alone, and is remembered per session.

use super::Controller;
use super::agent_link::AgentLink;
use crate::message::AgentCommand;
use crate::planted::Bug;
use crate::replica::Turn;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_workflow::flow::Flow;
use baton_workflow::id::{AgentPath, OrderId, WorkflowId};
use baton_workflow::model::event::Event;
use baton_workflow::model::item::Item;
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::operation::ItemEvent;
use baton_workflow::model::order::{AttachedState, OrderState};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::outcome::Outcome;
use baton_workflow::problem::Problem;
use baton_workflow::state::items::ItemAttachment;
use baton_workflow::step::OrderStep;

/// Most orders on their way to an agent at a time. The others follow when half of them have arrived.
pub(super) const MAX_OFFERED: usize = 10_000;

/// Most orders which an agent has lost that come back at one coupling.
const MAX_MISSING: usize = 10_000;

impl Controller {
    /// When everything until the coupling is adopted and told: compares, and sends what is to be sent.
    pub(super) fn reconcile_if_known(&mut self, turn: Turn<'_>, path: &AgentPath) {
        let adopted = self.replica.relations().agents.get(path).map_or(EventId::BEFORE_FIRST, |agent| agent.adopted);
        let Some(session) = self.agents.get_mut(path).and_then(|agent| agent.session()) else { return };
        if session.is_reconciled || !session.is_inventory_complete || adopted < session.end {
            return;
        }
        session.is_reconciled = true;
        if self.bugs.has(Bug::ForgetReconciliation) {
            return;
        }
        let theirs = core::mem::take(&mut session.orders);
        let items = core::mem::take(&mut session.items);
        self.trust(turn, path);

        let missing: Vec<OrderId> = self
            .state()
            .orders()
            .filter(|order| match &order.attached_state {
                Some(AttachedState::Attached { agent_path } | AttachedState::Detaching { agent_path }) => {
                    agent_path == path && !theirs.contains(&order.id)
                }
                _ => false,
            })
            .map(|order| order.id.clone())
            .take(MAX_MISSING + 1)
            .collect();
        let is_all = missing.len() <= MAX_MISSING;
        for id in missing.into_iter().take(MAX_MISSING) {
            let message = format!("Agent:{path} has lost the order");
            self.fetch_back(turn, &id, Problem::coded("OrderLostAtAgent", [], message));
        }
        if !is_all {
            // The others are met when it couples again.
            if let Some(link) = self.agents.get_mut(path).and_then(|agent| agent.session()).map(|session| session.link)
            {
                self.give_up_later(turn, link);
            }
            return;
        }

        let different: Vec<ItemKey> = self
            .state()
            .items()
            .all_attachments()
            .filter(|(key, agent, attachment)| match attachment {
                ItemAttachment::Attached(revision) => *agent == path && items.get(*key) != Some(revision),
                _ => false,
            })
            .map(|(key, _, _)| key.clone())
            .collect();
        for key in different {
            let event = ItemEvent::ItemAttachable { key, agent_path: path.clone() };
            self.replica.take(turn, Event::Item(event));
        }

        let Some(transit) = self.replica.relations().transit(path).cloned() else { return };
        // Subagents serve in turn as they have come.
        let mut items: Vec<(&u64, &ItemKey)> = transit.items.iter().map(|(key, cause)| (cause, key)).collect();
        items.sort_unstable();
        for (cause, key) in items {
            self.tell_item(path, key, EventId(*cause));
        }
        for (id, cause) in &transit.detaching {
            self.tell(path, EventId(*cause), AgentCommand::DetachOrder(id.clone()));
        }
        for (id, (cause, force)) in &transit.resets {
            let command = AgentCommand::ResetSubagent { subagent_id: id.clone(), force: *force };
            self.tell(path, EventId(*cause), command);
        }
        for (id, (cause, mark)) in &transit.marks {
            let command = AgentCommand::MarkOrder { order_id: id.clone(), mark: mark.clone() };
            self.tell(path, EventId(*cause), command);
        }
        for workflow_id in transit.attaching.keys() {
            self.offer_all(turn, path, workflow_id);
        }
    }

    /// Hands over an item, or takes it back, as the state says.
    pub(super) fn tell_item(&mut self, path: &AgentPath, key: &ItemKey, cause: EventId) {
        let command = match self.state().items().attachment(key, path) {
            Some(ItemAttachment::Attachable) => self.item_for(path, key).map(AgentCommand::AttachItem),
            Some(ItemAttachment::Detachable) => Some(AgentCommand::DetachItem(key.clone())),
            Some(ItemAttachment::Attached(_)) | None => None,
        };
        if let Some(command) = command {
            self.tell(path, cause, command);
        }
    }

    /// Hands over all orders of a workflow that are on their way, if the agent has what the workflow needs.
    pub(super) fn offer_all(&mut self, turn: Turn<'_>, path: &AgentPath, workflow_id: &WorkflowId) {
        if !self.is_prepared(turn, path, workflow_id) {
            return;
        }
        let transit = self.replica.relations().transit(path);
        let attaching = transit.and_then(|transit| transit.attaching.get(workflow_id));
        let offered = self.agents.get(path).and_then(AgentLink::offered);
        let attaching: Vec<(OrderId, u64)> = attaching
            .into_iter()
            .flatten()
            .filter(|(id, _)| offered.is_some_and(|offered| !offered.contains(*id)))
            .take(MAX_OFFERED + 1)
            .map(|(id, cause)| (id.clone(), *cause))
            .collect();
        for (id, cause) in attaching {
            self.offer(path, &id, EventId(cause));
        }
    }

    /// An order that was offered has arrived, or will not. Offers others, if they were too many at once.
    pub(super) fn offer_more(&mut self, turn: Turn<'_>, path: &AgentPath, id: &OrderId) {
        let Some(session) = self.agents.get_mut(path).and_then(|agent| agent.session()) else { return };
        session.offered.remove(id);
        if !session.may_offer_more || session.offered.len() > MAX_OFFERED / 2 {
            return;
        }
        session.may_offer_more = false;
        let transit = self.replica.relations().transit(path);
        let waiting: Vec<WorkflowId> =
            transit.map(|transit| transit.attaching.keys().cloned().collect()).unwrap_or_default();
        for workflow_id in waiting {
            self.offer_all(turn, path, &workflow_id);
        }
    }

    /// Hands over an order that is on its way, if the agent has what its workflow needs; else it follows the last item.
    pub(super) fn offer_one(&mut self, turn: Turn<'_>, path: &AgentPath, id: &OrderId, cause: EventId) {
        let Some(order) = self.state().order(id) else { return };
        let workflow_id = order.workflow_position.workflow_id.clone();
        if self.is_prepared(turn, path, &workflow_id) {
            self.offer(path, id, cause);
        }
    }

    fn offer(&mut self, path: &AgentPath, id: &OrderId, cause: EventId) {
        let Some(session) = self.agents.get_mut(path).and_then(|agent| agent.session()) else { return };
        if session.is_reconciled && session.offered.len() >= MAX_OFFERED && !session.offered.contains(id) {
            session.may_offer_more = true;
            return;
        }
        if session.is_reconciled
            && session.offered.insert(id.clone())
            && let Some(order) = self.replica.state().order(id)
        {
            session.tell(cause, AgentCommand::AttachOrder(Box::new(order.clone())));
        }
    }

    /// Whether the agent has everything that the workflow needs. What it has not, is handed over.
    fn is_prepared(&mut self, turn: Turn<'_>, path: &AgentPath, workflow_id: &WorkflowId) -> bool {
        let mut is_prepared = true;
        for key in self.needs(path, workflow_id).iter() {
            // It may be on its way out, or gone, since the needs were found out.
            let items = self.state().items();
            let is_going = !matches!(key, ItemKey::WorkflowVersion(_)) && items.is_deletion_marked(key);
            if is_going || !items.contains(key) {
                continue;
            }
            match self.state().items().attachment(key, path) {
                Some(ItemAttachment::Attached(_)) => {}
                Some(ItemAttachment::Attachable | ItemAttachment::Detachable) => is_prepared = false,
                None => {
                    is_prepared = false;
                    let event = ItemEvent::ItemAttachable { key: key.clone(), agent_path: path.clone() };
                    self.replica.take(turn, Event::Item(event));
                }
            }
        }
        is_prepared
    }

    /// Sends a command, if it is known what the agent has; else it will be sent when that is known.
    pub(super) fn tell(&mut self, path: &AgentPath, cause: EventId, command: AgentCommand) {
        if let Some(session) = self.agents.get_mut(path).and_then(|agent| agent.session()) {
            session.tell(cause, command);
        }
    }

    /// An order that the agent does not have comes back, and fails.
    pub(super) fn fetch_back(&mut self, turn: Turn<'_>, id: &OrderId, problem: Problem) {
        let outcome = Outcome::disrupted(problem);
        let Some(order) = self.state().order(id) else { return };
        let mut events = Vec::new();
        if let OrderState::Processing { .. } = order.state {
            events.push(OrderEvent::OrderProcessed { outcome: outcome.clone() });
        } else if order.is_resettable() {
            events.push(OrderEvent::OrderStateReset);
        }
        events.push(OrderEvent::OrderDetached);
        for event in events {
            // An order that cannot come back in this state stays where it is, for a person to see.
            if self.replica.try_take(turn, turn.around.now, Event::Order(id.clone(), event)).is_err() {
                return;
            }
        }
        let failure = OrderStep::of(self.replica.state(), turn.around, id).map(|step| step.failed(outcome));
        self.replica.follow(turn, failure.unwrap_or_default(), id.clone());
    }

    /// What the workflow needs at the agent, itself included.
    fn needs(&mut self, path: &AgentPath, workflow_id: &WorkflowId) -> Arc<[ItemKey]> {
        if let Some(needs) = self.agents.get(path).and_then(|agent| agent.needs.get(workflow_id)) {
            return needs.clone();
        }
        let items = self.state().items();
        let mut needs = BTreeSet::new();
        if let Some(flow) = self.state().flow(workflow_id) {
            let reduced = Flow::new(Arc::new(flow.reduce_for_agent(path)));
            needs.extend(reduced.referenced_items().into_iter().filter(|key| {
                matches!(key, ItemKey::JobResource(_) | ItemKey::Calendar(_) | ItemKey::SubagentBundle(_))
            }));
        }
        for item in items.simple() {
            let is_needed = match item {
                Item::AgentRef(agent) => agent.path == *path,
                Item::SubagentItem(subagent) => subagent.agent_path == *path,
                Item::SubagentBundle(bundle) => bundle
                    .subagent_to_priority
                    .keys()
                    .any(|id| items.subagent(id).is_some_and(|subagent| subagent.agent_path == *path)),
                Item::WorkflowPathControl(control) => control.path == workflow_id.path,
                Item::WorkflowControl(control) => control.id == *workflow_id,
                _ => false,
            };
            if is_needed {
                needs.insert(item.key());
            }
        }
        needs.insert(ItemKey::WorkflowVersion(workflow_id.clone()));
        // A bundle may be named which is a subagent in truth.
        needs.retain(|key| items.contains(key));
        let needs: Arc<[ItemKey]> = needs.into_iter().collect();
        if let Some(agent) = self.agents.get_mut(path) {
            agent.needs.insert(workflow_id.clone(), needs.clone());
        }
        needs
    }

    /// The item as the agent gets it.
    fn item_for(&self, path: &AgentPath, key: &ItemKey) -> Option<Item> {
        match key {
            ItemKey::WorkflowVersion(id) => {
                Some(Item::Workflow(Arc::new(self.state().flow(id)?.reduce_for_agent(path))))
            }
            key => self.state().items().get(key),
        }
    }

    /// The agents that get an item as soon as it is there, without an order that needs it.
    pub(super) fn dedicated_agents(&self, item: &Item) -> Vec<AgentPath> {
        let items = self.state().items();
        match item {
            Item::AgentRef(agent) => Vec::from([agent.path.clone()]),
            Item::SubagentItem(subagent) => Vec::from([subagent.agent_path.clone()]),
            Item::FileWatch(watch) => Vec::from([watch.agent_path.clone()]),
            Item::SubagentBundle(bundle) => {
                let subagents = bundle.subagent_to_priority.keys().filter_map(|id| items.subagent(id));
                let agents: BTreeSet<AgentPath> = subagents.map(|subagent| subagent.agent_path.clone()).collect();
                agents.into_iter().collect()
            }
            Item::WorkflowPathControl(control) => {
                let versions: Vec<WorkflowId> = items.versions(&control.path).cloned().collect();
                self.agents_with(versions)
            }
            Item::WorkflowControl(control) => self.agents_with(Vec::from([control.id.clone()])),
            _ => Vec::new(),
        }
    }

    fn agents_with(&self, workflows: Vec<WorkflowId>) -> Vec<AgentPath> {
        let items = self.state().items();
        let mut agents = BTreeSet::new();
        for id in workflows {
            agents.extend(items.attachments(&ItemKey::WorkflowVersion(id)).map(|(agent, _)| agent.clone()));
        }
        agents.into_iter().collect()
    }
}
