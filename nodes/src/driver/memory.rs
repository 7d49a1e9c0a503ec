//! A journal that is forgotten with the process: for runs that are not to survive it.
//!
//! Whatever is appended counts as durable at once, so nothing ever waits. Records stay until they are released, because
//! readers may want them.

use baton_protocol::record::{Offset, Record};
use std::collections::VecDeque;

/// The records of such a journal.
#[derive(Debug, Default)]
pub(super) struct Memory {
    records: VecDeque<Record>,
}

impl Memory {
    pub(super) fn append(&mut self, record: Record) {
        self.records.push_back(record);
    }

    /// Removes the records from `to` on.
    pub(super) fn truncate(&mut self, to: Offset) {
        while self.records.pop_back_if(|record| record.id.offset >= to).is_some() {}
    }

    /// Removes the records before `before`.
    pub(super) fn release(&mut self, before: Offset) {
        while self.records.pop_front_if(|record| record.id.offset < before).is_some() {}
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
