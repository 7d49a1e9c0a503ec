//! The identities of the last records of a journal: those that storage or the standby have not confirmed yet.
//!
//! They are needed to judge an acknowledgement (does it name our record, or another one at the same offset?) and a
//! truncation. What both have confirmed is forgotten, so the length is that of the commit pipeline, not of the journal.

use crate::record::{Offset, Position, RecordId};
use alloc::collections::VecDeque;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tail {
    /// Where the remembered records begin.
    base: Position,
    /// Each with the length of its payload.
    records: VecDeque<(RecordId, usize)>,
    bytes: usize,
}

impl Tail {
    pub(crate) fn new(base: Position) -> Self {
        Self { base, records: VecDeque::new(), bytes: 0 }
    }

    pub(crate) fn base(&self) -> Position {
        self.base
    }

    pub(crate) fn end(&self) -> Position {
        self.records.back().map_or(self.base, |(id, _)| id.after())
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Length of all payloads.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The position with `offset`; none if it is forgotten or does not exist.
    pub(crate) fn position(&self, offset: Offset) -> Option<Position> {
        match offset.0.checked_sub(self.base.offset.0)? {
            0 => Some(self.base),
            n => self.records.get(usize::try_from(n - 1).ok()?).map(|(id, _)| id.after()),
        }
    }

    pub(crate) fn push(&mut self, id: RecordId, length: usize) {
        debug_assert_eq!(id.offset, self.end().offset);
        self.records.push_back((id, length));
        self.bytes += length;
    }

    /// Forgets the records before `offset`.
    pub(crate) fn forget_before(&mut self, offset: Offset) {
        while self.base.offset < offset
            && let Some((id, length)) = self.records.pop_front()
        {
            self.base = id.after();
            self.bytes -= length;
        }
    }

    /// Removes the records at and after `to`, which may be before everything remembered.
    pub(crate) fn cut(&mut self, to: Position) {
        while self.end().offset > to.offset
            && let Some((_, length)) = self.records.pop_back()
        {
            self.bytes -= length;
        }
        if to.offset < self.base.offset {
            self.base = to;
        }
    }
}
