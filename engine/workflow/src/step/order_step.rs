//! One step of one order: the first rule that applies.

use super::Surroundings;
use crate::flow::Flow;
use crate::id::{AgentPath, OrderId};
use crate::model::event::Event;
use crate::model::instruction::Instruction;
use crate::model::order::{AttachedState, Order, OrderMark, OrderState};
use crate::model::order_event::{MoveReason, OrderEvent};
use crate::model::outcome::Outcome;
use crate::position::Position;
use crate::problem::{Checked, Problem};
use crate::state::{Side, State};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A step being decided. Works on a copy of the order, so that a problem leaves no trace.
pub struct OrderStep<'a> {
    pub(super) state: &'a State,
    pub(super) around: Surroundings<'a>,
    pub(super) order: Order,
    pub(super) flow: Arc<Flow>,
    pub(super) events: Vec<Event>,
}

impl<'a> OrderStep<'a> {
    /// A step for this order. `None` if there is no such order, or its workflow is not here.
    #[must_use]
    pub fn of(state: &'a State, around: Surroundings<'a>, id: &OrderId) -> Option<Self> {
        let order = state.order(id)?.clone();
        let flow = state.flow(&order.workflow_position.workflow_id)?.clone();
        Some(Self { state, around, order, flow, events: Vec::new() })
    }

    /// The events of the step; empty if the order has nothing to do.
    #[must_use]
    pub fn next(mut self) -> Vec<Event> {
        match self.decide() {
            Ok(()) => self.events,
            Err(problem) => self.discard_and(|step| step.disrupted(problem)),
        }
    }

    /// The events which let the order fail with this outcome.
    #[must_use]
    pub fn failed(self, outcome: Outcome) -> Vec<Event> {
        self.concluded(|step| step.fail(Some(outcome)))
    }

    /// The events which let the order fail because of its last outcome.
    #[must_use]
    pub fn failed_already(self) -> Vec<Event> {
        self.concluded(|step| step.fail(None))
    }

    /// The events which let the order break.
    #[must_use]
    pub fn broken(self, problem: Problem) -> Vec<Event> {
        self.concluded(|step| step.break_order(problem))
    }

    /// The events of something else than a step by itself, or those of the failure which it led to.
    pub(super) fn concluded(mut self, decide: impl FnOnce(&mut Self) -> Checked<()>) -> Vec<Event> {
        match decide(&mut self) {
            Ok(()) => self.events,
            Err(problem) => self.discard_and(|step| step.break_order(problem)),
        }
    }

    /// The events of `decide` on the order as it was before this step.
    fn discard_and(self, decide: impl FnOnce(&mut Self) -> Checked<()>) -> Vec<Event> {
        let Some(mut fresh) = Self::of(self.state, self.around, &self.order.id) else {
            return Vec::new();
        };
        match decide(&mut fresh) {
            Ok(()) => fresh.events,
            Err(problem) => {
                let Some(mut fresh) = Self::of(self.state, self.around, &self.order.id) else {
                    return Vec::new();
                };
                match fresh.break_order(problem) {
                    Ok(()) => fresh.events,
                    Err(_) => Vec::new(),
                }
            }
        }
    }

    /// Adds an event of this order.
    pub(super) fn emit(&mut self, event: OrderEvent) -> Checked<()> {
        self.order.apply(&event)?;
        self.events.push(Event::Order(self.order.id.clone(), event));
        Ok(())
    }

    pub(super) fn position(&self) -> &Position {
        &self.order.workflow_position.position
    }

