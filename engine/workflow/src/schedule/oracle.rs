//! A slow second calculation of admission times, written without the arithmetic of the first, and the comparison of both around
//! the changes of the clocks in all time zones.
//!
//! The oracle walks through time tick by tick, looks at what the clocks show, and follows the rule of the parent module
//! literally: a local time starts a period when the clocks show it for the first time; when the clocks skip it, it starts the
//! period as much later as it would have come without the skip.
//!
//! A sample of the changes is tested; built with `--cfg all_clock_changes`, all of them.

use super::admission::Admission;
use super::grid::LocalGrid;
use super::interval::Interval;
use super::period::AdmissionPeriod;
use super::scheme::{AdmissionTimeScheme, MonthRestriction, RestrictedScheme};
use super::zone::TimeZone;
use crate::time::{Duration, Timestamp};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use jiff::civil::DateTime;
use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// The clocks of one zone around one of its changes, in seconds.
struct Clocks {
    zone: TimeZone,
    rules: jiff::tz::TimeZone,
    change: i64,
    tick: i64,
}

/// When the clocks showed which local time for the first time, or would have shown it.
struct Walk {
    /// In the order of the points in time, several local times may have the same.
    arrivals: Vec<(i64, DateTime)>,
}

impl Clocks {
    fn walk(&self, from: i64, until: i64) -> Walk {
        let mut arrivals = Vec::new();
        let mut latest: Option<DateTime> = None;
        let step = SignedDuration::from_secs(self.tick);
        let mut t = from - from.rem_euclid(self.tick);
        while t < until {
            let shown = self.rules.to_datetime(jiff::Timestamp::from_second(t).unwrap());
            if let Some(latest) = latest {
                let mut skipped = latest + step;
                let mut at = t;
                while skipped < shown {
                    arrivals.push((at, skipped));
                    skipped += step;
                    at += self.tick;
                }
            }
            if latest.is_none_or(|latest| shown > latest) {
                arrivals.push((t, shown));
                latest = Some(shown);
            }
            t += self.tick;
        }
        arrivals.sort_unstable();
        Walk { arrivals }
    }
}

impl Walk {
    fn starts(&self, period: &AdmissionPeriod) -> BTreeSet<i64> {
        self.arrivals.iter().filter(|(_, local)| starts_at(period, *local)).map(|(t, _)| *t).collect()
    }

    /// All intervals which begin within the walk, cut to the allowed months.
    fn intervals(&self, period: &AdmissionPeriod, months: Option<&MonthRestriction>, offset: i64) -> Vec<(i64, i64)> {
        let seconds = period.duration().as_millis() / 1000;
        let whole = self.starts(period).into_iter().map(|start| (start, start + seconds));
        let Some(months) = months else {
            return whole.collect();
        };
        let month_starts = self.month_starts(offset);
        let allowed = |t: i64| month_starts.range(..=t).next_back().is_some_and(|(_, m)| months.months.contains(m));
        let mut cut: Vec<(i64, i64)> = whole
            .filter_map(|(start, end)| {
                let bounds = month_starts.range(start + 1..end).map(|(t, _)| *t).chain([end]);
                let mut piece: Option<(i64, i64)> = None;
                let mut from = start;
                for to in bounds {
                    match &mut piece {
                        None if allowed(from) => piece = Some((from, to)),
                        Some((_, piece_end)) if *piece_end == from && allowed(from) => *piece_end = to,
                        _ => {}
                    }
                    from = to;
                }
                piece
            })
            .collect();
        cut.dedup();
        cut
    }

    /// Since when it is which month, as far as the walk knows; months start a while after midnight.
    fn month_starts(&self, offset: i64) -> BTreeMap<i64, u8> {
        let month = |local: DateTime| local.month() as u8;
        let shifted = |local: DateTime| local - SignedDuration::from_secs(offset);
        let mut starts: BTreeMap<i64, u8> =
            self.arrivals.first().map(|(t, local)| (*t, month(shifted(*local)))).into_iter().collect();
        for (t, local) in &self.arrivals {
            let local = shifted(*local);
            if local.day() == 1 && seconds_of_day(local) == 0 {
                starts.insert(*t, month(local));
            }
        }
        starts
    }
}

