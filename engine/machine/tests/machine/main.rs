//! The machines together, on a host in memory: links without delay, a disk that never fails, processes that are scripts of
//! a few words. Each test states what must come out; all of them share the checks of the world.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod codec;
mod congestion;
mod coupling;
mod disagreement;
mod disk;
mod execution;
mod loss;
mod metering;
mod observe;
mod pairs;
mod process;
mod reading;
mod recovery;
mod repetition;
mod reset;
mod rubbish;
mod setup;
mod slices;
mod subagent;
mod world;
