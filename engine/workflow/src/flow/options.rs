//! Settings and announcements which blocks make for the orders in them.

use super::Flow;
use crate::id::BoardPath;
use crate::model::instruction::Instruction;
use crate::position::{BranchPath, Position};

impl Flow {
    /// Whether an order which fails at this position is stopped instead: what the innermost Options at or around it says
    /// which says something. Looks across fork branches. At an Options instruction itself the order fails when it cannot
    /// enter the block.
    #[must_use]
    pub fn stops_on_failure(&self, position: &Position) -> bool {
        let mut stops = false;
        let mut look = |instruction: &Instruction| {
            if let Instruction::Options { stop_on_failure: Some(says), .. } = instruction {
                stops = *says;
            }
        };
        let Some(block) = self.descend(&position.block, |_, statement, _| look(&statement.instruction)) else {
            return false;
        };
        if let Some(statement) = block.statement(position.nr) {
            look(&statement.instruction);
        }
        stops
    }

    /// The boards to which a PostNotices directly in this block posts, in order: what an order of the block announces.
    pub fn announced_boards(&self, inner_block: &BranchPath) -> impl Iterator<Item = &BoardPath> {
        let statements = self.block(inner_block).map_or(&[][..], |block| block.statements);
        statements
            .iter()
            .filter_map(|statement| match &statement.instruction {
                Instruction::PostNotices { board_paths } => Some(board_paths),
                _ => None,
            })
            .flatten()
    }
}
