//! Files of documents, read together: items in JSON or YAML, see [`baton_workflow::document`].
//!
//! What is wrong with a document is told in its findings, even that it is too long or no text. Only what cannot be read at
//! all is an error. Of a file never more is read than a document may have.

use baton_workflow::document::{Dialect, Document, Format, Scripts, Source, read};
use baton_workflow::json::limit;
use baton_workflow::json::{Finding, Place, Severity};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A file or folder which cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}", .path.display())]
pub struct Unreadable {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// Reads all documents. `-` is standard input; a folder stands for all JSON and YAML files in it and below it. Scripts of
/// one document can be included by the others.
///
/// # Errors
/// The first file or folder which cannot be read.
pub fn read_all(
    paths: &[PathBuf],
    format: Option<Format>,
    dialect: Option<Dialect>,
) -> Result<Vec<Document>, Unreadable> {
    let mut texts = Vec::new();
    for path in paths {
        if path.is_dir() {
            for file in files(path)? {
                texts.push(read_text(&file)?);
            }
        } else {
            texts.push(read_text(path)?);
        }
    }
    let mut scripts = Scripts::new();
    for text in texts.iter().filter_map(|text| text.as_ref().ok()) {
        scripts.extend(text.source(format, dialect).include_scripts());
    }
    let documents = texts.into_iter().map(|text| match text {
        Ok(text) => read(&Source { scripts: scripts.clone(), ..text.source(format, dialect) }),
        Err(document) => *document,
    });
    Ok(documents.collect())
}

struct Text {
    name: String,
    text: String,
}

impl Text {
    fn source(&self, format: Option<Format>, dialect: Option<Dialect>) -> Source<'_> {
        Source { name: &self.name, text: &self.text, format, dialect, scripts: Scripts::new() }
    }
}

/// The text of a file, or a document which tells why it is none.
fn read_text(path: &Path) -> Result<Result<Text, Box<Document>>, Unreadable> {
    let unreadable = |error| Unreadable { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let most = limit::TEXT as u64 + 1;
    if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        File::open(path).map_err(unreadable)?.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    let name = path.display().to_string();
    let refuse = |place, message: String| {
        let findings = vec![Finding::new(Severity::Error, place, "", message)];
        Ok(Err(Box::new(Document { name: name.clone(), findings, ..Document::default() })))
    };
    if bytes.len() > limit::TEXT {
        return refuse(Place::default(), format!("the document is longer than {} bytes", limit::TEXT));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Ok(Text { name, text })),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.split(|byte| *byte == b'\n').count();
            let column = String::from_utf8_lossy(valid.rsplit(|byte| *byte == b'\n').next().unwrap_or_default());
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let place = Place { line: number(line), column: number(column.chars().count() + 1) };
            refuse(place, String::from("the document is no text in UTF-8"))
        }
    }
}

/// The documents in a folder and below it, by name. Hidden ones are left out.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |error| Unreadable { path: folder.clone(), error };
        for entry in folder.read_dir().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            // Links to folders are not followed: they may lead in circles.
            if entry.file_type().map_err(unreadable)?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "json" || ending == "yaml" || ending == "yml") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
