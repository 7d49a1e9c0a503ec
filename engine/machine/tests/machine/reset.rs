//! Resets: the last resort.

use crate::world::{Name, World, agent, job_with, one_job};
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
