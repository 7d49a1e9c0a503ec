//! Reading the journal, and writing images, beside the writer.

use super::{database_error, images, pack};
use crate::{Access, CELL_NAME, Chunks, Error, Image, Records};
use ::fjall::{Database, Keyspace, PersistMode, Slice};
use baton_protocol::record::{Offset, Position, Record};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the writer and everyone beside it share.
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) database: Database,
    pub(super) cells: Keyspace,
    pub(super) parts: Mutex<Parts>,
    /// Held while an image is written: one at a time.
    imaging: Mutex<()>,
}

/// What changes as the journal grows and shrinks.
pub(super) struct Parts {
    pub(super) released: Position,
    pub(super) durable: Position,
    /// By the offset of their first record.
    pub(super) segments: BTreeMap<u64, Keyspace>,
    /// By the offset they stand at.
    pub(super) images: BTreeMap<u64, Image>,
}

impl Shared {
    pub(super) fn new(folder: PathBuf, database: Database, cells: Keyspace, parts: Parts) -> Self {
        Self { folder, database, cells, parts: Mutex::new(parts), imaging: Mutex::new(()) }
    }

    /// The lock is held for moments only, and nothing panics meanwhile.
    pub(super) fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn error(&self, doing: &'static str) -> impl Fn(::fjall::Error) -> Error + use<> {
        database_error(&self.folder, doing)
    }

    fn damaged(&self, reason: impl ToString) -> Error {
        let reason = reason.to_string();
        Error::Database { doing: "reading", folder: self.folder.clone(), reason, full: false }
    }
}

/// Access to a journal on fjall. The data folder stays in use until the store and all of these are dropped.
#[derive(Clone)]
pub struct FjallAccess {
    pub(super) shared: Arc<Shared>,
}

impl FjallAccess {
    /// Whether a position is within the durable journal.
    pub(super) fn has(&self, position: Position) -> Result<bool, Error> {
        let (released, durable) = {
            let parts = self.shared.parts();
            (parts.released, parts.durable)
        };
        if position == released || position == durable {
            return Ok(true);
        }
        if position.offset <= released.offset || position.offset >= durable.offset {
            return Ok(false);
        }
        let before = Offset(position.offset.0 - 1);
        let record = self.records(before)?.next().transpose()?;
        Ok(record.is_some_and(|record| record.id.after() == position))
    }
}

impl Access for FjallAccess {
    fn records(&self, from: Offset) -> Result<Records, Error> {
        let first = self.shared.parts().released.offset;
        if from < first {
            return Err(Error::Released { from, first });
        }
        let reader = Reader {
            shared: Arc::clone(&self.shared),
            next: from.0,
            ready: VecDeque::new(),
            packs: None,
            segment: None,
            ended: false,
        };
        Ok(Box::new(reader))
    }

    fn image(&self) -> Option<Image> {
        self.shared.parts().images.values().next_back().copied()
    }

    fn image_at(&self, at: Position) -> Option<Image> {
        self.shared.parts().images.get(&at.offset.0).filter(|image| image.at == at).copied()
    }

