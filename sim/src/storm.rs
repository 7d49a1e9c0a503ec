//! A storm: nodes of a whole installation crash and come back and links break at drawn moments while orders run. At the end
//! every order must have come to the end it would have come to in quiet weather.
//!
//! Everything is drawn from one seed, so a storm that finds something is repeated by its seed.

use crate::choice::Choice;
use crate::world::{Place, World};
use baton_machine::attempt::Attempt;
use baton_machine::draft::Slice;
use baton_machine::process::{Ended, Signal};
use baton_machine::subagent::{SubagentHint, SubagentInput};
use baton_machine::timing::Timing;
use baton_protocol::time::{Instant, Timestamp};
use baton_workflow::id::{AgentPath, OrderId, SubagentId};
use baton_workflow::json::from_text;
use baton_workflow::model::command::Command;
use baton_workflow::model::event::Event;
use baton_workflow::model::order::OrderState;
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::value::Fields;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The orders of a storm.
pub const ORDERS: usize = 24;
/// The agents with their subagents; the first is that of the director's host.
const AGENTS: [(&str, [&str; 2]); 2] = [("A", ["A-1", "A-2"]), ("B", ["B-1", "B-2"])];
/// For how long nodes crash.
const BAD_WEATHER: Duration = Duration::from_secs(60);
/// After this time in quiet weather every order must have ended.
const QUIET: Duration = Duration::from_secs(600);
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A fork with a lock in it, a job at the other agent, a failure that is caught and retried, and a job that must not be
/// repeated (its order may fail in a storm).
const WORKFLOW: &str = r#"{"TYPE": "Workflow", "path": "STORM", "instructions": [
  {"TYPE": "Fork", "branches": [
    {"id": "one", "workflow": {"instructions": [
      {"TYPE": "Lock", "demands": [{"lockPath": "L"}], "lockedWorkflow": {"instructions": [
        {"TYPE": "Execute.Anonymous", "job": {"agentPath": "A", "processLimit": 5,
          "executable": {"TYPE": "ShellScriptExecutable", "script": "short"}}}]}}]}},
    {"id": "two", "workflow": {"instructions": [
      {"TYPE": "Try", "maxTries": 100, "retryDelays": [1], "try": {"instructions": [
        {"TYPE": "Execute.Anonymous", "job": {"agentPath": "B", "processLimit": 5,
          "executable": {"TYPE": "ShellScriptExecutable", "script": "fails now and then"}}}]},
        "catch": {"instructions": [{"TYPE": "Retry"}]}}]}}]},
  {"TYPE": "Execute.Anonymous", "job": {"agentPath": "B", "processLimit": 5,
    "executable": {"TYPE": "ShellScriptExecutable", "script": "long"}}}]}"#;

/// What has come out of a storm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The digest of everything that happened.
    pub digest: u64,
    /// How many inputs the nodes have had.
    pub steps: u64,
    /// How many nodes have crashed.
    pub crashes: u64,
    /// How many processes have been started.
    pub starts: usize,
}

struct Process {
    subagent_id: SubagentId,
    ends: Instant,
    code: i32,
}

struct Storm {
    world: World,
    weather: Choice,
    work: Choice,
    running: BTreeMap<Attempt, Process>,
    started: BTreeSet<Attempt>,
    /// When a node comes back.
    away: BTreeMap<Place, Instant>,
    crashes: u64,
}

/// Lets a storm pass.
///
/// # Errors
/// Something has happened that must not happen: an order is lost, has not ended, or a process was started twice.
pub fn pass(seed: u64) -> Checked<Report> {
    let choice = Choice::of_seed(seed);
    let mut storm = Storm {
        world: World::new(START, Timing::DEFAULT),
        weather: choice.child("weather"),
        work: choice.child("work"),
        running: BTreeMap::new(),
        started: BTreeSet::new(),
        away: BTreeMap::new(),
        crashes: 0,
    };
    let mut slices = choice.child("slices");
    if slices.below(2) == 0 {
        let orders = usize::try_from(slices.between(1, 10)).unwrap_or(1);
        storm.world.set_slice(Slice { orders, ..Slice::DEFAULT });
    }
    storm.deploy()?;
    storm.add_orders()?;
    let bad = storm.world.now().instant + BAD_WEATHER;
    while storm.world.now().instant < bad {
        let pause = Duration::from_millis(storm.weather.between(1, 3_000));
        storm.run_for(pause)?;
        match storm.weather.below(3) {
            0 => storm.lose_link(),
            _ => storm.crash_one(),
        }
    }
    let end = storm.world.now().instant + QUIET;
    while !storm.has_ended() {
        if storm.world.now().instant > end {
            return Err(Problem::new(format!("some orders have not ended: {}", storm.unfinished())));
        }
        storm.run_for(Duration::from_secs(5))?;
    }
    storm.check()?;
    let trace = storm.world.trace();
    Ok(Report { digest: trace.digest(), steps: trace.steps(), crashes: storm.crashes, starts: storm.started.len() })
}

