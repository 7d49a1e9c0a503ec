//! The outbox: the only way for a machine to act.
//!
//! It lives for one step. It lets a machine write to the journal, move the marks, and create effects; it lets promises
//! out through the gate only. The host does not see an outbox but what comes out of it: effects that may happen now.

use crate::fence::{Condition, Fence, Level};
use crate::gate::Gate;
use crate::journal::{AppendError, Diverged, Generation, Journal, Stored, Uncuttable};
use crate::limit::{self, Full};
use crate::machine::Machine;
use crate::record::{Epoch, Offset, Position, Record, RecordId};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What a host carries out, in the order given, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<H, L, P> {
    /// Storage writes the record, syncs, and answers [`Stored`] with this generation.
    Append {
        /// To be handed back.
        generation: Generation,
        /// To be written.
        record: Record,
    },
    /// Storage deletes all records at and after `to`, and answers [`Stored`] with this generation and `to`.
    Truncate {
        /// To be handed back.
        generation: Generation,
        /// Where the journal ends from now on.
        to: Position,
    },
    /// Storage gives up all records and images, and begins a journal at `at` with the image that has been collected; it
    /// sets the cell with it, all at once. In order with appends, truncations and puts; it answers [`Stored`] with this
    /// generation and `at`.
    Install {
        /// To be handed back.
        generation: Generation,
        /// Where the journal begins and ends from now on.
        at: Position,
        /// The name of the cell.
        cell: &'static str,
        /// Its new value.
        value: Arc<[u8]>,
    },
    /// Storage replaces the value of a cell, in order with appends and truncations, and answers [`Stored`] with this
    /// number.
    Put {
        /// To be handed back.
        number: u64,
        /// The name of the cell.
        cell: &'static str,
        /// Its new value.
        value: Arc<[u8]>,
    },
    /// Storage may delete all records before this offset. No answer.
    Release {
        /// The first record that is still needed.
        before: Offset,
    },
    /// Something that asserts nothing.
    Hint(H),
    /// Something that the journal is sure of by now.
    Promise {
        /// To whom.
        lane: L,
        /// What.
        promise: P,
    },
}

/// The effects of a machine.
pub type EffectOf<M> = Effect<<M as Machine>::Hint, <M as Machine>::Lane, <M as Machine>::Promise>;

/// Takes what a machine does during one step.
#[derive(Debug)]
pub struct Outbox<'step, M: Machine> {
    journal: &'step mut Journal,
    gate: &'step mut Gate<M::Lane, M::Promise>,
    effects: &'step mut Vec<EffectOf<M>>,
}

/// What every machine needs.
impl<'step, M: Machine> Outbox<'step, M> {
    /// Writes one transaction to the journal. Says how the record is called.
    ///
    /// # Errors
    /// When the payload is too long, or too much is waiting for confirmation ([`Self::is_congested`] warns of it). Then
    /// nothing is written, and nothing must be applied.
    ///
    /// # Panics
    /// When this node is not active.
    pub fn append(&mut self, payload: impl Into<Arc<[u8]>>) -> Result<RecordId, AppendError> {
        let record = self.journal.append(payload.into())?;
        let id = record.id;
        self.effects.push(Effect::Append { generation: self.journal.generation(), record });
        Ok(id)
    }

    /// Lets something out at once.
    pub fn hint(&mut self, hint: M::Hint) {
        self.effects.push(Effect::Hint(hint));
    }

    /// Lets something out as soon as `fence` opens, after everything promised in the same lane before.
    ///
    /// # Errors
    /// When too much is held already ([`Self::is_congested`] warns of it). Then it is dropped, and whoever waits for it
    /// must be told otherwise, best by ending the session.
    ///
    /// # Panics
    /// When the journal was cut after the fence was made.
    pub fn promise(&mut self, fence: Fence<'step>, lane: M::Lane, promise: M::Promise) -> Result<(), Full> {
        assert_eq!(fence.generation(), self.journal.generation(), "a fence from before a truncation");
        let marks = self.journal.watermarks();
        if let Some((lane, promise)) = self.gate.pass(lane, fence.condition(), promise, &marks)? {
            self.effects.push(Effect::Promise { lane, promise });
        }
        Ok(())
    }

