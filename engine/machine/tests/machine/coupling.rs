//! Items and orders on their way between controller and agent.

use crate::setup::{agent, one_job};
use crate::world::{Name, World};
use baton_workflow::id::SubagentId;
use baton_workflow::model::order::OrderState;
use std::time::Duration;

#[test]
fn a_refused_command_is_answered() {
    let mut world = World::new();
    let reply = world.try_command(r#"{"TYPE": "CancelOrders", "orderIds": ["X"]}"#);
    assert!(reply.answer.is_err());
}

#[test]
fn orders_are_handed_over_when_the_agent_comes_back() {
    let mut world = World::new();
    world.deploy("1", &one_job("out x"));
    world.kill(Name::Director);
    for id in ["A", "B"] {
        world.add_order(id);
    }
    world.run_for(Duration::from_secs(30));
    assert!(!world.controller().is_coupled_with(&agent()));
    world.start(Name::Director);
    world.run_until("finished", |world| {
        ["A", "B"].iter().all(|id| world.order(id).is_some_and(|order| order.state == OrderState::Finished))
    });
    world.check_replay();
}

#[test]
fn a_disabled_subagent_gets_no_jobs() {
    let mut world = World::new();
    world.command(
        r#"{"TYPE": "UpdateItems", "operations": [{"TYPE": "AddOrChangeSimple", "item":
            {"TYPE": "SubagentItem", "id": "first", "agentPath": "AGENT", "uri": "first", "disabled": true}}]}"#,
    );
    world.deploy("1", &one_job("sleep 60000"));
    for id in ["A", "B"] {
        world.add_order(id);
    }
    world.run_until("running", |world| world.runs("B").is_some());
    assert_eq!(["A", "B"].map(|id| world.runs(id)), [Some(Name::Second), Some(Name::Second)]);
}

#[test]
fn a_deleted_subagent_is_given_back() {
    let mut world = World::new();
    world.command(
        r#"{"TYPE": "UpdateItems", "operations": [
            {"TYPE": "AddOrChangeSimple", "item": {"TYPE": "SubagentBundle", "id": "FIXED", "subagentToPriority": {"first": 1}}},
            {"TYPE": "DeleteSimple", "path": "Subagent:second"}]}"#,
    );
    world.run_until("deleted", |world| {
        world.controller().state().items().subagent(&SubagentId::new("second")).is_none()
    });
    assert!(world.director().replica().relations().subagents.get(&SubagentId::new("second")).is_none());
    world.check_replay();
}

#[test]
fn a_new_version_runs_beside_the_old_one() {
    let mut world = World::new();
    world.deploy("1", &one_job("sleep 5000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    world.deploy("2", &one_job("sleep 1000"));
    world.add_order("B");
    world.run_until("finished", |world| {
        ["A", "B"].iter().all(|id| world.order(id).is_some_and(|order| order.state == OrderState::Finished))
    });
    world.check_replay();
}

#[test]
fn many_orders_cost_no_more_each_than_few() {
    // What is told and written for some orders, in bytes: messages, records, and signs of life.
    let cost = |count: usize| {
        let mut world = World::new();
        world.deploy("1", &one_job("out x"));
        let orders: Vec<String> =
            (0..count).map(|n| format!(r#"{{"id": "O{n:05}", "workflowPath": "W", "planId": []}}"#)).collect();
        let before = world.told;
        world.command(&format!(r#"{{"TYPE": "AddOrders", "orders": [{}]}}"#, orders.join(",")));
        world.run_until("finished", |world| {
            world.controller().state().orders().all(|order| order.state == OrderState::Finished)
        });
        (world.told - before) / count
    };
    let (few, many) = (cost(50), cost(500));
    assert!(many <= few + few / 10, "each of 50 orders takes {few} bytes, each of 500 takes {many}");
}
