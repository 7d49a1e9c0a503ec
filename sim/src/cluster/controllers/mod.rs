//! Worlds in which the nodes of a cluster are controllers: clients add orders, a reader follows the events, while processes
//! crash, links are cut, nodes hand over or stop, and people found with two, force, and accept losses.
//!
//! What must hold: an order whose addition was answered is in every later active; it is added once; a standby whose journal is
//! as long as that of the active is in the same state, and so is what its disk makes up; the reader sees no event that is
//! taken back, none twice and none too few. After healing the pair is coupled, the clients are answered and all orders finish.
//!
//! The protocol itself is tried harder, with a smaller application, by [`super::swarm`].

mod checks;
mod clients;
mod disasters;
mod faults;
mod host;

use super::digest::hash_of;
use super::host::{Host as Watch, Left as WatchLeft};
use crate::choice::Choice;
use crate::quiet::quietly;
use crate::trace::Trace;
use baton_machine::controller::ControllerInput;
use baton_machine::host::CallerId;
use baton_protocol::event_id::EventId;
use baton_protocol::limit::Limits;
use baton_protocol::machine::Input;
use baton_protocol::pair::planted::Bugs;
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{Order, PairConfig, PairInput};
use baton_protocol::record::{Epoch, Record};
use baton_protocol::register::Seat;
use baton_protocol::time::{Duration, Instant};
use baton_workflow::id::OrderId;
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
    /// `ClusterActiveNodeRestarted` is in the journal.
    RestartedAfterStop,
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
    /// A node built its replica from an image of the other one, because the records that it needed were released.
    BegunAnew,
    /// A person let the first node begin without the second one.
    FoundedByTwo,
    /// A person forced a node, when both others were lost.
    Forced,
    /// A person let the standby take over from an active that was lost while it was alone.
    LossAccepted,
}

