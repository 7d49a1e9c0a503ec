//! What concerns many orders is done in slices: others have their turn between them, and what was begun goes on after a crash.

use crate::setup::{agent, job_with, one_job};
use crate::world::{Name, World};
use baton_machine::draft::Slice;
use baton_workflow::model::order::{Order, OrderState};
use std::time::Duration;

const ORDERS: usize = 30;

/// A world whose nodes do little in one step.
fn sliced_world() -> World {
    let mut world = World::new();
    world.slice = Slice { orders: 3, bytes: 4 << 20 };
    for name in [Name::Controller, Name::Director] {
        world.kill(name);
        world.start(name);
    }
    world.run_until("coupled", |world| world.controller().is_coupled_with(&agent()));
    world
}

fn add_orders(world: &mut World, members: &str) {
    for n in 0..ORDERS {
        world.command(&format!(
            r#"{{"TYPE": "AddOrder", "order": {{"id": "O-{n:02}", "workflowPath": "W", "planId": [], {members} "arguments": {{}}}}}}"#
        ));
    }
}

fn count(world: &World, is_so: impl Fn(&Order) -> bool) -> usize {
    world.controller().state().orders().filter(|order| is_so(order)).count()
}

fn is_cancelled(order: &Order) -> bool {
    order.state == OrderState::Cancelled
}

fn events(world: &World, name: &str) -> usize {
    world.events(Name::Controller).iter().filter(|event| event.event.type_name() == name).count()
}

const LATER: &str = r#""scheduledFor": 1999999999000,"#;
const PROMPT: &str = r#"{"TYPE": "Workflow", "path": "W", "instructions": [{"TYPE": "Prompt", "question": "'?'"}]}"#;
const OTHER_PROMPT: &str =
    r#"{"TYPE": "Workflow", "path": "W", "instructions": [{"TYPE": "Prompt", "question": "'!'"}]}"#;
const CANCEL_ALL: &str = r#"{"TYPE": "CancelOrders", "orderIds": "(id) => $id != 'NOBODY'"}"#;

