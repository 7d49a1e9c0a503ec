//! The contract suite, run against every store; and what only the store on fjall can suffer: damaged files, killed
//! processes, full disks.

mod contract;
#[cfg(feature = "fjall")]
mod folder;
mod sample;
