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
    }

    /// It has spoken. Whether it is another process than the one that spoke before. Only a heartbeat is a sign of life: a
    /// node whose storage hangs sends none, but may still ask and send.
    /// Neither is that of somebody else in the seat of the `member`.
    pub(crate) fn heard(&mut self, now: Instant, envelope: &Envelope, member: Option<Incarnation>) -> bool {
        let who = Some((envelope.incarnation, envelope.run));
        let is_new = self.who != who;
        if self.incarnation() != Some(envelope.incarnation) {
            self.who_since = now;
        }
        let is_member = member.is_none_or(|member| member == envelope.incarnation);
        if let Message::Beat { ignorant, .. } = envelope.message {
            self.is_ignorant = ignorant;
            if is_member {
                self.since = now;
            }
        }
        self.is_refused = false;
        self.who = who;
        is_new
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
