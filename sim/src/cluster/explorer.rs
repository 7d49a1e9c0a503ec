//! All runs of a small cluster, breadth first: the first violation that is found is one with the fewest steps.
//!
//! The choices are what the world is free to choose: which message arrives next or is lost, when storage syncs, when a deadline
//! comes, who crashes and how much of what was not synced has reached the disk. The kinds that could go on for ever have a
//! budget. Links keep the order of messages, as TCP does; what breaks a link loses them.
//!
//! With [`Grain::Message`] each arrival and each sync is a choice of its own. With [`Grain::Host`] it is a choice which host goes
//! on next; it takes all that has arrived, and syncs or is killed before. That leaves far fewer runs, so that more faults can be
//! exhausted.
//!
//! Time does not decide here: a deadline comes when the explorer wants it, and then all deadlines of that host have come and
//! all others have been silent for it. So
//! what is found not to happen does not happen whatever the clocks do.

use super::audit::{Audit, Violation, no_trouble};
use super::host::{Host, Left};
use super::toy::{News, Number};
use baton_protocol::limit::Limits;
use baton_protocol::pair::message::{Envelope, Message};
use baton_protocol::pair::planted::Bugs;
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{Order, PairConfig, PairInput};
use baton_protocol::register::{Mode, Seat};
use baton_protocol::time::{Duration, Instant};
use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// What may happen how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Numbers that clients add.
    pub adds: u8,
    /// Processes that are killed.
    pub crashes: u8,
    /// Messages that are lost.
    pub losses: u8,
    /// Deadlines that come.
    pub dues: u8,
    /// Switch-overs that are ordered.
    pub switches: u8,
    /// Clients that want to see the list.
    pub looks: u8,
}

impl Budget {
    /// What is exhausted in each run of the tests.
    pub const SMALL: Self = Self { adds: 2, crashes: 2, losses: 1, dues: 2, switches: 0, looks: 0 };
}

/// How finely runs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grain {
    /// In the order of arrivals and syncs.
    Message,
    /// In the order of hosts that go on.
    Host,
}

/// What the world chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The next message arrives.
    Arrive(Seat, Seat),
    /// The next message is lost.
    Lose(Seat, Seat),
    /// Storage syncs.
    Sync(Seat),
    /// The host takes all that is under way to it, and syncs.
    Run(Seat),
    /// The same, but it is killed before it syncs; all of it has reached the disk, or nothing.
    RunAndCrash(Seat, bool),
    /// All that is under way is lost.
    Break(Seat, Seat),
    /// From now on nothing passes between a node and the watch.
    CutOff(Seat),
    /// It passes again.
    Mend(Seat),
    /// The deadline comes.
    Due(Seat),
    /// A client adds the next number.
    Add(Seat),
    /// The process is killed; all that was not synced has reached the disk, or nothing.
    Crash(Seat, bool),
    /// The process starts.
    Start(Seat),
    /// A person orders a switch-over.
    SwitchOver(Seat),
    /// A client wants to see the list.
    Look(Seat),
}

/// A small cluster. Cloning shares what the next step does not touch.
#[derive(Clone, Debug)]
pub struct Small {
    hosts: [Shared<Host>; 3],
    /// What is under way, by sender and receiver.
    wires: [[Shared<VecDeque<Envelope>>; 3]; 3],
    /// Each host's clock.
    clocks: [Instant; 3],
    grain: Grain,
    /// Which node is cut off from the watch.
    cut_off: [bool; 2],
    budget: Budget,
    added: Number,
    audit: Shared<Audit>,
    /// Which process of a sender has sent something to a receiver last.
    heard: [[u64; 3]; 3],
}

/// A part of the state which is hashed once for each change rather than once for each step.
#[derive(Clone, Debug)]
struct Shared<T> {
    value: Rc<T>,
    hash: u64,
}

impl<T: Clone + Hash> Shared<T> {
    fn new(value: T) -> Self {
        Self { hash: hash_of(&value), value: Rc::new(value) }
    }

    fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(Rc::make_mut(&mut self.value));
        self.hash = hash_of(&*self.value);
        result
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A hash that is the same in every run.
pub(super) fn hash_of(value: &impl Hash) -> u64 {
    BuildHasherDefault::<Folding>::default().hash_one(value)
}

/// Multiplies and folds, word by word: as even as needed here, and several times faster than the standard one, which is made
/// to resist attacks.
#[derive(Clone, Copy, Debug, Default)]
struct Folding(u64);

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 56);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        // Digits of pi, so that nothing is zero.
        let product = u128::from(self.0 ^ number ^ 0x243F_6A88_85A3_08D3) * u128::from(0x1319_8A2E_0370_7345_u64);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// So far the clock goes when a deadline comes: beyond all of them.
const FAR: Duration = Duration::from_secs(100);

impl Small {
    /// A cluster that has been coupled without any fault.
    ///
    /// # Panics
    /// When it does not couple.
    #[must_use]
    pub fn coupled(grain: Grain, budget: Budget, bugs: Bugs) -> Self {
        Self::coupled_with_images(grain, budget, bugs, 0)
    }

    /// The same, with an image after so many records, and without the records before it; zero: never.
    ///
    /// # Panics
    /// When it does not couple.
    #[must_use]
    pub fn coupled_with_images(grain: Grain, budget: Budget, bugs: Bugs, after: u64) -> Self {
        let mut small = Self::founded(budget, bugs, after);
        for _ in 0..20 {
            small.calm();
            if small.is_coupled() {
                small.grain = grain;
                return small;
            }
            for seat in Seat::ALL {
                small.apply(Step::Due(seat)).unwrap_or_else(|violation| panic!("{violation}"));
                small.calm();
            }
            small.budget = budget;
        }
        panic!("without faults it couples");
    }

    /// A cluster with empty disks, all started.
    fn founded(budget: Budget, bugs: Bugs, image_after: u64) -> Self {
        let limits = Limits { records: 16, record_bytes: 1 << 12, promises: 64, promise_bytes: 1 << 16, puts: 32 };
        let host = |seat| {
            let config = PairConfig { seat, timing: Timing::DEFAULT, window: 1 << 10, piece: 4, couple_lag: 1, bugs };
            Shared::new(Host::new(config, limits).with_images(image_after))
        };
        let mut small = Self {
            hosts: Seat::ALL.map(host),
            wires: std::array::from_fn(|_| std::array::from_fn(|_| Shared::new(VecDeque::new()))),
            clocks: [Instant::ZERO + FAR; 3],
            grain: Grain::Message,
            cut_off: [false; 2],
            budget,
            added: 0,
            audit: Shared::new(Audit::default()),
            heard: [[0; 3]; 3],
        };
        for seat in Seat::ALL {
            small.apply(Step::Start(seat)).unwrap_or_else(|violation| panic!("{violation}"));
        }
        small
    }

    fn is_coupled(&self) -> bool {
        self.hosts[0]
            .node()
            .and_then(|node| node.machine().pair().known())
            .is_some_and(|known| known.mode == Mode::Coupled)
    }

    /// Lets everything arrive and be synced.
    fn calm(&mut self) {
        loop {
            let steps = self.steps();
            let quiet = steps.iter().find(|step| matches!(step, Step::Arrive(..) | Step::Sync(_)));
            let Some(step) = quiet else { return };
            self.apply(*step).unwrap_or_else(|violation| panic!("{violation}"));
        }
    }

