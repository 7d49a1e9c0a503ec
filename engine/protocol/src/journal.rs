//! The journal as the engine sees it: where it ends, and how much of it is sure.
//!
//! The records themselves are with storage and with the application; here are only positions. What can fail: storage
//! confirms late, out of order, or for records that have been cut off meanwhile; an acknowledgement of the standby is old,
//! doubled, or of a record of another history. So every completion of storage carries a [`Generation`], every
//! acknowledgement a whole [`Position`], and all marks only grow, except by a truncation.
//!
//! # Who commits
//!
//! | [`Role`] | a record is committed when |
//! |---|---|
//! | alone | it is durable here |
//! | coupled | it is durable here and the standby has acknowledged it |
//! | following | it is durable here and the active has told that it is committed |
//!
//! Only a node that is alone or coupled writes records of its own; only a following node takes over those of another, cuts
//! off some, or begins anew at an image of the active ([installing](Journal::installing)). Who may be what is decided elsewhere (by the pair and its watch); a single node is always alone.

use crate::confirmation::Confirmations;
use crate::fence::{Condition, Level};
use crate::limit::{Full, Limits};
use crate::record::{Epoch, Misplaced, Offset, Position, Record};
use crate::tail::Tail;
use alloc::sync::Arc;
use core::error::Error;
use core::fmt;

/// Most puts that one input leads to.
const PUTS_OF_A_STEP: u64 = 8;

/// The state of a node's journal. Machines look at it through [`Outbox::journal`](crate::outbox::Outbox::journal).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Journal {
    limits: Limits,
    epoch: Epoch,
    role: Role,
    generation: Generation,
    released: Offset,
    image: Position,
    committed: Offset,
    durable: Offset,
    puts: u64,
    durable_puts: u64,
    /// Where it begins anew, until storage has confirmed that.
    installing: Option<Position>,
    /// Covers at least what is after `durable` and, when coupled, what the standby has not acknowledged.
    tail: Tail,
    /// Whether the standby still follows.
    confirmations: Confirmations,
}

/// What a node is to its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Copies the journal of another, or does not know yet what it will be.
    Following {
        /// What the active has told to be committed; may be beyond the end here.
        told: Offset,
    },
    /// Writes and commits without anybody.
    Alone,
    /// Writes, and commits what the standby has too.
    Coupled {
        /// What the standby has acknowledged.
        acked: Offset,
    },
}

/// What storage found when it opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Recovered {
    /// Records before this are deleted.
    pub released: Offset,
    /// Where the newest whole image of the state was taken; replay starts there. Not before `released`.
    pub image: Position,
    /// The end of the journal, all of it durable. Not before `image`.
    pub end: Position,
}

/// Counts truncations and installations since the start. Storage hands back the generation of what it did, so that a
/// completion from before a truncation is not taken for one of the records written after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// Storage has made durable what it was told. May arrive out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stored {
    /// Of the last append, truncation or installation that was done; as before, if there was none.
    pub generation: Generation,
    /// All records before this are durable: the end of the journal after that append, truncation or installation.
    pub durable: Offset,
    /// That many puts are durable: the number of the last that was done, or zero.
    pub puts: u64,
}

/// How much of the journal is sure: `committed ≤ durable ≤ end`, `acked ≤ end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watermarks {
    /// Where the journal ends.
    pub end: Offset,
    /// What is on the disk.
    pub durable: Offset,
    /// What the standby has acknowledged, when coupled.
    pub acked: Option<Offset>,
    /// What is known here to be safe from any single failure. Never goes back.
    pub committed: Offset,
    /// How many puts were made.
    pub puts: u64,
    /// How many of them are on the disk.
    pub durable_puts: u64,
    /// How many questions to the standby are answered, with all committed that was to be shown. Never goes back.
    pub confirmed: u64,
}

impl Watermarks {
    pub(crate) fn at(&self, level: Level) -> u64 {
        match level {
            Level::Durable => self.durable.0,
            Level::Committed => self.committed.0,
            Level::Put => self.durable_puts,
            Level::Confirmed => self.confirmed,
        }
    }

