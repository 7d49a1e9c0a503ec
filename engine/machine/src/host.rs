//! What controllers and directors say to their hosts: plain data.
//!
//! A host delivers inputs and carries out effects in order (see [`baton_protocol::outbox::Effect`]). For the machines here:
//!
//! - [`Act::Link`] and [`Outgoing::Frame`] are for the network. A frame for a link that is gone is dropped.
//! - [`Outgoing::Reply`], [`Outgoing::Seen`] or [`Act::Reply`] answers a caller, once.
//! - [`Outgoing::Events`], [`Act::NoEvents`] or [`Act::Released`] answers a reader, once.
//! - [`Act::Pair`] and [`Outgoing::Pair`] are for the other voters of a pair. To be sent as bytes
//!   ([`Envelope::encode`]); what finds no link is dropped. Pieces of an image are collected until storage is told to begin
//!   anew with it ([`baton_protocol::outbox::Effect::Install`]).
//! - [`Act::ReadRecords`] is for storage: records from an offset on, some of them, for the reader who wants what is not in
//!   memory any more.

use crate::codec::Stamped;
use crate::link::{LinkHint, LinkId};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::gate;
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::{PairHint, PairLane, Trouble};
use baton_protocol::record::{Offset, Position};
use baton_protocol::register::Seat;
use baton_workflow::id::{AgentPath, OrderWatchPath};
use baton_workflow::model::command::Response;
use baton_workflow::problem::Problem;

/// Names somebody who gave a command. Chosen by the host, used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerId(pub u64);

/// Names somebody who reads events. Chosen by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReaderId(pub u64);

/// To whom a promise goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// A session with a peer.
    Link(LinkId),
    /// Somebody who gave a command.
    Caller(CallerId),
    /// Somebody who reads events.
    Reader(ReaderId),
    /// Of the pair.
    Pair(PairLane),
}

/// What the journal is sure of.
#[derive(Clone, Debug, PartialEq)]
pub enum Outgoing {
    /// A whole frame for the link.
    Frame(Arc<[u8]>),
    /// The answer to a command.
    Reply(Reply),
    /// What was looked at is committed, and may be shown.
    Seen,
    /// Committed events, at least one.
    Events(Vec<Stamped>),
    /// To another voter of the pair.
    Pair(Seat, Envelope),
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The answer, or why the command is refused.
    pub answer: Result<Response, Problem>,
    /// The last event that the answer depends on: who reads events until here, sees what the command did.
    pub event_id: EventId,
}

/// Who wants records from storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordReader {
    /// A reader of events.
    Reader(ReaderId),
    /// The peer over a link.
    Link(LinkId),
}

/// What may be done at once, because it asserts nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// About links.
    Link(LinkHint),
    /// Refuses a command.
    Reply {
        /// Whose.
        caller: CallerId,
        /// Why.
        reply: Reply,
    },
    /// A reader cannot be served now; it may ask again after a while.
    NoEvents {
        /// Which.
        reader: ReaderId,
    },
    /// Tells a reader that what it wants is not there any more.
    Released {
        /// Who.
        reader: ReaderId,
        /// All events after this one can be read. Who wants earlier ones has to begin with an image of the state.
        until: EventId,
    },
    /// Reads records.
    ReadRecords {
        /// For whom; to be handed back with them.
        reader: RecordReader,
        /// The first.
        from: Offset,
    },
    /// Watches a directory, from now on or anew. Answered by `DirectorInput::Directory`, which may be repeated at any time.
    Watch {
        /// For which file watch.
        watch: OrderWatchPath,
        /// Which directory.
        directory: String,
    },
    /// Watches no more.
    Unwatch {
        /// For which file watch.
        watch: OrderWatchPath,
    },
    /// About the pair.
    Pair(PairHint),
    /// Builds the replica of the journal as it ends here, once storage has truncated it, or has installed the image with which
    /// it begins anew (it was told so before). Answered by `ControllerInput::RolledBack`.
    RollBack {
        /// The end of the journal.
        to: Position,
    },
    /// This node is not active any more. Whoever waits for an answer or for events gets none from here, and has to ask the
    /// other node; whether a command was carried out is not known.
    Deposed,
    /// A person has to look at the pair.
    Trouble(Trouble),
    /// A person has to look at the pair of directors of an agent, of which this controller is the watch.
    AgentTrouble {
        /// Which agent.
        agent: AgentPath,
        /// What.
        trouble: Trouble,
    },
    /// Of a director whose watch is its controller: from now on what goes to [`Seat::Watch`] goes over this link, in a frame
    /// ([`Voting::frame`](crate::message::Voting::frame)); without a link it is dropped.
    WatchLink(Option<LinkId>),
}

impl gate::Promise for Outgoing {
    fn supersedes(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Pair(to, envelope), Self::Pair(before, earlier)) => to == before && envelope.supersedes(earlier),
            _ => false,
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Frame(frame) => frame.len(),
                // What is promised to other voters is short: votes and positions.
                Self::Reply(_) | Self::Seen | Self::Pair(..) => 0,
                Self::Events(events) => events.iter().map(Stamped::bytes).sum(),
            }
    }
}
