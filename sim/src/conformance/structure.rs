//! The kinds `moveable`, `workflow-positions`, `references` and `retry-delays`: questions to the structure of a workflow.

use super::basics::rejected;
use super::input::{self, flag, list, members, need, read, text, value_of};
use super::matching::Matcher;
use super::verdict::{Cases, Difference, Fault, Verdict, equal};
use super::{Kind, Vector, form_of};
use baton_workflow::flow::{Flow, retry_delay};
use baton_workflow::id::Label;
use baton_workflow::json::{Json as _, Node};
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::workflow::Workflow;
use baton_workflow::position::Position;
use baton_workflow::time::Duration;
use baton_workflow::value::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "moveable",
        members: &["workflow", "cases"],
        case: &["from", "to", "moveable", "reachable"],
        check: moveable,
    },
    Kind {
        name: "workflow-positions",
        members: &["workflow", "cases"],
        case: &["position", "type", "problem"],
        check: positions,
    },
    Kind { name: "references", members: &["workflow", "cases"], case: &["referenced"], check: references },
    Kind {
        name: "retry-delays",
        members: &["cases"],
        case: &["retryDelays", "delays"],
        check: |vector, cases| vector.each_case(cases, retry_delays),
    },
];

fn flow(vector: &Vector<'_>) -> Result<Flow, Fault> {
    let workflow: Workflow = read(vector.node, "workflow")?;
    Ok(Flow::new(Arc::new(workflow)))
}

fn moveable(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let flow = flow(vector)?;
    vector.each_case(cases, |case| {
        let from: Position = read(case, "from")?;
        match form_of(case, &["to", "reachable"])? {
            "to" => {
                need(case, "moveable")?;
                equal("moveable", &flag(case, "moveable")?, &flow.is_moveable(&from, &read(case, "to")?))
            }
            _ => {
                let found = flow.reachable(&from).write();
                vector
                    .matcher()
                    .value(need(case, "reachable")?, &found)
                    .map_err(|difference| difference.within("reachable").into())
            }
        }
    })
}

fn positions(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let flow = flow(vector)?;
    vector.each_case(cases, |case| {
        let position: Position = read(case, "position")?;
        let found = flow.checked_instruction(&position).map(|instruction| instruction.type_name());
        match (form_of(case, &["type", "problem"])?, found) {
            ("type", Ok(found)) => equal("type", &text(case, "type")?, &found),
            ("type", Err(problem)) => Err(Difference::new(text(case, "type")?, problem.message).within("type").into()),
            (_, found) => rejected(vector.matcher(), need(case, "problem")?, found.map(Value::from)),
        }
    })
}

fn references(vector: &Vector<'_>, cases: &Cases) -> Verdict {
    let flow = flow(vector)?;
    vector.each_case(cases, |case| {
        let expected: BTreeSet<ItemKey> = list(case, "referenced")?.iter().map(value_of).collect::<Result<_, _>>()?;
        equal("referenced", &expected, &flow.referenced_items())
    })
}

fn retry_delays(case: &Node) -> Verdict {
    let delays: Vec<Duration> = input::read_optional(case, "retryDelays")?.unwrap_or_default();
    for (i, expected) in list(case, "delays")?.iter().enumerate() {
        let retry = u32::try_from(i + 1).unwrap_or(u32::MAX);
        equal(&format!("delays[{i}]"), &value_of::<Duration>(expected)?, &retry_delay(&delays, retry))?;
    }
    Ok(())
}

/// Compares the positions of labels; `null` means that there is no such label.
pub(super) fn labels(matcher: Matcher, workflow: &Node, labels: &Node) -> Verdict {
    let flow = Flow::new(Arc::new(value_of(workflow)?));
    for (label, _, expected) in members(labels) {
        let found = flow.position_of(&Label::new(label)).map(|position| position.write());
        matcher.maybe(expected, found.as_ref()).map_err(|d| d.within(label).within("labels"))?;
    }
    Ok(())
}
