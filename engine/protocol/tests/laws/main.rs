//! What must hold for all inputs, tried on many: each file states the laws of one part.
//!
//! A failure prints the shrunken input; paste it into a test of its own to keep it.
#![expect(clippy::unwrap_used, reason = "in a test it is the failure that is wanted")]

mod codec;
mod commit;
mod deadlines;
mod event_ids;
mod host;
mod install;
mod messages;
mod random;

use proptest::test_runner::Config;

/// Enough cases to meet the rare orders, few enough for the inner loop.
fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}
