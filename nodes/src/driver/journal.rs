//! The journal of a hosted node: carries out what the node wants to be written, and tells what has become durable.
//!
//! On the disk, the writer's thread does the work; its queue is bounded, and what does not fit waits here, bounded by the
//! limits of the node's own journal. A failure of the disk is final.

use super::disk::{Disk, DiskAccess};
use super::memory::{Memory, Room};
use super::{Halt, RECORDS_AT_ONCE};
use baton_protocol::journal::{Generation, Stored};
use baton_protocol::limit::IMAGE_PIECE;
use baton_protocol::pair::message::ImagePiece;
use baton_protocol::record::{Offset, Position, Record};
use baton_storage::IMAGE_CHUNK;
use baton_storage::fjall::{FjallStore, Options};
use baton_storage::writer::{Change, NotTaken, Report};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// A journal as it was found.
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// What the node's journal begins with.
    pub recovered: baton_protocol::journal::Recovered,
    /// The newest image.
    pub image: Option<Vec<u8>>,
    /// The records after the image.
    pub records: Vec<Record>,
    /// What else was kept, by name.
    pub cells: BTreeMap<String, Vec<u8>>,
    /// What an operator should know of what was found.
    pub notes: Vec<String>,
}

/// The journal of a node.
pub struct Journal {
    kind: Kind,
    /// Changes handed over.
    changes: u64,
    /// Puts that are not durable: after which change, and their numbers.
    puts: VecDeque<(u64, u64)>,
    /// What is durable, as it is to be told to the node.
    stored: Stored,
    is_news: bool,
    /// So many changes are durable.
    done: u64,
    /// Somebody wants what the journal makes up when so many changes are durable.
    rebuilding: Option<(u64, Position, Rebuild)>,
    /// Of an image that another node sends: what has come. Each is no longer than a chunk.
    pieces: Vec<Vec<u8>>,
}

const _: () = assert!(IMAGE_PIECE <= IMAGE_CHUNK);

/// Takes the newest image and the records after it.
type Rebuild = Box<dyn FnOnce(Result<Content, baton_storage::Error>) + Send>;

/// What a journal makes up.
pub(super) struct Content {
    /// The newest image, and where it was taken.
    pub(super) image: Option<(Position, Vec<u8>)>,
    /// The records after it.
    pub(super) records: Vec<Record>,
}

enum Kind {
    Memory(Memory),
    Disk {
        disk: Disk,
        /// What the writer's queue did not take.
        waiting: VecDeque<Change>,
    },
}

/// What has happened to a journal.
pub(super) enum Progress {
    /// More is durable.
    Stored(Stored),
    /// An image is durable, with so many bytes.
    Imaged(Position, u64),
    /// An image could not be written. Nothing is lost by that.
    NotImaged(String),
}

