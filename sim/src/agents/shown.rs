//! What a world has shown: what a campaign adds up, and what is wrong.

use baton_protocol::time::Duration;
use std::collections::BTreeMap;

/// What a campaign is to have seen at least sometimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sometimes {
    /// A process went on while its director was restarted, and its end was told to the next.
    SurvivedItsDirector,
    /// A process ended while nobody was there to be told.
    EndedUnheard,
    /// A lease ran out, and what ran was ended.
    LeaseRanOut,
    /// A process was lost because its subagent was restarted.
    LostByRestart,
    /// Because its host said that the subagent is dead.
    LostByDeath,
    /// Because the subagent was silent for too long.
    LostBySilence,
    /// Because the subagent was reset.
    LostByReset,
    /// Because it was ended when its subagent ended or lost its director.
    LostByEnd,
    /// A lost process was repeated by another subagent.
    HandedOver,
    /// A job that must not be repeated was lost, and its order failed.
    NotRepeated,
    /// A process was ended by command.
    Killed,
    /// A process was ended because its time was over.
    TimedOut,
    /// A process ignored SIGTERM, and got SIGKILL.
    Stubborn,
    /// A failed job was tried again.
    Retried,
    /// An order was suspended and resumed.
    Resumed,
    /// An agent was reset.
    AgentReset,
    /// An agent lost its journal.
    JournalLost,
    /// A subagent was reset.
    SubagentReset,
    /// A subagent stopped as it was told.
    SubagentShutdown,
    /// A subagent was deleted.
    SubagentDeleted,
    /// A node was rebuilt from an image.
    FromImage,
    /// A recovery was compared with what lives.
    Compared,
    /// A controller took over.
    ControllerTookOver,
    /// A controller handed over.
    ControllerSwitched,
    /// A controller refused a command because it is not active.
    NotActive,
    /// A clock was put back.
    ClockWentBack,
    /// The promised time of a hand-over was measured after a death.
    BoundByDeath,
    /// After silence.
    BoundBySilence,
}

impl Sometimes {
    /// All.
    pub const ALL: [Self; 28] = [
        Self::SurvivedItsDirector,
        Self::EndedUnheard,
        Self::LeaseRanOut,
        Self::LostByRestart,
        Self::LostByDeath,
        Self::LostBySilence,
        Self::LostByReset,
        Self::LostByEnd,
        Self::HandedOver,
        Self::NotRepeated,
        Self::Killed,
        Self::TimedOut,
        Self::Stubborn,
        Self::Retried,
        Self::Resumed,
        Self::AgentReset,
        Self::JournalLost,
        Self::SubagentReset,
        Self::SubagentShutdown,
        Self::SubagentDeleted,
        Self::FromImage,
        Self::Compared,
        Self::ControllerTookOver,
        Self::ControllerSwitched,
        Self::NotActive,
        Self::ClockWentBack,
        Self::BoundByDeath,
        Self::BoundBySilence,
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
    /// How many orders there were.
    pub orders: usize,
    /// How many processes were started.
    pub processes: usize,
    /// What happened at least once, and how often.
    pub seen: BTreeMap<Sometimes, u64>,
    /// After the loss of a subagent at the end: how long a new job had to wait, at most.
    pub wait: Option<(Sometimes, Duration)>,
    /// What is wrong, if anything is.
    pub violation: Option<String>,
}
