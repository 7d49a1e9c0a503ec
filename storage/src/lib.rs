//! The journal of a node: records in order, images of the state, a few small cells, all durable.
//!
//! # The contract
//!
//! Everything that keeps a journal implements [`Store`], and one suite of tests (`tests/storage.rs`) holds all of them to
//! what follows. Above storage nobody may rely on anything else.
//!
//! **Order.** [`Store::append`], [`Store::put`], [`Store::truncate`], [`Store::install`] and [`Store::release`] are *changes*.
//! They take effect in the order in which they are handed over. A record must follow the one before it: next offset, fitting chain.
//!
//! **Sync.** [`Store::sync`] makes every change handed over before durable, with one disk sync for all of them. Only what
//! it returned is confirmed, and only what is confirmed can be read through [`Access`].
//!
//! **What a crash may lose.** After a crash of the process or of the machine, the store opens with everything that was
//! confirmed, and of the changes handed over after that with some prefix: perhaps none, perhaps all, never one without
//! those before it. (A truncation or release that was handed over last may have happened only in part: then the records
//! furthest from what remains are gone first, so that what is found is still one journal without gaps. Of an installation
//! that was handed over last, all of the old journal is there, or all of the new one.)
//!
//! **What is refused.** Opening either yields all that was confirmed or fails with [`Error::Damaged`], which says what is
//! intact. A torn tail that was never confirmed is cut and reported ([`Recovered::cut`]).
//!
//! **Failure.** The first failed write poisons the store: nobody knows what of it reached the disk, so it confirms nothing
//! any more, every later change is refused with [`Error::Poisoned`], and the node must halt. Opening again tells what
//! happened.
//!
//! **Generations.** A truncation takes records back, and so does an installation. [`Synced`] carries how many of both
//! preceded it, so that a confirmation that was under way meanwhile cannot be mistaken for one of the records written later at the same offsets.
//!
//! **Images.** An image is the application's state at a [`Position`]. It is written beside the changes, in chunks, from any
//! thread, counts only when it is complete, and is durable when [`Access::write_image`] returns. Records before an image
//! are not needed for recovery and can be released. A journal can also *begin anew* with an image that was taken elsewhere
//! ([`Store::install`]): everything else is given up for it.
//!
//! **Cells.** A cell is a small value under a name, replaced as a whole: the epoch record, the vote. A cell and a record
//! handed over before the same sync become durable together or in order, never the later one alone.
//!
//! # The parts
//!
//! - [`mod@fjall`]: the store of production, on the database of that name, in a folder.
//! - [`simulated`]: a deterministic disk for the simulator, which can crash, tear, stall, fill up and rot.
//! - [`writer`]: group commit on a thread of its own.
//! - [`recover`]: the rules by which what is found is accepted, cut or refused; the same for all stores.
//! - [`mod@bench`]: measures the journal against the bare disk.

use baton_protocol::record::{Offset, Position, Record};
use std::collections::BTreeMap;

#[cfg(feature = "fjall")]
pub mod bench;
mod error;
#[cfg(feature = "fjall")]
pub mod fjall;
pub mod recover;
pub mod simulated;
pub mod writer;

pub use error::{Damage, Error};

/// Longest name of a cell in bytes.
pub const CELL_NAME: usize = 64;

/// Longest value of a cell in bytes.
pub const CELL_VALUE: usize = 64 << 10;

/// Longest chunk of an image in bytes.
pub const IMAGE_CHUNK: usize = 4 << 20;

/// Everything handed over before has become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The end of the durable journal.
    pub end: Position,
    /// Number of truncations and installations since the store was opened, all of them durable.
    pub generation: u64,
}

/// An image that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// The position to whose state it belongs.
    pub at: Position,
    /// Sum of the lengths of its chunks, in bytes.
    pub bytes: u64,
    /// XXH64 of all its bytes, with seed zero. The same state may have images of different bytes.
    pub checksum: u64,
}

/// A torn tail that was cut on opening. Nothing of it was ever confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where the journal ends now.
    pub end: Position,
    /// Bytes that were cut.
    pub bytes: u64,
    /// What was wrong with them.
    pub reason: String,
}

/// What opening found. The records themselves are read with [`Access::records`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The first record still there has this offset.
    pub released: Position,
    /// The end of the journal.
    pub end: Position,
    /// The newest complete image. None only if no record was ever released.
    pub image: Option<Image>,
    /// All cells.
    pub cells: BTreeMap<String, Vec<u8>>,
    /// What was cut, if anything was.
    pub cut: Option<Cut>,
    /// What else the operator should know: damage that did no harm.
    pub notes: Vec<String>,
}

/// Records from some offset on.
pub type Records = Box<dyn Iterator<Item = Result<Record, Error>> + Send>;

