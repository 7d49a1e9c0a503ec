//! What can be done with an order in its state.

use crate::id::AgentPath;
use crate::model::order::{AttachedState, Order, OrderMark, OrderState, SuspensionMode};
use crate::model::outcome::Outcome;
use crate::position::{BranchId, Position};
use crate::time::Timestamp;

impl OrderState {
    /// Whether the order has been started. An order which was cancelled may have been or not.
    #[must_use]
    pub fn is_started(&self) -> bool {
        !matches!(self, Self::Fresh | Self::FailedWhileFresh | Self::Cancelled | Self::Deleted)
    }

    /// Whether the order has come to its end. A failed order has not: it may be resumed.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }

    /// Whether the order has failed, has not been resumed, and does nothing.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed | Self::FailedWhileFresh | Self::FailedInFork)
    }

    /// Whether the order was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped | Self::StoppedWhileFresh)
    }

    /// Whether an order in this state can be handed back by an agent.
    #[must_use]
    pub fn is_detachable(&self) -> bool {
        matches!(
            self,
            Self::Fresh
                | Self::Ready
                | Self::Processed
                | Self::ProcessingKilled
                | Self::DelayingRetry { .. }
                | Self::DelayedAfterError { .. }
                | Self::Forked { .. }
                | Self::BetweenCycles { .. }
                | Self::Sleeping { .. }
                | Self::Broken { .. }
        )
    }

    /// Whether an order waits for something and can stop doing so.
    #[must_use]
    pub fn is_resettable(&self) -> bool {
        matches!(
            self,
            Self::DelayingRetry { .. }
                | Self::WaitingForLock
                | Self::WaitingForAdmission { .. }
                | Self::ExpectingNotices { .. }
                | Self::ExpectingNotice { .. }
                | Self::Prompting { .. }
                | Self::BetweenCycles { .. }
                | Self::Sleeping { .. }
        )
    }

    fn is_fresh_or_ready(&self) -> bool {
        matches!(self, Self::Fresh | Self::Ready)
    }
}

