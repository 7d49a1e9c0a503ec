//! Pairs of directors, with a pair of controllers: take-overs and switch-overs while jobs run.

mod disk;
mod storm;
mod watched;
mod world;

use crate::setup::{agent, one_job};
use baton_protocol::pair::Order;
use baton_protocol::time::Duration;
use baton_workflow::id::{OrderId, SubagentId};
use baton_workflow::model::event::Event;
use world::Name::{C1, C2, CW, D1, D2, DW, S1, S2, S3};
use world::World;

/// A workflow with one job, that runs for some seconds at this subagent.
fn job_at(subagent: &str, script: &str) -> String {
    crate::setup::job_with(&format!(r#""subagentBundleId": "{subagent}","#), script)
}

const ONCE: [&str; 8] = [
    "OrderAdded",
    "OrderAttachable",
    "OrderAttached",
    "OrderStarted",
    "OrderProcessingStarted",
    "OrderStdoutWritten",
    "OrderStdoutWritten",
    "OrderProcessed",
];

/// The order came to its end after one process which was never taken for lost.
fn ran_once(world: &mut World, id: &str) {
    world.run_until("finished", |world| world.is_finished(id));
    world.run_for(Duration::from_secs(1));
    let events = world.events_of(C1, id);
    assert_eq!(events[..ONCE.len()], ONCE, "{events:?}");
    assert_eq!(events.iter().filter(|name| **name == "OrderProcessed").count(), 1, "{events:?}");
    assert_eq!(world.starts[&OrderId::new(id)], 1);
}

#[test]
fn a_director_pair_runs_orders_and_both_know_the_same() {
    let mut world = World::new();
    assert!(world.director(D1).is_working() && !world.director(D2).is_working());
    world.run_order("O", &one_job("out one\\nsleep 100\\nout two"));
    ran_once(&mut world, "O");
    world.check_equal(D1, D2);
    world.check_equal(C1, C2);
}

#[test]
fn a_job_at_a_subagent_survives_the_death_of_its_director() {
    let mut world = World::new();
    world.run_order("O", &job_at("three", "out one\\nsleep 20000\\nout two"));
    world.run_until("running", |world| world.runs("O").is_some());
    world.run_for(Duration::from_secs(1));
    world.kill(D1);
    let time = world.run_until("taken over", |world| world.director(D2).is_working());
    assert!(time < Duration::from_secs(2), "{time:?}");
    ran_once(&mut world, "O");
    world.start(D1);
    world.settle(D2);
    world.check_equal(D1, D2);
}

#[test]
fn a_job_in_the_process_of_the_dead_director_is_run_again_elsewhere() {
    let mut world = World::new();
    world.run_order("O", &job_at("", "out one\\nsleep 5000\\nout two"));
    world.run_until("running", |world| world.runs("O") == Some(S1));
    world.kill(D1);
    world.run_until("again", |world| world.runs("O") == Some(S2));
    world.run_until("finished", |world| world.is_finished("O"));
    assert_eq!(world.events_of(C1, "O").iter().filter(|name| **name == "OrderProcessed").count(), 2);
}

#[test]
fn a_job_in_the_process_of_the_active_director_goes_on_after_a_switch_over() {
    let mut world = World::new();
    world.run_order("O", &job_at("", "out one\\nsleep 10000\\nout two"));
    world.run_until("running", |world| world.runs("O") == Some(S1));
    world.run_for(Duration::from_secs(1));
    world.order(D1, Order::SwitchOver);
    world.settle(D2);
    assert_eq!(world.runs("O"), Some(S1));
    ran_once(&mut world, "O");
    world.check_equal(D1, D2);
    // And back.
    world.run_order("P", &job_at("", "out one\\nsleep 10000\\nout two"));
    world.run_until("running", |world| world.runs("P") == Some(S2));
    world.run_for(Duration::from_secs(1));
    world.order(D2, Order::SwitchOver);
    world.settle(D1);
    ran_once(&mut world, "P");
    world.check_equal(D1, D2);
}

#[test]
fn a_director_that_does_not_know_that_it_is_replaced_is_obeyed_by_nobody() {
    let mut world = World::new();
    world.run_order("O", &job_at("three", "out one\\nsleep 30000\\nout two"));
    world.run_until("running", |world| world.runs("O") == Some(S3));
    world.run_for(Duration::from_secs(1));
    // The subagents and the controllers can still reach it.
    world.cut(D1, &[D2, DW]);
    world.run_until("taken over", |world| world.director(D2).is_working());
    assert!(world.director(D1).is_active(), "it does not know");
    world.run_until("coupled", |world| {
        world.director(D2).is_coupled_with(&SubagentId::new("three")) && world.director(D2).is_coupled()
    });
    world.run_for(Duration::from_secs(1));
    assert!(!world.director(D1).is_coupled_with(&SubagentId::new("three")));
    assert!(world.director(D1).is_active(), "it still does not know");
    world.run_order("P", &job_at("three", "out one\\nsleep 100\\nout two"));
    ran_once(&mut world, "P");
    world.heal();
    ran_once(&mut world, "O");
    world.settle(D2);
    world.check_equal(D1, D2);
}

#[test]
fn processes_that_only_a_replaced_director_reaches_end_before_they_are_taken_for_lost() {
    let mut world = World::new();
    world.run_order("O", &job_at("one", "out one\\nsleep 150000\\nout two"));
    world.run_until("running", |world| world.runs("O") == Some(S1));
    world.run_for(Duration::from_secs(1));
    world.cut(D1, &[D2, DW, C1, C2]);
    world.run_until("taken over", |world| world.director(D2).is_working());
    // Else the second process would be started while the first one runs, which the world notices.
    let time = world.run_until("lost", |world| world.events_of(D2, "O").contains(&"OrderProcessed"));
    assert!(time > Duration::from_secs(60), "{time:?}");
    assert_eq!(world.runs("O"), None);
    world.heal();
    world.run_until("again", |world| world.runs("O").is_some());
}

#[test]
fn both_pairs_fail_over_while_a_job_runs() {
    let mut world = World::new();
    world.run_order("O", &job_at("three", "out one\\nsleep 20000\\nout two"));
    world.run_until("running", |world| world.runs("O").is_some());
    world.run_for(Duration::from_secs(1));
    world.kill(D1);
    world.kill(C1);
    world.run_until("taken over", |world| world.director(D2).is_working() && world.controller(C2).is_working());
    world.start(C1);
    world.start(D1);
    world.settle(D2);
    world.kill(C2);
    world.run_until("taken over", |world| world.controller(C1).is_working());
    world.start(C2);
    ran_once(&mut world, "O");
    world.settle(D2);
    world.run_until("coupled", |world| world.is_coupled_pair(C1));
    world.check_equal(D1, D2);
    world.check_equal(C1, C2);
}

#[test]
fn take_overs_at_any_moment_lose_and_double_nothing() {
    for moment in 0..60 {
        let mut world = World::new();
        world.run_order("O", &job_at("three", "out one\\nsleep 10\\nout two"));
        world.run_for(Duration::from_millis(moment));
        world.kill(D1);
        world.run_until("finished", |world| world.is_finished("O") && world.director(D2).is_working());
        assert_eq!(world.starts[&OrderId::new("O")], 1, "killed after {moment} ms");
        world.start(D1);
        world.settle(D2);
        world.check_equal(D1, D2);
    }
}

#[test]
fn files_are_watched_by_the_active_director() {
    let mut world = World::new();
    world.run_order("O", &one_job("out one\\nsleep 1\\nout two"));
    world.command(
        r#"{"TYPE": "UpdateItems", "operations": [{"TYPE": "AddOrChangeSimple", "item": {"TYPE": "FileWatch",
            "path": "FILES", "workflowPath": "W", "agentPath": "AGENT", "directoryExpr": "'/in'"}}]}"#,
    );
    world.run_until("watched", |world| world.watching.len() == 1);
    let orders = |world: &World| {
        let events = world.events(C1);
        let is_added = |event: &Event| matches!(event, Event::Order(id, _) if id.as_str().starts_with("file:"));
        events.iter().filter(|it| is_added(&it.event) && it.event.type_name() == "OrderAdded").count()
    };
    world.set_files("FILES", &["a"]);
    world.run_until("first", |world| orders(world) == 1);
    world.order(D1, Order::SwitchOver);
    world.settle(D2);
    assert!(world.watching.iter().map(|(name, _)| *name).eq([D2]), "{:?}", world.watching);
    world.set_files("FILES", &["a", "b"]);
    world.run_until("second", |world| orders(world) == 2);
    world.kill(D2);
    world.set_files("FILES", &["a", "b", "c"]);
    world.run_until("third", |world| orders(world) == 3);
    world.run_for(Duration::from_secs(20));
    assert_eq!(orders(&world), 3);
    assert!(world.controller(C1).is_coupled_with(&agent()) && world.is_running(CW));
}

