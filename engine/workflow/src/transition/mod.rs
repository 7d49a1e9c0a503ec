//! The order as a state machine: how events change it.
//!
//! [`Order::apply`] checks that the event is applicable and then changes the order in place; an inapplicable event is a
//! problem (`InapplicableOrderEvent`) and changes nothing. It needs neither the workflow nor a clock, and copies neither the
//! order nor its history. Events which bring an order into existence are answered by [`Order::created_by`].

mod creation;
#[cfg(test)]
mod laws;
mod predicates;
mod resumption;
#[cfg(test)]
mod tests;

use crate::model::order::{
    AttachedState, CancellationMode, HistoricOutcome, Order, OrderMark, OrderState, SleepCause, StickySubagent,
};
use crate::model::order_event::OrderEvent;
use crate::model::outcome::Outcome;
use crate::position::{BranchId, Position};
use crate::problem::{Checked, Problem};
use crate::schedule::CycleState;
use alloc::format;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use resumption::Resumption;

impl Order {
    /// Applies an event of this order.
    ///
    /// # Errors
    /// `InapplicableOrderEvent`, or what is wrong with a history operation of `OrderResumed`. Then the order is unchanged.
    pub fn apply(&mut self, event: &OrderEvent) -> Checked<()> {
        if let OrderEvent::OrderResumed { position, history_operations, as_succeeded, restart_killed_job } = event {
            if !self.is_resumable_now() {
                return Err(self.inapplicable(event));
            }
            return self.resume(Resumption {
                position: position.as_ref(),
                operations: history_operations,
                as_succeeded: *as_succeeded,
                restart_killed_job: *restart_killed_job,
            });
        }
        if !self.is_applicable(event) {
            return Err(self.inapplicable(event));
        }
        self.change(event);
        Ok(())
    }

