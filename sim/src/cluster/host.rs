//! A host of the toy cluster: runs a node or the watch, keeps its disk, takes images and collects those of the active. What a
//! crash takes, and when storage syncs, the world decides.

use super::toy::{News, Number, Toy, ToyHint, ToyInput, ToyPromise, length};
use baton_protocol::checksum::checksum;
use baton_protocol::journal::{Generation, Journal, Recovered, Stored};
use baton_protocol::limit::Limits;
use baton_protocol::machine::Input;
use baton_protocol::node::Node;
use baton_protocol::outbox::Effect;
use baton_protocol::pair::message::{Envelope, ImagePiece};
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{EPOCHS_CELL, Pair, PairConfig, PairHint, PairInput, VOTE_CELL};
use baton_protocol::record::{Offset, Position, Record};
use baton_protocol::register::{Seat, Voter};
use baton_protocol::time::{Instant, Now, Timestamp};
use baton_protocol::watch::{Watch, WatchMachine};
use std::mem;
use std::sync::Arc;

/// Bytes of a record of usual length.
const RECORD: usize = 34;

/// How many records one reading gets.
const READ: usize = 3;

/// A change that storage was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    Append(Generation, Record),
    Truncate(Generation, Position),
    Put(u64, &'static str, Arc<[u8]>),
    Install(Generation, Position, Arc<[u8]>, &'static str, Arc<[u8]>),
    Release(Offset),
}

/// What survives a crash, and what does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    /// Everything before is released.
    begin: Position,
    records: Vec<Record>,
    /// Images that are whole, oldest first.
    images: Vec<(Position, Arc<[u8]>)>,
    /// In the order of their names.
    cells: Vec<(&'static str, Arc<[u8]>)>,
    /// Told but not yet synced, in order.
    unsynced: Vec<Change>,
    /// What the last sync is to confirm.
    generation: Generation,
    puts: u64,
}

impl Disk {
    /// The durable records that are not released.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The same, from an offset on.
    #[must_use]
    pub fn records_from(&self, offset: Offset) -> &[Record] {
        let skipped = offset.0.checked_sub(self.begin.offset.0).map_or(usize::MAX, |skipped| length(Offset(skipped)));
        self.records.get(skipped..).unwrap_or_default()
    }

    /// The durable record at an offset, if it is not released.
    #[must_use]
    pub fn record(&self, offset: Offset) -> Option<&Record> {
        self.records_from(offset).first()
    }

    /// The position at an offset.
    #[must_use]
    pub fn position(&self, offset: Offset) -> Option<Position> {
        if offset == self.begin.offset {
            return Some(self.begin);
        }
        self.record(Offset(offset.0.checked_sub(1)?)).map(|record| record.id.after())
    }

    /// Everything before is released.
    #[must_use]
    pub fn begin(&self) -> Position {
        self.begin
    }

    /// The end of what is durable.
    #[must_use]
    pub fn end(&self) -> Position {
        self.records.last().map_or(self.begin, |record| record.id.after())
    }

    /// The newest image.
    #[must_use]
    pub fn image(&self) -> Option<&(Position, Arc<[u8]>)> {
        self.images.last()
    }

    /// An image is whole.
    pub(crate) fn keep_image(&mut self, at: Position, image: Arc<[u8]>) {
        assert_eq!(self.position(at.offset), Some(at), "an image belongs to a position of the journal");
        self.images.push((at, image));
    }

    /// A piece of an image.
    pub(crate) fn read_image(&self, at: Position, from: u64, bytes: usize) -> Option<ImagePiece> {
        let (_, image) = self.images.iter().find(|(position, _)| *position == at)?;
        let rest = image.get(usize::try_from(from).ok()?..)?;
        let bytes = rest[..rest.len().min(bytes)].to_vec();
        Some(ImagePiece { length: image.len() as u64, checksum: checksum(0, image), bytes })
    }

    /// What the newest image and the records after it are replayed from.
    pub(crate) fn recovered(&self) -> (Recovered, &[u8], &[Record]) {
        let (at, image) = self.image().map_or((Position::ORIGIN, &[][..]), |(at, image)| (*at, &**image));
        let recovered = Recovered { released: self.begin.offset, image: at, end: self.end() };
        (recovered, image, self.records_from(at.offset))
    }

    /// Whether it is about to begin anew.
    pub(crate) fn is_installing(&self) -> bool {
        self.unsynced.iter().any(|change| matches!(change, Change::Install(..)))
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
    pub(crate) fn restart(&mut self) {
        self.generation = Generation(0);
        self.puts = 0;
    }

    /// Its node has told it so much so far.
    fn count_from(&mut self, generation: Generation, puts: u64) {
        (self.generation, self.puts) = (generation, puts);
    }

    /// Is told a change.
    pub(crate) fn tell(&mut self, change: Change) {
        self.unsynced.push(change);
    }

    /// Power is lost, and only the first so many changes have come through.
    pub(crate) fn lose(&mut self, kept: usize) {
        self.sync(kept.min(self.unsynced.len()));
        self.unsynced.clear();
    }

    /// The value of a cell.
    pub(crate) fn cell(&self, name: &str) -> Option<&[u8]> {
        self.cells.iter().find(|(its, _)| *its == name).map(|(_, bytes)| &**bytes)
    }

    fn put(&mut self, name: &'static str, value: Arc<[u8]>) {
        match self.cells.binary_search_by_key(&name, |(its, _)| its) {
            Ok(at) => self.cells[at].1 = value,
            Err(at) => self.cells.insert(at, (name, value)),
        }
    }

    /// Makes the first so many changes durable.
    pub(crate) fn sync(&mut self, count: usize) -> Stored {
        let changes: Vec<Change> = self.unsynced.drain(..count).collect();
        for change in changes {
            match change {
                Change::Append(generation, record) => {
                    let end = self.records.last().map_or(self.begin, |record| record.id.after());
                    assert_eq!(record.follows(end), Ok(record.id.after()));
                    self.generation = generation;
                    self.records.push(record);
                }
                Change::Truncate(generation, to) => {
                    self.generation = generation;
                    self.records.truncate(length(Offset(to.offset.0 - self.begin.offset.0)));
                    self.images.retain(|(at, _)| at.offset <= to.offset);
                    let end = self.records.last().map_or(self.begin, |record| record.id.after());
                    assert_eq!(end, to, "storage cuts at a position that it has");
                }
                Change::Install(generation, at, image, cell, value) => {
                    self.generation = generation;
                    (self.begin, self.records, self.images) = (at, Vec::new(), vec![(at, image)]);
                    self.put(cell, value);
                }
                Change::Release(before) => {
                    assert!(self.images.last().is_some_and(|(at, _)| before <= at.offset), "an image covers it");
                    self.images.retain(|(at, _)| at.offset >= before);
                    let count = length(Offset(before.0.saturating_sub(self.begin.offset.0)));
                    self.begin = count.checked_sub(1).map_or(self.begin, |last| self.records[last].id.after());
                    self.records.drain(..count);
                }
                Change::Put(number, cell, value) => {
                    self.puts = number;
                    self.put(cell, value);
                }
            }
        }
        Stored { generation: self.generation, durable: self.end().offset, puts: self.puts }
    }
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
    /// To who has looked: how long the list was.
    Seen(u32, usize),
}

/// A host. See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    seat: Seat,
    config: PairConfig,
    limits: Limits,
    disk: Disk,
    /// An image is taken after so many records; zero: never.
    image_after: u64,
    process: Option<Process>,
    /// Of its process: the image that is to be kept as soon as it is committed.
    taken: Option<(Position, Arc<[u8]>)>,
    /// Of its process: what it has collected of an image of the active.
    collected: Vec<u8>,
    /// Of its process: it waits for storage to begin anew.
    is_rebuilding: bool,
    /// How often its process was started.
    pub starts: u64,
    /// What happened in the last step.
    news: Vec<News>,
    /// When storage answers readings late: the answers.
    held_reads: Option<Vec<PairInput>>,
}

impl Host {
    /// A host with an empty disk, switched off.
    #[must_use]
    pub fn new(config: PairConfig, limits: Limits) -> Self {
        Self {
            seat: config.seat,
            config,
            limits,
            disk: Disk::default(),
            image_after: 0,
            process: None,
            taken: None,
            collected: Vec::new(),
            is_rebuilding: false,
            starts: 0,
            news: Vec::new(),
            held_reads: None,
        }
    }

    /// The same, with an image after so many records, and without the records before it.
    #[must_use]
    pub fn with_images(mut self, after: u64) -> Self {
        self.image_after = after;
        self
    }

    /// Another machine in the same seat, switched off, with a copy of what is on the disk of this one.
    #[must_use]
    pub fn copy(&self) -> Self {
        let mut disk = self.disk.clone();
        disk.lose(0);
        // Its lives are counted apart.
        let mut copy = Self::new(self.config, self.limits).with_images(self.image_after);
        (copy.disk, copy.starts) = (disk, self.starts + 1_000);
        copy
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
        let (recovered, image, records) = self.disk.recovered();
        let (vote, epochs) = (self.disk.cell(VOTE_CELL), self.disk.cell(EPOCHS_CELL));
        let journal = Journal::following(recovered, self.limits);
        let understood = "a node understands its own cells";
        self.process = Some(if self.seat == Seat::Watch {
            let watch =
                Watch::new(self.config.timing, self.config.bugs, vote).unwrap_or_else(|_| panic!("{understood}"));
            Process::Watch(Box::new(Node::new(WatchMachine(watch), journal)))
        } else {
            let pair = Pair::new(self.config, vote, epochs, recovered.end).unwrap_or_else(|_| panic!("{understood}"));
            Process::Node(Box::new(Node::new(Toy::new(pair, image, records), journal)))
        });
        self.step(now, Input::Start { seed })
    }

    /// The process ends at once, and of what was not synced only the first `kept` changes have reached the disk.
    pub fn crash(&mut self, kept: usize) {
        self.process = None;
        (self.taken, self.is_rebuilding) = (None, false);
        self.collected.clear();
        self.held_reads = None;
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
        let mut left = self.step(now, Input::Stored(stored));
        if !self.disk.is_installing()
            && mem::take(&mut self.is_rebuilding)
            && let Some((_, image)) = self.disk.image()
        {
            let image = image.clone();
            left.extend(self.step(now, Input::Arrived(ToyInput::Rebuilt(image))));
        }
        left
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

    /// A client wants to see the list.
    pub fn look(&mut self, now: Instant, look: u32) -> Vec<Left> {
        self.step(now, Input::Arrived(ToyInput::Look(look)))
    }

    /// Brings what differs between two hosts but never makes a difference into one form. With `is_timeless` it will never be told
    /// that a deadline has come.
    pub(super) fn canonize(&mut self, is_timeless: bool) {
        let is_idle = !self.disk.is_busy();
        let journal = match &mut self.process {
            None => return self.disk.restart(),
            Some(Process::Node(node)) => {
                node.canonize(is_idle, |toy| toy.canonize(is_timeless));
                node.journal()
            }
            Some(Process::Watch(node)) => {
                node.canonize(is_idle, |_| {});
                node.journal()
            }
        };
        if is_idle {
            self.disk.count_from(journal.generation(), journal.watermarks().puts);
        }
    }

    /// From now on storage answers no reading.
    pub fn hold_reads(&mut self) {
        self.held_reads = Some(Vec::new());
    }

    /// Whether answers are held.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.held_reads.as_ref().is_some_and(|held| !held.is_empty())
    }

    /// The answers that were held; from now on it answers at once.
    pub fn release_reads(&mut self) -> Vec<PairInput> {
        self.held_reads.take().unwrap_or_default()
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
        let mut found = Vec::new();
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
                            self.taken.take_if(|(at, _)| at.offset > to.offset);
                            self.disk.tell(Change::Truncate(generation, to));
                        }
                        Effect::Install { generation, at, cell, value } => {
                            let image = mem::take(&mut self.collected).into();
                            self.taken = None;
                            self.disk.tell(Change::Install(generation, at, image, cell, value));
                        }
                        Effect::Put { number, cell, value } => self.disk.tell(Change::Put(number, cell, value)),
                        Effect::Release { before } => self.disk.tell(Change::Release(before)),
                        Effect::Hint(ToyHint::Pair(PairHint::Send(to, envelope)))
                        | Effect::Promise { promise: ToyPromise::Pair(to, envelope), .. } => {
                            left.push(Left::Message(to, envelope));
                        }
                        Effect::Hint(ToyHint::Pair(PairHint::Read { number, from, .. })) => {
                            let records = self.disk.records_from(from);
                            let records = records[..records.len().min(READ)].to_vec();
                            found.push(PairInput::Read { number, from, records });
                        }
                        Effect::Hint(ToyHint::Pair(PairHint::ReadImage { at, from, bytes })) => {
                            let piece = self.disk.read_image(at, from, bytes);
                            found.push(PairInput::ImageRead { at, from, piece });
                        }
                        Effect::Hint(ToyHint::Pair(PairHint::KeepPiece { from, bytes })) => {
                            self.collected.truncate(length(Offset(from)));
                            assert_eq!(self.collected.len() as u64, from, "parts come in order");
                            self.collected.extend(bytes);
                        }
                        Effect::Hint(ToyHint::Pair(PairHint::DropPieces)) => self.collected.clear(),
                        Effect::Hint(ToyHint::Rebuild) => self.is_rebuilding = true,
                        Effect::Hint(ToyHint::Pair(PairHint::Trouble(trouble))) => {
                            self.news.push(News::Trouble(trouble));
                        }
                        Effect::Hint(ToyHint::News(news)) => self.news.push(news),
                        Effect::Hint(ToyHint::Refused(number)) => left.push(Left::Refused(number)),
                        Effect::Promise { promise: ToyPromise::Added(number, _), .. } => left.push(Left::Added(number)),
                        Effect::Promise { promise: ToyPromise::Seen(look, length), .. } => {
                            left.push(Left::Seen(look, length));
                        }
                    }
                }
            }
            Some(Process::Watch(node)) => {
                let input = match input {
                    Input::Arrived(ToyInput::Pair(input)) => Input::Arrived(input),
                    Input::Arrived(_) => return left,
                    Input::Start { seed } => Input::Start { seed },
                    Input::Due => Input::Due,
                    Input::Stored(stored) => Input::Stored(stored),
                };
                let mut effects = Vec::new();
                node.step(now, input, &mut effects);
                for effect in effects {
                    match effect {
                        Effect::Put { number, cell, value } => self.disk.tell(Change::Put(number, cell, value)),
                        Effect::Hint(PairHint::Trouble(trouble)) => self.news.push(News::Trouble(trouble)),
                        Effect::Hint(PairHint::Send(to, envelope)) => left.push(Left::Message(to, envelope)),
                        Effect::Promise { promise, .. } => left.push(Left::Message(promise.to, promise.envelope)),
                        _ => {}
                    }
                }
            }
        }
        // Storage answers reads at once, with what is durable.
        for found in found {
            match &mut self.held_reads {
                Some(held) => held.push(found),
                None => left.extend(self.take(now.instant, found)),
            }
        }
        left.extend(self.take_image(now.instant));
        left
    }

    /// Takes an image when it is time, and keeps it when it is committed.
    fn take_image(&mut self, now: Instant) -> Vec<Left> {
        let Some(Process::Node(node)) = &self.process else { return Vec::new() };
        let (end, committed) = (node.journal().end(), node.journal().watermarks().committed);
        // As in production, not more often than what is written is as long as the image before.
        let (last, written) = self.disk.image().map_or((0, 0), |(at, image)| (at.offset.0, image.len() / RECORD));
        let is_time = end.offset.0 >= last + self.image_after.max(written as u64);
        if self.image_after > 0 && self.taken.is_none() && is_time {
            self.taken = node.machine().image().map(|image| (end, image));
        }
        let Some((at, image)) = self.taken.take_if(|(at, _)| at.offset <= committed) else { return Vec::new() };
        self.disk.keep_image(at, image);
        self.step(now, Input::Arrived(ToyInput::Imaged(at)))
    }
}
