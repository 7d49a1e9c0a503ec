//! Which job is executed at a position, and whether it is skipped on the order's day.

use super::Flow;
use crate::id::{JobName, OrderId};
use crate::model::instruction::Instruction;
use crate::model::job::{Expressions, JobKey, WorkflowJob};
use crate::position::{BranchPath, Position};
use crate::problem::{Checked, Problem};
use crate::schedule::{Admission, AdmissionTimeScheme, date_of_order_id};
use alloc::format;
use alloc::sync::Arc;

/// The job which an instruction executes.
#[derive(Clone, Debug)]
pub struct JobAt<'a> {
    /// The job.
    pub job: &'a Arc<WorkflowJob>,
    /// Its name; `None` for the job of an Execute.Anonymous.
    pub name: Option<&'a JobName>,
    /// Values of arguments, given by the instruction.
    pub default_arguments: &'a Expressions,
    /// Identifies the job for its limits and its queue.
    pub key: JobKey,
}

impl Flow {
    /// The job executed at this position.
    ///
    /// # Errors
    /// No such position, no Execute instruction there, or no job of this name.
    pub fn job_at(&self, position: &Position) -> Checked<JobAt<'_>> {
        match self.checked_instruction(position)? {
            Instruction::ExecuteNamed { job_name, default_arguments } => {
                let (job, block) = self
                    .named_job(&position.block, job_name)
                    .ok_or_else(|| Problem::new(format!("Unknown job name '{job_name}' in Workflow:{}", self.id)))?;
                let key = JobKey::Named { workflow_id: self.id.clone(), block, name: job_name.clone() };
                Ok(JobAt { job, name: Some(job_name), default_arguments, key })
            }
            Instruction::ExecuteAnonymous { job, default_arguments } => {
                let key = JobKey::Anonymous { workflow_id: self.id.clone(), position: position.normalized() };
                Ok(JobAt { job, name: None, default_arguments, key })
            }
            other => Err(Problem::new(format!(
                "Expected an Execute instruction at {position} in Workflow:{}, but there is a {}",
                self.id,
                other.type_name()
            ))),
        }
    }

    /// The job of this name as seen in a block: of the innermost block which knows one, with the normalized path of that block.
    #[must_use]
    pub fn named_job(&self, block: &BranchPath, name: &JobName) -> Option<(&Arc<WorkflowJob>, BranchPath)> {
        let (job, depth) = self.find_job(block, name)?;
        Some((job, BranchPath(block.0[..depth].to_vec()).normalized()))
    }

    /// The job, and how deep the block is nested which knows it.
    fn find_job(&self, block: &BranchPath, name: &JobName) -> Option<(&Arc<WorkflowJob>, usize)> {
        let mut found = self.workflow.jobs.get(name).map(|job| (job, 0));
        self.descend(block, |depth, _, inner| {
            if let Some(job) = inner.jobs.get(name) {
                found = Some((job, depth + 1));
            }
        })?;
        found
    }

    /// Whether the instruction at this position (a job or an AdmissionTime block) is to be skipped, because no admission
    /// period starts on the day of the order id. Not for orders which ignore admission times.
    #[must_use]
    pub fn is_skipped_on_order_day(&self, position: &Position, order_id: &OrderId) -> bool {
        let Some(instruction) = self.instruction(position) else {
            return false;
        };
        if let Instruction::AdmissionTime { admission_time_scheme, skip_if_no_admission_start_for_order_day, .. } =
            instruction
        {
            return *skip_if_no_admission_start_for_order_day
                && self.has_no_start_on_order_day(admission_time_scheme, order_id);
        }
        let job = match instruction {
            Instruction::ExecuteNamed { job_name, .. } => self.find_job(&position.block, job_name).map(|(job, _)| job),
            Instruction::ExecuteAnonymous { job, .. } => Some(job),
            _ => None,
        };
        job.is_some_and(|job| {
            job.skip_if_no_admission_start_for_order_day
                && job
                    .admission_time_scheme
                    .as_ref()
                    .is_some_and(|scheme| self.has_no_start_on_order_day(scheme, order_id))
        })
    }

    fn has_no_start_on_order_day(&self, scheme: &AdmissionTimeScheme, order_id: &OrderId) -> bool {
        date_of_order_id(order_id.as_str())
            .is_some_and(|day| !Admission::new(scheme, &self.workflow.time_zone).has_period_start_for_day(day))
    }
}