    fn chunks(&self, at: Position) -> Result<Chunks, Error> {
        self.image_at(at).ok_or(Error::NoImage(at))?;
        let shared = Arc::clone(&self.shared);
        let damaged = move |reason| shared.damaged(format_args!("the image at offset {}: {reason}", at.offset));
        let mut reader = images::Reader::open(&self.shared.folder, at.offset.0).map_err(&damaged)?;
        let mut ended = false;
        Ok(Box::new(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let chunk = reader.chunk().transpose();
            ended = !matches!(chunk, Some(Ok(_)));
            chunk.map(|chunk| chunk.map_err(&damaged))
        })))
    }

    fn piece(&self, at: Position, from: u64, bytes: usize) -> Result<Vec<u8>, Error> {
        self.image_at(at).ok_or(Error::NoImage(at))?;
        let piece =
            images::Reader::open(&self.shared.folder, at.offset.0).and_then(|mut reader| reader.piece(from, bytes));
        piece.map_err(|reason| self.shared.damaged(format_args!("the image at offset {}: {reason}", at.offset)))
    }

    fn write_image(&self, at: Position, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<Image, Error> {
        let shared = &self.shared;
        let _one_at_a_time = shared.imaging.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let parts = shared.parts();
            if at.offset > parts.durable.offset {
                return Err(Error::NotDurable { at, durable: parts.durable });
            }
            if let Some(image) = parts.images.get(&at.offset.0).filter(|image| image.at == at) {
                return Ok(*image);
            }
        }
        if !self.has(at)? {
            return Err(Error::NoSuchPosition(at));
        }
        // An image must not outlive the records before it, whatever the durability of commits.
        shared.database.persist(PersistMode::SyncData).map_err(shared.error("syncing"))?;
        let image = images::write(&shared.folder, at, chunks)?;
        let mut parts = shared.parts();
        if at.offset > parts.durable.offset {
            // A truncation meanwhile has taken back what the image shows.
            images::remove(&shared.folder, at.offset.0)?;
            return Err(Error::NotDurable { at, durable: parts.durable });
        }
        if at.offset < parts.released.offset {
            // The journal has begun anew meanwhile.
            images::remove(&shared.folder, at.offset.0)?;
            return Err(Error::NoSuchPosition(at));
        }
        parts.images.insert(at.offset.0, image);
        Ok(image)
    }

    fn cell(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if name.is_empty() || name.len() > CELL_NAME {
            return Err(Error::Cell { name: name.to_owned(), bytes: 0 });
        }
        let Some(bytes) = self.shared.cells.get(name).map_err(self.shared.error("reading"))? else { return Ok(None) };
        match pack::cell(name.as_bytes(), &bytes) {
            Some((_, value)) => Ok(Some(value.to_vec())),
            None => Err(self.shared.damaged(format_args!("the cell {name:?} is damaged"))),
        }
    }
}

/// Reads records pack by pack, segment by segment.
struct Reader {
    shared: Arc<Shared>,
    next: u64,
    ready: VecDeque<Record>,
    packs: Option<::fjall::Iter>,
    /// The segment that `packs` reads.
    segment: Option<u64>,
    ended: bool,
}

impl Reader {
    /// The next pack that may have the next record.
    fn pack(&mut self) -> Result<Option<Slice>, String> {
        loop {
            if self.packs.is_none() {
                let found = self.shared.parts().segments.range(..=self.next).next_back().map(|(k, v)| (*k, v.clone()));
                let Some((first, keyspace)) = found else { return Ok(None) };
                if self.segment == Some(first) {
                    return Ok(None);
                }
                self.segment = Some(first);
                let start = pack::start(&keyspace, self.next);
                self.packs = Some(keyspace.range(start..));
            }
            match self.packs.as_mut().and_then(Iterator::next) {
                Some(entry) => return entry.value().map(Some).map_err(|error| error.to_string()),
                None => self.packs = None,
            }
        }
    }

    fn fill(&mut self) -> Result<(), String> {
        while self.ready.is_empty() {
            let Some(pack) = self.pack()? else { return Ok(()) };
            for record in pack::records(&pack) {
                let record = record.map_err(|(reason, _)| reason)?;
                if record.id.offset.0 < self.next {
                    continue;
                }
                if record.id.offset.0 != self.next {
                    return Err(format!("record {} follows where {} should", record.id.offset, self.next));
                }
                self.next += 1;
                self.ready.push_back(record);
            }
        }
        Ok(())
    }
}

impl Iterator for Reader {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.ready.is_empty()
            && let Err(reason) = self.fill()
        {
            self.ended = true;
            return Some(Err(self.shared.damaged(reason)));
        }
        let record = self.ready.pop_front();
        self.ended = record.is_none();
        record.map(Ok)
    }
}
