//! The proposer: a node that wants the record changed, and asks the voters, itself first.
//!
//! It only computes. Its owner makes the own vote durable before a question leaves, carries questions and answers, and asks
//! anew when answers stay away.

use super::{Accepted, Answer, Ballot, EpochRecord, FoundingId, Incarnation, Members, Mode, Refusal, Seat, Voter};
use crate::record::{Epoch, Position};

/// By how much the epoch grows when a person forces it. What the lost voters may have decided meanwhile stays below.
const FORCED_LEAP: u64 = 1 << 20;

/// A change of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// None; to know what is decided.
    Resolve,
    /// This node was active, and starts a new epoch.
    Activate,
    /// The active has the standby commit with it.
    Couple,
    /// The active has lost the standby, and commits alone.
    Uncouple,
    /// The standby has lost the active, and takes over.
    TakeOver {
        /// The active's host says that there is nobody.
        host_refuses: bool,
    },
    /// The active hands over.
    SwitchOver {
        /// To which process of the standby.
        to: u64,
    },
    /// The active stops, and nobody is to take over.
    Stop,
    /// A person lets this node take over from an active that has stopped; or, accepting that records are lost, from one that
    /// is lost whatever it may have committed alone.
    Appoint {
        /// Whether records may be lost.
        accept_loss: bool,
    },
    /// Somebody else sits there.
    Replace {
        /// Where.
        seat: Seat,
        /// Who.
        by: Incarnation,
    },
    /// This node becomes active in the first epoch.
    Found {
        /// Tells the cluster from all others.
        founding: FoundingId,
        /// Who votes.
        members: Members,
        /// Whether a person says that two members are enough.
        by_two: bool,
    },
    /// A person makes this node active, although both other voters are lost.
    Force {
        /// Who votes from now on: this node, and who has come in the place of the lost ones.
        members: Members,
    },
}

/// A change that a node wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Which.
    pub change: Change,
    /// The epoch that it is to follow; no matter for changes which say themselves from what they lead.
    pub expected: Epoch,
    /// Which process asks.
    pub process: u64,
    /// The end of the own journal.
    pub end: Position,
    /// The newest epoch that the own journal has seen.
    pub seen: Epoch,
}

impl Claim {
    /// The record after `current`; none if the change does not apply.
    fn next(&self, me: Seat, current: EpochRecord) -> Option<EpochRecord> {
        let EpochRecord { founding, epoch, active, mode, members, began, .. } = current;
        let is_mine = active == me && epoch == self.expected;
        let is_theirs = active != me && epoch == self.expected;
        // Above all that were ever used in this journal too: it may have been written before there was a pair.
        let next = epoch.max(self.seen).next();
        let record = |active, process, mode| {
            let began = self.end;
            EpochRecord { founding, epoch: next, active, process, mode, began, members }
        };
        let mine = |mode| record(me, self.process, mode);
        match self.change {
            Change::Resolve | Change::Found { .. } => None,
            Change::Activate => (active == me).then(|| {
                let mode = if mode == Mode::Coupled { Mode::Coupled } else { Mode::Alone };
                mine(mode)
            }),
            Change::Couple => (is_mine && mode == Mode::Alone).then(|| mine(Mode::Coupled)),
            Change::Uncouple => (is_mine && mode == Mode::Coupled).then(|| mine(Mode::Alone)),
            Change::TakeOver { .. } => (is_theirs && mode == Mode::Coupled).then(|| mine(Mode::Alone)),
            Change::SwitchOver { to } => (is_mine && mode == Mode::Coupled).then(|| record(me.peer(), to, mode)),
            Change::Stop => is_mine.then(|| mine(Mode::Stopped)),
            Change::Appoint { accept_loss } => {
                // After a stop nothing is written: who has everything, ends exactly there.
                let has_all = mode == Mode::Stopped && self.end == began;
                (is_theirs && (has_all || accept_loss)).then(|| mine(Mode::Alone))
            }
            Change::Replace { seat, by } => (epoch == self.expected && active == me).then(|| {
                // A node that has lost its memory has lost the records too.
                let mode = if seat == me.peer() { Mode::Alone } else { mode };
                EpochRecord { members: members.with(seat, by), ..mine(mode) }
            }),
            Change::Force { members } => {
                Some(EpochRecord { epoch: Epoch(next.0 + FORCED_LEAP), members, ..mine(Mode::Alone) })
            }
        }
    }
}

