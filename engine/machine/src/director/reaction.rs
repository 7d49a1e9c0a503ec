//! What the director does about its own events, before they are written: queues, alarms, launches, kills, and further events.

use super::{Alarm, Director};
use crate::codec::Stamped;
use crate::replica::Turn;
use alloc::vec::Vec;
use baton_workflow::id::{OrderId, WorkflowId};
use baton_workflow::model::event::{Event, SubagentEvent};
use baton_workflow::model::item::Item;
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::operation::ItemEvent;
use baton_workflow::model::order::AttachedState;
use baton_workflow::model::order_event::OrderEvent;

/// Something to be done about an event.
enum Reaction {
    /// The order changed.
    Order(OrderId),
    /// The order is elsewhere in its workflow.
    Moved(OrderId),
    /// The process of the order has ended.
    Processed(OrderId),
    /// The order is marked.
    Marked(OrderId),
    /// The item is new or another.
    ItemAttached(Item),
    /// A subagent may take processes, or may not any more.
    Subagents,
}

fn reactions(stamped: &Stamped, reactions: &mut Vec<Reaction>) {
    match &stamped.event {
        Event::Order(id, event) => match event {
            OrderEvent::OrderStdoutWritten { .. } | OrderEvent::OrderStderrWritten { .. } => {}
            OrderEvent::OrderProcessed { .. } => {
                reactions.push(Reaction::Processed(id.clone()));
                reactions.push(Reaction::Order(id.clone()));
            }
            OrderEvent::OrderCancellationMarked { .. } | OrderEvent::OrderSuspensionMarked { .. } => {
                reactions.push(Reaction::Marked(id.clone()));
                reactions.push(Reaction::Order(id.clone()));
            }
            OrderEvent::OrderMoved { .. }
            | OrderEvent::OrderResumed { .. }
            | OrderEvent::OrderCaught { .. }
            | OrderEvent::OrderDetached => reactions.push(Reaction::Moved(id.clone())),
            OrderEvent::OrderForked { children } => {
                reactions.extend(children.iter().map(|child| Reaction::Order(child.order_id.clone())));
                reactions.push(Reaction::Order(id.clone()));
            }
            _ => reactions.push(Reaction::Order(id.clone())),
        },
        Event::Item(ItemEvent::ItemAttachedToMe { item }) => reactions.push(Reaction::ItemAttached(item.clone())),
        Event::Item(ItemEvent::ItemDetached { .. })
        | Event::Subagent(
            _,
            SubagentEvent::SubagentCoupled
            | SubagentEvent::SubagentDedicated { .. }
            | SubagentEvent::SubagentCouplingFailed { .. },
        ) => reactions.push(Reaction::Subagents),
        _ => {}
    }
}

impl Director {
    /// Reacts to the events of this step, and to those that this leads to.
    pub(super) fn react(&mut self, turn: Turn<'_>) {
        let mut seen = 0;
        loop {
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
            if !self.start_jobs(turn) {
                break;
            }
        }
    }

    fn carry_out(&mut self, turn: Turn<'_>, reaction: Reaction) {
        match reaction {
            Reaction::Order(id) => self.order_changed(turn, &id),
            Reaction::Moved(id) => {
                self.leave_line(&id);
                self.order_changed(turn, &id);
            }
            Reaction::Processed(id) => self.process_ended(turn, &id),
            Reaction::Marked(id) => self.kill_if_marked(turn, &id),
            Reaction::ItemAttached(item) => self.item_attached(turn, &item),
            Reaction::Subagents => {
                self.refresh_subagents(turn);
                self.may_unpark = true;
            }
        }
    }

    /// The order may wait for its job or for a time of day now, or not any more.
    pub(super) fn order_changed(&mut self, turn: Turn<'_>, id: &OrderId) {
        let order = self.replica.state().order(id);
        let at = order
            .filter(|order| matches!(order.attached_state, Some(AttachedState::Attached { .. })))
            .and_then(|order| order.delayed_until())
            .filter(|until| *until > turn.around.now);
        self.alarms.set(Alarm::Order(id.clone()), at);
        self.line_up(turn, id);
    }

    fn process_ended(&mut self, turn: Turn<'_>, id: &OrderId) {
        self.forget_process(id);
        self.leave_line(id);
        self.may_unpark = true;
        self.replica.steps(turn, [id.clone()]);
        self.detach_idle_subagents(turn);
        self.go_on_with_moves(turn);
    }

    /// Gives up the subagents which are to go, and at which nothing runs any more.
    fn detach_idle_subagents(&mut self, turn: Turn<'_>) {
        let idle: Vec<ItemKey> = self
            .replica
            .relations()
            .subagents
            .iter()
            .filter(|(_, subagent)| subagent.is_detaching() && subagent.process_count() == 0)
            .map(|(id, _)| ItemKey::Subagent(id.clone()))
            .collect();
        for key in idle {
            // It was there when it was to be detached, and nothing else takes it away.
            let _ = self.item_detached(turn, key);
        }
    }

    fn item_attached(&mut self, turn: Turn<'_>, item: &Item) {
        match item {
            Item::AgentRef(_) | Item::SubagentItem(_) | Item::SubagentBundle(_) => {
                self.refresh_limit();
                self.refresh_subagents(turn);
                self.may_unpark = true;
            }
            Item::WorkflowPathControl(control) => {
                let versions: Vec<WorkflowId> = self.state().items().versions(&control.path).cloned().collect();
                for id in &versions {
                    self.orders_may_go_on(turn, id);
                }
            }
            Item::WorkflowControl(control) => self.orders_may_go_on(turn, &control.id),
            Item::JobResource(_) | Item::Calendar(_) => {}
            _ => {}
        }
    }

    /// All orders of a workflow version may go on, or not any more. Some of them are looked at later, if they are many.
    fn orders_may_go_on(&mut self, turn: Turn<'_>, id: &WorkflowId) {
        self.changed.retain(|(changed, _)| changed != id);
        self.look_at_orders_after(turn, id, None);
    }

    fn look_at_orders_after(&mut self, turn: Turn<'_>, id: &WorkflowId, after: Option<&OrderId>) {
        let most = self.replica.room().max(1);
        let orders: Vec<OrderId> = self.state().orders_of_after(id, after).take(most).cloned().collect();
        self.replica.steps(turn, orders.iter().cloned());
        for id in &orders {
            self.order_changed(turn, id);
        }
        if orders.len() == most
            && let Some(last) = orders.last()
        {
            self.changed.push_back((id.clone(), last.clone()));
        }
    }

    /// Goes on with what earlier steps had no room for.
    pub(super) fn go_on(&mut self, turn: Turn<'_>) {
        if self.replica.has_left_something() {
            return self.replica.go_on(turn);
        }
        if let Some((id, after)) = self.changed.pop_front() {
            self.look_at_orders_after(turn, &id, Some(&after));
        }
    }

    pub(super) fn has_left_something(&self) -> bool {
        self.may_start_more || self.replica.has_left_something() || !self.changed.is_empty()
    }
}
