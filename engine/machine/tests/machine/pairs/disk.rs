//! The disk of a node of a pair: records, images and cells. What is not synced is lost in a crash.

use baton_protocol::checksum::checksum;
use baton_protocol::journal::{Generation, Recovered, Stored};
use baton_protocol::outbox::Effect;
use baton_protocol::pair::message::ImagePiece;
use baton_protocol::record::{Offset, Position, Record};
use std::collections::BTreeMap;
use std::sync::Arc;

enum Change {
    Append(Generation, Record),
    Truncate(Generation, Position),
    Install(Generation, Position, Arc<[u8]>, &'static str, Arc<[u8]>),
    Put(u64, &'static str, Arc<[u8]>),
    Release(Offset),
}

pub(crate) struct Disk {
    /// Everything before is released.
    begin: Position,
    pub(crate) records: Vec<Record>,
    /// Oldest first.
    images: Vec<(Position, Arc<[u8]>)>,
    /// Of an image that another node sends.
    collected: Vec<u8>,
    cells: BTreeMap<&'static str, Arc<[u8]>>,
    unsynced: Vec<Change>,
    generation: Generation,
    puts: u64,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            begin: Position::ORIGIN,
            records: Vec::new(),
            images: Vec::new(),
            collected: Vec::new(),
            cells: BTreeMap::new(),
            unsynced: Vec::new(),
            generation: Generation::default(),
            puts: 0,
        }
    }
}

impl Disk {
    pub(crate) fn recovered(&self) -> Recovered {
        let image = self.images.last().map_or(Position::ORIGIN, |(at, _)| *at);
        Recovered { released: self.begin.offset, image, end: self.end() }
    }

    /// The newest image, and the records after it.
    pub(crate) fn content(&self) -> (Option<&[u8]>, &[Record]) {
        match self.images.last() {
            Some((at, image)) => (Some(image), self.records_from(at.offset)),
            None => (None, &self.records),
        }
    }

    pub(crate) fn records_from(&self, from: Offset) -> &[Record] {
        let skipped = from.0.checked_sub(self.begin.offset.0).map_or(usize::MAX, |skipped| skipped as usize);
        self.records.get(skipped..).unwrap_or_default()
    }

    /// How many records are after the newest image.
    pub(crate) fn since_image(&self) -> u64 {
        self.end().offset.0 - self.images.last().map_or(0, |(at, _)| at.offset.0)
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.unsynced.is_empty()
    }

    /// An image of the state at the end.
    pub(crate) fn keep_image(&mut self, image: Vec<u8>) -> Position {
        self.images.push((self.end(), image.into()));
        self.end()
    }

    pub(crate) fn read_image(&self, at: Position, from: u64, bytes: usize) -> Option<ImagePiece> {
        let (_, image) = self.images.iter().find(|(position, _)| *position == at)?;
        let rest = image.get(from as usize..)?;
        let bytes = rest[..rest.len().min(bytes)].to_vec();
        Some(ImagePiece { length: image.len() as u64, checksum: checksum(0, image), bytes })
    }

    /// Collects a piece of an image of another node.
    pub(crate) fn collect(&mut self, from: u64, bytes: &[u8]) {
        self.collected.truncate(from as usize);
        self.collected.extend(bytes);
    }

    pub(crate) fn cell(&self, name: &str) -> Option<&[u8]> {
        self.cells.get(name).map(|value| &**value)
    }

    /// Takes what concerns storage. Whether a sync is to be begun; the effect, if it does not concern storage.
    pub(crate) fn take<H, L, P>(&mut self, effect: Effect<H, L, P>) -> Result<bool, Effect<H, L, P>> {
        let change = match effect {
            Effect::Append { generation, record } => Change::Append(generation, record),
            Effect::Truncate { generation, to } => Change::Truncate(generation, to),
            Effect::Install { generation, at, cell, value } => {
                Change::Install(generation, at, std::mem::take(&mut self.collected).into(), cell, value)
            }
            Effect::Put { number, cell, value } => Change::Put(number, cell, value),
            Effect::Release { before } => Change::Release(before),
            effect => return Err(effect),
        };
        self.unsynced.push(change);
        Ok(self.unsynced.len() == 1)
    }

    pub(crate) fn sync(&mut self) -> Stored {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Append(generation, record) => {
                    record.follows(self.end()).expect("the next record");
                    self.generation = generation;
                    self.records.push(record);
                }
                Change::Truncate(generation, to) => {
                    self.generation = generation;
                    self.records.truncate((to.offset.0 - self.begin.offset.0) as usize);
                    self.images.retain(|(at, _)| at.offset <= to.offset);
                    assert_eq!(self.end(), to, "cut at a position that is there");
                }
                Change::Install(generation, at, image, cell, value) => {
                    self.generation = generation;
                    (self.begin, self.records, self.images) = (at, Vec::new(), vec![(at, image)]);
                    self.cells.insert(cell, value);
                }
                Change::Put(number, cell, value) => {
                    self.puts = number;
                    self.cells.insert(cell, value);
                }
                Change::Release(before) => {
                    assert!(self.images.last().is_some_and(|(at, _)| before <= at.offset), "an image covers it");
                    let count = before.0.saturating_sub(self.begin.offset.0) as usize;
                    self.begin = count.checked_sub(1).map_or(self.begin, |last| self.records[last].id.after());
                    self.records.drain(..count);
                }
            }
        }
        Stored { generation: self.generation, durable: self.end().offset, puts: self.puts }
    }

    pub(crate) fn crash(&mut self) {
        self.unsynced.clear();
        self.collected.clear();
        (self.generation, self.puts) = (Generation::default(), 0);
    }

    pub(crate) fn end(&self) -> Position {
        self.records.last().map_or(self.begin, |record| record.id.after())
    }
}
