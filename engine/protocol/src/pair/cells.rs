//! What a voter and a node keep beside the journal, in cells.

use crate::bytes::{Reader, Writer};
use crate::machine::Machine;
use crate::outbox::Outbox;
use crate::register::{Incarnation, Seat, Vote, Voter};
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

/// The cell of what a voter must not forget.
pub const VOTE_CELL: &str = "vote";
/// The cell of where the epochs begin.
pub const EPOCHS_CELL: &str = "epochs";

/// Puts a cell. There are few puts under way at any time: each question waits for its own, and an answer is not repeated
/// before the peer asks again.
pub(crate) fn put<M: Machine>(out: &mut Outbox<'_, M>, cell: &'static str, value: Vec<u8>) {
    if let Err(full) = out.put(cell, value) {
        panic!("storage does not follow with votes: {full}");
    }
}

/// Bytes of a cell that are not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUnderstood(pub &'static str);

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cell {:?} is not understood: it is damaged, or of a later version", self.0)
    }
}

impl Error for NotUnderstood {}

/// What a voter must not forget, as bytes for [`VOTE_CELL`].
#[must_use]
pub fn encode_vote(voter: &Voter) -> Vec<u8> {
    let mut to = Writer::new();
    to.word(voter.incarnation().0);
    voter.vote().write(&mut to);
    to.0
}

/// Inverse of [`encode_vote`]. None: not understood.
#[must_use]
pub fn decode_vote(seat: Seat, bytes: &[u8]) -> Option<Voter> {
    let mut from = Reader(bytes);
    let incarnation = Incarnation(from.word()?);
    let vote = Vote::read(&mut from)?;
    from.is_empty().then(|| Voter::new(seat, incarnation, vote))
}
