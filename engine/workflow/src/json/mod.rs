//! JSON (and what is shaped like it, YAML) in and out of the types of the language.
//!
//! Text becomes a tree of [`Node`]s which know where they stand in the text, so that every problem of a document is
//! reported with its place, and all of them, not only the first. A type declares its JSON form once, with
//! [`json_struct!`](crate::json_struct) or [`json_union!`](crate::json_union); reader, writer and JSON Schema follow
//! from that declaration.
//!
//! Reading is bounded: text size, nesting and the number of reported problems have limits ([`limit`]).

pub mod basic;
mod general;
mod macros;
mod node;
mod parse;
mod print;
mod read;
mod report;
pub mod schema;

pub use node::{Node, NodeKind, Place};
pub use parse::{parse, parse_findings};
pub use print::{print, print_pretty};
pub use read::{Doc, ObjectDoc, Step};
pub use report::{Finding, Mention, Report, Severity};

use crate::problem::{Checked, Problem};
use crate::value::Value;
use schema::Schemas;

/// Bounds of documents.
pub mod limit {
    /// Deepest nesting of lists and objects in a document.
    pub const DEPTH: usize = 100;
    /// Largest text of a document, bytes.
    pub const TEXT: usize = 32 * 1024 * 1024;
    /// Most values (lists, objects, texts, …) of a document, so that its tree takes not more than some 100 MiB.
    pub const NODES: usize = 1_000_000;
    /// Most findings of one severity reported of one document; further ones are only counted.
    pub const FINDINGS: usize = 100;
}

/// A type with a JSON form.
pub trait Json: Sized {
    /// Reads the value at `doc`. Reports every problem there and returns `None` if there is one.
    fn read(doc: &Doc<'_>) -> Option<Self>;

    /// The JSON form. Members with their default value are omitted where the format says so.
    fn write(&self) -> Value;

    /// Describes the JSON form for editors.
    fn schema(schemas: &mut Schemas) -> Value;
}

/// Reads a value from JSON text.
///
/// # Errors
/// All findings of the text, combined, each with its place.
pub fn from_text<T: Json>(text: &str) -> Checked<T> {
    let node = parse(text)?;
    from_node(&node)
}

/// Reads a value from a parsed document.
///
/// # Errors
/// All findings of the document, combined, each with its place.
pub fn from_node<T: Json>(node: &Node) -> Checked<T> {
    let report = Report::default();
    let read = T::read(&Doc::root(node, &report));
    match (read, report.into_problem()) {
        (Some(value), None) => Ok(value),
        (_, Some(problem)) => Err(problem),
        (None, None) => Err(Problem::new("Document is not readable")),
    }
}

/// The JSON text of a value, on one line.
pub fn to_text<T: Json>(value: &T) -> alloc::string::String {
    print(&value.write())
}
