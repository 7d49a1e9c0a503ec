//! A host of the toy cluster: runs a node or the watch, and keeps its disk. What a crash takes, and when storage syncs, the
//! world decides.

use super::toy::{News, Number, Toy, ToyHint, ToyInput, ToyPromise};
use baton_protocol::journal::{Generation, Journal, Recovered, Stored};
use baton_protocol::limit::Limits;
use baton_protocol::machine::Input;
use baton_protocol::node::Node;
use baton_protocol::outbox::Effect;
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{EPOCHS_CELL, Pair, PairConfig, PairHint, PairInput, VOTE_CELL};
use baton_protocol::record::{Offset, Position, Record};
use baton_protocol::register::{Seat, Voter};
use baton_protocol::time::{Instant, Now, Timestamp};
use baton_protocol::watch::{Watch, WatchMachine};
use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

/// A change that storage was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Append(Generation, Record),
    Truncate(Generation, Position),
    Put(u64, &'static str, Arc<[u8]>),
}

/// What survives a crash, and what does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    records: Vec<Record>,
    cells: BTreeMap<&'static str, Arc<[u8]>>,
    /// Told but not yet synced, in order.
    unsynced: Vec<Change>,
    /// What the last sync is to confirm.
    generation: Generation,
    puts: u64,
}

impl Disk {
    /// The durable records.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The end of what is durable.
    #[must_use]
    pub fn end(&self) -> Position {
        self.records.last().map_or(Position::ORIGIN, |record| record.id.after())
    }

    /// Whether there is something to sync.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// How many changes are not synced.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// What it was told when its host was switched off is not to be confirmed any more.
    pub(super) fn restart(&mut self) {
        self.generation = Generation(0);
        self.puts = 0;
    }

    /// Is told a change.
    pub(super) fn tell(&mut self, change: Change) {
        self.unsynced.push(change);
    }

    /// Power is lost, and only the first so many changes have come through.
    pub(super) fn lose(&mut self, kept: usize) {
        self.sync(kept.min(self.unsynced.len()));
        self.unsynced.clear();
    }

    /// The value of a cell.
    pub(super) fn cell(&self, name: &str) -> Option<&[u8]> {
        self.cells.get(name).map(|bytes| &**bytes)
    }

    /// Makes the first so many changes durable.
    pub(super) fn sync(&mut self, count: usize) -> Stored {
        for change in self.unsynced.drain(..count) {
            match change {
                Change::Append(generation, record) => {
                    assert_eq!(record.follows(end_of(&self.records)), Ok(record.id.after()));
                    self.generation = generation;
                    self.records.push(record);
                }
                Change::Truncate(generation, to) => {
                    self.generation = generation;
                    self.records.truncate(super::toy::length(to.offset));
                    assert_eq!(end_of(&self.records), to, "storage cuts at a position that it has");
                }
                Change::Put(number, cell, value) => {
                    self.puts = number;
                    self.cells.insert(cell, value);
                }
            }
        }
        Stored { generation: self.generation, durable: self.end().offset, puts: self.puts }
    }
}

fn end_of(records: &[Record]) -> Position {
    records.last().map_or(Position::ORIGIN, |record| record.id.after())
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Process {
    Node(Box<Node<Toy>>),
    Watch(Box<Node<WatchMachine>>),
}

/// A message that has left a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Left {
    /// To another voter.
    Message(Seat, Envelope),
    /// To a client: its number is in the list.
    Added(Number),
    /// To a client: not now, not here.
    Refused(Number),
}

/// A host. See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    seat: Seat,
    config: PairConfig,
    limits: Limits,
    disk: Disk,
    process: Option<Process>,
    /// How often its process was started.
    pub starts: u64,
    /// What happened in the last step.
    news: Vec<News>,
}

impl Host {
    /// A host with an empty disk, switched off.
    #[must_use]
    pub fn new(config: PairConfig, limits: Limits) -> Self {
        Self { seat: config.seat, config, limits, disk: Disk::default(), process: None, starts: 0, news: Vec::new() }
    }

    /// Which one it is.
    #[must_use]
    pub fn seat(&self) -> Seat {
        self.seat
    }

    /// Its disk.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Whether its process runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The node, if it is one and runs.
    #[must_use]
    pub fn node(&self) -> Option<&Node<Toy>> {
        match &self.process {
            Some(Process::Node(node)) => Some(node),
            _ => None,
        }
    }

    /// Its voter, if it runs.
    #[must_use]
    pub fn voter(&self) -> Option<&Voter> {
        match self.process.as_ref()? {
            Process::Node(node) => Some(node.machine().pair().voter()),
            Process::Watch(node) => Some(node.machine().0.voter()),
        }
    }

    /// What has happened since this was asked last.
    pub fn news(&mut self) -> Vec<News> {
        mem::take(&mut self.news)
    }

