//! Checks of documents beyond the form of their parts.

use super::instruction::{Instruction, Statement};
use super::job::WorkflowJob;
use super::workflow::{Block, Workflow};
use crate::expression::scope::EmptyScope;
use crate::flow::branches;
use crate::id::{JobName, Label, SubagentBundleId};
use crate::json::{Doc, Step, limit};
use crate::position::{BranchId, BranchPath, Position, Segment};
use crate::problem::{Checked, Problem};
use crate::value::Value;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
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

/// Checks a workflow as a whole, and reports each problem at the instruction which has it.
pub(super) fn workflow(workflow: &Workflow, doc: &Doc<'_>) -> Option<()> {
    let mut check = WorkflowCheck {
        doc,
        at: BranchPath::default(),
        steps: Vec::new(),
        jobs: Vec::new(),
        labels: BTreeMap::new(),
        first_cycle: None,
        is_right: true,
    };
    check.jobs(&workflow.jobs);
    check.jobs.push(&workflow.jobs);
    check.block(&workflow.instructions, Surroundings::default());
    check.duplicate_labels();
    // What a Cycle needs is only worth saying when it stands right.
    if check.is_right
        && workflow.calendar_path.is_none()
        && let Some(cycle) = check.first_cycle.take()
    {
        check.fail_at(&cycle, &Problem::new("Cycle instruction requires calendarPath"));
    }
    check.is_right.then_some(())
}

/// Where a block stands within its instruction in documents.
fn steps_to(branch: &BranchId, instruction: &Instruction) -> Vec<Step<'static>> {
    match branch {
        BranchId::Then(i) => {
            vec![Step::Member("ifThens"), Step::Element(*i as usize - 1), Step::Member("then")]
        }
        BranchId::Fork(id) => {
            let Instruction::Fork { branches, .. } = instruction else { return Vec::new() };
            let i = branches.iter().position(|b| b.id == *id).unwrap_or_default();
            vec![Step::Member("branches"), Step::Element(i), Step::Member("workflow")]
        }
        BranchId::Else => vec![Step::Member("else")],
        BranchId::Try(_) => vec![Step::Member("try")],
        BranchId::Catch(_) => vec![Step::Member("catch")],
        BranchId::ForkList => vec![Step::Member("workflow")],
        BranchId::Lock => vec![Step::Member("lockedWorkflow")],
        BranchId::Cycle(_) => vec![Step::Member("cycleWorkflow")],
        BranchId::ConsumeNotices | BranchId::StickySubagent => vec![Step::Member("subworkflow")],
        BranchId::Options | BranchId::AdmissionTime => vec![Step::Member("block")],
        BranchId::Other(_) => Vec::new(),
    }
}

/// Whether an order never goes on to the next instruction, not even when it is resumed.
fn never_continues(instruction: &Instruction) -> bool {
    matches!(
        instruction,
        Instruction::Retry
            | Instruction::Break
            | Instruction::Fail { .. }
            | Instruction::Finish { .. }
            | Instruction::ExplicitEnd
            | Instruction::ImplicitEnd
    )
}

/// How deep a block may stand in a document, in lists and objects. An older form of a workflow may nest less than the
/// present one, in which it is recorded and must be readable again; the rest is for the content of the block.
const MAX_BLOCK_DEPTH: usize = limit::DEPTH - 15;

#[derive(Clone, Copy, Default)]
struct Surroundings {
    in_catch: bool,
    in_cycle: bool,
}

type Jobs = BTreeMap<JobName, Arc<WorkflowJob>>;

struct WorkflowCheck<'a> {
    doc: &'a Doc<'a>,
    /// The block being checked.
    at: BranchPath,
    /// The same block, in the document.
    steps: Vec<Step<'static>>,
    /// The known jobs, outermost block first.
    jobs: Vec<&'a Jobs>,
    labels: BTreeMap<&'a Label, Vec<(Position, Vec<Step<'static>>)>>,
    first_cycle: Option<Vec<Step<'static>>>,
    is_right: bool,
}

