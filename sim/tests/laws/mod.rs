//! The laws of the engine on random runs. A run that breaks one is told in words; shrunk, it is short.

use baton_sim::laws::story_of_failure;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hold_in_all_runs(data in prop::collection::vec(any::<u8>(), 0..700)) {
        if let Some(story) = story_of_failure(&data) {
            return Err(TestCaseError::fail(story));
        }
    }
}