/// What is asked of the other voters, after the own vote is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// Promise to take no earlier proposal.
    Prepare {
        /// The proposal.
        ballot: Ballot,
        /// Whether it is to replace an active that seems to be lost, and its host says so.
        take_over: Option<bool>,
    },
    /// Accept the record.
    Accept {
        /// The proposal.
        ballot: Ballot,
        /// The record.
        record: EpochRecord,
        /// Whether it is the first.
        founding: bool,
    },
}

impl Question {
    /// The proposal.
    #[must_use]
    pub const fn ballot(&self) -> Ballot {
        match self {
            Self::Prepare { ballot, .. } | Self::Accept { ballot, .. } => *ballot,
        }
    }
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Nothing yet, or it was an old answer.
    Waiting,
    /// The own vote has changed; when it is durable, this is to be asked.
    Ask(Question),
    /// This is decided, whether it is what was wanted or not.
    Decided(Accepted),
    /// A voter refuses. The other one may still agree; else the proposal is to be made anew.
    Refused(Seat, Refusal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Preparing,
    /// Whoever of the founding members has accepted.
    Accepting(EpochRecord, [bool; 3]),
}

/// A node that asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proposer {
    round: Option<(Ballot, Claim, Phase)>,
    /// Highest round heard of.
    highest: u64,
    /// The last proposal of this node which it has accepted itself, unless a later one is known to be decided.
    unresolved: Option<Ballot>,
}

impl Proposer {
    /// Asks nothing. What it has asked before a crash, it finds in the vote.
    #[must_use]
    pub fn new(voter: &Voter) -> Self {
        let unresolved =
            voter.vote().accepted.map(|accepted| accepted.ballot).filter(|ballot| ballot.seat == voter.seat());
        Self { round: None, highest: 0, unresolved }
    }

    /// What is being asked for.
    #[must_use]
    pub fn wanted(&self) -> Option<Claim> {
        self.round.map(|(_, claim, _)| claim)
    }

    /// What change is being asked for.
    #[must_use]
    pub fn wanted_change(&self) -> Option<Change> {
        self.wanted().map(|claim| claim.change)
    }

    /// Whether a proposal of this node may have been decided without its knowledge. Then it must ask until it knows.
    #[must_use]
    pub fn is_unresolved(&self) -> bool {
        self.unresolved.is_some()
    }

    /// Takes note of what has been decided.
    pub fn learn(&mut self, decided: Accepted) {
        self.unresolved = self.unresolved.filter(|&ballot| ballot > decided.ballot);
        self.highest = self.highest.max(decided.ballot.round);
    }

    /// The question that is open, to be asked those who have not heard it.
    #[must_use]
    pub fn open_question(&self) -> Option<Question> {
        let (ballot, claim, phase) = self.round?;
        Some(match phase {
            Phase::Preparing => prepare(ballot, claim),
            Phase::Accepting(record, _) => accept(ballot, claim, record),
        })
    }

    /// Gives up what is being asked for.
    ///
    /// # Panics
    /// When a proposal is not resolved.
    pub fn give_up(&mut self) {
        assert!(self.unresolved.is_none(), "what was accepted here must be resolved");
        self.round = None;
    }

    /// Makes a proposal, in place of any before. The own vote has changed then, and the question must wait for it.
    ///
    /// # Errors
    /// When the own voter refuses: it knows of no record (and none is to be founded), or this node is not a member.
    pub fn begin(&mut self, voter: &mut Voter, claim: Claim) -> Result<Question, Refusal> {
        self.highest = self.highest.max(voter.vote().promised.round) + 1;
        let ballot = Ballot { round: self.highest, seat: voter.seat() };
        self.round = None;
        if let Change::Found { founding, members, .. } = claim.change {
            let record = EpochRecord {
                founding,
                epoch: claim.expected,
                active: voter.seat(),
                process: claim.process,
                mode: Mode::Alone,
                began: claim.end,
                members,
            };
            // Whoever has founded and got no answer, goes on with that.
            let (ballot, record) = match voter.vote().accepted {
                Some(accepted) if accepted.ballot.seat == voter.seat() => (accepted.ballot, accepted.record),
                _ => (ballot, record),
            };
            if let Answer::Refused(refusal) = voter.found(ballot, record) {
                return Err(refusal);
            }
            self.unresolved = Some(ballot);
            self.round = Some((ballot, claim, Phase::Accepting(record, [false; 3])));
            return Ok(accept(ballot, claim, record));
        }
        if let Answer::Refused(refusal) = voter.prepare(ballot, voter.incarnation()) {
            return Err(refusal);
        }
        self.round = Some((ballot, claim, Phase::Preparing));
        Ok(prepare(ballot, claim))
    }

