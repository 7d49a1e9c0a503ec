//! The cluster watch: the third voter, and a second pair of eyes.
//!
//! It keeps no journal, only its vote. It answers questions about the epoch record, and lets nobody take over from an active
//! of which it has signs of life itself. A watch that lost its memory is a new one: it votes when both nodes have agreed
//! that it sits there.

use crate::machine::{Input, Machine};
use crate::outbox::Outbox;
use crate::pair::contact::{Contact, Heard};
use crate::pair::message::{Envelope, Message};
use crate::pair::planted::{Bug, Bugs};
use crate::pair::timing::Timing;
use crate::pair::{NotUnderstood, PairHint, PairInput, PairLane, Trouble, VOTE_CELL, decode_vote, encode_vote};
use crate::random::Random;
use crate::register::{Answer, EpochRecord, Incarnation, Question, Refusal, Seat, Vote, Voter};
use crate::time::{Instant, Now};

/// The watch's part in a cluster. Hosted as [`WatchMachine`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Watch {
    timing: Timing,
    bugs: Bugs,
    run: u64,
    voter: Voter,
    contacts: [Contact; 2],
    next_beat: Instant,
    /// Who it is, is durable, and may be told.
    is_named: bool,
}

impl Watch {
    /// A watch before its start.
    ///
    /// # Errors
    /// When the cell is not understood.
    pub fn new(timing: Timing, bugs: Bugs, vote: Option<&[u8]>) -> Result<Self, NotUnderstood> {
        let voter = match vote {
            None => Voter::new(Seat::Watch, Incarnation(0), Vote::IGNORANT),
            Some(bytes) => decode_vote(Seat::Watch, bytes).ok_or(NotUnderstood(VOTE_CELL))?,
        };
        let contacts = [const { Contact::new() }; 2];
        Ok(Self { timing, bugs, run: 0, voter, contacts, next_beat: Instant::ZERO, is_named: false })
    }

    /// What it votes.
    #[must_use]
    pub fn voter(&self) -> &Voter {
        &self.voter
    }

    /// The newest record that it knows to be decided.
    #[must_use]
    pub fn known(&self) -> Option<EpochRecord> {
        self.voter.decided().map(|decided| decided.record)
    }

    /// Whether a link to that node is up.
    #[must_use]
    pub fn is_linked(&self, seat: Seat) -> bool {
        self.contacts.get(seat as usize).is_some_and(Contact::is_up)
    }

    fn start(&mut self, now: Now, seed: u64, out: &mut Outbox<'_, WatchMachine>) {
        let random = Random::new(seed).child("watch");
        self.run = random.child("run").next();
        self.is_named = self.voter.incarnation() != Incarnation(0);
        if !self.is_named {
            let incarnation = Incarnation(random.child("incarnation").next() | 1);
            self.voter = Voter::new(Seat::Watch, incarnation, self.voter.vote());
            self.put_vote(out);
        }
        for contact in &mut self.contacts {
            contact.start(now.instant);
        }
        self.next_beat = now.instant;
    }

    fn take(&mut self, now: Instant, input: PairInput, out: &mut Outbox<'_, WatchMachine>) {
        match input {
            PairInput::Up(seat) => {
                if let Some(contact) = self.contacts.get_mut(seat as usize) {
                    contact.up();
                    self.greet(seat, out);
                }
            }
            PairInput::Down { seat, refused } => {
                if let Some(contact) = self.contacts.get_mut(seat as usize) {
                    contact.down(refused);
                }
            }
            PairInput::Received(envelope) => self.received(now, envelope, out),
            PairInput::Read { .. } | PairInput::ImageRead { .. } | PairInput::RolledBack | PairInput::Ordered(_) => {}
        }
    }

    fn received(&mut self, now: Instant, envelope: Envelope, out: &mut Outbox<'_, WatchMachine>) {
        let Some(contact) = self.contacts.get_mut(envelope.from as usize) else { return };
        if self.voter.founding().contradicts(envelope.founding) {
            if contact.is_strange(envelope.run) {
                out.hint(PairHint::Trouble(Trouble::OtherCluster(envelope.from)));
            }
            return;
        }
        let member = self.voter.vote().accepted.map(|accepted| accepted.record.members.at(envelope.from));
        let heard = contact.heard(now, &envelope, member, self.timing.watch_silence);
        if contact.is_doubled() {
            out.hint(PairHint::Trouble(Trouble::Doubled(envelope.from)));
        }
        if heard == Heard::NotNow {
            return;
        }
        match envelope.message {
            Message::Beat { decided, .. } => {
                if let Some(decided) = decided
                    && out.has_room_to_put()
                    && self.voter.learn(decided)
                {
                    self.put_vote(out);
                }
            }
            Message::Question(question) => self.vote(now, &envelope, question, out),
            _ => {}
        }
    }

