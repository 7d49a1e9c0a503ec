//! The clocks. Nothing else in the program looks at one for a machine.

use baton_protocol::time::{Instant, Now, Timestamp};
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Sleep;

/// After so long at the latest somebody who waits looks again.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// Both clocks of a node. The monotonic one begins with the node.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
    /// What the wall clock showed then, if it is not the one of the machine.
    began: Option<Timestamp>,
}

impl Clock {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: tokio::time::Instant::now(), began: None }
    }

    /// Begins now, with a wall clock that shows this now and never jumps: for simulations.
    #[must_use]
    pub fn simulated(began: Timestamp) -> Self {
        Self { began: Some(began), ..Self::start() }
    }

    /// Reads both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        let instant = self.instant();
        let millis = i64::try_from(instant.since(Instant::ZERO).as_millis()).unwrap_or(i64::MAX);
        let timestamp = match self.began {
            Some(began) => Timestamp::from_millis(began.as_millis().saturating_add(millis)),
            None => wall_clock(),
        };
        Now { instant, timestamp }
    }

    /// Reads the monotonic clock.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn at(&self, instant: Instant) -> tokio::time::Instant {
        tokio::time::Instant::now() + instant.since(self.instant()).min(LONG)
    }
}

/// A timer for a deadline that changes all the time.
///
/// To arm a timer may wake up another thread, and a node has a new deadline after nearly every input: a later one, mostly.
/// So it stays armed for the earlier one, and looks again then.
#[derive(Debug)]
pub struct Alarm {
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    /// When it rings.
    armed: Option<Instant>,
}

impl Alarm {
    /// Not armed.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, sleep: Box::pin(tokio::time::sleep(LONG)), armed: None }
    }

    /// Waits until the monotonic clock shows `deadline`, or a day. For ever, if there is none. Dropping the future loses
    /// nothing.
    pub async fn reach(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return std::future::pending().await };
        loop {
            if self.armed.is_none_or(|armed| armed > deadline) {
                self.sleep.as_mut().reset(self.clock.at(deadline));
                self.armed = Some(deadline);
            }
            let armed = self.armed;
            self.sleep.as_mut().await;
            self.armed = None;
            if armed.is_some_and(|armed| armed >= deadline) {
                return;
            }
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
