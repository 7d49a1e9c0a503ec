//! Distributions of times, for people.

use std::fmt;
use std::time::Duration;

/// Times of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// What so many of a thousand took at most. Zero if there are none.
    pub(crate) fn permille(&self, permille: usize) -> Duration {
        let mut times = self.0.clone();
        times.sort_unstable();
        let index = (times.len() * permille / 1000).min(times.len().saturating_sub(1));
        times.get(index).copied().unwrap_or_default()
    }
}

impl Extend<Duration> for Times {
    fn extend<T: IntoIterator<Item = Duration>>(&mut self, times: T) {
        self.0.extend(times);
    }
}

impl IntoIterator for Times {
    type Item = Duration;
    type IntoIter = std::vec::IntoIter<Duration>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [shortest, median, p90, longest] =
            [0, 500, 900, 1000].map(|permille| self.permille(permille).as_secs_f64());
        write!(
            f,
            "{:>4} times: min {shortest:6.3} s, median {median:6.3} s, p90 {p90:6.3} s, max {longest:6.3} s",
            self.count()
        )
    }
}
