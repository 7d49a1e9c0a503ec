//! The workflow language and its engine.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod command;
pub mod decimal;
pub mod document;
pub mod expression;
pub mod flow;
pub mod id;
pub mod json;
pub mod model;
pub mod position;
pub mod preparation;
pub mod problem;
pub mod schedule;
pub mod scope;
pub mod state;
pub mod step;
pub mod text;
pub mod time;
pub mod transition;
pub mod value;
