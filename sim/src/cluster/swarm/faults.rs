//! What goes wrong in a world, and how it is healed.

use super::{Event, Fault, World, is_active, order};
use crate::cluster::host::Host;
use crate::cluster::plan::Failure;
use crate::cluster::toy::Number;
use baton_protocol::pair::{Order, PairInput, VOTE_CELL, decode_vote};
use baton_protocol::register::{EpochRecord, Mode, Seat, Voter};
use baton_protocol::time::Duration;
use std::collections::BTreeSet;

impl World {
    pub(super) fn crash(&mut self, seat: Seat) {
        if !self.hosts[seat as usize].is_running() {
            return;
        }
        let unsynced = self.hosts[seat as usize].disk().unsynced() as u64;
        let kept = usize::try_from(self.choice.between(0, unsynced)).unwrap_or(0);
        self.hosts[seat as usize].crash(kept);
        self.syncing.remove(&seat);
        self.paused.remove(&seat);
        self.backlog.remove(&seat);
        for other in seat.others() {
            self.unlink(seat, other, true);
        }
        // The clients' connections break.
        for client in 0..self.clients.len() {
            if self.clients[client].at == seat && self.clients[client].number != 0 {
                let attempt = self.clients[client].attempt + 1;
                self.at(Duration::from_millis(20), Event::Ask { client, attempt });
            }
        }
    }

    pub(super) fn unlink(&mut self, seat: Seat, other: Seat, dead: bool) {
        if self.links.remove(&order(seat, other)).is_none() {
            return;
        }
        for (at, of) in [(seat, other), (other, seat)] {
            // A cut is noticed late or never; a death at once, when the host can say so.
            let is_cut = self.is_cut(of, at);
            let after = if is_cut {
                self.micros(500_000, 8_000_000)
            } else {
                self.micros(self.plan.latency.0, self.plan.latency.1)
            };
            self.at(after, Event::LinkDown { at, of, refused: dead && !is_cut && of == seat });
        }
    }

    pub(super) fn cut(&mut self, one: Seat, other: Seat, both: bool, millis: u64) {
        self.cuts.insert((one, other));
        self.at(Duration::from_millis(millis), Event::Mend(one, other));
        if both {
            self.cuts.insert((other, one));
            self.at(Duration::from_millis(millis), Event::Mend(other, one));
        }
        self.unlink(one, other, false);
    }

    pub(super) fn fault(&mut self, fault: Fault) -> Result<(), String> {
        if self.healed {
            return Ok(());
        }
        self.schedule_fault(fault);
        let seat = Seat::ALL[usize::try_from(self.choice.below(3)).unwrap_or(0)];
        let other = seat.others()[usize::try_from(self.choice.below(2)).unwrap_or(0)];
        match fault {
            Fault::Crash => {
                self.crash(seat);
                let after = self.micros(10_000, 12_000_000);
                self.at(after, Event::Start(seat));
                // Power loss of all.
                if self.choice.below(10) == 0 {
                    for other in seat.others() {
                        self.crash(other);
                        let after = self.micros(10_000, 5_000_000);
                        self.at(after, Event::Start(other));
                    }
                }
            }
            Fault::Cut => {
                let (both, millis) = (self.choice.below(3) > 0, self.choice.between(10, 12_000));
                self.cut(seat, other, both, millis);
                if self.choice.below(3) == 0 {
                    let third = seat.others().into_iter().find(|&third| third != other).unwrap_or(other);
                    self.cut(seat, third, both, millis);
                }
            }
            Fault::Pause => {
                if self.hosts[seat as usize].is_running() {
                    self.paused.insert(seat);
                    let after = self.micros(10_000, 15_000_000);
                    self.at(after, Event::Resume(seat));
                }
            }
            Fault::Stall => {
                self.stalled.insert(seat);
                let after = self.micros(10_000, 10_000_000);
                self.at(after, Event::Unstall(seat));
            }
            Fault::Switch => {
                if let Some(active) = self.active()
                    && !self.paused.contains(&active)
                {
                    let order = if self.choice.below(4) == 0 { Order::Stop } else { Order::SwitchOver };
                    return self.input(active, PairInput::Ordered(order));
                }
            }
            Fault::Wipe => self.wipe(),
            Fault::Disaster => self.disaster(),
        }
        Ok(())
    }

    /// Whether all three are well, know of each other, and nobody asks for anything.
    fn knows_all(&self) -> bool {
        let voters = self.hosts.iter().filter_map(Host::voter).filter(|voter| !voter.is_ignorant());
        let known: Vec<_> = voters.filter_map(Voter::decided).collect();
        let is_well = known.len() == 3 && known.iter().all(|decided| decided.record == known[0].record);
        let is_asking = self.hosts[..2].iter().filter_map(Host::node).any(|node| node.machine().pair().is_asking());
        is_well && !is_asking && self.links.len() == 3 && self.cuts.is_empty() && self.survivor.is_none()
    }

    fn known(&self) -> Option<EpochRecord> {
        self.hosts.iter().find_map(|host| Some(host.voter()?.decided()?.record))
    }

