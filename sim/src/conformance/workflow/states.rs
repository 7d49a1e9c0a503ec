//! Compares what a world knows now with the forms of `expect` steps.

use super::events::{Events, of_all};
use super::world::{LockView, NoticeView, OrderView, PlanView, World};
use crate::conformance::form_of;
use crate::conformance::input::{elements, member, members, need, read, read_optional};
use crate::conformance::known_members;
use crate::conformance::matching::{Compared, Matcher, is_empty, is_matcher};
use crate::conformance::verdict::{Difference, Fault, Verdict, equal};
use baton_workflow::id::{BoardPath, OrderId};
use baton_workflow::json::{Json as _, Node, NodeKind, print};
use baton_workflow::model::order::AttachedState;
use baton_workflow::model::outcome::Outcome;
use baton_workflow::value::Value;

/// Members which are sets.
const SETS: &[&str] = &["obstacles", "expecting", "orderIds", "notices"];

/// Asserts the state now.
pub(super) fn expect(world: &dyn World, events: Events<'_>, expected: &Node) -> Verdict {
    let matcher = events.matcher;
    match form_of(expected, &["order", "lock", "notices", "plans", "processCount", "journal"])? {
        "order" => order(matcher, world, expected),
        "lock" => {
            known_members(expected, &["lock", "acquired", "queue"])?;
            match world.lock(&read(expected, "lock")?) {
                Some(view) => Ok(listed(matcher, expected, &["lock"], &lock(&view))?),
                None => Err(Difference::new("this lock", "no such lock").within("lock").into()),
            }
        }
        "notices" => {
            known_members(expected, &["notices", "boards"])?;
            let boards: Option<Vec<BoardPath>> = read_optional(expected, "boards")?;
            let is_asked = |view: &NoticeView| boards.as_ref().is_none_or(|b| b.contains(&view.notice_id.board_path));
            let found: Vec<Value> = world.notices().iter().filter(|view| is_asked(view)).map(notice).collect();
            Ok(set(matcher, need(expected, "notices")?, &found).map_err(|d| d.within("notices"))?)
        }
        "plans" => {
            known_members(expected, &["plans"])?;
            let found: Vec<Value> = world.plans().iter().map(plan).collect();
            Ok(set(matcher, need(expected, "plans")?, &found).map_err(|d| d.within("plans"))?)
        }
        "processCount" => {
            known_members(expected, &["processCount"])?;
            let counts = world.process_counts();
            let running = counts.iter().filter(|(_, count)| **count > 0);
            let found = Value::object(running.map(|(id, count)| (id.as_str(), i64::from(*count).into())));
            Ok(matcher.value(need(expected, "processCount")?, &found).map_err(|d| d.within("processCount"))?)
        }
        _ => {
            known_members(expected, &["journal"])?;
            events.compare(need(expected, "journal")?, &of_all(&world.journal())).map_err(|fault| match fault {
                Fault::Differs(difference) => Fault::Differs(difference.within("journal")),
                other => other,
            })
        }
    }
}

fn order(matcher: Matcher, world: &dyn World, expected: &Node) -> Verdict {
    const MEMBERS: &[&str] = &[
        "order",
        "exists",
        "state",
        "position",
        "attached",
        "started",
        "suspended",
        "failed",
        "mark",
        "arguments",
        "namedValues",
        "historicOutcomes",
        "lastOutcome",
        "obstacles",
        "planId",
        "priority",
        "workflowId",
        "stickySubagents",
    ];
    known_members(expected, MEMBERS)?;
    let order_id: OrderId = read(expected, "order")?;
    let view = world.order(&order_id);
    let asks_more = members(expected).iter().any(|(name, _, _)| !["order", "exists"].contains(&&**name));
    if let Some(exists) = read_optional(expected, "exists")? {
        equal("exists", &exists, &view.is_some())?;
    }
    let Some(view) = view else {
        return if asks_more {
            Err(Difference::new("this order", "no such order").within("order").into())
        } else {
            Ok(())
        };
    };
    if let Some(state) = expected.get("state") {
        let found = view.order.state.write();
        let compared = match state.as_str() {
            Some(_) => matcher.maybe(state, found.get("TYPE")),
            None => matcher.value(state, &found),
        };
        compared.map_err(|difference| difference.within("state"))?;
    }
    if let Some(attached) = expected.get("attached") {
        attachment(matcher, attached, view.order.attached_state.as_ref())?;
    }
    Ok(listed(matcher, expected, &["order", "exists", "state", "attached"], &order_value(&view))?)
}

