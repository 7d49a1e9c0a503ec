//! How things happen on the stage: events in order of time, links, storage, clients.

use super::super::audit::no_trouble;
use super::super::host::Left;
use super::super::toy::{News, Number};
use super::copies::CopyEvent;
use super::{AGAIN, Cluster, LATENCY, LINK_PATIENCE, PATIENCE, SYNC, name, ordered};
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::{Mandate, PairInput};
use baton_protocol::register::Seat;
use baton_protocol::time::{Duration, Instant};
use std::mem;

#[derive(Clone, Debug)]
pub(super) enum Event {
    Arrive {
        from: Seat,
        to: Seat,
        link: u64,
        envelope: Envelope,
    },
    Connect(Seat, Seat),
    Down {
        at: Seat,
        of: Seat,
        refused: bool,
    },
    Synced {
        seat: Seat,
        life: u64,
    },
    Due {
        seat: Seat,
        life: u64,
    },
    Ask {
        number: Number,
        attempt: u64,
    },
    Copy(Seat, CopyEvent),
    Look(Seat, u32),
    /// A word of a copy arrives.
    Told {
        to: Seat,
        envelope: Envelope,
    },
}

/// What is around a host.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// What its clock shows at the beginning.
    pub(super) clock: Duration,
    /// Its machine is switched off, or not there: nobody says that the process is dead.
    pub(super) is_dark: bool,
    /// The process stands still.
    pub(super) is_paused: bool,
    /// Storage hangs.
    pub(super) is_stalled: bool,
    pub(super) is_syncing: bool,
    /// What waits until the process goes on.
    pub(super) backlog: Vec<Event>,
}

#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) length: usize,
    pub(super) at: Seat,
    pub(super) attempt: u64,
}

impl Cluster {
    pub(super) fn next_event(&self) -> Option<Duration> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn step(&mut self) {
        let Some(((at, _), event)) = self.events.pop_first() else { return };
        self.now = at;
        if let Some(seat) = self.who_stands_still(&event) {
            return self.around[seat as usize].backlog.push(event);
        }
        match event {
            Event::Arrive { from, to, link, envelope } => {
                if self.links.get(&ordered(from, to)) == Some(&link) && !self.swallowed.contains(&(from, to)) {
                    self.input(to, PairInput::Received(envelope));
                }
            }
            Event::Connect(one, other) => self.connect(one, other),
            Event::Down { at, of, refused } => {
                if !self.links.contains_key(&ordered(at, of)) {
                    self.input(at, PairInput::Down { seat: of, refused });
                }
            }
            Event::Synced { seat, life } => {
                if self.lives(seat, life) && self.around[seat as usize].is_syncing {
                    if self.around[seat as usize].is_stalled {
                        return;
                    }
                    self.around[seat as usize].is_syncing = false;
                    let count = self.host(seat).disk().unsynced();
                    let left = self.hosts[seat as usize].sync(self.clock(seat), count);
                    self.after(seat, left);
                }
            }
            Event::Due { seat, life } => {
                let is_due = self.host(seat).deadline().is_some_and(|deadline| deadline <= self.clock(seat));
                if self.lives(seat, life) && is_due {
                    let left = self.hosts[seat as usize].due(self.clock(seat));
                    self.after(seat, left);
                }
            }
            Event::Ask { number, attempt } => self.asks(number, attempt),
            Event::Told { to, envelope } => self.input(to, PairInput::Received(envelope)),
            Event::Look(seat, look) => self.looks_at(seat, look),
            Event::Copy(seat, event) => self.copy_happens(seat, event),
        }
    }

    /// The one that would have to do something about it, but stands still. Its deadline it sees itself when it goes on.
    pub(super) fn who_stands_still(&self, event: &Event) -> Option<Seat> {
        let seats = match event {
            Event::Arrive { to: seat, .. } | Event::Told { to: seat, .. } | Event::Down { at: seat, .. } => {
                [*seat, *seat]
            }
            Event::Synced { seat, life } | Event::Due { seat, life } if self.lives(*seat, *life) => [*seat, *seat],
            Event::Connect(one, other) => [*one, *other],
            _ => return None,
        };
        seats.into_iter().find(|seat| self.around[*seat as usize].is_paused)
    }

