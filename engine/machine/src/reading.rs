//! Reading events from storage, for whoever wants those that are not in memory any more.
//!
//! The host reads some records at a time, as it likes. They may hold older events only, or a piece of a transaction only;
//! then they are read on. They may be released, or not be on the disk yet: then there is nothing to be found.

use crate::codec::{Assembly, Stamped};
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::record::{Offset, Record};

/// What somebody reads.
#[derive(Clone, Debug)]
pub(crate) struct StoredReading {
    after: EventId,
    /// The record to be read next.
    next: Offset,
    assembly: Assembly,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// These events, in the records before `end`.
    Events { events: Vec<Stamped>, end: Offset },
    /// Not yet anything: to be read on here.
    ReadOn { from: Offset },
    /// There are no such records.
    Nothing,
}

impl StoredReading {
    /// Of what follows an event, from a record on.
    pub(crate) fn new(after: EventId, from: Offset) -> Self {
        Self { after, next: from, assembly: Assembly::default() }
    }

    /// The event before those which are wanted.
    pub(crate) fn after(&self) -> EventId {
        self.after
    }

    /// What the next records hold.
    pub(crate) fn add(&mut self, records: &[Record]) -> Found {
        let (mut events, mut end, mut next) = (Vec::new(), None, None);
        // Some may have been released meanwhile.
        if records.first().is_some_and(|record| record.id.offset != self.next) {
            return Found::Nothing;
        }
        for record in records {
            next = Some(record.id.offset.next());
            // Records that were written here are understood; others end the part.
            let Ok(assembled) = self.assembly.add(record) else {
                next = None;
                break;
            };
            let Some(assembled) = assembled else { continue };
            events.extend(assembled.transaction.events.into_iter().filter(|event| event.event_id > self.after));
            if !events.is_empty() {
                end = next;
            }
        }
        match (end, next) {
            (Some(end), _) => Found::Events { events, end },
            (None, Some(from)) => {
                self.next = from;
                Found::ReadOn { from }
            }
            (None, None) => Found::Nothing,
        }
    }
}
