//! A host for one node: a disk that syncs when it is told and confirms in any order, a standby that acknowledges when it is
//! told, and an auditor who compares every promise that gets out with what is really on the disks.
//!
//! The machine is a puppet that does one thing per step, so what is tried is the journal, the gate and the outbox.

use baton_protocol::gate::Promise;
use baton_protocol::journal::{Generation, Journal, Recovered, Role, Stored};
use baton_protocol::limit::Limits;
use baton_protocol::machine::{Input, Machine};
use baton_protocol::node::Node;
use baton_protocol::outbox::{Effect, EffectOf, Outbox};
use baton_protocol::record::{Epoch, Offset, Position, Record, RecordId};
use baton_protocol::time::{Duration, Instant, Now, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// So small that all of them are met.
const LIMITS: Limits = Limits { records: 8, record_bytes: 150, promises: 6, promise_bytes: 60, puts: 3 };

/// What the puppet does in one step.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Append(Vec<u8>),
    Put,
    Adopt(Record),
    Say(Word),
    Withdraw(u8),
    Acknowledge(Position),
    Told(Offset),
    Couple(Offset),
    Decouple,
    Activate(Epoch, Option<Offset>),
    Follow(Epoch),
    Truncate(Position),
    Imaged(Position),
    Release(Offset),
}

/// A promise that knows what it promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) number: usize,
    pub(crate) lane: u8,
    /// Whether it supersedes, and is superseded by, its neighbours of which this is true.
    pub(crate) latest_only: bool,
    pub(crate) of: Of,
    pub(crate) before: Offset,
    /// The record before that offset.
    pub(crate) record: Option<RecordId>,
    pub(crate) puts: u64,
}

/// What a word is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Durable,
    Committed,
    Puts,
}

impl Promise for Word {
    fn supersedes(&self, earlier: &Self) -> bool {
        self.latest_only && earlier.latest_only
    }

    fn bytes(&self) -> usize {
        5 + self.number % 11
    }
}

#[derive(Clone, Debug, Default)]
struct Puppet {
    refused: bool,
}

impl Machine for Puppet {
    type Input = Act;
    type Lane = u8;
    type Hint = ();
    type Promise = Word;

    fn step(&mut self, _: Now, input: Input<Act>, out: &mut Outbox<'_, Self>) {
        let Input::Arrived(act) = input else { return };
        self.refused = false;
        match act {
            Act::Append(payload) => self.refused = out.append(payload).is_err(),
            Act::Put => self.refused = out.put("cell", [1]).is_err(),
            Act::Adopt(record) => self.refused = out.adopt(record).is_err(),
            Act::Say(word) => {
                let fence = match word.of {
                    Of::Durable => out.durable_before(word.before),
                    Of::Committed => out.committed_before(word.before),
                    Of::Puts => out.all_put(),
                };
                self.refused = out.promise(fence, word.lane, word).is_err();
            }
            Act::Acknowledge(position) => self.refused = out.acknowledge(position).is_err(),
            Act::Truncate(to) => self.refused = out.truncate(to).is_err(),
            Act::Imaged(at) => out.imaged(at),
            Act::Release(before) => out.release(before),
            Act::Withdraw(lane) => out.withdraw(&lane),
            Act::Told(offset) => out.told_committed(offset),
            Act::Couple(acked) => out.couple(acked),
            Act::Decouple => out.decouple(),
            Act::Activate(epoch, acked) => out.activate(epoch, acked),
            Act::Follow(epoch) => out.follow(epoch),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn check(&self) {}
}

/// What is wrong with the disk on purpose, to see that the laws see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// Confirms when it is told, instead of when it has synced.
    ConfirmsBeforeSync,
    /// Hands back the present generation instead of the one it was given.
    ForgetsGeneration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Held,
    Out,
    /// Not taken in, or dropped for a good reason.
    Gone,
}

/// What would survive a crash.
#[derive(Clone, Debug, Default)]
struct Disk {
    records: Vec<Record>,
    generation: Generation,
    puts: u64,
    released: Vec<Offset>,
}

enum Task {
    Write(Generation, Record),
    Cut(Generation, Offset),
    Put(u64),
}

pub(crate) struct Host {
    bug: Bug,
    now: Now,
    node: Node<Puppet>,
    effects: Vec<EffectOf<Puppet>>,
    /// The journal as the node has it.
    pub(crate) written: Vec<Record>,
    disk: Disk,
    queue: VecDeque<Task>,
    confirmations: Vec<Stored>,
    /// How many of `written` the standby has on its disk.
    pub(crate) standby: usize,
    /// What the active has told to be committed.
    pub(crate) told: usize,
    /// How much is committed by the rules, computed from the disks.
    pub(crate) committed: usize,
    words: Vec<(Word, Fate)>,
    last_out: BTreeMap<u8, usize>,
}

impl Host {
    pub(crate) fn new(bug: Bug, alone: bool) -> Self {
        let journal = if alone { Journal::alone } else { Journal::following };
        let mut host = Self {
            bug,
            now: Now { instant: Instant::ZERO, timestamp: Timestamp::EPOCH },
            node: Node::new(Puppet::default(), journal(Recovered::default(), LIMITS)),
            effects: Vec::new(),
            written: Vec::new(),
            disk: Disk::default(),
            queue: VecDeque::new(),
            confirmations: Vec::new(),
            standby: 0,
            told: 0,
            committed: 0,
            words: Vec::new(),
            last_out: BTreeMap::new(),
        };
        host.step(Input::Start { seed: 0 });
        host
    }

