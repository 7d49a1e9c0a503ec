//! `toFile()`: values which a process gets as files.
//!
//! Evaluation only collects what is to be written and gives the paths. Whoever starts the process writes the files into a directory
//! of the process's own, and deletes them with it.

use crate::expression::evaluation::{Evaluation, Failure};
use crate::expression::scope::{Call, Scope};
use crate::problem::Problem;
use crate::value::Value;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

/// Most files of one process.
pub const MAX_FILES: usize = 1000;

/// A file to write before the process starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryFile {
    /// Where.
    pub path: String,
    /// What.
    pub content: Arc<str>,
}

/// `toFile(content, filename)`; `*` in the file name is replaced by a number.
#[derive(Debug)]
pub struct TemporaryFiles<'a> {
    directory: &'a str,
    files: RefCell<Vec<TemporaryFile>>,
}

impl<'a> TemporaryFiles<'a> {
    /// Files in this directory.
    #[must_use]
    pub fn new(directory: &'a str) -> Self {
        Self { directory, files: RefCell::default() }
    }

    /// What is to be written.
    #[must_use]
    pub fn into_files(self) -> Vec<TemporaryFile> {
        self.files.into_inner()
    }

    fn add(&self, content: Arc<str>, pattern: &str) -> Result<Value, Problem> {
        let mut files = self.files.borrow_mut();
        if files.len() == MAX_FILES {
            return Err(Problem::new(format!("toFile: a process can have at most {MAX_FILES} files")));
        }
        if pattern.is_empty() || pattern == ".." || pattern == "." || pattern.contains(['/', '\\', '\0']) {
            return Err(Problem::new(format!(
                "toFile: '{pattern}' is no file name, which must be without a directory"
            )));
        }
        let number = (files.len() + 1).to_string();
        let path = format!("{}/{}", self.directory, pattern.replacen('*', &number, 1));
        if files.iter().any(|file| file.path == path) {
            return Err(Problem::new(format!(
                "toFile: the file name '{pattern}' is used twice; '*' in it makes it unique"
            )));
        }
        let value = Value::string(&path);
        files.push(TemporaryFile { path, content });
        Ok(value)
    }
}

impl Scope for TemporaryFiles<'_> {
    fn call(&self, call: &Call<'_>, evaluation: &mut Evaluation<'_>) -> Option<Result<Value, Failure>> {
        (call.name() == "toFile").then(|| {
            call.accept(2, &["content", "filename"])?;
            let content = call.text(0, "content", evaluation)?;
            let pattern = match call.argument(1, "filename") {
                Some(_) => call.text(1, "filename", evaluation)?,
                None => "*".into(),
            };
            Ok(self.add(content, &pattern)?)
        })
    }
}
