//! Reading types from nodes, with a report of everything that is wrong.

use super::report::{Finding, Report, Severity};
use super::{Json, Node, NodeKind, Place};
use crate::problem::Problem;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

/// A part of a document that is being read. Knows its path for the report.
#[derive(Clone, Copy, Debug)]
pub struct Doc<'a> {
    /// The part.
    pub node: &'a Node,
    parent: Option<&'a Self>,
    step: Step<'a>,
    report: &'a Report,
}

/// A step from a part of a document to a part of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// No step: the whole document.
    Root,
    /// To a member of an object.
    Member(&'a str),
    /// To an element of a list, from 0.
    Element(usize),
}

impl<'a> Doc<'a> {
    /// The top of a document.
    #[must_use]
    pub fn root(node: &'a Node, report: &'a Report) -> Self {
        Self { node, parent: None, step: Step::Root, report }
    }

    /// This part's element or member, for reading it.
    #[must_use]
    pub fn element<'b>(&'b self, index: usize, node: &'b Node) -> Doc<'b>
    where
        'a: 'b,
    {
        Doc { node, parent: Some(self), step: Step::Element(index), report: self.report }
    }

    /// This part's member, for reading it.
    #[must_use]
    pub fn member<'b>(&'b self, name: &'b str, node: &'b Node) -> Doc<'b>
    where
        'a: 'b,
    {
        Doc { node, parent: Some(self), step: Step::Member(name), report: self.report }
    }

    /// This part with another node in its place.
    #[must_use]
    pub fn replaced_by<'b>(&self, node: &'b Node) -> Doc<'b>
    where
        'a: 'b,
    {
        Doc { node, parent: self.parent, step: self.step, report: self.report }
    }

    /// Where this part stands in the document, like `instructions[2].job`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut steps = Vec::new();
        let mut doc = Some(self);
        while let Some(d) = doc {
            steps.push(d.step);
            doc = d.parent;
        }
        let mut path = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Root => {}
                Step::Member(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
                Step::Element(i) => path.push_str(&format!("[{i}]")),
            }
        }
        path
    }

    /// Reports a problem here. Returns `None`, for the reader to return.
    pub fn fail<T>(&self, problem: impl Into<Problem>) -> Option<T> {
        self.add(problem.into(), Severity::Error)
    }

    /// Does something with the part which is these steps below. A step which this document does not have (because an
    /// older form has less of them) is skipped.
    pub fn below(&self, steps: &[Step<'_>], then: &mut dyn FnMut(&Doc<'_>)) {
        match steps {
            [] => then(self),
            [step, rest @ ..] => match (*step, &self.node.kind) {
                (Step::Member(name), NodeKind::Object(members)) => {
                    match members.iter().find(|(n, _, _)| **n == *name) {
                        Some((_, _, node)) => self.member(name, node).below(rest, then),
                        None => self.below(rest, then),
                    }
                }
                (Step::Element(i), NodeKind::List(nodes)) if i < nodes.len() => {
                    self.element(i, &nodes[i]).below(rest, then);
                }
                _ => self.below(rest, then),
            },
        }
    }

    /// Notes that a name of something is mentioned here.
    pub fn mention(&self, kind: &'static str, name: &Arc<str>) {
        self.report.mention(kind, name, || (self.node.place, self.path()));
    }

    /// Reports that something else was expected here.
    pub fn expected<T>(&self, what: &str) -> Option<T> {
        let found = match &self.node.kind {
            NodeKind::String(text) if text.len() <= 40 => format!("\"{text}\""),
            NodeKind::Number(number) => number.to_string(),
            NodeKind::Boolean(b) => b.to_string(),
            NodeKind::String(_) | NodeKind::Null | NodeKind::List(_) | NodeKind::Object(_) => {
                self.node.describe().to_string()
            }
        };
        self.fail(Problem::new(format!("expected {what}, found {found}")))
    }

    /// Reports something doubtful that does not prevent the use of the document.
    pub fn warn(&self, message: String) {
        let _: Option<()> = self.add(Problem::new(message), Severity::Warning);
    }

    fn add<T>(&self, problem: Problem, severity: Severity) -> Option<T> {
        if !problem.parts.is_empty() {
            for part in problem.parts {
                let _: Option<()> = self.add(part, severity);
            }
            return None;
        }
        self.report.add(severity, || Finding {
            place: self.node.place,
            path: self.path(),
            message: problem.message.clone(),
            problem,
            severity,
        });
        None
    }

    /// This part as a text.
    #[must_use]
    pub fn string(&self) -> Option<&'a str> {
        match &self.node.kind {
            NodeKind::String(text) => Some(text),
            NodeKind::Null | NodeKind::Boolean(_) | NodeKind::Number(_) | NodeKind::List(_) | NodeKind::Object(_) => {
                self.expected("a string")
            }
        }
    }

    /// Each element of this list, read by `read`. All are read, then `None` if one failed.
    pub fn list<T>(&self, mut read: impl FnMut(&Doc<'_>) -> Option<T>) -> Option<Vec<T>> {
        let NodeKind::List(nodes) = &self.node.kind else {
            return self.expected("a list");
        };
        let mut values = Vec::with_capacity(nodes.len());
        for (i, node) in nodes.iter().enumerate() {
            values.push(read(&self.element(i, node)));
        }
        values.into_iter().collect()
    }

    /// Each member of this object, read by `read`.
    pub fn members<K, T>(&self, mut read: impl FnMut(&str, &Doc<'_>) -> Option<(K, T)>) -> Option<Vec<(K, T)>> {
        let NodeKind::Object(members) = &self.node.kind else {
            return self.expected("an object");
        };
        let mut values = Vec::with_capacity(members.len());
        for (name, _, node) in members {
            values.push(read(name, &self.member(name, node)));
        }
        values.into_iter().collect()
    }

    /// This part as an object with known members.
    #[must_use]
    pub fn object(&self) -> Option<ObjectDoc<'_>> {
        match &self.node.kind {
            NodeKind::Object(members) => {
                Some(ObjectDoc { doc: self, members, known: RefCell::new(Vec::with_capacity(members.len())) })
            }
            NodeKind::Null | NodeKind::Boolean(_) | NodeKind::Number(_) | NodeKind::String(_) | NodeKind::List(_) => {
                self.expected("an object")
            }
        }
    }
}

