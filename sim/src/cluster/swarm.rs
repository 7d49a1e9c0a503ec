//! Worlds of clusters: two nodes, a watch and clients, in simulated time, under faults that are drawn from a seed.
//!
//! A seed draws a plan: which kinds of faults happen and how often, how slow links and disks are, how tight limits are. In
//! the first phase faults happen and safety is audited at every step ([`super::audit`]). Then everything is healed, and the
//! cluster has to be alive again within [`LIVE_AGAIN`]: coupled, and answering. In worlds with a single failure the promised
//! time of a take-over is asserted and reported.

mod clients;
mod faults;
mod seen;

use super::audit::{Audit, no_trouble};
use super::digest::hash_of;
use super::host::{Host, Left};
use super::plan::{Failure, Plan};
use super::shown::{Shown, Sometimes};
use super::toy::Number;
use crate::choice::Choice;
use crate::quiet::quietly;
use crate::trace::Trace;
use baton_protocol::pair::message::{Envelope, Message};
use baton_protocol::pair::planted::Bugs;
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{Order, PairConfig, PairInput};
use baton_protocol::record::{Epoch, Position};
use baton_protocol::register::{Members, Mode, Seat};
use baton_protocol::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// Within so long after healing the cluster is coupled and answers.
pub const LIVE_AGAIN: Duration = Duration::from_secs(30);

/// Length of the phase with faults.
const FAULTY: Duration = Duration::from_secs(40);

