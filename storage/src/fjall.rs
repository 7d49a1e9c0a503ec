//! The journal on fjall, in a data folder. `storage/README.md` describes the folder and what an operator does with it.
//!
//! fjall gives us atomic batches, one log with one sync per batch, sorted tables and a way to delete a keyspace as a whole.
//! It does not give group commit, and it does not notice every damage of its own log. So there is one writer
//! ([`crate::writer`]), and what is found on opening is compared with what we know apart from the database: the chain of
//! the records, the mark (`mark.rs`), the state of the log before the database cut it (`log.rs`).
//!
//! The journal is cut into *segments*, a keyspace each. A segment that has grown to its size is sealed: its records go from
//! memory to tables, so that it no longer pins old log files; the next one begins. Releasing deletes whole segments: only
//! that gives space back.

mod access;
mod folder;
mod images;
mod install;
mod log;
mod mark;
mod open;
mod pack;
mod salvage;

pub use access::FjallAccess;

use self::access::Shared;
use self::mark::{Mark, MarkFile};
use self::pack::Pack;
use crate::{Error, Recovered, Store, Synced, check_cell};
use ::fjall::{Keyspace, KeyspaceCreateOptions, PersistMode};
use baton_protocol::record::{Offset, Position, Record};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Records are kept in memory up to this size before the database writes them to a table, in bytes.
const MEMTABLE: u64 = 16 << 20;
/// The database caches this much of what it reads, in bytes: records are read once, in order.
const CACHE: u64 = 4 << 20;
/// The database's log may grow to this size before it writes tables, in bytes.
const LOG: u64 = 128 << 20;
/// What the n-th segment since opening leaves behind is n times this, in bytes, until the database is opened again: fjall
/// rewrites its table of keyspaces for each one and keeps the old tables.
const LEFT_BEHIND: u64 = 2 << 10;
/// The mark is settled at the latest so long after it was noted.
const SETTLE: Duration = Duration::from_secs(1);

/// So many buffers of written packs are kept,
const SPARE: usize = 2;
/// unless they are longer than this, in bytes: a full pack and a record of usual length.
const SPARE_BYTES: usize = 2 * pack::PACK;

/// What "durable" means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Safe from loss of power: on the disk.
    #[default]
    Disk,
    /// Safe from death of the process only: with the operating system. For tests and for data that may be lost.
    System,
}

/// How to keep a journal.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What "durable" means.
    pub durability: Durability,
    /// A segment is sealed when it is longer than this, in bytes, or a little later. A smaller segment gives space back
    /// earlier and costs more often.
    pub segment: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { durability: Durability::Disk, segment: 64 << 20 }
    }
}

/// The journal of a node, on fjall.
pub struct FjallStore {
    shared: Arc<Shared>,
    mark: MarkFile,
    options: Options,
    _folder: folder::Folder,
    /// With everything handed over.
    end: Position,
    generation: u64,
    poisoned: bool,
    noted: Option<Instant>,
    /// Packs and cells that the next sync writes.
    packs: Vec<Pack>,
    /// The buffers of packs that were written, for the next ones: memory that is in use already need not be asked for.
    spare: Vec<Vec<u8>>,
    cells: BTreeMap<String, Vec<u8>>,
    /// How many times cells were set, with everything that is durable.
    versions: u64,
    /// Whether cells were set since they went to a table.
    cells_in_memory: bool,
    /// The segment that grows, its first offset and its length in bytes.
    active: Option<Active>,
    /// The ends of all other segments, by the offset of their first record.
    sealed: BTreeMap<u64, Position>,
    /// How many segments began since opening.
    begun: u64,
}

struct Active {
    first: u64,
    bytes: u64,
    keyspace: Keyspace,
}

impl FjallStore {
    /// Opens the journal called `name` in a data folder, or creates it in an empty or missing one.
    ///
    /// Opening looks at every record and image that is there: about a second per gigabyte.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Foreign`], [`Error::NotAJournal`], [`Error::Format`]: it is the wrong folder, or the
    /// wrong time. [`Error::Damaged`]: something confirmed is not there. Errors of the disk.
    pub fn open(path: &Path, name: &str, options: Options) -> Result<(Self, Recovered), Error> {
        open::open(path, name, options, false)
    }

    /// Opens a damaged journal with what is intact and gives the rest up, for good. Only for an operator who has no other
    /// way out, with every node that may know more of the journal switched off.
    ///
    /// # Errors
    /// As [`FjallStore::open`]; [`Error::Damaged`] only when there is nothing that could be opened.
    pub fn accept_loss(path: &Path, name: &str, options: Options) -> Result<(Self, Recovered), Error> {
        open::open(path, name, options, true)
    }

    /// The name of the journal whose data folder this is. None if it is no data folder.
    ///
    /// # Errors
    /// When it has the mark of a data folder, but that cannot be read.
    pub fn name_of(path: &Path) -> Result<Option<String>, Error> {
        folder::name(path)
    }

    fn alive(&self) -> Result<(), Error> {
        if self.poisoned { Err(Error::Poisoned) } else { Ok(()) }
    }

