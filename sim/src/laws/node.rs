//! A node's state with copies that must stay the same, and the laws which concern one node.

use super::story::Story;
use baton_workflow::id::OrderId;
use baton_workflow::json::{Json, from_text, print, to_text};
use baton_workflow::model::event::Event;
use baton_workflow::model::order::{Order, OrderState};
use baton_workflow::position::BranchId;
use baton_workflow::problem::Checked;
use baton_workflow::schedule::TimeZone;
use baton_workflow::state::lock::Acquired;
use baton_workflow::state::{Side, State};
use baton_workflow::step::{Surroundings, next_events};
use baton_workflow::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// No decision about so few orders has more events.
const MOST_EVENTS: usize = 20_000;

/// Events of a decision which are told.
const MOST_TOLD_EVENTS: usize = 200;

/// The clock and what else decisions depend on.
pub(super) struct Clock {
    pub(super) now: Timestamp,
    env: BTreeMap<String, String>,
    zone: TimeZone,
}

impl Clock {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, env: BTreeMap::new(), zone: TimeZone::utc() }
    }

    pub(super) fn around(&self) -> Surroundings<'_> {
        Surroundings { now: self.now, env: &self.env, zone: &self.zone }
    }
}

/// A controller or an agent.
pub(super) struct Node {
    /// In which decisions are made.
    live: State,
    /// Made by replay only, and now and then by an image.
    copy: State,
    story: Story,
}

impl Node {
    pub(super) fn new(state: State, story: &Story) -> Self {
        Self { copy: state.clone(), live: state, story: story.clone() }
    }

    pub(super) fn state(&self) -> &State {
        &self.live
    }

    /// Decides, and checks what must hold of every decision. The events, which have been applied; none when it is refused.
    pub(super) fn decide(
        &mut self,
        decide: impl Fn(&mut State, &mut Vec<Event>) -> Checked<()>,
    ) -> Checked<Vec<Event>> {
        let before = self.live.clone();
        let mut events = Vec::new();
        let decided = decide(&mut self.live, &mut events);
        self.tell(&decided, &events);
        let mut again = before.clone();
        let mut events_again = Vec::new();
        assert_eq!(decide(&mut again, &mut events_again), decided, "the same decision twice");
        assert_eq!(events_again, events, "the same events twice");
        assert_eq!(again, self.live, "the same state twice");
        if let Err(problem) = decided {
            assert_eq!(self.live, before, "a refused decision changes nothing: {problem}");
            assert!(events.is_empty(), "a refused decision has no events: {problem}");
            return Err(problem);
        }
        assert!(
            events.len() < MOST_EVENTS,
            "a decision comes to an end; its last events: {:?}",
            &events[MOST_EVENTS - 10..]
        );
        for event in &events {
            check_codecs(event);
            let applied = self.copy.apply(&by_bytes(event));
            assert!(applied.is_ok(), "{applied:?}: {event:?} can be replayed");
        }
        assert_eq!(self.copy, self.live, "replay leads to the same state");
        self.check();
        Ok(events)
    }

    fn tell(&self, decided: &Checked<()>, events: &[Event]) {
        if let Err(problem) = decided {
            self.story.tell(|| format!("    refused: {problem}"));
        }
        for event in events.iter().take(MOST_TOLD_EVENTS) {
            let side = match self.live.side() {
                Side::Controller(_) => "Controller",
                Side::Agent(path) => path.as_str(),
            };
            self.story.tell(|| format!("    {side}: {}", print(&event.to_json())));
        }
    }

    /// Decides something that cannot be refused.
    pub(super) fn carry_out(&mut self, decide: impl Fn(&mut State, &mut Vec<Event>)) -> Vec<Event> {
        let events = self.decide(|state, events| {
            decide(state, events);
            Ok(())
        });
        events.unwrap_or_default()
    }

    /// Takes events which have been decided elsewhere, and makes the steps that follow.
    pub(super) fn take(&mut self, clock: &Clock, decided: &[Event], orders: &[OrderId]) -> Vec<Event> {
        self.carry_out(|state, events| {
            for event in decided {
                state.take(event);
                events.push(event.clone());
            }
            next_events(state, clock.around(), orders.iter().cloned(), events);
        })
    }

    /// Makes the steps of all orders.
    pub(super) fn step_all(&mut self, clock: &Clock) -> Vec<Event> {
        let all: Vec<OrderId> = self.live.orders().map(|order| order.id.clone()).collect();
        self.take(clock, &[], &all)
    }

    /// All steps have been made.
    pub(super) fn check_rest(&mut self, clock: &Clock) {
        let events = self.step_all(clock);
        assert!(events.is_empty(), "nothing is left to do after a decision: {events:?}");
    }

    /// Makes the copy anew from an image.
    pub(super) fn restore(&mut self) {
        self.copy = by_bytes(&self.live);
        assert_eq!(self.copy, self.live, "an image keeps the state");
    }

