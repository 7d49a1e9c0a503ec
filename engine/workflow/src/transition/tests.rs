use super::*;
use crate::id::{AgentPath, OrderId, SubagentId, VersionId, WorkflowId, WorkflowPath};
use crate::json::from_text;
use crate::model::history::History;
use crate::position::WorkflowPosition;
use crate::time::Timestamp;
use alloc::string::String;
use alloc::vec::Vec;

fn event(text: &str) -> OrderEvent {
    from_text(text).unwrap()
}

fn at(text: &str) -> Position {
    text.parse().unwrap()
}

fn order(position: &str, state: OrderState) -> Order {
    let workflow_id = WorkflowId { path: WorkflowPath::new("W"), version_id: VersionId::new("1") };
    Order { state, ..Order::fresh(OrderId::new("O"), WorkflowPosition { workflow_id, position: at(position) }) }
}

fn attached(order: Order) -> Order {
    Order { attached_state: Some(AttachedState::Attached { agent_path: AgentPath::new("A") }), ..order }
}

/// Applies events given without their braces and quoted type: `OrderMoved` or `OrderMoved, "to": [1]`.
fn run(mut order: Order, events: &[&str]) -> Order {
    for text in events {
        let (name, members) = text.split_once(',').map_or((*text, String::new()), |(n, m)| (n, format!(",{m}")));
        order.apply(&event(&format!(r#"{{"TYPE": "{name}"{members}}}"#))).unwrap();
    }
    order
}

fn history(order: &Order) -> Vec<(String, &'static str)> {
    order.historic_outcomes.to_vec().iter().map(|h| (h.position.to_string(), h.outcome.type_name())).collect()
}

const FAILED: &str = r#"OrderOutcomeAdded, "outcome": {"TYPE": "Failed"}"#;

#[test]
fn an_inapplicable_event_changes_nothing() {
    let before = order("0", OrderState::Ready);
    let mut after = before.clone();
    let problem = after.apply(&event(r#"{"TYPE": "OrderStarted"}"#)).unwrap_err();
    assert_eq!(problem.code, "InapplicableOrderEvent");
    assert_eq!(problem.message, "Event OrderStarted cannot be applied to Order:O (Ready, Detached, at 0)");
    assert_eq!(after, before);
}

#[test]
fn blocks_are_entered_and_left() {
    let locked = run(order("1", OrderState::Ready), &[r#"OrderLocksAcquired, "demands": [{"lockPath": "L"}]"#]);
    assert_eq!(*locked.position(), at("1/lock:0"));
    let released = run(locked, &[r#"OrderLocksReleased, "lockPaths": ["L"]"#]);
    assert_eq!(*released.position(), at("2"));
    let consuming = run(released, &[r#"OrderNoticesConsumptionStarted, "noticeIds": [["B"]]"#]);
    assert_eq!(*consuming.position(), at("2/consumeNotices:0"));
    let consumed = run(consuming, &["OrderNoticesConsumed"]);
    assert_eq!((consumed.position().clone(), &consumed.state), (at("3"), &OrderState::Ready));
    assert!(!consumed.is_applicable(&event(r#"{"TYPE": "OrderNoticesConsumed"}"#)));
}

#[test]
fn a_subagent_is_bound_within_its_block() {
    let entered = run(order("0", OrderState::Fresh), &[r#"OrderStickySubagentEntered, "agentPath": "A""#]);
    assert_eq!((entered.position().clone(), &entered.state), (at("0/stickySubagent:0"), &OrderState::Fresh));
    let processing = run(
        attached(run(entered, &["OrderStarted"])),
        &[r#"OrderProcessingStarted, "subagentId": "S", "stick": true"#],
    );
    assert_eq!(processing.sticky_subagents[0].stuck_subagent_id, Some(SubagentId::new("S")));
    let left = run(
        processing,
        &[
            r#"OrderProcessed, "outcome": {"TYPE": "Succeeded"}"#,
            r#"OrderMoved, "to": [0, "stickySubagent", 1]"#,
            "OrderStickySubagentLeaved",
        ],
    );
    assert_eq!(*left.position(), at("1"));
    assert!(left.sticky_subagents.is_empty());
}

#[test]
fn cycles_carry_their_state_in_the_position() {
    let prepared = run(
        order("0", OrderState::Ready),
        &[
            r#"OrderCyclingPrepared, "cycleState": {"end": 9000, "schemeIndex": 0, "periodIndex": 0, "index": 1, "next": 1000}"#,
        ],
    );
    assert_eq!(prepared.delayed_until(), Some(Timestamp::from_millis(1000)));
    assert!(prepared.is_delayed(Timestamp::from_millis(999)) && !prepared.is_delayed(Timestamp::from_millis(1000)));
    let started = run(prepared, &[r#"OrderCycleStarted, "skipped": 2"#]);
    assert_eq!(started.position().to_string(), "0/cycle+end=9000,i=1,next=3000:0");
    let finished = run(started, &["OrderCycleFinished"]);
    assert_eq!(
        (finished.position().clone(), &finished.state),
        (at("0"), &OrderState::BetweenCycles { cycle_state: None })
    );
    assert_eq!(run(finished, &[r#"OrderMoved, "to": [1]"#]).state, OrderState::Ready);
}

#[test]
fn a_caught_failure_counts_as_success() {
    let caught = run(order("0/try+0:0", OrderState::Ready), &[FAILED, r#"OrderCaught, "movedTo": [0, "catch+0", 0]"#]);
    assert_eq!(history(&caught), [("0/try+0:0".into(), "Failed"), ("0/catch+0:0".into(), "Caught")]);
    assert!(caught.is_last_outcome_succeeded() && !caught.should_fail());
    let retrying = run(caught, &[r#"OrderRetrying, "delayedUntil": 5000"#]);
    assert_eq!(retrying.state, OrderState::DelayingRetry { until: Timestamp::from_millis(5000) });
    assert_eq!(run(retrying, &["OrderAwoke"]).state, OrderState::Ready);
}

#[test]
fn only_real_failures_let_an_order_fail() {
    let processing =
        OrderState::Processing { subagent_id: None, subagent_bundle_id: None, end_of_admission_period: None };
    let processed = |outcome: &str| {
        run(attached(order("0", processing.clone())), &[&format!(r#"OrderProcessed, "outcome": {outcome}"#)])
    };
    assert!(processed(r#"{"TYPE": "Failed"}"#).should_fail());
    assert!(processed(r#"{"TYPE": "TimedOut", "outcome": {"TYPE": "Succeeded"}}"#).should_fail());
    assert!(!processed(r#"{"TYPE": "Succeeded"}"#).should_fail());
    assert!(!processed(r#"{"TYPE": "Disrupted", "reason": {"TYPE": "ProcessLost"}}"#).should_fail());
    let killed = processed(r#"{"TYPE": "Killed", "outcome": {"TYPE": "Failed"}}"#);
    assert!(!killed.should_fail());
    assert!(run(killed, &["OrderProcessingKilled"]).should_fail());
}

#[test]
fn marks_come_and_go() {
    let marked = |events: &[&str]| run(order("0", OrderState::Ready), events);
    assert!(
        marked(&[r#"OrderCancellationMarked, "mode": {"TYPE": "FreshOnly"}"#, r#"OrderForked, "children": []"#])
            .mark
            .is_none()
    );
    assert!(marked(&["OrderCancellationMarked", r#"OrderForked, "children": []"#]).mark.is_some());
    assert!(marked(&["OrderSuspensionMarked", r#"OrderFailed, "movedTo": [0]"#]).mark.is_none());
    assert!(marked(&["OrderSuspensionMarked", "OrderResumptionMarked"]).mark.is_none());
    assert!(marked(&["OrderSuspensionMarked", "OrderFinished"]).mark.is_none());
    let suspended = marked(&["OrderSuspensionMarked", "OrderSuspended"]);
    assert!(suspended.is_suspended && suspended.mark.is_none());
    assert!(matches!(run(suspended.clone(), &["OrderResumptionMarked"]).mark, Some(OrderMark::Resuming { .. })));
    let cancelled = run(suspended, &["OrderCancelled"]);
    assert!(cancelled.is_terminated() && !cancelled.is_suspended);
    assert_eq!(run(cancelled, &["OrderDeleted"]).state, OrderState::Deleted);
}

#[test]
fn an_order_is_suspended_after_its_process_was_killed() {
    let killed = attached(order("0", OrderState::ProcessingKilled));
    assert!(!killed.is_suspendible_now());
    let suspending =
        run(killed, &[r#"OrderSuspensionMarked, "mode": {"kill": {}}"#, "OrderDetachable", "OrderDetached"]);
    let suspended = run(suspending, &["OrderSuspended"]);
    assert_eq!((suspended.state.clone(), suspended.is_suspended), (OrderState::Ready, true));
}

#[test]
fn resuming_depends_on_how_the_job_ended() {
    let killed = || {
        let mut order = order("0", OrderState::Ready);
        order.is_suspended = true;
        let outcome = Outcome::Killed { outcome: from_text(r#"{"TYPE": "Failed"}"#).unwrap() };
        order.historic_outcomes = History::from_iter([HistoricOutcome { position: at("0"), outcome }]);
        order
    };
    let restarted = run(killed(), &[r#"OrderResumed, "restartKilledJob": true"#]);
    assert_eq!((restarted.position().clone(), history(&restarted).len()), (at("0"), 0));
    let skipped = run(killed(), &[r#"OrderResumed, "asSucceeded": true"#]);
    assert_eq!(*skipped.position(), at("1"));
    assert_eq!(history(&skipped), [("0".into(), "Killed"), ("0".into(), "Succeeded")]);
    assert!(skipped.is_resumed && !skipped.is_suspended);
    assert!(!run(skipped, &[r#"OrderMoved, "to": [2]"#]).is_resumed);
    let failed = run(order("0", OrderState::Ready), &[FAILED, r#"OrderFailed, "movedTo": [0]"#]);
    let again = run(failed.clone(), &[r#"OrderResumed, "position": [0]"#]);
    assert_eq!((again.state.clone(), history(&again).len()), (OrderState::Ready, 0));
    let mut unchanged = failed.clone();
    let delete = r#"{"TYPE": "OrderResumed", "historyOperations": [{"TYPE": "Delete", "position": [7]}]}"#;
    assert!(unchanged.apply(&event(delete)).unwrap_err().message.contains("Unknown position 7"));
    assert_eq!(unchanged, failed);
}

#[test]
fn waiting_orders_may_go() {
    let mut fresh = order("0", OrderState::Fresh);
    assert!(!fresh.is_goable(&at("0")));
    fresh.scheduled_for = Some(Timestamp::from_millis(1));
    assert!(fresh.is_goable(&at("0")) && !fresh.is_goable(&at("1")));
    let marked = run(attached(fresh), &[r#"OrderGoMarked, "position": [0]"#]);
    assert!(matches!(marked.mark, Some(OrderMark::Go { .. })));
    assert!(run(marked, &["OrderGoes"]).mark.is_none());
}

#[test]
fn a_throttled_order_sleeps_again_or_adds() {
    let throttled =
        run(order("0", OrderState::Ready), &[r#"OrderSleeping, "until": 1, "cause": {"TYPE": "Throttle"}"#]);
    let again = run(throttled, &[r#"OrderSleeping, "until": 2, "cause": {"TYPE": "Throttle"}"#]);
    let added = event(
        r#"{"TYPE": "OrderOrderAdded", "orderId": "N", "workflowId": {"path": "W", "versionId": "1"}, "innerBlock": [3, "options"]}"#,
    );
    assert!(again.is_applicable(&added));
    let new = Order::created_by(&again.id, &added).unwrap();
    assert_eq!((new.id.as_str(), new.position().clone(), &new.state), ("N", at("3/options:0"), &OrderState::Fresh));
    let asleep = run(order("0", OrderState::Ready), &[r#"OrderSleeping, "until": 1"#]);
    assert!(!asleep.is_applicable(&added));
}

#[test]
fn children_inherit() {
    let mut parent = run(order("1", OrderState::Ready), &[r#"OrderOutcomeAdded, "outcome": {"TYPE": "Succeeded"}"#]);
    parent.arguments = from_text(r#"{"a": 1, "b": 2}"#).unwrap();
    parent.priority = 7.into();
    parent.force_admission = true;
    parent.delete_when_terminated = true;
    parent.mark = Some(OrderMark::Cancelling { mode: CancellationMode::DEFAULT });
    let child = from_text(r#"{"orderId": "O|x", "branchId": "x", "arguments": {"b": 3}}"#).unwrap();
    let child = parent.forked_child(&child);
    assert_eq!((child.position().clone(), &child.state), (at("1/fork+x:0"), &OrderState::Ready));
    assert_eq!(child.parent, Some(parent.id.clone()));
    assert_eq!(child.arguments, from_text(r#"{"a": 1, "b": 3}"#).unwrap());
    assert_eq!((child.historic_outcomes.len(), child.priority.clone(), child.force_admission), (1, 7.into(), true));
    assert!(child.mark.is_none() && !child.delete_when_terminated);
    let listed = parent.forked_child(&from_text(r#"{"orderId": "O|1"}"#).unwrap());
    assert_eq!(*listed.position(), at("1/fork:0"));
}

#[test]
fn an_agent_takes_over_the_whole_order() {
    let mut before = run(order("1", OrderState::Ready), &[FAILED]);
    before.is_resumed = true;
    let taken = Order::created_by(&before.id, &before.attached_to_agent_event(AgentPath::new("A"))).unwrap();
    assert_eq!(taken, attached(before));
    assert!(taken.is_at(&AgentPath::new("A")) && !taken.is_at(&AgentPath::new("B")));
}

#[test]
fn a_plan_is_attached_once() {
    let plan = r#"OrderPlanAttached, "planId": ["S", "K"]"#;
    let planned = run(order("0", OrderState::Ready), &[plan]);
    assert!(!planned.is_applicable(&event(r#"{"TYPE": "OrderPlanAttached", "planId": ["S", "L"]}"#)));
    let consuming = order("0/consumeNotices:1", OrderState::Ready);
    assert!(!consuming.is_applicable(&event(r#"{"TYPE": "OrderPlanAttached", "planId": ["S", "K"]}"#)));
}