    /// The relations that always hold.
    ///
    /// # Panics
    /// When they do not.
    pub fn check(&self) {
        assert!(self.committed <= self.durable, "more is committed than durable: {self:?}");
        assert!(self.durable <= self.end, "more is durable than written: {self:?}");
        assert!(self.acked.is_none_or(|acked| acked <= self.end), "more is acknowledged than written: {self:?}");
        assert!(self.durable_puts <= self.puts, "more is durable than was put: {self:?}");
    }

    /// What holds between the marks before and after a step without a truncation.
    ///
    /// # Panics
    /// When a mark went back.
    pub fn check_after(&self, earlier: &Self, truncated: bool) {
        assert!(self.committed >= earlier.committed, "commits were taken back: {earlier:?}, then {self:?}");
        assert!(self.durable_puts >= earlier.durable_puts, "puts were taken back: {earlier:?}, then {self:?}");
        assert!(self.confirmed >= earlier.confirmed, "confirmations were taken back: {earlier:?}, then {self:?}");
        assert!(truncated || self.durable >= earlier.durable, "durable went back: {earlier:?}, then {self:?}");
        assert!(truncated || self.end >= earlier.end, "records vanished: {earlier:?}, then {self:?}");
    }
}

impl Journal {
    /// Of a node without a partner: it is active at once, in an epoch of its own.
    #[must_use]
    pub fn alone(recovered: Recovered, limits: Limits) -> Self {
        let mut journal = Self::following(recovered, limits);
        journal.role = Role::Alone;
        journal.epoch = recovered.end.epoch.next();
        journal.settle();
        journal
    }

    /// Of a node of a pair: it commits nothing until it is activated or told.
    ///
    /// # Panics
    /// When the positions in `recovered` contradict each other.
    #[must_use]
    pub fn following(recovered: Recovered, limits: Limits) -> Self {
        let Recovered { released, image, end } = recovered;
        assert!(released <= image.offset && image.offset <= end.offset, "contradictory recovery: {recovered:?}");
        Self {
            limits,
            epoch: end.epoch,
            role: Role::Following { told: image.offset },
            generation: Generation(0),
            released,
            image,
            committed: image.offset,
            durable: end.offset,
            puts: 0,
            durable_puts: 0,
            installing: None,
            tail: Tail::new(end),
            confirmations: Confirmations::default(),
        }
    }

    /// Where it ends.
    #[must_use]
    pub fn end(&self) -> Position {
        self.tail.end()
    }

    /// Up to where it is durable: what a standby acknowledges.
    #[must_use]
    pub fn durable(&self) -> Position {
        let position = self.tail.position(self.durable);
        debug_assert!(position.is_some());
        position.unwrap_or(self.tail.base())
    }

    /// How much is sure.
    #[must_use]
    pub fn watermarks(&self) -> Watermarks {
        let acked = match self.role {
            Role::Coupled { acked } => Some(acked),
            Role::Alone | Role::Following { .. } => None,
        };
        let Self { durable, committed, puts, durable_puts, .. } = *self;
        let confirmed = self.confirmations.confirmed();
        Watermarks { end: self.end().offset, durable, acked, committed, puts, durable_puts, confirmed }
    }

    /// What this node is to the journal.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The epoch in which this node writes; of a following node, the newest it has seen.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Of what storage is told now.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Where the newest image was taken.
    #[must_use]
    pub fn image(&self) -> Position {
        self.image
    }

    /// Records before this are released: storage may delete them.
    #[must_use]
    pub fn released(&self) -> Offset {
        self.released
    }

    /// Where it begins anew, with an image of the active, while storage has not confirmed that: what was here before still
    /// is on the disk, and nothing of the image is sure.
    #[must_use]
    pub fn installing(&self) -> Option<Position> {
        self.installing
    }

    pub(crate) fn is_congested(&self) -> bool {
        self.tail.len() > self.limits.records / 2 || self.tail.bytes() > self.limits.record_bytes / 2
    }