impl Storm {
    fn deploy(&mut self) -> Checked<()> {
        self.world.start_controller();
        let mut items = vec![r#"{"TYPE": "Lock", "path": "L", "limit": 2}"#.to_owned()];
        for (agent, subagents) in AGENTS {
            for id in subagents {
                self.world.start_subagent(&SubagentId::new(id));
                items.push(format!(
                    r#"{{"TYPE": "SubagentItem", "id": "{id}", "agentPath": "{agent}", "uri": "world:{id}"}}"#
                ));
            }
            items.push(format!(r#"{{"TYPE": "AgentRef", "path": "{agent}", "directors": ["{}"]}}"#, subagents[0]));
            self.world.start_director(&AgentPath::new(agent), &SubagentId::new(subagents[0]));
        }
        let simple = items.iter().map(|item| format!(r#"{{"TYPE": "AddOrChangeSimple", "item": {item}}}"#));
        let versioned = [
            r#"{"TYPE": "AddVersion", "versionId": "1"}"#.to_owned(),
            format!(r#"{{"TYPE": "AddOrChangeVersioned", "item": {WORKFLOW}}}"#),
        ];
        let operations: Vec<String> = simple.chain(versioned).collect();
        self.execute(&format!(r#"{{"TYPE": "UpdateItems", "operations": [{}]}}"#, operations.join(",")))
    }

    fn add_orders(&mut self) -> Checked<()> {
        for n in 0..ORDERS {
            self.execute(&format!(
                r#"{{"TYPE": "AddOrder", "order": {{"id": "{n}", "workflowPath": "STORM", "planId": []}}}}"#
            ))?;
        }
        Ok(())
    }

    fn execute(&mut self, command: &str) -> Checked<()> {
        let caller = self.world.command(from_text::<Command>(command)?);
        self.settle()?;
        self.world.answer(caller).map(|_| ())
    }

    /// Lets time pass, from one thing that is due to the next.
    fn run_for(&mut self, duration: Duration) -> Checked<()> {
        let until = self.world.now().instant + duration;
        loop {
            self.settle()?;
            let processes = self.running.values().map(|process| process.ends);
            let next = self.world.deadline().into_iter().chain(processes).chain(self.away.values().copied()).min();
            let now = self.world.now().instant;
            let Some(next) = next.filter(|next| *next <= until) else {
                self.advance(until.since(now));
                return self.settle();
            };
            self.advance(next.since(now));
            self.come_back();
            self.end_processes();
        }
    }

    fn advance(&mut self, elapsed: Duration) {
        // The wall clock shows whole milliseconds of the same time.
        let instant = self.world.now().instant + elapsed;
        let millis = i64::try_from(instant.since(Instant::ZERO).as_millis()).unwrap_or(i64::MAX);
        self.world.set_clock(Timestamp::from_millis(START.as_millis() + millis), elapsed);
    }

    fn settle(&mut self) -> Checked<()> {
        loop {
            self.world.settle()?;
            let Some((subagent_id, hint)) = self.world.take_process_hint() else { return Ok(()) };
            match hint {
                SubagentHint::Start { attempt, .. } => self.start(subagent_id, attempt)?,
                SubagentHint::Kill { attempt, signal } => {
                    let signal = if signal == Signal::Kill { 9 } else { 15 };
                    if self.running.remove(&attempt).is_some() {
                        self.ended(&subagent_id, attempt, Ended::Signaled { signal });
                    }
                }
                SubagentHint::Link(_)
                | SubagentHint::Pause { .. }
                | SubagentHint::Resume { .. }
                | SubagentHint::Lease { .. }
                | SubagentHint::Stopped => {}
            }
        }
    }

    fn start(&mut self, subagent_id: SubagentId, attempt: Attempt) -> Checked<()> {
        if !self.started.insert(attempt.clone()) {
            return Err(Problem::new(format!("{attempt} was started twice")));
        }
        if let Some(other) = self.running.keys().find(|other| other.order_id == attempt.order_id) {
            return Err(Problem::new(format!("{attempt} was started while {other} was running")));
        }
        let input = SubagentInput::Started { attempt: attempt.clone(), pid: 1 };
        self.world.tell_subagent(&subagent_id, input);
        let ends = self.world.now().instant + Duration::from_millis(self.work.between(0, 4_000));
        let code = i32::from(attempt.order_id.as_str().contains("two") && self.work.below(4) == 0);
        self.running.insert(attempt, Process { subagent_id, ends, code });
        Ok(())
    }

    fn end_processes(&mut self) {
        let now = self.world.now().instant;
        let due: Vec<Attempt> = self.running.iter().filter(|(_, p)| p.ends <= now).map(|(a, _)| a.clone()).collect();
        for attempt in due {
            if let Some(process) = self.running.remove(&attempt) {
                self.ended(&process.subagent_id, attempt, Ended::Exited { code: process.code });
            }
        }
    }

    fn ended(&mut self, subagent_id: &SubagentId, attempt: Attempt, how: Ended) {
        let input =
            SubagentInput::Ended { attempt, how, return_values: Ok(Fields::default()), duration: Duration::ZERO };
        self.world.tell_subagent(subagent_id, input);
    }

    fn lose_link(&mut self) {
        let ends = self.world.link_ends() as u64;
        if ends > 0 {
            let number = usize::try_from(self.weather.below(ends)).unwrap_or(0);
            self.world.lose_link(number);
        }
    }

    fn crash_one(&mut self) {
        let directors = AGENTS.iter().map(|(agent, _)| Place::Director(AgentPath::new(agent)));
        let subagents = AGENTS.iter().flat_map(|(_, ids)| ids.iter().map(|id| Place::Subagent(SubagentId::new(id))));
        let places: Vec<Place> = [Place::Controller].into_iter().chain(directors).chain(subagents).collect();
        let Some(place) = self.weather.one_of(&places).cloned() else { return };
        let back = self.world.now().instant + Duration::from_millis(self.weather.between(0, 8_000));
        if self.away.contains_key(&place) {
            return;
        }
        self.crashes += 1;
        self.world.crash(&place);
        if let Place::Subagent(id) = &place {
            // The processes die with their subagent.
            self.running.retain(|_, process| process.subagent_id != *id);
        }
        self.away.insert(place, back);
    }

    fn come_back(&mut self) {
        let now = self.world.now().instant;
        let due: Vec<Place> = self.away.iter().filter(|(_, at)| **at <= now).map(|(place, _)| place.clone()).collect();
        for place in due {
            self.away.remove(&place);
            match &place {
                Place::Controller => self.world.start_controller(),
                Place::Director(path) => {
                    let local = AGENTS.iter().find(|(agent, _)| *agent == path.as_str()).map(|(_, ids)| ids[0]);
                    self.world.start_director(path, &SubagentId::new(local.unwrap_or_default()));
                }
                Place::Subagent(id) => self.world.start_subagent(id),
            }
        }
    }

    fn state_of(&self, n: usize) -> Option<&OrderState> {
        let id = OrderId::new(&n.to_string());
        self.world.controller().and_then(|controller| controller.state().order(&id)).map(|order| &order.state)
    }

    fn has_ended(&self) -> bool {
        (0..ORDERS).all(|n| self.state_of(n).is_some_and(OrderState::is_terminated))
    }

    /// The orders which have not ended, as the controller and their agents see them.
    fn unfinished(&self) -> String {
        let Some(controller) = self.world.controller() else { return "the controller is down".to_owned() };
        let open = controller.state().orders().filter(|order| !order.state.is_terminated());
        let described = open.map(|order| {
            let there = order.agent_path().and_then(|path| self.world.director(path)?.state().order(&order.id));
            format!(
                "\n{} {:?} at {} {:?}; at the agent: {:?}",
                order.id,
                order.state,
                order.position(),
                order.attached_state,
                there.map(|order| (&order.state, &order.attached_state))
            )
        });
        described.collect()
    }

    /// Every order has finished, and the record tells one end for each start.
    fn check(&self) -> Checked<()> {
        for n in 0..ORDERS {
            if self.state_of(n) != Some(&OrderState::Finished) {
                return Err(Problem::new(format!("order {n} has ended as {:?}", self.state_of(n))));
            }
        }
        let mut processing = BTreeSet::new();
        for stamped in self.world.journal()? {
            match &stamped.event {
                Event::Order(id, OrderEvent::OrderProcessingStarted { .. }) if !processing.insert(id.clone()) => {
                    return Err(Problem::new(format!("Order:{id} was started again before it was processed")));
                }
                Event::Order(id, OrderEvent::OrderProcessed { .. }) if !processing.remove(id) => {
                    return Err(Problem::new(format!("Order:{id} was processed twice")));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
