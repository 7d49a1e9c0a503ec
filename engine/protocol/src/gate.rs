//! The gate: holds promises until the journal is as far as their fences say.
//!
//! It is part of the node and lost with it on a crash, as it must be: nobody has been promised anything yet.
//!
//! - Promises of one *lane* (a session with a peer, a caller) leave in the order in which they were made, whatever their
//!   fences. Those that become free together leave in the order in which they were made, over all lanes.
//! - It is bounded by count and bytes. A promise that says the application *supersedes* the one before it in its lane takes
//!   the place of that one, except at the head of the lane: if the promise that leaves next could be replaced by one that
//!   leaves later, a steady stream of promises would put off all of them for ever. So a lane of superseding promises has
//!   at most two: the next to leave and the newest.
//! - A promise about records that are cut off from the journal is dropped.
//!
//! Costs are logarithmic in the number of lanes that have something to wait for; confirming costs nothing for lanes that
//! wait further.

use crate::fence::{Condition, Level};
use crate::journal::Watermarks;
use crate::limit::{Full, Limits};
use crate::record::Offset;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt::Debug;

/// Something that, once told, must be true: a message to a peer, a reply to a caller, a process launch.
pub trait Promise: Debug {
    /// Whether `earlier`, made immediately before in the same lane, need not be told any more when this is.
    fn supersedes(&self, earlier: &Self) -> bool {
        _ = earlier;
        false
    }

    /// Memory it takes, roughly, including what it owns. Counted against [`Limits::promise_bytes`].
    fn bytes(&self) -> usize {
        size_of_val(self)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gate<L, P> {
    promises: usize,
    promise_bytes: usize,
    count: usize,
    bytes: usize,
    /// Number of the next promise. Starts again when the gate is empty.
    sequence: u64,
    /// None is empty.
    lanes: BTreeMap<L, VecDeque<Held<P>>>,
    /// Of every lane the first promise, by what it waits for and its sequence; the levels apart.
    heads: [BTreeMap<(Offset, u64), L>; 2],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held<P> {
    sequence: u64,
    condition: Condition,
    bytes: usize,
    promise: P,
}

impl<L: Ord + Clone, P: Promise> Gate<L, P> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            promises: limits.promises,
            promise_bytes: limits.promise_bytes,
            count: 0,
            bytes: 0,
            sequence: 0,
            lanes: BTreeMap::new(),
            heads: [BTreeMap::new(), BTreeMap::new()],
        }
    }

