use super::*;
use crate::command::execute;
use crate::id::ControllerId;
use crate::json::from_text;
use crate::model::command::Command;
use crate::schedule::TimeZone;
use alloc::collections::BTreeMap;
use alloc::string::ToString as _;
use std::format;

/// A controller in which commands are executed at a given time.
struct Bench {
    state: State,
    env: BTreeMap<String, String>,
    zone: TimeZone,
    now: Timestamp,
    events: Vec<Event>,
}

impl Bench {
    fn new() -> Self {
        let now = "2025-01-01T12:00:00Z".parse().unwrap();
        let state = State::controller(ControllerId::new("Controller"));
        Self { state, env: BTreeMap::new(), zone: TimeZone::utc(), now, events: Vec::new() }
    }

    fn command(&mut self, json: &str) {
        let command: Command = from_text(json).unwrap();
        let around = Surroundings { now: self.now, env: &self.env, zone: &self.zone };
        let mut replayed = self.state.clone();
        let known = self.events.len();
        execute(&mut self.state, around, &command, &mut Agenda::default(), &mut self.events).unwrap();
        for event in &self.events[known..] {
            replayed.apply(event).unwrap();
        }
        assert_eq!(replayed, self.state, "replay leads to the same state");
        assert_eq!(self.state.by_image().unwrap(), self.state, "an image keeps the state");
    }

    fn workflow(&mut self, instructions: &str) {
        self.command(&format!(
            r#"{{"TYPE":"UpdateItems","operations":[{{"TYPE":"AddVersion","versionId":"1"}},
                {{"TYPE":"AddOrChangeVersioned","item":{{"TYPE":"Workflow","path":"W","instructions":{instructions}}}}}]}}"#
        ));
    }

    /// The events of an order, without `Order`, positions as text.
    fn add_order(&mut self) -> String {
        self.command(r#"{"TYPE":"AddOrder","order":{"id":"A","workflowPath":"W","planId":[]}}"#);
        self.trace("A")
    }

    fn trace(&self, order: &str) -> String {
        let names: Vec<String> = self
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Order(id, event) if id.as_str() == order => Some(match event {
                    OrderEvent::OrderMoved { to, .. } => format!("Moved({to})"),
                    OrderEvent::OrderFailed { moved_to, .. } => format!("Failed({moved_to})"),
                    OrderEvent::OrderCaught { moved_to, .. } => format!("Caught({moved_to})"),
                    event => event.type_name()[5..].to_string(),
                }),
                _ => None,
            })
            .collect();
        names.join(" ")
    }
}

#[test]
fn runs_to_the_end() {
    for (instructions, trace) in [
        ("[]", "Added Started Finished"),
        (
            r#"[{"TYPE":"Try","try":{"instructions":[{"TYPE":"Fail"}]},"catch":{"instructions":[]}}]"#,
            "Added Moved(0/try+0:0) Started OutcomeAdded Caught(0/catch+0:0) Moved(1) Finished",
        ),
        (
            r#"[{"TYPE":"If","ifThens":[{"predicate":"false","then":{"instructions":[]}}],"else":{"instructions":[{"TYPE":"Fail"}]}}]"#,
            "Added Moved(0/else:0) Started OutcomeAdded Failed(0/else:0)",
        ),
        (
            r#"[{"TYPE":"Fork","branches":[{"id":"a","workflow":{"instructions":[]}},{"id":"b","workflow":{"instructions":[]}}]}]"#,
            "Added Started Forked Joined Moved(1) Finished",
        ),
        (r#"[{"TYPE":"Sleep","duration":"10"}]"#, "Added Started Sleeping"),
        (
            r#"[{"TYPE":"Options","stopOnFailure":true,"block":{"instructions":[{"TYPE":"Fail"}]}}]"#,
            "Added Moved(0/options:0) Started OutcomeAdded Stopped",
        ),
    ] {
        let mut bench = Bench::new();
        bench.workflow(instructions);
        assert_eq!(bench.add_order(), trace, "{instructions}");
    }
}

#[test]
fn a_problem_discards_the_step() {
    let mut bench = Bench::new();
    bench.workflow(r#"[{"TYPE":"Prompt","question":"$nope"}]"#);
    assert_eq!(bench.add_order(), "Added OutcomeAdded Failed(0)");
}

#[test]
fn gives_locks_back_when_failing_inside_other_blocks() {
    let mut bench = Bench::new();
    bench.command(
        r#"{"TYPE":"UpdateItems","operations":[{"TYPE":"AddOrChangeSimple","item":{"TYPE":"Lock","path":"L"}}]}"#,
    );
    bench.workflow(
        r#"[{"TYPE":"Lock","demands":[{"lockPath":"L"}],"lockedWorkflow":{"instructions":[
            {"TYPE":"If","ifThens":[{"predicate":"true","then":{"instructions":[{"TYPE":"Fail"}]}}]}]}}]"#,
    );
    assert_eq!(
        bench.add_order(),
        "Added Started LocksAcquired Moved(0/lock:0/then:0) OutcomeAdded LocksReleased Failed(0)"
    );
}
