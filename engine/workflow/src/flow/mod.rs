//! A workflow prepared for execution: what stands at a position, which job is executed there, what surrounds it.
//!
//! Made once per workflow version and shared. Positions are resolved from the outermost block inwards, at a cost of the
//! nesting depth. A position may carry the states of repetitions (`try+2`, `cycle+…`): it leads to the same place as its
//! normalized form. A block without a written end has one after its last instruction.
//!
//! Recursion over blocks is bounded by [`crate::json::limit::DEPTH`], which documents keep to.

mod block;
mod job;
mod movement;
mod options;
mod reduction;
mod reference;
mod retry;
#[cfg(test)]
mod tests;
mod transfer;

pub use block::{BlockRef, block_of, branches};
pub use job::JobAt;
pub use retry::{TryRule, retry_delay};
pub use transfer::Transfer;

use crate::id::{Label, WorkflowId};
use crate::model::instruction::{Instruction, Statement};
use crate::model::workflow::{Block, Workflow};
use crate::position::{BranchId, BranchPath, Position, PositionOrLabel, Segment};
use crate::problem::{Checked, Problem};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;

/// A workflow prepared for execution.
#[derive(Clone, Debug)]
pub struct Flow {
    workflow: Arc<Workflow>,
    id: WorkflowId,
    labels: BTreeMap<Label, Position>,
}

impl Flow {
    /// Prepares a workflow.
    #[must_use]
    pub fn new(workflow: Arc<Workflow>) -> Self {
        let mut flow = Self { id: workflow.id(), workflow, labels: BTreeMap::new() };
        let mut labels = BTreeMap::new();
        flow.visit(&mut |block, nr, statement| {
            if let Some(label) = &statement.label {
                labels.insert(label.clone(), block.position(nr));
            }
        });
        flow.labels = labels;
        flow
    }

    /// Path and version.
    #[must_use]
    pub fn id(&self) -> &WorkflowId {
        &self.id
    }

    /// The workflow.
    #[must_use]
    pub fn workflow(&self) -> &Arc<Workflow> {
        &self.workflow
    }

    /// The outermost block.
    #[must_use]
    pub fn root(&self) -> BlockRef<'_> {
        BlockRef {
            statements: &self.workflow.instructions,
            jobs: &self.workflow.jobs,
            result: self.workflow.result.as_ref(),
        }
    }

    /// A block; `None` if there is none.
    #[must_use]
    pub fn block(&self, path: &BranchPath) -> Option<BlockRef<'_>> {
        self.descend(path, |_, _, _| ())
    }

    /// The instruction with its label; `None` if there is none at this position.
    #[must_use]
    pub fn statement(&self, position: &Position) -> Option<&Statement> {
        self.block(&position.block)?.statement(position.nr)
    }

    /// The instruction; `None` if there is none at this position.
    #[must_use]
    pub fn instruction(&self, position: &Position) -> Option<&Instruction> {
        self.statement(position).map(|statement| &statement.instruction)
    }

    /// The instruction.
    ///
    /// # Errors
    /// `Unknown position … in Workflow:…`
    pub fn checked_instruction(&self, position: &Position) -> Checked<&Instruction> {
        self.instruction(position).ok_or_else(|| self.unknown_position(position))
    }

    /// The label of the instruction at this position.
    #[must_use]
    pub fn label_at(&self, position: &Position) -> Option<&Label> {
        self.statement(position)?.label.as_ref()
    }

    /// Whether there is such a position.
    #[must_use]
    pub fn contains(&self, position: &Position) -> bool {
        self.statement(position).is_some()
    }

    /// Checks that there is such a position.
    ///
    /// # Errors
    /// `Unknown position … in Workflow:…`
    pub fn check_position(&self, position: &Position) -> Checked<()> {
        if self.contains(position) { Ok(()) } else { Err(self.unknown_position(position)) }
    }

    /// Checks that there is such a block.
    ///
    /// # Errors
    /// `Unknown block … in Workflow:…`
    pub fn check_block(&self, block: &BranchPath) -> Checked<()> {
        match self.block(block) {
            Some(_) => Ok(()),
            None => Err(Problem::new(format!("Unknown block {block} in Workflow:{}", self.id))),
        }
    }

    /// The position of the instruction with this label, normalized.
    #[must_use]
    pub fn position_of(&self, label: &Label) -> Option<&Position> {
        self.labels.get(label)
    }

    /// All labels with their positions.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<Label, Position> {
        &self.labels
    }

    /// The position which is meant; it exists.
    ///
    /// # Errors
    /// `Unknown position …`, `Unknown label …`
    pub fn resolve(&self, position_or_label: &PositionOrLabel) -> Checked<Position> {
        match position_or_label {
            PositionOrLabel::Position(position) => self.check_position(position).map(|()| position.clone()),
            PositionOrLabel::Label(label) => self
                .position_of(label)
                .cloned()
                .ok_or_else(|| Problem::new(format!("Unknown label '{label}' in Workflow:{}", self.id))),
        }
    }

    /// Whether the instruction at `position` is one of these, given by position (normalized or not) or label.
    #[must_use]
    pub fn is_one_of(&self, position: &Position, places: &[PositionOrLabel]) -> bool {
        if places.is_empty() {
            return false;
        }
        let normalized = position.normalized();
        places.iter().any(|place| match place {
            PositionOrLabel::Position(place) => *place == normalized || place.normalized() == normalized,
            PositionOrLabel::Label(label) => self.position_of(label) == Some(&normalized),
        })
    }

    /// Calls with every instruction, with the normalized path of its block, in the order of the text. Ends which are not
    /// written are left out.
    pub fn visit<'a>(&'a self, visitor: &mut dyn FnMut(&BranchPath, u32, &'a Statement)) {
        movement::visit(self.root(), &mut BranchPath::default(), &|_| true, visitor);
    }

    fn unknown_position(&self, position: &Position) -> Problem {
        Problem::new(format!("Unknown position {position} in Workflow:{}", self.id))
    }

    /// Goes from the outermost block to the one at `path` and calls with the number of each segment, the statement it
    /// leads into, and the block entered.
    fn descend<'a>(
        &'a self,
        path: &BranchPath,
        mut enter: impl FnMut(usize, &'a Statement, &'a Block),
    ) -> Option<BlockRef<'a>> {
        let mut block = self.root();
        for (depth, segment) in path.0.iter().enumerate() {
            let statement = block.statement(segment.nr)?;
            let inner = block_of(&statement.instruction, &segment.branch)?;
            enter(depth, statement, inner);
            block = BlockRef::from(inner);
        }
        Some(block)
    }
}

/// The path of a block, extended by one segment while `body` runs.
fn with_segment<T>(path: &mut BranchPath, nr: u32, branch: BranchId, body: impl FnOnce(&mut BranchPath) -> T) -> T {
    path.0.push(Segment { nr, branch });
    let result = body(path);
    path.0.pop();
    result
}
