//! Try and Retry: how often, and after which delay.

use super::{Flow, block_of};
use crate::model::instruction::{Instruction, Statement};
use crate::model::workflow::Block;
use crate::position::{BranchId, BranchPath, Position};
use crate::time::Duration;

/// What a Try says about its repetition.
#[derive(Clone, Copy, Debug)]
pub struct TryRule<'a> {
    /// What is done after a failure.
    pub catch_block: &'a Block,
    /// Waiting times before the first, second, … retry.
    pub retry_delays: &'a [Duration],
    /// How often the block is tried at most.
    pub max_tries: Option<u32>,
}

impl<'a> TryRule<'a> {
    /// The rule of a Try instruction.
    #[must_use]
    pub fn of(instruction: &'a Instruction) -> Option<Self> {
        match instruction {
            Instruction::Try { catch_block, retry_delays, max_tries, .. } => {
                Some(Self { catch_block, retry_delays: retry_delays.as_deref().unwrap_or(&[]), max_tries: *max_tries })
            }
            _ => None,
        }
    }

    /// Waiting time before the n-th retry, counted from 1.
    #[must_use]
    pub fn retry_delay(&self, n: u32) -> Duration {
        retry_delay(self.retry_delays, n)
    }

    /// Whether the block must not be tried again after so many tries.
    #[must_use]
    pub fn is_last(&self, tries: u32) -> bool {
        self.max_tries.is_some_and(|max| tries >= max)
    }

    /// Whether a failure after so many tries is not caught, because the catch block would only try again, which it must not.
    #[must_use]
    pub fn gives_up(&self, tries: u32) -> bool {
        let retries_first =
            || matches!(self.catch_block.instructions.first(), Some(Statement { instruction: Instruction::Retry, .. }));
        self.is_last(tries) && retries_first()
    }
}

/// Waiting time before the n-th retry, counted from 1: the n-th delay, or the last one; zero without delays.
#[must_use]
pub fn retry_delay(delays: &[Duration], n: u32) -> Duration {
    let index = usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
    delays.get(index).or(delays.last()).copied().unwrap_or(Duration::ZERO)
}

impl Flow {
    /// The rule of the Try at this position; `None` when there is another instruction.
    #[must_use]
    pub fn try_rule(&self, position: &Position) -> Option<TryRule<'_>> {
        TryRule::of(self.instruction(position)?)
    }

    /// The innermost Try around, in whose try or catch block this block is: its position and its rule. Passes every kind of block.
    #[must_use]
    pub fn try_around(&self, block: &BranchPath) -> Option<(Position, TryRule<'_>)> {
        let depth =
            block.0.iter().rposition(|segment| matches!(segment.branch, BranchId::Try(_) | BranchId::Catch(_)))?;
        let position = Position { block: BranchPath(block.0[..depth].to_vec()), nr: block.0[depth].nr };
        let instruction = self.instruction(&position)?;
        block_of(instruction, &block.0[depth].branch)?;
        Some((position, TryRule::of(instruction)?))
    }
}
