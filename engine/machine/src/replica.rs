//! The replicated part of a controller or a director: everything that its journal says, and the transaction being decided.
//!
//! *Decide*: `take`, `steps` and `execute` apply events as they are decided and collect them.
//! `commit` writes them, at the end of an input, as one transaction. *Apply*: [`Replica::apply`] folds a record that was
//! written before, here or elsewhere. Both lead to the same state; [`Replica::check_equal`] is for tests of that.
//!
//! Events are applied before they are written, so a record must not be refused: the owner takes nothing in while the outbox
//! is congested, and what is decided in one step is far below the other half of the limits (see [`Slice`]). The steps of
//! orders which come on top stay on an agenda, and the owner goes on with them in the next step. After a start all orders are
//! looked at once, since they may have been on the agenda of the predecessor.

use crate::codec::{self, Assembled, Assembly, CodecError, Stamped, Transaction};
use crate::draft::{Draft, Recorder, Slice};
use crate::feed::{Feed, Marks};
use crate::relations::Relations;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use baton_protocol::event_id::{EventId, EventIds};
use baton_protocol::machine::Machine;
use baton_protocol::outbox::Outbox;
use baton_protocol::record::{Epoch, Offset, Record};
use baton_protocol::time::Now;
use baton_workflow::command;
use baton_workflow::id::{AgentPath, ControllerId, ExternalOrderName, OrderId, OrderWatchPath};
use baton_workflow::model::command::{Command, Response};
use baton_workflow::model::event::{Event, NodeEvent};
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::schedule::TimeZone;
use baton_workflow::state::State;
use baton_workflow::step::{Agenda, Surroundings, carry_out};
use baton_workflow::time::Timestamp;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What a journal makes up.
#[derive(Clone, Debug)]
pub struct Replica {
    state: State,
    relations: Relations,
    ids: EventIds,
    feed: Feed,
    /// What is decided but not yet written.
    draft: Draft,
    slice: Slice,
    /// Orders which may have something to do, left by earlier steps.
    agenda: Agenda,
    /// What was written of a transaction that is not complete.
    assembly: Assembly,
}

/// What is kept of a replica so that the records before can be given up; [`Image`] as it is written, without a copy.
#[derive(Serialize)]
struct ImageRef<'a> {
    state: &'a State,
    relations: &'a Relations,
    #[serde(with = "codec::event_id")]
    last: EventId,
    marks: Marks,
}

/// What is kept of a replica so that the records before can be given up.
#[derive(Deserialize)]
struct Image {
    state: State,
    relations: Relations,
    #[serde(with = "codec::event_id")]
    last: EventId,
    marks: Marks,
}

/// A journal that cannot be replayed.
#[derive(Clone, Debug, PartialEq)]
pub enum RecoveryError {
    /// The bytes of the image or of a record are not understood.
    Codec {
        /// The record; none for the image.
        offset: Option<Offset>,
        /// Why.
        error: CodecError,
    },
    /// An event contradicts those before.
    Event {
        /// Its record.
        offset: Offset,
        /// Its id.
        event_id: EventId,
        /// Why.
        problem: Problem,
    },
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codec { offset: None, error } => write!(f, "the image of the state cannot be read: {error}"),
            Self::Codec { offset: Some(offset), error } => write!(f, "record {offset} cannot be read: {error}"),
            Self::Event { offset, event_id, problem } => {
                write!(f, "event {event_id} in record {offset} contradicts the events before: {problem}")
            }
        }
    }
}

impl core::error::Error for RecoveryError {}

/// A transaction that was written.
#[derive(Clone, Debug)]
pub(crate) struct Committing {
    /// Its events.
    pub(crate) events: Arc<[Stamped]>,
}

