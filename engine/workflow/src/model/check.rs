//! Checks of documents beyond the form of their parts.

use super::instruction::{Instruction, Statement};
use super::workflow::{Block, Workflow};
use crate::id::{JobName, Label};
use crate::problem::{Checked, Problem};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Display;

/// Refuses lists in which something is given twice.
///
/// # Errors
/// `Unexpected duplicates: 2×Lock:A`
pub fn unique<T: Display>(kind: &str, names: impl Iterator<Item = T>) -> Checked<()> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(if kind.is_empty() { name.to_string() } else { format!("{kind}:{name}") }).or_default() += 1;
    }
    refuse_duplicates(counts)
}

/// Refuses counts above one.
///
/// # Errors
/// `Unexpected duplicates: 2×Lock:A`
pub fn refuse_duplicates(counts: BTreeMap<String, usize>) -> Checked<()> {
    let duplicates: Vec<String> =
        counts.into_iter().filter(|(_, n)| *n > 1).map(|(name, n)| format!("{n}×{name}")).collect();
    if duplicates.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(format!("Unexpected duplicates: {}", duplicates.join(", "))))
    }
}

/// The blocks of an instruction, each with whether it is the catch block of a Try.
fn blocks(instruction: &Instruction) -> Vec<&Block> {
    match instruction {
        Instruction::If { if_thens, else_block } => if_thens.iter().map(|i| &i.then).chain(else_block).collect(),
        Instruction::Try { try_block, catch_block, .. } => Vec::from([try_block, catch_block]),
        Instruction::Fork { branches, .. } => branches.iter().map(|b| &b.workflow).collect(),
        Instruction::ForkList { workflow: block, .. }
        | Instruction::Lock { locked_workflow: block, .. }
        | Instruction::ConsumeNotices { subworkflow: block, .. }
        | Instruction::Options { block, .. }
        | Instruction::Cycle { cycle_workflow: block, .. }
        | Instruction::AdmissionTime { block, .. }
        | Instruction::StickySubagent { subworkflow: block, .. } => Vec::from([block]),
        _ => Vec::new(),
    }
}

/// Checks an instruction by itself.
///
/// # Errors
/// Says what is wrong.
pub(super) fn instruction(instruction: &Instruction) -> Checked<()> {
    match instruction {
        Instruction::If { if_thens, .. } if if_thens.is_empty() => {
            Err(Problem::new("An If needs at least one predicate with a block"))
        }
        Instruction::Try { catch_block, retry_delays, max_tries, .. } => {
            if *max_tries == Some(0) {
                return Err(Problem::new("maxTries must not be below 1"));
            }
            if retry_delays.iter().flatten().any(|delay| delay.is_negative()) {
                return Err(Problem::new("A retry delay must not be negative"));
            }
            if (retry_delays.is_some() || max_tries.is_some()) && !contains_retry(catch_block) {
                return Err(Problem::new(
                    "Missing a retry instruction in the catch block to make sense of retryDelays or maxTries",
                ));
            }
            Ok(())
        }
        Instruction::Fork { branches, .. } => {
            let mut ids: Vec<&Arc<str>> = branches.iter().map(|b| &b.id).collect();
            ids.sort();
            let duplicates: Vec<&str> = ids.windows(2).filter(|w| w[0] == w[1]).map(|w| &**w[0]).collect();
            if !duplicates.is_empty() {
                return Err(Problem::coded(
                    "DuplicatedBranchIdsInFork",
                    [("branchIds", duplicates.join(", "))],
                    format!("Fork branch ids must be unique, but given twice are: {}", duplicates.join(", ")),
                ));
            }
            let results = branches.iter().filter_map(|b| b.workflow.result.as_ref()).flat_map(|r| r.keys());
            unique("", results)
        }
        Instruction::ForkList { child_to_id, child_to_arguments, .. } => {
            child_to_id.restrict("childToId", 1, 2)?;
            child_to_arguments.restrict("childToArguments", 0, 2).map(|_| ())
        }
        Instruction::Lock { demands, .. } => {
            if demands.is_empty() {
                return Err(Problem::new("A Lock needs at least one demand"));
            }
            unique("Lock", demands.iter().map(|d| &d.lock_path))
        }
        Instruction::PostNotices { board_paths } => unique("Board", board_paths.iter()),
        _ => Ok(()),
    }
}

