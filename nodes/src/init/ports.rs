//! Which ports the daemons of a new cluster get.

use std::net::{Ipv4Addr, TcpListener};

/// Blocks of ports are so far apart.
const STEP: u16 = 100;

/// So many blocks are tried.
const BLOCKS: u16 = 50;

/// So many agents fit in between two blocks.
pub(super) const MOST_AGENTS: u16 = 20;

/// The ports of a cluster: of two controllers and a watch, in this order, and of agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    /// Of the controllers, for HTTP.
    pub(super) api: [u16; 2],
    /// For links.
    pub(super) links: [u16; 3],
    /// Of the watch, for HTTP.
    pub(super) http: u16,
    /// Of the first agent, for links, for HTTP, and for its pair if it is one of two directors; each of the others has the next one,
    /// if they are on one machine.
    pub(super) agent: [u16; 3],
}

impl Ports {
    /// Each daemon is on its own host, so all have the usual ones.
    pub(super) const APART: Self = Self { api: [4444; 2], links: [4454; 3], http: 4464, agent: [4445, 4465, 4456] };

    /// The usual ones on one machine. 4446 is that of cockpits.
    const TOGETHER: Self = Self {
        api: [4444, 4447],
        links: [4454, 4455, 4456],
        http: 4464,
        agent: [4470, 4470 + MOST_AGENTS, 4470 + 2 * MOST_AGENTS],
    };

    /// Six in a row, and two for each agent, or three for each director of pairs. None if there are not so many.
    pub(super) fn from(first: u16, agents: u16, has_pairs: bool) -> Option<Self> {
        let port = |i| first.checked_add(i).filter(|_| first > 0);
        port(5 + each(has_pairs) * agents)?;
        let (api, links) = ([port(0)?, port(1)?], [port(2)?, port(3)?, port(4)?]);
        let agent = [0, agents, 2 * agents].map(|before| first.saturating_add(6 + before));
        Some(Self { api, links, http: port(5)?, agent })
    }

    /// The first block on this machine of which nothing is in use. None if there is none.
    pub(super) fn free(agents: u16, has_pairs: bool) -> Option<Self> {
        (0..BLOCKS)
            .map(|block| Self::TOGETHER.moved(block * STEP))
            .find(|ports| ports.used(agents, has_pairs).is_none())
    }

    /// The first that is in use on this machine now.
    pub(super) fn used(self, agents: u16, has_pairs: bool) -> Option<u16> {
        let kinds = self.agent.into_iter().take(each(has_pairs).into());
        let agents = kinds.flat_map(|first| (0..agents).map(move |n| first.saturating_add(n)));
        self.all().into_iter().chain(agents).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
    }

    fn all(self) -> [u16; 6] {
        let Self { api: [api_1, api_2], links: [links_1, links_2, links_3], http, agent: _ } = self;
        [api_1, api_2, links_1, links_2, links_3, http]
    }

    fn moved(self, by: u16) -> Self {
        let Self { api, links, http, agent } = self;
        let (api, links) = (api.map(|port| port + by), links.map(|port| port + by));
        Self { api, links, http: http + by, agent: agent.map(|port| port + by) }
    }
}

/// How many ports an agent has.
const fn each(has_pairs: bool) -> u16 {
    if has_pairs { 3 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_use_are_not_taken() {
        let ports = Ports::free(1, true).unwrap();
        assert_eq!(ports.api[0] % 100, 44);
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let ports = Ports { http: port, ..ports };
        assert_eq!(ports.used(0, false), Some(port));
        assert_eq!(Ports { agent: [1, port, 1], ..Ports::free(0, false).unwrap() }.used(1, false), Some(port));
        // All blocks are ports.
        assert!(Ports::TOGETHER.all().iter().all(|port| port.checked_add(BLOCKS * STEP).is_some()));
    }

    #[test]
    fn a_row_of_ports_is_whole() {
        assert_eq!(Ports::from(9000, 0, false).unwrap().all(), [9000, 9001, 9002, 9003, 9004, 9005]);
        assert!(
            Ports::from(65_531, 0, false).is_none()
                && Ports::from(0, 0, false).is_none()
                && Ports::from(65_530, 0, false).is_some()
        );
        assert!(Ports::from(65_529, 1, false).is_none() && Ports::from(65_528, 1, false).is_some());
        assert_eq!(Ports::from(9000, 2, true).unwrap().agent, [9006, 9008, 9010]);
    }
}
