//! Intervals of time.

use crate::time::{Duration, Timestamp};

/// The time from `start` until just before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first moment.
    pub start: Timestamp,
    /// The first moment after.
    pub end: Timestamp,
}

/// When a period of a scheme lasts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodInterval {
    /// Number of the period, counted from zero through all restricted schemes of the scheme.
    pub period_index: usize,
    /// When it lasts.
    pub interval: Interval,
}

impl Interval {
    /// How long it lasts.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.end - self.start
    }

    /// Whether the time is within.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }
}
