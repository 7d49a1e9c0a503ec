//! Tests of the runner with a world that executes nothing but orders of one job, by hand.

use super::world::{FileChange, Journaled, LockView, NoticeView, OrderView, PlanView};
use super::*;
use crate::conformance::{Settings, check as check_vector};
use baton_workflow::id::{LockPath, OrderId, WorkflowId, WorkflowPath};
use baton_workflow::json::{from_text, parse};
use baton_workflow::model::command::Response;
use baton_workflow::model::event::Event;
use baton_workflow::model::notice::NoticeId;
use baton_workflow::model::operation::ItemOperation;
use baton_workflow::model::order::{FreshOrder, Order};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::plan::{PlanId, PlanStatus};
use baton_workflow::position::{Position, WorkflowPosition};
use baton_workflow::problem::Problem;
use baton_workflow::value::Fields;
use jobs::Lasts;
use std::collections::{BTreeMap, BTreeSet};

/// Each order starts a process of the job `:job`; it is finished when the process ends.
struct OneJob {
    now: Timestamp,
    jobs: Jobs,
    running: BTreeMap<OrderId, Option<Timestamp>>,
    journal: Vec<Journaled>,
    versions: Vec<String>,
}

impl OneJob {
    fn start(setup: Setup) -> Checked<Box<dyn World>> {
        let Setup { time, agents, jobs, .. } = setup;
        assert_eq!(agents.len(), 2);
        assert_eq!(agents[0].subagents, [SubagentId::new("A-0")]);
        assert_eq!((agents[1].process_limit, agents[1].subagents.len()), (Some(3), 2));
        Ok(Box::new(Self { now: time, jobs, running: BTreeMap::new(), journal: Vec::new(), versions: Vec::new() }))
    }

    fn happened(&mut self, id: &OrderId, event: &str) {
        let event = Event::Order(id.clone(), from_text(event).unwrap());
        self.journal.push(Journaled { time: self.now, event });
    }
}

impl World for OneJob {
    fn set_clock(&mut self, now: Timestamp) {
        self.now = now;
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.running.values().flatten().copied().filter(|end| *end > self.now).min()
    }