    pub(crate) fn journal(&self) -> &Journal {
        self.node.journal()
    }

    pub(crate) fn follows(&self) -> bool {
        matches!(self.journal().role(), Role::Following { .. })
    }

    pub(crate) fn coupled(&self) -> bool {
        matches!(self.journal().role(), Role::Coupled { .. })
    }

    /// The position with that offset.
    pub(crate) fn position(&self, offset: usize) -> Position {
        offset.checked_sub(1).map_or(Position::ORIGIN, |last| self.written[last].id.after())
    }

    /// Number of promises that the node holds.
    pub(crate) fn held(&self) -> usize {
        self.node.held()
    }

    /// Number of promises that got out.
    pub(crate) fn out(&self) -> usize {
        self.words.iter().filter(|(_, fate)| *fate == Fate::Out).count()
    }

    /// What the disk was told to release.
    pub(crate) fn released(&self) -> &[Offset] {
        &self.disk.released
    }

    /// Lets the puppet act; whether it was not refused.
    pub(crate) fn act(&mut self, act: Act) -> bool {
        self.step(Input::Arrived(act));
        !self.node.machine().refused
    }

    /// Promises something about the records before `before`.
    pub(crate) fn say(&mut self, lane: u8, latest_only: bool, of: Of, before: usize) {
        let record = before.checked_sub(1).map(|last| self.written[last].id);
        let before = Offset(before as u64);
        let puts = self.journal().watermarks().puts;
        let word = Word { number: self.words.len(), lane, latest_only, of, before, record, puts };
        self.words.push((word.clone(), Fate::Held));
        let number = word.number;
        if !self.act(Act::Say(word)) {
            self.words[number].1 = Fate::Gone;
        }
    }

    /// The promises that are held and of that kind are given up.
    pub(crate) fn give_up(&mut self, kind: impl Fn(&Word) -> bool) {
        for (word, fate) in &mut self.words {
            if *fate == Fate::Held && kind(word) {
                *fate = Fate::Gone;
            }
        }
    }

    /// The disk does the first tasks and will confirm them.
    pub(crate) fn sync(&mut self, tasks: usize) {
        self.write(tasks);
        self.confirmations.push(self.disk.stored());
        self.observe();
    }

    /// One of the confirmations arrives.
    pub(crate) fn confirm(&mut self, choice: usize) {
        if !self.confirmations.is_empty() {
            let mut stored = self.confirmations.remove(choice % self.confirmations.len());
            if self.bug == Bug::ForgetsGeneration {
                stored.generation = self.journal().generation();
                stored.durable = stored.durable.min(self.journal().end().offset);
            }
            self.step(Input::Stored(stored));
        }
    }

    /// The standby takes over some records more.
    pub(crate) fn copy(&mut self, records: usize) {
        self.standby = self.written.len().min(self.standby.saturating_add(records));
        self.observe();
    }

    /// The node loses its memory, and the disk all but the first of its tasks. It starts again alone.
    pub(crate) fn crash(&mut self, survivors: usize) {
        self.write(survivors);
        self.queue.clear();
        (self.disk.generation, self.disk.puts) = (Generation(0), 0);
        self.confirmations.clear();
        self.give_up(|_| true);
        self.written = self.disk.records.clone();
        self.standby = self.standby.min(self.written.len());
        self.told = 0;
        let recovered = Recovered { end: self.position(self.written.len()), ..Recovered::default() };
        self.node = Node::new(Puppet::default(), Journal::alone(recovered, LIMITS));
        self.observe();
        self.step(Input::Start { seed: 0 });
    }

