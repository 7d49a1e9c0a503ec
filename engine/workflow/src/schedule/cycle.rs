//! When the next cycle of an order starts.
//!
//! A pure function of the schedule, the state of the cycling so far and the time. Missed cycles are not caught up: of a
//! fixed grid only the latest missed one is started. Where periods overlap, the change from one to another starts no second
//! cycle at the same time, else two periods could alternate for ever while the clock stands still.

use super::admission::{Admission, FIND_LIMIT};
use super::grid::LocalGrid;
use super::interval::Interval;
use super::repeat::{Repeat, Schedule};
use super::zone::TimeZone;
use crate::time::{Duration, Timestamp};
use serde::{Deserialize, Serialize};

crate::json_struct! {
    /// How far the cycling of an order has come.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub struct CycleState {
        /// No cycle starts from here on: the end of the order day.
        end: Timestamp => "end";
        /// Number of the scheme of the next cycle; −1 before the first one.
        scheme_index: i64 => "schemeIndex", shown 0;
        /// Number of the period within the scheme; −1 before the first one.
        period_index: i64 => "periodIndex", shown 0;
        /// Number of the next cycle, counted from 1 in each period; 0 before the first one.
        index: i64 => "index", shown 0;
        /// When the next cycle starts; [`Timestamp::EPOCH`] means at once.
        next: Timestamp => "next", shown Timestamp::EPOCH;
    }
}

/// What to do when a cycle is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueCycle {
    /// It is too early.
    KeepWaiting,
    /// The cycle starts now.
    StartCycle {
        /// For how long ticks have been missed; zero if none.
        skipped: Duration,
    },
    /// It is too late for this cycle: wait for that one, or if there is none, end the cycling.
    ChangeCycleState(Option<CycleState>),
}

/// The calculation for a Cycle instruction.
#[derive(Clone, Copy, Debug)]
pub struct CycleCalculator<'a> {
    /// When cycles start.
    pub schedule: &'a Schedule,
    /// The zone of the schedule's local times.
    pub zone: &'a TimeZone,
    /// How long after midnight the order day starts.
    pub date_offset: Duration,
    /// Whether the cycling ends with its first admission period.
    pub only_one_period: bool,
}

impl CycleState {
    /// Before the first cycle of an order day.
    #[must_use]
    pub const fn initial(order_day: Interval) -> Self {
        Self { end: order_day.end, scheme_index: -1, period_index: -1, index: 0, next: order_day.start }
    }

    const fn is_initial(&self) -> bool {
        self.scheme_index < 0
    }
}

impl CycleCalculator<'_> {
    /// The state in which an order waits for the cycle after the one which `state` is about. `None`: there is no further cycle.
    #[must_use]
    pub fn next_cycle_state(&self, state: &CycleState, now: Timestamp) -> Option<CycleState> {
        let mut earliest: Option<CycleState> = None;
        for (scheme_index, scheme) in (0..).zip(&self.schedule.schemes) {
            let admission =
                Admission { scheme: &scheme.admission_time_scheme, zone: self.zone, date_offset: self.date_offset };
            for candidate in admission.intervals(now, state.end.min(now + FIND_LIMIT)) {
                let Interval { start, end } = candidate.interval;
                // Cycles of periods to come are later.
                if start > now && earliest.is_some_and(|earliest| earliest.next <= start) {
                    break;
                }
                let period_index = i64::try_from(candidate.period_index).unwrap_or(i64::MAX);
                let is_first = (scheme_index, period_index) != (state.scheme_index, state.period_index);
                let period = Interval { start, end: end.min(state.end) };
                if let Some(next) = self.next_in_period(&scheme.repeat, period, state, is_first, now)
                    && earliest.is_none_or(|earliest| next < earliest.next)
                {
                    let index = if is_first { 1 } else { state.index.saturating_add(1) };
                    earliest = Some(CycleState { end: state.end, scheme_index, period_index, index, next });
                }
            }
        }
        let other_period = earliest
            .is_some_and(|next| (next.scheme_index, next.period_index) != (state.scheme_index, state.period_index));
        earliest.filter(|_| !(self.only_one_period && other_period && !state.is_initial()))
    }

    /// What to do about an order which waits for the cycle of `state`.
    #[must_use]
    pub fn on_next_cycle_is_due(&self, state: &CycleState, now: Timestamp) -> DueCycle {
        let scheme = usize::try_from(state.scheme_index).ok().and_then(|i| self.schedule.schemes.get(i));
        let skipped = match scheme.map(|scheme| &scheme.repeat) {
            Some(Repeat::Ticking { interval }) => {
                let interval = interval.as_millis_rounded_up().max(1);
                Duration::from_millis((now - state.next).as_millis().max(0) / interval * interval)
            }
            Some(Repeat::Periodic { .. } | Repeat::Continuous { .. }) | None => Duration::ZERO,
        };
        if now < state.next + skipped {
            return DueCycle::KeepWaiting;
        }
        let is_permitted = scheme.is_some_and(|scheme| {
            let scheme = &scheme.admission_time_scheme;
            Admission { scheme, zone: self.zone, date_offset: self.date_offset }.is_permitted(now)
        });
        if is_permitted {
            DueCycle::StartCycle { skipped }
        } else {
            DueCycle::ChangeCycleState(self.next_cycle_state(state, now))
        }
    }

    /// When the next cycle within a period starts, if one still does.
    fn next_in_period(
        &self,
        repeat: &Repeat,
        period: Interval,
        state: &CycleState,
        is_first: bool,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let last = state.next.max(period.start);
        // Whether a cycle may start with the period, or even with the order day.
        let at_once = is_first && (state.is_initial() || state.next < period.start);
        let next = match repeat {
            Repeat::Periodic { period: length, offsets } => {
                let grid = LocalGrid { zone: self.zone, period: *length, offsets };
                let from = if at_once { last } else { last + Duration::from_millis(1) };
                let before_end = period.end - Duration::from_millis(1);
                grid.last(from, now.min(before_end)).or_else(|| grid.first(from, period.end))?
            }
            Repeat::Ticking { interval } => {
                let interval = interval.as_millis_rounded_up().max(1);
                let ticks = (now - last).as_millis().div_euclid(interval).max(i64::from(!at_once));
                last + Duration::from_millis(ticks.saturating_mul(interval))
            }
            Repeat::Continuous { pause, limit } => {
                let index = if is_first { 0 } else { state.index };
                if limit.is_some_and(|limit| index >= limit) {
                    return None;
                }
                let pause = if at_once { Duration::ZERO } else { *pause };
                let next = now.max(period.start) + Duration::from_millis(pause.as_millis_rounded_up());
                if next <= now { Timestamp::EPOCH } else { next }
            }
        };
        (next < period.end).then_some(next)
    }
}
