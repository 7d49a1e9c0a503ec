//! Laws of the state machine, checked for every state, attachment and event.

use super::*;
use crate::id::{AgentPath, OrderId, VersionId, WorkflowId, WorkflowPath};
use crate::json::from_text;
use crate::position::WorkflowPosition;
use alloc::vec::Vec;

const STATES: &[&str] = &[
    r#"{"TYPE": "Fresh"}"#,
    r#"{"TYPE": "Ready"}"#,
    r#"{"TYPE": "Processing", "subagentId": "S"}"#,
    r#"{"TYPE": "Processed"}"#,
    r#"{"TYPE": "ProcessingKilled"}"#,
    r#"{"TYPE": "DelayingRetry", "until": 1}"#,
    r#"{"TYPE": "DelayedAfterError", "until": 1}"#,
    r#"{"TYPE": "Forked", "children": []}"#,
    r#"{"TYPE": "WaitingForLock"}"#,
    r#"{"TYPE": "WaitingForAdmission", "until": 1}"#,
    r#"{"TYPE": "ExpectingNotices", "noticeIds": []}"#,
    r#"{"TYPE": "Prompting", "question": "?"}"#,
    r#"{"TYPE": "BetweenCycles"}"#,
    r#"{"TYPE": "BetweenCycles", "cycleState": {"end": 9, "schemeIndex": 0, "periodIndex": 0, "index": 1, "next": 0}}"#,
    r#"{"TYPE": "Sleeping", "until": 1, "cause": {"TYPE": "Throttle"}}"#,
    r#"{"TYPE": "Sleeping", "until": 1, "cause": {"TYPE": "SleepInstruction"}}"#,
    r#"{"TYPE": "Failed"}"#,
    r#"{"TYPE": "FailedWhileFresh"}"#,
    r#"{"TYPE": "FailedInFork"}"#,
    r#"{"TYPE": "Stopped"}"#,
    r#"{"TYPE": "StoppedWhileFresh"}"#,
    r#"{"TYPE": "Finished"}"#,
    r#"{"TYPE": "Cancelled"}"#,
    r#"{"TYPE": "Deleted"}"#,
    r#"{"TYPE": "Broken"}"#,
];

const EVENTS: &[&str] = &[
    r#"{"TYPE": "OrderAdded", "workflowId": {"path": "W", "versionId": "1"}}"#,
    r#"{"TYPE": "OrderOrderAdded", "orderId": "N", "workflowId": {"path": "W", "versionId": "1"}}"#,
    r#"{"TYPE": "OrderStarted"}"#,
    r#"{"TYPE": "OrderAttachable", "agentPath": "A"}"#,
    r#"{"TYPE": "OrderAttached", "agentPath": "A"}"#,
    r#"{"TYPE": "OrderDetachable"}"#,
    r#"{"TYPE": "OrderDetached"}"#,
    r#"{"TYPE": "OrderMoved", "to": [1]}"#,
    r#"{"TYPE": "OrderProcessingStarted", "subagentId": "S", "stick": true}"#,
    r#"{"TYPE": "OrderStdoutWritten", "chunk": ""}"#,
    r#"{"TYPE": "OrderProcessed", "outcome": {"TYPE": "Failed"}}"#,
    r#"{"TYPE": "OrderProcessingKilled"}"#,
    r#"{"TYPE": "OrderOutcomeAdded", "outcome": {"TYPE": "Failed"}}"#,
    r#"{"TYPE": "OrderFailed", "movedTo": [1]}"#,
    r#"{"TYPE": "OrderFailedInFork", "movedTo": [1]}"#,
    r#"{"TYPE": "OrderCaught", "movedTo": [1]}"#,
    r#"{"TYPE": "OrderRetrying", "delayedUntil": 1}"#,
    r#"{"TYPE": "OrderAwoke"}"#,
    r#"{"TYPE": "OrderForked", "children": []}"#,
    r#"{"TYPE": "OrderJoined", "outcome": {"TYPE": "Succeeded"}}"#,
    r#"{"TYPE": "OrderLocksAcquired", "demands": []}"#,
    r#"{"TYPE": "OrderLocksQueued", "demands": []}"#,
    r#"{"TYPE": "OrderLocksReleased", "lockPaths": []}"#,
    r#"{"TYPE": "OrderNoticeAnnounced", "noticeId": ["B"]}"#,
    r#"{"TYPE": "OrderNoticePosted", "noticeId": ["B"]}"#,
    r#"{"TYPE": "OrderNoticesExpected", "noticeIds": []}"#,
    r#"{"TYPE": "OrderNoticesRead"}"#,
    r#"{"TYPE": "OrderNoticesConsumptionStarted", "noticeIds": []}"#,
    r#"{"TYPE": "OrderNoticesConsumed"}"#,
    r#"{"TYPE": "OrderStickySubagentEntered", "agentPath": "A"}"#,
    r#"{"TYPE": "OrderStickySubagentLeaved"}"#,
    r#"{"TYPE": "OrderPrompted", "question": "?"}"#,
    r#"{"TYPE": "OrderPromptAnswered"}"#,
    r#"{"TYPE": "OrderCyclingPrepared", "cycleState": {"end": 9, "schemeIndex": 0, "periodIndex": 0, "index": 1, "next": 0}}"#,
    r#"{"TYPE": "OrderCycleStarted"}"#,
    r#"{"TYPE": "OrderCycleFinished"}"#,
    r#"{"TYPE": "OrderSleeping", "until": 1, "cause": {"TYPE": "Throttle"}}"#,
    r#"{"TYPE": "OrderWaitingForAdmission", "until": 1}"#,
    r#"{"TYPE": "OrderSaid", "value": 1}"#,
    r#"{"TYPE": "OrderFinished"}"#,
    r#"{"TYPE": "OrderStopped"}"#,
    r#"{"TYPE": "OrderBroken"}"#,
    r#"{"TYPE": "OrderCancellationMarked"}"#,
    r#"{"TYPE": "OrderSuspensionMarked"}"#,
    r#"{"TYPE": "OrderResumptionMarked"}"#,
    r#"{"TYPE": "OrderStateReset"}"#,
    r#"{"TYPE": "OrderCancelled"}"#,
    r#"{"TYPE": "OrderSuspended"}"#,
    r#"{"TYPE": "OrderResumed"}"#,
    r#"{"TYPE": "OrderGoMarked", "position": [0]}"#,
    r#"{"TYPE": "OrderGoes"}"#,
    r#"{"TYPE": "OrderMarkRejected", "problem": {"message": "no"}}"#,
    r#"{"TYPE": "OrderPriorityChanged", "priority": 1}"#,
    r#"{"TYPE": "OrderTransferred", "workflowPosition": {"workflowId": {"path": "W", "versionId": "2"}, "position": [0]}}"#,
    r#"{"TYPE": "OrderPlanAttached", "planId": ["S", "K"]}"#,
    r#"{"TYPE": "OrderExternalVanished"}"#,
    r#"{"TYPE": "OrderDeletionMarked"}"#,
    r#"{"TYPE": "OrderDeleted"}"#,
];

