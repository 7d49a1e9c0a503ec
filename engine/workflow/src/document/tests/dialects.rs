//! The same items in both dialects, in JSON and YAML.

use super::{document, findings, items};
use crate::document::{Dialect, Source, read};
use crate::json::print;
use alloc::vec::Vec;

/// Controller's form, inventory's form.
pub(in crate::document) const PAIRS: &[(&str, &str, &str)] = &[
    (
        "W.workflow",
        r#"{"TYPE": "Workflow", "path": "W", "timeZone": "Etc/UTC", "jobResourcePaths": ["R"],
 "orderPreparation": {"parameters": {
   "s": {"type": "String", "default": "'text'"},
   "n": {"type": "Number", "default": "3"},
   "rows": {"type": {"TYPE": "List", "elementType": {"TYPE": "Object", "id": "String", "n": "Number"}}},
   "map": {"type": {"TYPE": "Object", "a": "Boolean"}}}},
 "instructions": [
   {"TYPE": "Execute.Named", "jobName": "J", "label": "L", "defaultArguments": {"a": "'b'", "c": "$s"}},
   {"TYPE": "If", "ifThens": [{"predicate": "true", "then": {"instructions": [{"TYPE": "Stop"}]}}],
    "else": {"instructions": []}},
   {"TYPE": "If", "ifThens": [{"predicate": "$n == 1", "then": {"instructions": []}}]},
   {"TYPE": "ForkList", "children": "$rows", "childToId": "(x, i) => ($i + 1) ++ \".\" ++ $x.id",
    "childToArguments": "(x) => $x", "workflow": {"instructions": []}, "agentPath": "A"},
   {"TYPE": "ForkList", "children": "subagentIds('C')", "childToId": "(x) => $x",
    "childToArguments": "(x) => {js7ForkListSubagentId: $x}", "workflow": {"instructions": []}, "agentPath": "A"},
   {"TYPE": "Lock", "demands": [{"lockPath": "LOCK", "count": 2}], "lockedWorkflow": {"instructions": []}},
   {"TYPE": "PostNotices", "boardPaths": ["B"]},
   {"TYPE": "ExpectNotices", "boardPaths": "'B'"},
   {"TYPE": "ConsumeNotices", "boardPaths": "'B' && 'C'"},
   {"TYPE": "Fork", "branches": [{"id": "x", "workflow": {"instructions": [], "result": {"r": "$n"}}}]},
   {"TYPE": "StickySubagent", "agentPath": "A", "subagentBundleIdExpr": "'C'", "subworkflow": {"instructions": []}},
   {"TYPE": "AddOrder", "workflowPath": "V", "deleteWhenTerminated": true, "arguments": {"x": "'y'"},
    "orderId": "uniqueOrderId('#' ++ now(format='yyyy-MM-dd', timezone='Etc/UTC') ++ '#D%05d-V')"},
   {"TYPE": "AddOrder", "workflowPath": "V", "deleteWhenTerminated": false, "orderId": "'O'", "stopPositions": ["L"]},
   {"TYPE": "Fail", "message": "'no'", "namedValues": {"returnCode": 1}},
   {"TYPE": "Finish", "label": "F",
    "outcome": {"TYPE": "Failed", "message": "it's", "namedValues": {"returnCode": 1}}}],
 "jobs": {"J": {"agentPath": "A", "subagentBundleIdExpr": "'C'", "processLimit": 3, "sigkillDelay": 15,
   "skipIfNoAdmissionStartForOrderDay": true, "jobResourcePaths": ["R"],
   "executable": {"TYPE": "ShellScriptExecutable", "script": "echo", "env": {"A": "'plain'", "B": "$s"},
     "returnCodeMeaning": {"success": "0,1,5..7,3"}}}}}"#,
        r#"{"timeZone": "Etc/UTC", "jobResourceNames": ["R"], "title": "T", "version": "1.8.0",
 "orderPreparation": {"parameters": {
   "s": {"type": "String", "default": "text", "facet": ".*"},
   "n": {"type": "Number", "default": "3"},
   "rows": {"type": "List", "listParameters": {"id": {"type": "String"}, "n": {"type": "Number"}}},
   "map": {"type": "Map", "listParameters": {"a": {"type": "Boolean"}}}}},
 "instructions": [
   {"TYPE": "Segment", "instructions": [
     {"TYPE": "Execute.Named", "jobName": "J", "label": "L", "defaultArguments": {"a": "b", "c": "$s"}}]},
   {"TYPE": "If", "predicate": "true", "then": {"instructions": [{"TYPE": "Stop"}]}, "else": {"instructions": []}},
   {"TYPE": "CaseWhen", "cases": [{"predicate": "$n == 1", "then": {"instructions": []}}]},
   {"TYPE": "ForkList", "children": "rows", "childToId": "id", "workflow": {"instructions": []}, "agentName": "A"},
   {"TYPE": "ForkList", "agentName": "A", "subagentClusterId": "C", "workflow": {"instructions": []}},
   {"TYPE": "Lock", "lockName": "LOCK", "count": 2, "lockedWorkflow": {"instructions": []}},
   {"TYPE": "PostNotice", "noticeBoardName": "B"},
   {"TYPE": "ExpectNotice", "noticeBoardName": "B"},
   {"TYPE": "ConsumeNotices", "noticeBoardNames": "'B' && 'C'", "subworkflow": {"instructions": []}},
   {"TYPE": "Fork", "branches": [{"id": "x", "workflow": {"instructions": [], "result": {"r": "$n"}}}]},
   {"TYPE": "StickySubagent", "agentName": "A", "subagentClusterId": "C", "subworkflow": {"instructions": []}},
   {"TYPE": "AddOrder", "workflowName": "/folder/V", "arguments": {"x": "y"}, "tags": ["t"]},
   {"TYPE": "AddOrder", "workflowName": "V", "orderId": "'O'", "remainWhenTerminated": true, "endPositions": ["L"]},
   {"TYPE": "Fail", "message": "'no'", "outcome": {"returnCode": 1}},
   {"TYPE": "Finish", "label": "F", "message": "\"it's\"", "unsuccessful": true}],
 "jobs": {"J": {"agentName": "A", "subagentClusterId": "C", "parallelism": 3, "graceTimeout": 15,
   "skipIfNoAdmissionForOrderDay": true, "jobResourceNames": ["/f/R"], "criticality": "NORMAL", "title": "J",
   "notification": {"types": ["ERROR"], "mail": {"to": "x"}}, "warnIfLonger": "00:10:00",
   "executable": {"TYPE": "ShellScriptExecutable", "script": "echo", "env": {"A": "plain", "B": "$s"}},
   "returnCodeMeaning": {"success": [0, 1, [5, 7]], "warning": [3]}}}}"#,
    ),
    (
        "L.lock",
        r#"{"TYPE": "Lock", "path": "L", "limit": 4}"#,
        r#"{"objectType": "LOCK", "path": "/f/L", "configuration": {"limit": 4, "title": "t"}}"#,
    ),
    (
        "B.noticeboard",
        r#"{"TYPE": "GlobalBoard", "path": "B", "postOrderToNoticeKey": "$js7OrderId", "expectOrderToNoticeKey": "'x'", "endOfLife": "$js7EpochMilli + 1"}"#,
        r#"{"TYPE": "NoticeBoard", "boardType": "GLOBAL", "postOrderToNoticeId": "$js7OrderId", "readingOrderToNoticeId": "'x'", "endOfLife": "$js7EpochMilli + 1"}"#,
    ),
    (
        "P.noticeboard",
        r#"{"TYPE": "PlannableBoard", "path": "P"}"#,
        r#"{"boardType": "PLANNABLE", "toNotice": "$js7OrderId", "expectOrderToNoticeId": "$js7OrderId", "endOfLife": "1"}"#,
    ),
    (
        "R.jobresource",
        r#"{"TYPE": "JobResource", "path": "R", "variables": {"a": "'b c'"}, "env": {"A": "$a", "N": "7"}}"#,
        r#"{"objectType": "JOBRESOURCE", "path": "/x/R", "configuration": {"arguments": {"a": "b c"}, "env": {"A": "$a", "N": 7}}}"#,
    ),
    (
        "F.fileordersource",
        r#"{"TYPE": "FileWatch", "path": "F", "workflowPath": "W", "agentPath": "A", "directoryExpr": "'/tmp/in'", "pattern": ".*\\.csv", "delay": 2,
           "orderExpr": "{orderId: '#' ++ now(format='yyyy-MM-dd', timezone='Europe/Berlin') ++ '#F' ++ $js7EpochSecond ++ '-' ++ $orderWatchPath ++ ':' ++ $0, priority: 5}"}"#,
        r#"{"workflowName": "/f/W", "agentName": "A", "directory": "/tmp/in", "pattern": ".*\\.csv", "delay": 2, "timeZone": "Europe/Berlin", "priority": 5}"#,
    ),
];

