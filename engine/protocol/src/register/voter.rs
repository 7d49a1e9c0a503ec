//! The voter: remembers what it has promised and accepted. Its memory is one cell; whoever answers for it lets the answer
//! wait until the cell is durable.

use super::{Ballot, EpochRecord, FoundingId, Incarnation, Seat};
use core::fmt;

/// A record that a voter has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Accepted {
    /// In which proposal.
    pub ballot: Ballot,
    /// What.
    pub record: EpochRecord,
}

/// What a voter must never forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vote {
    /// It takes no proposal before this one.
    pub promised: Ballot,
    /// The last it has accepted. None: it knows of no record, and is mute.
    pub accepted: Option<Accepted>,
}

impl Vote {
    /// Of a voter that knows nothing.
    pub const IGNORANT: Self = Self { promised: Ballot::NONE, accepted: None };
}

/// What a voter says to a proposer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It will take no earlier proposal, and has accepted this before.
    Promised(Accepted),
    /// It has accepted.
    Accepted,
    /// It has not.
    Refused(Refusal),
}

/// Why a voter refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It has promised a later proposal.
    Late {
        /// Which.
        promised: Ballot,
    },
    /// It knows of no record.
    Ignorant,
    /// It knows of a record, and so there is nothing to found.
    Founded,
    /// Who asks is not, or no longer, a member.
    NoMember,
    /// The active node is not to be replaced, since there are signs of its life.
    ActiveIsAlive,
}

/// A voter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Voter {
    seat: Seat,
    incarnation: Incarnation,
    vote: Vote,
    /// The newest record that is known to be decided, with the ballot of a proposal that decided it.
    decided: Option<Accepted>,
}

impl Voter {
    /// A voter that remembers `vote`.
    #[must_use]
    pub const fn new(seat: Seat, incarnation: Incarnation, vote: Vote) -> Self {
        Self { seat, incarnation, vote, decided: None }
    }

    /// Where it sits.
    #[must_use]
    pub const fn seat(&self) -> Seat {
        self.seat
    }

    /// Which one it is.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// What must be durable before an answer leaves.
    #[must_use]
    pub const fn vote(&self) -> Vote {
        self.vote
    }

    /// The newest record that is known to be decided.
    #[must_use]
    pub const fn decided(&self) -> Option<Accepted> {
        self.decided
    }

    /// To which cluster it belongs.
    #[must_use]
    pub fn founding(&self) -> FoundingId {
        self.vote.accepted.or(self.decided).map_or(FoundingId::NONE, |accepted| accepted.record.founding)
    }

    /// Whether it knows of no record, and so does not vote.
    #[must_use]
    pub const fn is_ignorant(&self) -> bool {
        self.vote.accepted.is_none()
    }

    /// A proposer asks, who is `from`.
    pub fn prepare(&mut self, ballot: Ballot, from: Incarnation) -> Answer {
        let Some(accepted) = self.vote.accepted else { return Answer::Refused(Refusal::Ignorant) };
        if accepted.record.members.at(ballot.seat) != from {
            return Answer::Refused(Refusal::NoMember);
        }
        if ballot < self.vote.promised {
            return Answer::Refused(Refusal::Late { promised: self.vote.promised });
        }
        self.vote.promised = ballot;
        Answer::Promised(accepted)
    }

    /// A proposer wants `record` to be accepted. Only after a promise for the same ballot, except for the first record.
    pub fn accept(&mut self, ballot: Ballot, record: EpochRecord) -> Answer {
        if self.is_ignorant() {
            return Answer::Refused(Refusal::Ignorant);
        }
        self.take(ballot, record)
    }

    /// A proposer wants `record` to be the first.
    pub fn found(&mut self, ballot: Ballot, record: EpochRecord) -> Answer {
        match self.vote.accepted {
            // Repeated.
            Some(accepted) if accepted == (Accepted { ballot, record }) => Answer::Accepted,
            Some(_) => Answer::Refused(Refusal::Founded),
            None if record.members.at(self.seat) != self.incarnation => Answer::Refused(Refusal::NoMember),
            None => self.take(ballot, record),
        }
    }

    fn take(&mut self, ballot: Ballot, record: EpochRecord) -> Answer {
        if ballot < self.vote.promised {
            return Answer::Refused(Refusal::Late { promised: self.vote.promised });
        }
        self.vote = Vote { promised: ballot, accepted: Some(Accepted { ballot, record }) };
        Answer::Accepted
    }

    /// Takes note of what has been decided. Whether the vote has changed by it: then the vote is to be made durable, but
    /// nothing needs to wait for that.
    pub fn learn(&mut self, decided: Accepted) -> bool {
        if self.decided.is_none_or(|known| known.record.epoch <= decided.record.epoch) {
            self.decided = Some(decided);
        }
        let is_news = self.vote.accepted.is_none_or(|known| known.ballot < decided.ballot);
        let is_member = decided.record.members.at(self.seat) == self.incarnation;
        // Later promises hold: a proposer that has asked may count on them.
        let is_late = decided.ballot < self.vote.promised;
        if !is_news || !is_member || is_late {
            return false;
        }
        self.vote = Vote { promised: decided.ballot, accepted: Some(decided) };
        true
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { .. } => f.write_str("it has been asked by another one meanwhile"),
            Self::Ignorant => f.write_str("it knows of no epoch record"),
            Self::Founded => f.write_str("it knows of an epoch record already"),
            Self::NoMember => f.write_str("who asks is not a member of the cluster"),
            Self::ActiveIsAlive => f.write_str("it has signs of life of the active node"),
        }
    }
}
