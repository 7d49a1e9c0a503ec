//! The nodes of Baton as deterministic machines: controller, director and subagent.
#![no_std]

extern crate alloc;

mod alarms;
pub mod attempt;
pub mod codec;
pub mod feed;
pub mod link;
pub mod message;
pub mod process;
pub mod subagent;
pub mod timing;