impl<'a> WorkflowCheck<'a> {
    /// Recursion is bounded by the nesting limit of documents.
    fn block(&mut self, statements: &'a [Statement], around: Surroundings) {
        self.steps.push(Step::Member("instructions"));
        if self.steps.len() > MAX_BLOCK_DEPTH {
            self.fail("blocks are nested too deep; move some of the instructions to another workflow");
            self.steps.pop();
            return;
        }
        let mut is_reachable = true;
        for (nr, statement) in (0..).zip(statements) {
            self.steps.push(Step::Element(nr as usize));
            if let Some(label) = &statement.label {
                self.labels.entry(label).or_default().push((self.at.position(nr), self.steps.clone()));
                // An order can be started or resumed at a label.
                is_reachable = true;
            }
            if !is_reachable {
                let message = format!("unreachable: the instruction before ({}) never goes on", nr - 1);
                self.doc.below(&self.steps, &mut |doc| doc.warn(message.clone()));
            }
            self.instruction(nr, &statement.instruction, around);
            is_reachable = !never_continues(&statement.instruction);
            self.steps.pop();
        }
        self.steps.pop();
    }

    fn instruction(&mut self, nr: u32, instruction: &'a Instruction, around: Surroundings) {
        match instruction {
            Instruction::ExecuteNamed { job_name, .. } if !self.jobs.iter().any(|jobs| jobs.contains_key(job_name)) => {
                self.fail(format!("Unknown job name '{job_name}'"));
            }
            Instruction::ExecuteAnonymous { job, .. } => {
                self.steps.push(Step::Member("job"));
                self.job(job);
                self.steps.pop();
            }
            Instruction::Retry if !around.in_catch => {
                self.fail("Statement 'retry' is only allowed in a catch block");
            }
            Instruction::Break if !around.in_cycle => {
                let at = self.at.position(nr);
                self.fail(format!("Break instruction at {at} without Cycle"));
            }
            Instruction::Cycle { .. } if self.first_cycle.is_none() => self.first_cycle = Some(self.steps.clone()),
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
            let depth = self.steps.len();
            self.steps.extend(steps_to(&branch, instruction));
            self.at.0.push(Segment { nr, branch });
            self.jobs(&block.jobs);
            self.jobs.push(&block.jobs);
            self.block(&block.instructions, inner);
            self.jobs.pop();
            self.at.0.pop();
            self.steps.truncate(depth);
        }
    }

    fn jobs(&mut self, jobs: &Jobs) {
        for (name, job) in jobs {
            if let Some(problem) = bundle_problem(job) {
                self.is_right = false;
                let steps = [&*self.steps, &[Step::Member("jobs")]].concat();
                self.doc.below(&steps, &mut |doc| {
                    doc.below(&[Step::Member(name.as_str()), Step::Member("subagentBundleIdExpr")], &mut |doc| {
                        let _: Option<()> = doc.fail(problem.clone());
                    });
                });
            }
        }
    }

    fn job(&mut self, job: &WorkflowJob) {
        if let Some(problem) = bundle_problem(job) {
            self.steps.push(Step::Member("subagentBundleIdExpr"));
            self.fail_at(&self.steps.clone(), &problem);
            self.steps.pop();
        }
    }

    fn duplicate_labels(&mut self) {
        for (label, places) in core::mem::take(&mut self.labels) {
            let [(first, _), (second, steps), ..] = places.as_slice() else { continue };
            let shown = places.iter().map(|(position, _)| position.to_string()).collect::<Vec<_>>().join(", ");
            let message = if first.block == second.block {
                format!("Duplicate labels in one block: '{label}' at positions {shown}")
            } else {
                format!("Label '{label}' is duplicated at positions {shown}")
            };
            let steps = [steps, &[Step::Member("label")][..]].concat();
            self.fail_at(&steps, &Problem::new(message));
        }
    }

    fn fail(&mut self, message: impl Into<String>) {
        let problem = Problem::new(message);
        self.fail_at(&self.steps.clone(), &problem);
    }

    fn fail_at(&mut self, steps: &[Step<'_>], problem: &Problem) {
        self.is_right = false;
        self.doc.below(steps, &mut |doc| {
            let _: Option<()> = doc.fail(problem.clone());
        });
    }
}

/// What is wrong with a bundle id which is already known, because nothing else than the workflow decides about it.
fn bundle_problem(job: &WorkflowJob) -> Option<Problem> {
    let expression = job.subagent_bundle_id_expr.as_ref().filter(|expression| expression.is_pure())?;
    match expression.eval(&EmptyScope) {
        Ok(Value::String(name)) if name.is_empty() => None,
        Ok(Value::String(name)) => SubagentBundleId::checked(&name).err(),
        Ok(_) => Some(Problem::new("subagentBundleIdExpr must give a name (a string)")),
        Err(problem) => Some(problem),
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
            Err(problem) => problem.message.splitn(3, ": ").last().unwrap().into(),
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
