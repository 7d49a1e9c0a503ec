//! JSON text (RFC 8259) to a tree of nodes.
//!
//! Own code, because no kept crate gives places, exact decimals and a nesting limit together.

use super::limit;
use super::node::{Node, NodeKind, Place};
use super::report::{Finding, Severity};
use crate::problem::{Checked, Problem};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

/// Parses one JSON document.
///
/// # Errors
/// Says line and column, what was found and what was expected.
pub fn parse(text: &str) -> Checked<Node> {
    parse_findings(text).map_err(|findings| {
        let problems = findings.into_iter().map(|finding| Problem::new(finding.to_string()));
        Problem::combine(problems).unwrap_or_else(|| Problem::new("Document is not readable"))
    })
}

/// Parses one JSON document.
///
/// # Errors
/// Members given twice, and the first mistake of the syntax, each with its place.
pub fn parse_findings(text: &str) -> Result<Node, Vec<Finding>> {
    if text.len() > limit::TEXT {
        let message = format!("the document has {} bytes; at most {} are accepted", text.len(), limit::TEXT);
        return Err(vec![Finding::new(Severity::Error, Place::default(), "", message)]);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser =
        Parser { text, at: 0, line: 1, line_start: 0, counted: Cell::new((0, 1)), nodes: 0, findings: Vec::new() };
    let node = parser.document();
    let mut findings = parser.findings;
    match node {
        Ok(node) if findings.is_empty() => return Ok(node),
        Ok(_) => {}
        Err(finding) => findings.push(*finding),
    }
    Err(findings)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    line_start: usize,
    /// A byte of the current line with its column, so that long lines are not counted again for each place.
    counted: Cell<(usize, usize)>,
    nodes: usize,
    /// Mistakes after which parsing goes on.
    findings: Vec<Finding>,
}

/// A value, or the mistake after which nothing more can be read.
type Parsed<T> = Result<T, Box<Finding>>;

impl Parser<'_> {
    fn document(&mut self) -> Parsed<Node> {
        self.skip_space();
        let node = self.value(0)?;
        self.skip_space();
        if self.at < self.text.len() {
            return Err(self.expected("end of the document"));
        }
        Ok(node)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn place(&self) -> Place {
        let (mut byte, mut column) = self.counted.get();
        if byte < self.line_start || byte > self.at {
            (byte, column) = (self.line_start, 1);
        }
        column += self.text[byte..self.at].chars().count();
        self.counted.set((self.at, column));
        Place { line: self.line, column: u32::try_from(column).unwrap_or(u32::MAX) }
    }

    fn failure(&self, message: impl Into<String>) -> Box<Finding> {
        Box::new(Finding::new(Severity::Error, self.place(), "", message))
    }

    fn expected(&self, what: &str) -> Box<Finding> {
        let found = match self.text[self.at..].chars().next() {
            None => String::from("the end of the text"),
            Some(c) if c.is_control() => format!("character U+{:04X}", u32::from(c)),
            Some(c) => format!("'{c}'"),
        };
        self.failure(format!("expected {what}, found {found}"))
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    self.line_start = self.at;
                }
                _ => break,
            }
        }
    }

    fn value(&mut self, depth: usize) -> Parsed<Node> {
        if depth > limit::DEPTH {
            return Err(self.failure(format!("nested more than {} levels deep", limit::DEPTH)));
        }
        self.nodes += 1;
        if self.nodes > limit::NODES {
            return Err(self.failure(format!("the document has more than {} values", limit::NODES)));
        }
        let place = self.place();
        let kind = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => NodeKind::String(self.string()?.into()),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { kind, place })
    }

    fn word(&mut self) -> Parsed<NodeKind> {
        for (word, kind) in
            [("true", NodeKind::Boolean(true)), ("false", NodeKind::Boolean(false)), ("null", NodeKind::Null)]
        {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(kind);
            }
        }
        Err(self.expected("a JSON value"))
    }

    fn list(&mut self, depth: usize) -> Parsed<NodeKind> {
        self.at += 1;
        let mut nodes = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(NodeKind::List(nodes));
        }
        loop {
            self.skip_space();
            nodes.push(self.value(depth + 1)?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(NodeKind::List(nodes));
                }
                _ => return Err(self.expected("',' or ']'")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Parsed<NodeKind> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(NodeKind::Object(members));
        }
        let mut names = alloc::collections::BTreeSet::new();
        loop {
            self.skip_space();
            let place = self.place();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a member name in double quotes"));
            }
            let name: alloc::sync::Arc<str> = self.string()?.into();
            if !names.insert(name.clone()) {
                let message = format!("member '{name}' is given twice");
                self.findings.push(Finding::new(Severity::Error, place, "", message));
                if self.findings.len() >= limit::FINDINGS {
                    return Err(self.failure("there are more mistakes, but the rest is not read"));
                }
            }
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.expected("':'"));
            }
            self.at += 1;
            self.skip_space();
            members.push((name, place, self.value(depth + 1)?));
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(NodeKind::Object(members));
                }
                _ => return Err(self.expected("',' or '}'")),
            }
        }
    }

    fn number(&mut self) -> Parsed<NodeKind> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let integer = digits(self.at);
        if integer == self.at || (bytes[self.at] == b'0' && integer > self.at + 1) {
            return Err(self.expected("a number without leading zeros"));
        }
        self.at = integer;
        if self.peek() == Some(b'.') {
            let end = digits(self.at + 1);
            if end == self.at + 1 {
                self.at = end;
                return Err(self.expected("a digit after the decimal point"));
            }
            self.at = end;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            let end = digits(self.at);
            if end == self.at {
                return Err(self.expected("a digit of the exponent"));
            }
            self.at = end;
        }
        match self.text[start..self.at].parse() {
            Ok(number) => Ok(NodeKind::Number(number)),
            Err(error) => {
                self.at = start;
                Err(self.failure(format!("{error}")))
            }
        }
    }

    fn string(&mut self) -> Parsed<String> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|b| b == b'"' || b == b'\\' || b < 0x20).unwrap_or(rest.len());
            string.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => {
                    let c = self.escape()?;
                    string.push(c);
                }
                Some(_) => return Err(self.expected("an escaped control character, like \\n")),
                None => return Err(self.expected("'\"'")),
            }
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        self.at += 1;
        let escaped = self.peek();
        let c = match escaped {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.expected("an escape: one of \" \\ / b f n r t u")),
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode(&mut self) -> Parsed<char> {
        let first = self.hex()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.expected("a Unicode character"));
        }
        if first < 0xdc00 && self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return char::from_u32(code).ok_or_else(|| self.expected("a Unicode character"));
            }
        }
        Err(self.failure("half of a surrogate pair"))
    }

    fn hex(&mut self) -> Parsed<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|d| u32::from_str_radix(d, 16).ok()) {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => Err(self.expected("four hexadecimal digits")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::print;

    #[test]
    fn reads_what_it_prints() {
        for text in [r#"{"a":[1,-2.50,"x\n\"\\é😀",true,null],"b":{}}"#, "[]", "0", "\"\"", "1e3"] {
            let value = parse(text).unwrap().to_value();
            assert_eq!(parse(&print(&value)).unwrap().to_value(), value, "{text}");
        }
    }

    #[test]
    fn refuses_with_place() {
        for (text, message) in [
            ("", "line 1 column 1: expected a JSON value, found the end of the text"),
            ("{\n \"a\": 01}", "line 2 column 7: expected a number without leading zeros, found '0'"),
            ("[1,]", "line 1 column 4: expected a JSON value, found ']'"),
            ("{\"a\":1,\"a\":2}", "line 1 column 8: member 'a' is given twice"),
            ("\"\u{1}\"", "line 1 column 2: expected an escaped control character, like \\n, found character U+0001"),
            ("\"\\ud800\"", "line 1 column 8: half of a surrogate pair"),
            ("1 2", "line 1 column 3: expected end of the document, found '2'"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn finds_all_repeated_members() {
        let findings = parse_findings("{\"a\":1,\"a\":{\"b\":2,\n\"b\":3},x").unwrap_err();
        let shown: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "line 1 column 8: member 'a' is given twice",
                "line 2 column 1: member 'b' is given twice",
                "line 2 column 8: expected a member name in double quotes, found 'x'",
            ]
        );
    }

    #[test]
    fn refuses_too_many_values() {
        let text = format!("[{}0]", "0,".repeat(limit::NODES));
        assert!(parse(&text).unwrap_err().message.ends_with("the document has more than 1000000 values"));
    }

    #[test]
    fn refuses_deep_nesting() {
        let text = "[".repeat(100_000);
        assert!(parse(&text).unwrap_err().message.contains("nested more than 100 levels"));
    }
}