    /// An active that was alone is lost for good, or two voters are. A person knows that records may be lost.
    fn disaster(&mut self) {
        let Some(known) = self.known().filter(|_| self.knows_all()) else { return };
        let standby = known.active.peer();
        let (survivor, lost, order) = match self.choice.below(3) {
            0 if known.mode == Mode::Alone => (standby, vec![known.active], Order::AcceptLoss),
            1 => (standby, vec![known.active, Seat::Watch], Order::Force),
            _ => (known.active, vec![standby, Seat::Watch], Order::Force),
        };
        // What is on its way to the disk of the survivor would have to be counted too.
        if self.hosts[survivor as usize].disk().is_busy() {
            return;
        }
        for seat in lost {
            self.crash(seat);
            self.hosts[seat as usize].wipe();
            self.audit.wiped(seat);
        }
        let host = &self.hosts[survivor as usize];
        self.audit.forgive(host);
        let left: BTreeSet<Number> = self.audit.numbers().collect();
        self.answered.retain(|number| left.contains(number));
        self.survivor = Some((survivor, order, known.epoch));
        self.at(Duration::from_secs(1), Event::Insist);
    }

    /// A person orders again and again until it is so, and once new voters are there in the place of the lost ones, until these
    /// are taken in.
    pub(super) fn insist(&mut self) -> Result<(), String> {
        let Some((survivor, order, before)) = self.survivor else { return Ok(()) };
        let host = &self.hosts[survivor as usize];
        let is_running = host.is_running();
        let known = self.known_by(survivor);
        let is_done = is_active(host) && known.is_some_and(|known| known.active == survivor && known.epoch > before);
        let others = survivor.others().map(|seat| &self.hosts[seat as usize]);
        // What is not on its disk it may forget.
        let knows = |host: &&Host| {
            let vote = host.disk().cell(VOTE_CELL).and_then(|vote| decode_vote(host.seat(), vote));
            vote.is_some_and(|voter| !voter.is_ignorant())
        };
        let is_over = match order {
            Order::Force => others.iter().any(knows),
            _ => is_done,
        };
        if is_done || is_over {
            for seat in survivor.others() {
                self.at(Duration::from_secs(1), Event::Start(seat));
            }
        }
        if is_over {
            self.survivor = None;
            return Ok(());
        }
        self.at(Duration::from_secs(3), Event::Insist);
        if !is_running {
            return self.start(survivor);
        }
        if self.paused.contains(&survivor) {
            return Ok(());
        }
        self.input(survivor, PairInput::Ordered(order))
    }

    fn known_by(&self, seat: Seat) -> Option<EpochRecord> {
        self.hosts[seat as usize].node()?.machine().pair().known()
    }

    /// One voter loses its disk, when the two others are well and know of each other.
    pub(super) fn wipe(&mut self) {
        let active = self.known().map(|known| known.active);
        if !self.knows_all() {
            return;
        }
        // The active has what nobody else has, when it is alone.
        let seat = if self.choice.below(2) == 0 { Seat::Watch } else { active.map_or(Seat::Watch, Seat::peer) };
        self.crash(seat);
        self.hosts[seat as usize].wipe();
        self.audit.wiped(seat);
        let after = self.micros(10_000, 1_000_000);
        self.at(after, Event::Start(seat));
    }

    /// The single failure, once the cluster is well.
    pub(super) fn fail(&mut self) -> Result<(), String> {
        let Some(failure) = self.plan.single else { return Ok(()) };
        let (true, Some(active)) = (self.is_well(1), self.active()) else {
            self.at(Duration::from_millis(100), Event::Single);
            return Ok(());
        };
        let standby = active.peer();
        self.failed = Some((failure, self.now));
        let long = Duration::from_secs(60);
        match failure {
            Failure::ActiveDies => self.crash(active),
            Failure::StandbyDies => self.crash(standby),
            Failure::WatchDies => self.crash(Seat::Watch),
            Failure::ActiveIsSilent => {
                self.paused.insert(active);
                self.at(long, Event::Resume(active));
            }
            Failure::StandbyIsSilent => {
                self.paused.insert(standby);
                self.at(long, Event::Resume(standby));
            }
            Failure::ActiveStalls => {
                self.stalled.insert(active);
                self.at(long, Event::Unstall(active));
            }
            Failure::ActiveIsCutOff => {
                self.cut(active, standby, true, 60_000);
                self.cut(active, Seat::Watch, true, 60_000);
            }
            Failure::PeersAreCut => self.cut(active, standby, true, 60_000),
        }
        // The clients do not know.
        Ok(())
    }

    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.plan.loss = 0;
        self.plan.double = 0;
        self.cuts.clear();
        self.stalled.clear();
        for seat in Seat::ALL {
            self.at(Duration::ZERO, Event::Start(seat));
            self.resume(seat);
        }
        for (one, other) in [(Seat::First, Seat::Second), (Seat::First, Seat::Watch), (Seat::Second, Seat::Watch)] {
            self.link(one, other);
        }
    }

    pub(super) fn schedule_fault(&mut self, fault: Fault) {
        let mean = match fault {
            Fault::Crash => self.plan.crash,
            Fault::Cut => self.plan.cut,
            Fault::Pause => self.plan.pause,
            Fault::Stall => self.plan.stall,
            Fault::Switch => self.plan.switch,
            Fault::Wipe => self.plan.wipe,
            Fault::Disaster => self.plan.disaster,
        };
        if mean > 0 {
            let after = self.micros(1_000, mean * 2_000);
            self.at(after, Event::Fault(fault));
        }
    }
}
