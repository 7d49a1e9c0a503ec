//! What items of a set say about each other.

use super::document;
use crate::document::check_set;
use alloc::string::String;
use alloc::vec::Vec;

fn check(documents: &[(&str, &str)]) -> Vec<String> {
    let documents: Vec<_> = documents.iter().map(|(name, text)| document(name, text)).collect();
    for document in &documents {
        assert!(!document.has_errors(), "{:?}", document.findings);
    }
    let findings = check_set(&documents);
    findings.iter().map(|(i, f)| alloc::format!("{}: {}: {f}", documents[*i].name, f.severity)).collect()
}

#[test]
fn what_is_named_should_exist() {
    let workflow = r#"{"path": "W", "jobResourcePaths": ["R"], "instructions": [
 {"TYPE": "Lock", "demands": [{"lockPath": "L"}], "lockedWorkflow": {"instructions": []}},
 {"TYPE": "ExpectNotices", "boardPaths": "'B' && 'C'"},
 {"TYPE": "AddOrder", "workflowPath": "V", "orderId": "JobResource:S:x"}]}"#;
    let others = r#"[{"TYPE": "Lock", "path": "L"}, {"TYPE": "PlannableBoard", "path": "B"}]"#;
    assert_eq!(
        check(&[("w.json", workflow), ("o.json", others)]),
        [
            "w.json: info: line 1 column 36: jobResourcePaths[0]: JobResource 'R' is not among the given items",
            "w.json: info: line 3 column 42: instructions[1].boardPaths: Board 'C' is not among the given items",
            "w.json: info: line 4 column 55: instructions[2].orderId: JobResource 'S' is not among the given items",
            "w.json: warning: line 4 column 39: instructions[2].workflowPath: Workflow 'V' is not among the given items",
        ]
    );
}

#[test]
fn an_item_is_given_once() {
    let workflow = "path: W\ninstructions: []";
    assert_eq!(
        check(&[("a.yaml", workflow), ("b.yaml", workflow)]),
        ["b.yaml: error: line 1 column 1: Workflow:W is given twice, first in a.yaml at line 1 column 1"]
    );
}

#[test]
fn circles_are_found() {
    let adding =
        |to: &str| alloc::format!("instructions:\n- TYPE: AddOrder\n  workflowName: {to}\n  arguments: {{a: b}}\n");
    assert_eq!(
        check(&[("A.yaml", &adding("B")), ("B.yaml", &adding("C")), ("C.yaml", &adding("A"))]),
        ["C.yaml: warning: line 3 column 17: instructions[0].workflowName: workflows add orders to each other, maybe \
          without end: A → B → C → A"]
    );
    assert_eq!(
        check(&[
            ("R.yaml", "TYPE: JobResource\nvariables: {a: JobResource:S:b, self: $other, other: $self, ok: $a}"),
            ("S.yaml", "TYPE: JobResource\nvariables: {b: JobResource:R:a}\nenv: {c: JobResource:R:a}"),
        ]),
        [
            "R.yaml: error: line 1 column 1: variables: variables of JobResource 'R' need each other: other → self → other",
            "S.yaml: error: line 2 column 16: variables.b: JobResources need each other: R → S → R",
        ]
    );
    let parameters = "path: W\ninstructions: []\norderPreparation: {parameters: {a: {default: $b}, b: {default: $a}}}";
    assert_eq!(
        check(&[("W.yaml", parameters)]),
        ["W.yaml: warning: line 1 column 1: orderPreparation.parameters: parameters need each other, unless an order \
          gives one of them: a → b → a"]
    );
}
