//! Instructions of workflows.

use super::job::{Expressions, WorkflowJob};
use super::outcome::Outcome;
use super::workflow::Block;
use crate::expression::Expression;
use crate::expression::board::BoardExpression;
use crate::expression::function::ExprFunction;
use crate::id::{AgentPath, BoardPath, JobName, Label, LockPath, WorkflowPath};
use crate::json::schema::{self, Schemas};
use crate::json::{Doc, Json, Node};
use crate::position::{BranchPath, PositionOrLabel};
use crate::problem::{Checked, Problem};
use crate::schedule::{AdmissionTimeScheme, Schedule};
use crate::time::Duration;
use crate::value::{Fields, Value};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// An instruction with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Unique in the workflow.
    pub label: Option<Label>,
    /// What is done.
    pub instruction: Instruction,
}

impl Json for Statement {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        if doc.node.get("TYPE").and_then(Node::as_str) == Some("If")
            && doc.node.get("ifThens").is_some()
            && doc.node.get("predicate").is_some()
        {
            return doc.fail(Problem::new("An If has either ifThens or predicate and then, not both"));
        }
        let label = doc.object()?.optional("label", &[], || None);
        let instruction = Instruction::read(doc);
        Some(Self { label: label?, instruction: instruction? })
    }

    fn write(&self) -> Value {
        let instruction = self.instruction.write();
        match (&self.label, instruction) {
            (Some(label), Value::Object(fields)) => Value::Object(
                fields.iter().map(|(n, v)| (n.clone(), v.clone())).chain([("label".into(), label.write())]).collect(),
            ),
            (_, instruction) => instruction,
        }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        let instruction = Instruction::schema(schemas);
        let label = schema::object(
            "",
            &[],
            Vec::from([schema::Member {
                name: "label",
                aliases: &[],
                doc: "Unique in the workflow.".into(),
                schema: schema::of_type("string"),
                required: false,
            }]),
        );
        Value::object([("allOf", Value::list([instruction, label]))])
    }
}

