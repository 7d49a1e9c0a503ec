//! The kinds of admission periods, their validity, and where in their calendar unit they start.
//!
//! A period recurs once in each of its *calendar units*: days, weeks (from Monday) or months, numbered by integers so that any
//! unit is reached by arithmetic. What is invalid is named by [`AdmissionPeriod::check`].

use super::local::{DAY_SECONDS, LocalTime, WEEK_SECONDS, month_start, weekday};
use crate::problem::{Checked, Problem};
use crate::time::Duration;
use alloc::format;
use core::fmt;
use serde::{Deserialize, Serialize};

crate::json_union! {
    /// A time, mostly recurring, which lasts an elapsed duration.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum AdmissionPeriod {
        /// Each day.
        Daily => "DailyPeriod" {
            /// Local time of day, 0 to 86399.
            second_of_day: i64 => "secondOfDay";
            /// Positive.
            duration: Duration => "duration";
        };
        /// Each week.
        Weekday => "WeekdayPeriod" {
            /// Monday 00:00 is 0; less than 7 days.
            second_of_week: i64 => "secondOfWeek";
            /// Positive, at most 7 days.
            duration: Duration => "duration";
        };
        /// Each month, at a day counted from its start. A day which the month does not have is its last day.
        MonthlyDate => "MonthlyDatePeriod" {
            /// The first day's 00:00 is 0; less than 31 days.
            second_of_month: i64 => "secondOfMonth";
            /// Positive.
            duration: Duration => "duration";
        };
        /// Each month, at a day counted from its end.
        MonthlyLastDate => "MonthlyLastDatePeriod" {
            /// The end of the month's last day would be 0; negative, more than −28 days.
            last_second_of_month: i64 => "lastSecondOfMonth";
            /// Positive.
            duration: Duration => "duration";
        };
        /// Each month, at its first to fourth of some weekday.
        MonthlyWeekday => "MonthlyWeekdayPeriod" {
            /// The weeks are those before the weekday, the rest is the second of the week; less than 4 weeks.
            second_of_weeks: i64 => "secondOfWeeks";
            /// Positive.
            duration: Duration => "duration";
        };
        /// Each month, at its last to fourth last of some weekday.
        MonthlyLastWeekday => "MonthlyLastWeekdayPeriod" {
            /// Rounded down to weeks: −1 for the last of the weekday, and so on; the rest is the second of the week. Negative, more
            /// than −4 weeks.
            second_of_weeks: i64 => "secondOfWeeks";
            /// Positive.
            duration: Duration => "duration";
        };
        /// Once.
        SpecificDate => "SpecificDatePeriod" {
            /// Local time, 1970-01-01T00:00 is 0.
            seconds_since_local_epoch: i64 => "secondsSinceLocalEpoch";
            /// Positive.
            duration: Duration => "duration";
        };
    }
    check AdmissionPeriod::check;
}

impl AdmissionPeriod {
    /// The whole of each day.
    #[must_use]
    pub const fn all_day() -> Self {
        Self::Daily { second_of_day: 0, duration: Duration::from_days(1) }
    }

