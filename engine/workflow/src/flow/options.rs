//! Settings and announcements which blocks make for the orders in them.

use super::Flow;
use crate::id::BoardPath;
use crate::model::instruction::Instruction;
use crate::position::BranchPath;

impl Flow {
    /// Whether an order which fails in this block is stopped instead: what the innermost Options around says which says
    /// something. Looks across fork branches.
    #[must_use]
    pub fn stops_on_failure(&self, block: &BranchPath) -> bool {
        let mut stops = false;
        let found = self.descend(block, |_, statement, _| {
            if let Instruction::Options { stop_on_failure: Some(says), .. } = &statement.instruction {
                stops = *says;
            }
        });
        found.is_some() && stops
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
