//! What a daemon takes of its machine: memory, files, disk.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use std::{io, thread};

/// How often the disk is looked at.
const PERIOD: Duration = Duration::from_secs(10);

/// The system counts what a file takes in blocks of so many bytes. Journals reserve more than they take.
const BLOCK: u64 = 512;

/// Folders deeper than this are not measured.
const DEPTH: usize = 8;

/// What a process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessUse {
    /// Memory that is in the machine's memory, in bytes.
    pub resident: u64,
    /// Open files and sockets.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
}

/// What was measured of a folder; none what could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// What its files take, in bytes.
    pub taken: Option<u64>,
    /// What more its disk takes, in bytes.
    pub free: Option<u64>,
}

/// Measures a folder from time to time, on a thread of its own: a disk that hangs must not hold up who asks. Ends when it is dropped.
#[derive(Clone, Debug)]
pub struct DiskUse(Arc<Mutex<Measured>>);

impl ProcessUse {
    /// Of this process, as the system says. What it does not say is 0.
    #[must_use]
    pub fn of_process() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let number = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            value.split_whitespace().next()?.parse::<u64>().ok()
        };
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
        Self {
            resident: number("VmRSS:").unwrap_or(0) * 1024,
            // One is that of the folder itself.
            descriptors: descriptors.saturating_sub(1),
            threads: number("Threads:").unwrap_or(0),
        }
    }
}

impl Measured {
    /// Measures a folder. Files that go away meanwhile count nothing.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        let free = rustix::fs::statvfs(folder).ok().map(|found| found.f_bavail.saturating_mul(found.f_frsize));
        Self { taken: folder_bytes(folder).ok(), free }
    }
}

fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut open = vec![(std::fs::read_dir(folder)?, 0)];
    let mut bytes = 0;
    while let Some((entries, depth)) = open.pop() {
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() && depth < DEPTH => {
                    open.extend(std::fs::read_dir(entry.path()).map(|entries| (entries, depth + 1)));
                }
                Ok(metadata) if metadata.is_file() => bytes += metadata.blocks() * BLOCK,
                _ => {}
            }
        }
    }
    Ok(bytes)
}

impl DiskUse {
    /// Measures the folder from now on.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(folder: PathBuf) -> io::Result<Self> {
        let measured = Arc::default();
        let theirs = Arc::downgrade(&measured);
        thread::Builder::new().name("disk-use".to_owned()).spawn(move || measure_for_ever(&folder, &theirs))?;
        Ok(Self(measured))
    }

    /// What was measured last.
    #[must_use]
    pub fn measured(&self) -> Measured {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn measure_for_ever(folder: &Path, theirs: &Weak<Mutex<Measured>>) {
    loop {
        let measured = Measured::of(folder);
        match theirs.upgrade() {
            Some(theirs) => *theirs.lock().unwrap_or_else(PoisonError::into_inner) = measured,
            None => return,
        }
        thread::sleep(PERIOD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_what_is_used() {
        let process = ProcessUse::of_process();
        assert!(process.resident > 1 << 20 && process.descriptors > 2 && process.threads > 0, "{process:?}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/b"), [1; 100_000]).unwrap();
        // It has a length, but takes nothing.
        std::fs::File::create(folder.path().join("c")).unwrap().set_len(10_000_000).unwrap();
        let measured = Measured::of(folder.path());
        assert!(measured.taken.is_some_and(|bytes| (100_000..1_000_000).contains(&bytes)), "{measured:?}");
        assert!(measured.free.is_some_and(|free| free > 0), "{measured:?}");
        assert_eq!(Measured::of(&folder.path().join("nothing")), Measured::default());
        let disk = DiskUse::start(folder.path().to_owned()).unwrap();
        while disk.measured().taken != measured.taken {
            thread::sleep(Duration::from_millis(1));
        }
    }
}