    fn vote(&mut self, now: Instant, envelope: &Envelope, question: Question, out: &mut Outbox<'_, WatchMachine>) {
        let ballot = question.ballot();
        if ballot.seat != envelope.from || !out.has_room_to_put() {
            return;
        }
        let answer = match question {
            Question::Prepare { take_over: Some(refused), .. } if self.is_alive(now, envelope.from.peer(), refused) => {
                Answer::Refused(Refusal::ActiveIsAlive)
            }
            Question::Prepare { ballot, .. } => self.voter.prepare(ballot, envelope.incarnation),
            Question::Accept { ballot, record, founding: false } => self.voter.accept(ballot, record),
            Question::Accept { ballot, record, founding: true } => self.voter.found(ballot, record),
        };
        if !matches!(answer, Answer::Refused(_)) && !self.forgets() {
            self.put_vote(out);
        }
        let to = envelope.from;
        let answer = Outgoing { to, envelope: self.envelope(Message::Answer { ballot, answer }) };
        // What finds no room is asked again.
        let _ = out.promise(out.all_put(), PairLane::Vote(to), answer);
    }

    /// A planted fault: it keeps in memory only what it votes after the first record.
    fn forgets(&self) -> bool {
        let is_late = self.voter.vote().accepted.is_some_and(|accepted| accepted.ballot.round > 1);
        self.bugs.has(Bug::ForgetVote) && is_late
    }

    /// Whether there are signs of life of a node. Without a link to it, the word of who asks is enough.
    fn is_alive(&self, now: Instant, seat: Seat, refused: bool) -> bool {
        let Some(contact) = self.contacts.get(seat as usize) else { return false };
        let is_gone = refused && !contact.is_up();
        !is_gone && !contact.is_lost(now, self.timing.watch_silence)
    }

    fn greet(&self, to: Seat, out: &mut Outbox<'_, WatchMachine>) {
        if self.is_named && self.is_linked(to) {
            let ignorant = self.voter.is_ignorant();
            let message = Message::Beat { ignorant, decided: self.voter.decided(), sent: None };
            out.hint(PairHint::Send(to, self.envelope(message)));
        }
    }

    fn envelope(&self, message: Message) -> Envelope {
        let (incarnation, founding) = (self.voter.incarnation(), self.voter.founding());
        Envelope { from: Seat::Watch, incarnation, run: self.run, founding, message }
    }

    fn put_vote(&self, out: &mut Outbox<'_, WatchMachine>) {
        crate::pair::put(out, VOTE_CELL, encode_vote(&self.voter));
    }
}

/// A watch that stands alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatchMachine(pub Watch);

/// What leaves when it is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing {
    /// To whom.
    pub to: Seat,
    /// What.
    pub envelope: Envelope,
}

impl crate::gate::Promise for Outgoing {}

impl Machine for WatchMachine {
    type Input = PairInput;
    type Lane = PairLane;
    type Hint = PairHint;
    type Promise = Outgoing;

    fn step(&mut self, now: Now, input: Input<PairInput>, out: &mut Outbox<'_, Self>) {
        let Self(watch) = self;
        match input {
            Input::Start { seed } => watch.start(now, seed, out),
            Input::Due => {
                watch.next_beat = now.instant + watch.timing.heartbeat;
                for seat in Seat::Watch.others() {
                    watch.greet(seat, out);
                }
            }
            Input::Stored(_) if watch.is_named => {}
            Input::Stored(stored) => {
                watch.is_named = stored.puts > 0;
                for seat in Seat::Watch.others() {
                    watch.greet(seat, out);
                }
            }
            Input::Arrived(input) => watch.take(now.instant, input, out),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.0.next_beat)
    }

    fn check(&self) {}
}
