//! Adding orders: by command, and from files.

use super::Decision;
use crate::flow::Flow;
use crate::id::OrderId;
use crate::model::event::Event;
use crate::model::order::{ExternalOrderKey, FreshOrder};
use crate::model::order_event::OrderEvent;
use crate::position::{BranchPath, Position, PositionOrLabel};
use crate::preparation::prepare_arguments;
use crate::problem::{Checked, Problem};
use crate::scope::FreshOrderScope;
use crate::state::State;
use crate::step::Surroundings;
use crate::step::evaluation::job_resource;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

/// The events which add an order.
///
/// # Errors
/// The workflow does not exist, arguments do not fit its parameters, positions are not reachable, the plan takes no orders.
pub fn add_order(state: &State, around: Surroundings<'_>, order: &FreshOrder) -> Checked<Vec<Event>> {
    add(state, around, order, None)
}

/// The events which add an order made from a file.
///
/// # Errors
/// As [`add_order`].
pub fn add_external_order(
    state: &State,
    around: Surroundings<'_>,
    order: &FreshOrder,
    external: ExternalOrderKey,
) -> Checked<Vec<Event>> {
    add(state, around, order, Some(external))
}

/// Adds orders; those which exist already are left out.
pub(super) fn add_orders(state: &State, around: Surroundings<'_>, orders: &[FreshOrder]) -> Checked<Decision> {
    let mut events = Vec::new();
    let mut problems = Vec::new();
    let mut ids = BTreeSet::new();
    for order in orders {
        if state.order(&order.id.0).is_some() || !ids.insert(&order.id) {
            continue;
        }
        match add_order(state, around, order) {
            Ok(added) => events.extend(added),
            Err(problem) => problems.push(problem),
        }
    }
    Problem::combine(problems).map_or_else(|| Ok(Decision::of(events)), Err)
}

fn add(
    state: &State,
    around: Surroundings<'_>,
    order: &FreshOrder,
    external_order_key: Option<ExternalOrderKey>,
) -> Checked<Vec<Event>> {
    let flow = state.current_flow(&order.workflow_path)?;
    state.check_plan_for_command(&order.plan_id)?;
    let start_position =
        check_places(flow, &order.id.0, &order.inner_block, order.start_position.as_ref(), &order.stop_positions)?;
    let find = |path: &str| job_resource(state, path);
    let scope = FreshOrderScope::new(
        &order.id.0,
        &order.workflow_path,
        order.scheduled_for,
        around.host(state),
        around.now,
        &find,
    );
    let arguments = prepare_arguments(flow.workflow().order_preparation.as_ref(), &order.arguments, &scope)?;
    let added = OrderEvent::OrderAdded {
        workflow_id: flow.id().clone(),
        arguments,
        plan_id: order.plan_id.clone(),
        scheduled_for: order.scheduled_for,
        external_order_key,
        priority: order.priority.clone(),
        delete_when_terminated: order.delete_when_terminated,
        force_admission: order.force_admission,
        inner_block: order.inner_block.clone(),
        start_position,
        stop_positions: order.stop_positions.clone(),
    };
    let id = &order.id.0;
    let mut events = Vec::from([Event::Order(id.clone(), added)]);
    events.extend(state.announcements(id, flow, &order.plan_id, &order.inner_block));
    Ok(events)
}

/// Checks where an order is to live, to start and to stop. The position where it starts, if that is said.
pub(crate) fn check_places(
    flow: &Flow,
    id: &OrderId,
    inner_block: &BranchPath,
    start: Option<&PositionOrLabel>,
    stops: &[PositionOrLabel],
) -> Checked<Option<Position>> {
    flow.check_block(inner_block)?;
    for stop in stops {
        reachable(flow, inner_block, stop, id, false)?;
    }
    start.map(|start| reachable(flow, inner_block, start, id, true)).transpose()
}

/// A start or stop position, which must be in the inner block and reachable from its start.
fn reachable(
    flow: &Flow,
    inner_block: &BranchPath,
    place: &PositionOrLabel,
    id: &OrderId,
    is_start: bool,
) -> Checked<Position> {
    let position = flow.resolve(place)?;
    if is_start && !position.block.normalized().starts_with(&inner_block.normalized()) {
        return Err(Problem::new(format!("Position {position} is not in the block {inner_block} of Order:{id}")));
    }
    let first = inner_block.position(0);
    if !flow.is_moveable(&first, &position) {
        return Err(Problem::coded(
            "UnreachableOrderPosition",
            [("orderId", id.to_string()), ("position", position.to_string())],
            format!("Order:{id}: position {position} is not reachable from {first}"),
        ));
    }
    Ok(position)
}
