//! The workflow language and its engine.
#![no_std]

extern crate alloc;

pub mod decimal;
pub mod problem;
pub mod value;
