//! The functions of the language which need nothing but their arguments.

use super::Expression;
use super::conversion::{append_any, as_integer, as_number, as_text, to_boolean, to_number, to_text};
use super::evaluation::{Evaluation, Failure, MAX_TEXT};
use super::pattern::Pattern;
use crate::problem::Problem;
use crate::value::Value;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A function of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    ToNumber,
    ToBoolean,
    MkString,
    StripMargin,
    ReplaceAll,
    Match,
    Substring,
    Min,
    Max,
    Error,
    Impure,
}

const ALL: [Builtin; 11] = [
    Builtin::ToNumber,
    Builtin::ToBoolean,
    Builtin::MkString,
    Builtin::StripMargin,
    Builtin::ReplaceAll,
    Builtin::Match,
    Builtin::Substring,
    Builtin::Min,
    Builtin::Max,
    Builtin::Error,
    Builtin::Impure,
];

impl Builtin {
    pub(super) fn of_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|builtin| builtin.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ToNumber => "toNumber",
            Self::ToBoolean => "toBoolean",
            Self::MkString => "mkString",
            Self::StripMargin => "stripMargin",
            Self::ReplaceAll => "replaceAll",
            Self::Match => "match",
            Self::Substring => "substring",
            Self::Min => "min",
            Self::Max => "max",
            Self::Error => "error",
            Self::Impure => "impure",
        }
    }

    /// Least and greatest number of arguments.
    pub(super) fn arity(self) -> (usize, usize) {
        match self {
            Self::ToNumber | Self::ToBoolean | Self::MkString | Self::StripMargin | Self::Error | Self::Impure => {
                (1, 1)
            }
            Self::Min | Self::Max => (2, 2),
            Self::Substring => (2, 3),
            Self::ReplaceAll | Self::Match => (3, 3),
        }
    }

    /// The value for as many operands as the arity allows. All are evaluated first: a problem in one of them counts more
    /// than another one being missing.
    #[inline(never)]
    pub(super) fn apply(self, operands: &[Expression], evaluation: &mut Evaluation<'_>) -> Result<Value, Failure> {
        let mut values = Vec::with_capacity(operands.len());
        for operand in operands {
            values.push(evaluation.eval(operand)?);
        }
        self.compute(&values, operands, evaluation)
    }

    /// Apart from the evaluation of the operands, to keep that small on the stack.
    #[inline(never)]
    fn compute(
        self,
        values: &[Value],
        operands: &[Expression],
        evaluation: &mut Evaluation<'_>,
    ) -> Result<Value, Failure> {
        match (self, values) {
            (Self::ToNumber, [value]) => Ok(Value::Number(to_number(value)?)),
            (Self::ToBoolean, [value]) => Ok(Value::Boolean(to_boolean(value)?)),
            (Self::MkString, [value]) => make_string(value, evaluation),
            (Self::StripMargin, [text]) => strip_margin(as_text(text)?, evaluation),
            (Self::ReplaceAll, [text, pattern, replacement]) => {
                let (text, source, replacement) = (as_text(text)?, as_text(pattern)?, as_text(replacement)?);
                evaluation.charge_match(text, source)?;
                let pattern = operands[1].as_pattern().cloned().unwrap_or_else(|| Pattern::new(source.clone()));
                evaluation.text(pattern.replace_all(text, replacement, MAX_TEXT)?)
            }
            (Self::Match, [text, pattern, replacement]) => {
                let (text, source, replacement) = (as_text(text)?, as_text(pattern)?, as_text(replacement)?);
                evaluation.charge_match(text, source)?;
                let pattern = operands[1].as_pattern().cloned().unwrap_or_else(|| Pattern::new(source.clone()));
                if !pattern.matches(text)? {
                    return Err(Problem::new(format!("Does not match the pattern {source:?}: {text:?}")).into());
                }
                evaluation.text(pattern.replace_first(text, replacement, MAX_TEXT)?)
            }
            (Self::Substring, [text, start]) => substring(as_text(text)?, as_integer(start)?, None, evaluation),
            (Self::Substring, [text, start, end]) => {
                let (text, start) = (as_text(text)?, as_integer(start)?);
                substring(text, start, Some(as_integer(end)?), evaluation)
            }
            (Self::Min, [a, b]) => Ok(Value::Number(as_number(a)?.min(as_number(b)?).clone())),
            (Self::Max, [a, b]) => Ok(Value::Number(as_number(a)?.max(as_number(b)?).clone())),
            (Self::Error, [message]) => {
                let message = to_text(message)?.to_string();
                Err(Problem::coded("ErrorInExpression", [("errorMessage", message.clone())], message).into())
            }
            (Self::Impure, [value]) => Ok(value.clone()),
            // The parser checks the number of arguments.
            _ => Err(Problem::new(format!("Wrong number of arguments for {}", self.name())).into()),
        }
    }
}

fn make_string(value: &Value, evaluation: &mut Evaluation<'_>) -> Result<Value, Failure> {
    let mut out = String::new();
    match value {
        Value::String(_) => return Ok(value.clone()),
        Value::List(values) => {
            for value in values.iter() {
                evaluation.charge(1)?;
                evaluation.append(&mut out, value)?;
            }
        }
        _ => append_any(&mut out, value, MAX_TEXT),
    }
    evaluation.text(out)
}

fn strip_margin(text: &str, evaluation: &mut Evaluation<'_>) -> Result<Value, Failure> {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        out.push_str(line.trim_start_matches(|c: char| c <= ' ' && c != '\n').strip_prefix('|').unwrap_or(line));
    }
    evaluation.text(out)
}

/// Positions count UTF-16 units, as wherever the language counts characters.
fn substring(text: &str, start: i32, end: Option<i32>, evaluation: &mut Evaluation<'_>) -> Result<Value, Failure> {
    evaluation.charge_text(text.len())?;
    let length = text.chars().map(char::len_utf16).sum::<usize>();
    let out_of_range =
        |index: i32| Failure::from(Problem::new(format!("Index {index} out of range 0...{length} of a text")));
    let last = end.unwrap_or(i32::try_from(length).unwrap_or(i32::MAX));
    let from = usize::try_from(start).map_err(|_| out_of_range(start))?;
    let to = usize::try_from(last).map_err(|_| out_of_range(last))?;
    if from > length {
        return Err(out_of_range(start));
    }
    if to > length || to < from {
        return Err(out_of_range(last));
    }
    let units: Vec<u16> = text.encode_utf16().skip(from).take(to - from).collect();
    let part = String::from_utf16(&units)
        .map_err(|_| Problem::new(format!("The range {start}...{last} cuts a character of the text into halves")))?;
    evaluation.text(part)
}
