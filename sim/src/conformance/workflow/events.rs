//! Compares the events of a journal with the expected ones, completely or in part.

use super::world::Journaled;
use crate::conformance::input::{elements, member, members, show};
use crate::conformance::known_members;
use crate::conformance::matching::{Compared, Matcher};
use crate::conformance::verdict::{Difference, Fault, Verdict};
use baton_workflow::json::{Node, NodeKind, print};
use baton_workflow::model::event::Event;
use baton_workflow::time::Timestamp;
use baton_workflow::value::Value;

/// Events of the hand-over between controller and agents: an engine without agents has none.
const HAND_OVER: &[&str] = &[
    "OrderAttachable",
    "OrderAttached",
    "OrderDetachable",
    "OrderDetached",
    "OrderCancellationMarkedOnAgent",
    "OrderSuspensionMarkedOnAgent",
];

/// An event with all its members, as it is compared.
#[derive(Clone, Debug)]
pub(super) struct Happened {
    time: Timestamp,
    members: Value,
}

impl Happened {
    fn type_name(&self) -> &str {
        self.members.get("TYPE").and_then(Value::as_str).unwrap_or_default()
    }
}

/// The events of one order, without their key.
pub(super) fn of_order(journal: &[Journaled], order_id: &str) -> Vec<Happened> {
    journal
        .iter()
        .filter(|journaled| matches!(&journaled.event, Event::Order(id, _) if id.as_str() == order_id))
        .map(|journaled| Happened { time: journaled.time, members: journaled.event.body() })
        .collect()
}

/// The events of all keys, with their keys.
pub(super) fn of_all(journal: &[Journaled]) -> Vec<Happened> {
    journal.iter().map(|journaled| Happened { time: journaled.time, members: journaled.event.to_json() }).collect()
}

/// How events are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Events<'a> {
    pub(super) matcher: Matcher,
    /// Types which the vector ignores.
    pub(super) ignored: &'a [String],
    /// Whether the engine hands orders over.
    pub(super) has_agents: bool,
}

impl Events<'_> {
    /// Compares events with a complete list, or with an object that asserts less.
    pub(super) fn compare(&self, expected: &Node, actual: &[Happened]) -> Verdict {
        let actual: Vec<&Happened> = actual.iter().filter(|event| self.is_kept(event.type_name())).collect();
        if let NodeKind::List(expected) = &expected.kind {
            return Ok(self.complete(expected, &without(&actual, self.ignored))?);
        }
        known_members(expected, &["prefix", "suffix", "contains", "exact", "only", "ignore"])?;
        let mut asserts = false;
        for (name, _, part) in members(expected) {
            let events = elements(part);
            let compared = match &**name {
                "prefix" => self.prefix(events, &actual),
                "suffix" => self.suffix(events, &actual),
                "contains" => self.contains(events, &actual),
                "exact" => self.complete(events, &self.selected(expected, &actual)?),
                _ => continue,
            };
            asserts = true;
            compared.map_err(|difference| difference.within(name))?;
        }
        if asserts { Ok(()) } else { Err(Fault::malformed("expected events assert nothing")) }
    }

    fn is_kept(&self, type_name: &str) -> bool {
        self.has_agents || !HAND_OVER.contains(&type_name)
    }

    /// The actual events which `exact` is about.
    fn selected<'h>(&self, expected: &Node, actual: &[&'h Happened]) -> Result<Vec<&'h Happened>, Fault> {
        let names =
            |name| -> Result<Option<Vec<String>>, Fault> { crate::conformance::input::read_optional(expected, name) };
        let kept = match names("only")? {
            Some(only) => actual.iter().copied().filter(|event| only.iter().any(|o| o == event.type_name())).collect(),
            None => without(actual, self.ignored),
        };
        Ok(without(&kept, &names("ignore")?.unwrap_or_default()))
    }

    /// The expected events which the engine can have.
    fn expected<'n>(&self, events: &'n [Node]) -> Vec<&'n Node> {
        events.iter().filter(|event| self.is_kept(event_type(event))).collect()
    }

    fn event(&self, expected: &Node, actual: &Happened) -> Compared {
        self.matcher.event(expected, &actual.members, Some(actual.time))
    }

    fn complete(&self, expected: &[Node], actual: &[&Happened]) -> Compared {
        let count = self.expected(expected).len();
        self.prefix(expected, actual)?;
        match actual.get(count) {
            None => Ok(()),
            Some(extra) => {
                Err(Difference::new("the end of the events", print(&extra.members)).within(&format!("[{count}]")))
            }
        }
    }

    fn prefix(&self, expected: &[Node], actual: &[&Happened]) -> Compared {
        for (i, expected) in self.expected(expected).into_iter().enumerate() {
            self.at(i, expected, actual.get(i).copied())?;
        }
        Ok(())
    }

    fn suffix(&self, expected: &[Node], actual: &[&Happened]) -> Compared {
        let expected = self.expected(expected);
        let Some(start) = actual.len().checked_sub(expected.len()) else {
            return Err(Difference::new(format!("{} events", expected.len()), format!("{} events", actual.len())));
        };
        for (i, expected) in expected.into_iter().enumerate() {
            self.at(i, expected, actual.get(start + i).copied())?;
        }
        Ok(())
    }

    fn at(&self, i: usize, expected: &Node, actual: Option<&Happened>) -> Compared {
        let compared = match actual {
            Some(actual) => self.event(expected, actual),
            None => Err(Difference::new(show(expected), "the end of the events")),
        };
        compared.map_err(|difference| difference.within(&format!("[{i}]")))
    }

    /// In this order, others may be between them.
    fn contains(&self, expected: &[Node], actual: &[&Happened]) -> Compared {
        let mut rest = actual.iter();
        for (i, expected) in self.expected(expected).into_iter().enumerate() {
            let position = rest.as_slice();
            if !rest.any(|actual| self.event(expected, actual).is_ok()) {
                let same_type = position.iter().find(|actual| actual.type_name() == event_type(expected));
                let difference = same_type.and_then(|actual| self.event(expected, actual).err());
                let absent = || {
                    let types: Vec<&str> = position.iter().map(|actual| actual.type_name()).collect();
                    Difference::new(show(expected), format!("only {}", types.join(", ")))
                };
                return Err(difference.unwrap_or_else(absent).within(&format!("[{i}]")));
            }
        }
        Ok(())
    }
}

