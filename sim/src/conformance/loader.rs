//! Finds and reads the vectors below a folder.
//!
//! A file that is no JSON is a vector which fails. Only a folder that cannot be read, or that has no vectors, is an error.

use baton_workflow::json::{Node, parse};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Deepest nesting of folders.
const MAX_DEPTH: usize = 32;

/// A file which should be a vector.
#[derive(Debug)]
pub struct Loaded {
    /// Its path below the folder.
    pub file: String,
    /// Its content, or why it has none.
    pub content: Result<Node, String>,
}

/// Reads all `*.json` files below a folder (or the one file that is given), in the order of their paths.
///
/// # Errors
/// When a folder cannot be read, or there is no vector.
pub fn load(root: &Path) -> io::Result<Vec<Loaded>> {
    let mut files = Vec::new();
    if root.is_file() {
        files.push(root.to_path_buf());
    } else {
        find(root, 0, &mut files)?;
    }
    if files.is_empty() {
        let message = format!("there are no *.json files below {}", root.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    files.sort();
    Ok(files.iter().map(|path| Loaded { file: shown(root, path), content: read(path) }).collect())
}

fn find(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let with_path = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    if depth > MAX_DEPTH {
        return Err(with_path(io::Error::other("folders are nested too deep")));
    }
    for entry in fs::read_dir(folder).map_err(with_path)? {
        let path = entry.map_err(with_path)?.path();
        if path.is_dir() {
            find(&path, depth + 1, files)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    Ok(())
}

fn shown(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
    below.unwrap_or(path).display().to_string()
}

fn read(path: &Path) -> Result<Node, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    parse(&text).map_err(|problem| problem.message)
}
