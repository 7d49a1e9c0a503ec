//! What hosts and audits make of inputs: worked out once, then known. It depends on nothing but the host and the input, so what
//! is known is exact. What all threads make is kept in [`Parts`]; what leads from one to the other each thread knows for itself.

use super::super::audit::{Audit, Violation, no_trouble};
use super::super::digest::{Folding, hash_of};
use super::super::host::{Host, Left};
use super::super::toy::{News, Number};
use super::table::Table;
use crate::quiet::quietly;
use baton_protocol::pair::message::{Envelope, Message};
use baton_protocol::pair::{Order, PairInput};
use baton_protocol::register::{Accepted, Mode, Seat};
use baton_protocol::time::{Duration, Instant};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// So far the clock goes when a deadline comes: beyond all of them.
const FAR: Duration = Duration::from_secs(100);

/// A host, and what states are asked about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Part {
    pub(super) host: Host,
    pub(super) is_running: bool,
    pub(super) is_active: bool,
    pub(super) is_busy: bool,
    pub(super) is_coupled: bool,
    /// What its voter knows to be decided.
    decided: Option<Accepted>,
}

/// A message, and what states are asked about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Letter {
    pub(super) envelope: Envelope,
    pub(super) is_beat: bool,
    /// A heartbeat that says nothing but that this is decided.
    says: Option<Option<Accepted>>,
}

/// What a host has told in one go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Told {
    left: Vec<Left>,
    news: Vec<News>,
    /// The messages of it.
    pub(super) letters: Vec<(Seat, u32)>,
}

/// What states are made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) hosts: Table<Part>,
    pub(super) letters: Table<Letter>,
    /// What is under way in one direction, as numbers of letters.
    pub(super) wires: Table<Vec<u32>>,
    pub(super) audits: Table<Audit>,
    pub(super) told: Table<Told>,
    /// Nothing is under way.
    pub(super) idle: u32,
}

/// What a host is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Deed {
    Receive(u32),
    Up(Seat),
    Down(Seat, bool),
    SwitchOver,
    Sync,
    Due,
    Add(Number),
    Look(u32),
    Crash(bool),
    Start,
}

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Moment {
    /// How often the clock of the host has advanced.
    pub(super) dues: u8,
    /// States are compared by what makes a difference; and no deadline will come, if that is so.
    pub(super) canonize: Option<bool>,
}

/// What one thread knows.
#[derive(Debug)]
pub(super) struct Memo<'p> {
    pub(super) parts: &'p Parts,
    deeds: HashMap<(u32, Deed, Moment), (u32, u32), BuildHasherDefault<Folding>>,
    audited: HashMap<(u32, u32, u32), u32, BuildHasherDefault<Folding>>,
    pushed: HashMap<(u32, u32), u32, BuildHasherDefault<Folding>>,
    popped: HashMap<u32, u32, BuildHasherDefault<Folding>>,
    forms: HashMap<(u32, bool), u64, BuildHasherDefault<Folding>>,
}

impl Parts {
    pub(super) fn new() -> Self {
        let wires = Table::new();
        let idle = wires.number(Vec::new());
        let (hosts, letters, audits, told) = (Table::new(), Table::new(), Table::new(), Table::new());
        Self { hosts, letters, wires, audits, told, idle }
    }

    pub(super) fn keep(&self, host: Host) -> u32 {
        let pair = host.node().map(|node| node.machine().pair());
        self.hosts.number(Part {
            is_running: host.is_running(),
            is_active: pair.is_some_and(|pair| pair.is_active()),
            is_busy: host.disk().is_busy(),
            is_coupled: pair.and_then(|pair| pair.known()).is_some_and(|known| known.mode == Mode::Coupled),
            decided: host.voter().and_then(|voter| voter.decided()),
            // A copy takes no more memory than it needs.
            host: host.clone(),
        })
    }

    /// The number of what a host has told.
    fn keep_told(&self, left: Vec<Left>, news: Vec<News>) -> u32 {
        let letters = left
            .iter()
            .filter_map(|left| match left {
                Left::Message(to, envelope) => Some((*to, self.letters.number(Letter::new(envelope.clone())))),
                Left::Added(_) | Left::Refused(_) | Left::Seen(..) => None,
            })
            .collect();
        self.told.number(Told { left, news, letters })
    }

    /// Whether a letter says nothing but what this host knows.
    pub(super) fn is_known_to(&self, host: u32, letter: u32) -> bool {
        let part = self.hosts.get(host);
        part.is_running && self.letters.get(letter).says == Some(part.decided)
    }
}

