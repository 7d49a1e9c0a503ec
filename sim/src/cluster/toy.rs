//! The toy application: clients add numbers to a list. Adding a number twice adds it once, so a client that got no answer
//! asks again.

use baton_protocol::gate;
use baton_protocol::machine::{Input, Machine};
use baton_protocol::outbox::Outbox;
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::{Happened, Mandate, Order, Pair, PairHint, PairInput, PairLane, Paired, Trouble, Unfit};
use baton_protocol::record::{Epoch, Offset, Position, Record};
use baton_protocol::register::Seat;
use baton_protocol::time::{Instant, Now};
use std::collections::VecDeque;
use std::sync::Arc;

/// A client's number.
pub type Number = u16;

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Toy {
    pair: Pair,
    /// What the records say. An activation is written as zero.
    list: Vec<Number>,
    is_stopped: bool,
    /// The list is not what the journal makes up: that begins anew with an image.
    is_rebuilding: bool,
}

/// What is of interest to an audit, and no part of the state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum News {
    /// Became active.
    Activated(Epoch, Mandate),
    /// Goes on in a new epoch.
    EpochBegan(Epoch),
    /// Is not active any more.
    Deposed,
    /// Cut its journal.
    Cut(Position),
    /// Begins anew with an image.
    Installed(Position),
    /// Has stopped for good.
    Stopped,
    /// What was ordered is not done.
    Refused(Order, Unfit),
    /// A person would have to look.
    Trouble(Trouble),
}

/// What a toy is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ToyInput {
    /// About the pair.
    Pair(PairInput),
    /// A client adds a number, not zero.
    Add(Number),
    /// The same, in a record of at least so many bytes.
    AddLong(Number, usize),
    /// A client wants to see the list.
    Look(u32),
    /// An image of the list is durable.
    Imaged(Position),
    /// Storage has begun anew with this image, as [`ToyHint::Rebuild`] asked for.
    Rebuilt(Arc<[u8]>),
}

/// What leaves at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ToyHint {
    /// Of the pair.
    Pair(PairHint),
    /// Not added: another node is active, or this one is busy.
    Refused(Number),
    /// Give back the image with which storage begins anew, once it is durable.
    Rebuild,
    /// For the audit.
    News(News),
}

/// What leaves when the journal says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ToyPromise {
    /// Of the pair.
    Pair(Seat, Envelope),
    /// The number is in the list, which is this long.
    Added(Number, usize),
    /// The list was this long when it was looked at, and no other node was active then.
    Seen(u32, usize),
}

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ToyLane {
    /// Of the pair.
    Pair(PairLane),
    /// A client.
    Client(Number),
    /// Who looks.
    Look(u32),
}

impl gate::Promise for ToyPromise {
    fn supersedes(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Pair(to, envelope), Self::Pair(before, earlier)) => to == before && envelope.supersedes(earlier),
            _ => false,
        }
    }
}

impl Paired for Toy {
    fn pair_hint(hint: PairHint) -> ToyHint {
        ToyHint::Pair(hint)
    }

    fn pair_promise(to: Seat, envelope: Envelope) -> ToyPromise {
        ToyPromise::Pair(to, envelope)
    }

    fn pair_lane(lane: PairLane) -> ToyLane {
        ToyLane::Pair(lane)
    }
}

