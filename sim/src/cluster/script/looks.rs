//! Clients that look at the list of a node. Each look is audited: what it shows must not be older than when it began.

use super::Cluster;
use baton_protocol::register::Seat;

/// Looks of a story, and what they have shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    begun: u32,
    shown: Vec<(u32, usize)>,
}

impl Looks {
    pub(super) fn shown(&mut self, look: u32, length: usize) {
        self.shown.push((look, length));
    }
}

impl Cluster {
    /// A client begins to look at the list of this node; one that stands still reads that first when it goes on. The number of
    /// the look.
    pub fn look(&mut self, seat: Seat) -> u32 {
        self.looks.begun += 1;
        let look = self.looks.begun;
        self.tell(format!("look at the {seat}"));
        self.audit.looked(look);
        if self.around[seat as usize].is_paused {
            self.around[seat as usize].backlog.insert(0, super::Event::Look(seat, look));
        } else {
            self.looks_at(seat, look);
        }
        look
    }

    pub(super) fn looks_at(&mut self, seat: Seat, look: u32) {
        if self.host(seat).is_running() {
            let left = self.hosts[seat as usize].look(self.clock(seat), look);
            self.after(seat, left);
        }
    }

    /// How long the list was that this look has shown, if it has.
    #[must_use]
    pub fn shown(&self, look: u32) -> Option<usize> {
        self.looks.shown.iter().find(|(of, _)| *of == look).map(|(_, length)| *length)
    }
}
