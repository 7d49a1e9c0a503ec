//! Command lines with named values: `/bin/tool --file "$file" $count`.
//!
//! Blanks separate arguments. Outside and inside double quotes `$name`, `${name}` and `$(expression)` are replaced and a backslash
//! escapes one of `\ " ' $`; between single quotes nothing has a meaning. What touches is one argument.

use super::evaluation::{Evaluation, MAX_TEXT};
use super::scope::Scope;
use super::{Expression, MAX_SOURCE_LENGTH, parser};
use crate::problem::{Checked, Problem};
use crate::text::cursor::Cursor;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// A command line template. Cheap to clone.
#[derive(Clone)]
pub struct CommandLine {
    source: Arc<str>,
    arguments: Arc<[Vec<Part>]>,
}

#[derive(PartialEq)]
enum Part {
    Text(String),
    Expression(Expression),
}

impl CommandLine {
    /// Reads a template. The problem says where and why the text is none.
    pub fn parse(source: &str) -> Checked<Self> {
        if source.len() > MAX_SOURCE_LENGTH {
            return Err(Problem::new(format!("A command line must not be longer than {MAX_SOURCE_LENGTH} bytes")));
        }
        let mut cursor = Cursor::new(source);
        let mut arguments = Vec::new();
        loop {
            cursor.take_while(is_blank);
            if cursor.is_at_end() {
                break;
            }
            arguments.push(argument(&mut cursor)?);
        }
        if arguments.is_empty() {
            return Err(cursor.failure("The command line must not be empty"));
        }
        Ok(Self { source: source.into(), arguments: arguments.into() })
    }

    /// The arguments, the first one is the program. Any value is converted to text, a missing one to the empty text.
    pub fn eval(&self, scope: &dyn Scope) -> Checked<Vec<String>> {
        Evaluation::run(scope, |evaluation| {
            let mut total = 0;
            let mut arguments = Vec::with_capacity(self.arguments.len());
            for parts in self.arguments.iter() {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Text(constant) => text.push_str(constant),
                        Part::Expression(expression) => {
                            let value = evaluation.eval(expression)?;
                            evaluation.append(&mut text, &value)?;
                        }
                    }
                }
                total += text.len();
                if total > MAX_TEXT + self.source.len() {
                    return Err(Problem::new(format!("The command line is longer than {MAX_TEXT} bytes")));
                }
                arguments.push(text);
            }
            Ok(arguments)
        })
    }

    /// The expressions in the template, in their order.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.arguments.iter().flatten().filter_map(|part| match part {
            Part::Expression(expression) => Some(expression),
            Part::Text(_) => None,
        })
    }
}

impl PartialEq for CommandLine {
    fn eq(&self, other: &Self) -> bool {
        self.arguments == other.arguments
    }
}

impl fmt::Display for CommandLine {
    /// As written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn argument(cursor: &mut Cursor<'_>) -> Checked<Vec<Part>> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut quoted_from: Option<Cursor<'_>> = None;
    loop {
        let before = cursor.clone();
        match (cursor.peek(), &quoted_from) {
            (Some('$'), _) => {
                push_text(&mut parts, &mut text);
                parts.push(Part::Expression(parser::interpolated(cursor)?));
            }
            (Some('\\'), _) => {
                cursor.skip("\\");
                match cursor.next() {
                    Some(c @ ('\\' | '"' | '\'' | '$')) => text.push(c),
                    Some(_) | None => return Err(before.failure("A backslash must be followed by one of \\ \" ' $")),
                }
            }
            (Some('"'), None) => {
                cursor.skip("\"");
                quoted_from = Some(before);
            }
            (Some('"'), Some(_)) => {
                cursor.skip("\"");
                quoted_from = None;
            }
            (Some('\''), None) => {
                cursor.skip("'");
                text.push_str(cursor.take_until("'").ok_or_else(|| before.failure("The closing ' is missing"))?);
            }
            (None, Some(start)) => return Err(start.failure("The closing \" is missing")),
            (None, None) => break,
            (Some(c), None) if is_blank(c) => break,
            (Some(c), _) => {
                cursor.next();
                text.push(c);
            }
        }
    }
    push_text(&mut parts, &mut text);
    Ok(parts)
}

fn push_text(parts: &mut Vec<Part>, text: &mut String) {
    if !text.is_empty() {
        parts.push(Part::Text(core::mem::take(text)));
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::scope::FieldsScope;
    use crate::value::{Fields, Value};

    fn eval(source: &str) -> Checked<Vec<String>> {
        let values: Fields =
            [("NAME".into(), Value::from("MY NAME")), ("N".into(), 7.into()), ("M".into(), Value::Missing)]
                .into_iter()
                .collect();
        CommandLine::parse(source)?.eval(&FieldsScope(&values))
    }

    #[test]
    fn splits_and_replaces() {
        for (source, arguments) in [
            ("ÄBC", &["ÄBC"][..]),
            (" XX   $NAME   YY \t  $N  ", &["XX", "MY NAME", "YY", "7"]),
            (r#" \\ \" \' \$ "#, &["\\", "\"", "'", "$"]),
            ("\" CONSTANT WITH SPACES \"", &[" CONSTANT WITH SPACES "]),
            (">>\"Hi $NAME\"<< TWO", &[">>Hi MY NAME<<", "TWO"]),
            (r#"XX "$NAME \"QUOTED\"\\\$""#, &["XX", r#"MY NAME "QUOTED"\$"#]),
            ("'$NAME \\'\"\"x", &["$NAME \\x"]),
            ("\"\" ''", &["", ""]),
            ("a $M b", &["a", "", "b"]),
            ("$(1 + 2)${N}x \"$([1, 'a'])\"", &["37x", "[1, \"a\"]"]),
        ] {
            assert_eq!(eval(source).unwrap(), arguments, "{source}");
        }
        assert!(eval("$UNKNOWN").is_err());
    }

    #[test]
    fn refuses() {
        for source in ["", "  ", "\"", "a \"b", "'", "\\", "\\x", "$", "$ x", "$(1", "${a", "a $(", "$-"] {
            assert!(CommandLine::parse(source).is_err(), "{source}");
        }
    }

    #[test]
    fn knows_its_expressions() {
        let line = CommandLine::parse("a $b \"$(JobResource:R:v)\"").unwrap();
        let texts: Vec<String> = line.expressions().map(|e| format!("{e}")).collect();
        assert_eq!(texts, ["$b", "JobResource:R:v"]);
    }
}