    /// Whether the event can be applied now.
    #[must_use]
    pub fn is_applicable(&self, event: &OrderEvent) -> bool {
        use OrderState as S;
        let state = &self.state;
        let detached = self.is_detached();
        let stays = self.is_detached_or_attached();
        let runs = !self.is_suspended_or_stopped();
        match event {
            OrderEvent::OrderAdded { .. } | OrderEvent::OrderAttachedToAgent { .. } => false,
            OrderEvent::OrderOrderAdded { .. } => {
                detached && matches!(state, S::Ready | S::Sleeping { cause: SleepCause::Throttle, .. })
            }
            OrderEvent::OrderStarted => stays && runs && matches!(state, S::Fresh),
            OrderEvent::OrderAttachable { .. } => detached && is_attachable(state),
            OrderEvent::OrderAttached { agent_path } => {
                is_attachable(state)
                    && matches!(&self.attached_state, Some(AttachedState::Attaching { agent_path: a }) if a == agent_path)
            }
            OrderEvent::OrderDetachable => self.is_detachable(),
            OrderEvent::OrderDetached => !detached && state.is_detachable(),
            OrderEvent::OrderMoved { .. } => {
                stays
                    && matches!(
                        state,
                        S::Fresh
                            | S::Ready
                            | S::Processed
                            | S::BetweenCycles { .. }
                            | S::Sleeping { .. }
                            | S::WaitingForAdmission { .. }
                    )
            }
            OrderEvent::OrderProcessingStarted { .. } => self.is_attached() && runs && matches!(state, S::Ready),
            OrderEvent::OrderProcessed { .. } => self.is_attached() && runs && matches!(state, S::Processing { .. }),
            OrderEvent::OrderProcessingKilled => self.is_attached() && runs && matches!(state, S::Processed),
            OrderEvent::OrderFailed { .. } => {
                detached && (self.is_failable() || matches!(state, S::BetweenCycles { .. }))
            }
            OrderEvent::OrderFailedInFork { .. } => self.is_child() && self.is_failable() && !matches!(state, S::Fresh),
            OrderEvent::OrderStopped => detached && self.is_failable(),
            OrderEvent::OrderCaught { .. } | OrderEvent::OrderCatched { .. } => {
                stays && runs && matches!(state, S::Ready | S::Processed | S::ProcessingKilled)
            }
            OrderEvent::OrderRetrying { .. } => stays && runs && matches!(state, S::Ready),
            OrderEvent::OrderAwoke => {
                stays
                    && runs
                    && matches!(state, S::Sleeping { .. } | S::DelayingRetry { .. } | S::DelayedAfterError { .. })
            }
            OrderEvent::OrderForked { .. } => stays && runs && matches!(state, S::Ready),
            OrderEvent::OrderJoined { .. } => detached && runs && matches!(state, S::Forked { .. }),
            OrderEvent::OrderLocksAcquired { .. } => detached && matches!(state, S::Ready | S::WaitingForLock),
            OrderEvent::OrderLocksQueued { .. } => detached && matches!(state, S::Ready),
            OrderEvent::OrderLocksReleased { .. } => {
                detached && self.is_markable() && self.is_in(|branch| *branch == BranchId::Lock)
            }
            OrderEvent::OrderNoticeAnnounced { .. } => detached && matches!(state, S::Fresh),
            OrderEvent::OrderNoticePosted { .. }
            | OrderEvent::OrderNoticeExpected { .. }
            | OrderEvent::OrderNoticesExpected { .. } => detached && runs && matches!(state, S::Ready),
            OrderEvent::OrderNoticesRead | OrderEvent::OrderNoticesConsumptionStarted { .. } => {
                detached && runs && matches!(state, S::Ready | S::ExpectingNotices { .. } | S::ExpectingNotice { .. })
            }
            OrderEvent::OrderNoticesConsumed { .. } => {
                detached && self.is_markable() && self.is_in(|branch| *branch == BranchId::ConsumeNotices)
            }
            OrderEvent::OrderStickySubagentEntered { .. } => stays && runs && matches!(state, S::Fresh | S::Ready),
            OrderEvent::OrderStickySubagentLeaved => {
                stays
                    && self.is_markable()
                    && !self.sticky_subagents.is_empty()
                    && self.is_in(|branch| *branch == BranchId::StickySubagent)
            }
            OrderEvent::OrderPrompted { .. } => detached && matches!(state, S::Ready),
            OrderEvent::OrderPromptAnswered => detached && matches!(state, S::Prompting { .. }),
            OrderEvent::OrderCyclingPrepared { .. } => {
                stays && runs && matches!(state, S::Ready | S::BetweenCycles { .. })
            }
            OrderEvent::OrderCycleStarted { .. } => {
                stays && runs && matches!(state, S::BetweenCycles { cycle_state: Some(_) })
            }
            OrderEvent::OrderCycleFinished { .. } => {
                stays
                    && runs
                    && matches!(state, S::Ready)
                    && self
                        .position()
                        .block
                        .0
                        .last()
                        .is_some_and(|segment| matches!(segment.branch, BranchId::Cycle(_)))
            }
            OrderEvent::OrderSleeping { cause, .. } => {
                let is_throttled_again =
                    *cause == SleepCause::Throttle && matches!(state, S::Sleeping { cause: SleepCause::Throttle, .. });
                stays && (matches!(state, S::Ready) || is_throttled_again)
            }
            OrderEvent::OrderWaitingForAdmission { .. } => {
                stays && matches!(state, S::Ready | S::WaitingForAdmission { .. })
            }
            OrderEvent::OrderSaid { .. } => stays && matches!(state, S::Fresh | S::Ready),
            OrderEvent::OrderFinished { .. } => detached && runs && matches!(state, S::Ready),
            OrderEvent::OrderBroken { .. }
            | OrderEvent::OrderCancellationMarked { .. }
            | OrderEvent::OrderSuspensionMarked { .. }
            | OrderEvent::OrderResumptionMarked { .. } => self.is_markable(),
            OrderEvent::OrderStateReset => self.is_resettable(),
            OrderEvent::OrderCancelled => detached && self.is_cancelable(),
            OrderEvent::OrderSuspended => self.is_suspendible_now() && (detached || self.is_suspended),
            OrderEvent::OrderResumed { .. } => self.is_resumable_now(),
            OrderEvent::OrderGoMarked { position } => self.is_attached() && self.is_goable(position),
            OrderEvent::OrderGoes => self.is_goable(self.position()),
            OrderEvent::OrderMarkRejected { .. } => self.mark.is_some(),
            OrderEvent::OrderPriorityChanged { .. } => !self.is_terminated(),
            OrderEvent::OrderTransferred { .. } => detached,
            OrderEvent::OrderPlanAttached { plan_id } => {
                detached
                    && self.plan_id.is_global()
                    && !plan_id.is_global()
                    && !matches!(state, S::ExpectingNotices { .. } | S::ExpectingNotice { .. })
                    && !self.is_consuming_notices()
            }
            OrderEvent::OrderExternalVanished => !self.is_child() && self.external_order.is_some(),
            OrderEvent::OrderDeletionMarked => !self.is_child(),
            OrderEvent::OrderDeleted => detached && self.is_terminated() && !self.is_child(),
            OrderEvent::OrderOutcomeAdded { .. }
            | OrderEvent::OrderStdoutWritten { .. }
            | OrderEvent::OrderStderrWritten { .. }
            | OrderEvent::OrderCancellationMarkedOnAgent
            | OrderEvent::OrderSuspensionMarkedOnAgent => true,
        }
    }

