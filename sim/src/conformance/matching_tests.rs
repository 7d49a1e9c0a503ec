//! Tests of the matching rules.

use super::*;
use baton_workflow::json::parse;

fn node(text: &str) -> Node {
    parse(text).unwrap()
}

fn value(text: &str) -> Value {
    node(text).to_value()
}

fn compare(expected: &str, actual: &str) -> Compared {
    Matcher::default().value(&node(expected), &value(actual))
}

#[test]
fn equal_after_dropping_empty_members() {
    for (expected, actual) in [
        ("1", "1.0"),
        (r#"{"a": 1}"#, r#"{"a": 1, "b": null, "c": false, "d": [], "e": {}, "f": {"g": false}}"#),
        (r#"{"a": 1, "b": null, "c": false, "d": []}"#, r#"{"a": 1}"#),
        ("null", "{}"),
        (r#"[1, {"a": []}]"#, "[1, {}]"),
        (r#""2021-03-01T12:00:00Z""#, "1614600000000"),
    ] {
        assert_eq!(compare(expected, actual), Ok(()), "{expected} {actual}");
    }
    for (expected, actual, path) in [
        ("1", "2", ""),
        ("1", "\"1\"", ""),
        ("0", "null", ""),
        (r#""""#, "null", ""),
        ("[null]", "[false]", "[0]"),
        ("[false]", "[null]", "[0]"),
        ("[1]", "[1, 2]", ""),
        (r#"{"a": {"b": [1, 2]}}"#, r#"{"a": {"b": [1, 3]}}"#, "a.b[1]"),
        (r#"{"a": 1}"#, r#"{"a": 1, "b": 0}"#, "b"),
        (r#"{"a": 1}"#, "{}", "a"),
        (r#""2021-03-01T12:00:01Z""#, "1614600000000", ""),
        (r#""x""#, "1614600000000", ""),
    ] {
        assert_eq!(compare(expected, actual).unwrap_err().path, path, "{expected} {actual}");
    }
}

#[test]
fn matchers() {
    for (expected, actual) in [
        (r#"{"a": {"$any": true}}"#, "{}"),
        (r#"{"a": {"$any": true}}"#, r#"{"a": 7}"#),
        (r#"{"a": {"$some": true}}"#, r#"{"a": 7}"#),
        (r#"{"$time": "2021-03-01T12:00:00Z"}"#, "1614600000000"),
        (r#"{"$time": "2021-03-01T12:00:00Z"}"#, r#""2021-03-01T13:00:00+01:00""#),
        (r#"{"$match": "b+"}"#, r#""abbc""#),
        (r#"{"$has": {"a": 1, "b": {"$match": "^x"}}}"#, r#"{"a": 1, "b": "xy", "c": 3}"#),
        (r#"{"$number": "1.5e99"}"#, "15e98"),
    ] {
        assert_eq!(compare(expected, actual), Ok(()), "{expected} {actual}");
    }
    for (expected, actual, path) in [
        (r#"{"a": {"$some": true}}"#, "{}", "a"),
        (r#"{"$time": "2021-03-01T12:00:00Z"}"#, "1614600000001", ""),
        (r#"{"$match": "^b+"}"#, r#""abbc""#, ""),
        (r#"{"$match": "7"}"#, "7", ""),
        (r#"{"$has": {"a": 1}}"#, r#"{"a": 2}"#, "a"),
        (r#"{"$has": {"a": 1}}"#, "7", ""),
        (r#"{"$number": "1.5e99"}"#, "1.6e99", ""),
    ] {
        assert_eq!(compare(expected, actual).unwrap_err().path, path, "{expected} {actual}");
    }
}

#[test]
fn events_have_defaults() {
    let event = |expected: &str, actual: &str| {
        Matcher::default().event(&node(expected), &value(actual), Some(Timestamp::EPOCH)).map_err(|d| d.path)
    };
    let cancelled = r#"{"TYPE": "OrderCancellationMarked", "mode": {"TYPE": "FreshOrStarted"}}"#;
    assert_eq!(event(r#"{"TYPE": "OrderCancellationMarked"}"#, cancelled), Ok(()));
    assert_eq!(event(cancelled, r#"{"TYPE": "OrderCancellationMarked"}"#), Ok(()));
    assert_eq!(
        event(
            r#"{"TYPE": "OrderCancellationMarked"}"#,
            r#"{"TYPE": "OrderCancellationMarked", "mode": {"TYPE": "FreshOnly"}}"#
        ),
        Err("mode".into())
    );
    let added = r#"{"TYPE": "OrderAdded", "workflowId": {"path": "W"}, "planId": []}"#;
    assert_eq!(event(r#"{"TYPE": "OrderAdded"}"#, added), Ok(()));
    assert_eq!(event(r#"{"TYPE": "OrderAdded", "workflowId": {"path": "X"}}"#, added), Err("workflowId.path".into()));
    assert_eq!(event(r#"{"TYPE": "OrderMoved"}"#, r#"{"TYPE": "OrderMoved", "to": [1]}"#), Err("to".into()));
    assert_eq!(event(r#"{"TYPE": "OrderMoved", "...": true}"#, r#"{"TYPE": "OrderMoved", "to": [1]}"#), Ok(()));
    assert_eq!(event(r#"{"TYPE": "OrderMoved"}"#, r#"{"TYPE": "OrderStarted"}"#), Err(String::new()));
    assert_eq!(
        event(r#"{"TYPE": "OrderStarted", "$at": "1970-01-01T00:00:00Z"}"#, r#"{"TYPE": "OrderStarted"}"#),
        Ok(())
    );
    assert_eq!(
        event(r#"{"TYPE": "OrderStarted", "$at": "1970-01-01T00:00:01Z"}"#, r#"{"TYPE": "OrderStarted"}"#),
        Err("$at".into())
    );
}

#[test]
fn problems() {
    let actual = Problem::coded("UnknownKey", [("key", "7".into())], "Unknown thing: 7");
    let problem = |ignores_texts, expected: &str, actual: &Problem| {
        Matcher { ignores_texts }.problem(&node(expected), actual).map_err(|d| (d.path, d.is_wording))
    };
    for expected in [
        "true",
        "{}",
        r#"{"code": "UnknownKey"}"#,
        r#"{"arguments": {"key": 7}}"#,
        r#"{"message": "Unknown thing: 7"}"#,
    ] {
        assert_eq!(problem(false, expected, &actual), Ok(()), "{expected}");
    }
    assert_eq!(problem(false, r#"{"code": "X"}"#, &actual), Err(("code".into(), false)));
    assert_eq!(problem(false, r#"{"arguments": {"key": "8"}}"#, &actual), Err(("arguments.key".into(), false)));
    assert_eq!(problem(false, r#"{"message": "X"}"#, &actual), Err(("message".into(), true)));
    assert_eq!(problem(true, r#"{"message": "X"}"#, &actual), Ok(()));
    let all = Problem::combine([actual.clone(), Problem::new("Other")]).unwrap();
    assert_eq!(problem(false, r#"{"all": [{"message": "Other"}, {"code": "UnknownKey"}]}"#, &all), Ok(()));
    assert_eq!(problem(false, r#"{"all": [{"message": "Other"}]}"#, &all).unwrap_err().0, "all");
    assert_eq!(problem(false, r#"{"all": [{"message": "Other"}, {}, {}]}"#, &all).unwrap_err().0, "all");
}

#[test]
fn problems_within_events() {
    let expected = r#"{"TYPE": "OrderBroken", "problem": {"code": "X"}}"#;
    let actual = r#"{"TYPE": "OrderBroken", "problem": {"code": "X", "message": "It is broken"}}"#;
    assert_eq!(Matcher::default().event(&node(expected), &value(actual), None), Ok(()));
}

#[test]
fn complete_lists_of_events() {
    let events = |expected: &str| {
        let actual = value(r#"[{"TYPE": "A"}, {"TYPE": "B"}]"#);
        let Value::List(actual) = actual else { panic!() };
        Matcher::default().events(elements(&node(expected)), &actual).map_err(|d| d.path)
    };
    assert_eq!(events(r#"[{"TYPE": "A"}, {"TYPE": "B"}]"#), Ok(()));
    assert_eq!(events(r#"[{"TYPE": "A"}]"#), Err("[1]".into()));
    assert_eq!(events(r#"[{"TYPE": "A"}, {"TYPE": "B"}, {"TYPE": "C"}]"#), Err("[2]".into()));
}
