//! Documents as people write them: items in JSON or YAML, with the names of the controller or of the cockpit's inventory.
//!
//! [`read`] gives all items of one text and everything that is wrong with it, each finding with line, column, path, what
//! was found and what would be right. [`check_set`] finds what is wrong between the items of several documents.
//! Nothing here fails otherwise, whatever the text; stack and memory are bounded by [`limit`].
//!
//! One text may hold one item, a list of items, an object without `TYPE` (what it is then tells its file name or its
//! members), or several YAML documents.
//!
//! ```text
//! text ──json│yaml──▶ nodes ──inventory──▶ nodes in the controller's form ──model──▶ items
//! ```
//! Nodes keep their places all the way, so findings are about the text as it was written.

mod dialect;
mod inventory;
mod kind;
mod pointing;
mod references;
mod schema;
#[cfg(test)]
mod tests;
mod yaml;

pub use references::check_set;
pub use schema::schema;

use crate::json::{Doc, Finding, Json as _, Mention, Node, NodeKind, Place, Report, Severity, limit, parse_findings};
use crate::model::item::Item;
use crate::problem::{Checked, Problem};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use kind::Kind;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, RFC 8259.
    Json,
    /// YAML 1.2, as far as it has a counterpart in JSON.
    Yaml,
}

/// Whose names a document uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Those of the controller.
    Controller,
    /// Those of the cockpit's inventory, where texts need no quotes to be expressions.
    Inventory,
}

/// Scripts which other scripts include by name, with a line `##!include NAME`.
pub type Scripts = BTreeMap<Arc<str>, Arc<str>>;

/// A text to read.
#[derive(Clone, Debug, Default)]
pub struct Source<'a> {
    /// Name of the file. Its ending tells the format and, in the form `NAME.workflow.json`, what the item is; the
    /// rest is the name of an item which does not say its own.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
    /// How it is written; `None`: see from name and text.
    pub format: Option<Format>,
    /// Whose names it uses; `None`: see from the names.
    pub dialect: Option<Dialect>,
    /// Scripts which may be included, besides those of the text itself.
    pub scripts: Scripts,
}

/// What was read from a text.
#[derive(Debug, Default)]
pub struct Document {
    /// Name of the file.
    pub name: String,
    /// The items which could be read. Incomplete if there are errors.
    pub entries: Vec<Entry>,
    /// What was found, in the order of the text; of each severity at most [`limit::FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many further errors there are.
    pub omitted: usize,
}

/// An item of a document.
#[derive(Debug)]
pub struct Entry {
    /// The item.
    pub item: Item,
    /// Where it begins.
    pub place: Place,
    mentions: Vec<Mention>,
}

impl Document {
    /// Whether the document must not be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// All items, or none.
    ///
    /// # Errors
    /// All errors of the document.
    pub fn into_items(self) -> Checked<Vec<Item>> {
        let more = (self.omitted > 0).then(|| Problem::new(format!("… and {} more problems", self.omitted)));
        let errors = self.findings.into_iter().filter(|finding| finding.severity == Severity::Error);
        let errors = errors.map(|finding| Problem { message: finding.to_string(), position: None, ..finding.problem });
        match Problem::combine(errors.chain(more)) {
            Some(problem) => Err(problem),
            None => Ok(self.entries.into_iter().map(|entry| entry.item).collect()),
        }
    }
}

impl Source<'_> {
    /// The format, given or seen.
    #[must_use]
    pub fn format(&self) -> Format {
        let name = self.name.to_ascii_lowercase();
        match self.format {
            Some(format) => format,
            None if name.ends_with(".json") => Format::Json,
            None if name.ends_with(".yaml") || name.ends_with(".yml") => Format::Yaml,
            None if self.text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']) => Format::Json,
            None => Format::Yaml,
        }
    }

    /// The scripts which this text makes known: its IncludeScript objects.
    #[must_use]
    pub fn include_scripts(&self) -> Scripts {
        let mentions =
            |text: &str| text.as_bytes().windows(13).any(|bytes| bytes.eq_ignore_ascii_case(b"includescript"));
        if !mentions(self.name) && !mentions(self.text) {
            return Scripts::new();
        }
        self.parse().map(|roots| own_scripts(&roots, self.name)).unwrap_or_default()
    }

    fn parse(&self) -> Result<Vec<Node>, Vec<Finding>> {
        match self.format() {
            Format::Json => parse_findings(self.text).map(|node| Vec::from([node])),
            Format::Yaml => yaml::parse(self.text),
        }
    }
}

