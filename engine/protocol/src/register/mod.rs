//! The epoch record: who may commit. One small register over three voters, changed by compare-and-set only.
//!
//! Two nodes and a watch are the voters ([`Seat`]). A change of the record is decided when two of them have made it durable.
//! The protocol is the register of CASPaxos (Rystsov 2018): a proposer asks with a [`Ballot`] that is higher than all it
//! has seen (`prepare`), takes of the answers the record with the highest ballot as the present one, and lets the same voters
//! accept either its successor or, when the change no longer applies, the present record once more (`accept`). So whoever
//! lost an answer asks again, two proposals for one epoch exclude each other, and no clock is involved.
//!
//! Three things are particular here:
//!
//! - The proposer is always one of the nodes, and its own vote always counts: it is durable before the question leaves.
//! - A voter that lost its memory is a new *incarnation*, and is mute until a decided record names it as a member. To replace
//!   a member, both others must accept. So what a forgotten vote has decided is never forgotten by all who are asked.
//! - A voter has no record at first. The first record is *founded*: all three members must accept it, or a person says that
//!   two are enough.

mod proposer;
mod voter;
mod wire;

pub use proposer::{Asked, Change, Claim, Proposer, Question};
pub use voter::{Accepted, Answer, Refusal, Vote, Voter};

use crate::record::{Epoch, Position};
use core::fmt;

/// One of the three voters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seat {
    /// The node that is active at first.
    First,
    /// The other node.
    Second,
    /// The cluster watch.
    Watch,
}

impl Seat {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::First, Self::Second, Self::Watch];

    /// The other node of the pair.
    ///
    /// # Panics
    /// For the watch, which is no node of the pair.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
            Self::Watch => panic!("the watch has no peer"),
        }
    }

    /// The two others.
    #[must_use]
    pub const fn others(self) -> [Self; 2] {
        match self {
            Self::First => [Self::Second, Self::Watch],
            Self::Second => [Self::First, Self::Watch],
            Self::Watch => [Self::First, Self::Second],
        }
    }
}

/// Distinguishes a voter from one that sat in its place before: drawn at random when its storage was new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// Distinguishes a cluster from all others, whatever they are called: drawn at random when it was founded, and a part of each
/// of its epoch records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FoundingId(pub u64);

impl FoundingId {
    /// Of who knows of no record, and so may belong to any cluster.
    pub const NONE: Self = Self(0);

    /// Whether the two belong to two clusters.
    #[must_use]
    pub fn contradicts(self, other: Self) -> bool {
        self != other && self != Self::NONE && other != Self::NONE
    }
}

/// Who votes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Members(pub [Incarnation; 3]);

impl Members {
    /// Who sits there.
    #[must_use]
    pub const fn at(&self, seat: Seat) -> Incarnation {
        self.0[seat as usize]
    }

    /// With another one there.
    #[must_use]
    pub const fn with(mut self, seat: Seat, incarnation: Incarnation) -> Self {
        self.0[seat as usize] = incarnation;
        self
    }
}

/// What the active may do without the other node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It commits alone. Nobody may take over.
    Alone,
    /// It commits what the other node has acknowledged. The other node may take over.
    Coupled,
    /// It has stopped on purpose. The other node may take over only when a person says so.
    Stopped,
}

/// Who may commit, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochRecord {
    /// Of which cluster.
    pub founding: FoundingId,
    /// Grows by each change.
    pub epoch: Epoch,
    /// Which node may commit in this epoch.
    pub active: Seat,
    /// Which process of it: a number that is drawn at each start. Who has started since, asks for an epoch of its own.
    pub process: u64,
    /// How.
    pub mode: Mode,
    /// Where the journal of who asked for this epoch ended then. When the active changes, starts or stops by it, everything
    /// that was committed before is before this position.
    pub began: Position,
    /// Who votes on the next one.
    pub members: Members,
}

/// Orders proposals. No two proposals have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot {
    /// Higher than all that the proposer had seen.
    pub round: u64,
    /// Who proposes.
    pub seat: Seat,
}

impl Ballot {
    /// Before all proposals.
    pub const NONE: Self = Self { round: 0, seat: Seat::First };
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "the first node",
            Self::Second => "the second node",
            Self::Watch => "the cluster watch",
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alone => "alone",
            Self::Coupled => "coupled",
            Self::Stopped => "stopped",
        })
    }
}

impl fmt::Display for EpochRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}: {} is active, {}", self.epoch, self.active, self.mode)
    }
}
