//! What the engine talks about: items, workflows, orders, events, commands. Plain data with a JSON form.

pub mod check;
pub mod command;
pub mod event;
mod forms;
pub mod history;
pub mod instruction;
pub mod item;
pub mod job;
pub mod key;
mod legacy;
pub mod notice;
pub mod operation;
pub mod order;
pub mod order_event;
pub mod outcome;
pub mod plan;
pub mod preparation;
pub mod watch;
pub mod workflow;

pub(crate) use legacy::quoted;
