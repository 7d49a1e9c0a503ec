//! Reading the events of a controller.

use crate::setup::one_job;
use crate::world::{Name, World};
use baton_protocol::event_id::EventId;
use baton_workflow::model::order::OrderState;

/// Reads all events, part by part.
fn read_all(world: &mut World) -> Vec<EventId> {
    let last = world.controller().replica().last_event_id();
    let mut ids: Vec<EventId> = Vec::new();
    while ids.last().is_none_or(|id| *id < last) {
        let parts = world.read_events.len();
        world.read_after(ids.last().copied().unwrap_or(EventId::BEFORE_FIRST));
        world.run_until("answered", |world| world.read_events.len() > parts);
        ids.extend(world.read_events[parts].iter().map(|event| event.event_id));
    }
    ids
}

fn run_some_orders(world: &mut World) {
    world.deploy("1", &one_job("out x"));
    for id in ["A", "B"] {
        world.add_order(id);
    }
    world.run_until("finished", |world| {
        ["A", "B"].iter().all(|id| world.order(id).is_some_and(|order| order.state == OrderState::Finished))
    });
}

#[test]
fn a_reader_sees_each_event_once_and_in_order() {
    let mut world = World::new();
    run_some_orders(&mut world);
    let expected: Vec<EventId> = world.events(Name::Controller).iter().map(|event| event.event_id).collect();
    assert_eq!(read_all(&mut world), expected);
    assert!(expected.is_sorted_by(|a, b| a < b));
}

#[test]
fn a_reader_is_answered_as_soon_as_there_is_something() {
    let mut world = World::new();
    world.deploy("1", &one_job("out x"));
    let last = world.controller().replica().last_event_id();
    world.read_after(last);
    world.run_for(std::time::Duration::from_secs(1));
    assert!(world.read_events.is_empty());
    world.add_order("A");
    world.run_until("answered", |world| !world.read_events.is_empty());
    assert_eq!(world.read_events[0][0].event.type_name(), "OrderAdded");
}

#[test]
fn events_before_an_image_are_read_from_the_disk() {
    let mut world = World::new();
    run_some_orders(&mut world);
    world.restart_from_image();
    world.run_for(std::time::Duration::from_secs(5));
    let expected: Vec<EventId> = world.events(Name::Controller).iter().map(|event| event.event_id).collect();
    assert_eq!(read_all(&mut world), expected);
}

#[test]
fn who_wants_released_events_is_told_where_to_begin() {
    let mut world = World::new();
    run_some_orders(&mut world);
    // So many that the feed has marks, and the first of them are not in memory any more.
    for n in 0..400 {
        world.give_command(&format!(
            r#"{{"TYPE": "AddOrder", "order": {{"id": "O-{n}", "workflowPath": "W", "planId": [], "scheduledFor": 1999999999000}}}}"#
        ));
    }
    world.run_for(std::time::Duration::from_secs(5));
    world.restart_from_image();
    world.run_for(std::time::Duration::from_secs(5));
    let last = world.release_all();
    world.read_after(EventId::BEFORE_FIRST);
    world.run_until("told", |world| world.released_until.is_some());
    assert!(world.read_events.is_empty());
    let until = world.released_until.expect("an event");
    assert!(until > EventId::BEFORE_FIRST && until < last, "{until} {last}");
    // From there on there is no gap.
    world.read_after(until);
    world.run_until("answered", |world| !world.read_events.is_empty());
    let expected =
        world.events(Name::Controller).into_iter().find(|event| event.event_id > until).map(|event| event.event_id);
    assert_eq!(world.read_events[0].first().map(|event| event.event_id), expected);
}
