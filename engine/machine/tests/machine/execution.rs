//! What orders and their processes do when nothing breaks.

use crate::setup::{execute, job_with, one_job};
use crate::world::{Name, World};
use baton_workflow::model::event::Event;
use baton_workflow::model::order::OrderState;
use baton_workflow::model::order_event::OrderEvent;
use std::time::Duration;

fn is_over(id: &'static str) -> impl Fn(&World) -> bool {
    move |world| world.order(id).is_some_and(|order| order.is_terminated())
}

#[test]
fn a_job_runs_at_its_agent() {
    let mut world = World::new();
    world.deploy("1", &one_job("out hello\\nerr oh\\nenv PLACE\\nret answer=42\\nsleep 1000"));
    world.add_order("A");
    world.run_until("finished", is_over("A"));
    assert_eq!(world.order("A").map(|order| &order.state), Some(&OrderState::Finished));
    assert_eq!(
        world.events_of("A"),
        [
            "OrderAdded",
            "OrderAttachable",
            "OrderAttached",
            "OrderStarted",
            "OrderProcessingStarted",
            "OrderStdoutWritten",
            "OrderStderrWritten",
            "OrderStdoutWritten",
            "OrderProcessed",
            "OrderMoved",
            "OrderDetachable",
            "OrderDetached",
            "OrderFinished"
        ]
    );
    let outcome = world.order("A").and_then(|order| order.last_outcome()).expect("an outcome");
    let values = outcome.named_values().expect("values");
    assert_eq!(values.get("answer"), Some(&"42".into()));
    assert_eq!(values.get("returnCode"), Some(&0_i64.into()));
    let written: Vec<String> = world
        .events(Name::Controller)
        .into_iter()
        .filter_map(|stamped| match stamped.event {
            Event::Order(_, OrderEvent::OrderStdoutWritten { chunk } | OrderEvent::OrderStderrWritten { chunk }) => {
                Some(chunk)
            }
            _ => None,
        })
        .collect();
    assert_eq!(written, ["hello\n", "oh\n", "First"]);
    assert!(world.director().state().orders().next().is_none(), "the agent has given the order back");
    world.check_replay();
}

#[test]
fn subagents_take_turns() {
    let mut world = World::new();
    world.deploy("1", &one_job("sleep 60000"));
    for id in ["A", "B", "C", "D"] {
        world.add_order(id);
    }
    world.run_for(Duration::from_secs(1));
    let places = ["A", "B", "C", "D"].map(|id| world.runs(id));
    assert_eq!(places, [Some(Name::First), Some(Name::Second), Some(Name::First), Some(Name::Second)]);
}

#[test]
fn a_limit_of_a_job_is_kept() {
    let mut world = World::new();
    let job = r#"{"TYPE": "Workflow", "path": "W", "instructions": [{"TYPE": "Execute.Anonymous", "job": {
        "agentPath": "AGENT", "processLimit": 2,
        "executable": {"TYPE": "ShellScriptExecutable", "script": "sleep 1000"}}}]}"#;
    world.deploy("1", job);
    for id in ["A", "B", "C"] {
        world.add_order(id);
    }
    world.run_for(Duration::from_millis(500));
    assert_eq!(["A", "B", "C"].map(|id| world.runs(id).is_some()), [true, true, false]);
    world.run_for(Duration::from_millis(1_000));
    assert!(world.runs("C").is_some());
    world.run_until("finished", is_over("C"));
    world.check_replay();
}

#[test]
fn a_failing_job_fails_the_order_with_its_return_code() {
    let mut world = World::new();
    world.deploy("1", &one_job("exit 3"));
    world.add_order("A");
    world.run_until("failed", |world| world.order("A").is_some_and(|order| order.state == OrderState::Failed));
    let outcome = world.order("A").and_then(|order| order.last_outcome()).expect("an outcome");
    assert_eq!(outcome.named_values().and_then(|values| values.get("returnCode")), Some(&3_i64.into()));
    world.check_replay();
}

#[test]
fn writing_to_stderr_may_mean_failure() {
    let mut world = World::new();
    world.deploy("1", &job_with(r#""failOnErrWritten": true,"#, "err one\\nerr two"));
    world.add_order("A");
    world.run_until("failed", |world| world.order("A").is_some_and(|order| order.state == OrderState::Failed));
    let outcome = format!("{:?}", world.order("A").and_then(|order| order.last_outcome()));
    assert!(outcome.contains("The job's error channel: two"), "{outcome}");
}

#[test]
fn a_process_is_ended_when_its_time_is_over() {
    let mut world = World::new();
    world.deploy("1", &job_with(r#""timeout": 10, "sigkillDelay": 5,"#, "ignore\\nsleep 300000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    let time = world.run_until("ended", |world| world.runs("A").is_none());
    assert_eq!(time.as_secs(), 15);
    world.run_until("failed", |world| world.order("A").is_some_and(|order| order.state == OrderState::Failed));
    let outcome = format!("{:?}", world.order("A").and_then(|order| order.last_outcome()));
    assert!(outcome.starts_with("Some(TimedOut"), "{outcome}");
}

#[test]
fn a_cancelled_order_with_kill_ends_its_process() {
    let mut world = World::new();
    world.deploy("1", &one_job("sleep 300000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    world.command(
        r#"{"TYPE": "CancelOrders", "orderIds": ["A"], "mode": {"TYPE": "FreshOrStarted", "kill": {"immediately": false}}}"#,
    );
    world.run_until("cancelled", is_over("A"));
    assert_eq!(world.order("A").map(|order| &order.state), Some(&OrderState::Cancelled));
    let events = world.events_of("A");
    let tail = &events[events.len() - 7..];
    assert_eq!(
        tail,
        [
            "OrderCancellationMarked",
            "OrderCancellationMarkedOnAgent",
            "OrderProcessed",
            "OrderProcessingKilled",
            "OrderDetachable",
            "OrderDetached",
            "OrderCancelled"
        ]
    );
    world.check_replay();
}

#[test]
fn forks_run_their_branches() {
    let mut world = World::new();
    let branch = |id: &str| {
        format!(
            r#"{{"id": "{id}", "workflow": {{"instructions": [{}]}}}}"#,
            execute("", &format!("out {id}\\nsleep 100"))
        )
    };
    let fork = format!(r#"{{"TYPE": "Fork", "branches": [{}, {}, {}]}}"#, branch("a"), branch("b"), branch("c"));
    world.deploy(
        "1",
        &format!(r#"{{"TYPE": "Workflow", "path": "W", "instructions": [{fork}, {}]}}"#, execute("", "out end")),
    );
    world.add_order("A");
    world.run_until("finished", is_over("A"));
    assert_eq!(world.order("A").map(|order| &order.state), Some(&OrderState::Finished));
    assert!(world.order("A|a").is_none());
    world.check_replay();
}

#[test]
fn the_same_run_twice_is_the_same() {
    let run = || {
        let mut world = World::new();
        world.deploy("1", &one_job("out x\\nsleep 500"));
        for id in ["A", "B", "C"] {
            world.add_order(id);
        }
        world.run_until("finished", is_over("C"));
        world.digest()
    };
    assert_eq!(run(), run());
}
