//! The JSON forms of general types: texts, numbers, options, lists, maps.

use super::schema::{self, Schemas};
use super::{Doc, Json, NodeKind};
use crate::decimal::Decimal;
use crate::problem::Problem;
use crate::value::{Fields, Name, Value};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Doc<'_> {
    /// The `TYPE` of this object.
    #[must_use]
    pub fn type_name(&self) -> Option<&str> {
        match self.node.get("TYPE") {
            Some(node) => match node.as_str() {
                Some(name) => Some(name),
                None => self.member("TYPE", node).expected("a type name (a string)"),
            },
            None => self.fail(Problem::new("member 'TYPE' is missing")),
        }
    }

    /// Reports an unknown `TYPE`.
    pub fn unknown_type<T>(&self, found: &str, known: &[&str]) -> Option<T> {
        let hint = match super::read::closest(found, known) {
            Some(similar) => format!("; did you mean '{similar}'?"),
            None if known.len() <= 12 => format!("; known are: {}", known.join(", ")),
            None => String::new(),
        };
        let problem = Problem::new(format!("unknown TYPE '{found}'{hint}"));
        match self.node.get("TYPE") {
            Some(node) => self.member("TYPE", node).fail(problem),
            None => self.fail(problem),
        }
    }
}

impl Json for bool {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match doc.node.kind {
            NodeKind::Boolean(b) => Some(b),
            NodeKind::Null | NodeKind::Number(_) | NodeKind::String(_) | NodeKind::List(_) | NodeKind::Object(_) => {
                doc.expected("true or false")
            }
        }
    }

    fn write(&self) -> Value {
        Value::Boolean(*self)
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("boolean")
    }
}

impl Json for Decimal {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match &doc.node.kind {
            NodeKind::Number(number) => Some(number.clone()),
            NodeKind::Null | NodeKind::Boolean(_) | NodeKind::String(_) | NodeKind::List(_) | NodeKind::Object(_) => {
                doc.expected("a number")
            }
        }
    }

    fn write(&self) -> Value {
        Value::Number(self.clone())
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("number")
    }
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Json for $type {
            fn read(doc: &Doc<'_>) -> Option<Self> {
                let NodeKind::Number(number) = &doc.node.kind else {
                    return doc.expected("an integer");
                };
                match number.to_i64().and_then(|n| Self::try_from(n).ok()) {
                    Some(integer) => Some(integer),
                    None => doc.expected(&format!("an integer between {} and {}", Self::MIN, Self::MAX)),
                }
            }

            fn write(&self) -> Value {
                Value::Number(i64::from(*self).into())
            }

            fn schema(_: &mut Schemas) -> Value {
                schema::of_type("integer")
            }
        }
    )*};
}

integer!(u16, u32, i32, i64);

impl Json for String {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        doc.string().map(Self::from)
    }

    fn write(&self) -> Value {
        Value::string(self)
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("string")
    }
}

impl Json for Arc<str> {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        doc.string().map(Self::from)
    }

    fn write(&self) -> Value {
        Value::String(self.clone())
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("string")
    }
}

impl Json for Value {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        Some(doc.node.to_value())
    }

    fn write(&self) -> Value {
        self.clone()
    }

    fn schema(_: &mut Schemas) -> Value {
        Self::Boolean(true)
    }
}

impl Json for Fields {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        doc.members(|name, member| Some((Name::from(name), member.node.to_value())))
            .map(|members| members.into_iter().collect())
    }

    fn write(&self) -> Value {
        Value::Object(self.clone())
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("object")
    }
}

impl<T: Json> Json for Option<T> {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match doc.node.kind {
            NodeKind::Null => Some(None),
            NodeKind::Boolean(_)
            | NodeKind::Number(_)
            | NodeKind::String(_)
            | NodeKind::List(_)
            | NodeKind::Object(_) => T::read(doc).map(Some),
        }
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Missing, Json::write)
    }

    fn schema(schemas: &mut Schemas) -> Value {
        T::schema(schemas)
    }
}

macro_rules! pointer {
    ($($pointer:ident),*) => {$(
        impl<T: Json> Json for $pointer<T> {
            fn read(doc: &Doc<'_>) -> Option<Self> {
                T::read(doc).map(Self::new)
            }

            fn write(&self) -> Value {
                (**self).write()
            }

            fn schema(schemas: &mut Schemas) -> Value {
                T::schema(schemas)
            }
        }
    )*};
}

pointer!(Box, Arc);

impl<T: Json> Json for Vec<T> {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        doc.list(T::read)
    }

    fn write(&self) -> Value {
        Value::list(self.iter().map(Json::write))
    }

    fn schema(schemas: &mut Schemas) -> Value {
        Value::object([("type", Value::from("array")), ("items", T::schema(schemas))])
    }
}

impl<T: Json + Ord> Json for BTreeSet<T> {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let values = doc.list(T::read)?;
        let count = values.len();
        let set: Self = values.into_iter().collect();
        if set.len() < count {
            return doc.fail(Problem::new("the same element is given twice"));
        }
        Some(set)
    }

    fn write(&self) -> Value {
        Value::list(self.iter().map(Json::write))
    }

    fn schema(schemas: &mut Schemas) -> Value {
        Value::object([
            ("type", Value::from("array")),
            ("items", T::schema(schemas)),
            ("uniqueItems", Value::Boolean(true)),
        ])
    }
}

/// A type whose JSON form is a text, so that it can be a member name.
pub trait Text: Sized {
    /// Reads the text.
    ///
    /// # Errors
    /// Says what is wrong with the text and what would be right.
    fn from_json_text(text: &str) -> Result<Self, Problem>;

    /// The text.
    fn to_json_text(&self) -> Arc<str>;
}

impl Text for Arc<str> {
    fn from_json_text(text: &str) -> Result<Self, Problem> {
        Ok(text.into())
    }

    fn to_json_text(&self) -> Arc<str> {
        self.clone()
    }
}

impl<K: Text + Ord, T: Json> Json for BTreeMap<K, T> {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        doc.members(|name, member| {
            let key = match K::from_json_text(name) {
                Ok(key) => Some(key),
                Err(problem) => member.fail(problem),
            };
            let value = T::read(member);
            Some((key?, value?))
        })
        .map(|members| members.into_iter().collect())
    }

    fn write(&self) -> Value {
        Value::Object(self.iter().map(|(k, v)| (k.to_json_text(), v.write())).collect())
    }

    fn schema(schemas: &mut Schemas) -> Value {
        Value::object([("type", Value::from("object")), ("additionalProperties", T::schema(schemas))])
    }
}
