//! Dates within texts, by a pattern of letters such as `yyyy-MM-dd` or `YYYY-'W'ww`.
//!
//! Understands the numeric letters of Java's date patterns: `y`, `u` (year), `M`, `L` (month), `d` (day of month), `D` (day of
//! year), `Y` (year of ISO weeks), `w` (ISO week), and, to be read over, `H`, `m`, `s`. A pattern must determine a date, or a week.

use super::Date;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;
use core::str::Chars;
use jiff::civil::{ISOWeekDate, Weekday};

/// Longest accepted pattern, in bytes.
const LONGEST_PATTERN: usize = 200;
/// Years have at most four digits.
const YEAR_DIGITS: usize = 4;

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DatePattern {
    items: Vec<Item>,
    /// Whether it determines a week and not a day.
    pub(super) weekly: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(char),
    /// A number of at least and at most this many digits.
    Number(Field, usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    YearOfCentury,
    Month,
    DayOfMonth,
    DayOfYear,
    WeekYear,
    WeekYearOfCentury,
    Week,
    /// Time of day, of no importance.
    Other,
}

/// The numbers found.
#[derive(Default)]
struct Found {
    year: Option<i16>,
    month: Option<i16>,
    day_of_month: Option<i16>,
    day_of_year: Option<i16>,
    week_year: Option<i16>,
    week: Option<i16>,
}

impl DatePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        if pattern.len() > LONGEST_PATTERN {
            return Err(format!("longer than {LONGEST_PATTERN} bytes"));
        }
        let mut items = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\'' => quoted(&mut chars, &mut items)?,
                'a'..='z' | 'A'..='Z' => {
                    let mut count = 1;
                    while chars.next_if_eq(&c).is_some() {
                        count += 1;
                    }
                    items.push(number(c, count)?);
                }
                '[' | ']' | '{' | '}' | '#' => return Err(format!("'{c}' must be quoted")),
                _ => items.push(Item::Literal(c)),
            }
        }
        leave_digits_to_followers(&mut items);
        let has = |fields: &[Field]| items.iter().any(|item| matches!(item, Item::Number(f, ..) if fields.contains(f)));
        let daily = has(&[Field::Year, Field::YearOfCentury])
            && (has(&[Field::Month]) && has(&[Field::DayOfMonth]) || has(&[Field::DayOfYear]));
        let weekly = has(&[Field::WeekYear, Field::WeekYearOfCentury]) && has(&[Field::Week]);
        if daily == weekly {
            return Err(
                "it must contain either year, month and day (like yyyy-MM-dd) or ISO year and week (like YYYY-'W'ww)"
                    .into(),
            );
        }
        Ok(Self { items, weekly })
    }

    /// The date written in the text, or the Monday of the week written there. `None` if it is not written so.
    pub(super) fn read(&self, text: &str) -> Option<Date> {
        let mut found = Found::default();
        let mut rest = text;
        for item in &self.items {
            match item {
                Item::Literal(c) => rest = rest.strip_prefix(*c)?,
                Item::Number(field, least, most) => {
                    let digits = rest.bytes().take(*most).take_while(u8::is_ascii_digit).count();
                    if digits < *least {
                        return None;
                    }
                    let (number, after) = rest.split_at(digits);
                    rest = after;
                    found.set(*field, number.parse().ok()?)?;
                }
            }
        }
        if !rest.is_empty() {
            return None;
        }
        found.date()
    }
}

impl Found {
    /// `None` if the field has got another value before.
    fn set(&mut self, field: Field, value: i16) -> Option<()> {
        let (slot, value) = match field {
            Field::Year => (&mut self.year, value),
            Field::YearOfCentury => (&mut self.year, 2000 + value),
            Field::Month => (&mut self.month, value),
            Field::DayOfMonth => (&mut self.day_of_month, value),
            Field::DayOfYear => (&mut self.day_of_year, value),
            Field::WeekYear => (&mut self.week_year, value),
            Field::WeekYearOfCentury => (&mut self.week_year, 2000 + value),
            Field::Week => (&mut self.week, value),
            Field::Other => return Some(()),
        };
        match slot.replace(value) {
            Some(other) if other != value => None,
            Some(_) | None => Some(()),
        }
    }

    fn date(&self) -> Option<Date> {
        if let (Some(year), Some(week)) = (self.week_year, self.week) {
            return Some(ISOWeekDate::new(year, i8::try_from(week).ok()?, Weekday::Monday).ok()?.date());
        }
        let year = self.year?;
        let date = match (self.month, self.day_of_month) {
            (Some(month), Some(day)) => Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?,
            _ => Date::new(year, 1, 1).ok()?.with().day_of_year(self.day_of_year?).build().ok()?,
        };
        (self.month.is_none_or(|m| m == i16::from(date.month()))
            && self.day_of_year.is_none_or(|d| d == date.day_of_year()))
        .then_some(date)
    }
}

