//! The kinds `plan-status` and `plan-schema`: which status a plan has and gets.

use super::basics::rejected;
use super::input::{flag, list, member, need, read, read_optional, time};
use super::matching::Matcher;
use super::verdict::{Cases, Difference, Fault, Verdict};
use super::{Kind, Vector, form_of};
use baton_workflow::id::{OrderId, PlanKey};
use baton_workflow::json::{Node, from_text};
use baton_workflow::model::event::Event;
use baton_workflow::model::notice::{BoardNoticeKey, NoticeEvent, PlannedNoticeKey};
use baton_workflow::model::plan::{PlanEvent, PlanId, PlanSchema, PlanSchemaEvent, PlanStatus};
use baton_workflow::problem::Checked;
use baton_workflow::state::board::Notices;
use baton_workflow::state::plan::Plans;
use baton_workflow::time::{Duration, Timestamp};
use baton_workflow::value::Value;
use std::sync::Arc;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "plan-status",
        members: &["planId", "time", "cases"],
        case: &[
            "status",
            "orders",
            "notices",
            "change",
            "addOrder",
            "allowClosedPlan",
            "lastOrderLeft",
            "retention",
            "events",
            "problem",
        ],
        check: plan_status,
    },
    Kind {
        name: "plan-schema",
        members: &["planSchema", "namedValues", "cases"],
        case: &["planKey", "open", "ok", "problem"],
        check: plan_schema,
    },
];

fn plan_status(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let plan_id: PlanId = read(vector.node, "planId")?;
    let now = time(vector.node, "time")?;
    vector.each_case(cases, |case| {
        let (plans, notices) = state(&plan_id, case)?;
        match form_of(case, &["change", "addOrder", "lastOrderLeft"])? {
            "change" => {
                let events = plans.decide_change(&plan_id, read(case, "change")?, &notices, now);
                answered(vector.matcher(), case, events)
            }
            "addOrder" => {
                let checked = plans.check_accepts_order(&plan_id, flag(case, "allowClosedPlan")?);
                answered(vector.matcher(), case, checked.map(|()| Vec::new()))
            }
            _ => {
                let events = plans.decide_after_order_deleted(&plan_id, &notices, now);
                answered(vector.matcher(), case, Ok(events))
            }
        }
    })
}

/// The plan of a case, with its orders and notices.
fn state(plan_id: &PlanId, case: &Node) -> Result<(Plans, Notices), Fault> {
    let PlanId::Of(schema_id, _) = plan_id else {
        return Err(Fault::malformed("planId must not be the global plan"));
    };
    let status: PlanStatus = read(case, "status")?;
    // A plan which nobody keeps in mind has the status that the function tells.
    let is_open = status == PlanStatus::Open;
    let schema = format!(r#"{{"id": "{schema_id}", "unknownPlanIsOpenFunction": "key => {is_open}"}}"#);
    let schema: PlanSchema = from_text(&schema).map_err(|problem| Fault::malformed(problem.message))?;
    let (mut plans, mut notices) = (Plans::default(), Notices::default());
    plans.put_schema(&Arc::new(schema), &notices);
    let changed = PlanSchemaEvent::PlanSchemaChanged {
        finished_plan_retention_period: read_optional::<Duration>(case, "retention")?,
        named_values: None,
    };
    plans.apply_schema(schema_id, &changed, &notices);
    for order_id in read_optional::<Vec<OrderId>>(case, "orders")?.unwrap_or_default() {
        plans.apply_order_added(plan_id, &order_id);
    }
    for key in read_optional::<Vec<BoardNoticeKey>>(case, "notices")?.unwrap_or_default() {
        let planned_notice_key = PlannedNoticeKey { plan_id: plan_id.clone(), notice_key: key.notice_key };
        notices.apply(&key.board_path, &NoticeEvent::NoticePosted { planned_notice_key, end_of_life: None });
    }
    plans.apply_notices_changed(plan_id, &notices);
    let event = match status {
        PlanStatus::Open => PlanEvent::PlanOpened,
        PlanStatus::Closed => PlanEvent::PlanClosed,
        PlanStatus::Finished { at } => PlanEvent::PlanFinished { at },
        PlanStatus::Deleted => PlanEvent::PlanDeleted,
    };
    plans.apply(plan_id, &event, &notices);
    Ok((plans, notices))
}

fn answered(matcher: Matcher, case: &Node, answer: Checked<Vec<Event>>) -> Verdict {
    let answer = answer.map(|events| events.iter().map(Event::to_json).collect::<Vec<Value>>());
    match form_of(case, &["events", "problem"])? {
        "problem" => rejected(matcher, need(case, "problem")?, answer.map(Value::list)),
        _ => {
            let events = answer.map_err(|problem| Difference::new("no problem", problem.message))?;
            Ok(matcher.events(list(case, "events")?, &events).map_err(|d| d.within("events"))?)
        }
    }
}

fn plan_schema(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let schema: PlanSchema = read(vector.node, "planSchema")?;
    let id = schema.id.clone();
    let (mut plans, notices) = (Plans::default(), Notices::default());
    plans.put_schema(&Arc::new(schema), &notices);
    let changed = PlanSchemaEvent::PlanSchemaChanged {
        finished_plan_retention_period: None,
        named_values: read_optional(vector.node, "namedValues")?,
    };
    plans.apply_schema(&id, &changed, &notices);
    vector.each_case(cases, |case| {
        let plan_id = PlanId::Of(id.clone(), read::<PlanKey>(case, "planKey")?);
        need(case, "open")?;
        let status = if flag(case, "open")? { PlanStatus::Open } else { PlanStatus::Closed };
        let events = plans.decide_change(&plan_id, status, &notices, Timestamp::EPOCH);
        match (member(case, "problem"), events) {
            (Some(expected), events) => {
                let events = events.map(|events| Value::list(events.iter().map(Event::to_json)));
                rejected(vector.matcher(), expected, events)
            }
            (None, Ok(_)) if flag(case, "ok")? => Ok(()),
            (None, Ok(_)) => Err(Fault::malformed("a case has exactly one of ok, problem")),
            (None, Err(problem)) => Err(Difference::new("no problem", problem.message).into()),
        }
    })
}
