//! Between which positions an order may be moved.

use super::{BlockRef, Flow, branches, with_segment};
use crate::model::instruction::Statement;
use crate::position::{BranchId, BranchPath, Position};
use alloc::vec::Vec;

impl Flow {
    /// Whether an order may be moved: both positions exist, and no border which orders must not cross lies between.
    #[must_use]
    pub fn is_moveable(&self, from: &Position, to: &Position) -> bool {
        if !self.contains(from) || !self.contains(to) {
            return false;
        }
        let (from, to) = (&from.block.0, &to.block.0);
        let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        !from[common..].iter().chain(&to[common..]).any(|segment| segment.branch.is_move_boundary())
    }

    /// All positions to which an order may be moved, in the order of the text. None when there is no such position.
    #[must_use]
    pub fn reachable(&self, from: &Position) -> Vec<Position> {
        if !self.contains(from) {
            return Vec::new();
        }
        let segments = &from.block.0;
        let depth = segments.iter().rposition(|segment| segment.branch.is_move_boundary()).map_or(0, |i| i + 1);
        let mut path = BranchPath(segments[..depth].to_vec());
        let Some(block) = self.block(&path) else {
            return Vec::new();
        };
        let mut positions = Vec::new();
        collect(block, &mut path, &mut positions);
        positions
    }
}

fn collect(block: BlockRef<'_>, path: &mut BranchPath, positions: &mut Vec<Position>) {
    for nr in 0..block.count() {
        positions.push(path.position(nr));
        let Some(statement) = block.statement(nr) else { continue };
        for (branch, inner) in branches(&statement.instruction) {
            if !branch.is_move_boundary() {
                with_segment(path, nr, branch, |path| collect(inner.into(), path, positions));
            }
        }
    }
}

/// Calls with every written instruction of a block and of the blocks within it which `enters` admits.
pub(super) fn visit<'a>(
    block: BlockRef<'a>,
    path: &mut BranchPath,
    enters: &dyn Fn(&BranchId) -> bool,
    visitor: &mut dyn FnMut(&BranchPath, u32, &'a Statement),
) {
    for (nr, statement) in (0..).zip(block.statements) {
        visitor(path, nr, statement);
        for (branch, inner) in branches(&statement.instruction) {
            if enters(&branch) {
                with_segment(path, nr, branch, |path| visit(inner.into(), path, enters, visitor));
            }
        }
    }
}
