//! Workflows: blocks of instructions with their jobs.

use super::instruction::{Instruction, Statement};
use super::job::{Expressions, WorkflowJob};
use super::preparation::OrderPreparation;
use crate::id::{CalendarPath, JobName, JobResourcePath, VersionId, WorkflowId, WorkflowPath};
use crate::schedule::TimeZone;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

crate::json_struct! {
    /// A block of instructions. Its end need not be written.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Block {
        /// The instructions.
        instructions: Vec<Statement> => "instructions";
        /// Jobs known in this block.
        jobs: BTreeMap<JobName, Arc<WorkflowJob>> => "jobs", default BTreeMap::new();
        /// Of a fork branch: the values which the child returns.
        result: Option<Expressions> => "result", default None;
    }
    rewrite super::legacy::block;
}

crate::json_struct! {
    /// A workflow.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Workflow {
        /// Its path.
        path: WorkflowPath => "path";
        /// Its version.
        version_id: Option<VersionId> => "versionId", default None;
        /// Which arguments an order has. Absent: any.
        order_preparation: Option<OrderPreparation> => "orderPreparation", default None;
        /// The zone of its admission times and schedules.
        time_zone: TimeZone => "timeZone", default TimeZone::utc();
        /// Job resources for all jobs, after those of the job.
        job_resource_paths: Vec<JobResourcePath> => "jobResourcePaths", default Vec::new();
        /// The calendar which tells the order's day, for Cycle.
        calendar_path: Option<CalendarPath> => "calendarPath", default None;
        /// The instructions.
        instructions: Vec<Statement> => "instructions";
        /// Jobs known in the whole workflow.
        jobs: BTreeMap<JobName, Arc<WorkflowJob>> => "jobs", default BTreeMap::new();
        /// Values which a child returns, when the workflow is used as a fork branch.
        result: Option<Expressions> => "result", default None;
        /// Number of the change, given by the controller.
        item_revision: Option<u32> => "itemRevision", default None;
    }
    inspect super::check::workflow;
    rewrite super::legacy::block;
}

impl Workflow {
    /// Path and version; a workflow without a version gets the reserved version `⊥`.
    #[must_use]
    pub fn id(&self) -> WorkflowId {
        let version_id = self.version_id.clone().unwrap_or_else(|| VersionId::new("⊥"));
        WorkflowId { path: self.path.clone(), version_id }
    }
}

/// The end which a block has when none is written.
pub static IMPLICIT_END: Statement = Statement { label: None, instruction: Instruction::ImplicitEnd };