    /// Makes the change. The event is applicable, and is not `OrderResumed`.
    fn change(&mut self, event: &OrderEvent) {
        use OrderState as S;
        match event {
            OrderEvent::OrderStarted
            | OrderEvent::OrderAwoke
            | OrderEvent::OrderNoticesRead
            | OrderEvent::OrderPromptAnswered => self.state = S::Ready,
            OrderEvent::OrderAttachable { agent_path } => {
                self.attached_state = Some(AttachedState::Attaching { agent_path: agent_path.clone() });
            }
            OrderEvent::OrderAttached { agent_path } => {
                self.attached_state = Some(AttachedState::Attached { agent_path: agent_path.clone() });
            }
            OrderEvent::OrderDetachable => {
                if let Some(agent_path) = self.agent_path().cloned() {
                    self.attached_state = Some(AttachedState::Detaching { agent_path });
                }
            }
            OrderEvent::OrderDetached => self.attached_state = None,
            OrderEvent::OrderMoved { to, .. } => {
                self.move_to(to.clone());
                if self.state != S::Fresh {
                    self.state = S::Ready;
                }
            }
            OrderEvent::OrderProcessingStarted { subagent_id, subagent_bundle_id, stick, end_of_admission_period } => {
                self.drop_fresh_only_mark();
                if *stick && let Some(sticky) = self.sticky_subagents.first_mut() {
                    sticky.stuck_subagent_id.clone_from(subagent_id);
                }
                self.state = S::Processing {
                    subagent_id: subagent_id.clone(),
                    subagent_bundle_id: subagent_bundle_id.clone(),
                    end_of_admission_period: *end_of_admission_period,
                };
            }
            OrderEvent::OrderProcessed { outcome } | OrderEvent::OrderJoined { outcome } => {
                self.add_outcome(outcome);
                self.state = S::Processed;
            }
            OrderEvent::OrderProcessingKilled => self.state = S::ProcessingKilled,
            OrderEvent::OrderOutcomeAdded { outcome } => self.add_outcome(outcome),
            OrderEvent::OrderFailed { moved_to, outcome } => {
                outcome.iter().for_each(|outcome| self.add_outcome(outcome));
                self.state = if self.state == S::Fresh { S::FailedWhileFresh } else { S::Failed };
                self.move_to(moved_to.clone());
                if matches!(self.mark, Some(OrderMark::Suspending { .. })) {
                    self.mark = None;
                }
            }
            OrderEvent::OrderFailedInFork { moved_to, outcome } => {
                outcome.iter().for_each(|outcome| self.add_outcome(outcome));
                self.state = S::FailedInFork;
                self.move_to(moved_to.clone());
            }
            OrderEvent::OrderCaught { moved_to, outcome } | OrderEvent::OrderCatched { moved_to, outcome } => {
                outcome.iter().for_each(|outcome| self.add_outcome(outcome));
                self.state = S::Ready;
                self.move_to(moved_to.clone());
                if !self.is_last_outcome_succeeded() {
                    self.add_outcome(&Outcome::Caught);
                }
            }
            OrderEvent::OrderRetrying { delayed_until, moved_to } => {
                moved_to.iter().for_each(|position| self.move_to(position.clone()));
                self.state = delayed_until.map_or(S::Ready, |until| S::DelayingRetry { until });
            }
            OrderEvent::OrderForked { children } => {
                self.drop_fresh_only_mark();
                self.state = S::Forked { children: children.clone() };
            }
            OrderEvent::OrderLocksAcquired { .. } => {
                self.enter(BranchId::Lock);
                self.state = S::Ready;
            }
            OrderEvent::OrderLocksQueued { .. } => self.state = S::WaitingForLock,
            OrderEvent::OrderLocksReleased { .. } => self.leave_block(|branch| *branch == BranchId::Lock),
            OrderEvent::OrderNoticesExpected { notice_ids } => {
                self.state = S::ExpectingNotices { notice_ids: notice_ids.clone() };
            }
            OrderEvent::OrderNoticeExpected { notice_id } => {
                self.state = S::ExpectingNotice { notice_id: notice_id.clone() };
            }
            OrderEvent::OrderNoticesConsumptionStarted { .. } => {
                self.enter(BranchId::ConsumeNotices);
                self.state = S::Ready;
            }
            OrderEvent::OrderNoticesConsumed { .. } => {
                self.leave_block(|branch| *branch == BranchId::ConsumeNotices);
                self.state = S::Ready;
            }
            OrderEvent::OrderStickySubagentEntered { agent_path, subagent_bundle_id } => {
                self.enter(BranchId::StickySubagent);
                self.sticky_subagents.insert(
                    0,
                    StickySubagent {
                        agent_path: agent_path.clone(),
                        subagent_bundle_id: subagent_bundle_id.clone(),
                        stuck_subagent_id: None,
                    },
                );
            }
            OrderEvent::OrderStickySubagentLeaved => {
                self.leave_block(|branch| *branch == BranchId::StickySubagent);
                self.sticky_subagents.remove(0);
            }
            OrderEvent::OrderPrompted { question } => self.state = S::Prompting { question: question.clone() },
            OrderEvent::OrderCyclingPrepared { cycle_state } => {
                self.state = S::BetweenCycles { cycle_state: Some(*cycle_state) };
            }
            OrderEvent::OrderCycleStarted { skipped } => {
                if let S::BetweenCycles { cycle_state: Some(state) } = self.state {
                    let next = skipped.map_or(state.next, |skipped| state.next + skipped);
                    self.enter(BranchId::Cycle(Some(Arc::new(CycleState { next, ..state }))));
                    self.state = S::Ready;
                }
            }
            OrderEvent::OrderCycleFinished { cycle_state } => {
                if let Some(cycle) = self.position().parent() {
                    self.move_to(cycle);
                }
                self.state = S::BetweenCycles { cycle_state: *cycle_state };
            }
            OrderEvent::OrderSleeping { until, cause } => self.state = S::Sleeping { until: *until, cause: *cause },
            OrderEvent::OrderWaitingForAdmission { until } => {
                self.state = S::WaitingForAdmission { until: *until };
            }
            OrderEvent::OrderFinished { outcome } => {
                outcome.iter().for_each(|outcome| self.add_outcome(outcome));
                self.state = S::Finished;
                self.mark = None;
            }
            OrderEvent::OrderStopped => {
                self.state = if self.state == S::Fresh { S::StoppedWhileFresh } else { S::Stopped };
            }
            OrderEvent::OrderBroken { problem } => {
                if let Some(problem) = problem {
                    self.add_outcome(&Outcome::disrupted(problem.clone()));
                }
                self.state = S::Broken { problem: problem.clone() };
            }
            OrderEvent::OrderCancellationMarked { mode } => {
                self.mark = Some(OrderMark::Cancelling { mode: mode.clone() });
            }
            OrderEvent::OrderSuspensionMarked { mode } => {
                self.mark = Some(OrderMark::Suspending { mode: mode.clone() });
            }
            OrderEvent::OrderResumptionMarked { .. } => self.mark_for_resumption(event),
            OrderEvent::OrderStateReset => {
                self.state = S::Ready;
                self.mark = None;
            }
            OrderEvent::OrderCancelled => {
                self.state = S::Cancelled;
                self.is_suspended = false;
                self.mark = None;
            }
            OrderEvent::OrderSuspended => {
                if self.state == S::ProcessingKilled {
                    self.state = S::Ready;
                }
                self.is_suspended = true;
                self.mark = None;
            }
            OrderEvent::OrderMarkRejected { .. } => self.mark = None,
            OrderEvent::OrderGoMarked { position } => self.mark = Some(OrderMark::Go { position: position.clone() }),
            OrderEvent::OrderGoes => {
                if matches!(self.mark, Some(OrderMark::Go { .. })) {
                    self.mark = None;
                }
            }
            OrderEvent::OrderPriorityChanged { priority } => self.priority = priority.clone(),
            OrderEvent::OrderTransferred { workflow_position } => {
                self.workflow_position = workflow_position.clone();
            }
            OrderEvent::OrderPlanAttached { plan_id } => self.plan_id = plan_id.clone(),
            OrderEvent::OrderExternalVanished => {
                if let Some(external_order) = &mut self.external_order {
                    external_order.vanished = true;
                }
            }
            OrderEvent::OrderDeletionMarked => self.delete_when_terminated = true,
            OrderEvent::OrderDeleted => self.state = S::Deleted,
            OrderEvent::OrderAdded { .. }
            | OrderEvent::OrderOrderAdded { .. }
            | OrderEvent::OrderAttachedToAgent { .. }
            | OrderEvent::OrderResumed { .. }
            | OrderEvent::OrderStdoutWritten { .. }
            | OrderEvent::OrderStderrWritten { .. }
            | OrderEvent::OrderNoticeAnnounced { .. }
            | OrderEvent::OrderNoticePosted { .. }
            | OrderEvent::OrderSaid { .. }
            | OrderEvent::OrderCancellationMarkedOnAgent
            | OrderEvent::OrderSuspensionMarkedOnAgent => {}
        }
    }

