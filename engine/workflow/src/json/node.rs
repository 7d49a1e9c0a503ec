//! The tree of a document, each part with its place in the text.

use crate::decimal::Decimal;
use crate::value::Value;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Where something stands in a text. Line and column count from 1; 0 means that there is no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Where it begins.
    pub place: Place,
}

/// What a part of a document is.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// An exact number.
    Number(Decimal),
    /// A text.
    String(Arc<str>),
    /// A list.
    List(Vec<Node>),
    /// Members in their order, with the places of their names.
    Object(Vec<(Arc<str>, Place, Node)>),
}

impl Node {
    /// The member of an object; `None` if absent or `null`, or if this is no object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            NodeKind::Object(members) => {
                members.iter().find(|(n, _, node)| &**n == name && node.kind != NodeKind::Null).map(|(_, _, node)| node)
            }
            NodeKind::Null | NodeKind::Boolean(_) | NodeKind::Number(_) | NodeKind::String(_) | NodeKind::List(_) => {
                None
            }
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::String(text) => Some(text),
            NodeKind::Null | NodeKind::Boolean(_) | NodeKind::Number(_) | NodeKind::List(_) | NodeKind::Object(_) => {
                None
            }
        }
    }

    /// How a person would call this.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self.kind {
            NodeKind::Null => "null",
            NodeKind::Boolean(_) => "a boolean",
            NodeKind::Number(_) => "a number",
            NodeKind::String(_) => "a string",
            NodeKind::List(_) => "a list",
            NodeKind::Object(_) => "an object",
        }
    }

    /// The value without places. `null` members of objects are dropped. Depth is bounded by the parser.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.kind {
            NodeKind::Null => Value::Missing,
            NodeKind::Boolean(b) => Value::Boolean(*b),
            NodeKind::Number(n) => Value::Number(n.clone()),
            NodeKind::String(s) => Value::String(s.clone()),
            NodeKind::List(nodes) => Value::list(nodes.iter().map(Self::to_value)),
            NodeKind::Object(members) => Value::Object(
                members
                    .iter()
                    .filter(|(_, _, node)| node.kind != NodeKind::Null)
                    .map(|(name, _, node)| (name.clone(), node.to_value()))
                    .collect(),
            ),
        }
    }
}
