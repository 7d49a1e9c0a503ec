//! Resets: the last resort.

use crate::setup::{agent, execute, job_with, one_job};
use crate::world::{Name, World};
use baton_workflow::id::{OrderId, SubagentId};
use baton_workflow::model::order::OrderState;

#[test]
fn a_reset_subagent_has_lost_its_processes() {
    let mut world = World::new();
    world.deploy("1", &job_with(r#""subagentBundleIdExpr": "'FIXED'","#, "sleep 20000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A") == Some(Name::First));
    world.command(r#"{"TYPE": "ResetSubagent", "subagentId": "first", "force": true}"#);
    world.run_until("repeated", |world| world.starts.get(&OrderId::new("A")) == Some(&2));
    world.run_until("coupled again", |world| world.director().is_coupled_with(&SubagentId::new("first")));
    world.run_until("finished", |world| world.order("A").is_some_and(|order| order.state == OrderState::Finished));
    world.check_replay();
}

#[test]
fn a_reset_agent_starts_anew() {
    let mut world = World::new();
    world.deploy("1", &one_job("sleep 20000"));
    for id in ["A", "B", "C"] {
        world.add_order(id);
    }
    world.run_until("running", |world| ["A", "B", "C"].iter().all(|id| world.runs(id).is_some()));
    world.command(r#"{"TYPE": "ResetAgent", "agentPath": "AGENT"}"#);
    for id in ["A", "B", "C"] {
        assert_eq!(world.order(id).map(|order| &order.state), Some(&OrderState::Failed));
    }
    world.run_until("coupled again", |world| {
        world.controller().is_coupled_with(&agent()) && world.director().is_coupled_with(&SubagentId::new("first"))
    });
    assert_eq!(world.director().state().order_count(), 0);
    world.run_until("nothing runs", |world| ["A", "B", "C"].iter().all(|id| world.runs(id).is_none()));
    world.add_order("D");
    world.run_until("finished", |world| world.order("D").is_some_and(|order| order.state == OrderState::Finished));
    world.kill(Name::Director);
    world.start(Name::Director);
    world.add_order("E");
    world.run_until("finished", |world| world.order("E").is_some_and(|order| order.state == OrderState::Finished));
    world.check_replay();
}

#[test]
fn an_agent_that_lost_its_journal_is_refused_until_it_is_reset() {
    let mut world = World::new();
    world.deploy("1", &one_job("sleep 5000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    world.kill(Name::Director);
    world.wipe(Name::Director);
    world.start(Name::Director);
    world.run_for(std::time::Duration::from_secs(30));
    assert!(!world.controller().is_coupled_with(&agent()));
    world.command(r#"{"TYPE": "ResetAgent", "agentPath": "AGENT", "force": true}"#);
    world.run_until("coupled", |world| world.controller().is_coupled_with(&agent()));
    assert_eq!(world.order("A").map(|order| &order.state), Some(&OrderState::Failed));
    world.run_for(std::time::Duration::from_secs(120));
    world.add_order("B");
    world.run_until("finished", |world| world.order("B").is_some_and(|order| order.state == OrderState::Finished));
    world.check_replay();
}

#[test]
fn an_order_on_its_way_to_an_agent_that_is_reset_stays_where_it_is() {
    let mut world = World::new();
    world.deploy("1", &one_job("out x"));
    world.kill(Name::Director);
    world.add_order("A");
    world.run_for(std::time::Duration::from_secs(5));
    world.command(r#"{"TYPE": "ResetAgent", "agentPath": "AGENT"}"#);
    assert_eq!(world.order("A").map(|order| &order.state), Some(&OrderState::FailedWhileFresh));
    world.start(Name::Director);
    world.run_until("coupled again", |world| world.controller().is_coupled_with(&agent()));
    world.add_order("B");
    world.run_until("finished", |world| world.order("B").is_some_and(|order| order.state == OrderState::Finished));
    assert_eq!(world.order("A").map(|order| &order.state), Some(&OrderState::FailedWhileFresh));
    assert_eq!(world.starts.get(&OrderId::new("A")), None);
    world.check_replay();
}

#[test]
fn resets_in_a_batch_are_carried_out() {
    let mut world = World::new();
    world.deploy("1", &one_job("sleep 20000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    let reply = world.try_command(
        r#"{"TYPE": "Batch", "commands": [
            {"TYPE": "ResetAgent", "agentPath": "NOBODY"},
            {"TYPE": "ResetAgent", "agentPath": "AGENT"},
            {"TYPE": "ResetSubagent", "subagentId": "NOBODY"}]}"#,
    );
    let answer = format!("{:?}", reply.answer);
    assert!(answer.contains("NOBODY"), "{answer}");
    assert_eq!(world.order("A").map(|order| &order.state), Some(&OrderState::Failed));
    world.run_until("coupled again", |world| world.controller().is_coupled_with(&agent()));
    world.check_replay();
}

/// Whatever an order does at its agent when that is reset: it comes back and fails.
#[test]
fn orders_in_any_state_come_back_from_an_agent_that_is_reset() {
    let sleep = execute("", "sleep 60000");
    let fails = execute("", "exit 1");
    let branch = |id: &str| format!(r#"{{"id": "{id}", "workflow": {{"instructions": [{sleep}]}}}}"#);
    let instructions = [
        format!(r#"{{"TYPE": "Fork", "joinIfFailed": true, "branches": [{}, {}]}}"#, branch("a"), branch("b")),
        format!(
            r#"{{"TYPE": "Try", "try": {{"instructions": [{fails}]}}, "catch": {{"instructions": [{{"TYPE": "Retry"}}]}},
                "maxTries": 3, "retryDelays": [600]}}"#
        ),
    ];
    for instruction in instructions {
        let mut world = World::new();
        world.deploy("1", &format!(r#"{{"TYPE": "Workflow", "path": "W", "instructions": [{instruction}]}}"#));
        world.add_order("A");
        world.run_for(std::time::Duration::from_secs(10));
        world.command(r#"{"TYPE": "ResetAgent", "agentPath": "AGENT"}"#);
        world.run_until("coupled again", |world| world.controller().is_coupled_with(&agent()));
        world.run_for(std::time::Duration::from_secs(10));
        assert_eq!(world.order("A").map(|order| &order.state), Some(&OrderState::Failed), "{}", world.describe());
        world.check_replay();
    }
}