    /// A suspended order is marked; for another one resuming means that it is not going to be suspended.
    fn mark_for_resumption(&mut self, event: &OrderEvent) {
        if !self.is_suspended_or_stopped() && matches!(self.mark, Some(OrderMark::Suspending { .. })) {
            self.mark = None;
        } else if let OrderEvent::OrderResumptionMarked {
            position,
            history_operations,
            as_succeeded,
            restart_killed_job,
        } = event
        {
            self.mark = Some(OrderMark::Resuming {
                position: position.clone(),
                history_operations: history_operations.clone(),
                as_succeeded: *as_succeeded,
                restart_killed_job: *restart_killed_job,
            });
        }
    }

    fn add_outcome(&mut self, outcome: &Outcome) {
        let position = self.position().clone();
        self.historic_outcomes.push(HistoricOutcome { position, outcome: outcome.clone() });
    }

    fn move_to(&mut self, position: Position) {
        self.workflow_position.position = position;
        self.is_resumed = false;
    }

    fn enter(&mut self, branch: BranchId) {
        self.move_to(self.position().first_of(branch));
    }

    /// Moves behind the innermost instruction with such a branch.
    fn leave_block(&mut self, is_branch: impl Fn(&BranchId) -> bool) {
        if let Some(depth) = self.depth_of(is_branch) {
            let mut block = self.position().block.0.clone();
            let nr = block[depth].nr;
            block.truncate(depth);
            self.move_to(Position { block: crate::position::BranchPath(block), nr: nr + 1 });
        }
    }

