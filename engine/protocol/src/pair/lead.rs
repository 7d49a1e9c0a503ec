//! The active's side: sends its records before they are durable, counts what the standby acknowledges, couples with a
//! standby that has everything, and goes on alone when the standby is lost.

use super::image::Sending;
use super::message::{Message, RECORDS_BYTES, Session};
use super::planted::Bug;
use super::{Duty, Happened, Order, Pair, PairLane, Paired, Trouble, Unfit};
use crate::outbox::Outbox;
use crate::record::{Epoch, Offset, Position, Record};
use crate::register::{Change, Incarnation, Mode};
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// The office of the active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Active {
    pub(super) epoch: Epoch,
    pub(super) mode: Mode,
    /// Commits wait for the standby already, and coupling is asked for when it has all that is committed.
    pub(super) is_coupling: bool,
}

/// What the standby gets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    session: Session,
    /// The image that the standby gets instead of records.
    image: Option<Sending>,
    /// Where it goes on; while it is not known, what is looked for.
    next: Result<Position, Offset>,
    acked: Option<Offset>,
    /// The same, or where the stream has started.
    confirmed: Offset,
    /// Sent but not acknowledged: the offset after each message, and its bytes.
    under_way: VecDeque<(Offset, usize)>,
    bytes: usize,
    /// The number of the reading that storage has not answered yet.
    reading: Option<u64>,
    /// Up to where the standby was promised to hear what is committed.
    told: Offset,
    /// The last question whether the standby follows.
    asked: u64,
}

impl Active {
    pub(super) const fn new(epoch: Epoch, mode: Mode) -> Self {
        Self { epoch, mode, is_coupling: false }
    }
}

