//! Faults that can be planted, to prove that tests find them. Without the feature `planted` none can be.

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// A subagent starts whatever it is told to, without looking whether it has started that attempt, or another one of the
    /// order.
    LaunchUnchecked,
    /// A director hands over the processes of a subagent that is silent before they must have ended.
    HandOverBeforeFence,
    /// An agent obeys a controller, or a subagent a director, that was replaced.
    ObeyTheOld,
    /// A director that was started takes what its subagents have reported meanwhile for received.
    DropResults,
    /// A controller that couples with an agent sends nothing again and misses nothing.
    ForgetReconciliation,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::LaunchUnchecked,
        Self::HandOverBeforeFence,
        Self::ObeyTheOld,
        Self::DropResults,
        Self::ForgetReconciliation,
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
