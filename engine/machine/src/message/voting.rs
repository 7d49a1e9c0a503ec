//! Between a controller that is the cluster watch of an agent, and the directors of that agent: what voters of a pair say to
//! each other, over the link that the controller has with each of them anyway.

use super::Message;
use crate::codec::{self, CodecError};
use alloc::sync::Arc;
use alloc::vec::Vec;
use baton_protocol::frame::Frame;
use baton_protocol::pair::message::Envelope;
use serde::{Deserialize, Serialize};

/// What one voter says to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voting {
    /// As [`Envelope::encode`] has it.
    envelope: Vec<u8>,
}

impl Voting {
    /// A frame with it; none if it is too long, which it never is.
    #[must_use]
    pub fn frame(envelope: &Envelope) -> Option<Arc<[u8]>> {
        codec::encode_message(&Self { envelope: envelope.encode() }).ok()
    }

    /// Whether a frame has something of this kind.
    #[must_use]
    pub fn is_in(frame: &Frame) -> bool {
        frame.kind == Self::KIND
    }

    /// What is in a frame; none if it is not understood.
    ///
    /// # Errors
    /// When the frame has something else.
    pub fn read(frame: &Frame) -> Result<Option<Envelope>, CodecError> {
        let Self { envelope } = codec::decode_message(frame)?;
        Ok(Envelope::decode(&envelope))
    }
}

impl Message for Voting {
    const KIND: u16 = 18;
}
