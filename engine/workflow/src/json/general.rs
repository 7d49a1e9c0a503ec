//! The JSON forms of times, zones and problems.

use super::schema::{self, Schemas};
use super::{Doc, Json, NodeKind};
use crate::problem::Problem;
use crate::schedule::TimeZone;
use crate::time::{Duration, Timestamp};
use crate::value::Value;
use alloc::borrow::Cow;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

impl Json for Problem {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let object = doc.object()?;
        let code: Option<String> = object.optional("code", &[], String::new);
        let arguments = object.optional("arguments", &[], crate::value::Fields::default);
        let message: Option<Option<String>> = object.optional("message", &[], || None);
        let code = code?;
        let message = message?.unwrap_or_else(|| code.clone());
        let arguments = arguments?
            .iter()
            .map(|(name, value)| {
                let text = value.as_str().map_or_else(|| crate::json::print(value), String::from);
                (Cow::Owned(name.to_string()), text)
            })
            .collect();
        Some(Self { code: Cow::Owned(code), arguments, message, ..Self::default() })
    }

    fn write(&self) -> Value {
        let mut members = Vec::new();
        if !self.code.is_empty() {
            members.push(("code".into(), Value::from(&*self.code)));
        }
        if !self.arguments.is_empty() {
            let arguments = self.arguments.iter().map(|(name, text)| (&**name, Value::from(text.as_str())));
            members.push(("arguments".into(), Value::object(arguments)));
        }
        members.push(("message".into(), Value::from(self.message.as_str())));
        Value::Object(members.into_iter().collect())
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("object")
    }
}

impl Json for Timestamp {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match &doc.node.kind {
            NodeKind::Number(number) => match number.to_i64() {
                Some(millis) => Some(Self::from_millis(millis)),
                None => doc.expected("a time in milliseconds since 1970 (an integer)"),
            },
            NodeKind::String(text) => match text.parse() {
                Ok(time) => Some(time),
                Err(error) => doc.fail(Problem::new(alloc::format!("{error}"))),
            },
            NodeKind::Null | NodeKind::Boolean(_) | NodeKind::List(_) | NodeKind::Object(_) => {
                doc.expected("a time: milliseconds since 1970, or ISO-8601 like 2026-01-31T12:00:00Z")
            }
        }
    }

    fn write(&self) -> Value {
        self.as_millis().into()
    }

    fn schema(_: &mut Schemas) -> Value {
        Value::object([("type", Value::list([Value::from("integer"), Value::from("string")]))])
    }
}

impl Json for Duration {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match &doc.node.kind {
            NodeKind::Number(number) => match Self::parse_seconds(&number.to_string()) {
                Ok(duration) => Some(duration),
                Err(error) => doc.fail(Problem::new(alloc::format!("{error}"))),
            },
            NodeKind::Null | NodeKind::Boolean(_) | NodeKind::String(_) | NodeKind::List(_) | NodeKind::Object(_) => {
                doc.expected("a duration in seconds (a number)")
            }
        }
    }

    fn write(&self) -> Value {
        self.to_seconds().parse().map_or(Value::Missing, Value::Number)
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("number")
    }
}

impl Json for TimeZone {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match Self::get(doc.string()?) {
            Ok(zone) => Some(zone),
            Err(error) => doc.fail(Problem::new(alloc::format!("{error}"))),
        }
    }

    fn write(&self) -> Value {
        Value::from(self.name())
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("string")
    }
}