    /// What it keeps in memory at most.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Writes a record of this node.
    pub(crate) fn append(&mut self, payload: Arc<[u8]>) -> Result<Record, AppendError> {
        assert!(!matches!(self.role, Role::Following { .. }), "only an active node writes records of its own");
        let record = Record::write(self.end(), self.epoch, payload).map_err(AppendError::Misplaced)?;
        self.push(&record)?;
        Ok(record)
    }

    /// Takes over a record of the active.
    pub(crate) fn adopt(&mut self, record: &Record) -> Result<(), AppendError> {
        assert!(matches!(self.role, Role::Following { .. }), "only a following node takes over records");
        record.follows(self.end()).map_err(AppendError::Misplaced)?;
        self.push(record)?;
        self.epoch = self.epoch.max(record.id.epoch);
        Ok(())
    }

    fn push(&mut self, record: &Record) -> Result<(), AppendError> {
        if self.tail.len() >= self.limits.records {
            return Err(AppendError::Full(Full::Records { limit: self.limits.records }));
        }
        if self.tail.bytes() + record.payload.len() > self.limits.record_bytes {
            return Err(AppendError::Full(Full::RecordBytes { limit: self.limits.record_bytes }));
        }
        self.tail.push(record.id, record.payload.len());
        Ok(())
    }

    /// The position with this offset; none when it is forgotten, because all that have to have it confirmed it.
    pub(crate) fn position(&self, offset: Offset) -> Option<Position> {
        self.tail.position(offset)
    }

    /// Whether the few puts of one step have room.
    pub(crate) fn has_room_to_put(&self) -> bool {
        self.puts - self.durable_puts + PUTS_OF_A_STEP <= self.limits.puts as u64
    }

    /// For searches that compare states, when storage has confirmed all: forgets how much that was. Of no use for storage that
    /// goes on counting.
    #[cfg(feature = "planted")]
    pub(crate) fn canonize(&mut self) {
        assert!(self.puts == self.durable_puts && self.installing.is_none(), "storage has not confirmed all");
        self.puts = self.puts.min(1);
        self.durable_puts = self.puts;
        self.generation = Generation(0);
    }

    /// Counts a put and returns its number.
    pub(crate) fn put(&mut self) -> Result<u64, Full> {
        if self.puts - self.durable_puts >= self.limits.puts as u64 {
            return Err(Full::Puts { limit: self.limits.puts });
        }
        self.puts += 1;
        Ok(self.puts)
    }

    /// Storage has confirmed. What it confirms of an older generation is not known to be the records that are here now;
    /// it will confirm the truncation too, and that confirms what is before the cut.
    pub(crate) fn stored(&mut self, stored: Stored) {
        assert!(stored.puts <= self.puts, "storage confirms what it was never told: {stored:?}");
        self.durable_puts = self.durable_puts.max(stored.puts);
        assert!(stored.generation <= self.generation, "storage confirms what it was never told: {stored:?}");
        if stored.generation == self.generation {
            assert!(stored.durable <= self.end().offset, "storage confirms what it was never told: {stored:?}");
            self.durable = self.durable.max(stored.durable);
            if let Some(at) = self.installing.take_if(|at| at.offset <= stored.durable) {
                (self.image, self.released) = (at, at.offset);
            }
            self.settle();
        }
    }

    /// The standby has acknowledged everything before `position`.
    pub(crate) fn acknowledge(&mut self, position: Position) -> Result<(), Diverged> {
        let Role::Coupled { acked } = &mut self.role else { return Ok(()) };
        if position.offset <= *acked {
            return Ok(());
        }
        // What is forgotten, both have confirmed. Only an acknowledgement that couples may be below that.
        if position.offset >= self.tail.base().offset {
            let ours = self.tail.position(position.offset);
            if ours != Some(position) {
                return Err(Diverged { ours: ours.unwrap_or(self.tail.end()), theirs: position });
            }
        }
        *acked = position.offset;
        self.settle();
        Ok(())
    }