/// A Retry which belongs to this catch block: looked for in If, and in the try part of nested Try.
fn contains_retry(block: &Block) -> bool {
    block.instructions.iter().any(|statement| match &statement.instruction {
        Instruction::Retry => true,
        Instruction::If { if_thens, else_block } => {
            if_thens.iter().map(|i| &i.then).chain(else_block).any(contains_retry)
        }
        Instruction::Try { try_block, .. } => contains_retry(try_block),
        _ => false,
    })
}

/// Checks a workflow as a whole. Finds all problems.
///
/// # Errors
/// All problems combined.
pub(super) fn workflow(workflow: &Workflow) -> Checked<()> {
    let mut check = WorkflowCheck { jobs: Vec::new(), labels: BTreeMap::new(), has_cycle: false, problems: Vec::new() };
    let jobs: Vec<&JobName> = workflow.jobs.keys().collect();
    for job in workflow.jobs.values() {
        check.job(job);
    }
    check.jobs.push(jobs);
    check.block(&workflow.instructions, Surroundings::default());
    if check.has_cycle && workflow.calendar_path.is_none() {
        check.problems.push(Problem::new("Cycle instruction requires calendarPath"));
    }
    for (label, count) in check.labels {
        if count > 1 {
            check.problems.push(Problem::new(format!("Duplicate label '{label}' in the workflow: {count} times")));
        }
    }
    Problem::combine(check.problems).map_or(Ok(()), Err)
}

#[derive(Clone, Copy, Default)]
struct Surroundings {
    in_catch: bool,
    in_cycle: bool,
}

struct WorkflowCheck<'a> {
    /// Names of the known jobs, outermost block first.
    jobs: Vec<Vec<&'a JobName>>,
    labels: BTreeMap<&'a Label, usize>,
    has_cycle: bool,
    problems: Vec<Problem>,
}

impl<'a> WorkflowCheck<'a> {
    /// Recursion is bounded by the nesting limit of documents.
    fn block(&mut self, statements: &'a [Statement], around: Surroundings) {
        for statement in statements {
            if let Some(label) = &statement.label {
                *self.labels.entry(label).or_default() += 1;
            }
            self.instruction(&statement.instruction, around);
        }
    }

    fn nested(&mut self, block: &'a Block, around: Surroundings) {
        self.jobs.push(block.jobs.keys().collect());
        for job in block.jobs.values() {
            self.job(job);
        }
        self.block(&block.instructions, around);
        self.jobs.pop();
    }

    fn instruction(&mut self, instruction: &'a Instruction, around: Surroundings) {
        match instruction {
            Instruction::ExecuteNamed { job_name, .. } => {
                if !self.jobs.iter().any(|jobs| jobs.contains(&job_name)) {
                    self.problems.push(Problem::new(format!("Unknown job name '{job_name}'")));
                }
            }
            Instruction::ExecuteAnonymous { job, .. } => self.job(job),
            Instruction::Retry if !around.in_catch => {
                self.problems.push(Problem::new("Statement 'retry' is only allowed in a catch block"));
            }
            Instruction::Break if !around.in_cycle => {
                self.problems.push(Problem::new("Statement 'break' is only allowed in a cycle block"));
            }
            Instruction::Try { try_block, catch_block, .. } => {
                self.nested(try_block, around);
                self.nested(catch_block, Surroundings { in_catch: true, ..around });
                return;
            }
            Instruction::Cycle { .. } => self.has_cycle = true,
            _ => {}
        }
        let inner = match instruction {
            Instruction::If { .. } => around,
            Instruction::Fork { .. } | Instruction::ForkList { .. } => Surroundings::default(),
            Instruction::Cycle { .. } => Surroundings { in_catch: false, in_cycle: true },
            _ => Surroundings { in_catch: false, ..around },
        };
        for block in blocks(instruction) {
            self.nested(block, inner);
        }
    }

    fn job(&mut self, job: &super::job::WorkflowJob) {
        use crate::value::Value;
        let Some(constant) = job.subagent_bundle_id_expr.as_ref().and_then(|e| e.as_constant()) else {
            return;
        };
        match &constant {
            Value::String(name) if name.is_empty() => {}
            Value::String(name) => {
                if let Err(problem) = crate::id::SubagentBundleId::checked(name) {
                    self.problems.push(problem);
                }
            }
            _ => self.problems.push(Problem::new("subagentBundleIdExpr must give a name (a string)")),
        }
    }
}
