use super::*;
use crate::id::{AgentPath, JobName, OrderId, WorkflowPath};
use crate::json::from_text;
use crate::model::history::History;
use crate::model::job::JobKey;
use crate::model::order::{AttachedState, Order, OrderState};
use crate::position::WorkflowPosition;
use crate::time::Duration;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

fn flow(instructions: &str) -> Flow {
    flow_with(instructions, "")
}

fn flow_with(instructions: &str, more: &str) -> Flow {
    let text = format!(
        r#"{{"path": "W", "versionId": "1", "calendarPath": "CALENDAR", "instructions": {instructions}, "jobs": {{
            "J": {{"agentPath": "A", "executable": {{"TYPE": "ShellScriptExecutable", "script": ":"}}}},
            "K": {{"agentPath": "B", "executable": {{"TYPE": "ShellScriptExecutable", "script": ":"}}}}
        }} {more}}}"#
    );
    Flow::new(Arc::new(from_text(&text).unwrap()))
}

fn at(text: &str) -> Position {
    text.parse().unwrap()
}

const J: &str = r#"{"TYPE": "Execute.Named", "jobName": "J"}"#;
const K: &str = r#"{"TYPE": "Execute.Named", "jobName": "K"}"#;

fn nested() -> Flow {
    flow(&format!(
        r#"[
        {{"TYPE": "Try", "label": "T", "maxTries": 3, "retryDelays": [1, 20],
          "try": {{"instructions": [
            {{"TYPE": "Lock", "demands": [{{"lockPath": "L"}}], "lockedWorkflow": {{"instructions": [{J}]}}}}]}},
          "catch": {{"instructions": [{{"TYPE": "Retry"}}]}}}},
        {{"TYPE": "Cycle", "schedule": {{"schemes": []}}, "cycleWorkflow": {{"instructions": [{K}]}}}},
        {{"TYPE": "ForkList", "children": "$list", "childToId": "x => $x", "workflow": {{"instructions": [
            {{"TYPE": "Options", "stopOnFailure": true, "block": {{"instructions": [
              {{"TYPE": "Options", "stopOnFailure": false, "block": {{"instructions": [{J}]}}}},
              {{"TYPE": "Options", "block": {{"instructions": [{{"TYPE": "End"}}]}}}}]}}}}]}}}}]"#
    ))
}

#[test]
fn positions_lead_to_instructions() {
    let flow = nested();
    for (position, name) in [
        ("0", "Try"),
        ("0/try:0", "Lock"),
        ("0/try+7:0/lock:0", "Execute.Named"),
        ("0/try+7:0/lock:1", "ImplicitEnd"),
        ("0/catch+1:0", "Retry"),
        ("1/cycle+end=1000,i=2:0", "Execute.Named"),
        ("2/fork:0", "Options"),
        ("2/fork:0/options:1/options:0", "End"),
        ("3", "ImplicitEnd"),
    ] {
        assert_eq!(flow.checked_instruction(&at(position)).unwrap().type_name(), name, "{position}");
    }
    for position in ["4", "0/lock:0", "2/fork+X:0", "2/fork:0/options:1/options:1", "0/try:2"] {
        let message = flow.checked_instruction(&at(position)).unwrap_err().message;
        assert_eq!(message, format!("Unknown position {position} in Workflow:W~1"));
    }
}

#[test]
fn labels_are_resolved() {
    let flow = nested();
    assert_eq!(flow.position_of(&Label::new("T")), Some(&at("0")));
    assert_eq!(flow.label_at(&at("0")), Some(&Label::new("T")));
    assert_eq!(flow.resolve(&PositionOrLabel::Label(Label::new("T"))), Ok(at("0")));
    let message = flow.resolve(&PositionOrLabel::Label(Label::new("X"))).unwrap_err().message;
    assert_eq!(message, "Unknown label 'X' in Workflow:W~1");
    assert!(flow.resolve(&PositionOrLabel::Position(at("9"))).is_err());
    let stops = [PositionOrLabel::Label(Label::new("T")), PositionOrLabel::Position(at("0/try+3:0"))];
    assert!(flow.is_one_of(&at("0"), &stops));
    assert!(flow.is_one_of(&at("0/try+1:0"), &stops));
    assert!(!flow.is_one_of(&at("1"), &stops));
}

