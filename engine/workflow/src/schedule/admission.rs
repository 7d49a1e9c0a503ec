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
        let mut next = first_allowed + 1;
        interval.end = whole.end.min(self.month_start(next)?);
        while interval.end < whole.end && allowed(next) {
            next += 1;
            interval.end = whole.end.min(self.month_start(next)?);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::RestrictedScheme;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec;

    const HOUR: i64 = 3600;

    fn daily(second_of_day: i64, hours: i64) -> AdmissionPeriod {
        AdmissionPeriod::Daily { second_of_day, duration: Duration::from_secs(hours * HOUR) }
    }

    fn weekday(day: i64, hour: i64, hours: i64) -> AdmissionPeriod {
        let duration = Duration::from_secs(hours * HOUR);
        AdmissionPeriod::Weekday { second_of_week: (day * 24 + hour) * HOUR, duration }
    }

    fn restricted(period: AdmissionPeriod, months: &[i64]) -> AdmissionTimeScheme {
        let restriction = Some(MonthRestriction::new(months).unwrap());
        AdmissionTimeScheme { restricted: vec![RestrictedScheme { periods: vec![period], restriction }] }
    }

    /// A scheme in Berlin; all times are local.
    struct Berlin {
        scheme: AdmissionTimeScheme,
        zone: TimeZone,
        date_offset: Duration,
    }

    impl Berlin {
        fn new(scheme: AdmissionTimeScheme) -> Self {
            Self { scheme, zone: TimeZone::get("Europe/Berlin").unwrap(), date_offset: Duration::ZERO }
        }

        fn admission(&self) -> Admission<'_> {
            Admission { scheme: &self.scheme, zone: &self.zone, date_offset: self.date_offset }
        }

        fn at(&self, local: &str) -> Timestamp {
            self.zone.parse_local(local).unwrap()
        }

        fn print(&self, interval: Interval) -> String {
            let local = |t| super::super::local::civil(self.zone.local(t)).strftime("%Y-%m-%dT%H:%M").to_string();
            format!("{}/{}", local(interval.start), local(interval.end))
        }

        fn find(&self, now: &str) -> String {
            let found = self.admission().find_time_interval(self.at(now), FIND_LIMIT);
            found.map_or("none".into(), |found| format!("{} {}", found.period_index, self.print(found.interval)))
        }

        fn between(&self, from: &str, until: &str) -> Vec<String> {
            let intervals = self.admission().intervals(self.at(from), self.at(until));
            intervals.map(|i| format!("{} {}", i.period_index, self.print(i.interval))).collect()
        }

        fn merged(&self, now: &str, limit: Duration) -> String {
            let found = self.admission().find_long_time_interval(self.at(now), limit);
            found.map_or("none".into(), |found| self.print(found))
        }
    }

    #[test]
    fn the_current_or_the_next_interval_is_found() {
        let berlin = Berlin::new(AdmissionTimeScheme::unrestricted(vec![
            weekday(1, 8, 2),
            weekday(6, 22, 3),
            daily(12 * HOUR, 1),
        ]));
        for (now, found) in [
            ("2021-08-24T07:59", "0 2021-08-24T08:00/2021-08-24T10:00"),
            ("2021-08-24T08:00", "0 2021-08-24T08:00/2021-08-24T10:00"),
            ("2021-08-24T09:59", "0 2021-08-24T08:00/2021-08-24T10:00"),
            ("2021-08-24T10:00", "2 2021-08-24T12:00/2021-08-24T13:00"),
            ("2021-08-24T13:00", "2 2021-08-25T12:00/2021-08-25T13:00"),
            ("2021-08-30T00:59", "1 2021-08-29T22:00/2021-08-30T01:00"),
        ] {
            assert_eq!(berlin.find(now), found, "{now}");
        }
        assert!(berlin.admission().is_permitted(berlin.at("2021-08-30T00:59")));
        assert!(!berlin.admission().is_permitted(berlin.at("2021-08-30T01:00")));
        let two_hours = Duration::from_secs(2 * HOUR);
        let find = |now| berlin.admission().find_time_interval(berlin.at(now), two_hours);
        assert_eq!(find("2021-08-24T10:00"), None, "starts not within the limit, but with it");
        assert!(find("2021-08-24T10:01").is_some());
    }

    #[test]
    fn without_periods_nothing_is_admitted() {
        let berlin = Berlin::new(AdmissionTimeScheme::default());
        assert_eq!(berlin.find("2021-08-24T08:00"), "none");
        assert_eq!(berlin.merged("2021-08-24T08:00", FIND_LIMIT), "none");
        assert!(berlin.between("2021-01-01T00:00", "2022-01-01T00:00").is_empty());
        assert!(!berlin.admission().is_permitted(berlin.at("2021-08-24T08:00")));
    }

    #[test]
    fn intervals_come_in_order_and_simultaneous_ones_by_number() {
        let berlin = Berlin::new(AdmissionTimeScheme {
            restricted: vec![
                RestrictedScheme { periods: vec![daily(20 * HOUR, 6), daily(HOUR, 1)], restriction: None },
                RestrictedScheme { periods: vec![daily(HOUR, 2)], restriction: None },
            ],
        });
        assert_eq!(
            berlin.between("2021-08-24T01:30", "2021-08-25T01:00"),
            [
                "0 2021-08-23T20:00/2021-08-24T02:00",
                "1 2021-08-24T01:00/2021-08-24T02:00",
                "2 2021-08-24T01:00/2021-08-24T03:00",
                "0 2021-08-24T20:00/2021-08-25T02:00",
            ]
        );
    }

    #[test]
    fn adjoining_intervals_are_merged() {
        let berlin = Berlin::new(AdmissionTimeScheme::unrestricted(vec![
            daily(8 * HOUR, 2),
            daily(9 * HOUR, 3),
            daily(12 * HOUR, 1),
        ]));
        let found = "2021-08-24T08:00/2021-08-24T13:00";
        assert_eq!(berlin.merged("2021-08-24T08:30", FIND_LIMIT), found);
        assert_eq!(berlin.merged("2021-08-23T13:00", FIND_LIMIT), found);
        assert_eq!(berlin.merged("2021-08-24T08:30", Duration::from_secs(HOUR)), "2021-08-24T08:00/2021-08-24T12:00");

        let all_day = Berlin::new(AdmissionTimeScheme::all_day());
        // The day with 25 hours leaves a hole, the one with 23 none.
        assert_eq!(all_day.merged("2021-01-10T12:00", FIND_LIMIT), "2021-01-10T00:00/2021-10-31T23:00");
        assert_eq!(all_day.merged("2021-10-31T23:30", FIND_LIMIT), "2021-11-01T00:00/2022-10-30T23:00");
        assert_eq!(all_day.merged("2021-01-10T12:00", Duration::from_secs(1)), "2021-01-10T00:00/2021-01-11T00:00");
        let utc = TimeZone::utc();
        let merged = Admission::new(&all_day.scheme, &utc).find_long_time_interval(Timestamp::EPOCH, FIND_LIMIT);
        assert_eq!(merged.map(|m| m.duration()), Some(FIND_LIMIT), "without change of the clocks the limit counts");
    }

    #[test]
    fn months_cut_periods() {
        // Tuesday 23:30.
        let period = |hours| AdmissionPeriod::Weekday {
            second_of_week: 47 * HOUR + 1800,
            duration: Duration::from_secs(hours * HOUR),
        };
        let berlin = Berlin::new(restricted(period(1), &[4, 11]));
        assert_eq!(berlin.find("2025-10-01T00:00"), "0 2025-11-04T23:30/2025-11-05T00:30");
        assert_eq!(
            berlin.find("2025-11-26T01:00"),
            "0 2026-04-01T00:00/2026-04-01T00:30",
            "starts in a forbidden month"
        );
        assert!(!berlin.admission().is_permitted(berlin.at("2026-03-31T23:59")));
        assert!(berlin.admission().is_permitted(berlin.at("2026-04-01T00:00")));
        let berlin = Berlin::new(restricted(period(1), &[6]));
        assert_eq!(
            berlin.find("2026-06-25T00:00"),
            "0 2026-06-30T23:30/2026-07-01T00:00",
            "reaches into a forbidden month"
        );
        let berlin = Berlin::new(restricted(period(48), &[6, 7]));
        assert_eq!(berlin.find("2026-06-26T00:00"), "0 2026-06-30T23:30/2026-07-02T23:30", "both months are allowed");
    }

    #[test]
    fn months_start_with_their_first_order_day() {
        let mut berlin = Berlin::new(restricted(daily(2 * HOUR, 6), &[2]));
        berlin.date_offset = Duration::from_secs(5 * HOUR);
        assert_eq!(
            berlin.between("2023-01-30T00:00", "2023-02-02T12:00"),
            ["0 2023-02-01T05:00/2023-02-01T08:00", "0 2023-02-02T02:00/2023-02-02T08:00"]
        );
        assert_eq!(berlin.between("2023-02-28T09:00", "2023-03-20T00:00"), ["0 2023-03-01T02:00/2023-03-01T05:00"]);
    }

    #[test]
    fn days_on_which_a_period_starts() {
        let starts = |period: AdmissionPeriod, day: &str| {
            Berlin::new(AdmissionTimeScheme::unrestricted(vec![period]))
                .admission()
                .has_period_start_for_day(day.parse().unwrap())
        };
        assert!(starts(daily(23 * HOUR, 1), "2021-08-30"));
        // The second Friday, 23:00, for 27 hours.
        let friday =
            AdmissionPeriod::MonthlyWeekday { second_of_weeks: 287 * HOUR, duration: Duration::from_secs(27 * HOUR) };
        assert!(!starts(friday.clone(), "2022-06-09"));
        assert!(starts(friday.clone(), "2022-06-10"));
        assert!(!starts(friday, "2022-06-11"));
        // The 28th last day, 10:00.
        let last =
            AdmissionPeriod::MonthlyLastDate { last_second_of_month: -662 * HOUR, duration: Duration::from_secs(HOUR) };
        assert!(!starts(last.clone(), "2021-03-03"));
        assert!(starts(last, "2021-03-04"));
        // Monday 02:00 counts for its own day, also when order days start later.
        let mut berlin = Berlin::new(AdmissionTimeScheme::unrestricted(vec![weekday(0, 2, 4)]));
        berlin.date_offset = Duration::from_secs(5 * HOUR);
        assert!(berlin.admission().has_period_start_for_day("2025-06-02".parse().unwrap()));
        assert!(!berlin.admission().has_period_start_for_day("2025-06-01".parse().unwrap()));
    }

    #[test]
    fn days_in_forbidden_months_have_no_starts() {
        let berlin = Berlin::new(restricted(daily(22 * HOUR, 4), &[5]));
        let starts = |day: &str| berlin.admission().has_period_start_for_day(day.parse().unwrap());
        assert!(!starts("2021-04-29"));
        assert!(!starts("2021-04-30"));
        assert!(starts("2021-05-01"));
        assert!(starts("2021-05-31"));
        assert!(!starts("2021-06-01"));
    }

    #[test]
    fn missing_days_of_months_are_the_last_ones() {
        let period =
            AdmissionPeriod::MonthlyDate { second_of_month: 28 * 24 * HOUR, duration: Duration::from_secs(HOUR) };
        let berlin = Berlin::new(restricted(period, &[2]));
        let found = berlin.between("2023-01-01T00:00", "2025-01-01T00:00");
        assert_eq!(found, ["0 2023-02-28T00:00/2023-02-28T01:00", "0 2024-02-29T00:00/2024-02-29T01:00"]);
    }

    #[test]
    fn any_time_is_as_good_as_another() {
        let berlin = Berlin::new(restricted(daily(8 * HOUR, 1), &[2]));
        assert_eq!(berlin.find("9000-03-01T00:00"), "0 9001-02-01T08:00/9001-02-01T09:00");
        assert_eq!(berlin.find("-005000-03-01T00:00"), "0 -4999-02-01T08:00/-4999-02-01T09:00");
        for period in [
            daily(0, 24),
            weekday(0, 0, 1),
            AdmissionPeriod::MonthlyDate { second_of_month: 0, duration: Duration::MAX },
        ] {
            for scheme in [AdmissionTimeScheme::unrestricted(vec![period.clone()]), restricted(period.clone(), &[2])] {
                let berlin = Berlin::new(scheme);
                for now in [Timestamp::MIN, Timestamp::MAX, Timestamp::from_millis(253_402_200_000_000)] {
                    let _ = berlin.admission().find_time_interval(now, FIND_LIMIT);
                    let _ = berlin.admission().find_long_time_interval(now, FIND_LIMIT);
                    let _ = berlin.admission().is_permitted(now);
                }
            }
        }
    }
}