    pub(super) fn lives(&self, seat: Seat, life: u64) -> bool {
        self.host(seat).is_running() && self.host(seat).starts == life
    }

    pub(super) fn connect(&mut self, one: Seat, other: Seat) {
        if self.cuts.contains(&ordered(one, other)) || self.links.contains_key(&ordered(one, other)) {
            return;
        }
        match (self.host(one).is_running(), self.host(other).is_running()) {
            (true, true) => {
                self.sequence += 1;
                self.links.insert(ordered(one, other), self.sequence);
                self.input(one, PairInput::Up(other));
                self.input(other, PairInput::Up(one));
            }
            (true, false) => self.refuse(one, other),
            (false, true) => self.refuse(other, one),
            (false, false) => {}
        }
    }

    /// The machine says that there is no process, if the machine is on.
    pub(super) fn refuse(&mut self, at: Seat, of: Seat) {
        if !self.around[of as usize].is_dark {
            self.input(at, PairInput::Down { seat: of, refused: true });
        }
    }

    pub(super) fn unlink(&mut self, one: Seat, other: Seat, after: Duration) {
        if self.links.remove(&ordered(one, other)).is_some() {
            self.schedule(after, Event::Down { at: one, of: other, refused: false });
            self.schedule(after, Event::Down { at: other, of: one, refused: false });
        }
    }

    pub(super) fn end(&mut self, seat: Seat, is_killed: bool) {
        let host = &mut self.hosts[seat as usize];
        let kept = if is_killed { host.disk().unsynced() } else { 0 };
        host.crash(kept);
        let around = &mut self.around[seat as usize];
        around.is_dark = !is_killed;
        around.is_paused = false;
        around.is_syncing = false;
        around.backlog.clear();
        for other in seat.others() {
            if !is_killed {
                self.unlink(seat, other, LINK_PATIENCE);
            } else if self.links.remove(&ordered(seat, other)).is_some() {
                self.schedule(LATENCY, Event::Down { at: other, of: seat, refused: true });
            }
        }
        self.tell_copies_of_end(seat, is_killed);
        if is_killed {
            let waiting: Vec<_> = self.clients.iter().filter(|(_, client)| client.at == seat).collect();
            let again: Vec<_> = waiting.into_iter().map(|(&number, client)| (number, client.attempt + 1)).collect();
            for (number, attempt) in again {
                self.schedule(AGAIN, Event::Ask { number, attempt });
            }
        }
    }

    pub(super) fn asks(&mut self, number: Number, attempt: u64) {
        let Some(client) = self.clients.get_mut(&number).filter(|client| client.attempt < attempt) else { return };
        if client.attempt > 0 {
            client.at = client.at.peer();
        }
        client.attempt = attempt;
        let (seat, length) = (client.at, client.length);
        let is_there = self.host(seat).is_running();
        let patience = if is_there { PATIENCE } else { AGAIN };
        self.schedule(patience, Event::Ask { number, attempt: attempt + 1 });
        if is_there && !self.around[seat as usize].is_paused {
            let left = self.hosts[seat as usize].add_long(self.clock(seat), number, length);
            self.after(seat, left);
        }
    }

    pub(super) fn input(&mut self, seat: Seat, input: PairInput) {
        if self.host(seat).is_running() {
            let left = self.hosts[seat as usize].take(self.clock(seat), input);
            self.after(seat, left);
        }
    }