fn attachment(matcher: Matcher, expected: &Node, found: Option<&AttachedState>) -> Verdict {
    let agent = match found {
        Some(AttachedState::Attached { agent_path }) => Some(agent_path),
        _ => None,
    };
    match expected.kind {
        NodeKind::Boolean(is_attached) => equal("attached", &is_attached, &agent.is_some()),
        _ => Ok(matcher.maybe(expected, agent.map(|a| a.write()).as_ref()).map_err(|d| d.within("attached"))?),
    }
}

/// Compares the listed members, except some.
fn listed(matcher: Matcher, expected: &Node, except: &[&str], found: &Value) -> Compared {
    for (name, _, expected) in members(expected).iter().filter(|(name, _, _)| !except.contains(&&**name)) {
        let found = found.get(name).unwrap_or(&Value::Missing);
        let compared = if SETS.contains(&&**name) {
            set(matcher, expected, list_of(found))
        } else {
            matcher.value(expected, found)
        };
        compared.map_err(|difference| difference.within(name))?;
    }
    Ok(())
}

/// Compares all members.
fn whole(matcher: Matcher, expected: &Node, found: &Value) -> Compared {
    listed(matcher, expected, &[], found)?;
    let Value::Object(fields) = found else { return Ok(()) };
    match fields.iter().find(|(name, value)| member(expected, name).is_none() && !is_empty(value)) {
        None => Ok(()),
        Some((name, value)) => Err(Difference::new("(absent)", print(value)).within(name)),
    }
}

fn list_of(value: &Value) -> &[Value] {
    match value {
        Value::List(values) => values,
        _ => &[],
    }
}

fn set(matcher: Matcher, expected: &Node, found: &[Value]) -> Compared {
    matcher.set_by(elements(expected), found, |expected, found| match found {
        Value::Object(_) if !is_matcher(expected) => whole(matcher, expected, found),
        _ => matcher.value(expected, found),
    })
}

fn order_value(view: &OrderView) -> Value {
    let order = &view.order;
    let last_outcome = order.last_outcome().cloned().unwrap_or_else(Outcome::succeeded);
    Value::object([
        ("position", order.workflow_position.position.write()),
        ("workflowId", order.workflow_position.workflow_id.write()),
        ("started", order.is_started().write()),
        ("suspended", order.is_suspended.write()),
        ("failed", (order.has_failed() || order.state.is_failed()).write()),
        ("mark", order.mark.write()),
        ("arguments", order.arguments.write()),
        ("namedValues", view.named_values.write()),
        ("historicOutcomes", order.historic_outcomes.write()),
        ("lastOutcome", last_outcome.write()),
        ("obstacles", view.obstacles.write()),
        ("planId", order.plan_id.write()),
        ("priority", order.priority.write()),
        ("stickySubagents", order.sticky_subagents.write()),
    ])
}

fn lock(view: &LockView) -> Value {
    Value::object([("acquired", view.acquired.clone()), ("queue", view.queue.write())])
}

fn notice(view: &NoticeView) -> Value {
    let consumption_count = (view.consumption_count > 0).then_some(view.consumption_count);
    Value::object([
        ("noticeId", view.notice_id.write()),
        ("posted", view.is_posted.write()),
        ("endOfLife", view.end_of_life.write()),
        ("announced", view.is_announced.write()),
        ("expecting", view.expecting.write()),
        ("inConsumption", view.is_in_consumption.write()),
        ("consumptionCount", consumption_count.write()),
    ])
}

fn plan(view: &PlanView) -> Value {
    Value::object([
        ("planId", view.plan_id.write()),
        ("status", view.status.write()),
        ("orderIds", view.order_ids.write()),
        ("notices", Value::list(view.notices.iter().map(notice))),
    ])
}
