//! When an expected value, event or problem matches an actual one.
//!
//! Equality after dropping empty members (`null`, `false`, `[]`, `{}` count as absent), with matchers: objects whose only
//! member is `$any`, `$some`, `$time`, `$match`, `$has` or `$number`.

use super::input::{elements, member, members, show};
use super::verdict::Difference;
use baton_workflow::decimal::Decimal;
use baton_workflow::expression::Expression;
use baton_workflow::json::{Json as _, Node, NodeKind, print};
use baton_workflow::problem::Problem;
use baton_workflow::time::Timestamp;
use baton_workflow::value::Value;

/// The result of a comparison.
pub type Compared = Result<(), Difference>;

/// Compares.
#[derive(Clone, Copy, Debug, Default)]
pub struct Matcher {
    /// Whether of problems only codes and arguments are compared, not their texts. A problem without a code then matches any.
    pub ignores_texts: bool,
}

/// Members which are compared only when they are listed: event type and member.
const NEVER_COMPARED: &[(&str, &str)] =
    &[("OrderAdded", "workflowId"), ("OrderOrderAdded", "workflowId"), ("OrderOrderAdded", "speedRecord")];

/// Members with a default value which is not empty: event type, member, and the default value's TYPE.
const DEFAULTS: &[(&str, &str, &str)] =
    &[("OrderCancellationMarked", "mode", "FreshOrStarted"), ("OrderSleeping", "cause", "SleepInstruction")];

/// Whether a value counts as absent.
#[must_use]
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Missing | Value::Boolean(false) => true,
        Value::Boolean(true) | Value::Number(_) | Value::String(_) => false,
        Value::List(values) => values.is_empty(),
        Value::Object(fields) => fields.iter().all(|(_, value)| is_empty(value)),
    }
}

fn is_empty_node(node: &Node) -> bool {
    matcher(node).is_none() && is_empty(&node.to_value())
}

/// Whether an expected value is a matcher.
#[must_use]
pub fn is_matcher(node: &Node) -> bool {
    matcher(node).is_some()
}

/// A value, or that it is absent, for a person.
/// Whether the actual text is an expression in our form, and the expected one the same, as somebody wrote it.
fn is_normal_form(expected: &str, actual: &str) -> bool {
    Expression::parse(expected).is_ok_and(|expression| expression.to_string() == actual)
}

fn show_value(value: Option<&Value>) -> String {
    value.map_or_else(|| String::from("(absent)"), print)
}

/// Name and argument of a matcher.
fn matcher(node: &Node) -> Option<(&str, &Node)> {
    match members(node) {
        [(name, _, argument)] if ["$any", "$some", "$time", "$match", "$has", "$number"].contains(&&**name) => {
            Some((name, argument))
        }
        _ => None,
    }
}

fn at(step: &str) -> impl FnOnce(Difference) -> Difference + '_ {
    move |difference| difference.within(step)
}

