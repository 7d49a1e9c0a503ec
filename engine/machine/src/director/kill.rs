//! Ending processes: by command, because their time is over, or because their admission period ends.
//!
//! Whether a process is to be ended follows from the state, so a subagent that could not be told is told when it couples
//! again.

use super::{Alarm, Director, Reason};
use crate::process::{KillCause, Signal};
use crate::replica::Turn;
use baton_workflow::id::OrderId;
use baton_workflow::model::order::{CancellationMode, Kill, OrderMark};
use baton_workflow::time::Duration as Span;
use core::time::Duration;

impl Director {
    /// Watches the time of a process.
    pub(super) fn watch_process(&mut self, turn: Turn<'_>, id: &OrderId) {
        let Some(process) = self.replica.relations().processes.get(id) else { return };
        let (started, end) = (process.started, process.end_of_admission);
        let Some((_, job)) = self.job_of(id) else { return };
        self.alarms.set(Alarm::EndOfAdmission(id.clone()), end.filter(|_| job.kill_at_end_of_admission_period));
        if let Some(timeout) = job.timeout {
            let left = timeout_left(timeout, turn.around.now - started);
            self.deadlines.set(Reason::Timeout(id.clone()), turn.now.instant + left);
        }
    }

    /// Watches the time of a process no more.
    pub(super) fn forget_process(&mut self, id: &OrderId) {
        self.alarms.set(Alarm::EndOfAdmission(id.clone()), None);
        self.deadlines.cancel(&Reason::Timeout(id.clone()));
    }

    /// The time of a process is over.
    pub(super) fn time_is_over(&mut self, turn: Turn<'_>, id: &OrderId) {
        self.kill(turn, id, Signal::Terminate, KillCause::Timeout);
    }

    /// Ends the process of an order that is marked so.
    pub(super) fn kill_if_marked(&mut self, turn: Turn<'_>, id: &OrderId) {
        if let Some(signal) = self.is_killed_by_mark(id) {
            self.kill(turn, id, signal, KillCause::Command);
        }
    }

    /// Tells again what could not be told, or may not have been heard.
    pub(super) fn kill_again(&mut self, turn: Turn<'_>, id: &OrderId) {
        self.kill_if_marked(turn, id);
        let Some(process) = self.replica.relations().processes.get(id) else { return };
        let Some((_, job)) = self.job_of(id) else { return };
        let is_over = job.timeout.is_some_and(|timeout| turn.around.now - process.started >= timeout)
            || (job.kill_at_end_of_admission_period
                && process.end_of_admission.is_some_and(|end| turn.around.now >= end));
        if is_over {
            self.kill(turn, id, Signal::Terminate, KillCause::Timeout);
        }
    }

    /// How the order's process is to be ended, if it is marked so.
    pub(super) fn is_killed_by_mark(&self, id: &OrderId) -> Option<Signal> {
        let order = self.state().order(id)?;
        let kill: &Kill = match order.mark.as_ref()? {
            OrderMark::Cancelling { mode: CancellationMode::FreshOrStarted { kill: Some(kill) } } => kill,
            OrderMark::Suspending { mode } => mode.kill.as_ref()?,
            _ => return None,
        };
        let is_here = kill.workflow_position.as_ref().is_none_or(|position| *position == order.workflow_position);
        let signal = if kill.immediately { Signal::Kill } else { Signal::Terminate };
        is_here.then_some(signal)
    }

    fn kill(&mut self, turn: Turn<'_>, id: &OrderId, signal: Signal, cause: KillCause) {
        let delay = self.job_of(id).and_then(|(_, job)| job.sigkill_delay);
        let grace = delay.map_or(self.config.timing.sigkill_delay, positive);
        let Some(process) = self.replica.relations().processes.get(id) else { return };
        let (subagent_id, attempt) = (process.subagent_id.clone(), process.attempt(id));
        self.send_kill(turn, &subagent_id, attempt, signal, grace, cause);
    }
}

fn timeout_left(timeout: Span, elapsed: Span) -> Duration {
    positive(timeout).saturating_sub(positive(elapsed))
}

fn positive(span: Span) -> Duration {
    Duration::from_nanos(u64::try_from(span.as_nanos()).unwrap_or(0))
}
