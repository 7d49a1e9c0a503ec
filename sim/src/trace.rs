//! The trace of a run: a digest over everything that happens, to prove that two runs are the same, and to find where they part.
//!
//! Each step is digested by canonical bytes (those which records and messages have anyway). Checkpoints tell two differing
//! runs apart within [`CHECKPOINT_STEPS`] steps; a run repeated with a log then shows these steps in words. The log costs
//! something only when it is wanted.

use baton_protocol::checksum::Checksum;
use std::ops::Range;

/// Steps between two checkpoints.
pub const CHECKPOINT_STEPS: u64 = 1024;

/// The digest of a run so far.
#[derive(Clone, Debug)]
pub struct Trace {
    digest: Checksum,
    steps: u64,
    checkpoints: Vec<u64>,
    logged: Range<u64>,
    log: Vec<String>,
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl Trace {
    /// Of a run that begins, without a log.
    #[must_use]
    pub fn new() -> Self {
        Self { digest: Checksum::new(0), steps: 0, checkpoints: Vec::new(), logged: 0..0, log: Vec::new() }
    }

    /// With a log of the steps with these numbers (from 0).
    #[must_use]
    pub fn logging(steps: Range<u64>) -> Self {
        Self { logged: steps, ..Self::new() }
    }

    /// Adds a step: what happened, as bytes which are the same in every run and on every machine, and in words.
    pub fn step(&mut self, bytes: &[u8], words: impl FnOnce() -> String) {
        self.digest.update(&(bytes.len() as u64).to_le_bytes());
        self.digest.update(bytes);
        if self.logged.contains(&self.steps) {
            self.log.push(format!("{} {}", self.steps, words()));
        }
        self.steps += 1;
        if self.steps.is_multiple_of(CHECKPOINT_STEPS) {
            self.checkpoints.push(self.digest());
        }
    }

    /// How many steps there were.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// The digest of all steps.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.clone().finish()
    }

    /// The logged steps in words.
    #[must_use]
    pub fn log(&self) -> &[String] {
        &self.log
    }

    /// The steps among which this run first differs from another: log them in both. `None`: the runs are the same.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<Range<u64>> {
        if self.steps == other.steps && self.digest() == other.digest() {
            return None;
        }
        let same = self.checkpoints.iter().zip(&other.checkpoints).take_while(|(a, b)| a == b).count() as u64;
        let from = same * CHECKPOINT_STEPS;
        Some(from..from + CHECKPOINT_STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(steps: u64, odd_step: Option<u64>, mut trace: Trace) -> Trace {
        for step in 0..steps {
            let bytes = if Some(step) == odd_step { 0 } else { step + 1 };
            trace.step(&bytes.to_le_bytes(), || format!("step {bytes}"));
        }
        trace
    }

    #[test]
    fn equal_runs_have_equal_digests() {
        assert_eq!(run(5000, None, Trace::new()).first_difference(&run(5000, None, Trace::new())), None);
    }

    #[test]
    fn a_difference_is_found_between_checkpoints() {
        let run_a = run(5000, None, Trace::new());
        for (steps, odd_step, expected) in [
            (5000, Some(0), 0..1024),
            (5000, Some(3000), 2048..3072),
            (4999, None, 4096..5120),
            (1024, None, 1024..2048),
        ] {
            assert_eq!(
                run_a.first_difference(&run(steps, odd_step, Trace::new())),
                Some(expected),
                "{steps} {odd_step:?}"
            );
        }
    }

    #[test]
    fn the_limits_of_steps_count() {
        let (mut a, mut b) = (Trace::new(), Trace::new());
        a.step(b"xy", String::new);
        b.step(b"x", String::new);
        b.step(b"y", String::new);
        assert_ne!(a.digest(), b.digest());
    }

    #[test]
    fn the_log_is_written_where_it_is_wanted() {
        let trace = run(5000, None, Trace::logging(2048..2050));
        assert_eq!(trace.log(), ["2048 step 2049", "2049 step 2050"]);
        assert_eq!(trace.digest(), run(5000, None, Trace::new()).digest());
    }
}
