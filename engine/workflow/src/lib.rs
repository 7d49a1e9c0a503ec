//! The workflow language and its engine.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod decimal;
pub mod problem;
pub mod value;
