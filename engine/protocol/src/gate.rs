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
use alloc::collections::btree_map::Entry;
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
    heads: [BTreeMap<(u64, u64), L>; Level::ALL.len()],
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
            heads: [const { BTreeMap::new() }; Level::ALL.len()],
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
        let waiting = self.lanes.get(&lane);
        let replaced = waiting.and_then(|waiting| replaceable(waiting, &promise, condition)).map(|held| held.bytes);
        let others = waiting.map_or(0, VecDeque::len) - usize::from(replaced.is_some());
        let bytes = promise.bytes();
        let passes = others == 0 && condition.holds(marks);
        if !passes && replaced.is_none() && self.count >= self.promises {
            return Err(Full::Promises { limit: self.promises });
        }
        if !passes && (self.bytes - replaced.unwrap_or(0)).saturating_add(bytes) > self.promise_bytes {
            return Err(Full::PromiseBytes { limit: self.promise_bytes });
        }

        if replaced.is_some() {
            self.drop_last(&lane);
        }
        if passes {
            return Ok(Some((lane, promise)));
        }
        self.hold(lane, condition, promise, bytes);
        Ok(None)
    }

    fn hold(&mut self, lane: L, condition: Condition, promise: P, bytes: usize) {
        let held = Held { sequence: self.sequence, condition, bytes, promise };
        self.sequence += 1;
        self.count += 1;
        self.bytes += bytes;
        match self.lanes.entry(lane) {
            Entry::Occupied(waiting) => waiting.into_mut().push_back(held),
            Entry::Vacant(lane) => {
                self.heads[condition.level as usize].insert((condition.mark, held.sequence), lane.key().clone());
                lane.insert(VecDeque::from([held]));
            }
        }
    }

    /// Drops the newest promise of a lane.
    fn drop_last(&mut self, lane: &L) {
        let Some(waiting) = self.lanes.get_mut(lane) else { return };
        if waiting.len() == 1 {
            self.withdraw(lane);
        } else if let Some(held) = waiting.pop_back() {
            self.count -= 1;
            self.bytes -= held.bytes;
        }
    }

    /// Removes the promises that may leave at `marks`, in the order in which they were made.
    pub(crate) fn release(&mut self, marks: &Watermarks) -> Vec<(L, P)> {
        let mut free = Vec::new();
        for level in Level::ALL {
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
                self.heads[head.condition.level as usize].insert((head.condition.mark, head.sequence), lane);
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
            self.heads[head.condition.level as usize].remove(&(head.condition.mark, head.sequence));
        }
        self.count -= waiting.len();
        self.bytes -= waiting.iter().map(|held| held.bytes).sum::<usize>();
        self.restart_sequence();
    }

    /// Keeps only the promises whose condition `keep` accepts. Looks at all of them: for the rare occasions of a truncation
    /// and of ceasing to be active.
    pub(crate) fn retain(&mut self, keep: impl Fn(Condition) -> bool) {
        self.lanes.retain(|_, waiting| {
            waiting.retain(|held| keep(held.condition));
            !waiting.is_empty()
        });
        self.count = 0;
        self.bytes = 0;
        self.heads = [const { BTreeMap::new() }; Level::ALL.len()];
        for (lane, waiting) in &self.lanes {
            self.count += waiting.len();
            self.bytes += waiting.iter().map(|held| held.bytes).sum::<usize>();
            let head = &waiting[0];
            self.heads[head.condition.level as usize].insert((head.condition.mark, head.sequence), lane.clone());
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
        for level in Level::ALL {
            let heads = &self.heads[level as usize];
            if let (Some((&(first, _), _)), Some((&(last, _), _))) = (heads.first_key_value(), heads.last_key_value()) {
                assert!(first > marks.at(level), "a promise is held that may leave: {level:?} {first}");
                let waits_for = Condition { level, mark: last };
                assert!(waits_for.is_within(marks.end), "a promise waits for what does not exist: {waits_for:?}");
            }
        }
        let heads: usize = self.heads.iter().map(BTreeMap::len).sum();
        assert_eq!(heads, self.lanes.len(), "every lane has one head");
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