fn seconds_of_day(local: DateTime) -> i64 {
    i64::from(local.hour()) * HOUR + i64::from(local.minute()) * 60 + i64::from(local.second())
}

/// Whether the period starts when the clocks show this.
fn starts_at(period: &AdmissionPeriod, local: DateTime) -> bool {
    let date = local.date();
    let second = seconds_of_day(local);
    let day = i64::from(date.day());
    let days = i64::from(date.days_in_month());
    let second_of_week = i64::from(date.weekday().to_monday_zero_offset()) * DAY + second;
    match *period {
        AdmissionPeriod::Daily { second_of_day, .. } => second == second_of_day,
        AdmissionPeriod::Weekday { second_of_week: wanted, .. } => second_of_week == wanted,
        AdmissionPeriod::MonthlyDate { second_of_month, .. } => {
            second == second_of_month % DAY && day == (second_of_month / DAY + 1).min(days)
        }
        AdmissionPeriod::MonthlyLastDate { last_second_of_month, .. } => {
            (days - day + 1) * DAY - second == -last_second_of_month
        }
        AdmissionPeriod::MonthlyWeekday { second_of_weeks, .. } => {
            (day - 1) / 7 == second_of_weeks / WEEK && second_of_week == second_of_weeks % WEEK
        }
        AdmissionPeriod::MonthlyLastWeekday { second_of_weeks, .. } => {
            // So many such weekdays follow in the month.
            let following = (days - day) / 7;
            second_of_weeks + (following + 1) * WEEK == second_of_week
        }
        AdmissionPeriod::SpecificDate { seconds_since_local_epoch, .. } => {
            jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0).checked_add(seconds_since_local_epoch.seconds()).ok()
                == Some(local)
        }
    }
}

/// Periods at the times of day, week, month and year at which clocks are usually set, and elsewhere.
fn representative(local_change: i64, month: u8) -> AdmissionTimeScheme {
    let secs = Duration::from_secs;
    let periods = vec![
        AdmissionPeriod::all_day(),
        AdmissionPeriod::Daily { second_of_day: 0, duration: secs(HOUR) },
        AdmissionPeriod::Daily { second_of_day: HOUR, duration: secs(25 * HOUR) },
        AdmissionPeriod::Daily { second_of_day: 2 * HOUR + 1800, duration: secs(HOUR) },
        AdmissionPeriod::Daily { second_of_day: 23 * HOUR + 1800, duration: secs(2 * HOUR) },
        AdmissionPeriod::Weekday { second_of_week: 6 * DAY + 2 * HOUR, duration: secs(90 * 60) },
        AdmissionPeriod::Weekday { second_of_week: 4 * DAY + HOUR, duration: secs(3 * DAY) },
        AdmissionPeriod::MonthlyDate { second_of_month: 1800, duration: secs(HOUR) },
        AdmissionPeriod::MonthlyDate { second_of_month: 30 * DAY + 2 * HOUR, duration: secs(2 * DAY) },
        AdmissionPeriod::MonthlyLastDate { last_second_of_month: -HOUR, duration: secs(3 * HOUR) },
        AdmissionPeriod::MonthlyWeekday { second_of_weeks: WEEK + 6 * DAY + 2 * HOUR, duration: secs(HOUR) },
        AdmissionPeriod::MonthlyLastWeekday {
            second_of_weeks: -WEEK + 6 * DAY + 2 * HOUR + 1800,
            duration: secs(HOUR),
        },
        AdmissionPeriod::SpecificDate { seconds_since_local_epoch: local_change, duration: secs(1800) },
        AdmissionPeriod::SpecificDate { seconds_since_local_epoch: local_change + 1200, duration: secs(2 * HOUR) },
    ];
    let restricted = vec![
        AdmissionPeriod::Daily { second_of_day: 22 * HOUR, duration: secs(5 * HOUR) },
        AdmissionPeriod::Weekday { second_of_week: 5 * DAY, duration: secs(2 * DAY) },
        AdmissionPeriod::MonthlyLastDate { last_second_of_month: -DAY, duration: secs(2 * DAY) },
    ];
    let only = |month: u8| Some(MonthRestriction { months: [month, (month + 3) % 12 + 1].into() });
    AdmissionTimeScheme {
        restricted: vec![
            RestrictedScheme { periods, restriction: None },
            RestrictedScheme { periods: restricted.clone(), restriction: only(month) },
            RestrictedScheme { periods: restricted, restriction: only(month % 12 + 1) },
        ],
    }
}

