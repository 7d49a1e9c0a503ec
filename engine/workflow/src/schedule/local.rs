//! Local time as a plain count, and its days and months.
//!
//! Relies on `jiff` for the calendar. Fails only beyond the years ±9999, then there is no such time.

use jiff::civil::Date;
use jiff::tz::Offset;

/// A day of local time, which always has 24 hours, in milliseconds.
pub(super) const DAY: i64 = 86_400_000;
/// In seconds.
pub(super) const DAY_SECONDS: i64 = 86_400;
/// In seconds.
pub(super) const WEEK_SECONDS: i64 = 7 * DAY_SECONDS;

/// What the clocks of a time zone show: milliseconds since 1970-01-01T00:00 local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LocalTime(pub(super) i64);

impl LocalTime {
    /// This many seconds after the start of a day. `None` beyond the calendar.
    pub(super) fn at_day(epoch_day: i64, seconds: i64) -> Option<Self> {
        let millis = epoch_day.checked_mul(DAY)?.checked_add(seconds.checked_mul(1000)?)?;
        // The calendar's limits are those of the civil time.
        jiff::Timestamp::from_millisecond(millis).ok().map(|_| Self(millis))
    }

    pub(super) fn at_date(date: Date) -> Option<Self> {
        Self::at_day(epoch_day(date)?, 0)
    }

    /// Days since 1970-01-01.
    pub(super) fn epoch_day(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// The number of the month, see [`month_start`].
    pub(super) fn month(self) -> i64 {
        let date = civil(self).date();
        i64::from(date.year()) * 12 + i64::from(date.month()) - 1
    }
}

/// The date and time a clock shows. Saturates at the limits of the calendar.
pub(super) fn civil(local: LocalTime) -> jiff::civil::DateTime {
    Offset::UTC.to_datetime(saturated(local.0))
}

/// The time which this clock shows in UTC.
pub(super) fn saturated(millis: i64) -> jiff::Timestamp {
    let limit = if millis < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(millis).unwrap_or(limit)
}

/// Days since 1970-01-01.
pub(super) fn epoch_day(date: Date) -> Option<i64> {
    let midnight = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    Some(midnight.as_second().div_euclid(DAY_SECONDS))
}

/// The day on which a month starts, months being numbered from January of year 0.
pub(super) fn month_start(month: i64) -> Option<i64> {
    let year = i16::try_from(month.div_euclid(12)).ok()?;
    let month_of_year = i8::try_from(month.rem_euclid(12) + 1).ok()?;
    epoch_day(Date::new(year, month_of_year, 1).ok()?)
}

/// January is 1.
pub(super) fn month_of_year(month: i64) -> u8 {
    (month.rem_euclid(12) + 1) as u8
}

/// Monday is 0.
pub(super) fn weekday(epoch_day: i64) -> i64 {
    // 1970-01-01 was a Thursday.
    (epoch_day + 3).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn days_and_months() {
        for (d, days) in
            [(date(1970, 1, 1), 0), (date(1969, 12, 31), -1), (date(2000, 2, 29), 11016), (date(2100, 3, 1), 47541)]
        {
            assert_eq!(epoch_day(d), Some(days));
            assert_eq!(weekday(days), i64::from(d.weekday().to_monday_zero_offset()));
            assert_eq!(civil(LocalTime::at_date(d).unwrap()).date(), d);
            let month = LocalTime(days * DAY + 1).month();
            assert_eq!(month_start(month), epoch_day(d.first_of_month()));
            assert_eq!(month_of_year(month), d.month() as u8);
        }
        assert_eq!(month_start(12 * 10_000), None);
        assert_eq!(month_start(i64::MAX), None);
        assert_eq!(LocalTime::at_day(i64::MAX, 0), None);
        assert_eq!(LocalTime::at_day(0, i64::MAX), None);
    }
}
