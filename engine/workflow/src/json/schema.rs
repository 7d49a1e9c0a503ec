//! JSON Schema (draft 2020-12) of the types with a JSON form.

use crate::value::{Fields, Value};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// The definitions collected so far, by type name.
#[derive(Debug, Default)]
pub struct Schemas {
    definitions: BTreeMap<&'static str, Option<Value>>,
}

/// One member of an object, for its schema.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Older names, accepted too.
    pub aliases: &'static [&'static str],
    /// What it means.
    pub doc: String,
    /// The schema of its value.
    pub schema: Value,
    /// Whether it must be there.
    pub required: bool,
}

impl Schemas {
    /// A reference to a named definition, which is made by `make` when it is asked for first.
    pub fn define(&mut self, name: &'static str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.definitions.contains_key(name) {
            self.definitions.insert(name, None);
            let schema = make(self);
            self.definitions.insert(name, Some(schema));
        }
        Value::object([("$ref", Value::from(&*format!("#/$defs/{name}")))])
    }

    /// Changes each definition, by name.
    pub fn alter(&mut self, change: impl Fn(&str, Value) -> Value) {
        for (name, definition) in &mut self.definitions {
            *definition = definition.take().map(|definition| change(name, definition));
        }
    }

    /// The complete schema document.
    #[must_use]
    pub fn document(self, title: &str, root: Value) -> Value {
        let definitions: Fields =
            self.definitions.into_iter().filter_map(|(name, schema)| Some((name.into(), schema?))).collect();
        Value::object([
            ("$schema", Value::from("https://json-schema.org/draft/2020-12/schema")),
            ("title", Value::from(title)),
            ("allOf", Value::list([root])),
            ("$defs", Value::Object(definitions)),
        ])
    }
}

/// A schema `{"type": …}`.
#[must_use]
pub fn of_type(name: &str) -> Value {
    Value::object([("type", Value::from(name))])
}

/// An object with these members. `type_name` is the value of its `TYPE`, if it has one.
#[must_use]
pub fn object(doc: &str, type_names: &[&str], members: Vec<Member>) -> Value {
    let mut properties = Vec::new();
    let mut required = Vec::new();
    if let [first, ..] = type_names {
        let constant = if type_names.len() == 1 {
            Value::object([("const", Value::from(*first))])
        } else {
            Value::object([("enum", Value::list(type_names.iter().map(|n| Value::from(*n))))])
        };
        properties.push(("TYPE".into(), constant));
        required.push(Value::from("TYPE"));
    }
    for member in members {
        if member.required && member.aliases.is_empty() {
            required.push(Value::from(member.name));
        }
        for alias in member.aliases {
            properties.push((
                (*alias).into(),
                described(member.schema.clone(), &format!("Older name of `{}`.", member.name)),
            ));
        }
        properties.push((member.name.into(), described(member.schema, &member.doc)));
    }
    let mut schema = Vec::from([
        ("type".into(), Value::from("object")),
        ("properties".into(), Value::Object(properties.into_iter().collect())),
    ]);
    if !required.is_empty() {
        schema.push(("required".into(), Value::list(required)));
    }
    described(Value::Object(schema.into_iter().collect()), doc)
}

fn described(schema: Value, doc: &str) -> Value {
    match (&schema, doc.trim()) {
        (_, "") => schema,
        (Value::Object(fields), doc) => Value::Object(
            fields
                .iter()
                .map(|(n, v)| (n.clone(), v.clone()))
                .chain([("description".into(), Value::from(doc))])
                .collect(),
        ),
        _ => schema,
    }
}

/// Joins the lines of a doc comment.
#[must_use]
pub fn doc(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_string()
}