crate::json_union! {
    /// What an order does at a position.
    #[derive(Clone, Debug, PartialEq)]
    pub enum Instruction {
        /// Executes a job of the workflow by name.
        ExecuteNamed => "Execute.Named" {
            /// The job.
            job_name: JobName => "jobName";
            /// Values of arguments which nothing else gives; before those of the job.
            default_arguments: Expressions => "defaultArguments", default Expressions::new();
        };
        /// Executes a job which stands here.
        ExecuteAnonymous => "Execute.Anonymous" {
            /// The job.
            job: Arc<WorkflowJob> => "job";
            /// Values of arguments which nothing else gives; before those of the job.
            default_arguments: Expressions => "defaultArguments", default Expressions::new();
        };
        /// Executes the first block whose predicate is true.
        If => "If" {
            /// The alternatives.
            if_thens: Vec<IfThen> => "ifThens";
            /// What is done when no predicate is true.
            else_block: Option<Block> => "else", default None;
        };
        /// Executes a block and catches its failure.
        Try => "Try" {
            /// What is tried.
            try_block: Block => "try";
            /// What is done after a failure.
            catch_block: Block => "catch";
            /// Waiting times before the first, second, … Retry; the last repeats.
            retry_delays: Option<Vec<Duration>> => "retryDelays", default None;
            /// How often the block is tried at most.
            max_tries: Option<u32> => "maxTries", default None;
        };
        /// In a catch block: tries again.
        Retry => "Retry";
        /// Executes branches in parallel, each with an order of its own, and waits for all.
        Fork => "Fork" {
            /// The branches.
            branches: Vec<ForkBranch> => "branches";
            /// Where to fork.
            agent_path: Option<AgentPath> => "agentPath", default None;
            /// Whether failed children are joined, too (the fork then fails).
            join_if_failed: bool => "joinIfFailed", default false;
        };
        /// Executes a block for each element of a list in parallel, and waits for all.
        ForkList => "ForkList" {
            /// The list.
            children: Expression => "children";
            /// Gives the child's id from the element and its index.
            child_to_id: ExprFunction => "childToId";
            /// Gives the child's arguments (an object) from the element and its index.
            child_to_arguments: ExprFunction => "childToArguments", default super::forms::empty_object_function();
            /// What each child does.
            workflow: Block => "workflow";
            /// Where to fork.
            agent_path: Option<AgentPath> => "agentPath", default None;
            /// Whether failed children are joined, too (the fork then fails).
            join_if_failed: bool => "joinIfFailed", default false;
        };
        /// Executes a block while holding locks.
        Lock => "Lock" {
            /// What is needed of which locks.
            demands: Vec<LockDemand> => "demands";
            /// What is done with the locks.
            locked_workflow: Block => "lockedWorkflow";
        };
        /// Posts notices.
        PostNotices => "PostNotices" {
            /// The boards.
            board_paths: Vec<BoardPath> => "boardPaths";
        };
        /// Waits for notices.
        ExpectNotices => "ExpectNotices" | "ReadNotices" {
            /// Which boards must have one, like `'A' && ('B' || 'C')`.
            board_paths: BoardExpression => "boardPaths";
            /// What to do when a notice is neither there nor announced.
            when_not_announced: WhenNotAnnounced => "whenNotAnnounced", shown WhenNotAnnounced::Wait;
        };
        /// Waits for notices, executes a block, then deletes them.
        ConsumeNotices => "ConsumeNotices" {
            /// Which boards must have one, like `'A' && ('B' || 'C')`.
            board_paths: BoardExpression => "boardPaths";
            /// What is done while the notices are being consumed.
            subworkflow: Block => "subworkflow", default Block::default();
            /// What to do when a notice is neither there nor announced.
            when_not_announced: WhenNotAnnounced => "whenNotAnnounced", shown WhenNotAnnounced::Wait;
        };
        /// Asks a person and waits for the answer.
        Prompt => "Prompt" {
            /// The question.
            question: Expression => "question";
        };
        /// Adds another order.
        AddOrder => "AddOrder" {
            /// Its id.
            order_id: Expression => "orderId";
            /// Its workflow.
            workflow_path: WorkflowPath => "workflowPath";
            /// Its plan, if not that of the adding order.
            plan_id: Option<Expression> => "planId", default None;
            /// Its arguments.
            arguments: Expressions => "arguments", default Expressions::new();
            /// The block it is restricted to.
            inner_block: BranchPath => "innerBlock", default BranchPath::default();
            /// Where it starts.
            start_position: Option<PositionOrLabel> => "startPosition", default None;
            /// Where it stops, as if there was a Finish.
            stop_positions: Vec<PositionOrLabel> => "stopPositions", default Vec::new();
            /// Whether it is deleted when finished or cancelled.
            delete_when_terminated: bool => "deleteWhenTerminated", default false;
            /// Whether it ignores admission times.
            force_admission: bool => "forceAdmission" | "forceJobAdmission", default false;
        };
        /// Lets the order fail.
        Fail => "Fail" {
            /// Why.
            message: Option<Expression> => "message", default None;
            /// Values of the failed outcome.
            named_values: Fields => "namedValues", default Fields::default();
            /// Whether no Try may catch this.
            uncatchable: bool => "uncatchable", default false;
        };
        /// Ends the order, or the fork branch.
        Finish => "Finish" {
            /// With which outcome.
            outcome: Option<Outcome> => "outcome", default None;
        };
        /// Stops the order until it is resumed.
        Stop => "Stop";
        /// Leaves the Cycle.
        Break => "Break";
        /// Settings for a block.
        Options => "Options" {
            /// Whether a failing order is stopped instead.
            stop_on_failure: Option<bool> => "stopOnFailure", default None;
            /// What the settings are for.
            block: Block => "block";
        };
        /// Repeats a block by schedule within the order's day.
        Cycle => "Cycle" {
            /// When the block is executed.
            schedule: Schedule => "schedule";
            /// What is repeated.
            cycle_workflow: Block => "cycleWorkflow";
            /// Whether the cycling ends with the period in which it began.
            only_one_period: bool => "onlyOnePeriod", default false;
        };
        /// Executes a block within admission times only.
        AdmissionTime => "AdmissionTime" {
            /// When the block may be entered.
            admission_time_scheme: AdmissionTimeScheme => "admissionTimeScheme";
            /// Whether the block is skipped when no admission period starts on the order's day.
            skip_if_no_admission_start_for_order_day: bool => "skipIfNoAdmissionStartForOrderDay", shown false;
            /// What is executed.
            block: Block => "block";
        };
        /// Lets all jobs of a block run on the same subagent.
        StickySubagent => "StickySubagent" {
            /// The agent.
            agent_path: AgentPath => "agentPath";
            /// The subagent bundle.
            subagent_bundle_id_expr: Option<Expression> =>
                "subagentBundleIdExpr" | "subagentSelectionIdExpr", default None;
            /// The block.
            subworkflow: Block => "subworkflow";
        };
        /// Waits some time.
        Sleep => "Sleep" {
            /// How long, in seconds.
            duration: Expression => "duration";
        };
        /// Journals a value.
        Say => "Say" {
            /// The value.
            what: Expression => "what";
        };
        /// Does nothing.
        EmptyInstruction => "EmptyInstruction" | "Empty";
        /// Breaks the order. For tests of what follows.
        BreakOrder => "BreakOrder";
        /// At an agent: stands for what another agent or the controller does.
        Gap => "Gap";
        /// The end of a block, written.
        ExplicitEnd => "End" | "ExplicitEnd";
        /// The end of a block, not written.
        ImplicitEnd => "ImplicitEnd";
    }
    check check_instruction;
    rewrite super::legacy::instruction;
}