/// A client that gets no answer asks again after this.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Event {
    Arrive {
        from: Seat,
        to: Seat,
        link: u64,
        number: u64,
    },
    LinkUp {
        one: Seat,
        other: Seat,
        link: u64,
    },
    /// A host notices that there is a link.
    Up {
        at: Seat,
        of: Seat,
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
    /// A process ends by itself.
    End(Seat),
    Appoint(Seat),
    Resume(Seat),
    Unstall(Seat),
    Mend(Seat, Seat),
    Fault(Fault),
    Ask {
        client: usize,
        attempt: u64,
    },
    Look {
        seat: Seat,
        look: u32,
    },
    Single,
    /// A person orders once more what the survivor of a disaster is to do.
    Insist,
    FoundByTwo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Fault {
    Crash,
    Cut,
    Pause,
    Stall,
    Switch,
    Wipe,
    Disaster,
}

struct Client {
    number: Number,
    /// Whom it believes to be active.
    at: Seat,
    attempt: u64,
}

struct World {
    choice: Choice,
    plan: Plan,
    now: Instant,
    hosts: [Host; 3],
    audit: Audit,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    sequence: u64,
    messages: BTreeMap<u64, Envelope>,
    /// The link between two hosts, by their order; none while there is none.
    links: BTreeMap<(Seat, Seat), u64>,
    cuts: BTreeSet<(Seat, Seat)>,
    /// When the last message in this direction arrives: links keep the order.
    busy: BTreeMap<(Seat, Seat), Instant>,
    paused: BTreeSet<Seat>,
    stalled: BTreeSet<Seat>,
    /// What waits for hosts that stand still.
    backlog: BTreeMap<Seat, Vec<Event>>,
    /// Hosts whose storage is at work.
    syncing: BTreeSet<Seat>,
    clients: Vec<Client>,
    next_number: Number,
    looks: u32,
    answered: BTreeSet<Number>,
    failed: Option<(Failure, Instant)>,
    /// Who has survived a disaster, what it is told to do, and the epoch before.
    survivor: Option<(Seat, Order, Epoch)>,
    outage: Option<(Failure, Duration)>,
    healed: bool,
    seen: BTreeMap<Sometimes, u64>,
    members: Option<Members>,
    /// Who has begun anew with an image, and has not coupled yet.
    installed: BTreeSet<Seat>,
    /// The image that was offered last, and is not installed.
    offered: Option<Position>,
    trace: Trace,
}

/// Lets the world of a seed happen.
#[must_use]
pub fn pass(seed: u64, bugs: Bugs) -> Shown {
    let mut world = World::new(seed, bugs);
    let violation = quietly(|| world.run()).unwrap_or_else(Err).err();
    Shown {
        digest: world.trace.digest(),
        draws: world.choice.draws(),
        steps: world.trace.steps(),
        time: world.now.since(Instant::ZERO),
        seen: world.seen,
        outage: world.outage,
        violation,
    }
}

/// The run of a seed in words, up to its end.
#[must_use]
pub fn tell(seed: u64, bugs: Bugs, steps: std::ops::Range<u64>) -> String {
    let mut world = World::new(seed, bugs);
    world.trace = Trace::logging(steps);
    let words = match quietly(|| world.run()) {
        Ok(Ok(())) => "nothing is wrong".to_owned(),
        Ok(Err(violation)) | Err(violation) => violation,
    };
    format!("{:?}\n{}\n{words}", world.plan, world.trace.log().join("\n"))
}

impl World {
    fn new(seed: u64, bugs: Bugs) -> Self {
        let root = Choice::of_seed(seed);
        let plan = Plan::draw(&mut root.child("plan"));
        let host = |seat| {
            let config = PairConfig { seat, timing: Timing::DEFAULT, window: 1 << 11, piece: 32, couple_lag: 2, bugs };
            Host::new(config, plan.limits).with_images(plan.image_after)
        };
        let clients = (0..plan.clients).map(|_| Client { number: 0, at: Seat::First, attempt: 0 }).collect();
        Self {
            choice: root.child("world"),
            now: Instant::ZERO,
            hosts: Seat::ALL.map(host),
            audit: Audit::default(),
            events: BinaryHeap::new(),
            sequence: 0,
            messages: BTreeMap::new(),
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            busy: BTreeMap::new(),
            paused: BTreeSet::new(),
            stalled: BTreeSet::new(),
            backlog: BTreeMap::new(),
            syncing: BTreeSet::new(),
            clients,
            next_number: 0,
            looks: 0,
            answered: BTreeSet::new(),
            failed: None,
            survivor: None,
            outage: None,
            healed: false,
            seen: BTreeMap::new(),
            members: None,
            installed: BTreeSet::new(),
            offered: None,
            trace: Trace::new(),
            plan,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        for seat in Seat::ALL {
            let after = self.micros(0, 500_000);
            self.at(after, Event::Start(seat));
        }
        for client in 0..self.clients.len() {
            let after = self.micros(1_000_000, 3_000_000);
            self.at(after, Event::Ask { client, attempt: 1 });
        }
        for fault in [Fault::Crash, Fault::Cut, Fault::Pause, Fault::Stall, Fault::Switch, Fault::Wipe, Fault::Disaster]
        {
            self.schedule_fault(fault);
        }
        if self.plan.founds_by_two {
            for _ in 0..3 {
                let after = self.micros(100_000, 4_000_000);
                self.at(after, Event::FoundByTwo);
            }
        }
        if self.plan.single.is_some() {
            let after = self.micros(8_000_000, 20_000_000);
            self.at(after, Event::Single);
        }
        self.run_until(Instant::ZERO + FAULTY)?;
        self.heal();
        // Who syncs three times a second, needs its time to catch up.
        let within = if self.plan.sync.1 > 100_000 { LIVE_AGAIN * 4 } else { LIVE_AGAIN };
        let deadline = self.now + within;
        let goal = self.audit.committed() + 5;
        while self.now < deadline {
            self.run_until(self.now + Duration::from_millis(500))?;
            if self.is_well(goal) {
                return self.all_answered_are_there();
            }
        }
        Err(format!("L2: after healing it is not well within {within:?}: {}", self.state()))
    }

    /// S2, S10: at the end every answered number is in the list of both nodes.
    fn all_answered_are_there(&self) -> Result<(), String> {
        for host in &self.hosts[..2] {
            let list: BTreeSet<Number> =
                host.node().into_iter().flat_map(|node| node.machine().list()).copied().collect();
            if let Some(lost) = self.answered.difference(&list).next()
                && list.len() >= self.answered.len()
            {
                return Err(format!("S2: {lost} was answered, but {} does not have it", host.seat()));
            }
        }
        Ok(())
    }

    fn is_well(&self, goal: usize) -> bool {
        let known: Vec<_> = self.hosts[..2].iter().filter_map(|host| host.node()?.machine().pair().known()).collect();
        let is_coupled = known.len() == 2 && known[0] == known[1] && known[0].mode == Mode::Coupled;
        let active = self.hosts[..2].iter().filter(|host| is_active(host)).count();
        is_coupled && active == 1 && self.audit.committed() >= goal
    }

    fn state(&self) -> String {
        let node = |host: &Host| match host.node() {
            None => "does not run".to_owned(),
            Some(node) => format!(
                "active: {}, {}, {:?}",
                node.machine().pair().is_active(),
                node.machine().pair().known().map_or_else(|| "knows nothing".to_owned(), |known| known.to_string()),
                node.journal().watermarks()
            ),
        };
        format!("first {}; second {}; committed {}", node(&self.hosts[0]), node(&self.hosts[1]), self.audit.committed())
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
        self.trace.step(&hash_of(&(now, &event)).to_le_bytes(), || format!("{:.6} {event:?}", seconds(now)));
        match event {
            Event::Arrive { from, to, link, number } => {
                let Some(envelope) = self.messages.remove(&number) else { return Ok(()) };
                if self.paused.contains(&to) {
                    // It lies in the buffer of the socket.
                    self.messages.insert(number, envelope);
                    return self.later(to, Event::Arrive { from, to, link, number });
                }
                if self.links.get(&order(from, to)) != Some(&link) || self.is_cut(from, to) {
                    return Ok(());
                }
                let hash = hash_of(&envelope).to_le_bytes();
                self.trace.step(&hash, || format!("  {from:?} -> {to:?} {:?}", envelope.message));
                self.input(to, PairInput::Received(envelope))
            }
            Event::LinkUp { one, other, link } => {
                let (first, second) = order(one, other);
                let alive = self.hosts[first as usize].is_running() && self.hosts[second as usize].is_running();
                if !alive
                    || self.is_cut(first, second)
                    || self.is_cut(second, first)
                    || self.links.contains_key(&(first, second))
                {
                    return Ok(());
                }
                self.links.insert((first, second), link);
                self.happen(Event::Up { at: first, of: second, link })?;
                self.happen(Event::Up { at: second, of: first, link })
            }
            Event::Up { at, of, link } => {
                if self.paused.contains(&at) {
                    return self.later(at, Event::Up { at, of, link });
                }
                if self.links.get(&order(at, of)) != Some(&link) {
                    return Ok(());
                }
                self.input(at, PairInput::Up(of))
            }
            Event::LinkDown { at, of, refused } => {
                if self.paused.contains(&at) {
                    return self.later(at, Event::LinkDown { at, of, refused });
                }
                if self.links.contains_key(&order(at, of)) {
                    return Ok(());
                }
                self.input(at, PairInput::Down { seat: of, refused })
            }
            Event::Synced { seat, life } => {
                if self.hosts[seat as usize].starts != life || !self.hosts[seat as usize].is_running() {
                    return Ok(());
                }
                if self.paused.contains(&seat) {
                    return self.later(seat, Event::Synced { seat, life });
                }
                if self.stalled.contains(&seat) {
                    self.at(Duration::from_millis(50), Event::Synced { seat, life });
                    return Ok(());
                }
                self.syncing.remove(&seat);
                let count = self.hosts[seat as usize].disk().unsynced();
                let left = self.hosts[seat as usize].sync(self.now, count);
                self.after(seat, left)
            }
            Event::Wake { seat, life } => {
                let host = &self.hosts[seat as usize];
                if host.starts != life || !host.is_running() || self.paused.contains(&seat) {
                    return Ok(());
                }
                if host.deadline().is_none_or(|deadline| deadline > self.now) {
                    return Ok(());
                }
                let left = self.hosts[seat as usize].due(self.now);
                self.after(seat, left)
            }
            Event::Start(seat) => self.start(seat),
            Event::End(seat) => {
                self.crash(seat);
                let after = self.micros(100_000, 10_000_000);
                self.at(after, Event::Start(seat));
                if self.choice.below(2) == 0 {
                    let after = self.micros(10_000, 5_000_000);
                    self.at(after, Event::Appoint(seat.peer()));
                }
                Ok(())
            }
            Event::Appoint(seat) => self.input(seat, PairInput::Ordered(Order::Appoint)),
            Event::Resume(seat) => {
                self.resume(seat);
                Ok(())
            }
            Event::Unstall(seat) => {
                self.stalled.remove(&seat);
                Ok(())
            }
            Event::Mend(one, other) => {
                self.cuts.remove(&(one, other));
                self.link(one, other);
                Ok(())
            }
            Event::Fault(fault) => self.fault(fault),
            Event::Ask { client, attempt } => self.ask(client, attempt),
            Event::Look { seat, look } => self.look(seat, look),
            Event::Single => self.fail(),
            Event::Insist => self.insist(),
            Event::FoundByTwo => self.input(Seat::First, PairInput::Ordered(Order::Found)),
        }
    }

    fn start(&mut self, seat: Seat) -> Result<(), String> {
        if self.hosts[seat as usize].is_running() {
            return Ok(());
        }
        let seed = self.choice.bits();
        let left = self.hosts[seat as usize].start(self.now, seed);
        self.after(seat, left)?;
        for other in seat.others() {
            self.link(seat, other);
        }
        Ok(())
    }

    /// Both dial each other all the time; sooner or later there is a link.
    fn link(&mut self, one: Seat, other: Seat) {
        let after = self.micros(self.plan.latency.0, self.plan.latency.1 * 2);
        let link = self.choice.bits();
        self.at(after, Event::LinkUp { one, other, link });
    }

    fn is_cut(&self, from: Seat, to: Seat) -> bool {
        self.cuts.contains(&(from, to))
    }

    fn active(&self) -> Option<Seat> {
        self.hosts[..2].iter().find(|host| is_active(host)).map(Host::seat)
    }

    fn input(&mut self, seat: Seat, input: PairInput) -> Result<(), String> {
        if !self.hosts[seat as usize].is_running() {
            return Ok(());
        }
        let left = self.hosts[seat as usize].take(self.now, input);
        self.after(seat, left)
    }

    fn after(&mut self, seat: Seat, left: Vec<Left>) -> Result<(), String> {
        let host = &mut self.hosts[seat as usize];
        let news = host.news();
        if seat == Seat::Watch {
            no_trouble(host, &news)?;
        } else {
            self.audit.look(host, &news, &left)?;
        }
        self.observe(seat, &news);
        for left in left {
            match left {
                Left::Message(to, envelope) => self.send(seat, to, envelope),
                Left::Added(number) => self.answered(number)?,
                Left::Refused(number) => self.refused(number),
                Left::Seen(..) => *self.seen.entry(Sometimes::Seen).or_default() += 1,
            }
        }
        self.wake(seat);
        if self.hosts[seat as usize].disk().is_busy() && self.syncing.insert(seat) {
            let life = self.hosts[seat as usize].starts;
            let after = self.micros(self.plan.sync.0, self.plan.sync.1);
            self.at(after, Event::Synced { seat, life });
        }
        Ok(())
    }

    fn send(&mut self, from: Seat, to: Seat, envelope: Envelope) {
        if let Message::Question(_) = envelope.message {
            let other = self.hosts[from.others()[0] as usize].node();
            let both = from != Seat::Watch && other.is_some_and(|node| node.machine().pair().is_asking());
            if both {
                *self.seen.entry(Sometimes::BothAsked).or_default() += 1;
            }
        }
        if let Message::Offer { at, .. } = &envelope.message
            && self.offered.replace(*at).is_some_and(|before| before.offset < at.offset)
        {
            *self.seen.entry(Sometimes::NewerImage).or_default() += 1;
        }
        let Some(&link) = self.links.get(&order(from, to)) else { return };
        if self.choice.one_in_a_million(self.plan.loss) {
            return;
        }
        let copies = if self.choice.one_in_a_million(self.plan.double) { 2 } else { 1 };
        for _ in 0..copies {
            let after = self.micros(self.plan.latency.0, self.plan.latency.1);
            let mut at = self.now + after;
            // Without losses the link is a stream, and keeps the order.
            if self.plan.loss == 0 && self.plan.double == 0 {
                let last = self.busy.entry((from, to)).or_insert(at);
                at = at.max(*last);
                *last = at;
            }
            self.sequence += 1;
            let number = self.sequence;
            self.messages.insert(number, envelope.clone());
            self.events.push(Reverse((at, number, Event::Arrive { from, to, link, number })));
        }
    }

    fn wake(&mut self, seat: Seat) {
        let host = &self.hosts[seat as usize];
        if let Some(deadline) = host.deadline() {
            let life = host.starts;
            self.sequence += 1;
            let at = deadline.max(self.now);
            self.events.push(Reverse((at, self.sequence, Event::Wake { seat, life })));
        }
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((self.now + after, self.sequence, event)));
    }

    /// Whoever stands still gets it when it goes on.
    fn later(&mut self, seat: Seat, event: Event) -> Result<(), String> {
        self.backlog.entry(seat).or_default().push(event);
        Ok(())
    }

    fn resume(&mut self, seat: Seat) {
        self.paused.remove(&seat);
        for event in self.backlog.remove(&seat).unwrap_or_default() {
            self.at(Duration::ZERO, event);
        }
        self.wake(seat);
    }

    fn micros(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_micros(self.choice.between(least, most))
    }
}

fn seconds(at: Instant) -> f64 {
    at.since(Instant::ZERO).as_secs_f64()
}

fn is_active(host: &Host) -> bool {
    host.node().is_some_and(|node| node.machine().pair().is_active())
}

fn order(one: Seat, other: Seat) -> (Seat, Seat) {
    if one < other { (one, other) } else { (other, one) }
}
