//! A small cluster: what may happen in it, and what becomes of it then.

use super::memo::{Deed, Memo, Moment, Parts};
use super::{Budget, Grain, Plan, Step};
use crate::cluster::audit::{Audit, Violation};
use crate::cluster::digest::{Folding, hash_of};
use crate::cluster::toy::Number;
use baton_protocol::register::Seat;
use std::hash::Hasher as _;

/// A state, as numbers of the parts that it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Small {
    hosts: [u32; 3],
    /// What is under way, by sender and receiver.
    wires: [[u32; 3]; 3],
    audit: u32,
    /// How often each host's clock has advanced.
    dues: [u8; 3],
    /// Which links are broken, and nobody has noticed.
    is_broken: [[bool; 3]; 3],
    /// Which node is cut off from the watch.
    is_cut_off: [bool; 2],
    /// The present process of a sender has sent something to a receiver.
    is_heard: [[bool; 3]; 3],
    budget: Budget,
    added: Number,
}

/// Takes small clusters from state to state.
#[derive(Debug)]
pub(super) struct Mover<'p> {
    plan: &'p Plan,
    grain: Grain,
    /// Deadlines come although the budget has none.
    is_beginning: bool,
    memo: Memo<'p>,
}

impl Small {
    /// Tells states apart: with 128 bits, two of some thousand millions are not expected to have the same.
    pub(super) fn digest(&self) -> u128 {
        let words = self.words();
        let half = |seed| {
            let mut hasher = Folding::new(seed);
            for word in words {
                hasher.write_u64(word);
            }
            hasher.finish()
        };
        u128::from(half(1)) << 64 | u128::from(half(2))
    }

    /// All of it, packed.
    fn words(&self) -> [u64; 9] {
        let Self { hosts, wires, audit, dues, is_broken, is_cut_off, is_heard, budget, added } = *self;
        let two = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let flags = is_broken.iter().chain(&is_heard).flatten().chain(&is_cut_off);
        let bytes = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        [
            two(hosts[0], hosts[1]),
            two(hosts[2], audit),
            two(wires[0][1], wires[0][2]),
            two(wires[1][0], wires[1][2]),
            two(wires[2][0], wires[2][1]),
            flags.fold(0, |word, flag| word << 1 | u64::from(*flag)),
            bytes(&dues),
            bytes(&[budget.adds, budget.crashes, budget.losses, budget.dues, budget.switches, budget.looks]),
            added.into(),
        ]
    }
}

impl<'p> Mover<'p> {
    pub(super) fn new(plan: &'p Plan, parts: &'p Parts) -> Self {
        Self { plan, grain: plan.grain, is_beginning: false, memo: Memo::new(parts) }
    }

