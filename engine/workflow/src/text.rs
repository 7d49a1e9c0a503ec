//! Small notations besides expressions: sets of integers and what return codes mean, and the reader they all share.

pub(crate) mod cursor;
pub mod range_set;
pub mod return_code;
pub(crate) mod serde_text;
