//! A controller, an agent and its subagents as real processes on one machine, with jobs that tell a ledger when they begin and end.
//!
//! The tests of this folder and the benchmark `agents` are made of it.

pub(crate) mod api;
pub(crate) mod chaos;
pub(crate) mod installation;
pub(crate) mod ledger;

/// What went wrong: a broken promise, or the machine does not give what is needed.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
