//! Clusters of real processes, as users run them: two controllers and a watch, started from what `baton init cluster` writes, with
//! clients that give commands, readers of events, faults drawn at random, and an oracle which remembers what everybody was told.
//!
//! The test of this folder and the benchmark `cluster` are made of it.

mod access;
pub(crate) mod chaos;
pub(crate) mod clients;
pub(crate) mod endings;
pub(crate) mod faults;
pub(crate) mod health;
pub(crate) mod installation;
mod lines;
pub(crate) mod oracle;
mod proxy;
mod reader;

/// What went wrong: a broken promise, or the machine does not give what is needed.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) use access::Access;
