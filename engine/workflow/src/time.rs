//! Points in time and lengths of time, as values.
//!
//! The engine never asks a clock: every time comes in as a [`Timestamp`]. Arithmetic saturates, so that no time or
//! duration in a document, however absurd, can make the engine fail. Only the conversions from text can.

use alloc::string::String;
use core::fmt::{self, Write as _};
use core::ops::{Add, Sub};
use core::str::FromStr;
use serde::{Deserialize, Serialize};

const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A point in time: milliseconds since 1970-01-01T00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(i64);

/// A length of time in nanoseconds, possibly negative, up to 292 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Duration(i64);

/// Why a text is no point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTimestamp {
    text: String,
}

/// Why a text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDuration {
    text: String,
}

impl Timestamp {
    /// 1970-01-01T00:00Z.
    pub const EPOCH: Self = Self(0);
    /// Before everything.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything.
    pub const MAX: Self = Self(i64::MAX);

    /// This many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    /// Parts of a millisecond are cut off; saturates.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_millis()))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    /// Parts of a millisecond are cut off; saturates.
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_millis()))
    }
}

impl Sub for Timestamp {
    type Output = Duration;
    /// The time from `other` until this; saturates.
    fn sub(self, other: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(other.0))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads ISO-8601 with `Z` or an offset. Parts of a millisecond are cut off.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        match text.parse::<jiff::Timestamp>() {
            Ok(t) => Ok(Self(t.as_nanosecond().div_euclid(i128::from(NANOS_PER_MILLI)) as i64)),
            Err(_) => Err(InvalidTimestamp::new(text)),
        }
    }
}

impl fmt::Display for Timestamp {
    /// ISO-8601 in UTC, with milliseconds when there are any. Beyond the years ±9999: the milliseconds since the epoch.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) if self.0 % 1000 == 0 => write!(f, "{t:.0}"),
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Duration {
    /// No time.
    pub const ZERO: Self = Self(0);
    /// The longest one.
    pub const MAX: Self = Self(i64::MAX);

    /// This many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// This many milliseconds; saturates.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// This many seconds; saturates.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// This many days of 24 hours; saturates.
    #[must_use]
    pub const fn from_days(days: i64) -> Self {
        Self::from_secs(days.saturating_mul(86_400))
    }

    /// Nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MILLI)
    }

    /// Whole milliseconds, rounded up.
    #[must_use]
    pub const fn as_millis_rounded_up(self) -> i64 {
        -(self.0.saturating_neg().div_euclid(NANOS_PER_MILLI))
    }

    /// Whether this is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether this is less than zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Reads decimal seconds such as `1.5`, `-3` or `2e-3`, as JSON writes numbers.
    ///
    /// # Errors
    /// When the text is no number, is finer than a nanosecond, or exceeds 292 years.
    pub fn parse_seconds(text: &str) -> Result<Self, InvalidDuration> {
        parse_scaled(text, 9).map(Self).ok_or_else(|| InvalidDuration { text: text.into() })
    }

    /// Decimal seconds without superfluous zeros, such as `1.5`; the exact inverse of [`Self::parse_seconds`].
    #[must_use]
    pub fn to_seconds(self) -> String {
        let mut text = String::new();
        if self.0 < 0 {
            text.push('-');
        }
        let nanos = self.0.unsigned_abs();
        let (whole, fraction) = (nanos / NANOS_PER_SECOND.unsigned_abs(), nanos % NANOS_PER_SECOND.unsigned_abs());
        // Writing into a String cannot fail.
        let _ = write!(text, "{whole}");
        if fraction != 0 {
            let _ = write!(text, ".{fraction:09}");
            text.truncate(text.trim_end_matches('0').len());
        }
        text
    }
}

impl Add for Duration {
    type Output = Self;
    /// Saturates.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Duration {
    type Output = Self;
    /// Saturates.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Duration {
    /// Seconds, such as `90s` or `0.5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.to_seconds())
    }
}

