//! A journal that is forgotten with the process: for runs that are not to survive it.
//!
//! Whatever is appended counts as durable at once, so nothing ever waits. Records stay until they are released, because
//! readers may want them. So a reader who stops reading would fill the memory: what feeds such journals has to wait for
//! [`Room`].

use baton_protocol::record::{Offset, Record};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

/// There is no room any more when the journals of a [`Room`] hold so many bytes of records together.
const FULL: usize = 32 << 20;

/// There is room again when they hold no more than this.
const ROOMY: usize = 16 << 20;

/// The room which journals in memory have together. Clones are the same.
#[derive(Clone, Debug)]
pub struct Room {
    taken: Arc<watch::Sender<Taken>>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    bytes: usize,
    is_full: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self { taken: Arc::new(watch::Sender::new(Taken { bytes: 0, is_full: false })) }
    }
}

impl Room {
    /// Waits until there is room. To be awaited before anything is done that makes journals longer and can wait.
    pub async fn is_left(&self) {
        // The sender is ours, it does not close.
        let _ = self.taken.subscribe().wait_for(|taken| !taken.is_full).await;
    }

    fn change(&self, change: impl FnOnce(usize) -> usize) {
        self.taken.send_if_modified(|taken| {
            taken.bytes = change(taken.bytes);
            let is_full = taken.bytes > if taken.is_full { ROOMY } else { FULL };
            let changes = is_full != taken.is_full;
            taken.is_full = is_full;
            changes
        });
    }
}

/// The records of such a journal.
#[derive(Debug)]
pub(super) struct Memory {
    room: Room,
    records: VecDeque<Record>,
    bytes: usize,
}

impl Memory {
    pub(super) fn new(room: Room) -> Self {
        Self { room, records: VecDeque::new(), bytes: 0 }
    }

    /// Bytes of the records that are held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn append(&mut self, record: Record) {
        let bytes = record.encoded_len();
        self.bytes += bytes;
        self.room.change(|taken| taken + bytes);
        self.records.push_back(record);
    }

    /// Removes the records from `to` on.
    pub(super) fn truncate(&mut self, to: Offset) {
        while let Some(record) = self.records.pop_back_if(|record| record.id.offset >= to) {
            self.removed(&record);
        }
    }

    /// Removes the records before `before`.
    pub(super) fn release(&mut self, before: Offset) {
        while let Some(record) = self.records.pop_front_if(|record| record.id.offset < before) {
            self.removed(&record);
        }
    }

    fn removed(&mut self, record: &Record) {
        let bytes = record.encoded_len();
        self.bytes -= bytes;
        self.room.change(|taken| taken - bytes);
    }

    /// Records from `from` on, about `bytes` of them, at least one if there is one. None if `from` has been released.
    pub(super) fn read(&self, from: Offset, bytes: usize) -> Vec<Record> {
        let mut length = 0;
        let first = self.records.partition_point(|record| record.id.offset < from);
        let found = self.records.range(first..).take_while(|record| {
            let wanted = length < bytes;
            length += record.payload.len();
            wanted
        });
        found.cloned().collect()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.room.change(|taken| taken - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_protocol::record::{Epoch, Position};

    fn is_left(room: &Room) -> bool {
        !room.taken.borrow().is_full
    }

    #[test]
    fn room_is_shared_and_comes_back_when_records_are_released() {
        let room = Room::default();
        let [mut one, mut other] = [0, 1].map(|_| Memory::new(room.clone()));
        let mut positions = [Position::ORIGIN; 2];
        while is_left(&room) {
            for (memory, position) in [&mut one, &mut other].into_iter().zip(&mut positions) {
                let record = Record::write(*position, Epoch(1), vec![0; 1 << 20].into()).unwrap();
                *position = record.id.after();
                memory.append(record);
            }
        }
        assert!(one.bytes() + other.bytes() > FULL);
        let end = positions[0].offset;
        one.release(Offset(end.0 / 4));
        assert!(!is_left(&room), "it flutters");
        one.truncate(Offset::ZERO);
        assert_eq!(one.bytes(), 0);
        drop(other);
        assert!(is_left(&room));
        assert_eq!(room.taken.borrow().bytes, 0);
    }
}
