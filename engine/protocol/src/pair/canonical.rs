//! For searches that compare states: brings what differs between two nodes but never makes a difference into one form.

use super::Pair;
use crate::deadline::Deadlines;

impl Pair {
    /// Forgets how often storage was asked to read, when all of that is answered. When no deadline will ever come, also when
    /// the deadlines are, and what they are made of.
    pub fn canonize(&mut self, is_timeless: bool) {
        if self.checking.is_none() && self.stream.as_ref().is_none_or(|stream| !stream.is_reading()) {
            self.reads = 0;
        }
        if is_timeless {
            self.deadlines = Deadlines::new();
            self.random.rewind();
            self.attempts = 0;
        }
    }
}
