//! Cuts a flood of lines in the log down, which others could cause.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// So many lines of a kind are written in each period.
const LINES: u32 = 10;

/// See [`LINES`].
const PERIOD: Duration = Duration::from_secs(60);

/// Lines of one kind.
pub(crate) struct Flood {
    /// What was left out, in words after a number.
    what: &'static str,
    counts: Mutex<Counts>,
}

struct Counts {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl Flood {
    /// Nothing was written yet.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, counts: Mutex::new(Counts::new()) }
    }

    /// Writes a line, unless there were many in this period.
    pub(crate) fn write(&self, line: impl FnOnce()) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.since.elapsed() >= PERIOD {
            if counts.left_out > 0 {
                tracing::warn!("{} more {}", counts.left_out, self.what);
            }
            *counts = Counts::new();
        }
        if counts.written < LINES {
            counts.written += 1;
            line();
        } else {
            counts.left_out += 1;
        }
    }
}

impl Counts {
    fn new() -> Self {
        Self { since: Instant::now(), written: 0, left_out: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_lines_are_few() {
        let flood = Flood::new("lines");
        let count = || {
            let mut count = 0;
            (0..100).for_each(|_| flood.write(|| count += 1));
            count
        };
        assert_eq!((count(), count()), (LINES, 0));
        tokio::time::advance(PERIOD).await;
        assert_eq!(count(), LINES);
    }
}
