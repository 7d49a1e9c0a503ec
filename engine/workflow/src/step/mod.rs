//! What orders do by themselves: from the state to the events that follow from it.
//!
//! [`next_events`] decides and applies: each step of an order looks at the state and at the time, yields events, and these
//! are folded into the state at once, until nothing is left to do. It runs once, on the active node; replay and the standby
//! fold the recorded events only. A step which meets a problem is discarded as a whole, and the order fails.
//!
//! The same code runs at the controller and at an agent's director: each makes steps for the orders it has, and hands an
//! order over (`OrderAttachable`, `OrderDetachable`) when the next thing is for the other.

mod agenda;
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

pub use agenda::Agenda;
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

/// Who is told what is decided, event by event.
pub trait Observer {
    /// An event has been applied: `state` is as after it, and before the next one.
    fn applied(&mut self, state: &State, event: Event);

    /// Whether these events, of one step or one command, are not too much for one decision. They are applied together.
    fn fits(&self, events: &[Event]) -> bool {
        let _ = events;
        true
    }

    /// Asked before it is an order's turn. If not, the others remain on the agenda for later.
    fn may_go_on(&mut self) -> bool {
        true
    }
}

impl Observer for Vec<Event> {
    fn applied(&mut self, _: &State, event: Event) {
        self.push(event);
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
    carry_out(state, around, &mut Agenda::default(), Vec::new(), orders, events);
}

/// Applies what has been decided, and makes the steps which follow from it, as far as the observer lets it. The orders
/// whose turn has not come remain on the agenda.
pub fn carry_out(
    state: &mut State,
    around: Surroundings<'_>,
    agenda: &mut Agenda,
    decided: Vec<Event>,
    orders: impl IntoIterator<Item = OrderId>,
    observer: &mut dyn Observer,
) {
    for event in decided {
        take(state, around, event, agenda, observer);
    }
    for id in orders {
        agenda.push(state, &id);
    }
    while !agenda.is_empty() && observer.may_go_on() {
        let Some((id, steps)) = agenda.pop(state) else { break };
        let Some(step) = OrderStep::of(state, around, &id) else { continue };
        let mut decided = if steps > MAX_STEPS {
            step.broken(Problem::new("The workflow runs in circles without waiting"))
        } else {
            step.next()
        };
        if !observer.fits(&decided) {
            let Some(step) = OrderStep::of(state, around, &id) else { continue };
            decided = step.broken(Problem::coded(
                "StepTooLarge",
                [],
                "What this instruction leads to is too long for the journal: too many child orders, or too long values",
            ));
        }
        for event in decided {
            take(state, around, event, agenda, observer);
        }
    }
}

/// Applies an event with what follows from it at once, and queues the orders which it may let go on.
fn take(state: &mut State, around: Surroundings<'_>, event: Event, agenda: &mut Agenda, observer: &mut dyn Observer) {
    // These must be asked before the event removes what they are about.
    let woken = state.woken_by(&event);
    let left = state.left_by(&event);
    let locks = state.locks_left_by(&event);
    let file = crate::command::file_of(state, &event).filter(|_| matches!(state.side(), Side::Controller(_)));
    state.take(&event);
    let granted = state.granted(&locks);
    if let Event::Order(id, event) = &event {
        if continues(event) {
            agenda.push(state, id);
        }
        match event {
            OrderEvent::OrderForked { children } => {
                // The children come first.
                agenda.remove(id);
                for child in children {
                    agenda.push(state, &child.order_id);
                }
                agenda.push(state, id);
            }
            OrderEvent::OrderOrderAdded { order_id, .. } => agenda.push(state, order_id),
            _ => {}
        }
    }
    let is_notice = matches!(event, Event::Order(_, OrderEvent::OrderNoticePosted { .. }));
    for id in woken.iter().chain(&granted) {
        // What a notice lets orders do belongs to the step which posts it.
        if is_notice { agenda.push_at_once(id) } else { agenda.push(state, id) }
    }
    observer.applied(state, event);
    if let Some((plan_id, workflow_id)) = left {
        for event in state.plans().decide_after_order_deleted(&plan_id, state.notices(), around.now) {
            take_quietly(state, event, observer);
        }
        for event in crate::command::delete_outdated(state, &workflow_id) {
            take_quietly(state, event, observer);
        }
    }
    if let Some((path, name)) = file {
        for event in crate::command::file_events(state, around, &path, &name) {
            take(state, around, event, agenda, observer);
        }
    }
}

/// Applies an event which lets no order go on.
pub(crate) fn take_quietly(state: &mut State, event: Event, observer: &mut dyn Observer) {
    state.take(&event);
    observer.applied(state, event);
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