/// JSON text as YAML blocks, to some depth; what is deeper stays JSON, which is YAML.
fn yaml(value: &crate::value::Value, indent: usize, out: &mut alloc::string::String) {
    use crate::value::Value;
    let margin = " ".repeat(indent);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields.iter() {
                *out += &alloc::format!("\n{margin}{}:", print(&Value::from(&**name)));
                yaml(value, indent + 2, out);
            }
        }
        Value::List(values) if !values.is_empty() => {
            for value in values.iter() {
                *out += &alloc::format!("\n{margin}-");
                yaml(value, indent + 2, out);
            }
        }
        Value::String(text)
            if text.chars().all(|c| c.is_ascii_alphabetic() || c == '.') && !text.is_empty() && &**text != "true" =>
        {
            *out += &alloc::format!(" {text}");
        }
        scalar => *out += &alloc::format!(" {}", print(scalar)),
    }
}

#[test]
fn both_dialects_and_yaml_give_the_same_items() {
    for (name, controller, inventory) in PAIRS {
        let expected = items(&document("x.json", controller));
        let json = document(&alloc::format!("{name}.json"), inventory);
        std::eprintln!("{name}:\n{}", findings(&json));
        assert_eq!(items(&json), expected, "{name}");
        for form in [controller, inventory] {
            let mut text = alloc::string::String::new();
            yaml(&crate::json::parse(form).unwrap().to_value(), 0, &mut text);
            let read = document(&alloc::format!("{name}.yaml"), &text);
            std::eprintln!("{text}\n{}", findings(&read));
            assert_eq!(items(&read), expected, "{text}");
        }
        // What is written is read again.
        for item in &expected {
            assert_eq!(items(&document("x.json", item)), core::slice::from_ref(item));
        }
    }
}

