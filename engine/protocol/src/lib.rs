//! The replicating half of the engine: journal, fences, gate, deadlines, randomness and framing, as deterministic state
//! machines that know nothing of the application they replicate.
#![no_std]

extern crate alloc;

pub mod checksum;
pub mod limit;
pub mod record;
pub mod time;
