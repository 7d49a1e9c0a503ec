//! The brake on orders which are added by instruction, so that an order which adds orders which add orders does not flood
//! the controller.
//!
//! Each order added costs a little time, which passes; no more of it may be owed than a burst. Who is too fast sleeps, each
//! until a time of its own, which is reserved: after it, the order is added without being asked again. What counts is
//! recorded with the events, so the state is the same after a recovery. When the clock is set back, the debt stays what it was.

use crate::decimal::Decimal;
use crate::model::order_event::SpeedRecord;
use crate::time::{Duration, Timestamp};

/// How fast orders may be added by instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ThrottleLimit {
    /// Orders per second in the long run, at least 1.
    pub per_second: u32,
    /// Orders which may be added at once.
    pub burst: u32,
}

impl ThrottleLimit {
    /// Fast enough for any sensible workflow, and slow enough for an operator to intervene.
    pub const DEFAULT: Self = Self { per_second: 1000, burst: 1000 };

    fn cost(self) -> Duration {
        Duration::from_nanos(1_000_000_000 / i64::from(self.per_second.max(1)))
    }

    fn allowed(self) -> Duration {
        Duration::from_nanos(self.cost().as_nanos().saturating_mul(i64::from(self.burst.saturating_sub(1))))
    }
}

/// What an AddOrder instruction does.
#[derive(Clone, Debug, PartialEq)]
pub enum ThrottleDecision {
    /// It adds the order, with this record.
    Add(SpeedRecord),
    /// It sleeps.
    Sleep {
        /// Until then.
        until: Timestamp,
    },
}

/// How much time is owed.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Throttle {
    /// When the debt was as much as this.
    at: Timestamp,
    debt: Duration,
}

impl Throttle {
    /// What an AddOrder instruction does. `has_slept` when the order sleeps because of the throttle, and is due.
    #[must_use]
    pub fn decide(&self, limit: ThrottleLimit, has_slept: bool, now: Timestamp) -> ThrottleDecision {
        let weight = if has_slept { 0 } else { 1 };
        let excess = self.debt_at(now) - limit.allowed();
        if has_slept || excess <= Duration::ZERO {
            let time = Decimal::from_parts(now.as_millis(), 3).unwrap_or_else(|| Decimal::from(0));
            return ThrottleDecision::Add(SpeedRecord { time, weight: Decimal::from(weight) });
        }
        ThrottleDecision::Sleep { until: now + Duration::from_millis(excess.as_millis_rounded_up()) }
    }

    /// `OrderOrderAdded`, with its record.
    pub fn apply_added(&mut self, limit: ThrottleLimit, record: &SpeedRecord) {
        let time = Duration::parse_seconds(&record.time.to_plain()).unwrap_or(Duration::ZERO);
        let now = Timestamp::EPOCH + time;
        self.debt = self.debt_at(now);
        self.at = now;
        if !record.weight.is_zero() {
            self.debt = self.debt + limit.cost();
        }
    }

    /// `OrderSleeping` because of the throttle: the order has its time reserved.
    pub fn apply_sleeping(&mut self, limit: ThrottleLimit) {
        self.debt = self.debt + limit.cost();
    }

    fn debt_at(&self, now: Timestamp) -> Duration {
        let passed = (now - self.at).max(Duration::ZERO);
        (self.debt - passed).max(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: ThrottleLimit = ThrottleLimit { per_second: 10, burst: 3 };

    fn millis(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    /// What happens to an order which comes now: `None` when it is added, else when it wakes.
    fn come(throttle: &mut Throttle, now: i64) -> Option<i64> {
        match throttle.decide(LIMIT, false, millis(now)) {
            ThrottleDecision::Add(record) => {
                throttle.apply_added(LIMIT, &record);
                None
            }
            ThrottleDecision::Sleep { until } => {
                throttle.apply_sleeping(LIMIT);
                Some((until - millis(0)).as_millis())
            }
        }
    }

    #[test]
    fn lets_a_burst_pass_and_then_one_after_the_other() {
        let mut throttle = Throttle::default();
        let all: [_; 6] = core::array::from_fn(|_| come(&mut throttle, 0));
        assert_eq!(all, [None, None, None, Some(100), Some(200), Some(300)]);
        // Who has slept is not asked again, and not counted again.
        let ThrottleDecision::Add(record) = throttle.decide(LIMIT, true, millis(100)) else { panic!("sleeps again") };
        throttle.apply_added(LIMIT, &record);
        assert_eq!(come(&mut throttle, 100), Some(400));
        assert_eq!(come(&mut throttle, 10_000), None);
    }

    #[test]
    fn keeps_its_debt_when_the_clock_is_set_back() {
        let mut throttle = Throttle::default();
        for _ in 0..3 {
            assert_eq!(come(&mut throttle, 0), None);
        }
        assert_eq!(come(&mut throttle, -3_600_000), Some(-3_600_000 + 100));
    }
}
