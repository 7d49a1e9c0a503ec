//! Which ports the daemons of a new cluster get.

use std::net::{Ipv4Addr, TcpListener};

/// Blocks of ports are so far apart.
const STEP: u16 = 100;

/// So many blocks are tried.
const BLOCKS: u16 = 50;

/// The ports of a cluster: of two controllers and a watch, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    /// Of the controllers, for HTTP.
    pub(super) api: [u16; 2],
    /// For links.
    pub(super) links: [u16; 3],
    /// Of the watch, for HTTP.
    pub(super) http: u16,
}

impl Ports {
    /// Each daemon is on its own host, so all have the usual ones.
    pub(super) const APART: Self = Self { api: [4444; 2], links: [4454; 3], http: 4464 };

    /// The usual ones on one machine. 4445 and 4446 are those of agents and cockpits.
    const TOGETHER: Self = Self { api: [4444, 4447], links: [4454, 4455, 4456], http: 4464 };

    /// Six in a row. None if there are not so many.
    pub(super) fn from(first: u16) -> Option<Self> {
        let port = |i| first.checked_add(i).filter(|_| first > 0);
        Some(Self { api: [port(0)?, port(1)?], links: [port(2)?, port(3)?, port(4)?], http: port(5)? })
    }

    /// The first block on this machine of which nothing is in use. None if there is none.
    pub(super) fn free() -> Option<Self> {
        (0..BLOCKS).map(|block| Self::TOGETHER.moved(block * STEP)).find(|ports| ports.used().is_none())
    }

    /// The first that is in use on this machine now.
    pub(super) fn used(self) -> Option<u16> {
        self.all().into_iter().find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
    }

    fn all(self) -> [u16; 6] {
        let Self { api: [api_1, api_2], links: [links_1, links_2, links_3], http } = self;
        [api_1, api_2, links_1, links_2, links_3, http]
    }

    fn moved(self, by: u16) -> Self {
        Self { api: self.api.map(|port| port + by), links: self.links.map(|port| port + by), http: self.http + by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_use_are_not_taken() {
        let ports = Ports::free().unwrap();
        assert_eq!(ports.api[0] % 100, 44);
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let ports = Ports { http: port, ..ports };
        assert_eq!(ports.used(), Some(port));
        // All blocks are ports.
        assert!(Ports::TOGETHER.all().iter().all(|port| port.checked_add(BLOCKS * STEP).is_some()));
    }

    #[test]
    fn a_row_of_ports_is_whole() {
        assert_eq!(Ports::from(9000).unwrap().all(), [9000, 9001, 9002, 9003, 9004, 9005]);
        assert!(Ports::from(65_531).is_none() && Ports::from(0).is_none() && Ports::from(65_530).is_some());
    }
}
