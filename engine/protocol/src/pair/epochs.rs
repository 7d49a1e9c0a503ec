//! Where each epoch begins in a journal.
//!
//! Within an epoch only one process writes, once, so two journals that both have records of an epoch agree up to where the
//! epoch ends in the shorter of both. That makes it easy to find where two journals part: at the end of the newest epoch that
//! both have. The list is one cell, kept in order with the records; the oldest entries are forgotten when it would not fit.

use crate::bytes::{Reader, Writer};
use crate::limit;
use crate::record::{Epoch, Offset};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Most epochs remembered.
const MOST: usize = limit::CELL_VALUE / ENTRY;

/// Most epochs told to another node: far more than changed while it was away, or it is better off with an image.
pub(crate) const MOST_TOLD: usize = 256;

/// Bytes of one.
const ENTRY: usize = 16;

/// The epochs of a journal which have records, oldest first, each with the offset of its first record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epochs(VecDeque<(Epoch, Offset)>);

impl Epochs {
    /// Of the bytes of a cell. None when they are not understood.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let mut epochs = VecDeque::with_capacity(bytes.len() / ENTRY);
        while !from.is_empty() {
            epochs.push_back((Epoch(from.word()?), Offset(from.word()?)));
        }
        Some(Self(epochs))
    }

    /// For a cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::new();
        for (epoch, offset) in &self.0 {
            to.word(epoch.0);
            to.word(offset.0);
        }
        to.0
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// There is, or will be, a record of this epoch at this offset. Whether that changes the list.
    pub fn note(&mut self, epoch: Epoch, offset: Offset) -> bool {
        if self.0.back().is_some_and(|&(last, first)| last == epoch && first <= offset) {
            return false;
        }
        // Epochs that have no records here.
        self.cut(offset);
        if self.0.back().is_some_and(|&(last, _)| last >= epoch) {
            return false;
        }
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((epoch, offset));
        true
    }

    /// The journal ends at `end` now, or ended there when the cell was written.
    pub fn cut(&mut self, end: Offset) {
        while self.0.back().is_some_and(|&(_, first)| first >= end) {
            self.0.pop_back();
        }
    }

    /// The newest, as many as a message carries.
    #[must_use]
    pub fn newest(&self) -> Vec<(Epoch, Offset)> {
        self.newest_before(Offset(u64::MAX))
    }

    /// The newest that begin before `end`, as many as a message carries.
    #[must_use]
    pub fn newest_before(&self, end: Offset) -> Vec<(Epoch, Offset)> {
        let count = self.0.partition_point(|&(_, first)| first < end);
        self.0.iter().take(count).skip(count.saturating_sub(MOST_TOLD)).copied().collect()
    }

    /// As another node tells them; what is out of order is left out.
    #[must_use]
    pub fn told(epochs: &[(Epoch, Offset)]) -> Self {
        let mut told = Self::default();
        for &(epoch, first) in epochs {
            told.note(epoch, first);
        }
        told
    }

    /// Up to where this journal, which ends at `end`, agrees with another one that has these newest epochs and ends there: to
    /// the end of the newest epoch that both have, where it ends first. None when that is before what is told.
    #[must_use]
    pub fn common(&self, end: Offset, their_epochs: &[(Epoch, Offset)], their_end: Offset) -> Option<Offset> {
        let mut their_limit = their_end;
        for &(epoch, first) in their_epochs.iter().rev() {
            if let Ok(at) = self.0.binary_search_by_key(&epoch, |&(epoch, _)| epoch) {
                let limit = self.0.get(at + 1).map_or(end, |&(_, next)| next);
                return Some(limit.min(their_limit));
            }
            their_limit = first;
        }
        // Nothing in common: either one of them is empty, or they have never known each other, or it is forgotten.
        (their_limit == Offset::ZERO).then_some(Offset::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(epochs: &[(u64, u64)]) -> Epochs {
        let mut list = Epochs::default();
        for &(epoch, offset) in epochs {
            list.note(Epoch(epoch), Offset(offset));
        }
        list
    }

    #[test]
    fn where_two_journals_part() {
        let mine = list(&[(1, 0), (1, 1), (3, 5), (3, 6), (4, 9)]);
        let common = |theirs: &[(u64, u64)], end| {
            mine.common(Offset(12), &list(theirs).newest(), Offset(end)).map(|offset| offset.0)
        };
        assert_eq!(common(&[(1, 0), (3, 5), (4, 9)], 10), Some(10), "behind");
        assert_eq!(common(&[(1, 0), (3, 5), (4, 9)], 20), Some(12), "it has what was lost here");
        assert_eq!(common(&[(1, 0), (3, 5)], 8), Some(8));
        assert_eq!(common(&[(1, 0), (3, 5)], 11), Some(9), "epoch 3 ended here at 9");
        assert_eq!(common(&[(1, 0), (2, 4)], 7), Some(4), "epoch 2 is not known here, and epoch 1 ended there at 4");
        assert_eq!(common(&[(1, 0), (3, 5), (9, 7)], 30), Some(7));
        assert_eq!(common(&[], 0), Some(0));
        assert_eq!(common(&[(2, 4)], 7), None, "older ones are not told");
        assert_eq!(Epochs::decode(&mine.encode()), Some(mine.clone()));
        let mut cut = mine.clone();
        cut.cut(Offset(9));
        assert_eq!(cut, list(&[(1, 0), (3, 5)]));
    }
}
