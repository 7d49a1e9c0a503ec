//! Regular expressions in the syntax of Java, compiled once and matched with bounded effort.
//!
//! Patterns without look-around and back-references are matched in linear time, the others with at most
//! [`MAX_BACKTRACKS`] steps back; more is a problem. Not known here: `\G`, the flags `d` and `U`, look-behind of variable
//! length, Unicode blocks (`\p{InGreek}`) and canonical equivalence. Ignoring case (`(?i)`) goes for all letters, not only
//! ASCII ones, and so do `\b` and `\B`.

use super::pattern_syntax;
use crate::problem::{Checked, Problem};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use fancy_regex::{Captures, Regex, RegexBuilder};

/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 10_000;

/// Most steps back while matching a pattern with look-around or back-references.
pub const MAX_BACKTRACKS: usize = 100_000;

/// Memory for a compiled pattern, in bytes.
const MAX_COMPILED: usize = 1024 * 1024;

/// A compiled pattern. A wrong one is a problem when it is used, not before. Cheap to clone.
#[derive(Clone)]
pub struct Pattern {
    source: Arc<str>,
    compiled: Arc<Checked<Compiled>>,
}

struct Compiled {
    /// Matches a whole text.
    whole: Regex,
    /// Is searched within a text.
    search: Regex,
}

impl Pattern {
    /// Compiles a pattern.
    #[must_use]
    pub fn new(source: Arc<str>) -> Self {
        let compiled = Compiled::new(&source)
            .map_err(|why| Problem::new(format!("Not a valid regular expression: {}: {why}", shortened(&source))));
        Self { source, compiled: Arc::new(compiled) }
    }

    /// As written.
    #[must_use]
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The problem, if the pattern is not valid.
    pub fn check(&self) -> Checked<()> {
        self.compiled().map(|_| ())
    }

