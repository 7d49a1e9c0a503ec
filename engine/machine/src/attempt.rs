//! Attempts: what makes one start of a process different from every other, so that no result counts twice and no old one for
//! a new one.

use crate::codec::{epoch, event_id};
use baton_protocol::event_id::EventId;
use baton_protocol::record::Epoch;
use baton_workflow::id::OrderId;
use core::fmt;
use serde::{Deserialize, Serialize};

/// One start of a process for an order. Ordered by when it was decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    /// The event `OrderProcessingStarted` in the director's journal. Unique and increasing.
    #[serde(with = "event_id")]
    pub number: EventId,
    /// The epoch of the director that decided it. Only committed attempts are launched, so this adds nothing to the number but
    /// certainty.
    #[serde(with = "epoch")]
    pub epoch: Epoch,
    /// For which order.
    pub order_id: OrderId,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Order:{}, attempt {} of epoch {}", self.order_id, self.number, self.epoch)
    }
}

/// Identifies one run of a subagent. What a subagent knew is gone when it has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(pub u64);

impl RunId {
    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
