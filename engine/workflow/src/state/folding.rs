//! Folding events into the state: the one way in which it changes, live, at a recovery, and at a standby.
//!
//! It sees no clock and decides nothing. An event that does not fit is an error: it has been decided wrongly, or the record is
//! not of this state.

use super::order_watch::FileWatchState;
use super::throttle::ThrottleLimit;
use super::{Side, State};
use crate::expression::scope::unknown_key;
use crate::id::{OrderId, WorkflowId};
use crate::model::event::Event;
use crate::model::item::Item;
use crate::model::key::ItemKey;
use crate::model::notice::NoticeEvent;
use crate::model::operation::ItemEvent;
use crate::model::order::{Order, OrderState};
use crate::model::order_event::OrderEvent;
use crate::model::plan::{PlanEvent, PlanId};
use crate::problem::{Checked, Problem};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

impl State {
    /// Folds an event which has been decided on this state.
    ///
    /// # Panics
    /// When the event does not fit the state: it has been decided wrongly.
    pub fn take(&mut self, event: &Event) {
        if let Err(problem) = self.apply(event) {
            panic!("broken invariant: a decided event does not fit the state: {problem}; {event:?}");
        }
    }

    /// Folds an event into the state.
    ///
    /// # Errors
    /// The event does not fit: it has been decided wrongly, or the record is not of this state.
    pub fn apply(&mut self, event: &Event) -> Checked<()> {
        match event {
            Event::Order(id, event) => self.apply_counted(id, event),
            Event::Item(event) => self.apply_item_event(event),
            Event::Board(path, event) => {
                self.notices.apply(path, event);
                for plan_id in plans_of(event) {
                    self.plans.apply_notices_changed(plan_id, &self.notices);
                }
                Ok(())
            }
            Event::Plan(id, event) => {
                if matches!(event, PlanEvent::PlanDeleted) {
                    self.notices.apply_plan_deleted(id);
                }
                self.plans.apply(id, event, &self.notices);
                Ok(())
            }
            Event::PlanSchema(id, event) => {
                self.plans.apply_schema(id, event, &self.notices);
                Ok(())
            }
            Event::OrderWatch(path, event) => {
                match &self.side {
                    Side::Controller(_) => self.watches.apply(path, event),
                    Side::Agent(_) => {
                        if let Some(watch) = self.found.get_mut(path) {
                            watch.apply(event);
                        }
                    }
                }
                Ok(())
            }
            Event::Agent(..) | Event::Subagent(..) | Event::Node(_) => Ok(()),
        }
    }

    fn apply_item_event(&mut self, event: &ItemEvent) -> Checked<()> {
        match event {
            ItemEvent::UnsignedSimpleItemAdded { item: Item::Lock(lock) }
            | ItemEvent::UnsignedSimpleItemChanged { item: Item::Lock(lock) } => self.locks.put(lock),
            ItemEvent::ItemDeleted { key: ItemKey::Lock(path) } => self.locks.delete(path),
            ItemEvent::UnsignedSimpleItemAdded { item: Item::PlanSchema(schema) }
            | ItemEvent::UnsignedSimpleItemChanged { item: Item::PlanSchema(schema) } => {
                self.plans.put_schema(schema, &self.notices);
            }
            ItemEvent::ItemDeleted { key: ItemKey::PlanSchema(id) } => self.plans.delete_schema(id),
            ItemEvent::ItemDeleted { key: ItemKey::OrderWatch(path) } => self.watches.delete(path),
            ItemEvent::ItemAttachedToMe { item: Item::FileWatch(watch) } => match self.found.get_mut(&watch.path) {
                Some(found) => found.apply_item(watch.clone()),
                None => {
                    self.found.insert(watch.path.clone(), FileWatchState::new(watch.clone(), []));
                }
            },
            ItemEvent::ItemDetached { key: ItemKey::OrderWatch(path), .. } => {
                self.found.remove(path);
            }
            _ => {}
        }
        self.items.apply(event)
    }