#[test]
fn orders_move_within_borders() {
    let flow = nested();
    assert!(flow.is_moveable(&at("0"), &at("1/cycle:0")));
    assert!(flow.is_moveable(&at("0/try+2:0"), &at("3")));
    assert!(!flow.is_moveable(&at("0"), &at("0/try+0:0/lock:0")));
    assert!(!flow.is_moveable(&at("2/fork:0"), &at("3")));
    assert!(!flow.is_moveable(&at("0"), &at("4")));
    let reachable = |from| flow.reachable(&at(from)).iter().map(ToString::to_string).collect::<Vec<String>>();
    assert_eq!(reachable("0/try+1:0/lock:1"), ["0/try+1:0/lock:0", "0/try+1:0/lock:1"]);
    assert_eq!(
        reachable("2/fork:1"),
        [
            "2/fork:0",
            "2/fork:0/options:0",
            "2/fork:0/options:0/options:0",
            "2/fork:0/options:0/options:1",
            "2/fork:0/options:1",
            "2/fork:0/options:1/options:0",
            "2/fork:0/options:2",
            "2/fork:1"
        ]
    );
    assert!(reachable("7").is_empty());
}

#[test]
fn jobs_are_found_from_the_inside_out() {
    let flow = flow(&format!(
        r#"[{{"TYPE": "If", "ifThens": [{{"predicate": "true", "then": {{"instructions": [{J}, {K}], "jobs": {{
            "J": {{"agentPath": "INNER", "executable": {{"TYPE": "ShellScriptExecutable", "script": ":"}}}}}}}}}}]}},
            {J}, {{"TYPE": "Fail"}}]"#
    ));
    let inner = flow.job_at(&at("0/then:0")).unwrap();
    assert_eq!(inner.job.agent_path.as_str(), "INNER");
    let named = |block: &str, name: &str| JobKey::Named {
        workflow_id: flow.id().clone(),
        block: if block.is_empty() { BranchPath::default() } else { at(&format!("{block}:0")).block },
        name: JobName::new(name),
    };
    assert_eq!(inner.key, named("0/then", "J"));
    assert_eq!(flow.job_at(&at("0/then:1")).unwrap().key, named("", "K"));
    assert_eq!(flow.job_at(&at("1")).unwrap().job.agent_path.as_str(), "A");
    assert!(flow.job_at(&at("2")).unwrap_err().message.contains("there is a Fail"));
}

#[test]
fn options_and_tries_are_found_around() {
    let flow = nested();
    assert!(flow.stops_on_failure(&at("2/fork:0/options:9")));
    assert!(!flow.stops_on_failure(&at("2/fork:0/options:0/options:9")));
    assert!(flow.stops_on_failure(&at("2/fork:0/options:1/options:9")));
    assert!(!flow.stops_on_failure(&at("2/fork:9")));
    // An order at an Options instruction fails as in its block.
    assert!(!flow.stops_on_failure(&at("2/fork:0/options:0")));
    assert!(flow.stops_on_failure(&at("2/fork:0")));
    let (position, rule) = flow.try_around(&at("0/try+1:0/lock:0").block).unwrap();
    assert_eq!(position, at("0"));
    assert_eq!([1, 2, 3].map(|n| rule.retry_delay(n)), [1, 20, 20].map(Duration::from_secs));
    assert!(!rule.gives_up(2) && rule.gives_up(3) && rule.is_last(4));
    assert!(flow.try_around(&at("1/cycle:0").block).is_none());
}

#[test]
fn announces_what_the_inner_block_posts() {
    let post = |board: &str| format!(r#"{{"TYPE": "PostNotices", "boardPaths": ["{board}"]}}"#);
    let flow = flow(&format!(
        r#"[{}, {{"TYPE": "Options", "block": {{"instructions": [{}]}}}}, {}]"#,
        post("A"),
        post("B"),
        post("C")
    ));
    let boards = |block: &BranchPath| flow.announced_boards(block).map(ToString::to_string).collect::<Vec<String>>();
    assert_eq!(boards(&BranchPath::default()), ["A", "C"]);
    assert_eq!(boards(&at("1/options:0").block), ["B"]);
}

#[test]
fn references_items() {
    let flow = flow_with(
        r#"[{"TYPE": "Lock", "demands": [{"lockPath": "L"}], "lockedWorkflow": {"instructions": [
            {"TYPE": "ExpectNotices", "boardPaths": "'X' && ('Y' || 'X')"},
            {"TYPE": "AddOrder", "orderId": "JobResource:IN-ID:x", "workflowPath": "OTHER"},
            {"TYPE": "StickySubagent", "agentPath": "STICKY", "subworkflow": {"instructions": [
              {"TYPE": "Execute.Anonymous", "job": {"agentPath": "C", "subagentBundleIdExpr": "'BUN' ++ 'DLE'",
                "jobResourcePaths": ["R"],
                "executable": {"TYPE": "CommandLineExecutable", "command": "/bin/echo $(JobResource:IN-COMMAND:x)",
                  "env": {"E": "\"$(JobResource:IN-ENV:x)\""}}}}]}}]}}]"#,
        r#", "orderPreparation": {"parameters": {"p": {"default": "JobResource:IN-DEFAULT:x"}}}"#,
    );
    let keys: Vec<String> = flow.referenced_items().iter().map(ToString::to_string).collect();
    let mut expected = [
        "Lock:L",
        "Board:X",
        "Board:Y",
        "JobResource:IN-ID",
        "JobResource:IN-ENV",
        "JobResource:IN-DEFAULT",
        "JobResource:IN-COMMAND",
        "JobResource:R",
        "Calendar:CALENDAR",
        "Agent:A",
        "Agent:B",
        "Agent:C",
        "SubagentBundle:BUNDLE",
    ]
    .map(String::from);
    let mut keys = keys;
    keys.sort();
    expected.sort();
    assert_eq!(keys, expected);
    assert!(flow.uses_agent(&AgentPath::new("C")) && !flow.uses_agent(&AgentPath::new("STICKY")));
}

