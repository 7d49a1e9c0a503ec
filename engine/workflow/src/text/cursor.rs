//! Reads a notation character by character and says where and why it failed.

use crate::problem::Problem;
use alloc::format;
use alloc::string::String;

/// Characters shown before and after the place of a failure.
const EXCERPT: usize = 20;

/// A place in a text that is being read.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    /// What is not yet read.
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Goes back to a place returned by `position`.
    pub(crate) fn reset(&mut self, position: usize) {
        self.position = position;
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position += c.len_utf8();
        Some(c)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// Reads this text, if it follows.
    pub(crate) fn skip(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.position += token.len();
        }
        found
    }

    /// Reads the longest text of such characters.
    pub(crate) fn take_while(&mut self, mut accept: impl FnMut(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !accept(c)).unwrap_or(rest.len())];
        self.position += taken.len();
        taken
    }

    /// Reads up to and including this text, and returns what is before it.
    pub(crate) fn take_until(&mut self, end: &str) -> Option<&'a str> {
        let taken = &self.rest()[..self.rest().find(end)?];
        self.position += taken.len() + end.len();
        Some(taken)
    }

    /// Reads this text or fails.
    pub(crate) fn expect(&mut self, token: &str) -> Result<(), Problem> {
        if self.skip(token) { Ok(()) } else { Err(self.expected(&format!("'{token}'"))) }
    }

    /// The failure that something else was expected here.
    pub(crate) fn expected(&self, what: &str) -> Problem {
        match self.peek() {
            None => self.failure(&format!("Expected {what}, but the text ends here")),
            Some(c) => self.failure(&format!("Expected {what}, but got '{}'", c.escape_debug())),
        }
    }

    /// A failure at this place. Positions, lines and columns count characters from 1.
    pub(crate) fn failure(&self, why: &str) -> Problem {
        let before = &self.text[..self.position];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let start = before.char_indices().rev().take(EXCERPT).last().map_or(before.len(), |(i, _)| i);
        let shown_before = &before[start..];
        let shown_after: String = self.rest().chars().take(EXCERPT).collect();
        let place = if self.text.contains('\n') { format!(" (line {line}, column {column})") } else { String::new() };
        let position = before.chars().count() + 1;
        let message = format!(
            "Parsing failed at position {position}{place} “{}❓{}”: {why}",
            visible(shown_before),
            visible(shown_after.as_str()),
        );
        Problem { position: u32::try_from(position).ok(), ..Problem::new(message) }
    }
}

/// The text with control characters escaped.
fn visible(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_debug()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_it_failed() {
        let mut cursor = Cursor::new("äb\ncd");
        assert!(cursor.skip("äb\nc"));
        assert_eq!(
            cursor.expected("a number").message,
            "Parsing failed at position 5 (line 2, column 2) “äb\\nc❓d”: Expected a number, but got 'd'"
        );
        let end = Cursor::new("").expected("a number").message;
        assert_eq!(end, "Parsing failed at position 1 “❓”: Expected a number, but the text ends here");
    }
}
