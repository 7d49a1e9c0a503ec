//! The feed: committed events for whoever follows a journal, from the event on that the reader names.
//!
//! Readers pull: each asks for what follows the last event it has seen, and gets one part. So a slow reader costs nothing, and
//! nothing is kept for a reader that is gone. The newest events are in memory, up to [`BYTES`]; older ones the host reads
//! from storage, starting at the record that [`Feed::after`] names.
//!
//! An event id says nothing about where its record is. So for every [`STRIDE`]th record, and after every [`STRIDE_BYTES`],
//! both are remembered; these marks are part of images, since what readers have not seen may be older than an image.

use crate::codec::{Stamped, event_id};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::record::Offset;
use serde::{Deserialize, Serialize};

/// How many bytes of encoded records are kept in memory.
pub const BYTES: usize = 8 << 20;

/// How many records are between two marks, at most.
pub const STRIDE: u64 = 256;

/// After so many bytes of encoded records there is another mark. So no more than these are kept though nobody needs them.
pub const STRIDE_BYTES: usize = 1 << 20;

/// About how many bytes of encoded records a part has.
pub const PART_BYTES: usize = 256 << 10;

/// The newest events, and where the older ones are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feed {
    records: VecDeque<Kept>,
    bytes: usize,
    /// Bytes of all transactions that were pushed.
    pushed: u64,
    /// The event before the first that is kept.
    before: EventId,
    last: EventId,
    marks: Marks,
    /// Bytes since the last mark.
    unmarked: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Kept {
    /// The offset after the transaction.
    end: Offset,
    last: EventId,
    bytes: usize,
    /// Bytes of all transactions that were pushed before and of this one.
    pushed: u64,
    events: Arc<[Stamped]>,
}

/// Of some event ids: the offset of the first record with later events only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marks {
    offsets: BTreeMap<u64, u64>,
    /// The last event of the state which this is part of.
    #[serde(with = "event_id")]
    last: EventId,
}

/// What follows an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Following {
    /// Nothing yet.
    Nothing,
    /// These, in the records before `end`.
    Events {
        /// At least one.
        events: Vec<Stamped>,
        /// The offset after their last record.
        end: Offset,
    },
    /// Events which are not in memory.
    Stored {
        /// The first record in which they may be.
        from: Offset,
    },
}

impl Feed {
    /// Of a journal whose image has these marks, and whose records after the image are going to be pushed.
    pub(crate) fn new(marks: Marks) -> Self {
        Self { before: marks.last, last: marks.last, marks, ..Self::default() }
    }

    /// To be kept in an image.
    pub(crate) fn marks(&self) -> Marks {
        Marks { last: self.last, ..self.marks.clone() }
    }

    /// The last event.
    #[must_use]
    pub fn last(&self) -> EventId {
        self.last
    }

    /// The first event in the records from `offset` on, of those which are in memory.
    #[must_use]
    pub fn first_from(&self, offset: Offset) -> Option<EventId> {
        let first = self.records.partition_point(|record| record.end <= offset);
        self.records.get(first)?.events.first().map(|event| event.event_id)
    }

    /// The first event after one, or one that is not older, if it is not in memory any more. None if there is none.
    #[must_use]
    pub fn first_after(&self, after: EventId) -> Option<EventId> {
        if after >= self.last {
            return None;
        }
        if after < self.before {
            return Some(after);
        }
        let first = self.records.partition_point(|record| record.last <= after);
        let events = &self.records.get(first)?.events;
        events.get(events.partition_point(|event| event.event_id <= after)).map(|event| event.event_id)
    }

    /// Whether there is such an event, as far as can be told: of one that is not in memory any more it is believed.
    pub(crate) fn has(&self, event_id: EventId) -> bool {
        if event_id <= self.before {
            return true;
        }
        let record = self.records.partition_point(|record| record.last < event_id);
        let events = self.records.get(record).map(|record| &record.events);
        events.is_some_and(|events| events.binary_search_by_key(&event_id, |event| event.event_id).is_ok())
    }

    /// A transaction was appended, in the records from `first` to before `end`; it has this many bytes.
    pub(crate) fn push(&mut self, first: Offset, end: Offset, bytes: usize, events: Arc<[Stamped]>) {
        let Some(last) = events.last().map(|event| event.event_id) else { return };
        if first.0.next_multiple_of(STRIDE) < end.0 || self.unmarked >= STRIDE_BYTES {
            self.marks.offsets.insert(self.last.0, first.0);
            self.unmarked = 0;
        }
        self.unmarked += bytes;
        self.last = last;
        self.bytes += bytes;
        self.pushed += bytes as u64;
        self.records.push_back(Kept { end, last, bytes, pushed: self.pushed, events });
        while self.bytes > BYTES
            && let Some(oldest) = self.records.pop_front()
        {
            self.bytes -= oldest.bytes;
            self.before = oldest.last;
        }
    }