#[test]
fn a_text_may_hold_several_items() {
    let expected = [r#"{"TYPE":"Lock","limit":1,"path":"A"}"#, r#"{"TYPE":"Lock","limit":2,"path":"B"}"#];
    for (name, text) in [
        ("x.json", r#"[{"TYPE": "Lock", "path": "A"}, {"TYPE": "Lock", "path": "B", "limit": 2}]"#),
        ("x.yaml", "---\nTYPE: Lock\npath: A\n---\nTYPE: Lock\npath: B\nlimit: 2\n---\n"),
        ("-", "- TYPE: Lock\n  path: A\n- TYPE: Lock\n  path: B\n  limit: 2\n"),
    ] {
        assert_eq!(items(&document(name, text)), expected, "{text}");
    }
}

#[test]
fn scripts_include_scripts() {
    let text = "
TYPE: IncludeScript
name: lib
script: |
  echo NAME
---
path: W
instructions: []
jobs:
  J:
    agentName: A
    executable:
      TYPE: ShellScriptExecutable
      script: |
        # first
        ##!include lib --replace=\"NAME\",\"$1\"
        # last
";
    let read = document("w.yaml", text);
    assert!(items(&read)[0].contains(r##""script":"# first\necho $1\n# last\n""##), "{:?}", items(&read));
    let unknown = document("w.yaml", &text.replace("include lib", "include liq"));
    assert_eq!(
        findings(&unknown),
        "error: line 15 column 9: jobs.J.executable.script: includes the script 'liq', which is not given; add an \
         IncludeScript of that name"
    );
    assert!(unknown.into_items().is_err());
}

#[test]
fn the_dialect_may_be_demanded() {
    let text = r#"{"TYPE": "JobResource", "path": "R", "variables": {"a": "b c"}}"#;
    let with = |dialect| read(&Source { name: "r.json", text, dialect, ..Source::default() });
    assert!(items(&with(Some(Dialect::Inventory)))[0].contains("'b c'"));
    for dialect in [None, Some(Dialect::Controller)] {
        assert!(with(dialect).has_errors());
    }
    let job = r#"{"path": "W", "instructions": [], "jobs": {"J": {"agentName": "A"}}}"#;
    let found = read(&Source { name: "w.json", text: job, dialect: Some(Dialect::Controller), ..Source::default() });
    let messages: Vec<_> = found.findings.iter().map(|f| f.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "member 'agentPath' is missing",
            "member 'executable' is missing",
            "unknown member 'agentName' is ignored; did you mean 'agentPath'?"
        ]
    );
}

#[test]
fn a_cycle_gets_the_calendar_of_the_cockpit() {
    let text = r#"{"instructions": [{"TYPE": "Cycle", "cycleWorkflow": {"instructions": [
        {"TYPE": "Execute.Named", "jobName": "J"}]}, "schedule": {"schemes": []}}],
        "jobs": {"J": {"agentName": "A", "executable": {"TYPE": "PathExecutable", "path": "x"}}}}"#;
    assert!(items(&document("W.workflow.json", text))[0].contains(r#""calendarPath":"DailyPlan""#));
}
