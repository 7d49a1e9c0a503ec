//! The file in which a job leaves its return values: lines `name=value`.
//!
//! The job makes the file, if it wants. It may also make nonsense in its place: a pipe that would block whoever opens it, a
//! link to somewhere else, a gigabyte. None of it does harm here.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// The largest return values file, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// Why the return values of a process cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ReturnValuesError {
    /// A line is not of the form `name=value`.
    #[error("return values file, line {number}: expected name=value, but found {line:?}")]
    Line {
        /// Beginning with 1.
        number: usize,
        /// The beginning of the line.
        line: String,
    },
    /// The file is larger than 1 MiB.
    #[error("return values file is larger than {MAX_SIZE} bytes")]
    TooLarge,
    /// The file is not encoded in UTF-8.
    #[error("return values file is not valid UTF-8")]
    Encoding,
    /// There is something else in the place of the file.
    #[error("return values file is not a regular file")]
    NotAFile,
    /// The file cannot be read.
    #[error("cannot read return values file: {0}")]
    Unreadable(#[from] io::Error),
}

/// The directory of the files of all running processes.
pub(super) fn directory(work_directory: &Path) -> PathBuf {
    work_directory.join("values")
}

/// Reads the values in the order of the file, and removes it. No file, no values.
pub(super) fn take(path: &Path) -> Result<Vec<(String, String)>, ReturnValuesError> {
    let Some(text) = read(path)? else {
        return Ok(Vec::new());
    };
    parse(&text)
}

/// Removes the file unread.
pub(super) fn discard(path: &Path) {
    let _ = std::fs::remove_file(path);
}

fn read(path: &Path) -> Result<Option<String>, ReturnValuesError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(ReturnValuesError::NotAFile),
        Err(error) => return Err(io::Error::from(error).into()),
    };
    discard(path);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(ReturnValuesError::NotAFile);
    }
    if metadata.len() > MAX_SIZE {
        return Err(ReturnValuesError::TooLarge);
    }
    let mut bytes = Vec::new();
    file.take(MAX_SIZE).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map(Some).map_err(|_| ReturnValuesError::Encoding)
}

fn parse(text: &str) -> Result<Vec<(String, String)>, ReturnValuesError> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| match line.split_once('=') {
            Some((name, value)) if !name.trim_end().is_empty() => {
                Ok((name.trim_end().to_owned(), value.trim_start().to_owned()))
            }
            _ => Err(ReturnValuesError::Line { number: index + 1, line: line.chars().take(100).collect() }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_trimmed_and_blank_ones_ignored() {
        let values = parse("a=1\r\n\n  b = x = y \n c=\n").unwrap();
        let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(values, [("a", "1"), ("b", "x = y"), ("c", "")]);
    }

    #[test]
    fn a_malformed_line_is_named() {
        for text in ["a=1\n\nnonsense\n", "a=1\n\n=1"] {
            assert!(matches!(parse(text), Err(ReturnValuesError::Line { number: 3, .. })));
        }
    }

    #[test]
    fn nonsense_in_place_of_the_file_does_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1");
        assert!(take(&path).unwrap().is_empty());

        std::fs::create_dir(&path).unwrap();
        assert!(matches!(take(&path), Err(ReturnValuesError::NotAFile)));
        std::fs::remove_dir(&path).unwrap();

        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(take(&path), Err(ReturnValuesError::NotAFile)));
        std::fs::remove_file(&path).unwrap();

        File::create(&path).unwrap().set_len(MAX_SIZE + 1).unwrap();
        assert!(matches!(take(&path), Err(ReturnValuesError::TooLarge)));

        std::fs::write(&path, b"a=\xff").unwrap();
        assert!(matches!(take(&path), Err(ReturnValuesError::Encoding)));
        assert!(!path.exists());
    }
}
