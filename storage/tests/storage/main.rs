//! The contract suite, run against every store; and what only the store on fjall can suffer: damaged files, killed
//! processes, full disks.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
#[cfg(feature = "fjall")]
mod damage;
#[cfg(feature = "fjall")]
mod folder;
#[cfg(feature = "fjall")]
mod processes;
mod sample;
mod simulated;
mod writing;
