//! Worlds in which the nodes of a cluster are controllers: clients add orders, a reader follows the events, while processes
//! crash, links are cut and nodes hand over or stop.
//!
//! What must hold: an order whose addition was answered is in every later active; it is added once; a standby whose journal is
//! as long as that of the active is in the same state, and so is what its disk makes up; the reader sees no event that is
//! taken back, none twice and none too few. After healing the pair is coupled, the clients are answered and all orders finish.
//!
//! The protocol itself is tried harder, with a smaller application, by [`super::swarm`].

mod host;

use super::explorer::{hash_of, words_of};
use super::host::{Host as Watch, Left as WatchLeft};
use crate::choice::Choice;
use crate::trace::Trace;
use baton_machine::codec::{Assembly, Stamped};
use baton_machine::controller::{Controller, ControllerInput};
use baton_machine::host::{CallerId, ReaderId, Reply};
use baton_protocol::event_id::EventId;
use baton_protocol::limit::Limits;
use baton_protocol::machine::Input;
use baton_protocol::pair::planted::Bugs;
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{Order, Pair, PairConfig, PairInput};
use baton_protocol::record::Position;
use baton_protocol::register::{Mode, Seat};
use baton_protocol::time::{Duration, Instant};
use baton_workflow::id::OrderId;
use baton_workflow::json::from_text;
use baton_workflow::model::command::{Command, Response};
use baton_workflow::model::event::Event as WorkflowEvent;
use baton_workflow::model::order::OrderState;
use baton_workflow::model::order_event::OrderEvent;
use host::{Host, Left, arrived};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// Within so long after healing the pair is coupled, answers, and has finished all orders.
pub const LIVE_AGAIN: Duration = Duration::from_secs(40);

/// Length of the phase with faults.
const FAULTY: Duration = Duration::from_secs(30);

/// Who gets no answer asks again after this.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the states of the nodes are compared.
const COMPARE: Duration = Duration::from_secs(1);

/// The nodes. The watch is [`Seat::Watch`].
const NODES: [Seat; 2] = [Seat::First, Seat::Second];

/// What a campaign is to have seen at least sometimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sometimes {
    /// `ClusterFailedOver` is in the journal.
    FailedOver,
    /// `ClusterSwitchedOver` is in the journal.
    SwitchedOver,
    /// `ClusterPassiveLost` is in the journal.
    PassiveLost,
    /// A node built its replica anew, because its journal was cut.
    RolledBack,
    /// A command was refused because the node is not active.
    NotActive,
    /// A node was appointed after the other one had stopped.
    Appointed,
    /// A standby in the state of the active.
    Compared,
    /// A command was given again, and was done already.
    DoneBefore,
}

impl Sometimes {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::FailedOver,
        Self::SwitchedOver,
        Self::PassiveLost,
        Self::RolledBack,
        Self::NotActive,
        Self::Appointed,
        Self::Compared,
        Self::DoneBefore,
    ];
}

