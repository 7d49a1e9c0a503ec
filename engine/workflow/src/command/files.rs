//! Orders from files. At the controller: what follows when a file appears or vanishes. At an agent: what is to be reported.

use super::add_external_order;
use crate::id::{ExternalOrderName, GivenOrderId, OrderId, OrderWatchPath};
use crate::model::event::Event;
use crate::model::order::{ExternalOrderKey, FreshOrder};
use crate::model::order_event::OrderEvent;
use crate::model::watch::{FileWatch, OrderWatchEvent};
use crate::position::BranchPath;
use crate::problem::{Checked, Problem};
use crate::scope::{file_order, file_pattern};
use crate::state::State;
use crate::state::order_watch::FileStep;
use crate::step::Surroundings;
use crate::value::Fields;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What is to be done about a file now, at the controller: an order is added, or told that the file has vanished.
#[must_use]
pub fn file_events(
    state: &State,
    around: Surroundings<'_>,
    path: &OrderWatchPath,
    name: &ExternalOrderName,
) -> Vec<Event> {
    match state.watches().next(path, name) {
        None => Vec::new(),
        Some(FileStep::TellVanished { order_id }) => {
            let is_told =
                state.order(&order_id).and_then(|order| order.external_order.as_ref()).is_none_or(|e| e.vanished);
            if is_told { Vec::new() } else { Vec::from([Event::Order(order_id, OrderEvent::OrderExternalVanished)]) }
        }
        Some(FileStep::AddOrder { arguments, order_id }) => {
            let Some(watch) = state.items().file_watch(path) else {
                return Vec::new();
            };
            match order_of_file(state, around, watch, name, arguments, order_id) {
                Ok(events) => events,
                Err(problem) => Vec::from([Event::OrderWatch(
                    path.clone(),
                    OrderWatchEvent::ExternalOrderRejected {
                        external_order_name: name.clone(),
                        problem: problem.recorded(),
                    },
                )]),
            }
        }
    }
}

/// The events which add the order; none while an order of the same file is still there.
fn order_of_file(
    state: &State,
    around: Surroundings<'_>,
    watch: &Arc<FileWatch>,
    name: &ExternalOrderName,
    arguments: Fields,
    order_id: Option<OrderId>,
) -> Checked<Vec<Event>> {
    let described = file_order(watch, &file_pattern(watch), name, around.host(state), around.now)?;
    let id = order_id.unwrap_or(described.order_id);
    let key = ExternalOrderKey { order_watch_path: watch.path.clone(), name: name.clone() };
    if let Some(existing) = state.order(&id) {
        if existing.external_order.as_ref().is_some_and(|external| external.key() == key) {
            return Ok(Vec::new());
        }
        return Err(Problem::new(format!("Order:{id} exists already, so no order can be added for the file '{name}'")));
    }
    let order = FreshOrder {
        id: GivenOrderId(id),
        workflow_path: watch.workflow_path.clone(),
        plan_id: described.plan_id,
        arguments,
        scheduled_for: None,
        priority: described.priority,
        delete_when_terminated: false,
        force_admission: false,
        inner_block: BranchPath::default(),
        start_position: None,
        stop_positions: Vec::new(),
    };
    add_external_order(state, around, &order, key)
}

/// The watch and name of the file which an event concerns, and which is to be looked at after it.
#[must_use]
pub fn file_of(state: &State, event: &Event) -> Option<(OrderWatchPath, ExternalOrderName)> {
    match event {
        Event::OrderWatch(
            path,
            OrderWatchEvent::ExternalOrderAppeared { external_order_name, .. }
            | OrderWatchEvent::ExternalOrderVanished { external_order_name },
        ) => Some((path.clone(), external_order_name.clone())),
        Event::Order(id, OrderEvent::OrderDeleted) => {
            let external = state.order(id)?.external_order.as_ref()?;
            Some((external.order_watch_path.clone(), external.name.clone()))
        }
        _ => None,
    }
}