impl Pair {
    /// Does what an active has to do at the end of each step.
    pub(super) fn lead<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        self.observe_storage(now, out);
        let Duty::Active(_) = self.duty else { return };
        for record in out.appended() {
            self.recent_bytes += record.encoded_len();
            self.recent.push_back(record.clone());
        }
        self.send_records(out);
        self.forget_recent(out);
        self.tell_committed(out);
        self.couple(now, out);
        self.uncouple(now, out);
        self.confirm(now, out);
    }

    /// The standby wants records.
    pub(super) fn joined<M: Paired>(
        &mut self,
        who: (Incarnation, u64),
        active: u64,
        join: u64,
        journal: (Position, &[(Epoch, Offset)]),
        out: &mut Outbox<'_, M>,
    ) {
        let (incarnation, standby) = who;
        let (end, epochs) = journal;
        let (Duty::Active(_), Some(known)) = (self.duty, self.known) else { return };
        let session = Session { active, standby, join };
        // An old question, doubled on its way, must not lead to cutting what has been acknowledged since.
        let is_old =
            self.stream.as_ref().is_some_and(|stream| stream.session.standby == standby && stream.session.join >= join);
        if is_old || active != self.run || known.members.at(self.config.seat.peer()) != incarnation {
            return;
        }
        out.withdraw(&M::pair_lane(PairLane::Committed));
        let journal = out.journal();
        let mine = journal.end();
        let Some(mut common) = self.epochs.common(mine.offset, epochs, end.offset) else {
            return self.offer(session, Offset::ZERO, out);
        };
        if self.config.bugs.has(Bug::CutTooMuch) && common < end.offset {
            common = Offset(common.0.saturating_sub(1));
        }
        let image = journal.image();
        let is_released = common < journal.released();
        let is_behind =
            self.config.bugs.has(Bug::InstallBehind) && image.offset > Offset::ZERO && image.offset < common;
        if is_released || is_behind {
            return self.offer(session, common, out);
        }
        let at = match common {
            Offset::ZERO => Some(Position::ORIGIN),
            common if image.offset == common => Some(image),
            common => journal.position(common),
        };
        let mut stream = Stream::new(session, common);
        match at {
            Some(at) => {
                stream.next = Ok(at);
                self.stream = Some(stream);
                self.hint(self.config.seat.peer(), Message::Start { session, at }, out);
            }
            None => {
                // The position after the record before.
                stream.reading = Some(self.want_records(Offset(common.0 - 1), 1, out));
                self.stream = Some(stream);
            }
        }
    }

    /// Storage has read records.
    pub(super) fn read<M: Paired>(&mut self, number: u64, from: Offset, records: Vec<Record>, out: &mut Outbox<'_, M>) {
        if let Some((_, session, at)) = self.checking.take_if(|(wanted, ..)| *wanted == number) {
            return self.checked(session, at, from, &records, out);
        }
        let peer = self.config.seat.peer();
        let Some(stream) = &mut self.stream else { return };
        // Of what was wanted for a stream before this one, or before this node was active, nothing is known any more.
        if stream.reading != Some(number) {
            return;
        }
        stream.reading = None;
        match stream.next {
            Err(common) if from.next() == common => {
                let session = stream.session;
                let Some(record) = records.first().filter(|record| record.id.offset == from) else {
                    return self.offer(session, common, out);
                };
                let at = record.id.after();
                stream.next = Ok(at);
                self.hint(peer, Message::Start { session, at }, out);
            }
            Ok(at) if from == at.offset => {
                if records.first().is_none_or(|record| record.id.offset != from) {
                    // The standby asks anew, and gets an image.
                    self.stream = None;
                    if from >= out.journal().released() {
                        self.happened.push(Happened::Trouble(Trouble::Released { needs: from }));
                    }
                    return;
                }
                let message = stream.send(at, records);
                self.hint(peer, message, out);
            }
            // Not what was wanted.
            _ => {}
        }
    }

    /// The standby has records durable.
    pub(super) fn acknowledge<M: Paired>(&mut self, session: Session, position: Position, out: &mut Outbox<'_, M>) {
        let Duty::Active(_) = self.duty else { return };
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.session == session) else { return };
        let Ok(next) = stream.next else { return };
        if position.offset > next.offset {
            return;
        }
        match out.acknowledge(position) {
            Ok(()) => stream.acknowledged(position.offset),
            Err(diverged) => {
                self.stream = None;
                let committed = out.journal().watermarks().committed;
                self.happened.push(Happened::Trouble(Trouble::Diverged { at: diverged.theirs, committed }));
            }
        }
    }

    /// Up to where the standby has acknowledged, if there is one.
    #[must_use]
    pub fn acknowledged(&self) -> Option<Offset> {
        self.stream.as_ref().and_then(|stream| stream.acked)
    }

    /// What has been sent, for the standby to notice when something is lost.
    pub(super) fn sent(&self) -> Option<(Session, Offset)> {
        let stream = self.stream.as_ref()?;
        let sent = stream.image.as_ref().map(|sending| sending.at).or(stream.next.ok())?;
        Some((stream.session, sent.offset))
    }

    /// Tells the standby once more what is committed.
    pub(super) fn repeat_committed<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        if let Some(stream) = &mut self.stream {
            stream.told = Offset::ZERO;
        }
        self.tell_committed(out);
    }

    fn send_records<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        let peer = self.config.seat.peer();
        loop {
            let Some(stream) = &mut self.stream else { return };
            let Ok(at) = stream.next else { return };
            let journal = out.journal();
            // The standby takes no more than its storage can be told at a time.
            let most = journal.limits().records as u64 / 2;
            let is_full = stream.bytes >= self.config.window || at.offset.0 - stream.confirmed.0 >= most;
            if stream.reading.is_some() || is_full || at.offset >= journal.end().offset {
                return;
            }
            let first = self.recent.front().map_or(out.journal().end().offset, |record| record.id.offset);
            if at.offset < first {
                let number = self.want_records(at.offset, RECORDS_BYTES, out);
                if let Some(stream) = &mut self.stream {
                    stream.reading = Some(number);
                }
                return;
            }
            let mut bytes = 0;
            let skipped = usize::try_from(at.offset.0 - first.0).unwrap_or(usize::MAX);
            let records: Vec<Record> = self
                .recent
                .iter()
                .skip(skipped)
                .take_while(|record| {
                    let fits = bytes == 0 || bytes + record.encoded_len() <= RECORDS_BYTES;
                    bytes += record.encoded_len();
                    fits
                })
                .cloned()
                .collect();
            let message = stream.send(at, records);
            self.hint(peer, message, out);
        }
    }

    pub(super) fn forget_all_recent(&mut self) {
        self.recent.clear();
        self.recent_bytes = 0;
    }

    /// Keeps of the records of this node what storage cannot read yet, and what the standby gets next; the latter only
    /// while it follows closely.
    fn forget_recent<M: Paired>(&mut self, out: &Outbox<'_, M>) {
        let durable = out.journal().watermarks().durable;
        let next = self.stream.as_ref().and_then(|stream| stream.next.ok()).map(|at| at.offset);
        while let Some(front) = self.recent.front() {
            let offset = front.id.offset;
            let is_wanted = next.is_some_and(|next| next <= offset) && self.recent_bytes <= self.config.window;
            if offset >= durable || is_wanted {
                return;
            }
            self.recent_bytes -= front.encoded_len();
            self.recent.pop_front();
        }
    }

    fn tell_committed<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        let end = out.journal().end().offset;
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.next.is_ok() && stream.told < end) else {
            return;
        };
        stream.told = end;
        let message = Message::Committed { session: stream.session, before: end };
        let envelope = self.envelope(message);
        let promise = M::pair_promise(self.config.seat.peer(), envelope);
        // What finds no room is told with the next record.
        let _ = out.promise(out.committed(), M::pair_lane(PairLane::Committed), promise);
    }

    /// Asks the standby whether it still follows, when somebody waits for that.
    fn confirm<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        // A standby that has acknowledged nothing yet does not follow yet.
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.acked.is_some()) else { return };
        let Some(number) = out.ask_confirmation().filter(|number| *number > stream.asked) else { return };
        stream.asked = number;
        let session = stream.session;
        if self.asked.is_none_or(|(before, _)| before != number) {
            self.asked = Some((number, now));
        }
        if self.config.bugs.has(Bug::ShowUnconfirmed) {
            return out.confirm(number);
        }
        self.hint(self.config.seat.peer(), Message::Confirm { session, number }, out);
    }

    /// The question, or the answer, may be lost. And with each heartbeat it is asked anyway: a standby that lives but is not heard
    /// by, must not be waited for by who looks next.
    pub(super) fn confirm_once_more<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        if let Some(stream) = &mut self.stream {
            stream.asked = 0;
        }
        if self.is_active() {
            out.want_confirmation();
        }
    }

    /// The standby follows.
    pub(super) fn confirmed<M: Paired>(&mut self, session: Session, number: u64, out: &mut Outbox<'_, M>) {
        let is_present = self.stream.as_ref().is_some_and(|stream| stream.session == session);
        if is_present && self.is_active() {
            self.followed = self.asked.filter(|(asked, _)| *asked == number).map(|(_, at)| at).max(self.followed);
            out.confirm(number);
        }
    }

    /// Couples with a standby that has nearly everything: first lets commits wait for it, and when it has all that is
    /// committed, asks. For from the moment of asking it may take over.
    fn couple<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        let Duty::Active(active) = self.duty else { return };
        if active.mode != Mode::Alone {
            return;
        }
        if self.order.is_some() {
            return self.stop_coupling(active, out);
        }
        let Some(acked) = self.acknowledged().filter(|_| !self.is_peer_lost(now)) else {
            return self.stop_coupling(active, out);
        };
        let does_wait = !self.config.bugs.has(Bug::CommitUnacknowledged);
        let is_asking = self.is_asking();
        let end = out.journal().end().offset;
        if is_asking || (!active.is_coupling && end.0 - acked.0 > self.config.couple_lag) {
            return;
        }
        if !active.is_coupling {
            self.duty = Duty::Active(Active { is_coupling: true, ..active });
            if does_wait {
                out.couple(acked);
            }
        }
        if acked >= out.journal().watermarks().committed || !does_wait {
            self.ask(now, Change::Couple, out);
        }
    }

    /// The standby is lost before anybody has accepted that it is coupled.
    fn stop_coupling<M: Paired>(&mut self, active: Active, out: &mut Outbox<'_, M>) {
        if !active.is_coupling || self.proposer.is_unresolved() {
            return;
        }
        self.proposer.give_up();
        self.duty = Duty::Active(Active { is_coupling: false, ..active });
        if !self.config.bugs.has(Bug::CommitUnacknowledged) {
            out.decouple();
        }
    }

    /// Goes on alone when the standby is lost.
    fn uncouple<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        let Duty::Active(active) = self.duty else { return };
        let is_asking = self.is_asking();
        if active.mode != Mode::Coupled || is_asking || !self.is_standby_lost(now, out) {
            return;
        }
        self.stream = None;
        if self.switch_over_by.is_some() {
            self.end_switch_over();
            self.happened.push(Happened::Refused(Order::SwitchOver, Unfit::NotCoupled));
        }
        self.ask(now, Change::Uncouple, out);
    }

    /// No sign of life of the standby, or it has acknowledged nothing, or answered no question, for as long.
    fn is_standby_lost<M: Paired>(&mut self, now: Instant, out: &Outbox<'_, M>) -> bool {
        let marks = out.journal().watermarks();
        let is_waiting = marks.committed < marks.durable || out.journal().is_unanswered();
        let seen = (marks.committed, marks.confirmed);
        self.waiting = match self.waiting {
            _ if !is_waiting => None,
            Some((before, since)) if before == seen => Some((before, since)),
            _ => Some((seen, now)),
        };
        let is_stuck = self.waiting.is_some_and(|(_, since)| now > since + self.config.timing.silence);
        self.is_peer_lost(now) || is_stuck
    }

    /// The journal role that fits this mode from now on: what the standby has acknowledged.
    pub(super) fn acked_for<M: Paired>(&self, mode: Mode, out: &Outbox<'_, M>) -> Option<Offset> {
        let marks = out.journal().watermarks();
        let is_coupled = mode == Mode::Coupled && !self.config.bugs.has(Bug::CommitUnacknowledged);
        // Whoever may take over has all that is committed.
        is_coupled.then(|| marks.acked.unwrap_or(marks.committed))
    }
}

