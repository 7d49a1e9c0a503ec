//! Letting an order not wait: the command GoOrder.

use super::order_step::OrderStep;
use crate::model::event::Event;
use crate::model::order::{OrderMark, OrderState};
use crate::model::order_event::OrderEvent;
use crate::position::{BranchId, Position};
use crate::problem::{Checked, Problem};
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

impl OrderStep<'_> {
    /// What follows from a command to let the order not wait, if it is at this position.
    ///
    /// # Errors
    /// `GoOrderInapplicable` when it waits for nothing that it could do without, or elsewhere.
    pub fn go(mut self, position: &Position) -> Checked<Vec<Event>> {
        let order = &self.order;
        if !order.is_goable(position) {
            return Err(Problem::coded(
                "GoOrderInapplicable",
                [("orderId", order.id.to_string())],
                format!(
                    "Order:{} at {} in its state {} does not wait for what Go could skip at {position}",
                    order.id,
                    self.position(),
                    order.state.type_name()
                ),
            ));
        }
        if !self.has_order() {
            self.emit(OrderEvent::OrderGoMarked { position: position.clone() })?;
            return Ok(self.events);
        }
        if matches!(order.mark, Some(OrderMark::Cancelling { .. })) {
            return Ok(Vec::new());
        }
        self.go_now()?;
        Ok(self.events)
    }

    fn go_now(&mut self) -> Checked<()> {
        let state = self.order.state.clone();
        self.emit(OrderEvent::OrderGoes)?;
        match state {
            OrderState::Fresh => self.emit(OrderEvent::OrderStarted),
            OrderState::BetweenCycles { cycle_state: Some(_) } => {
                self.emit(OrderEvent::OrderCycleStarted { skipped: None })
            }
            OrderState::Sleeping { .. } => {
                self.emit(OrderEvent::OrderAwoke)?;
                let next = self.position().next();
                self.move_to(next, None)
            }
            OrderState::DelayingRetry { .. } | OrderState::DelayedAfterError { .. } => self.end_delay_now(),
            OrderState::WaitingForAdmission { .. } => {
                let enter = self.position().first_of(BranchId::AdmissionTime);
                self.move_to(enter, None)
            }
            _ => Ok(()),
        }
    }
}
