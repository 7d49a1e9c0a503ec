//! A host of a controller that is a node of a pair, and its disk. Does what a driver does in production: tells storage, reads
//! from it, and rebuilds the replica when the journal was cut.

use super::super::host::{Change, Disk};
use baton_machine::codec::Stamped;
use baton_machine::controller::{Controller, ControllerConfig, ControllerInput};
use baton_machine::host::{Act, CallerId, Lane, Outgoing, RecordReader, Reply};
use baton_machine::replica::{Locality, Replica};
use baton_machine::timing::Timing;
use baton_protocol::event_id::EventId;
use baton_protocol::journal::Journal;
use baton_protocol::limit::Limits;
use baton_protocol::machine::Input;
use baton_protocol::node::Node;
use baton_protocol::outbox::Effect;
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::{EPOCHS_CELL, Pair, PairConfig, PairHint, PairInput, Trouble, VOTE_CELL};
use baton_protocol::record::{Offset, Position, Record};
use baton_protocol::register::Seat;
use baton_protocol::time::{Instant, Now, Timestamp};
use baton_workflow::id::ControllerId;
use std::sync::Arc;

/// When the clocks start: 2026-01-01T00:00:00Z.
pub(super) const START: i64 = 1_767_225_600_000;

/// How many records one reading gets.
const READ: usize = 20;

/// What has left a host.
#[derive(Debug)]
pub(super) enum Left {
    /// To another voter, as bytes.
    Message(Seat, Vec<u8>),
    /// To whoever gave a command or an order.
    Reply(CallerId, Reply),
    /// To a reader; none if it cannot be served.
    Events(Vec<Stamped>),
    /// A reader wants events that are released: all after this one are there.
    Released(EventId),
    /// The journal was cut, or begins anew with an image.
    RollBack(Position),
    /// The node is not active any more.
    Deposed,
    /// A person has to look.
    Trouble(Trouble),
}

/// A host. See the module.
pub(super) struct Host {
    config: PairConfig,
    limits: Limits,
    /// How much its clock is ahead, in milliseconds.
    skew: i64,
    pub(super) disk: Disk,
    /// An image is taken after so many records; zero: never.
    image_after: u64,
    /// Until here no reader needs events.
    pub(super) released: EventId,
    /// Of the process: bytes written since the last image, the image that is to be kept when it is committed, and what is
    /// collected of one of the other node.
    written: usize,
    taken: Option<(Position, Arc<[u8]>)>,
    collected: Vec<u8>,
    node: Option<Node<Controller>>,
    /// How often its process was started.
    pub(super) starts: u64,
}

