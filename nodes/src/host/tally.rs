//! Counts what happens at a subagent, for whoever watches over it: cheap to count, and read at any time without asking the node.

use baton_machine::process::Ended;
use baton_machine::subagent::SubagentInput;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts.
#[derive(Debug, Default)]
pub struct Tally {
    started: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    signaled: AtomicU64,
    not_started: AtomicU64,
    output_bytes: AtomicU64,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Processes that ran.
    pub started: u64,
    /// Those which have ended with 0; built-in jobs, which succeeded.
    pub succeeded: u64,
    /// Those which have ended with another number; built-in jobs, which did not succeed.
    pub failed: u64,
    /// Those which were ended by a signal.
    pub signaled: u64,
    /// Processes that could not be started, or were to be ended before.
    pub not_started: u64,
    /// Bytes of what they wrote to standard output and standard error.
    pub output_bytes: u64,
}

impl Tally {
    /// What was counted until now.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            started: read(&self.started),
            succeeded: read(&self.succeeded),
            failed: read(&self.failed),
            signaled: read(&self.signaled),
            not_started: read(&self.not_started),
            output_bytes: read(&self.output_bytes),
        }
    }

    /// Counts what the subagent is told.
    pub(super) fn count(&self, input: &SubagentInput) {
        let (counter, number) = match input {
            SubagentInput::Started { .. } => (&self.started, 1),
            SubagentInput::Output { chunk, .. } => (&self.output_bytes, chunk.len() as u64),
            SubagentInput::Ended { how, .. } => (self.counter(how), 1),
            SubagentInput::Link(_) | SubagentInput::Metering(_) | SubagentInput::Stop { .. } => return,
        };
        counter.fetch_add(number, Ordering::Relaxed);
    }

    fn counter(&self, how: &Ended) -> &AtomicU64 {
        match how {
            Ended::Exited { code: 0 } => &self.succeeded,
            Ended::Returned { outcome } if outcome.is_succeeded() => &self.succeeded,
            Ended::Exited { .. } | Ended::Returned { .. } => &self.failed,
            Ended::Signaled { .. } => &self.signaled,
            Ended::NotStarted { .. } | Ended::KilledBeforeStart => &self.not_started,
        }
    }
}