#[test]
fn a_command_over_many_orders_is_answered_when_it_is_done_and_others_meanwhile() {
    let mut world = sliced_world();
    world.deploy("1", PROMPT);
    add_orders(&mut world, LATER);
    let caller = world.give_command(CANCEL_ALL);
    let other = world.give_command(r#"{"TYPE": "CancelOrders", "orderIds": ["O-29"]}"#);
    world.run_until("another command is answered", |world| world.is_answered(other));
    assert!(!world.is_answered(caller));
    assert!(count(&world, is_cancelled) < ORDERS);
    world.run_until("answered", |world| world.is_answered(caller));
    assert_eq!(count(&world, is_cancelled), ORDERS);
    assert_eq!(events(&world, "OrderCancelled"), ORDERS);
    assert!(events(&world, "CommandContinued") >= ORDERS / 3 - 1);
    assert_eq!(events(&world, "CommandEnded"), 1);
    world.check_replay();
}

#[test]
fn a_command_over_many_orders_survives_crashes() {
    let mut world = sliced_world();
    world.deploy("1", PROMPT);
    add_orders(&mut world, LATER);
    let ids: Vec<String> = (0..ORDERS).rev().map(|n| format!("\"O-{n:02}\"")).collect();
    world.give_command(&format!(r#"{{"TYPE": "CancelOrders", "orderIds": [{}]}}"#, ids.join(",")));
    for done in [4, 10, 20] {
        world.run_until("some are cancelled", |world| count(world, is_cancelled) >= done);
        assert!(count(&world, is_cancelled) < ORDERS);
        world.kill(Name::Controller);
        world.start(Name::Controller);
    }
    world.run_until("all are cancelled", |world| count(world, is_cancelled) == ORDERS);
    assert_eq!(events(&world, "OrderCancelled"), ORDERS);
    world.run_until("the command has ended", |world| events(world, "CommandEnded") == 1);
    world.check_replay();
}

#[test]
fn a_command_over_many_orders_is_refused_for_all_when_for_one() {
    let mut world = sliced_world();
    world.deploy("1", &one_job("sleep 1000000"));
    add_orders(&mut world, LATER);
    world.add_order("STARTED");
    world.run_until("running", |world| world.runs("STARTED").is_some());
    let reply =
        world.try_command(r#"{"TYPE": "CancelOrders", "orderIds": "(id) => true", "mode": {"TYPE": "FreshOnly"}}"#);
    assert!(reply.answer.is_err());
    world.run_for(Duration::from_secs(1));
    assert_eq!(count(&world, is_cancelled), 0);
    assert_eq!(events(&world, "CommandBegun"), 0);
}

#[test]
fn a_transfer_of_many_orders_takes_the_old_version_with_it() {
    let mut world = sliced_world();
    world.deploy("1", PROMPT);
    add_orders(&mut world, LATER);
    world.deploy("2", OTHER_PROMPT);
    let caller = world.give_command(r#"{"TYPE": "TransferOrders", "workflowId": {"path": "W", "versionId": "1"}}"#);
    world.run_until("begun", |world| events(world, "OrderTransferred") > 0);
    world.kill(Name::Controller);
    world.start(Name::Controller);
    world.run_until("ended", |world| events(world, "CommandEnded") == 1);
    assert!(!world.is_answered(caller));
    assert_eq!(events(&world, "OrderTransferred"), ORDERS);
    assert_eq!(events(&world, "ItemDeleted"), 1, "the old version");
    world.check_replay();
}

#[test]
fn orders_that_a_command_wakes_go_on_in_slices_and_after_a_crash() {
    let mut world = sliced_world();
    world.deploy("1", r#"{"TYPE": "Workflow", "path": "W", "instructions": [{"TYPE": "Prompt", "question": "'?'"}]}"#);
    world.command(r#"{"TYPE": "ControlWorkflowPath", "workflowPath": "W", "suspend": true}"#);
    add_orders(&mut world, "");
    world.run_for(Duration::from_secs(1));
    let prompts = |order: &Order| matches!(order.state, OrderState::Prompting { .. });
    assert_eq!(count(&world, prompts), 0);
    let caller = world.give_command(r#"{"TYPE": "ControlWorkflowPath", "workflowPath": "W", "suspend": false}"#);
    world.run_until("some prompt", |world| count(world, prompts) > 0);
    assert!(world.is_answered(caller));
    assert!(count(&world, prompts) < ORDERS);
    world.kill(Name::Controller);
    world.start(Name::Controller);
    world.run_until("all prompt", |world| count(world, prompts) == ORDERS);
    world.check_replay();
}

#[test]
fn many_orders_whose_time_comes_run_to_their_ends() {
    let mut world = sliced_world();
    world.deploy("1", &job_with("", "out x"));
    add_orders(&mut world, r#""scheduledFor": 1767225900000,"#);
    world.run_until("finished", |world| count(world, |order| order.state == OrderState::Finished) == ORDERS);
    assert!(world.starts.values().all(|starts| *starts == 1));
    world.check_replay();
}

#[test]
fn an_agent_with_many_orders_is_reset_though_the_controller_crashes() {
    let mut world = sliced_world();
    world.deploy("1", &job_with("", "sleep 100000"));
    add_orders(&mut world, "");
    world.run_until("attached", |world| count(world, |order| order.is_attached()) == ORDERS);
    world.give_command(r#"{"TYPE": "ResetAgent", "agentPath": "AGENT"}"#);
    let has_failed = |order: &Order| matches!(order.state, OrderState::Failed | OrderState::FailedWhileFresh);
    world.run_until("some are back", |world| count(world, has_failed) > 3);
    assert!(count(&world, has_failed) < ORDERS);
    assert!(!world.controller().is_coupled_with(&agent()));
    world.kill(Name::Controller);
    world.start(Name::Controller);
    world.run_until("all are back", |world| count(world, has_failed) == ORDERS);
    world.run_until("coupled", |world| world.controller().is_coupled_with(&agent()));
    assert_eq!(world.director().state().order_count(), 0);
    world.check_replay();
}

#[test]
fn a_notice_that_very_many_orders_expect_moves_them_all() {
    let mut world = sliced_world();
    world.slice = Slice { orders: 100, bytes: 4 << 20 };
    world.kill(Name::Controller);
    world.start(Name::Controller);
    world.command(
        r#"{"TYPE": "UpdateItems", "operations": [{"TYPE": "AddOrChangeSimple", "item": {"TYPE": "GlobalBoard", "path": "B",
            "postOrderToNoticeKey": "'x'", "expectOrderToNoticeKey": "'x'", "endOfLife": "$js7EpochMilli + 1000000000"}}]}"#,
    );
    world.deploy(
        "1",
        r#"{"TYPE": "Workflow", "path": "W", "instructions": [{"TYPE": "ExpectNotices", "boardPaths": "'B'"}]}"#,
    );
    let orders: Vec<String> =
        (0..1_100).map(|n| format!(r#"{{"id": "O-{n}", "workflowPath": "W", "planId": []}}"#)).collect();
    world.command(&format!(r#"{{"TYPE": "AddOrders", "orders": [{}]}}"#, orders.join(",")));
    let expects = |order: &Order| matches!(order.state, OrderState::ExpectingNotices { .. });
    world.run_until("all expect", |world| count(world, expects) == 1_100);
    world.command(r#"{"TYPE": "PostNotice", "noticeId": ["B", "x"]}"#);
    world.run_until("some have gone on", |world| count(world, expects) < 1_000);
    assert!(count(&world, expects) > 0);
    world.kill(Name::Controller);
    world.start(Name::Controller);
    world.run_until("all have gone on", |world| count(world, |order| order.state == OrderState::Finished) == 1_100);
    world.check_replay();
}
