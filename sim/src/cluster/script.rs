//! A cluster on a stage: deterministic time, links and disks that do what the script says, and verbs that read like a story.
//!
//! Messages take [`LATENCY`] and keep their order, a sync takes [`SYNC`], nothing is random. Each machine has a clock of its
//! own. Every step is audited ([`super::audit`]). When something is not as the script says, it panics with the story so far.

mod copies;
mod looks;
mod seen;
mod stage;

use super::audit::Audit;
use super::host::Host;
use super::toy::Number;
use baton_protocol::limit::Limits;
use baton_protocol::pair::message::{Envelope, Message};
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{Order, PairConfig, PairInput};
use baton_protocol::record::{Offset, Record};
use baton_protocol::register::Seat;
use baton_protocol::time::Duration;
use stage::{Client, Event, Surroundings};
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ops::RangeInclusive;

/// A message is under way for so long.
pub const LATENCY: Duration = Duration::from_millis(1);

/// A sync takes so long.
pub const SYNC: Duration = Duration::from_millis(2);

/// After so long without any byte a link is taken for broken: longer than all that has to happen without noticing it.
pub const LINK_PATIENCE: Duration = Duration::from_secs(10);

/// A client that gets no answer asks the other node after so long.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// A client that is refused asks the other node after so long.
const AGAIN: Duration = Duration::from_millis(50);

/// So many seconds.
#[must_use]
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many milliseconds.
#[must_use]
pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A cluster. See the module.
#[derive(Clone, Debug)]
pub struct Cluster {
    now: Duration,
    seed: u64,
    hosts: [Host; 3],
    around: [Surroundings; 3],
    audit: Audit,
    events: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    /// By the seats in order.
    links: BTreeMap<(Seat, Seat), u64>,
    cuts: BTreeSet<(Seat, Seat)>,
    /// What is sent from here to there does not arrive.
    swallowed: BTreeSet<(Seat, Seat)>,
    /// Numbers that are not yet answered.
    clients: BTreeMap<Number, Client>,
    /// Where the last answer came from: there clients ask first.
    believed: Seat,
    answers: Vec<(Seat, Number)>,
    refusals: Vec<(Seat, Number)>,
    news: Vec<String>,
    is_trouble_expected: bool,
    /// The last message by which each node has joined.
    joins: BTreeMap<Seat, Envelope>,
    /// Second processes of seats, with copies of their disks.
    copies: BTreeMap<Seat, Host>,
    looks: looks::Looks,
    story: Vec<String>,
}

impl Cluster {
    /// Three machines with empty disks, switched off.
    #[must_use]
    pub fn switched_off() -> Self {
        Self::of_seed(1)
    }

