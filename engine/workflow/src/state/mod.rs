//! The state which the events make up: pure data, folded by `apply`, asked by whoever decides.
//!
//! No structure here knows a clock. Each offers what is needed to decide (questions, and the events which would follow), and
//! folds events in. The cost of an operation does not depend on the number of orders.

pub mod board;
mod image;
mod item_text;
pub mod items;
pub mod job_queue;
pub mod lock;
mod obstacles;
mod order_queue;
pub mod order_watch;
pub mod plan;
pub mod subagent;
pub mod throttle;

use crate::expression::scope::unknown_key;
use crate::flow::Flow;
use crate::id::{AgentPath, ControllerId, Label, OrderId, WorkflowId, WorkflowPath};
use crate::model::event::Event;
use crate::model::instruction::LockDemand;
use crate::model::item::Item;
use crate::model::key::ItemKey;
use crate::model::operation::ItemEvent;
use crate::model::order::{Order, OrderState};
use crate::model::order_event::OrderEvent;
use crate::model::plan::PlanId;
use crate::position::Position;
use crate::problem::{Checked, Problem};
use crate::schedule::OrderDays;
use crate::time::Timestamp;
use crate::value::Value;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use board::Notices;
use items::Items;
use lock::{LockDecision, Locks};
use order_watch::{FileWatchState, OrderWatches};
use plan::Plans;
use throttle::{Throttle, ThrottleDecision, ThrottleLimit};

/// Whose state this is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Side {
    /// A controller's.
    Controller(ControllerId),
    /// An agent's.
    Agent(AgentPath),
}

/// Everything that the events of a controller or an agent make up.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    side: Side,
    /// The controller: itself, or the one to which the agent belongs.
    controller_id: ControllerId,
    orders: BTreeMap<OrderId, Box<Order>>,
    /// The orders of each workflow version which has any.
    orders_by_flow: BTreeMap<WorkflowId, BTreeSet<OrderId>>,
    items: Items,
    locks: Locks,
    notices: Notices,
    plans: Plans,
    /// At the controller: what became of files.
    watches: OrderWatches,
    /// At an agent: the files which have been reported.
    found: BTreeMap<crate::id::OrderWatchPath, FileWatchState>,
    throttle: Throttle,
}

impl State {
    /// The state of a new controller.
    #[must_use]
    pub fn controller(id: ControllerId) -> Self {
        Self::new(Side::Controller(id.clone()), id)
    }

    /// The state of a new agent of a controller.
    #[must_use]
    pub fn agent(path: AgentPath, controller_id: ControllerId) -> Self {
        Self::new(Side::Agent(path), controller_id)
    }

    fn new(side: Side, controller_id: ControllerId) -> Self {
        Self {
            side,
            controller_id,
            orders: BTreeMap::new(),
            orders_by_flow: BTreeMap::new(),
            items: Items::default(),
            locks: Locks::default(),
            notices: Notices::default(),
            plans: Plans::default(),
            watches: OrderWatches::default(),
            found: BTreeMap::new(),
            throttle: Throttle::default(),
        }
    }

    /// Whose state this is.
    #[must_use]
    pub fn side(&self) -> &Side {
        &self.side
    }

    /// The controller: itself, or the one to which the agent belongs.
    #[must_use]
    pub fn controller_id(&self) -> &ControllerId {
        &self.controller_id
    }

    /// An order.
    #[must_use]
    pub fn order(&self, id: &OrderId) -> Option<&Order> {
        self.orders.get(id).map(|order| &**order)
    }