    /// What opens when everything is committed, and the standby, if there is one, has said later than now that it follows.
    pub(crate) fn want_confirmation(&mut self) -> Condition {
        let end = self.end().offset;
        match self.role {
            Role::Coupled { .. } => Condition { level: Level::Confirmed, mark: self.confirmations.want(end) },
            Role::Alone | Role::Following { .. } => Condition { level: Level::Committed, mark: end.0 },
        }
    }

    /// Whether the standby has yet to answer a question.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.confirmations.is_unanswered()
    }

    /// The question that the standby is to be asked now, or once more.
    pub(crate) fn ask_confirmation(&mut self) -> Option<u64> {
        self.confirmations.ask()
    }

    /// The standby has received this question of the present stream, and follows.
    pub(crate) fn confirm(&mut self, number: u64) {
        self.confirmations.answered(number);
        self.settle();
    }

    /// The active has told that everything before `offset` is committed, of a journal whose part we are.
    pub(crate) fn told_committed(&mut self, offset: Offset) {
        if let Role::Following { told } = &mut self.role {
            *told = offset.max(*told);
            self.settle();
        }
    }

    /// Becomes active in a new epoch, alone or coupled with a standby that has acknowledged `acked`.
    pub(crate) fn activate(&mut self, epoch: Epoch, acked: Option<Offset>) {
        assert!(epoch > self.epoch.max(self.end().epoch), "epoch {epoch} is not new, {} is known", self.epoch);
        assert!(self.installing.is_none(), "active before the image is installed");
        self.epoch = epoch;
        self.role = match acked {
            None => Role::Alone,
            Some(acked) => self.coupled(acked),
        };
        self.settle();
    }

    /// From now on a record is committed only when the standby has it too. What was committed, stays.
    pub(crate) fn couple(&mut self, acked: Offset) {
        assert_eq!(self.role, Role::Alone, "only a node that is alone can couple");
        self.role = self.coupled(acked);
        self.settle();
    }

    fn coupled(&self, acked: Offset) -> Role {
        assert!(acked <= self.end().offset, "the standby has acknowledged {acked}, which does not exist");
        Role::Coupled { acked }
    }

    /// From now on commits without the standby.
    pub(crate) fn decouple(&mut self) {
        assert!(matches!(self.role, Role::Coupled { .. }), "only a coupled node can decouple");
        self.role = Role::Alone;
        self.settle();
    }

    /// Ceases to be active, having learned of `epoch`.
    pub(crate) fn follow(&mut self, epoch: Epoch) {
        self.epoch = self.epoch.max(epoch);
        if !matches!(self.role, Role::Following { .. }) {
            self.role = Role::Following { told: self.committed };
            self.confirmations.give_up();
            self.settle();
        }
    }

    /// Cuts off everything after `to`, a position that the caller has found in this journal.
    pub(crate) fn truncate(&mut self, to: Position) -> Result<(), Uncuttable> {
        let Role::Following { told } = self.role else { panic!("only a following node cuts off records") };
        let end = self.end();
        let committed = self.committed.max(told.min(end.offset));
        if to.offset < committed {
            return Err(Uncuttable::Committed { to: to.offset, committed });
        }
        if to.offset >= self.tail.base().offset {
            let ours = self.tail.position(to.offset);
            if ours != Some(to) {
                return Err(Uncuttable::Diverged(Diverged { ours: ours.unwrap_or(end), theirs: to }));
            }
        }
        self.tail.cut(to);
        self.durable = self.durable.min(to.offset);
        self.generation = Generation(self.generation.0 + 1);
        self.settle();
        Ok(())
    }

    /// Gives up all of this journal and begins anew at `at`, of which the active has sent an image: it is committed. Not
    /// before storage has confirmed, it is durable here.
    pub(crate) fn install(&mut self, at: Position) -> Result<(), Uncuttable> {
        self.may_install(at)?;
        if let Role::Following { told } = &mut self.role {
            *told = at.offset.max(*told);
        }
        self.tail = Tail::new(at);
        self.durable = self.committed;
        self.epoch = self.epoch.max(at.epoch);
        self.generation = Generation(self.generation.0 + 1);
        self.installing = Some(at);
        Ok(())
    }

    /// Whether nothing that is known to be committed would be lost by [`Self::install`].
    pub(crate) fn may_install(&self, at: Position) -> Result<(), Uncuttable> {
        let Role::Following { told } = self.role else { panic!("only a following node installs an image") };
        let committed = self.committed.max(told.min(self.end().offset));
        if at.offset < committed {
            return Err(Uncuttable::Committed { to: at.offset, committed });
        }
        if at.offset == committed
            && let Some(ours) = self.tail.position(committed).filter(|ours| *ours != at)
        {
            return Err(Uncuttable::Diverged(Diverged { ours, theirs: at }));
        }
        Ok(())
    }

    /// An image taken at `at` is durable.
    pub(crate) fn imaged(&mut self, at: Position) {
        assert!(at.offset <= self.committed, "image at {at:?}, but only {} is committed", self.committed);
        if at.offset > self.image.offset {
            self.image = at;
        }
    }

    /// Gives up the records before `before`. Whether that is news.
    pub(crate) fn release(&mut self, before: Offset) -> bool {
        assert!(before <= self.image.offset, "{before} released, but the image is at {:?}", self.image);
        let news = before > self.released;
        self.released = self.released.max(before);
        news
    }

    /// Draws the consequences of a changed mark.
    fn settle(&mut self) {
        let (sure, confirmed) = match self.role {
            Role::Following { told } => (self.durable.min(told), self.durable),
            Role::Alone => (self.durable, self.durable),
            Role::Coupled { acked } => (self.durable.min(acked), self.durable.min(acked)),
        };
        self.committed = self.committed.max(sure);
        self.confirmations.settle(self.committed, matches!(self.role, Role::Coupled { .. }));
        self.tail.forget_before(confirmed);
    }

    /// The relations between the marks.
    ///
    /// # Panics
    /// When they do not hold.
    pub fn check(&self) {
        self.watermarks().check();
        assert!(self.end().epoch <= self.epoch, "a record of an epoch that is not known");
        assert!(self.released <= self.image.offset, "released {} beyond the image {:?}", self.released, self.image);
        assert!(self.image.offset <= self.committed, "the image {:?} is not committed", self.image);
        let is_remembered = self.tail.base().offset <= self.durable || self.installing.is_some();
        assert!(is_remembered, "identities of unconfirmed records are lost");
        assert!(self.tail.len() <= self.limits.records, "{} records are unconfirmed", self.tail.len());
        assert!(self.tail.bytes() <= self.limits.record_bytes, "{} bytes are unconfirmed", self.tail.bytes());
    }
}