    /// Runs `work`; its failure is the last thing this store does.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.alive()?;
        let result = work(self);
        self.poisoned = result.is_err();
        result
    }

    /// Writes what waits as one batch of the database.
    fn commit(&mut self) -> Result<Synced, Error> {
        if !self.packs.is_empty() || !self.cells.is_empty() {
            let mode = match self.options.durability {
                Durability::Disk => PersistMode::SyncData,
                Durability::System => PersistMode::Buffer,
            };
            let mut batch = self.shared.database.batch().durability(Some(mode));
            if let Some(pack) = self.packs.first() {
                let first = pack.first;
                let active = match self.active.take() {
                    Some(active) => active,
                    None => self.begin_segment(first)?,
                };
                let active = self.active.insert(active);
                for pack in self.packs.drain(..) {
                    active.bytes += pack.bytes.len() as u64;
                    batch.insert(&active.keyspace, pack.first.to_be_bytes(), pack.bytes.as_slice());
                    if self.spare.len() < SPARE && pack.bytes.capacity() <= SPARE_BYTES {
                        self.spare.push(pack.bytes);
                    }
                }
            }
            for (name, value) in std::mem::take(&mut self.cells) {
                self.versions += 1;
                let value = pack::sealed(name.as_bytes(), &[&self.versions.to_le_bytes(), &value]);
                batch.insert(&self.shared.cells, name, value);
                self.cells_in_memory = true;
            }
            batch.commit().map_err(self.shared.error("writing to"))?;
            self.shared.parts().durable = self.end;
            self.note()?;
            if self.active.as_ref().is_some_and(|active| active.bytes >= self.segment_limit()) {
                self.seal()?;
            }
        }
        Ok(Synced { end: self.end, generation: self.generation })
    }

    /// The length at which a segment is sealed. It grows so that all that is left behind by the segments since opening is
    /// never more than one of them.
    fn segment_limit(&self) -> u64 {
        self.options.segment.max(self.begun * self.begun * LEFT_BEHIND / 2)
    }

    fn begin_segment(&mut self, first: u64) -> Result<Active, Error> {
        self.begun += 1;
        let name = pack::segment_name(first);
        let keyspace = self.shared.database.keyspace(&name, keyspace_options);
        let keyspace = keyspace.map_err(self.shared.error("beginning a segment of"))?;
        self.shared.parts().segments.insert(first, keyspace.clone());
        Ok(Active { first, bytes: 0, keyspace })
    }

    fn current_mark(&self) -> Mark {
        let parts = self.shared.parts();
        Mark { confirmed: parts.durable, released: parts.released, cells: self.versions, time: SystemTime::now() }
    }

    /// Notes what has become durable, and settles it when that is due.
    fn note(&mut self) -> Result<(), Error> {
        let mark = self.current_mark();
        let now = Instant::now();
        // The first commit settles: after it the folder is no longer that of an empty journal.
        if self.noted.is_none_or(|noted| now.duration_since(noted) >= SETTLE) {
            self.noted = Some(now);
            self.mark.set(mark)
        } else {
            self.mark.note(mark)
        }
    }

    /// Ends the segment that grows.
    fn seal(&mut self) -> Result<(), Error> {
        let Some(active) = self.active.take() else { return Ok(()) };
        let error = self.shared.error("sealing a segment of");
        // An idle keyspace with data in memory would keep all log files from then on.
        active.keyspace.rotate_memtable().map_err(&error)?;
        if std::mem::take(&mut self.cells_in_memory) {
            self.shared.cells.rotate_memtable().map_err(&error)?;
        }
        self.sealed.insert(active.first, self.shared.parts().durable);
        self.mark.settle()
    }

    fn delete_segment(&self, first: u64) -> Result<(), Error> {
        let Some(keyspace) = self.shared.parts().segments.remove(&first) else { return Ok(()) };
        self.shared.database.delete_keyspace(keyspace).map_err(self.shared.error("removing a segment of"))
    }

    fn delete_images(&self, doomed: impl Fn(u64) -> bool) -> Result<(), Error> {
        let doomed: Vec<_> = self.shared.parts().images.extract_if(.., |&at, _| doomed(at)).collect();
        doomed.into_iter().try_for_each(|(at, _)| images::remove(&self.shared.folder, at))
    }

    /// Removes the records from `to` on. The mark is lowered first: a crash in between leaves too much, never too little.
    fn cut(&mut self, to: Position) -> Result<(), Error> {
        let mut mark = self.current_mark();
        mark.confirmed = to;
        self.shared.parts().durable = to;
        self.mark.set(mark)?;
        self.delete_images(|at| at > to.offset.0)?;
        if let Some(active) = self.active.take() {
            self.sealed.insert(active.first, to);
        }
        while let Some((&first, _)) = self.sealed.last_key_value() {
            if first < to.offset.0 {
                break;
            }
            self.sealed.pop_last();
            self.delete_segment(first)?;
        }
        if let Some((first, _)) = self.sealed.pop_last() {
            let keyspace = self.shared.parts().segments.get(&first).cloned();
            if let Some(keyspace) = keyspace {
                let bytes = self.cut_segment(&keyspace, to)?;
                self.active = Some(Active { first, bytes, keyspace });
            }
        }
        self.end = to;
        Ok(())
    }

    /// Removes the records from `to` on from one segment. Returns how many bytes are left.
    fn cut_segment(&self, keyspace: &Keyspace, to: Position) -> Result<u64, Error> {
        let error = self.shared.error("truncating");
        let mut batch = self.shared.database.batch().durability(Some(PersistMode::SyncData));
        for entry in keyspace.range(to.offset.0.to_be_bytes()..) {
            batch.remove(keyspace, entry.key().map_err(&error)?);
        }
        let mut bytes = keyspace.disk_space();
        if let Some(entry) = keyspace.range(..to.offset.0.to_be_bytes()).next_back() {
            let (key, value) = entry.into_inner().map_err(&error)?;
            let first = key.first_chunk().map_or(0, |key| u64::from_be_bytes(*key));
            let mut kept = Pack::new(first, pack::time(&value).unwrap_or(SystemTime::UNIX_EPOCH));
            for record in pack::records(&value).map_while(Result::ok) {
                if record.id.offset < to.offset {
                    record.encode(&mut kept.bytes);
                }
            }
            bytes += kept.bytes.len() as u64;
            if kept.bytes.len() < value.len() {
                batch.insert(keyspace, key, kept.bytes);
            }
        }
        batch.commit().map_err(&error)?;
        Ok(bytes)
    }
}

