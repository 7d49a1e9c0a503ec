use super::*;
use crate::expression::pattern::Pattern;
use crate::json::{from_text, to_text};
use crate::model::watch::FileWatch;
use crate::problem::Problem;
use crate::time::{Duration, Timestamp};
use crate::value::Value;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::string::{String, ToString};

fn path() -> OrderWatchPath {
    OrderWatchPath::new("W")
}

fn name(text: &str) -> ExternalOrderName {
    ExternalOrderName::new(text)
}

fn key() -> ExternalOrderKey {
    ExternalOrderKey { order_watch_path: path(), name: name("F") }
}

fn order(text: &str) -> OrderId {
    OrderId::new(text)
}

fn appear(watches: &mut OrderWatches, version: &str) {
    let arguments = [("v".into(), Value::from(version))].into_iter().collect();
    let event = OrderWatchEvent::ExternalOrderAppeared { external_order_name: name("F"), arguments, order_id: None };
    watches.apply(&path(), &event);
}

fn vanish(watches: &mut OrderWatches) {
    watches.apply(&path(), &OrderWatchEvent::ExternalOrderVanished { external_order_name: name("F") });
}

fn reject(watches: &mut OrderWatches, code: &'static str) {
    let problem = Problem::coded(code, [], code);
    watches.apply(&path(), &OrderWatchEvent::ExternalOrderRejected { external_order_name: name("F"), problem });
}

fn next(watches: &OrderWatches) -> Option<String> {
    Some(match watches.next(&path(), &name("F"))? {
        FileStep::AddOrder { arguments, .. } => format!("add {}", arguments.get("v").and_then(Value::as_str)?),
        FileStep::TellVanished { order_id } => format!("tell {order_id}"),
    })
}

#[test]
fn makes_an_order_of_each_file() {
    let mut watches = OrderWatches::default();
    appear(&mut watches, "1");
    assert_eq!(next(&watches), Some("add 1".into()));
    watches.apply_order_added(&key(), &order("O"));
    assert_eq!(next(&watches), None);
    vanish(&mut watches);
    assert_eq!(next(&watches), Some("tell O".into()));
    watches.apply_order_deleted(&key(), &order("O"));
    assert_eq!(watches, OrderWatches::default());
}

#[test]
fn makes_another_order_when_the_first_is_gone() {
    let mut watches = OrderWatches::default();
    appear(&mut watches, "1");
    watches.apply_order_added(&key(), &order("O"));
    for version in ["2", "3"] {
        vanish(&mut watches);
        appear(&mut watches, version);
    }
    assert_eq!(next(&watches), Some("tell O".into()));
    let snapshot: Vec<String> = watches.snapshot().map(|file| to_text(&file)).collect();
    let state = r#"{"TYPE":"HasOrder","orderId":"O","queued":{"TYPE":"Appeared","arguments":{"v":"3"}}}"#;
    let text = format!(r#"{{"TYPE":"ExternalOrder","externalOrderName":"F","orderWatchPath":"W","state":{state}}}"#);
    assert_eq!(snapshot, [text]);
    watches.apply_order_deleted(&key(), &order("other"));
    watches.apply_order_deleted(&key(), &order("O"));
    assert_eq!(next(&watches), Some("add 3".into()));
    vanish(&mut watches);
    assert_eq!(watches, OrderWatches::default());
}

#[test]
fn takes_what_comes_twice_for_the_same() {
    let mut watches = OrderWatches::default();
    vanish(&mut watches);
    assert_eq!(watches, OrderWatches::default());
    appear(&mut watches, "1");
    appear(&mut watches, "2");
    assert_eq!(next(&watches), Some("add 2".into()));
    watches.apply_order_added(&key(), &order("O"));
    appear(&mut watches, "3");
    assert_eq!(next(&watches), None);
}

#[test]
fn keeps_a_rejected_file_until_it_vanishes() {
    let mut watches = OrderWatches::default();
    appear(&mut watches, "1");
    reject(&mut watches, "PlanIsClosed");
    assert_eq!(next(&watches), None);
    assert!(watches.get(&path(), &name("F")).is_some());
    assert_eq!(watches.decide_all_vanished(&path()).count(), 1);
    vanish(&mut watches);
    assert_eq!(watches, OrderWatches::default());
    appear(&mut watches, "2");
    reject(&mut watches, PATTERN_DOES_NOT_MATCH);
    assert_eq!(watches, OrderWatches::default());
}

fn watch(directory: &str, pattern: &str) -> Arc<FileWatch> {
    let text = format!(
        r#"{{"path": "W", "workflowPath": "WF", "agentPath": "A", "directoryExpr": "'{directory}'", "pattern": "{pattern}"}}"#
    );
    Arc::new(from_text(&text).unwrap())
}

fn shown(events: &[OrderWatchEvent]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            OrderWatchEvent::ExternalOrderAppeared { external_order_name, arguments, .. } => {
                format!("+{external_order_name} {}", arguments.get("file").and_then(Value::as_str).unwrap())
            }
            OrderWatchEvent::ExternalOrderVanished { external_order_name } => format!("-{external_order_name}"),
            OrderWatchEvent::ExternalOrderRejected { .. } => "rejected".into(),
        })
        .collect()
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text.into())
}

#[test]
fn reports_the_difference() {
    let mut files = FileWatchState::new(watch("/d", ".+"), [name("gone"), name("stays")]);
    let found = [name("stays"), name("new"), name("young"), name("x.tmp")];
    let events = files.decide_scan("/d", &pattern("[a-z]+"), &found, &mut |name| name.as_str() != "young").unwrap();
    assert_eq!(shown(&events), ["-gone", "+new /d/new"]);
    events.iter().for_each(|event| files.apply(event));
    assert_eq!(files.present().map(ToString::to_string).collect::<Vec<_>>(), ["new", "stays"]);
    let again = files.decide_found("/d/", &pattern("[a-z]+"), &name("new")).unwrap();
    assert_eq!((again, files.decide_gone(&name("gone"))), (None, None));
    let young = files.decide_found("/d/", &pattern("[a-z]+"), &name("young")).unwrap();
    assert_eq!(shown(&young.into_iter().collect::<Vec<_>>()), ["+young /d/young"]);
    assert_eq!(shown(&files.decide_gone(&name("new")).into_iter().collect::<Vec<_>>()), ["-new"]);
}

#[test]
fn lets_vanish_what_a_change_excludes() {
    let files = FileWatchState::new(watch("/d", ".+"), [name("A"), name("B-1")]);
    let change = |directory, text: &str| shown(&files.decide_change(&watch(directory, text), &pattern(text)).unwrap());
    assert_eq!(change("/d", "B-.+"), ["-A"]);
    assert_eq!(change("/d", ".*"), [""; 0]);
    assert_eq!(change("/e", ".+"), ["-A", "-B-1"]);
}

#[test]
fn waits_until_a_file_has_rested() {
    let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
    let delay = Duration::from_secs(3);
    let mut delays = FileDelays::default();
    for (file, time) in [("A", 0), ("B", 1), ("A", 2), ("C", 0)] {
        delays.touched(&name(file), at(time), delay);
    }
    delays.gone(&name("C"));
    assert_eq!((delays.next_due(), delays.take_due(at(3))), (Some(at(4)), None));
    assert_eq!((delays.take_due(at(9)), delays.take_due(at(9))), (Some(name("B")), Some(name("A"))));
    assert_eq!(delays, FileDelays::default());
}