    /// How long it lasts.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        match self {
            Self::Daily { duration, .. }
            | Self::Weekday { duration, .. }
            | Self::MonthlyDate { duration, .. }
            | Self::MonthlyLastDate { duration, .. }
            | Self::MonthlyWeekday { duration, .. }
            | Self::MonthlyLastWeekday { duration, .. }
            | Self::SpecificDate { duration, .. } => *duration,
        }
    }

    /// Says whether the numbers are in their ranges.
    ///
    /// # Errors
    /// Names the period and its wrong number.
    pub fn check(&self) -> Checked<()> {
        const MONTH_SECONDS: i64 = 31 * DAY_SECONDS;
        let (valid_start, name) = match *self {
            Self::Daily { second_of_day: s, .. } => ((0..DAY_SECONDS).contains(&s), "secondOfDay"),
            Self::Weekday { second_of_week: s, .. } => ((0..WEEK_SECONDS).contains(&s), "secondOfWeek"),
            Self::MonthlyDate { second_of_month: s, .. } => ((0..MONTH_SECONDS).contains(&s), "secondOfMonth"),
            Self::MonthlyLastDate { last_second_of_month: s, .. } => {
                (-28 * DAY_SECONDS < s && s < 0, "lastSecondOfMonth")
            }
            Self::MonthlyWeekday { second_of_weeks: s, .. } => ((0..4 * WEEK_SECONDS).contains(&s), "secondOfWeeks"),
            Self::MonthlyLastWeekday { second_of_weeks: s, .. } => (-4 * WEEK_SECONDS < s && s < 0, "secondOfWeeks"),
            Self::SpecificDate { seconds_since_local_epoch: s, .. } => {
                (LocalTime::at_day(0, s).is_some(), "secondsSinceLocalEpoch")
            }
        };
        if !valid_start {
            return Err(Problem::new(format!("Invalid {} {name}: {self}", self.type_name())));
        }
        match self {
            Self::Weekday { duration, .. } if *duration <= Duration::ZERO || *duration > Duration::from_days(7) => {
                Err(Problem::new(format!("Invalid WeekdayPeriod duration: {self}")))
            }
            _ if self.duration() <= Duration::ZERO => Err(Problem::new(format!("Duration must be positive: {self}"))),
            _ => Ok(()),
        }
    }

    /// Whether it may start before and end after the start of an order day, which is `date_offset` after midnight: then it
    /// belongs to two order days. Of weeks and months only their own boundaries are looked at. Advisory: such a period works.
    #[must_use]
    pub fn crosses_day_boundary(&self, date_offset: Duration) -> bool {
        // Seconds from the unit's first midnight: earliest start, latest start, shortest length of the unit.
        let (earliest, latest, unit) = match *self {
            Self::Daily { second_of_day: s, .. } => (s, s, DAY_SECONDS),
            Self::Weekday { second_of_week: s, .. } => (s, s, WEEK_SECONDS),
            Self::MonthlyDate { second_of_month: s, .. } => (s, s, 31 * DAY_SECONDS),
            Self::MonthlyLastDate { last_second_of_month: s, .. } => {
                (28 * DAY_SECONDS + s, 28 * DAY_SECONDS + s, 28 * DAY_SECONDS)
            }
            Self::MonthlyWeekday { second_of_weeks: s, .. } => {
                let first = s.div_euclid(WEEK_SECONDS) * WEEK_SECONDS + s.rem_euclid(DAY_SECONDS);
                (first, first + 6 * DAY_SECONDS, 28 * DAY_SECONDS)
            }
            Self::MonthlyLastWeekday { second_of_weeks: s, .. } => {
                let latest = 34 * DAY_SECONDS + s.div_euclid(WEEK_SECONDS) * WEEK_SECONDS + s.rem_euclid(DAY_SECONDS);
                (latest, latest, 28 * DAY_SECONDS)
            }
            Self::SpecificDate { seconds_since_local_epoch: s, .. } => {
                let s = s.rem_euclid(DAY_SECONDS);
                (s, s, DAY_SECONDS)
            }
        };
        let nanos = |seconds: i64| i128::from(seconds) * 1_000_000_000;
        let crosses = |start: i64, boundary: i128| {
            nanos(start) < boundary && boundary < nanos(start) + i128::from(self.duration().as_nanos())
        };
        let offset = i128::from(date_offset.as_nanos());
        let counted_from_end = matches!(self, Self::MonthlyLastDate { .. } | Self::MonthlyLastWeekday { .. });
        (!counted_from_end && crosses(earliest, offset)) || crosses(latest, nanos(unit) + offset)
    }

    /// The number of the calendar unit which contains this time.
    pub(super) fn unit_at(&self, local: LocalTime) -> i64 {
        match self {
            Self::Daily { .. } => local.epoch_day(),
            Self::Weekday { .. } => (local.epoch_day() + 3).div_euclid(7),
            Self::MonthlyDate { .. }
            | Self::MonthlyLastDate { .. }
            | Self::MonthlyWeekday { .. }
            | Self::MonthlyLastWeekday { .. } => local.month(),
            Self::SpecificDate { .. } => 0,
        }
    }

    /// When the period starts in a calendar unit. `None` beyond the calendar.
    pub(super) fn start_in(&self, unit: i64) -> Option<LocalTime> {
        match *self {
            Self::Daily { second_of_day, .. } => LocalTime::at_day(unit, second_of_day),
            Self::Weekday { second_of_week, .. } => {
                LocalTime::at_day(unit.checked_mul(7)?.checked_sub(3)?, second_of_week)
            }
            Self::MonthlyDate { second_of_month, .. } => {
                let first = month_start(unit)?;
                let last = month_start(unit.checked_add(1)?)? - 1;
                let day = first.checked_add(second_of_month.div_euclid(DAY_SECONDS))?.min(last);
                LocalTime::at_day(day, second_of_month.rem_euclid(DAY_SECONDS))
            }
            Self::MonthlyLastDate { last_second_of_month, .. } => {
                LocalTime::at_day(month_start(unit.checked_add(1)?)?, last_second_of_month)
            }
            Self::MonthlyWeekday { second_of_weeks, .. } => {
                let first = month_start(unit)?;
                let (weeks, wanted, second) = split_weeks(second_of_weeks);
                let day = first + (wanted - weekday(first)).rem_euclid(7);
                LocalTime::at_day(day.checked_add(weeks.checked_mul(7)?)?, second)
            }
            Self::MonthlyLastWeekday { second_of_weeks, .. } => {
                let last = month_start(unit.checked_add(1)?)? - 1;
                let (weeks, wanted, second) = split_weeks(second_of_weeks);
                let day = last - (weekday(last) - wanted).rem_euclid(7);
                LocalTime::at_day(day.checked_add((weeks + 1).checked_mul(7)?)?, second)
            }
            Self::SpecificDate { seconds_since_local_epoch, .. } => match unit {
                0 => LocalTime::at_day(0, seconds_since_local_epoch),
                _ => None,
            },
        }
    }
}

