//! A host of a machine that keeps a journal, a controller or a director, and its disk. Does what a driver does in production:
//! tells storage, reads from it, takes images, and rebuilds the replica when the journal was cut.

use crate::cluster::host::{Change, Disk};
use baton_machine::controller::{Controller, ControllerConfig, ControllerInput};
use baton_machine::director::{Director, DirectorConfig, DirectorInput};
use baton_machine::draft::Slice;
use baton_machine::host::{Act, CallerId, Lane, Outgoing, RecordReader, Reply};
use baton_machine::link::{LinkHint, LinkId};
use baton_machine::planted::Bugs;
use baton_machine::replica::{Locality, Replica};
use baton_machine::timing::Timing;
use baton_protocol::event_id::EventId;
use baton_protocol::journal::Journal;
use baton_protocol::limit::Limits;
use baton_protocol::machine::{Input, Machine};
use baton_protocol::node::Node;
use baton_protocol::outbox::Effect;
use baton_protocol::pair::{EPOCHS_CELL, Pair, PairConfig, PairHint, PairInput, Trouble, VOTE_CELL};
use baton_protocol::record::{Offset, Position, Record};
use baton_protocol::register::Seat;
use baton_protocol::time::Now;
use baton_workflow::id::{ControllerId, SubagentId};
use std::sync::Arc;

/// How many records one reading gets.
const READ: usize = 20;

/// What has left a host.
#[derive(Debug)]
pub(super) enum Left {
    /// About links.
    Link(LinkHint),
    /// A frame that was promised.
    Frame(LinkId, Arc<[u8]>),
    /// To another voter of the pair, as bytes.
    Message(Seat, Vec<u8>),
    /// To whoever gave a command.
    Reply(CallerId, Reply),
    /// The journal was cut, or begins anew with an image.
    RollBack(Position),
    /// The node is not active any more.
    Deposed,
    /// A person has to look.
    Trouble(Trouble),
}

/// What all nodes of a world have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) timing: Timing,
    pub(super) limits: Limits,
    pub(super) slice: Slice,
    pub(super) image_after: u64,
    pub(super) bugs: Bugs,
}

/// A machine that keeps a journal.
pub(super) trait Keeps: Machine<Lane = Lane, Hint = Act, Promise = Outgoing> + Sized {
    /// Whose it is.
    type Who: Clone;
    fn recover(who: &Self::Who, setting: &Setting, image: Option<&[u8]>, records: &[Record]) -> Result<Self, String>;
    fn with_pair(self, pair: Pair) -> Self;
    fn replica(&self) -> &Replica;
    fn may_be_imaged(&self) -> bool;
    fn records(reader: RecordReader, records: Vec<Record>) -> Self::Input;
    fn imaged(at: Position, released: EventId) -> Self::Input;
    fn pair_input(input: PairInput) -> Self::Input;
}

impl Keeps for Controller {
    type Who = Seat;

    fn recover(seat: &Seat, setting: &Setting, image: Option<&[u8]>, records: &[Record]) -> Result<Self, String> {
        let config = ControllerConfig {
            controller_id: ControllerId::new("Controller"),
            node_id: seat.to_string(),
            locality: Locality::default(),
            timing: setting.timing,
        };
        let machine = Self::recover(config, image, records).map_err(|error| error.to_string())?;
        Ok(machine.with_slice(setting.slice).with_bugs(setting.bugs))
    }

    fn with_pair(self, pair: Pair) -> Self {
        self.with_pair(pair)
    }

    fn replica(&self) -> &Replica {
        self.replica()
    }

    fn may_be_imaged(&self) -> bool {
        self.may_be_imaged()
    }

    fn records(reader: RecordReader, records: Vec<Record>) -> ControllerInput {
        ControllerInput::Records { reader, records }
    }

    fn imaged(at: Position, released: EventId) -> ControllerInput {
        ControllerInput::Imaged { at, released }
    }

    fn pair_input(input: PairInput) -> ControllerInput {
        ControllerInput::Pair(input)
    }
}

impl Keeps for Director {
    type Who = SubagentId;

    fn recover(
        local: &SubagentId,
        setting: &Setting,
        image: Option<&[u8]>,
        records: &[Record],
    ) -> Result<Self, String> {
        let config = DirectorConfig {
            node_id: format!("director at {local}"),
            local_subagent: local.clone(),
            locality: Locality::default(),
            timing: setting.timing,
        };
        let machine = Self::recover(config, image, records).map_err(|error| error.to_string())?;
        Ok(machine.with_slice(setting.slice).with_bugs(setting.bugs))
    }