/// The chunks of an image.
pub type Chunks = Box<dyn Iterator<Item = Result<Vec<u8>, Error>> + Send>;

/// A journal, in the hands of its only writer.
pub trait Store {
    /// What others may hold meanwhile.
    type Access: Access;

    /// For reading, and for writing images, beside the writer.
    fn access(&self) -> Self::Access;

    /// The end of the journal with everything handed over, durable or not.
    fn end(&self) -> Position;

    /// Appends records. They are kept in memory until the next sync.
    ///
    /// # Errors
    /// [`Error::Misplaced`] when a record does not follow the one before; nothing of `records` from it on is taken, and
    /// the store remains usable. [`Error::Poisoned`].
    fn append(&mut self, records: &[Record]) -> Result<(), Error>;

    /// Sets a cell.
    ///
    /// # Errors
    /// [`Error::Cell`] when the name or the value is beyond its bounds. [`Error::Poisoned`].
    fn put(&mut self, cell: &str, value: &[u8]) -> Result<(), Error>;

    /// Takes back all records from `to` on, which must be a position within the journal. Removes images beyond it.
    ///
    /// # Errors
    /// [`Error::NoSuchPosition`]. Whatever else [`Store::sync`] may fail with.
    fn truncate(&mut self, to: Position) -> Result<(), Error>;

    /// Gives up all records and images, and begins anew at `at` with just this image of the state there, in chunks of at most
    /// [`IMAGE_CHUNK`]; sets a cell with it. All of that at once; other cells stay.
    ///
    /// # Errors
    /// [`Error::Cell`], as [`Store::put`]. [`Error::Chunk`], and whatever else [`Store::sync`] may fail with.
    fn install(
        &mut self,
        at: Position,
        chunks: &mut dyn Iterator<Item = Vec<u8>>,
        cell: &str,
        value: &[u8],
    ) -> Result<(), Error>;

    /// Allows all records and images before `before` to be removed. How much of that is removed at once is the store's
    /// choice; the rest follows with later releases.
    ///
    /// # Errors
    /// [`Error::NotCovered`] when there is no complete image at or after `before`. Whatever else [`Store::sync`] may fail
    /// with.
    fn release(&mut self, before: Offset) -> Result<(), Error>;

    /// Makes all changes durable that were handed over before.
    ///
    /// # Errors
    /// Any error of the disk. The store is poisoned then.
    fn sync(&mut self) -> Result<Synced, Error>;

    /// Does what was put off for speed and what closing should not lose. Worth calling when nothing is to be done, and at
    /// the end. Confirms nothing.
    ///
    /// # Errors
    /// Any error of the disk. The store is poisoned then.
    fn settle(&mut self) -> Result<(), Error>;
}

/// What may be done beside the writer: read what is durable, and write images.
pub trait Access: Clone + Send + 'static {
    /// The durable records from `from` on, in order, as far as they reach at the time of the call or later. Needs memory
    /// for one group of records. Ends after the first error.
    ///
    /// # Errors
    /// [`Error::Released`] when `from` is before the first record that is still there.
    fn records(&self, from: Offset) -> Result<Records, Error>;

    /// The newest complete image.
    fn image(&self) -> Option<Image>;

    /// The complete image at `at`, if there is one: not only the newest is kept, when records before it are not released.
    fn image_at(&self, at: Position) -> Option<Image>;

    /// The chunks of the image at `at`, as they were written.
    ///
    /// # Errors
    /// [`Error::NoImage`]; errors of the disk.
    fn chunks(&self, at: Position) -> Result<Chunks, Error>;

    /// So many bytes of the image at `at`, from a byte on; fewer only at its end. Reads no more than the chunks in which they
    /// are.
    ///
    /// # Errors
    /// [`Error::NoImage`]; errors of the disk.
    fn piece(&self, at: Position, from: u64, bytes: usize) -> Result<Vec<u8>, Error>;

    /// Writes an image of the state at `at`, which must be durable already. Takes the chunks one by one, each at most
    /// [`IMAGE_CHUNK`] long; blocks until the image is complete and durable. Does nothing if there is one at `at`.
    ///
    /// # Errors
    /// [`Error::NotDurable`], [`Error::NoSuchPosition`], [`Error::Chunk`]; errors of the disk. There is no new image then.
    fn write_image(&self, at: Position, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<Image, Error>;

    /// The value of a cell.
    ///
    /// # Errors
    /// Errors of the disk.
    fn cell(&self, name: &str) -> Result<Option<Vec<u8>>, Error>;
}

/// Whether a cell may be called so and have this value.
fn check_cell(name: &str, value: &[u8]) -> Result<(), Error> {
    if name.is_empty() || name.len() > CELL_NAME || value.len() > CELL_VALUE {
        return Err(Error::Cell { name: name.to_owned(), bytes: value.len() });
    }
    Ok(())
}