impl Store for FjallStore {
    type Access = FjallAccess;

    fn access(&self) -> FjallAccess {
        FjallAccess { shared: Arc::clone(&self.shared) }
    }

    fn end(&self) -> Position {
        self.end
    }

    fn append(&mut self, records: &[Record]) -> Result<(), Error> {
        self.alive()?;
        for record in records {
            let end = record.follows(self.end).map_err(Error::Misplaced)?;
            let pack = match self.packs.last_mut() {
                Some(pack) if pack.bytes.len() < pack::PACK => pack,
                _ => {
                    let buffer = self.spare.pop().unwrap_or_default();
                    self.packs.push_mut(Pack::within(buffer, self.end.offset.0, SystemTime::now()))
                }
            };
            record.encode(&mut pack.bytes);
            self.end = end;
        }
        Ok(())
    }

    fn put(&mut self, cell: &str, value: &[u8]) -> Result<(), Error> {
        self.alive()?;
        check_cell(cell, value)?;
        self.cells.insert(cell.to_owned(), value.to_vec());
        Ok(())
    }

    fn truncate(&mut self, to: Position) -> Result<(), Error> {
        self.guarded(Self::commit)?;
        if !self.access().has(to)? {
            return Err(Error::NoSuchPosition(to));
        }
        self.generation += 1;
        self.guarded(|store| store.cut(to))
    }

    fn release(&mut self, before: Offset) -> Result<(), Error> {
        self.guarded(Self::commit)?;
        if !self.shared.parts().images.keys().any(|&at| at >= before.0) {
            return Err(Error::NotCovered { before });
        }
        self.guarded(|store| {
            let worth = store.active.as_ref().is_some_and(|active| active.bytes >= store.segment_limit() / 2);
            if worth && store.end.offset <= before {
                store.seal()?;
            }
            let doomed: Vec<_> = store
                .sealed
                .iter()
                .filter(|(_, end)| end.offset <= before)
                .map(|(&first, &end)| (first, end))
                .collect();
            if let Some(&(_, released)) = doomed.last() {
                store.shared.parts().released = released;
                let mark = store.current_mark();
                store.mark.set(mark)?;
            }
            for (first, _) in doomed {
                store.sealed.remove(&first);
                store.delete_segment(first)?;
            }
            store.delete_images(|at| at < before.0)
        })
    }

    fn install(
        &mut self,
        at: Position,
        chunks: &mut dyn Iterator<Item = Vec<u8>>,
        cell: &str,
        value: &[u8],
    ) -> Result<(), Error> {
        check_cell(cell, value)?;
        self.guarded(Self::commit)?;
        self.generation += 1;
        self.guarded(|store| store.begin_anew(at, chunks, (cell, value)))
    }

    fn sync(&mut self) -> Result<Synced, Error> {
        self.guarded(Self::commit)
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.guarded(|store| store.mark.settle())
    }
}

/// For all keyspaces.
fn keyspace_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE)
}

/// For `map_err`.
fn database_error(folder: &Path, doing: &'static str) -> impl Fn(::fjall::Error) -> Error + use<> {
    let folder = folder.to_owned();
    move |error| {
        let io = match &error {
            ::fjall::Error::Io(error) | ::fjall::Error::Storage(::fjall::LsmError::Io(error)) => Some(error),
            _ => None,
        };
        let full = io.is_some_and(crate::error::is_full);
        let reason = io.map_or_else(|| error.to_string(), ToString::to_string);
        Error::Database { doing, folder: folder.clone(), reason, full }
    }
}