/// What a world has shown.
#[derive(Debug)]
pub struct Shown {
    /// Digest of all that happened.
    pub digest: u64,
    /// What happened at least once, and how often.
    pub seen: BTreeMap<Sometimes, u64>,
    /// How many orders there were.
    pub orders: usize,
    /// What is wrong, if anything is.
    pub violation: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Event {
    Arrive { from: Seat, to: Seat, link: u64, bytes: Vec<u8> },
    LinkUp { one: Seat, other: Seat, link: u64 },
    LinkDown { at: Seat, of: Seat, refused: bool },
    Synced { seat: Seat, life: u64 },
    Wake { seat: Seat, life: u64 },
    Start(Seat),
    Mend(Seat, Seat),
    RollBack { seat: Seat, life: u64, to: u64 },
    Fault(Fault),
    Appoint { stopped: Seat },
    Ask { client: usize, attempt: u64 },
    Read { attempt: u64 },
    Compare,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Fault {
    Crash,
    Cut,
    Switch,
    Stop,
}

/// Somebody who adds one order after the other; the first one deploys the workflow before.
struct Client {
    /// The number of its order; zero for the deployment.
    number: u64,
    at: Seat,
    attempt: u64,
    is_busy: bool,
}

struct Reader {
    at: Seat,
    attempt: u64,
    events: Vec<EventId>,
}

struct World {
    choice: Choice,
    now: Instant,
    hosts: [Host; 2],
    watch: Watch,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    sequence: u64,
    links: BTreeMap<(Seat, Seat), u64>,
    cuts: BTreeSet<(Seat, Seat)>,
    busy: BTreeMap<(Seat, Seat), Instant>,
    syncing: BTreeSet<Seat>,
    /// Mean times between faults in milliseconds; zero: never.
    faults: [(Fault, u64); 4],
    clients: Vec<Client>,
    next_number: u64,
    callers: u64,
    /// Who waits for an answer, from whom, in which attempt.
    waiting: BTreeMap<CallerId, (usize, Seat, u64)>,
    orders: BTreeMap<CallerId, Order>,
    answered: BTreeSet<OrderId>,
    answered_before_heal: BTreeSet<OrderId>,
    answers_since_heal: BTreeSet<usize>,
    reader: Reader,
    was_active: [bool; 2],
    healed: bool,
    seen: BTreeMap<Sometimes, u64>,
    trace: Trace,
}

/// Lets the world of a seed happen.
#[must_use]
pub fn pass(seed: u64) -> Shown {
    run(World::new(seed))
}

/// The run of a seed in words, up to its end.
#[must_use]
pub fn tell(seed: u64) -> String {
    let mut world = World::new(seed);
    world.trace = Trace::logging(0..u64::MAX);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run()));
    let words = match result {
        Ok(Ok(())) => "nothing is wrong".to_owned(),
        Ok(Err(violation)) => violation,
        Err(panic) => words_of(&*panic),
    };
    format!("{}\n{words}", world.trace.log().join("\n"))
}