impl Toy {
    /// A node whose journal has this image, and these records after it.
    #[must_use]
    pub fn new<'r>(pair: Pair, image: &[u8], records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut list = list_of(image);
        list.extend(records.into_iter().map(number_of));
        Self { pair, list, is_stopped: false, is_rebuilding: false }
    }

    /// An image of the list. Not while it is not what the journal makes up.
    #[must_use]
    pub fn image(&self) -> Option<Arc<[u8]>> {
        (!self.is_rebuilding).then(|| self.list.iter().flat_map(|number| number.to_le_bytes()).collect())
    }

    /// Its part in the pair.
    #[must_use]
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// See [`Pair::canonize`].
    pub(super) fn canonize(&mut self, is_timeless: bool) {
        self.pair.canonize(is_timeless);
    }

    /// The list.
    #[must_use]
    pub fn list(&self) -> &[Number] {
        &self.list
    }

    /// Whether its stop is recorded.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    fn append(&mut self, number: Number, length: usize, out: &mut Outbox<'_, Self>) -> bool {
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(payload.len().max(length), 0);
        let is_written = out.append(payload).is_ok();
        if is_written {
            self.list.push(number);
        }
        is_written
    }

    fn add(&mut self, number: Number, length: usize, out: &mut Outbox<'_, Self>) {
        let is_possible = self.pair.is_writing() && !out.is_congested();
        let is_added = is_possible && (self.list.contains(&number) || self.append(number, length, out));
        let promise = ToyPromise::Added(number, self.list.len());
        if !is_added || out.promise(out.committed(), ToyLane::Client(number), promise).is_err() {
            out.hint(ToyHint::Refused(number));
        }
    }

    fn look(&self, look: u32, out: &mut Outbox<'_, Self>) {
        if self.pair.is_active() {
            let fence = out.confirmed();
            // Who gets no answer, looks again.
            let _ = out.promise(fence, ToyLane::Look(look), ToyPromise::Seen(look, self.list.len()));
        }
    }

    /// Does what has happened to the pair until nothing more happens.
    fn react(&mut self, now: Now, out: &mut Outbox<'_, Self>) {
        loop {
            let happened: VecDeque<Happened> = self.pair.happened().into();
            if happened.is_empty() {
                return;
            }
            for happened in happened {
                match happened {
                    Happened::Adopted(record) => self.list.push(number_of(&record)),
                    Happened::Cut(at) => {
                        self.list.truncate(usize::try_from(at.offset.0).unwrap_or(usize::MAX));
                        out.hint(ToyHint::News(News::Cut(at)));
                        self.pair.take(now, PairInput::RolledBack, out);
                    }
                    Happened::Installed(at) => {
                        self.is_rebuilding = true;
                        out.hint(ToyHint::News(News::Installed(at)));
                        out.hint(ToyHint::Rebuild);
                    }
                    Happened::Activated(epoch, mandate) => {
                        out.hint(ToyHint::News(News::Activated(epoch, mandate)));
                        self.append(0, 0, out);
                    }
                    Happened::EpochBegan(epoch) => out.hint(ToyHint::News(News::EpochBegan(epoch))),
                    Happened::Deposed => out.hint(ToyHint::News(News::Deposed)),
                    Happened::Stopped => {
                        self.is_stopped = true;
                        out.hint(ToyHint::News(News::Stopped));
                    }
                    Happened::Trouble(trouble) => out.hint(ToyHint::News(News::Trouble(trouble))),
                    Happened::Refused(order, unfit) => out.hint(ToyHint::News(News::Refused(order, unfit))),
                }
            }
        }
    }
}

/// The list of an image.
#[must_use]
pub fn list_of(image: &[u8]) -> Vec<Number> {
    image.as_chunks().0.iter().map(|bytes| Number::from_le_bytes(*bytes)).collect()
}

fn number_of(record: &Record) -> Number {
    record.payload.first_chunk().map_or(0, |bytes| Number::from_le_bytes(*bytes))
}

impl Machine for Toy {
    type Input = ToyInput;
    type Lane = ToyLane;
    type Hint = ToyHint;
    type Promise = ToyPromise;

    fn step(&mut self, now: Now, input: Input<ToyInput>, out: &mut Outbox<'_, Self>) {
        match input {
            Input::Start { seed } => self.pair.start(now, seed, out),
            Input::Due => self.pair.due(now, out),
            Input::Stored(_) => {}
            Input::Arrived(ToyInput::Pair(input)) => self.pair.take(now, input, out),
            Input::Arrived(ToyInput::Add(number)) => self.add(number, 0, out),
            Input::Arrived(ToyInput::AddLong(number, length)) => self.add(number, length, out),
            Input::Arrived(ToyInput::Look(look)) => self.look(look, out),
            Input::Arrived(ToyInput::Imaged(at)) => {
                out.imaged(at);
                self.pair.release(now, at.offset, out);
            }
            Input::Arrived(ToyInput::Rebuilt(image)) => {
                self.list = list_of(&image);
                self.is_rebuilding = false;
                self.pair.take(now, PairInput::RolledBack, out);
            }
        }
        self.react(now, out);
        self.pair.settle(now, out);
        self.react(now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        self.pair.deadline()
    }

    fn check(&self) {
        self.pair.check();
    }
}

/// How many records a journal that ends there has.
#[must_use]
pub fn length(end: Offset) -> usize {
    usize::try_from(end.0).unwrap_or(usize::MAX)
}