    /// Number of groups, besides the whole match.
    pub fn group_count(&self) -> Checked<usize> {
        Ok(self.compiled()?.whole.captures_len() - 1)
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> Checked<bool> {
        self.compiled()?.whole.is_match(text).map_err(|error| self.failed(&error))
    }

    /// The groups of the match of the whole text, the first one is the text itself; `None` where a group takes no part, or
    /// when the text does not match.
    pub fn groups<'t>(&self, text: &'t str) -> Checked<Option<Vec<Option<&'t str>>>> {
        let captures = self.compiled()?.whole.captures(text).map_err(|error| self.failed(&error))?;
        Ok(captures.map(|captures| captures.iter().map(|group| group.map(|group| group.as_str())).collect()))
    }

    /// The text with all matches replaced. Fails when it gets longer than `limit` bytes.
    pub fn replace_all(&self, text: &str, replacement: &str, limit: usize) -> Checked<String> {
        self.replace(text, replacement, usize::MAX, limit)
    }

    /// The text with the first match replaced. Fails when it gets longer than `limit` bytes.
    pub fn replace_first(&self, text: &str, replacement: &str, limit: usize) -> Checked<String> {
        self.replace(text, replacement, 1, limit)
    }

    fn replace(&self, text: &str, replacement: &str, count: usize, limit: usize) -> Checked<String> {
        let regex = &self.compiled()?.search;
        let replacement = Replacement::parse(replacement, regex)?;
        let mut out = String::new();
        // Where the text not yet copied begins, and where to search for the next match.
        let (mut copied, mut from) = (0, 0);
        for _ in 0..count {
            let found = regex.captures_from_pos(text, from).map_err(|error| self.failed(&error))?;
            let Some((captures, whole)) = found.and_then(|captures| captures.get(0).map(|whole| (captures, whole)))
            else {
                break;
            };
            out.push_str(&text[copied..whole.start()]);
            replacement.append(&captures, &mut out);
            copied = whole.end();
            if out.len() > limit {
                return Err(Problem::new(format!("The text is longer than {limit} bytes")));
            }
            from = if whole.start() < whole.end() {
                whole.end()
            } else {
                let Some(next) = text[whole.end()..].chars().next() else { break };
                whole.end() + next.len_utf8()
            };
        }
        out.push_str(&text[copied..]);
        Ok(out)
    }

    fn compiled(&self) -> Checked<&Compiled> {
        self.compiled.as_ref().as_ref().map_err(Clone::clone)
    }

    fn failed(&self, error: &fancy_regex::Error) -> Problem {
        Problem::new(format!("The regular expression {} is too expensive: {error}", shortened(&self.source)))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

impl Compiled {
    fn new(source: &str) -> Result<Self, String> {
        if source.len() > MAX_PATTERN {
            return Err(format!("it is longer than {MAX_PATTERN} bytes"));
        }
        let translated = pattern_syntax::translate(source)?;
        Ok(Self { whole: compile(&format!("\\A(?:{translated})\\z"))?, search: compile(&translated)? })
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .backtrack_limit(MAX_BACKTRACKS)
        .delegate_size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| format!("{error}"))
}

fn shortened(source: &str) -> String {
    let shown: String = source.chars().take(60).collect();
    if shown.len() < source.len() { format!("{shown}…") } else { shown }
}

/// What matches are replaced by.
struct Replacement {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// Reads `$1`, `${name}` and escapes with a backslash.
    fn parse(source: &str, regex: &Regex) -> Checked<Self> {
        let invalid = |why: &str| Problem::new(format!("Not a valid replacement: {}: {why}", shortened(source)));
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut chars = source.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => text.push(chars.next().ok_or_else(|| invalid("nothing follows the last backslash"))?),
                '$' => {
                    let group = if chars.next_if_eq(&'{').is_some() {
                        let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                        let known = regex.capture_names().position(|n| n == Some(name.as_str()));
                        known.ok_or_else(|| invalid(&format!("there is no group named {name:?}")))?
                    } else {
                        let digit = |c: char| c.to_digit(10).map(|digit| digit as usize);
                        let mut group =
                            chars.next().and_then(digit).ok_or_else(|| invalid("a group number must follow $"))?;
                        if group >= regex.captures_len() {
                            return Err(invalid(&format!("there is no group {group}")));
                        }
                        // Further digits belong to the number as long as there is such a group.
                        while let Some(longer) = chars.peek().copied().and_then(digit).map(|d| group * 10 + d)
                            && longer < regex.captures_len()
                        {
                            group = longer;
                            chars.next();
                        }
                        group
                    };
                    parts.push(Part::Text(core::mem::take(&mut text)));
                    parts.push(Part::Group(group));
                }
                c => text.push(c),
            }
        }
        parts.push(Part::Text(text));
        Ok(Self { parts })
    }

    fn append(&self, captures: &Captures<'_, str>, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(group) => out.push_str(captures.get(*group).map_or("", |group| group.as_str())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern.into()).matches(text).unwrap()
    }

    fn replace(pattern: &str, text: &str, replacement: &str) -> Checked<String> {
        Pattern::new(pattern.into()).replace_all(text, replacement, 1000)
    }

    #[test]
    fn matches_whole_texts() {
        for (pattern, text) in [
            ("a|ab", "ab"),
            ("[^.].*", "file"),
            (r"\d+", "12"),
            (r"\p{Alpha}+\p{javaLowerCase}", "Abc"),
            (r"\Qa.b\E+", "a.bbb"),
            (r"a\Q[\E", "a["),
            (r"\u0041\x42\0103\x{44}", "ABCD"),
            (r"[\w&&[^a-c]]+", "xyz"),
            (r"[]]", "]"),
            (r"[+--]", ","),
            (r"(a)(b)\2\1", "abba"),
            (r"(?<n>x)\k<n>", "xx"),
            (r"a++b", "aab"),
            (r"(?i)ABC", "abc"),
            (r"\h\s\S\W\D", "\t\n.-x"),
            (r"^abc$", "abc"),
            (r"(?s).+", "a\nb"),
            (r"(?!x)[a-z]", "a"),
            (r"\p{IsAlphabetic}\p{L}\pL\p{Lu}", "äöüÄ"),
            (r"a\$\.\-\ ", "a$.- "),
        ] {
            assert!(matches(pattern, text), "{pattern}");
        }
        for (pattern, text) in [
            ("a", "ab"),
            (r"\d", "\u{661}"),
            (r"\w", "ä"),
            (r".", "\u{2028}"),
            (r"[^.].*", ".hidden"),
            (r"[+--]", "*"),
            (r"a$", "a\n"),
            (r"[a&&b]", "a"),
            (r"a++a", "aa"),
        ] {
            assert!(!matches(pattern, text), "{pattern}");
        }
    }

    #[test]
    fn replaces_like_java() {
        for (pattern, text, replacement, result) in [
            ("([ae])", "abcdef", "»$1«", "»a«bcd»e«f"),
            ("([a-z])-([a-z])", "a-b", "$2-$1", "b-a"),
            ("x*", "abc", "-", "-a-b-c-"),
            ("a*", "baaac", "-", "-b--c-"),
            ("(?<n>b)", "abc", "<${n}>", "a<b>c"),
            ("(b)", "abc", "$11", "ab1c"),
            ("b", "abc", r"\$\\", r"a$\c"),
            ("(b)|(c)", "abc", "[$1$2]", "a[b][c]"),
            ("c$", "abc\n", "x", "abx\n"),
            ("ä", "häh", "ö", "höh"),
            ("", "ä", "-", "-ä-"),
        ] {
            assert_eq!(replace(pattern, text, replacement).unwrap(), result, "{pattern}");
        }
        for replacement in ["$", "$x", "$2", "\\", "${x}", "${"] {
            assert!(replace("(b)", "abc", replacement).is_err(), "{replacement}");
        }
        assert!(replace("a", &"a".repeat(200), "0123456789").is_err());
        assert_eq!(Pattern::new("a|aa".into()).replace_first("aab", "x", 10).unwrap(), "xab");
    }

    #[test]
    fn gives_groups() {
        let pattern = Pattern::new("(a)|(b)".into());
        assert_eq!(pattern.groups("b").unwrap(), Some([Some("b"), None, Some("b")].to_vec()));
        assert_eq!(pattern.groups("c").unwrap(), None);
        assert_eq!(pattern.group_count(), Ok(2));
    }

    #[test]
    fn wrong_patterns_are_problems() {
        for pattern in ["(", "[", "*", r"\", r"\y", r"\G", r"\p{Nope}", r"\Qa(\E(", "(?<n>a", r"[\b]", "[a"] {
            assert!(Pattern::new(pattern.into()).check().is_err(), "{pattern}");
        }
        assert!(Pattern::new("(".repeat(5_000).into()).check().is_err());
        assert!(Pattern::new("[".repeat(5_000).into()).check().is_err());
        assert!(Pattern::new("a".repeat(20_000).into()).check().is_err());
        assert!(Pattern::new("((((a{100}){100}){100}){100})".into()).check().is_err());
    }

    #[test]
    fn effort_is_bounded() {
        assert!(Pattern::new(r"(a|aa)+(?!y)b".into()).matches(&"a".repeat(1000)).is_err());
        assert_eq!(Pattern::new(r"(a+)+b".into()).matches(&"a".repeat(1000)), Ok(false));
    }

    proptest! {
        #[test]
        fn never_panics(pattern in r"[-ab()\[\]{}*+?|.\\dQEpu0-9&^$:<>=!]{0,20}", text in "[ab1.\n]{0,10}") {
            let pattern = Pattern::new(pattern.into());
            let _ = pattern.matches(&text);
            let _ = pattern.replace_all(&text, "$0", 1000);
        }
    }
}
