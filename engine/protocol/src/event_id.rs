//! Ids of events: unique, increasing, and close to the time of day.
//!
//! Readers remember the id of the last event they have seen and ask for what follows, so an id must never be given twice
//! and never be below an earlier one: not after a restart, not after a takeover by a node whose clock is behind, not
//! after the clock was set back. So an id is derived from the clock *and* from the ids already in the journal:
//! `max(milliseconds × 1000, last + 1)`. The thousand ids of a millisecond are for the events within it. When they are used
//! up, or the clock is behind, ids count on from the last one and the clock catches up later.
//!
//! [`EventIds`] is part of the replicated state: `decide` takes ids from a copy, `apply` observes the ids in the record.
//! Then replay and standby know the last id without a clock.

use crate::time::Timestamp;
use core::fmt;

/// Names an event within one journal. Larger is later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u64);

impl EventId {
    /// Before the first event; no event has it.
    pub const BEFORE_FIRST: Self = Self(0);

    const PER_MILLISECOND: u64 = 1_000;

    /// The time of the event if the clock did not stand back then; else later than the event.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millis((self.0 / Self::PER_MILLISECOND) as i64)
    }

    /// The smallest id of an event at `timestamp`. Times before 1970 count as 1970.
    #[must_use]
    pub fn at(timestamp: Timestamp) -> Self {
        Self(u64::try_from(timestamp.as_millis()).unwrap_or(0).saturating_mul(Self::PER_MILLISECOND))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The last id that was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventIds {
    last: EventId,
}

impl EventIds {
    /// Of a journal whose last event is `last`.
    #[must_use]
    pub const fn after(last: EventId) -> Self {
        Self { last }
    }

    /// The last id given or observed.
    #[must_use]
    pub const fn last(&self) -> EventId {
        self.last
    }

    /// The id of an event that happens at `timestamp`.
    ///
    /// # Panics
    /// When 2⁶⁴ ids are used up.
    pub fn next(&mut self, timestamp: Timestamp) -> EventId {
        self.last = EventId::at(timestamp).max(EventId(self.last.0 + 1));
        self.last
    }

    /// Takes note of an event in the journal.
    ///
    /// # Errors
    /// When the ids do not increase: the journal is not what this program writes.
    pub fn observe(&mut self, id: EventId) -> Result<(), NotIncreasing> {
        if id <= self.last {
            return Err(NotIncreasing { last: self.last, found: id });
        }
        self.last = id;
        Ok(())
    }
}

/// Two events of a journal whose ids do not increase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotIncreasing {
    /// Id of the earlier one.
    pub last: EventId,
    /// Id of the later one.
    pub found: EventId,
}

impl fmt::Display for NotIncreasing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} follows event {}, ids must increase", self.found, self.last)
    }
}

impl core::error::Error for NotIncreasing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_clock_when_it_can() {
        let mut ids = EventIds::default();
        assert_eq!(ids.next(Timestamp::from_millis(5)), EventId(5_000));
        assert_eq!(ids.next(Timestamp::from_millis(5)), EventId(5_001));
        assert_eq!(ids.next(Timestamp::from_millis(3)), EventId(5_002));
        assert_eq!(ids.next(Timestamp::from_millis(6)), EventId(6_000));
        assert_eq!(EventId(6_001).timestamp(), Timestamp::from_millis(6));
    }

    #[test]
    fn times_before_1970_do_not_matter() {
        let mut ids = EventIds::default();
        assert_eq!(ids.next(Timestamp::from_millis(-1)), EventId(1));
    }

    #[test]
    fn observing_refuses_a_repetition() {
        let mut ids = EventIds::after(EventId(7));
        assert_eq!(ids.observe(EventId(7)), Err(NotIncreasing { last: EventId(7), found: EventId(7) }));
        assert_eq!(ids.observe(EventId(8)), Ok(()));
    }
}
