//! The disk of a node of a pair: records and cells. What is not synced is lost in a crash.

use baton_protocol::journal::{Generation, Recovered, Stored};
use baton_protocol::outbox::Effect;
use baton_protocol::record::{Position, Record};
use std::collections::BTreeMap;
use std::sync::Arc;

enum Change {
    Append(Generation, Record),
    Truncate(Generation, Position),
    Put(u64, &'static str, Arc<[u8]>),
}

#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) records: Vec<Record>,
    cells: BTreeMap<&'static str, Arc<[u8]>>,
    unsynced: Vec<Change>,
    generation: Generation,
    puts: u64,
}

impl Disk {
    pub(crate) fn recovered(&self) -> Recovered {
        Recovered { end: self.end(), ..Recovered::default() }
    }

    pub(crate) fn cell(&self, name: &str) -> Option<&[u8]> {
        self.cells.get(name).map(|value| &**value)
    }

    /// Takes what concerns storage. Whether a sync is to be begun; the effect, if it does not concern storage.
    pub(crate) fn take<H, L, P>(&mut self, effect: Effect<H, L, P>) -> Result<bool, Effect<H, L, P>> {
        let change = match effect {
            Effect::Append { generation, record } => Change::Append(generation, record),
            Effect::Truncate { generation, to } => Change::Truncate(generation, to),
            Effect::Put { number, cell, value } => Change::Put(number, cell, value),
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
                    self.records.truncate(to.offset.0 as usize);
                    assert_eq!(self.end(), to, "cut at a position that is there");
                }
                Change::Put(number, cell, value) => {
                    self.puts = number;
                    self.cells.insert(cell, value);
                }
            }
        }
        Stored { generation: self.generation, durable: self.end().offset, puts: self.puts }
    }

    pub(crate) fn crash(&mut self) {
        self.unsynced.clear();
        (self.generation, self.puts) = (Generation::default(), 0);
    }

    fn end(&self) -> Position {
        self.records.last().map_or(Position::ORIGIN, |record| record.id.after())
    }
}
