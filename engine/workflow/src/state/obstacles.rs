//! Why an order makes no step, as far as its state tells. What an agent's job queue knows comes on top of that.

use super::State;
use crate::model::order::{Obstacle, Order, OrderState};
use crate::time::Timestamp;
use alloc::vec::Vec;

impl State {
    /// The obstacles of an order. Derived, never recorded.
    #[must_use]
    pub fn obstacles(&self, order: &Order, now: Timestamp) -> Vec<Obstacle> {
        let mut obstacles = Vec::new();
        if self.is_workflow_suspended(&order.workflow_position.workflow_id.path) && !order.is_terminated() {
            obstacles.push(Obstacle::WorkflowSuspended);
        }
        let needs_person = match order.state {
            OrderState::Prompting { .. } | OrderState::Failed | OrderState::Broken { .. } => true,
            _ => order.is_suspended_or_stopped(),
        };
        if needs_person {
            obstacles.push(Obstacle::WaitingForCommand);
        }
        if let Some(until) = order.delayed_until().filter(|until| *until > now) {
            obstacles.push(match order.state {
                OrderState::WaitingForAdmission { .. } => Obstacle::WaitingForAdmission { until },
                _ => Obstacle::WaitingForOtherTime { until },
            });
        }
        obstacles
    }
}