/// Reads a text: its items, and all that is wrong with it.
#[must_use]
pub fn read(source: &Source<'_>) -> Document {
    let mut document = Document { name: source.name.to_string(), ..Document::default() };
    match source.parse() {
        Ok(roots) => read_roots(source, &roots, &mut document),
        Err(findings) => document.findings = findings,
    }
    pointing::point_into_texts(source, &mut document.findings);
    document.findings.sort_by_key(|finding| (finding.place, finding.severity));
    document
}

/// An item's node with the way to it from the top of its document.
struct Part<'a> {
    node: &'a Node,
    path: String,
}

/// The items of documents: a list is one of items. Empty YAML documents count for nothing.
fn parts(roots: &[Node]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for root in roots {
        match &root.kind {
            NodeKind::List(nodes) => {
                parts.extend(nodes.iter().enumerate().map(|(i, node)| Part { node, path: format!("[{i}]") }));
            }
            NodeKind::Null if roots.len() > 1 => {}
            _ => parts.push(Part { node: root, path: String::new() }),
        }
    }
    parts
}

fn own_scripts(roots: &[Node], name: &str) -> Scripts {
    let scripts = parts(roots).into_iter().filter_map(|part| {
        let found = kind::recognize(part.node, name, roots.len() == 1)?;
        let script = found.node.get("script")?.as_str()?;
        let name = found.name.filter(|_| found.kind == Kind::IncludeScript)?;
        Some((Arc::from(name.rsplit('/').next()?), Arc::from(script)))
    });
    scripts.collect()
}

fn read_roots(source: &Source<'_>, roots: &[Node], document: &mut Document) {
    let parts = parts(roots);
    if parts.is_empty() {
        document.findings.push(Finding::new(Severity::Error, Place::default(), "", "there is no item in the document"));
    }
    let mut scripts = source.scripts.clone();
    scripts.extend(own_scripts(roots, source.name));
    let is_alone = parts.len() == 1;
    let mut counts = [0; 3];
    for part in parts {
        let report = Report::with_mentions();
        let item = read_part(source, &scripts, &part, is_alone, &report);
        document.omitted += report.omitted(Severity::Error);
        let (mut findings, mut mentions) = report.into_parts();
        if let Some(item) = item {
            pointing::as_written(&part, &mut findings, &mut mentions);
            document.entries.push(Entry { item, place: part.node.place, mentions });
        } else {
            pointing::as_written(&part, &mut findings, &mut []);
        }
        for finding in findings {
            let count = &mut counts[finding.severity as usize];
            *count += 1;
            if *count <= limit::FINDINGS {
                document.findings.push(finding);
            } else if finding.severity == Severity::Error {
                document.omitted += 1;
            }
        }
    }
}

/// Reads an item. `None` if it is none, or has errors.
fn read_part(source: &Source<'_>, scripts: &Scripts, part: &Part<'_>, is_alone: bool, report: &Report) -> Option<Item> {
    let top = Doc::root(part.node, report);
    if !matches!(part.node.kind, NodeKind::Object(_)) {
        return top.expected("an item (an object)");
    }
    let Some(found) = kind::recognize(part.node, source.name, is_alone) else {
        return kind::refuse(&top);
    };
    if found.kind.is_of_the_cockpit_only() {
        if found.kind != Kind::IncludeScript {
            top.warn(format!("a {} is of use in the cockpit only, and ignored here", found.kind.name()));
        }
        return None;
    }
    let dialect = dialect::choose(&found, source.dialect, &top);
    let node = inventory::controller_form(&found, dialect, scripts, report);
    let item = Item::read(&Doc::root(&node, report))?;
    (!report.has_errors()).then_some(item)
}
