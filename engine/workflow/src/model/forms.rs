//! JSON forms of types which are not declared with the JSON macros.

use crate::expression::{BoardExpression, CommandLine, ExprFunction, Expression};
use crate::json::schema::{self, Schemas};
use crate::json::{Doc, Json, NodeKind};
use crate::problem::Problem;
use crate::schedule::TimeZone;
use crate::text::range_set::RangeSet;
use crate::text::return_code::ReturnCodeMeaning;
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
        Some(Self { code: Cow::Owned(code), arguments, message, parts: Vec::new() })
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

/// Types whose JSON form is their source text.
macro_rules! source_text {
    ($($type:ty),*) => {$(
        impl Json for $type {
            fn read(doc: &Doc<'_>) -> Option<Self> {
                match Self::parse(doc.string()?) {
                    Ok(parsed) => Some(parsed),
                    Err(problem) => doc.fail(problem),
                }
            }

            fn write(&self) -> Value {
                Value::from(&*self.to_string())
            }

            fn schema(_: &mut Schemas) -> Value {
                schema::of_type("string")
            }
        }
    )*};
}

source_text!(ExprFunction, BoardExpression, CommandLine);

impl Json for Expression {
    /// Constants may be written as JSON booleans and numbers.
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let text = match &doc.node.kind {
            NodeKind::Boolean(b) => Cow::Owned(b.to_string()),
            NodeKind::Number(number) => Cow::Owned(number.to_string()),
            _ => Cow::Borrowed(doc.string()?),
        };
        parsed(doc, &text)
    }

    fn write(&self) -> Value {
        Value::from(&*self.to_string())
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("string")
    }
}

/// Parses an expression of a document.
pub(super) fn parsed(doc: &Doc<'_>, text: &str) -> Option<Expression> {
    match Expression::parse(text) {
        Ok(parsed) => Some(parsed),
        Err(problem) => doc.fail(problem),
    }
}

/// The expression `missing`.
#[expect(clippy::expect_used, reason = "a constant text, parsed in every test")]
pub(super) fn missing() -> Expression {
    Expression::parse("missing").expect("is an expression")
}

/// The expression which gives an empty text.
#[expect(clippy::expect_used, reason = "a constant text, parsed in every test")]
pub(super) fn empty_string() -> Expression {
    Expression::parse("\"\"").expect("is an expression")
}

/// The function which gives an empty object.
#[expect(clippy::expect_used, reason = "a constant text, parsed in every test")]
pub(super) fn empty_object_function() -> ExprFunction {
    ExprFunction::parse("() => {}").expect("is a function")
}

impl Json for ReturnCodeMeaning {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let object = doc.object()?;
        let success: Option<Option<RangeSet>> = object.optional("success", &[], || None);
        let failure: Option<Option<RangeSet>> = object.optional("failure", &[], || None);
        match (success?, failure?) {
            (Some(success), None) => Some(Self::Success(success)),
            (None, Some(failure)) => Some(Self::Failure(failure)),
            (None, None) => doc.expected("return codes of \"success\" or of \"failure\""),
            (Some(_), Some(_)) => doc.fail(Problem::new("\"success\" and \"failure\" exclude each other")),
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Success(codes) => Value::object([("success", codes.write())]),
            Self::Failure(codes) => Value::object([("failure", codes.write())]),
        }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        schemas.define("ReturnCodeMeaning", |_| {
            let codes = Value::object([("type", Value::list([Value::from("string"), Value::from("array")]))]);
            let member = |name, doc: &str| schema::Member {
                name,
                aliases: &[],
                doc: doc.into(),
                schema: codes.clone(),
                required: false,
            };
            schema::object(
                "Which return codes of a process mean success.",
                &[],
                Vec::from([
                    member("success", "Only these mean success, like \"0,4..8\"."),
                    member("failure", "Only these mean failure; empty: none."),
                ]),
            )
        })
    }
}

impl Json for RangeSet {
    /// A list of integers, or a text like `0,4..8`.
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match &doc.node.kind {
            NodeKind::String(text) => match text.parse() {
                Ok(set) => Some(set),
                Err(problem) => doc.fail(problem),
            },
            _ => {
                let codes: Vec<i32> = Vec::read(doc)?;
                Some(Self::of(codes.into_iter().map(|code| (code, code))))
            }
        }
    }

    fn write(&self) -> Value {
        Value::from(&*self.to_string())
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("string")
    }
}
