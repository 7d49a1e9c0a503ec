//! YAML 1.2 text to trees of nodes, the same that JSON gives.
//!
//! Only what has a counterpart in JSON is accepted: no aliases (a few lines of them can stand for gigabytes), no merge
//! keys, no tags, and only texts as member names. Plain scalars follow the core schema, so `no` is a text.
//! Recursion-free: nesting and number of values are bounded ([`limit`]).

use crate::decimal::Decimal;
use crate::json::{Finding, Node, NodeKind, Place, Severity, limit};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

/// Parses a text of any number of YAML documents.
///
/// # Errors
/// Everything that is not accepted, and the first mistake of the syntax, each with its place.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, Vec<Finding>> {
    if text.len() > limit::TEXT {
        let message = format!("the document has {} bytes; at most {} are accepted", text.len(), limit::TEXT);
        return Err(vec![Finding::new(Severity::Error, Place::default(), "", message)]);
    }
    let mut loader = Loader { stack: Vec::new(), nodes: 0, documents: Vec::new(), findings: Vec::new() };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let done = match event {
            Ok((event, span)) => loader.event(event, place(span.start)),
            Err(error) => Err(failure(place(*error.marker()), format!("not readable as YAML: {}", error.info()))),
        };
        if let Err(finding) = done {
            loader.findings.push(*finding);
            break;
        }
    }
    if loader.findings.is_empty() { Ok(loader.documents) } else { Err(loader.findings) }
}

fn place(marker: Marker) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: number(marker.line()), column: number(marker.col() + 1) }
}

fn failure(place: Place, message: impl Into<String>) -> Box<Finding> {
    Box::new(Finding::new(Severity::Error, place, "", message))
}

/// A list or object whose end has not been reached.
struct Open {
    place: Place,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Object {
        members: Vec<(Arc<str>, Place, Node)>,
        names: BTreeSet<Arc<str>>,
        /// The name whose value comes next.
        name: Option<(Arc<str>, Place)>,
    },
}

struct Loader {
    stack: Vec<Open>,
    nodes: usize,
    documents: Vec<Node>,
    /// Mistakes after which reading goes on.
    findings: Vec<Finding>,
}

/// An error is a mistake after which nothing more can be read.
type Loaded = Result<(), Box<Finding>>;