impl Letter {
    fn new(envelope: Envelope) -> Self {
        let is_beat = matches!(envelope.message, Message::Beat { .. });
        let says = match envelope.message {
            Message::Beat { decided, sent: None, .. } => Some(decided),
            _ => None,
        };
        Self { envelope, is_beat, says }
    }
}

impl<'p> Memo<'p> {
    pub(super) fn new(parts: &'p Parts) -> Self {
        let (deeds, audited, pushed, popped, forms) = Default::default();
        Self { parts, deeds, audited, pushed, popped, forms }
    }

    /// What a host becomes by a deed, and what it tells.
    pub(super) fn host(&mut self, host: u32, deed: Deed, moment: Moment) -> Result<(u32, u32), Violation> {
        let key = (host, deed, moment);
        if let Some(known) = self.deeds.get(&key) {
            return Ok(*known);
        }
        let mut after = self.parts.hosts.get(host).host.clone();
        let letters = &self.parts.letters;
        let (after, left, news) = quietly(move || {
            let left = perform(&mut after, deed, moment, letters);
            let news = after.news();
            if let Some(is_timeless) = moment.canonize {
                after.canonize(is_timeless);
            }
            (after, left, news)
        })?;
        let result = (self.parts.keep(after), self.parts.keep_told(left, news));
        self.deeds.insert(key, result);
        Ok(result)
    }

    /// What the audit becomes when it looks at what a host has done.
    pub(super) fn audit(&mut self, audit: u32, host: u32, told: u32) -> Result<u32, Violation> {
        let key = (audit, host, told);
        if let Some(known) = self.audited.get(&key) {
            return Ok(*known);
        }
        let (host, told) = (&self.parts.hosts.get(host).host, self.parts.told.get(told));
        let after = if host.seat() == Seat::Watch {
            no_trouble(host, &told.news)?;
            audit
        } else {
            let mut after = self.parts.audits.get(audit).clone();
            after.look(host, &told.news, &told.left)?;
            self.parts.audits.number(after)
        };
        self.audited.insert(key, after);
        Ok(after)
    }

    /// What the audit becomes when somebody begins to look.
    pub(super) fn looked(&self, audit: u32, look: u32) -> u32 {
        let mut after = self.parts.audits.get(audit).clone();
        after.looked(look);
        self.parts.audits.number(after)
    }

    /// One more letter is under way.
    pub(super) fn push(&mut self, wire: u32, letter: u32) -> u32 {
        let Self { parts, pushed, .. } = self;
        *pushed.entry((wire, letter)).or_insert_with(|| {
            let mut letters = parts.wires.get(wire).clone();
            // A heartbeat that has not arrived is worth nothing when the next one is under way.
            if parts.letters.get(letter).is_beat {
                letters.retain(|before| !parts.letters.get(*before).is_beat);
            }
            letters.push(letter);
            parts.wires.number(letters)
        })
    }

    /// The next letter, and what is under way behind it.
    pub(super) fn pop(&mut self, wire: u32) -> Option<(u32, u32)> {
        let letters = self.parts.wires.get(wire);
        let first = *letters.first()?;
        let rest = *self.popped.entry(wire).or_insert_with(|| self.parts.wires.number(letters[1..].to_vec()));
        Some((first, rest))
    }

    /// What makes a difference in a host, whether states are reduced to that or not.
    pub(super) fn form(&mut self, host: u32, is_timeless: bool) -> u64 {
        let Self { parts, forms, .. } = self;
        *forms.entry((host, is_timeless)).or_insert_with(|| {
            let mut host = parts.hosts.get(host).host.clone();
            host.canonize(is_timeless);
            hash_of(&host)
        })
    }
}

fn perform(host: &mut Host, deed: Deed, moment: Moment, letters: &Table<Letter>) -> Vec<Left> {
    let now = Instant::ZERO + FAR * (1 + u32::from(moment.dues));
    match deed {
        Deed::Receive(letter) => host.take(now, PairInput::Received(letters.get(letter).envelope.clone())),
        Deed::Up(seat) => host.take(now, PairInput::Up(seat)),
        Deed::Down(seat, refused) => host.take(now, PairInput::Down { seat, refused }),
        Deed::SwitchOver => host.take(now, PairInput::Ordered(Order::SwitchOver)),
        Deed::Sync => host.sync(now, host.disk().unsynced()),
        Deed::Due => host.due(now),
        Deed::Add(number) => host.add(now, number),
        Deed::Look(look) => host.look(now, look),
        Deed::Crash(keeps) => {
            host.crash(if keeps { usize::MAX } else { 0 });
            Vec::new()
        }
        Deed::Start => host.start(now, 1 + host.seat() as u64 + 3 * host.starts),
    }
}