/// Orders in every state, attachment and suspension, in several blocks, parent and child.
fn orders() -> Vec<Order> {
    let agent_path = AgentPath::new("A");
    let attachments = [
        None,
        Some(AttachedState::Attaching { agent_path: agent_path.clone() }),
        Some(AttachedState::Attached { agent_path: agent_path.clone() }),
        Some(AttachedState::Detaching { agent_path }),
    ];
    let mut orders = Vec::new();
    for state in STATES {
        for attached_state in &attachments {
            for is_suspended in [false, true] {
                for (position, parent) in [
                    ("0", None),
                    ("0/lock:0", None),
                    ("0/consumeNotices:1", None),
                    ("0/stickySubagent:0", None),
                    ("0/cycle+end=9,i=1:1", None),
                    ("0/fork+x:0", Some(OrderId::new("PARENT"))),
                ] {
                    let workflow_id = WorkflowId { path: WorkflowPath::new("W"), version_id: VersionId::new("1") };
                    let position = position.parse().unwrap();
                    orders.push(Order {
                        state: from_text(state).unwrap(),
                        attached_state: attached_state.clone(),
                        is_suspended,
                        parent,
                        ..Order::fresh(OrderId::new("O"), WorkflowPosition { workflow_id, position })
                    });
                }
            }
        }
    }
    orders
}

/// Calls with every order, every event, and what becomes of the order; `None` where the event is not applicable.
fn for_all(mut check: impl FnMut(&Order, &OrderEvent, Option<&Order>)) {
    let events: Vec<OrderEvent> = EVENTS.iter().map(|text| from_text(text).unwrap()).collect();
    for before in orders() {
        for event in &events {
            let mut after = before.clone();
            let is_applied = after.apply(event).is_ok();
            assert_eq!(is_applied, before.is_applicable(event), "{event:?} on {before:?}");
            check(&before, event, is_applied.then_some(&after));
            assert!(is_applied || after == before, "{event:?} changed {before:?}");
        }
    }
}

#[test]
fn a_refused_event_changes_nothing() {
    let (mut applied, mut refused) = (0, 0);
    for_all(|_, _, after| if after.is_some() { applied += 1 } else { refused += 1 });
    assert!(applied > 1000 && refused > 1000, "{applied} applied, {refused} refused");
}

#[test]
fn the_end_is_final() {
    for_all(|before, event, after| {
        if let Some(after) = after.filter(|_| !before.is_markable()) {
            let is_kept = after.state == before.state || after.state == OrderState::Deleted;
            assert!(is_kept, "{} leads from {:?} to {:?}", event.type_name(), before.state, after.state);
        }
    });
}

#[test]
fn an_order_on_the_way_makes_no_step() {
    for_all(|before, event, after| {
        if let Some(after) = after.filter(|_| before.is_attaching() || before.is_detaching()) {
            let is_reset = matches!(event, OrderEvent::OrderStateReset | OrderEvent::OrderBroken { .. });
            assert!(after.state == before.state || is_reset, "{} on {before:?}", event.type_name());
            assert_eq!(after.position(), before.position(), "{} on {before:?}", event.type_name());
        }
    });
}

#[test]
fn only_hand_over_changes_where_an_order_is() {
    for_all(|before, event, after| {
        let is_hand_over = matches!(
            event,
            OrderEvent::OrderAttachable { .. }
                | OrderEvent::OrderAttached { .. }
                | OrderEvent::OrderDetachable
                | OrderEvent::OrderDetached
        );
        if let Some(after) = after {
            assert_eq!(after.attached_state != before.attached_state, is_hand_over, "{}", event.type_name());
        }
    });
}

#[test]
fn an_order_ends_only_at_the_controller() {
    for_all(|before, event, after| {
        if let Some(after) = after.filter(|after| after.is_terminated() && !before.is_terminated()) {
            assert!(before.is_detached() && after.mark.is_none(), "{} on {before:?}", event.type_name());
        }
    });
}
