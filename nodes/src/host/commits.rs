//! How long commands take until their answers may leave, counted for whoever watches over the node.
//!
//! Cumulative counters, as metrics want them: cheap to count, and read at any time without asking the node.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the classes, in microseconds. What takes longer is in the last class, which has none.
pub const BOUNDS: [u64; 12] =
    [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000, 15_000_000];

/// Counts times from the arrival of a command to its answer, which waits for the commit.
#[derive(Debug, Default)]
pub struct Commits {
    classes: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitTimes {
    /// How many commands took at most as long as the bound in [`BOUNDS`] at the same place, and longer than the one before; then
    /// how many took longer than all bounds.
    pub classes: [u64; BOUNDS.len() + 1],
    /// How long all took together.
    pub total: Duration,
}

impl Commits {
    /// Counts a command.
    pub(super) fn count(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS.partition_point(|bound| *bound < micros);
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was counted until now.
    #[must_use]
    pub fn times(&self) -> CommitTimes {
        CommitTimes {
            classes: std::array::from_fn(|class| self.classes[class].load(Ordering::Relaxed)),
            total: Duration::from_micros(self.micros.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_one_class() {
        let commits = Commits::default();
        for micros in [1, 500, 501, 20_000_000] {
            commits.count(Duration::from_micros(micros));
        }
        let times = commits.times();
        assert_eq!((times.classes[0], times.classes[1], times.classes[BOUNDS.len()]), (2, 1, 1));
        assert_eq!(times.classes.iter().sum::<u64>(), 4);
        assert_eq!(times.total, Duration::from_micros(20_001_002));
    }
}
