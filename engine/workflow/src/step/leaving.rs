//! Leaving blocks other than by their end: by cancellation, Finish and Break.

use super::order_step::OrderStep;
use crate::model::instruction::Instruction;
use crate::model::order::OrderState;
use crate::model::order_event::OrderEvent;
use crate::model::outcome::Outcome;
use crate::position::{BranchId, BranchPath};
use crate::problem::{Checked, Problem};

impl OrderStep<'_> {
    /// Leaves all blocks up to `until`, which is not left. `false` if the controller has to do it.
    pub(super) fn leave_blocks(&mut self, until: &BranchPath) -> Checked<bool> {
        let mut block = self.position().block.clone();
        while block != *until {
            let Some((parent, branch)) = block.parent() else {
                break;
            };
            match branch {
                BranchId::Lock if !self.release_lock(&parent)? => {
                    return Ok(false);
                }
                BranchId::ConsumeNotices if !self.end_consumption(true)? => {
                    return Ok(false);
                }
                BranchId::StickySubagent => self.emit(OrderEvent::OrderStickySubagentLeaved)?,
                _ => {}
            }
            block = parent.block;
        }
        Ok(true)
    }

    /// The block in which the order lives: its inner block, or of a child order the branch of the fork.
    pub(super) fn outermost_block(&self) -> BranchPath {
        let fork = self.position().block.fork_branch();
        if self.order.parent.is_some() && fork.starts_with(&self.order.inner_block) {
            fork
        } else {
            self.order.inner_block.clone()
        }
    }

    /// Ends the order, or in a fork the branch.
    pub(super) fn finish(&mut self, outcome: Option<Outcome>) -> Checked<()> {
        if !self.at_controller_or_detach()? {
            return Ok(());
        }
        if !self.start()? {
            return Ok(());
        }
        let outermost = self.outermost_block();
        if !self.leave_blocks(&outermost)? {
            return Ok(());
        }
        if self.order.parent.is_none() {
            return self.emit(OrderEvent::OrderFinished { outcome });
        }
        let is_failed = outcome.as_ref().is_some_and(|outcome| !outcome.is_succeeded());
        if let Some(outcome) = outcome {
            self.emit(OrderEvent::OrderOutcomeAdded { outcome })?;
        }
        if is_failed {
            return Ok(());
        }
        let count = self.flow.block(&outermost).map_or(0, |block| block.count());
        let end = outermost.position(count.saturating_sub(1));
        self.emit(OrderEvent::OrderMoved { to: end, reason: None })
    }

    /// Leaves the Cycle around; ends the order if that is not in its inner block.
    pub(super) fn break_cycle(&mut self) -> Checked<()> {
        let mut block = self.position().block.clone();
        loop {
            if block == self.order.inner_block {
                return self.finish(None);
            }
            match block.parent() {
                Some((_, BranchId::Cycle(_))) => break,
                Some((parent, branch)) if !branch.is_fork() => block = parent.block,
                _ => return Err(Problem::new("Break: there is no Cycle around")),
            }
        }
        let Some((cycle, _)) = block.parent() else {
            return Ok(());
        };
        if !self.leave_blocks(&block)? {
            return Ok(());
        }
        // The number is that of the Cycle instruction: the position belongs to no instruction of the block, and readers of
        // the record expect exactly this.
        let to = block.position(cycle.nr + 1);
        self.emit(OrderEvent::OrderMoved { to, reason: None })?;
        self.emit(OrderEvent::OrderCycleFinished { cycle_state: None })?;
        self.move_to(cycle.next(), None)
    }

    /// Ends the block at whose end the order is.
    pub(super) fn end_block(&mut self) -> Checked<()> {
        let block = self.position().block.clone();
        if block == self.order.inner_block {
            return self.finish(None);
        }
        let Some((parent, branch)) = block.parent() else {
            return self.finish(None);
        };
        match branch {
            BranchId::Fork(_) | BranchId::ForkList => self.join_parent(),
            BranchId::Lock => {
                if !self.start()? || !self.release_lock(&parent)? {
                    return Ok(());
                }
                self.follow()
            }
            BranchId::ConsumeNotices => {
                if !self.start()? || !self.end_consumption(false)? {
                    return Ok(());
                }
                self.follow()
            }
            BranchId::StickySubagent => {
                self.emit(OrderEvent::OrderStickySubagentLeaved)?;
                self.follow()
            }
            BranchId::Cycle(_) => self.end_cycle(&parent),
            BranchId::Then(_)
            | BranchId::Else
            | BranchId::Try(_)
            | BranchId::Catch(_)
            | BranchId::Options
            | BranchId::AdmissionTime => self.move_to(parent.next(), None),
            BranchId::Other(name) => Err(Problem::new(alloc::format!("No instruction has a branch '{name}'"))),
        }
    }

    /// Moves on from a position which the order has reached by an event that moves it.
    pub(super) fn follow(&mut self) -> Checked<()> {
        if matches!(self.order.state, OrderState::Fresh | OrderState::Ready)
            && let Some((to, reason)) = self.next_move()?
        {
            return self.move_to(to, reason);
        }
        Ok(())
    }

    /// Whether the order stands at the end of a block.
    pub(super) fn is_at_end(&self) -> bool {
        matches!(self.flow.instruction(self.position()), Some(Instruction::ImplicitEnd | Instruction::ExplicitEnd))
    }
}
