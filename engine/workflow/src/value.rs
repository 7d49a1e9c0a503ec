//! Values of the workflow language: what arguments, job results and expressions are made of.
//!
//! Also the tree into which JSON documents are written: JSON and the language have the same kinds of values, with
//! `null` as [`Value::Missing`]. Cloning is cheap, everything larger than a number is shared.

use crate::decimal::Decimal;
use alloc::sync::Arc;
use alloc::vec::Vec;

mod binary;

/// How deep lists and objects may be nested. Whoever makes values of untrusted input keeps to it.
pub const MAX_DEPTH: usize = 100;

/// A name of an argument, a result, a variable or an object field.
pub type Name = Arc<str>;

/// A value of the language.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// No value. JSON `null`; equals only itself.
    #[default]
    Missing,
    /// `true` or `false`.
    Boolean(bool),
    /// An exact decimal number.
    Number(Decimal),
    /// A text.
    String(Arc<str>),
    /// An ordered list.
    List(Arc<[Self]>),
    /// Named fields.
    Object(Fields),
}

/// Named values, sorted by name, each name once. Two words large, cheap to clone, compact: a million orders carry one each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Arc<[(Name, Value)]>);

impl Fields {
    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.binary_search_by(|(n, _)| (**n).cmp(name)).ok().map(|i| &self.0[i].1)
    }

    /// Whether there are no names.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Names with their values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Value)> {
        self.0.iter().map(|(n, v)| (n, v))
    }

    /// These fields, complemented and overridden by `other`.
    #[must_use]
    pub fn overridden_by(&self, other: &Self) -> Self {
        if other.is_empty() {
            self.clone()
        } else {
            self.iter().chain(other.iter()).map(|(n, v)| (n.clone(), v.clone())).collect()
        }
    }
}

impl FromIterator<(Name, Value)> for Fields {
    /// Of a repeated name the last value counts.
    fn from_iter<I: IntoIterator<Item = (Name, Value)>>(entries: I) -> Self {
        let mut all: Vec<(Name, Value)> = entries.into_iter().collect();
        if all.is_empty() {
            return Self::default();
        }
        all.reverse();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.dedup_by(|a, b| a.0 == b.0);
        Self(all.into())
    }
}

impl Value {
    /// A text value.
    #[must_use]
    pub fn string(text: &str) -> Self {
        Self::String(text.into())
    }

    /// A list of these values.
    pub fn list(values: impl IntoIterator<Item = Self>) -> Self {
        Self::List(values.into_iter().collect())
    }

    /// An object of these fields. Missing values are kept.
    pub fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Self::Object(fields.into_iter().map(|(n, v)| (n.into(), v)).collect())
    }

    /// The text of a string value.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Missing | Self::Boolean(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The type, as problems name it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Missing => "Missing",
            Self::Boolean(_) => "Boolean",
            Self::Number(_) => "Number",
            Self::String(_) => "String",
            Self::List(_) => "List",
            Self::Object(_) => "Object",
        }
    }

    /// The field of an object value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(name),
            Self::Missing | Self::Boolean(_) | Self::Number(_) | Self::String(_) | Self::List(_) => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<Decimal> for Value {
    fn from(value: Decimal) -> Self {
        Self::Number(value)
    }
}

impl From<Fields> for Value {
    fn from(value: Fields) -> Self {
        Self::Object(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::string(value)
    }
}
