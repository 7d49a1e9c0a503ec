//! Failure of an order: where it is caught, what it has to give back on the way, and how the order ends if nothing
//! catches it.

use super::order_step::OrderStep;
use crate::model::instruction::Instruction;
use crate::model::order_event::OrderEvent;
use crate::model::outcome::Outcome;
use crate::position::{BranchId, Position};
use crate::problem::Checked;

impl OrderStep<'_> {
    /// Lets the order fail. The outcome is added to its history; without one, the last outcome is that of the failure.
    pub(super) fn fail(&mut self, outcome: Option<Outcome>) -> Checked<()> {
        let is_uncatchable = outcome.as_ref().or(self.order.last_outcome()).is_some_and(Outcome::is_uncatchable);
        let stops = self.flow.stops_on_failure(self.position());
        // Only an order that has been started can be caught, and it is not started before its time.
        if !stops && !is_uncatchable && self.is_protected() && !self.start()? {
            return Ok(());
        }
        if let Some(outcome) = outcome {
            self.emit(OrderEvent::OrderOutcomeAdded { outcome })?;
        }
        if stops {
            if self.at_controller_or_detach()? {
                return self.emit(OrderEvent::OrderStopped);
            }
            return Ok(());
        }
        if self.order.is_resettable() {
            self.emit(OrderEvent::OrderStateReset)?;
        }
        self.propagate(is_uncatchable)
    }

    /// Walks outwards from the order's position until something catches the failure.
    fn propagate(&mut self, is_uncatchable: bool) -> Checked<()> {
        let mut block = self.position().block.clone();
        let mut failed_at = self.position().clone();
        loop {
            if block == self.order.inner_block {
                return self.end_failed(false, failed_at);
            }
            let Some((parent, branch)) = block.parent() else {
                return self.end_failed(false, failed_at);
            };
            match branch {
                BranchId::Lock => {
                    if !self.release_lock(&parent)? {
                        return Ok(());
                    }
                    failed_at = parent.clone();
                }
                BranchId::ConsumeNotices => {
                    if !self.end_consumption(true)? {
                        return Ok(());
                    }
                    failed_at = parent.clone();
                }
                BranchId::StickySubagent => {
                    self.emit(OrderEvent::OrderStickySubagentLeaved)?;
                    failed_at = parent.clone();
                }
                BranchId::Try(retry) if !is_uncatchable && self.catches(&parent, retry.unwrap_or(0)) => {
                    let moved_to = parent.first_of(BranchId::Catch(Some(retry.unwrap_or(0))));
                    return self.emit(OrderEvent::OrderCaught { moved_to, outcome: None });
                }
                BranchId::Fork(_) | BranchId::ForkList => {
                    let joins = match self.flow.checked_instruction(&parent)? {
                        Instruction::Fork { join_if_failed, .. } | Instruction::ForkList { join_if_failed, .. } => {
                            *join_if_failed
                        }
                        _ => false,
                    };
                    return self.end_failed(joins, failed_at);
                }
                _ => {}
            }
            block = parent.block;
        }
    }

    /// Nothing has caught the failure.
    fn end_failed(&mut self, in_fork: bool, moved_to: Position) -> Checked<()> {
        if !self.at_controller_or_detach()? {
            return Ok(());
        }
        if in_fork && !matches!(self.order.state, crate::model::order::OrderState::Fresh) {
            return self.emit(OrderEvent::OrderFailedInFork { moved_to, outcome: None });
        }
        self.emit(OrderEvent::OrderFailed { moved_to, outcome: None })
    }

    /// Whether a Try around the order catches its failure.
    fn is_protected(&self) -> bool {
        let mut block = self.position().block.clone();
        while block != self.order.inner_block {
            match block.parent() {
                Some((parent, BranchId::Try(retry))) if self.catches(&parent, retry.unwrap_or(0)) => return true,
                Some((parent, branch)) if !branch.is_fork() => block = parent.block,
                _ => return false,
            }
        }
        false
    }

    /// Whether the Try at this position catches a failure of this try. It does not when all tries are used up and the catch
    /// block would do nothing before trying again.
    fn catches(&self, position: &Position, retry: u32) -> bool {
        self.flow.try_rule(position).is_some_and(|rule| !rule.gives_up(retry + 1))
    }

    /// Gives back the locks of the Lock at this position. `false` if that has to be done at the controller.
    pub(super) fn release_lock(&mut self, position: &Position) -> Checked<bool> {
        if !self.at_controller_or_detach()? {
            return Ok(false);
        }
        if let Instruction::Lock { demands, .. } = self.flow.clone().checked_instruction(position)? {
            let lock_paths = demands.iter().map(|demand| demand.lock_path.clone()).collect();
            self.emit(OrderEvent::OrderLocksReleased { lock_paths })?;
        }
        Ok(true)
    }

    /// Ends the consumption of notices. `false` if that has to be done at the controller.
    pub(super) fn end_consumption(&mut self, failed: bool) -> Checked<bool> {
        if !self.at_controller_or_detach()? {
            return Ok(false);
        }
        self.emit(OrderEvent::OrderNoticesConsumed { failed })?;
        Ok(true)
    }
}
