//! Commands to a controller.

use super::notice::{GlobalBoard, NoticeId, PlannableBoard};
use super::operation::ItemOperation;
use super::order::{CancellationMode, FreshOrder, HistoryOperation, SuspensionMode};
use super::plan::{PlanId, PlanStatus};
use crate::decimal::Decimal;
use crate::expression::function::ExprFunction;
use crate::id::{AgentPath, GivenOrderId, Label, OrderId, PlanSchemaId, WorkflowId, WorkflowPath};
use crate::json::schema::{self, Schemas};
use crate::json::{Doc, Json};
use crate::position::Position;
use crate::time::{Duration, Timestamp};
use crate::value::{Fields, Value};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

crate::json_union! {
    /// A command to a controller.
    #[derive(Clone, Debug, PartialEq)]
    pub enum Command {
        /// Adds an order. An existing id is no error: the command is ignored.
        AddOrder => "AddOrder" {
            /// The order.
            order: FreshOrder => "order";
        };
        /// Adds orders in one transaction. Existing ids are ignored.
        AddOrders => "AddOrders" {
            /// The orders.
            orders: Vec<FreshOrder> => "orders";
        };
        /// Cancels orders.
        CancelOrders => "CancelOrders" {
            /// Which.
            order_ids: OrderIds => "orderIds";
            /// How.
            mode: CancellationMode => "mode", default CancellationMode::DEFAULT;
        };
        /// Suspends orders.
        SuspendOrders => "SuspendOrders" {
            /// Which.
            order_ids: Vec<OrderId> => "orderIds";
            /// How.
            mode: SuspensionMode => "mode", default SuspensionMode::default();
        };
        /// Resumes an order.
        ResumeOrder => "ResumeOrder" {
            /// Which.
            order_id: OrderId => "orderId";
            /// Where it goes on. Absent: where it is.
            position: Option<Position> => "position", default None;
            /// Changes of its history.
            history_operations: Vec<HistoryOperation> => "historyOperations" | "historicOperations", default Vec::new();
            /// Whether its last outcome counts as success.
            as_succeeded: bool => "asSucceeded", default false;
            /// Whether a killed job is executed again. Absent: if the job may be.
            restart_killed_job: Option<bool> => "restartKilledJob", default None;
        };
        /// Resumes orders where they are.
        ResumeOrders => "ResumeOrders" {
            /// Which.
            order_ids: Vec<OrderId> => "orderIds";
            /// Whether their last outcomes count as success.
            as_succeeded: bool => "asSucceeded", default false;
            /// Whether killed jobs are executed again. Absent: if the job may be.
            restart_killed_job: Option<bool> => "restartKilledJob", default None;
        };
        /// Lets an order not wait.
        GoOrder => "GoOrder" {
            /// Which.
            order_id: OrderId => "orderId";
            /// If it is here, exactly.
            position: Position => "position";
        };
        /// Answers the question of a Prompt.
        AnswerOrderPrompt => "AnswerOrderPrompt" {
            /// The asking order.
            order_id: OrderId => "orderId";
        };
        /// Deletes orders, or lets them be deleted as soon as they are finished or cancelled.
        DeleteOrdersWhenTerminated => "DeleteOrdersWhenTerminated" {
            /// Which.
            order_ids: Vec<OrderId> => "orderIds";
        };
        /// Changes properties of an order.
        ChangeOrder => "ChangeOrder" {
            /// Which.
            order_id: OrderId => "orderId";
            /// The new priority.
            priority: Option<Decimal> => "priority", default None;
        };
        /// Moves all orders of an old workflow version to the current one.
        TransferOrders => "TransferOrders" {
            /// The old version.
            workflow_id: WorkflowId => "workflowId";
        };
        /// Suspends or continues a workflow, and skips labels.
        ControlWorkflowPath => "ControlWorkflowPath" {
            /// Which.
            workflow_path: WorkflowPath => "workflowPath";
            /// Whether no order of it makes a step.
            suspend: Option<bool> => "suspend", default None;
            /// Which labels are skipped or not.
            skip: BTreeMap<Label, bool> => "skip", default BTreeMap::new();
        };
        /// Sets and removes breakpoints.
        ControlWorkflow => "ControlWorkflow" {
            /// Of which workflow version.
            workflow_id: WorkflowId => "workflowId";
            /// Where to suspend arriving orders.
            add_breakpoints: Vec<Position> => "addBreakpoints", default Vec::new();
            /// Where not to any more.
            remove_breakpoints: Vec<Position> => "removeBreakpoints", default Vec::new();
        };
        /// Posts a notice.
        PostNotice => "PostNotice" {
            /// Which.
            notice_id: NoticeId => "noticeId";
            /// When it is deleted by itself. Absent: as the board says.
            end_of_life: Option<Timestamp> => "endOfLife", default None;
        };
        /// Deletes a notice.
        DeleteNotice => "DeleteNotice" {
            /// Which.
            notice_id: NoticeId => "noticeId";
        };
        /// Opens or closes a plan.
        ChangePlan => "ChangePlan" {
            /// Which.
            plan_id: PlanId => "planId";
            /// The new status.
            status: PlanStatus => "status";
        };
        /// Changes a plan schema.
        ChangePlanSchema => "ChangePlanSchema" {
            /// Which.
            plan_schema_id: PlanSchemaId => "planSchemaId";
            /// Values its function sees.
            named_values: Option<Fields> => "namedValues", default None;
            /// How long finished plans are kept.
            finished_plan_retention_period: Option<Duration> => "finishedPlanRetentionPeriod", default None;
        };
        /// Turns a global board into a plannable one.
        ChangeGlobalToPlannableBoard => "ChangeGlobalToPlannableBoard" {
            /// The new board.
            plannable_board: PlannableBoard => "plannableBoard";
            /// The plan schema for its notices.
            plan_schema_id: PlanSchemaId => "planSchemaId";
            /// Splits a notice key into plan key and notice key.
            split_notice_key: ExprFunction => "splitNoticeKey";
        };
        /// Turns a plannable board into a global one.
        ChangePlannableToGlobalBoard => "ChangePlannableToGlobalBoard" {
            /// The new board.
            global_board: GlobalBoard => "globalBoard";
            /// The plan schema whose notices move.
            plan_schema_id: PlanSchemaId => "planSchemaId";
            /// Makes a notice key of plan key and notice key.
            make_notice_key: ExprFunction => "makeNoticeKey";
        };
        /// Changes items in one transaction.
        UpdateItems => "UpdateItems" {
            /// The changes.
            operations: Vec<ItemOperation> => "operations";
        };
        /// Resets an agent: it forgets everything.
        ResetAgent => "ResetAgent" {
            /// Which.
            agent_path: AgentPath => "agentPath";
            /// Also when it cannot be reached or belongs to another controller.
            force: bool => "force", default false;
        };
        /// Resets a subagent: its processes are lost.
        ResetSubagent => "ResetSubagent" {
            /// Which.
            subagent_id: crate::id::SubagentId => "subagentId";
            /// Also when it cannot be reached or belongs to another agent.
            force: bool => "force", default false;
        };
        /// Executes commands one after the other; the failure of one does not stop the others.
        Batch => "Batch" {
            /// The commands.
            commands: Vec<Self> => "commands";
        };
    }
}