    /// Everything goes well from now on. Then nothing may be missing.
    pub(crate) fn heal(&mut self) {
        if self.follows() {
            self.act(Act::Activate(self.journal().epoch().next(), None));
        }
        self.sync(usize::MAX);
        self.copy(usize::MAX);
        while !self.confirmations.is_empty() {
            self.confirm(usize::MAX);
        }
        self.act(Act::Acknowledge(self.position(self.standby)));

        let end = self.written.len() as u64;
        assert_eq!(self.node.held(), 0, "promises are held for ever");
        assert_eq!(self.journal().watermarks().committed, Offset(end), "not everything is committed");
        for (n, (word, fate)) in self.words.iter().enumerate() {
            let next = self.words[n + 1..].iter().find(|(next, fate)| next.lane == word.lane && !refused(next, *fate));
            let superseded = next.is_some_and(|(next, _)| next.supersedes(word));
            assert!(*fate != Fate::Held || superseded, "lost: {word:?}");
        }
    }

    fn write(&mut self, tasks: usize) {
        for task in self.queue.drain(..tasks.min(self.queue.len())) {
            self.disk.write(task);
        }
    }

    fn step(&mut self, input: Input<Act>) {
        self.now.instant = self.now.instant + Duration::from_millis(1);
        let before = self.journal().watermarks();
        self.node.step(self.now, input, &mut self.effects);
        let after = self.journal().watermarks();
        assert!(before.committed <= after.committed);
        let effects = std::mem::take(&mut self.effects);
        // First what the journal is now, then what got out because of it.
        for effect in &effects {
            match effect {
                Effect::Append { generation, record } => {
                    self.written.push(record.clone());
                    self.queue.push_back(Task::Write(*generation, record.clone()));
                    if self.bug == Bug::ConfirmsBeforeSync {
                        let (generation, durable) = (*generation, record.id.offset.next());
                        self.confirmations.push(Stored { generation, durable, puts: self.disk.puts });
                    }
                }
                Effect::Truncate { generation, to } => {
                    self.written.truncate(to.offset.0 as usize);
                    self.standby = self.standby.min(self.written.len());
                    self.queue.push_back(Task::Cut(*generation, to.offset));
                    self.give_up(|word| word.of != Of::Puts && word.before > to.offset);
                }
                Effect::Install { .. } => unreachable!("no images here"),
                Effect::Put { number, .. } => self.queue.push_back(Task::Put(*number)),
                Effect::Release { before } => self.disk.released.push(*before),
                Effect::Hint(()) | Effect::Promise { .. } => {}
            }
        }
        self.observe();
        let mut last = None;
        for effect in effects {
            if let Effect::Promise { lane, promise } = effect {
                assert_eq!(lane, promise.lane);
                assert!(last < Some(promise.number), "promises that leave together leave in order");
                last = Some(promise.number);
                self.audit(promise);
            }
        }
        assert_eq!(self.journal().end(), self.position(self.written.len()));
    }

    /// What is committed by now, by what is on the disks.
    fn observe(&mut self) {
        let durable = self.disk.records.iter().zip(&self.written).take_while(|(disk, written)| disk == written).count();
        let sure = match self.journal().role() {
            Role::Following { .. } => durable.min(self.told),
            Role::Alone => durable,
            Role::Coupled { .. } => durable.min(self.standby),
        };
        self.committed = self.committed.max(sure);
    }

    /// Compares a promise that gets out with the disks.
    fn audit(&mut self, word: Word) {
        let before = word.before.0 as usize;
        if word.of == Of::Puts {
            assert!(word.puts <= self.disk.puts, "promised what is not on the disk: {word:?}");
        } else {
            let on_disk = before.checked_sub(1).map(|last| self.disk.records.get(last).map(|record| record.id));
            assert_eq!(on_disk, word.record.map(Some), "promised what is not on the disk: {word:?}");
        }
        assert!(word.of != Of::Committed || before <= self.committed, "promised what is not committed: {word:?}");
        let fate = &mut self.words[word.number].1;
        assert_eq!(*fate, Fate::Held, "promised twice, or after it was given up: {word:?}");
        *fate = Fate::Out;
        if let Some(last) = self.last_out.insert(word.lane, word.number) {
            assert!(last < word.number, "promise {last} overtook {word:?}");
        }
    }
}

fn refused(word: &Word, fate: Fate) -> bool {
    // A promise that was dropped after it had been taken in may have taken the place of another.
    fate == Fate::Gone && !word.latest_only
}

impl Disk {
    fn write(&mut self, task: Task) {
        match task {
            Task::Write(generation, record) => {
                assert_eq!(record.id.offset.0, self.records.len() as u64, "written at the wrong place");
                assert_eq!(generation, self.generation, "written in the wrong generation");
                self.records.push(record);
            }
            Task::Cut(generation, to) => {
                assert_eq!(generation.0, self.generation.0 + 1, "generations count truncations");
                self.generation = generation;
                self.records.truncate(to.0 as usize);
            }
            Task::Put(number) => {
                assert_eq!(number, self.puts + 1, "puts are numbered");
                self.puts = number;
            }
        }
    }

    fn stored(&self) -> Stored {
        Stored { generation: self.generation, durable: Offset(self.records.len() as u64), puts: self.puts }
    }
}
