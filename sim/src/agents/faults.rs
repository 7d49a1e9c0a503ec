//! What goes wrong in a world, and how it is healed.

use super::network::Item;
use super::place::{Computer, Place};
use super::plan::Kind;
use super::shown::Sometimes;
use super::work::Deed;
use super::{Event, World};
use baton_machine::controller::ControllerInput;
use baton_machine::host::CallerId;
use baton_machine::process::Signal;
use baton_machine::subagent::SubagentInput;
use baton_protocol::machine::Input;
use baton_protocol::pair::Order;
use baton_protocol::register::Seat;
use baton_protocol::time::Duration;

/// How long the guard of a dead process takes at most to kill what ran, in microseconds.
const GUARD: u64 = 300_000;

impl World {
    /// Each kind has a stream of choices of its own, so that one of them can be left out and the others stay as they are.
    pub(super) fn choose_for<R>(&mut self, kind: Kind, act: impl FnOnce(&mut Self) -> R) -> R {
        let Some(mut stream) = self.streams.remove(&kind) else { return act(self) };
        core::mem::swap(&mut self.choice, &mut stream);
        let result = act(self);
        core::mem::swap(&mut self.choice, &mut stream);
        self.streams.insert(kind, stream);
        result
    }

    pub(super) fn schedule(&mut self, kind: Kind) {
        if let Some(mean) = self.plan.happens.get(&kind).copied() {
            let after = self.micros(100_000, mean * 2_000);
            self.at(after, Event::Happen(kind));
        }
    }

    pub(super) fn fault(&mut self, kind: Kind) -> Result<(), String> {
        if self.is_healed {
            return Ok(());
        }
        self.choose_for(kind, |world| {
            world.schedule(kind);
            world.happen_now(kind)
        })
    }

    fn happen_now(&mut self, kind: Kind) -> Result<(), String> {
        match kind {
            Kind::CrashController => {
                let place = self.some_place(|place| matches!(place, Place::Controller(_)));
                self.crash_for_a_while(place)
            }
            Kind::CrashDirector => {
                let place = self.some_place(|place| matches!(place, Place::Director(..)));
                self.crash_for_a_while(place)
            }
            Kind::CrashSubagent => {
                let place = self.some_place(|place| matches!(place, Place::Subagent(..)));
                self.crash_for_a_while(place)
            }
            Kind::PowerLoss => {
                let place = self.some_place(|_| true);
                self.lose_power(place.computer())
            }
            Kind::PowerLossOfAll => {
                for computer in self.clocks.keys().copied().collect::<Vec<_>>() {
                    self.lose_power(computer)?;
                }
                Ok(())
            }
            Kind::Cut | Kind::OneWayCut => {
                let (one, other) = (self.some_place(|_| true), self.some_place(|_| true));
                let after = self.micros(50_000, 22_000_000);
                self.cut(one.computer(), other.computer(), kind == Kind::Cut, after);
                Ok(())
            }
            Kind::Isolate => {
                if let Some(seat) = self.active().filter(|_| self.plan.has_two_controllers) {
                    let after = self.micros(5_000_000, 25_000_000);
                    for other in seat.others() {
                        self.cut(Computer::Controller(seat), Computer::Controller(other), true, after);
                    }
                }
                Ok(())
            }
            Kind::Lag => {
                let (from, to) = (self.some_place(|_| true).computer(), self.some_place(|_| true).computer());
                let (lag, after) = (self.micros(300_000, 6_000_000), self.micros(500_000, 10_000_000));
                self.network.lags.insert((from, to), lag);
                self.at(after, Event::Hasten(from, to));
                Ok(())
            }
            Kind::LoseLink => {
                let links: Vec<_> = self.network.ends.keys().copied().collect();
                if let Some(link) = self.choice.one_of(&links).copied() {
                    self.break_link(link);
                }
                Ok(())
            }
            Kind::Pause => {
                let computer = self.some_place(|_| true).computer();
                let after = self.micros(100_000, 20_000_000);
                self.pause(computer, after);
                Ok(())
            }
            Kind::Stall => {
                let place = self.some_place(|place| !matches!(place, Place::Subagent(..)));
                let after = self.micros(50_000, 8_000_000);
                self.stalled.insert(place);
                self.at(after, Event::Unstall(place));
                Ok(())
            }
            Kind::ClockJump => {
                let computer = self.some_place(|_| true).computer();
                let millis = i64::try_from(self.choice.between(0, 6 * 3_600_000)).unwrap_or(0) - 3 * 3_600_000;
                self.jump(computer, millis);
                Ok(())
            }
            Kind::StopSubagent => {
                let place = self.some_place(|place| matches!(place, Place::Subagent(..)));
                if self.companions(place).len() > 1 || self.paused.contains_key(&place.computer()) {
                    return Ok(());
                }
                let signal = [None, Some(Signal::Terminate), Some(Signal::Kill)];
                let signal = self.choice.one_of(&signal).copied().flatten();
                self.tell_subagent(place, SubagentInput::Stop { signal })
            }
            Kind::LoseJournal => {
                let Place::Director(agent, seat) = self.some_place(|place| matches!(place, Place::Director(..))) else {
                    return Ok(());
                };
                self.lose_journal(agent, seat)
            }
            Kind::SwitchOver => {
                let Some(seat) = self.active().filter(|_| self.plan.has_two_controllers) else { return Ok(()) };
                if self.paused.contains_key(&Computer::Controller(seat)) {
                    return Ok(());
                }
                let input = ControllerInput::Order { caller: CallerId(0), order: Order::SwitchOver };
                self.step_controller(seat, Input::Arrived(input))
            }
            kind => self.command_something(kind),
        }
    }