/// Orders: listed, or by a predicate.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderIds {
    /// These.
    These(Vec<OrderId>),
    /// All for which the expression or function (of the order id) is true.
    Where(String),
}

impl Json for OrderIds {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match doc.node.as_str() {
            Some(predicate) => Some(Self::Where(predicate.into())),
            None => Vec::read(doc).map(Self::These),
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::These(ids) => ids.write(),
            Self::Where(predicate) => Value::from(predicate.as_str()),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("array")
    }
}

crate::json_union! {
    /// The answer to an accepted command.
    #[derive(Clone, Debug, PartialEq)]
    pub enum Response {
        /// Done, or going to be done.
        Accepted => "Accepted";
        /// To AddOrder.
        AddOrder => "AddOrder.Response" {
            /// Whether there was such an order.
            ignored_because_duplicate: bool => "ignoredBecauseDuplicate", shown false;
        };
        /// To AddOrders.
        AddOrders => "AddOrders.Response" {
            /// The event after which the orders are there.
            event_id: i64 => "eventId";
        };
        /// To Batch.
        Batch => "BatchResponse" {
            /// The answers, problems among them.
            responses: Vec<Value> => "responses";
        };
    }
}

/// The ids given by a client, checked for the reserved character.
#[must_use]
pub fn plain_ids(ids: &[GivenOrderId]) -> Vec<OrderId> {
    ids.iter().map(|id| id.0.clone()).collect()
}