    fn with_pair(self, _: Pair) -> Self {
        self
    }

    fn replica(&self) -> &Replica {
        self.replica()
    }

    fn may_be_imaged(&self) -> bool {
        true
    }

    fn records(reader: RecordReader, records: Vec<Record>) -> DirectorInput {
        DirectorInput::Records { reader, records }
    }

    fn imaged(at: Position, _: EventId) -> DirectorInput {
        DirectorInput::Imaged { at }
    }

    fn pair_input(_: PairInput) -> DirectorInput {
        unreachable!("directors are alone here")
    }
}

/// A host. See the module.
pub(super) struct Keeper<M: Keeps> {
    who: M::Who,
    setting: Setting,
    /// When it is one of a pair.
    pair: Option<PairConfig>,
    node: Option<Node<M>>,
    pub(super) disk: Disk,
    /// Of the process: bytes written since the last image, the image that is to be kept when it is committed, and what is
    /// collected of one of the other node.
    written: usize,
    taken: Option<(Position, Arc<[u8]>)>,
    collected: Vec<u8>,
    /// How many changes the sync under way covers; none if there is none.
    pub(super) syncing: Option<usize>,
}

impl<M: Keeps> Keeper<M> {
    pub(super) fn new(who: M::Who, setting: Setting, pair: Option<PairConfig>) -> Self {
        Self {
            who,
            setting,
            pair,
            node: None,
            disk: Disk::default(),
            written: 0,
            taken: None,
            collected: Vec::new(),
            syncing: None,
        }
    }

    pub(super) fn node(&self) -> Option<&Node<M>> {
        self.node.as_ref()
    }

    pub(super) fn machine(&self) -> Option<&M> {
        self.node.as_ref().map(Node::machine)
    }

    /// S8: what its disk makes up.
    pub(super) fn recover(&self) -> Result<M, String> {
        let (_, image, records) = self.disk.recovered();
        let image = Some(image).filter(|image| !image.is_empty());
        M::recover(&self.who, &self.setting, image, records).map_err(|error| format!("S8: {error}"))
    }

    /// S8: a recovery now leads to the state that it is in, by records and by an image of now.
    pub(super) fn check_recovery(&self) -> Result<bool, String> {
        let Some(node) = self.node.as_ref().filter(|node| node.machine().may_be_imaged()) else { return Ok(false) };
        if self.disk.is_busy() || self.disk.end() != node.journal().end() {
            return Ok(false);
        }
        let replica = node.machine().replica();
        replica.check_equal(self.recover()?.replica());
        let image = replica.image();
        let again = M::recover(&self.who, &self.setting, Some(&image), &[]).map_err(|error| format!("S8: {error}"))?;
        replica.check_equal(again.replica());
        Ok(true)
    }

    pub(super) fn start(&mut self, now: Now, seed: u64) -> Result<Vec<Left>, String> {
        self.disk.restart();
        let machine = self.recover()?;
        let (recovered, ..) = self.disk.recovered();
        self.node = Some(match self.pair {
            None => Node::new(machine, Journal::alone(recovered, self.setting.limits)),
            Some(config) => {
                let (vote, epochs) = (self.disk.cell(VOTE_CELL), self.disk.cell(EPOCHS_CELL));
                let pair = Pair::new(config, vote, epochs, recovered.end).map_err(|error| error.to_string())?;
                Node::new(machine.with_pair(pair), Journal::following(recovered, self.setting.limits))
            }
        });
        Ok(self.step(now, Input::Start { seed }))
    }

    /// The process ends at once, and of what was not synced only the first `kept` changes have reached the disk.
    pub(super) fn crash(&mut self, kept: usize) {
        self.node = None;
        (self.written, self.taken, self.syncing) = (0, None, None);
        self.collected.clear();
        self.disk.lose(kept);
    }

    /// All of the disk is lost, while the process does not run.
    pub(super) fn wipe(&mut self) {
        assert!(self.node.is_none(), "the disk of a process that runs");
        self.disk = Disk::default();
    }

    /// The sync under way is done.
    pub(super) fn synced(&mut self, now: Now) -> Vec<Left> {
        let Some(count) = self.syncing.take() else { return Vec::new() };
        let stored = self.disk.sync(count.min(self.disk.unsynced()));
        self.step(now, Input::Stored(stored))
    }