    fn some_place(&mut self, is_wanted: impl Fn(&Place) -> bool) -> Place {
        let places: Vec<Place> = self.places().into_iter().filter(is_wanted).collect();
        self.choice.one_of(&places).copied().unwrap_or(Place::Controller(Seat::First))
    }

    fn crash_for_a_while(&mut self, place: Place) -> Result<(), String> {
        self.crash(place)?;
        let after = self.micros(10_000, 12_000_000);
        self.at(after, Event::Start(place));
        Ok(())
    }

    /// The process dies, and all that is in it.
    pub(super) fn crash(&mut self, place: Place) -> Result<(), String> {
        for place in self.companions(place) {
            self.crash_one(place)?;
            for link in self.network.ends_at(place) {
                self.close(link);
            }
            for attempt in self.processes.at(place) {
                let after = self.micros(0, GUARD);
                self.at(after, Event::Process { attempt, happens: super::Happens::Reaped });
            }
        }
        Ok(())
    }

    /// The process of a subagent ends as it was told.
    pub(super) fn end_process_of(&mut self, place: Place) {
        self.subagents.insert(place, None);
        self.wakes.remove(&place);
        for link in self.network.ends_at(place) {
            self.close(link);
        }
    }

    fn crash_one(&mut self, place: Place) -> Result<(), String> {
        if !self.is_running(place) {
            return Ok(());
        }
        self.wakes.remove(&place);
        let choice = &mut self.choice;
        let mut kept = |unsynced: usize| usize::try_from(choice.between(0, unsynced as u64)).unwrap_or(0);
        let mut is_compared = false;
        match place {
            Place::Controller(Seat::Watch) => {
                if let Some(watch) = &mut self.watch {
                    watch.crash(kept(watch.disk().unsynced()));
                    self.audit.watch_syncs = false;
                }
            }
            Place::Controller(seat) => {
                if let Some(keeper) = self.controllers.get_mut(&seat) {
                    is_compared = keeper.check_recovery()?;
                    let kept = kept(keeper.disk.unsynced());
                    keeper.crash(kept);
                }
                self.break_off(place);
            }
            Place::Director(agent, seat) => {
                if let Some(keeper) = self.directors.get_mut(&(agent, seat)) {
                    is_compared = keeper.check_recovery()?;
                    let kept = kept(keeper.disk.unsynced());
                    keeper.crash(kept);
                }
            }
            Place::Subagent(..) => {
                self.subagents.insert(place, None);
            }
        }
        if is_compared {
            self.see(Sometimes::Compared);
        }
        Ok(())
    }

    fn lose_power(&mut self, computer: Computer) -> Result<(), String> {
        let after = self.micros(50_000, 25_000_000);
        self.switch_off(computer)?;
        self.at(after, Event::PowerOn(computer));
        Ok(())
    }

    /// Silence: nobody is told.
    pub(super) fn switch_off(&mut self, computer: Computer) -> Result<(), String> {
        self.off.insert(computer);
        self.paused.remove(&computer);
        for place in self.places_on(computer) {
            self.crash_one(place)?;
            for link in self.network.ends_at(place) {
                self.network.ends.remove(&link);
            }
            for attempt in self.processes.at(place) {
                self.processes.live.remove(&attempt);
            }
        }
        Ok(())
    }

