//! Subagents that are lost: new jobs start elsewhere soon, and what ran is repeated once it is certain that it ended.

use crate::setup::{job_with, one_job};
use crate::world::{Name, World};
use baton_machine::timing::Timing;
use baton_workflow::id::{OrderId, SubagentId};
use baton_workflow::model::order::OrderState;
use std::time::Duration;

fn finished(id: &'static str) -> impl Fn(&World) -> bool {
    move |world| world.order(id).is_some_and(|order| order.state == OrderState::Finished)
}

#[test]
fn a_dead_subagent_s_job_is_repeated_elsewhere_soon() {
    let mut world = World::new();
    world.deploy("1", &job_with(r#""subagentBundleIdExpr": "'FIXED'","#, "sleep 20000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A") == Some(Name::First));
    world.kill(Name::First);
    let time = world.run_until("running elsewhere", |world| world.runs("A") == Some(Name::Second));
    assert!(time <= Duration::from_secs(3), "{time:?}");
    world.run_until("finished", finished("A"));
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&2));
    world.check_replay();
}

#[test]
fn a_job_that_must_not_be_repeated_fails() {
    let mut world = World::new();
    world.deploy("1", &job_with(r#""isNotRestartable": true,"#, "sleep 20000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    world.kill(Name::First);
    world.run_until("failed", |world| world.order("A").is_some_and(|order| order.state == OrderState::Failed));
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&1));
}

#[test]
fn a_silent_subagent_gets_no_jobs_and_keeps_what_it_runs_until_its_lease_ends() {
    let mut world = World::new();
    world.deploy("1", &job_with(r#""subagentBundleIdExpr": "'FIXED'","#, "sleep 300000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A") == Some(Name::First));
    world.silent.insert(Name::First);
    world.run_for(Duration::from_millis(2_500));
    world.add_order("B");
    let time = world.run_until("running elsewhere", |world| world.runs("B") == Some(Name::Second));
    assert!(time <= Duration::from_millis(500), "{time:?}");
    assert_eq!(world.runs("A"), Some(Name::First));
    // The world checks that it does not run twice at a time.
    let time = world.run_until("repeated", |world| world.runs("A") == Some(Name::Second));
    assert!(time <= Timing::DEFAULT.reconnect_timeout + Timing::DEFAULT.loss_margin, "{time:?}");
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&2));
    // It comes back, and what it tells of the first attempt is not heard.
    world.silent.clear();
    world.run_until("coupled", |world| world.director().is_coupled_with(&SubagentId::new("first")));
    world.run_until("finished", finished("A"));
    assert_eq!(world.events_of("A").iter().filter(|name| **name == "OrderProcessed").count(), 2);
    world.check_replay();
}

#[test]
fn a_subagent_that_is_silent_for_a_while_goes_on() {
    let mut world = World::new();
    world.deploy("1", &one_job("sleep 10000\\nout done"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    world.silent.insert(Name::First);
    world.run_for(Duration::from_secs(15));
    world.silent.clear();
    world.run_until("finished", finished("A"));
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&1));
    assert_eq!(world.events_of("A").iter().filter(|name| **name == "OrderStdoutWritten").count(), 1);
}

#[test]
fn a_restarted_subagent_has_lost_its_processes() {
    let mut world = World::new();
    world.deploy("1", &job_with(r#""subagentBundleIdExpr": "'FIXED'","#, "sleep 20000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A") == Some(Name::First));
    world.silent.insert(Name::First);
    world.kill(Name::First);
    world.start(Name::First);
    world.silent.clear();
    world.run_until("repeated", |world| world.starts.get(&OrderId::new("A")) == Some(&2));
    world.run_until("finished", finished("A"));
    world.check_replay();
}

#[test]
fn a_subagent_that_is_told_to_stop_ends_what_it_has_and_takes_nothing_new() {
    let mut world = World::new();
    world.deploy("1", &job_with(r#""subagentBundleIdExpr": "'FIXED'","#, "sleep 20000\\nout done"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A") == Some(Name::First));
    world.stop(Name::First);
    world.run_for(Duration::from_secs(1));
    world.add_order("B");
    world.run_until("running elsewhere", |world| world.runs("B") == Some(Name::Second));
    assert_eq!(world.runs("A"), Some(Name::First));
    assert!(world.stopped.is_empty());
    // A break of the connection meanwhile loses nothing.
    world.silent.insert(Name::First);
    world.run_for(Duration::from_secs(10));
    world.silent.clear();
    world.run_until("stopped", |world| world.stopped == [Name::First]);
    let count = |world: &World, name: &str| {
        world.events(Name::Director).iter().filter(|event| event.event.type_name() == name).count()
    };
    world.run_until("known to be stopped", |world| count(world, "SubagentShutdown2") == 1);
    world.kill(Name::First);
    world.run_until("finished", finished("A"));
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&1));
    assert_eq!(world.events_of("A").iter().filter(|name| **name == "OrderStdoutWritten").count(), 1);
    world.check_replay();
}

#[test]
fn the_time_of_a_process_counts_while_its_launch_is_under_way() {
    let mut world = World::new();
    world.deploy("1", &job_with(r#""timeout": 5, "subagentBundleIdExpr": "'FIXED'","#, "sleep 300000"));
    world.silent.insert(Name::First);
    world.add_order("A");
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.starts.get(&OrderId::new("A")), None, "the launch was lost");
    world.silent.clear();
    world.run_until("failed", |world| world.order("A").is_some_and(|order| order.state == OrderState::Failed));
    let outcome = format!("{:?}", world.order("A").and_then(|order| order.last_outcome()));
    assert!(outcome.starts_with("Some(TimedOut"), "{outcome}");
    world.check_replay();
}

#[test]
fn a_subagent_that_moves_is_left_when_what_it_runs_has_ended() {
    let moves = |uri: &str| {
        format!(
            r#"{{"TYPE": "UpdateItems", "operations": [{{"TYPE": "AddOrChangeSimple", "item":
                {{"TYPE": "SubagentItem", "id": "second", "agentPath": "AGENT", "uri": "{uri}"}}}}]}}"#
        )
    };
    let second = SubagentId::new("second");
    let mut world = World::new();
    world.deploy("1", &job_with(r#""subagentBundleIdExpr": "'second'","#, "sleep 20000\\nout done"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A") == Some(Name::Second));
    // Nobody is at the new address; that says nothing about the old one.
    world.command(&moves("nowhere"));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.runs("A"), Some(Name::Second));
    // A director that is started again knows it too.
    world.kill(Name::Director);
    world.start(Name::Director);
    world.add_order("B");
    world.run_until("finished", finished("A"));
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&1));
    assert_eq!(world.events_of("A").iter().filter(|name| **name == "OrderStdoutWritten").count(), 1);
    world.run_until("left", |world| !world.director().is_coupled_with(&second));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.starts.get(&OrderId::new("B")), None, "it was started at the old address");
    // The same process is at the new address: what runs there later belongs there.
    world.command(&moves("second"));
    world.run_until("running there", |world| world.runs("B") == Some(Name::Second));
    assert!(!world.director().replica().relations().is_moving(&second));
    // A process that is dead at the old address has lost what ran there.
    world.command(&moves("nowhere"));
    world.run_for(Duration::from_secs(1));
    world.kill(Name::Second);
    world.run_for(Duration::from_secs(3));
    assert!(world.events_of("B").contains(&"OrderProcessed"));
    world.command(&moves("second"));
    world.start(Name::Second);
    world.run_until("finished", finished("B"));
    assert_eq!(world.starts.get(&OrderId::new("B")), Some(&2));
    world.check_replay();
}
