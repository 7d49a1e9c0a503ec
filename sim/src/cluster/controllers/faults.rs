//! What goes wrong in the world, what a person orders, and how all is healed.

use super::{Event, Fault, NODES, World, order};
use baton_machine::controller::ControllerInput;
use baton_machine::host::CallerId;
use baton_protocol::pair::Order;
use baton_protocol::register::{Mode, Seat};
use baton_protocol::time::Duration;

impl World {
    pub(super) fn crash(&mut self, seat: Seat) {
        if !self.is_running(seat) {
            return;
        }
        let unsynced =
            if seat == Seat::Watch { self.watch.disk().unsynced() } else { self.hosts[seat as usize].disk.unsynced() };
        let kept = usize::try_from(self.choice.between(0, unsynced as u64)).unwrap_or(0);
        if seat == Seat::Watch {
            self.watch.crash(kept);
        } else {
            self.hosts[seat as usize].crash(kept);
            self.was_active[seat as usize] = false;
            self.break_off(seat);
        }
        self.syncing.remove(&seat);
        for other in seat.others() {
            self.unlink(seat, other, true);
        }
    }

    /// The connections of clients to a node break.
    pub(super) fn break_off(&mut self, seat: Seat) {
        let broken: Vec<CallerId> =
            self.waiting.iter().filter(|(_, (_, at, _))| *at == seat).map(|(caller, _)| *caller).collect();
        for caller in broken {
            if let Some((client, _, attempt)) = self.waiting.remove(&caller) {
                self.at(Duration::from_millis(20), Event::Ask { client, attempt: attempt + 1 });
            }
        }
        if self.reader.at == seat {
            let attempt = self.reader.attempt + 1;
            self.at(Duration::from_millis(20), Event::Read { attempt });
        }
    }

    pub(super) fn link(&mut self, one: Seat, other: Seat) {
        let after = self.micros(100, 4_000);
        let link = self.choice.bits();
        self.at(after, Event::LinkUp { one, other, link });
    }

    pub(super) fn unlink(&mut self, seat: Seat, other: Seat, is_dead: bool) {
        if self.links.remove(&order(seat, other)).is_none() {
            return;
        }
        for (at, of) in [(seat, other), (other, seat)] {
            let is_cut = self.is_cut(at, of);
            let after = if is_cut { self.micros(500_000, 8_000_000) } else { self.micros(100, 2_000) };
            self.at(after, Event::LinkDown { at, of, refused: is_dead && !is_cut && of == seat });
        }
    }

    pub(super) fn is_cut(&self, one: Seat, other: Seat) -> bool {
        self.cuts.contains(&order(one, other))
    }

    pub(super) fn fault(&mut self, fault: Fault) -> Result<(), String> {
        if self.healed {
            return Ok(());
        }
        self.schedule(fault);
        let seat = Seat::ALL[usize::try_from(self.choice.below(3)).unwrap_or(0)];
        match fault {
            Fault::Crash => {
                self.crash(seat);
                let after = self.micros(10_000, 8_000_000);
                self.at(after, Event::Start(seat));
                // Power loss of all, or of both nodes.
                let lost = match (self.choice.below(4), seat) {
                    (0, _) => seat.others().to_vec(),
                    (1, Seat::First | Seat::Second) => vec![seat.peer()],
                    _ => Vec::new(),
                };
                for other in lost {
                    self.crash(other);
                    let after = self.micros(10_000, 5_000_000);
                    self.at(after, Event::Start(other));
                }
            }
            Fault::Cut => {
                let after = self.micros(100_000, 10_000_000);
                // One link, or a node from both others.
                let others = if self.choice.below(2) == 0 { &seat.others()[..1] } else { &seat.others()[..] };
                for &other in others {
                    self.cuts.insert(order(seat, other));
                    self.at(after, Event::Mend(seat, other));
                    self.unlink(seat, other, false);
                }
            }
            Fault::Switch => {
                if let Some(active) = self.active() {
                    return self.order(active, Order::SwitchOver);
                }
            }
            Fault::Wipe => self.wipe(),
            Fault::Disaster => self.disaster()?,
            Fault::Stop => {
                if let Some(active) = self.active() {
                    let after = self.micros(1_000_000, 5_000_000);
                    self.at(after, Event::Appoint { stopped: active });
                    return self.order(active, Order::Stop);
                }
            }
        }
        Ok(())
    }

    /// The standby loses its disk, when all others are well and know of each other.
    fn wipe(&mut self) {
        let Some(active) = self.active().filter(|_| self.known_to_all().is_some()) else { return };
        let standby = active.peer();
        self.crash(standby);
        self.hosts[standby as usize].wipe();
        let after = self.micros(10_000, 4_000_000);
        self.at(after, Event::Start(standby));
    }

    /// A node that was stopped starts again, or the other one is appointed before.
    pub(super) fn appoint(&mut self, stopped: Seat) -> Result<(), String> {
        if self.choice.below(2) == 0 {
            self.order(stopped.peer(), Order::Appoint)?;
        }
        if !self.hosts[stopped as usize].is_active() {
            self.crash(stopped);
            let after = self.micros(500_000, 3_000_000);
            self.at(after, Event::Start(stopped));
        }
        Ok(())
    }

    pub(super) fn order(&mut self, seat: Seat, order: Order) -> Result<(), String> {
        self.callers += 1;
        let caller = CallerId(self.callers);
        self.orders.insert(caller, order);
        self.input(seat, ControllerInput::Order { caller, order })
    }

    pub(super) fn heal(&mut self) -> Result<(), String> {
        self.healed = true;
        self.answered_before_heal = self.answered.clone();
        self.cuts.clear();
        self.end_stopped();
        for seat in Seat::ALL {
            self.start(seat)?;
        }
        for (one, other) in [(Seat::First, Seat::Second), (Seat::First, Seat::Watch), (Seat::Second, Seat::Watch)] {
            self.link(one, other);
        }
        Ok(())
    }

    /// The process of a node that has stopped ends.
    pub(super) fn end_stopped(&mut self) {
        for seat in NODES {
            let known = self.hosts[seat as usize].controller().and_then(|controller| controller.pair()?.known());
            if known.is_some_and(|known| known.mode == Mode::Stopped) {
                self.crash(seat);
            }
        }
    }

    pub(super) fn schedule(&mut self, fault: Fault) {
        let mean = self.faults.iter().find(|(kind, _)| *kind == fault).map_or(0, |(_, mean)| *mean);
        if mean > 0 {
            let after = self.micros(1_000, mean * 2_000);
            self.at(after, Event::Fault(fault));
        }
    }
}
