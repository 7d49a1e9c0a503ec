//! Takes vectors apart: members, values and times, with a fault that says what is missing.

use super::verdict::Fault;
use baton_workflow::json::{self, Doc, Json, Node, NodeKind, Place, Report, Severity};
use baton_workflow::problem::Problem;
use baton_workflow::time::{Duration, Timestamp};
use baton_workflow::value::Value;
use std::sync::Arc;

/// The members of an object; none if it is something else.
#[must_use]
pub fn members(node: &Node) -> &[(Arc<str>, Place, Node)] {
    match &node.kind {
        NodeKind::Object(members) => members,
        _ => &[],
    }
}

/// The elements of a list; none if it is something else.
#[must_use]
pub fn elements(node: &Node) -> &[Node] {
    match &node.kind {
        NodeKind::List(nodes) => nodes,
        _ => &[],
    }
}

/// A member, also if it is `null`.
#[must_use]
pub fn member<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    members(node).iter().find(|(n, _, _)| **n == *name).map(|(_, _, node)| node)
}

/// Whether this is `null`.
#[must_use]
pub fn is_null(node: &Node) -> bool {
    node.kind == NodeKind::Null
}

/// A member which must be there, maybe `null`.
///
/// # Errors
/// When it is absent.
pub fn need<'a>(node: &'a Node, name: &str) -> Result<&'a Node, Fault> {
    member(node, name).ok_or_else(|| Fault::malformed(format!("member '{name}' is missing")))
}

/// A text member.
///
/// # Errors
/// When it is absent or no text.
pub fn text<'a>(node: &'a Node, name: &str) -> Result<&'a str, Fault> {
    need(node, name)?.as_str().ok_or_else(|| Fault::malformed(format!("member '{name}' must be a string")))
}

/// A list member.
///
/// # Errors
/// When it is absent or no list.
pub fn list<'a>(node: &'a Node, name: &str) -> Result<&'a [Node], Fault> {
    match &need(node, name)?.kind {
        NodeKind::List(nodes) => Ok(nodes),
        _ => Err(Fault::malformed(format!("member '{name}' must be a list"))),
    }
}

/// Whether a member is `true`. An absent one is not.
///
/// # Errors
/// When it is something else than a boolean or `null`.
pub fn flag(node: &Node, name: &str) -> Result<bool, Fault> {
    match member(node, name).map(|n| &n.kind) {
        None | Some(NodeKind::Null) => Ok(false),
        Some(NodeKind::Boolean(b)) => Ok(*b),
        Some(_) => Err(Fault::malformed(format!("member '{name}' must be true or false"))),
    }
}

/// A member as a value of the model.
///
/// # Errors
/// When it is absent or the model does not read it.
pub fn read<T: Json>(node: &Node, name: &str) -> Result<T, Fault> {
    value_of(need(node, name)?).map_err(|fault| prefix(fault, name))
}

/// A member as a value of the model; `None` if it is absent or `null`.
///
/// # Errors
/// When the model does not read it.
pub fn read_optional<T: Json>(node: &Node, name: &str) -> Result<Option<T>, Fault> {
    node.get(name).map(value_of).transpose().map_err(|fault| prefix(fault, name))
}

fn prefix(fault: Fault, name: &str) -> Fault {
    match fault {
        Fault::Malformed(why) => Fault::Malformed(format!("{name}: {why}")),
        other => other,
    }
}

/// A value of the model.
///
/// # Errors
/// When the model does not read it.
pub fn value_of<T: Json>(node: &Node) -> Result<T, Fault> {
    json::from_node(node).map_err(|problem| Fault::Malformed(problem.message))
}

/// Reads a value of the model.
///
/// # Errors
/// All problems together, without their places.
pub fn decode<T: Json>(node: &Node) -> Result<T, Problem> {
    let report = Report::default();
    let value = T::read(&Doc::root(node, &report));
    let errors = report
        .findings()
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.problem);
    match (value, Problem::combine(errors)) {
        (Some(value), None) => Ok(value),
        (_, Some(problem)) => Err(problem),
        (None, None) => Err(Problem::new("not readable, without a reason")),
    }
}

/// What the reading of a valid document warns of.
#[must_use]
pub fn warnings<T: Json>(node: &Node) -> Vec<String> {
    let report = Report::default();
    let _ = T::read(&Doc::root(node, &report));
    report
        .findings()
        .into_iter()
        .filter(|finding| finding.severity == Severity::Warning)
        .map(|finding| finding.to_string())
        .collect()
}

/// A document of a value, as if it had been read.
///
/// # Errors
/// When it is nested too deep.
pub fn node_of(value: &Value) -> Result<Node, Fault> {
    json::parse(&json::print(value)).map_err(|problem| Fault::Malformed(problem.message))
}

/// A document, shown on one line.
#[must_use]
pub fn show(node: &Node) -> String {
    json::print(&node.to_value())
}

/// An integer.
///
/// # Errors
/// When it is none.
pub fn integer(node: &Node) -> Result<i64, Fault> {
    match &node.kind {
        NodeKind::Number(number) => number.to_i64(),
        _ => None,
    }
    .ok_or_else(|| Fault::malformed(format!("{} must be an integer", show(node))))
}

/// A point in time: milliseconds or ISO-8601.
///
/// # Errors
/// When it is none.
pub fn time(node: &Node, name: &str) -> Result<Timestamp, Fault> {
    read(node, name)
}

/// A duration in ISO form, like `PT1H30M` or `P1DT0.5S`: days, hours, minutes, seconds.
///
/// # Errors
/// When it is none.
pub fn iso_duration(text: &str) -> Result<Duration, Fault> {
    let invalid = || Fault::malformed(format!("'{text}' is no ISO duration such as PT1H30M"));
    let mut rest = text.strip_prefix('P').ok_or_else(invalid)?;
    let mut total = Duration::ZERO;
    let mut units: &[(char, i64)] = &[('D', 86_400)];
    if rest.is_empty() || rest.ends_with('T') {
        return Err(invalid());
    }
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            rest = time;
            units = &[('H', 3_600), ('M', 60), ('S', 1)];
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let (digits, tail) = rest.split_at(end);
        let unit = tail.chars().next().ok_or_else(invalid)?;
        let at = units.iter().position(|(name, _)| *name == unit).ok_or_else(invalid)?;
        let count = Duration::parse_seconds(digits).map_err(|_| invalid())?;
        total = total + Duration::from_nanos(count.as_nanos().checked_mul(units[at].1).ok_or_else(invalid)?);
        units = &units[at + 1..];
        rest = &tail[unit.len_utf8()..];
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_iso_durations() {
        for (text, millis) in
            [("PT10S", 10_000), ("PT0.5S", 500), ("PT1H30M", 5_400_000), ("P1DT1S", 86_401_000), ("P2D", 172_800_000)]
        {
            assert_eq!(iso_duration(text).unwrap().as_millis(), millis, "{text}");
        }
        for text in ["", "P", "PT", "10S", "PT1X", "PT1S1H", "P1H", "PTS"] {
            assert!(iso_duration(text).is_err(), "{text}");
        }
    }
}
