//! Checks of documents beyond the form of their parts.

use super::instruction::{Instruction, Statement};
use super::workflow::{Block, Workflow};
use crate::flow::branches;
use crate::id::{JobName, Label};
use crate::position::{BranchId, BranchPath, Position, Segment};
use crate::problem::{Checked, Problem};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
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
    let mut check = WorkflowCheck {
        at: BranchPath::default(),
        jobs: Vec::new(),
        labels: BTreeMap::new(),
        has_cycle: false,
        problems: Vec::new(),
    };
    let jobs: Vec<&JobName> = workflow.jobs.keys().collect();
    for job in workflow.jobs.values() {
        check.job(job);
    }
    check.jobs.push(jobs);
    check.block(&workflow.instructions, Surroundings::default());
    for (label, positions) in check.labels {
        if let Some(problem) = duplicate_label(label, &positions) {
            check.problems.push(problem);
        }
    }
    // What a Cycle needs is only worth saying when it stands right.
    if check.problems.is_empty() && check.has_cycle && workflow.calendar_path.is_none() {
        check.problems.push(Problem::new("Cycle instruction requires calendarPath"));
    }
    Problem::combine(check.problems).map_or(Ok(()), Err)
}

fn duplicate_label(label: &Label, positions: &[Position]) -> Option<Problem> {
    let [first, second, ..] = positions else { return None };
    let shown = positions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Some(Problem::new(if first.block == second.block {
        format!("Duplicate labels in one block: '{label}' at positions {shown}")
    } else {
        format!("Label '{label}' is duplicated at positions {shown}")
    }))
}

#[derive(Clone, Copy, Default)]
struct Surroundings {
    in_catch: bool,
    in_cycle: bool,
}

struct WorkflowCheck<'a> {
    /// The block being checked.
    at: BranchPath,
    /// Names of the known jobs, outermost block first.
    jobs: Vec<Vec<&'a JobName>>,
    labels: BTreeMap<&'a Label, Vec<Position>>,
    has_cycle: bool,
    problems: Vec<Problem>,
}

impl<'a> WorkflowCheck<'a> {
    /// Recursion is bounded by the nesting limit of documents.
    fn block(&mut self, statements: &'a [Statement], around: Surroundings) {
        for (nr, statement) in (0..).zip(statements) {
            if let Some(label) = &statement.label {
                self.labels.entry(label).or_default().push(self.at.position(nr));
            }
            self.instruction(nr, &statement.instruction, around);
        }
    }

    fn nested(&mut self, nr: u32, branch: BranchId, block: &'a Block, around: Surroundings) {
        self.at.0.push(Segment { nr, branch });
        self.jobs.push(block.jobs.keys().collect());
        for job in block.jobs.values() {
            self.job(job);
        }
        self.block(&block.instructions, around);
        self.jobs.pop();
        self.at.0.pop();
    }

    fn instruction(&mut self, nr: u32, instruction: &'a Instruction, around: Surroundings) {
        match instruction {
            Instruction::ExecuteNamed { job_name, .. } if !self.jobs.iter().any(|jobs| jobs.contains(&job_name)) => {
                self.problems.push(Problem::new(format!("Unknown job name '{job_name}'")));
            }
            Instruction::ExecuteAnonymous { job, .. } => self.job(job),
            Instruction::Retry if !around.in_catch => {
                self.problems.push(Problem::new("Statement 'retry' is only allowed in a catch block"));
            }
            Instruction::Break if !around.in_cycle => {
                let at = self.at.position(nr);
                self.problems.push(Problem::new(format!("Break instruction at {at} without Cycle")));
            }
            Instruction::Cycle { .. } => self.has_cycle = true,
            _ => {}
        }
        for (branch, block) in branches(instruction) {
            let inner = match &branch {
                BranchId::Then(_) | BranchId::Else | BranchId::Try(_) => around,
                BranchId::Catch(_) => Surroundings { in_catch: true, ..around },
                BranchId::Fork(_) | BranchId::ForkList => Surroundings::default(),
                BranchId::Cycle(_) => Surroundings { in_catch: false, in_cycle: true },
                _ => Surroundings { in_catch: false, ..around },
            };
            self.nested(nr, branch, block, inner);
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

#[cfg(test)]
mod tests {
    use crate::json::from_text;
    use crate::model::workflow::Workflow;
    use alloc::format;
    use alloc::string::String;

    /// The problem of a workflow of these instructions, without its place in the text.
    fn problem_of(instructions: &str) -> String {
        let workflow = format!(r#"{{"path": "W", "instructions": [{instructions}]}}"#);
        match from_text::<Workflow>(&workflow) {
            Ok(_) => String::new(),
            Err(problem) => problem.message.split_once(": ").unwrap().1.into(),
        }
    }

    #[test]
    fn labels_are_unique() {
        let labelled = |label| format!(r#"{{"TYPE": "Stop", "label": "{label}"}}"#);
        let lock = r#"{"TYPE": "Options", "block": {"instructions": [{"TYPE": "Stop", "label": "A"}]}}"#;
        assert_eq!(problem_of(&format!("{}, {}", labelled("A"), labelled("B"))), "");
        assert_eq!(
            problem_of(&format!("{}, {lock}", labelled("A"))),
            "Label 'A' is duplicated at positions 0, 1/options:0"
        );
        assert_eq!(
            problem_of(&format!("{}, {}", labelled("A"), labelled("A"))),
            "Duplicate labels in one block: 'A' at positions 0, 1"
        );
    }

    #[test]
    fn break_and_retry_stand_in_their_blocks() {
        assert_eq!(problem_of(r#"{"TYPE": "Break"}"#), "Break instruction at 0 without Cycle");
        let in_catch = |instruction: &str| {
            format!(r#"{{"TYPE": "Try", "try": {{"instructions": []}}, "catch": {{"instructions": [{instruction}]}}}}"#)
        };
        let retry = r#"{"TYPE": "Retry"}"#;
        assert_eq!(problem_of(&in_catch(retry)), "");
        assert_eq!(problem_of(&in_catch(&in_catch(retry))), "");
        let hidden = format!(r#"{{"TYPE": "Options", "block": {{"instructions": [{retry}]}}}}"#);
        assert_eq!(problem_of(&in_catch(&hidden)), "Statement 'retry' is only allowed in a catch block");
    }
}
