//! Cancelling, suspending and resuming: at once if the order's state allows it, else by a mark which is looked at before
//! each step. An order at an agent is marked at the controller, the mark is sent there, and the same code decides there.

use super::order_step::OrderStep;
use crate::model::event::Event;
use crate::model::order::{CancellationMode, HistoryOperation, OrderMark, OrderState, SuspensionMode};
use crate::model::order_event::OrderEvent;
use crate::position::Position;
use crate::problem::{Checked, Problem};
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

/// How an order is to be cancelled.
pub type Cancellation = CancellationMode;
/// How an order is to be suspended.
pub type Suspension = SuspensionMode;

/// How an order is to be resumed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resumption {
    /// Where it goes on.
    pub position: Option<Position>,
    /// Changes of its history.
    pub history_operations: Vec<HistoryOperation>,
    /// Whether its last outcome counts as success.
    pub as_succeeded: bool,
    /// Whether a killed job is executed again. `None`: if the job may be.
    pub restart_killed_job: Option<bool>,
}

impl OrderStep<'_> {
    /// What follows from a command to cancel the order.
    ///
    /// # Errors
    /// `CancelStartedOrder`
    pub fn cancel(mut self, mode: &Cancellation) -> Checked<Vec<Event>> {
        if *mode == CancellationMode::FreshOnly && self.order.is_started() {
            return Err(Problem::coded(
                "CancelStartedOrder",
                [("orderId", self.order.id.to_string())],
                format!("Order:{} cannot be cancelled because it has been started", self.order.id),
            ));
        }
        if self.has_order() && self.try_cancel(mode)? {
            return Ok(self.events);
        }
        let is_marked = matches!(&self.order.mark, Some(OrderMark::Cancelling { mode: marked }) if marked == mode);
        if !is_marked && self.order.is_markable() && !matches!(self.order.state, OrderState::ProcessingKilled) {
            self.emit(OrderEvent::OrderCancellationMarked { mode: mode.clone() })?;
        }
        Ok(self.events)
    }

    /// Cancels the order if its state allows it now.
    pub(super) fn try_cancel(&mut self, mode: &Cancellation) -> Checked<bool> {
        if !self.is_cancelable_now(mode) {
            return Ok(false);
        }
        if !self.at_controller_or_detach()? {
            return Ok(true);
        }
        if self.order.is_resettable() {
            self.emit(OrderEvent::OrderStateReset)?;
        }
        let outermost = self.outermost_block();
        if !self.leave_blocks(&outermost)? {
            return Ok(true);
        }
        self.emit(OrderEvent::OrderCancelled)?;
        Ok(true)
    }

    fn is_cancelable_now(&self, mode: &Cancellation) -> bool {
        let order = &self.order;
        if !order.is_cancelable() {
            return false;
        }
        match mode {
            CancellationMode::FreshOnly => !order.is_started(),
            CancellationMode::FreshOrStarted { .. } => {
                let has_halted = order.is_suspended_or_stopped()
                    || matches!(order.state, OrderState::Broken { .. } | OrderState::Failed);
                // An order at its end finishes instead.
                !(order.is_started() && self.is_at_end() && !has_halted)
            }
        }
    }

    /// What follows from a command to suspend the order.
    ///
    /// # Errors
    /// `CannotSuspendOrder`
    pub fn suspend(mut self, mode: &Suspension) -> Checked<Vec<Event>> {
        if !self.order.is_suspendible() {
            return Err(Problem::coded(
                "CannotSuspendOrder",
                [("orderId", self.order.id.to_string())],
                format!("Order:{} cannot be suspended in its state {}", self.order.id, self.order.state.type_name()),
            ));
        }
        if self.order.is_suspended && !matches!(self.order.mark, Some(OrderMark::Resuming { .. })) {
            return Ok(Vec::new());
        }
        if self.has_order() && self.try_suspend(mode)? {
            return Ok(self.events);
        }
        let is_marked = matches!(&self.order.mark, Some(OrderMark::Suspending { mode: marked }) if marked == mode);
        if !is_marked {
            self.emit(OrderEvent::OrderSuspensionMarked { mode: mode.clone() })?;
        }
        Ok(self.events)
    }

    /// Suspends the order if its state allows it now.
    pub(super) fn try_suspend(&mut self, mode: &Suspension) -> Checked<bool> {
        let resets = mode.reset_state && self.order.is_resettable();
        if self.order.is_resettable() && self.order.is_detachable() && !self.at_controller() {
            // It keeps waiting at the controller, and is suspended there when it has waited.
            return self.at_controller_or_detach().map(|_| true);
        }
        if !resets && !self.order.is_suspendible_now() {
            return Ok(false);
        }
        if !self.at_controller_or_detach()? {
            return Ok(true);
        }
        if resets {
            self.emit(OrderEvent::OrderStateReset)?;
        }
        self.emit(OrderEvent::OrderSuspended)?;
        Ok(true)
    }

    /// What follows from a command to resume the order.
    ///
    /// # Errors
    /// `CannotResumeOrder`, `UnreachableOrderPosition`, unknown positions.
    pub fn resume(mut self, resumption: &Resumption) -> Checked<Vec<Event>> {
        let order = &self.order;
        let is_reachable = |position: &Position| {
            self.flow.is_moveable(self.position(), position)
                && position.block.normalized().starts_with(&order.inner_block.normalized())
        };
        if let Some(position) = &resumption.position
            && !is_reachable(position)
        {
            return Err(Problem::coded(
                "UnreachableOrderPosition",
                [("orderId", order.id.to_string()), ("position", position.to_string())],
                format!("Order:{} cannot be moved from {} to {position}", order.id, self.position()),
            ));
        }
        for operation in &resumption.history_operations {
            for position in operation_positions(operation) {
                self.flow.checked_instruction(position)?;
            }
        }
        let refused = || {
            Problem::coded(
                "CannotResumeOrder",
                [("orderId", order.id.to_string())],
                format!("Order:{} cannot be resumed in its state {}", order.id, order.state.type_name()),
            )
        };
        let restart_killed_job = match resumption.restart_killed_job {
            Some(restart) => restart,
            None => self.is_killed_job_restartable(),
        };
        let mark = OrderMark::Resuming {
            position: resumption.position.clone(),
            history_operations: resumption.history_operations.clone(),
            as_succeeded: resumption.as_succeeded,
            restart_killed_job,
        };
        match &order.mark {
            Some(OrderMark::Resuming { .. }) if order.mark.as_ref() == Some(&mark) => return Ok(Vec::new()),
            Some(OrderMark::Cancelling { .. } | OrderMark::Resuming { .. } | OrderMark::Go { .. }) => {
                return Err(refused());
            }
            Some(OrderMark::Suspending { .. })
                if resumption.position.is_some() || !resumption.history_operations.is_empty() =>
            {
                return Err(refused());
            }
            Some(OrderMark::Suspending { .. }) => {}
            None => {
                let has_halted =
                    matches!(order.state, OrderState::Failed | OrderState::Stopped | OrderState::StoppedWhileFresh)
                        && order.attached_state.is_none();
                if !order.is_suspended && !has_halted {
                    return Err(refused());
                }
            }
        }
        let is_immediate =
            self.has_order() && order.is_resumable_now() && !matches!(order.mark, Some(OrderMark::Suspending { .. }));
        let event = match mark {
            OrderMark::Resuming { position, history_operations, as_succeeded, restart_killed_job } => {
                if is_immediate {
                    OrderEvent::OrderResumed { position, history_operations, as_succeeded, restart_killed_job }
                } else {
                    OrderEvent::OrderResumptionMarked { position, history_operations, as_succeeded, restart_killed_job }
                }
            }
            _ => return Err(refused()),
        };
        self.emit(event)?;
        Ok(self.events)
    }

    /// Whether the last outcome is that of a killed job which may be executed again.
    fn is_killed_job_restartable(&self) -> bool {
        self.order.is_last_outcome_killed()
            && self.flow.job_at(self.position()).is_ok_and(|at| !at.job.is_not_restartable)
    }

    /// Resumes the order by its mark, if its state allows it now.
    pub(super) fn try_resume_marked(&mut self) -> Checked<bool> {
        let order = &self.order;
        let is_resumable = order.is_suspended
            || matches!(
                order.state,
                OrderState::Failed | OrderState::Stopped | OrderState::StoppedWhileFresh | OrderState::Broken { .. }
            );
        let Some(OrderMark::Resuming { position, history_operations, as_succeeded, restart_killed_job }) =
            order.mark.clone()
        else {
            return Ok(false);
        };
        if !is_resumable {
            return Ok(false);
        }
        self.emit(OrderEvent::OrderResumed { position, history_operations, as_succeeded, restart_killed_job })?;
        Ok(true)
    }
}

fn operation_positions(operation: &HistoryOperation) -> Vec<&Position> {
    match operation {
        HistoryOperation::Replace { position, .. }
        | HistoryOperation::Delete { position }
        | HistoryOperation::Append { position, .. } => Vec::from([position]),
        HistoryOperation::Insert { before, position, .. } => Vec::from([before, position]),
    }
}
