//! The data folder: whose it is, and that one process at a time uses it.
//!
//! The marker is a small text file that names the format, the journal and the *instance* (a random number, so that parts
//! of two journals are never mixed up). It is the last thing written when a journal is created: a folder without marker
//! is empty, or its creation was interrupted, or it is not ours.

use super::mark::MarkFile;
use crate::Error;
use baton_protocol::checksum::checksum;
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Names the format, the journal and the instance.
pub(super) const MARKER: &str = "baton-journal";
/// Locked by the process that uses the folder.
const LOCK: &str = "lock";
/// Folder of the database.
const DATABASE: &str = "fjall";
/// Folder for copies of damaged files.
const FOUND: &str = "found";
/// So long a lock is waited for: a process that has just ended, or one that was being started by it at that moment, may
/// still hold it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of the data folder as a whole. Grows when an older version could not read it.
const FORMAT: u32 = 1;

/// A data folder, locked as long as this lives.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) instance: u128,
    /// Held for its lock.
    _lock: File,
}

/// What was found at the path of a data folder.
pub(super) enum Found {
    /// A journal.
    Journal(Folder),
    /// Nothing. The journal is created by calling [`Folder::complete`] when everything else is in place.
    Nothing(Folder),
}

impl Folder {
    /// Locks and identifies the data folder of the journal called `name`, creating it if it is missing.
    pub(super) fn open(path: &Path, name: &str) -> Result<Found, Error> {
        fs::create_dir_all(path).map_err(io_error("creating the folder", path))?;
        let marker = path.join(MARKER);
        if !exists(&marker)? {
            refuse_strangers(path)?;
        }
        let lock_path = path.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io_error("opening", &lock_path))?;
        let since = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => std::thread::sleep(PATIENCE / 50),
                Err(TryLockError::WouldBlock) => return Err(Error::Locked(path.to_owned())),
                Err(TryLockError::Error(source)) => return Err(io_error("locking", &lock_path)(source)),
            }
        }
        let mut folder = Self { path: path.to_owned(), instance: 0, _lock: lock };
        if exists(&marker)? {
            folder.instance = folder.identify(&marker, name)?;
            return Ok(Found::Journal(folder));
        }
        // Only what an interrupted creation leaves may be removed: there is a mark then, and it says that nothing was
        // ever confirmed.
        let database = folder.database();
        if exists(&database)? {
            if MarkFile::is_used(path) != Some(false) {
                return Err(Error::NotAJournal { folder: path.to_owned(), marker: MARKER });
            }
            fs::remove_dir_all(&database).map_err(io_error("removing", &database))?;
        }
        folder.instance = random();
        Ok(Found::Nothing(folder))
    }

    /// Folder of the database.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Folder for copies of damaged files.
    pub(super) fn found(&self) -> PathBuf {
        self.path.join(FOUND)
    }

    /// Writes the marker: from now on this is the data folder of the journal called `name`.
    pub(super) fn complete(&self, name: &str) -> Result<(), Error> {
        let mut text = format!("baton journal\nformat {FORMAT}\nname {name}\ninstance {:032x}\n", self.instance);
        text.push_str(&format!("sum {:016x}\n", checksum(0, text.as_bytes())));
        let (path, new) = (self.path.join(MARKER), self.path.join(format!("{MARKER}.new")));
        File::create(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&new, &path))
            .and_then(|()| sync_folder(&self.path))
            .map_err(io_error("writing", &path))
    }

    /// Reads the marker, compares the name, returns the instance.
    fn identify(&self, marker: &Path, name: &str) -> Result<u128, Error> {
        let (found, instance) = read_marker(&self.path, marker)?;
        if found != name {
            return Err(Error::Foreign { folder: self.path.clone(), found, expected: name.to_owned() });
        }
        Ok(instance)
    }
}

/// The name of the journal whose data folder this is. None if it is no data folder.
pub(super) fn name(path: &Path) -> Result<Option<String>, Error> {
    let marker = path.join(MARKER);
    if !exists(&marker)? {
        return Ok(None);
    }
    read_marker(path, &marker).map(|(name, _)| Some(name))
}

/// Name and instance.
fn read_marker(folder: &Path, marker: &Path) -> Result<(String, u128), Error> {
    let bytes = fs::read(marker).map_err(io_error("reading", marker))?;
    let stranger = || Error::NotAJournal { folder: folder.to_owned(), marker: MARKER };
    let text = String::from_utf8(bytes).map_err(|_| stranger())?;
    let body = text.rfind("sum ").and_then(|at| text.split_at_checked(at));
    let Some((body, sum)) = body else { return Err(stranger()) };
    if sum != format!("sum {:016x}\n", checksum(0, body.as_bytes())) {
        return Err(stranger());
    }
    let field = |key: &str| body.lines().find_map(|line| line.strip_prefix(key)).ok_or_else(stranger);
    let format = field("format ")?.parse().map_err(|_| stranger())?;
    if format != FORMAT {
        return Err(Error::Format { folder: folder.to_owned(), found: format, known: FORMAT });
    }
    let instance = u128::from_str_radix(field("instance ")?, 16).map_err(|_| stranger())?;
    Ok((field("name ")?.to_owned(), instance))
}

/// A folder without marker may only have what an interrupted creation leaves.
fn refuse_strangers(path: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(path).map_err(io_error("reading the folder", path))? {
        let name = entry.map_err(io_error("reading the folder", path))?.file_name();
        let ours =
            name == LOCK || name == DATABASE || name == MarkFile::NAME || name == format!("{MARKER}.new").as_str();
        if !ours {
            return Err(Error::NotAJournal { folder: path.to_owned(), marker: MARKER });
        }
    }
    if MarkFile::is_used(path) == Some(true) {
        return Err(Error::NotAJournal { folder: path.to_owned(), marker: MARKER });
    }
    Ok(())
}

/// Makes new, renamed and removed entries of a folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// For `map_err`.
pub(super) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}

/// Whether something is there. An error to look is an error, not a no.
pub(super) fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(io_error("looking for", path))
}

/// A number that two journals do not share. The standard library seeds its hashers from the operating system.
fn random() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}
