//! The hosts: what surrounds the machines of a node, for the [driver](crate::driver).

mod built_in;
pub mod controller;
pub mod director;
mod files;
mod job;
pub mod links;
pub mod local;
pub mod locality;
mod metering;
pub mod subagent;
mod watch;
