//! Nodes that are killed and come back: nothing is lost, nothing happens twice.

use crate::setup::{execute, one_job};
use crate::world::{Name, World};
use baton_workflow::id::OrderId;
use baton_workflow::model::event::Event;
use baton_workflow::model::order::OrderState;
use baton_workflow::model::order_event::OrderEvent;
use std::time::Duration;

fn finished(id: &'static str) -> impl Fn(&World) -> bool {
    move |world| world.order(id).is_some_and(|order| order.state == OrderState::Finished)
}

#[test]
fn a_process_survives_the_restart_of_its_director() {
    let mut world = World::new();
    world.deploy("1", &one_job("out one\\nsleep 5000\\nout two"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    world.run_for(Duration::from_secs(1));
    world.kill(Name::Director);
    world.run_for(Duration::from_secs(10));
    world.start(Name::Director);
    world.run_until("finished", finished("A"));
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&1));
    let events = world.events_of("A");
    assert_eq!(events.iter().filter(|name| **name == "OrderStdoutWritten").count(), 2, "{events:?}");
    world.check_replay();
}

#[test]
fn the_controller_restarts_while_a_process_runs() {
    let mut world = World::new();
    world.deploy("1", &one_job("sleep 5000\\nout done"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    world.kill(Name::Controller);
    world.run_for(Duration::from_secs(10));
    world.start(Name::Controller);
    world.run_until("finished", finished("A"));
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&1));
    world.check_replay();
}

/// Two jobs, and one node that is killed after some time, with or without a disk that takes its time. What was not synced is
/// lost.
fn kill_at(name: Name, sync_time: Duration, after: Duration, away: Duration) {
    let what = format!("{name:?}, sync {sync_time:?}, after {after:?}, away {away:?}");
    let mut world = World::new();
    world.sync_time = sync_time;
    let jobs = [execute("", "out one\\nsleep 30"), execute("", "out two\\nsleep 30")].join(",");
    world.deploy("1", &format!(r#"{{"TYPE": "Workflow", "path": "W", "instructions": [{jobs}]}}"#));
    world.add_order("A");
    world.run_for(after);
    world.kill(name);
    world.run_for(away);
    world.start(name);
    world.run_until("finished", finished("A"));
    world.run_until("all is on the disks", World::is_synced);
    let events = world.events_of("A");
    assert_eq!(events.iter().filter(|name| **name == "OrderProcessed").count(), 2, "{what}: {events:?}");
    assert_eq!(events.iter().filter(|name| **name == "OrderStdoutWritten").count(), 2, "{what}: {events:?}");
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&2), "{what}");
    world.check_replay();
}

#[test]
fn everything_restarts_at_any_moment() {
    for moment in 0..40 {
        for name in [Name::Controller, Name::Director] {
            let (after, away) = (Duration::from_millis(2 * moment), Duration::from_millis(100 * (moment % 3)));
            kill_at(name, Duration::ZERO, after, away);
        }
    }
}

#[test]
fn what_a_crash_takes_from_the_disk_was_promised_to_nobody() {
    for moment in 0..120 {
        for name in [Name::Controller, Name::Director] {
            let (after, away) = (Duration::from_millis(moment), Duration::from_millis(700 * (moment % 2)));
            kill_at(name, Duration::from_millis(5), after, away);
        }
    }
}

/// A transaction that is longer than a record counts as a whole or not at all.
#[test]
fn a_crash_in_a_long_transaction_leaves_nothing_of_it() {
    let mut world = World::new();
    world.deploy("1", &one_job("out x"));
    let text = "x".repeat(1 << 20);
    let orders: Vec<String> = (0..18)
        .map(|n| format!(r#"{{"id": "A{n}", "workflowPath": "W", "planId": [], "arguments": {{"text": "{text}"}}}}"#))
        .collect();
    let command = format!(r#"{{"TYPE": "AddOrders", "orders": [{}]}}"#, orders.join(","));
    assert_eq!(world.crash_in_command(&command, 1), 2);
    world.start(Name::Controller);
    world.add_order("B");
    assert!(world.order("A0").is_none());
    world.check_replay();

    assert_eq!(world.crash_in_command(&command, 2), 2);
    world.start(Name::Controller);
    world.run_until("finished", |world| {
        (0..18).all(|n| world.order(&format!("A{n}")).is_some_and(|order| order.state == OrderState::Finished))
    });
    world.check_replay();
}

#[test]
fn repeated_messages_change_nothing() {
    let mut world = World::new();
    world.doubles = true;
    world.deploy("1", &one_job("out one\\nsleep 100\\nout two"));
    world.add_order("A");
    world.run_until("finished", finished("A"));
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&1));
    let events = world.events_of("A");
    assert_eq!(events.iter().filter(|name| **name == "OrderStdoutWritten").count(), 2, "{events:?}");
    world.check_replay();
}

#[test]
fn orders_go_on_without_the_controller() {
    let mut world = World::new();
    let jobs = [execute("", "sleep 20000"), execute("", "sleep 1000")].join(",");
    world.deploy("1", &format!(r#"{{"TYPE": "Workflow", "path": "W", "instructions": [{jobs}]}}"#));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A").is_some());
    world.silent.insert(Name::Controller);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&2));
    world.silent.clear();
    world.run_until("finished", finished("A"));
    world.check_replay();
}

#[test]
fn a_command_that_is_too_long_is_refused() {
    let mut world = World::new();
    world.deploy("1", &one_job("out x"));
    for (count, length) in [(1, 16 << 20), (3, 8 << 20)] {
        let text = "x".repeat(length);
        let orders: Vec<String> = (0..count)
            .map(|n| {
                format!(r#"{{"id": "A{n}", "workflowPath": "W", "planId": [], "arguments": {{"text": "{text}"}}}}"#)
            })
            .collect();
        let reply = world.try_command(&format!(r#"{{"TYPE": "AddOrders", "orders": [{}]}}"#, orders.join(",")));
        assert_eq!(reply.answer.err().map(|problem| problem.code.to_string()), Some("CommandTooLong".into()));
    }
    assert_eq!(world.controller().state().order_count(), 0);
}

#[test]
fn orders_wait_for_their_job_in_the_same_order_after_a_restart() {
    let mut world = World::new();
    let job = r#"{"TYPE": "Execute.Anonymous", "job": {"agentPath": "AGENT", "processLimit": 1,
        "executable": {"TYPE": "ShellScriptExecutable", "script": "sleep 5000"}}}"#;
    world.deploy("1", &format!(r#"{{"TYPE": "Workflow", "path": "W", "instructions": [{job}]}}"#));
    let ids = ["M", "Z", "A", "K", "B"];
    for id in ids {
        world.add_order(id);
        world.run_for(Duration::from_millis(10));
    }
    // It has another priority, but not another place.
    world.command(r#"{"TYPE": "ChangeOrder", "orderId": "Z", "priority": 0.1}"#);
    world.run_until("running", |world| world.runs("M").is_some());
    world.kill(Name::Director);
    world.start(Name::Director);
    world.run_until("finished", |world| ids.iter().all(|id| finished(id)(world)));
    let started: Vec<String> = world
        .events(Name::Director)
        .into_iter()
        .filter_map(|event| match event.event {
            Event::Order(id, OrderEvent::OrderProcessingStarted { .. }) => Some(id.as_str().to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(started, ids);
    world.check_replay();
}
