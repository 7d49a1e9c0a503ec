//! Between a director and a subagent.
//!
//! The director dials and couples, with everything it believes to run there. The subagent answers what of that runs, has
//! finished, or never started, and ends what it runs besides. From then on what happened to processes is told as a numbered
//! stream of reports, kept until acknowledged.
//!
//! Signs of life run both ways, and they are a lease: the director returns the number of the subagent's last sign, and with
//! that the subagent may run its processes until [`reconnect_timeout`](crate::timing::Timing::reconnect_timeout) after it *sent* that
//! sign. Thus the director, which received it later, knows when they must have ended, whatever the network does.

use crate::attempt::{Attempt, RunId};
use crate::codec::epoch;
use crate::process::{End, KillCause, ProcessSpec, Signal};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use baton_protocol::record::Epoch;
use baton_workflow::id::{AgentPath, SubagentId};
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// From the director.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToSubagent {
    /// The first message over a link.
    Couple(SubagentCoupling),
    /// Start a process, unless it has been started.
    Launch {
        /// The session.
        session: u64,
        /// Number of this message among launches and kills of the session, from one.
        number: u64,
        /// Which attempt.
        attempt: Attempt,
        /// What to start.
        spec: ProcessSpec,
    },
    /// End a process.
    Kill {
        /// The session.
        session: u64,
        /// Number of this message among launches and kills of the session, from one.
        number: u64,
        /// Which.
        attempt: Attempt,
        /// How.
        signal: Signal,
        /// After [`Signal::Terminate`]: how long until [`Signal::Kill`].
        grace: Duration,
        /// Why.
        cause: KillCause,
    },
    /// Reports until here are committed at the director; the subagent needs to keep them no longer.
    Received {
        /// The session.
        session: u64,
        /// Number of the last of them.
        until: u64,
    },
    /// A sign of life.
    Beat {
        /// The session.
        session: u64,
        /// Number of the subagent's last sign of life; zero for the answer to the coupling. None: the director cannot be sure that
        /// it is still active, so the lease is not renewed.
        heard: Option<u64>,
    },
}

/// Who wants to couple, and what it knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubagentCoupling {
    /// The agent.
    pub agent_path: AgentPath,
    /// Identifies the agent's journal.
    pub agent_run_id: String,
    /// Whom it wants to reach.
    pub subagent_id: SubagentId,
    /// The epoch of the director. Subagents refuse a lower one than they have seen.
    #[serde(with = "epoch")]
    pub epoch: Epoch,
    /// The run that the director knows. Absent when it knows none.
    pub run_id: Option<RunId>,
    /// Reports of that run until here are at the director.
    pub received: u64,
    /// What runs there, as the director knows.
    pub attempts: Vec<Attempt>,
    /// Whether a subagent that belongs to another agent, or is in use, is to be taken over.
    pub force: bool,
}

/// From the subagent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromSubagent {
    /// Coupled; the answer to [`ToSubagent::Couple`].
    Coupled {
        /// The session which begins.
        session: u64,
        /// Identifies the subagent's process.
        run_id: RunId,
        /// Reports until here were acknowledged, and are not known any more.
        acknowledged: u64,
        /// The environment of the subagent, in which expressions are evaluated.
        environment: BTreeMap<String, String>,
        /// What is known of the attempts which the director named.
        attempts: Vec<(Attempt, AttemptState)>,
    },
    /// Not coupled; the answer to [`ToSubagent::Couple`].
    Refused(SubagentRefusal),
    /// The answer to [`ToSubagent::Launch`].
    Launched {
        /// The session.
        session: u64,
        /// Which attempt.
        attempt: Attempt,
        /// What has become of it.
        state: AttemptState,
    },
    /// What happened to processes.
    Reports {
        /// The session.
        session: u64,
        /// Number of the first; the others follow without gap.
        first: u64,
        /// Some reports.
        reports: Vec<Report>,
    },
    /// A sign of life.
    Beat {
        /// The session.
        session: u64,
        /// Number of this sign in the session, from one.
        number: u64,
        /// What is known anew of the subagent's machine.
        metering: Option<MachineLoad>,
    },
    /// The subagent ends: it starts no more processes.
    Stopping {
        /// The session.
        session: u64,
    },
    /// The subagent has ended as it was told: nothing runs there any more, and all reports are received.
    Stopped {
        /// The session.
        session: u64,
    },
}

/// What a host measures of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineLoad {
    /// Load of all processors together, 0 to 1000; none if it is not known.
    pub cpu_per_mille: Option<u16>,
    /// Bytes of virtual memory which are promised to processes.
    pub committed_memory: u64,
    /// Bytes of memory which processes can get.
    pub free_memory: u64,
    /// Bytes of memory.
    pub total_memory: u64,
}

/// What a subagent knows of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptState {
    /// Nothing: it was never started here, or has been forgotten since its end was received.
    NotStarted,
    /// It is being started or runs.
    Running,
    /// It has ended; the report is under way.
    Finished,
}

/// Why a subagent does not couple.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubagentRefusal {
    /// It is another subagent.
    OtherSubagent {
        /// Its id.
        subagent_id: SubagentId,
    },
    /// It belongs to another agent.
    OtherAgent {
        /// The agent.
        agent_path: AgentPath,
        /// Identifies the journal of that agent.
        agent_run_id: String,
    },
    /// A newer director has coupled already.
    Superseded {
        /// Its epoch.
        #[serde(with = "epoch")]
        epoch: Epoch,
    },
    /// It is ending what it runs for somebody else, as it was told; then it can be coupled with.
    Ending,
}

impl fmt::Display for SubagentRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherSubagent { subagent_id } => write!(f, "at this address is Subagent:{subagent_id}"),
            Self::OtherAgent { agent_path, agent_run_id } => {
                write!(f, "it belongs to Agent:{agent_path} with the journal {agent_run_id}")
            }
            Self::Superseded { epoch } => {
                write!(
                    f,
                    "it has been coupled with a newer director, of epoch {epoch}. If that one is gone for good, restart the subagent"
                )
            }
            Self::Ending => f.write_str("it is ending what it runs, before it starts anew"),
        }
    }
}

/// What happened to a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which.
    pub attempt: Attempt,
    /// What happened.
    pub what: Reported,
}

/// What happened to a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reported {
    /// It runs.
    Started {
        /// Its number in the operating system.
        pid: u32,
    },
    /// It wrote something.
    Output {
        /// Where to.
        channel: Channel,
        /// What.
        chunk: String,
    },
    /// It has ended, or could not be started. The last report of an attempt.
    Ended(End),
}

/// Where a process writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Report {
    /// Memory it takes, roughly, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.what {
                Reported::Output { chunk, .. } => chunk.len(),
                Reported::Started { .. } | Reported::Ended(_) => 0,
            }
    }
}
