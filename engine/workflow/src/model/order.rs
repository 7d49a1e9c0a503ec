//! Orders: what runs through workflows.

use super::history::History;
use super::notice::NoticeId;
use super::outcome::Outcome;
use super::plan::PlanId;
use crate::decimal::Decimal;
use crate::id::{
    AgentPath, BoardPath, ExternalOrderName, GivenOrderId, NoticeKey, OrderId, OrderWatchPath, SubagentBundleId,
    SubagentId, WorkflowPath,
};
use crate::position::{BranchPath, Position, PositionOrLabel, WorkflowPosition};
use crate::problem::Problem;
use crate::schedule::CycleState;
use crate::time::Timestamp;
use crate::value::{Fields, Value};
use alloc::sync::Arc;
use alloc::vec::Vec;

crate::json_struct! {
    /// An order as a client adds it.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct FreshOrder {
        /// Its id.
        id: GivenOrderId => "id";
        /// Its workflow, in the current version.
        workflow_path: WorkflowPath => "workflowPath";
        /// Its plan; `[]` is the global one.
        plan_id: PlanId => "planId";
        /// Its arguments.
        arguments: Fields => "arguments", default Fields::default();
        /// When it starts; absent or past: at once.
        scheduled_for: Option<Timestamp> => "scheduledFor", default None;
        /// Higher comes first.
        priority: Decimal => "priority", default Decimal::from(0);
        /// Whether it is deleted when finished or cancelled.
        delete_when_terminated: bool => "deleteWhenTerminated", default false;
        /// Whether it ignores admission times.
        force_admission: bool => "forceAdmission" | "forceJobAdmission", default false;
        /// The block it is restricted to.
        inner_block: BranchPath => "innerBlock", default BranchPath::default();
        /// Where it starts.
        start_position: Option<PositionOrLabel> => "startPosition", default None;
        /// Where it stops, as if there was a Finish.
        stop_positions: Vec<PositionOrLabel> => "stopPositions", default Vec::new();
    }
}

crate::json_struct! {
    /// An order.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct Order {
        /// Its id.
        id: OrderId => "id";
        /// Where it is.
        workflow_position: WorkflowPosition => "workflowPosition";
        /// Its state.
        state: OrderState => "state";
        /// Its arguments.
        arguments: Fields => "arguments", default Fields::default();
        /// Its plan.
        plan_id: PlanId => "planId", default PlanId::Global;
        /// When it starts.
        scheduled_for: Option<Timestamp> => "scheduledFor", default None;
        /// The file it was made from.
        external_order: Option<ExternalOrder> => "externalOrder" | "externalOrderKey", default None;
        /// Whether, or on the way to where, it is at an agent. Absent: at the controller.
        attached_state: Option<AttachedState> => "attachedState", default None;
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
        /// The subagents its jobs are bound to; the first is the innermost block's.
        sticky_subagents: Vec<StickySubagent> => "stickySubagents", default Vec::new();
        /// The block it is restricted to.
        inner_block: BranchPath => "innerBlock", default BranchPath::default();
        /// Where it stops, as if there was a Finish.
        stop_positions: Vec<PositionOrLabel> => "stopPositions", default Vec::new();
        /// What came of what it did.
        historic_outcomes: History => "historicOutcomes", default History::default();
    }
}

crate::json_struct! {
    /// An outcome with the position where it came about.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct HistoricOutcome {
        /// Where.
        position: Position => "position";
        /// What.
        outcome: Outcome => "outcome";
    }
}

crate::json_struct! {
    /// A file which an order was made from.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
    pub struct ExternalOrderKey {
        /// The watch.
        order_watch_path: OrderWatchPath => "orderWatchPath";
        /// The file's name.
        name: ExternalOrderName => "name";
    }
}

crate::json_struct! {
    /// A file which an order was made from, and whether it is still there.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub struct ExternalOrder {
        /// The watch.
        order_watch_path: OrderWatchPath => "orderWatchPath";
        /// The file's name.
        name: ExternalOrderName => "name";
        /// Whether the file has vanished.
        vanished: bool => "vanished", default false;
    }
}

impl ExternalOrder {
    /// Which file.
    #[must_use]
    pub fn key(&self) -> ExternalOrderKey {
        ExternalOrderKey { order_watch_path: self.order_watch_path.clone(), name: self.name.clone() }
    }
}

