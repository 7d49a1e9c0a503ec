//! The hosts: what surrounds the machines of a node, for the [driver](crate::driver).

mod built_in;
pub mod cluster_watch;
pub mod commits;
pub mod controller;
pub mod director;
mod files;
mod job;
pub mod links;
pub mod local;
pub mod locality;
mod metering;
mod pairing;
pub mod peek;
pub mod standing;
pub mod subagent;
pub mod tally;
pub mod voters;
mod watch;