fn millis(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn in_seconds(interval: Interval) -> (i64, i64) {
    (interval.start.as_millis() / 1000, interval.end.as_millis() / 1000)
}

/// Compares everything from a day before until two days after the change.
fn compare_around(clocks: &Clocks) {
    let change = clocks.change;
    let (from, until) = (change - DAY, change + 2 * DAY);
    let walk = clocks.walk(change - 6 * DAY, until + 4 * DAY);
    let before = clocks.rules.to_datetime(jiff::Timestamp::from_second(change - 1).unwrap());
    let local_change = before.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0)).as_secs() + 1;
    compare(clocks, &walk, &representative(local_change, before.month() as u8), &[0, 5 * HOUR]);
    merged(&clocks.zone, &walk, from, until);
    grid(clocks, &walk, from, until);
}

/// Compares the intervals of a scheme, in which no period lasts longer than three days.
fn compare(clocks: &Clocks, walk: &Walk, scheme: &AdmissionTimeScheme, date_offsets: &[i64]) {
    let Clocks { zone, change, .. } = clocks;
    let (from, until) = (change - DAY, change + 2 * DAY);
    scheme.check().unwrap();
    for &offset in date_offsets {
        let admission = Admission { scheme, zone, date_offset: Duration::from_secs(offset) };
        let mut expected: Vec<(i64, usize, i64)> = Vec::new();
        for (i, (period, months)) in scheme.periods().enumerate() {
            expected.extend(walk.intervals(period, months, offset).into_iter().map(|(start, end)| (start, i, end)));
        }
        expected.sort_unstable();
        let between =
            |from, until| expected.iter().copied().filter(move |(start, _, end)| *end > from && *start < until);
        let mut actual: Vec<(i64, usize, i64)> = admission
            .intervals(millis(from), millis(until))
            .map(|i| (in_seconds(i.interval).0, i.period_index, in_seconds(i.interval).1))
            .collect();
        // The oracle has no order among the intervals of a period which months cut to the same start.
        actual.sort_unstable();
        assert_eq!(actual, between(from, until).collect::<Vec<_>>(), "{zone} at {} offset {offset}", millis(*change));

        for now in (from..until).step_by(47 * 60).chain([change - 1, *change, change + 1]) {
            let first = between(now, until).map(|(start, ..)| start).min();
            if let Some(first) = first {
                let found = admission.find_time_interval(millis(now), Duration::from_days(5)).unwrap();
                let (start, _) = in_seconds(found.interval);
                assert_eq!(start, first, "{zone} finds at {}", millis(now));
            }
            let permitted = between(now, now + 1).next().is_some();
            assert_eq!(admission.is_permitted(millis(now)), permitted, "{zone} permits at {}", millis(now));
        }
    }
}

/// Compares what adjoining intervals are merged to.
fn merged(zone: &TimeZone, walk: &Walk, from: i64, until: i64) {
    let scheme = AdmissionTimeScheme::unrestricted(vec![
        AdmissionPeriod::all_day(),
        AdmissionPeriod::Daily { second_of_day: 20 * HOUR, duration: Duration::from_secs(4 * HOUR - 1800) },
    ]);
    let mut intervals: Vec<(i64, i64)> = scheme.periods().flat_map(|(p, _)| walk.intervals(p, None, 0)).collect();
    intervals.sort_unstable();
    for now in (from..until).step_by(5 * 3600) {
        let mut last: Option<(i64, i64)> = None;
        for (start, end) in intervals.iter().copied().filter(|(start, end)| *end > now && *start < now + DAY) {
            match &mut last {
                None => last = Some((start, end)),
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                Some(_) => break,
            }
        }
        let found = Admission::new(&scheme, zone).find_long_time_interval(millis(now), Duration::from_days(1));
        assert_eq!(found.map(in_seconds), last, "{zone} merges at {}", millis(now));
    }
}