crate::json_struct! {
    /// That the jobs of a block run on one subagent.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub struct StickySubagent {
        /// The agent.
        agent_path: AgentPath => "agentPath";
        /// The bundle the subagent is chosen from.
        subagent_bundle_id: Option<SubagentBundleId> => "subagentBundleId" | "subagentSelectionId", default None;
        /// The subagent, once chosen.
        stuck_subagent_id: Option<SubagentId> => "stuckSubagentId", default None;
    }
}

crate::json_union! {
    /// Whether an order is at an agent, or on the way.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub enum AttachedState {
        /// On the way to the agent.
        Attaching => "Attaching" {
            /// The agent.
            agent_path: AgentPath => "agentPath";
        };
        /// At the agent.
        Attached => "Attached" {
            /// The agent.
            agent_path: AgentPath => "agentPath";
        };
        /// On the way back from the agent.
        Detaching => "Detaching" {
            /// The agent.
            agent_path: AgentPath => "agentPath";
        };
    }
}

impl AttachedState {
    /// The agent.
    #[must_use]
    pub fn agent_path(&self) -> &AgentPath {
        match self {
            Self::Attaching { agent_path } | Self::Attached { agent_path } | Self::Detaching { agent_path } => {
                agent_path
            }
        }
    }
}

crate::json_union! {
    /// The state of an order.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum OrderState {
        /// Not started.
        Fresh => "Fresh";
        /// Between instructions.
        Ready => "Ready";
        /// A process is running.
        Processing => "Processing" {
            /// At this subagent.
            subagent_id: Option<SubagentId> => "subagentId", default None;
            /// Chosen from this bundle.
            subagent_bundle_id: Option<SubagentBundleId> => "subagentBundleId", default None;
            /// When the process is ended because its admission period is over.
            end_of_admission_period: Option<Timestamp> => "endOfAdmissionPeriod", default None;
        };
        /// The process has ended.
        Processed => "Processed";
        /// The process was killed by command.
        ProcessingKilled => "ProcessingKilled";
        /// Waits before the next try.
        DelayingRetry => "DelayingRetry" {
            /// Until then.
            until: Timestamp => "until";
        };
        /// Waits after an error. Of old journals.
        DelayedAfterError => "DelayedAfterError" {
            /// Until then.
            until: Timestamp => "until";
        };
        /// Waits for its children.
        Forked => "Forked" {
            /// The children.
            children: Vec<ForkedChild> => "children";
        };
        /// Waits for locks.
        WaitingForLock => "WaitingForLock";
        /// Waits for an admission period.
        WaitingForAdmission => "WaitingForAdmission" {
            /// Until then.
            until: Timestamp => "until";
        };
        /// Waits for notices.
        ExpectingNotices => "ExpectingNotices" {
            /// These.
            notice_ids: Vec<NoticeId> => "noticeIds";
        };
        /// Waits for a notice. Of old journals.
        ExpectingNotice => "ExpectingNotice" {
            /// This.
            notice_id: NoticeKey => "noticeId";
        };
        /// Waits for the answer of a person.
        Prompting => "Prompting" {
            /// The question.
            question: Value => "question";
        };
        /// Waits for the next cycle.
        BetweenCycles => "BetweenCycles" {
            /// The next cycle. Absent: there is none.
            cycle_state: Option<CycleState> => "cycleState", default None;
        };
        /// Sleeps.
        Sleeping => "Sleeping" {
            /// Until then.
            until: Timestamp => "until";
            /// Why.
            cause: SleepCause => "cause", shown SleepCause::SleepInstruction;
        };
        /// Failed; can be resumed or cancelled.
        Failed => "Failed";
        /// Failed before it started; can be cancelled.
        FailedWhileFresh => "FailedWhileFresh";
        /// Failed in a fork branch and waits to be joined.
        FailedInFork => "FailedInFork";
        /// Stopped; can be resumed or cancelled.
        Stopped => "Stopped";
        /// Stopped before it started.
        StoppedWhileFresh => "StoppedWhileFresh";
        /// At its end.
        Finished => "Finished";
        /// Cancelled.
        Cancelled => "Cancelled";
        /// Gone.
        Deleted => "Deleted";
        /// Cannot go on because of an error of the engine or of a condition it cannot cope with.
        Broken => "Broken" {
            /// Why.
            problem: Option<Problem> => "problem", default None;
        };
    }
    rewrite super::legacy::order_state;
}

crate::json_struct! {
    /// A child of a fork.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct ForkedChild {
        /// The child order.
        order_id: OrderId => "orderId";
        /// The branch of a Fork; absent for a ForkList.
        branch_id: Option<Arc<str>> => "branchId", default None;
        /// The child's own arguments.
        arguments: Fields => "arguments", default Fields::default();
    }
}

