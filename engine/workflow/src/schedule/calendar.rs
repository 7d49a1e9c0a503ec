//! Which time is the day, or the week, of an order: read from its id.
//!
//! The order id must match the calendar's pattern as a whole, and the pattern's only group must be a date. Patterns are those of
//! the expression language, which are bounded in time and memory.

use super::Date;
use super::date_pattern::DatePattern;
use super::interval::Interval;
use super::local::LocalTime;
use super::zone::TimeZone;
use crate::expression::pattern::Pattern;
use crate::problem::{Checked, Problem};
use crate::time::Duration;
use alloc::format;
use alloc::sync::Arc;
use serde::{Deserialize, Serialize};

/// The rules of a calendar, as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// How long after midnight the day starts: less than a day, or if the pattern is one of weeks, less than seven days.
    pub date_offset: Duration,
    /// A regular expression with exactly one group, which contains the date.
    pub order_id_pattern: Arc<str>,
    /// How the date is written, such as `yyyy-MM-dd` for days or `YYYY-'W'ww` for ISO weeks.
    pub period_date_pattern: Arc<str>,
}

/// The compiled rules of a calendar. Making one costs far more than using it.
#[derive(Clone, Debug)]
pub struct OrderDays {
    calendar: Calendar,
    order_id: Pattern,
    date: DatePattern,
}

impl Calendar {
    /// Checks and compiles the rules.
    ///
    /// # Errors
    /// Says which pattern is invalid, or that the offset is.
    pub fn compile(&self) -> Checked<OrderDays> {
        let pattern = &*self.order_id_pattern;
        let order_id = Pattern::new(self.order_id_pattern.clone());
        let groups = order_id
            .group_count()
            .map_err(|problem| Problem::new(format!("Invalid orderIdPattern '{pattern}': {problem}")))?;
        if groups != 1 {
            return Err(Problem::new(format!(
                "Invalid orderIdPattern '{pattern}': exactly one group is expected, for the date, but there are {groups}"
            )));
        }
        let date = DatePattern::parse(&self.period_date_pattern).map_err(|error| {
            Problem::new(format!("Invalid periodDatePattern '{}': {error}", self.period_date_pattern))
        })?;
        let longest = Duration::from_days(if date.weekly { 7 } else { 1 });
        if self.date_offset < Duration::ZERO || self.date_offset >= longest {
            return Err(Problem::new("Invalid dateOffset"));
        }
        Ok(OrderDays { calendar: self.clone(), order_id, date })
    }
}

impl OrderDays {
    /// The rules.
    #[must_use]
    pub const fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The day, or the week, of an order, in this time zone. It starts `date_offset` after midnight and ends where the next one
    /// starts, so the day on which clocks are set has 23 or 25 hours. The name of the calendar is for the messages.
    ///
    /// # Errors
    /// When the order id does not match the calendar's pattern, matching is too expensive, or the id contains no date written
    /// like the calendar's.
    pub fn order_day(&self, calendar: &str, order_id: &str, zone: &TimeZone) -> Checked<Interval> {
        let groups = self.order_id.groups(order_id)?;
        let group = groups.and_then(|groups| groups.get(1).copied().flatten());
        let Some(group) = group else {
            return Err(Problem::new(format!(
                "Order:{order_id} does match the pattern defined in Calendar:{calendar}"
            )));
        };
        let days = if self.date.weekly { 7 } else { 1 };
        self.date.read(group).and_then(|date| self.interval(date, days, zone)).ok_or_else(|| {
            Problem::new(format!(
                "Order:{order_id}: '{}' is no date written like '{}' in Calendar:{calendar}",
                group, self.calendar.period_date_pattern
            ))
        })
    }

    fn interval(&self, date: Date, days: i64, zone: &TimeZone) -> Option<Interval> {
        let LocalTime(midnight) = LocalTime::at_date(date)?;
        let start = LocalTime(midnight + self.calendar.date_offset.as_millis());
        let end = LocalTime(start.0 + days * super::local::DAY);
        Some(Interval { start: zone.instant(start), end: zone.instant(end) })
    }
}