/// Weeks, weekday (Monday is 0) and second of the day.
fn split_weeks(seconds: i64) -> (i64, i64, i64) {
    let in_week = seconds.rem_euclid(WEEK_SECONDS);
    (seconds.div_euclid(WEEK_SECONDS), in_week / DAY_SECONDS, in_week % DAY_SECONDS)
}

impl fmt::Display for AdmissionPeriod {
    /// Such as `MonthlyLastWeekdayPeriod(2nd last Friday 03:00, 3600s)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.type_name())?;
        match *self {
            Self::Daily { second_of_day, .. } => write!(f, "{}", TimeOfDay(second_of_day))?,
            Self::Weekday { second_of_week, .. } => {
                let (_, day, second) = split_weeks(second_of_week);
                write!(f, "{} {}", weekday_name(day), TimeOfDay(second))?;
            }
            Self::MonthlyDate { second_of_month, .. } => {
                let day = second_of_month.div_euclid(DAY_SECONDS);
                write!(
                    f,
                    "{} of month, {}",
                    Ordinal(day.saturating_add(1)),
                    TimeOfDay(second_of_month.rem_euclid(DAY_SECONDS))
                )?;
            }
            Self::MonthlyLastDate { last_second_of_month, .. } => {
                let days = last_second_of_month.div_euclid(DAY_SECONDS).saturating_neg();
                let time = TimeOfDay(last_second_of_month.rem_euclid(DAY_SECONDS));
                match days {
                    1 => write!(f, "last day of month, {time}")?,
                    _ => write!(f, "{} last day of month, {time}", Ordinal(days))?,
                }
            }
            Self::MonthlyWeekday { second_of_weeks, .. } => {
                let (weeks, day, second) = split_weeks(second_of_weeks);
                write!(f, "{} {} {}", Ordinal(weeks + 1), weekday_name(day), TimeOfDay(second))?;
            }
            Self::MonthlyLastWeekday { second_of_weeks, .. } => {
                let (weeks, day, second) = split_weeks(second_of_weeks);
                match -weeks {
                    1 => write!(f, "last {} {}", weekday_name(day), TimeOfDay(second))?,
                    n => write!(f, "{} last {} {}", Ordinal(n), weekday_name(day), TimeOfDay(second))?,
                }
            }
            Self::SpecificDate { seconds_since_local_epoch: s, .. } => match LocalTime::at_day(0, s) {
                Some(local) => write!(f, "{}", super::local::civil(local))?,
                None => write!(f, "{s}s since 1970-01-01")?,
            },
        }
        write!(f, ", {})", self.duration())
    }
}