    /// What may happen now.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for host in &self.hosts {
            let seat = host.seat();
            if !host.is_running() {
                steps.push(Step::Start(seat));
                continue;
            }
            if self.grain == Grain::Host {
                self.coarse_steps(seat, &mut steps);
                continue;
            }
            if host.disk().is_busy() {
                steps.push(Step::Sync(seat));
            }
            for from in seat.others() {
                if !self.wires[from as usize][seat as usize].is_empty() {
                    steps.push(Step::Arrive(from, seat));
                    if self.budget.losses > 0 {
                        steps.push(Step::Lose(from, seat));
                    }
                }
            }
            if self.budget.dues > 0 {
                steps.push(Step::Due(seat));
            }
            if self.budget.crashes > 0 {
                steps.push(Step::Crash(seat, false));
                if host.disk().is_busy() {
                    steps.push(Step::Crash(seat, true));
                }
            }
            self.orders(seat, &mut steps);
        }
        steps
    }

    fn coarse_steps(&self, seat: Seat, steps: &mut Vec<Step>) {
        let arriving = seat.others().into_iter().filter(|&from| !self.wires[from as usize][seat as usize].is_empty());
        let is_busy = self.hosts[seat as usize].disk().is_busy();
        if seat == Seat::Watch {
            if self.budget.crashes > 0 {
                steps.push(Step::Crash(seat, false));
            }
            return;
        }
        if self.cut_off[seat as usize] {
            steps.push(Step::Mend(seat));
        } else if self.budget.losses > 0 {
            steps.push(Step::CutOff(seat));
        }
        if arriving.clone().next().is_some() || is_busy {
            steps.push(Step::Run(seat));
        }
        if self.budget.crashes > 0 {
            steps.push(Step::RunAndCrash(seat, false));
            if arriving.clone().next().is_some() || is_busy {
                steps.push(Step::RunAndCrash(seat, true));
            }
        }
        if self.budget.losses > 0 {
            steps.extend(arriving.map(|from| Step::Break(from, seat)));
        }
        if self.budget.dues > 0 {
            steps.push(Step::Due(seat));
        }
        self.orders(seat, steps);
    }

    fn orders(&self, seat: Seat, steps: &mut Vec<Step>) {
        let is_active = self.hosts[seat as usize].node().is_some_and(|node| node.machine().pair().is_active());
        if is_active && self.budget.adds > 0 {
            steps.push(Step::Add(seat));
        }
        if is_active && self.budget.looks > 0 {
            steps.push(Step::Look(seat));
        }
        if is_active && self.budget.switches > 0 {
            steps.push(Step::SwitchOver(seat));
        }
    }

    /// Lets it happen.
    ///
    /// # Errors
    /// When something is violated.
    pub fn apply(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Arrive(from, to) => {
                if let Some(envelope) = self.wires[from as usize][to as usize].change(VecDeque::pop_front) {
                    self.input(to, PairInput::Received(envelope))?;
                }
            }
            Step::Lose(from, to) => {
                self.budget.losses -= 1;
                self.wires[from as usize][to as usize].change(VecDeque::pop_front);
            }
            Step::Sync(seat) => {
                let count = self.hosts[seat as usize].disk().unsynced();
                let now = self.clocks[seat as usize];
                let left = self.hosts[seat as usize].change(|host| host.sync(now, count));
                self.after(seat, left)?;
            }
            Step::Due(seat) => {
                self.budget.dues = self.budget.dues.saturating_sub(1);
                self.clocks[seat as usize] = self.clocks[seat as usize] + FAR;
                let now = self.clocks[seat as usize];
                let left = self.hosts[seat as usize].change(|host| host.due(now));
                self.after(seat, left)?;
            }
            Step::Add(seat) => {
                self.budget.adds -= 1;
                self.added += 1;
                let (now, number) = (self.clocks[seat as usize], self.added);
                let left = self.hosts[seat as usize].change(|host| host.add(now, number));
                self.after(seat, left)?;
            }
            Step::Break(from, to) => {
                self.budget.losses -= 1;
                self.wires[from as usize][to as usize].change(VecDeque::clear);
            }
            Step::CutOff(seat) => {
                self.budget.losses -= 1;
                self.cut_off[seat as usize] = true;
                self.wires[2][seat as usize].change(VecDeque::clear);
            }
            Step::Mend(seat) => self.cut_off[seat as usize] = false,
            Step::Run(seat) => {
                self.take_all(seat)?;
                while self.hosts[seat as usize].disk().is_busy() {
                    self.apply(Step::Sync(seat))?;
                }
            }
            Step::RunAndCrash(seat, keeps) => {
                self.take_all(seat)?;
                self.apply(Step::Crash(seat, keeps))?;
            }
            Step::Crash(seat, keeps) => {
                self.budget.crashes -= 1;
                let kept = if keeps { usize::MAX } else { 0 };
                self.hosts[seat as usize].change(|host| host.crash(kept));
                for other in seat.others() {
                    self.wires[seat as usize][other as usize].change(VecDeque::clear);
                    self.wires[other as usize][seat as usize].change(VecDeque::clear);
                }
                for other in seat.others() {
                    self.input(other, PairInput::Down { seat, refused: true })?;
                }
            }
            Step::Start(seat) => {
                let now = self.clocks[seat as usize];
                let seed = 1 + seat as u64 + 3 * self.hosts[seat as usize].starts;
                let left = self.hosts[seat as usize].change(|host| host.start(now, seed));
                self.after(seat, left)?;
                for other in seat.others() {
                    if self.hosts[other as usize].is_running() {
                        self.input(seat, PairInput::Up(other))?;
                        self.input(other, PairInput::Up(seat))?;
                    }
                }
            }
            Step::Look(seat) => {
                self.budget.looks -= 1;
                let (now, look) = (self.clocks[seat as usize], u32::from(self.budget.looks));
                self.audit.change(|audit| audit.looked(look));
                let left = self.hosts[seat as usize].change(|host| host.look(now, look));
                self.after(seat, left)?;
            }
            Step::SwitchOver(seat) => {
                self.budget.switches -= 1;
                self.input(seat, PairInput::Ordered(Order::SwitchOver))?;
            }
        }
        Ok(())
    }

    fn take_all(&mut self, seat: Seat) -> Result<(), Violation> {
        for from in seat.others() {
            while !self.wires[from as usize][seat as usize].is_empty() {
                self.apply(Step::Arrive(from, seat))?;
            }
        }
        Ok(())
    }

    fn input(&mut self, seat: Seat, input: PairInput) -> Result<Vec<News>, Violation> {
        if !self.hosts[seat as usize].is_running() {
            return Ok(Vec::new());
        }
        let now = self.clocks[seat as usize];
        let left = self.hosts[seat as usize].change(|host| host.take(now, input));
        self.after(seat, left)
    }

    fn after(&mut self, seat: Seat, left: Vec<Left>) -> Result<Vec<News>, Violation> {
        let host = &mut self.hosts[seat as usize];
        let news = host.change(Host::news);
        if seat == Seat::Watch {
            no_trouble(host, &news)?;
        } else {
            self.audit.change(|audit| audit.look(host, &news, &left))?;
        }
        for left in left {
            let Left::Message(to, envelope) = left else { continue };
            if !self.hosts[to as usize].is_running() {
                continue;
            }
            let node = if to == Seat::Watch { seat } else { to };
            let is_cut_off = (to == Seat::Watch || seat == Seat::Watch) && self.cut_off[node as usize];
            if is_cut_off || self.says_nothing_new(to, &envelope) {
                continue;
            }
            self.heard[seat as usize][to as usize] = envelope.run;
            self.wires[seat as usize][to as usize].change(|wire| {
                // A heartbeat that has not arrived is worth nothing when the next one is under way.
                if matches!(envelope.message, Message::Beat { .. }) {
                    wire.retain(|before| !matches!(before.message, Message::Beat { .. }));
                }
                wire.push_back(envelope);
            });
        }
        // The watch votes after its sync only; a crash between is as if the question had been lost.
        if seat == Seat::Watch && self.hosts[2].disk().is_busy() {
            self.apply(Step::Sync(Seat::Watch))?;
        }
        if seat != Seat::Watch && self.grain == Grain::Host && self.hosts[2].is_running() {
            self.take_all(Seat::Watch)?;
        }
        Ok(news)
    }
}

