//! The runner notices when what a vector expects is altered: every alteration must make its case fail.

use super::folder;
use baton_sim::conformance::loader::{Loaded, load};
use baton_sim::conformance::{Settings, run};
use baton_workflow::decimal::Decimal;
use baton_workflow::json::{Node, NodeKind, parse};

/// Members of cases which say what is expected, whatever the kind.
const EXPECTED: &[&str] = &[
    "canonical",
    "catchCount",
    "change",
    "common",
    "copied",
    "crossesDayBoundary",
    "cycleState",
    "cycles",
    "delays",
    "due",
    "duration",
    "error",
    "events",
    "firstNexts",
    "forkBranch",
    "hasStart",
    "inFork",
    "labels",
    "moveable",
    "namedValues",
    "next",
    "nextMerged",
    "nextRetry",
    "orderId",
    "parent",
    "parents",
    "periods",
    "permitted",
    "planId",
    "priority",
    "problem",
    "reachable",
    "referenced",
    "result",
    "resultQueue",
    "root",
    "same",
    "skipped",
    "start",
    "text",
    "to",
    "tryCount",
    "type",
    "v1CompatibleNamedValues",
    "value",
    "values",
    "withDefaults",
];

/// Members which are expected in some kinds, and given in others.
const GIVEN: &[(&str, &str)] = &[
    ("arguments", "orderId"),
    ("calendar", "orderId"),
    ("cycle-schedule", "cycleState"),
    ("moveable", "to"),
    ("order-id", "orderId"),
    ("order-step", "orderId"),
    ("plan-status", "change"),
    ("range-set", "text"),
];

fn node(kind: NodeKind) -> Node {
    Node { kind, ..parse("null").unwrap() }
}

/// Something else than this.
fn altered(expected: &Node) -> Node {
    node(match &expected.kind {
        NodeKind::Null => NodeKind::Number(Decimal::integer(17)),
        NodeKind::Boolean(b) => NodeKind::Boolean(!b),
        NodeKind::Number(n) => NodeKind::Number(n.checked_add(&Decimal::ONE).unwrap()),
        NodeKind::String(text) if text.parse::<baton_workflow::time::Timestamp>().is_ok() => {
            NodeKind::String("1999-01-01T00:00:00Z".into())
        }
        NodeKind::String(text) => NodeKind::String(format!("{text}X").into()),
        NodeKind::List(nodes) => {
            let more = nodes.last().map_or_else(|| node(NodeKind::String("X".into())), altered);
            NodeKind::List(nodes.iter().cloned().chain([more]).collect())
        }
        NodeKind::Object(members) if members.is_empty() => return parse(r#"{"code": "Other"}"#).unwrap(),
        NodeKind::Object(members) => {
            let mut members = members.clone();
            let is_problem =
                members.iter().all(|(name, _, _)| ["code", "arguments", "message", "all"].contains(&&**name));
            if is_problem {
                return parse(r#"{"code": "Other"}"#).unwrap();
            }
            if let Some((_, _, last)) = members.last_mut() {
                *last = altered(last);
            }
            NodeKind::Object(members)
        }
    })
}

fn replaced(object: &Node, name: &str, value: Node) -> Node {
    let NodeKind::Object(members) = &object.kind else { panic!("{name} is no member") };
    let mut members = members.clone();
    for (n, _, old) in &mut members {
        if **n == *name {
            *old = value.clone();
        }
    }
    node(NodeKind::Object(members))
}

#[test]
fn every_alteration_is_noticed() {
    let mut mutants = Vec::new();
    for vector in load(folder()).unwrap() {
        let vector_node = vector.content.unwrap();
        let kind = vector_node.get("kind").and_then(Node::as_str).unwrap().to_owned();
        let Some(Node { kind: NodeKind::List(cases), .. }) = vector_node.get("cases") else { continue };
        for (i, case) in cases.iter().enumerate() {
            let NodeKind::Object(members) = &case.kind else { panic!("a case is an object") };
            for (name, _, expected) in members {
                let is_any = matches!(&**name, "error" | "problem") && expected.kind == NodeKind::Boolean(true);
                if is_any || !EXPECTED.contains(&&**name) || GIVEN.contains(&(&kind, name)) {
                    continue;
                }
                let case = replaced(case, name, altered(expected));
                let file = format!("{} cases[{i}].{name}", vector.file);
                let mutant = replaced(&vector_node, "cases", node(NodeKind::List(vec![case])));
                let mutant = replaced(&mutant, "name", node(NodeKind::String(file.as_str().into())));
                mutants.push(Loaded { file, content: Ok(mutant) });
            }
        }
    }
    assert!(mutants.len() > 1000, "only {} alterations", mutants.len());
    let report = run(&mutants, Settings::default());
    let unnoticed: Vec<&str> =
        report.outcomes().iter().filter(|outcome| outcome.passed()).map(|outcome| outcome.file.as_str()).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}