    pub(super) fn step(&mut self, now: Now, input: Input<M::Input>) -> Vec<Left> {
        let Some(node) = &mut self.node else { return Vec::new() };
        let mut effects = Vec::new();
        node.step(now, input, &mut effects);
        let (mut left, mut inputs) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Append { generation, record } => {
                    self.written += record.encoded_len();
                    self.disk.tell(Change::Append(generation, record));
                }
                Effect::Truncate { generation, to } => {
                    self.taken.take_if(|(at, _)| at.offset > to.offset);
                    self.disk.tell(Change::Truncate(generation, to));
                }
                Effect::Install { generation, at, cell, value } => {
                    self.taken = None;
                    let image = core::mem::take(&mut self.collected).into();
                    self.disk.tell(Change::Install(generation, at, image, cell, value));
                }
                Effect::Put { number, cell, value } => self.disk.tell(Change::Put(number, cell, value)),
                Effect::Release { before } => self.disk.tell(Change::Release(before)),
                Effect::Hint(Act::Link(hint)) => left.push(Left::Link(hint)),
                Effect::Promise { lane: Lane::Link(link), promise: Outgoing::Frame(frame) } => {
                    left.push(Left::Frame(link, frame));
                }
                Effect::Hint(Act::Pair(PairHint::Send(to, envelope)))
                | Effect::Promise { promise: Outgoing::Pair(to, envelope), .. } => {
                    left.push(Left::Message(to, envelope.encode()));
                }
                Effect::Hint(Act::Pair(PairHint::Read { number, from, .. })) => {
                    let records = self.read(from);
                    inputs.push(M::pair_input(PairInput::Read { number, from, records }));
                }
                Effect::Hint(Act::Pair(PairHint::ReadImage { at, from, bytes })) => {
                    let piece = self.disk.read_image(at, from, bytes);
                    inputs.push(M::pair_input(PairInput::ImageRead { at, from, piece }));
                }
                Effect::Hint(Act::Pair(PairHint::KeepPiece { from, bytes })) => {
                    self.collected.truncate(usize::try_from(from).unwrap_or(usize::MAX));
                    self.collected.extend(bytes);
                }
                Effect::Hint(Act::Pair(PairHint::DropPieces)) => self.collected.clear(),
                Effect::Hint(Act::ReadRecords { reader, from }) => inputs.push(M::records(reader, self.read(from))),
                Effect::Hint(Act::Reply { caller, reply })
                | Effect::Promise { lane: Lane::Caller(caller), promise: Outgoing::Reply(reply) } => {
                    left.push(Left::Reply(caller, reply));
                }
                Effect::Hint(Act::RollBack { to }) => left.push(Left::RollBack(to)),
                Effect::Hint(Act::Deposed) => left.push(Left::Deposed),
                Effect::Hint(Act::Trouble(trouble) | Act::Pair(PairHint::Trouble(trouble))) => {
                    left.push(Left::Trouble(trouble));
                }
                // Nobody reads events here, and no files are watched.
                Effect::Hint(_) | Effect::Promise { .. } => {}
            }
        }
        for input in inputs {
            left.extend(self.step(now, Input::Arrived(input)));
        }
        left.extend(self.take_image(now));
        left
    }

    /// Adds what it has committed to what is remembered of that: nodes release it.
    pub(super) fn remember(&self, history: &mut Vec<Record>) {
        let committed = self.node.as_ref().map_or(0, |node| node.journal().watermarks().committed.0);
        while (history.len() as u64) < committed
            && let Some(record) = self.disk.record(Offset(history.len() as u64))
        {
            history.push(record.clone());
        }
    }

    /// Takes an image when it is time, and keeps it when it is committed.
    fn take_image(&mut self, now: Now) -> Vec<Left> {
        let Some(node) = &self.node else { return Vec::new() };
        let (end, committed) = (node.journal().end(), node.journal().watermarks().committed);
        let (last, length) = self.disk.image().map_or((0, 0), |(at, image)| (at.offset.0, image.len()));
        let after = self.setting.image_after;
        let is_time = after > 0 && end.offset.0 >= last + after && self.written >= length;
        if is_time && self.taken.is_none() && node.machine().may_be_imaged() {
            self.written = 0;
            self.taken = Some((end, node.machine().replica().image().into()));
        }
        let Some((at, image)) = self.taken.take_if(|(at, _)| at.offset <= committed) else { return Vec::new() };
        let released = node.machine().replica().last_event_id();
        self.disk.keep_image(at, image);
        self.step(now, Input::Arrived(M::imaged(at, released)))
    }

    fn read(&self, from: Offset) -> Vec<Record> {
        self.disk.records_from(from).iter().take(READ).cloned().collect()
    }
}