crate::json_struct! {
    /// An alternative of an If.
    #[derive(Clone, Debug, PartialEq)]
    pub struct IfThen {
        /// Must be true.
        predicate: Expression => "predicate";
        /// What is done then.
        then: Block => "then";
    }
}

crate::json_struct! {
    /// A branch of a Fork.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ForkBranch {
        /// Unique in the Fork.
        id: Arc<str> => "id";
        /// What the child order does.
        workflow: Block => "workflow";
    }
}

crate::json_struct! {
    /// What an order needs of a lock.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub struct LockDemand {
        /// The lock.
        lock_path: LockPath => "lockPath";
        /// How many units, from 1; absent: all of it, exclusively.
        count: Option<i32> => "count", default None;
    }
    check check_lock_demand;
}

fn check_lock_demand(demand: &LockDemand) -> Checked<()> {
    if demand.count.is_some_and(|count| count < 1) {
        return Err(Problem::new(format!("LockDemand.count must not be below 1 for Lock:{}", demand.lock_path)));
    }
    Ok(())
}

/// What an order does when a notice is neither there nor announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenNotAnnounced {
    /// It waits.
    #[default]
    Wait,
    /// It skips the instruction.
    SkipWhenNoNotice,
    /// It goes on as if the notice was there.
    DontWait,
}

impl WhenNotAnnounced {
    const NAMES: [(&'static str, Self); 3] =
        [("Wait", Self::Wait), ("SkipWhenNoNotice", Self::SkipWhenNoNotice), ("DontWait", Self::DontWait)];
}

impl Json for WhenNotAnnounced {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let text = doc.string()?;
        match Self::NAMES.iter().find(|(name, _)| *name == text) {
            Some((_, value)) => Some(*value),
            None => doc.expected("Wait, SkipWhenNoNotice or DontWait"),
        }
    }

    fn write(&self) -> Value {
        Value::from(match self {
            Self::Wait => "Wait",
            Self::SkipWhenNoNotice => "SkipWhenNoNotice",
            Self::DontWait => "DontWait",
        })
    }

    fn schema(_: &mut Schemas) -> Value {
        Value::object([("enum", Value::list(Self::NAMES.iter().map(|(name, _)| Value::from(*name))))])
    }
}

fn check_instruction(instruction: &Instruction) -> Checked<()> {
    super::check::instruction(instruction)
}
