//! The state which the events make up: pure data, folded by `apply`, asked by whoever decides.
//!
//! No structure here knows a clock. Each offers what is needed to decide (questions, and the events which would follow), and
//! folds events in. The cost of an operation does not depend on the number of orders.

pub mod board;
mod folding;
mod image;
mod item_text;
pub mod items;
pub mod job_queue;
pub mod lock;
mod obstacles;
pub mod order_counts;
mod order_queue;
pub mod order_watch;
pub mod plan;
pub mod subagent;
pub mod throttle;

use crate::expression::scope::unknown_key;
use crate::flow::Flow;
use crate::id::{AgentPath, ControllerId, Label, LockPath, OrderId, WorkflowId, WorkflowPath};
use crate::model::event::Event;
use crate::model::instruction::LockDemand;
use crate::model::item::Item;
use crate::model::key::ItemKey;
use crate::model::order::Order;
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
use core::ops::Bound;
use items::Items;
use lock::{LockDecision, Locks};
use order_counts::OrderCounts;
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
    order_counts: OrderCounts,
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
            order_counts: OrderCounts::default(),
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

    /// The ids of the orders after this one, or of all, by id.
    pub fn order_ids_after<'s>(&'s self, after: Option<&OrderId>) -> impl Iterator<Item = &'s OrderId> + use<'s> {
        self.orders
            .range((after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.clone())), Bound::Unbounded))
            .map(|(id, _)| id)
    }

    /// Number of orders.
    #[must_use]
    pub fn order_count(&self) -> usize {
        self.orders.len()
    }

    /// How many orders there are in each state.
    #[must_use]
    pub fn order_counts(&self) -> &OrderCounts {
        &self.order_counts
    }

    /// The orders of a workflow version.
    pub fn orders_of<'s>(&'s self, id: &WorkflowId) -> impl Iterator<Item = &'s OrderId> + use<'s> {
        self.orders_by_flow.get(id).into_iter().flatten()
    }

    /// The orders of a workflow version after this one, or all, by id.
    pub fn orders_of_after<'s>(
        &'s self,
        id: &WorkflowId,
        after: Option<&OrderId>,
    ) -> impl Iterator<Item = &'s OrderId> + use<'s> {
        let range = (after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.clone())), Bound::Unbounded);
        self.orders_by_flow.get(id).into_iter().flat_map(move |orders| orders.range(range.clone()))
    }

    /// How many orders a workflow version has.
    #[must_use]
    pub fn order_count_of(&self, id: &WorkflowId) -> usize {
        self.orders_by_flow.get(id).map_or(0, BTreeSet::len)
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

    /// The locks which this event makes free for others: those it releases, and those that its order no longer awaits, since
    /// others have queued behind it. To be asked before it is applied.
    #[must_use]
    pub fn locks_left_by(&self, event: &Event) -> Vec<LockPath> {
        match event {
            Event::Order(_, OrderEvent::OrderLocksReleased { lock_paths }) => lock_paths.clone(),
            Event::Order(id, OrderEvent::OrderStateReset) => self.locks.awaited_by(id).cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// The orders which can take these locks. To be asked after what has made them free; the others in the queues are not
    /// looked at.
    #[must_use]
    pub fn granted(&self, lock_paths: &[LockPath]) -> Vec<OrderId> {
        if lock_paths.is_empty() {
            return Vec::new();
        }
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
