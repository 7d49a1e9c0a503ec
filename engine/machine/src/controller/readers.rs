//! Who reads the events of a controller, and what is released when nobody needs it any more.
//!
//! Events of the last while are given from memory, earlier ones are read from storage by the host; who asks for what comes next waits
//! for it. Events are given when they are committed only, so nothing that was given is ever taken back.

use super::{Controller, MAX_READERS};
use crate::codec::Stamped;
use crate::feed::Following;
use crate::host::{Act, Lane, Outgoing, ReaderId, RecordReader};
use crate::reading::{Found, StoredReading};
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::outbox::Outbox;
use baton_protocol::record::{Offset, Position, Record};
use baton_protocol::time::Now;

impl Controller {
    pub(super) fn read(&mut self, reader: ReaderId, after: EventId, out: &mut Outbox<'_, Self>) {
        self.forget_reader(reader);
        if !self.is_active() {
            return out.hint(Act::NoEvents { reader });
        }
        let is_full = self.readers.len() + self.reading.len() >= MAX_READERS;
        match self.replica.feed().after(after) {
            Following::Events { events, end } => {
                give_events(reader, events, end, out);
            }
            Following::Stored { from } if from < out.journal().released() => self.tell_released(reader, out),
            Following::Nothing | Following::Stored { .. } if is_full => out.hint(Act::NoEvents { reader }),
            Following::Nothing => {
                self.readers.insert(reader, after);
            }
            Following::Stored { from } => {
                self.reading.insert(reader, StoredReading::new(after, from));
                out.hint(Act::ReadRecords { reader: RecordReader::Reader(reader), from });
            }
        }
    }

    fn tell_released(&self, reader: ReaderId, out: &mut Outbox<'_, Self>) {
        let until = self.replica.feed().released_until(out.journal().released());
        out.hint(Act::Released { reader, until });
    }

    pub(super) fn on_records(&mut self, reader: RecordReader, records: &[Record], out: &mut Outbox<'_, Self>) {
        let RecordReader::Reader(reader) = reader else { return };
        let Some(reading) = self.reading.get_mut(&reader) else { return };
        match reading.add(records) {
            Found::ReadOn { from } => return out.hint(Act::ReadRecords { reader: RecordReader::Reader(reader), from }),
            Found::Events { events, end } => {
                give_events(reader, events, end, out);
            }
            Found::Nothing if self.replica.feed().is_released(reading.after(), out.journal().released()) => {
                self.tell_released(reader, out);
            }
            Found::Nothing => out.hint(Act::NoEvents { reader }),
        }
        self.reading.remove(&reader);
    }

    pub(super) fn forget_reader(&mut self, reader: ReaderId) {
        self.readers.remove(&reader);
        self.reading.remove(&reader);
    }

    /// Gives the waiting readers what was written in this step.
    pub(super) fn serve_readers(&mut self, events: &[Stamped]) {
        let Some(last) = events.last() else { return };
        let readers: Vec<ReaderId> =
            self.readers.iter().filter(|(_, after)| **after < last.event_id).map(|(reader, _)| *reader).collect();
        for reader in readers {
            let Some(after) = self.readers.remove(&reader) else { continue };
            let events = events.iter().filter(|event| event.event_id > after).cloned().collect();
            self.outgoing.push((Lane::Reader(reader), Outgoing::Events(events)));
        }
    }

    pub(super) fn on_imaged(&mut self, now: Now, at: Position, released: EventId, out: &mut Outbox<'_, Self>) {
        out.imaged(at);
        let needed = self.replica.feed_mut().release(released).min(at.offset);
        match &mut self.office.pair {
            Some(pair) => pair.release(now, needed, out),
            None => out.release(needed),
        }
    }
}

/// Answers a reader with events in the records before `end`, unless too many promises wait for the disk.
fn give_events(reader: ReaderId, events: Vec<Stamped>, end: Offset, out: &mut Outbox<'_, Controller>) {
    let fence = out.committed_before(end);
    if out.promise(fence, Lane::Reader(reader), Outgoing::Events(events)).is_err() {
        out.hint(Act::NoEvents { reader });
    }
}