fn event_type(event: &Node) -> &str {
    member(event, "TYPE").and_then(Node::as_str).unwrap_or_default()
}

fn without<'h>(events: &[&'h Happened], ignored: &[String]) -> Vec<&'h Happened> {
    events.iter().copied().filter(|event| !ignored.iter().any(|i| i == event.type_name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_workflow::id::OrderId;
    use baton_workflow::json::{from_text, parse};

    /// A hand-made journal: the events of order A, one each second; and one of order B.
    fn journal() -> Vec<Journaled> {
        let events = [
            ("A", r#"{"TYPE": "OrderAdded", "workflowId": {"path": "W", "versionId": "1"}}"#),
            ("A", r#"{"TYPE": "OrderAttachable", "agentPath": "AGENT"}"#),
            ("B", r#"{"TYPE": "OrderStarted"}"#),
            ("A", r#"{"TYPE": "OrderStarted"}"#),
            ("A", r#"{"TYPE": "OrderMoved", "to": [1]}"#),
            ("A", r#"{"TYPE": "OrderMoved", "to": [2]}"#),
            ("A", r#"{"TYPE": "OrderFinished"}"#),
        ];
        (0..)
            .zip(events)
            .map(|(i, (id, event))| Journaled {
                time: Timestamp::from_millis(i * 1000),
                event: Event::Order(OrderId::new(id), from_text(event).unwrap()),
            })
            .collect()
    }

    fn compare_with(events: Events<'_>, expected: &str) -> Result<(), String> {
        events.compare(&parse(expected).unwrap(), &of_order(&journal(), "A")).map_err(|fault| match fault {
            Fault::Differs(difference) => difference.path,
            other => format!("{other:?}"),
        })
    }

    fn compare(expected: &str) -> Result<(), String> {
        compare_with(Events { matcher: Matcher::default(), ignored: &[], has_agents: true }, expected)
    }

    const ADDED: &str = r#"{"TYPE": "OrderAdded"}"#;
    const ATTACHABLE: &str = r#"{"TYPE": "OrderAttachable", "agentPath": "AGENT"}"#;
    const STARTED: &str = r#"{"TYPE": "OrderStarted", "$at": "1970-01-01T00:00:03Z"}"#;
    const MOVED_1: &str = r#"{"TYPE": "OrderMoved", "to": [1]}"#;
    const MOVED_2: &str = r#"{"TYPE": "OrderMoved", "to": [2]}"#;
    const FINISHED: &str = r#"{"TYPE": "OrderFinished"}"#;

    #[test]
    fn complete_lists() {
        let all = [ADDED, ATTACHABLE, STARTED, MOVED_1, MOVED_2, FINISHED];
        assert_eq!(compare(&format!("[{}]", all.join(","))), Ok(()));
        assert_eq!(compare(&format!("[{}]", all[..5].join(","))), Err("[5]".into()));
        assert_eq!(compare(&format!("[{}]", [ADDED, STARTED].join(","))), Err("[1]".into()));
        assert_eq!(compare(&format!("[{}, {FINISHED}]", all.join(","))), Err("[6]".into()));
        let late = STARTED.replace(":03Z", ":04Z");
        assert_eq!(compare(&format!("[{ADDED}, {ATTACHABLE}, {late}]")), Err("[2].$at".into()));
    }

    #[test]
    fn ignored_types_and_missing_agents() {
        let ignored = [String::from("OrderMoved")];
        let events = Events { matcher: Matcher::default(), ignored: &ignored, has_agents: false };
        assert_eq!(compare_with(events, &format!("[{ADDED}, {STARTED}, {FINISHED}]")), Ok(()));
        assert_eq!(compare_with(events, &format!("[{ADDED}, {ATTACHABLE}, {STARTED}, {FINISHED}]")), Ok(()));
        assert_eq!(compare_with(events, &format!(r#"{{"exact": [{ADDED}, {STARTED}, {FINISHED}]}}"#)), Ok(()));
    }

    #[test]
    fn partial_lists() {
        for expected in [
            format!(r#"{{"prefix": [{ADDED}, {ATTACHABLE}]}}"#),
            format!(r#"{{"suffix": [{MOVED_2}, {FINISHED}], "prefix": [{ADDED}]}}"#),
            format!(r#"{{"contains": [{ADDED}, {MOVED_2}]}}"#),
            format!(r#"{{"exact": [{MOVED_1}, {MOVED_2}], "only": ["OrderMoved"]}}"#),
            format!(
                r#"{{"exact": [{ADDED}, {FINISHED}], "ignore": ["OrderAttachable", "OrderStarted", "OrderMoved"]}}"#
            ),
        ] {
            assert_eq!(compare(&expected), Ok(()), "{expected}");
        }
        for (expected, path) in [
            (format!(r#"{{"prefix": [{ADDED}, {STARTED}]}}"#), "prefix[1]"),
            (format!(r#"{{"suffix": [{MOVED_1}, {FINISHED}]}}"#), "suffix[0].to[0]"),
            (format!(r#"{{"contains": [{MOVED_2}, {MOVED_1}]}}"#), "contains[1]"),
            (
                format!(r#"{{"contains": [{MOVED_2}, {{"TYPE": "OrderFinished", "outcome": {{"TYPE": "Caught"}}}}]}}"#),
                "contains[1].outcome",
            ),
            (format!(r#"{{"exact": [{MOVED_1}], "only": ["OrderMoved"]}}"#), "exact[1]"),
        ] {
            assert_eq!(compare(&expected), Err(path.into()), "{expected}");
        }
        assert!(compare("{}").unwrap_err().contains("assert nothing"));
        assert!(compare(r#"{"prefix": [], "more": 1}"#).unwrap_err().contains("unknown member"));
    }

    #[test]
    fn journals_have_keys() {
        let events = Events { matcher: Matcher::default(), ignored: &[], has_agents: true };
        let expected = r#"{"only": ["OrderStarted"], "exact": [
            {"Key": "B", "TYPE": "OrderStarted"}, {"Key": "A", "TYPE": "OrderStarted"}]}"#;
        assert_eq!(events.compare(&parse(expected).unwrap(), &of_all(&journal())), Ok(()));
        let without_key = r#"{"contains": [{"TYPE": "OrderStarted"}]}"#;
        assert!(events.compare(&parse(without_key).unwrap(), &of_all(&journal())).is_err());
    }
}
