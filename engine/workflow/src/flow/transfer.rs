//! Whether an order can go on in another version of its workflow.

use super::Flow;
use super::block::map_blocks;
use crate::model::instruction::Instruction;
use crate::model::order::{Order, OrderState};
use crate::model::workflow::Block;
use crate::problem::{Checked, Problem};
use alloc::format;
use alloc::vec::Vec;

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
        if !self.is_same_around(new, order) {
            return Err(self.changed(new, order, "an instruction around"));
        }
        match order.state {
            OrderState::Processing { .. } | OrderState::Forked { .. } if instruction != new_instruction => {
                Err(self.changed(new, order, "the instruction at"))
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

    /// Whether all instructions around the order are the same, apart from their blocks.
    fn is_same_around(&self, new: &Self, order: &Order) -> bool {
        let block = &order.workflow_position.position.block;
        let around = |flow: &Self| {
            let mut instructions: Vec<Instruction> = Vec::new();
            flow.descend(block, |_, statement, _| instructions.push(core(&statement.instruction)));
            instructions
        };
        around(self) == around(new)
    }

    fn changed(&self, new: &Self, order: &Order, what: &str) -> Problem {
        Problem::new(format!(
            "Order:{} cannot be transferred from Workflow:{} to Workflow:{}: {what} {} has changed",
            order.id, self.id, new.id, order.workflow_position.position
        ))
    }
}

/// The instruction without the contents of its blocks.
fn core(instruction: &Instruction) -> Instruction {
    map_blocks(instruction, &mut |_| Block::default())
}
