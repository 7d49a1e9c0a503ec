//! The mark: what was certainly confirmed, kept apart from the database.
//!
//! The database cannot be trusted to notice that the end of its own log is gone (a damaged length in the middle looks to
//! it like a torn tail). So a small file of our own says how far the journal was confirmed: after a crash the journal must
//! reach at least that far.
//!
//! Syncing it with every commit would double the cost of a commit. So it is *noted* after every commit, with a write of
//! 128 bytes and no sync, and *settled* (synced) at most once a second, when a segment is sealed, when nothing is to be
//! done, and before every change that lowers it or that removes something. Death of the process loses nothing of
//! it; loss of power may leave it behind by what was confirmed in the last second. It is never ahead.
//!
//! Three slots, in disk pages of their own. The newest one whose checksum fits holds. Settling alternates between the
//! first two, notes go to the third, so that no write ever touches the newest settled slot.

use super::folder::io_error;
use crate::Error;
use baton_protocol::checksum::checksum;
use baton_protocol::record::Position;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SLOTS: u64 = 3;
const NOTES: u64 = SLOTS - 1;
const PAGE: u64 = 4096;
const LENGTH: usize = 128;
const MAGIC: [u8; 8] = *b"batonmk1";

/// What is certain about the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// All records before this position are in the journal, unless they were released.
    pub(super) confirmed: Position,
    /// Records before this position may be gone.
    pub(super) released: Position,
    /// At least so many times a cell was set.
    pub(super) cells: u64,
    /// When this was noted.
    pub(super) time: SystemTime,
}

/// The file with the mark.
pub(super) struct MarkFile {
    file: File,
    path: PathBuf,
    instance: u128,
    sequence: u64,
    /// The slot to which the next settling goes.
    next: u64,
    mark: Mark,
    settled: bool,
}

impl MarkFile {
    /// Name in the data folder.
    pub(super) const NAME: &'static str = "mark";

    /// Writes the mark of an empty journal.
    pub(super) fn create(folder: &Path, instance: u128) -> Result<Self, Error> {
        let path = folder.join(Self::NAME);
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io_error("creating", &path))?;
        file.write_all_at(&[0; (PAGE * SLOTS) as usize], 0).map_err(io_error("writing", &path))?;
        let mark = Mark { confirmed: Position::ORIGIN, released: Position::ORIGIN, cells: 0, time: SystemTime::now() };
        let mut marks = Self { file, path, instance, sequence: 0, next: 0, mark, settled: false };
        marks.settle()?;
        Ok(marks)
    }

    /// Reads the mark. None when the file is missing or has no slot that this instance wrote.
    pub(super) fn open(folder: &Path, instance: u128) -> Result<Option<Self>, Error> {
        let path = folder.join(Self::NAME);
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("opening", &path)(error)),
        };
        let slots: Vec<_> =
            (0..SLOTS).map(|slot| read(&file, slot).filter(|found| found.instance == instance)).collect();
        let Some(newest) = slots.iter().flatten().max_by_key(|slot| slot.sequence) else { return Ok(None) };
        let settled = |slot: usize| slots[slot].as_ref().map_or(0, |found| found.sequence);
        let next = u64::from(settled(0) > settled(1));
        let (sequence, mark) = (newest.sequence, newest.mark);
        // The newest slot may be a note that was never synced.
        Ok(Some(Self { file, path, instance, sequence, next, mark, settled: false }))
    }

    /// Whether the mark in the folder says that something was confirmed. None when there is no readable mark.
    pub(super) fn is_used(folder: &Path) -> Option<bool> {
        let file = File::open(folder.join(Self::NAME)).ok()?;
        let newest = (0..SLOTS).filter_map(|slot| read(&file, slot)).max_by_key(|slot| slot.sequence)?;
        Some(newest.mark.confirmed != Position::ORIGIN || newest.mark.cells > 0)
    }

    /// The mark.
    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// Sets the mark without making it durable. Only for marks that say more than the one before.
    pub(super) fn note(&mut self, mark: Mark) -> Result<(), Error> {
        self.mark = mark;
        self.settled = false;
        self.write(NOTES)
    }

    /// Sets the mark and makes it durable.
    pub(super) fn set(&mut self, mark: Mark) -> Result<(), Error> {
        self.mark = mark;
        self.settled = false;
        self.settle()
    }

    /// Makes the mark durable.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        if self.settled {
            return Ok(());
        }
        self.write(self.next)?;
        self.file.sync_data().map_err(io_error("syncing", &self.path))?;
        self.next = 1 - self.next;
        self.settled = true;
        Ok(())
    }

    fn write(&mut self, slot: u64) -> Result<(), Error> {
        self.sequence += 1;
        let slot_bytes = Slot { instance: self.instance, sequence: self.sequence, mark: self.mark }.encode();
        self.file.write_all_at(&slot_bytes, slot * PAGE).map_err(io_error("writing", &self.path))
    }
}

