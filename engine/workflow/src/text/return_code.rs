//! Which return codes of a process mean success.

use super::range_set::RangeSet;
use serde::{Deserialize, Serialize};

/// Which return codes mean success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReturnCodeMeaning {
    /// Only these mean success.
    Success(RangeSet),
    /// Only these mean failure.
    Failure(RangeSet),
}

impl ReturnCodeMeaning {
    /// Whether a process that ended with this code succeeded.
    #[must_use]
    pub fn is_success(&self, return_code: i32) -> bool {
        match self {
            Self::Success(codes) => codes.contains(return_code),
            Self::Failure(codes) => !codes.contains(return_code),
        }
    }
}

impl Default for ReturnCodeMeaning {
    /// Only 0 means success.
    fn default() -> Self {
        Self::Success(RangeSet::of([(0, 0)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_success_from_failure() {
        assert!(ReturnCodeMeaning::default().is_success(0));
        assert!(!ReturnCodeMeaning::default().is_success(1));
        let failure = ReturnCodeMeaning::Failure(RangeSet::of([(1, 3)]));
        assert!(failure.is_success(0));
        assert!(!failure.is_success(2));
        assert!(ReturnCodeMeaning::Failure(RangeSet::default()).is_success(99));
        assert!(!ReturnCodeMeaning::Success(RangeSet::default()).is_success(0));
    }
}
