//! The clocks. Nothing else in the program looks at one for a machine.

use baton_protocol::time::{Instant, Now, Timestamp};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// After so long at the latest somebody who waits looks again.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// Both clocks of a node. The monotonic one begins with the node.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
}

impl Clock {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: tokio::time::Instant::now() }
    }

    /// Reads both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { instant: self.instant(), timestamp: wall_clock() }
    }

    /// Reads the monotonic clock.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Waits until the monotonic clock shows `deadline`, or a day. For ever, if there is none.
    pub async fn reach(&self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => {
                let wait = deadline.since(self.instant()).min(LONG);
                tokio::time::sleep(wait).await;
            }
            None => std::future::pending().await,
        }
    }
}

/// Reads the wall clock.
#[must_use]
pub fn wall_clock() -> Timestamp {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => Timestamp::from_millis(millis(after)),
        Err(before) => Timestamp::from_millis(-millis(before.duration())),
    }
}
