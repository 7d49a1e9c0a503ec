//! Alarms: when to look again by the time of day, and at what.
//!
//! The wall clock may jump, so an alarm cannot become a monotonic deadline once and for all. The owner asks for the alarms
//! that are due after every input, and wakes at [`Alarms::deadline`], which is never further away than
//! [`Timing::wall_clock_check`](crate::timing::Timing::wall_clock_check). A clock that jumps back puts alarms off, one that jumps forward makes them due.

use alloc::collections::{BTreeMap, BTreeSet};
use baton_protocol::time::{Instant, Now};
use baton_workflow::time::Timestamp;
use core::time::Duration;

/// When to look at each `K` again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alarms<K> {
    by_key: BTreeMap<K, Timestamp>,
    by_time: BTreeSet<(Timestamp, K)>,
}

impl<K: Ord + Clone> Alarms<K> {
    pub(crate) const fn new() -> Self {
        Self { by_key: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    /// Sets the alarm of `key`, or removes it.
    pub(crate) fn set(&mut self, key: K, at: Option<Timestamp>) {
        let before = match at {
            Some(at) => self.by_key.insert(key.clone(), at),
            None => self.by_key.remove(&key),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
    }

    /// Removes and returns the first alarm whose time has come.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<K> {
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// When to ask again: after `check` at the latest, if there is an alarm or something else that is
    /// to be looked at by the same clock.
    pub(crate) fn deadline(
        &self,
        now: Now,
        check: Duration,
        others: impl IntoIterator<Item = Timestamp>,
    ) -> Option<Instant> {
        let at = self.by_time.first().map(|(at, _)| *at).into_iter().chain(others).min()?;
        let millis = at.as_millis().saturating_sub(now.timestamp.as_millis());
        let wait = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        Some(now.instant + wait.min(check))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_protocol::time::Timestamp as Wall;

    const CHECK: Duration = Duration::from_secs(10);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn due_in_order_and_once() {
        let mut alarms = Alarms::new();
        alarms.set("b", Some(at(2)));
        alarms.set("a", Some(at(3)));
        alarms.set("c", Some(at(9)));
        alarms.set("c", None);
        alarms.set("a", Some(at(1)));
        assert_eq!(alarms.take_due(at(0)), None);
        assert_eq!(alarms.take_due(at(5)), Some("a"));
        assert_eq!(alarms.take_due(at(5)), Some("b"));
        assert_eq!(alarms.take_due(at(5)), None);
    }

    #[test]
    fn looks_at_the_clock_now_and_then() {
        let mut alarms = Alarms::new();
        let now = Now { instant: Instant::ZERO, timestamp: Wall::from_millis(1_000) };
        assert_eq!(alarms.deadline(now, CHECK, []), None);
        alarms.set(1, Some(at(100_000_000)));
        assert_eq!(alarms.deadline(now, CHECK, []), Some(Instant::ZERO + CHECK));
        alarms.set(2, Some(at(1_500)));
        assert_eq!(alarms.deadline(now, CHECK, []), Some(Instant::ZERO + Duration::from_millis(500)));
        assert_eq!(alarms.deadline(now, CHECK, [at(1_250)]), Some(Instant::ZERO + Duration::from_millis(250)));
        alarms.set(3, Some(at(0)));
        assert_eq!(alarms.deadline(now, CHECK, []), Some(Instant::ZERO));
    }
}
