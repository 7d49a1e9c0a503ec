//! Conversions between the types of values, and the problems when a value has another type than is needed.

use super::evaluation::Failure;
use crate::decimal::{ArithmeticError, Decimal};
use crate::problem::{Checked, Problem};
use crate::time::Duration;
use crate::value::{Fields, Value};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt::Write;

/// Characters of a value shown in a problem.
const SHOWN: usize = 50;

pub(super) fn unexpected_type(expected: &'static str, value: &Value) -> Problem {
    let shown = abbreviated(value);
    let message = match value {
        Value::Missing => format!("Expected a value of type {expected}, but the value is missing"),
        _ => format!("Expected a value of type {expected}, but got a {}: {shown}", value.type_name()),
    };
    Problem::coded("UnexpectedValueType", [("expected", expected.to_string()), ("value", shown)], message)
}

pub(super) fn arithmetic(error: ArithmeticError) -> Problem {
    Problem::new(format!("ArithmeticException: {error}"))
}

/// The value, shortened for a message.
fn abbreviated(value: &Value) -> String {
    match value {
        Value::List(values) => format!("a list of {} elements", values.len()),
        Value::Object(fields) => format!("an object of {} fields", fields.len()),
        Value::String(text) if text.chars().nth(SHOWN).is_some() => {
            format!("{:?}…", text.chars().take(SHOWN).collect::<String>())
        }
        Value::String(text) => format!("{text:?}"),
        Value::Number(number) => number.to_string().chars().take(SHOWN).collect(),
        Value::Boolean(value) => value.to_string(),
        Value::Missing => "missing".to_string(),
    }
}

pub(super) fn as_boolean(value: &Value) -> Result<bool, Failure> {
    match value {
        Value::Boolean(value) => Ok(*value),
        _ => Err(mismatch("Boolean", value)),
    }
}

pub(super) fn as_number(value: &Value) -> Result<&Decimal, Failure> {
    match value {
        Value::Number(number) => Ok(number),
        _ => Err(mismatch("Number", value)),
    }
}

pub(super) fn as_integer(value: &Value) -> Result<i32, Failure> {
    Ok(as_number(value)?.exact_i32().map_err(arithmetic)?)
}

pub(super) fn as_text(value: &Value) -> Result<&Arc<str>, Failure> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(mismatch("String", value)),
    }
}

pub(super) fn as_list(value: &Value) -> Result<&Arc<[Value]>, Failure> {
    match value {
        Value::List(values) => Ok(values),
        _ => Err(mismatch("List", value)),
    }
}

pub(super) fn as_object(value: &Value) -> Result<&Fields, Failure> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(mismatch("Object", value)),
    }
}

/// The text of a text, number or boolean.
pub(super) fn to_text(value: &Value) -> Result<Arc<str>, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string().into()),
        Value::Boolean(value) => Ok(if *value { "true" } else { "false" }.into()),
        Value::Missing | Value::List(_) | Value::Object(_) => Err(mismatch("String", value)),
    }
}

pub(super) fn to_number(value: &Value) -> Result<Decimal, Failure> {
    match value {
        Value::Number(number) => Ok(number.clone()),
        Value::Boolean(value) => Ok(if *value { Decimal::ONE } else { Decimal::ZERO }),
        Value::String(text) => {
            Ok(text.parse().map_err(|error| Problem::new(format!("{error}: {}", abbreviated(value))))?)
        }
        Value::Missing | Value::List(_) | Value::Object(_) => Err(mismatch("Number", value)),
    }
}

pub(super) fn to_boolean(value: &Value) -> Result<bool, Failure> {
    match value {
        Value::Boolean(value) => Ok(*value),
        Value::Number(number) if *number == Decimal::ZERO => Ok(false),
        Value::Number(number) if *number == Decimal::ONE => Ok(true),
        Value::String(text) if **text == *"false" => Ok(false),
        Value::String(text) if **text == *"true" => Ok(true),
        Value::Number(_) | Value::String(_) => {
            Err(Problem::new(format!("Not a Boolean value (true, false, 1 or 0): {}", abbreviated(value))).into())
        }
        Value::Missing | Value::List(_) | Value::Object(_) => Err(mismatch("Boolean", value)),
    }
}

pub(super) fn required_boolean(value: &Value) -> Checked<bool> {
    match value {
        Value::Boolean(value) => Ok(*value),
        _ => Err(unexpected_type("Boolean", value)),
    }
}

pub(super) fn required_number(value: Value) -> Checked<Decimal> {
    match value {
        Value::Number(number) => Ok(number),
        _ => Err(unexpected_type("Number", &value)),
    }
}

pub(super) fn required_string(value: Value) -> Checked<Arc<str>> {
    to_text(&value).map_err(|failure| match failure {
        Failure::Missing => unexpected_type("String", &value),
        Failure::Problem(problem) => problem,
    })
}

/// A value as text, for where a text is required: texts, numbers and booleans.
///
/// # Errors
/// Missing values, lists and objects have no text.
pub fn text_of(value: &Value) -> Checked<Arc<str>> {
    to_text(value).map_err(|failure| required(failure, "String"))
}

/// A number of seconds, written as number or text; a missing value is zero.
///
/// # Errors
/// What is no number, or too large for a duration.
pub fn duration_of(value: &Value) -> Checked<Duration> {
    if *value == Value::Missing {
        return Ok(Duration::ZERO);
    }
    let seconds = to_number(value).map_err(|failure| required(failure, "Number"))?;
    Duration::parse_seconds(&seconds.to_string()).map_err(|error| Problem::new(error.to_string()))
}

/// Any value as text for people.
#[must_use]
pub fn display_of(value: &Value) -> String {
    let mut text = String::new();
    append_any(&mut text, value, super::evaluation::MAX_TEXT);
    text
}

fn required(failure: Failure, expected: &'static str) -> Problem {
    match failure {
        Failure::Missing => unexpected_type(expected, &Value::Missing),
        Failure::Problem(problem) => problem,
    }
}

/// Appends any value as text: missing as nothing, lists and objects with quoted texts inside. Stops when the text is longer
/// than `limit` bytes.
pub(super) fn append_any(out: &mut String, value: &Value, limit: usize) {
    match value {
        Value::Missing => {}
        Value::String(text) => out.push_str(text),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => {
            // Writing to a `String` does not fail.
            let _ = write!(out, "{number}");
        }
        Value::List(values) => {
            out.push('[');
            for (i, element) in values.iter().enumerate() {
                if out.len() > limit {
                    return;
                }
                out.push_str(if i > 0 { ", " } else { "" });
                append_nested(out, element, limit);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (i, (name, field)) in fields.iter().enumerate() {
                if out.len() > limit {
                    return;
                }
                out.push_str(if i > 0 { ", " } else { "" });
                append_quoted(out, name);
                out.push(':');
                append_nested(out, field, limit);
            }
            out.push('}');
        }
    }
}

fn append_nested(out: &mut String, value: &Value, limit: usize) {
    match value {
        Value::String(text) => append_quoted(out, text),
        Value::Missing => out.push_str("missing"),
        _ => append_any(out, value, limit),
    }
}

fn append_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// A missing value makes the result missing, any other value of a wrong type is a problem.
fn mismatch(expected: &'static str, value: &Value) -> Failure {
    match value {
        Value::Missing => Failure::Missing,
        _ => Failure::Problem(unexpected_type(expected, value)),
    }
}