impl Replica {
    /// The state of an empty journal.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self {
            state,
            relations: Relations::default(),
            ids: EventIds::default(),
            feed: Feed::default(),
            draft: Draft::default(),
            slice: Slice::DEFAULT,
            agenda: Agenda::default(),
            assembly: Assembly::default(),
        }
    }

    /// The state of an image, or of an empty journal.
    ///
    /// # Errors
    /// When the image is not understood.
    pub fn of_image(image: Option<&[u8]>, empty: State) -> Result<Self, RecoveryError> {
        let Some(bytes) = image else { return Ok(Self::new(empty)) };
        let image: Image = codec::decode_image(bytes).map_err(|error| RecoveryError::Codec { offset: None, error })?;
        Ok(Self {
            state: image.state,
            relations: image.relations,
            ids: EventIds::after(image.last),
            feed: Feed::new(image.marks),
            draft: Draft::default(),
            slice: Slice::DEFAULT,
            agenda: Agenda::default(),
            assembly: Assembly::default(),
        })
    }

    /// An image of the state. Cheap memory, but time in proportion to the state.
    ///
    /// # Panics
    /// In the middle of a step.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        assert!(self.draft.events().is_empty(), "an image in the middle of a step");
        codec::encode_image(&ImageRef {
            state: &self.state,
            relations: &self.relations,
            last: self.ids.last(),
            marks: self.feed.marks(),
        })
    }

    /// Folds a record that was written before; or keeps it, when it is a piece of a transaction that others complete.
    ///
    /// # Errors
    /// When it is not understood or contradicts the state. Then the replica is of no use any more.
    pub fn apply(&mut self, record: &Record) -> Result<(), RecoveryError> {
        let offset = record.id.offset;
        let assembled =
            self.assembly.add(record).map_err(|error| RecoveryError::Codec { offset: Some(offset), error })?;
        let Some(Assembled { first, length, transaction: Transaction { events } }) = assembled else { return Ok(()) };
        for stamped in &events {
            let contradiction = |problem| RecoveryError::Event { offset, event_id: stamped.event_id, problem };
            self.ids.observe(stamped.event_id).map_err(|error| contradiction(Problem::new(error.to_string())))?;
            self.apply_event(record.id.epoch, stamped).map_err(contradiction)?;
        }
        self.feed.push(first, offset.next(), length, events.into());
        Ok(())
    }

    /// The items, orders and so on.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The relations to other nodes.
    #[must_use]
    pub fn relations(&self) -> &Relations {
        &self.relations
    }

    /// The events for readers.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    pub(crate) fn feed_mut(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// The last event, written or decided.
    #[must_use]
    pub fn last_event_id(&self) -> EventId {
        self.ids.last()
    }

    /// Panics when two replicas of one journal differ.
    pub fn check_equal(&self, other: &Self) {
        assert_eq!(self.ids, other.ids);
        assert_eq!(self.relations, other.relations);
        assert_eq!(self.state, other.state);
    }

    /// What has been decided in this step, from the `from`th event on.
    pub(crate) fn pending_from(&self, from: usize) -> &[Stamped] {
        self.draft.events().get(from..).unwrap_or_default()
    }

    pub(crate) fn pending_len(&self) -> usize {
        self.draft.events().len()
    }

    /// Decides an event that is certain to fit.
    pub(crate) fn take(&mut self, turn: Turn<'_>, event: Event) {
        let timestamp = turn.around.now;
        if let Err(problem) = self.try_take(turn, timestamp, event) {
            panic!("broken invariant: a decided event does not fit the state: {problem}");
        }
    }

    /// Decides an event that happened elsewhere, if it fits.
    pub(crate) fn try_take(&mut self, turn: Turn<'_>, timestamp: Timestamp, event: Event) -> Checked<()> {
        let mut ids = self.ids;
        let stamped = Stamped { event_id: ids.next(turn.now.timestamp), timestamp, event };
        self.apply_event(turn.epoch, &stamped)?;
        self.ids = ids;
        self.draft.push(stamped);
        Ok(())
    }

    /// Decides all steps that these orders, and those they wake, can make; some of them later, if they are many.
    pub(crate) fn steps(&mut self, turn: Turn<'_>, orders: impl IntoIterator<Item = OrderId>) {
        self.decide(turn, Vec::new(), orders);
    }

    /// Decides these events, which fit, and all steps that this order, and those they wake, can make then.
    pub(crate) fn follow(&mut self, turn: Turn<'_>, decided: Vec<Event>, order: OrderId) {
        self.decide(turn, decided, [order]);
    }

    /// Decides what follows from files which have appeared or vanished.
    pub(crate) fn look_at_files(&mut self, turn: Turn<'_>, files: Vec<(OrderWatchPath, ExternalOrderName)>) {
        for (path, name) in files {
            let decided = command::file_events(&self.state, turn.around, &path, &name);
            self.decide(turn, decided, []);
        }
    }

    /// Decides on a command, and the steps that follow.
    pub(crate) fn execute(&mut self, turn: Turn<'_>, command: &Command) -> Checked<Response> {
        self.deciding(turn, |state, agenda, recorder| command::execute(state, turn.around, command, agenda, recorder))
    }

    /// Decides these events, which fit, and the steps of these orders.
    pub(crate) fn decide(&mut self, turn: Turn<'_>, decided: Vec<Event>, orders: impl IntoIterator<Item = OrderId>) {
        self.deciding(turn, |state, agenda, recorder| {
            carry_out(state, turn.around, agenda, decided, orders, recorder);
        });
    }

    /// What one input leads to comes before what others have left, but only as much of it as belongs into one step.
    fn deciding<R>(
        &mut self,
        turn: Turn<'_>,
        decide: impl FnOnce(&mut State, &mut Agenda, &mut Recorder<'_>) -> R,
    ) -> R {
        let Self { state, relations, ids, draft, slice, .. } = self;
        let mut agenda = Agenda::default();
        let result = decide(state, &mut agenda, &mut Recorder { turn, slice: *slice, ids, relations, draft });
        if !agenda.is_empty() {
            self.agenda.append(agenda);
        }
        result
    }

    /// How much is done in one step.
    pub(crate) fn set_slice(&mut self, slice: Slice) {
        self.slice = slice;
    }

    pub(crate) fn slice(&self) -> Slice {
        self.slice
    }

    /// Whether no transaction is begun whose other records are still to come.
    pub(crate) fn is_whole(&self) -> bool {
        self.assembly.is_empty()
    }

    /// How many more orders this step has room for.
    pub(crate) fn room(&self) -> usize {
        self.draft.room(self.slice)
    }

    /// Counts an order of which something is decided. Not, if this step has no room for it.
    pub(crate) fn count_order(&mut self) -> bool {
        self.draft.count_order(self.slice)
    }

    /// After a start. What the predecessor had left undone is not recorded, so all orders are looked at.
    pub(crate) fn sweep(&mut self) {
        self.agenda.push_all();
    }

    /// Another node makes the steps which this one has left.
    pub(crate) fn forget_agenda(&mut self) {
        self.agenda = Agenda::default();
    }

    /// Whether some orders may have steps to make which this step has no room for.
    pub(crate) fn has_left_something(&self) -> bool {
        !self.agenda.is_empty()
    }

    /// Makes steps which earlier inputs have left, as far as there is room.
    pub(crate) fn go_on(&mut self, turn: Turn<'_>) {
        let Self { state, relations, ids, draft, slice, agenda, .. } = self;
        let mut recorder = Recorder { turn, slice: *slice, ids, relations, draft };
        carry_out(state, turn.around, agenda, Vec::new(), [], &mut recorder);
        if self.agenda.is_empty() {
            // Nobody goes in circles.
            self.agenda = Agenda::default();
        }
    }

    fn apply_event(&mut self, epoch: Epoch, stamped: &Stamped) -> Checked<()> {
        if let Event::Node(NodeEvent::DirectorDedicated { agent_path, controller_id, .. }) = &stamped.event {
            self.state = State::agent(agent_path.clone(), controller_id.clone());
        }
        if let Event::Node(NodeEvent::DirectorReset { .. }) = &stamped.event {
            self.state = State::agent(AgentPath::new(""), ControllerId::new(""));
        }
        self.state.apply(&stamped.event)?;
        self.relations.apply(&self.state, epoch, stamped);
        Ok(())
    }

    /// Writes what has been decided in this step as one transaction. None if nothing has.
    pub(crate) fn commit<M: Machine>(&mut self, out: &mut Outbox<'_, M>) -> Option<Committing> {
        let (events, payloads) = self.draft.finish();
        if events.is_empty() {
            return None;
        }
        let first = out.journal().end().offset;
        let (mut end, mut length) = (first, 0);
        for payload in payloads {
            length += payload.len();
            #[expect(clippy::expect_used, reason = "nothing is taken in while the outbox is congested")]
            let id = out.append(payload).expect("room for a record");
            end = id.offset.next();
        }
        // What a predecessor did not complete, is void by now.
        self.assembly = Assembly::default();
        let events: Arc<[Stamped]> = events.into();
        self.feed.push(first, end, length, events.clone());
        Some(Committing { events })
    }
}

/// What a node's machine contributes to expressions.
#[derive(Clone, Debug, PartialEq)]
pub struct Locality {
    /// The environment, for `env()`.
    pub environment: BTreeMap<String, String>,
    /// The zone of `now()` if none is given, and for display.
    pub zone: TimeZone,
}

impl Default for Locality {
    /// Without environment, in UTC.
    fn default() -> Self {
        Self { environment: BTreeMap::new(), zone: TimeZone::utc() }
    }
}

/// What decisions of one step depend on besides the state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) epoch: Epoch,
    pub(crate) around: Surroundings<'a>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(now: Now, epoch: Epoch, locality: &'a Locality) -> Self {
        let timestamp = Timestamp::from_millis(now.timestamp.as_millis());
        let around = Surroundings { now: timestamp, env: &locality.environment, zone: &locality.zone };
        Self { now, epoch, around }
    }
}
