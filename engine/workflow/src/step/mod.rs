//! What orders do by themselves: from the state to the events that follow from it.
//!
//! [`next_events`] decides and applies: each step of an order looks at the state and at the time, yields events, and these
//! are folded into the state at once, until nothing is left to do. It runs once, on the active node; replay and the standby
//! fold the recorded events only. A step which meets a problem is discarded as a whole, and the order fails.
//!
//! The same code runs at the controller and at an agent's director: each makes steps for the orders it has, and hands an
//! order over (`OrderAttachable`, `OrderDetachable`) when the next thing is for the other.

pub(crate) mod evaluation;
mod failure;
mod fork;
mod go;
mod instructions;
mod leaving;
mod mark;
mod movement;
pub(crate) mod notices;
mod order_step;
mod waiting;

pub use mark::{Cancellation, Resumption, Suspension};
pub use order_step::OrderStep;

use crate::id::OrderId;
use crate::model::event::Event;
use crate::model::order_event::OrderEvent;
use crate::problem::Problem;
use crate::schedule::TimeZone;
use crate::state::{Side, State};
use crate::time::Timestamp;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// Most steps of one order which one call decides; more can only come from a workflow that runs in circles without waiting.
pub const MAX_STEPS: u32 = 100_000;

/// What a step depends on besides the state.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Now. The same within one decision.
    pub now: Timestamp,
    /// The environment of the node, for `env()`.
    pub env: &'a BTreeMap<String, String>,
    /// The zone of the node, in which `now()` is formatted when no other is given.
    pub zone: &'a TimeZone,
}

/// When it is an order's turn: by its priority, without one at once; and by the number of its arrival.
type Turn = (Option<Reverse<crate::decimal::Decimal>>, u64);

/// Orders waiting for their next step: those whose step belongs to the one just made, then the highest priority, then the
/// earliest.
#[derive(Default)]
struct Queue {
    waiting: BTreeMap<Turn, OrderId>,
    known: BTreeMap<OrderId, Turn>,
    count: u64,
    /// How often it has been an order's turn.
    steps: BTreeMap<OrderId, u32>,
}

impl Queue {
    fn push(&mut self, state: &State, id: &OrderId) {
        if let Some(order) = state.order(id) {
            self.insert(Some(Reverse(order.priority.clone())), id);
        }
    }

    fn push_at_once(&mut self, id: &OrderId) {
        self.insert(None, id);
    }

    fn insert(&mut self, priority: Option<Reverse<crate::decimal::Decimal>>, id: &OrderId) {
        if !self.known.contains_key(id) {
            self.count += 1;
            let turn = (priority, self.count);
            self.known.insert(id.clone(), turn.clone());
            self.waiting.insert(turn, id.clone());
        }
    }

    fn remove(&mut self, id: &OrderId) {
        if let Some(turn) = self.known.remove(id) {
            self.waiting.remove(&turn);
        }
    }

    /// The next order, and how often it has been its turn.
    fn pop(&mut self) -> Option<(OrderId, u32)> {
        let (_, id) = self.waiting.pop_first()?;
        self.known.remove(&id);
        let steps = self.steps.entry(id.clone()).or_default();
        *steps += 1;
        let steps = *steps;
        Some((id, steps))
    }
}

/// Makes all steps which these orders, and those they wake, can make now. The events are applied to the state and
/// appended to `events`.
pub fn next_events(
    state: &mut State,
    around: Surroundings<'_>,
    orders: impl IntoIterator<Item = OrderId>,
    events: &mut Vec<Event>,
) {
    carry_out(state, around, Vec::new(), orders, events);
}

/// Applies what has been decided, and makes all steps which follow from it. The events are appended to `events`.
pub fn carry_out(
    state: &mut State,
    around: Surroundings<'_>,
    decided: Vec<Event>,
    orders: impl IntoIterator<Item = OrderId>,
    events: &mut Vec<Event>,
) {
    let mut queue = Queue::default();
    for event in decided {
        take(state, around, event, &mut queue, events);
    }
    for id in orders {
        queue.push(state, &id);
    }
    while let Some((id, steps)) = queue.pop() {
        let Some(step) = OrderStep::of(state, around, &id) else { continue };
        let decided = if steps > MAX_STEPS {
            step.broken(Problem::new("The workflow runs in circles without waiting"))
        } else {
            step.next()
        };
        for event in decided {
            take(state, around, event, &mut queue, events);
        }
    }
}

/// Applies an event with what follows from it at once, and queues the orders which it may let go on.
fn take(state: &mut State, around: Surroundings<'_>, event: Event, queue: &mut Queue, events: &mut Vec<Event>) {
    // These must be asked before the event removes what they are about.
    let woken = state.woken_by(&event);
    let left = state.left_by(&event);
    let file = crate::command::file_of(state, &event).filter(|_| matches!(state.side(), Side::Controller(_)));
    state.take(event, events);
    let granted = events.last().map(|event| state.granted_by(event)).unwrap_or_default();
    if let Some(Event::Order(id, event)) = events.last() {
        if continues(event) {
            queue.push(state, id);
        }
        match event {
            OrderEvent::OrderForked { children } => {
                // The children come first.
                queue.remove(id);
                for child in children {
                    queue.push(state, &child.order_id);
                }
                queue.push(state, id);
            }
            OrderEvent::OrderOrderAdded { order_id, .. } => queue.push(state, order_id),
            _ => {}
        }
    }
    let is_notice = matches!(events.last(), Some(Event::Order(_, OrderEvent::OrderNoticePosted { .. })));
    for id in woken.iter().chain(&granted) {
        // What a notice lets orders do belongs to the step which posts it.
        if is_notice { queue.push_at_once(id) } else { queue.push(state, id) }
    }
    if let Some((plan_id, workflow_id)) = left {
        for event in state.plans().decide_after_order_deleted(&plan_id, state.notices(), around.now) {
            state.take(event, events);
        }
        for event in crate::command::delete_outdated(state, &workflow_id) {
            state.take(event, events);
        }
    }
    if let Some((path, name)) = file {
        for event in crate::command::file_events(state, around, &path, &name) {
            take(state, around, event, queue, events);
        }
    }
}

/// Whether the order may have something to do after this event.
fn continues(event: &OrderEvent) -> bool {
    !matches!(
        event,
        OrderEvent::OrderAttachable { .. }
            | OrderEvent::OrderDetachable
            | OrderEvent::OrderCancellationMarked { .. }
            | OrderEvent::OrderCancellationMarkedOnAgent
            | OrderEvent::OrderSuspensionMarked { .. }
            | OrderEvent::OrderSuspensionMarkedOnAgent
            | OrderEvent::OrderResumptionMarked { .. }
            | OrderEvent::OrderGoMarked { .. }
            | OrderEvent::OrderDeletionMarked
            | OrderEvent::OrderDeleted
            | OrderEvent::OrderLocksQueued { .. }
            | OrderEvent::OrderNoticeAnnounced { .. }
            | OrderEvent::OrderNoticePosted { .. }
            | OrderEvent::OrderNoticesExpected { .. }
            | OrderEvent::OrderProcessingStarted { .. }
            | OrderEvent::OrderPrompted { .. }
            | OrderEvent::OrderSaid { .. }
            | OrderEvent::OrderSleeping { .. }
            | OrderEvent::OrderStdoutWritten { .. }
            | OrderEvent::OrderStderrWritten { .. }
            | OrderEvent::OrderSuspended
            | OrderEvent::OrderWaitingForAdmission { .. }
            | OrderEvent::OrderTransferred { .. }
    )
}

#[cfg(test)]
mod tests;
