//! Documents, read.

mod bad;
mod bounds;
pub(super) mod dialects;
mod sets;

use super::{Document, Source, read};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Reads a text of a file of this name.
pub(super) fn document(name: &str, text: &str) -> Document {
    read(&Source { name, text, ..Source::default() })
}

/// The findings as `severity: line L column C: path: message`, one per line.
fn findings(document: &Document) -> String {
    let lines: Vec<String> = document.findings.iter().map(|f| alloc::format!("{}: {f}", f.severity)).collect();
    lines.join("\n")
}

/// The items as JSON text.
fn items(document: &Document) -> Vec<String> {
    assert_eq!(
        document.findings.iter().find(|f| f.severity == crate::json::Severity::Error).map(ToString::to_string),
        None
    );
    document.entries.iter().map(|entry| crate::json::to_text(&entry.item)).collect()
}
