//! The kind `wire`: valid JSON forms are read, and written as they were, or mean the same as another form.

use super::decoding::{Decode, decoder};
use super::input::{self, elements, flag, member, members, need, node_of, text};
use super::matching::{Matcher, is_empty};
use super::verdict::{Cases, Difference, Fault, Verdict};
use super::{Kind, Vector};
use baton_workflow::json::{Node, NodeKind, print};
use baton_workflow::value::Value;

pub(super) const KINDS: &[Kind] = &[Kind {
    name: "wire",
    members: &["of", "cases"],
    case: &["json", "of", "roundTrip", "same"],
    check: |vector: &Vector<'_>, cases: &Cases| {
        vector.each_case(cases, |case| {
            let of = text(if member(case, "of").is_some() { case } else { vector.node }, "of")?;
            let decode = decoder(of).ok_or_else(|| Fault::malformed(format!("unknown type '{of}'")))?;
            wire(vector.matcher(), decode, case)
        })
    },
}];

fn wire(matcher: Matcher, decode: Decode, case: &Node) -> Verdict {
    let read = |node: &Node, what: &str| {
        decode(node).map_err(|problem| Fault::from(Difference::new(input::show(node), problem.message).within(what)))
    };
    let json = need(case, "json")?;
    let decoded = read(json, "json")?;
    if flag(case, "roundTrip")? {
        if let Some(warning) = decoded.warnings.first() {
            return Err(Difference::new("all members are known", warning).into());
        }
        round_trip(matcher, decode, json, &decoded.written)?;
    }
    if let Some(same) = member(case, "same") {
        let same = read(same, "same")?;
        if same.written != decoded.written {
            return Err(Difference::new(print(&same.written), print(&decoded.written)).within("same").into());
        }
    }
    Ok(())
}

/// One step into a document.
#[derive(Clone)]
enum Step {
    Member(String),
    Element(usize),
}

/// What is written is what was read, but members with default values may be omitted or written.
fn round_trip(matcher: Matcher, decode: Decode, json: &Node, written: &Value) -> Verdict {
    let mut omitted = Vec::new();
    compare(matcher, json, written, &mut Vec::new(), &mut omitted)?;
    for path in omitted {
        let is_default = decode(&without(json, &path)).is_ok_and(|decoded| decoded.written == *written);
        if !is_default {
            let at =
                path.iter().rev().fold(
                    Difference::new(input::show(json), print(written)),
                    |difference, step| match step {
                        Step::Member(name) => difference.within(name),
                        Step::Element(i) => difference.within(&format!("[{i}]")),
                    },
                );
            return Err(at.into());
        }
    }
    match decode(&node_of(written)?) {
        Ok(again) if again.written == *written => Ok(()),
        Ok(again) => Err(Difference::new(print(written), print(&again.written)).within("read again").into()),
        Err(problem) => Err(Difference::new(print(written), problem.message).within("read again").into()),
    }
}

/// Compares what both have, and collects which members have not been written.
fn compare(
    matcher: Matcher,
    json: &Node,
    written: &Value,
    path: &mut Vec<Step>,
    omitted: &mut Vec<Vec<Step>>,
) -> Result<(), Difference> {
    match (&json.kind, written) {
        (NodeKind::Object(_), Value::Object(fields)) => {
            for (name, _, member) in members(json) {
                path.push(Step::Member(name.to_string()));
                match fields.get(name) {
                    Some(value) if !is_empty(value) => {
                        compare(matcher, member, value, path, omitted).map_err(|d| d.within(name))?;
                    }
                    _ if is_empty(&member.to_value()) => {}
                    _ => omitted.push(path.clone()),
                }
                path.pop();
            }
            Ok(())
        }
        (NodeKind::List(nodes), Value::List(values)) if nodes.len() == values.len() => {
            for (i, (node, value)) in nodes.iter().zip(values.iter()).enumerate() {
                path.push(Step::Element(i));
                compare(matcher, node, value, path, omitted).map_err(|d| d.within(&format!("[{i}]")))?;
                path.pop();
            }
            Ok(())
        }
        _ => matcher.value(json, written),
    }
}

/// The document without what is at this path.
fn without(node: &Node, path: &[Step]) -> Node {
    let kind = match path {
        [] => NodeKind::Null,
        [Step::Member(name), rest @ ..] => NodeKind::Object(
            members(node)
                .iter()
                .filter(|(n, _, _)| !(rest.is_empty() && **n == **name))
                .map(|(n, place, node)| {
                    let node = if **n == **name { without(node, rest) } else { node.clone() };
                    (n.clone(), *place, node)
                })
                .collect(),
        ),
        [Step::Element(at), rest @ ..] => NodeKind::List(
            elements(node)
                .iter()
                .enumerate()
                .map(|(i, node)| if i == *at { without(node, rest) } else { node.clone() })
                .collect(),
        ),
    };
    Node { kind, place: node.place }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_workflow::json::parse;

    fn check(of: &str, case: &str) -> Verdict {
        wire(Matcher::default(), decoder(of).unwrap(), &parse(case).unwrap())
    }

    #[test]
    fn defaults_may_be_omitted_or_written() {
        for (of, case) in [
            ("Lock", r#"{"json": {"TYPE": "Lock", "path": "A", "limit": 1}, "roundTrip": true}"#),
            ("Lock", r#"{"json": {"TYPE": "Lock", "path": "A"}, "roundTrip": true}"#),
            ("Lock", r#"{"json": {"path": "A", "itemRevision": null}, "roundTrip": true}"#),
            ("Order.State", r#"{"json": {"TYPE": "Sleeping", "until": 1}, "roundTrip": true}"#),
            ("PlanEvent", r#"{"json": {"TYPE": "PlanOpened", "Key": ["A", "B"]}, "roundTrip": true}"#),
            ("Lock", r#"{"json": {"path": "A"}, "same": {"path": "A", "limit": 1}}"#),
        ] {
            assert_eq!(check(of, case), Ok(()), "{of} {case}");
        }
    }

    #[test]
    fn other_differences_are_none() {
        for (of, case) in [
            ("Lock", r#"{"json": {"TYPE": "Lock", "path": "A", "unknown": 1}, "roundTrip": true}"#),
            ("Lock", r#"{"json": {"path": "A"}, "same": {"path": "A", "limit": 2}}"#),
            ("Lock", r#"{"json": {"path": "A", "limit": "x"}}"#),
            ("OrderMark", r#"{"json": {"TYPE": "Nothing"}}"#),
        ] {
            assert!(matches!(check(of, case), Err(Fault::Differs(_))), "{of} {case}");
        }
    }
}
