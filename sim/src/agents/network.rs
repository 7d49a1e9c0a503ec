//! Connections between processes, as TCP has them: streams which keep their order, which stall while a direction is cut, and
//! whose ends are noticed late or never.

use super::place::{Computer, Place};
use baton_machine::link::{LinkId, Peer};
use baton_protocol::register::Seat;
use baton_protocol::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What arrives at an end of a connection.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// It is there; and who was dialled, at the end of who did.
    Up(Option<Peer>),
    /// A frame, or a message to a voter.
    Bytes(Arc<[u8]>),
    /// The other end is closed.
    Down,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Between controller, directors and subagents.
    Link,
    /// Between voters: with whom.
    Voter(Seat),
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct End {
    pub(super) place: Place,
    pub(super) other: Place,
    pub(super) other_end: LinkId,
    pub(super) purpose: Use,
    /// When the last item that is under way arrives.
    pub(super) last: Instant,
    /// What does not come through for now.
    pub(super) held: VecDeque<Item>,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) ends: BTreeMap<LinkId, End>,
    last: u64,
    /// Directions in which nothing comes through.
    pub(super) cuts: BTreeSet<(Computer, Computer)>,
    /// Directions in which everything takes so much longer.
    pub(super) lags: BTreeMap<(Computer, Computer), Duration>,
}

impl Network {
    pub(super) fn is_cut(&self, from: Place, to: Place) -> bool {
        !self.cuts.is_empty() && self.cuts.contains(&(from.computer(), to.computer()))
    }

    /// A connection: its end at who dialled, and the other one.
    pub(super) fn connect(&mut self, dialler: (Place, Use), dialled: (Place, Use)) -> (LinkId, LinkId) {
        self.last += 2;
        let (own, other) = (LinkId(self.last - 1), LinkId(self.last));
        for (end, other_end, (place, purpose), (peer, _)) in
            [(own, other, dialler, dialled), (other, own, dialled, dialler)]
        {
            let (last, held) = (Instant::ZERO, VecDeque::new());
            self.ends.insert(end, End { place, other: peer, other_end, purpose, last, held });
        }
        (own, other)
    }

    /// Whether two voters are connected.
    pub(super) fn has_voters(&self, one: Place, other: Place) -> bool {
        let is_theirs = |end: &End| end.purpose != Use::Link && end.place == one && end.other == other;
        self.ends.values().any(is_theirs)
    }

    /// The ends at a place.
    pub(super) fn ends_at(&self, place: Place) -> Vec<LinkId> {
        self.ends.iter().filter(|(_, end)| end.place == place).map(|(link, _)| *link).collect()
    }

    /// The voter's end of the connection between two voters.
    pub(super) fn voter_end(&self, place: Place, other: Place) -> Option<LinkId> {
        let is_it = |end: &End| end.purpose != Use::Link && end.place == place && end.other == other;
        self.ends.iter().find(|(_, end)| is_it(end)).map(|(link, _)| *link)
    }
}