#[test]
fn a_reset_agent_is_as_new_at_both_directors() {
    let mut world = World::new();
    world.run_order("O", &job_at("three", "out one\\nsleep 60000\\nout two"));
    world.run_until("running", |world| world.runs("O") == Some(S3));
    world.command(r#"{"TYPE": "ResetAgent", "agentPath": "AGENT"}"#);
    world.run_until("ended", |world| world.runs("O").is_none());
    world.settle(D1);
    world.check_equal(D1, D2);
    assert_eq!(world.director(D2).state().orders().count(), 0);
    world.run_order("P", &job_at("three", "out one\\nsleep 5000\\nout two"));
    world.run_until("running", |world| world.runs("P") == Some(S3));
    world.kill(D1);
    ran_once(&mut world, "P");
}

#[test]
fn a_director_that_was_away_for_long_gets_an_image() {
    let mut world = World::new();
    world.image_after = 20;
    world.kill(D2);
    for n in 0..100 {
        world.run_order(&format!("O-{n}"), &job_at("three", "out one\\nsleep 10\\nout two"));
    }
    world.run_until("finished", |world| (0..100).all(|n| world.is_finished(&format!("O-{n}"))));
    let needed = world.disks[&D2].end().offset;
    world.run_until("released", |world| world.disks[&D1].recovered().released > needed);
    world.run_order("P", &job_at("three", "out one\\nsleep 20000\\nout two"));
    world.run_until("running", |world| world.runs("P") == Some(S3));
    world.start(D2);
    world.settle(D1);
    world.check_equal(D1, D2);
    assert!(world.disks[&D2].recovered().released > needed, "it began anew");
    world.kill(D1);
    ran_once(&mut world, "P");
}

#[test]
fn an_agent_gets_a_second_director_while_a_job_runs() {
    let mut world = World::with_one_director();
    world.run_order("O", &job_at("three", "out one\\nsleep 30000\\nout two"));
    world.run_until("running", |world| world.runs("O") == Some(S3));
    world.add_director();
    world.settle(D1);
    world.check_equal(D1, D2);
    world.kill(D1);
    ran_once(&mut world, "O");
    world.start(D1);
    world.settle(D2);
    world.check_equal(D1, D2);
}
