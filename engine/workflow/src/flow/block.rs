//! Blocks: which ones an instruction has, and what stands in them.

use crate::id::JobName;
use crate::model::instruction::{ForkBranch, IfThen, Instruction, Statement};
use crate::model::job::{Expressions, WorkflowJob};
use crate::model::workflow::{Block, IMPLICIT_END};
use crate::position::BranchId;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A block: that of an instruction, or the whole workflow.
#[derive(Clone, Copy, Debug)]
pub struct BlockRef<'a> {
    /// The instructions as written.
    pub statements: &'a [Statement],
    /// The jobs defined here.
    pub jobs: &'a BTreeMap<JobName, Arc<WorkflowJob>>,
    /// The values which a fork child returns.
    pub result: Option<&'a Expressions>,
}

impl<'a> From<&'a Block> for BlockRef<'a> {
    fn from(block: &'a Block) -> Self {
        Self { statements: &block.instructions, jobs: &block.jobs, result: block.result.as_ref() }
    }
}

impl<'a> BlockRef<'a> {
    /// The instruction of this number. One past the last there is the end, if it is not written.
    #[must_use]
    pub fn statement(self, nr: u32) -> Option<&'a Statement> {
        let index = usize::try_from(nr).ok()?;
        match self.statements.get(index) {
            Some(statement) => Some(statement),
            None if index == self.statements.len() && !self.has_written_end() => Some(&IMPLICIT_END),
            None => None,
        }
    }

    /// Number of positions, the end included.
    #[must_use]
    pub fn count(self) -> u32 {
        let count = self.statements.len() + usize::from(!self.has_written_end());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn has_written_end(self) -> bool {
        self.statements
            .last()
            .is_some_and(|last| matches!(last.instruction, Instruction::ExplicitEnd | Instruction::ImplicitEnd))
    }
}

/// The block of a branch; `None` if the instruction has no such branch.
#[must_use]
pub fn block_of<'a>(instruction: &'a Instruction, branch: &BranchId) -> Option<&'a Block> {
    match (instruction, branch) {
        (Instruction::If { if_thens, .. }, BranchId::Then(i)) => {
            let index = usize::try_from(*i).ok()?.checked_sub(1)?;
            if_thens.get(index).map(|if_then| &if_then.then)
        }
        (Instruction::If { else_block, .. }, BranchId::Else) => else_block.as_ref(),
        (Instruction::Try { try_block, .. }, BranchId::Try(_)) => Some(try_block),
        (Instruction::Try { catch_block, .. }, BranchId::Catch(_)) => Some(catch_block),
        (Instruction::Fork { branches, .. }, BranchId::Fork(id)) => {
            branches.iter().find(|branch| branch.id == *id).map(|branch| &branch.workflow)
        }
        (Instruction::ForkList { workflow, .. }, BranchId::ForkList) => Some(workflow),
        (Instruction::Lock { locked_workflow, .. }, BranchId::Lock) => Some(locked_workflow),
        (Instruction::Cycle { cycle_workflow, .. }, BranchId::Cycle(_)) => Some(cycle_workflow),
        (Instruction::ConsumeNotices { subworkflow, .. }, BranchId::ConsumeNotices)
        | (Instruction::StickySubagent { subworkflow, .. }, BranchId::StickySubagent) => Some(subworkflow),
        (Instruction::Options { block, .. }, BranchId::Options)
        | (Instruction::AdmissionTime { block, .. }, BranchId::AdmissionTime) => Some(block),
        _ => None,
    }
}