struct TimeOfDay(i64);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(second) = *self;
        if !(0..DAY_SECONDS).contains(&second) {
            return write!(f, "second {second}");
        }
        write!(f, "{:02}:{:02}", second / 3600, second / 60 % 60)?;
        if second % 60 != 0 {
            write!(f, ":{:02}", second % 60)?;
        }
        Ok(())
    }
}

struct Ordinal(i64);

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match (self.0 % 10, self.0 % 100) {
            (_, 11..=13) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
        write!(f, "{}{suffix}", self.0)
    }
}

const fn weekday_name(day: i64) -> &'static str {
    match day {
        0 => "Monday",
        1 => "Tuesday",
        2 => "Wednesday",
        3 => "Thursday",
        4 => "Friday",
        5 => "Saturday",
        _ => "Sunday",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const HOUR: i64 = 3600;

    fn message(period: &AdmissionPeriod) -> alloc::string::String {
        period.check().unwrap_err().to_string()
    }

    #[test]
    fn invalid_periods_are_named() {
        let second = Duration::from_secs(-1);
        for (period, expected) in [
            (
                AdmissionPeriod::Daily { second_of_day: 3 * HOUR, duration: Duration::ZERO },
                "Duration must be positive: DailyPeriod(03:00, 0s)",
            ),
            (
                AdmissionPeriod::Weekday { second_of_week: 75 * HOUR, duration: second },
                "Invalid WeekdayPeriod duration: WeekdayPeriod(Thursday 03:00, -1s)",
            ),
            (
                AdmissionPeriod::Weekday { second_of_week: 75 * HOUR + 1, duration: Duration::from_secs(604_801) },
                "Invalid WeekdayPeriod duration: WeekdayPeriod(Thursday 03:00:01, 604801s)",
            ),
            (
                AdmissionPeriod::MonthlyDate { second_of_month: 75 * HOUR, duration: second },
                "Duration must be positive: MonthlyDatePeriod(4th of month, 03:00, -1s)",
            ),
            (
                AdmissionPeriod::MonthlyLastDate { last_second_of_month: -HOUR, duration: second },
                "Duration must be positive: MonthlyLastDatePeriod(last day of month, 23:00, -1s)",
            ),
            (
                AdmissionPeriod::MonthlyLastDate { last_second_of_month: -25 * HOUR, duration: second },
                "Duration must be positive: MonthlyLastDatePeriod(2nd last day of month, 23:00, -1s)",
            ),
            (
                AdmissionPeriod::MonthlyWeekday { second_of_weeks: 243 * HOUR, duration: second },
                "Duration must be positive: MonthlyWeekdayPeriod(2nd Thursday 03:00, -1s)",
            ),
            (
                AdmissionPeriod::MonthlyLastWeekday { second_of_weeks: -237 * HOUR, duration: second },
                "Duration must be positive: MonthlyLastWeekdayPeriod(2nd last Friday 03:00, -1s)",
            ),
            (
                AdmissionPeriod::SpecificDate { seconds_since_local_epoch: 0, duration: second },
                "Duration must be positive: SpecificDatePeriod(1970-01-01T00:00:00, -1s)",
            ),
            (
                AdmissionPeriod::Daily { second_of_day: 86_400, duration: second },
                "Invalid DailyPeriod secondOfDay: DailyPeriod(second 86400, -1s)",
            ),
        ] {
            assert_eq!(message(&period), expected);
        }
    }

    #[test]
    fn starts_have_ranges() {
        let duration = Duration::from_secs(1);
        for (valid, period) in [
            (true, AdmissionPeriod::Daily { second_of_day: 86_399, duration }),
            (false, AdmissionPeriod::Daily { second_of_day: -1, duration }),
            (true, AdmissionPeriod::Weekday { second_of_week: 604_799, duration: Duration::from_days(7) }),
            (false, AdmissionPeriod::Weekday { second_of_week: 604_800, duration }),
            (true, AdmissionPeriod::MonthlyDate { second_of_month: 31 * DAY_SECONDS - 1, duration }),
            (false, AdmissionPeriod::MonthlyDate { second_of_month: 31 * DAY_SECONDS, duration }),
            (true, AdmissionPeriod::MonthlyLastDate { last_second_of_month: 1 - 28 * DAY_SECONDS, duration }),
            (false, AdmissionPeriod::MonthlyLastDate { last_second_of_month: -28 * DAY_SECONDS, duration }),
            (false, AdmissionPeriod::MonthlyLastDate { last_second_of_month: 0, duration }),
            (true, AdmissionPeriod::MonthlyWeekday { second_of_weeks: 4 * WEEK_SECONDS - 1, duration }),
            (false, AdmissionPeriod::MonthlyWeekday { second_of_weeks: 4 * WEEK_SECONDS, duration }),
            (true, AdmissionPeriod::MonthlyLastWeekday { second_of_weeks: -1, duration }),
            (false, AdmissionPeriod::MonthlyLastWeekday { second_of_weeks: -4 * WEEK_SECONDS, duration }),
            (true, AdmissionPeriod::SpecificDate { seconds_since_local_epoch: -1, duration }),
            (false, AdmissionPeriod::SpecificDate { seconds_since_local_epoch: i64::MAX, duration }),
        ] {
            assert_eq!(period.check().is_ok(), valid, "{period}");
        }
    }

    #[test]
    fn periods_over_the_start_of_the_order_day() {
        let offset = Duration::from_secs(2 * HOUR);
        let crosses = |start: i64, hours: i64, make: fn(i64, Duration) -> AdmissionPeriod| {
            make(start, Duration::from_secs(hours * HOUR)).crosses_day_boundary(offset)
        };
        let daily = |second_of_day, duration| AdmissionPeriod::Daily { second_of_day, duration };
        assert!(!crosses(0, 2, daily));
        assert!(crosses(0, 3, daily));
        assert!(!crosses(22 * HOUR, 4, daily));
        assert!(crosses(22 * HOUR, 5, daily));
        let date = |second_of_month, duration| AdmissionPeriod::MonthlyDate { second_of_month, duration };
        assert!(!crosses(29 * DAY_SECONDS, 50, date));
        assert!(crosses(29 * DAY_SECONDS, 51, date));
        let last = |last_second_of_month, duration| AdmissionPeriod::MonthlyLastDate { last_second_of_month, duration };
        assert!(!crosses(1 - 28 * DAY_SECONDS, 3, last));
        assert!(!crosses(-2 * HOUR, 4, last));
        assert!(crosses(-2 * HOUR, 5, last));
        let weekday = |second_of_weeks, duration| AdmissionPeriod::MonthlyWeekday { second_of_weeks, duration };
        assert!(crosses(DAY_SECONDS, 3, weekday));
        assert!(!crosses(8 * DAY_SECONDS, 3, weekday));
        let last_weekday =
            |second_of_weeks, duration| AdmissionPeriod::MonthlyLastWeekday { second_of_weeks, duration };
        assert!(crosses(-2 * HOUR, 5, last_weekday));
        assert!(!crosses(-8 * DAY_SECONDS, 5, last_weekday));
    }
}
