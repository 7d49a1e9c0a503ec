//! The calculation of admission times: what is the next period, which ones are between two times, is now within one.
//!
//! Infallible, and lazy: a query looks only at those calendar units of a period which it may answer with, see
//! the parent module for what the candidates are.

use super::Date;
use super::interval::{Interval, PeriodInterval};
use super::local::{LocalTime, month_of_year, month_start};
use super::period::AdmissionPeriod;
use super::scheme::{AdmissionTimeScheme, MonthRestriction};
use super::zone::TimeZone;
use crate::time::{Duration, Timestamp};
use alloc::vec::Vec;

/// How far a query for the next admission looks ahead.
pub const FIND_LIMIT: Duration = Duration::from_days(1096);

/// A scheme in a time zone: when something is admitted.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// The periods.
    pub scheme: &'a AdmissionTimeScheme,
    /// The zone of their local times.
    pub zone: &'a TimeZone,
    /// How long after midnight months start, for restrictions to months; 0 unless a calendar says something else.
    pub date_offset: Duration,
}

/// Periods in the order of their starts, of simultaneous ones the first period first.
#[derive(Clone, Debug)]
pub struct Intervals<'a> {
    until: Timestamp,
    periods: Vec<(Option<Interval>, PeriodIntervals<'a>)>,
}

/// The intervals of a single period, in order.
#[derive(Clone, Debug)]
struct PeriodIntervals<'a> {
    period: &'a AdmissionPeriod,
    restriction: Option<&'a MonthRestriction>,
    zone: &'a TimeZone,
    date_offset: Duration,
    from: Timestamp,
    unit: i64,
    last: Option<Interval>,
}

impl<'a> Admission<'a> {
    /// A scheme for which days and months start at midnight.
    #[must_use]
    pub const fn new(scheme: &'a AdmissionTimeScheme, zone: &'a TimeZone) -> Self {
        Self { scheme, zone, date_offset: Duration::ZERO }
    }

    /// The first interval which has not ended at `now`; it may have started. `None` if none starts within `limit`.
    #[must_use]
    pub fn find_time_interval(&self, now: Timestamp, limit: Duration) -> Option<PeriodInterval> {
        let until = now + limit;
        let mut first: Option<PeriodInterval> = None;
        for (period_index, mut intervals) in self.period_intervals(now).enumerate() {
            if let Some(interval) = intervals.next()
                && interval.start < until
                && first.is_none_or(|first| interval.start < first.interval.start)
            {
                first = Some(PeriodInterval { period_index, interval });
            }
        }
        first
    }

    /// Like [`Self::find_time_interval`], but extended by all intervals which follow without a gap and start within `limit`.
    #[must_use]
    pub fn find_long_time_interval(&self, now: Timestamp, limit: Duration) -> Option<Interval> {
        let mut long = self.find_time_interval(now, limit)?.interval;
        for PeriodInterval { interval, .. } in self.intervals(now, now + limit) {
            if interval.start > long.end {
                break;
            }
            long.end = long.end.max(interval.end);
        }
        Some(long)
    }

    /// All intervals which end after `from` and start before `until`, not merged.
    #[must_use]
    pub fn intervals(&self, from: Timestamp, until: Timestamp) -> Intervals<'a> {
        let periods = self.period_intervals(from).map(|mut intervals| (intervals.next(), intervals)).collect();
        Intervals { until, periods }
    }

    /// Whether `now` is within a period.
    #[must_use]
    pub fn is_permitted(&self, now: Timestamp) -> bool {
        self.period_intervals(now).any(|mut intervals| intervals.next().is_some_and(|interval| interval.contains(now)))
    }

    /// Whether a period starts on this day from midnight to midnight. Months in which a period does not count, have no starts.
    #[must_use]
    pub fn has_period_start_for_day(&self, day: Date) -> bool {
        let midnight = |day: Option<Date>| Some(self.zone.instant(LocalTime::at_date(day?)?));
        let (Some(start), Some(end)) = (midnight(Some(day)), midnight(day.tomorrow().ok())) else {
            return false;
        };
        self.intervals(start, end).any(|i| i.interval.start >= start)
    }

    fn period_intervals(&self, from: Timestamp) -> impl Iterator<Item = PeriodIntervals<'a>> {
        let Self { zone, date_offset, .. } = *self;
        let local_from = zone.local(from);
        // Where the clocks skip a day, that one is not the day before.
        let day_before = zone.local(from - Duration::from_days(1));
        self.scheme.periods().map(move |(period, restriction)| {
            let current = period.unit_at(local_from);
            let previous = period.unit_at(day_before).min(current - 1);
            let unit = if period.start_in(previous).is_some() { previous } else { current };
            PeriodIntervals { period, restriction, zone, date_offset, from, unit, last: None }
        })
    }
}