    fn settle(&mut self) -> Checked<()> {
        let ended: Vec<OrderId> = self
            .running
            .iter()
            .filter(|(_, end)| end.is_some_and(|end| end <= self.now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ended {
            self.running.remove(&id);
            self.happened(&id, r#"{"TYPE": "OrderFinished"}"#);
        }
        Ok(())
    }

    fn add_order(&mut self, order: FreshOrder) -> Checked<()> {
        let id = order.id.0;
        if self.order(&id).is_some() {
            return Err(Problem::coded("DuplicateOrder", [], "There is one already"));
        }
        self.happened(&id, r#"{"TYPE": "OrderAdded", "workflowId": {"path": "W", "versionId": "1"}}"#);
        let lasts = self.jobs.call(":job", &id).map(|behaviour| behaviour.lasts);
        let end = match lasts.unwrap_or(Lasts::NoTime) {
            Lasts::NoTime => Some(self.now),
            Lasts::For(duration) => Some(self.now + duration),
            Lasts::UntilReleased => None,
        };
        self.running.insert(id, end);
        Ok(())
    }

    fn command(&mut self, _: Command) -> Checked<Response> {
        Ok(Response::AddOrder { ignored_because_duplicate: true })
    }

    fn update_items(&mut self, operations: Vec<ItemOperation>) -> Checked<()> {
        for operation in operations {
            match operation {
                ItemOperation::AddVersion { version_id } => self.versions.push(version_id.to_string()),
                ItemOperation::DeleteSimple { path } => return Err(Problem::new(format!("{path} is in use"))),
                _ => {}
            }
        }
        Ok(())
    }

    fn release(&mut self, _: &str, order_id: Option<&OrderId>) -> bool {
        let now = self.now;
        let waiting = self.running.iter_mut().find(|(id, end)| end.is_none() && order_id.is_none_or(|o| o == *id));
        waiting.map(|(_, end)| *end = Some(now)).is_some()
    }

    fn restart_controller(&mut self) {}

    fn restart_agent(&mut self, agent_path: &AgentPath) -> bool {
        agent_path.as_str() == "A"
    }

    fn change_file(&mut self, _: FileChange, _: &str) {}

    fn enable_subagent(&mut self, _: &SubagentId, _: bool) -> Checked<()> {
        Ok(())
    }

    fn journal(&self) -> Vec<Journaled> {
        self.journal.clone()
    }

    fn order(&self, order_id: &OrderId) -> Option<OrderView> {
        let is_known = |journaled: &Journaled| matches!(&journaled.event, Event::Order(id, OrderEvent::OrderAdded { .. }) if id == order_id);
        self.journal.iter().any(is_known).then(|| {
            let workflow_id = WorkflowId { path: WorkflowPath::new("W"), version_id: VersionId::new("1") };
            let workflow_position = WorkflowPosition { workflow_id, position: Position::START };
            let order = Order::fresh(order_id.clone(), workflow_position);
            OrderView { order, named_values: Fields::default(), obstacles: Vec::new() }
        })
    }

    fn lock(&self, path: &LockPath) -> Option<LockView> {
        let acquired = Value::object([("TYPE", Value::from("Available"))]);
        (path.as_str() == "LOCK").then(|| LockView { acquired, queue: self.running.keys().cloned().collect() })
    }

    fn notices(&self) -> Vec<NoticeView> {
        let notice = |text: &str, consumption_count| NoticeView {
            notice_id: from_text::<NoticeId>(text).unwrap(),
            is_posted: true,
            end_of_life: None,
            is_announced: false,
            expecting: BTreeSet::from([OrderId::new("X"), OrderId::new("Y")]),
            is_in_consumption: false,
            consumption_count,
        };
        vec![notice(r#"["BOARD", "1"]"#, 0), notice(r#"["OTHER", "2"]"#, 7)]
    }

    fn plans(&self) -> Vec<PlanView> {
        let plan_id: PlanId = from_text(r#"["SCHEMA", "KEY"]"#).unwrap();
        vec![PlanView { plan_id, status: PlanStatus::Open, order_ids: BTreeSet::new(), notices: self.notices() }]
    }

    fn process_counts(&self) -> BTreeMap<SubagentId, u32> {
        let count = u32::try_from(self.running.len()).unwrap();
        BTreeMap::from([(SubagentId::new("A-0"), count), (SubagentId::new("B-0"), 0)])
    }
}

/// The first fault of each case that has one.
fn run(steps: &str, expect: &str) -> Vec<(String, Fault)> {
    let vector = format!(
        r#"{{"kind": "workflow", "name": "x", "time": "2025-01-01T12:00:00Z",
            "agents": ["A", {{"path": "B", "processLimit": 3, "subagents": ["B-0", "B-1"]}}],
            "items": [{{"TYPE": "Workflow", "path": "W", "instructions": []}}, {{"TYPE": "Lock", "path": "LOCK"}}],
            "jobs": {{":job": {{"byOrder": {{"SHORT": [{{"duration": "PT10S"}}], "LONG": [{{"waits": true}}]}}}}}},
            "steps": {steps}, "expect": {expect}}}"#
    );
    let settings = Settings { start_world: Some(OneJob::start), ..Settings::default() };
    check_vector(&parse(&vector).unwrap(), settings)
        .into_iter()
        .filter_map(|(case, verdict)| verdict.err().map(|fault| (case, fault)))
        .collect()
}

fn add(id: &str) -> String {
    format!(r#"{{"add": {{"id": "{id}", "workflowPath": "W", "planId": []}}}}"#)
}

#[test]
fn time_passes_in_order() {
    let steps = format!(
        r#"[{}, {}, {{"advance": "PT15S"}}, {{"release": {{"job": ":job", "order": "LONG"}}}},
            {{"expect": {{"processCount": {{}}}}}}]"#,
        add("SHORT"),
        add("LONG")
    );
    let expect = r#"{"orders": {
        "SHORT": [{"TYPE": "OrderAdded"}, {"TYPE": "OrderFinished", "$at": "2025-01-01T12:00:10Z"}],
        "LONG": [{"TYPE": "OrderAdded"}, {"TYPE": "OrderFinished", "$at": "2025-01-01T12:00:15Z"}]},
        "journal": {"contains": [{"TYPE": "OrderFinished", "Key": "SHORT"}, {"TYPE": "OrderFinished", "Key": "LONG"}]}}"#;
    assert_eq!(run(&steps, expect), []);
}

#[test]
fn a_jump_lets_everything_happen_at_its_end() {
    let steps = format!(r#"[{}, {{"jumpTo": "2025-01-02T00:00:00Z"}}]"#, add("SHORT"));
    let expect = r#"{"orders": {"SHORT": {"suffix": [{"TYPE": "OrderFinished", "$at": "2025-01-02T00:00:00Z"}]}}}"#;
    assert_eq!(run(&steps, expect), []);
}

#[test]
fn states_are_asserted() {
    let expects = [
        r#"{"order": "LONG", "exists": true, "state": "Fresh", "started": false, "attached": false, "position": [0]}"#,
        r#"{"order": "LONG", "state": {"TYPE": "Fresh"}, "planId": [], "lastOutcome": {"TYPE": "Succeeded"}, "mark": null}"#,
        r#"{"order": "NONE", "exists": false}"#,
        r#"{"lock": "LOCK", "acquired": {"TYPE": "Available"}, "queue": ["LONG"]}"#,
        r#"{"notices": [{"noticeId": ["BOARD", "1"], "posted": true, "expecting": ["Y", "X"]}], "boards": ["BOARD"]}"#,
        r#"{"plans": [{"planId": ["SCHEMA", "KEY"], "status": "Open", "notices": [
            {"noticeId": ["OTHER", "2"], "posted": true, "expecting": ["X", "Y"], "consumptionCount": 7}, {"$any": true}]}]}"#,
        r#"{"processCount": {"A-0": 1}}"#,
        r#"{"journal": {"only": ["OrderAdded"], "exact": [{"TYPE": "OrderAdded", "Key": "LONG"}]}}"#,
    ];
    let steps = expects.map(|expect| format!(r#"{{"expect": {expect}}}"#)).join(",");
    assert_eq!(run(&format!("[{}, {steps}]", add("LONG")), "{}"), []);
}

#[test]
fn wrong_states_are_found() {
    for (expect, path) in [
        (r#"{"order": "LONG", "state": "Ready"}"#, "state"),
        (r#"{"order": "LONG", "attached": true}"#, "attached"),
        (r#"{"order": "LONG", "attached": "A"}"#, "attached"),
        (r#"{"order": "LONG", "exists": false}"#, "exists"),
        (r#"{"order": "NONE", "state": "Ready"}"#, "order"),
        (r#"{"lock": "LOCK", "queue": []}"#, "queue"),
        (r#"{"lock": "NONE", "queue": []}"#, "lock"),
        (r#"{"notices": [], "boards": ["BOARD"]}"#, "notices"),
        (r#"{"notices": [{"noticeId": ["BOARD", "1"]}], "boards": ["BOARD"]}"#, "notices"),
        (r#"{"plans": []}"#, "plans"),
        (r#"{"processCount": {"A-0": 2}}"#, "processCount.A-0"),
        (r#"{"journal": {"exact": []}}"#, "journal.exact[0]"),
    ] {
        let faults = run(&format!(r#"[{}, {{"expect": {expect}}}]"#, add("LONG")), "{}");
        match faults.as_slice() {
            [(case, Fault::Differs(difference))] => assert_eq!((&**case, &*difference.path), ("steps[1]", path)),
            other => panic!("{expect}: {other:?}"),
        }
    }
}

#[test]
fn answers_are_compared() {
    let steps = format!(
        r#"[{add}, {{"add": {{"id": "LONG", "workflowPath": "W", "planId": []}}, "problem": {{"code": "DuplicateOrder"}}}},
            {{"add": {{"id": "A|B", "workflowPath": "W", "planId": []}}, "problem": {{"message": {{"$match": "reserved"}}}}}},
            {{"command": {{"TYPE": "AnswerOrderPrompt", "orderId": "A"}}, "response": {{"TYPE": "AddOrder.Response", "ignoredBecauseDuplicate": true}}}},
            {{"deleteItems": ["Lock:LOCK"], "problem": {{"message": "Lock:LOCK is in use"}}}},
            {{"items": [{{"TYPE": "Lock", "path": ""}}], "problem": {{"code": "EmptyString"}}}},
            {{"restart": "A"}}, {{"restart": "controller"}}, {{"enableSubagents": {{"A-0": false}}}}, {{"file": {{"created": "/a"}}}}]"#,
        add = add("LONG")
    );
    assert_eq!(run(&steps, "{}"), []);
    for (step, what) in [
        (add("LONG"), "Differs"),
        (r#"{"deleteItems": ["Lock:LOCK"]}"#.into(), "Differs"),
        (r#"{"command": {"TYPE": "AnswerOrderPrompt", "orderId": "A"}, "problem": {}}"#.into(), "Differs"),
        (r#"{"command": {"TYPE": "AnswerOrderPrompt", "orderId": "A"}, "response": {"TYPE": "X"}}"#.into(), "Differs"),
        (r#"{"release": {"job": ":job", "order": "NONE"}}"#.into(), "Differs"),
        (r#"{"restart": "X"}"#.into(), "Malformed"),
        (r#"{"advanceTo": "2024-01-01T12:00:00Z"}"#.into(), "Malformed"),
        (r#"{"expect": {"order": "A", "more": 1}}"#.into(), "Malformed"),
    ] {
        let faults = run(&format!("[{}, {step}]", add("LONG")), "{}");
        assert_eq!(faults.len(), 1, "{step}: {faults:?}");
        assert!(format!("{:?}", faults[0].1).starts_with(what), "{step}: {faults:?}");
    }
}

#[test]
fn malformed_steps_are_refused() {
    for steps in [
        r#"[{"jump": 1}]"#,
        r#"[{"add": {}, "command": {}}]"#,
        r#"[{"advance": "10S"}]"#,
        r#"[{"file": {"moved": "/a"}}]"#,
    ] {
        let faults = run(steps, "{}");
        assert!(matches!(faults.as_slice(), [(_, Fault::Malformed(_))]), "{steps}: {faults:?}");
    }
}