/// Members which any object may have: its type, and what the cockpit and editors add.
const GENERAL: &[&str] = &["TYPE", "label", "position", "sourcePos", "title", "documentationName", "version", "source"];

/// An object whose members are read one by one.
#[derive(Debug)]
pub struct ObjectDoc<'a> {
    doc: &'a Doc<'a>,
    members: &'a [(Arc<str>, Place, Node)],
    known: RefCell<Vec<&'static str>>,
}

impl ObjectDoc<'_> {
    /// Marks names as known, so that they are not reported as unknown.
    pub fn know(&self, name: &'static str) {
        self.known.borrow_mut().push(name);
    }

    fn find(&self, name: &'static str, aliases: &[&'static str]) -> Option<(&'static str, &Node)> {
        self.know(name);
        for alias in aliases {
            self.know(alias);
        }
        core::iter::once(&name)
            .chain(aliases)
            .find_map(|n| self.members.iter().find(|(m, _, _)| **m == **n).map(|(_, _, node)| (*n, node)))
            .filter(|(_, node)| node.kind != NodeKind::Null)
    }

    /// Reads a member which must be there (`null` counts as absent).
    pub fn required<T: Json>(&self, name: &'static str, aliases: &[&'static str]) -> Option<T> {
        match self.find(name, aliases) {
            Some((found, node)) => T::read(&self.doc.member(found, node)),
            None => self.doc.fail(Problem::new(format!("member '{name}' is missing"))),
        }
    }

    /// Reads a member, or takes the default if it is absent or `null`.
    pub fn optional<T: Json>(
        &self,
        name: &'static str,
        aliases: &[&'static str],
        default: impl FnOnce() -> T,
    ) -> Option<T> {
        match self.find(name, aliases) {
            Some((found, node)) => T::read(&self.doc.member(found, node)),
            None => Some(default()),
        }
    }

    /// Warns of members which nobody asked for. They are ignored, but may be typing errors.
    pub fn warn_of_unknown(&self) {
        if self.doc.report.is_full(Severity::Warning) {
            return;
        }
        let known = self.known.borrow();
        for (name, place, _) in self.members {
            if !GENERAL.contains(&&**name) && !known.iter().any(|k| *k == &**name) {
                let node = Node { kind: NodeKind::Null, place: *place };
                self.doc.member(name, &node).warn(match closest(name, &known) {
                    Some(similar) => format!("unknown member '{name}' is ignored; did you mean '{similar}'?"),
                    None => format!("unknown member '{name}' is ignored"),
                });
            }
        }
    }
}

/// The name most similar to what was written, if it is similar enough to have been meant.
#[must_use]
pub(super) fn closest<'n>(written: &str, names: &[&'n str]) -> Option<&'n str> {
    if written.len() > 64 {
        return None;
    }
    let (distance, name) = names.iter().map(|name| (edit_distance(written, name), *name)).min()?;
    (distance <= 1 + name.chars().count() / 4).then_some(name)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
