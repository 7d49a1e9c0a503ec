use super::*;
use crate::id::AgentPath;
use crate::json::{from_text, print};
use crate::model::order::StickySubagent;
use std::string::ToString;

const AGENT: &str = "AGENT";

fn id(text: &str) -> SubagentId {
    SubagentId::new(text)
}

fn item(name: &str, disabled: bool) -> Arc<SubagentItem> {
    let text = format!(r#"{{"id": "{name}", "agentPath": "{AGENT}", "uri": "http://{name}", "disabled": {disabled}}}"#);
    Arc::new(from_text(&text).unwrap())
}

/// Coupled subagents; the first is the director's own.
fn subagents(names: &[&str]) -> Subagents {
    let mut subagents = Subagents::default();
    for name in names {
        subagents.put(&item(name, false));
        subagents.apply(&id(name), &SubagentEvent::SubagentDedicated { subagent_run_id: "1".into() });
    }
    subagents
}

fn put_bundle(subagents: &mut Subagents, name: &str, priorities: &str) {
    let text = format!(r#"{{"id": "{name}", "subagentToPriority": {priorities}}}"#);
    subagents.put_bundle(&Arc::new(from_text(&text).unwrap()));
}

/// Starts a process and tells where.
fn start(subagents: &mut Subagents, order: &str, name: Option<&str>) -> Option<String> {
    let (target, _) = subagents.target(&AgentPath::new(AGENT), &id("0"), name, None).unwrap();
    let SubagentSelection::Selected { subagent_id, subagent_bundle_id } = subagents.select(&target, &|_| None) else {
        return None;
    };
    subagents.apply_started(&OrderId::new(order), &subagent_id, subagent_bundle_id.as_ref());
    subagents.check().unwrap();
    Some(subagent_id.to_string())
}

fn start_all(subagents: &mut Subagents, count: usize, name: Option<&str>) -> Vec<String> {
    (0..count).map_while(|i| start(subagents, &format!("{name:?}-{i}"), name)).collect()
}

#[test]
fn serves_in_turn() {
    let mut subagents = subagents(&["Z", "A", "B"]);
    assert_eq!(start_all(&mut subagents, 4, None), ["Z", "A", "B", "Z"]);
    subagents.put(&item("Z", true));
    assert_eq!(start_all(&mut subagents, 3, None), ["A", "B", "A"]);
    subagents.put(&item("A", true));
    assert_eq!(start_all(&mut subagents, 2, None), ["B", "B"]);
    subagents.put(&item("B", true));
    assert_eq!(start(&mut subagents, "O", None), None);
    subagents.put(&item("A", false));
    assert_eq!(start(&mut subagents, "O", None), Some("A".into()));
}

#[test]
fn prefers_the_highest_priority() {
    let mut subagents = subagents(&["0", "A", "B"]);
    put_bundle(&mut subagents, "FIXED", r#"{"A": 1, "B": 2}"#);
    assert_eq!(start_all(&mut subagents, 2, Some("FIXED")), ["B", "B"]);
    subagents.apply(&id("B"), &SubagentEvent::SubagentCouplingFailed { problem: Problem::new("silent") });
    assert_eq!(start(&mut subagents, "O", Some("FIXED")), Some("A".into()));
    subagents.apply(&id("B"), &SubagentEvent::SubagentCoupled);
    assert_eq!(start(&mut subagents, "P", Some("FIXED")), Some("B".into()));
    put_bundle(&mut subagents, "EQUAL", r#"{"A": 1, "B": 1, "0": 0}"#);
    assert_eq!(start_all(&mut subagents, 3, Some("EQUAL")), ["A", "B", "A"]);
}

#[test]
fn calculates_priorities_from_processes() {
    let mut subagents = subagents(&["0", "B", "C"]);
    put_bundle(&mut subagents, "OTHER", r#"{"0": 1}"#);
    let priorities = r#"{
        "0": "if $js7ClusterSubagentProcessCount < 1 then 1 else missing",
        "B": "if $js7ClusterProcessCount < 3 then 2 else missing",
        "C": 0
    }"#;
    put_bundle(&mut subagents, "BUNDLE", priorities);
    start(&mut subagents, "OTHER", Some("OTHER"));
    assert_eq!(start_all(&mut subagents, 6, Some("BUNDLE")), ["B", "B", "0", "C", "C", "C"]);
    subagents.apply_processed(&OrderId::new("OTHER"), &id("0"));
    assert_eq!(subagents.get(&id("0")).unwrap().process_count(), 1);
    subagents.delete(&id("C"));
    assert_eq!(start(&mut subagents, "LAST", Some("BUNDLE")), None);
    subagents.check().unwrap();
}

#[test]
fn waits_while_all_priorities_are_missing() {
    let mut subagents = subagents(&["0", "A"]);
    put_bundle(&mut subagents, "ONE", r#"{"A": "if $js7SubagentProcessCount == 0 then 1 else missing"}"#);
    assert_eq!(start_all(&mut subagents, 9, Some("ONE")), ["A"]);
    let bundle = SubagentTarget::Bundle(SubagentBundleId::new("ONE"));
    assert_eq!(subagents.select(&bundle, &|_| None), SubagentSelection::Wait(SubagentWait::NoneWithPriority));
    subagents.put(&item("A", true));
    assert_eq!(subagents.select(&bundle, &|_| None), SubagentSelection::Wait(SubagentWait::NoneAvailable));
}

#[test]
fn does_not_take_a_subagent_without_metering() {
    let mut subagents = subagents(&["0", "A"]);
    put_bundle(&mut subagents, "LOAD", r#"{"0": "1 - $js7CpuLoad", "A": "1 - $js7CpuLoad"}"#);
    let bundle = SubagentTarget::Bundle(SubagentBundleId::new("LOAD"));
    let metering = |subagent: &SubagentId| {
        (subagent.as_str() == "A").then(|| Metering { cpu_load: "0.5".parse().ok(), ..Metering::default() })
    };
    let selected = subagents.select(&bundle, &metering);
    assert!(matches!(selected, SubagentSelection::Selected { subagent_id, .. } if subagent_id == id("A")));
    assert!(matches!(subagents.select(&bundle, &|_| None), SubagentSelection::Wait(_)));
}

#[test]
fn runs_where_it_was_told_to() {
    let mut subagents = subagents(&["0", "A"]);
    subagents.put(&item("A", true));
    assert_eq!(start(&mut subagents, "O", Some("A")), Some("A".into()));
    assert_eq!(start(&mut subagents, "P", Some("")), Some("0".into()));
    let unknown = subagents.target(&AgentPath::new(AGENT), &id("0"), Some("X"), None).unwrap_err();
    assert_eq!((&*unknown.code, &*unknown.arguments[1].1), ("UnknownKey", "Subagent:X"));
    subagents.apply(&id("A"), &SubagentEvent::SubagentRestarted);
    assert_eq!(start(&mut subagents, "Q", Some("A")), None);
}

#[test]
fn sticks_in_the_block() {
    let mut subagents = subagents(&["0", "A"]);
    put_bundle(&mut subagents, "BUNDLE", r#"{"A": 1}"#);
    put_bundle(&mut subagents, "OTHER", r#"{"0": 1}"#);
    let agent = AgentPath::new(AGENT);
    let sticky = |bundle: Option<&str>, stuck: Option<&str>| StickySubagent {
        agent_path: agent.clone(),
        subagent_bundle_id: bundle.map(SubagentBundleId::new),
        stuck_subagent_id: stuck.map(SubagentId::new),
    };
    let target = |name, sticky: &StickySubagent| subagents.target(&agent, &id("0"), name, Some(sticky)).unwrap();
    let bundle = |name: &str| SubagentTarget::Bundle(SubagentBundleId::new(name));
    let one = |name: &str| SubagentTarget::One(id(name));
    assert_eq!(target(None, &sticky(Some("BUNDLE"), None)), (bundle("BUNDLE"), true));
    assert_eq!(target(Some("BUNDLE"), &sticky(Some("BUNDLE"), None)), (bundle("BUNDLE"), true));
    assert_eq!(target(Some("OTHER"), &sticky(None, None)), (bundle("OTHER"), true));
    assert_eq!(target(Some("OTHER"), &sticky(Some("BUNDLE"), None)), (bundle("OTHER"), false));
    assert_eq!(target(Some("A"), &sticky(Some("BUNDLE"), Some("0"))), (one("A"), false));
    assert_eq!(target(None, &sticky(Some("BUNDLE"), Some("A"))), (one("A"), false));
    assert_eq!(target(None, &sticky(None, None)), (SubagentTarget::Any, true));
    let elsewhere = subagents.target(&AgentPath::new("X"), &id("0"), None, Some(&sticky(None, Some("A"))));
    assert_eq!(elsewhere, Ok((SubagentTarget::Any, false)));
    assert!(subagents.target(&agent, &id("0"), None, Some(&sticky(None, Some("GONE")))).is_err());
}

#[test]
fn is_dedicated_anew_after_its_death() {
    let mut subagents = subagents(&["0"]);
    let json = |subagents: &Subagents| print(&subagents.get(&id("0")).unwrap().to_json());
    assert!(json(&subagents).contains(r#""couplingState":{"TYPE":"Coupled"},"eventId":0"#));
    subagents.apply(&id("0"), &SubagentEvent::SubagentEventsObserved { until_event_id: 7 });
    subagents.apply(&id("0"), &SubagentEvent::SubagentShutdown);
    assert!(json(&subagents).contains(r#""reason":{"TYPE":"Shutdown"}"#));
    assert_eq!(
        (subagents.get(&id("0")).unwrap().run_id(), subagents.get(&id("0")).unwrap().event_id()),
        (Some("1"), 0)
    );
    subagents.apply(&id("0"), &SubagentEvent::SubagentReset);
    assert_eq!(subagents.get(&id("0")).unwrap().run_id(), None);
    let bytes = bincode::serde::encode_to_vec(&subagents, bincode::config::standard()).unwrap();
    let (image, _): (Subagents, _) = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap();
    assert_eq!(image, subagents);
}