    /// One part of what follows the event `after`.
    #[must_use]
    pub fn after(&self, after: EventId) -> Following {
        if after >= self.last {
            return Following::Nothing;
        }
        if after < self.before {
            return Following::Stored { from: self.offset_of(after) };
        }
        let first = self.records.partition_point(|record| record.last <= after);
        let mut events = Vec::new();
        let (mut end, mut bytes) = (Offset::ZERO, 0);
        for record in self.records.range(first..) {
            if bytes > 0 && bytes + record.bytes > PART_BYTES {
                break;
            }
            bytes += record.bytes;
            end = record.end;
            events.extend(record.events.iter().filter(|event| event.event_id > after).cloned());
        }
        Following::Events { events, end }
    }

    /// Whether what follows the event `after` is more than one part.
    pub(crate) fn has_more_than_part(&self, after: EventId) -> bool {
        if after < self.before {
            return true;
        }
        let first = self.records.partition_point(|record| record.last <= after);
        let bytes = self.records.get(first).map_or(0, |record| self.pushed - record.pushed + record.bytes as u64);
        bytes > PART_BYTES as u64
    }

    /// Whether events after `after` may be in records before `released`, which are not there any more.
    pub(crate) fn is_released(&self, after: EventId, released: Offset) -> bool {
        after < self.before && self.offset_of(after) < released
    }

    /// All events after this one are still there, when the records before `released` are not.
    pub(crate) fn released_until(&self, released: Offset) -> EventId {
        let first = self.marks.offsets.iter().find(|(_, offset)| **offset >= released.0);
        first.map_or(self.before, |(id, _)| EventId(*id).min(self.before))
    }

    /// The first record in which events after `after` may be.
    pub(crate) fn offset_of(&self, after: EventId) -> Offset {
        self.marks.offsets.range(..=after.0).next_back().map_or(Offset::ZERO, |(_, offset)| Offset(*offset))
    }

    /// Events until `until` are needed no more. Returns the first record that is still needed.
    pub(crate) fn release(&mut self, until: EventId) -> Offset {
        let offset = self.offset_of(until);
        self.marks.offsets.retain(|_, marked| *marked >= offset.0);
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_workflow::model::event::{Event, NodeEvent};
    use baton_workflow::time::Timestamp;

    fn event(id: u64) -> Stamped {
        Stamped { event_id: EventId(id), timestamp: Timestamp::EPOCH, event: Event::Node(NodeEvent::NodeShutDown) }
    }

    fn ids(following: Following) -> Vec<u64> {
        match following {
            Following::Events { events, .. } => events.iter().map(|event| event.event_id.0).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn gives_what_follows() {
        let mut feed = Feed::default();
        assert_eq!(feed.after(EventId(0)), Following::Nothing);
        feed.push(Offset(0), Offset(1), 10, [event(1), event(2)].into());
        feed.push(Offset(1), Offset(2), 10, [event(5)].into());
        assert_eq!(ids(feed.after(EventId(0))), [1, 2, 5]);
        assert_eq!(ids(feed.after(EventId(1))), [2, 5]);
        assert_eq!(ids(feed.after(EventId(3))), [5]);
        assert_eq!(feed.after(EventId(5)), Following::Nothing);
    }

    #[test]
    fn parts_are_limited_but_never_empty() {
        let mut feed = Feed::default();
        feed.push(Offset(0), Offset(1), PART_BYTES * 2, [event(1)].into());
        feed.push(Offset(1), Offset(2), 1, [event(2)].into());
        assert_eq!(ids(feed.after(EventId(0))), [1]);
        assert_eq!(ids(feed.after(EventId(1))), [2]);
    }

    #[test]
    fn more_than_a_part_is_seen() {
        let mut feed = Feed::default();
        assert!(!feed.has_more_than_part(EventId(0)));
        feed.push(Offset(0), Offset(1), PART_BYTES, [event(1)].into());
        assert!(!feed.has_more_than_part(EventId(0)));
        feed.push(Offset(1), Offset(2), 1, [event(2)].into());
        assert!(feed.has_more_than_part(EventId(0)) && !feed.has_more_than_part(EventId(1)));
        feed.push(Offset(2), Offset(3), BYTES, [event(3)].into());
        assert!(feed.has_more_than_part(EventId(0)), "not in memory any more");
    }

    #[test]
    fn what_is_still_needed_is_known_up_to_some_bytes() {
        let mut feed = Feed::default();
        for n in 0..100 {
            feed.push(Offset(n), Offset(n + 1), STRIDE_BYTES / 3, [event(10 + n)].into());
        }
        for n in 0..99 {
            let needed = feed.release(EventId(10 + n));
            assert!((n.saturating_sub(2)..=n + 1).contains(&needed.0), "{needed} after {n}");
        }
    }

    #[test]
    fn older_events_are_found_in_storage() {
        let mut feed = Feed::default();
        for n in 0..2 * STRIDE {
            feed.push(Offset(n), Offset(n + 1), BYTES / 100, [event(10 + n)].into());
        }
        assert_eq!(feed.after(EventId(0)), Following::Stored { from: Offset(0) });
        assert_eq!(feed.after(EventId(10 + STRIDE + 1)), Following::Stored { from: Offset(STRIDE) });
        let recovered = Feed::new(feed.marks());
        assert_eq!(recovered.after(EventId(10 + STRIDE + 1)), Following::Stored { from: Offset(STRIDE) });
        assert_eq!(recovered.after(feed.last()), Following::Nothing);
        assert_eq!(feed.release(EventId(10 + STRIDE + 1)), Offset(STRIDE));
    }
}
