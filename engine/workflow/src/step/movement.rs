//! Moves: an order that moves goes on through all instructions which only decide where it goes, and one move is recorded
//! for all of them. So it stands where it has something to do, or to wait for, even before it starts.

use super::order_step::OrderStep;
use crate::model::instruction::Instruction;
use crate::model::order::OrderState;
use crate::model::order_event::{MoveReason, OrderEvent};
use crate::position::{BranchId, Position};
use crate::problem::{Checked, Problem};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

impl OrderStep<'_> {
    /// Moves the order, and further as far as the instructions at its way only say where it goes.
    pub(super) fn move_to(&mut self, to: Position, reason: Option<MoveReason>) -> Checked<()> {
        let mut moves: Vec<(Position, Option<MoveReason>)> = Vec::new();
        let mut visited = BTreeSet::new();
        let from = self.order.workflow_position.position.clone();
        let (state, is_resumed) = (self.order.state.clone(), self.order.is_resumed);
        let mut next = Some((to, reason));
        let mut result = Ok(());
        while let Some((to, reason)) = next {
            if !visited.insert(to.clone()) {
                result = Err(Problem::new(format!("Order:{} is in a workflow loop at {to}", self.order.id)));
                break;
            }
            self.order.workflow_position.position = to.clone();
            self.order.is_resumed = false;
            if !matches!(self.order.state, OrderState::Fresh) {
                self.order.state = OrderState::Ready;
            }
            match (moves.last_mut(), reason) {
                (Some((last, None)), None) => *last = to,
                _ => moves.push((to, reason)),
            }
            if matches!(moves.last(), Some((_, Some(MoveReason::SkippedDueToWorkflowPathControl)))) {
                // What follows is looked at when the skip is recorded.
                break;
            }
            match self.next_move() {
                Ok(further) => next = further,
                Err(problem) => {
                    result = Err(problem);
                    break;
                }
            }
        }
        self.order.workflow_position.position = from;
        self.order.state = state;
        self.order.is_resumed = is_resumed;
        result?;
        for (to, reason) in moves {
            self.emit(OrderEvent::OrderMoved { to, reason })?;
        }
        Ok(())
    }

    /// Where the instruction at the order's position sends it, if that is all it does.
    pub(super) fn next_move(&self) -> Checked<Option<(Position, Option<MoveReason>)>> {
        if self.is_at_breakpoint() || self.is_at_stop_position() {
            return Ok(None);
        }
        let position = self.position();
        if let Some(reason) = self.skip_reason() {
            return Ok(Some((position.next(), Some(reason))));
        }
        let to = match self.instruction()? {
            Instruction::If { if_thens, else_block } => {
                let Some(branch) = self.if_branch(if_thens)? else {
                    return Ok(None);
                };
                match branch {
                    Some(branch) => position.first_of(branch),
                    None if else_block.is_some() => position.first_of(BranchId::Else),
                    None => position.next(),
                }
            }
            Instruction::Try { .. } => position.first_of(BranchId::Try(Some(0))),
            Instruction::ExecuteNamed { .. } | Instruction::ExecuteAnonymous { .. } => {
                return Ok(self.is_job_skipped()?.then(|| (position.next(), Some(MoveReason::NoAdmissionPeriodStart))));
            }
            Instruction::ImplicitEnd | Instruction::ExplicitEnd if position.block != self.order.inner_block => {
                match position.block.parent() {
                    Some((
                        parent,
                        BranchId::Then(_)
                        | BranchId::Else
                        | BranchId::Try(_)
                        | BranchId::Catch(_)
                        | BranchId::Options
                        | BranchId::AdmissionTime,
                    )) => parent.next(),
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some((to, None)))
    }

    /// The branch of an If: `Some(None)` when no predicate is true, `None` when they cannot be evaluated before the order
    /// starts.
    fn if_branch(&self, if_thens: &[crate::model::instruction::IfThen]) -> Checked<Option<Option<BranchId>>> {
        for (i, branch) in (1..).zip(if_thens) {
            match self.evaluate_anticipated(&branch.predicate)? {
                None => return Ok(None),
                Some(value) => match value {
                    crate::value::Value::Boolean(true) => return Ok(Some(Some(BranchId::Then(i)))),
                    crate::value::Value::Boolean(false) => {}
                    other => return Err(super::instructions::not_boolean(&other)),
                },
            }
        }
        Ok(Some(None))
    }
}
