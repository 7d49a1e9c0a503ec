//! What only a person can mend: two voters are lost for good, or the active is while it was alone. The person knows that records
//! may be lost: from then on what counts is what the survivor has.

use super::{Event, Sometimes, World};
use baton_machine::codec::Assembly;
use baton_protocol::event_id::EventId;
use baton_protocol::pair::{Order, Pair, VOTE_CELL, decode_vote};
use baton_protocol::record::Record;
use baton_protocol::register::{EpochRecord, Mode, Seat, Voter};
use baton_protocol::time::Duration;
use baton_workflow::id::OrderId;
use baton_workflow::model::event::Event as WorkflowEvent;
use baton_workflow::model::order_event::OrderEvent;
use std::collections::BTreeSet;

impl World {
    fn pair(&self, seat: Seat) -> Option<&Pair> {
        self.hosts[seat as usize].controller()?.pair()
    }

    /// The decided record, when all three are well and know of it, and nobody asks for anything.
    pub(super) fn known_to_all(&self) -> Option<EpochRecord> {
        let pairs = [self.pair(Seat::First)?, self.pair(Seat::Second)?];
        let voters = [pairs[0].voter(), pairs[1].voter(), self.watch.voter()?];
        let decided = voters.map(|voter| Voter::decided(voter).map(|decided| decided.record));
        let is_known = decided.iter().all(|record| *record == decided[0]) && voters.iter().all(|it| !it.is_ignorant());
        let is_asking = pairs.into_iter().any(Pair::is_asking);
        let is_quiet = !is_asking && self.links.len() == 3 && self.cuts.is_empty() && self.survivor.is_none();
        decided[0].filter(|_| is_known && is_quiet)
    }

    /// The decided record, when the active is alone, the watch knows of that, and the standby is away.
    fn alone(&self) -> Option<EpochRecord> {
        let active = self.pair(self.active()?)?;
        let known = active.known().filter(|known| known.mode == Mode::Alone && self.survivor.is_none())?;
        let decided = self.watch.voter()?.decided().map(|decided| decided.record);
        let is_away = !self.links.contains_key(&(Seat::First, Seat::Second));
        (is_away && !active.is_asking() && decided == Some(known)).then_some(known)
    }

    pub(super) fn disaster(&mut self) -> Result<(), String> {
        let (known, survivor, order) = match (self.alone(), self.known_to_all()) {
            (Some(known), _) => (known, known.active.peer(), Order::AcceptLoss),
            (None, Some(known)) => {
                let survivor = if self.choice.below(2) == 0 { known.active } else { known.active.peer() };
                (known, survivor, Order::Force)
            }
            (None, None) => return Ok(()),
        };
        // What is on its way to the disk of the survivor would have to be counted too.
        if self.hosts[survivor as usize].disk.is_busy() || !self.forgive(survivor)? {
            return Ok(());
        }
        let is_lost = |seat: &Seat| order == Order::Force || *seat == known.active;
        for seat in survivor.others().into_iter().filter(is_lost) {
            self.crash(seat);
            if seat == Seat::Watch {
                self.watch.wipe();
            } else {
                self.hosts[seat as usize].wipe();
            }
        }
        self.survivor = Some((survivor, order, known.epoch));
        self.at(Duration::from_secs(1), Event::Insist);
        Ok(())
    }

    /// What only others have is lost: it was not committed, not answered, and the reader has not seen it. Not if clients could not
    /// go on without it: whether it was so.
    fn forgive(&mut self, survivor: Seat) -> Result<bool, String> {
        let disk = &self.hosts[survivor as usize].disk;
        let end = usize::try_from(disk.end().offset.0).unwrap_or(usize::MAX);
        let is_there = |record: &&Record| disk.record(record.id.offset).is_none_or(|its| its == *record);
        let same = self.history.iter().take(end).take_while(is_there).count();
        if same < self.deployed || self.deployed == 0 {
            return Ok(false);
        }
        self.history.truncate(same);
        let (mut assembly, mut last, mut orders) = (Assembly::default(), EventId::BEFORE_FIRST, BTreeSet::new());
        for record in &self.history {
            let assembled = assembly.add(record).map_err(|error| error.to_string())?;
            for stamped in assembled.into_iter().flat_map(|assembled| assembled.transaction.events) {
                last = stamped.event_id;
                if let WorkflowEvent::Order(id, OrderEvent::OrderAdded { .. }) = stamped.event {
                    orders.insert(id);
                }
            }
        }
        self.answered.retain(|id: &OrderId| orders.contains(id));
        self.reader.forget_after(last);
        for host in &mut self.hosts {
            host.released = host.released.min(last);
        }
        Ok(true)
    }

    /// A person orders again and again until it is so, and once new voters are there in the place of the lost ones, until these
    /// are taken in.
    pub(super) fn insist(&mut self) -> Result<(), String> {
        let Some((survivor, order, before)) = self.survivor else { return Ok(()) };
        let known = self.pair(survivor).and_then(Pair::known);
        let is_done = self.hosts[survivor as usize].is_active()
            && known.is_some_and(|known| known.active == survivor && known.epoch > before);
        // What is not on its disk it may forget.
        let knows = |seat| {
            let disk = if seat == Seat::Watch { self.watch.disk() } else { &self.hosts[seat as usize].disk };
            let vote = disk.cell(VOTE_CELL).and_then(|vote| decode_vote(seat, vote));
            vote.is_some_and(|voter| !voter.is_ignorant())
        };
        let is_over = match order {
            Order::Force => survivor.others().into_iter().any(knows),
            _ => is_done,
        };
        if is_done || is_over {
            self.see(if order == Order::Force { Sometimes::Forced } else { Sometimes::LossAccepted });
            for seat in survivor.others() {
                self.at(Duration::from_secs(1), Event::Start(seat));
            }
        }
        if is_over {
            self.survivor = None;
            return Ok(());
        }
        self.at(Duration::from_secs(3), Event::Insist);
        if self.is_running(survivor) { self.order(survivor, order) } else { self.start(survivor) }
    }
}