    /// Starts its process. `seed` is the randomness it gets.
    pub fn start(&mut self, now: Instant, seed: u64) -> Vec<Left> {
        assert!(!self.is_running() && !self.disk.is_busy());
        self.starts += 1;
        self.disk.restart();
        let end = self.disk.end();
        let (vote, epochs) = (self.disk.cell(VOTE_CELL), self.disk.cell(EPOCHS_CELL));
        let recovered = Recovered { released: Offset::ZERO, image: Position::ORIGIN, end };
        let journal = Journal::following(recovered, self.limits);
        let understood = "a node understands its own cells";
        self.process = Some(if self.seat == Seat::Watch {
            let watch =
                Watch::new(self.config.timing, self.config.bugs, vote).unwrap_or_else(|_| panic!("{understood}"));
            Process::Watch(Box::new(Node::new(WatchMachine(watch), journal)))
        } else {
            let pair = Pair::new(self.config, vote, epochs, end).unwrap_or_else(|_| panic!("{understood}"));
            Process::Node(Box::new(Node::new(Toy::new(pair, &self.disk.records), journal)))
        });
        self.step(now, Input::Start { seed })
    }

    /// The process ends at once, and of what was not synced only the first `kept` changes have reached the disk.
    pub fn crash(&mut self, kept: usize) {
        self.process = None;
        self.disk.lose(kept);
        self.news.clear();
    }

    /// All of the disk is lost, while the process does not run.
    pub fn wipe(&mut self) {
        assert!(!self.is_running());
        self.disk = Disk::default();
    }

    /// Storage syncs the first so many changes, and says so.
    pub fn sync(&mut self, now: Instant, count: usize) -> Vec<Left> {
        let stored = self.disk.sync(count);
        self.step(now, Input::Stored(stored))
    }

    /// The deadline has come.
    pub fn due(&mut self, now: Instant) -> Vec<Left> {
        self.step(now, Input::Due)
    }

    /// When that will be.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.process.as_ref()? {
            Process::Node(node) => node.deadline(),
            Process::Watch(node) => node.deadline(),
        }
    }

    /// Something about the cluster arrives.
    pub fn take(&mut self, now: Instant, input: PairInput) -> Vec<Left> {
        self.step(now, Input::Arrived(ToyInput::Pair(input)))
    }

    /// A client asks for its number to be added.
    pub fn add(&mut self, now: Instant, number: Number) -> Vec<Left> {
        self.step(now, Input::Arrived(ToyInput::Add(number)))
    }

    /// The same, in a record of at least so many bytes.
    pub fn add_long(&mut self, now: Instant, number: Number, length: usize) -> Vec<Left> {
        self.step(now, Input::Arrived(ToyInput::AddLong(number, length)))
    }

    /// Other times, from the next start on.
    pub fn set_timing(&mut self, timing: Timing) {
        self.config.timing = timing;
    }

    /// The last record on the disk is another one than was written there: well-formed, with another content.
    pub fn forge_last_record(&mut self, payload: &[u8]) {
        assert!(!self.is_running());
        if let Some(last) = self.disk.records.pop() {
            let forged = Record::write(self.disk.end(), last.id.epoch, payload.into());
            self.disk.records.push(forged.unwrap_or(last));
        }
    }

    fn step(&mut self, now: Instant, input: Input<ToyInput>) -> Vec<Left> {
        let now = Now { instant: now, timestamp: Timestamp::EPOCH };
        let mut left = Vec::new();
        let mut wanted = Vec::new();
        match &mut self.process {
            None => {}
            Some(Process::Node(node)) => {
                let mut effects = Vec::new();
                node.step(now, input, &mut effects);
                for effect in effects {
                    match effect {
                        Effect::Append { generation, record } => {
                            self.disk.tell(Change::Append(generation, record));
                        }
                        Effect::Truncate { generation, to } => {
                            self.disk.tell(Change::Truncate(generation, to));
                        }
                        Effect::Put { number, cell, value } => self.disk.tell(Change::Put(number, cell, value)),
                        Effect::Release { .. } => {}
                        Effect::Hint(ToyHint::Pair(PairHint::Send(to, envelope)))
                        | Effect::Promise { promise: ToyPromise::Pair(to, envelope), .. } => {
                            left.push(Left::Message(to, envelope));
                        }
                        Effect::Hint(ToyHint::Pair(PairHint::Read { from, .. })) => wanted.push(from),
                        Effect::Hint(ToyHint::News(news)) => self.news.push(news),
                        Effect::Hint(ToyHint::Refused(number)) => left.push(Left::Refused(number)),
                        Effect::Promise { promise: ToyPromise::Added(number, _), .. } => left.push(Left::Added(number)),
                    }
                }
            }
            Some(Process::Watch(node)) => {
                let input = match input {
                    Input::Arrived(ToyInput::Pair(input)) => Input::Arrived(input),
                    Input::Arrived(ToyInput::Add(_) | ToyInput::AddLong(..)) => return left,
                    Input::Start { seed } => Input::Start { seed },
                    Input::Due => Input::Due,
                    Input::Stored(stored) => Input::Stored(stored),
                };
                let mut effects = Vec::new();
                node.step(now, input, &mut effects);
                for effect in effects {
                    match effect {
                        Effect::Put { number, cell, value } => self.disk.tell(Change::Put(number, cell, value)),
                        Effect::Hint(PairHint::Send(to, envelope)) => left.push(Left::Message(to, envelope)),
                        Effect::Promise { promise, .. } => left.push(Left::Message(promise.to, promise.envelope)),
                        _ => {}
                    }
                }
            }
        }
        // Storage answers reads at once, with what is durable.
        for from in wanted {
            let first = super::toy::length(from).min(self.disk.records.len());
            let last = (first + 3).min(self.disk.records.len());
            let records = self.disk.records[first..last].to_vec();
            left.extend(self.take(now.instant, PairInput::Read { from, records }));
        }
        left
    }
}
