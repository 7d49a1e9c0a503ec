//! Clients of the world, which add numbers and look at the list. Who is refused or not answered asks the other node.

use super::{Event, PATIENCE, Sometimes, World};
use crate::cluster::toy::Number;
use baton_protocol::register::Seat;
use baton_protocol::time::Duration;

impl World {
    pub(super) fn ask(&mut self, client: usize, attempt: u64) -> Result<(), String> {
        let state = &mut self.clients[client];
        if attempt <= state.attempt {
            return Ok(());
        }
        if state.number == 0 {
            self.next_number += 1;
            state.number = self.next_number;
        } else {
            *self.seen.entry(Sometimes::AskedAgain).or_default() += 1;
            state.at = state.at.peer();
        }
        state.attempt = attempt;
        let (seat, number) = (state.at, state.number);
        self.at(PATIENCE, Event::Ask { client, attempt: attempt + 1 });
        self.begin_to_look()?;
        if !self.hosts[seat as usize].is_running() {
            // The connection is refused.
            self.at(Duration::from_millis(50), Event::Ask { client, attempt: attempt + 1 });
            return Ok(());
        }
        if self.paused.contains(&seat) {
            return Ok(());
        }
        let left = self.hosts[seat as usize].add(self.now, number);
        self.after(seat, left)
    }

    /// Somebody looks at one of the nodes.
    pub(super) fn begin_to_look(&mut self) -> Result<(), String> {
        let seat = if self.choice.below(2) == 0 { Seat::First } else { Seat::Second };
        self.looks += 1;
        self.audit.looked(self.looks);
        if self.paused.contains(&seat) {
            // What waits in several sockets is read in any order.
            self.backlog.entry(seat).or_default().insert(0, Event::Look { seat, look: self.looks });
            return Ok(());
        }
        self.look(seat, self.looks)
    }

    pub(super) fn look(&mut self, seat: Seat, look: u32) -> Result<(), String> {
        if !self.hosts[seat as usize].is_running() {
            return Ok(());
        }
        let left = self.hosts[seat as usize].look(self.now, look);
        self.after(seat, left)
    }

    /// A client has its answer, and asks for the next number.
    pub(super) fn answered(&mut self, number: Number) -> Result<(), String> {
        if let Some((failure, at)) = self.failed {
            // What was under way when it failed does not count.
            if self.now > at + Duration::from_millis(20) {
                let outage = self.now.since(at);
                self.outage = Some((failure, outage));
                self.failed = None;
                if outage > failure.bound() {
                    return Err(format!(
                        "L1: {failure:?} stopped the cluster for {outage:?}, at most {:?}",
                        failure.bound()
                    ));
                }
            }
        }
        self.answered.insert(number);
        if let Some(client) = self.clients.iter().position(|client| client.number == number) {
            self.clients[client].number = 0;
            let attempt = self.clients[client].attempt + 1;
            let after = self.micros(1_000, 400_000);
            self.at(after, Event::Ask { client, attempt });
        }
        Ok(())
    }

    pub(super) fn refused(&mut self, number: Number) {
        if let Some(client) = self.clients.iter().position(|client| client.number == number) {
            let attempt = self.clients[client].attempt + 1;
            let after = self.micros(20_000, 200_000);
            self.at(after, Event::Ask { client, attempt });
        }
    }
}
