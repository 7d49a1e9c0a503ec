//! Values as JSON text.

use crate::value::Value;
use alloc::string::String;
use core::fmt::Write as _;

/// JSON on one line. Missing members of objects are omitted, missing list elements are `null`.
#[must_use]
pub fn print(value: &Value) -> String {
    let mut text = String::new();
    write(value, None, 0, &mut text);
    text
}

/// JSON with one member or element per line, indented by two blanks.
#[must_use]
pub fn print_pretty(value: &Value) -> String {
    let mut text = String::new();
    write(value, Some(2), 0, &mut text);
    text
}

fn write(value: &Value, indent: Option<usize>, depth: usize, text: &mut String) {
    match value {
        Value::Missing => text.push_str("null"),
        Value::Boolean(true) => text.push_str("true"),
        Value::Boolean(false) => text.push_str("false"),
        Value::Number(number) => {
            _ = write!(text, "{number}");
        }
        Value::String(string) => write_string(string, text),
        Value::List(values) => {
            text.push('[');
            for (i, element) in values.iter().enumerate() {
                separate(i, indent, depth + 1, text);
                write(element, indent, depth + 1, text);
            }
            close(values.is_empty(), ']', indent, depth, text);
        }
        Value::Object(fields) => {
            text.push('{');
            let mut n = 0;
            for (name, member) in fields.iter().filter(|(_, v)| **v != Value::Missing) {
                separate(n, indent, depth + 1, text);
                n += 1;
                write_string(name, text);
                text.push_str(if indent.is_some() { ": " } else { ":" });
                write(member, indent, depth + 1, text);
            }
            close(n == 0, '}', indent, depth, text);
        }
    }
}

fn separate(i: usize, indent: Option<usize>, depth: usize, text: &mut String) {
    if i > 0 {
        text.push(',');
    }
    new_line(indent, depth, text);
}

fn close(empty: bool, bracket: char, indent: Option<usize>, depth: usize, text: &mut String) {
    if !empty {
        new_line(indent, depth, text);
    }
    text.push(bracket);
}

fn new_line(indent: Option<usize>, depth: usize, text: &mut String) {
    if let Some(indent) = indent {
        text.push('\n');
        text.extend(core::iter::repeat_n(' ', indent * depth));
    }
}

fn write_string(string: &str, text: &mut String) {
    text.push('"');
    let mut rest = string;
    while let Some(at) = rest.bytes().position(|b| b == b'"' || b == b'\\' || b < 0x20) {
        text.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            control => {
                _ = write!(text, "\\u{control:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    text.push_str(rest);
    text.push('"');
}
