//! The cluster watch: the third voter, and a second pair of eyes.
//!
//! It keeps no journal, only its vote. It answers questions about the epoch record, and lets nobody take over from an active
//! of which it has signs of life itself. A watch that lost its memory is a new one: it votes when both nodes have agreed
//! that it sits there.
//!
//! [`Watch`] is a part of whoever hosts it: it says what is to be sent and what is to be kept, and the host sees to it that
//! a vote leaves when it is durable. [`WatchMachine`] hosts it alone; a controller hosts one for each pair of directors.

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
use alloc::vec::Vec;

/// The watch's part in a cluster. Hosted as [`WatchMachine`], or by another machine.
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
    /// What it votes has changed since that was kept.
    is_changed: bool,
    said: Vec<Said>,
}

/// What a watch wants to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Said {
    /// To be sent, if there is a link. It asserts nothing.
    Hint(Seat, Envelope),
    /// To be sent when the vote that was to be kept is durable.
    Vote(Seat, Envelope),
    /// A person has to look.
    Trouble(Trouble),
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
        let (next_beat, said) = (Instant::ZERO, Vec::new());
        Ok(Self { timing, bugs, run: 0, voter, contacts, next_beat, is_named: false, is_changed: false, said })
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

    /// When [`Self::due`] wants to be called.
    #[must_use]
    pub fn next_beat(&self) -> Instant {
        self.next_beat
    }

    /// What is to be done now, in order; after what is to be kept.
    pub fn said(&mut self) -> Vec<Said> {
        core::mem::take(&mut self.said)
    }

    /// What is to be kept, for [`Self::new`], if it has changed.
    pub fn to_keep(&mut self) -> Option<Vec<u8>> {
        core::mem::take(&mut self.is_changed).then(|| encode_vote(&self.voter))
    }

    /// The first step. `run` tells its processes apart; whoever passes on its memory to a successor gives that the same. A watch
    /// without memory is this `incarnation`.
    pub fn start(&mut self, now: Now, run: u64, incarnation: u64) {
        self.run = run;
        self.is_named = self.voter.incarnation() != Incarnation(0);
        if !self.is_named {
            self.voter = Voter::new(Seat::Watch, Incarnation(incarnation | 1), self.voter.vote());
            self.is_changed = true;
        }
        for contact in &mut self.contacts {
            contact.start(now.instant);
        }
        self.next_beat = now.instant;
    }

    /// What was to be kept at first is durable: it may say who it is.
    pub fn named(&mut self) {
        self.is_named = true;
        self.greet_all();
    }

    /// It is time for a sign of life.
    pub fn due(&mut self, now: Now) {
        self.next_beat = now.instant + self.timing.heartbeat;
        self.greet_all();
    }

    /// Takes what concerns it. Without room to keep a vote it votes later.
    pub fn take(&mut self, now: Instant, input: PairInput, has_room: bool) {
        match input {
            PairInput::Up(seat) => {
                if let Some(contact) = self.contacts.get_mut(seat as usize) {
                    contact.up();
                    self.greet(seat);
                }
            }
            PairInput::Down { seat, refused } => {
                if let Some(contact) = self.contacts.get_mut(seat as usize) {
                    contact.down(refused);
                }
            }
            PairInput::Received(envelope) => self.received(now, envelope, has_room),
            PairInput::Read { .. } | PairInput::ImageRead { .. } | PairInput::RolledBack | PairInput::Ordered(_) => {}
        }
    }

    fn received(&mut self, now: Instant, envelope: Envelope, has_room: bool) {
        let Some(contact) = self.contacts.get_mut(envelope.from as usize) else { return };
        if self.voter.founding().contradicts(envelope.founding) {
            if contact.is_strange(envelope.run) {
                self.said.push(Said::Trouble(Trouble::OtherCluster(envelope.from)));
            }
            return;
        }
        let member = self.voter.vote().accepted.map(|accepted| accepted.record.members.at(envelope.from));
        let heard = contact.heard(now, &envelope, member, self.timing.watch_silence);
        if contact.is_doubled() {
            self.said.push(Said::Trouble(Trouble::Doubled(envelope.from)));
        }
        if heard == Heard::NotNow {
            return;
        }
        match envelope.message {
            Message::Beat { decided, .. } => {
                if let Some(decided) = decided
                    && has_room
                {
                    self.is_changed |= self.voter.learn(decided);
                }
            }
            Message::Question(question) if has_room => self.vote(now, &envelope, question),
            _ => {}
        }
    }

    fn vote(&mut self, now: Instant, envelope: &Envelope, question: Question) {
        let ballot = question.ballot();
        if ballot.seat != envelope.from {
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
        self.is_changed |= !matches!(answer, Answer::Refused(_)) && !self.forgets();
        let answer = self.envelope(Message::Answer { ballot, answer });
        self.said.push(Said::Vote(envelope.from, answer));
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

    fn greet_all(&mut self) {
        for seat in Seat::Watch.others() {
            self.greet(seat);
        }
    }

    fn greet(&mut self, to: Seat) {
        if self.is_named && self.is_linked(to) {
            let ignorant = self.voter.is_ignorant();
            let message = Message::Beat { ignorant, decided: self.voter.decided(), sent: None };
            self.said.push(Said::Hint(to, self.envelope(message)));
        }
    }

    fn envelope(&self, message: Message) -> Envelope {
        let (incarnation, founding) = (self.voter.incarnation(), self.voter.founding());
        Envelope { from: Seat::Watch, incarnation, run: self.run, founding, message }
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
            Input::Start { seed } => {
                let random = Random::new(seed).child("watch");
                watch.start(now, random.child("run").next(), random.child("incarnation").next());
            }
            Input::Due => watch.due(now),
            Input::Stored(stored) if !watch.is_named && stored.puts > 0 => watch.named(),
            Input::Stored(_) => {}
            Input::Arrived(input) => watch.take(now.instant, input, out.has_room_to_put()),
        }
        if let Some(vote) = watch.to_keep() {
            crate::pair::put(out, VOTE_CELL, vote);
        }
        for said in watch.said() {
            match said {
                Said::Hint(to, envelope) => out.hint(PairHint::Send(to, envelope)),
                // What finds no room is asked again.
                Said::Vote(to, envelope) => {
                    let _ = out.promise(out.all_put(), PairLane::Vote(to), Outgoing { to, envelope });
                }
                Said::Trouble(trouble) => out.hint(PairHint::Trouble(trouble)),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.0.next_beat)
    }

    fn check(&self) {}
}
