//! Time zones from the database which is built into the program, never from the machine: all nodes calculate alike.
//!
//! Holds the one place at which local time becomes a point in time, by the rule of the parent module.

use super::local::{LocalTime, civil, saturated};
use crate::time::{InvalidTimestamp, Timestamp};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use jiff::tz::TimeZoneDatabase;
use serde::{Deserialize, Serialize};

/// A time zone. Reading one by name costs some microseconds, cloning costs nothing.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZone {
    name: Arc<str>,
    rules: jiff::tz::TimeZone,
}

/// There is no such time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTimeZone {
    /// The name asked for.
    pub name: String,
    /// A name which was probably meant.
    pub suggestion: Option<String>,
}

/// A time in which the offset of a zone does not change.
pub(super) struct Span {
    /// `None`: always was so.
    pub(super) start: Option<Timestamp>,
    /// `None`: will always be so.
    pub(super) end: Option<Timestamp>,
    /// Local time is ahead of UTC by this many milliseconds.
    pub(super) offset: i64,
    /// The same, just before the span started.
    pub(super) previous_offset: i64,
}

impl TimeZone {
    /// Universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: Arc::from("UTC"), rules: jiff::tz::TimeZone::UTC }
    }

    /// The zone of this IANA name, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// When the database has no such name, written exactly so.
    pub fn get(name: &str) -> Result<Self, UnknownTimeZone> {
        if name == "UTC" {
            return Ok(Self::utc());
        }
        match TimeZoneDatabase::bundled().get(name) {
            Ok(rules) if rules.iana_name() == Some(name) => Ok(Self { name: Arc::from(name), rules }),
            // The database ignores case.
            Ok(rules) => Err(UnknownTimeZone { name: name.into(), suggestion: rules.iana_name().map(Into::into) }),
            Err(_) => Err(UnknownTimeZone { name: name.into(), suggestion: suggest(name) }),
        }
    }

    /// The IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for the time library.
    pub(crate) fn rules(&self) -> &jiff::tz::TimeZone {
        &self.rules
    }

    /// All names, in the order of the database.
    pub fn names() -> impl Iterator<Item = String> {
        let names: Vec<String> = TimeZoneDatabase::bundled().available().map(|n| n.as_str().into()).collect();
        names.into_iter()
    }

    /// Reads a local date and time without offset, such as `2021-03-01T12:00`, as a point in time.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse_local(&self, text: &str) -> Result<Timestamp, InvalidTimestamp> {
        let civil: jiff::civil::DateTime = text.parse().map_err(|_| InvalidTimestamp::new(text))?;
        let timestamp =
            self.rules.to_ambiguous_timestamp(civil).compatible().map_err(|_| InvalidTimestamp::new(text))?;
        Ok(Timestamp::from_millis(timestamp.as_millisecond()))
    }

    /// What clocks show.
    pub(super) fn local(&self, time: Timestamp) -> LocalTime {
        let offset = self.rules.to_offset(saturated(time.as_millis())).seconds();
        LocalTime(time.as_millis().saturating_add(i64::from(offset) * 1000))
    }

    /// The point in time of what clocks show. Saturates at the limits of the calendar.
    pub(super) fn instant(&self, local: LocalTime) -> Timestamp {
        match self.rules.to_ambiguous_timestamp(civil(local)).compatible() {
            Ok(t) => Timestamp::from_millis(t.as_millisecond()),
            Err(_) => Timestamp::from_millis(local.0),
        }
    }

    /// When the offset, or just the name, of the zone's time changes next after this time.
    pub(super) fn next_change(&self, time: Timestamp) -> Option<Timestamp> {
        let next = self.rules.following(saturated(time.as_millis())).next()?;
        Some(Timestamp::from_millis(next.timestamp().as_millisecond()))
    }

    /// The time around this one in which the offset does not change.
    pub(super) fn span(&self, time: Timestamp) -> Span {
        let now = saturated(time.as_millis());
        let mut start =
            self.rules.preceding(saturated(time.as_millis().saturating_add(1))).next().map(|t| t.timestamp());
        // After the last change which the database lists, jiff may answer with an earlier one, made by the rule for later years.
        while let Some(later) = self.rules.following(start.unwrap_or(jiff::Timestamp::MIN)).next()
            && later.timestamp() <= now
        {
            start = Some(later.timestamp());
        }
        let before_start = start.map_or(jiff::Timestamp::MIN, |s| saturated(s.as_millisecond().saturating_sub(1)));
        let offset = |t| i64::from(self.rules.to_offset(t).seconds()) * 1000;
        Span {
            start: start.map(|s| Timestamp::from_millis(s.as_millisecond())),
            end: self.next_change(time),
            offset: offset(now),
            previous_offset: offset(before_start),
        }
    }
}