    /// Decides by this node's vote alone, because a person says so. The vote must be durable before anything follows.
    ///
    /// # Errors
    /// When the own voter knows of no record.
    pub fn force(&mut self, voter: &mut Voter, claim: Claim) -> Result<Accepted, Refusal> {
        let current = voter.vote().accepted.ok_or(Refusal::Ignorant)?;
        self.highest = self.highest.max(voter.vote().promised.round) + FORCED_LEAP;
        let ballot = Ballot { round: self.highest, seat: voter.seat() };
        self.round = None;
        self.unresolved = None;
        let record = claim.next(voter.seat(), current.record).unwrap_or(current.record);
        match voter.accept(ballot, record) {
            Answer::Refused(refusal) => Err(refusal),
            _ => Ok(Accepted { ballot, record }),
        }
    }

    /// A voter has answered.
    pub fn answered(
        &mut self,
        voter: &mut Voter,
        from: Seat,
        incarnation: Incarnation,
        ballot: Ballot,
        answer: Answer,
    ) -> Asked {
        if let Answer::Refused(Refusal::Late { promised }) = answer {
            self.highest = self.highest.max(promised.round);
        }
        let Some((mine, claim, phase)) = &mut self.round else { return Asked::Waiting };
        let claim = *claim;
        if *mine != ballot || from == voter.seat() {
            return Asked::Waiting;
        }
        match (answer, phase) {
            (Answer::Refused(refusal), _) => {
                let is_for_nothing =
                    matches!(refusal, Refusal::Ignorant) && !matches!(claim.change, Change::Found { .. });
                // The third voter may still agree.
                if is_for_nothing {
                    return Asked::Waiting;
                }
                Asked::Refused(from, refusal)
            }
            (Answer::Promised(theirs), Phase::Preparing) => {
                let Some(ours) = voter.vote().accepted else { return Asked::Waiting };
                let newest = if theirs.ballot > ours.ballot { theirs } else { ours };
                // Epochs grow with ballots, unless a person has forced more than once: then what was decided later counts, and
                // what was voted on before is given up.
                let decided = voter.decided().filter(|decided| decided.record.epoch > newest.record.epoch);
                let newest = decided.unwrap_or(newest);
                let members = newest.record.members;
                if members.at(voter.seat()) != voter.incarnation() {
                    return Asked::Refused(from, Refusal::NoMember);
                }
                if members.at(from) != incarnation || !counts(claim, from) {
                    return Asked::Waiting;
                }
                let record = claim.next(voter.seat(), newest.record).unwrap_or(newest.record);
                if let Answer::Refused(refusal) = voter.accept(ballot, record) {
                    return Asked::Refused(voter.seat(), refusal);
                }
                self.unresolved = Some(ballot);
                self.round = Some((ballot, claim, Phase::Accepting(record, [false; 3])));
                Asked::Ask(accept(ballot, claim, record))
            }
            (Answer::Accepted, Phase::Accepting(record, by)) => {
                let record = *record;
                if record.members.at(from) != incarnation || !counts(claim, from) {
                    return Asked::Waiting;
                }
                by[from as usize] = true;
                let is_enough = match claim.change {
                    Change::Found { by_two: false, .. } => {
                        voter.seat().others().iter().all(|&other| by[other as usize])
                    }
                    _ => true,
                };
                if !is_enough {
                    return Asked::Waiting;
                }
                self.round = None;
                Asked::Decided(Accepted { ballot, record })
            }
            _ => Asked::Waiting,
        }
    }
}

/// Whether this seat has a say: who is being replaced has none, and neither has its successor.
fn counts(claim: Claim, seat: Seat) -> bool {
    !matches!(claim.change, Change::Replace { seat: replaced, .. } if replaced == seat)
}

fn prepare(ballot: Ballot, claim: Claim) -> Question {
    let take_over = match claim.change {
        Change::TakeOver { host_refuses } => Some(host_refuses),
        _ => None,
    };
    Question::Prepare { ballot, take_over }
}

fn accept(ballot: Ballot, claim: Claim, record: EpochRecord) -> Question {
    Question::Accept { ballot, record, founding: matches!(claim.change, Change::Found { .. }) }
}
