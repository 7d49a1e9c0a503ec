//! The epoch record: voting on it, asking for its change, and obeying what is decided.

use super::follow::Standby;
use super::lead::{Active, Stream};
use super::message::Message;
use super::planted::Bug;
use super::{Duty, Happened, Order, Pair, PairHint, PairLane, Paired, Reason, Trouble, Unfit};
use crate::outbox::Outbox;
use crate::record::{Epoch, Offset};
use crate::register::{
    Accepted, Answer, Asked, Ballot, Change, Claim, EpochRecord, FoundingId, Incarnation, Members, Mode, Question,
    Refusal, Seat,
};
use crate::time::{Duration, Instant};

/// By how many doublings the wait for answers grows.
const MOST_PATIENCE: u32 = 3;

/// For so many heartbeats nobody but the stranger speaks from a seat, before it is taken in.
const PROBATION: u32 = 2;

/// So many times of silence are between two questions of a standby that may not take over, whether it may by now.
const LOOK_AGAIN: u32 = 4;

/// Why a node became active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mandate {
    /// It founded the cluster.
    Founded,
    /// It was active before its start.
    Restarted,
    /// The other node was lost.
    TookOver,
    /// The other node handed over.
    SwitchedOver,
    /// A person let it take over from a node that had been stopped.
    Appointed,
    /// A person made it active although both other voters were lost.
    Forced,
}

impl Mandate {
    /// Why this record makes its active node active: who asked knows. When another question, or another node, has resolved
    /// what was asked, the record and the one `before` tell.
    fn of(record: EpochRecord, before: Option<EpochRecord>, wanted: Option<Change>) -> Self {
        match wanted {
            Some(Change::Found { .. }) => Self::Founded,
            Some(Change::Appoint { .. }) => Self::Appointed,
            Some(Change::Force { .. }) => Self::Forced,
            Some(Change::TakeOver { .. } | Change::Resolve) | None => match before {
                Some(before) if before.active == record.active => Self::Restarted,
                // Nothing else makes another node active and leaves it coupled.
                _ if record.mode == Mode::Coupled => Self::SwitchedOver,
                Some(before) if before.mode == Mode::Stopped => Self::Appointed,
                _ => Self::TookOver,
            },
            Some(_) => Self::Restarted,
        }
    }
}

impl Pair {
    /// Another node asks for a vote.
    pub(super) fn vote<M: Paired>(
        &mut self,
        now: Instant,
        from: Seat,
        incarnation: Incarnation,
        question: Question,
        out: &mut Outbox<'_, M>,
    ) {
        let ballot = question.ballot();
        // Only who proposes asks; and when storage does not follow, silence is an answer.
        if ballot.seat != from || !out.has_room_to_put() {
            return;
        }
        let answer = match question {
            // Who is active and can say so is not to be replaced.
            Question::Prepare { take_over: Some(_), .. } if self.is_active() && !self.is_storage_stalled(now) => {
                Answer::Refused(Refusal::ActiveIsAlive)
            }
            Question::Prepare { ballot, .. } => self.voter.prepare(ballot, incarnation),
            Question::Accept { ballot, record, founding: false } => self.voter.accept(ballot, record),
            Question::Accept { ballot, record, founding: true } => self.voter.found(ballot, record),
        };
        let was_mute = self.known.is_none() && !self.is_resolved;
        if !matches!(answer, Answer::Refused(_)) {
            self.put_vote(out);
        }
        if was_mute && matches!(self.duty, Duty::Mute) && !self.voter.is_ignorant() {
            self.become_unsure(out);
            self.deadlines.set(Reason::Round, now + self.config.timing.exchange);
        }
        self.promise_vote(from, Message::Answer { ballot, answer }, out);
    }

