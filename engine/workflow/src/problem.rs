//! What went wrong, said so that a person can act on it and a program can recognise it.
//!
//! Problems are part of the record: they are journaled within outcomes and answered by the REST API.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A problem, or several found together.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Problem {
    /// A stable name, such as `UnknownOrder`; empty when there is just a message.
    pub code: Cow<'static, str>,
    /// The facts which the message mentions, by name.
    pub arguments: Vec<(Cow<'static, str>, String)>,
    /// One or more sentences for people.
    pub message: String,
    /// Of a combination: its parts. Then `message` joins theirs. Not recorded: see [`Problem::recorded`].
    #[serde(skip)]
    pub parts: Vec<Self>,
    /// Of a text which could not be read: the character, from 1, where it failed. Not recorded.
    #[serde(skip)]
    pub position: Option<u32>,
}

impl Problem {
    /// A problem which has only a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// A problem with a code and the facts the message mentions.
    pub fn coded(
        code: &'static str,
        arguments: impl IntoIterator<Item = (&'static str, String)>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code: Cow::Borrowed(code),
            arguments: arguments.into_iter().map(|(n, v)| (Cow::Borrowed(n), v)).collect(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// As it is kept in records: without parts and position, the arguments by name.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.parts.clear();
        self.position = None;
        self.arguments.sort();
        self
    }

    /// All these problems as one; `None` when there are none.
    #[must_use]
    pub fn combine(problems: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for problem in problems {
            if problem.parts.is_empty() {
                parts.push(problem);
            } else {
                parts.extend(problem.parts);
            }
        }
        if parts.len() < 2 {
            return parts.pop();
        }
        let message = parts.iter().map(|p| p.message.as_str()).collect::<Vec<_>>().join(";\n");
        Some(Self { message, parts, ..Self::default() })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Problem {}

/// A value or what went wrong.
pub type Checked<T> = Result<T, Problem>;