impl Order {
    /// Where it is.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.workflow_position.position
    }

    /// Whether it is a child of a fork.
    #[must_use]
    pub fn is_child(&self) -> bool {
        self.parent.is_some()
    }

    /// Whether it is at the controller.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.attached_state.is_none()
    }

    /// Whether it is on the way to an agent.
    #[must_use]
    pub fn is_attaching(&self) -> bool {
        matches!(self.attached_state, Some(AttachedState::Attaching { .. }))
    }

    /// Whether it is at an agent.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        matches!(self.attached_state, Some(AttachedState::Attached { .. }))
    }

    /// Whether it is on the way back from an agent.
    #[must_use]
    pub fn is_detaching(&self) -> bool {
        matches!(self.attached_state, Some(AttachedState::Detaching { .. }))
    }

    /// Whether it stays: at the controller or at an agent, not on the way.
    #[must_use]
    pub fn is_detached_or_attached(&self) -> bool {
        self.is_detached() || self.is_attached()
    }

    /// Whether it is at this agent.
    #[must_use]
    pub fn is_at(&self, agent_path: &AgentPath) -> bool {
        matches!(&self.attached_state, Some(AttachedState::Attached { agent_path: at }) if at == agent_path)
    }

    /// The agent at which it is, or on the way to or back from which.
    #[must_use]
    pub fn agent_path(&self) -> Option<&AgentPath> {
        self.attached_state.as_ref().map(AttachedState::agent_path)
    }

    /// Whether an agent can hand it back now.
    #[must_use]
    pub fn is_detachable(&self) -> bool {
        self.is_attached() && self.state.is_detachable()
    }

    /// Whether it has been started.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.state.is_started()
    }

    /// Whether it has come to its end.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.state.is_terminated()
    }

    /// Whether it makes no steps until it is resumed.
    #[must_use]
    pub fn is_suspended_or_stopped(&self) -> bool {
        self.is_suspended || self.state.is_stopped()
    }

    /// Whether it can be marked: to be cancelled, suspended, resumed.
    #[must_use]
    pub fn is_markable(&self) -> bool {
        !self.is_terminated() && self.state != OrderState::Deleted
    }

    /// Whether it can fail now.
    #[must_use]
    pub fn is_failable(&self) -> bool {
        matches!(
            self.state,
            OrderState::Fresh
                | OrderState::Ready
                | OrderState::Processed
                | OrderState::ProcessingKilled
                | OrderState::Broken { .. }
        ) && !self.is_suspended_or_stopped()
            && self.is_detached_or_attached()
    }

    /// Whether it can be cancelled now.
    #[must_use]
    pub fn is_cancelable(&self) -> bool {
        matches!(
            self.state,
            OrderState::Fresh
                | OrderState::Ready
                | OrderState::ProcessingKilled
                | OrderState::WaitingForLock
                | OrderState::Prompting { .. }
                | OrderState::ExpectingNotices { .. }
                | OrderState::ExpectingNotice { .. }
                | OrderState::BetweenCycles { .. }
                | OrderState::FailedWhileFresh
                | OrderState::DelayingRetry { .. }
                | OrderState::DelayedAfterError { .. }
                | OrderState::WaitingForAdmission { .. }
                | OrderState::Stopped
                | OrderState::Failed
                | OrderState::Broken { .. }
        ) && self.is_detached_or_attached()
    }

    /// Whether it is to be suspended, and a running process killed for that.
    #[must_use]
    pub fn is_suspending_with_kill(&self) -> bool {
        matches!(&self.mark, Some(OrderMark::Suspending { mode: SuspensionMode { kill: Some(_), .. } }))
    }

    /// Whether it can be suspended now.
    #[must_use]
    pub fn is_suspendible_now(&self) -> bool {
        (self.state.is_fresh_or_ready() || self.state == OrderState::ProcessingKilled && self.is_suspending_with_kill())
            && self.is_detached_or_attached()
    }

    /// Whether it can be suspended, now or later.
    #[must_use]
    pub fn is_suspendible(&self) -> bool {
        self.is_markable() && !self.state.is_failed() && !matches!(self.mark, Some(OrderMark::Cancelling { .. }))
    }

    /// Whether it can be resumed now.
    #[must_use]
    pub fn is_resumable_now(&self) -> bool {
        let is_state = match self.state {
            OrderState::Fresh | OrderState::Ready => self.is_suspended,
            OrderState::Failed | OrderState::Stopped | OrderState::StoppedWhileFresh | OrderState::Broken { .. } => {
                true
            }
            _ => false,
        };
        is_state && self.is_detached_or_attached()
    }

    /// Whether it waits and can stop doing so.
    #[must_use]
    pub fn is_resettable(&self) -> bool {
        self.state.is_resettable()
    }

    /// Whether it waits for a point in time, here, and need not wait longer.
    #[must_use]
    pub fn is_goable(&self, position: &Position) -> bool {
        let is_waiting = match self.state {
            OrderState::Fresh => self.scheduled_for.is_some(),
            OrderState::BetweenCycles { .. } => self.is_detached_or_attached(),
            OrderState::DelayingRetry { .. }
            | OrderState::DelayedAfterError { .. }
            | OrderState::WaitingForAdmission { .. }
            | OrderState::Sleeping { .. } => true,
            _ => false,
        };
        is_waiting && self.position() == position
    }

    /// Until when it waits. The time may have passed; [`Timestamp::EPOCH`] means not at all.
    #[must_use]
    pub fn delayed_until(&self) -> Option<Timestamp> {
        match &self.state {
            OrderState::Fresh => self.scheduled_for,
            OrderState::DelayingRetry { until }
            | OrderState::DelayedAfterError { until }
            | OrderState::WaitingForAdmission { until }
            | OrderState::Sleeping { until, .. } => Some(*until),
            OrderState::BetweenCycles { cycle_state } => cycle_state.as_ref().map(|state| state.next),
            _ => None,
        }
    }

    /// Whether it waits at `now` for a later point in time.
    #[must_use]
    pub fn is_delayed(&self, now: Timestamp) -> bool {
        self.delayed_until().is_some_and(|until| until > now)
    }

    /// The latest outcome. `None` counts as success.
    #[must_use]
    pub fn last_outcome(&self) -> Option<&Outcome> {
        self.historic_outcomes.last().map(|historic| &historic.outcome)
    }

    /// Whether the latest outcome counts as success.
    #[must_use]
    pub fn is_last_outcome_succeeded(&self) -> bool {
        self.last_outcome().is_none_or(Outcome::is_succeeded)
    }

    /// Whether the latest outcome is that of a process killed by command.
    #[must_use]
    pub fn is_last_outcome_killed(&self) -> bool {
        matches!(self.last_outcome(), Some(Outcome::Killed { .. }))
    }

    /// Whether the latest outcome is a failure with which the order must not go on. A lost process is started again, and
    /// for a killed one there is a state of its own.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.last_outcome().is_some_and(|outcome| match outcome {
            Outcome::Killed { .. } => self.state != OrderState::Processed,
            outcome => !outcome.is_succeeded() && !outcome.is_process_lost(),
        })
    }

    /// Whether the next step is to fail.
    #[must_use]
    pub fn should_fail(&self) -> bool {
        self.has_failed() && self.is_failable()
    }

    /// Whether it holds notices which it consumes.
    #[must_use]
    pub fn is_consuming_notices(&self) -> bool {
        self.position().block.0.iter().any(|segment| segment.branch == BranchId::ConsumeNotices)
    }
}
