//! The files which a process gets: written before it starts, removed when it has ended.

use baton_machine::process::{FILES_DIRECTORY, SpecFile};
use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The folder for the files of all processes.
pub(super) struct FileStore {
    folder: PathBuf,
    last: AtomicU64,
}

/// The files of one process. Removed when dropped.
pub(super) struct JobFiles {
    folder: Option<PathBuf>,
}

impl FileStore {
    /// Makes the folder, or empties it.
    pub(super) fn new(folder: PathBuf) -> io::Result<Self> {
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { folder: folder.canonicalize()?, last: AtomicU64::new(0) })
    }

    /// Writes the files of a process.
    pub(super) fn write(&self, files: &[SpecFile]) -> io::Result<JobFiles> {
        if files.is_empty() {
            return Ok(JobFiles { folder: None });
        }
        let folder = self.folder.join(self.last.fetch_add(1, Ordering::Relaxed).to_string());
        DirBuilder::new().mode(0o700).create(&folder)?;
        let written = JobFiles { folder: Some(folder.clone()) };
        for file in files {
            let path = folder.join(plain_name(&file.name)?);
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?
                .write_all(file.content.as_bytes())?;
        }
        Ok(written)
    }
}

/// A name that stays within its folder.
fn plain_name(name: &str) -> io::Result<&str> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not the name of a file")));
    }
    Ok(name)
}

impl JobFiles {
    /// The text with the folder of the files in it.
    pub(super) fn resolve(&self, text: &str) -> OsString {
        let mut parts = text.split(FILES_DIRECTORY);
        let mut resolved = OsString::from(parts.next().unwrap_or_default());
        for part in parts {
            resolved.push(self.folder.as_deref().unwrap_or(Path::new("")));
            resolved.push(part);
        }
        resolved
    }
}

impl Drop for JobFiles {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // What is left is removed at the next start.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> SpecFile {
        SpecFile { name: name.to_owned(), content: "secret".to_owned() }
    }

    #[test]
    fn files_live_as_long_as_their_process() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("files")).unwrap();
        let files = store.write(&[file("a.txt"), file("b.txt")]).unwrap();
        for name in ["a.txt", "b.txt"] {
            let path = files.resolve(&format!("{FILES_DIRECTORY}/{name}"));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "secret");
        }
        let path = files.resolve(&format!("{FILES_DIRECTORY}/a.txt"));
        drop(files);
        assert!(!Path::new(&path).exists());
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("files")).unwrap();
        for name in ["../x", "/etc/x", "..", ""] {
            assert!(store.write(&[file(name)]).is_err(), "{name}");
        }
    }
}
