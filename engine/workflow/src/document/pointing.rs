//! Where findings are in the text as it was written: the path of a place, and the place of a character within a text.

use super::{Format, Part, Source};
use crate::json::{Finding, Mention, Node, NodeKind, Place};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Columns beyond this are not looked at again: a text in such a line is pointed to as a whole.
const MAX_COLUMN: u32 = 100_000;

/// Gives findings and mentions the paths which their places have in the document as it was written.
pub(super) fn as_written(part: &Part<'_>, findings: &mut [Finding], mentions: &mut [Mention]) {
    let places = findings.iter().map(|f| f.place).chain(mentions.iter().map(|m| m.place));
    let mut paths: BTreeMap<Place, Vec<String>> = places.map(|place| (place, Vec::new())).collect();
    let mut path = part.path.clone();
    collect(part.node, &mut path, &mut paths);
    for (place, path) in
        findings.iter_mut().map(|f| (f.place, &mut f.path)).chain(mentions.iter_mut().map(|m| (m.place, &mut m.path)))
    {
        let separator = if part.path.is_empty() || path.is_empty() || path.starts_with('[') { "" } else { "." };
        *path = format!("{}{separator}{path}", part.path);
        let candidates = paths.get(&place).map(Vec::as_slice).unwrap_or_default();
        let last = |path: &str| path.rsplit('.').next().map(String::from);
        if !candidates.contains(path)
            && let Some(best) = candidates.iter().find(|c| last(c) == last(path)).or_else(|| candidates.first())
        {
            path.clone_from(best);
        }
    }
}

/// Recursion is bounded by the nesting limit of documents.
fn collect(node: &Node, path: &mut String, paths: &mut BTreeMap<Place, Vec<String>>) {
    if let Some(found) = paths.get_mut(&node.place) {
        found.push(path.clone());
    }
    let length = path.len();
    match &node.kind {
        NodeKind::List(nodes) => {
            for (i, node) in nodes.iter().enumerate() {
                _ = write!(path, "[{i}]");
                collect(node, path, paths);
                path.truncate(length);
            }
        }
        NodeKind::Object(members) => {
            for (name, place, node) in members {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
                if let Some(found) = paths.get_mut(place) {
                    found.push(path.clone());
                }
                collect(node, path, paths);
                path.truncate(length);
            }
        }
        NodeKind::Null | NodeKind::Boolean(_) | NodeKind::Number(_) | NodeKind::String(_) => {}
    }
}

/// Lets findings about a character within a text point to that character, where the text is written so that it can be
/// told: on one line, or as a literal block.
pub(super) fn point_into_texts(source: &Source<'_>, findings: &mut [Finding]) {
    let mut wanted: BTreeMap<u32, Vec<&mut Finding>> = BTreeMap::new();
    for finding in findings.iter_mut().filter(|f| f.problem.position.is_some() && f.place.column <= MAX_COLUMN) {
        wanted.entry(finding.place.line).or_default().push(finding);
    }
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(source.text);
    let mut rest = text;
    let mut line_before = "";
    let mut line = 1;
    for (wanted_line, findings) in wanted {
        while line < wanted_line {
            let Some((before, after)) = rest.split_once('\n') else { return };
            (line_before, rest) = (before, after);
            line += 1;
        }
        for finding in findings {
            let Some(position) = finding.problem.position else { continue };
            let wanted = position as usize - 1;
            let place = match source.format() {
                Format::Yaml if is_block_header(line_before) => in_block(rest, finding.place, wanted),
                format => on_line(rest, finding.place, wanted, format),
            };
            finding.place = place.unwrap_or(finding.place);
        }
    }
}

/// The place of a character of the text which begins at `start`, in the first of these lines.
fn on_line(lines: &str, start: Place, wanted: usize, format: Format) -> Option<Place> {
    let (indentation, first) = lines.char_indices().nth(start.column as usize - 1)?;
    let written = &lines[indentation..];
    let (quotes, columns) = match (format, first) {
        (_, '"') => (1, width(&written[1..], wanted, double_quoted)?),
        (Format::Json, _) => return None,
        (Format::Yaml, '\'') => {
            (1, width(&written[1..], wanted, |rest| Some(if rest.starts_with("''") { 2 } else { 1 }))?)
        }
        (Format::Yaml, _) => (0, width(written, wanted, |_| Some(1))?),
    };
    Some(Place { column: start.column + quotes + u32::try_from(columns).ok()?, ..start })
}

/// How many characters of a line stand for the first `count` characters of a text.
fn width(line: &str, count: usize, next: impl Fn(&str) -> Option<usize>) -> Option<usize> {
    let mut rest = line;
    let mut columns = 0;
    for _ in 0..count {
        if rest.is_empty() || rest.starts_with(['\n', '\r']) {
            return None;
        }
        let step = next(rest)?;
        let (end, c) = rest.char_indices().nth(step - 1)?;
        rest = &rest[end + c.len_utf8()..];
        columns += step;
    }
    Some(columns)
}

/// How many characters stand for the next one between double quotes.
fn double_quoted(rest: &str) -> Option<usize> {
    let Some(escape) = rest.strip_prefix('\\') else { return Some(1) };
    Some(match escape.chars().next()? {
        'u' => {
            match escape.get(1..3).is_some_and(|high| ["d8", "d9", "da", "db"].contains(&&*high.to_ascii_lowercase())) {
                true => 12,
                false => 6,
            }
        }
        'x' => 4,
        'U' => 10,
        _ => 2,
    })
}

/// Whether a literal block begins in the next line: the text of such a node begins with its first line.
fn is_block_header(line: &str) -> bool {
    line.trim_end().trim_end_matches(['-', '+']).ends_with('|')
}

/// The place of a character of a literal block which begins at `start`, in the first of these lines.
fn in_block(lines: &str, start: Place, mut wanted: usize) -> Option<Place> {
    let margin = start.column as usize - 1;
    if lines.len() - lines.trim_start_matches(' ').len() != margin {
        return None;
    }
    for (line, nr) in lines.lines().zip(start.line..) {
        let length = line.chars().count().saturating_sub(margin);
        if wanted <= length {
            return Some(Place { line: nr, column: u32::try_from(margin + wanted + 1).ok()? });
        }
        wanted -= length + 1;
    }
    None
}
