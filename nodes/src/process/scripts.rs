//! Script texts as files: written once for each distinct text, removed when the launcher ends.
//!
//! The directory belongs to one launcher alone and is emptied when it starts, so nothing of a predecessor is run. Texts are
//! compared as a whole, there is no hash to be tricked. A file lives as long as a process may read it.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// So many distinct scripts are kept as files while no process runs them.
const MAX_IDLE: usize = 1000;

/// The scripts of one launcher.
pub(super) struct ScriptStore {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<Arc<str>, Arc<ScriptFile>>,
    written: u64,
}

/// A script as executable file; removed when nobody needs it any more.
pub(super) struct ScriptFile {
    path: PathBuf,
}

impl ScriptStore {
    /// Starts with an empty directory below the work directory.
    pub(super) fn new(work_directory: &Path) -> io::Result<Self> {
        let directory = work_directory.join("scripts");
        empty_directory(&directory)?;
        Ok(Self { directory, state: Mutex::default() })
    }

    /// The file with this text.
    pub(super) fn get(&self, text: &Arc<str>) -> io::Result<Arc<ScriptFile>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = state.files.get(text) {
            return Ok(Arc::clone(file));
        }
        if state.files.len() >= MAX_IDLE {
            state.files.retain(|_, file| Arc::strong_count(file) > 1);
        }
        let file = ScriptFile { path: self.directory.join(format!("script-{}.sh", state.written)) };
        state.written += 1;
        // From here on the file is removed even if writing it fails.
        File::options().write(true).create_new(true).mode(0o700).open(&file.path)?.write_all(text.as_bytes())?;
        let file = Arc::new(file);
        state.files.insert(Arc::clone(text), Arc::clone(&file));
        Ok(file)
    }
}

impl ScriptFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScriptFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes the directory, for the owner only, and empty.
pub(super) fn empty_directory(directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn each_text_is_written_once_and_removed_when_unused() {
        let work = tempfile::tempdir().unwrap();
        std::fs::create_dir(work.path().join("scripts")).unwrap();
        std::fs::write(work.path().join("scripts/left-over"), "").unwrap();
        let store = ScriptStore::new(work.path()).unwrap();
        assert!(!work.path().join("scripts/left-over").exists());

        let first = store.get(&"echo 1".into()).unwrap();
        let again = store.get(&"echo 1".into()).unwrap();
        assert_eq!(first.path(), again.path());
        assert_eq!(std::fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o700);
        let path = first.path().to_owned();
        for n in 0..2 * MAX_IDLE {
            store.get(&format!("echo {n} of many").into()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "echo 1");
        assert!(std::fs::read_dir(work.path().join("scripts")).unwrap().count() <= MAX_IDLE + 1);
        drop((first, again, store));
        assert!(!path.exists());
    }
}
