//! What is seen of a cluster on its stage.

use super::super::host::Host;
use super::super::toy::{Number, length, list_of};
use super::{Cluster, numbers_of};
use baton_protocol::pair::Pair;
use baton_protocol::record::{Offset, Record};
use baton_protocol::register::{EpochRecord, Mode, Seat};
use std::ops::RangeInclusive;

impl Cluster {
    /// What must be so now.
    pub fn must(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        if !is_so(self) {
            self.fail(&format!("it is not so: {what}"));
        }
    }

    /// The golden outcome: all news since this was asked last, in order.
    pub fn news_are(&mut self, expected: &[&str]) {
        if self.news != expected {
            self.fail(&format!("the news are {:#?}\nexpected are {expected:#?}", self.news));
        }
        self.news.clear();
    }

    /// Whether there are news that begin with this.
    #[must_use]
    pub fn has_news(&self, begin: &str) -> bool {
        self.news.iter().any(|news| news.starts_with(begin))
    }

    /// How many news begin with this.
    #[must_use]
    pub fn count_news(&self, begin: &str) -> usize {
        self.news.iter().filter(|news| news.starts_with(begin)).count()
    }

    /// The news since then do not matter.
    pub fn forget_news(&mut self) {
        self.news.clear();
    }

    /// Whether this node is active, as far as it knows.
    #[must_use]
    pub fn is_active(&self, seat: Seat) -> bool {
        self.pair(seat).is_some_and(Pair::is_active)
    }

    /// Whether this node and no other is.
    #[must_use]
    pub fn is_only_active(&self, seat: Seat) -> bool {
        self.is_active(seat) && !self.is_active(seat.peer())
    }

    /// Whether this node wants the epoch record changed, or does not know whether it is.
    #[must_use]
    pub fn is_asking(&self, seat: Seat) -> bool {
        self.pair(seat).is_some_and(Pair::is_asking)
    }

    /// Whether this node is getting an image.
    #[must_use]
    pub fn is_fetching(&self, seat: Seat) -> bool {
        self.pair(seat).is_some_and(Pair::is_fetching)
    }

    /// Whether one node is active.
    #[must_use]
    pub fn is_one_active(&self) -> bool {
        self.is_active(Seat::First) != self.is_active(Seat::Second)
    }

    /// Whether neither is.
    #[must_use]
    pub fn is_none_active(&self) -> bool {
        !self.is_active(Seat::First) && !self.is_active(Seat::Second)
    }

    /// Whether this node and no other is, alone.
    #[must_use]
    pub fn is_alone(&self, seat: Seat) -> bool {
        self.is_only_active(seat) && self.mode(seat) == Some(Mode::Alone)
    }

    /// Whether this node has stopped on purpose.
    #[must_use]
    pub fn is_stopped(&self, seat: Seat) -> bool {
        self.host(seat).node().is_some_and(|node| node.machine().is_stopped())
    }

    /// Whether both nodes know that they are coupled, and the standby has all that the active has committed.
    #[must_use]
    pub fn is_coupled(&self) -> bool {
        let (first, second) = (self.known(Seat::First), self.known(Seat::Second));
        let is_known = first.is_some() && first == second && self.mode(Seat::First) == Some(Mode::Coupled);
        is_known && self.is_one_active() && self.committed_until(Seat::First) == self.committed_until(Seat::Second)
    }

    /// The mode by which this node goes.
    #[must_use]
    pub fn mode(&self, seat: Seat) -> Option<Mode> {
        self.known(seat).map(|known| known.mode)
    }

    /// The epoch by which this node goes; zero: none.
    #[must_use]
    pub fn epoch(&self, seat: Seat) -> u64 {
        self.known(seat).map_or(0, |known| known.epoch.0)
    }

    /// The record by which this node goes.
    #[must_use]
    pub fn known(&self, seat: Seat) -> Option<EpochRecord> {
        self.pair(seat).and_then(Pair::known)
    }

    /// How often the process of this machine was started.
    #[must_use]
    pub fn starts(&self, seat: Seat) -> u64 {
        self.host(seat).starts
    }

    /// The numbers that are committed, in order.
    #[must_use]
    pub fn numbers(&self) -> Vec<Number> {
        self.audit.numbers().filter(|number| *number != 0).collect()
    }

    /// The numbers in the journal on this disk, committed or not.
    #[must_use]
    pub fn numbers_on_disk(&self, seat: Seat) -> Vec<Number> {
        let disk = self.host(seat).disk();
        let image = disk.image().map_or_else(Vec::new, |(_, image)| list_of(image));
        let released = image.into_iter().take(length(disk.begin().offset)).filter(|number| *number != 0);
        released.chain(numbers_of(disk.records())).collect()
    }

    /// The records that this node says are committed, and has not released.
    #[must_use]
    pub fn committed_at(&self, seat: Seat) -> &[Record] {
        let disk = self.host(seat).disk();
        let count = self.committed_until(seat).0.saturating_sub(disk.begin().offset.0);
        disk.records().get(..length(Offset(count))).unwrap_or_default()
    }

    /// How many records this node says are committed.
    #[must_use]
    pub fn committed_until(&self, seat: Seat) -> Offset {
        self.host(seat).node().map_or(Offset::ZERO, |node| node.journal().watermarks().committed)
    }

    /// Where the journal on this disk begins: what is before, was released.
    #[must_use]
    pub fn begin(&self, seat: Seat) -> Offset {
        self.host(seat).disk().begin().offset
    }

    /// Whether a client has its answer.
    #[must_use]
    pub fn is_answered(&self, number: Number) -> bool {
        self.answers.iter().any(|(_, answered)| *answered == number)
    }

    /// Whether all of these have been answered.
    #[must_use]
    pub fn are_answered(&self, mut numbers: RangeInclusive<Number>) -> bool {
        numbers.all(|number| self.is_answered(number))
    }

    /// The numbers that were answered, in order; one that was asked for again may be there again.
    #[must_use]
    pub fn answered(&self) -> Vec<Number> {
        self.answers.iter().map(|(_, number)| *number).collect()
    }

    /// Whether this node has refused this number.
    #[must_use]
    pub fn is_refused_by(&self, seat: Seat, number: Number) -> bool {
        self.refusals.contains(&(seat, number))
    }

    /// Whether the journals of both nodes are equal, byte by byte, from where both have records.
    #[must_use]
    pub fn are_journals_equal(&self) -> bool {
        let begin = self.begin(Seat::First).max(self.begin(Seat::Second));
        let bytes = |seat| {
            let mut bytes = Vec::new();
            self.host(seat).disk().records_from(begin).iter().for_each(|record| record.encode(&mut bytes));
            bytes
        };
        bytes(Seat::First) == bytes(Seat::Second)
    }

    /// The machine.
    #[must_use]
    pub fn host(&self, seat: Seat) -> &Host {
        &self.hosts[seat as usize]
    }

    fn pair(&self, seat: Seat) -> Option<&Pair> {
        self.host(seat).node().map(|node| node.machine().pair())
    }
}
