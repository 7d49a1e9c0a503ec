//! Second processes: the data folder of a machine was copied, and the copy is in use on another machine. What it says reaches the
//! others as if it came from the one seat, and what is said to that seat reaches both.

use super::super::host::{Host, Left};
use super::super::toy::News;
use super::stage::Event;
use super::{Cluster, LATENCY, SYNC, name};
use baton_protocol::pair::PairInput;
use baton_protocol::pair::message::Envelope;
use baton_protocol::register::Seat;

/// What a copy is told.
#[derive(Clone, Debug)]
pub(super) enum CopyEvent {
    Input(PairInput),
    Synced,
    Due,
}

impl Cluster {
    /// What is on the disk of this machine is copied, and the copy is in use too.
    pub fn start_copy(&mut self, seat: Seat) {
        self.tell(format!("start a copy of {}", name(seat)));
        self.seed += 1;
        let mut copy = self.host(seat).copy();
        let left = copy.start(self.clock(seat), self.seed);
        self.after_copy(copy, left);
        for other in seat.others() {
            self.schedule(LATENCY, Event::Copy(seat, CopyEvent::Input(PairInput::Up(other))));
        }
    }

    /// Whether the copy of this machine is active, as far as it knows.
    #[must_use]
    pub fn is_copy_active(&self, seat: Seat) -> bool {
        let node = self.copies.get(&seat).and_then(Host::node);
        node.is_some_and(|node| node.machine().pair().is_active())
    }

    pub(super) fn copy_happens(&mut self, seat: Seat, event: CopyEvent) {
        let clock = self.clock(seat);
        let Some(mut copy) = self.copies.remove(&seat) else { return };
        let left = match event {
            CopyEvent::Input(input) => copy.take(clock, input),
            CopyEvent::Synced => copy.sync(clock, copy.disk().unsynced()),
            CopyEvent::Due if copy.deadline().is_some_and(|deadline| deadline <= clock) => copy.due(clock),
            CopyEvent::Due => Vec::new(),
        };
        self.after_copy(copy, left);
    }

    fn after_copy(&mut self, mut copy: Host, left: Vec<Left>) {
        let (seat, mut news) = (copy.seat(), copy.news());
        for news in &news {
            let words = format!("the copy of {} {}", name(seat), self.words(seat, news));
            self.tell(words);
        }
        news.retain(|news| !matches!(news, News::Trouble(_)));
        if let Err(violation) = self.audit.look_at_copy(&copy, &news, &left) {
            self.fail(&violation);
        }
        for left in left {
            if let Left::Message(to, envelope) = left {
                self.schedule(LATENCY, Event::Told { to, envelope });
            }
        }
        if copy.disk().is_busy() {
            self.schedule(SYNC, Event::Copy(seat, CopyEvent::Synced));
        }
        if let Some(deadline) = copy.deadline() {
            self.schedule(deadline.since(self.clock(seat)), Event::Copy(seat, CopyEvent::Due));
        }
        self.copies.insert(seat, copy);
    }

    /// What is said to a seat, its copy hears too.
    pub(super) fn send_copy(&mut self, to: Seat, envelope: &Envelope) {
        if self.copies.contains_key(&to) {
            let input = PairInput::Received(envelope.clone());
            self.schedule(LATENCY, Event::Copy(to, CopyEvent::Input(input)));
        }
    }

    pub(super) fn tell_copies_of_end(&mut self, of: Seat, refused: bool) {
        for seat in of.others() {
            self.schedule(LATENCY, Event::Copy(seat, CopyEvent::Input(PairInput::Down { seat: of, refused })));
        }
    }
}