crate::json_union! {
    /// Why an order sleeps.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub enum SleepCause {
        /// A Sleep instruction.
        SleepInstruction => "SleepInstruction";
        /// An AddOrder instruction was executed too often.
        Throttle => "Throttle";
    }
}

crate::json_union! {
    /// What is to be done with an order as soon as possible.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum OrderMark {
        /// Cancel it.
        Cancelling => "Cancelling" {
            /// How.
            mode: CancellationMode => "mode", shown CancellationMode::DEFAULT;
        };
        /// Suspend it.
        Suspending => "Suspending" {
            /// How.
            mode: SuspensionMode => "mode", shown SuspensionMode::default();
        };
        /// Resume it.
        Resuming => "Resuming" {
            /// Where it goes on.
            position: Option<Position> => "position", default None;
            /// Changes of its history.
            history_operations: Vec<HistoryOperation> => "historyOperations" | "historicOperations", default Vec::new();
            /// Whether its last outcome counts as success.
            as_succeeded: bool => "asSucceeded", default false;
            /// Whether a killed job is executed again.
            restart_killed_job: bool => "restartKilledJob", default false;
        };
        /// Let it not wait.
        Go => "Go" {
            /// If it is here.
            position: Position => "position";
        };
    }
}

crate::json_union! {
    /// How an order is cancelled.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum CancellationMode {
        /// Only if it has not been started.
        FreshOnly => "FreshOnly";
        /// Started or not.
        FreshOrStarted => "FreshOrStarted" {
            /// Whether a running process is killed.
            kill: Option<Kill> => "kill", default None;
        };
    }
}

impl CancellationMode {
    /// What is meant when nothing is said.
    pub const DEFAULT: Self = Self::FreshOrStarted { kill: None };
}

crate::json_struct! {
    /// How an order is suspended.
    #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct SuspensionMode {
        /// Whether it leaves its waiting state.
        reset_state: bool => "resetState", shown false;
        /// Whether a running process is killed.
        kill: Option<Kill> => "kill", default None;
    }
}

crate::json_struct! {
    /// How a running process is killed.
    #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct Kill {
        /// SIGKILL instead of SIGTERM.
        immediately: bool => "immediately", shown false;
        /// Only if the order is here.
        workflow_position: Option<WorkflowPosition> => "workflowPosition", default None;
    }
}

crate::json_union! {
    /// A change of an order's history, made when it is resumed.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum HistoryOperation {
        /// Replaces an outcome.
        Replace => "Replace" {
            /// Of which position.
            position: Position => "position";
            /// By which.
            outcome: Outcome => "outcome";
        };
        /// Inserts an outcome before another.
        Insert => "Insert" {
            /// Position of the other.
            before: Position => "before";
            /// Position of the new.
            position: Position => "position";
            /// The new one.
            outcome: Outcome => "outcome";
        };
        /// Deletes an outcome.
        Delete => "Delete" {
            /// Of which position.
            position: Position => "position";
        };
        /// Appends an outcome.
        Append => "Append" {
            /// With which position.
            position: Position => "position";
            /// Which.
            outcome: Outcome => "outcome";
        };
    }
}

crate::json_union! {
    /// Why an order makes no step. Derived from the state, not journaled.
    #[derive(Clone, Debug, PartialEq)]
    pub enum Obstacle {
        /// A person must answer.
        WaitingForCommand => "WaitingForCommand";
        /// The admission period has not begun.
        WaitingForAdmission => "WaitingForAdmission" {
            /// When it begins.
            until: Timestamp => "until";
        };
        /// It waits for a point in time.
        WaitingForOtherTime => "WaitingForOtherTime" {
            /// Which.
            until: Timestamp => "until";
        };
        /// The agent runs as many processes as it may.
        AgentProcessLimitReached => "AgentProcessLimitReached";
        /// The job has as many processes as it may.
        JobProcessLimitReached => "JobProcessLimitReached" {
            /// How many that are.
            process_limit: Option<u32> => "processLimit", default None;
        };
        /// The workflow is suspended.
        WorkflowSuspended => "WorkflowSuspended";
        /// No subagent can take the process.
        NoSubagentAvailable => "NoSubagentAvailable";
    }
}

/// The board and key of old notice references.
#[derive(Clone, Debug, PartialEq)]
pub struct BoardAndKey {
    /// The board.
    pub board_path: BoardPath,
    /// The key.
    pub notice_key: NoticeKey,
}
