//! Hostile and large texts: bounded stack, memory and time, and never a panic.

use super::{document, findings, items};
use crate::document::{Dialect, Format, Source, check_set, read};
use crate::json::limit;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use proptest::prelude::*;
use std::thread;

/// A thread of the smallest usual stack.
fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn deep_documents_need_little_stack() {
    on_small_stack(|| {
        for (open, close) in [
            (r#"{"TYPE":"If","predicate":"true","then":{"instructions":["#, "]}}"),
            (r#"{"TYPE":"Segment","instructions":["#, "]}"),
            (r#"{"TYPE":"Lock","lockName":"L","lockedWorkflow":{"instructions":["#, "]}}"),
            (r#"{"TYPE":"CaseWhen","cases":[{"predicate":"true","then":{"instructions":["#, "]}}]}"),
        ] {
            for depth in [5, 10, 16, 19, 24, 30, 32, 48, 10_000] {
                let text = format!(r#"{{"path":"W","instructions":[{}{}]}}"#, open.repeat(depth), close.repeat(depth));
                for dialect in [None, Some(Dialect::Inventory), Some(Dialect::Controller)] {
                    let document = read(&Source { name: "w.json", text: &text, dialect, ..Source::default() });
                    if !document.has_errors() {
                        for item in items(&document) {
                            assert_eq!(
                                items(&super::document("w.json", &item)),
                                [item],
                                "what is accepted can be recorded"
                            );
                        }
                    }
                }
            }
        }
        let deep = format!("{{\"path\": \"W\", \"instructions\": {}", "[".repeat(5_000_000));
        assert!(findings(&document("w.json", &deep)).contains("nested more than 100 levels deep"));
    });
}

#[test]
fn blocks_may_nest_moderately_deep() {
    let text = |depth| {
        let open = r#"{"TYPE":"If","predicate":"true","then":{"instructions":["#;
        format!(r#"{{"path":"W","instructions":[{}{}]}}"#, open.repeat(depth), "]}}".repeat(depth))
    };
    assert!(!document("w.json", &text(15)).has_errors());
    assert!(findings(&document("w.json", &text(25))).contains("blocks are nested too deep"));
}

#[test]
fn huge_texts_are_refused() {
    let huge = " ".repeat(limit::TEXT + 1);
    for name in ["w.json", "w.yaml"] {
        assert_eq!(
            findings(&document(name, &huge)),
            format!("error: the document has {} bytes; at most {} are accepted", limit::TEXT + 1, limit::TEXT)
        );
    }
}

#[test]
fn many_mistakes_are_counted() {
    let text = format!(
        r#"{{"path": "W", "instructions": [{}{{"TYPE": "Stop"}}]}}"#,
        r#"{"TYPE": "Nothing"}, "#.repeat(10_000)
    );
    let document = document("w.json", &text);
    assert_eq!(document.findings.len(), limit::FINDINGS);
    assert_eq!(document.omitted, 10_000 - limit::FINDINGS);
    assert!(document.into_items().unwrap_err().message.ends_with("… and 9900 more problems"));
}

/// As large as the largest real ones: thousands of jobs and instructions, one line.
fn large_workflow(jobs: usize) -> String {
    let mut instructions = Vec::new();
    let mut definitions = Vec::new();
    for i in 0..jobs {
        instructions.push(format!(
            r#"{{"TYPE":"Execute.Named","jobName":"job{i}","label":"l{i}","defaultArguments":{{"a":"text {i}","b":"$x ++ '{i}'"}}}},
               {{"TYPE":"If","predicate":"$returnCode == {i}","then":{{"instructions":[{{"TYPE":"PostNotices","noticeBoardNames":["b{i}"]}}]}}}}"#
        ));
        definitions.push(format!(
            r#""job{i}":{{"agentName":"agent","parallelism":1,"graceTimeout":15,"title":"t","criticality":"NORMAL",
               "executable":{{"TYPE":"ShellScriptExecutable","script":"echo {}","env":{{"A":"plain"}}}},"returnCodeMeaning":{{"success":[0]}}}}"#,
            "x".repeat(500)
        ));
    }
    let text = format!(
        r#"{{"version":"1.8.0","instructions":[{}],"jobs":{{{}}}}}"#,
        instructions.join(","),
        definitions.join(",")
    );
    text.replace('\n', " ")
}

#[test]
fn a_large_workflow_is_read_quickly() {
    on_small_stack(|| {
        let text = large_workflow(2_000);
        let started = std::time::Instant::now();
        let document = document("Large.workflow.json", &text);
        assert_eq!(findings(&document), "");
        assert!(check_set(&[document]).iter().all(|(_, f)| f.severity == crate::json::Severity::Info));
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    });
}

/// Text made of what documents are made of.
fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop::sample::select(
        &[
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "- ",
            "? ",
            "\n",
            "\n  ",
            "\n    ",
            "\t",
            "\"",
            "'",
            "|\n",
            ">\n",
            "&a ",
            "*a ",
            "!t ",
            "!!str ",
            "# c",
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            "<<",
            "TYPE",
            "\"TYPE\": ",
            "Workflow",
            "instructions",
            "If",
            "a",
            "1",
            "-",
            "~",
            "\\",
            "\\u00",
            "\u{feff}",
            "ä",
            "\u{85}",
            "\u{2028}",
            "\r",
            "\0",
            "@",
            "`",
            "%",
            "$x",
            "0x1F",
            ".5e3",
            "path: W",
            "{a: ",
            "[a, ",
        ][..],
    );
    prop::collection::vec(fragment, 0..60).prop_map(|parts| parts.concat())
}

/// Objects of known and unknown members with values of all kinds.
fn tree() -> impl Strategy<Value = String> {
    let name = prop::sample::select(
        &[
            "TYPE",
            "path",
            "instructions",
            "jobs",
            "J",
            "predicate",
            "then",
            "else",
            "ifThens",
            "cases",
            "branches",
            "workflow",
            "id",
            "demands",
            "lockName",
            "lockPath",
            "count",
            "noticeBoardName",
            "noticeBoardNames",
            "boardPaths",
            "agentName",
            "executable",
            "script",
            "env",
            "returnCodeMeaning",
            "success",
            "warning",
            "failure",
            "orderPreparation",
            "parameters",
            "type",
            "listParameters",
            "default",
            "message",
            "unsuccessful",
            "outcome",
            "children",
            "childToId",
            "subagentClusterId",
            "workflowName",
            "remainWhenTerminated",
            "label",
            "configuration",
            "objectType",
            "boardType",
            "result",
            "block",
            "try",
            "catch",
            "timeZone",
            "schedule",
            "schemes",
            "arguments",
        ][..],
    );
    let scalar = prop_oneof![
        Just(String::from("null")),
        Just(String::from("true")),
        Just(String::from("-7")),
        Just(String::from("1.5e3")),
        prop::sample::select(
            &[
                "\"Workflow\"",
                "\"If\"",
                "\"CaseWhen\"",
                "\"ForkList\"",
                "\"Lock\"",
                "\"PostNotice\"",
                "\"ConsumeNotices\"",
                "\"AddOrder\"",
                "\"Finish\"",
                "\"Segment\"",
                "\"StickySubagent\"",
                "\"Cycle\"",
                "\"JobResource\"",
                "\"FileOrderSource\"",
                "\"NoticeBoard\"",
                "\"List\"",
                "\"Map\"",
                "\"$x\"",
                "\"a b\"",
                "\"\"",
                "\"'\"",
                "\"W\"",
                "\"##!include x\"",
                "\"PLANNABLE\"",
                "\"ShellScriptExecutable\"",
            ][..]
        )
        .prop_map(String::from),
    ];
    let tree = scalar.prop_recursive(6, 80, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|nodes| format!("[{}]", nodes.join(","))),
            prop::collection::btree_map(name.clone(), inner, 0..6).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, node)| format!("\"{name}\":{node}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    tree.prop_map(|instructions| format!(r#"{{"path":"W","instructions":[{instructions}],"TYPE":"Workflow"}}"#))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics_on_texts(text in prop_oneof![fragments(), any::<String>()]) {
        for format in [Format::Json, Format::Yaml] {
            let document = read(&Source { name: "x", text: &text, format: Some(format), ..Source::default() });
            prop_assert!(!document.entries.is_empty() || !document.findings.is_empty());
            let _ = check_set(&[document]);
        }
    }

    #[test]
    fn never_panics_on_trees(text in tree(), inner in tree()) {
        for dialect in [None, Some(Dialect::Controller), Some(Dialect::Inventory)] {
            for format in [Format::Json, Format::Yaml] {
                for text in [text.as_str(), &inner[inner.find('[').unwrap_or(0) + 1..inner.rfind(']').unwrap_or(inner.len())]] {
                    let document = read(&Source { name: "x", text, dialect, format: Some(format), ..Source::default() });
                    let _ = check_set(&[document]);
                }
            }
        }
    }
}
