//! Prints expressions in a normal form: as few brackets as possible, blanks around binary operators, single quotes where they do.
//!
//! What is printed parses to the same expression. The precedence is that of the parser, also where comparison meets
//! equality: `(a == b) < c` keeps its brackets.

use super::parser::{is_identifier, is_identifier_part, is_reserved, old_suffix};
use super::{Argument, Expression, Operator, Origin, Precedence, Step, Syntax};
use crate::value::Value;
use alloc::string::String;
use core::fmt::{self, Write};

pub(super) fn print(expression: &Expression, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut printer = Printer { out: String::new() };
    printer.expression(expression, Precedence::If);
    f.write_str(&printer.out)
}

/// A name, in backticks if necessary.
pub(super) fn quoted_name(name: &str) -> String {
    if is_identifier(name) { name.into() } else { backticked(name) }
}

fn backticked(name: &str) -> String {
    alloc::format!("`{}`", name.replace('`', "``"))
}

/// A constant text.
pub(super) fn quoted_text(text: &str) -> String {
    if !text.is_empty() && !text.contains(['\'', '\r']) {
        return alloc::format!("'{text}'");
    }
    let mut out = String::from("\"");
    push_escaped(&mut out, text);
    out.push('"');
    out
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' | '"' | '$' => {
                out.push('\\');
                out.push(c);
            }
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        }
    }
}

struct Printer {
    out: String,
}

impl Printer {
    /// Prints in brackets, if the expression binds weaker than `minimum`.
    #[inline(never)]
    fn expression(&mut self, expression: &Expression, minimum: Precedence) {
        if precedence(&expression.0.syntax) < minimum {
            self.in_brackets(expression);
        } else {
            self.syntax(&expression.0.syntax);
        }
    }

    fn in_brackets(&mut self, expression: &Expression) {
        self.out.push('(');
        self.syntax(&expression.0.syntax);
        self.out.push(')');
    }

    #[inline(never)]
    fn syntax(&mut self, syntax: &Syntax) {
        match syntax {
            Syntax::Constant(value) => self.constant(value),
            Syntax::Pattern(pattern) => self.out.push_str(&quoted_text(pattern.source())),
            Syntax::List(elements) => self.list('[', elements, ']'),
            Syntax::Object(fields) => {
                self.out.push('{');
                for (i, (name, value)) in fields.iter().enumerate() {
                    self.comma(i);
                    self.out.push_str(&quoted_name(name));
                    self.out.push_str(": ");
                    self.expression(value, Precedence::If);
                }
                self.out.push('}');
            }
            Syntax::Interpolation(parts) => self.interpolation(parts),
            Syntax::NamedValue(name) => self.named_value(name),
            Syntax::Variable { name, origin, default } => self.variable("variable", name, origin, default.as_ref()),
            Syntax::Argument { name, default } => self.variable("argument", name, &Origin::Any, default.as_ref()),
            Syntax::JobResource { path, variable } => {
                self.out.push_str("JobResource:");
                self.out.push_str(path);
                if let Some(variable) = variable {
                    self.out.push(':');
                    self.out.push_str(&quoted_name(variable));
                }
            }
            Syntax::Builtin(builtin, operands) => {
                self.out.push_str(builtin.name());
                self.list('(', operands, ')');
            }
            Syntax::Call { name, arguments } => self.call(name, arguments.as_deref()),
            Syntax::Selection { base, steps } => self.selection(base, steps),
            Syntax::Not(operand) => self.prefixed('!', operand),
            Syntax::Negation(operand) => self.prefixed('-', operand),
            Syntax::Chain { first, rest } => self.chain(first, rest),
            Syntax::If { cases, otherwise } => {
                for (condition, result) in cases {
                    self.out.push_str("if ");
                    self.expression(condition, Precedence::Word);
                    self.out.push_str(" then ");
                    self.expression(result, Precedence::If);
                    self.out.push_str(" else ");
                }
                self.expression(otherwise, Precedence::If);
            }
        }
    }

    #[inline(never)]
    fn constant(&mut self, value: &Value) {
        match value {
            Value::Boolean(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => self.out.push_str(&number.to_plain()),
            Value::String(text) => self.out.push_str(&quoted_text(text)),
            // Lists and objects are never constants, see `Expression::constant`.
            Value::Missing | Value::List(_) | Value::Object(_) => self.out.push_str("missing"),
        }
    }

    #[inline(never)]
    fn list(&mut self, open: char, elements: &[Expression], close: char) {
        self.out.push(open);
        for (i, element) in elements.iter().enumerate() {
            self.comma(i);
            self.expression(element, Precedence::If);
        }
        self.out.push(close);
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push_str(", ");
        }
    }

    #[inline(never)]
    fn named_value(&mut self, name: &str) {
        self.out.push('$');
        if is_number(name) {
            self.out.push_str(name);
        } else {
            self.out.push_str(&quoted_name(name));
        }
    }