    fn check(&self) {
        let state = &self.live;
        let checked = state.locks().check().and_then(|()| state.notices().check()).and_then(|()| state.plans().check());
        assert_eq!(checked, Ok(()));
        if let Side::Agent(_) = state.side() {
            return;
        }
        for order in state.orders() {
            let block = order.position().block.normalized();
            assert!(block.starts_with(&order.inner_block.normalized()), "is in its block: {order:?}");
            check_family(state, order);
            check_locks(state, order);
        }
        for (path, lock) in state.locks().iter() {
            let holders: Vec<&OrderId> = match lock.acquired() {
                Acquired::Available => Vec::new(),
                Acquired::Exclusive { order_id } => vec![order_id],
                Acquired::NonExclusive { order_to_count } => order_to_count.keys().collect(),
            };
            for id in holders {
                let order = state.order(id);
                let holds = order.is_some_and(|order| locks_of(state, order).contains(path.as_str()));
                assert!(holds, "{path} is held by {order:?}");
            }
            for id in lock.queue() {
                let order = state.order(id);
                let waits = order.is_some_and(|order| order.state == OrderState::WaitingForLock);
                assert!(waits, "{path} is awaited by {order:?}");
            }
        }
    }
}

/// Children have parents which wait for them, and the other way round.
fn check_family(state: &State, order: &Order) {
    if let Some(parent) = &order.parent {
        let parent = state.order(parent);
        let waits = parent.is_some_and(|parent| match &parent.state {
            OrderState::Forked { children } => children.iter().any(|child| child.order_id == order.id),
            _ => false,
        });
        assert!(waits, "{order:?} has the parent {parent:?}");
    }
    if let OrderState::Forked { children } = &order.state {
        for child in children {
            let is_there = state.order(&child.order_id).is_some_and(|child| child.parent.as_ref() == Some(&order.id));
            assert!(is_there, "{order:?} has the child {:?}", child.order_id);
        }
    }
}

fn check_locks(state: &State, order: &Order) {
    for path in locks_of(state, order) {
        let lock = state.locks().iter().find(|(known, _)| known.as_str() == path).map(|(_, lock)| lock);
        let holds = lock.is_some_and(|lock| match lock.acquired() {
            Acquired::Available => false,
            Acquired::Exclusive { order_id } => *order_id == order.id,
            Acquired::NonExclusive { order_to_count } => order_to_count.contains_key(&order.id),
        });
        assert!(holds, "{path} is needed by {order:?}, but is {lock:?}");
    }
}

/// The locks of the blocks which the order is in.
fn locks_of(state: &State, order: &Order) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let Some(flow) = state.flow(&order.workflow_position.workflow_id) else { return paths };
    let mut block = order.position().block.clone();
    while block != order.inner_block
        && let Some((position, branch)) = block.parent()
    {
        // What is around a fork is the parent's.
        if branch.is_fork() && order.parent.is_some() {
            break;
        }
        if let (BranchId::Lock, Some(baton_workflow::model::instruction::Instruction::Lock { demands, .. })) =
            (branch, flow.instruction(&position))
        {
            paths.extend(demands.iter().map(|demand| demand.lock_path.as_str().to_string()));
        }
        block = position.block;
    }
    paths
}

/// The value after a way through bytes.
fn by_bytes<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let config = bincode::config::standard();
    let read = bincode::serde::encode_to_vec(value, config)
        .map_err(|error| error.to_string())
        .and_then(|bytes| bincode::serde::decode_from_slice(&bytes, config).map_err(|error| error.to_string()));
    match read {
        Ok((value, _)) => value,
        Err(error) => panic!("{error}: what was written can be read"),
    }
}

fn check_codecs(event: &Event) {
    assert_eq!(by_bytes(event), *event, "bytes keep events");
    match event {
        Event::Order(id, event) => {
            check_json(id);
            check_json(event);
        }
        Event::Item(event) => check_json(event),
        Event::Board(_, event) => check_json(event),
        Event::Plan(id, event) => {
            check_json(id);
            check_json(event);
        }
        Event::PlanSchema(_, event) => check_json(event),
        Event::OrderWatch(_, event) => check_json(event),
        Event::Agent(_, event) => check_json(event),
        Event::Subagent(_, event) => check_json(event),
        Event::Node(event) => check_json(event),
    }
}

/// JSON text can be read again, and then nothing changes any more. The first time, missing members of objects are dropped.
pub(super) fn check_json<T: Json + PartialEq + Debug>(value: &T) {
    let read = by_json(value);
    assert_eq!(by_json(&read), read, "JSON keeps values: {}", to_text(value));
}

/// The value after a way through JSON text.
fn by_json<T: Json>(value: &T) -> T {
    let text = to_text(value);
    match from_text(&text) {
        Ok(read) => read,
        Err(problem) => panic!("{problem}: JSON which was written can be read: {text}"),
    }
}
