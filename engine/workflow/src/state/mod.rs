//! The state which the events make up: pure data, folded by `apply`, asked by whoever decides.
//!
//! No structure here knows a clock. Each offers what is needed to decide (questions, and the events which would follow), and
//! folds events in. The cost of an operation does not depend on the number of orders.

pub mod board;
mod item_text;
pub mod job_queue;
pub mod lock;
mod order_queue;
pub mod plan;
pub mod subagent;
pub mod throttle;
