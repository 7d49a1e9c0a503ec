//! Moving the orders of an old workflow version to the current one.

use super::Decision;
use crate::expression::scope::unknown_key;
use crate::flow::{Flow, Transfer};
use crate::id::{OrderId, WorkflowId};
use crate::model::event::Event;
use crate::model::order_event::OrderEvent;
use crate::position::WorkflowPosition;
use crate::problem::{Checked, Problem};
use crate::state::State;
use alloc::format;
use alloc::vec::Vec;

pub(super) fn transfer(state: &State, workflow_id: &WorkflowId) -> Checked<Decision> {
    let (old, new) = versions(state, workflow_id)?;
    let mut events = Vec::new();
    let mut problems = Vec::new();
    for id in state.orders_of(workflow_id) {
        match transfer_one(state, old, new, id) {
            Ok(transferred) => events.extend(transferred),
            Err(problem) => problems.push(problem),
        }
    }
    match Problem::combine(problems) {
        Some(problem) => Err(problem),
        None => {
            let mut decision = Decision::of(events);
            // The last order of an old version takes the version with it.
            decision.orders.dedup();
            Ok(decision)
        }
    }
}

/// The old and the current version.
pub(super) fn versions<'s>(state: &'s State, workflow_id: &WorkflowId) -> Checked<(&'s Flow, &'s Flow)> {
    let Some(old) = state.items().flow(workflow_id) else {
        return Err(unknown_key("WorkflowId", &format!("Workflow:{workflow_id}")));
    };
    let Some(new) = state.items().current_flow(&workflow_id.path) else {
        return Err(unknown_key("WorkflowPath", &format!("Workflow:{}", workflow_id.path)));
    };
    if new.id() == workflow_id {
        return Err(Problem::new(format!("Workflow:{workflow_id} is already the current version")));
    }
    Ok((old, new))
}

pub(super) fn transfer_one(state: &State, old: &Flow, new: &Flow, id: &OrderId) -> Checked<Vec<Event>> {
    let Some(order) = state.order(id) else { return Ok(Vec::new()) };
    let transfer = old.check_transfer(new, order)?;
    let mut events = Vec::new();
    if transfer == Transfer::AfterReset {
        events.push(Event::Order(id.clone(), OrderEvent::OrderStateReset));
    }
    let workflow_position =
        WorkflowPosition { workflow_id: new.id().clone(), position: order.workflow_position.position.clone() };
    events.push(Event::Order(id.clone(), OrderEvent::OrderTransferred { workflow_position }));
    Ok(events)
}