    pub(super) fn after(&mut self, seat: Seat, left: Vec<Left>) {
        let mut news = self.hosts[seat as usize].news();
        for news in &news {
            let words = format!("{} {}", name(seat), self.words(seat, news));
            self.tell(words.clone());
            self.news.push(words);
        }
        if self.is_trouble_expected {
            news.retain(|news| !matches!(news, News::Trouble(_)));
        }
        let host = &self.hosts[seat as usize];
        let look = if seat == Seat::Watch { no_trouble(host, &news) } else { self.audit.look(host, &news, &left) };
        if let Err(violation) = look {
            self.fail(&violation);
        }
        for left in left {
            match left {
                Left::Message(to, envelope) => {
                    self.send_copy(to, &envelope);
                    self.keep_join(&envelope);
                    if let Some(&link) = self.links.get(&ordered(seat, to)) {
                        self.schedule(LATENCY, Event::Arrive { from: seat, to, link, envelope });
                    }
                }
                Left::Added(number) => {
                    self.answers.push((seat, number));
                    self.believed = seat;
                    self.clients.remove(&number);
                }
                Left::Seen(look, length) => self.looks.shown(look, length),
                Left::Refused(number) => {
                    self.refusals.push((seat, number));
                    if let Some(client) = self.clients.get(&number) {
                        let attempt = client.attempt + 1;
                        self.schedule(AGAIN, Event::Ask { number, attempt });
                    }
                }
            }
        }
        self.schedule_due(seat);
        self.sync_later(seat);
    }

    pub(super) fn sync_later(&mut self, seat: Seat) {
        let around = &mut self.around[seat as usize];
        if self.hosts[seat as usize].disk().is_busy() && !mem::replace(&mut around.is_syncing, true) {
            let life = self.host(seat).starts;
            self.schedule(SYNC, Event::Synced { seat, life });
        }
    }

    pub(super) fn schedule_due(&mut self, seat: Seat) {
        if let Some(deadline) = self.host(seat).deadline() {
            let life = self.host(seat).starts;
            self.schedule(deadline.since(self.clock(seat)), Event::Due { seat, life });
        }
    }

    pub(super) fn schedule(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + after, self.sequence), event);
    }

    pub(super) fn clock(&self, seat: Seat) -> Instant {
        Instant::ZERO + self.around[seat as usize].clock + self.now
    }

    pub(super) fn words(&self, seat: Seat, news: &News) -> String {
        let mode = self.mode(seat).map_or_else(String::new, |mode| mode.to_string());
        match news {
            News::Activated(epoch, mandate) => {
                let how = match mandate {
                    Mandate::Founded => "founds",
                    Mandate::Restarted => "restarts in",
                    Mandate::TookOver => "takes over in",
                    Mandate::SwitchedOver => "is handed over to in",
                    Mandate::Appointed => "is appointed in",
                    Mandate::Forced => "is forced in",
                };
                format!("{how} epoch {epoch}, {mode}")
            }
            News::EpochBegan(epoch) => format!("goes on in epoch {epoch}, {mode}"),
            News::Deposed => "is deposed".to_owned(),
            News::Cut(at) => format!("cuts at {}", at.offset),
            News::Installed(at) => format!("begins anew at {}", at.offset),
            News::Stopped => "is stopped".to_owned(),
            News::Refused(order, unfit) => format!("refuses {order:?}: {unfit:?}"),
            News::Trouble(trouble) => format!("is in trouble: {trouble:?}"),
        }
    }

    pub(super) fn tell(&mut self, words: String) {
        self.story.push(format!("{:9.3} {words}", self.now.as_secs_f64()));
    }

    pub(super) fn fail(&self, words: &str) -> ! {
        let node = |seat| match self.known(seat) {
            _ if !self.host(seat).is_running() => "does not run".to_owned(),
            None => "knows nothing".to_owned(),
            Some(known) => format!("{} ({known})", if self.is_active(seat) { "is active" } else { "is not active" }),
        };
        let (first, second) = (node(Seat::First), node(Seat::Second));
        panic!("{words}\nat {:?}: first {first}; second {second}\n{}", self.now, self.story.join("\n"))
    }
}
