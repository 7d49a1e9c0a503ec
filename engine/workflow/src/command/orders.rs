//! Commands on orders that exist.

use super::{Decision, shown};
use crate::decimal::Decimal;
use crate::expression::Expression;
use crate::expression::function::ExprFunction;
use crate::expression::scope::{EmptyScope, unknown_key};
use crate::id::OrderId;
use crate::model::command::OrderIds;
use crate::model::event::Event;
use crate::model::order::{CancellationMode, Order, OrderState, SuspensionMode};
use crate::model::order_event::OrderEvent;
use crate::position::Position;
use crate::problem::{Checked, Problem};
use crate::state::State;
use crate::step::{OrderStep, Resumption, Surroundings};
use crate::value::Value;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

pub(super) fn unknown_order(id: &OrderId) -> Problem {
    unknown_key("OrderId", &format!("Order:{id}"))
}

fn order<'s>(state: &'s State, id: &OrderId) -> Checked<&'s Order> {
    state.order(id).ok_or_else(|| unknown_order(id))
}

/// Decides for each of the orders; refuses all when one is refused.
fn for_each(
    state: &State,
    around: Surroundings<'_>,
    ids: &[OrderId],
    mut decide: impl FnMut(OrderStep<'_>) -> Checked<Vec<Event>>,
) -> Checked<Decision> {
    let unique: BTreeSet<&OrderId> = ids.iter().collect();
    if unique.len() < ids.len() {
        crate::model::check::unique("Order", ids.iter())?;
    }
    let mut events = Vec::new();
    let mut problems = Vec::new();
    for id in ids {
        let decided = OrderStep::of(state, around, id).ok_or_else(|| unknown_order(id)).and_then(&mut decide);
        match decided {
            Ok(decided) => events.extend(decided),
            Err(problem) => problems.push(problem),
        }
    }
    match Problem::combine(problems) {
        Some(problem) => Err(problem),
        None => {
            let mut decision = Decision::of(events);
            decision.orders.extend(ids.iter().cloned());
            Ok(decision)
        }
    }
}

pub(super) fn cancel(
    state: &State,
    around: Surroundings<'_>,
    ids: &OrderIds,
    mode: &CancellationMode,
) -> Checked<Decision> {
    match ids {
        OrderIds::These(ids) => for_each(state, around, ids, |step| step.cancel(mode)),
        OrderIds::Where(predicate) => {
            let ids = matching(state, predicate)?;
            for_each(state, around, &ids, |step| step.cancel(mode))
        }
    }
}

/// The orders for which a predicate is true.
fn matching(state: &State, predicate: &str) -> Checked<Vec<OrderId>> {
    let predicate = Predicate::parse(predicate)?;
    let mut ids = Vec::new();
    for order in state.orders() {
        if predicate.is_true_for(order)? {
            ids.push(order.id.clone());
        }
    }
    Ok(ids)
}

/// A function of the order id, or a constant.
#[derive(Clone, Debug)]
pub(super) enum Predicate {
    Function(ExprFunction),
    Constant(Expression),
}

impl Predicate {
    pub(super) fn parse(text: &str) -> Checked<Self> {
        match ExprFunction::parse(text) {
            Ok(function) => Ok(Self::Function(function)),
            Err(_) => Expression::parse(text).map(Self::Constant),
        }
    }

    /// Whether it is true for an order that has not terminated.
    pub(super) fn is_true_for(&self, order: &Order) -> Checked<bool> {
        if order.is_terminated() {
            return Ok(false);
        }
        let value = match self {
            Self::Function(function) => function.apply(&[Value::String(order.id.to_arc())], &EmptyScope)?,
            Self::Constant(expression) => expression.eval(&EmptyScope)?,
        };
        match value {
            Value::Boolean(is_true) => Ok(is_true),
            other => {
                Err(Problem::new(format!("orderIds: the expression must be true or false, not {}", shown(&other))))
            }
        }
    }
}

pub(super) fn suspend(
    state: &State,
    around: Surroundings<'_>,
    ids: &[OrderId],
    mode: &SuspensionMode,
) -> Checked<Decision> {
    for_each(state, around, ids, |step| step.suspend(mode))
}

pub(super) fn resume(
    state: &State,
    around: Surroundings<'_>,
    ids: &[OrderId],
    resumption: &Resumption,
) -> Checked<Decision> {
    for_each(state, around, ids, |step| step.resume(resumption))
}

pub(super) fn go(state: &State, around: Surroundings<'_>, id: &OrderId, position: &Position) -> Checked<Decision> {
    for_each(state, around, core::slice::from_ref(id), |step| step.go(position))
}

pub(super) fn answer_prompt(state: &State, id: &OrderId) -> Checked<Decision> {
    let order = order(state, id)?;
    if !matches!(order.state, OrderState::Prompting { .. }) {
        return Err(Problem::new(format!("Order:{id} is not prompting, but in state {}", order.state.type_name())));
    }
    let to = order.workflow_position.position.next();
    let events = [OrderEvent::OrderPromptAnswered, OrderEvent::OrderMoved { to, reason: None }];
    Ok(Decision::of(events.into_iter().map(|event| Event::Order(id.clone(), event)).collect()))
}

pub(super) fn delete_when_terminated(state: &State, ids: &[OrderId]) -> Checked<Decision> {
    crate::model::check::unique("Order", ids.iter())?;
    let mut decision = Decision::default();
    let mut problems = Vec::new();
    for id in ids {
        match deletion(state, id) {
            Ok(events) => {
                decision.events.extend(events);
                decision.orders.push(id.clone());
            }
            Err(problem) => problems.push(problem),
        }
    }
    Problem::combine(problems).map_or(Ok(decision), Err)
}

pub(super) fn deletion(state: &State, id: &OrderId) -> Checked<Vec<Event>> {
    let order = order(state, id)?;
    if order.parent.is_some() {
        return Err(Problem::coded(
            "CannotDeleteChildOrder",
            [("orderId", id.to_string())],
            format!("Order:{id} is a child order and cannot be deleted"),
        ));
    }
    if order.external_order.as_ref().is_some_and(|external| !external.vanished) {
        return Err(Problem::coded(
            "CannotDeleteWatchingOrder",
            [("orderId", id.to_string())],
            format!("Order:{id} cannot be deleted because its file has not vanished"),
        ));
    }
    if order.is_terminated() {
        return Ok(Vec::from([Event::Order(id.clone(), OrderEvent::OrderDeleted)]));
    }
    if order.delete_when_terminated {
        return Ok(Vec::new());
    }
    Ok(Vec::from([Event::Order(id.clone(), OrderEvent::OrderDeletionMarked)]))
}

pub(super) fn change(state: &State, id: &OrderId, priority: Option<&Decimal>) -> Checked<Decision> {
    let order = order(state, id)?;
    let Some(priority) = priority.filter(|priority| **priority != order.priority) else {
        return Ok(Decision::default());
    };
    if order.is_terminated() {
        return Err(unknown_key("Order", &format!("Order:{id} has terminated")));
    }
    let event = OrderEvent::OrderPriorityChanged { priority: priority.clone() };
    Ok(Decision::of(Vec::from([Event::Order(id.clone(), event)])))
}
