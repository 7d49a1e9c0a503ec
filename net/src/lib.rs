//! The network of a node: links between nodes.

pub mod link;