impl Host {
    pub(super) fn new(config: PairConfig, limits: Limits, skew: i64, image_after: u64) -> Self {
        Self {
            config,
            limits,
            skew,
            disk: Disk::default(),
            image_after,
            released: EventId::BEFORE_FIRST,
            written: 0,
            taken: None,
            collected: Vec::new(),
            node: None,
            starts: 0,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.node.is_some()
    }

    pub(super) fn node(&self) -> Option<&Node<Controller>> {
        self.node.as_ref()
    }

    pub(super) fn controller(&self) -> Option<&Controller> {
        self.node.as_ref().map(Node::machine)
    }

    pub(super) fn is_active(&self) -> bool {
        self.controller().is_some_and(Controller::is_active)
    }

    /// What its disk makes up.
    pub(super) fn recover(&self) -> Result<Replica, String> {
        let config = controller_config(self.config.seat);
        let (_, image, records) = self.disk.recovered();
        let image = Some(image).filter(|image| !image.is_empty());
        Controller::rebuild(&config, image, records).map_err(|error| format!("S8: {error}"))
    }

    pub(super) fn start(&mut self, now: Instant, seed: u64) -> Result<Vec<Left>, String> {
        self.starts += 1;
        self.disk.restart();
        let (recovered, image, records) = self.disk.recovered();
        let pair = Pair::new(self.config, self.disk.cell(VOTE_CELL), self.disk.cell(EPOCHS_CELL), recovered.end);
        let pair = pair.map_err(|error| error.to_string())?;
        let image = Some(image).filter(|image| !image.is_empty());
        let machine = Controller::recover(controller_config(self.config.seat), image, records)
            .map_err(|error| format!("S8: {error}"))?
            .with_pair(pair);
        self.node = Some(Node::new(machine, Journal::following(recovered, self.limits)));
        Ok(self.step(now, Input::Start { seed }))
    }

    /// The process ends at once, and of what was not synced only the first `kept` changes have reached the disk.
    pub(super) fn crash(&mut self, kept: usize) {
        self.node = None;
        (self.written, self.taken) = (0, None);
        self.collected.clear();
        self.disk.lose(kept);
    }

    /// All of the disk is lost, while the process does not run.
    pub(super) fn wipe(&mut self) {
        assert!(!self.is_running(), "the disk of a process that runs");
        self.disk = Disk::default();
    }

    pub(super) fn sync(&mut self, now: Instant) -> Vec<Left> {
        let stored = self.disk.sync(self.disk.unsynced());
        self.step(now, Input::Stored(stored))
    }

    pub(super) fn step(&mut self, now: Instant, input: Input<ControllerInput>) -> Vec<Left> {
        let Some(node) = &mut self.node else { return Vec::new() };
        let millis = i64::try_from(now.since(Instant::ZERO).as_millis()).unwrap_or(i64::MAX);
        let now = Now { instant: now, timestamp: Timestamp::from_millis(START + self.skew + millis) };
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
                Effect::Hint(Act::Pair(PairHint::Send(to, envelope)))
                | Effect::Promise { promise: Outgoing::Pair(to, envelope), .. } => {
                    left.push(Left::Message(to, envelope.encode()));
                }
                Effect::Hint(Act::Pair(PairHint::Read { number, from, .. })) => {
                    let records = self.read(from);
                    inputs.push(ControllerInput::Pair(PairInput::Read { number, from, records }));
                }
                Effect::Hint(Act::Pair(PairHint::ReadImage { at, from, bytes })) => {
                    let piece = self.disk.read_image(at, from, bytes);
                    inputs.push(ControllerInput::Pair(PairInput::ImageRead { at, from, piece }));
                }
                Effect::Hint(Act::Pair(PairHint::KeepPiece { from, bytes })) => {
                    self.collected.truncate(usize::try_from(from).unwrap_or(usize::MAX));
                    self.collected.extend(bytes);
                }
                Effect::Hint(Act::Pair(PairHint::DropPieces)) => self.collected.clear(),
                Effect::Hint(Act::ReadRecords { reader: reader @ RecordReader::Reader(_), from }) => {
                    inputs.push(ControllerInput::Records { reader, records: self.read(from) });
                }
                Effect::Hint(Act::Reply { caller, reply })
                | Effect::Promise { lane: Lane::Caller(caller), promise: Outgoing::Reply(reply) } => {
                    left.push(Left::Reply(caller, reply));
                }
                Effect::Promise { promise: Outgoing::Events(events), .. } => left.push(Left::Events(events)),
                Effect::Hint(Act::NoEvents { .. }) => left.push(Left::Events(Vec::new())),
                Effect::Hint(Act::Released { until, .. }) => left.push(Left::Released(until)),
                Effect::Hint(Act::RollBack { to }) => left.push(Left::RollBack(to)),
                Effect::Hint(Act::Deposed) => left.push(Left::Deposed),
                Effect::Hint(Act::Trouble(trouble) | Act::Pair(PairHint::Trouble(trouble))) => {
                    left.push(Left::Trouble(trouble))
                }
                // There are no agents here.
                Effect::Hint(_) | Effect::Promise { .. } => {}
            }
        }
        for input in inputs {
            left.extend(self.step(now.instant, Input::Arrived(input)));
        }
        left.extend(self.take_image(now.instant));
        left
    }

    /// Takes an image when it is time, and keeps it when it is committed.
    fn take_image(&mut self, now: Instant) -> Vec<Left> {
        let Some(node) = &self.node else { return Vec::new() };
        let (end, committed) = (node.journal().end(), node.journal().watermarks().committed);
        let (last, length) = self.disk.image().map_or((0, 0), |(at, image)| (at.offset.0, image.len()));
        let is_time = self.image_after > 0 && end.offset.0 >= last + self.image_after && self.written >= length;
        if is_time && self.taken.is_none() && node.machine().may_be_imaged() {
            self.written = 0;
            self.taken = Some((end, node.machine().replica().image().into()));
        }
        let Some((at, image)) = self.taken.take_if(|(at, _)| at.offset <= committed) else { return Vec::new() };
        self.disk.keep_image(at, image);
        self.step(now, Input::Arrived(ControllerInput::Imaged { at, released: self.released }))
    }

    fn read(&self, from: Offset) -> Vec<Record> {
        self.disk.records_from(from).iter().take(READ).cloned().collect()
    }
}

/// A message as it arrives.
pub(super) fn arrived(bytes: &[u8]) -> Result<Envelope, String> {
    Envelope::decode(bytes).ok_or_else(|| "a message is not understood".to_owned())
}

fn controller_config(seat: Seat) -> ControllerConfig {
    ControllerConfig {
        controller_id: ControllerId::new("Controller"),
        node_id: seat.to_string(),
        locality: Locality::default(),
        timing: Timing::DEFAULT,
    }
}