/// Why a record was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// It is too long or, if copied, does not follow.
    Misplaced(Misplaced),
    /// Too much is unconfirmed. Later it may succeed.
    Full(Full),
}

/// Two journals differ: at one offset they have different records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diverged {
    /// What is here, or the end if that is before.
    pub ours: Position,
    /// What the other one named.
    pub theirs: Position,
}

/// Why a journal was not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncuttable {
    /// Committed records would be lost.
    Committed {
        /// Where to cut.
        to: Offset,
        /// What is known to be committed.
        committed: Offset,
    },
    /// The place to cut is not in this journal.
    Diverged(Diverged),
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misplaced(misplaced) => misplaced.fmt(f),
            Self::Full(full) => full.fmt(f),
        }
    }
}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, theirs } = self;
        write!(
            f,
            "the other journal has epoch {} and chain {} at {}, this one epoch {} and chain {} at {}",
            theirs.epoch, theirs.chain, theirs.offset, ours.epoch, ours.chain, ours.offset
        )
    }
}

impl fmt::Display for Uncuttable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Committed { to, committed } => {
                write!(f, "the journal cannot be cut at {to}: the records before {committed} are committed")
            }
            Self::Diverged(diverged) => diverged.fmt(f),
        }
    }
}

impl Error for AppendError {}
impl Error for Diverged {}
impl Error for Uncuttable {}
