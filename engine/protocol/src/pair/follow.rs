//! The standby's side: joins the active, cuts off what the active does not have, takes over its records and acknowledges
//! what is durable.

use super::message::{Message, Session};
use super::planted::Bug;
use super::{Duty, EPOCHS_CELL, Happened, Pair, PairLane, Paired, Trouble, put};
use crate::journal::{AppendError, Uncuttable};
use crate::outbox::Outbox;
use crate::record::{Offset, Position, Record};
use crate::register::Accepted;
use alloc::vec::Vec;

/// The office of the standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Standby {
    /// The stream it follows, once it has started.
    pub(super) session: Option<Session>,
}

impl Standby {
    pub(super) const fn new() -> Self {
        Self { session: None }
    }
}

impl Pair {
    /// Asks the active for its records, from the end of this journal on; with a new number each time, so that only the last
    /// question is answered.
    pub(super) fn join<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        let peer = self.config.seat.peer();
        let Some(active) = self.peer().run() else { return };
        let Duty::Standby(standby) = &mut self.duty else { return };
        standby.session = None;
        self.checking = None;
        self.suspend_image();
        // What was not yet acknowledged, is in the next stream.
        out.withdraw(&M::pair_lane(PairLane::Acknowledged));
        if self.is_rolling_back || self.known.is_none_or(|known| known.active != peer) {
            return;
        }
        self.joins += 1;
        let (join, end, epochs) = (self.joins, out.journal().end(), self.epochs.newest());
        self.hint(peer, Message::Join { active, join, end, epochs }, out);
    }

    /// The other node is another process than before.
    pub(super) fn peer_is_new<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        self.stream = None;
        self.join(out);
    }

    /// The active says what it has sent: if not all of it has arrived, it is asked for anew.
    pub(super) fn heard_of_stream<M: Paired>(&mut self, sent: Option<(Session, Offset)>, out: &mut Outbox<'_, M>) {
        if let Some(mine) = self.fetching_in() {
            if sent.is_none_or(|(session, _)| session != mine) {
                self.join(out);
            }
            return;
        }
        // Who has not been answered yet, asks again with its own heartbeat.
        let Duty::Standby(Standby { session: Some(mine) }) = self.duty else { return };
        let is_whole = sent.is_some_and(|(session, offset)| mine == session && offset <= out.journal().end().offset);
        if is_whole { self.acknowledge_all(out) } else { self.join(out) }
    }

    /// The other node says for the first time in this epoch that it is active: what was asked of it before, it did not heed.
    pub(super) fn join_who_became_active<M: Paired>(&mut self, decided: Option<Accepted>, out: &mut Outbox<'_, M>) {
        let peer = self.config.seat.peer();
        let Some(record) = decided.map(|decided| decided.record).filter(|record| record.active == peer) else { return };
        if record.epoch <= self.heard_active {
            return;
        }
        self.heard_active = record.epoch;
        if matches!(self.duty, Duty::Standby(Standby { session: None })) && !self.is_fetching() {
            self.join(out);
        }
    }

    /// The active wants to know whether this node still follows: then nobody else is active.
    pub(super) fn say_whether_it_follows<M: Paired>(&self, session: Session, number: u64, out: &mut Outbox<'_, M>) {
        if matches!(&self.duty, Duty::Standby(standby) if standby.session == Some(session)) {
            self.hint(self.config.seat.peer(), Message::Confirmed { session, number }, out);
        }
    }

    /// Records follow from here on.
    pub(super) fn started<M: Paired>(&mut self, session: Session, at: Position, out: &mut Outbox<'_, M>) {
        let end = out.journal().end();
        // When storage does not follow, it is asked for again with the next heartbeat.
        if !self.is_expected(session) || at.offset > end.offset || !out.has_room_to_put() {
            return;
        }
        self.forget_image(out);
        if at.offset == end.offset {
            if at != end {
                return self.diverged(at, out);
            }
            self.epochs.cut(end.offset);
            self.duty = Duty::Standby(Standby { session: Some(session) });
            return self.acknowledge_all(out);
        }
        let image = out.journal().image();
        if at.offset == Offset::ZERO || at == image || out.journal().position(at.offset).is_some() {
            return self.cut(at, out);
        }
        if at.offset <= image.offset {
            return self.diverged(at, out);
        }
        // Whether the record before is the same, only storage knows.
        let number = self.want_records(Offset(at.offset.0 - 1), 1, out);
        self.checking = Some((number, session, at));
    }

    /// Whether this is the answer to the last joining.
    pub(super) fn is_expected(&self, session: Session) -> bool {
        matches!(self.duty, Duty::Standby(Standby { session: None }))
            && session.standby == self.run
            && session.join == self.joins
            && Some(session.active) == self.peer().run()
            && !self.is_rolling_back
    }

    /// Storage has read the record before the place where to cut.
    pub(super) fn checked<M: Paired>(
        &mut self,
        session: Session,
        at: Position,
        from: Offset,
        records: &[Record],
        out: &mut Outbox<'_, M>,
    ) {
        if !self.is_expected(session) || from.next() != at.offset || !out.has_room_to_put() {
            return;
        }
        if records.first().is_some_and(|record| record.id.after() == at) {
            self.cut(at, out)
        } else {
            self.diverged(at, out)
        }
    }

    /// Cuts off what the active does not have.
    fn cut<M: Paired>(&mut self, at: Position, out: &mut Outbox<'_, M>) {
        match out.truncate(at) {
            Ok(()) => {
                self.is_rolling_back = true;
                self.epochs.cut(at.offset);
                put(out, EPOCHS_CELL, self.epochs.encode());
                self.happened.push(Happened::Cut(at));
            }
            Err(Uncuttable::Committed { .. } | Uncuttable::Diverged(_)) => self.diverged(at, out),
        }
    }

    pub(super) fn diverged<M: Paired>(&mut self, at: Position, out: &Outbox<'_, M>) {
        let committed = out.journal().watermarks().committed;
        self.happened.push(Happened::Trouble(Trouble::Diverged { at, committed }));
    }

    /// The application has gone back.
    pub(super) fn rolled_back<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        self.is_rolling_back = false;
        self.join(out);
    }

    /// Takes over records.
    pub(super) fn adopt<M: Paired>(
        &mut self,
        session: Session,
        at: Position,
        records: Vec<Record>,
        out: &mut Outbox<'_, M>,
    ) {
        if self.config.bugs.has(Bug::AcknowledgeAfterAsking)
            && matches!(self.duty, Duty::Unsure)
            && let Some(last) = records.last()
        {
            let message = Message::Acknowledged { session, position: last.id.after() };
            return self.hint(self.config.seat.peer(), message, out);
        }
        let Duty::Standby(standby) = &self.duty else { return };
        if standby.session != Some(session) || self.is_rolling_back {
            return;
        }
        if at.offset > out.journal().end().offset {
            return self.join(out);
        }
        for record in records {
            let id = record.id;
            if id.offset < out.journal().end().offset {
                continue;
            }
            // Storage does not follow: asked for again with the next heartbeat.
            if !out.has_room_to_put() {
                break;
            }
            if id.offset == out.journal().end().offset {
                self.note_epoch(id.epoch, id.offset, out);
            }
            match out.adopt(record.clone()) {
                Ok(()) => self.happened.push(Happened::Adopted(record)),
                Err(AppendError::Full(_)) => break,
                Err(AppendError::Misplaced(_)) => return self.join(out),
            }
        }
        self.acknowledge_all(out);
    }

    /// What the active has committed.
    pub(super) fn told_committed<M: Paired>(&self, session: Session, before: Offset, out: &mut Outbox<'_, M>) {
        if matches!(&self.duty, Duty::Standby(standby) if standby.session == Some(session)) {
            out.told_committed(before);
        }
    }

    /// Acknowledges all of this journal, when it is durable.
    fn acknowledge_all<M: Paired>(&self, out: &mut Outbox<'_, M>) {
        let Duty::Standby(Standby { session: Some(session), .. }) = self.duty else { return };
        let message = Message::Acknowledged { session, position: out.journal().end() };
        let peer = self.config.seat.peer();
        if self.config.bugs.has(Bug::AcknowledgeBeforeSync) {
            return self.hint(peer, message, out);
        }
        // What finds no room is repeated with the next heartbeat.
        let promise = M::pair_promise(peer, self.envelope(message));
        let _ = out.promise(out.durable(), M::pair_lane(PairLane::Acknowledged), promise);
    }
}
