//! The parts that the `baton` command is put together from.
//!
//! They are a library so that the daemons, the tests and the benchmarks use the very same code.

pub mod api;
pub mod check;
pub mod cli;
pub mod config;
pub mod ctl;
pub mod daemon;
pub mod documents;
pub mod driver;
mod flood;
pub mod host;
pub mod init;
pub mod journal;
pub mod logging;
pub mod metrics;
pub mod notify;
pub mod process;
pub mod run;
pub mod schema;
