//! How long to wait before something that has failed is tried again: twice as long each time, up to a bound, and never
//! quite as long as others do, so that those who lost the same peer do not come back to it at the same moment.

use baton_protocol::random::Random;
use std::time::Duration;

/// The bounds that fit to a peer which is started again.
pub const FIRST: Duration = Duration::from_millis(100);

/// See [`FIRST`].
pub const MOST: Duration = Duration::from_secs(5);

/// Says how long to wait.
#[derive(Clone, Debug)]
pub struct Backoff {
    random: Random,
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits `first` (or down to half of it) after the first failure, and at most `most`. Draws from `random`.
    #[must_use]
    pub fn new(random: Random, first: Duration, most: Duration) -> Self {
        Self { random, first, most, failures: 0 }
    }

    /// With [`FIRST`] and [`MOST`].
    #[must_use]
    pub fn for_peers(random: Random) -> Self {
        Self::new(random, FIRST, MOST)
    }

    /// It has failed once more: how long to wait now. Between half and whole of the time which the failures call for.
    pub fn failed(&mut self) -> Duration {
        let whole = self.first.saturating_mul(1 << self.failures.min(31)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.between(nanos / 2, nanos))
    }

    /// It has succeeded: the next failure is a first one.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_up_to_its_bound_and_starts_again() {
        let mut backoff = Backoff::for_peers(Random::new(1));
        for expected in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let wait = backoff.failed().as_millis();
            assert!((expected / 2..=expected).contains(&wait), "{wait} for {expected}");
        }
        for _ in 0..100 {
            assert!(backoff.failed() <= MOST);
        }
        backoff.succeeded();
        assert!(backoff.failed() <= FIRST);
    }

    #[test]
    fn a_seed_decides() {
        let waits = |seed| {
            let mut backoff = Backoff::for_peers(Random::new(seed));
            [(); 5].map(|()| backoff.failed())
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut backoff = Backoff::new(Random::new(1), Duration::MAX, Duration::MAX);
        backoff.failed();
        assert_eq!(Backoff::new(Random::new(1), Duration::ZERO, Duration::ZERO).failed(), Duration::ZERO);
    }
}
