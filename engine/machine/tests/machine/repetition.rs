//! A command with an id is carried out once, however often it is asked for: after a crash, from an image, and when it is one
//! that is carried out in parts. What was looked at is shown when it is committed.

use crate::setup::agent;
use crate::world::{Name, World};
use baton_machine::draft::Slice;
use std::time::Duration;

const PROMPT: &str = r#"{"TYPE": "Workflow", "path": "W", "instructions": [{"TYPE": "Prompt", "question": "'?'"}]}"#;
const NO_STEP: &str = r#"{"TYPE": "Workflow", "path": "W", "instructions": []}"#;

fn addition(id: &str) -> String {
    let order = format!(r#"{{"id": "{id}", "workflowPath": "W", "planId": [], "deleteWhenTerminated": true}}"#);
    format!(r#"{{"TYPE": "AddOrder", "order": {order}}}"#)
}

fn events(world: &World, name: &str) -> usize {
    world.events(Name::Controller).iter().filter(|event| event.event.type_name() == name).count()
}

#[test]
fn a_command_with_an_id_is_carried_out_once() {
    let mut world = World::new();
    world.deploy("1", NO_STEP);
    // The order is gone as soon as it has come, so that its own id does not protect it.
    let first = world.give_command_as(Some("id-1"), &addition("O"));
    let second = world.give_command_as(Some("id-1"), &addition("O"));
    let (first, second) = (world.answer(first), world.answer(second));
    assert!(first.answer.is_ok());
    assert_eq!(first.answer, second.answer);
    assert_eq!(events(&world, "OrderAdded"), 1);
    world.kill(Name::Controller);
    world.start(Name::Controller);
    let third = world.give_command_as(Some("id-1"), &addition("O"));
    assert_eq!(world.answer(third).answer, first.answer);
    world.restart_from_image();
    let fourth = world.give_command_as(Some("id-1"), &addition("O"));
    assert_eq!(world.answer(fourth).answer, first.answer);
    assert_eq!(events(&world, "OrderAdded"), 1);
    assert_eq!(events(&world, "CommandAnswered"), 1);
    let other = world.give_command_as(Some("id-2"), &addition("O"));
    assert!(world.answer(other).answer.is_ok());
    assert_eq!(events(&world, "OrderAdded"), 2);
}

#[test]
fn the_id_of_another_command_is_refused() {
    let mut world = World::new();
    world.deploy("1", NO_STEP);
    let first = world.give_command_as(Some("id"), &addition("O"));
    assert!(world.answer(first).answer.is_ok());
    let other = world.give_command_as(Some("id"), &addition("P"));
    assert_eq!(world.answer(other).answer.unwrap_err().code, "DuplicateCommandId");
    assert_eq!(events(&world, "OrderAdded"), 1);
}

#[test]
fn nothing_is_recorded_of_refused_commands_and_of_those_without_id() {
    let mut world = World::new();
    let refused = world.give_command_as(Some("id"), &addition("O"));
    assert!(world.answer(refused).answer.is_err());
    world.deploy("1", NO_STEP);
    world.command(&addition("O"));
    assert_eq!(events(&world, "CommandAnswered"), 0);
    // It may be tried again.
    let again = world.give_command_as(Some("id"), &addition("P"));
    assert!(world.answer(again).answer.is_ok());
}

#[test]
fn a_command_in_parts_is_carried_out_once() {
    let mut world = World::new();
    world.slice = Slice { orders: 3, bytes: 4 << 20 };
    for name in [Name::Controller, Name::Director] {
        world.kill(name);
        world.start(name);
    }
    world.run_until("coupled", |world| world.controller().is_coupled_with(&agent()));
    world.deploy("1", PROMPT);
    for n in 0..20 {
        world.command(&format!(
            r#"{{"TYPE": "AddOrder", "order": {{"id": "O-{n:02}", "workflowPath": "W", "planId": [], "scheduledFor": 1999999999000}}}}"#
        ));
    }
    let cancel = r#"{"TYPE": "CancelOrders", "orderIds": "(id) => true"}"#;
    let first = world.give_command_as(Some("id"), cancel);
    let second = world.give_command_as(Some("id"), cancel);
    world.run_until("begun", |world| events(world, "OrderCancelled") > 5);
    assert!(!world.is_answered(first) && !world.is_answered(second));
    world.kill(Name::Controller);
    world.start(Name::Controller);
    let third = world.give_command_as(Some("id"), cancel);
    assert!(world.answer(third).answer.is_ok());
    assert_eq!(events(&world, "OrderCancelled"), 20);
    let fourth = world.give_command_as(Some("id"), cancel);
    assert!(world.answer(fourth).answer.is_ok());
    assert_eq!(events(&world, "CommandBegun"), 1);
    world.check_replay();
}

#[test]
fn what_was_seen_is_shown_when_it_is_committed() {
    let mut world = World::new();
    world.deploy("1", PROMPT);
    world.sync_time = Duration::from_secs(1);
    let command = world.give_command(&addition("O"));
    let looking = world.look();
    world.run_for(Duration::from_millis(500));
    assert!(world.controller().state().order_count() == 1, "it is seen");
    assert!(!world.is_answered(command) && !world.seen.contains(&looking), "but not shown");
    world.run_for(Duration::from_millis(600));
    assert!(world.is_answered(command) && world.seen.contains(&looking));
}
