//! The tests of the network: one binary.
#![expect(clippy::unwrap_used, reason = "tests")]

mod death;
mod frames;
mod http;
mod peers;
mod simulated;
mod visits;
mod world;
