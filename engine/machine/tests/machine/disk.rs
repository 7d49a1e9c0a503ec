//! A node with its disk: what is written is on the disk when that has synced, and lost in a crash before.

use baton_machine::codec::{Assembly, Stamped};
use baton_protocol::event_id::EventId;
use baton_protocol::journal::{Generation, Stored};
use baton_protocol::machine::Machine;
use baton_protocol::node::Node;
use baton_protocol::record::{Position, Record};
use std::collections::BTreeSet;

/// A node with its disk.
pub(crate) struct Host<M: Machine> {
    pub(crate) node: Option<Node<M>>,
    /// What is on the disk.
    pub(crate) records: Vec<Record>,
    /// What was given to the disk, but would be lost in a crash.
    pub(crate) unsynced: Vec<(Generation, Record)>,
    pub(crate) is_syncing: bool,
    /// The events on the disk.
    pub(crate) ids: BTreeSet<EventId>,
    assembly: Assembly,
}

/// The events in records.
pub(crate) fn events_in(records: &[Record]) -> Vec<Stamped> {
    let mut assembly = Assembly::default();
    let transactions = records.iter().filter_map(|record| assembly.add(record).expect("a transaction"));
    transactions.flat_map(|assembled| assembled.transaction.events).collect()
}

impl<M: Machine> Host<M> {
    pub(crate) fn new() -> Self {
        Self {
            node: None,
            records: Vec::new(),
            unsynced: Vec::new(),
            is_syncing: false,
            ids: BTreeSet::new(),
            assembly: Assembly::default(),
        }
    }

    pub(crate) fn node(&self) -> &Node<M> {
        self.node.as_ref().expect("alive")
    }

    pub(crate) fn crash(&mut self) {
        self.node = None;
        self.unsynced.clear();
        self.is_syncing = false;
    }

    /// Crashes when only so many of the unsynced records are on the disk.
    pub(crate) fn crash_after(&mut self, count: usize) {
        self.unsynced.truncate(count);
        self.sync();
        self.crash();
    }

    /// As if the disk came from a backup.
    pub(crate) fn restore(&mut self, records: usize) {
        self.records.truncate(records);
        self.ids = events_in(&self.records).iter().map(|event| event.event_id).collect();
    }

    /// Takes a record to be written. Whether a sync is to be begun.
    pub(crate) fn append(&mut self, generation: Generation, record: Record) -> bool {
        self.unsynced.push((generation, record));
        !core::mem::replace(&mut self.is_syncing, true)
    }

    /// Everything written is on the disk now.
    pub(crate) fn sync(&mut self) -> Option<Stored> {
        self.is_syncing = false;
        let mut stored = None;
        for (generation, record) in self.unsynced.drain(..) {
            let end = self.records.last().map_or(Position::ORIGIN, |record| record.id.after());
            record.follows(end).expect("the next record");
            stored = Some(Stored { generation, durable: record.id.offset.next(), puts: 0 });
            if let Some(assembled) = self.assembly.add(&record).expect("a transaction") {
                let events = assembled.transaction.events;
                assert!(self.ids.last() < events.first().map(|event| &event.event_id), "event ids do not increase");
                self.ids.extend(events.iter().map(|event| event.event_id));
            }
            self.records.push(record);
        }
        stored
    }
}