    /// The fence that opens when everything in the journal is committed. For whatever shows the present state to the
    /// world.
    #[must_use]
    pub fn committed(&self) -> Fence<'step> {
        self.fence(Level::Committed, self.journal.end().offset)
    }

    /// The fence that opens when everything in the journal is committed, and this node was still active after now, which a
    /// standby has to confirm. For what only shows the state and would be wrong if it were old: a look, a refusal.
    #[must_use]
    pub fn confirmed(&mut self) -> Fence<'step> {
        let Condition { level, mark } = self.journal.want_confirmation();
        Fence::new(level, mark, self.journal.generation())
    }

    /// The fence that opens when everything in the journal is durable here. For whatever this node alone asserts.
    #[must_use]
    pub fn durable(&self) -> Fence<'step> {
        self.fence(Level::Durable, self.journal.end().offset)
    }

    /// The fence that opens when everything before `offset` is committed. Only for what is derived from these records
    /// alone, such as a copy of them.
    ///
    /// # Panics
    /// When the journal ends before `offset`.
    #[must_use]
    pub fn committed_before(&self, offset: Offset) -> Fence<'step> {
        self.fence(Level::Committed, offset)
    }

    /// The fence that opens when everything before `offset` is durable here. Only for what is derived from these records
    /// alone, such as their acknowledgement.
    ///
    /// # Panics
    /// When the journal ends before `offset`.
    #[must_use]
    pub fn durable_before(&self, offset: Offset) -> Fence<'step> {
        self.fence(Level::Durable, offset)
    }

    /// Drops what is held for a lane, because its session has ended.
    pub fn withdraw(&mut self, lane: &M::Lane) {
        self.gate.withdraw(lane);
    }

    /// Whether confirmations are so far behind that no new work should be taken in: half of a limit is used.
    #[must_use]
    pub fn is_congested(&self) -> bool {
        self.journal.is_congested() || self.gate.is_congested()
    }

    /// The journal as it is now.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        self.journal
    }

    /// Replaces the value of a cell: a small thing that a node keeps beside its journal, such as its vote. Done by storage
    /// in order with the records: of a put and a record, the later is never durable alone.
    ///
    /// # Errors
    /// When too many puts are not durable yet.
    ///
    /// # Panics
    /// When the value is longer than [`limit::CELL_VALUE`].
    pub fn put(&mut self, cell: &'static str, value: impl Into<Arc<[u8]>>) -> Result<(), Full> {
        let value = value.into();
        assert!(value.len() <= limit::CELL_VALUE, "{} bytes for the cell {cell}", value.len());
        let number = self.journal.put()?;
        self.effects.push(Effect::Put { number, cell, value });
        Ok(())
    }

    /// Whether a few more cells can be put now. When not, storage does not follow, and voting has to wait.
    #[must_use]
    pub fn has_room_to_put(&self) -> bool {
        self.journal.has_room_to_put()
    }

    /// The fence that opens when everything put so far is durable. For whatever depends on a cell, such as a vote.
    #[must_use]
    pub fn all_put(&self) -> Fence<'step> {
        Fence::new(Level::Put, self.journal.watermarks().puts, self.journal.generation())
    }

    /// Takes note that an image of the state at `at` is durable.
    ///
    /// # Panics
    /// When `at` is not committed.
    pub fn imaged(&mut self, at: Position) {
        self.journal.imaged(at);
    }

    /// Gives up the records before `before`.
    ///
    /// # Panics
    /// When they are not covered by an image.
    pub fn release(&mut self, before: Offset) {
        if self.journal.release(before) {
            self.effects.push(Effect::Release { before });
        }
    }
}