impl Stream {
    fn new(session: Session, common: Offset) -> Self {
        Self {
            session,
            image: None,
            next: Err(common),
            acked: None,
            confirmed: common,
            under_way: VecDeque::new(),
            bytes: 0,
            reading: None,
            told: Offset::ZERO,
            asked: 0,
        }
    }

    /// A standby that gets an image first.
    pub(super) fn of_image(session: Session, at: Position) -> Self {
        Self { image: Some(Sending::new(at)), ..Self::new(session, at.offset) }
    }

    pub(super) fn session(&self) -> Session {
        self.session
    }

    /// The image that is sent, if it is in this stream.
    pub(super) fn image_of(&mut self, session: Session) -> Option<&mut Sending> {
        self.image.as_mut().filter(|_| self.session == session)
    }

    /// The image that is sent.
    pub(super) fn image(&self) -> Option<Position> {
        self.image.as_ref().map(|sending| sending.at)
    }

    /// The first record or image that the standby may yet need: when it joins again, the record before the next tells where
    /// that begins.
    pub(super) fn needs(&self) -> Offset {
        Offset(self.confirmed.0.saturating_sub(1))
    }

    /// Which process of the standby gets it.
    pub(super) const fn standby(&self) -> u64 {
        self.session.standby
    }

    /// Whether storage has yet to answer.
    #[cfg(feature = "planted")]
    pub(super) const fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    fn send(&mut self, at: Position, records: Vec<Record>) -> Message {
        let bytes = records.iter().map(Record::encoded_len).sum();
        let end = records.last().map_or(at, |record| record.id.after());
        self.next = Ok(end);
        self.bytes += bytes;
        self.under_way.push_back((end.offset, bytes));
        Message::Records { session: self.session, at, records }
    }

    fn acknowledged(&mut self, before: Offset) {
        self.acked = self.acked.max(Some(before));
        self.confirmed = self.confirmed.max(before);
        while let Some((_, bytes)) = self.under_way.pop_front_if(|(end, _)| *end <= before) {
            self.bytes -= bytes;
        }
    }
}
