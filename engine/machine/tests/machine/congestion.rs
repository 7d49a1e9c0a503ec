//! Disks that do not follow: what is due waits, what can be asked for again is not taken in, and nothing breaks.

use crate::setup::one_job;
use crate::world::{Name, World};
use baton_protocol::limit::Limits;
use baton_workflow::model::order::OrderState;
use std::time::Duration;

/// A world in which controller and director keep little of what is not on their disks.
fn narrow_world() -> World {
    let mut world = World::new();
    world.limits = Limits { records: 40, ..Limits::DEFAULT };
    for name in [Name::Controller, Name::Director] {
        world.kill(name);
        world.start(name);
    }
    world.run_for(Duration::from_secs(5));
    world
}

#[test]
fn what_is_due_waits_for_the_disk() {
    let mut world = narrow_world();
    world.deploy("1", &one_job("out x\\nsleep 100\\nout x"));
    world.sync_time = Duration::from_secs(30);
    for n in 0..30 {
        let _ = world.give_command(&format!(
            r#"{{"TYPE": "AddOrder", "order": {{"id": "O{n}", "workflowPath": "W", "planId": []}}}}"#
        ));
    }
    world.run_for(Duration::from_secs(60));
    world.sync_time = Duration::ZERO;
    world.run_until("finished", |world| {
        world.controller().state().orders().all(|order| order.state == OrderState::Finished)
    });
    assert!(world.controller().state().order_count() >= 20);
}

#[test]
fn files_that_come_while_the_disk_stalls_are_asked_for_again() {
    let mut world = narrow_world();
    world.deploy("1", &one_job("out x"));
    world.command(
        r#"{"TYPE": "UpdateItems", "operations": [{"TYPE": "AddOrChangeSimple", "item": {"TYPE": "FileWatch", "path": "FILES",
            "workflowPath": "W", "agentPath": "AGENT", "directoryExpr": "'/files'"}}]}"#,
    );
    world.run_until("watched", |world| world.watches == 1);
    world.sync_time = Duration::from_secs(10);
    for n in 0..100 {
        world.file_appears("FILES", &format!("file-{n}"));
    }
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.watches, 1);
    world.run_until("watched again", |world| world.watches == 2);
}

#[test]
fn readers_are_answered_also_when_too_much_waits_for_the_disk() {
    const READS: usize = 20;
    let mut world = World::new();
    world.deploy("1", &one_job("out x"));
    world.limits = Limits { promises: 8, ..Limits::DEFAULT };
    world.kill(Name::Controller);
    world.start(Name::Controller);
    world.run_for(Duration::from_secs(5));
    let before = world.controller().replica().last_event_id();
    world.sync_time = Duration::from_secs(30);
    let _ = world.give_command(r#"{"TYPE": "AddOrder", "order": {"id": "A", "workflowPath": "W", "planId": []}}"#);
    world.run_for(Duration::from_secs(1));
    for _ in 0..READS {
        world.read_after(before);
    }
    world.run_for(Duration::from_secs(1));
    assert!(world.unserved > 0 && world.read_events.is_empty());
    world.sync_time = Duration::ZERO;
    world.run_until("answered", |world| world.unserved + world.read_events.len() == READS);
}
