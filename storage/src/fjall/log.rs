//! A look at the database's own log before the database sees it.
//!
//! When fjall opens, it replays its log and cuts it, for good and without a word, at the first entry that it cannot make
//! sense of; and at a batch whose checksum does not fit it refuses to open at all, even if that batch is just the torn tail
//! of a power loss. Neither tells what is intact. So we walk the log first, read-only. Where it ends with a whole batch
//! and only zeros follow (the file is allocated ahead), all is well. Where something else follows, the file is copied
//! aside and cut there by us, the database opens with what is intact, and the mark and the chain decide whether what was
//! cut had been confirmed.
//!
//! This relies on the log format of exactly the pinned version of fjall: `start (tag 1, items u32, sequence u64)`, items
//! `(tag 2, kind u8, compression u8, keyspace u64, key length u16, value length u32, stored length u32, key, value)` or
//! `(tag 4, keyspace u64)`, `end (tag 3, xxh3 of the items u64, "FJL" 3)`, integers little endian. A test compares it with
//! what fjall writes.

use super::folder::{io_error, sync_folder};
use crate::Error;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

const BUFFER: usize = 256 << 10;
const TRAILER: [u8; 4] = [b'F', b'J', b'L', 3];

/// What was cut off a log.
#[derive(Debug, Default)]
pub(super) struct CutLog {
    /// From the first byte that is not intact to the last that is not zero.
    pub(super) bytes: u64,
    /// What was wrong at the first.
    pub(super) reason: String,
    /// The folder where such files lie as they were found.
    pub(super) saved: Option<PathBuf>,
}

/// Looks at all log files of the database. Cuts those that do not end well, after saving them in `found`.
pub(super) fn inspect(database: &Path, found: &Path) -> Result<CutLog, Error> {
    let mut cut = CutLog::default();
    let mut names = Vec::new();
    for entry in fs::read_dir(database).map_err(io_error("reading the folder", database))? {
        let path = entry.map_err(io_error("reading the folder", database))?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            names.push(path);
        }
    }
    names.sort();
    for path in names {
        let scan = scan(&path).map_err(io_error("reading", &path))?;
        let Some(reason) = scan.garbage else { continue };
        fs::create_dir_all(found).map_err(io_error("creating the folder", found))?;
        let copy = found.join(path.file_name().unwrap_or_default());
        // Whoever starts again after a refusal must not overwrite the first copy with what was cut then.
        if !copy.exists() {
            let result =
                fs::copy(&path, &copy).and_then(|_| File::open(&copy)?.sync_all()).and_then(|()| sync_folder(found));
            result.map_err(io_error("copying a damaged file to", &copy))?;
        }
        let file = File::options().write(true).open(&path).map_err(io_error("opening", &path))?;
        file.set_len(scan.intact).and_then(|()| file.sync_all()).map_err(io_error("cutting", &path))?;
        cut.bytes += scan.bytes;
        cut.reason = format!("{} at byte {} of the log file {}", reason, scan.intact, path.display());
    }
    Ok(cut)
}

struct Scan {
    /// Length of the part that is whole batches.
    intact: u64,
    /// What follows it, when that is not only zeros.
    garbage: Option<&'static str>,
    /// Length of what follows it up to the last byte that is not zero.
    bytes: u64,
}

fn scan(path: &Path) -> io::Result<Scan> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut log =
        Log { reader: BufReader::with_capacity(BUFFER, file), read: 0, length, hash: Xxh3::new(), buffer: Vec::new() };
    let mut intact = 0;
    let reason = loop {
        match log.batch()? {
            None => intact = log.read,
            Some(reason) => break reason,
        }
    };
    let last = last_byte(path, intact)?;
    let garbage = (last > intact).then_some(reason);
    Ok(Scan { intact, garbage, bytes: last - intact })
}

/// One past the last byte from `from` on that is not zero, or `from`.
fn last_byte(path: &Path, from: u64) -> io::Result<u64> {
    use std::os::unix::fs::FileExt;
    let file = File::open(path)?;
    let mut buffer = vec![0; BUFFER];
    let (mut at, mut last) = (from, from);
    loop {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            return Ok(last);
        }
        if let Some(index) = buffer[..read].iter().rposition(|&byte| byte != 0) {
            last = at + index as u64 + 1;
        }
        at += read as u64;
    }
}

struct Log {
    reader: BufReader<File>,
    read: u64,
    length: u64,
    hash: Xxh3,
    buffer: Vec<u8>,
}