fn quoted(chars: &mut Peekable<Chars<'_>>, items: &mut Vec<Item>) -> Result<(), String> {
    if chars.next_if_eq(&'\'').is_some() {
        items.push(Item::Literal('\''));
        return Ok(());
    }
    loop {
        match chars.next() {
            Some('\'') if chars.next_if_eq(&'\'').is_none() => return Ok(()),
            Some(c) => items.push(Item::Literal(c)),
            None => return Err("a quote is not closed".into()),
        }
    }
}

fn number(letter: char, count: usize) -> Result<Item, String> {
    let (two_digit, field) = match letter {
        'y' | 'u' => (Field::YearOfCentury, Field::Year),
        'Y' => (Field::WeekYearOfCentury, Field::WeekYear),
        'M' | 'L' => (Field::Month, Field::Month),
        'd' => (Field::DayOfMonth, Field::DayOfMonth),
        'D' => (Field::DayOfYear, Field::DayOfYear),
        'w' => (Field::Week, Field::Week),
        'H' | 'm' | 's' => (Field::Other, Field::Other),
        _ => return Err(format!("the letter {letter} is not understood; other text must be quoted")),
    };
    let widest = match field {
        Field::Year | Field::WeekYear => YEAR_DIGITS,
        Field::DayOfYear => 3,
        _ => 2,
    };
    match count {
        2 if widest == YEAR_DIGITS => Ok(Item::Number(two_digit, 2, 2)),
        _ if count > widest => Err(format!("too many letters {letter}")),
        // A single letter stands for a number without leading zeros, several for so many digits.
        1 => Ok(Item::Number(field, 1, widest)),
        _ => Ok(Item::Number(field, count, if widest == YEAR_DIGITS { widest } else { count })),
    }
}

/// A number of variable width which is followed by other numbers without something between takes the digits which these leave.
fn leave_digits_to_followers(items: &mut [Item]) {
    for i in 1..items.len() {
        let (before, after) = items.split_at_mut(i);
        if let (Some(Item::Number(_, least, most)), Some(Item::Number(..))) = (before.last_mut(), after.first())
            && *most < YEAR_DIGITS
        {
            *most = *least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn read(pattern: &str, text: &str) -> String {
        DatePattern::parse(pattern).unwrap().read(text).map_or("none".into(), |date| date.to_string())
    }

    #[test]
    fn days() {
        for (pattern, text, date) in [
            ("yyyy-MM-dd", "2021-10-01", "2021-10-01"),
            ("yyyy-MM-dd", "2021-10-1", "none"),
            ("yyyy-MM-dd", "2021-10-011", "none"),
            ("yyyy-MM-dd", "2021-10-01x", "none"),
            ("yyyy-MM-dd", "", "none"),
            ("yyyy-MM-dd", "2021-02-29", "none"),
            ("yyyy-MM-dd", "2024-02-29", "2024-02-29"),
            ("yyyy-MM-dd", "٢٠٢١-10-01", "none"),
            ("uuuu-M-d", "2021-3-12", "2021-03-12"),
            ("yyyyMMdd", "20211001", "2021-10-01"),
            ("yyMMdd", "211001", "2021-10-01"),
            ("yyyy-Mdd", "2021-310", "2021-03-10"),
            ("dd.MM.yyyy", "24.12.2030", "2030-12-24"),
            ("yyyy-DDD", "2024-366", "2024-12-31"),
            ("yyyy-DDD", "2023-366", "none"),
            ("'day' yyyy''MM''dd HH:mm", "day 2021'10'01 23:59", "2021-10-01"),
        ] {
            assert_eq!(read(pattern, text), date, "{pattern} {text}");
        }
    }

    #[test]
    fn weeks() {
        for (pattern, text, date) in [
            ("YYYY-'W'ww", "2021-W01", "2021-01-04"),
            ("YYYY-'W'ww", "2020-W53", "2020-12-28"),
            ("YYYY-'W'ww", "2021-W53", "none"),
            ("YYYY-'W'ww", "2021-W00", "none"),
            ("YYYY/w", "2021/7", "2021-02-15"),
            ("YYYYww", "202107", "2021-02-15"),
        ] {
            assert_eq!(read(pattern, text), date, "{pattern} {text}");
            assert!(DatePattern::parse(pattern).unwrap().weekly);
        }
    }

    #[test]
    fn patterns_which_determine_no_day_and_no_week_are_rejected() {
        for pattern in [
            "",
            "yyyy",
            "yyyy-MM",
            "YYYY-MM-dd",
            "ww",
            "yyyy-MM-dd 'x",
            "yyyy-MMM-dd",
            "yyyyy-MM-dd",
            "yyyy-MM-dd['Z']",
            "QQ",
        ] {
            assert!(DatePattern::parse(pattern).is_err(), "{pattern}");
        }
        assert!(DatePattern::parse(&"'x".repeat(1000)).is_err());
    }
}