impl Small {
    /// A heartbeat may always be lost, and this one might as well be.
    fn says_nothing_new(&self, to: Seat, envelope: &Envelope) -> bool {
        let Message::Beat { decided, sent: None, .. } = &envelope.message else { return false };
        let knows = self.hosts[to as usize].voter().is_some_and(|voter| voter.decided() == *decided);
        knows && self.heard[envelope.from as usize][to as usize] == envelope.run
    }

    fn identity(&self) -> u64 {
        let wires = self.wires.each_ref().map(|wires| wires.each_ref().map(|wire| wire.hash));
        let hosts = self.hosts.each_ref().map(|host| host.hash);
        hash_of(&(
            hosts,
            wires,
            self.audit.hash,
            self.clocks,
            self.grain,
            self.cut_off,
            self.budget,
            self.added,
            self.heard,
        ))
    }
}

/// What exploring has found.
#[derive(Debug)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// The longest run without repetition, in steps.
    pub depth: usize,
    /// Whether all of them were looked at.
    pub is_exhausted: bool,
    /// When not all were looked at: the run that was looked at last, in words.
    pub last: String,
    /// The shortest run that violates something, in words.
    pub counterexample: Option<String>,
}

/// Looks at all runs from `start` on, at most at so many states.
#[must_use]
pub fn explore(start: Small, most: usize) -> Explored {
    // Hashes of 64 bits: that two of some millions of states have the same is not to be expected.
    let mut known: HashSet<u64, BuildHasherDefault<Folding>> = HashSet::default();
    known.insert(start.identity());
    // How each state that was visited was reached.
    let mut origins: Vec<(usize, Step)> = Vec::new();
    let mut frontier = vec![(usize::MAX, start.clone())];
    let mut explored = Explored { states: 1, depth: 0, is_exhausted: true, last: String::new(), counterexample: None };
    while !frontier.is_empty() {
        let mut next = Vec::new();
        for (origin, small) in frontier {
            for step in small.steps() {
                let mut after = small.clone();
                let result = catch_unwind(AssertUnwindSafe(|| after.apply(step)));
                let violation = match result {
                    Ok(Ok(())) => None,
                    Ok(Err(violation)) => Some(violation),
                    Err(panic) => Some(words_of(&*panic)),
                };
                if let Some(violation) = violation {
                    let mut steps = path(&origins, origin);
                    steps.push(step);
                    explored.counterexample = Some(tell(start.clone(), &steps, &violation));
                    explored.is_exhausted = false;
                    return explored;
                }
                if known.insert(after.identity()) {
                    explored.states += 1;
                    origins.push((origin, step));
                    if explored.states >= most {
                        explored.is_exhausted = false;
                        explored.last = tell(start.clone(), &path(&origins, origins.len() - 1), "");
                        return explored;
                    }
                    next.push((origins.len() - 1, after));
                }
            }
        }
        if !next.is_empty() {
            explored.depth += 1;
        }
        frontier = next;
    }
    explored
}

pub(super) fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

fn path(origins: &[(usize, Step)], mut at: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(&(origin, step)) = origins.get(at) {
        steps.push(step);
        at = origin;
    }
    steps.reverse();
    steps
}

/// A run in words.
#[must_use]
pub fn tell(mut small: Small, steps: &[Step], violation: &str) -> String {
    let mut story = String::new();
    for step in steps {
        let message = match *step {
            Step::Arrive(from, to) | Step::Lose(from, to) | Step::Break(from, to) => {
                let message = small.wires[from as usize][to as usize].front().map(|envelope| &envelope.message);
                message.map_or_else(String::new, |message| format!(": {message:?}"))
            }
            _ => String::new(),
        };
        let _ = writeln!(story, "{step:?}{message}");
        let _ = catch_unwind(AssertUnwindSafe(|| small.apply(*step)));
    }
    let _ = write!(story, "{violation}");
    story
}
