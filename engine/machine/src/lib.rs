//! Part of the engine.
#![no_std]
extern crate alloc;
