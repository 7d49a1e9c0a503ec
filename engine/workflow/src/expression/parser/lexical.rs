//! The words of the language: white space, symbols, names and literals.

use super::{OPERATOR_CHARACTERS, Parser, constant, is_digit, is_identifier_part, is_identifier_start, select};
use crate::expression::{Expression, Step, Syntax};
use crate::problem::{Checked, Problem};
use crate::value::{Name, Value};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl Parser<'_> {
    #[inline(never)]
    pub(super) fn number(&mut self) -> Checked<Expression> {
        let before = self.cursor.clone();
        let sign = if self.cursor.skip("-") { "-" } else { "" };
        self.cursor.skip("+");
        let integer = self.cursor.take_while(is_digit);
        if integer.is_empty() {
            return Err(self.unexpected("a number"));
        }
        let mut text = format!("{sign}{integer}");
        if self.cursor.rest().strip_prefix('.').is_some_and(|rest| rest.starts_with(is_digit)) {
            self.cursor.skip(".");
            text.push('.');
            text.push_str(self.cursor.take_while(is_digit));
        }
        self.space()?;
        let number = text.parse().map_err(|error| before.failure(&format!("{error}")))?;
        Ok(constant(Value::Number(number)))
    }

    #[inline(never)]
    pub(super) fn single_quoted(&mut self) -> Checked<Expression> {
        let before = self.cursor.clone();
        let quotes = self.cursor.take_while(|c| c == '\'');
        let Some(text) = self.cursor.take_until(quotes) else {
            return Err(before.failure(match quotes {
                "''" => "The closing '' is missing (an empty text is written \"\")",
                _ => "The closing quote is missing",
            }));
        };
        self.space()?;
        Ok(constant(Value::String(text.replace('\r', "").into())))
    }

    #[inline(never)]
    pub(super) fn double_quoted(&mut self) -> Checked<Expression> {
        let before = self.cursor.clone();
        self.cursor.skip("\"");
        let mut parts = Vec::new();
        let mut text = String::new();
        loop {
            text.push_str(self.cursor.take_while(|c| !matches!(c, '"' | '\\' | '$')));
            match self.cursor.peek() {
                Some('$') => {
                    let part = self.interpolated_part()?;
                    if let Syntax::Constant(Value::String(constant)) = &part.0.syntax {
                        text.push_str(constant);
                    } else {
                        push_text(&mut parts, &mut text);
                        parts.push(part);
                    }
                }
                Some('\\') => {
                    self.cursor.skip("\\");
                    text.push(self.escaped()?);
                }
                Some(_) => break,
                None => return Err(before.failure("The closing \" is missing")),
            }
        }
        self.expect("\"")?;
        if parts.is_empty() {
            return Ok(constant(Value::String(text.into())));
        }
        push_text(&mut parts, &mut text);
        Ok(Expression::new(Syntax::Interpolation(parts)))
    }

    pub(super) fn escaped(&mut self) -> Checked<char> {
        let before = self.cursor.clone();
        match self.cursor.next() {
            Some(c @ ('\\' | '"' | '$')) => Ok(c),
            Some('t') => Ok('\t'),
            Some('r') => Ok('\r'),
            Some('n') => Ok('\n'),
            Some(_) | None => Err(before.expected("one of \\\\ \\\" \\$ \\t \\r \\n")),
        }
    }

    /// Reads `$name`, `$1`, `${name.field}` or `$(expression)`, but no white space after it.
    #[inline(never)]
    pub(super) fn interpolated_part(&mut self) -> Checked<Expression> {
        if !self.cursor.rest().starts_with("$(") {
            return self.dollar();
        }
        self.cursor.skip("$(");
        self.space()?;
        let inner = self.expression()?;
        self.cursor.expect(")")?;
        Ok(inner)
    }

    /// Reads `$name`, `$1` or `${name.field}`, but no white space after it.
    #[inline(never)]
    pub(super) fn dollar(&mut self) -> Checked<Expression> {
        self.cursor.expect("$")?;
        let digits = self.cursor.take_while(is_digit);
        if !digits.is_empty() {
            return Ok(Expression::named_value(digits));
        }
        if !self.cursor.skip("{") {
            let name = self.bare_identifier("a name after '$'")?;
            return Ok(Expression::named_value(name));
        }
        let base = Expression::named_value(self.bare_identifier("a name")?);
        let mut steps = Vec::new();
        while self.cursor.skip(".") {
            steps.push(Step::Field(self.bare_identifier("a field name")?));
        }
        self.cursor.expect("}")?;
        Ok(if steps.is_empty() { base } else { select(base, steps) })
    }

    pub(super) fn identifier(&mut self, what: &str) -> Checked<Name> {
        let name = self.bare_identifier(what)?;
        self.space()?;
        Ok(name)
    }

    /// Reads a name, but no white space after it.
    #[inline(never)]
    pub(super) fn bare_identifier(&mut self, what: &str) -> Checked<Name> {
        let before = self.cursor.clone();
        if !self.cursor.skip("`") {
            return if self.cursor.peek().is_some_and(is_identifier_start) {
                Ok(self.cursor.take_while(is_identifier_part).into())
            } else {
                Err(self.unexpected(what))
            };
        }
        let mut name = String::new();
        loop {
            name.push_str(self.cursor.take_while(|c| c != '`' && c != '\n'));
            if !self.cursor.skip("`") {
                return Err(before.failure("The closing ` is missing"));
            }
            if !self.cursor.skip("`") {
                break;
            }
            name.push('`');
        }
        if name.is_empty() { Err(before.failure("A name must not be empty")) } else { Ok(name.into()) }
    }

    /// Reads an operator symbol, if it follows and is not followed by a further operator character.
    pub(super) fn symbol(&mut self, symbol: &str) -> Checked<bool> {
        let Some(rest) = self.cursor.rest().strip_prefix(symbol) else { return Ok(false) };
        let is_comment = rest.starts_with("//") || rest.starts_with("/*");
        if !is_comment && rest.starts_with(|c| OPERATOR_CHARACTERS.contains(c)) {
            return Ok(false);
        }
        self.token(symbol)
    }

    /// Reads a word, if it follows as a whole.
    pub(super) fn word(&mut self, word: &str) -> Checked<bool> {
        match self.cursor.rest().strip_prefix(word) {
            Some(rest) if !rest.starts_with(is_identifier_part) => self.token(word),
            Some(_) | None => Ok(false),
        }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Checked<()> {
        if self.word(word)? { Ok(()) } else { Err(self.unexpected(&format!("'{word}'"))) }
    }

    /// Reads this text, if it follows.
    pub(super) fn token(&mut self, token: &str) -> Checked<bool> {
        let found = self.cursor.skip(token);
        if found {
            self.space()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, token: &str) -> Checked<()> {
        if self.token(token)? { Ok(()) } else { Err(self.unexpected(&format!("'{token}'"))) }
    }

    /// Reads white space and comments.
    pub(super) fn space(&mut self) -> Checked<()> {
        loop {
            self.cursor.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
            if self.cursor.skip("//") {
                self.cursor.take_while(|c| c != '\n');
            } else if self.cursor.rest().starts_with("/*") {
                let before = self.cursor.clone();
                self.cursor.skip("/*");
                if self.cursor.take_until("*/").is_none() {
                    return Err(before.failure("The comment is not closed with */"));
                }
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn unexpected(&self, what: &str) -> Problem {
        let mut following = self.cursor.rest().chars().take_while(|c| OPERATOR_CHARACTERS.contains(*c));
        match (following.next(), following.next()) {
            (Some(_), Some(_)) => self.cursor.failure(&format!(
                "Expected {what}, but got characters which are no operator (two operators need a blank between them)"
            )),
            _ => self.cursor.expected(what),
        }
    }
}

fn push_text(parts: &mut Vec<Expression>, text: &mut String) {
    if !text.is_empty() {
        parts.push(constant(Value::String(core::mem::take(text).into())));
    }
}
