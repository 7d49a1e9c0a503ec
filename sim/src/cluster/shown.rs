//! What a world has shown: what a campaign adds up, and what is wrong.

use super::plan::Failure;
use baton_protocol::time::Duration;
use std::collections::BTreeMap;

/// What a campaign is to have seen at least sometimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sometimes {
    /// A standby took over.
    TookOver,
    /// An active went on alone.
    WentOnAlone,
    /// A node handed over by order.
    SwitchedOver,
    /// An active stopped by order.
    Stopped,
    /// A standby was appointed after a stop.
    Appointed,
    /// A node cut off records that were never committed.
    Cut,
    /// A node that was active learned that it is not any more.
    Deposed,
    /// An active started again and stayed active.
    Restarted,
    /// The pair coupled again after a fault.
    CoupledAgain,
    /// A voter that lost its memory was taken in.
    Replaced,
    /// A person forced the only voter that was left.
    Forced,
    /// A person accepted that records are lost with an active that was alone.
    LossAccepted,
    /// A client asked again and was not counted twice.
    AskedAgain,
    /// Both nodes asked for the record at the same time.
    BothAsked,
    /// A standby caught up from an image, and coupled.
    CaughtUpFromImage,
    /// A standby that was getting an image got a newer one instead.
    NewerImage,
    /// Somebody has looked, and was shown the list.
    Seen,
}

impl Sometimes {
    /// All.
    pub const ALL: [Self; 17] = [
        Self::TookOver,
        Self::WentOnAlone,
        Self::SwitchedOver,
        Self::Stopped,
        Self::Appointed,
        Self::Cut,
        Self::Deposed,
        Self::Restarted,
        Self::CoupledAgain,
        Self::Replaced,
        Self::Forced,
        Self::LossAccepted,
        Self::AskedAgain,
        Self::BothAsked,
        Self::CaughtUpFromImage,
        Self::NewerImage,
        Self::Seen,
    ];
}

/// What a world has shown.
#[derive(Debug)]
pub struct Shown {
    /// Digest of all that happened.
    pub digest: u64,
    /// How many random numbers were drawn.
    pub draws: u64,
    /// How many steps were made.
    pub steps: u64,
    /// How much time has passed in it.
    pub time: Duration,
    /// What happened at least once, and how often.
    pub seen: BTreeMap<Sometimes, u64>,
    /// After the single failure: how long no client was answered.
    pub outage: Option<(Failure, Duration)>,
    /// What is wrong, if anything is.
    pub violation: Option<String>,
}
