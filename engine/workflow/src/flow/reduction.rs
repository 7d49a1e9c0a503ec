//! The part of a workflow which an agent gets: what it cannot execute is replaced by Gap.

use super::block::map_blocks;
use super::{BlockRef, Flow};
use crate::id::{AgentPath, JobName};
use crate::model::instruction::{Instruction, Statement};
use crate::model::job::WorkflowJob;
use crate::model::workflow::{Block, Workflow};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

type Jobs = BTreeMap<JobName, Arc<WorkflowJob>>;

impl Flow {
    /// The workflow as this agent needs it. Positions stay as they are.
    #[must_use]
    pub fn reduce_for_agent(&self, agent_path: &AgentPath) -> Workflow {
        let mut reduction = Reduction { agent_path, jobs: Vec::new(), has_work: false };
        let root = reduction.block(self.root());
        Workflow { instructions: root.instructions, jobs: root.jobs, ..head(&self.workflow) }
    }
}

/// A workflow without its contents.
fn head(workflow: &Workflow) -> Workflow {
    Workflow {
        path: workflow.path.clone(),
        version_id: workflow.version_id.clone(),
        order_preparation: workflow.order_preparation.clone(),
        time_zone: workflow.time_zone.clone(),
        job_resource_paths: workflow.job_resource_paths.clone(),
        calendar_path: workflow.calendar_path.clone(),
        instructions: Vec::new(),
        jobs: Jobs::new(),
        result: workflow.result.clone(),
        item_revision: workflow.item_revision,
    }
}

struct Reduction<'a> {
    agent_path: &'a AgentPath,
    /// Jobs of the blocks around, outermost first.
    jobs: Vec<Jobs>,
    /// Whether the agent has something to do in what has been visited: it executes a job, or orders are sent there to fork
    /// or to stick to a subagent.
    has_work: bool,
}

impl Reduction<'_> {
    fn block(&mut self, block: BlockRef<'_>) -> Block {
        self.jobs.push(block.jobs.clone());
        let instructions = block
            .statements
            .iter()
            .map(|statement| Statement {
                label: statement.label.clone(),
                instruction: self.instruction(&statement.instruction),
            })
            .collect();
        let mut jobs = self.jobs.pop().unwrap_or_default();
        jobs.retain(|_, job| job.agent_path == *self.agent_path);
        Block { instructions, jobs, result: block.result.cloned() }
    }

    fn instruction(&mut self, instruction: &Instruction) -> Instruction {
        match instruction {
            Instruction::ExecuteNamed { job_name, .. } => {
                let agent_path = self.jobs.iter().rev().find_map(|jobs| jobs.get(job_name)).map(|job| &job.agent_path);
                self.execute(instruction, agent_path == Some(self.agent_path))
            }
            Instruction::ExecuteAnonymous { job, .. } => self.execute(instruction, job.agent_path == *self.agent_path),
            Instruction::If { .. } | Instruction::Try { .. } | Instruction::Options { .. } => self.nested(instruction),
            Instruction::StickySubagent { agent_path, .. } => {
                self.has_work |= agent_path == self.agent_path;
                self.nested(instruction)
            }
            Instruction::Fork { agent_path, .. } | Instruction::ForkList { agent_path, .. } => {
                self.nested_with_work(instruction, agent_path.as_ref() == Some(self.agent_path))
            }
            Instruction::Lock { .. }
            | Instruction::Cycle { .. }
            | Instruction::ConsumeNotices { .. }
            | Instruction::AdmissionTime { .. } => self.nested_with_work(instruction, false),
            other => other.clone(),
        }
    }

    fn execute(&mut self, instruction: &Instruction, is_here: bool) -> Instruction {
        self.has_work |= is_here;
        if is_here { instruction.clone() } else { Instruction::Gap }
    }

    fn nested(&mut self, instruction: &Instruction) -> Instruction {
        map_blocks(instruction, &mut |block| self.block(block.into()))
    }

    /// The reduced instruction, if the agent has something to do in it, or executes it itself.
    fn nested_with_work(&mut self, instruction: &Instruction, is_executed: bool) -> Instruction {
        let had_work = mem::replace(&mut self.has_work, is_executed);
        let reduced = self.nested(instruction);
        let result = if self.has_work { reduced } else { Instruction::Gap };
        self.has_work |= had_work;
        result
    }
}
