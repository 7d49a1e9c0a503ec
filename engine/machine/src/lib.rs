//! The nodes of Baton as deterministic machines: [`controller`], [`director`] and [`subagent`].
//!
//! # Who is who
//!
//! A *controller* takes commands and hands orders and items to agents. The *director* of an agent makes the steps of the
//! orders it has, and lets *subagents* run their jobs. Each is a [`Machine`](baton_protocol::machine::Machine), hosted as
//! [`Node`](baton_protocol::node::Node), and they know of each other only what comes over links. Two that share a process
//! are connected by a link in memory and notice nothing.
//!
//! # The host
//!
//! Inputs and effects are plain data. A host (the driver in production, the simulator, a test)
//!
//! - builds a machine from an image and the records after it ([`controller::Controller::recover`],
//!   [`director::Director::recover`]; a subagent has neither), makes a node of it, and delivers
//!   [`Input::Start`](baton_protocol::machine::Input::Start) with a seed;
//! - carries out what comes out, in order: appends and promises as [`baton_protocol::outbox::Effect`] says, and the hints
//!   [`host::Act`] and [`subagent::SubagentHint`];
//! - names links ([`link::LinkId`]), cuts what arrives into frames, and says how links end, above all whether the peer's host
//!   said that there is nobody ([`link::Ending::Refused`]): then the processes of a subagent are lost at once;
//! - delivers [`Input::Due`](baton_protocol::machine::Input::Due) at the node's deadline;
//! - takes an [image](replica::Replica::image) now and then, when all of the journal is committed, and says when it is durable.
//! - of a controller in a pair: hands in the pair with what its cells hold ([`controller::Controller::with_pair`]) and a journal
//!   that follows, connects it with the other voters, and rebuilds the replica when the journal is cut
//!   ([`host::Act::RollBack`]).
//!
//! Frames are encoded and decoded in the machines: a host moves bytes.
//!
//! # What holds
//!
//! - What is promised (commands to agents, acknowledgements, launches, replies, events) leaves when the record behind it is
//!   committed. Signs of life, questions and refusals leave at once.
//! - One input leads to at most one transaction: one record, or several of which all count or none.
//! - While storage is behind, commands are refused, and links are ended rather than read: coupling again repairs all.
//! - Everything that grows is bounded by a constant, or by the state.
//!
//! Bounds of time are in [`timing`].
#![no_std]

extern crate alloc;

mod alarms;
pub mod answers;
pub mod attempt;
pub mod client;
pub mod codec;
pub mod controller;
pub mod director;
pub mod draft;
pub mod feed;
pub mod host;
pub mod link;
pub mod message;
mod office;
pub mod planted;
pub mod process;
mod reading;
pub mod relations;
pub mod replica;
pub mod subagent;
pub mod timing;