/// The blocks of an instruction with their branches, normalized, in the order of the text.
#[must_use]
pub fn branches(instruction: &Instruction) -> Vec<(BranchId, &Block)> {
    let one = |branch, block| Vec::from([(branch, block)]);
    match instruction {
        Instruction::If { if_thens, else_block } => (1..)
            .zip(if_thens)
            .map(|(i, if_then)| (BranchId::Then(i), &if_then.then))
            .chain(else_block.iter().map(|block| (BranchId::Else, block)))
            .collect(),
        Instruction::Try { try_block, catch_block, .. } => {
            Vec::from([(BranchId::Try(None), try_block), (BranchId::Catch(None), catch_block)])
        }
        Instruction::Fork { branches, .. } => {
            branches.iter().map(|branch| (BranchId::Fork(branch.id.clone()), &branch.workflow)).collect()
        }
        Instruction::ForkList { workflow, .. } => one(BranchId::ForkList, workflow),
        Instruction::Lock { locked_workflow, .. } => one(BranchId::Lock, locked_workflow),
        Instruction::Cycle { cycle_workflow, .. } => one(BranchId::Cycle(None), cycle_workflow),
        Instruction::ConsumeNotices { subworkflow, .. } => one(BranchId::ConsumeNotices, subworkflow),
        Instruction::StickySubagent { subworkflow, .. } => one(BranchId::StickySubagent, subworkflow),
        Instruction::Options { block, .. } => one(BranchId::Options, block),
        Instruction::AdmissionTime { block, .. } => one(BranchId::AdmissionTime, block),
        _ => Vec::new(),
    }
}

/// The instruction with other blocks.
pub(super) fn map_blocks(instruction: &Instruction, map: &mut dyn FnMut(&Block) -> Block) -> Instruction {
    match instruction {
        Instruction::If { if_thens, else_block } => Instruction::If {
            if_thens: if_thens
                .iter()
                .map(|if_then| IfThen { predicate: if_then.predicate.clone(), then: map(&if_then.then) })
                .collect(),
            else_block: else_block.as_ref().map(map),
        },
        Instruction::Try { try_block, catch_block, retry_delays, max_tries } => Instruction::Try {
            try_block: map(try_block),
            catch_block: map(catch_block),
            retry_delays: retry_delays.clone(),
            max_tries: *max_tries,
        },
        Instruction::Fork { branches, agent_path, join_if_failed } => Instruction::Fork {
            branches: branches
                .iter()
                .map(|branch| ForkBranch { id: branch.id.clone(), workflow: map(&branch.workflow) })
                .collect(),
            agent_path: agent_path.clone(),
            join_if_failed: *join_if_failed,
        },
        Instruction::ForkList { children, child_to_id, child_to_arguments, workflow, agent_path, join_if_failed } => {
            Instruction::ForkList {
                children: children.clone(),
                child_to_id: child_to_id.clone(),
                child_to_arguments: child_to_arguments.clone(),
                workflow: map(workflow),
                agent_path: agent_path.clone(),
                join_if_failed: *join_if_failed,
            }
        }
        Instruction::Lock { demands, locked_workflow } => {
            Instruction::Lock { demands: demands.clone(), locked_workflow: map(locked_workflow) }
        }
        Instruction::Cycle { schedule, cycle_workflow, only_one_period } => Instruction::Cycle {
            schedule: schedule.clone(),
            cycle_workflow: map(cycle_workflow),
            only_one_period: *only_one_period,
        },
        Instruction::ConsumeNotices { board_paths, subworkflow, when_not_announced } => Instruction::ConsumeNotices {
            board_paths: board_paths.clone(),
            subworkflow: map(subworkflow),
            when_not_announced: *when_not_announced,
        },
        Instruction::StickySubagent { agent_path, subagent_bundle_id_expr, subworkflow } => {
            Instruction::StickySubagent {
                agent_path: agent_path.clone(),
                subagent_bundle_id_expr: subagent_bundle_id_expr.clone(),
                subworkflow: map(subworkflow),
            }
        }
        Instruction::Options { stop_on_failure, block } => {
            Instruction::Options { stop_on_failure: *stop_on_failure, block: map(block) }
        }
        Instruction::AdmissionTime { admission_time_scheme, skip_if_no_admission_start_for_order_day, block } => {
            Instruction::AdmissionTime {
                admission_time_scheme: admission_time_scheme.clone(),
                skip_if_no_admission_start_for_order_day: *skip_if_no_admission_start_for_order_day,
                block: map(block),
            }
        }
        other => other.clone(),
    }
}