    /// Number of promises held.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_congested(&self) -> bool {
        self.count > self.promises / 2 || self.bytes > self.promise_bytes / 2
    }

    /// Takes a promise in, or hands it back if it may leave now.
    pub(crate) fn pass(
        &mut self,
        lane: L,
        condition: Condition,
        promise: P,
        marks: &Watermarks,
    ) -> Result<Option<(L, P)>, Full> {
        let waiting = self.lanes.get_mut(&lane);
        if waiting.is_none() && condition.holds(marks) {
            return Ok(Some((lane, promise)));
        }
        let bytes = promise.bytes();
        let replaced = waiting.as_deref().and_then(|waiting| replaceable(waiting, &promise, condition));
        let freed = replaced.map_or(0, |held| held.bytes);
        if replaced.is_none() && self.count >= self.promises {
            return Err(Full::Promises { limit: self.promises });
        }
        if (self.bytes - freed).saturating_add(bytes) > self.promise_bytes {
            return Err(Full::PromiseBytes { limit: self.promise_bytes });
        }

        let replaces = replaced.is_some();
        let sequence = self.sequence;
        self.sequence += 1;
        self.bytes = self.bytes - freed + bytes;
        let held = Held { sequence, condition, bytes, promise };
        match waiting {
            None => {
                self.heads[condition.level as usize].insert((condition.before, sequence), lane.clone());
                self.lanes.insert(lane, VecDeque::from([held]));
                self.count += 1;
            }
            Some(waiting) if replaces => {
                if waiting.len() == 1 {
                    let old = &waiting[0];
                    self.heads[old.condition.level as usize].remove(&(old.condition.before, old.sequence));
                    self.heads[condition.level as usize].insert((condition.before, sequence), lane);
                }
                waiting.pop_back();
                waiting.push_back(held);
            }
            Some(waiting) => {
                waiting.push_back(held);
                self.count += 1;
            }
        }
        Ok(None)
    }

    /// Removes the promises that may leave at `marks`, in the order in which they were made.
    pub(crate) fn release(&mut self, marks: &Watermarks) -> Vec<(L, P)> {
        let mut free = Vec::new();
        for level in [Level::Durable, Level::Committed] {
            while let Some(head) = self.heads[level as usize].first_entry()
                && head.key().0 <= marks.at(level)
            {
                let lane = head.remove();
                self.release_lane(lane, marks, &mut free);
            }
        }
        self.restart_sequence();
        free.sort_unstable_by_key(|&(sequence, ..)| sequence);
        free.into_iter().map(|(_, lane, promise)| (lane, promise)).collect()
    }

    /// Removes what is free at the front of a lane whose head has just been taken from `heads`.
    fn release_lane(&mut self, lane: L, marks: &Watermarks, free: &mut Vec<(u64, L, P)>) {
        let Some(waiting) = self.lanes.get_mut(&lane) else { return };
        while let Some(held) = waiting.pop_front_if(|held| held.condition.holds(marks)) {
            self.count -= 1;
            self.bytes -= held.bytes;
            free.push((held.sequence, lane.clone(), held.promise));
        }
        match waiting.front() {
            Some(head) => {
                self.heads[head.condition.level as usize].insert((head.condition.before, head.sequence), lane);
            }
            None => {
                self.lanes.remove(&lane);
            }
        }
    }

    /// Drops all promises of a lane.
    pub(crate) fn withdraw(&mut self, lane: &L) {
        let Some(waiting) = self.lanes.remove(lane) else { return };
        if let Some(head) = waiting.front() {
            self.heads[head.condition.level as usize].remove(&(head.condition.before, head.sequence));
        }
        self.count -= waiting.len();
        self.bytes -= waiting.iter().map(|held| held.bytes).sum::<usize>();
        self.restart_sequence();
    }

    /// Keeps only the promises whose level and offset `keep` accepts. Looks at all of them: for the rare occasions of a
    /// truncation and of ceasing to be active.
    pub(crate) fn retain(&mut self, keep: impl Fn(Level, Offset) -> bool) {
        self.lanes.retain(|_, waiting| {
            waiting.retain(|held| keep(held.condition.level, held.condition.before));
            !waiting.is_empty()
        });
        self.count = 0;
        self.bytes = 0;
        self.heads = [BTreeMap::new(), BTreeMap::new()];
        for (lane, waiting) in &self.lanes {
            self.count += waiting.len();
            self.bytes += waiting.iter().map(|held| held.bytes).sum::<usize>();
            let head = &waiting[0];
            self.heads[head.condition.level as usize].insert((head.condition.before, head.sequence), lane.clone());
        }
        self.restart_sequence();
    }

    fn restart_sequence(&mut self) {
        if self.count == 0 {
            self.sequence = 0;
        }
    }

    /// Nothing free is held, and the books are right.
    pub(crate) fn check(&self, marks: &Watermarks) {
        for level in [Level::Durable, Level::Committed] {
            if let Some((&(before, _), _)) = self.heads[level as usize].first_key_value() {
                assert!(before > marks.at(level), "a promise is held that may leave: {level:?} {before}");
                assert!(before <= marks.end, "a promise waits for a record that does not exist: {before}");
            }
        }
        assert_eq!(self.heads[0].len() + self.heads[1].len(), self.lanes.len(), "every lane has one head");
        assert!(self.lanes.len() <= self.count && self.count <= self.promises, "{} promises are held", self.count);
        assert!(self.bytes <= self.promise_bytes, "{} bytes of promises are held", self.bytes);
    }
}

/// The last promise of a lane, if a new one may take its place: it is superseded, and it is not the next to leave, or the
/// new one leaves no later.
fn replaceable<'a, P: Promise>(waiting: &'a VecDeque<Held<P>>, new: &P, condition: Condition) -> Option<&'a Held<P>> {
    let last = waiting.back()?;
    let delays_nothing = waiting.len() > 1 || condition.is_implied_by(last.condition);
    (delays_nothing && new.supersedes(&last.promise)).then_some(last)
}
