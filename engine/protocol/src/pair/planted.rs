//! Faults that can be planted, to prove that tests find them. Without the feature `planted` none can be.

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// The standby acknowledges before its storage has the records.
    AcknowledgeBeforeSync,
    /// A node that starts goes on in the epoch in which it was active.
    KeepEpoch,
    /// The active commits without the standby while it is coupled.
    CommitUnacknowledged,
    /// A voter answers before its vote is durable.
    ForgetVote,
    /// A node that was active cuts off one record too many.
    CutTooMuch,
    /// The standby acknowledges after it has asked for the take-over.
    AcknowledgeAfterAsking,
    /// An answer to an earlier proposal is taken for one to the present one.
    TakeOldAnswer,
    /// The active lets a standby begin anew with an image of a state that is before what the standby has.
    InstallBehind,
    /// The active shows its state without asking the standby whether it still follows.
    ShowUnconfirmed,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AcknowledgeBeforeSync,
        Self::KeepEpoch,
        Self::CommitUnacknowledged,
        Self::ForgetVote,
        Self::CutTooMuch,
        Self::AcknowledgeAfterAsking,
        Self::TakeOldAnswer,
        Self::InstallBehind,
        Self::ShowUnconfirmed,
    ];
}

/// The faults of a node: none, but in tests of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bugs {
    #[cfg(feature = "planted")]
    bug: Option<Bug>,
}

impl Bugs {
    /// No faults.
    pub const NONE: Self = Self {
        #[cfg(feature = "planted")]
        bug: None,
    };

    /// A node with a fault.
    #[cfg(feature = "planted")]
    #[must_use]
    pub const fn plant(bug: Bug) -> Self {
        Self { bug: Some(bug) }
    }

    #[cfg(feature = "planted")]
    pub(crate) fn has(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(feature = "planted"))]
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(crate) const fn has(self, _: Bug) -> bool {
        false
    }
}
