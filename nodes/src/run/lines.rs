//! Output of jobs, cut into lines.
//!
//! Chunks end anywhere. A line is given out when it is complete, or too long, or when its process has ended. What would
//! act on a terminal is taken out, except colours.

use std::collections::BTreeMap;

/// Longest line in bytes. Longer ones are cut.
const LINE: usize = 16 << 10;

/// What has no end yet, by whose it is.
pub(super) struct Lines<K> {
    begun: BTreeMap<K, String>,
}

impl<K: Ord> Default for Lines<K> {
    fn default() -> Self {
        Self { begun: BTreeMap::new() }
    }
}

impl<K: Ord> Lines<K> {
    /// Takes a chunk, and gives out the lines that it completes.
    pub(super) fn take(&mut self, key: K, chunk: &str) -> Vec<String> {
        let mut text = self.begun.remove(&key).unwrap_or_default();
        text.push_str(chunk);
        let mut lines = Vec::new();
        let mut rest = text.as_str();
        loop {
            match rest.find('\n') {
                Some(at) if at <= LINE => {
                    lines.push(clean(&rest[..at]));
                    rest = &rest[at + 1..];
                }
                _ if rest.len() > LINE => {
                    let (line, more) = rest.split_at(rest.floor_char_boundary(LINE));
                    lines.push(clean(line));
                    rest = more;
                }
                _ => break,
            }
        }
        if !rest.is_empty() {
            self.begun.insert(key, rest.to_owned());
        }
        lines
    }

    /// What is left, when no more will come.
    pub(super) fn end(&mut self, key: &K) -> Option<String> {
        self.begun.remove(key).map(|line| clean(&line))
    }
}

/// A line as it may be shown: of what was overwritten after carriage returns, the last; no control characters but tabs
/// and colours.
fn clean(line: &str) -> String {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let line = line.rsplit('\r').next().unwrap_or(line);
    if !line.chars().any(is_control) {
        return line.to_owned();
    }
    let mut shown = String::with_capacity(line.len());
    let mut is_coloured = false;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = colour(rest) {
            shown.push_str(&rest[..length]);
            is_coloured = true;
            rest = &rest[length..];
        } else {
            if !is_control(c) {
                shown.push(c);
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    if is_coloured {
        shown.push_str("\x1b[0m");
    }
    shown
}

fn is_control(c: char) -> bool {
    c.is_control() && c != '\t'
}

/// The length of the escape sequence for a colour which `text` begins with.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let length = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[length..].starts_with('m').then_some(2 + length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_wherever_chunks_end() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(1, "a\nb"), ["a"]);
        assert_eq!(lines.take(2, "x\n"), ["x"]);
        assert_eq!(lines.take(1, "c\r\n\nd"), ["bc", ""]);
        assert_eq!(lines.end(&1), Some("d".to_owned()));
        assert_eq!(lines.end(&1), None);
        assert_eq!(lines.end(&2), None);
    }

    #[test]
    fn endless_lines_are_cut() {
        let mut lines = Lines::default();
        let given = lines.take(0, &"ä".repeat(LINE));
        assert_eq!(given.len(), 1);
        assert_eq!(given.concat() + &lines.end(&0).unwrap(), "ä".repeat(LINE));
    }

    #[test]
    fn nothing_acts_on_the_terminal_but_colours() {
        assert_eq!(clean("10%\r20%\r30%"), "30%");
        assert_eq!(clean("\x1b[2J\x1b[31mred\x07\tend"), "[2J\x1b[31mred\tend\x1b[0m");
    }
}
