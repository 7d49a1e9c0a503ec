//! Whether an order can go on in another version of its workflow.

use super::Flow;
use super::block::map_blocks;
use crate::model::instruction::Instruction;
use crate::model::order::{Order, OrderState};
use crate::model::workflow::Block;
use crate::position::{BranchPath, Position};
use crate::problem::{Checked, Problem};
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

/// How an order is transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// As it is.
    AsIs,
    /// It must leave its waiting state first, because what it waits for has changed.
    AfterReset,
}

impl Flow {
    /// Whether and how an order of this workflow version can be transferred to `new`, at its position.
    ///
    /// # Errors
    /// The position is unknown in the new version, the order is at an agent, or an instruction around it (or the
    /// one it executes) has changed.
    pub fn check_transfer(&self, new: &Self, order: &Order) -> Checked<Transfer> {
        let position = &order.workflow_position.position;
        let instruction = self.checked_instruction(position)?;
        let new_instruction = new.checked_instruction(position)?;
        if let Some(attached) = &order.attached_state {
            return Err(Problem::new(format!(
                "Order:{} is required to be detached, but it is {} to Agent:{}",
                order.id,
                attached.type_name(),
                attached.agent_path()
            )));
        }
        if let Some((around, instruction)) = self.first_change_around(new, order) {
            let name = instruction.type_name();
            return Err(not_transferable(order, format_args!("surrounding {name} instruction at position {around}")));
        }
        match order.state {
            OrderState::Processing { .. } | OrderState::Forked { .. } if instruction != new_instruction => {
                let name = instruction.type_name();
                Err(not_transferable(order, format_args!("{name} instruction at position {position}")))
            }
            OrderState::WaitingForLock
            | OrderState::WaitingForAdmission { .. }
            | OrderState::ExpectingNotices { .. }
            | OrderState::ExpectingNotice { .. }
            | OrderState::Prompting { .. }
            | OrderState::BetweenCycles { .. }
                if instruction != new_instruction =>
            {
                Ok(Transfer::AfterReset)
            }
            _ => Ok(Transfer::AsIs),
        }
    }

    /// The outermost instruction around the order which is not the same in the new version, apart from its blocks.
    fn first_change_around<'a>(&'a self, new: &'a Self, order: &Order) -> Option<(Position, &'a Instruction)> {
        let block = &order.workflow_position.position.block;
        let around = |flow: &'a Self| {
            let mut instructions: Vec<&'a Instruction> = Vec::new();
            flow.descend(block, |_, statement, _| instructions.push(&statement.instruction));
            instructions
        };
        let (old, new) = (around(self), around(new));
        let depth = (0..old.len()).find(|&i| new.get(i).is_none_or(|new| core(new) != core(old[i])))?;
        let segment = block.0.get(depth)?;
        Some((BranchPath(block.0[..depth].to_vec()).position(segment.nr), old[depth]))
    }
}

fn not_transferable(order: &Order, what: fmt::Arguments<'_>) -> Problem {
    Problem::new(format!("Order:{} is not transferable because the {what} has changed", order.id))
}

/// The instruction without the contents of its blocks.
fn core(instruction: &Instruction) -> Instruction {
    map_blocks(instruction, &mut |_| Block::default())
}
