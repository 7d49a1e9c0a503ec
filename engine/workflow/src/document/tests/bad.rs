//! Bad documents with all that is found in them.

use super::{document, findings};

/// A file, its text and the findings.
const TABLE: &[(&str, &str, &str)] = &[
    ("w.json", "", "error: line 1 column 1: expected a JSON value, found the end of the text"),
    ("w.yaml", "# nothing", "error: there is no item in the document"),
    ("w.json", "[]", "error: there is no item in the document"),
    ("w.json", "7", "error: line 1 column 1: expected an item (an object), found 7"),
    ("w.json", "{\n \"instructions\": [}", "error: line 2 column 19: expected a JSON value, found '}'"),
    (
        "x.json",
        r#"{"TYPE": "Worflow", "path": "W"}"#,
        "error: line 1 column 10: TYPE: unknown TYPE 'Worflow'; did you mean 'Workflow'?",
    ),
    ("x.json", r#"{"TYPE": 1}"#, "error: line 1 column 10: TYPE: expected a type name (a string), found 1"),
    // All errors are reported, whatever is wrong beside.
    (
        "w.json",
        r#"{"TYPE": "Workflow",
 "instructions": [
  {"TYPE": "Fial"},
  {"TYPE": "Sleep", "duration": "1 +"},
  {"TYPE": "Lock", "demands": [{"lockPath": "a b", "count": 0}], "lockedWorkflow": {"instructions": 3}},
  {"TYPE": "Prompt", "queston": "'?'"},
  {"TYPE": "Try", "try": {"instructions": []}, "catch": {}, "maxTries": "3"}
 ],
 "timeZone": "Europe/Atlantis",
 "jobs": {"J": {"agentPath": "A", "executable": {"TYPE": "ShellScriptExecutable"}}}}"#,
        "error: line 3 column 12: instructions[0].TYPE: unknown TYPE 'Fial'; did you mean 'Fail'?
error: line 4 column 37: instructions[1].duration: Parsing failed at position 4 “1 +❓”: Expected an expression, but the text ends here
error: line 5 column 45: instructions[2].demands[0].lockPath: Invalid LockPath 'a b': it must not contain ' '. A name consists of letters, digits, '_', '-' and '.', starts with a letter or digit, and does not end with '.'
error: line 5 column 101: instructions[2].lockedWorkflow.instructions: expected a list, found 3
error: line 6 column 3: instructions[3]: member 'question' is missing
warning: line 6 column 22: instructions[3].queston: unknown member 'queston' is ignored; did you mean 'question'?
error: line 7 column 57: instructions[4].catch: member 'instructions' is missing
error: line 7 column 73: instructions[4].maxTries: expected an integer, found \"3\"
error: line 9 column 14: timeZone: Unknown time zone 'Europe/Atlantis', did you mean 'Europe/Athens'?
error: line 10 column 49: jobs.J.executable: member 'script' is missing",
    ),
    // Problems of the whole workflow, where they are.
    (
        "w.json",
        r#"{"instructions": [
 {"TYPE": "Execute.Named", "jobName": "NONE"},
 {"TYPE": "If", "predicate": "true", "then": {"instructions": [
  {"TYPE": "Retry"},
  {"TYPE": "Stop", "label": "L"}]}},
 {"TYPE": "Fork", "branches": [
  {"id": "a", "workflow": {"instructions": [{"TYPE": "Stop", "label": "L"}]}},
  {"id": "b", "workflow": {"instructions": [{"TYPE": "Break"}]}}]}]}"#,
        "error: line 2 column 2: instructions[0]: Unknown job name 'NONE'
