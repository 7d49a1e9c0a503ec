//! What a node knows of the life of another one. It decides when to ask, never what is true.

use super::message::{Envelope, Message};
use crate::register::Incarnation;
use crate::time::{Duration, Instant};

/// Another voter, as seen from here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Contact {
    /// Since then there has been no sign of life; at first, since the start here.
    since: Instant,
    /// There is a link.
    is_up: bool,
    /// Its host has said that there is nobody, and nothing else has been heard since.
    is_refused: bool,
    /// It has said that it knows of no epoch record.
    is_ignorant: bool,
    /// Who spoke last.
    who: Option<(Incarnation, u64)>,
    /// Since then nobody else has spoken from that seat.
    who_since: Instant,
    /// Its host has said that the process which spoke last is dead.
    is_dead: bool,
    /// Another process with the same memory.
    double: Option<Double>,
    /// The last process of another cluster that has spoken.
    strange: Option<u64>,
}

/// Another process of the incarnation that is heard: the one before it, or one that is not heard as long as that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Double {
    run: u64,
    /// It has spoken since the one that is heard.
    is_last: bool,
    /// Both have spoken after each other: both live.
    is_proven: bool,
    is_told: bool,
}

/// What a word tells of who has spoken it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The one that has spoken before.
    Again,
    /// Another one than before.
    New,
    /// Another process of the same incarnation, although that one lives: it is not to be heard.
    NotNow,
}

impl Contact {
    pub(crate) const fn new() -> Self {
        Self {
            since: Instant::ZERO,
            is_up: false,
            is_refused: false,
            is_ignorant: false,
            who: None,
            who_since: Instant::ZERO,
            is_dead: false,
            double: None,
            strange: None,
        }
    }

    pub(crate) fn start(&mut self, now: Instant) {
        self.since = now;
    }

    pub(crate) fn up(&mut self) {
        self.is_up = true;
        self.is_refused = false;
    }

    pub(crate) fn down(&mut self, is_refused: bool) {
        self.is_up = false;
        self.is_refused |= is_refused;
        self.is_dead |= is_refused;
    }

    /// It has spoken. Only a heartbeat is a sign of life: a node whose storage hangs sends none, but may still ask and send.
    /// Neither is that of somebody else in the seat of the `member`. Of two processes with one memory the one is heard that was
    /// there first, until its host says that it is dead or it was silent for this time.
    pub(crate) fn heard(
        &mut self,
        now: Instant,
        envelope: &Envelope,
        member: Option<Incarnation>,
        silence: Duration,
    ) -> Heard {
        let who = (envelope.incarnation, envelope.run);
        let is_new = self.who != Some(who);
        match self.who {
            Some((incarnation, run)) if incarnation == envelope.incarnation => {
                self.note_double(run, envelope.run);
                if is_new {
                    if !self.is_dead && now < self.lost_at(silence) {
                        return Heard::NotNow;
                    }
                    let before = self.double.filter(|double| double.run == envelope.run);
                    let (is_proven, is_told) = before.map_or((false, false), |it| (it.is_proven, it.is_told));
                    self.double = Some(Double { run, is_last: false, is_proven, is_told });
                }
            }
            _ => {
                self.who_since = now;
                self.double = None;
            }
        }
        if let Message::Beat { ignorant, .. } = envelope.message {
            self.is_ignorant = ignorant;
            if member.is_none_or(|member| member == envelope.incarnation) {
                self.since = now;
            }
        }
        self.is_refused = false;
        self.is_dead = false;
        self.who = Some(who);
        if is_new { Heard::New } else { Heard::Again }
    }

    /// Who speaks after another one that has spoken after it, is not dead.
    fn note_double(&mut self, heard: u64, speaks: u64) {
        if heard == speaks {
            if let Some(double) = &mut self.double {
                double.is_proven |= double.is_last;
                double.is_last = false;
            }
            return;
        }
        let known = self.double.filter(|double| double.run == speaks);
        self.double = Some(match known {
            Some(double) => Double { is_proven: double.is_proven || !double.is_last, is_last: true, ..double },
            None => Double { run: speaks, is_last: true, is_proven: false, is_told: false },
        });
    }

    /// Whether two processes with one memory speak from that seat. Says so once for each.
    pub(crate) fn is_doubled(&mut self) -> bool {
        self.double.as_mut().is_some_and(|double| double.is_proven && !core::mem::replace(&mut double.is_told, true))
    }

    /// A process of another cluster has spoken. Whether another one than before.
    pub(crate) fn is_strange(&mut self, run: u64) -> bool {
        self.strange.replace(run) != Some(run)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.is_up
    }

    /// Its host says that it is dead.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused && !self.is_up
    }

    /// It has given no sign of life for this time, or is known to be dead.
    pub(crate) fn is_lost(&self, now: Instant, silence: Duration) -> bool {
        self.is_refused() || now >= self.lost_at(silence)
    }

    pub(crate) fn lost_at(&self, silence: Duration) -> Instant {
        self.since + silence
    }

    /// Who has taken the seat of the `member`, for at least this time.
    pub(crate) fn stranger(&self, now: Instant, member: Incarnation, time: Duration) -> Option<Incarnation> {
        self.incarnation().filter(|&who| who != member && self.is_up && now >= self.who_since + time)
    }

    /// Who it is, if it knows of no epoch record.
    pub(crate) fn ignorant(&self) -> Option<Incarnation> {
        self.incarnation().filter(|_| self.is_ignorant)
    }

    pub(crate) fn incarnation(&self) -> Option<Incarnation> {
        self.who.map(|(incarnation, _)| incarnation)
    }

    pub(crate) fn run(&self) -> Option<u64> {
        self.who.map(|(_, run)| run)
    }
}