    /// A voter has answered.
    pub(super) fn answered<M: Paired>(
        &mut self,
        now: Instant,
        from: Seat,
        incarnation: Incarnation,
        ballot: Ballot,
        answer: Answer,
        out: &mut Outbox<'_, M>,
    ) {
        if !out.has_room_to_put() {
            return;
        }
        let wanted = self.proposer.wanted();
        let ballot = match self.proposer.open_question() {
            Some(question) if self.config.bugs.has(Bug::TakeOldAnswer) => question.ballot(),
            _ => ballot,
        };
        match self.proposer.answered(&mut self.voter, from, incarnation, ballot, answer) {
            Asked::Waiting => {}
            Asked::Ask(question) => {
                self.put_vote(out);
                self.set_round(now);
                self.ask_others(question, out);
            }
            Asked::Decided(decided) => {
                self.deadlines.cancel(&Reason::Round);
                self.attempts = 0;
                self.proposer.learn(decided);
                self.voter.learn(decided);
                self.decided(now, decided, wanted.map(|claim| claim.change), out);
                for seat in self.config.seat.others() {
                    self.greet(now, seat, out);
                }
            }
            Asked::Refused(seat, refusal) => self.refused(now, seat, refusal, wanted, out),
        }
    }

    /// A voter has refused: asks anew after a while, unless the question has no sense any more.
    fn refused<M: Paired>(
        &mut self,
        now: Instant,
        _seat: Seat,
        refusal: Refusal,
        wanted: Option<Claim>,
        out: &mut Outbox<'_, M>,
    ) {
        let is_free = !self.proposer.is_unresolved();
        let is_hopeless = matches!(
            (refusal, wanted.map(|claim| claim.change)),
            (Refusal::ActiveIsAlive, Some(Change::TakeOver { .. }))
        );
        if is_free && is_hopeless {
            // Goes on following; looks again later.
            self.proposer.give_up();
            self.deadlines.cancel(&Reason::Round);
            // Who is dead here, is dead there too in a moment.
            let exchange = self.config.timing.exchange;
            let again = if self.peer().is_refused() { exchange / 8 } else { exchange };
            self.deadlines.set(Reason::Peer, now + again);
            return self.stand_by(out);
        }
        let pause = self.pause();
        self.deadlines.set(Reason::Round, now + pause);
    }

    /// A part of the time of an exchange, so that two who ask do not meet again and again.
    fn pause(&mut self) -> Duration {
        let most = self.config.timing.exchange.as_nanos() as u64 / 2;
        if most == 0 {
            return Duration::ZERO;
        }
        Duration::from_nanos(most / 4 + self.random.below(most))
    }

    /// Makes a proposal.
    pub(super) fn ask<M: Paired>(&mut self, now: Instant, change: Change, out: &mut Outbox<'_, M>) {
        let expected = match change {
            Change::Found { .. } => out.journal().epoch().next(),
            _ => self.known.map_or_else(Default::default, |known| known.epoch),
        };
        self.set_round(now);
        if !out.has_room_to_put() {
            return;
        }
        let claim = self.claim(change, expected, out);
        match self.proposer.begin(&mut self.voter, claim) {
            Ok(question) => {
                self.put_vote(out);
                self.ask_others(question, out);
            }
            Err(_) => {
                self.deadlines.cancel(&Reason::Round);
            }
        }
    }

    fn claim<M: Paired>(&self, change: Change, expected: Epoch, out: &Outbox<'_, M>) -> Claim {
        Claim { change, expected, process: self.run, end: out.journal().end(), seen: out.journal().epoch() }
    }

    /// How long answers may take: longer from time to time, since a slow disk must not lead to questions for ever.
    fn set_round(&mut self, now: Instant) {
        let patience = self.config.timing.exchange * (1 << self.attempts.min(MOST_PATIENCE));
        self.deadlines.set(Reason::Round, now + patience);
    }