error: line 4 column 3: instructions[1].then.instructions[0]: Statement 'retry' is only allowed in a catch block
error: line 7 column 71: instructions[2].branches[0].workflow.instructions[0].label: Label 'L' is duplicated at positions 1/then:1, 2/fork+a:0
error: line 8 column 45: instructions[2].branches[1].workflow.instructions[0]: Break instruction at 2/fork+b:0 without Cycle",
    ),
    (
        "w.yaml",
        "instructions:
  - TYPE: Cycle
    cycleWorkflow: {instructions: [TYPE: Break]}
    schedule:
      schemes: []
",
        "error: line 2 column 5: instructions[0]: Cycle instruction requires calendarPath",
    ),
    (
        "w.yaml",
        "instructions:
  - TYPE: Fail
  - {TYPE: Stop}
  - TYPE: Try
    try: {instructions: [TYPE: Finish, {TYPE: Stop, label: here}]}
    catch: {instructions: [TYPE: Retry, TYPE: Stop]}
",
        "warning: line 3 column 5: instructions[1]: unreachable: the instruction before (0) never goes on
warning: line 6 column 41: instructions[2].catch.instructions[1]: unreachable: the instruction before (0) never goes on",
    ),
    // Expressions point into their text.
    (
        "r.yaml",
        "TYPE: JobResource
variables:
  plain: $a ++
  single: '''x'' ++ )'
  double: \"\\\"x\\\" ++ )\"
  literal: |
    'x'
     ++ )
",
        "error: line 3 column 15: variables.plain: Parsing failed at position 6 “$a ++❓”: Expected an expression, but the text ends here
error: line 4 column 21: variables.single: Parsing failed at position 8 “'x' ++ ❓)”: Expected an expression, but got ')'
error: line 5 column 21: variables.double: Parsing failed at position 8 “\"x\" ++ ❓)”: Expected an expression, but got ')'
error: line 8 column 9: variables.literal: Parsing failed at position 9 (line 2, column 5) “'x'\\n ++ ❓)\\n”: Expected an expression, but got ')'",
    ),
    (
        "r.json",
        r#"{"TYPE": "JobResource", "env": {"A": "\"\u00e4\" ++ )"}}"#,
        "error: line 1 column 53: env.A: Parsing failed at position 8 “\"ä\" ++ ❓)”: Expected an expression, but got ')'",
    ),
    // The inventory's names.
    (
        "W.workflow.json",
        r###"{"instructions": [{"TYPE": "Execute.Named", "jobName": "J"}],
 "jobs": {"J": {
  "agentName": "a", "agentPath": "b", "parallelism": "2",
  "executable": {"TYPE": "ShellScriptExecutable", "script": "echo\n##!include lib\n"},
  "returnCodeMeaning": {"success": [0, "x"], "warning": [1]}}}}"###,
        "warning: line 1 column 1: uses names of the inventory ('agentName') and of the controller ('agentPath'): texts which may be expressions are read as expressions
error: line 3 column 3: jobs.J.agentName: 'agentName' and 'agentPath' mean the same; give one of them
error: line 3 column 54: jobs.J.parallelism: expected an integer, found \"2\"
error: line 4 column 61: jobs.J.executable.script: includes the script 'lib', which is not given; add an IncludeScript of that name
error: line 5 column 40: jobs.J.returnCodeMeaning.success[1]: expected an integer, found \"x\"
warning: line 5 column 57: jobs.J.returnCodeMeaning.warning: return codes which are a warning are taken as success",
    ),
    (
        "list.yaml",
        "- TYPE: Lock\n  path: A\n  limit: -1\n- TYPE: Lock\n  limit: many\n",
        "error: line 1 column 3: [0]: Lock:A: limit must not be below 0, but is -1
error: line 4 column 3: [1]: member 'path' is missing
error: line 5 column 10: [1].limit: expected an integer, found \"many\"",
    ),
];

#[test]
fn all_findings_are_told() {
    let mut wrong = 0;
    for (name, text, expected) in TABLE {
        let found = findings(&document(name, text));
        if found != *expected {
            wrong += 1;
            std::eprintln!("--- {name}\n{text}\n--- expected\n{expected}\n--- found\n{found}");
        }
    }
    assert_eq!(wrong, 0);
}