fn run(mut world: World) -> Shown {
    let violation = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run())) {
        Ok(result) => result.err(),
        Err(panic) => Some(words_of(&*panic)),
    };
    Shown {
        digest: world.trace.digest(),
        orders: world.answered.len(),
        seen: core::mem::take(&mut world.seen),
        violation,
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let root = Choice::of_seed(seed);
        let mut plan = root.child("plan");
        let mut often = |of: u64, least, most| if plan.below(of) == 0 { plan.between(least, most) } else { 0 };
        let faults = [
            (Fault::Crash, often(2, 3_000, 15_000)),
            (Fault::Cut, often(2, 3_000, 15_000)),
            (Fault::Switch, often(2, 3_000, 15_000)),
            (Fault::Stop, often(4, 8_000, 25_000)),
        ];
        let tight = plan.below(2) == 0;
        let limits = if tight {
            Limits {
                records: 24,
                record_bytes: Limits::DEFAULT.record_bytes,
                promises: 64,
                promise_bytes: 1 << 20,
                puts: 16,
            }
        } else {
            Limits::DEFAULT
        };
        let skews = [0, i64::try_from(plan.below(20_000)).unwrap_or(0) - 10_000];
        let config =
            |seat| PairConfig { seat, timing: Timing::DEFAULT, window: 1 << 14, couple_lag: 4, bugs: Bugs::NONE };
        let clients =
            (0..plan.between(1, 3)).map(|_| Client { number: 0, at: Seat::First, attempt: 0, is_busy: false });
        Self {
            clients: clients.collect(),
            choice: root.child("world"),
            now: Instant::ZERO,
            hosts: NODES.map(|seat| Host::new(config(seat), limits, skews[seat as usize])),
            watch: Watch::new(config(Seat::Watch), limits),
            events: BinaryHeap::new(),
            sequence: 0,
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            busy: BTreeMap::new(),
            syncing: BTreeSet::new(),
            faults,
            next_number: 0,
            callers: 0,
            waiting: BTreeMap::new(),
            orders: BTreeMap::new(),
            answered: BTreeSet::new(),
            answered_before_heal: BTreeSet::new(),
            answers_since_heal: BTreeSet::new(),
            reader: Reader { at: Seat::First, attempt: 0, events: Vec::new() },
            was_active: [false; 2],
            healed: false,
            seen: BTreeMap::new(),
            trace: Trace::new(),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        for seat in Seat::ALL {
            let after = self.micros(0, 500_000);
            self.at(after, Event::Start(seat));
        }
        self.at(Duration::from_secs(2), Event::Ask { client: 0, attempt: 1 });
        self.at(Duration::from_secs(2), Event::Read { attempt: 1 });
        self.at(COMPARE, Event::Compare);
        for (fault, _) in self.faults {
            self.schedule(fault);
        }
        self.run_until(Instant::ZERO + FAULTY)?;
        self.heal()?;
        let deadline = self.now + LIVE_AGAIN;
        while self.now < deadline {
            self.run_until(self.now + Duration::from_millis(500))?;
            if self.is_well() {
                return self.look_back();
            }
        }
        Err(format!("L2: after healing it is not well within {LIVE_AGAIN:?}: {}", self.state()))
    }

    fn is_well(&self) -> bool {
        let known: Vec<_> = self.hosts.iter().filter_map(|host| host.controller()?.pair()?.known()).collect();
        let is_coupled = known.len() == 2 && known[0] == known[1] && known[0].mode == Mode::Coupled;
        let Some(active) = self.active() else { return false };
        let Some(controller) = self.hosts[active as usize].controller() else { return false };
        let is_finished =
            |id: &OrderId| controller.state().order(id).is_some_and(|order| order.state == OrderState::Finished);
        let all_are_answered = self.answers_since_heal.len() == self.clients.len();
        is_coupled && all_are_answered && self.answered_before_heal.iter().all(is_finished)
    }

    fn state(&self) -> String {
        let node = |host: &Host| match (host.node(), host.controller()) {
            (Some(node), Some(controller)) => format!(
                "active: {}, {}, {:?}, {} orders of which {} are finished",
                controller.is_active(),
                controller.pair().and_then(Pair::known).map_or_else(|| "knows nothing".to_owned(), |it| it.to_string()),
                node.journal().watermarks(),
                controller.state().orders().count(),
                controller.state().orders().filter(|order| order.state == OrderState::Finished).count(),
            ),
            _ => "does not run".to_owned(),
        };
        let [first, second] = &self.hosts;
        format!("first {}; second {}; answered {}", node(first), node(second), self.answered.len())
    }

    fn run_until(&mut self, end: Instant) -> Result<(), String> {
        while let Some(Reverse((at, ..))) = self.events.peek()
            && *at <= end
        {
            let Some(Reverse((at, _, event))) = self.events.pop() else { break };
            self.now = at;
            self.happen(event)?;
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        let now = self.now;
        self.trace.step(&hash_of(&(now, &event)).to_le_bytes(), || {
            let what = match &event {
                Event::Arrive { from, to, bytes, .. } => format!("{from} -> {to} {:?}", arrived(bytes)),
                event => format!("{event:?}"),
            };
            format!("{:.6} {what}", now.since(Instant::ZERO).as_secs_f64())
        });
        match event {
            Event::Arrive { from, to, link, bytes } => {
                if self.links.get(&order(from, to)) != Some(&link) || self.is_cut(from, to) {
                    return Ok(());
                }
                self.tell_pair(to, PairInput::Received(arrived(&bytes)?))
            }
            Event::LinkUp { one, other, link } => {
                let pair = order(one, other);
                let is_possible = self.is_running(one) && self.is_running(other) && !self.is_cut(one, other);
                if !is_possible || self.links.contains_key(&pair) {
                    return Ok(());
                }
                self.links.insert(pair, link);
                self.tell_pair(one, PairInput::Up(other))?;
                self.tell_pair(other, PairInput::Up(one))
            }
            Event::LinkDown { at, of, refused } if !self.links.contains_key(&order(at, of)) => {
                self.tell_pair(at, PairInput::Down { seat: of, refused })
            }
            Event::LinkDown { .. } => Ok(()),
            Event::Synced { seat, life } if self.is_life(seat, life) => {
                self.syncing.remove(&seat);
                if seat == Seat::Watch {
                    let left = self.watch.sync(now, self.watch.disk().unsynced());
                    return self.after_watch(left);
                }
                let left = self.hosts[seat as usize].sync(now);
                self.after(seat, left)
            }
            Event::Wake { seat, life } if self.is_life(seat, life) => {
                if self.deadline(seat).is_none_or(|deadline| deadline > now) {
                    return Ok(());
                }
                if seat == Seat::Watch {
                    let left = self.watch.due(now);
                    return self.after_watch(left);
                }
                let left = self.hosts[seat as usize].step(now, Input::Due);
                self.after(seat, left)
            }
            Event::Synced { .. } | Event::Wake { .. } => Ok(()),
            Event::Start(seat) => self.start(seat),
            Event::Mend(one, other) => {
                self.cuts.remove(&order(one, other));
                self.link(one, other);
                Ok(())
            }
            Event::RollBack { seat, life, to } => self.roll_back(seat, life, to),
            Event::Fault(fault) => self.fault(fault),
            Event::Appoint { stopped } => self.appoint(stopped),
            Event::Ask { client, attempt } => self.ask(client, attempt),
            Event::Read { attempt } => self.read(attempt),
            Event::Compare => self.compare(),
        }
    }

    fn is_running(&self, seat: Seat) -> bool {
        if seat == Seat::Watch { self.watch.is_running() } else { self.hosts[seat as usize].is_running() }
    }

    fn is_life(&self, seat: Seat, life: u64) -> bool {
        let starts = if seat == Seat::Watch { self.watch.starts } else { self.hosts[seat as usize].starts };
        self.is_running(seat) && starts == life
    }

    fn deadline(&self, seat: Seat) -> Option<Instant> {
        if seat == Seat::Watch { self.watch.deadline() } else { self.hosts[seat as usize].node()?.deadline() }
    }

    fn active(&self) -> Option<Seat> {
        NODES.into_iter().find(|seat| self.hosts[*seat as usize].is_active())
    }

    fn start(&mut self, seat: Seat) -> Result<(), String> {
        if self.is_running(seat) {
            return Ok(());
        }
        let seed = self.choice.bits();
        if seat == Seat::Watch {
            let left = self.watch.start(self.now, seed);
            self.after_watch(left)?;
        } else {
            let left = self.hosts[seat as usize].start(self.now, seed)?;
            self.after(seat, left)?;
        }
        for other in seat.others() {
            self.link(seat, other);
        }
        Ok(())
    }

    fn crash(&mut self, seat: Seat) {
        if !self.is_running(seat) {
            return;
        }
        let unsynced =
            if seat == Seat::Watch { self.watch.disk().unsynced() } else { self.hosts[seat as usize].disk.unsynced() };
        let kept = usize::try_from(self.choice.between(0, unsynced as u64)).unwrap_or(0);
        if seat == Seat::Watch {
            self.watch.crash(kept);
        } else {
            self.hosts[seat as usize].crash(kept);
            self.was_active[seat as usize] = false;
            self.break_off(seat);
        }
        self.syncing.remove(&seat);
        for other in seat.others() {
            self.unlink(seat, other, true);
        }
    }

    /// The connections of clients to a node break.
    fn break_off(&mut self, seat: Seat) {
        let broken: Vec<CallerId> =
            self.waiting.iter().filter(|(_, (_, at, _))| *at == seat).map(|(caller, _)| *caller).collect();
        for caller in broken {
            if let Some((client, _, attempt)) = self.waiting.remove(&caller) {
                self.at(Duration::from_millis(20), Event::Ask { client, attempt: attempt + 1 });
            }
        }
        if self.reader.at == seat {
            let attempt = self.reader.attempt + 1;
            self.at(Duration::from_millis(20), Event::Read { attempt });
        }
    }

    fn link(&mut self, one: Seat, other: Seat) {
        let after = self.micros(100, 4_000);
        let link = self.choice.bits();
        self.at(after, Event::LinkUp { one, other, link });
    }

    fn unlink(&mut self, seat: Seat, other: Seat, is_dead: bool) {
        if self.links.remove(&order(seat, other)).is_none() {
            return;
        }
        for (at, of) in [(seat, other), (other, seat)] {
            let is_cut = self.is_cut(at, of);
            let after = if is_cut { self.micros(500_000, 8_000_000) } else { self.micros(100, 2_000) };
            self.at(after, Event::LinkDown { at, of, refused: is_dead && !is_cut && of == seat });
        }
    }

    fn is_cut(&self, one: Seat, other: Seat) -> bool {
        self.cuts.contains(&order(one, other))
    }

    fn fault(&mut self, fault: Fault) -> Result<(), String> {
        if self.healed {
            return Ok(());
        }
        self.schedule(fault);
        let seat = Seat::ALL[usize::try_from(self.choice.below(3)).unwrap_or(0)];
        match fault {
            Fault::Crash => {
                self.crash(seat);
                let after = self.micros(10_000, 8_000_000);
                self.at(after, Event::Start(seat));
            }
            Fault::Cut => {
                let after = self.micros(100_000, 10_000_000);
                // One link, or a node from both others.
                let others = if self.choice.below(2) == 0 { &seat.others()[..1] } else { &seat.others()[..] };
                for &other in others {
                    self.cuts.insert(order(seat, other));
                    self.at(after, Event::Mend(seat, other));
                    self.unlink(seat, other, false);
                }
            }
            Fault::Switch => {
                if let Some(active) = self.active() {
                    return self.order(active, Order::SwitchOver);
                }
            }
            Fault::Stop => {
                if let Some(active) = self.active() {
                    let after = self.micros(1_000_000, 5_000_000);
                    self.at(after, Event::Appoint { stopped: active });
                    return self.order(active, Order::Stop);
                }
            }
        }
        Ok(())
    }

    /// A node that was stopped starts again, or the other one is appointed before.
    fn appoint(&mut self, stopped: Seat) -> Result<(), String> {
        if self.choice.below(2) == 0 {
            self.order(stopped.peer(), Order::Appoint)?;
        }
        if !self.hosts[stopped as usize].is_active() {
            self.crash(stopped);
            let after = self.micros(500_000, 3_000_000);
            self.at(after, Event::Start(stopped));
        }
        Ok(())
    }

    fn order(&mut self, seat: Seat, order: Order) -> Result<(), String> {
        self.callers += 1;
        let caller = CallerId(self.callers);
        self.orders.insert(caller, order);
        self.input(seat, ControllerInput::Order { caller, order })
    }

    fn heal(&mut self) -> Result<(), String> {
        self.healed = true;
        self.answered_before_heal = self.answered.clone();
        self.cuts.clear();
        for seat in NODES {
            let known = self.hosts[seat as usize].controller().and_then(|controller| controller.pair()?.known());
            if known.is_some_and(|known| known.mode == Mode::Stopped) {
                self.crash(seat);
            }
        }
        for seat in Seat::ALL {
            self.start(seat)?;
        }
        for (one, other) in [(Seat::First, Seat::Second), (Seat::First, Seat::Watch), (Seat::Second, Seat::Watch)] {
            self.link(one, other);
        }
        Ok(())
    }

    fn ask(&mut self, client: usize, attempt: u64) -> Result<(), String> {
        let state = &mut self.clients[client];
        if attempt <= state.attempt {
            return Ok(());
        }
        if state.is_busy {
            state.at = state.at.peer();
        }
        state.is_busy = true;
        state.attempt = attempt;
        let (seat, number) = (state.at, state.number);
        self.at(PATIENCE, Event::Ask { client, attempt: attempt + 1 });
        if !self.is_running(seat) {
            self.at(Duration::from_millis(50), Event::Ask { client, attempt: attempt + 1 });
            return Ok(());
        }
        self.callers += 1;
        let caller = CallerId(self.callers);
        self.waiting.insert(caller, (client, seat, attempt));
        let command = if number == 0 { deployment(attempt) } else { addition(number, self.now) };
        let command: Command = from_text(&command).map_err(|problem| format!("{problem:?}"))?;
        self.input(seat, ControllerInput::Command { caller, command })
    }

    fn replied(&mut self, seat: Seat, caller: CallerId, reply: &Reply) -> Result<(), String> {
        if let Some(order) = self.orders.remove(&caller) {
            if order == Order::Appoint && reply.answer.is_ok() {
                self.see(Sometimes::Appointed);
            }
            return Ok(());
        }
        let Some((client, _, attempt)) = self.waiting.remove(&caller) else { return Ok(()) };
        if self.clients[client].attempt != attempt {
            return Ok(());
        }
        let after = match &reply.answer {
            Ok(response) => {
                if matches!(response, Response::AddOrder { ignored_because_duplicate: true }) {
                    self.see(Sometimes::DoneBefore);
                }
                if self.healed {
                    self.answers_since_heal.insert(client);
                }
                let number = self.clients[client].number;
                if number == 0 {
                    for other in 1..self.clients.len() {
                        self.at(Duration::ZERO, Event::Ask { client: other, attempt: 1 });
                    }
                } else {
                    let id = order_id(number);
                    let is_there =
                        self.hosts[seat as usize].controller().is_some_and(|it| it.state().order(&id).is_some());
                    if !is_there {
                        return Err(format!("S2: {id} was answered, but is not there"));
                    }
                    self.answered.insert(id);
                }
                self.next_number += 1;
                self.clients[client].number = self.next_number;
                self.clients[client].is_busy = false;
                self.micros(10_000, 1_500_000)
            }
            Err(problem) => match &*problem.code {
                "ClusterNodeIsNotActive" => {
                    self.see(Sometimes::NotActive);
                    self.micros(20_000, 200_000)
                }
                "Busy" | "OutcomeUnknown" => self.micros(20_000, 200_000),
                _ => return Err(format!("a command is refused: {problem:?}")),
            },
        };
        self.at(after, Event::Ask { client, attempt: attempt + 1 });
        Ok(())
    }

    fn read(&mut self, attempt: u64) -> Result<(), String> {
        if attempt <= self.reader.attempt {
            return Ok(());
        }
        if !self.hosts[self.reader.at as usize].is_active() {
            self.reader.at = self.reader.at.peer();
        }
        self.reader.attempt = attempt;
        let (seat, after) = (self.reader.at, self.reader.events.last().copied().unwrap_or(EventId::BEFORE_FIRST));
        self.at(PATIENCE, Event::Read { attempt: attempt + 1 });
        self.input(seat, ControllerInput::Read { reader: ReaderId(attempt), after })
    }

    fn was_given(&mut self, events: &[Stamped]) -> Result<(), String> {
        // Who asks again may be answered twice.
        let is_old = events.first().is_some_and(|first| self.reader.events.last() >= Some(&first.event_id));
        if is_old {
            return Ok(());
        }
        let ids: Vec<EventId> = events.iter().map(|event| event.event_id).collect();
        if !ids.is_sorted_by(|a, b| a < b) {
            return Err(format!("S7: the reader gets {ids:?}"));
        }
        self.reader.events.extend(ids);
        let attempt = self.reader.attempt + 1;
        self.at(Duration::from_millis(if events.is_empty() { 300 } else { 50 }), Event::Read { attempt });
        Ok(())
    }

    /// The journal was cut, and storage has done so: the replica is built anew.
    fn roll_back(&mut self, seat: Seat, life: u64, to: u64) -> Result<(), String> {
        if !self.is_life(seat, life) {
            return Ok(());
        }
        let host = &self.hosts[seat as usize];
        if host.disk.is_busy() {
            self.at(Duration::from_millis(1), Event::RollBack { seat, life, to });
            return Ok(());
        }
        if host.disk.end().offset.0 != to {
            return Err(format!("the journal of {seat} ends at {}, but was cut at {to}", host.disk.end().offset));
        }
        let replica = host.recover()?;
        self.see(Sometimes::RolledBack);
        self.input(seat, ControllerInput::RolledBack(Box::new(replica)))
    }

    /// The states that are to be equal.
    fn compare(&mut self) -> Result<(), String> {
        self.at(COMPARE, Event::Compare);
        let mut whole: Vec<(&Controller, Position)> = Vec::new();
        for host in &self.hosts {
            let (Some(controller), Some(node)) = (host.controller(), host.node()) else { continue };
            if !controller.may_be_imaged() {
                continue;
            }
            let end = node.journal().end();
            if !host.disk.is_busy() && host.disk.end() == end {
                controller.replica().check_equal(&host.recover()?);
            }
            whole.push((controller, end));
        }
        if let [(first, end), (second, other)] = whole[..]
            && end == other
            && end != Position::ORIGIN
        {
            first.replica().check_equal(second.replica());
            self.see(Sometimes::Compared);
        }
        Ok(())
    }

    /// At the end: no order was added twice, and the reader has seen everything.
    fn look_back(&mut self) -> Result<(), String> {
        let active = self.active().ok_or("nobody is active")?;
        let (mut assembly, mut events) = (Assembly::default(), Vec::new());
        for record in self.hosts[active as usize].disk.records() {
            let assembled = assembly.add(record).map_err(|error| error.to_string())?;
            events.extend(assembled.into_iter().flat_map(|assembled| assembled.transaction.events));
        }
        let mut added = BTreeSet::new();
        for stamped in &events {
            match &stamped.event {
                WorkflowEvent::Order(id, OrderEvent::OrderAdded { .. }) if !added.insert(id.clone()) => {
                    return Err(format!("S10: {id} was added twice"));
                }
                WorkflowEvent::Node(event) => match event.type_name() {
                    "ClusterFailedOver" => self.see(Sometimes::FailedOver),
                    "ClusterSwitchedOver" => self.see(Sometimes::SwitchedOver),
                    "ClusterPassiveLost" => self.see(Sometimes::PassiveLost),
                    _ => {}
                },
                _ => {}
            }
        }
        let ids = events.iter().map(|event| event.event_id);
        if !ids.take(self.reader.events.len()).eq(self.reader.events.iter().copied()) {
            return Err("S7: the reader has seen other events than those of the journal".to_owned());
        }
        if self.reader.events.is_empty() {
            return Err("S7: the reader has seen nothing".to_owned());
        }
        Ok(())
    }

    fn tell_pair(&mut self, seat: Seat, input: PairInput) -> Result<(), String> {
        if seat == Seat::Watch {
            if !self.watch.is_running() {
                return Ok(());
            }
            let left = self.watch.take(self.now, input);
            return self.after_watch(left);
        }
        self.input(seat, ControllerInput::Pair(input))
    }

    fn input(&mut self, seat: Seat, input: ControllerInput) -> Result<(), String> {
        if !self.is_running(seat) {
            return Ok(());
        }
        let left = self.hosts[seat as usize].step(self.now, Input::Arrived(input));
        self.after(seat, left)
    }

    fn after(&mut self, seat: Seat, left: Vec<Left>) -> Result<(), String> {
        let is_active = self.hosts[seat as usize].is_active();
        if is_active && !core::mem::replace(&mut self.was_active[seat as usize], is_active) {
            self.activated(seat)?;
        }
        self.was_active[seat as usize] = is_active;
        for left in left {
            match left {
                Left::Message(to, bytes) => self.send(seat, to, bytes),
                Left::Reply(caller, reply) => self.replied(seat, caller, &reply)?,
                Left::Events(events) if seat == self.reader.at => self.was_given(&events)?,
                Left::Events(_) => {}
                Left::RollBack(to) => {
                    let life = self.hosts[seat as usize].starts;
                    let after = self.micros(100, 500_000);
                    self.at(after, Event::RollBack { seat, life, to: to.offset.0 });
                }
                Left::Deposed => self.break_off(seat),
                Left::Trouble(trouble) => return Err(format!("{seat} needs a person: {trouble:?}")),
            }
        }
        self.go_on(seat, self.hosts[seat as usize].disk.is_busy());
        Ok(())
    }

    fn after_watch(&mut self, left: Vec<WatchLeft>) -> Result<(), String> {
        for left in left {
            if let WatchLeft::Message(to, envelope) = left {
                self.send(Seat::Watch, to, envelope.encode());
            }
        }
        self.go_on(Seat::Watch, self.watch.disk().is_busy());
        Ok(())
    }

    /// What was answered is there.
    fn activated(&mut self, seat: Seat) -> Result<(), String> {
        let Some(controller) = self.hosts[seat as usize].controller() else { return Ok(()) };
        match self.answered.iter().find(|id| controller.state().order(id).is_none()) {
            None => Ok(()),
            Some(id) => Err(format!("S2: {id} was answered, but {seat}, which is active now, does not have it")),
        }
    }

    /// Its storage syncs what it was told, and it wakes at its deadline.
    fn go_on(&mut self, seat: Seat, is_busy: bool) {
        let life = if seat == Seat::Watch { self.watch.starts } else { self.hosts[seat as usize].starts };
        if let Some(deadline) = self.deadline(seat) {
            let after = deadline.max(self.now).since(self.now);
            self.at(after, Event::Wake { seat, life });
        }
        if is_busy && self.syncing.insert(seat) {
            let after = self.micros(100, 5_000);
            self.at(after, Event::Synced { seat, life });
        }
    }

    fn send(&mut self, from: Seat, to: Seat, bytes: Vec<u8>) {
        let Some(&link) = self.links.get(&order(from, to)) else { return };
        let at = self.now + self.micros(50, 2_000);
        // A link is a stream, and keeps the order.
        let last = self.busy.entry((from, to)).or_insert(at);
        *last = at.max(*last);
        let after = last.since(self.now);
        self.at(after, Event::Arrive { from, to, link, bytes });
    }

    fn schedule(&mut self, fault: Fault) {
        let mean = self.faults.iter().find(|(kind, _)| *kind == fault).map_or(0, |(_, mean)| *mean);
        if mean > 0 {
            let after = self.micros(1_000, mean * 2_000);
            self.at(after, Event::Fault(fault));
        }
    }

    fn see(&mut self, what: Sometimes) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((self.now + after, self.sequence, event)));
    }

    fn micros(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_micros(self.choice.between(least, most))
    }
}

fn order(one: Seat, other: Seat) -> (Seat, Seat) {
    if one < other { (one, other) } else { (other, one) }
}

fn order_id(number: u64) -> OrderId {
    OrderId::new(&format!("O-{number}"))
}

/// A workflow; in a version of its own each time, since it may be there already.
fn deployment(attempt: u64) -> String {
    format!(
        r#"{{"TYPE": "UpdateItems", "operations": [
            {{"TYPE": "AddVersion", "versionId": "{attempt}"}},
            {{"TYPE": "AddOrChangeVersioned", "item": {{"TYPE": "Workflow", "path": "W", "instructions": []}}}}
        ]}}"#
    )
}

/// An order that starts at once, or in a while.
fn addition(number: u64, now: Instant) -> String {
    let id = order_id(number);
    let at = i64::try_from(now.since(Instant::ZERO).as_millis()).unwrap_or(0) + host::START + 3_000;
    let scheduled = if number.is_multiple_of(2) { String::new() } else { format!(r#""scheduledFor": {at},"#) };
    format!(r#"{{"TYPE": "AddOrder", "order": {{"id": "{id}", {scheduled} "workflowPath": "W", "planId": []}}}}"#)
}