    /// All orders, by id.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values().map(|order| &**order)
    }

    /// Number of orders.
    #[must_use]
    pub fn order_count(&self) -> usize {
        self.orders.len()
    }

    /// The orders of a workflow version.
    pub fn orders_of<'s>(&'s self, id: &WorkflowId) -> impl Iterator<Item = &'s OrderId> + use<'s> {
        self.orders_by_flow.get(id).into_iter().flatten()
    }

    /// Whether a workflow version has orders.
    #[must_use]
    pub fn has_orders(&self, id: &WorkflowId) -> bool {
        self.orders_by_flow.contains_key(id)
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &Items {
        &self.items
    }

    /// The locks.
    #[must_use]
    pub fn locks(&self) -> &Locks {
        &self.locks
    }

    /// The notices.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// The plans.
    #[must_use]
    pub fn plans(&self) -> &Plans {
        &self.plans
    }

    /// What became of the files which were found, at the controller.
    #[must_use]
    pub fn watches(&self) -> &OrderWatches {
        &self.watches
    }

    /// The file watches of an agent, with the files which have been reported.
    pub fn file_watches(&self) -> impl Iterator<Item = &FileWatchState> {
        self.found.values()
    }

    /// A file watch of an agent.
    #[must_use]
    pub fn file_watch(&self, path: &crate::id::OrderWatchPath) -> Option<&FileWatchState> {
        self.found.get(path)
    }

    /// A workflow version.
    #[must_use]
    pub fn flow(&self, id: &WorkflowId) -> Option<&Arc<Flow>> {
        self.items.flow(id)
    }

    /// The current version of a workflow.
    ///
    /// # Errors
    /// `UnknownKey`, or `VersionedItemRemoved` when old versions still have orders.
    pub fn current_flow(&self, path: &WorkflowPath) -> Checked<&Arc<Flow>> {
        self.items.current_flow(path).ok_or_else(|| {
            if self.items.versions(path).next().is_some() {
                return Problem::coded(
                    "VersionedItemRemoved",
                    [("path", format!("Workflow:{path}"))],
                    format!("Workflow:{path} has been removed"),
                );
            }
            unknown_key("WorkflowPath", &format!("Workflow:{path}"))
        })
    }

    /// The compiled rules of a calendar.
    ///
    /// # Errors
    /// There is no such calendar.
    pub fn order_days(&self, path: &crate::id::CalendarPath) -> Checked<&Arc<OrderDays>> {
        self.items.order_days(path)
    }

    /// Whether no order of this workflow makes a step.
    #[must_use]
    pub fn is_workflow_suspended(&self, path: &WorkflowPath) -> bool {
        self.items.is_workflow_suspended(path)
    }

    /// Whether the instruction with this label is skipped.
    #[must_use]
    pub fn is_label_skipped(&self, path: &WorkflowPath, label: &Label) -> bool {
        self.items.is_label_skipped(path, label)
    }

    /// Whether arriving orders are suspended here.
    #[must_use]
    pub fn is_breakpoint(&self, id: &WorkflowId, position: &Position) -> bool {
        self.items.is_breakpoint(id, position)
    }

    /// Whether the order can have all these locks now.
    ///
    /// # Errors
    /// It never can.
    pub fn locks_available(&self, order: &OrderId, demands: &[LockDemand]) -> Checked<bool> {
        Ok(matches!(self.locks.decide(order, demands)?, LockDecision::Acquire))
    }

    /// Whether the plan takes an order which a client or a file adds.
    ///
    /// # Errors
    /// `PlanIsClosed` and the like, or the plan schema is unknown.
    pub fn check_plan_for_command(&self, plan_id: &PlanId) -> Checked<()> {
        self.plans.check_accepts_order(plan_id, false)
    }

    /// Whether the plan takes an order which an order of another or the same plan adds.
    ///
    /// # Errors
    /// As [`Self::check_plan_for_command`].
    pub fn check_plan_for_instruction(&self, plan_id: &PlanId, own: &PlanId) -> Checked<()> {
        self.plans.check_accepts_order(plan_id, plan_id == own)
    }

    /// Whether a notice can be posted to the plan.
    ///
    /// # Errors
    /// As [`Self::check_plan_for_command`].
    pub fn check_plan_for_notice(&self, plan_id: &PlanId) -> Checked<()> {
        self.plans.check_accepts_order(plan_id, true)
    }

    /// The announcements of the notices which an order that is being added is going to post in its plan.
    pub fn announcements(
        &self,
        id: &OrderId,
        flow: &Flow,
        plan_id: &PlanId,
        inner_block: &crate::position::BranchPath,
    ) -> Vec<Event> {
        if plan_id.is_global() {
            return Vec::new();
        }
        let mut events = Vec::new();
        for path in flow.announced_boards(inner_block) {
            let Some(Item::PlannableBoard(board)) = self.items.board(path) else { continue };
            let Some(notice_key) = self.announced_key(id, flow, plan_id, board) else { continue };
            let notice_id =
                crate::model::notice::NoticeId { plan_id: plan_id.clone(), board_path: path.clone(), notice_key };
            if self.notices.is_to_be_announced(&notice_id) {
                events.push(Event::Order(id.clone(), OrderEvent::OrderNoticeAnnounced { notice_id }));
            }
        }
        events
    }

    /// The key of a notice that is announced; none if it cannot be told yet.
    fn announced_key(
        &self,
        id: &OrderId,
        flow: &Flow,
        plan_id: &PlanId,
        board: &crate::model::notice::PlannableBoard,
    ) -> Option<crate::id::NoticeKey> {
        let position = crate::position::WorkflowPosition { workflow_id: flow.id().clone(), position: Position::START };
        let order = Order { plan_id: plan_id.clone(), ..Order::fresh(id.clone(), position) };
        let env = BTreeMap::new();
        let zone = crate::schedule::TimeZone::utc();
        let host = crate::scope::Host { controller_id: &self.controller_id, env: &env, zone: &zone };
        let scope = crate::scope::MinimalOrderScope::new(&order, flow, host);
        crate::step::notices::notice_key(&board.post_order_to_notice_key.eval(&scope).ok()?).ok()
    }

    /// Whether the item can be deleted, as far as not only references count.
    ///
    /// # Errors
    /// It is in use.
    pub fn check_deletable(&self, key: &ItemKey) -> Checked<()> {
        match key {
            ItemKey::PlanSchema(id) => self.plans.check_deletable(id),
            _ => Ok(()),
        }
    }

    /// Orders which a change of these items may let go on.
    pub fn orders_affected_by<'i>(&self, items: impl IntoIterator<Item = &'i Item>) -> Vec<OrderId> {
        let mut orders = Vec::new();
        for item in items {
            if let Item::Lock(lock) = item
                && let Some(lock) = self.locks.get(&lock.path)
            {
                orders.extend(lock.queue().cloned());
            }
        }
        orders
    }

    /// Whether an AddOrder instruction may add an order now. `has_slept`: it has waited for that already.
    #[must_use]
    pub fn may_add_order(&self, has_slept: bool, now: Timestamp) -> ThrottleDecision {
        self.throttle.decide(ThrottleLimit::DEFAULT, has_slept, now)
    }

    /// The plan and the workflow version which an order leaves with this event. Asked before it is applied.
    #[must_use]
    pub fn left_by(&self, event: &Event) -> Option<(PlanId, WorkflowId)> {
        match event {
            Event::Order(id, OrderEvent::OrderDeleted | OrderEvent::OrderTransferred { .. }) => {
                let order = self.order(id)?;
                Some((order.plan_id.clone(), order.workflow_position.workflow_id.clone()))
            }
            _ => None,
        }
    }

    /// Orders which may go on after this event has been applied. Asked before it is.
    #[must_use]
    pub fn woken_by(&self, event: &Event) -> Vec<OrderId> {
        match event {
            Event::Order(_, OrderEvent::OrderNoticePosted { notice_id: Some(id), .. }) => {
                self.notices.expecting(id).cloned().collect()
            }
            Event::Board(board_path, crate::model::notice::NoticeEvent::NoticePosted { planned_notice_key, .. }) => {
                let id = crate::model::notice::NoticeId {
                    plan_id: planned_notice_key.plan_id.clone(),
                    board_path: board_path.clone(),
                    notice_key: planned_notice_key.notice_key.clone(),
                };
                self.notices.expecting(&id).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// The orders which can take the locks that this event has released. To be asked after it has been applied; the others in
    /// the queues are not looked at.
    #[must_use]
    pub fn granted_by(&self, event: &Event) -> Vec<OrderId> {
        let Event::Order(_, OrderEvent::OrderLocksReleased { lock_paths }) = event else { return Vec::new() };
        // Who cannot make a step now is looked at when it can.
        let may_step = |id: &OrderId| {
            self.order(id).is_some_and(|order| {
                order.is_detached()
                    && !order.is_suspended_or_stopped()
                    && !self.is_workflow_suspended(&order.workflow_position.workflow_id.path)
            })
        };
        self.locks.grantable(lock_paths, &may_step)
    }

    /// Applies an event and keeps it.
    ///
    /// # Panics
    /// When the event does not fit the state: it has been decided wrongly.
    pub fn take(&mut self, event: Event, events: &mut Vec<Event>) {
        if let Err(problem) = self.apply(&event) {
            panic!("broken invariant: a decided event does not fit the state: {problem}; {event:?}");
        }
        events.push(event);
    }

    /// Folds an event into the state.
    ///
    /// # Errors
    /// The event does not fit: it has been decided wrongly, or the record is not of this state.
    pub fn apply(&mut self, event: &Event) -> Checked<()> {
        match event {
            Event::Order(id, event) => self.apply_order_event(id, event),
            Event::Item(event) => self.apply_item_event(event),
            Event::Board(path, event) => {
                self.notices.apply(path, event);
                for plan_id in plans_of(event) {
                    self.plans.apply_notices_changed(plan_id, &self.notices);
                }
                Ok(())
            }
            Event::Plan(id, event) => {
                if matches!(event, crate::model::plan::PlanEvent::PlanDeleted) {
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
        self.orders.insert(order.id.clone(), Box::new(order));
        Ok(())
    }

    fn index(&mut self, order: &Order) {
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

/// The plan which an expression names: a list of schema and key, or an empty one.
pub(crate) fn plan_id_of(value: &Value) -> Checked<PlanId> {
    let invalid = || {
        Problem::new(format!(
            "planId must be a list of plan schema and plan key, or an empty list, not {}",
            crate::json::print(value)
        ))
    };
    let Value::List(parts) = value else { return Err(invalid()) };
    match &**parts {
        [] => Ok(PlanId::Global),
        [Value::String(schema), Value::String(key)] => {
            Ok(PlanId::Of(crate::id::PlanSchemaId::checked(schema)?, crate::id::PlanKey::checked(key)?))
        }
        _ => Err(invalid()),
    }
}

/// The plans whose notices an event changes.
fn plans_of(event: &crate::model::notice::NoticeEvent) -> Vec<&PlanId> {
    use crate::model::notice::NoticeEvent;
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
