//! Who is where: the processes of a world, and the computers on which they run.

use baton_protocol::register::Seat;
use baton_workflow::id::{AgentPath, SubagentId};
use std::fmt;

/// A process of Baton.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A controller, or the watch of two.
    Controller(Seat),
    /// The director of an agent, by its number.
    Director(u8, Seat),
    /// What runs jobs on a computer of an agent: by the numbers of both.
    Subagent(u8, u8),
}

/// A computer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Computer {
    /// Of a controller, or of the watch.
    Controller(Seat),
    /// One of an agent, from 1. Directors are on the first and the second.
    Agent(u8, u8),
}

impl Place {
    /// Where it runs.
    #[must_use]
    pub fn computer(self) -> Computer {
        match self {
            Self::Controller(seat) => Computer::Controller(seat),
            Self::Director(agent, seat) => Computer::Agent(agent, seat as u8 + 1),
            Self::Subagent(agent, number) => Computer::Agent(agent, number),
        }
    }

    /// The process on the computer at this address.
    pub(super) fn of_address(address: &str, is_director: bool) -> Option<Self> {
        let (agent, number) = address.strip_prefix("world:")?.split_once('-')?;
        let agent = *agent.as_bytes().first()? - b'A';
        let number = number.parse().ok()?;
        match (is_director, number) {
            (false, number) => Some(Self::Subagent(agent, number)),
            (true, 1) => Some(Self::Director(agent, Seat::First)),
            (true, 2) => Some(Self::Director(agent, Seat::Second)),
            (true, _) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller(Seat::Watch) => f.write_str("watch"),
            Self::Controller(seat) => write!(f, "controller {seat}"),
            Self::Director(agent, seat) => write!(f, "director {} {seat}", agent_path(*agent)),
            Self::Subagent(agent, number) => write!(f, "subagent {}", subagent_id(*agent, *number)),
        }
    }
}

/// The agents are A, B and so on.
#[must_use]
pub fn agent_path(agent: u8) -> AgentPath {
    AgentPath::new(&char::from(b'A' + agent).to_string())
}

/// The subagent that an agent has on its computer with this number at first.
#[must_use]
pub fn subagent_id(agent: u8, number: u8) -> SubagentId {
    SubagentId::new(&format!("{}-{number}", char::from(b'A' + agent)))
}

/// Where a subagent is reached.
pub(super) fn address(agent: u8, number: u8) -> String {
    format!("world:{}-{number}", char::from(b'A' + agent))
}
