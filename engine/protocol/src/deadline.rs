//! Deadlines: when to look again, and why.
//!
//! A machine has one table with one slot per reason, so a deadline cannot be armed twice, and forgetting to disarm one is
//! seen in the table. Deadlines at the same instant come in the order of their reasons. All operations are logarithmic in
//! the number of armed reasons; a million of them is expected.

use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet};

/// When to wake for each reason `K`. Cloning a reason should be cheap: it is kept twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Deadlines<K> {
    by_reason: BTreeMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Clone> Deadlines<K> {
    /// Nothing is armed.
    #[must_use]
    pub const fn new() -> Self {
        Self { by_reason: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    /// Arms `reason` for `at`, instead of when it was armed for before.
    pub fn set(&mut self, reason: K, at: Instant) {
        match self.by_reason.insert(reason.clone(), at) {
            Some(before) if before == at => {}
            Some(before) => {
                let mut entry = (before, reason);
                self.by_time.remove(&entry);
                entry.0 = at;
                self.by_time.insert(entry);
            }
            None => {
                self.by_time.insert((at, reason));
            }
        }
    }

    /// Disarms `reason`. Returns when it was armed for.
    pub fn cancel(&mut self, reason: &K) -> Option<Instant> {
        let (reason, at) = self.by_reason.remove_entry(reason)?;
        self.by_time.remove(&(at, reason));
        Some(at)
    }

    /// Disarms all reasons but these.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&K) -> bool) {
        self.by_reason.retain(|reason, _| is_kept(reason));
        let by_reason = &self.by_reason;
        self.by_time.retain(|(_, reason)| by_reason.contains_key(reason));
    }

    /// When `reason` is armed for.
    #[must_use]
    pub fn get(&self, reason: &K) -> Option<Instant> {
        self.by_reason.get(reason).copied()
    }

    /// When to wake.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Disarms and returns the first reason whose time has come. To be called until there is none; reasons armed meanwhile
    /// for `now` or earlier are returned too.
    pub fn take_due(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, reason) = self.by_time.pop_first()?;
        self.by_reason.remove(&reason);
        Some(reason)
    }

    /// Number of armed reasons.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_reason.len()
    }

    /// Whether nothing is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_reason.is_empty()
    }

    /// Both orders have the same entries.
    ///
    /// # Panics
    /// When they have not.
    pub fn check(&self) {
        assert_eq!(self.by_reason.len(), self.by_time.len(), "both orders have the same deadlines");
        if let Some((at, reason)) = self.by_time.first() {
            assert!(self.by_reason.get(reason) == Some(at), "the next deadline is armed for another time");
        }
    }
}

impl<K: Ord + Clone> Default for Deadlines<K> {
    fn default() -> Self {
        Self::new()
    }
}
