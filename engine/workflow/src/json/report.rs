//! What is found in documents: errors, warnings, and which names are mentioned where.
//!
//! Bounded: of each severity only the first [`limit::FINDINGS`] are kept, further ones are counted.

use super::{Place, limit};
use crate::problem::Problem;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// It can be used, but may not mean what its author meant.
    Warning,
    /// Something worth knowing.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// Something wrong, or doubtful, at a place of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Where in the text.
    pub place: Place,
    /// Where in the document, like `instructions[2].job.executable`. Empty at its top.
    pub path: String,
    /// What was found and what would be right.
    pub message: String,
    /// The code and arguments, if the problem has any.
    pub problem: Problem,
    /// How bad it is.
    pub severity: Severity,
}

impl Finding {
    /// A finding which has only a message.
    pub fn new(severity: Severity, place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { place, path: path.into(), problem: Problem::new(message.as_str()), message, severity }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place != Place::default() {
            write!(f, "{}: ", self.place)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A name of something, where it is mentioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The kind of name, like `LockPath`.
    pub kind: &'static str,
    /// The name.
    pub name: Arc<str>,
    /// Where in the text.
    pub place: Place,
    /// Where in the document.
    pub path: String,
}

/// Collects the findings of one document.
#[derive(Debug, Default)]
pub struct Report {
    findings: RefCell<Vec<Finding>>,
    counts: [Cell<usize>; 3],
    mentions: Option<RefCell<Vec<Mention>>>,
}

impl Report {
    /// A report which also collects what is mentioned.
    #[must_use]
    pub fn with_mentions() -> Self {
        Self { mentions: Some(RefCell::default()), ..Self::default() }
    }

    /// Adds a finding, if there is room for it.
    pub fn add(&self, severity: Severity, finding: impl FnOnce() -> Finding) {
        if !self.is_full(severity) {
            self.findings.borrow_mut().push(finding());
        }
        let count = &self.counts[severity as usize];
        count.set(count.get() + 1);
    }

    /// Whether further findings of this severity are only counted.
    #[must_use]
    pub fn is_full(&self, severity: Severity) -> bool {
        self.counts[severity as usize].get() >= limit::FINDINGS
    }

    /// Whether there are errors.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.counts[Severity::Error as usize].get() > 0
    }

    /// How many findings of this severity were only counted.
    #[must_use]
    pub fn omitted(&self, severity: Severity) -> usize {
        self.counts[severity as usize].get().saturating_sub(limit::FINDINGS)
    }

    pub(super) fn mention(&self, kind: &'static str, name: &Arc<str>, at: impl FnOnce() -> (Place, String)) {
        if let Some(mentions) = &self.mentions {
            let (place, path) = at();
            mentions.borrow_mut().push(Mention { kind, name: name.clone(), place, path });
        }
    }

    /// All findings so far, in the order of their discovery.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.borrow().clone()
    }

    /// Findings in the order of their discovery, and what was mentioned, if that was collected.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Finding>, Vec<Mention>) {
        (self.findings.into_inner(), self.mentions.map(RefCell::into_inner).unwrap_or_default())
    }

    /// The errors among the findings as one problem.
    #[must_use]
    pub fn into_problem(self) -> Option<Problem> {
        let omitted = self.omitted(Severity::Error);
        let more = (omitted > 0).then(|| Problem::new(format!("… and {omitted} more problems")));
        let errors = self.findings.into_inner().into_iter().filter(|f| f.severity == Severity::Error).map(|finding| {
            let message = finding.to_string();
            Problem { message, position: None, ..finding.problem }
        });
        Problem::combine(errors.chain(more))
    }
}
