//! Peers that say what cannot be: their links end, nobody breaks, and what follows is as if it had not been said.

use crate::setup::one_job;
use crate::world::{Name, World};
use baton_machine::attempt::Attempt;
use baton_machine::codec::Stamped;
use baton_machine::message::{
    AttemptState, Channel, FromAgent, FromSubagent, Message, Report, Reported, ToAgent, ToSubagent,
};
use baton_protocol::event_id::EventId;
use baton_protocol::record::Epoch;
use baton_workflow::id::OrderId;
use baton_workflow::model::event::Event;
use baton_workflow::model::order::OrderState;
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::outcome::Outcome;
use baton_workflow::time::Timestamp;
use std::time::Duration;

/// Numbers at which sums go wrong.
const NUMBERS: [u64; 4] = [0, 1, u64::MAX - 1, u64::MAX];

/// Sessions, that of the present link among them.
const SESSIONS: std::ops::Range<u64> = 1..4;

/// An order runs, something impossible is said, and all goes on: the order finishes, and its process has run once.
fn hears<M: Message>(from: Name, to: Name, messages: impl Fn(u64, EventId) -> Vec<M>) {
    let mut world = World::new();
    world.deploy("1", &one_job("sleep 30000"));
    world.add_order("A");
    world.run_until("running", |world| world.runs("A") == Some(Name::First));
    for session in SESSIONS {
        let last = world.director().replica().last_event_id();
        for message in messages(session, last) {
            world.forge(from, to, &message);
            world.run_for(Duration::from_secs(3));
        }
    }
    world.run_until("finished", |world| world.order("A").is_some_and(|order| order.state == OrderState::Finished));
    assert_eq!(world.starts.get(&OrderId::new("A")), Some(&1));
    world.check_replay();
}

fn processed(id: &str) -> Event {
    Event::Order(OrderId::new(id), OrderEvent::OrderProcessed { outcome: Outcome::failed("never") })
}

#[test]
fn of_agents() {
    hears(Name::Director, Name::Controller, |session, last| {
        let event = |id, event| Stamped { event_id: EventId(id), timestamp: Timestamp::EPOCH, event };
        let next = last.0 + 1;
        vec![
            FromAgent::Events {
                session,
                after: last,
                events: vec![event(0, processed("X")), event(next, processed("X"))],
            },
            FromAgent::Events { session, after: last, events: vec![event(next, processed("X"))] },
            FromAgent::Events { session, after: EventId(u64::MAX), events: vec![event(u64::MAX, processed("A"))] },
            FromAgent::Inventory { session, orders: vec![OrderId::new("X")], is_complete: false },
        ]
    });
}

#[test]
fn of_controllers() {
    hears(Name::Controller, Name::Director, |session, _| {
        let said = NUMBERS.map(|number| {
            [
                ToAgent::Adopted { session, until: EventId(number) },
                ToAgent::Execute { session, number, commands: Vec::new() },
            ]
        });
        said.into_iter().flatten().collect()
    });
}

#[test]
fn of_subagents() {
    let attempt = Attempt { number: EventId(1), epoch: Epoch(1), order_id: OrderId::new("A") };
    hears(Name::First, Name::Director, |session, _| {
        let what = Reported::Output { channel: Channel::Stdout, chunk: "never".into() };
        let report = Report { attempt: attempt.clone(), what };
        let said = NUMBERS.map(|number| {
            [
                FromSubagent::Reports { session, first: number.saturating_add(100), reports: vec![report.clone()] },
                FromSubagent::Reports { session, first: 0, reports: Vec::new() },
                FromSubagent::Beat { session, number, metering: None },
                FromSubagent::Launched { session, attempt: attempt.clone(), state: AttemptState::NotStarted },
            ]
        });
        said.into_iter().flatten().collect()
    });
}

#[test]
fn of_directors() {
    hears(Name::Director, Name::First, |session, _| {
        let said = NUMBERS.map(|number| {
            [ToSubagent::Received { session, until: number }, ToSubagent::Beat { session, heard: Some(number.min(1)) }]
        });
        said.into_iter().flatten().collect()
    });
}

#[test]
fn of_strangers() {
    hears(Name::Controller, Name::Director, |session, _| vec![FromAgent::Beat { session }]);
}