/// Compares the points in time of local grids.
fn grid(clocks: &Clocks, walk: &Walk, from: i64, until: i64) {
    for (period, offsets) in [(HOUR, vec![0, 1800]), (7 * HOUR, vec![20 * 60]), (DAY, vec![0, 2 * HOUR + 1200])] {
        let mut points = BTreeSet::new();
        for (t, local) in &walk.arrivals {
            let local = local.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0)).as_secs();
            if offsets.contains(&local.rem_euclid(period)) {
                points.insert(*t);
            }
        }
        let offsets: Vec<Duration> = offsets.iter().map(|offset| Duration::from_secs(*offset)).collect();
        let grid = LocalGrid { zone: &clocks.zone, period: Duration::from_secs(period), offsets: &offsets };
        for now in (from..until).step_by(13 * 60).chain([clocks.change - 1, clocks.change, clocks.change + 1]) {
            let first = points.range(now..until).next().copied();
            assert_eq!(
                grid.first(millis(now), millis(until)),
                first.map(millis),
                "{} grid from {}",
                clocks.zone,
                millis(now)
            );
            let last = points.range(from..=now).next_back().copied();
            assert_eq!(
                grid.last(millis(from), millis(now)),
                last.map(millis),
                "{} grid until {}",
                clocks.zone,
                millis(now)
            );
        }
    }
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { greatest_common_divisor(b, a % b) }
}

/// All changes of the clocks of all zones from 1970 to 2037; of several with the same clocks for some days, one.
fn clock_changes() -> Vec<Clocks> {
    let seconds = |text: &str| text.parse::<Timestamp>().unwrap().as_millis() / 1000;
    let (from, until) = (seconds("1970-01-10T00:00:00Z"), seconds("2038-01-01T00:00:00Z"));
    let mut seen: BTreeSet<Vec<(i64, i64)>> = BTreeSet::new();
    let mut all = Vec::new();
    for name in TimeZone::names() {
        let zone = TimeZone::get(&name).unwrap();
        let rules = jiff::tz::TimeZoneDatabase::bundled().get(&name).unwrap();
        let offset = |t: i64| i64::from(rules.to_offset(jiff::Timestamp::from_second(t).unwrap()).seconds());
        let changes: Vec<i64> = rules
            .following(jiff::Timestamp::from_second(from).unwrap())
            .map(|change| change.timestamp().as_second())
            .take_while(|change| *change < until)
            .filter(|change| offset(change - 1) != offset(*change))
            .collect();
        for &change in &changes {
            let near = changes.iter().filter(|other| (change - 11 * DAY..change + 11 * DAY).contains(*other));
            let mut clocks: Vec<(i64, i64)> = near.map(|&other| (other, offset(other))).collect();
            clocks.push((change, offset(change - 1)));
            let tick =
                clocks.iter().fold(60, |tick, (t, o)| greatest_common_divisor(greatest_common_divisor(tick, *t), *o));
            if seen.insert(clocks) {
                all.push(Clocks { zone: zone.clone(), rules: rules.clone(), change, tick });
            }
        }
    }
    all
}

