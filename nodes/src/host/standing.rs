//! How a controller or a director stands in its pair, as it is shown to people: kept up to date by its host, told in the log when it changes.

use super::voters::Voters;
use baton_protocol::journal::Watermarks;
use baton_protocol::machine::Machine;
use baton_protocol::node::Node;
use baton_protocol::pair::{Pair, Part, Trouble};
use baton_protocol::record::Offset;
use baton_protocol::register::{EpochRecord, Mode, Seat};

/// How a controller or a director stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its part in its pair; none if it is alone.
    pub pair: Option<PairStanding>,
    /// How far its journal is.
    pub marks: Watermarks,
    /// How many promises wait for that.
    pub held: usize,
}

/// How a node stands in its pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairStanding {
    /// Where it sits.
    pub seat: Seat,
    /// What it is.
    pub part: Part,
    /// What it goes by.
    pub known: Option<EpochRecord>,
    /// Whether there is a link to the other node.
    pub peer_is_linked: bool,
    /// Whether there is a link to the watch.
    pub watch_is_linked: bool,
    /// What a person has to look at.
    pub trouble: Option<Trouble>,
}

impl Standing {
    /// Before the start.
    pub const NONE: Self = Self {
        pair: None,
        marks: Watermarks {
            end: Offset::ZERO,
            durable: Offset::ZERO,
            acked: None,
            committed: Offset::ZERO,
            puts: 0,
            durable_puts: 0,
            confirmed: 0,
        },
        held: 0,
    };

    /// Of a node.
    pub(super) fn of<M: Machine>(node: &Node<M>, pair: Option<&Pair>, trouble: Option<Trouble>) -> Self {
        let pair = pair.map(|pair| PairStanding::of(pair, trouble));
        Self { pair, marks: node.journal().watermarks(), held: node.held() }
    }

    /// Whether it takes commands, as far as it knows.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.pair.is_none_or(|pair| pair.part == Part::Active)
    }

    /// Whether what it writes may be committed, as far as links tell: not if it needs the standby for that, and hears neither that one nor
    /// the watch, without whose vote it cannot go on alone.
    #[must_use]
    pub fn may_commit(&self) -> bool {
        self.pair.is_none_or(|pair| !pair.is_coupled() || pair.peer_is_linked || pair.watch_is_linked)
    }

    /// Whether the standby has to acknowledge what is committed, or this is that standby.
    #[must_use]
    pub fn is_coupled(&self) -> bool {
        self.pair.is_some_and(|pair| pair.is_coupled())
    }
}

impl PairStanding {
    /// Of a node's part in its pair.
    pub(crate) fn of(pair: &Pair, trouble: Option<Trouble>) -> Self {
        let seat = pair.config().seat;
        Self {
            seat,
            part: pair.part(),
            known: pair.known(),
            peer_is_linked: pair.is_linked(seat.peer()),
            watch_is_linked: pair.is_linked(Seat::Watch),
            trouble,
        }
    }

    fn is_coupled(&self) -> bool {
        self.known.is_some_and(|known| known.mode == Mode::Coupled)
    }

