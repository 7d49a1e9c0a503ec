//! The integration tests of the nodes: one binary, a module for each part.
#![expect(clippy::unwrap_used, reason = "tests")]

mod agents;
mod api;
mod cluster;
mod examples;
mod figures;
mod pair;
mod process;
mod run;
mod simulated;