/// The date of an order id like `#2021-03-01#…`, which decides about skipping a job without admission on that day. `None` if there
/// is none, or no such day.
#[must_use]
pub fn date_of_order_id(order_id: &str) -> Option<Date> {
    let (date, _) = order_id.strip_prefix('#')?.split_once('#')?;
    let shape = |(i, b): (usize, u8)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() };
    if date.len() != 10 || !date.bytes().enumerate().all(shape) {
        return None;
    }
    Date::new(date[..4].parse().ok()?, date[5..7].parse().ok()?, date[8..].parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    fn calendar(date_offset: i64, order_id_pattern: &str, period_date_pattern: &str) -> Calendar {
        Calendar {
            date_offset: Duration::from_secs(date_offset),
            order_id_pattern: order_id_pattern.into(),
            period_date_pattern: period_date_pattern.into(),
        }
    }

    fn day(calendar: &Calendar, order_id: &str, zone: &str) -> String {
        match calendar.compile().unwrap().order_day("CAL", order_id, &TimeZone::get(zone).unwrap()) {
            Ok(Interval { start, end }) => format!("{start} {end}"),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn the_day_of_an_order() {
        let calendar = calendar(21_600, "#([^#]+)#.*", "yyyy-MM-dd");
        for (order_id, expected) in [
            ("x", "Order:x does match the pattern defined in Calendar:CAL"),
            ("P#2021-10-01#", "Order:P#2021-10-01# does match the pattern defined in Calendar:CAL"),
            ("#2021-10-1#", "Order:#2021-10-1#: '2021-10-1' is no date written like 'yyyy-MM-dd' in Calendar:CAL"),
            ("#2021-10-01#A", "2021-10-01T03:00:00Z 2021-10-02T03:00:00Z"),
            ("#2021-03-27#A", "2021-03-27T04:00:00Z 2021-03-28T03:00:00Z"),
            ("#2021-10-30#A|child", "2021-10-30T03:00:00Z 2021-10-31T04:00:00Z"),
        ] {
            assert_eq!(day(&calendar, order_id, "Europe/Mariehamn"), expected);
        }
    }

    #[test]
    fn the_week_of_an_order() {
        let calendar = calendar(86_400, "(\\d{4}-W\\d\\d)/.*", "YYYY-'W'ww");
        assert_eq!(day(&calendar, "2021-W12/x", "Europe/Berlin"), "2021-03-22T23:00:00Z 2021-03-29T22:00:00Z");
    }

    #[test]
    fn invalid_calendars_are_rejected() {
        let message = |calendar: Calendar| calendar.compile().unwrap_err().to_string();
        assert_eq!(message(calendar(86_400, "(.*)", "yyyyMMdd")), "Invalid dateOffset");
        assert_eq!(message(calendar(-1, "(.*)", "yyyyMMdd")), "Invalid dateOffset");
        assert_eq!(message(calendar(604_800, "(.*)", "YYYYww")), "Invalid dateOffset");
        assert!(calendar(604_799, "(.*)", "YYYYww").compile().is_ok());
        assert!(message(calendar(0, "(", "yyyyMMdd")).starts_with("Invalid orderIdPattern '(':"));
        assert!(message(calendar(0, "a)(b)|(c", "yyyyMMdd")).starts_with("Invalid orderIdPattern"));
        assert!(message(calendar(0, ".*", "yyyyMMdd")).contains("exactly one group"));
        assert!(message(calendar(0, "(.)(.)", "yyyyMMdd")).contains("exactly one group"));
        assert!(message(calendar(0, "(.*)", "yyyy")).starts_with("Invalid periodDatePattern 'yyyy':"));
    }

    #[test]
    fn the_whole_order_id_must_match() {
        let calendar = calendar(0, "a|(\\d{8})|b", "yyyyMMdd");
        assert_eq!(day(&calendar, "20211001", "UTC"), "2021-10-01T00:00:00Z 2021-10-02T00:00:00Z");
        for order_id in ["20211001x", "x20211001", "20211001\n", "a", ""] {
            assert!(day(&calendar, order_id, "UTC").contains("does match the pattern"), "{order_id:?}");
        }
    }

    #[test]
    fn expensive_patterns_are_bounded() {
        let calendar = calendar(0, r"(?:a|a)*(?!b)(?:a|a)*(a)\1b", "yyyyMMdd");
        assert!(day(&calendar, &"a".repeat(5000), "UTC").contains("too expensive"));
    }

    #[test]
    fn dates_of_order_ids() {
        assert_eq!(date_of_order_id("#2021-03-01#x").map(|d| d.to_string()), Some("2021-03-01".into()));
        assert!(date_of_order_id("#2021-03-01#").is_some());
        for order_id in
            ["", "#2021-03-01", "2021-03-01#", "#2021-02-29#", "#2021-3-01#", "#2021-03-0é#", "x#2021-03-01#"]
        {
            assert_eq!(date_of_order_id(order_id), None, "{order_id}");
        }
    }
}