/// The name of the fewest changes, if these are few.
fn suggest(name: &str) -> Option<String> {
    // Longer texts are no misspelt zone names, and comparing costs the product of the lengths.
    const LONGEST: usize = 40;
    if name.len() > LONGEST {
        return None;
    }
    let lower = name.to_lowercase();
    let (distance, best) = TimeZone::names()
        .map(|candidate| {
            let known = candidate.to_lowercase();
            // Often just the city is given.
            let city = known.rsplit('/').next().unwrap_or(&known);
            let distance = if city == lower { 1 } else { edit_distance(&lower, &known) };
            (distance, candidate)
        })
        .min()?;
    (distance <= 1 + name.len() / 5).then_some(best)
}

/// Number of characters to insert, to delete or to replace.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

impl PartialEq for TimeZone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TimeZone {}

impl Default for TimeZone {
    fn default() -> Self {
        Self::utc()
    }
}

impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeZone({})", self.name)
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl TryFrom<String> for TimeZone {
    type Error = UnknownTimeZone;
    fn try_from(name: String) -> Result<Self, UnknownTimeZone> {
        Self::get(&name)
    }
}

impl From<TimeZone> for String {
    fn from(zone: TimeZone) -> Self {
        (*zone.name).into()
    }
}

impl fmt::Display for UnknownTimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unknown time zone '{}'", self.name)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, ", did you mean '{suggestion}'?"),
            None => f.write_str(", an IANA name like 'Europe/Berlin' or 'UTC' is expected"),
        }
    }
}

impl core::error::Error for UnknownTimeZone {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn local(text: &str) -> LocalTime {
        LocalTime(alloc::format!("{text}Z").parse::<Timestamp>().unwrap().as_millis())
    }

    #[test]
    fn the_rule_for_daylight_saving_time() {
        let zone = TimeZone::get("Europe/Mariehamn").unwrap();
        for (at, instant) in [
            ("2021-03-28T02:59:00", "2021-03-28T00:59:00Z"),
            ("2021-03-28T03:20:00", "2021-03-28T01:20:00Z"),
            ("2021-03-28T04:00:00", "2021-03-28T01:00:00Z"),
            ("2021-10-31T02:59:00", "2021-10-30T23:59:00Z"),
            ("2021-10-31T03:30:00", "2021-10-31T00:30:00Z"),
            ("2021-10-31T04:00:00", "2021-10-31T02:00:00Z"),
        ] {
            assert_eq!(zone.instant(local(at)).to_string(), instant, "{at}");
        }
        assert_eq!(zone.local("2021-10-31T01:30:00Z".parse().unwrap()), local("2021-10-31T03:30:00"));
    }

    #[test]
    fn spans_of_equal_offset() {
        let zone = TimeZone::get("Europe/Mariehamn").unwrap();
        let change: Timestamp = "2021-03-28T01:00:00Z".parse().unwrap();
        let span = zone.span(change);
        assert_eq!(span.start, Some(change));
        assert_eq!(span.end, Some("2021-10-31T01:00:00Z".parse().unwrap()));
        assert_eq!((span.offset, span.previous_offset), (3 * 3_600_000, 2 * 3_600_000));
        assert_eq!(zone.span(Timestamp::from_millis(change.as_millis() - 1)).end, Some(change));
        let utc = TimeZone::utc().span(change);
        assert!(utc.start.is_none() && utc.end.is_none() && utc.offset == 0 && utc.previous_offset == 0);
    }

    #[test]
    fn unknown_names_are_explained() {
        let message = |name| TimeZone::get(name).unwrap_err().to_string();
        assert_eq!(message("Europe/Berln"), "Unknown time zone 'Europe/Berln', did you mean 'Europe/Berlin'?");
        assert_eq!(message("europe/berlin"), "Unknown time zone 'europe/berlin', did you mean 'Europe/Berlin'?");
        assert_eq!(message("Berlin"), "Unknown time zone 'Berlin', did you mean 'Europe/Berlin'?");
        assert_eq!(message("Mars"), "Unknown time zone 'Mars', an IANA name like 'Europe/Berlin' or 'UTC' is expected");
        assert!(TimeZone::get("").is_err());
        assert!(TimeZone::get(&"x".repeat(1_000_000)).is_err());
    }

    #[test]
    fn extreme_times_do_no_harm() {
        for name in ["UTC", "Europe/Berlin", "Pacific/Apia"] {
            let zone = TimeZone::get(name).unwrap();
            for t in [Timestamp::MIN, Timestamp::MAX, Timestamp::EPOCH] {
                let _ = zone.instant(zone.local(t));
                let _ = (zone.span(t), zone.next_change(t));
            }
        }
    }
}
