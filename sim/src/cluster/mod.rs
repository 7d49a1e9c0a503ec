//! Clusters of two nodes and a watch, with a toy application, in worlds of faults: the production code of
//! `baton_protocol::pair`, `register` and `watch`, unchanged.
//!
//! - [`toy`]: the application, a list of numbers.
//! - [`host`]: what runs a node: a disk that loses what was not synced, and the effects of steps.
//! - [`audit`]: what must never happen, one function for each invariant.
//! - [`controllers`]: worlds in which the nodes are real controllers, with clients and a reader.
//! - [`explorer`]: all runs of a small world, breadth first, so that the first counterexample is a shortest one.
//! - [`swarm`]: worlds with time, drawn from a seed.
//! - [`script`]: a cluster on a stage, with verbs that read like a story.
//! - [`scenarios`]: the stories.

pub mod audit;
pub mod controllers;
pub(crate) mod digest;
pub mod explorer;
pub mod host;
pub mod plan;
pub mod scenarios;
pub mod script;
pub mod shown;
pub mod swarm;
pub mod toy;