/// A JSON number times ten to the power of `digits`, if that is an integer and fits.
fn parse_scaled(text: &str, digits: i32) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    if whole.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    // How many decimal places `value` still has to be shifted to the left.
    let mut shift = digits.checked_add(exponent)?;
    for (i, c) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = c.to_digit(10)?;
        if i >= whole.len() {
            shift = shift.checked_sub(1)?;
        }
        // More digits than any valid duration has: only zeros may follow, which a larger shift stands for.
        if value > i128::from(i64::MAX) {
            if digit != 0 {
                return None;
            }
            shift = shift.checked_add(1)?;
        } else {
            value = value * 10 + i128::from(digit);
        }
    }
    while value != 0 && shift != 0 {
        if shift > 0 {
            value *= 10;
            shift -= 1;
        } else {
            if value % 10 != 0 {
                return None;
            }
            value /= 10;
            shift += 1;
        }
        if value > 10 * i128::from(i64::MAX) && shift >= 0 {
            return None;
        }
    }
    i64::try_from(if negative { -value } else { value }).ok()
}

impl InvalidTimestamp {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into() }
    }
}

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Not a point in time like 2021-03-01T12:00:00Z: {}", self.text)
    }
}

impl core::error::Error for InvalidTimestamp {}

impl fmt::Display for InvalidDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Not a number of seconds within 292 years and not finer than a nanosecond: {}", self.text)
    }
}

impl core::error::Error for InvalidDuration {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn timestamps_are_read_and_printed() {
        for (text, millis, printed) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("2021-03-01T12:00:00.5Z", 1_614_600_000_500, "2021-03-01T12:00:00.500Z"),
            ("2021-03-01T14:00:00+02:00", 1_614_600_000_000, "2021-03-01T12:00:00Z"),
            ("2021-03-01T12:00:00.123999Z", 1_614_600_000_123, "2021-03-01T12:00:00.123Z"),
            ("1969-12-31T23:59:59.9999Z", -1, "1969-12-31T23:59:59.999Z"),
        ] {
            let timestamp: Timestamp = text.parse().unwrap();
            assert_eq!(timestamp, Timestamp::from_millis(millis), "{text}");
            assert_eq!(timestamp.to_string(), printed);
        }
        for text in ["", "x", "2021-03-01", "2021-03-01T12:00:00", "2021-13-01T12:00:00Z"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        assert_eq!(Timestamp::MAX.to_string(), "9223372036854775807ms");
    }

    #[test]
    fn durations_are_exact_decimal_seconds() {
        for (text, nanos, printed) in [
            ("0", 0, "0"),
            ("-0", 0, "0"),
            ("1", NANOS_PER_SECOND, "1"),
            ("1.5", 1_500_000_000, "1.5"),
            ("-1.50", -1_500_000_000, "-1.5"),
            ("0.000000001", 1, "0.000000001"),
            ("0.0000000010", 1, "0.000000001"),
            ("1e-9", 1, "0.000000001"),
            ("3.6e3", 3600 * NANOS_PER_SECOND, "3600"),
            ("0e99999", 0, "0"),
            ("9223372036.854775807", i64::MAX, "9223372036.854775807"),
            ("-9223372036.854775808", i64::MIN, "-9223372036.854775808"),
            ("10000000000000000000000e-22", NANOS_PER_SECOND, "1"),
        ] {
            let duration = Duration::parse_seconds(text).unwrap();
            assert_eq!(duration.as_nanos(), nanos, "{text}");
            assert_eq!(duration.to_seconds(), printed);
        }
        for text in [
            "",
            "-",
            "1.",
            ".5",
            "1s",
            "+1",
            "0.0000000001",
            "9223372036.854775808",
            "1e99",
            "1e-99",
            "1e99999999999",
            "--1",
        ] {
            assert!(Duration::parse_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::from_secs(1), Timestamp::MIN);
        assert_eq!(Timestamp::MAX - Timestamp::MIN, Duration::MAX);
        assert_eq!(Timestamp::from_millis(1500) - Timestamp::from_millis(2000), Duration::from_millis(-500));
        assert_eq!(Duration::from_nanos(1).as_millis_rounded_up(), 1);
        assert_eq!(Duration::from_nanos(-1).as_millis(), -1);
        assert_eq!(Duration::from_millis(2).as_millis_rounded_up(), 2);
    }
}