    #[inline(never)]
    fn interpolation(&mut self, parts: &[Expression]) {
        self.out.push('"');
        for (i, part) in parts.iter().enumerate() {
            let next = parts.get(i + 1).and_then(|next| match &next.0.syntax {
                Syntax::Constant(Value::String(text)) => text.chars().next(),
                _ => None,
            });
            match &part.0.syntax {
                Syntax::Constant(Value::String(text)) => push_escaped(&mut self.out, text),
                Syntax::NamedValue(name) if !next.is_some_and(|c| is_identifier_part(c) || c == '`') => {
                    self.named_value(name);
                }
                Syntax::NamedValue(name) if !is_number(name) => {
                    self.out.push_str("${");
                    self.out.push_str(&quoted_name(name));
                    self.out.push('}');
                }
                _ => {
                    self.out.push('$');
                    self.in_brackets(part);
                }
            }
        }
        self.out.push('"');
    }

    #[inline(never)]
    fn variable(&mut self, function: &str, name: &Expression, origin: &Origin, default: Option<&Expression>) {
        self.out.push_str(function);
        self.out.push('(');
        self.expression(name, Precedence::If);
        match origin {
            Origin::Any => {}
            Origin::Label(label) => self.push(format_args!(", label={}", quoted_name(label))),
            Origin::Job(job) => self.push(format_args!(", job={}", quoted_name(job))),
        }
        if let Some(default) = default {
            self.out.push_str(", default=");
            self.argument(default);
        }
        self.out.push(')');
    }

    #[inline(never)]
    fn call(&mut self, name: &str, arguments: Option<&[Argument]>) {
        let must_quote = arguments.is_some() && is_reserved(name);
        self.out.push_str(&if must_quote { backticked(name) } else { quoted_name(name) });
        let Some(arguments) = arguments else { return };
        self.out.push('(');
        for (i, argument) in arguments.iter().enumerate() {
            self.comma(i);
            match &argument.keyword {
                None => self.expression(&argument.value, Precedence::If),
                Some(keyword) => {
                    self.out.push_str(&quoted_name(keyword));
                    self.out.push('=');
                    self.argument(&argument.value);
                }
            }
        }
        self.out.push(')');
    }

    /// Prints what follows an operator symbol directly.
    #[inline(never)]
    fn argument(&mut self, value: &Expression) {
        let start = self.out.len();
        self.expression(value, Precedence::If);
        if self.out[start..].starts_with(['-', '!']) {
            self.out.insert(start, ' ');
        }
    }

    #[inline(never)]
    fn selection(&mut self, base: &Expression, steps: &[Step]) {
        match (&base.0.syntax, steps.first()) {
            // What follows would be taken for a part of the number, of the path or for the arguments of a call.
            (Syntax::Constant(Value::Number(_)) | Syntax::JobResource { .. }, _)
            | (Syntax::Call { arguments: None, .. }, Some(Step::Index(_))) => self.in_brackets(base),
            _ => self.expression(base, Precedence::Factor),
        }
        for step in steps {
            match step {
                Step::Field(name) => {
                    self.out.push('.');
                    let must_quote = steps.len() == 1 && old_suffix(name).is_some();
                    self.out.push_str(&if must_quote { backticked(name) } else { quoted_name(name) });
                }
                Step::Index(index) => self.in_brackets(index),
            }
        }
    }

    #[inline(never)]
    fn prefixed(&mut self, operator: char, operand: &Expression) {
        self.out.push(operator);
        let start = self.out.len();
        self.expression(operand, Precedence::OrElse);
        if self.out[start..].starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            self.out.insert(start, '(');
            self.out.push(')');
        }
    }

    #[inline(never)]
    fn chain(&mut self, first: &Expression, rest: &[(Operator, Expression)]) {
        let Some((operator, _)) = rest.first() else { return self.expression(first, Precedence::Factor) };
        let level = operator.precedence();
        let operand = if level == Precedence::OrElse { Precedence::Selection } else { level.next() };
        self.expression(first, operand);
        for (operator, right) in rest {
            if *operator == Operator::OrElse && right.0.syntax == Syntax::Constant(Value::Missing) {
                self.out.push_str(if self.out.ends_with('?') { " ?" } else { "?" });
                continue;
            }
            self.push(format_args!(" {} ", operator.symbol()));
            self.expression(right, operand);
        }
    }

    fn push(&mut self, arguments: fmt::Arguments<'_>) {
        // Writing to a `String` does not fail.
        let _ = self.out.write_fmt(arguments);
    }
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}

fn precedence(syntax: &Syntax) -> Precedence {
    match syntax {
        Syntax::If { .. } => Precedence::If,
        Syntax::Chain { rest, .. } => rest.first().map_or(Precedence::Factor, |(operator, _)| operator.precedence()),
        Syntax::Not(_) | Syntax::Negation(_) => Precedence::Prefix,
        Syntax::Selection { .. } => Precedence::Selection,
        _ => Precedence::Factor,
    }
}