    /// Keeps the numbers of orders in each state. New orders are counted by [`Self::insert`].
    fn apply_counted(&mut self, id: &OrderId, event: &OrderEvent) -> Checked<()> {
        let state_of = |state: &Self| state.orders.get(id).map(|order| order.state.type_name());
        let before = state_of(self);
        let result = self.apply_order_event(id, event);
        let after = state_of(self);
        if before.is_some() && before != after {
            self.order_counts.change(before, after);
        }
        result
    }

    fn apply_order_event(&mut self, id: &OrderId, event: &OrderEvent) -> Checked<()> {
        if let Some(order) = Order::created_by(id, event) {
            match event {
                OrderEvent::OrderOrderAdded { speed_record, .. } => {
                    self.existing(id)?;
                    if let Some(record) = speed_record {
                        self.throttle.apply_added(ThrottleLimit::DEFAULT, record);
                    }
                }
                OrderEvent::OrderAdded { external_order_key: Some(key), .. } => {
                    self.watches.apply_order_added(key, id);
                }
                _ => {}
            }
            return self.insert(order);
        }
        match event {
            OrderEvent::OrderDetached if matches!(self.side, Side::Agent(_)) => {
                self.existing(id)?.apply(event)?;
                self.remove(id);
                return Ok(());
            }
            OrderEvent::OrderDeleted => {
                let order = self.existing(id)?;
                order.apply(event)?;
                if let Some(key) = order.external_order.as_ref().map(crate::model::order::ExternalOrder::key) {
                    self.watches.apply_order_deleted(&key, id);
                }
                self.remove(id);
                return Ok(());
            }
            OrderEvent::OrderForked { children } => {
                let order = self.existing(id)?;
                order.apply(event)?;
                let children: Vec<Order> = children.iter().map(|child| order.forked_child(child)).collect();
                return children.into_iter().try_for_each(|child| self.insert(child));
            }
            OrderEvent::OrderJoined { .. } => {
                let order = self.existing(id)?;
                if let OrderState::Forked { children } = &order.state {
                    let children: Vec<OrderId> = children.iter().map(|child| child.order_id.clone()).collect();
                    order.apply(event)?;
                    for child in children {
                        let state = self.orders.get(&child).map(|child| child.state.type_name());
                        self.order_counts.change(state, None);
                        self.remove(&child);
                    }
                    return Ok(());
                }
                return order.apply(event);
            }
            OrderEvent::OrderTransferred { workflow_position } => {
                let order = self.existing(id)?;
                let old = order.workflow_position.workflow_id.clone();
                order.apply(event)?;
                self.unindex(&old, id);
                self.orders_by_flow.entry(workflow_position.workflow_id.clone()).or_default().insert(id.clone());
                return Ok(());
            }
            _ => {}
        }
        let order = self.orders.get_mut(id).ok_or_else(|| unknown_order(id))?;
        match event {
            OrderEvent::OrderLocksAcquired { demands } => {
                order.apply(event)?;
                self.locks.apply_acquired(id, demands);
            }
            OrderEvent::OrderLocksQueued { demands } => {
                order.apply(event)?;
                self.locks.apply_queued(id, demands, &order.priority);
            }
            OrderEvent::OrderLocksReleased { lock_paths } => {
                order.apply(event)?;
                self.locks.apply_released(id, lock_paths);
            }
            OrderEvent::OrderSleeping { cause: crate::model::order::SleepCause::Throttle, .. } => {
                order.apply(event)?;
                self.throttle.apply_sleeping(ThrottleLimit::DEFAULT);
            }
            OrderEvent::OrderPriorityChanged { priority } => {
                order.apply(event)?;
                self.locks.apply_priority(id, priority);
            }
            OrderEvent::OrderStateReset => {
                match &order.state {
                    OrderState::WaitingForLock => self.locks.apply_dequeued(id),
                    OrderState::ExpectingNotices { notice_ids } => {
                        self.notices.apply_expected_no_more(id, notice_ids);
                    }
                    _ => {}
                }
                order.apply(event)?;
            }
            OrderEvent::OrderNoticeAnnounced { notice_id } => {
                order.apply(event)?;
                self.notices.apply_announced(notice_id);
                self.plans.apply_notices_changed(&notice_id.plan_id, &self.notices);
            }
            OrderEvent::OrderNoticePosted { notice_id, end_of_life, .. } => {
                order.apply(event)?;
                if let Some(notice_id) = notice_id {
                    self.notices.apply_posted(notice_id, *end_of_life);
                    self.plans.apply_notices_changed(&notice_id.plan_id, &self.notices);
                }
            }
            OrderEvent::OrderPlanAttached { plan_id } => {
                let former = order.plan_id.clone();
                order.apply(event)?;
                self.plans.apply_order_removed(&former, id, &self.notices);
                self.plans.apply_order_added(plan_id, id);
            }
            OrderEvent::OrderNoticesExpected { notice_ids } => {
                order.apply(event)?;
                self.notices.apply_expected(id, notice_ids);
            }
            OrderEvent::OrderNoticesRead => {
                if let OrderState::ExpectingNotices { notice_ids } = &order.state {
                    self.notices.apply_expected_no_more(id, notice_ids);
                }
                order.apply(event)?;
            }
            OrderEvent::OrderNoticesConsumptionStarted { notice_ids } => {
                if let OrderState::ExpectingNotices { notice_ids } = &order.state {
                    self.notices.apply_expected_no_more(id, notice_ids);
                }
                order.apply(event)?;
                self.notices.apply_consumption_started(id, notice_ids);
            }
            OrderEvent::OrderNoticesConsumed { failed } => {
                order.apply(event)?;
                let plan_id = order.plan_id.clone();
                self.notices.apply_consumed(id, *failed);
                self.plans.apply_notices_changed(&plan_id, &self.notices);
            }
            event => order.apply(event)?,
        }
        Ok(())
    }

