//! The clocks of a computer: the monotonic one runs a little too fast or too slow, the wall clock shows something else and
//! jumps.

use baton_protocol::time::{Duration, Instant, Now, Timestamp};

/// When the clocks start: 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;

const MILLION: i128 = 1_000_000;

/// The clocks of a computer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// How much too fast the monotonic clock is, in millionths.
    pub(super) drift: i64,
    /// How much the wall clock is ahead, in milliseconds.
    pub(super) ahead: i64,
}

impl Clock {
    /// What they show at a true time.
    pub(super) fn read(self, at: Instant) -> Now {
        let millis = i64::try_from(at.since(Instant::ZERO).as_millis()).unwrap_or(i64::MAX);
        Now { instant: self.instant(at), timestamp: Timestamp::from_millis(START + millis + self.ahead) }
    }

    fn instant(self, at: Instant) -> Instant {
        let nanos = i128::from(at.as_nanos());
        Instant::from_nanos(u64::try_from(nanos + nanos * i128::from(self.drift) / MILLION).unwrap_or(0))
    }

    /// The true time at which the monotonic clock shows at least this.
    pub(super) fn when(self, shown: Instant) -> Instant {
        let nanos = i128::from(shown.as_nanos()) * MILLION / (MILLION + i128::from(self.drift));
        let mut at = Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        while self.instant(at) < shown {
            at = at + Duration::from_nanos(1);
        }
        at
    }
}