    /// What is decided? This node does not know, after a start or after a question without an answer.
    pub(super) fn resolve<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        let keeps = self.is_resolved || self.config.bugs.has(Bug::KeepEpoch);
        self.ask(now, if keeps { Change::Resolve } else { Change::Activate }, out);
    }

    /// No answer in time: asks anew, with a new proposal.
    pub(super) fn ask_anew<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        self.attempts = self.attempts.saturating_add(1);
        match self.proposer.wanted().map(|claim| claim.change) {
            // Decided otherwise meanwhile.
            Some(_) if !matches!(self.duty, Duty::Unsure) && self.is_for_unsure() => self.resolve(now, out),
            Some(Change::TakeOver { .. }) if !self.proposer.is_unresolved() => {
                // Perhaps the active is back, or its host says more by now.
                self.proposer.give_up();
                self.stand_by(out);
                self.look_at_peer(now, out);
            }
            // It may be decided, so it must be resolved, even if the active is back and would refuse to be replaced.
            Some(Change::TakeOver { .. }) => self.resolve(now, out),
            // Another node has resolved the founding.
            Some(Change::Found { .. }) if self.voter.decided().is_some() => self.resolve(now, out),
            Some(change) => self.ask(now, change, out),
            None if matches!(self.duty, Duty::Unsure) || self.proposer.is_unresolved() => self.resolve(now, out),
            None => {}
        }
    }

    /// Whether what is asked for makes sense only for a node that does not know what it is.
    fn is_for_unsure(&self) -> bool {
        let change = self.proposer.wanted_change();
        matches!(
            change,
            Some(Change::TakeOver { .. } | Change::Activate | Change::Appoint { .. } | Change::Found { .. })
        )
    }

    fn ask_others<M: Paired>(&mut self, question: Question, out: &mut Outbox<'_, M>) {
        for seat in self.config.seat.others() {
            self.promise_vote(seat, Message::Question(question), out);
        }
    }

    /// There is a link that was not there, perhaps, when the question left.
    pub(super) fn ask_once_more<M: Paired>(&mut self, seat: Seat, out: &mut Outbox<'_, M>) {
        if let Some(question) = self.proposer.open_question() {
            self.promise_vote(seat, Message::Question(question), out);
        }
    }

    /// Lets out what depends on the vote, when that is durable.
    fn promise_vote<M: Paired>(&mut self, to: Seat, message: Message, out: &mut Outbox<'_, M>) {
        if self.config.bugs.has(Bug::ForgetVote) {
            return self.hint(to, message, out);
        }
        let envelope = self.envelope(message);
        // What finds no room is asked again.
        let _ = out.promise(out.all_put(), M::pair_lane(PairLane::Vote(to)), M::pair_promise(to, envelope));
    }

    /// Another voter says what is decided.
    pub(super) fn learn<M: Paired>(&mut self, now: Instant, decided: Accepted, out: &mut Outbox<'_, M>) {
        // When storage does not follow, it is heard again with the next heartbeat.
        if !out.has_room_to_put() {
            return;
        }
        let was_ignorant = self.voter.is_ignorant();
        if self.voter.learn(decided) {
            self.put_vote(out);
        }
        self.proposer.learn(decided);
        // Who has been away may say what was decided before this node was taken in.
        let own = self.voter.vote().accepted;
        let is_later = own.is_some_and(|own| own.record.epoch < decided.record.epoch);
        let is_newest = is_later && self.voter.decided() == Some(decided);
        if is_newest && !self.voter.is_ignorant() && !self.is_member(decided) {
            return self.exclude(out);
        }
        if was_ignorant && !self.voter.is_ignorant() {
            self.become_unsure(out);
        }
        // What was decided before the start may have been used up before the start: only a question of this process tells.
        if !self.is_resolved && !self.voter.is_ignorant() && self.proposer.wanted().is_none() {
            return self.resolve(now, out);
        }
        if self.is_resolved && self.known.is_none_or(|known| known.epoch < decided.record.epoch) {
            self.decided(now, decided, None, out);
        }
    }

    /// Obeys a decision. `wanted` is what this node has asked for, unless somebody else told it.
    fn decided<M: Paired>(&mut self, now: Instant, decided: Accepted, wanted: Option<Change>, out: &mut Outbox<'_, M>) {
        let record = decided.record;
        // An epoch of a process before this one is not to be used again: what that one has sent is not known here.
        let keeps = self.config.bugs.has(Bug::KeepEpoch);
        let is_mine = record.process == self.run || keeps;
        // Only what a peer says that errs.
        let is_used = record.epoch <= out.journal().epoch() && !keeps;
        let before = self.known;
        let is_new = before.is_none_or(|known| known.epoch < record.epoch);
        if self.known.is_some_and(|known| known.epoch > record.epoch) {
            return;
        }
        self.is_resolved = true;
        self.known = Some(record);
        if !self.is_member(decided) {
            return self.exclude(out);
        }
        if let Some(Change::Appoint { accept_loss }) = wanted
            && record.active != self.config.seat
        {
            let order = if accept_loss { Order::AcceptLoss } else { Order::Appoint };
            let unfit = if record.mode == Mode::Stopped { Unfit::Behind } else { Unfit::NotStopped };
            self.happened.push(Happened::Refused(order, unfit));
        }
        if record.active != self.config.seat {
            self.depose(record.epoch, out);
            if self.proposer.is_unresolved() {
                // Whether a take-over of this node is decided is not known, so it must not acknowledge.
                return self.become_unsure(out);
            }
            return self.stand_by(out);
        }
        match (self.duty, record.mode) {
            (Duty::Stopped, _) => {}
            (Duty::Active(_), _) if !is_mine => {
                self.happened.push(Happened::Trouble(Trouble::Doubled(self.config.seat)));
                self.depose(record.epoch, out);
                self.become_unsure(out);
                self.ask(now, Change::Activate, out);
            }
            (Duty::Active(_), Mode::Stopped) => {
                self.duty = Duty::Stopped;
                self.order = None;
                out.follow(record.epoch);
                self.happened.push(Happened::Stopped);
            }
            (Duty::Active(active), mode) => {
                if record.epoch > active.epoch {
                    let acked = self.acked_for(mode, out);
                    self.duty = Duty::Active(Active::new(record.epoch, mode));
                    out.activate(record.epoch, acked);
                    self.note_epoch(record.epoch, out.journal().end().offset, out);
                    self.happened.push(Happened::EpochBegan(record.epoch));
                }
            }
            // Or one that this process has ceased to be active in.
            _ if !is_new || record.mode == Mode::Stopped || !is_mine || is_used => {
                self.become_unsure(out);
                self.ask(now, Change::Activate, out);
            }
            _ => {
                self.activate(record, Mandate::of(record, before, wanted), out);
                // The other node may have asked already for records, when this one was not active yet.
                self.greet(now, self.config.seat.peer(), out);
            }
        }
    }

    fn is_member(&self, decided: Accepted) -> bool {
        decided.record.members.at(self.config.seat) == self.voter.incarnation()
    }

    fn activate<M: Paired>(&mut self, record: EpochRecord, mandate: Mandate, out: &mut Outbox<'_, M>) {
        // What the other node has acknowledged is not known yet, but that it has all that is committed.
        let acked = self.acked_for(record.mode, out);
        self.drop_question();
        self.forget_image(out);
        out.activate(record.epoch, acked);
        self.note_epoch(record.epoch, out.journal().end().offset, out);
        self.duty = Duty::Active(Active::new(record.epoch, record.mode));
        self.forget_all_recent();
        self.happened.push(Happened::Activated(record.epoch, mandate));
    }

    /// What this node wanted has no sense in its new part. What it has accepted, it resolves all the same.
    fn drop_question(&mut self) {
        if !self.proposer.is_unresolved() {
            self.proposer.give_up();
            self.deadlines.cancel(&Reason::Round);
        }
    }

    /// Another node is active.
    fn depose<M: Paired>(&mut self, epoch: Epoch, out: &mut Outbox<'_, M>) {
        self.drop_question();
        out.follow(epoch);
        out.withdraw(&M::pair_lane(PairLane::Committed));
        if self.is_active() {
            self.end_switch_over();
            if let Some(order) = self.order.take() {
                self.happened.push(Happened::Refused(order, Unfit::NotActive));
            }
            self.happened.push(Happened::Deposed);
        }
    }

    /// Neither writes nor acknowledges until it knows what is decided.
    pub(super) fn become_unsure<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        out.withdraw(&M::pair_lane(PairLane::Acknowledged));
        self.duty = Duty::Unsure;
    }

    /// Follows the other node, or is about to.
    fn stand_by<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        assert!(
            !self.is_active() || self.known.is_some_and(|known| known.active != self.config.seat),
            "stands by as active"
        );
        if let Duty::Standby(_) = self.duty {
            return self.join(out);
        }
        self.stream = None;
        self.forget_all_recent();
        self.duty = Duty::Standby(Standby::new());
        self.join(out);
    }

    fn exclude<M: Paired>(&mut self, out: &mut Outbox<'_, M>) {
        if self.is_active() {
            self.end_switch_over();
            self.order = None;
            out.follow(out.journal().epoch());
            self.happened.push(Happened::Deposed);
        }
        if !matches!(self.duty, Duty::Mute) {
            self.become_unsure(out);
            self.duty = Duty::Mute;
            self.forget_image(out);
            self.happened.push(Happened::Trouble(Trouble::Excluded));
        }
    }

    /// Takes over when the active is lost.
    pub(super) fn look_at_peer<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        if !self.is_peer_lost(now) {
            return;
        }
        let Some(known) = self.known else { return };
        let may_take_over = matches!(self.duty, Duty::Standby(_)) && !self.is_rolling_back;
        if may_take_over && known.mode == Mode::Alone && !self.is_asking() && now >= self.look_again {
            // Perhaps it was coupled in its last moment, and this node has not heard of it.
            self.look_again = now + self.config.timing.silence * LOOK_AGAIN;
            self.become_unsure(out);
            return self.resolve(now, out);
        }
        if may_take_over && known.mode == Mode::Coupled && self.proposer.wanted().is_none() {
            // From now on nothing is acknowledged: what the active commits, it has committed by now.
            self.become_unsure(out);
            let host_refuses = self.peer().is_refused();
            self.ask(now, Change::TakeOver { host_refuses }, out);
        }
    }

    /// Founds the cluster, if there is none: the first node, when all three have said that they know of none. Who was
    /// interrupted in it goes on with the same record.
    pub(super) fn found<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        let by_two = self.order == Some(Order::Found);
        let begun = self.voter.vote().accepted;
        if self.config.seat != Seat::First || self.known.is_some() || self.voter.decided().is_some() {
            return;
        }
        let is_interrupted = begun.is_some_and(|begun| begun.ballot.seat == Seat::First);
        if !is_interrupted && begun.is_some() || matches!(self.proposer.wanted_change(), Some(Change::Found { .. })) {
            return;
        }
        if let Some(begun) = begun {
            return self.found_again(now, begun.record.members, out);
        }
        let mut members = Members::default().with(self.config.seat, self.voter.incarnation());
        for seat in self.config.seat.others() {
            match self.contacts[seat as usize].ignorant() {
                Some(incarnation) => members = members.with(seat, incarnation),
                None if by_two && seat != Seat::Watch => {}
                None => return,
            }
        }
        self.is_resolved = true;
        self.begin_founding(now, members, by_two, out);
    }

    /// Goes on with a founding in which this node was interrupted, with the members of then. An empty seat means that a person
    /// has said that two are enough.
    fn found_again<M: Paired>(&mut self, now: Instant, members: Members, out: &mut Outbox<'_, M>) {
        let nobody = Incarnation::default();
        let is_there = |seat: &Seat| {
            let member = members.at(*seat);
            member == nobody || self.contacts[*seat as usize].ignorant() == Some(member)
        };
        if self.config.seat.others().iter().all(is_there) {
            self.begin_founding(now, members, members.at(self.config.seat.peer()) == nobody, out);
        }
    }

    fn begin_founding<M: Paired>(&mut self, now: Instant, members: Members, by_two: bool, out: &mut Outbox<'_, M>) {
        self.become_unsure(out);
        let founding = FoundingId(self.random.child("founding").next() | 1);
        self.ask(now, Change::Found { founding, members, by_two }, out);
    }

    /// Takes a voter in that has lost its memory or was replaced.
    pub(super) fn look_at_members<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        let (Duty::Active(_), Some(known)) = (&self.duty, self.known) else { return };
        if self.is_asking() || self.order.is_some() {
            return;
        }
        for seat in self.config.seat.others() {
            let member = known.members.at(seat);
            // An empty seat is taken at once.
            let probation = if member == Incarnation::default() {
                Duration::ZERO
            } else {
                self.config.timing.heartbeat * PROBATION
            };
            let stranger = self.contacts[seat as usize].stranger(now, member, probation);
            if let Some(by) = stranger {
                return self.ask(now, Change::Replace { seat, by }, out);
            }
        }
    }

    /// A person orders.
    pub(super) fn ordered<M: Paired>(&mut self, now: Instant, order: Order, out: &mut Outbox<'_, M>) {
        let unfit = match order {
            _ if self.is_leaving() && order != Order::Force => Some(Unfit::Busy),
            Order::SwitchOver | Order::Stop if !self.is_active() => Some(Unfit::NotActive),
            Order::Appoint | Order::AcceptLoss | Order::Found if self.is_active() => Some(Unfit::Active),
            _ if self.is_rolling_back => Some(Unfit::Busy),
            Order::Appoint if self.known.is_none_or(|known| known.mode != Mode::Stopped) => Some(Unfit::NotStopped),
            Order::AcceptLoss if !self.is_peer_lost(now) => Some(Unfit::ActiveIsThere),
            Order::Force => self.linked_member().map(Unfit::NotAlone),
            _ => None,
        };
        if let Some(unfit) = unfit {
            return self.happened.push(Happened::Refused(order, unfit));
        }
        match order {
            Order::Stop => self.order = Some(order),
            // The standby may be about to couple.
            Order::SwitchOver => self.switch_over_by = Some(now + self.config.timing.silence),
            Order::Found => {
                self.order = Some(order);
                self.found(now, out);
                self.order = None;
            }
            Order::Appoint | Order::AcceptLoss => {
                self.become_unsure(out);
                self.ask(now, Change::Appoint { accept_loss: order == Order::AcceptLoss }, out);
            }
            Order::Force => self.force(now, out),
        }
    }

    /// Another voter that is there, and is who this node knows.
    fn linked_member(&self) -> Option<Seat> {
        let members = self.voter.vote().accepted?.record.members;
        let is_there = |seat: &Seat| {
            let contact = &self.contacts[*seat as usize];
            contact.is_up() && contact.ignorant().is_none() && contact.incarnation() == Some(members.at(*seat))
        };
        self.config.seat.others().into_iter().find(is_there)
    }

    fn force<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        if !out.has_room_to_put() {
            return self.happened.push(Happened::Refused(Order::Force, Unfit::Busy));
        }
        let Some(accepted) = self.voter.vote().accepted else {
            return self.happened.push(Happened::Refused(Order::Force, Unfit::Vote(Refusal::Ignorant)));
        };
        let mut members = accepted.record.members;
        for seat in self.config.seat.others() {
            if let Some(by) = self.contacts[seat as usize].ignorant() {
                members = members.with(seat, by);
            }
        }
        // What was ordered before waits for voters who are lost.
        self.end_switch_over();
        if let Some(order) = self.order.take() {
            self.happened.push(Happened::Refused(order, Unfit::Busy));
        }
        if !self.is_active() {
            self.become_unsure(out);
        }
        let claim = self.claim(Change::Force { members }, accepted.record.epoch, out);
        match self.proposer.force(&mut self.voter, claim) {
            Ok(decided) => {
                self.put_vote(out);
                self.deadlines.cancel(&Reason::Round);
                self.forced = Some((decided, claim.change, out.journal().watermarks().puts));
                self.obey_force(now, out);
            }
            Err(refusal) => self.happened.push(Happened::Refused(Order::Force, Unfit::Vote(refusal))),
        }
    }

    /// What was forced holds when it is durable here.
    pub(super) fn obey_force<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        let Some((decided, change, puts)) = self.forced else { return };
        if out.journal().watermarks().durable_puts >= puts {
            self.forced = None;
            self.voter.learn(decided);
            self.is_resolved = true;
            self.decided(now, decided, Some(change), out);
        }
    }

    /// Hands over or stops, as soon as all that was written is where it has to be.
    pub(super) fn pursue_order<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        self.pursue_switch_over(now);
        let Some(order @ (Order::SwitchOver | Order::Stop)) = self.order else { return };
        if !self.is_active() || self.is_asking() {
            return;
        }
        let marks = out.journal().watermarks();
        let acked = self.acknowledged();
        if marks.committed == marks.end && (order == Order::Stop || acked == Some(marks.end)) {
            let to = self.stream.as_ref().map(Stream::standby);
            match to {
                Some(to) if order == Order::SwitchOver => self.ask(now, Change::SwitchOver { to }, out),
                _ => self.ask(now, Change::Stop, out),
            }
        }
    }

    /// A switch-over waits a while for the standby, which may be joining or coupling just now. Meanwhile this node goes on.
    fn pursue_switch_over(&mut self, now: Instant) {
        let Some(by) = self.switch_over_by.filter(|_| self.is_active() && !self.is_asking()) else { return };
        let is_coupled = self.known.is_some_and(|known| known.mode == Mode::Coupled) && self.acknowledged().is_some();
        self.order = is_coupled.then_some(Order::SwitchOver);
        if !is_coupled && (now >= by || self.is_peer_lost(now)) {
            self.end_switch_over();
            self.happened.push(Happened::Refused(Order::SwitchOver, Unfit::NotCoupled));
        } else if now < by {
            self.deadlines.set(Reason::SwitchOver, by);
        }
    }

    /// It is done, or not to be done any more.
    pub(super) fn end_switch_over(&mut self) {
        self.switch_over_by = None;
        self.deadlines.cancel(&Reason::SwitchOver);
        self.order.take_if(|order| *order == Order::SwitchOver);
    }

    /// Whether storage has confirmed nothing for long, although it has something to do.
    pub(super) fn is_storage_stalled(&self, now: Instant) -> bool {
        self.storage.is_some_and(|(_, since)| now >= since + self.config.timing.silence)
    }

    /// Keeps in mind since when storage is silent.
    pub(super) fn observe_storage<M: Paired>(&mut self, now: Instant, out: &Outbox<'_, M>) {
        let marks = out.journal().watermarks();
        let is_busy = marks.durable < marks.end || marks.durable_puts < marks.puts;
        let seen = (marks.durable, marks.durable_puts);
        self.storage = match self.storage {
            _ if !is_busy => None,
            Some((before, since)) if before == seen => Some((before, since)),
            _ => Some((seen, now)),
        };
    }

    /// Reads records for the standby. The number of the reading.
    pub(super) fn want_records<M: Paired>(&mut self, from: Offset, bytes: usize, out: &mut Outbox<'_, M>) -> u64 {
        self.reads += 1;
        out.hint(M::pair_hint(PairHint::Read { number: self.reads, from, bytes }));
        self.reads
    }
}