    fn existing(&mut self, id: &OrderId) -> Checked<&mut Order> {
        self.orders.get_mut(id).map(|order| &mut **order).ok_or_else(|| unknown_order(id))
    }

    fn insert(&mut self, order: Order) -> Checked<()> {
        if self.orders.contains_key(&order.id) {
            return Err(Problem::new(format!("Order:{} is already there", order.id)));
        }
        self.plans.apply_order_added(&order.plan_id, &order.id);
        self.orders_by_flow.entry(order.workflow_position.workflow_id.clone()).or_default().insert(order.id.clone());
        self.order_counts.change(None, Some(order.state.type_name()));
        self.orders.insert(order.id.clone(), Box::new(order));
        Ok(())
    }

    pub(super) fn index(&mut self, order: &Order) {
        self.orders_by_flow.entry(order.workflow_position.workflow_id.clone()).or_default().insert(order.id.clone());
    }

    fn remove(&mut self, id: &OrderId) {
        if let Some(order) = self.orders.remove(id) {
            self.plans.apply_order_removed(&order.plan_id, id, &self.notices);
            self.unindex(&order.workflow_position.workflow_id, id);
        }
    }

    fn unindex(&mut self, workflow_id: &WorkflowId, id: &OrderId) {
        if let Some(orders) = self.orders_by_flow.get_mut(workflow_id) {
            orders.remove(id);
            if orders.is_empty() {
                self.orders_by_flow.remove(workflow_id);
            }
        }
    }
}

/// The plans whose notices an event changes.
fn plans_of(event: &NoticeEvent) -> Vec<&PlanId> {
    match event {
        NoticeEvent::NoticePosted { planned_notice_key, .. } | NoticeEvent::NoticeDeleted { planned_notice_key } => {
            Vec::from([&planned_notice_key.plan_id])
        }
        NoticeEvent::NoticeMoved { from_planned_notice_key, to_planned_notice_key, .. } => {
            Vec::from([&from_planned_notice_key.plan_id, &to_planned_notice_key.plan_id])
        }
    }
}

fn unknown_order(id: &OrderId) -> Problem {
    unknown_key("OrderId", &format!("Order:{id}"))
}
