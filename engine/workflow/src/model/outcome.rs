//! What came of a job, an instruction, an order.

use crate::problem::Problem;
use crate::value::Fields;

crate::json_union! {
    /// What came of something that an order did. Kept in the order's history.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum Outcome {
        /// It succeeded.
        Succeeded => "Succeeded" {
            /// The values returned.
            named_values: Fields => "namedValues", default Fields::default();
        };
        /// A failure was caught. Counts as success.
        Caught => "Caught";
        /// It failed.
        Failed => "Failed" {
            /// Why.
            message: Option<alloc::string::String> => "message", default None;
            /// The values returned.
            named_values: Fields => "namedValues", default Fields::default();
            /// Whether no Try may catch the failure.
            uncatchable: bool => "uncatchable", default false;
        };
        /// The process was ended because its time was over.
        TimedOut => "TimedOut" {
            /// How the process ended.
            outcome: Completed => "outcome";
        };
        /// The process was killed by command.
        Killed => "Killed" {
            /// How the process ended.
            outcome: Completed => "outcome";
        };
        /// Something else than the job prevented success.
        Disrupted => "Disrupted" {
            /// What.
            reason: Disruption => "reason";
            /// Whether no Try may catch the failure.
            uncatchable: bool => "uncatchable", default false;
        };
    }
}

crate::json_union! {
    /// How a process ended.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum Completed {
        /// Successfully.
        Succeeded => "Succeeded" {
            /// The values returned.
            named_values: Fields => "namedValues", default Fields::default();
        };
        /// Not successfully.
        Failed => "Failed" {
            /// Why.
            message: Option<alloc::string::String> => "message", default None;
            /// The values returned.
            named_values: Fields => "namedValues", default Fields::default();
            /// Whether no Try may catch the failure.
            uncatchable: bool => "uncatchable", default false;
        };
    }
}

crate::json_union! {
    /// Why something was disrupted.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub enum Disruption {
        /// The process is lost with its subagent; it may be started again.
        ProcessLost => "ProcessLost" | "JobSchedulerRestarted" {
            /// How it was lost.
            problem: Option<Problem> => "problem", default None;
        };
        /// Anything else, like an expression which could not be evaluated.
        Other => "Other" {
            /// What.
            problem: Problem => "problem";
        };
    }
}

impl Outcome {
    /// Success without values.
    #[must_use]
    pub fn succeeded() -> Self {
        Self::Succeeded { named_values: Fields::default() }
    }

    /// A failure with a message.
    pub fn failed(message: impl Into<alloc::string::String>) -> Self {
        Self::Failed { message: Some(message.into()), named_values: Fields::default(), uncatchable: false }
    }

    /// Disrupted by a problem.
    #[must_use]
    pub fn disrupted(problem: Problem) -> Self {
        Self::Disrupted { reason: Disruption::Other { problem: problem.recorded() }, uncatchable: false }
    }

    /// Disrupted by the loss of the process.
    #[must_use]
    pub fn process_lost(problem: Problem) -> Self {
        Self::Disrupted { reason: Disruption::ProcessLost { problem: Some(problem.recorded()) }, uncatchable: false }
    }

    /// Whether this counts as success.
    #[must_use]
    pub fn is_succeeded(&self) -> bool {
        match self {
            Self::Succeeded { .. } | Self::Caught => true,
            Self::Failed { .. } | Self::TimedOut { .. } | Self::Killed { .. } | Self::Disrupted { .. } => false,
        }
    }

    /// Whether this is the loss of a process.
    #[must_use]
    pub fn is_process_lost(&self) -> bool {
        matches!(self, Self::Disrupted { reason: Disruption::ProcessLost { .. }, .. })
    }

    /// Whether no Try may catch this failure.
    #[must_use]
    pub fn is_uncatchable(&self) -> bool {
        match self {
            Self::Failed { uncatchable, .. } | Self::Disrupted { uncatchable, .. } => *uncatchable,
            Self::Succeeded { .. } | Self::Caught | Self::TimedOut { .. } | Self::Killed { .. } => false,
        }
    }

    /// The values returned, visible to expressions.
    #[must_use]
    pub fn named_values(&self) -> Option<&Fields> {
        match self {
            Self::Succeeded { named_values } | Self::Failed { named_values, .. } => Some(named_values),
            Self::TimedOut { outcome } | Self::Killed { outcome } => Some(outcome.named_values()),
            Self::Caught | Self::Disrupted { .. } => None,
        }
    }
}

impl Completed {
    /// The values returned.
    #[must_use]
    pub fn named_values(&self) -> &Fields {
        match self {
            Self::Succeeded { named_values } | Self::Failed { named_values, .. } => named_values,
        }
    }
}

impl From<Completed> for Outcome {
    fn from(completed: Completed) -> Self {
        match completed {
            Completed::Succeeded { named_values } => Self::Succeeded { named_values },
            Completed::Failed { message, named_values, uncatchable } => {
                Self::Failed { message, named_values, uncatchable }
            }
        }
    }
}