    fn parts(&self) -> &'p Parts {
        self.memo.parts
    }

    /// A cluster that has been coupled without any fault. None: it does not couple.
    pub(super) fn coupled(&mut self) -> Result<Option<Small>, Violation> {
        (self.grain, self.is_beginning) = (Grain::Message, true);
        let small = self.begin();
        (self.grain, self.is_beginning) = (self.plan.grain, false);
        small
    }

    fn begin(&mut self) -> Result<Option<Small>, Violation> {
        let parts = self.parts();
        let mut small = Small {
            hosts: Seat::ALL.map(|seat| parts.keep(self.plan.host(seat))),
            wires: [[parts.idle; 3]; 3],
            audit: parts.audits.number(Audit::default()),
            dues: [0; 3],
            is_broken: [[false; 3]; 3],
            is_cut_off: [false; 2],
            is_heard: [[false; 3]; 3],
            budget: self.plan.budget,
            added: 0,
        };
        for seat in Seat::ALL {
            self.apply(&mut small, Step::Start(seat))?;
        }
        for _ in 0..20 {
            self.calm(&mut small)?;
            if parts.hosts.get(small.hosts[0]).is_coupled {
                return Ok(Some(small));
            }
            for seat in Seat::ALL {
                self.apply(&mut small, Step::Due(seat))?;
                self.calm(&mut small)?;
            }
            small.budget = self.plan.budget;
        }
        Ok(None)
    }

    /// Lets everything arrive and be synced.
    fn calm(&mut self, small: &mut Small) -> Result<(), Violation> {
        let is_quiet = |step: &&Step| matches!(step, Step::Arrive(..) | Step::Sync(_));
        while let Some(step) = self.steps(small).iter().find(is_quiet) {
            self.apply(small, *step)?;
        }
        Ok(())
    }

    /// What may happen now.
    pub(super) fn steps(&self, small: &Small) -> Vec<Step> {
        let mut steps = Vec::new();
        for seat in Seat::ALL {
            if !self.is_running(small, seat) {
                steps.push(Step::Start(seat));
            } else if self.grain == Grain::Host {
                self.coarse_steps(small, seat, &mut steps);
            } else {
                self.fine_steps(small, seat, &mut steps);
            }
        }
        for from in Seat::ALL {
            let broken = from.others().into_iter().filter(|&to| small.is_broken[from as usize][to as usize]);
            steps.extend(broken.map(|to| Step::Redial(from, to)));
        }
        steps
    }

    fn fine_steps(&self, small: &Small, seat: Seat, steps: &mut Vec<Step>) {
        let is_busy = self.is_busy(small, seat);
        if is_busy {
            steps.push(Step::Sync(seat));
        }
        for from in self.arriving(small, seat) {
            steps.push(Step::Arrive(from, seat));
            if small.budget.losses > 0 && !small.is_broken[from as usize][seat as usize] {
                steps.push(Step::Break(from, seat, 0));
            }
        }
        if small.budget.dues > 0 {
            steps.push(Step::Due(seat));
        }
        if small.budget.crashes > 0 {
            steps.push(Step::Crash(seat, false));
            if is_busy {
                steps.push(Step::Crash(seat, true));
            }
        }
        self.orders(small, seat, steps);
    }

    fn coarse_steps(&self, small: &Small, seat: Seat, steps: &mut Vec<Step>) {
        let may_crash = small.budget.crashes > 0;
        if seat == Seat::Watch {
            if may_crash {
                steps.push(Step::Crash(seat, false));
            }
            return;
        }
        let is_busy = self.is_busy(small, seat) || self.arriving(small, seat).next().is_some();
        if small.is_cut_off[seat as usize] {
            steps.push(Step::Mend(seat));
        } else if small.budget.losses > 0 {
            steps.push(Step::CutOff(seat));
        }
        if is_busy {
            steps.push(Step::Run(seat));
        }
        if may_crash {
            steps.push(Step::RunAndCrash(seat, false));
            if is_busy {
                steps.push(Step::RunAndCrash(seat, true));
            }
        }
        if small.budget.losses > 0 {
            for from in self.arriving(small, seat).filter(|&from| !small.is_broken[from as usize][seat as usize]) {
                let count = self.parts().wires.get(small.wires[from as usize][seat as usize]).len();
                steps.extend((0..count).map(|kept| Step::Break(from, seat, u8::try_from(kept).unwrap_or(u8::MAX))));
            }
        }
        if small.budget.dues > 0 {
            steps.push(Step::Due(seat));
        }
        self.orders(small, seat, steps);
    }

    fn orders(&self, small: &Small, seat: Seat, steps: &mut Vec<Step>) {
        let is_active = self.parts().hosts.get(small.hosts[seat as usize]).is_active;
        if is_active && small.budget.adds > 0 {
            steps.push(Step::Add(seat));
        }
        if is_active && small.budget.looks > 0 {
            steps.push(Step::Look(seat));
        }
        if is_active && small.budget.switches > 0 {
            steps.push(Step::SwitchOver(seat));
        }
    }

    fn arriving(&self, small: &Small, to: Seat) -> impl Iterator<Item = Seat> + use<> {
        let (wires, idle) = (small.wires, self.parts().idle);
        to.others().into_iter().filter(move |&from| wires[from as usize][to as usize] != idle)
    }

    fn is_running(&self, small: &Small, seat: Seat) -> bool {
        self.parts().hosts.get(small.hosts[seat as usize]).is_running
    }

    fn is_busy(&self, small: &Small, seat: Seat) -> bool {
        self.parts().hosts.get(small.hosts[seat as usize]).is_busy
    }

    /// Lets it happen.
    ///
    /// # Errors
    /// When something is violated.
    pub(super) fn apply(&mut self, small: &mut Small, step: Step) -> Result<(), Violation> {
        match step {
            Step::Arrive(from, to) => {
                let wire = &mut small.wires[from as usize][to as usize];
                if let Some((letter, rest)) = self.memo.pop(*wire) {
                    *wire = rest;
                    self.make(small, to, Deed::Receive(letter))?;
                }
            }
            Step::Sync(seat) => self.make(small, seat, Deed::Sync)?,
            Step::Due(seat) => {
                small.budget.dues = small.budget.dues.saturating_sub(1);
                small.dues[seat as usize] += 1;
                self.make(small, seat, Deed::Due)?;
            }
            Step::Add(seat) => {
                small.budget.adds -= 1;
                small.added += 1;
                self.make(small, seat, Deed::Add(small.added))?;
            }
            Step::Look(seat) => {
                small.budget.looks -= 1;
                let look = small.budget.looks.into();
                small.audit = self.memo.looked(small.audit, look);
                self.make(small, seat, Deed::Look(look))?;
            }
            Step::SwitchOver(seat) => {
                small.budget.switches -= 1;
                self.make(small, seat, Deed::SwitchOver)?;
            }
            Step::Run(seat) => {
                self.take_all(small, seat)?;
                while self.is_busy(small, seat) {
                    self.make(small, seat, Deed::Sync)?;
                }
            }
            Step::RunAndCrash(seat, keeps) => {
                self.take_all(small, seat)?;
                self.crash(small, seat, keeps)?;
            }
            Step::Crash(seat, keeps) => self.crash(small, seat, keeps)?,
            Step::Start(seat) => {
                self.make(small, seat, Deed::Start)?;
                for other in seat.others() {
                    if self.is_running(small, other) && !small.is_between_cut_off(seat, other) {
                        self.make(small, seat, Deed::Up(other))?;
                        self.make(small, other, Deed::Up(seat))?;
                    }
                }
            }
            Step::Break(from, to, kept) => {
                small.budget.losses -= 1;
                let wire = &mut small.wires[from as usize][to as usize];
                let wires = &self.parts().wires;
                *wire = wires.number(wires.get(*wire).iter().take(kept.into()).copied().collect());
                small.is_broken[from as usize][to as usize] = true;
            }
            Step::Redial(from, to) => {
                small.is_broken[from as usize][to as usize] = false;
                self.redial(small, from, to)?;
            }
            Step::CutOff(seat) => {
                small.budget.losses -= 1;
                small.is_cut_off[seat as usize] = true;
                small.wires[seat as usize][Seat::Watch as usize] = self.parts().idle;
                small.wires[Seat::Watch as usize][seat as usize] = self.parts().idle;
            }
            Step::Mend(seat) => {
                small.is_cut_off[seat as usize] = false;
                self.redial(small, seat, Seat::Watch)?;
                self.redial(small, Seat::Watch, seat)?;
            }
        }
        Ok(())
    }

    fn take_all(&mut self, small: &mut Small, seat: Seat) -> Result<(), Violation> {
        while let Some(from) = self.arriving(small, seat).next() {
            self.apply(small, Step::Arrive(from, seat))?;
        }
        Ok(())
    }

    fn crash(&mut self, small: &mut Small, seat: Seat, keeps: bool) -> Result<(), Violation> {
        small.budget.crashes -= 1;
        self.make(small, seat, Deed::Crash(keeps))?;
        for other in seat.others() {
            for (from, to) in [(seat, other), (other, seat)] {
                small.wires[from as usize][to as usize] = self.parts().idle;
                small.is_broken[from as usize][to as usize] = false;
            }
            // Another process is to be heard in its place.
            small.is_heard[seat as usize][other as usize] = false;
        }
        for other in seat.others() {
            if !small.is_between_cut_off(seat, other) {
                self.make(small, other, Deed::Down(seat, true))?;
            }
        }
        Ok(())
    }

    /// A host notices that its link is gone, and dials.
    fn redial(&mut self, small: &mut Small, from: Seat, to: Seat) -> Result<(), Violation> {
        let is_there = self.is_running(small, to);
        self.make(small, from, Deed::Down(to, !is_there))?;
        if is_there { self.make(small, from, Deed::Up(to)) } else { Ok(()) }
    }

    /// A host does something, and what it tells is on its way.
    fn make(&mut self, small: &mut Small, seat: Seat, deed: Deed) -> Result<(), Violation> {
        if !self.is_running(small, seat) && deed != Deed::Start {
            return Ok(());
        }
        let is_timeless = small.budget.dues == 0 && !self.is_beginning;
        let canonize = self.plan.is_reduced.then_some(is_timeless);
        let moment = Moment { dues: small.dues[seat as usize], canonize };
        let (host, told) = self.memo.host(small.hosts[seat as usize], deed, moment)?;
        small.hosts[seat as usize] = host;
        if matches!(deed, Deed::Crash(_)) {
            return Ok(());
        }
        small.audit = self.memo.audit(small.audit, host, told)?;
        for &(to, letter) in &self.parts().told.get(told).letters {
            self.send(small, seat, to, letter);
        }
        // The watch votes after its sync only; a crash between is as if the question had been lost.
        if seat == Seat::Watch && self.is_busy(small, seat) {
            self.make(small, seat, Deed::Sync)?;
        }
        if seat != Seat::Watch && self.grain == Grain::Host && self.is_running(small, Seat::Watch) {
            self.take_all(small, Seat::Watch)?;
        }
        Ok(())
    }

    fn send(&mut self, small: &mut Small, from: Seat, to: Seat, letter: u32) {
        let is_lost = small.is_broken[from as usize][to as usize] || small.is_between_cut_off(from, to);
        if !self.is_running(small, to) || is_lost {
            return;
        }
        // A heartbeat may always be lost, and this one might as well be.
        let is_heard = &mut small.is_heard[from as usize][to as usize];
        if *is_heard && self.parts().is_known_to(small.hosts[to as usize], letter) {
            return;
        }
        *is_heard = true;
        let wire = &mut small.wires[from as usize][to as usize];
        *wire = self.memo.push(*wire, letter);
    }

    /// What makes a difference in a state, whether states are reduced to that or not. None while storage is busy, for then hosts
    /// differ in how much it has done before.
    pub(super) fn form(&mut self, small: &Small) -> Option<u64> {
        if Seat::ALL.into_iter().any(|seat| self.is_busy(small, seat)) {
            return None;
        }
        let is_timeless = small.budget.dues == 0;
        let hosts = small.hosts.map(|host| self.memo.form(host, is_timeless));
        let parts = self.parts();
        let wires = small.wires.map(|wires| {
            wires.map(|wire| {
                hash_of(&parts.wires.get(wire).iter().map(|letter| parts.letters.get(*letter)).collect::<Vec<_>>())
            })
        });
        let audit = hash_of(parts.audits.get(small.audit));
        let blank = Small { hosts: [0; 3], wires: [[0; 3]; 3], audit: 0, ..*small };
        Some(hash_of(&(hosts, wires, audit, blank)))
    }

    /// The next message in this direction, in words.
    pub(super) fn next_message(&self, small: &Small, from: Seat, to: Seat) -> String {
        let letter = self.parts().wires.get(small.wires[from as usize][to as usize]).first();
        letter.map_or_else(String::new, |letter| format!(": {:?}", self.parts().letters.get(*letter).envelope.message))
    }
}

impl Small {
    fn is_between_cut_off(&self, one: Seat, other: Seat) -> bool {
        match (one, other) {
            (Seat::Watch, node) | (node, Seat::Watch) => self.is_cut_off[node as usize],
            _ => false,
        }
    }
}