impl Loader {
    fn event(&mut self, event: Event<'_>, place: Place) -> Loaded {
        match event {
            Event::Alias(_) => {
                self.refuse(place, "aliases (*name) are not supported; repeat the value")?;
                self.add(Node { kind: NodeKind::Null, place })
            }
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(place, tag.as_deref())?;
                self.scalar(&text, style, place)
            }
            Event::SequenceStart(_, tag) => {
                self.refuse_tag(place, tag.as_deref())?;
                self.open(OpenKind::List(Vec::new()), place)
            }
            Event::MappingStart(_, tag) => {
                self.refuse_tag(place, tag.as_deref())?;
                self.open(OpenKind::Object { members: Vec::new(), names: BTreeSet::new(), name: None }, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn refuse(&mut self, place: Place, message: impl Into<String>) -> Loaded {
        if self.findings.len() + 1 >= limit::FINDINGS {
            return Err(failure(place, "there are more mistakes, but the rest is not read"));
        }
        self.findings.push(*failure(place, message));
        Ok(())
    }

    fn refuse_tag(&mut self, place: Place, tag: Option<&Tag>) -> Loaded {
        match tag {
            None => Ok(()),
            Some(tag) => {
                let shown: String = tag.suffix.chars().take(40).collect();
                self.refuse(place, format!("tags (!{shown}) are not supported; leave it out, or quote the value"))
            }
        }
    }

    fn count(&mut self, place: Place) -> Loaded {
        self.nodes += 1;
        if self.nodes > limit::NODES {
            return Err(failure(place, format!("the document has more than {} values", limit::NODES)));
        }
        Ok(())
    }

    fn open(&mut self, kind: OpenKind, place: Place) -> Loaded {
        self.count(place)?;
        if self.stack.len() > limit::DEPTH {
            return Err(failure(place, format!("nested more than {} levels deep", limit::DEPTH)));
        }
        if let Some(Open { kind: OpenKind::Object { name: None, .. }, .. }) = self.stack.last() {
            self.refuse(place, "a member name must be a text, not a list or an object")?;
        }
        self.stack.push(Open { place, kind });
        Ok(())
    }

    fn close(&mut self) -> Loaded {
        let Some(Open { place, kind }) = self.stack.pop() else { return Ok(()) };
        let kind = match kind {
            OpenKind::List(nodes) => NodeKind::List(nodes),
            OpenKind::Object { members, .. } => NodeKind::Object(members),
        };
        self.add(Node { kind, place })
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, place: Place) -> Loaded {
        if let Some(Open { kind: OpenKind::Object { name: None, .. }, .. }) = self.stack.last() {
            return self.name(text, style, place);
        }
        self.count(place)?;
        let kind = if style == ScalarStyle::Plain { plain(text) } else { Ok(NodeKind::String(text.into())) };
        match kind {
            Ok(kind) => self.add(Node { kind, place }),
            Err(message) => {
                self.refuse(place, message)?;
                self.add(Node { kind: NodeKind::Null, place })
            }
        }
    }

    fn name(&mut self, text: &str, style: ScalarStyle, place: Place) -> Loaded {
        let Some(Open { kind: OpenKind::Object { names, name, .. }, .. }) = self.stack.last_mut() else {
            return Ok(());
        };
        let text: Arc<str> = text.into();
        *name = Some((text.clone(), place));
        let is_plain = style == ScalarStyle::Plain;
        if is_plain && &*text == "<<" {
            self.refuse(place, "merge keys (<<) are not supported; repeat the members")
        } else if is_plain && text.is_empty() {
            self.refuse(place, "a member name is missing before ':'")
        } else if names.insert(text.clone()) {
            Ok(())
        } else {
            self.refuse(place, format!("member '{text}' is given twice"))
        }
    }

    fn add(&mut self, node: Node) -> Loaded {
        match self.stack.last_mut() {
            None => self.documents.push(node),
            Some(Open { kind: OpenKind::List(nodes), .. }) => nodes.push(node),
            Some(Open { kind: OpenKind::Object { members, name, .. }, .. }) => match name.take() {
                Some((name, place)) => members.push((name, place, node)),
                // An alias, a list or an object as a name, which has been refused.
                None => *name = Some(("".into(), node.place)),
            },
        }
        Ok(())
    }
}

/// What a plain scalar means in the core schema.
fn plain(text: &str) -> Result<NodeKind, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => NodeKind::Null,
        "true" | "True" | "TRUE" => NodeKind::Boolean(true),
        "false" | "False" | "FALSE" => NodeKind::Boolean(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan" | ".NaN"
        | ".NAN" => return Err(format!("{text} is no number that can be used; quote it to have a text")),
        _ => match number(text) {
            None => NodeKind::String(text.into()),
            Some(Some(number)) => NodeKind::Number(number),
            Some(None) => {
                let shown: String = text.chars().take(40).collect();
                return Err(format!("{shown} is too large or too exact a number; quote it to have a text"));
            }
        },
    })
}

/// The number, `Some(None)` if it is one that cannot be represented, `None` if this is no number.
fn number(text: &str) -> Option<Option<Decimal>> {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_digit(radix))
        {
            return Some(i64::from_str_radix(digits, radix).ok().map(Decimal::from));
        }
    }
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    let has_exponent = exponent.is_none_or(|e| {
        let digits = e.strip_prefix(['+', '-']).unwrap_or(e);
        !digits.is_empty() && are_digits(digits)
    });
    if (integer.is_empty() && fraction.is_empty()) || !are_digits(integer) || !are_digits(fraction) || !has_exponent {
        return None;
    }
    let integer = match integer.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let exponent = exponent.map_or(Cow::Borrowed(""), |e| Cow::Owned(format!("e{e}")));
    Some(format!("{sign}{integer}{point}{fraction}{exponent}").parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::print;
    use alloc::string::ToString;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(nodes) => nodes.iter().map(|node| print(&node.to_value())).collect::<Vec<_>>().join(" "),
            Err(findings) => findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        }
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, json) in [
            ("[no, yes, on, True, ~, null, nil]", r#"["no","yes","on",true,null,null,"nil"]"#),
            ("[1, +1, -1, 007, 0x1F, 0o17, 1.50, .5, 5., 1e3, 1_000]", r#"[1,1,-1,7,31,15,1.50,0.5,5,1e3,"1_000"]"#),
            ("['1', \"true\", 1:30, 2026-01-01, 1.2.3, '', -, +]", ""),
            ("a: |\n  x\n   y\nb: >-\n  p\n  q\n", r#"{"a":"x\n y\n","b":"p q"}"#),
            ("---\na: 1\n---\n- 2\n", r#"{"a":1} [2]"#),
            ("1: x", r#"{"1":"x"}"#),
            ("# nothing", ""),
        ] {
            if json.is_empty() {
                assert!(!shown(text).contains("error"), "{text}");
            } else {
                let value = crate::json::parse(&format!("[{}]", json.replace("} [", "}, ["))).unwrap().to_value();
                let read = parse(text).unwrap();
                assert_eq!(crate::value::Value::list(read.iter().map(Node::to_value)), value, "{text}");
            }
        }
    }

    #[test]
    fn refuses_what_json_has_not() {
        for (text, message) in [
            ("a: &x [1]\nb: *x", "line 2 column 4: aliases (*name) are not supported; repeat the value"),
            ("*x : 1", "line 1 column 1: not readable as YAML: while parsing node, found unknown anchor"),
            ("a: {b: 1}\n<<: {c: 2}", "line 2 column 1: merge keys (<<) are not supported; repeat the members"),
            (
                "a: 1\nb: !!str 2\na: 3",
                "line 2 column 4: tags (!str) are not supported; leave it out, or quote the \
             value; line 3 column 1: member 'a' is given twice",
            ),
            (
                "? [a, b]\n: 1\nc: .inf",
                "line 1 column 3: a member name must be a text, not a list or an object; line 3 \
             column 4: .inf is no number that can be used; quote it to have a text",
            ),
            (": 1", "line 1 column 1: a member name is missing before ':'"),
        ] {
            assert_eq!(shown(text), message, "{text}");
        }
        for text in ["a:\n\t- b", "a: [1", "a: 'x", "a: b: c"] {
            assert!(shown(text).contains("not readable as YAML"), "{text}: {}", shown(text));
        }
    }

    #[test]
    fn is_bounded() {
        for deep in ["[".repeat(1_000_000), "- ".repeat(1_000_000), "{a: ".repeat(100_000), "? ".repeat(100_000)] {
            assert!(parse(&deep).is_err());
        }
        let mut laughs = String::from("a0: &a0 [x, x]\n");
        for i in 1..40 {
            laughs += &format!("a{i}: &a{i} [*a{}, *a{}]\n", i - 1, i - 1);
        }
        assert!(shown(&laughs).contains("aliases"));
        let wide = format!("[{}1]", "1, ".repeat(limit::NODES));
        assert!(shown(&wide).contains("more than 1000000 values"));
    }
}