impl Log {
    /// Reads one batch. None when it is whole, otherwise what is wrong with it.
    fn batch(&mut self) -> io::Result<Option<&'static str>> {
        let Some([1]) = self.take::<1>()? else { return Ok(Some("no start of a batch")) };
        let Some(items) = self.take::<4>()?.map(u32::from_le_bytes) else { return Ok(Some("an incomplete start")) };
        let Some(_sequence) = self.take::<8>()? else { return Ok(Some("an incomplete start")) };
        self.hash = Xxh3::new();
        for _ in 0..items {
            if !self.item()? {
                return Ok(Some("an incomplete or unreadable item"));
            }
        }
        let Some([3]) = self.take::<1>()? else { return Ok(Some("no end of the batch")) };
        let Some(sum) = self.take::<8>()? else { return Ok(Some("an incomplete end")) };
        if self.take()? != Some(TRAILER) {
            return Ok(Some("an incomplete end"));
        }
        if u64::from_le_bytes(sum) != self.hash.digest() {
            return Ok(Some("a batch with a wrong checksum"));
        }
        Ok(None)
    }

    fn item(&mut self) -> io::Result<bool> {
        let Some([tag]) = self.hashed::<1>()? else { return Ok(false) };
        if tag == 4 {
            return Ok(self.hashed::<8>()?.is_some());
        }
        if tag != 2 {
            return Ok(false);
        }
        let Some([kind, compression]) = self.hashed::<2>()? else { return Ok(false) };
        let Some(_keyspace) = self.hashed::<8>()? else { return Ok(false) };
        let Some(key) = self.hashed::<2>()?.map(u16::from_le_bytes) else { return Ok(false) };
        let Some(value) = self.hashed::<4>()?.map(u32::from_le_bytes) else { return Ok(false) };
        let Some(stored) = self.hashed::<4>()?.map(u32::from_le_bytes) else { return Ok(false) };
        let length = u64::from(key) + u64::from(stored);
        if !matches!(kind, 0..=2 | 4) || compression != 0 || value != stored || length > self.length - self.read {
            return Ok(false);
        }
        self.buffer.resize(length as usize, 0);
        self.reader.read_exact(&mut self.buffer)?;
        self.read += length;
        self.hash.update(&self.buffer);
        Ok(true)
    }

    fn hashed<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        let taken = self.take::<N>()?;
        if let Some(bytes) = &taken {
            self.hash.update(bytes);
        }
        Ok(taken)
    }

    /// The next bytes, none if the file ends before.
    fn take<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        if self.length - self.read < N as u64 {
            return Ok(None);
        }
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.read += N as u64;
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log of a database with batches of several kinds, and where each batch ends.
    fn sample(folder: &Path) -> (PathBuf, Vec<u64>) {
        let log = folder.join("db").join("0.jnl");
        let database = ::fjall::Database::builder(folder.join("db")).open().unwrap();
        let keyspace = database.keyspace("a", Default::default).unwrap();
        let mut ends = Vec::new();
        for n in 0..20_u32 {
            let mut batch = database.batch().durability(Some(::fjall::PersistMode::SyncData));
            for item in 0..n % 3 + 1 {
                batch.insert(&keyspace, [n.to_be_bytes(), item.to_be_bytes()].concat(), vec![7; n as usize * 700]);
            }
            batch.remove(&keyspace, "x");
            batch.commit().unwrap();
            ends.push(last_byte(&log, 0).unwrap());
        }
        (log, ends)
    }

    #[test]
    fn the_walk_agrees_with_what_fjall_writes() {
        let folder = tempfile::tempdir().unwrap();
        let (log, ends) = sample(folder.path());
        let scan = scan(&log).unwrap();
        assert_eq!((scan.intact, scan.garbage, scan.bytes), (*ends.last().unwrap(), None, 0));
    }

    #[test]
    fn every_flipped_byte_cuts_at_its_batch_or_is_of_no_consequence() {
        let folder = tempfile::tempdir().unwrap();
        let (log, ends) = sample(folder.path());
        let bytes = fs::read(&log).unwrap();
        let bytes = &bytes[..*ends.last().unwrap() as usize];
        let copy = folder.path().join("copy.jnl");
        for at in (0..bytes.len()).step_by(997).chain((0..60).map(|n| bytes.len() - 1 - n)) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x41;
            fs::write(&copy, &damaged).unwrap();
            let start = ends.iter().copied().filter(|&end| end <= at as u64).max().unwrap_or(0);
            let scan = scan(&copy).unwrap();
            let sequence = (start + 5..start + 13).contains(&(at as u64));
            assert!(sequence || (scan.intact == start && scan.garbage.is_some()), "byte {at}: {}", scan.intact);
        }
    }
}