impl Sometimes {
    /// All.
    pub const ALL: [Self; 13] = [
        Self::FailedOver,
        Self::SwitchedOver,
        Self::PassiveLost,
        Self::RestartedAfterStop,
        Self::RolledBack,
        Self::NotActive,
        Self::Appointed,
        Self::Compared,
        Self::DoneBefore,
        Self::BegunAnew,
        Self::FoundedByTwo,
        Self::Forced,
        Self::LossAccepted,
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
    Arrive {
        from: Seat,
        to: Seat,
        link: u64,
        bytes: Vec<u8>,
    },
    LinkUp {
        one: Seat,
        other: Seat,
        link: u64,
    },
    LinkDown {
        at: Seat,
        of: Seat,
        refused: bool,
    },
    Synced {
        seat: Seat,
        life: u64,
    },
    Wake {
        seat: Seat,
        life: u64,
    },
    Start(Seat),
    Mend(Seat, Seat),
    RollBack {
        seat: Seat,
        life: u64,
        to: u64,
    },
    Fault(Fault),
    Appoint {
        stopped: Seat,
    },
    /// A person lets the first node begin without the second.
    FoundByTwo,
    /// A person orders once more what the survivor of a disaster is to do.
    Insist,
    Ask {
        client: usize,
        attempt: u64,
    },
    Read {
        attempt: u64,
    },
    Compare,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Fault {
    Crash,
    Cut,
    Switch,
    Stop,
    Wipe,
    /// Two voters are lost for good, or the active is while it was alone.
    Disaster,
}

/// Somebody who adds one order after the other; the first one deploys the workflow before.
struct Client {
    /// The number of its order; zero for the deployment.
    number: u64,
    at: Seat,
    attempt: u64,
    is_busy: bool,
    /// When what it wants now was asked for first.
    since: Option<Instant>,
}

struct Reader {
    at: Seat,
    attempt: u64,
    events: Vec<EventId>,
    /// Events that it could not get, because they are released: those after the first and until the second.
    missed: Vec<(EventId, EventId)>,
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
    faults: [(Fault, u64); 6],
    founds_by_two: bool,
    /// Who is left after a disaster, what a person orders there until it is so, and in which epoch it was before.
    survivor: Option<(Seat, Order, Epoch)>,
    /// How long clients pause at most, in microseconds.
    pause: u64,
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
    /// The committed records.
    history: Vec<Record>,
    /// So many of them there were when the workflow was deployed; without it clients could not go on.
    deployed: usize,
    was_active: [bool; 2],
    healed: bool,
    seen: BTreeMap<Sometimes, u64>,
    trace: Trace,
}

/// Lets the world of a seed happen.
#[must_use]
pub fn pass(seed: u64, bugs: Bugs) -> Shown {
    run(World::new(seed, bugs))
}

/// The run of a seed in words, up to its end.
#[must_use]
pub fn tell(seed: u64, bugs: Bugs) -> String {
    let mut world = World::new(seed, bugs);
    world.trace = Trace::logging(0..u64::MAX);
    let words = match quietly(|| world.run()) {
        Ok(Ok(())) => "nothing is wrong".to_owned(),
        Ok(Err(violation)) | Err(violation) => violation,
    };
    format!("{}\n{words}", world.trace.log().join("\n"))
}

fn run(mut world: World) -> Shown {
    let violation = quietly(|| world.run()).unwrap_or_else(Err).err();
    Shown {
        digest: world.trace.digest(),
        orders: world.answered.len(),
        seen: core::mem::take(&mut world.seen),
        violation,
    }
}

impl World {
    fn new(seed: u64, bugs: Bugs) -> Self {
        let root = Choice::of_seed(seed);
        let mut plan = root.child("plan");
        let mut often = |of: u64, least, most| if plan.below(of) == 0 { plan.between(least, most) } else { 0 };
        let faults = [
            (Fault::Crash, often(2, 3_000, 15_000)),
            (Fault::Cut, often(2, 3_000, 15_000)),
            (Fault::Switch, often(2, 3_000, 15_000)),
            (Fault::Stop, often(4, 8_000, 25_000)),
            (Fault::Wipe, often(4, 8_000, 25_000)),
            (Fault::Disaster, often(4, 5_000, 20_000)),
        ];
        let founds_by_two = plan.below(8) == 0;
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
        // Records are released in hundreds, so it takes many orders until a node needs an image.
        let is_busy = plan.below(4) == 0;
        let pause = if is_busy { 100_000 } else { 1_500_000 };
        let image_after = if plan.below(4) == 0 { 0 } else { plan.between(20, 100) };
        let skews = [0, i64::try_from(plan.below(20_000)).unwrap_or(0) - 10_000];
        let config =
            |seat| PairConfig { seat, timing: Timing::DEFAULT, window: 1 << 14, piece: 1 << 10, couple_lag: 4, bugs };
        let clients = (0..plan.between(1, 3)).map(|_| Client {
            number: 0,
            at: Seat::First,
            attempt: 0,
            is_busy: false,
            since: None,
        });
        Self {
            clients: clients.collect(),
            choice: root.child("world"),
            now: Instant::ZERO,
            hosts: NODES.map(|seat| Host::new(config(seat), limits, skews[seat as usize], image_after)),
            watch: Watch::new(config(Seat::Watch), limits),
            events: BinaryHeap::new(),
            sequence: 0,
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            busy: BTreeMap::new(),
            syncing: BTreeSet::new(),
            faults,
            founds_by_two,
            survivor: None,
            pause,
            next_number: 0,
            callers: 0,
            waiting: BTreeMap::new(),
            orders: BTreeMap::new(),
            answered: BTreeSet::new(),
            answered_before_heal: BTreeSet::new(),
            answers_since_heal: BTreeSet::new(),
            reader: Reader { at: Seat::First, attempt: 0, events: Vec::new(), missed: Vec::new() },
            history: Vec::new(),
            deployed: 0,
            was_active: [false; 2],
            healed: false,
            seen: BTreeMap::new(),
            trace: Trace::new(),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        for seat in Seat::ALL {
            let is_late = self.founds_by_two && seat == Seat::Second;
            let after = if is_late { self.micros(5_000_000, 10_000_000) } else { self.micros(0, 500_000) };
            self.at(after, Event::Start(seat));
        }
        if self.founds_by_two {
            for _ in 0..3 {
                let after = self.micros(100_000, 4_000_000);
                self.at(after, Event::FoundByTwo);
            }
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
            self.end_stopped();
            for seat in NODES {
                self.start(seat)?;
            }
        }
        Err(format!("L2: after healing it is not well within {LIVE_AGAIN:?}: {}", self.state()))
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
            Event::FoundByTwo => self.order(Seat::First, Order::Found),
            Event::Insist => self.insist(),
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
        let is_new = to > 0 && host.disk.begin().offset.0 == to;
        self.see(if is_new { Sometimes::BegunAnew } else { Sometimes::RolledBack });
        self.input(seat, ControllerInput::RolledBack(Box::new(replica)))
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
        self.remember_committed(seat);
        let is_active = self.hosts[seat as usize].is_active();
        if is_active && !core::mem::replace(&mut self.was_active[seat as usize], is_active) {
            self.activated(seat)?;
            self.see_founding(seat);
        }
        self.was_active[seat as usize] = is_active;
        for left in left {
            match left {
                Left::Message(to, bytes) => {
                    self.acknowledges_what_is_durable(seat, &bytes)?;
                    self.send(seat, to, bytes);
                }
                Left::Reply(caller, reply) => self.replied(seat, caller, &reply)?,
                Left::Events(events) if seat == self.reader.at => self.was_given(&events)?,
                Left::Events(_) => {}
                Left::Released(until) if seat == self.reader.at => self.has_missed(until),
                Left::Released(_) => {}
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