    /// At which depth of its blocks the order is in such a branch. Looks through blocks which are left without an event.
    fn depth_of(&self, is_branch: impl Fn(&BranchId) -> bool) -> Option<usize> {
        for (depth, segment) in self.position().block.0.iter().enumerate().rev() {
            match &segment.branch {
                branch if is_branch(branch) => return Some(depth),
                BranchId::Then(_)
                | BranchId::Else
                | BranchId::Try(_)
                | BranchId::Catch(_)
                | BranchId::Cycle(_)
                | BranchId::Options
                | BranchId::AdmissionTime => {}
                _ => return None,
            }
        }
        None
    }

    fn is_in(&self, is_branch: impl Fn(&BranchId) -> bool) -> bool {
        self.depth_of(is_branch).is_some()
    }

    fn drop_fresh_only_mark(&mut self) {
        if matches!(self.mark, Some(OrderMark::Cancelling { mode: CancellationMode::FreshOnly })) {
            self.mark = None;
        }
    }

    fn inapplicable(&self, event: &OrderEvent) -> Problem {
        let attached = self.attached_state.as_ref().map_or("Detached", AttachedState::type_name);
        let suspended = if self.is_suspended { ", suspended" } else { "" };
        let order =
            format!("Order:{} ({}, {attached}{suspended}, at {})", self.id, self.state.type_name(), self.position());
        Problem::coded(
            "InapplicableOrderEvent",
            [("event", event.type_name().to_string()), ("order", order.clone())],
            format!("Event {} cannot be applied to {order}", event.type_name()),
        )
    }
}

fn is_attachable(state: &OrderState) -> bool {
    matches!(state, OrderState::Fresh | OrderState::Ready | OrderState::Forked { .. })
}
