//! The points in time of a grid of local times: the same minutes of each hour, or the like.
//!
//! Works span by span of equal offset, so that a grid of a millisecond costs no more than one of a day.

use super::local::LocalTime;
use super::zone::TimeZone;
use crate::time::{Duration, Timestamp};

/// Local times `k · period + offset` for all integers k and all offsets, made points in time by the rule of the parent module.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalGrid<'a> {
    pub(super) zone: &'a TimeZone,
    pub(super) period: Duration,
    pub(super) offsets: &'a [Duration],
}

impl LocalGrid<'_> {
    /// The first of these points in time from `from` until just before `until`.
    pub(super) fn first(&self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut from = from.as_millis();
        let until = until.as_millis();
        while from < until {
            let span = self.zone.span(Timestamp::from_millis(from));
            let start = span.start.map_or(i64::MIN, Timestamp::as_millis);
            let end = span.end.map_or(i64::MAX, Timestamp::as_millis);
            // Local times which occurred before already, do not count again.
            let new = start.saturating_add(span.previous_offset.saturating_sub(span.offset).max(0));
            let regular =
                self.at_or_after(LocalTime(from.max(new).saturating_add(span.offset))).0.saturating_sub(span.offset);
            let mut first = (regular < end).then_some(regular);
            // Local times which were skipped by the clocks.
            let skipped = self.at_or_after(LocalTime(from.saturating_add(span.previous_offset))).0;
            if skipped < start.saturating_add(span.offset) {
                let shifted = skipped.saturating_sub(span.previous_offset);
                first = Some(first.map_or(shifted, |first| first.min(shifted)));
            }
            if let Some(first) = first {
                return (first < until).then(|| Timestamp::from_millis(first));
            }
            from = end;
        }
        None
    }

    /// The last of these points in time from `from` through `through`.
    pub(super) fn last(&self, from: Timestamp, through: Timestamp) -> Option<Timestamp> {
        let from = from.as_millis();
        let mut through = through.as_millis();
        while from <= through {
            let span = self.zone.span(Timestamp::from_millis(through));
            let start = span.start.map_or(i64::MIN, Timestamp::as_millis);
            let new = start.saturating_add(span.previous_offset.saturating_sub(span.offset).max(0));
            let regular =
                self.at_or_before(LocalTime(through.saturating_add(span.offset))).0.saturating_sub(span.offset);
            let mut last = (regular >= new).then_some(regular);
            let skipped_end = start.saturating_add(span.offset).saturating_sub(1);
            if span.previous_offset < span.offset && span.start.is_some() {
                let local = LocalTime(through.saturating_add(span.previous_offset).min(skipped_end));
                let shifted = self.at_or_before(local).0.saturating_sub(span.previous_offset);
                if shifted >= start {
                    last = Some(last.map_or(shifted, |last| last.max(shifted)));
                }
            }
            if let Some(last) = last {
                return (last >= from).then(|| Timestamp::from_millis(last));
            }
            through = span.start?.as_millis().saturating_sub(1);
        }
        None
    }

    fn at_or_after(&self, local: LocalTime) -> LocalTime {
        let period = self.period_millis();
        let next = self.offsets_millis().map(|offset| local.0.saturating_add((offset - local.0).rem_euclid(period)));
        LocalTime(next.min().unwrap_or(i64::MAX))
    }

    fn at_or_before(&self, local: LocalTime) -> LocalTime {
        let period = self.period_millis();
        let last = self.offsets_millis().map(|offset| local.0.saturating_sub((local.0 - offset).rem_euclid(period)));
        LocalTime(last.max().unwrap_or(i64::MIN))
    }

    fn period_millis(&self) -> i64 {
        self.period.as_millis_rounded_up().max(1)
    }

    fn offsets_millis(&self) -> impl Iterator<Item = i64> {
        self.offsets.iter().map(|offset| offset.as_millis())
    }
}
