use super::*;
use crate::id::{JobName, SubagentId, VersionId, WorkflowId, WorkflowPath};
use crate::model::event::SubagentEvent;
use crate::position::BranchPath;
use crate::state::subagent::{SubagentSelection, SubagentTarget, Subagents};
use std::string::{String, ToString};

const UNLIMITED: JobRules = JobRules { process_limit: u32::MAX, has_admission_times: false };

fn job(name: &str) -> JobKey {
    let workflow_id = WorkflowId { path: WorkflowPath::new("W"), version_id: VersionId::new("1") };
    JobKey::Named { workflow_id, block: BranchPath::default(), name: JobName::new(name) }
}

fn order(text: &str) -> OrderId {
    OrderId::new(text)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// Admission in the first half of each 100 seconds.
fn admission(_: &JobKey, now: Timestamp) -> Option<Interval> {
    let start = now.as_millis().div_euclid(100_000) * 100;
    let next = Interval { start: at(start), end: at(start + 50) };
    Some(if now < next.end { next } else { Interval { start: at(start + 100), end: at(start + 150) } })
}

fn limited(process_limit: u32) -> JobRules {
    JobRules { process_limit, ..UNLIMITED }
}

fn starts(queues: &mut JobQueues, seconds: i64) -> Vec<String> {
    let all = core::iter::from_fn(|| queues.next_start(at(seconds), &admission));
    let all = all.map(|start| start.order_id.to_string()).collect();
    queues.check().unwrap();
    all
}

#[test]
fn keeps_the_limits_of_job_and_agent() {
    let mut queues = JobQueues::default();
    queues.set_process_limit(Some(3));
    for (job_name, id) in [("A", "A1"), ("A", "A2"), ("A", "A3"), ("B", "B1"), ("B", "B2")] {
        queues.enqueue(&job(job_name), limited(2), &order(id), false);
    }
    assert_eq!(starts(&mut queues, 0), ["A1", "A2", "B1"]);
    assert_eq!(queues.obstacles(&order("B2")), [Obstacle::AgentProcessLimitReached]);
    let both = [Obstacle::JobProcessLimitReached { process_limit: Some(2) }, Obstacle::AgentProcessLimitReached];
    assert_eq!(queues.obstacles(&order("A3")), both);
    assert_eq!(queues.obstacles(&order("A1")), []);
    queues.remove(&order("B1"));
    assert_eq!(starts(&mut queues, 0), ["B2"]);
    queues.set_process_limit(None);
    assert_eq!(starts(&mut queues, 0), [""; 0]);
    queues.remove(&order("A1"));
    assert_eq!(starts(&mut queues, 0), ["A3"]);
    assert_eq!(queues.running(), 3);
}

#[test]
fn serves_across_jobs_who_came_first() {
    let mut queues = JobQueues::default();
    queues.set_process_limit(Some(1));
    for (job_name, id) in [("B", "1"), ("A", "2"), ("B", "3"), ("A", "4")] {
        queues.enqueue(&job(job_name), UNLIMITED, &order(id), false);
    }
    queues.remove(&order("3"));
    for id in ["1", "2", "4"] {
        assert_eq!(starts(&mut queues, 0), [id]);
        queues.remove(&order(id));
    }
    assert_eq!(queues, JobQueues { process_limit: Some(1), next_ticket: 4, ..JobQueues::default() });
}

#[test]
fn waits_for_admission_unless_forced() {
    let rules = JobRules { process_limit: 10, has_admission_times: true };
    let mut queues = JobQueues::default();
    queues.enqueue(&job("A"), rules, &order("1"), false);
    queues.enqueue(&job("A"), rules, &order("2"), true);
    let start = queues.next_start(at(60), &admission).unwrap();
    assert_eq!((start.order_id, start.end_of_admission_period), (order("2"), None));
    assert_eq!(starts(&mut queues, 99), [""; 0]);
    assert_eq!(queues.next_opening(), Some(at(100)));
    assert_eq!(queues.obstacles(&order("1")), [Obstacle::WaitingForAdmission { until: at(100) }]);
    let start = queues.next_start(at(100), &admission).unwrap();
    assert_eq!((start.order_id, start.end_of_admission_period), (order("1"), Some(at(150))));
    assert_eq!(queues.next_opening(), None);
    queues.enqueue(&job("A"), rules, &order("3"), false);
    assert_eq!(starts(&mut queues, 150), [""; 0]);
    assert_eq!(queues.next_opening(), Some(at(200)));
    // The clock is set back into a period.
    queues.look_again();
    assert_eq!(starts(&mut queues, 110), ["3"]);
}

#[test]
fn goes_back_to_its_place_when_the_period_ends() {
    let rules = JobRules { process_limit: 1, has_admission_times: true };
    let mut queues = JobQueues::default();
    for id in ["1", "2"] {
        queues.enqueue(&job("A"), rules, &order(id), false);
    }
    assert_eq!(starts(&mut queues, 0), ["1"]);
    let admitted = queues.admit(&order("1"), at(49), &admission).unwrap();
    assert_eq!(admitted.end_of_admission_period, Some(at(50)));
    assert_eq!(queues.admit(&order("1"), at(50), &admission), None);
    queues.check().unwrap();
    assert_eq!((queues.running(), queues.next_opening()), (0, Some(at(100))));
    assert_eq!(starts(&mut queues, 100), ["1"]);
}

#[test]
fn recovers_beyond_the_limits() {
    let mut queues = JobQueues::default();
    for id in ["1", "2"] {
        queues.recover_running(&job("A"), limited(1), &order(id));
    }
    queues.enqueue(&job("A"), limited(1), &order("3"), false);
    queues.remove(&order("1"));
    assert_eq!(starts(&mut queues, 0), [""; 0]);
    queues.remove(&order("2"));
    assert_eq!(starts(&mut queues, 0), ["3"]);
}

#[test]
fn never_starts_with_the_limit_0() {
    let mut queues = JobQueues::default();
    queues.enqueue(&job("A"), limited(0), &order("1"), false);
    assert_eq!(starts(&mut queues, 0), [""; 0]);
    assert_eq!(queues.waiting_at(&job("A")), 1);
}

#[test]
fn parks_orders_by_what_they_wait_for() {
    let mut subagents = Subagents::default();
    for name in ["0", "A"] {
        let text = format!(r#"{{"id": "{name}", "agentPath": "AGENT", "uri": "http://x"}}"#);
        subagents.put(&Arc::new(crate::json::from_text(&text).unwrap()));
    }
    let mut parking = Parking::default();
    let to_a = SubagentTarget::One(SubagentId::new("A"));
    for (id, target) in [("1", &to_a), ("2", &SubagentTarget::Any), ("3", &to_a)] {
        parking.park(&order(id), target);
    }
    assert_eq!(parking.next(&subagents, &|_| None), None);
    let couple = |subagents: &mut Subagents, name: &str| {
        subagents.apply(&SubagentId::new(name), &SubagentEvent::SubagentDedicated { subagent_run_id: "1".into() });
    };
    let mut next = |subagents: &Subagents| {
        let (order_id, selected) = parking.next(subagents, &|_| None)?;
        parking.remove(&order_id);
        let SubagentSelection::Selected { subagent_id, .. } = selected else { panic!("waits") };
        Some((order_id.to_string(), subagent_id.to_string()))
    };
    couple(&mut subagents, "0");
    assert_eq!(next(&subagents), Some(("2".into(), "0".into())));
    assert_eq!(next(&subagents), None);
    couple(&mut subagents, "A");
    assert_eq!(next(&subagents), Some(("1".into(), "A".into())));
    assert_eq!(next(&subagents), Some(("3".into(), "A".into())));
    assert!(!parking.contains(&order("3")));
}