    /// The instruction at the order's position.
    pub(super) fn instruction(&self) -> Checked<&'a Instruction> {
        // The flow lives as long as the state; the step's Arc only keeps it reachable without a borrow of `self`.
        let flow = self.state.flow(self.flow.id()).ok_or_else(|| Problem::new("The workflow is gone"))?;
        flow.checked_instruction(self.position())
    }

    pub(super) fn at_controller(&self) -> bool {
        matches!(self.state.side(), Side::Controller(_))
    }

    pub(super) fn own_agent(&self) -> Option<&AgentPath> {
        match self.state.side() {
            Side::Controller(_) => None,
            Side::Agent(path) => Some(path),
        }
    }

    /// Whether this node makes the steps of the order.
    pub(super) fn has_order(&self) -> bool {
        match (&self.order.attached_state, self.state.side()) {
            (None, Side::Controller(_)) => true,
            (Some(AttachedState::Attached { agent_path }), Side::Agent(own)) => agent_path == own,
            _ => false,
        }
    }

    /// Whether it may not start because it is scheduled for later.
    pub(super) fn is_delayed(&self) -> bool {
        self.order.is_delayed(self.around.now)
    }

    /// Starts a fresh order. `false` if it is not yet time.
    pub(super) fn start(&mut self) -> Checked<bool> {
        if !matches!(self.order.state, OrderState::Fresh) {
            return Ok(true);
        }
        if self.is_delayed() {
            return Ok(false);
        }
        self.emit(OrderEvent::OrderStarted)?;
        Ok(true)
    }

    /// Lets the agent have the order.
    pub(super) fn attach(&mut self, agent_path: &AgentPath) -> Checked<()> {
        self.emit(OrderEvent::OrderAttachable { agent_path: agent_path.clone() })
    }

    /// Lets the controller have the order, if it is not here. `true` if it is.
    pub(super) fn at_controller_or_detach(&mut self) -> Checked<bool> {
        if self.at_controller() {
            return Ok(true);
        }
        if self.order.is_detachable() {
            self.emit(OrderEvent::OrderDetachable)?;
        }
        Ok(false)
    }

    fn decide(&mut self) -> Checked<()> {
        if !self.has_order() {
            return Ok(());
        }
        let order = &self.order;
        if order.is_terminated() && order.parent.is_none() {
            let vanished = order.external_order.as_ref().is_some_and(|external| external.vanished);
            let deletable = match &order.external_order {
                Some(_) => vanished,
                None => order.delete_when_terminated,
            };
            if deletable && self.at_controller() {
                return self.emit(OrderEvent::OrderDeleted);
            }
        }
        if let Some(mark) = order.mark.clone() {
            match mark {
                OrderMark::Cancelling { mode } => {
                    if self.try_cancel(&mode)? {
                        return Ok(());
                    }
                }
                OrderMark::Suspending { mode } => {
                    if self.try_suspend(&mode)? {
                        return Ok(());
                    }
                }
                OrderMark::Resuming { .. } => {
                    if self.try_resume_marked()? {
                        return Ok(());
                    }
                }
                OrderMark::Go { .. } => {}
            }
        }
        if matches!(self.order.state, OrderState::Broken { .. }) || self.order.is_suspended_or_stopped() {
            return Ok(());
        }
        if self.is_at_breakpoint() {
            if self.at_controller_or_detach()? {
                return self.emit(OrderEvent::OrderSuspended);
            }
            return Ok(());
        }
        if self.state.is_workflow_suspended(&self.flow.id().path) {
            return Ok(());
        }
        if self.order.should_fail() {
            return self.fail(None);
        }
        if let OrderState::DelayingRetry { .. } | OrderState::DelayedAfterError { .. } = self.order.state {
            return self.end_delay();
        }
        if self.order.parent.is_some() && matches!(self.order.state, OrderState::FailedInFork | OrderState::Cancelled) {
            return self.join_parent();
        }
        if self.is_at_stop_position() {
            return self.finish(None);
        }
        if let Some(reason) = self.skip_reason() {
            let next = self.position().next();
            return self.move_to(next, Some(reason));
        }
        if self.has_ended() {
            return Ok(());
        }
        self.execute()
    }

    fn has_ended(&self) -> bool {
        let state = &self.order.state;
        state.is_terminated() || state.is_failed() || matches!(state, OrderState::Broken { .. } | OrderState::Deleted)
    }

    /// Whether the label of the instruction is to be skipped now.
    pub(super) fn skip_reason(&self) -> Option<MoveReason> {
        let may_skip = match self.order.state {
            OrderState::Fresh => !self.is_delayed(),
            OrderState::Ready => true,
            OrderState::DelayingRetry { .. } => !self.is_delayed(),
            _ => false,
        };
        let label = self.flow.label_at(self.position())?;
        (may_skip && !self.order.is_suspended && self.state.is_label_skipped(&self.flow.id().path, label))
            .then_some(MoveReason::SkippedDueToWorkflowPathControl)
    }

    pub(super) fn is_at_breakpoint(&self) -> bool {
        !self.order.is_resumed
            && matches!(self.order.state, OrderState::Fresh | OrderState::Ready)
            && self.state.is_breakpoint(self.flow.id(), self.position())
    }

    /// Whether the order ends here. Not asked at the end of its outermost block, where it ends anyway.
    pub(super) fn is_at_stop_position(&self) -> bool {
        let position = self.position();
        self.flow.is_one_of(position, &self.order.stop_positions)
            && !(position.block == self.order.inner_block && self.is_at_end())
    }

    /// The instruction could not be executed. An order that waited stops waiting, and so can fail.
    fn disrupted(&mut self, problem: Problem) -> Checked<()> {
        if self.order.is_resettable() && !self.order.is_suspended_or_stopped() {
            self.emit(OrderEvent::OrderStateReset)?;
        }
        if self.order.is_failable() {
            return self.fail(Some(Outcome::disrupted(problem)));
        }
        self.break_order(problem)
    }

    /// The order cannot go on at all.
    pub(super) fn break_order(&mut self, problem: Problem) -> Checked<()> {
        self.emit(OrderEvent::OrderOutcomeAdded { outcome: Outcome::disrupted(problem) })?;
        self.emit(OrderEvent::OrderBroken { problem: None })?;
        if !self.at_controller() && self.order.is_detachable() {
            self.emit(OrderEvent::OrderDetachable)?;
        }
        Ok(())
    }
}