struct Slot {
    instance: u128,
    sequence: u64,
    mark: Mark,
}

impl Slot {
    /// Magic, instance, sequence, confirmed, released, cells, time in milliseconds, zeros, checksum.
    fn encode(&self) -> [u8; LENGTH] {
        let time = self.mark.time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64;
        let mut bytes = [0; LENGTH];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(&self.instance.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[32..56].copy_from_slice(&self.mark.confirmed.encode());
        bytes[56..80].copy_from_slice(&self.mark.released.encode());
        bytes[80..88].copy_from_slice(&self.mark.cells.to_le_bytes());
        bytes[88..96].copy_from_slice(&time.to_le_bytes());
        let sum = checksum(0, &bytes[..LENGTH - 8]);
        bytes[LENGTH - 8..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; LENGTH]) -> Option<Self> {
        let word = |at: usize| bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        if bytes[0..8] != MAGIC || word(LENGTH - 8) != checksum(0, &bytes[..LENGTH - 8]) {
            return None;
        }
        let mark = Mark {
            confirmed: Position::decode(bytes[32..].first_chunk()?),
            released: Position::decode(bytes[56..].first_chunk()?),
            cells: word(80),
            time: UNIX_EPOCH + Duration::from_millis(word(88)),
        };
        Some(Self { instance: u128::from_le_bytes(*bytes[8..].first_chunk()?), sequence: word(24), mark })
    }
}

fn read(file: &File, slot: u64) -> Option<Slot> {
    let mut bytes = [0; LENGTH];
    file.read_exact_at(&mut bytes, slot * PAGE).ok()?;
    Slot::decode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_protocol::record::{Chain, Epoch, Offset};

    fn mark(offset: u64) -> Mark {
        let confirmed = Position { epoch: Epoch(1), offset: Offset(offset), chain: Chain(offset * 3) };
        Mark { confirmed, released: Position::ORIGIN, cells: offset, time: UNIX_EPOCH + Duration::from_millis(offset) }
    }

    #[test]
    fn the_newest_readable_slot_holds() {
        let folder = tempfile::tempdir().unwrap();
        let reopen = || MarkFile::open(folder.path(), 7).unwrap();
        let mut marks = MarkFile::create(folder.path(), 7).unwrap();
        assert_eq!(MarkFile::is_used(folder.path()), Some(false));
        marks.set(mark(1)).unwrap();
        marks.note(mark(2)).unwrap();
        marks.note(mark(3)).unwrap();
        assert_eq!(reopen().unwrap().mark(), mark(3));
        assert_eq!(MarkFile::is_used(folder.path()), Some(true));
        assert!(MarkFile::open(folder.path(), 8).unwrap().is_none(), "of another instance");

        marks.file.write_all_at(&[1], NOTES * PAGE + 40).unwrap();
        let mut marks = reopen().unwrap();
        assert_eq!(marks.mark(), mark(1), "falls back to what was settled");
        marks.set(mark(0)).unwrap();
        assert_eq!(reopen().unwrap().mark(), mark(0), "lowering holds");
        for slot in 0..SLOTS {
            marks.file.write_all_at(&[9], slot * PAGE).unwrap();
        }
        assert!(reopen().is_none());
        assert_eq!(MarkFile::is_used(folder.path()), None);
    }

    #[test]
    fn settling_never_touches_the_newest_settled_slot() {
        let folder = tempfile::tempdir().unwrap();
        let mut marks = MarkFile::create(folder.path(), 7).unwrap();
        for n in 1..5 {
            marks.set(mark(n)).unwrap();
            let slots = [0, 1].map(|slot| read(&marks.file, slot).map_or(0, |slot| slot.mark.cells));
            assert!(slots.contains(&n) && slots.contains(&(n - 1)), "{slots:?}");
        }
    }
}
