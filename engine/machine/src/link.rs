//! Links: what a machine and its host say to each other about connections.
//!
//! A link is an ordered stream of frames to one peer, of which nothing is known but that it may end at any time. The host
//! names links and never uses a name twice, so that what is still under way for an ended one is recognised. The host cuts the
//! stream into frames (see [`baton_protocol::frame::Decoder`]) and ends the link when it cannot; what a frame holds, the
//! machine looks at.

use alloc::string::String;
use alloc::sync::Arc;
use baton_protocol::frame::Frame;
use baton_workflow::id::{AgentPath, SubagentId};
use core::fmt;

/// Names a link. Never used twice in a run of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// Whom to dial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// The director of an agent.
    Agent(AgentPath),
    /// One of two directors of an agent.
    Director {
        /// The agent.
        agent: AgentPath,
        /// The subagent of this director's own host, at whose address it is.
        subagent: SubagentId,
    },
    /// A subagent.
    Subagent(SubagentId),
}

/// What the host says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkInput {
    /// A link is there.
    Up {
        /// Its name.
        link: LinkId,
        /// Whom it was dialled for. `None`: somebody dialled us.
        dialled: Option<Peer>,
    },
    /// Dialling did not lead to a link.
    Failed {
        /// Who was dialled.
        peer: Peer,
        /// How it failed.
        ending: Ending,
    },
    /// A frame has arrived.
    Received {
        /// Over this link.
        link: LinkId,
        /// The frame.
        frame: Frame,
    },
    /// A link is gone.
    Down {
        /// Which.
        link: LinkId,
        /// How it ended.
        ending: Ending,
    },
}

/// How a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer's host says that there is nobody: the peer is dead.
    Refused,
    /// Nobody knows.
    Lost,
}

/// What the host is to do. Asserts nothing, and goes out at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkHint {
    /// Dial; the answer is [`LinkInput::Up`] or [`LinkInput::Failed`].
    Dial {
        /// For whom.
        peer: Peer,
        /// Where.
        address: String,
    },
    /// End the link. Answered by nothing; whatever arrives over it afterwards is ignored.
    HangUp {
        /// Which.
        link: LinkId,
        /// Why, for people.
        reason: String,
    },
    /// Send.
    Send {
        /// Over this link.
        link: LinkId,
        /// A whole frame.
        frame: Arc<[u8]>,
    },
}
