//! What nodes say to each other: between controller and agent, between director and subagent.
//!
//! A *session* is one successful coupling. The side that was dialled numbers them, and every later message names its session,
//! so that what was under way in a broken one is not taken for part of the next. Within a session, what must be done once is
//! numbered too. Whoever meets a gap, or anything else that cannot be, ends the link with a reason and the other side
//! couples again: coupling compares everything, so there is one way to repair, and it is used all the time.

mod agent;
mod subagent;
mod voting;

pub use agent::{AgentCommand, AgentCoupling, CausedCommand, FromAgent, ToAgent};
pub use subagent::{
    AttemptState, Channel, FromSubagent, MachineLoad, Report, Reported, SubagentCoupling, SubagentRefusal, ToSubagent,
};
pub use voting::Voting;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What travels in one frame.
pub trait Message: Serialize + DeserializeOwned {
    /// The kind of the frame.
    const KIND: u16;
}

impl Message for ToAgent {
    const KIND: u16 = 16;
}

impl Message for FromAgent {
    const KIND: u16 = 17;
}

impl Message for ToSubagent {
    const KIND: u16 = 32;
}

impl Message for FromSubagent {
    const KIND: u16 = 33;
}