#[test]
fn agents_get_their_part() {
    let flow = flow(&format!(
        r#"[{J}, {{"TYPE": "Lock", "label": "L", "demands": [{{"lockPath": "L"}}], "lockedWorkflow": {{"instructions": [{K}]}}}},
            {{"TYPE": "If", "ifThens": [{{"predicate": "true", "then": {{"instructions": [{J}, {K}]}}}}]}},
            {{"TYPE": "Fork", "agentPath": "A", "branches": [{{"id": "x", "workflow": {{"instructions": [{K}]}}}}]}},
            {{"TYPE": "Prompt", "question": "'?'"}}]"#
    ));
    let reduced = Flow::new(Arc::new(flow.reduce_for_agent(&AgentPath::new("A"))));
    let names = |positions: &[&str]| {
        positions.iter().map(|p| reduced.instruction(&at(p)).unwrap().type_name()).collect::<Vec<&str>>()
    };
    assert_eq!(
        names(&["0", "1", "2", "2/then:0", "2/then:1", "3", "3/fork+x:0", "4", "5"]),
        ["Execute.Named", "Gap", "If", "Execute.Named", "Gap", "Fork", "Gap", "Prompt", "ImplicitEnd"]
    );
    assert_eq!(reduced.label_at(&at("1")), Some(&Label::new("L")));
    assert_eq!(reduced.workflow().jobs.len(), 1);
    assert_eq!(reduced.id(), flow.id());
}

fn order(flow: &Flow, position: &str, state: OrderState) -> Order {
    let workflow_position = WorkflowPosition { workflow_id: flow.id().clone(), position: at(position) };
    Order { state, historic_outcomes: History::default(), ..Order::fresh(OrderId::new("O"), workflow_position) }
}

#[test]
fn orders_are_transferred_when_nothing_around_changed() {
    let workflow = |count: u32, question: &str| {
        flow(&format!(
            r#"[{{"TYPE": "Lock", "demands": [{{"lockPath": "L", "count": {count}}}], "lockedWorkflow": {{"instructions": [
                {{"TYPE": "Prompt", "question": "{question}"}}]}}}}]"#
        ))
    };
    let old = workflow(1, "'?'");
    let prompting = order(&old, "0/lock:0", OrderState::Prompting { question: "?".into() });
    assert_eq!(old.check_transfer(&workflow(1, "'?'"), &prompting), Ok(Transfer::AsIs));
    assert_eq!(old.check_transfer(&workflow(1, "'!'"), &prompting), Ok(Transfer::AfterReset));
    assert_eq!(
        old.check_transfer(&workflow(1, "'!'"), &order(&old, "0/lock:0", OrderState::Ready)),
        Ok(Transfer::AsIs)
    );
    assert!(old.check_transfer(&workflow(2, "'?'"), &prompting).unwrap_err().message.contains("has changed"));
    assert!(old.check_transfer(&flow("[]"), &prompting).unwrap_err().message.starts_with("Unknown position"));
    let attached = Order {
        attached_state: Some(AttachedState::Attaching { agent_path: AgentPath::new("A") }),
        ..order(&old, "0", OrderState::Ready)
    };
    assert_eq!(
        old.check_transfer(&old, &attached).unwrap_err().message,
        "Order:O is required to be detached, but it is Attaching to Agent:A"
    );
}

#[test]
fn skips_a_day_without_admission() {
    let flow = flow(
        r#"[{"TYPE": "AdmissionTime", "skipIfNoAdmissionStartForOrderDay": true,
            "admissionTimeScheme": {"periods": [{"TYPE": "WeekdayPeriod", "secondOfWeek": 3600, "duration": 60}]},
            "block": {"instructions": []}}, {"TYPE": "Fail"}]"#,
    );
    assert_eq!(flow.id().path, WorkflowPath::new("W"));
    let skipped = |position, id: &str| flow.is_skipped_on_order_day(&at(position), &OrderId::new(id));
    assert!(!skipped("0", "#2025-03-03#monday"));
    assert!(skipped("0", "#2025-03-04#tuesday"));
    assert!(!skipped("0", "without date"));
    assert!(!skipped("1", "#2025-03-04#"));
}