/// What only the nodes of a pair need.
impl<M: Machine> Outbox<'_, M> {
    /// The records that have been appended in this step.
    pub(crate) fn appended(&self) -> impl Iterator<Item = &Record> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Append { record, .. } => Some(record),
            _ => None,
        })
    }

    /// Takes over a record of the active.
    ///
    /// # Errors
    /// When it does not follow the end of this journal, or too much is waiting for storage.
    ///
    /// # Panics
    /// When this node is not following.
    pub fn adopt(&mut self, record: Record) -> Result<(), AppendError> {
        self.journal.adopt(&record)?;
        self.effects.push(Effect::Append { generation: self.journal.generation(), record });
        Ok(())
    }

    /// Takes note of what the standby has acknowledged. Old and doubled acknowledgements change nothing, and so do those
    /// that come while this node is not coupled.
    ///
    /// # Errors
    /// When the standby names a record that is not in this journal.
    pub fn acknowledge(&mut self, position: Position) -> Result<(), Diverged> {
        self.journal.acknowledge(position)?;
        self.settle();
        Ok(())
    }

    /// Lets the standby be asked whether it follows, if there is one, although nobody waits for that.
    pub(crate) fn want_confirmation(&mut self) {
        self.journal.want_confirmation();
    }

    /// The question that the standby is to be asked, or asked once more, whether it follows.
    pub(crate) fn ask_confirmation(&mut self) -> Option<u64> {
        self.journal.ask_confirmation()
    }

    /// The standby has answered that question, in the present stream.
    pub(crate) fn confirm(&mut self, number: u64) {
        self.journal.confirm(number);
        self.settle();
    }

    /// Takes note, as a following node, of what the active has committed. The caller has verified that this journal is
    /// part of the active's, or that of a successor.
    pub fn told_committed(&mut self, offset: Offset) {
        self.journal.told_committed(offset);
        self.settle();
    }

    /// Becomes active in a new epoch, which is durable where it was granted: alone, or coupled with a standby that has
    /// acknowledged `acked` of this journal.
    ///
    /// # Panics
    /// When the epoch is not new, or `acked` is beyond the end.
    pub fn activate(&mut self, epoch: Epoch, acked: Option<Offset>) {
        self.journal.activate(epoch, acked);
        self.settle();
    }

    /// From now on commits only what the standby has too. It has acknowledged `acked` of this journal.
    ///
    /// # Panics
    /// When this node is not alone, or `acked` is beyond the end.
    pub fn couple(&mut self, acked: Offset) {
        self.journal.couple(acked);
        self.settle();
    }

    /// From now on commits alone.
    ///
    /// # Panics
    /// When this node is not coupled.
    pub fn decouple(&mut self) {
        self.journal.decouple();
        self.settle();
    }

    /// Ceases to be active, having learned of `epoch`. Promises that wait for a commit are dropped: it is for the new
    /// active to make them.
    pub fn follow(&mut self, epoch: Epoch) {
        self.journal.follow(epoch);
        self.gate.retain(|condition| !matches!(condition.level, Level::Committed | Level::Confirmed));
        self.settle();
    }

    /// Cuts off everything after `to`, and drops the promises about it. The application has to go back too.
    ///
    /// # Errors
    /// When `to` is not in this journal, or records after it are known to be committed.
    ///
    /// # Panics
    /// When this node is not following.
    pub fn truncate(&mut self, to: Position) -> Result<(), Uncuttable> {
        self.journal.truncate(to)?;
        self.effects.push(Effect::Truncate { generation: self.journal.generation(), to });
        self.gate.retain(|condition| condition.is_within(to.offset));
        self.settle();
        Ok(())
    }
}

/// What only a standby needs that is behind.
impl<M: Machine> Outbox<'_, M> {
    /// Gives up all of this journal, with the promises about it, and begins anew at `at` with the image of the active that
    /// the host has collected, and with this cell. The application has to begin anew too.
    ///
    /// # Errors
    /// When records after `at` are known to be committed.
    ///
    /// # Panics
    /// When this node is not following, or the value is longer than [`limit::CELL_VALUE`].
    pub fn install(&mut self, at: Position, cell: &'static str, value: impl Into<Arc<[u8]>>) -> Result<(), Uncuttable> {
        let value = value.into();
        assert!(value.len() <= limit::CELL_VALUE, "{} bytes for the cell {cell}", value.len());
        self.journal.install(at)?;
        self.effects.push(Effect::Install { generation: self.journal.generation(), at, cell, value });
        self.gate.retain(|condition| condition.level == Level::Put);
        self.settle();
        Ok(())
    }
}

/// What the node does.
impl<'step, M: Machine> Outbox<'step, M> {
    pub(crate) fn new(
        journal: &'step mut Journal,
        gate: &'step mut Gate<M::Lane, M::Promise>,
        effects: &'step mut Vec<EffectOf<M>>,
    ) -> Self {
        Self { journal, gate, effects }
    }

    pub(crate) fn stored(&mut self, stored: Stored) {
        self.journal.stored(stored);
        self.settle();
    }

    fn fence(&self, level: Level, before: Offset) -> Fence<'step> {
        let end = self.journal.end().offset;
        assert!(before <= end, "a fence at {before}, but the journal ends at {end}");
        Fence::new(level, before.0, self.journal.generation())
    }

    /// Lets out what has become free.
    fn settle(&mut self) {
        for (lane, promise) in self.gate.release(&self.journal.watermarks()) {
            self.effects.push(Effect::Promise { lane, promise });
        }
    }
}