/// Any periods which last no longer than three days, and no longer than a day when they are daily.
fn any_period() -> impl Strategy<Value = AdmissionPeriod> {
    (0..7, any::<u32>(), 1..3 * 1440i64).prop_map(|(kind, minute, minutes)| {
        let duration = Duration::from_secs(minutes * 60);
        let at = |days: i64| i64::from(minute) % (days * 1440) * 60;
        match kind {
            0 => AdmissionPeriod::Daily {
                second_of_day: at(1),
                duration: Duration::from_secs((minutes % 1440 + 1) * 60),
            },
            1 => AdmissionPeriod::Weekday { second_of_week: at(7), duration },
            2 => AdmissionPeriod::MonthlyDate { second_of_month: at(31), duration },
            3 => AdmissionPeriod::MonthlyLastDate { last_second_of_month: -60 - at(27), duration },
            4 => AdmissionPeriod::MonthlyWeekday { second_of_weeks: at(28), duration },
            5 => AdmissionPeriod::MonthlyLastWeekday { second_of_weeks: -60 - at(27), duration },
            _ => AdmissionPeriod::SpecificDate { seconds_since_local_epoch: at(365 * 60), duration },
        }
    })
}

fn any_scheme() -> impl Strategy<Value = AdmissionTimeScheme> {
    let months = proptest::collection::btree_set(1..=12u8, 1..12);
    let restriction = proptest::option::of(months.prop_map(|months| MonthRestriction { months }));
    let scheme = (proptest::collection::vec(any_period(), 0..8), restriction)
        .prop_map(|(periods, restriction)| RestrictedScheme { periods, restriction });
    proptest::collection::vec(scheme, 0..4).prop_map(|restricted| AdmissionTimeScheme { restricted })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_admission_times(
        zone in proptest::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Amman"]),
        minute in 10 * 1440..60 * 365 * 1440i64,
        scheme in any_scheme(),
        date_offset in 0..1440i64,
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let rules = jiff::tz::TimeZoneDatabase::bundled().get(zone.name()).unwrap();
        let clocks = Clocks { zone, rules, change: minute * 60, tick: 60 };
        let walk = clocks.walk(clocks.change - 6 * DAY, clocks.change + 6 * DAY);
        compare(&clocks, &walk, &scheme, &[date_offset * 60]);
    }
}

#[test]
fn the_oracle_follows_the_rule() {
    let local = |text: &str| text.parse::<DateTime>().unwrap();
    let clocks = |change: &str| Clocks {
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        rules: jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap(),
        change: change.parse::<Timestamp>().unwrap().as_millis() / 1000,
        tick: 60,
    };
    let at = |clocks: &Clocks, text: &str| {
        let walk = clocks.walk(clocks.change - DAY, clocks.change + DAY);
        let times: Vec<i64> = walk.arrivals.iter().filter(|(_, l)| *l == local(text)).map(|(t, _)| *t).collect();
        times.into_iter().map(|t| alloc::format!("{}", millis(t))).collect::<Vec<String>>()
    };
    let forward = clocks("2021-03-28T01:00:00Z");
    assert_eq!(at(&forward, "2021-03-28T01:59"), ["2021-03-28T00:59:00Z"]);
    assert_eq!(at(&forward, "2021-03-28T02:20"), ["2021-03-28T01:20:00Z"]);
    assert_eq!(at(&forward, "2021-03-28T03:20"), ["2021-03-28T01:20:00Z"]);
    let back = clocks("2021-10-31T01:00:00Z");
    assert_eq!(at(&back, "2021-10-31T02:20"), ["2021-10-31T00:20:00Z"]);
    assert_eq!(at(&back, "2021-10-31T03:00"), ["2021-10-31T02:00:00Z"]);
}

#[test]
fn admission_times_around_changes_of_the_clocks() {
    let changes = clock_changes();
    assert!(changes.len() > 5000, "the time zone database is complete: {}", changes.len());
    // All of them take minutes: `RUSTFLAGS="--cfg all_clock_changes" cargo test --release -p baton-workflow --lib oracle`. Else a
    // prime, so that the sample has all kinds of changes.
    let step = if cfg!(all_clock_changes) { 1 } else { 67 };
    // Skipped days, and clocks set back by the last change which the database lists.
    let special = ["Pacific/Apia", "Pacific/Fakaofo", "America/Ciudad_Juarez", "America/Metlakatla"];
    let sample =
        changes.iter().enumerate().filter(|(i, clocks)| i % step == 0 || special.contains(&clocks.zone.name()));
    sample.for_each(|(_, clocks)| compare_around(clocks));
}
