//! The daemons: what runs for months.

mod listen;
pub mod node;
pub mod stop;