impl Iterator for Intervals<'_> {
    type Item = PeriodInterval;

    fn next(&mut self) -> Option<PeriodInterval> {
        let mut first: Option<PeriodInterval> = None;
        for (period_index, (interval, _)) in self.periods.iter().enumerate() {
            if let Some(interval) = *interval
                && first.is_none_or(|first| interval.start < first.interval.start)
            {
                first = Some(PeriodInterval { period_index, interval });
            }
        }
        let first = first.filter(|first| first.interval.start < self.until)?;
        let (next, intervals) = &mut self.periods[first.period_index];
        *next = intervals.next();
        Some(first)
    }
}

impl Iterator for PeriodIntervals<'_> {
    type Item = Interval;

    fn next(&mut self) -> Option<Interval> {
        loop {
            let start = self.zone.instant(self.period.start_in(self.unit)?);
            let whole = Interval { start, end: start + self.period.duration() };
            self.unit += 1;
            let interval = match self.restriction {
                None => whole,
                Some(restriction) => match self.restrict(restriction, whole)? {
                    Ok(interval) => interval,
                    Err(allowed_from) => {
                        self.skip_to(allowed_from);
                        continue;
                    }
                },
            };
            // Where a whole day is skipped by the clocks, it has the same interval as the day after.
            if interval.end > self.from && interval.start < interval.end && self.last != Some(interval) {
                self.last = Some(interval);
                return Some(interval);
            }
        }
    }
}

impl PeriodIntervals<'_> {
    /// The part of the interval in allowed months; or when the next allowed month starts, if the interval ends before. `None`
    /// if no allowed month comes.
    fn restrict(&self, restriction: &MonthRestriction, whole: Interval) -> Option<Result<Interval, Timestamp>> {
        let allowed = |month: i64| restriction.months.contains(&month_of_year(month));
        let month = self.month_at(whole.start);
        let mut interval = whole;
        let first_allowed = (month..month + 12).find(|&m| allowed(m))?;
        if first_allowed != month {
            interval.start = self.month_start(first_allowed)?;
            if interval.start >= whole.end {
                return Some(Err(interval.start));
            }
        }
        let mut month = first_allowed;
        while allowed(month) {
            month += 1;
            let end = self.month_start(month)?;
            if end >= whole.end {
                return Some(Ok(interval));
            }
            interval.end = end;
        }
        Some(Ok(interval))
    }

    /// Skips the units whose intervals end before this time.
    fn skip_to(&mut self, time: Timestamp) {
        let unit = self.period.unit_at(self.zone.local(time - self.period.duration()));
        // One less, for clocks which are set.
        self.unit = self.unit.max(unit - 1);
    }

    /// When a month starts: `date_offset` after midnight of its first day.
    fn month_start(&self, month: i64) -> Option<Timestamp> {
        let LocalTime(midnight) = LocalTime::at_day(month_start(month)?, 0)?;
        Some(self.zone.instant(LocalTime(midnight + self.date_offset.as_millis())))
    }

    fn month_at(&self, time: Timestamp) -> i64 {
        let month = LocalTime(self.zone.local(time).0.saturating_sub(self.date_offset.as_millis())).month();
        // Where clocks are set at the start of a month, its point in time counts and not what the clocks show.
        if self.month_start(month + 1).is_some_and(|next| next <= time) {
            month + 1
        } else if self.month_start(month).is_some_and(|start| time < start) {
            month - 1
        } else {
            month
        }
    }
}
