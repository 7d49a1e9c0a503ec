//! Events of orders: the record of what happened to them.

use super::history::History;
use super::instruction::LockDemand;
use super::notice::NoticeId;
use super::order::{
    CancellationMode, ExternalOrder, ExternalOrderKey, ForkedChild, HistoryOperation, OrderMark, OrderState,
    SleepCause, StickySubagent, SuspensionMode,
};
use super::outcome::Outcome;
use super::plan::PlanId;
use crate::decimal::Decimal;
use crate::id::{AgentPath, LockPath, NoticeKey, OrderId, SubagentBundleId, SubagentId, WorkflowId};
use crate::position::{BranchPath, Position, PositionOrLabel, WorkflowPosition};
use crate::problem::{Checked, Problem};
use crate::schedule::CycleState;
use crate::time::{Duration, Timestamp};
use crate::value::{Fields, Value};
use alloc::string::String;
use alloc::vec::Vec;

crate::json_union! {
    /// Something that happened to an order.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum OrderEvent {
        /// A client or a file watch added the order.
        OrderAdded => "OrderAdded" {
            /// Its workflow.
            workflow_id: WorkflowId => "workflowId";
            /// Its arguments.
            arguments: Fields => "arguments", default Fields::default();
            /// Its plan.
            plan_id: PlanId => "planId", shown PlanId::Global;
            /// When it starts.
            scheduled_for: Option<Timestamp> => "scheduledFor", default None;
            /// The file it was made from.
            external_order_key: Option<ExternalOrderKey> => "externalOrderKey", default None;
            /// Higher comes first.
            priority: Decimal => "priority", default Decimal::from(0);
            /// Whether it is deleted when finished or cancelled.
            delete_when_terminated: bool => "deleteWhenTerminated", default false;
            /// Whether it ignores admission times.
            force_admission: bool => "forceAdmission" | "forceJobAdmission", default false;
            /// The block it is restricted to.
            inner_block: BranchPath => "innerBlock", default BranchPath::default();
            /// Where it starts.
            start_position: Option<Position> => "startPosition", default None;
            /// Where it stops, as if there was a Finish.
            stop_positions: Vec<PositionOrLabel> => "stopPositions", default Vec::new();
        };
        /// This order added another one.
        OrderOrderAdded => "OrderOrderAdded" {
            /// The other order.
            order_id: OrderId => "orderId";
            /// Its workflow.
            workflow_id: WorkflowId => "workflowId";
            /// Its arguments.
            arguments: Fields => "arguments", default Fields::default();
            /// Its plan.
            plan_id: PlanId => "planId", default PlanId::Global;
            /// Higher comes first.
            priority: Decimal => "priority", default Decimal::from(0);
            /// Whether it is deleted when finished or cancelled.
            delete_when_terminated: bool => "deleteWhenTerminated", default false;
            /// Whether it ignores admission times.
            force_admission: bool => "forceAdmission" | "forceJobAdmission", default false;
            /// The block it is restricted to.
            inner_block: BranchPath => "innerBlock", default BranchPath::default();
            /// Where it starts.
            start_position: Option<Position> => "startPosition", default None;
            /// Where it stops, as if there was a Finish.
            stop_positions: Vec<PositionOrLabel> => "stopPositions", default Vec::new();
            /// For the throttle of AddOrder.
            speed_record: Option<SpeedRecord> => "speedRecord", default None;
        };
        /// It started.
        OrderStarted => "OrderStarted";
        /// The controller hands it over to an agent.
        OrderAttachable => "OrderAttachable" {
            /// The agent.
            agent_path: AgentPath => "agentPath";
        };
        /// The agent has taken it over. In the agent's journal only.
        OrderAttachedToAgent => "OrderAttachedToAgent" {
            /// Where it is.
            workflow_position: WorkflowPosition => "workflowPosition";
            /// Its state.
            state: OrderState => "state";
            /// Its plan.
            plan_id: PlanId => "planId", default PlanId::Global;
            /// Its arguments.
            arguments: Fields => "arguments", default Fields::default();
            /// When it starts.
            scheduled_for: Option<Timestamp> => "scheduledFor", default None;
            /// The file it was made from.
            external_order: Option<ExternalOrder> => "externalOrder" | "externalOrderKey", default None;
            /// What came of what it did.
            historic_outcomes: History => "historicOutcomes", default History::default();
            /// The agent.
            agent_path: AgentPath => "agentPath";
            /// The order of the fork whose child this is.
            parent: Option<OrderId> => "parent", default None;
            /// Higher comes first.
            priority: Decimal => "priority", default Decimal::from(0);
            /// What is to be done with it as soon as possible.
            mark: Option<OrderMark> => "mark", default None;
            /// Whether it makes no steps.
            is_suspended: bool => "isSuspended", default false;
            /// Whether it was resumed and has not moved since.
            is_resumed: bool => "isResumed", default false;
            /// Whether it is deleted when finished or cancelled.
            delete_when_terminated: bool => "deleteWhenTerminated", default false;
            /// Whether it ignores admission times.
            force_admission: bool => "forceAdmission" | "forceJobAdmission", default false;
            /// The subagents its jobs are bound to.
            sticky_subagents: Vec<StickySubagent> => "stickySubagents", default Vec::new();
            /// The block it is restricted to.
            inner_block: BranchPath => "innerBlock", default BranchPath::default();
            /// Where it stops, as if there was a Finish.
            stop_positions: Vec<PositionOrLabel> => "stopPositions", default Vec::new();
        };
        /// It is at the agent.
        OrderAttached => "OrderAttached" {
            /// The agent.
            agent_path: AgentPath => "agentPath";
        };
        /// The agent hands it back.
        OrderDetachable => "OrderDetachable";
        /// It is at the controller again.
        OrderDetached => "OrderDetached";
        /// It moved.
        OrderMoved => "OrderMoved" {
            /// Where to.
            to: Position => "to";
            /// Why, if instructions were skipped.
            reason: Option<MoveReason> => "reason", default None;
        };
        /// A process is being started.
        OrderProcessingStarted => "OrderProcessingStarted" {
            /// At this subagent.
            subagent_id: Option<SubagentId> => "subagentId", default None;
            /// Chosen from this bundle.
            subagent_bundle_id: Option<SubagentBundleId> => "subagentBundleId", default None;
            /// Whether further jobs of the sticky block run on this subagent.
            stick: bool => "stick", default false;
            /// When the process is ended because its admission period is over.
            end_of_admission_period: Option<Timestamp> => "endOfAdmissionPeriod", default None;
        };
        /// The process wrote to stdout.
        OrderStdoutWritten => "OrderStdoutWritten" {
            /// What.
            chunk: String => "chunk";
        };
        /// The process wrote to stderr.
        OrderStderrWritten => "OrderStderrWritten" {
            /// What.
            chunk: String => "chunk";
        };
        /// The process ended.
        OrderProcessed => "OrderProcessed" {
            /// With which outcome.
            outcome: Outcome => "outcome";
        };
        /// The process ended because it was killed by command.
        OrderProcessingKilled => "OrderProcessingKilled";
        /// An outcome was added to its history.
        OrderOutcomeAdded => "OrderOutcomeAdded" {
            /// Which.
            outcome: Outcome => "outcome";
        };
        /// It failed.
        OrderFailed => "OrderFailed" {
            /// Where it is now.
            moved_to: Position => "movedTo";
            /// Of old journals.
            outcome: Option<Outcome> => "outcome", default None;
        };
        /// It failed in a fork branch whose fork joins failed children.
        OrderFailedInFork => "OrderFailedInFork" {
            /// Where it is now.
            moved_to: Position => "movedTo";
            /// Of old journals.
            outcome: Option<Outcome> => "outcome", default None;
        };
        /// Its failure was caught.
        OrderCaught => "OrderCaught" {
            /// Where it is now: in the catch block.
            moved_to: Position => "movedTo";
            /// Of old journals.
            outcome: Option<Outcome> => "outcome", default None;
        };
        /// Its failure was caught. Of old journals.
        OrderCatched => "OrderCatched" {
            /// Where it is now: in the catch block.
            moved_to: Position => "movedTo";
            /// Of old journals.
            outcome: Option<Outcome> => "outcome", default None;
        };
        /// It is going to try again.
        OrderRetrying => "OrderRetrying" {
            /// When. Absent: at once.
            delayed_until: Option<Timestamp> => "delayedUntil", default None;
            /// Of old journals.
            moved_to: Option<Position> => "movedTo", default None;
        };
        /// It does not wait any more.
        OrderAwoke => "OrderAwoke";
        /// It forked.
        OrderForked => "OrderForked" {
            /// The children.
            children: Vec<ForkedChild> => "children";
        };
        /// Its children were joined.
        OrderJoined => "OrderJoined" {
            /// With which outcome.
            outcome: Outcome => "outcome";
        };
        /// It holds locks.
        OrderLocksAcquired => "OrderLocksAcquired" {
            /// Which, and what of them.
            demands: Vec<LockDemand> => "demands";
        };
        /// It waits for locks.
        OrderLocksQueued => "OrderLocksQueued" {
            /// Which, and what of them.
            demands: Vec<LockDemand> => "demands";
        };
        /// It holds locks no more.
        OrderLocksReleased => "OrderLocksReleased" {
            /// Which.
            lock_paths: Vec<LockPath> => "lockPaths";
        };
        /// Its plan expects a notice of it.
        OrderNoticeAnnounced => "OrderNoticeAnnounced" {
            /// Which.
            notice_id: NoticeId => "noticeId";
        };
        /// It posted a notice.
        OrderNoticePosted => "OrderNoticePosted" {
            /// Which.
            notice_id: Option<NoticeId> => "noticeId", default None;
            /// When it is deleted by itself.
            end_of_life: Option<Timestamp> => "endOfLife", default None;
            /// Of old journals, without a board.
            notice: Option<Value> => "notice", default None;
        };
        /// It waits for a notice. Of old journals.
        OrderNoticeExpected => "OrderNoticeExpected" {
            /// Which.
            notice_id: NoticeKey => "noticeId";
        };
        /// It waits for notices.
        OrderNoticesExpected => "OrderNoticesExpected" {
            /// Which.
            notice_ids: Vec<NoticeId> => "noticeIds";
        };
        /// The notices it waited for are there.
        OrderNoticesRead => "OrderNoticesRead" | "OrderNoticeRead";
        /// It consumes notices.
        OrderNoticesConsumptionStarted => "OrderNoticesConsumptionStarted" {
            /// Which.
            notice_ids: Vec<NoticeId> => "noticeIds";
        };
        /// It has consumed notices.
        OrderNoticesConsumed => "OrderNoticesConsumed" {
            /// Whether it left the block by failure; then the notices stay.
            failed: bool => "failed", default false;
        };
        /// Its jobs are bound to a subagent from now on.
        OrderStickySubagentEntered => "OrderStickySubagentEntered" {
            /// The agent.
            agent_path: AgentPath => "agentPath";
            /// The bundle the subagent is chosen from.
            subagent_bundle_id: Option<SubagentBundleId> => "subagentBundleId" | "subagentSelectionId", default None;
        };
        /// Its jobs are not bound to a subagent any more.
        OrderStickySubagentLeaved => "OrderStickySubagentLeaved";
        /// A person is asked.
        OrderPrompted => "OrderPrompted" {
            /// What.
            question: Value => "question";
        };
        /// A person answered.
        OrderPromptAnswered => "OrderPromptAnswered";
        /// It waits for its first or another kind of cycle.
        OrderCyclingPrepared => "OrderCyclingPrepared" {
            /// The cycle.
            cycle_state: CycleState => "cycleState";
        };
        /// A cycle started.
        OrderCycleStarted => "OrderCycleStarted" {
            /// How much later than planned, in whole intervals.
            skipped: Option<Duration> => "skipped", default None;
        };
        /// A cycle ended.
        OrderCycleFinished => "OrderCycleFinished" {
            /// The next cycle. Absent: there is none.
            cycle_state: Option<CycleState> => "cycleState", default None;
        };
        /// It sleeps.
        OrderSleeping => "OrderSleeping" {
            /// Until then.
            until: Timestamp => "until";
            /// Why.
            cause: SleepCause => "cause", shown SleepCause::SleepInstruction;
        };
        /// It waits for an admission period.
        OrderWaitingForAdmission => "OrderWaitingForAdmission" {
            /// Until then.
            until: Timestamp => "until";
        };
        /// It said something.
        OrderSaid => "OrderSaid" {
            /// What; it may be missing.
            value: Value => "value", default Value::Missing;
        };
        /// It is at its end.
        OrderFinished => "OrderFinished" {
            /// The outcome of a Finish instruction.
            outcome: Option<Outcome> => "outcome", default None;
        };
        /// It stopped.
        OrderStopped => "OrderStopped";
        /// It cannot go on.
        OrderBroken => "OrderBroken" {
            /// Of old journals.
            problem: Option<Problem> => "problem", default None;
        };
        /// It is to be cancelled.
        OrderCancellationMarked => "OrderCancellationMarked" {
            /// How.
            mode: CancellationMode => "mode", shown CancellationMode::DEFAULT;
        };
        /// The agent knows that it is to be cancelled.
        OrderCancellationMarkedOnAgent => "OrderCancellationMarkedOnAgent";
        /// It is not waiting any more, because it is cancelled, suspended, or fails.
        OrderStateReset => "OrderStateReset" | "OrderOperationCancelled" | "OrderLocksDequeued" | "OrderLockDequeued";
        /// It is cancelled.
        OrderCancelled => "OrderCancelled";
        /// It is to be suspended.
        OrderSuspensionMarked => "OrderSuspensionMarked" {
            /// How.
            mode: SuspensionMode => "mode", shown SuspensionMode::default();
        };
        /// The agent knows that it is to be suspended.
        OrderSuspensionMarkedOnAgent => "OrderSuspensionMarkedOnAgent";
        /// It is suspended.
        OrderSuspended => "OrderSuspended";
        /// It is to be resumed.
        OrderResumptionMarked => "OrderResumptionMarked" {
            /// Where it goes on.
            position: Option<Position> => "position", default None;
            /// Changes of its history.
            history_operations: Vec<HistoryOperation> => "historyOperations" | "historicOperations", default Vec::new();
            /// Whether its last outcome counts as success.
            as_succeeded: bool => "asSucceeded", default false;
            /// Whether a killed job is executed again.
            restart_killed_job: bool => "restartKilledJob", default false;
        };
        /// It is resumed.
        OrderResumed => "OrderResumed" {
            /// Where it goes on.
            position: Option<Position> => "position", default None;
            /// Changes of its history.
            history_operations: Vec<HistoryOperation> => "historyOperations" | "historicOperations", default Vec::new();
            /// Whether its last outcome counts as success.
            as_succeeded: bool => "asSucceeded", default false;
            /// Whether a killed job is executed again.
            restart_killed_job: bool => "restartKilledJob", default false;
        };
        /// It is not to wait.
        OrderGoMarked => "OrderGoMarked" {
            /// If it is here.
            position: Position => "position";
        };
        /// It does not wait, by command.
        OrderGoes => "OrderGoes";
        /// Its priority was changed.
        OrderPriorityChanged => "OrderPriorityChanged" {
            /// The new one.
            priority: Decimal => "priority";
        };
        /// It was moved to another version of its workflow.
        OrderTransferred => "OrderTransferred" {
            /// Where it is now.
            workflow_position: WorkflowPosition => "workflowPosition";
        };
        /// It was moved to a plan.
        OrderPlanAttached => "OrderPlanAttached" {
            /// Which.
            plan_id: PlanId => "planId";
        };
        /// The file it was made from has vanished.
        OrderExternalVanished => "OrderExternalVanished";
        /// It is to be deleted when finished or cancelled.
        OrderDeletionMarked => "OrderDeletionMarked";
        /// It is gone.
        OrderDeleted => "OrderDeleted";
        /// Its agent cannot do what it was marked for. It goes on as if it had not been marked.
        OrderMarkRejected => "OrderMarkRejected" {
            /// Why.
            problem: Problem => "problem";
        };
    }
    check check_order_event;
    rewrite super::legacy::order_event;
}

crate::json_union! {
    /// Why an order moved past instructions.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub enum MoveReason {
        /// The instruction's label is to be skipped.
        SkippedDueToWorkflowPathControl => "SkippedDueToWorkflowPathControl";
        /// There was no notice.
        NoNotice => "NoNotice";
        /// No admission period starts on the order's day.
        NoAdmissionPeriodStart => "NoAdmissionPeriodStart";
    }
}

crate::json_struct! {
    /// When an order was added by instruction, and how much that counts for the throttle.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct SpeedRecord {
        /// Seconds.
        time: Decimal => "time";
        /// Weight.
        weight: Decimal => "weight";
    }
}

fn check_order_event(event: &OrderEvent) -> Checked<()> {
    match event {
        OrderEvent::OrderLocksAcquired { demands } | OrderEvent::OrderLocksQueued { demands } => {
            super::check::unique("Lock", demands.iter().map(|d| &d.lock_path))
        }
        OrderEvent::OrderLocksReleased { lock_paths } => super::check::unique("Lock", lock_paths.iter()),
        OrderEvent::OrderNoticesConsumptionStarted { notice_ids } => {
            super::check::unique("Board", notice_ids.iter().map(|id| &id.board_path))
        }
        _ => Ok(()),
    }
}
