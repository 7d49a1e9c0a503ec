//! Formats times with the patterns of Java's `DateTimeFormatter`, such as `yyyy-MM-dd HH:mm:ssZ`.
//!
//! Names are English, weeks are those of ISO 8601 (from Monday). Not known: `W`, `F`, `g`, `B`, `v`, `p` and localised zone names.
//! Time zones come from the bundled database, so that every node formats alike.

use crate::problem::{Checked, Problem};
use crate::schedule::TimeZone;
use crate::time::Timestamp;
use alloc::format;
use alloc::string::{String, ToString};
use jiff::Zoned;
use jiff::tz::{self, Offset};

/// Most repetitions of a pattern letter.
const MAX_REPETITION: usize = 19;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A time zone, under the name by which it was asked for.
pub(super) struct Zone {
    rules: tz::TimeZone,
    name: String,
}

impl Zone {
    pub(super) fn of(zone: &TimeZone) -> Self {
        Self { rules: zone.rules().clone(), name: zone.name().to_string() }
    }

    /// The zone of a name such as `Europe/Berlin`, `UTC`, `Z`, `+02:00` or `GMT+2`.
    pub(super) fn of_name(name: &str) -> Checked<Self> {
        let unknown = match TimeZone::get(name) {
            Ok(zone) => return Ok(Self::of(&zone)),
            Err(unknown) => unknown,
        };
        let offset = ["UTC", "GMT", "UT"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        match offset_seconds(offset).and_then(|seconds| Offset::from_seconds(seconds).ok()) {
            Some(offset) => Ok(Self { rules: tz::TimeZone::fixed(offset), name: name.to_string() }),
            None => Err(Problem::new(unknown.to_string())),
        }
    }
}

/// The offset of `Z`, `+2`, `+02`, `+02:30`, `+0230` or `+02:30:15`.
fn offset_seconds(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let rest = text.get(1..)?;
    let colons_fit = !rest.contains(':') || rest.len() <= 8 && rest.split(':').all(|part| part.len() == 2);
    let digits = if rest.len() == 1 { format!("0{rest}") } else { rest.replace(':', "") };
    if !colons_fit || !digits.bytes().all(|b| b.is_ascii_digit()) || !matches!(digits.len(), 2 | 4 | 6) {
        return None;
    }
    let part = |from: usize| digits.get(from..from + 2).map_or(Some(0), |part| part.parse::<i32>().ok());
    let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
    let in_range = hours <= 18 && minutes < 60 && seconds < 60;
    in_range.then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}

/// The text of a time.
pub(super) fn format(time: Timestamp, zone: &Zone, pattern: &str) -> Checked<String> {
    let invalid = |why: &str| {
        let shown: String = pattern.chars().take(60).collect();
        Problem::new(format!("Invalid date/time format {shown:?}: {why}"))
    };
    let time = jiff::Timestamp::from_millisecond(time.as_millis()).map_err(|_| invalid("the time is out of range"))?;
    let time = Moment { zone: &zone.name, zoned: time.to_zoned(zone.rules.clone()) };
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.next_if_eq(&'\'').is_some() => out.push('\''),
            '\'' => loop {
                match chars.next() {
                    Some('\'') if chars.next_if_eq(&'\'').is_some() => out.push('\''),
                    Some('\'') => break,
                    Some(c) => out.push(c),
                    None => return Err(invalid("the closing quote is missing")),
                }
            },
            // Optional sections are always there when a time is written.
            '[' | ']' => {}
            '{' | '}' | '#' => return Err(invalid(&format!("{c:?} is reserved"))),
            c if c.is_ascii_alphabetic() => {
                let mut count = 1;
                while chars.next_if_eq(&c).is_some() {
                    count += 1;
                }
                if count > MAX_REPETITION {
                    return Err(invalid(&format!("too many letters {c}")));
                }
                let text = time
                    .field(c, count)
                    .ok_or_else(|| invalid(&format!("{} is not supported", c.to_string().repeat(count))))?;
                out.push_str(&text);
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

struct Moment<'a> {
    zone: &'a str,
    zoned: Zoned,
}

impl Moment<'_> {
    /// The text for so many letters; `None` when there is no such field.
    fn field(&self, letter: char, count: usize) -> Option<String> {
        let t = &self.zoned;
        let weekday = t.weekday().to_monday_one_offset();
        let quarter = i64::from((t.month() - 1) / 3 + 1);
        let hour = i64::from(t.hour());
        let nano_of_second = i64::from(t.subsec_nanosecond());
        let nano_of_day =
            ((hour * 60 + i64::from(t.minute())) * 60 + i64::from(t.second())) * 1_000_000_000 + nano_of_second;
        Some(match letter {
            'G' => short_or_full(
                count,
                if t.year() > 0 { "AD" } else { "BC" },
                if t.year() > 0 { "Anno Domini" } else { "Before Christ" },
            )?,
            'u' => year(t.year().into(), count),
            'y' => year(if t.year() > 0 { t.year().into() } else { 1 - i64::from(t.year()) }, count),
            'Y' => year(t.date().iso_week_date().year().into(), count),
            'M' | 'L' => name_or_number(count, t.month().into(), MONTHS[usize::try_from(t.month() - 1).ok()?])?,
            'd' if count <= 2 => number(t.day().into(), count),
            'D' if count <= 3 => number(t.day_of_year().into(), count),
            'Q' | 'q' => match count {
                1 | 2 => number(quarter, count),
                3 => format!("Q{quarter}"),
                4 => format!("{} quarter", ["1st", "2nd", "3rd", "4th"][usize::try_from(quarter - 1).ok()?]),
                5 => number(quarter, 1),
                _ => return None,
            },
            'w' if count <= 2 => number(t.date().iso_week_date().week().into(), count),
            'E' => name(count.max(3), WEEKDAYS[usize::try_from(weekday - 1).ok()?])?,
            'e' | 'c' => name_or_number(count, weekday.into(), WEEKDAYS[usize::try_from(weekday - 1).ok()?])?,
            'a' if count == 1 => if hour < 12 { "AM" } else { "PM" }.to_string(),
            'H' if count <= 2 => number(hour, count),
            'k' if count <= 2 => number(if hour == 0 { 24 } else { hour }, count),
            'K' if count <= 2 => number(hour % 12, count),
            'h' if count <= 2 => number(if hour % 12 == 0 { 12 } else { hour % 12 }, count),
            'm' if count <= 2 => number(t.minute().into(), count),
            's' if count <= 2 => number(t.second().into(), count),
            'S' if count <= 9 => format!("{nano_of_second:09}")[..count].to_string(),
            'n' => number(nano_of_second, count),
            'N' => number(nano_of_day, count),
            'A' => number(nano_of_day / 1_000_000, count),
            'V' if count == 2 => self.zone.to_string(),
            'z' if count <= 3 => t.time_zone().to_offset_info(t.timestamp()).abbreviation().to_string(),
            'Z' if count <= 3 => self.offset("+0000", false),
            'Z' | 'O' if count == 4 => self.localised_offset(true),
            'Z' if count == 5 => self.offset("Z", true),
            'O' if count == 1 => self.localised_offset(false),
            'X' if count <= 5 => self.iso_offset("Z", count),
            'x' if count <= 5 => self.iso_offset(["+00", "+0000", "+00:00", "+0000", "+00:00"][count - 1], count),
            _ => return None,
        })
    }

    /// Sign, hours, minutes and seconds.
    fn offset_parts(&self) -> (char, i32, i32, i32) {
        let seconds = self.zoned.offset().seconds();
        let sign = if seconds < 0 { '-' } else { '+' };
        let seconds = seconds.abs();
        (sign, seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// Hours and minutes, seconds if there are any.
    fn offset(&self, zero: &str, colon: bool) -> String {
        let (sign, hours, minutes, seconds) = self.offset_parts();
        let colon = if colon { ":" } else { "" };
        match (hours, minutes, seconds) {
            (0, 0, 0) => zero.to_string(),
            (_, _, 0) => format!("{sign}{hours:02}{colon}{minutes:02}"),
            _ => format!("{sign}{hours:02}{colon}{minutes:02}{colon}{seconds:02}"),
        }
    }

    /// `X` and `x`: one letter for hours, two and three for minutes, four and five for seconds; odd ones have colons.
    fn iso_offset(&self, zero: &str, count: usize) -> String {
        let (sign, hours, minutes, seconds) = self.offset_parts();
        if (hours, minutes, seconds) == (0, 0, 0) {
            return zero.to_string();
        }
        match count {
            1 if minutes == 0 => format!("{sign}{hours:02}"),
            1 | 2 => format!("{sign}{hours:02}{minutes:02}"),
            3 => format!("{sign}{hours:02}:{minutes:02}"),
            _ => self.offset(zero, count == 5),
        }
    }

    fn localised_offset(&self, full: bool) -> String {
        let (sign, hours, minutes, seconds) = self.offset_parts();
        let more = if seconds == 0 { String::new() } else { format!(":{seconds:02}") };
        match (hours, minutes, seconds) {
            (0, 0, 0) => "GMT".to_string(),
            _ if full => format!("GMT{sign}{hours:02}:{minutes:02}{more}"),
            (_, 0, 0) => format!("GMT{sign}{hours}"),
            _ => format!("GMT{sign}{hours}:{minutes:02}{more}"),
        }
    }
}

fn number(value: i64, width: usize) -> String {
    format!("{value:0width$}")
}

/// Two letters mean the last two digits.
fn year(year: i64, count: usize) -> String {
    match count {
        2 => format!("{:02}", year.rem_euclid(100)),
        _ if year < 0 => format!("-{}", number(-year, count)),
        _ => number(year, count),
    }
}

/// Three letters mean the short name, four the full one, five the first letter.
fn name(count: usize, full: &str) -> Option<String> {
    match count {
        3 => Some(full[..3].to_string()),
        4 => Some(full.to_string()),
        5 => Some(full[..1].to_string()),
        _ => None,
    }
}

fn name_or_number(count: usize, value: i64, full: &str) -> Option<String> {
    if count <= 2 { Some(number(value, count)) } else { name(count, full) }
}

fn short_or_full(count: usize, short: &str, full: &str) -> Option<String> {
    match count {
        1..=3 => Some(short.to_string()),
        4 => Some(full.to_string()),
        5 => Some(full[..1].to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2021-06-17 12:34:56.789 UTC, a Thursday.
    const TIME: Timestamp = Timestamp::from_millis(1_623_933_296_789);

    fn text(zone: &str, pattern: &str) -> Checked<String> {
        format(TIME, &Zone::of_name(zone)?, pattern)
    }

    #[test]
    fn formats() {
        for (pattern, expected) in [
            ("yyyy-MM-dd HH:mm:ssZ", "2021-06-17 15:34:56+0300"),
            ("yy uu y M d H", "21 21 2021 6 17 15"),
            ("MMM MMMM MMMMM E EEEE e", "Jun June J Thu Thursday 4"),
            ("hh:mm a, K k", "03:34 PM, 3 15"),
            ("ss.SSS SS S n A N", "56.789 78 7 789000000 56096789 56096789000000"),
            ("D DDD Q QQQ QQQQ w ww YYYY", "168 168 2 Q2 2nd quarter 24 24 2021"),
            ("X XX XXX x xxx Z ZZZZ ZZZZZ O", "+03 +0300 +03:00 +03 +03:00 +0300 GMT+03:00 +03:00 GMT+3"),
            ("VV z", "Europe/Mariehamn EEST"),
            ("'T'HH'o''clock' ''", "T15o'clock '"),
            ("G [HH]", "AD 15"),
            ("", ""),
        ] {
            assert_eq!(text("Europe/Mariehamn", pattern).unwrap(), expected, "{pattern}");
        }
        assert_eq!(text("UTC", "X XXX x Z ZZZZZ O z").unwrap(), "Z Z +00 +0000 Z GMT UTC");
        assert_eq!(text("+05:30", "HH:mm X XX VV").unwrap(), "18:04 +0530 +0530 +05:30");
        assert_eq!(text("GMT-3", "HH:mm x").unwrap(), "09:34 -03");
        assert_eq!(text("Z", "HH").unwrap(), "12");
        assert_eq!(
            format(Timestamp::from_millis(1_629_115_200_000), &Zone::of_name("Antarctica/Troll").unwrap(), "HH:mm")
                .unwrap(),
            "14:00"
        );
    }

    #[test]
    fn refuses() {
        for pattern in ["j", "'", "{", "ddd", "W", "HHH", "p", "yyyyyyyyyyyyyyyyyyyyyyyyyy", "MMMMMM"] {
            assert!(text("UTC", pattern).is_err(), "{pattern}");
        }
        for zone in ["", "Nowhere", "+", "+99", "+1:2:3:4", "+é", "/etc/passwd", "../UTC", "+00000000000"] {
            assert!(Zone::of_name(zone).is_err(), "{zone}");
        }
        assert!(format(Timestamp::MAX, &Zone::of_name("UTC").unwrap(), "y").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(time in any::<i64>(), pattern in "[a-zA-Z'\\[\\] ]{0,20}", zone in "[-+A-Z0-9:é]{0,8}") {
            let _ = Zone::of_name(&zone);
            let _ = format(Timestamp::from_millis(time % 10_000_000_000_000), &Zone::of_name("Europe/Berlin").unwrap(), &pattern);
        }
    }
}