impl Journal {
    /// An empty journal that is forgotten with the process. It takes of this room.
    #[must_use]
    pub fn in_memory(room: &Room) -> Opened {
        Opened {
            journal: Self::of(Kind::Memory(Memory::new(room.clone())), Offset::ZERO),
            recovered: baton_protocol::journal::Recovered::default(),
            image: None,
            records: Vec::new(),
            cells: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// Opens the journal called `name` in a folder, or begins one there. Takes as long as reading it.
    ///
    /// # Errors
    /// When it does not open, or is damaged.
    pub fn open(folder: &Path, name: &str, options: Options) -> Result<Opened, Halt> {
        let (store, found) = FjallStore::open(folder, name, options)?;
        Self::found(Disk::real(store).map_err(Halt::NoThread)?, found)
    }

    /// Opens the journal on a simulated disk, or begins one there.
    ///
    /// # Errors
    /// When it does not open, or is damaged.
    #[cfg(feature = "turmoil")]
    pub fn simulated(disk: &super::SimulatedDisk) -> Result<Opened, Halt> {
        let (writer, found) = super::disk::SimulatedWriter::open(disk)?;
        Self::found(Disk::Simulated(writer), found)
    }

    fn found(disk: Disk, found: baton_storage::Recovered) -> Result<Opened, Halt> {
        let Content { image, records } = content(&disk.access(), found.end)?;
        let start = image.as_ref().map_or(Position::ORIGIN, |(at, _)| *at);
        let kind = Kind::Disk { disk, waiting: VecDeque::new() };
        let recovered =
            baton_protocol::journal::Recovered { released: found.released.offset, image: start, end: found.end };
        let cut =
            found.cut.map(|cut| format!("an unfinished write of {} bytes was cut off: {}", cut.bytes, cut.reason));
        Ok(Opened {
            journal: Self::of(kind, found.end.offset),
            recovered,
            image: image.map(|(_, bytes)| bytes),
            records,
            cells: found.cells,
            notes: found.notes.into_iter().chain(cut).collect(),
        })
    }

    fn of(kind: Kind, durable: Offset) -> Self {
        let stored = Stored { generation: Generation(0), durable, puts: 0 };
        Self {
            kind,
            changes: 0,
            puts: VecDeque::new(),
            stored,
            is_news: false,
            done: 0,
            rebuilding: None,
            pieces: Vec::new(),
        }
    }

    pub(super) fn append(&mut self, record: Record) -> Result<(), Halt> {
        match &mut self.kind {
            Kind::Memory(memory) => {
                self.stored.durable = record.id.offset.next();
                self.is_news = true;
                memory.append(record);
                Ok(())
            }
            Kind::Disk { .. } => self.submit(Change::Append(vec![record])),
        }
    }

    pub(super) fn truncate(&mut self, generation: Generation, to: Position) -> Result<(), Halt> {
        match &mut self.kind {
            Kind::Memory(memory) => {
                memory.truncate(to.offset);
                self.stored = Stored { generation, durable: to.offset, ..self.stored };
                self.is_news = true;
                Ok(())
            }
            Kind::Disk { .. } => self.submit(Change::Truncate(to)),
        }
    }

    pub(super) fn put(&mut self, number: u64, cell: &'static str, value: &[u8]) -> Result<(), Halt> {
        match &mut self.kind {
            Kind::Memory(_) => {
                self.stored.puts = number;
                self.is_news = true;
                Ok(())
            }
            Kind::Disk { .. } => {
                self.submit(Change::Put { cell: cell.to_owned(), value: value.to_vec() })?;
                self.puts.push_back((self.changes, number));
                Ok(())
            }
        }
    }

    /// Collects the next piece of an image, or the first of another one.
    pub(super) fn keep_piece(&mut self, from: u64, bytes: Vec<u8>) {
        if from == 0 {
            self.pieces.clear();
        }
        self.pieces.push(bytes);
    }

    pub(super) fn drop_pieces(&mut self) {
        self.pieces = Vec::new();
    }

    /// Begins anew with the image that was collected.
    pub(super) fn install(
        &mut self,
        generation: Generation,
        at: Position,
        cell: &'static str,
        value: &[u8],
    ) -> Result<(), Halt> {
        let chunks = std::mem::take(&mut self.pieces);
        match &mut self.kind {
            Kind::Memory(memory) => {
                memory.truncate(Offset::ZERO);
                self.stored = Stored { generation, durable: at.offset, ..self.stored };
                self.is_news = true;
                Ok(())
            }
            Kind::Disk { .. } => {
                self.submit(Change::Install { at, chunks, cell: cell.to_owned(), value: value.to_vec() })
            }
        }
    }

    /// Reads a piece of the image at `at`, which may not be the newest any more, and passes it on: from another thread.
    pub(super) fn read_piece(
        &self,
        at: Position,
        from: u64,
        bytes: usize,
        pass_on: impl FnOnce(Option<ImagePiece>) + Send + 'static,
    ) {
        match &self.kind {
            Kind::Memory(_) => pass_on(None),
            Kind::Disk { disk, .. } => disk.aside(move |access| {
                // An image that cannot be read is one that is not there: another one will be sent.
                let piece = access.image_at(at).and_then(|image| {
                    let bytes = access.piece(at, from, bytes).ok()?;
                    Some(ImagePiece { length: image.bytes, checksum: image.checksum, bytes })
                });
                pass_on(piece);
            }),
        }
    }

    pub(super) fn release(&mut self, before: Offset) -> Result<(), Halt> {
        match &mut self.kind {
            Kind::Memory(memory) => {
                memory.release(before);
                Ok(())
            }
            Kind::Disk { .. } => self.submit(Change::Release(before)),
        }
    }

    /// Reads records from `from` on, some of them, and passes them on: at once, or later from another thread. None if
    /// they have been released, or cannot be read.
    pub(super) fn read(&self, from: Offset, pass_on: impl FnOnce(Vec<Record>) + Send + 'static) {
        match &self.kind {
            Kind::Memory(memory) => pass_on(memory.read(from, RECORDS_AT_ONCE)),
            Kind::Disk { disk, .. } => disk.aside(move |access| {
                let mut bytes = 0;
                let found = access.records(from).into_iter().flatten().map_while(Result::ok).take_while(|record| {
                    let wanted = bytes < RECORDS_AT_ONCE;
                    bytes += record.payload.len();
                    wanted
                });
                pass_on(found.collect());
            }),
        }
    }

    /// Passes on what the journal up to `to` makes up, as soon as everything is durable that was handed over: from another
    /// thread. What somebody else wanted before and has not got, is not passed on any more.
    pub(super) fn rebuild(
        &mut self,
        to: Position,
        pass_on: impl FnOnce(Result<Content, baton_storage::Error>) + Send + 'static,
    ) {
        self.rebuilding = Some((self.changes, to, Box::new(pass_on)));
        self.go_on_rebuilding();
    }

    fn go_on_rebuilding(&mut self) {
        let Some((_, to, pass_on)) = self.rebuilding.take_if(|(changes, ..)| *changes <= self.done) else { return };
        match &self.kind {
            // Of a journal in memory nothing is ever cut.
            Kind::Memory(_) => {}
            Kind::Disk { disk, .. } => disk.aside(move |access| pass_on(content(&access, to))),
        }
    }

    /// Bytes of records in memory which could be released; none if the journal keeps images. Then it is enough to say that
    /// there is one.
    pub(super) fn bytes_in_memory(&self) -> Option<usize> {
        match &self.kind {
            Kind::Memory(memory) => Some(memory.bytes()),
            Kind::Disk { .. } => None,
        }
    }

    /// Writes an image of the state at `at`, which is durable. [`Progress::Imaged`] or [`Progress::NotImaged`] follows.
    pub(super) fn write_image(&mut self, at: Position, image: Vec<u8>) -> Result<(), Halt> {
        let Kind::Disk { disk, .. } = &mut self.kind else { return Ok(()) };
        let mut written = 0;
        let chunks = std::iter::from_fn(move || {
            let chunk = image[written..image.len().min(written + IMAGE_CHUNK)].to_vec();
            written += chunk.len();
            (!chunk.is_empty()).then_some(chunk)
        });
        disk.write_image(at, chunks).map_err(Halt::NoThread)
    }

    /// What has become durable since this was asked, if it is known without waiting.
    pub(super) fn news(&mut self) -> Option<Stored> {
        std::mem::take(&mut self.is_news).then_some(self.stored)
    }

    /// Waits for something to happen. Dropping the future loses nothing.
    pub(super) async fn progress(&mut self) -> Result<Progress, Halt> {
        let Kind::Disk { disk, .. } = &mut self.kind else { return std::future::pending().await };
        match disk.report().await {
            Some(Report::Synced { synced, changes }) => {
                while let Some((_, number)) = self.puts.pop_front_if(|(change, _)| *change <= changes) {
                    self.stored.puts = number;
                }
                self.stored.durable = synced.end.offset;
                self.stored.generation = Generation(synced.generation);
                self.done = changes;
                self.submit_waiting()?;
                self.go_on_rebuilding();
                Ok(Progress::Stored(self.stored))
            }
            Some(Report::Imaged { at, result: Ok(image) }) => Ok(Progress::Imaged(at, image.bytes)),
            Some(Report::Imaged { result: Err(error), .. }) => Ok(Progress::NotImaged(error.to_string())),
            Some(Report::Failed(error)) => Err(error.into()),
            None => Err(baton_storage::Error::Poisoned.into()),
        }
    }

    /// Lets the writer finish what it was told.
    pub(super) async fn close(self) -> Result<(), Halt> {
        let Kind::Disk { disk, waiting } = self.kind else { return Ok(()) };
        disk.close(waiting).await.map_err(|error| Halt::Panicked(error.to_string()))
    }

    fn submit(&mut self, change: Change) -> Result<(), Halt> {
        self.changes += 1;
        if let Kind::Disk { waiting, .. } = &mut self.kind {
            waiting.push_back(change);
        }
        self.submit_waiting()
    }

    fn submit_waiting(&mut self) -> Result<(), Halt> {
        let Kind::Disk { disk, waiting } = &mut self.kind else { return Ok(()) };
        while let Some(change) = waiting.pop_front() {
            match disk.try_submit(change) {
                Ok(()) => {}
                Err(NotTaken::Full(change)) => {
                    waiting.push_front(change);
                    return Ok(());
                }
                // Its report, which says why, is under way.
                Err(NotTaken::Ended(_)) => return Ok(()),
            }
        }
        Ok(())
    }
}

/// What a journal up to `to` makes up, all of which is durable. Images beyond are gone.
fn content(access: &DiskAccess, to: Position) -> Result<Content, baton_storage::Error> {
    let image = match access.image() {
        Some(image) => {
            let mut bytes = Vec::with_capacity(usize::try_from(image.bytes).unwrap_or(0));
            for chunk in access.chunks(image.at)? {
                bytes.extend(chunk?);
            }
            Some((image.at, bytes))
        }
        None => None,
    };
    let start = image.as_ref().map_or(Offset::ZERO, |(at, _)| at.offset);
    let records = access
        .records(start)?
        .take_while(|record| record.as_ref().map_or(true, |record| record.id.offset < to.offset))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Content { image, records })
}
