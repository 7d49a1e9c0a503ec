//! Controller and agent which know different things: each says so clearly, spins nowhere, and there is a way out.

use crate::setup::{agent, job_with, one_job};
use crate::world::{Name, World};
use baton_machine::message::FromAgent;
use baton_protocol::event_id::EventId;
use baton_workflow::model::order::OrderState;
use baton_workflow::problem::Problem;
use std::time::Duration;

/// The controller forgets what it has written since, as if it came from a backup.
fn forget(world: &mut World, since: usize) {
    world.kill(Name::Controller);
    world.controller.restore(since);
    world.start(Name::Controller);
}

#[test]
fn an_agent_with_another_history_is_tried_less_and_less_often_until_it_is_reset() {
    let mut world = World::new();
    world.deploy("1", &one_job("sleep 1000000"));
    let backup = world.controller.records.len();
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    forget(&mut world, backup);
    let problem = |world: &World| {
        world.controller().replica().relations().agents.get(&agent()).and_then(|agent| agent.problem.clone())
    };
    world.run_until("known to be wrong", |world| problem(world).is_some());
    let events = world.events(Name::Controller).len();
    world.run_for(Duration::from_secs(3_600));
    assert_eq!(world.events(Name::Controller).len(), events, "nothing new is said");
    let problem = problem(&world).expect("a problem");
    assert_eq!(problem.code, "AgentEventDoesNotFit");
    assert!(problem.message.contains("OrderAttached of \"A\"") && problem.message.contains("ResetAgent"), "{problem}");
    world.command(r#"{"TYPE": "ResetAgent", "agentPath": "AGENT", "force": true}"#);
    world.run_until("coupled", |world| world.controller().is_coupled_with(&agent()));
    world.add_order("B");
    world.run_until("running", |world| world.runs("B").is_some());
    world.check_replay();
}

#[test]
fn a_mark_that_the_agent_rejects_is_taken_back() {
    let mut world = World::new();
    world.deploy("1", &job_with("", "sleep 30000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    world.silent.insert(Name::Controller);
    world.command(r#"{"TYPE": "SuspendOrders", "orderIds": ["A"]}"#);
    let marked = world.events(Name::Controller).into_iter().rev();
    let cause = marked
        .filter(|event| event.event.type_name() == "OrderSuspensionMarked")
        .map(|event| event.event_id)
        .next()
        .expect("an event");
    world.silent.clear();
    for session in 1..4 {
        let rejected = |cause: EventId| FromAgent::Rejected {
            session,
            cause,
            order_id: Some(baton_workflow::id::OrderId::new("A")),
            problem: Problem::new("not so"),
        };
        world.forge(Name::Director, Name::Controller, &rejected(EventId(cause.0 + 1)));
        world.forge(Name::Director, Name::Controller, &rejected(cause));
    }
    world.run_until("rejected", |world| world.events_of("A").contains(&"OrderMarkRejected"));
    assert_eq!(world.order("A").and_then(|order| order.mark.clone()), None);
    let coupled = world.controller().is_coupled_with(&agent());
    assert!(coupled);
    world.run_until("finished", |world| world.order("A").is_some_and(|order| order.state == OrderState::Finished));
    world.check_replay();
}

#[test]
fn a_director_from_a_backup_runs_nothing_twice() {
    let mut world = World::new();
    world.deploy("1", &job_with(r#""isNotRestartable": true, "subagentBundleIdExpr": "'FIXED'","#, "sleep 5000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    world.run_for(Duration::from_secs(1));
    let backup = world.director.records.len();
    world.run_until("finished", |world| world.order("A").is_some_and(|order| order.state == OrderState::Finished));
    world.run_for(Duration::from_secs(1));
    world.kill(Name::Director);
    world.director.restore(backup);
    world.start(Name::Director);
    let id = baton_workflow::id::SubagentId::new("first");
    world.run_until("coupled", |world| world.director().is_coupled_with(&id));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.starts.get(&baton_workflow::id::OrderId::new("A")), Some(&1));
    let events: Vec<&str> = world.events(Name::Director).iter().map(|event| event.event.type_name()).collect();
    assert!(events.contains(&"SubagentReset"), "{events:?}");
    let problem = world.controller().replica().relations().agents.get(&agent()).and_then(|agent| agent.problem.clone());
    assert!(problem.is_some_and(|problem| problem.message.contains("ResetAgent")));
}