    /// The same with another source of randomness: nobody in it is somebody in another cluster.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let around = |clock| Surroundings {
            clock: secs(clock),
            is_dark: true,
            is_paused: false,
            is_stalled: false,
            is_syncing: false,
            backlog: Vec::new(),
        };
        Self {
            now: Duration::ZERO,
            seed: seed << 32,
            hosts: Seat::ALL.map(new_host),
            around: [around(3), around(7_000), around(500)],
            audit: Audit::default(),
            events: BTreeMap::new(),
            sequence: 0,
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            swallowed: BTreeSet::new(),
            clients: BTreeMap::new(),
            believed: Seat::First,
            answers: Vec::new(),
            refusals: Vec::new(),
            news: Vec::new(),
            is_trouble_expected: false,
            joins: BTreeMap::new(),
            copies: BTreeMap::new(),
            looks: looks::Looks::default(),
            story: Vec::new(),
        }
    }

    /// A cluster that was founded and is coupled, the first node active in epoch 2.
    #[must_use]
    pub fn coupled() -> Self {
        Self::switched_off().and_coupled()
    }

    /// The same, with an image after so many records, and without the records before it. An image is sent in small pieces.
    #[must_use]
    pub fn coupled_with_images(after: u64) -> Self {
        let mut cluster = Self::switched_off();
        cluster.hosts = Seat::ALL.map(|seat| {
            let config = PairConfig { piece: 16, ..PairConfig::new(seat) };
            Host::new(config, Limits::DEFAULT).with_images(after)
        });
        cluster.and_coupled()
    }

    fn and_coupled(self) -> Self {
        let mut cluster = self;
        cluster.start_all();
        cluster.until_coupled(secs(2));
        cluster.run_for(secs(1));
        cluster.news_are(&["first founds epoch 1, alone", "first goes on in epoch 2, coupled"]);
        cluster
    }

    /// The machine is on, and the process starts.
    pub fn start(&mut self, seat: Seat) {
        self.tell(format!("start {}", name(seat)));
        self.seed += 1;
        self.around[seat as usize].is_dark = false;
        let left = self.hosts[seat as usize].start(self.clock(seat), self.seed);
        self.after(seat, left);
        for other in seat.others() {
            self.schedule(LATENCY, Event::Connect(seat, other));
        }
    }

    /// All three start.
    pub fn start_all(&mut self) {
        Seat::ALL.into_iter().for_each(|seat| self.start(seat));
    }

    /// The process is killed: what it has written survives, and its host tells everyone that there is nobody.
    pub fn kill(&mut self, seat: Seat) {
        self.tell(format!("kill {}", name(seat)));
        self.end(seat, true);
    }

    /// The machine loses power: what is not synced is lost, and there is silence.
    pub fn power_off(&mut self, seat: Seat) {
        self.tell(format!("power off {}", name(seat)));
        self.end(seat, false);
    }

    /// A node that is active records that nobody is to take over, and ends; the standby just ends, and its host says so.
    pub fn stop_gracefully(&mut self, seat: Seat) {
        if self.is_active(seat) {
            self.order(seat, Order::Stop);
            self.until("the stop is recorded", secs(8), |cluster| cluster.is_stopped(seat));
        }
        self.kill(seat);
    }

    /// The link between the two is a black hole.
    pub fn cut(&mut self, one: Seat, other: Seat) {
        self.tell(format!("cut {} and {}", name(one), name(other)));
        self.cuts.insert(ordered(one, other));
        self.unlink(one, other, LINK_PATIENCE);
    }

    /// The node is cut off from both others.
    pub fn isolate(&mut self, seat: Seat) {
        seat.others().into_iter().for_each(|other| self.cut(seat, other));
    }

    /// What is sent from one to the other does not arrive; the other way it does.
    pub fn cut_one_way(&mut self, from: Seat, to: Seat) {
        self.tell(format!("swallow from {} to {}", name(from), name(to)));
        self.swallowed.insert((from, to));
    }

    /// The two reach each other again.
    pub fn mend(&mut self, one: Seat, other: Seat) {
        self.tell(format!("mend {} and {}", name(one), name(other)));
        self.cuts.remove(&ordered(one, other));
        self.swallowed.remove(&(one, other));
        self.swallowed.remove(&(other, one));
        self.schedule(LATENCY, Event::Connect(one, other));
    }

    /// All links are whole again.
    pub fn mend_all(&mut self) {
        for (one, other) in [(Seat::First, Seat::Second), (Seat::First, Seat::Watch), (Seat::Second, Seat::Watch)] {
            self.mend(one, other);
        }
    }

    /// The process stands still, its links stay.
    pub fn pause(&mut self, seat: Seat) {
        self.tell(format!("pause {}", name(seat)));
        self.around[seat as usize].is_paused = true;
    }

    /// The process goes on, and finds what has arrived meanwhile.
    pub fn resume(&mut self, seat: Seat) {
        self.tell(format!("resume {}", name(seat)));
        self.around[seat as usize].is_paused = false;
        for event in mem::take(&mut self.around[seat as usize].backlog) {
            self.schedule(Duration::ZERO, event);
        }
        self.schedule_due(seat);
    }

    /// The storage of this machine confirms nothing more.
    pub fn stall_disk(&mut self, seat: Seat) {
        self.tell(format!("stall the disk of {}", name(seat)));
        self.around[seat as usize].is_stalled = true;
    }

    /// It works again.
    pub fn unstall_disk(&mut self, seat: Seat) {
        self.tell(format!("the disk of {} works", name(seat)));
        self.around[seat as usize].is_stalled = false;
        self.around[seat as usize].is_syncing = false;
        self.sync_later(seat);
    }

    /// The storage of this machine answers no reading for now.
    pub fn hold_reads(&mut self, seat: Seat) {
        self.hosts[seat as usize].hold_reads();
    }

    /// Whether an answer of its storage is held.
    #[must_use]
    pub fn is_reading(&self, seat: Seat) -> bool {
        self.host(seat).is_reading()
    }

    /// It answers all that were held.
    pub fn answer_reads(&mut self, seat: Seat) {
        for answer in self.hosts[seat as usize].release_reads() {
            self.input(seat, answer);
        }
    }

    /// It answers this reading with these records.
    pub fn answer_read(&mut self, seat: Seat, number: u64, from: Offset, records: Vec<Record>) {
        self.input(seat, PairInput::Read { number, from, records });
    }

    /// The disk of a machine whose process does not run is empty.
    pub fn wipe(&mut self, seat: Seat) {
        self.tell(format!("wipe {}", name(seat)));
        self.hosts[seat as usize].wipe();
        self.audit.wiped(seat);
    }

    /// Who runs this cluster wants it to be a new one: nothing has to survive.
    pub fn wipe_all(&mut self) {
        Seat::ALL.into_iter().for_each(|seat| self.wipe(seat));
        self.audit = Audit::default();
    }

    /// Another machine stands there now, switched off; the one that stood there is returned.
    pub fn exchange(&mut self, seat: Seat, machine: Host) -> Host {
        self.tell(format!("exchange the machine of {}", name(seat)));
        assert!(!self.host(seat).is_running() && !machine.is_running(), "only what is switched off is exchanged");
        self.audit.wiped(seat);
        mem::replace(&mut self.hosts[seat as usize], machine)
    }

    /// A machine that does not run has other contents.
    pub fn machine(&mut self, seat: Seat) -> &mut Host {
        &mut self.hosts[seat as usize]
    }

    /// A person orders.
    pub fn order(&mut self, seat: Seat, order: Order) {
        self.tell(format!("{order:?} is ordered at {}", name(seat)));
        self.input(seat, PairInput::Ordered(order));
    }

    /// A person forces this node, and accepts that what only others had is lost.
    pub fn force(&mut self, seat: Seat) {
        self.audit.forgive(&self.hosts[seat as usize]);
        self.order(seat, Order::Force);
    }

    /// The last message by which this node has joined the other one arrives there a second time.
    pub fn join_again(&mut self, seat: Seat) {
        self.tell(format!("{} is heard to join again", name(seat)));
        if let Some(envelope) = self.joins.get(&seat).cloned() {
            self.input(seat.peer(), PairInput::Received(envelope));
        }
    }

    /// Keeps in mind what can be heard again.
    fn keep_join(&mut self, envelope: &Envelope) {
        if matches!(envelope.message, Message::Join { .. }) {
            self.joins.insert(envelope.from, envelope.clone());
        }
    }

    /// From now on a node may say that a person has to look.
    pub fn expect_trouble(&mut self) {
        self.is_trouble_expected = true;
    }

    /// A client begins to ask for this number, again and again, at one node and the other, until it is answered.
    pub fn ask(&mut self, number: Number) {
        self.ask_long(number, 0);
    }

    /// The same, for a record of at least so many bytes.
    pub fn ask_long(&mut self, number: Number, length: usize) {
        self.clients.insert(number, Client { length, at: self.believed, attempt: 0 });
        self.asks(number, 1);
    }

    /// Clients ask for these numbers one after the other, at this interval.
    pub fn ask_every(&mut self, interval: Duration, numbers: RangeInclusive<Number>) {
        let mut after = Duration::ZERO;
        for number in numbers {
            self.clients.insert(number, Client { length: 0, at: self.believed, attempt: 0 });
            self.schedule(after, Event::Ask { number, attempt: 1 });
            after += interval;
        }
    }

    /// A client asks this node once.
    pub fn ask_only(&mut self, seat: Seat, number: Number) {
        if self.host(seat).is_running() && !self.around[seat as usize].is_paused {
            let left = self.hosts[seat as usize].add(self.clock(seat), number);
            self.after(seat, left);
        }
    }

    /// A client asks, and gets its answer within a second.
    pub fn add(&mut self, number: Number) {
        self.ask(number);
        self.until("the number is answered", secs(1), |cluster| cluster.is_answered(number));
    }

    /// Time passes.
    pub fn run_for(&mut self, duration: Duration) {
        self.throughout("time passes", duration, |_| true);
    }

    /// Time passes, and this is so all the time.
    pub fn throughout(&mut self, what: &str, duration: Duration, is_so: impl Fn(&Self) -> bool) {
        let end = self.now + duration;
        while self.next_event().is_some_and(|at| at <= end) {
            self.step();
            self.must(what, &is_so);
        }
        self.now = end;
    }

    /// Time passes until this is so, which must be soon enough. How long it took.
    pub fn until(&mut self, what: &str, within: Duration, is_so: impl Fn(&Self) -> bool) -> Duration {
        let begin = self.now;
        while !is_so(self) {
            if self.next_event().is_none_or(|at| at > begin + within) {
                self.fail(&format!("not within {within:?}: {what}"));
            }
            self.step();
        }
        self.now - begin
    }

    /// Time passes until the two nodes are coupled.
    pub fn until_coupled(&mut self, within: Duration) -> Duration {
        self.until("they are coupled", within, Self::is_coupled)
    }

    /// Time passes, and at each moment a copy of this cluster goes another way.
    pub fn at_each_moment(&mut self, duration: Duration, other_way: impl Fn(&mut Self)) {
        let end = self.now + duration;
        while self.next_event().is_some_and(|at| at <= end) {
            other_way(&mut self.clone());
            self.step();
        }
        self.now = end;
    }
}

/// A machine for this seat, with an empty disk.
#[must_use]
pub fn new_host(seat: Seat) -> Host {
    Host::new(PairConfig::new(seat), Limits::DEFAULT)
}

/// Times with another silence.
#[must_use]
pub const fn timing_with_silence(silence: Duration) -> Timing {
    Timing { silence, ..Timing::DEFAULT }
}

/// The numbers in these records.
#[must_use]
pub fn numbers_of(records: &[Record]) -> Vec<Number> {
    let numbers = records.iter().filter_map(|record| record.payload.first_chunk());
    numbers.map(|bytes| Number::from_le_bytes(*bytes)).filter(|number| *number != 0).collect()
}

const fn name(seat: Seat) -> &'static str {
    match seat {
        Seat::First => "first",
        Seat::Second => "second",
        Seat::Watch => "watch",
    }
}

fn ordered(one: Seat, other: Seat) -> (Seat, Seat) {
    (one.min(other), one.max(other))
}