    pub(super) fn power_on(&mut self, computer: Computer) -> Result<(), String> {
        if self.off.remove(&computer) {
            for place in self.places_on(computer) {
                let after = self.micros(10_000, 1_000_000);
                self.at(after, Event::Start(place));
            }
        }
        Ok(())
    }

    fn places_on(&self, computer: Computer) -> Vec<Place> {
        self.places().into_iter().filter(|place| place.computer() == computer).collect()
    }

    pub(super) fn cut(&mut self, from: Computer, to: Computer, both: bool, after: Duration) {
        if from == to {
            return;
        }
        self.network.cuts.insert((from, to));
        self.at(after, Event::Mend(from, to));
        if both {
            self.network.cuts.insert((to, from));
            self.at(after, Event::Mend(to, from));
        }
    }

    /// What was held comes through, late and in order.
    pub(super) fn mend(&mut self, from: Computer, to: Computer) {
        self.network.cuts.remove(&(from, to));
        let is_theirs = |end: &super::network::End| end.other.computer() == from && end.place.computer() == to;
        let ends: Vec<_> = self.network.ends.iter().filter(|(_, end)| is_theirs(end)).map(|(link, _)| *link).collect();
        for link in ends {
            let Some(end) = self.network.ends.get_mut(&link) else { continue };
            let held: Vec<Item> = end.held.drain(..).collect();
            // What is under way comes after it.
            end.last = end.last.max(self.now);
            for item in held {
                self.at(Duration::ZERO, Event::Arrive { end: link, item });
            }
        }
    }

    /// Both ends of a connection notice that it is broken.
    pub(super) fn break_link(&mut self, link: baton_machine::link::LinkId) {
        let Some(end) = self.network.ends.get(&link) else { return };
        let other = end.other_end;
        for end in [link, other] {
            let after = self.micros(0, 10_000);
            self.at(after, Event::Arrive { end, item: Item::Down });
        }
    }

    pub(super) fn pause(&mut self, computer: Computer, after: Duration) {
        if !self.off.contains(&computer) && !self.paused.contains_key(&computer) {
            self.paused.insert(computer, Vec::new());
            self.at(after, Event::Resume(computer));
        }
    }

    pub(super) fn resume(&mut self, computer: Computer) {
        for event in self.paused.remove(&computer).unwrap_or_default() {
            self.at(Duration::ZERO, event);
        }
    }

    pub(super) fn jump(&mut self, computer: Computer, millis: i64) {
        if millis < 0 {
            self.see(Sometimes::ClockWentBack);
        }
        let clock = self.clocks.entry(computer).or_default();
        self.most_ahead = self.most_ahead.max(clock.ahead);
        clock.ahead += millis;
    }

    pub(super) fn lose_journal(&mut self, agent: u8, seat: Seat) -> Result<(), String> {
        let place = Place::Director(agent, seat);
        self.crash(place)?;
        if let Some(keeper) = self.directors.get_mut(&(agent, seat)) {
            keeper.wipe();
        }
        self.audit.forget_journal(agent);
        self.work.reset_agents.insert(agent);
        self.see(Sometimes::JournalLost);
        let after = self.micros(10_000, 2_000_000);
        self.at(after, Event::Start(place));
        let later = self.micros(1_000_000, 4_000_000);
        self.at(after + later, Event::Do(Deed::ResetAgent(agent)));
        Ok(())
    }

    pub(super) fn heal(&mut self) -> Result<(), String> {
        self.is_healed = true;
        // Whoever waits for a time of day by the clock that was ahead most, does not wait for long.
        let ahead = self.clocks.values().map(|clock| clock.ahead).max().unwrap_or(0).max(self.most_ahead);
        for clock in self.clocks.values_mut() {
            clock.ahead = ahead;
        }
        for (from, to) in self.network.cuts.clone() {
            self.mend(from, to);
        }
        self.network.lags.clear();
        for computer in self.off.clone() {
            self.power_on(computer)?;
        }
        for computer in self.paused.keys().copied().collect::<Vec<_>>() {
            self.resume(computer);
        }
        for place in core::mem::take(&mut self.stalled) {
            self.go_on(place);
        }
        for place in self.places() {
            self.at(Duration::ZERO, Event::Start(place));
        }
        self.at(Duration::ZERO, Event::Do(Deed::Repair));
        Ok(())
    }
}