/// A time written in any way.
fn time_of(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => number.to_i64().map(Timestamp::from_millis),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

impl Matcher {
    /// Compares a value.
    ///
    /// # Errors
    /// The first difference.
    pub fn value(&self, expected: &Node, actual: &Value) -> Compared {
        self.maybe(expected, Some(actual))
    }

    /// Compares a value which may be absent.
    ///
    /// # Errors
    /// The first difference.
    pub fn maybe(&self, expected: &Node, actual: Option<&Value>) -> Compared {
        let differs = || Difference::new(show(expected), show_value(actual));
        if let Some((name, argument)) = matcher(expected) {
            return self.matcher(name, argument, actual).map_err(|d| d.unwrap_or_else(differs));
        }
        let Some(actual) = actual.filter(|a| **a != Value::Missing) else {
            return if is_empty_node(expected) { Ok(()) } else { Err(differs()) };
        };
        match (&expected.kind, actual) {
            (NodeKind::Null, actual) if is_empty(actual) => Ok(()),
            (NodeKind::Boolean(a), Value::Boolean(b)) if a == b => Ok(()),
            (NodeKind::Number(a), Value::Number(b)) if a == b => Ok(()),
            (NodeKind::String(a), Value::String(b)) if a == b || is_normal_form(a, b) => Ok(()),
            (NodeKind::String(text), Value::Number(_)) if text.parse().ok() == time_of(actual) => {
                if time_of(actual).is_some() { Ok(()) } else { Err(differs()) }
            }
            (NodeKind::List(expected), Value::List(actual)) => self.list(expected, actual),
            (NodeKind::Object(_), Value::Object(actual)) => {
                let extra = actual.iter().find(|(name, value)| member(expected, name).is_none() && !is_empty(value));
                self.has(expected, Some(&Value::Object(actual.clone())))?;
                match extra {
                    None => Ok(()),
                    Some((name, value)) => Err(Difference::new("(absent)", print(value)).within(name)),
                }
            }
            _ => Err(differs()),
        }
    }

    /// `Err(None)`: the value as a whole does not match.
    fn matcher(&self, name: &str, argument: &Node, actual: Option<&Value>) -> Result<(), Option<Difference>> {
        let holds = match (name, argument.as_str()) {
            ("$any", _) => true,
            ("$some", _) => actual.is_some_and(|actual| *actual != Value::Missing),
            ("$has", _) => return self.has(argument, actual).map_err(Some),
            ("$time", Some(text)) => match text.parse::<Timestamp>() {
                Ok(time) => actual.and_then(time_of) == Some(time),
                Err(error) => return Err(Some(Difference::new("a $time", error.to_string()))),
            },
            ("$number", Some(text)) => match text.parse::<Decimal>() {
                Ok(number) => actual == Some(&Value::Number(number)),
                Err(_) => return Err(Some(Difference::new("a $number", text))),
            },
            ("$match", Some(pattern)) => match fancy_regex::Regex::new(pattern) {
                Ok(regex) => actual.and_then(Value::as_str).is_some_and(|text| regex.is_match(text).unwrap_or(false)),
                Err(error) => return Err(Some(Difference::new("a regular expression", error.to_string()))),
            },
            _ => false,
        };
        if holds { Ok(()) } else { Err(None) }
    }

    fn list(&self, expected: &[Node], actual: &[Value]) -> Compared {
        for (i, (expected, actual)) in expected.iter().zip(actual).enumerate() {
            self.element(expected, actual).map_err(at(&format!("[{i}]")))?;
        }
        if expected.len() == actual.len() {
            return Ok(());
        }
        Err(Difference::new(
            format!("{} elements", expected.len()),
            format!("{} elements: {}", actual.len(), print(&Value::list(actual.iter().cloned()))),
        ))
    }

    /// Compares a value which is never absent, like the element of a list: `null` and `false` differ.
    ///
    /// # Errors
    /// The first difference.
    pub fn element(&self, expected: &Node, actual: &Value) -> Compared {
        match (&expected.kind, actual) {
            (NodeKind::Null, Value::Missing) => Ok(()),
            (NodeKind::Null, _) | (_, Value::Missing) if matcher(expected).is_none() => {
                Err(Difference::new(show(expected), print(actual)))
            }
            _ => self.value(expected, actual),
        }
    }

    /// Compares the members which are listed.
    ///
    /// # Errors
    /// The first difference.
    pub fn has(&self, expected: &Node, actual: Option<&Value>) -> Compared {
        if !matches!(actual, Some(Value::Object(_))) && !is_empty_node(expected) {
            return Err(Difference::new(show(expected), show_value(actual)));
        }
        for (name, _, expected) in members(expected) {
            let actual = actual.and_then(|a| a.get(name));
            self.member(name, expected, actual).map_err(at(name))?;
        }
        Ok(())
    }

    fn member(&self, name: &str, expected: &Node, actual: Option<&Value>) -> Compared {
        match actual {
            Some(Value::Object(_)) if name == "problem" && is_problem(expected) => {
                self.problem_value(expected, actual.unwrap_or(&Value::Missing))
            }
            _ => self.maybe(expected, actual),
        }
    }

    /// Compares a list, in any order.
    ///
    /// # Errors
    /// An expected element which is not there, or one which is not expected.
    pub fn set(&self, expected: &Node, actual: &[Value]) -> Compared {
        self.set_by(elements(expected), actual, |expected, actual| self.value(expected, actual))
    }

    /// Compares lists in any order by another comparison. Each expected element takes the first one which matches.
    ///
    /// # Errors
    /// An expected element which is not there, or one which is not expected.
    pub fn set_by(&self, expected: &[Node], actual: &[Value], matches: impl Fn(&Node, &Value) -> Compared) -> Compared {
        let mut rest: Vec<&Value> = actual.iter().collect();
        for expected in expected {
            match rest.iter().position(|actual| matches(expected, actual).is_ok()) {
                Some(found) => drop(rest.remove(found)),
                None => {
                    let found: Vec<String> = rest.iter().map(|value| print(value)).collect();
                    return Err(Difference::new(show(expected), format!("only {}", found.join(", "))));
                }
            }
        }
        match rest.first() {
            None => Ok(()),
            Some(extra) => Err(Difference::new("nothing more", print(extra))),
        }
    }

    /// Compares a problem: `true` or `{}` is any, `{"all": […]}` a combination.
    ///
    /// # Errors
    /// The first difference.
    pub fn problem(&self, expected: &Node, actual: &Problem) -> Compared {
        let Some(all) = member(expected, "all") else {
            return self.problem_value(expected, &actual.write());
        };
        let parts = if actual.parts.is_empty() { std::slice::from_ref(actual) } else { &actual.parts };
        let parts: Vec<Value> = parts.iter().map(Problem::write).collect();
        self.set_by(elements(all), &parts, |expected, actual| self.problem_value(expected, actual)).map_err(at("all"))
    }

    fn problem_value(&self, expected: &Node, actual: &Value) -> Compared {
        let compares_text = !self.ignores_texts;
        if let Some(code) = expected.get("code") {
            self.maybe(code, actual.get("code")).map_err(at("code"))?;
        }
        for (name, _, expected) in member(expected, "arguments").map_or(&[][..], members) {
            let actual = actual.get("arguments").and_then(|arguments| arguments.get(name));
            let same_text = matches!((&expected.kind, actual), (NodeKind::Number(_) | NodeKind::Boolean(_), Some(Value::String(text)))
                if **text == *show(expected));
            if !same_text {
                self.maybe(expected, actual).map_err(at(name)).map_err(at("arguments"))?;
            }
        }
        match member(expected, "message") {
            Some(message) if compares_text => self
                .maybe(message, actual.get("message"))
                .map_err(at("message"))
                .map_err(|difference| Difference { is_wording: true, ..difference }),
            _ => Ok(()),
        }
    }

    /// Compares an event with the time at which it happened, if that is known. `actual` has all members of the event, also
    /// `TYPE` and, in a journal, `Key`.
    ///
    /// # Errors
    /// The first difference.
    pub fn event(&self, expected: &Node, actual: &Value, time: Option<Timestamp>) -> Compared {
        let type_name = expected.get("TYPE").and_then(Node::as_str).unwrap_or_default();
        let actual_type = actual.get("TYPE").and_then(Value::as_str).unwrap_or_default();
        if type_name != actual_type {
            return Err(Difference::new(show(expected), print(actual)));
        }
        for (name, _, expected) in members(expected) {
            match &**name {
                "..." => {}
                "$at" => {
                    let found = time.map_or(Value::Missing, |time| time.write());
                    if time_of(&expected.to_value()) != time || time.is_none() {
                        return Err(Difference::new(show(expected), print(&found)).within("$at"));
                    }
                }
                name => {
                    let default = default_of(type_name, name);
                    let actual = actual.get(name).or(default.as_ref());
                    self.member(name, expected, actual).map_err(at(name))?;
                }
            }
        }
        if member(expected, "...").is_some() {
            return Ok(());
        }
        let Value::Object(fields) = actual else { return Ok(()) };
        for (name, value) in fields.iter() {
            let is_listed = member(expected, name).is_some();
            let is_default = is_empty(value) || default_of(type_name, name).as_ref() == Some(value);
            if !is_listed && !is_default && !NEVER_COMPARED.contains(&(type_name, name)) {
                return Err(Difference::new("(absent)", print(value)).within(name));
            }
        }
        Ok(())
    }

    /// Compares complete lists of events.
    ///
    /// # Errors
    /// The first difference.
    pub fn events(&self, expected: &[Node], actual: &[Value]) -> Compared {
        for (i, expected) in expected.iter().enumerate() {
            let step = format!("[{i}]");
            match actual.get(i) {
                Some(actual) => self.event(expected, actual, None).map_err(at(&step))?,
                None => return Err(Difference::new(show(expected), "the end of the events").within(&step)),
            }
        }
        match actual.get(expected.len()) {
            None => Ok(()),
            Some(extra) => {
                Err(Difference::new("the end of the events", print(extra)).within(&format!("[{}]", expected.len())))
            }
        }
    }
}

fn default_of(type_name: &str, name: &str) -> Option<Value> {
    let (_, _, default) = DEFAULTS.iter().find(|(t, n, _)| *t == type_name && *n == name)?;
    Some(Value::object([("TYPE", Value::from(*default))]))
}

/// Whether this is an expected problem: an object of nothing else than what problems have.
fn is_problem(expected: &Node) -> bool {
    matches!(expected.kind, NodeKind::Object(_))
        && members(expected).iter().all(|(name, _, _)| ["code", "arguments", "message", "all"].contains(&&**name))
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