    /// Tells the log what has changed, in words for who operates the node.
    pub(super) fn tell_changes(&self, before: Option<Self>, voters: &Voters) {
        let epoch = self.known.map_or(0, |known| known.epoch.0);
        let was = before.map(|before| before.part);
        match self.part {
            part if was == Some(part) => {}
            Part::Active => tracing::info!(epoch, "this node is active now"),
            Part::Standby { is_following: true } => {
                tracing::info!(epoch, "this node is standby, and receives the journal of the active node");
            }
            // With each change of the epoch for a moment.
            Part::Standby { is_following: false } if matches!(was, Some(Part::Standby { .. })) => {
                tracing::debug!(epoch, "this node waits for the journal of the active node");
            }
            Part::Standby { is_following: false } => {
                tracing::info!(epoch, "this node is standby, and waits for the journal of the active node");
            }
            Part::Unsure if matches!(was, Some(Part::Standby { .. })) && self.is_coupled() => {
                tracing::warn!(epoch, "this node hears nothing of the active node, and asks whether it may take over");
            }
            Part::Unsure => tracing::info!(epoch, "this node asks which node is active"),
            Part::Stopped => tracing::info!(epoch, "this node has stopped; the other one does not take over"),
            Part::Outside => tracing::info!("this node waits for the cluster to be founded, or to be taken in"),
        }
        let mode = |standing: &Self| standing.known.map(|known| (known.active, known.mode));
        let (now, then) = (mode(self), before.as_ref().and_then(mode));
        if let Some((active, mode)) = now.filter(|_| now != then) {
            let active = voters.name(active);
            match mode {
                Mode::Coupled => {
                    tracing::info!(epoch, %active, "the cluster is coupled: each commit is in both journals")
                }
                Mode::Alone if then.is_some_and(|(_, mode)| mode == Mode::Coupled) => tracing::warn!(
                    epoch, %active,
                    "the cluster is not coupled any more: the active node commits alone until the other one is back"
                ),
                Mode::Alone => tracing::info!(epoch, %active, "the active node commits alone"),
                Mode::Stopped => tracing::info!(
                    epoch, %active,
                    "the active node was stopped; start it again, or appoint the other one: baton ctl appoint"
                ),
            }
        }
        if before.is_none_or(|before| before.trouble != self.trouble) {
            match self.trouble {
                Some(trouble) => tracing::error!("a person has to look: {}", advice(trouble)),
                None if before.is_some_and(|before| before.trouble.is_some()) => {
                    tracing::info!("what a person had to look at is over");
                }
                None => {}
            }
        }
    }
}

/// What is wrong, and what is to be done.
#[must_use]
pub fn advice(trouble: Trouble) -> String {
    match trouble {
        Trouble::Excluded => {
            "another node has taken the seat of this one in the cluster. If this one is to come back, \
                              stop the other one, and start this one with an empty data folder"
                .to_owned()
        }
        Trouble::Diverged { at, committed } => format!(
            "the journal of this node has committed records (before {}) that the active node does not have (they part at \
             {}). Keep a copy of the data folder for inspection, then start this node with an empty one",
            committed.0, at.offset.0
        ),
        Trouble::OtherCluster(seat) => format!(
            "{seat} belongs to another cluster that was founded separately, and is not listened to. Compare the addresses in \
             the configurations; if its data folder is the wrong one, start it with the right one or with an empty one"
        ),
        Trouble::Doubled(seat) => format!(
            "{seat} runs twice: its data folder was copied, and both copies are in use. Stop the copy, and start it again only \
             with an empty data folder"
        ),
        Trouble::Released { needs } => format!(
            "the active node has released the records from {} on that this node needs. Start this node with an empty data \
             folder",
            needs.0
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_protocol::record::{Epoch, Position};
    use baton_protocol::register::{FoundingId, Members};

    #[test]
    fn who_is_left_of_three_commits_only_if_it_was_alone_before() {
        let standing = |mode, peer_is_linked, watch_is_linked| {
            let known = EpochRecord {
                founding: FoundingId(1),
                epoch: Epoch(3),
                active: Seat::First,
                process: 1,
                mode,
                began: Position::ORIGIN,
                members: Members::default(),
            };
            let pair = PairStanding {
                seat: Seat::First,
                part: Part::Active,
                known: Some(known),
                peer_is_linked,
                watch_is_linked,
                trouble: None,
            };
            Standing { pair: Some(pair), ..Standing::NONE }
        };
        assert!(!standing(Mode::Coupled, false, false).may_commit());
        assert!(standing(Mode::Coupled, true, false).may_commit());
        assert!(standing(Mode::Coupled, false, true).may_commit());
        assert!(standing(Mode::Alone, false, false).may_commit());
        assert!(Standing::NONE.may_commit());
    }
}
