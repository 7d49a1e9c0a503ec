//! The pair: two nodes keep one journal, a watch helps them to agree who may write it.
//!
//! This is a part of a node's machine: the owner, which keeps the application, hands it what concerns the pair, and asks
//! after each step what has happened ([`Pair::happened`]). `PROTOCOL.md` states the rules and why they hold.
//!
//! - [`claim`](self): proposals about the epoch record, votes, and what follows from a decision.
//! - `lead`: the active sends records, counts acknowledgements, couples, notices that the standby is lost.
//! - `follow`: the standby takes over records, cuts off what was never committed, notices that the active is lost.
//! - `image`: a standby that needs released records gets an image; the active keeps what the standby needs.
//!
//! Everything that is sent here is either harmless when it is wrong or old (a hint), or waits for the journal (a promise):
//! questions and votes until the vote is durable, acknowledgements until the records are, the commit mark until it is true.

#[cfg(feature = "planted")]
mod canonical;
mod cells;
mod claim;
pub(crate) mod contact;
mod epochs;
mod follow;
mod image;
mod lead;
pub mod message;
pub mod planted;
pub mod timing;

pub(crate) use cells::put;
pub use cells::{EPOCHS_CELL, NotUnderstood, VOTE_CELL, decode_vote, encode_vote};
pub use claim::Mandate;
use contact::{Contact, Heard};
pub use epochs::Epochs;
use follow::Standby;
use image::{Fetch, Held};
use lead::{Active, Stream};
use message::{Envelope, ImagePiece, Message, Session};
use planted::Bugs;
use timing::Timing;

use crate::deadline::Deadlines;
use crate::journal::Role;
use crate::machine::Machine;
use crate::outbox::Outbox;
use crate::random::Random;
use crate::record::{Epoch, Offset, Position, Record};
use crate::register::{Accepted, Change, EpochRecord, Incarnation, Proposer, Refusal, Seat, Vote, Voter};
use crate::time::{Instant, Now};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

/// What makes one node of a pair differ from the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PairConfig {
    /// Where it sits: [`Seat::First`] founds the cluster.
    pub seat: Seat,
    /// Its times.
    pub timing: Timing,
    /// How many bytes of records may be under way to the standby.
    pub window: usize,
    /// How many bytes of an image are asked for at a time, at most [`limit::IMAGE_PIECE`](crate::limit::IMAGE_PIECE).
    pub piece: usize,
    /// How many records the standby may lag behind when coupling begins.
    pub couple_lag: u64,
    /// For tests of the tests.
    pub bugs: Bugs,
}

impl PairConfig {
    /// For production.
    #[must_use]
    pub const fn new(seat: Seat) -> Self {
        let (window, piece) = (8 << 20, crate::limit::IMAGE_PIECE);
        Self { seat, timing: Timing::DEFAULT, window, piece, couple_lag: 1_000, bugs: Bugs::NONE }
    }
}

/// What the owner is told by its surroundings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PairInput {
    /// There is a link.
    Up(Seat),
    /// There is no link (any more), or dialling has failed.
    Down {
        /// To whom.
        seat: Seat,
        /// Its host says that there is nobody: the process is dead.
        refused: bool,
    },
    /// A message.
    Received(Envelope),
    /// Records have been read, as [`PairHint::Read`] asked for.
    Read {
        /// Which reading this answers.
        number: u64,
        /// The first that was wanted.
        from: Offset,
        /// As many as there were; none if they have been released.
        records: Vec<Record>,
    },
    /// A piece of an image has been read, as [`PairHint::ReadImage`] asked for.
    ImageRead {
        /// The state of the image.
        at: Position,
        /// The first byte.
        from: u64,
        /// The piece; none if the image is not there any more.
        piece: Option<ImagePiece>,
    },
    /// The application is in the state of the end of the journal, after [`Happened::Cut`] or [`Happened::Installed`].
    RolledBack,
    /// A person or a program orders.
    Ordered(Order),
}

/// What a person can order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The active hands over to the standby.
    SwitchOver,
    /// The active stops, and the standby does not take over.
    Stop,
    /// The standby takes over from an active that was stopped.
    Appoint,
    /// The standby takes over from an active that is lost and was alone. What that has committed alone is lost.
    AcceptLoss,
    /// The first node begins without waiting for the second one.
    Found,
    /// This node becomes active, or goes on alone, although both other voters are lost. New voters that are there in their
    /// places are taken in; for those that come later, it is ordered once more.
    Force,
}

/// What may be done at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PairHint {
    /// Send, if there is a link.
    Send(Seat, Envelope),
    /// Read durable records from storage, up to about this many bytes; answered by [`PairInput::Read`].
    Read {
        /// Which reading it is: only the answer to the last one is of use.
        number: u64,
        /// The first one.
        from: Offset,
        /// About how many bytes.
        bytes: usize,
    },
    /// Read a piece of a durable image; answered by [`PairInput::ImageRead`].
    ReadImage {
        /// The state of the image.
        at: Position,
        /// The first byte.
        from: u64,
        /// How many; fewer only at the end of the image.
        bytes: usize,
    },
    /// Collect the next piece of an image, until [`Effect::Install`](crate::outbox::Effect::Install) takes it. It need not be
    /// durable.
    KeepPiece {
        /// How many bytes are before; with zero, a new image begins, and what was collected before is dropped.
        from: u64,
        /// The piece.
        bytes: Vec<u8>,
    },
    /// Drop what was collected: the image is not needed any more.
    DropPieces,
    /// The watch says what a person has to look at; a node tells its owner, by [`Happened::Trouble`].
    Trouble(Trouble),
}

/// To whom promises of the pair go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PairLane {
    /// Questions and votes.
    Vote(Seat),
    /// Acknowledgements.
    Acknowledged,
    /// The commit mark.
    Committed,
}

/// A machine that is a node of a pair.
pub trait Paired: Machine {
    /// Wraps a hint.
    fn pair_hint(hint: PairHint) -> Self::Hint;
    /// Wraps a promise.
    fn pair_promise(to: Seat, envelope: Envelope) -> Self::Promise;
    /// Wraps a lane.
    fn pair_lane(lane: PairLane) -> Self::Lane;
}

/// What the owner has to know, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Happened {
    /// A record of the active was taken over: to be applied.
    Adopted(Record),
    /// What came after is void, the journal ends here now. The application has to go back, and to say so
    /// ([`PairInput::RolledBack`]); until then nothing is taken over.
    Cut(Position),
    /// The journal begins anew here, with an image of the active. The application has to be built anew from that image, once
    /// storage has it, and to say so ([`PairInput::RolledBack`]); until then nothing is taken over.
    Installed(Position),
    /// This node is active, in this epoch: from now on it may append.
    Activated(Epoch, Mandate),
    /// Still active, in a new epoch.
    EpochBegan(Epoch),
    /// This node is not active any more.
    Deposed,
    /// The stop that was ordered is recorded: nobody takes over.
    Stopped,
    /// What was ordered is not done.
    Refused(Order, Unfit),
    /// Who sits in this seat is not who this node knows, or the journals do not fit: a person has to look.
    Trouble(Trouble),
}

/// Why an order is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unfit {
    /// This node is not active.
    NotActive,
    /// This node is active already.
    Active,
    /// There is no standby that has everything.
    NotCoupled,
    /// Something else was ordered and is not finished.
    Busy,
    /// The active was not stopped.
    NotStopped,
    /// The active, or its process, is there.
    ActiveIsThere,
    /// This node does not have all that was committed before the stop.
    Behind,
    /// Another member is there, and knows of a record, so nothing needs to be forced.
    NotAlone(Seat),
    /// A voter refuses.
    Vote(Refusal),
}

/// What a person has to look at. Told once for each process that gives cause to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// This node has been replaced in the cluster by another one in its seat.
    Excluded,
    /// The journal has records which the active does not have, although they are known to be committed.
    Diverged {
        /// Where the active wants this journal to be cut.
        at: Position,
        /// What is committed here.
        committed: Offset,
    },
    /// In this seat speaks a voter of another cluster, to which nobody listens: a data folder or an address is the wrong one.
    OtherCluster(Seat),
    /// From this seat two processes speak that have one memory: a data folder was copied, and both copies are in use. Only the
    /// one is heard that was there first. Of its own seat a node says so when its copy has become active in its place.
    Doubled(Seat),
    /// The standby needs records that are released, and there is no image that it could have instead.
    Released {
        /// The first it needs.
        needs: Offset,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Reason {
    Beat,
    /// A switch-over has waited long enough for the standby.
    SwitchOver,
    /// Look whether the other node is lost.
    Peer,
    /// Ask anew.
    Round,
    /// Ask for parts of an image anew.
    Fetch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Duty {
    /// It knows of no record, or is not a member, and does nothing.
    Mute,
    /// It does not know whether it or the other node is active, and neither writes nor acknowledges.
    Unsure,
    Standby(Standby),
    Active(Active),
    /// Its stop is recorded.
    Stopped,
}

/// What a node is in its pair, for people to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// It knows of no cluster yet, or has been replaced in it: it does nothing.
    Outside,
    /// It asks who is active.
    Unsure,
    /// It takes over the records of the active.
    Standby {
        /// Whether they come.
        is_following: bool,
    },
    /// It commits.
    Active,
    /// It has stopped on purpose.
    Stopped,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outside => "outside",
            Self::Unsure => "unsure",
            Self::Standby { .. } => "standby",
            Self::Active => "active",
            Self::Stopped => "stopped",
        })
    }
}

/// A node's part in a pair. See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    config: PairConfig,
    run: u64,
    joins: u64,
    random: Random,
    voter: Voter,
    proposer: Proposer,
    epochs: Epochs,
    duty: Duty,
    /// Who this node is, is durable, and may be told.
    is_named: bool,
    /// This process has learned what was decided before it started.
    is_resolved: bool,
    /// The record that this node goes by.
    known: Option<EpochRecord>,
    order: Option<Order>,
    /// A switch-over is to be done; until then it may wait for the standby to be coupled.
    switch_over_by: Option<Instant>,
    /// What a person has forced, until it is durable: with the change, and the number of the put.
    forced: Option<(Accepted, Change, u64)>,
    contacts: [Contact; 3],
    deadlines: Deadlines<Reason>,
    /// Of the active: what the standby gets.
    stream: Option<Stream>,
    /// Of the active: records of this node that are not yet sent, or not yet durable.
    recent: VecDeque<Record>,
    recent_bytes: usize,
    /// What could be released.
    held: Held,
    /// Of the standby: the image that it gets.
    fetch: Option<Fetch>,
    /// Of the standby: where it is to cut, while storage looks what is there, with the number of the reading.
    checking: Option<(u64, Session, Position)>,
    /// How often storage was asked to read.
    reads: u64,
    /// Not before this a standby asks again whether it may take over from an active that was alone.
    look_again: Instant,
    /// How many questions in a row had no answer in time.
    attempts: u32,
    /// Of the standby: in this epoch the other node has said that it is active.
    heard_active: Epoch,
    /// The application has to go back to the end of the journal, and has not said yet that it has.
    is_rolling_back: bool,
    /// While storage has something to do: what it had confirmed, and since when that has not changed.
    storage: Option<((Offset, u64), Instant)>,
    /// While the standby is waited for: what was committed and confirmed, and since when that has not changed.
    waiting: Option<((Offset, u64), Instant)>,
    /// Of the active: the question whether the standby follows that was asked last, and when it was asked first.
    asked: Option<(u64, Instant)>,
    /// Of the active: a moment at which the standby still followed.
    followed: Option<Instant>,
    happened: Vec<Happened>,
}

impl Pair {
    /// A node before its start. The cells are those that storage has; a node without a vote is new.
    ///
    /// # Errors
    /// When a cell is not understood.
    pub fn new(
        config: PairConfig,
        vote: Option<&[u8]>,
        epochs: Option<&[u8]>,
        end: Position,
    ) -> Result<Self, NotUnderstood> {
        let voter = match vote {
            None => Voter::new(config.seat, Incarnation(0), Vote::IGNORANT),
            Some(bytes) => decode_vote(config.seat, bytes).ok_or(NotUnderstood(VOTE_CELL))?,
        };
        let mut epochs = match epochs {
            None => Epochs::default(),
            Some(bytes) => Epochs::decode(bytes).ok_or(NotUnderstood(EPOCHS_CELL))?,
        };
        epochs.cut(end.offset);
        Ok(Self {
            config,
            run: 0,
            joins: 0,
            random: Random::new(0),
            proposer: Proposer::new(&voter),
            voter,
            epochs,
            duty: Duty::Mute,
            is_named: false,
            is_resolved: false,
            known: None,
            order: None,
            switch_over_by: None,
            forced: None,
            contacts: [const { Contact::new() }; 3],
            deadlines: Deadlines::new(),
            stream: None,
            recent: VecDeque::new(),
            recent_bytes: 0,
            held: Held::default(),
            fetch: None,
            checking: None,
            reads: 0,
            look_again: Instant::ZERO,
            attempts: 0,
            heard_active: Epoch::default(),
            is_rolling_back: false,
            storage: None,
            waiting: None,
            asked: None,
            followed: None,
            happened: Vec::new(),
        })
    }

    /// The first step of the node.
    pub fn start<M: Paired>(&mut self, now: Now, seed: u64, out: &mut Outbox<'_, M>) {
        self.random = Random::new(seed).child("pair");
        self.run = self.random.child("run").next();
        self.is_named = self.voter.incarnation() != Incarnation(0);
        if !self.is_named {
            let incarnation = Incarnation(self.random.child("incarnation").next() | 1);
            self.voter = Voter::new(self.config.seat, incarnation, self.voter.vote());
            self.put_vote(out);
        }
        // A journal that was written without a pair has no list of its epochs, but one writer for all of it, who has committed
        // all of it.
        let end = out.journal().end();
        if end.offset > Offset::ZERO && self.epochs.is_empty() {
            self.note_epoch(end.epoch, Offset::ZERO, out);
            if self.voter.is_ignorant() {
                out.told_committed(end.offset);
            }
        }
        for contact in &mut self.contacts {
            contact.start(now.instant);
        }
        if !self.voter.is_ignorant() {
            self.become_unsure(out);
            self.resolve(now.instant, out);
        }
        self.deadlines.set(Reason::Beat, now.instant);
        self.watch_peer(now.instant);
    }

    /// The deadline has come.
    pub fn due<M: Paired>(&mut self, now: Now, out: &mut Outbox<'_, M>) {
        let mut due = Vec::new();
        while let Some(reason) = self.deadlines.take_due(now.instant) {
            due.push(reason);
        }
        for reason in due {
            match reason {
                Reason::Beat => {
                    self.deadlines.set(Reason::Beat, now.instant + self.config.timing.heartbeat);
                    self.beat(now.instant, out);
                }
                Reason::Peer => {
                    self.watch_peer(now.instant);
                    self.look_at_peer(now.instant, out);
                }
                Reason::Round => self.ask_anew(now.instant, out),
                Reason::Fetch => self.ask_for_pieces_again(now.instant, out),
                // It is pursued at the end of the step.
                Reason::SwitchOver => {}
            }
        }
    }

    /// Takes what concerns the pair.
    pub fn take<M: Paired>(&mut self, now: Now, input: PairInput, out: &mut Outbox<'_, M>) {
        let now = now.instant;
        match input {
            PairInput::Up(seat) => {
                self.contacts[seat as usize].up();
                self.greet(now, seat, out);
                self.ask_once_more(seat, out);
            }
            PairInput::Down { seat, refused } => {
                self.contacts[seat as usize].down(refused);
                if seat == self.config.seat.peer() {
                    self.look_at_peer(now, out);
                }
            }
            PairInput::Received(envelope) => self.received(now, envelope, out),
            PairInput::Read { number, from, records } => self.read(number, from, records, out),
            PairInput::ImageRead { at, from, piece } => self.image_read(at, from, piece, out),
            PairInput::RolledBack => self.rolled_back(out),
            PairInput::Ordered(order) => self.ordered(now, order, out),
        }
    }

    /// To be called at the end of each step: sends what the owner has appended, and does what has become possible.
    pub fn settle<M: Paired>(&mut self, now: Now, out: &mut Outbox<'_, M>) {
        if !self.is_named && out.journal().watermarks().durable_puts > 0 {
            self.is_named = true;
            self.beat(now.instant, out);
        }
        self.obey_force(now.instant, out);
        self.lead(now.instant, out);
        self.pursue_order(now.instant, out);
        self.release_records(now.instant, false, out);
    }

    /// What has happened in this step, in order.
    pub fn happened(&mut self) -> Vec<Happened> {
        core::mem::take(&mut self.happened)
    }

    /// When [`Self::due`] is to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Whether the owner may append records now.
    #[must_use]
    pub fn is_writing(&self) -> bool {
        matches!(self.duty, Duty::Active(_)) && self.order.is_none()
    }

    /// Whether this node is the active one, as far as it knows.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.duty, Duty::Active(_))
    }

    /// What this node is.
    #[must_use]
    pub fn part(&self) -> Part {
        match self.duty {
            Duty::Mute => Part::Outside,
            Duty::Unsure => Part::Unsure,
            Duty::Standby(standby) => Part::Standby { is_following: standby.session.is_some() },
            Duty::Active(_) => Part::Active,
            Duty::Stopped => Part::Stopped,
        }
    }

    /// Whether a switch-over or a stop was ordered, and is not finished.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.order.is_some() || self.switch_over_by.is_some()
    }

    /// Whether this node wants the epoch record changed, or does not know whether a change it wanted is decided.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.proposer.wanted().is_some() || self.proposer.is_unresolved() || self.forced.is_some()
    }

    /// The record that this node goes by.
    #[must_use]
    pub fn known(&self) -> Option<EpochRecord> {
        self.known
    }

    /// Whether this node, being active, can be sure that no other one was active within the time of silence: nobody may take over
    /// from it, or who might has said so in answer to a question that was asked since.
    #[must_use]
    pub fn is_sure(&self, now: Instant, role: Role) -> bool {
        match role {
            Role::Alone => true,
            Role::Coupled { .. } => self.followed.is_some_and(|at| now < at + self.config.timing.silence),
            Role::Following { .. } => false,
        }
    }

    /// What this node votes.
    #[must_use]
    pub fn voter(&self) -> &Voter {
        &self.voter
    }

    /// Its seat and times.
    #[must_use]
    pub fn config(&self) -> &PairConfig {
        &self.config
    }

    /// Whether a link to that voter is up.
    #[must_use]
    pub fn is_linked(&self, seat: Seat) -> bool {
        self.contacts[seat as usize].is_up()
    }

    /// The invariants.
    ///
    /// # Panics
    /// When one is broken.
    pub fn check(&self) {
        self.deadlines.check();
        if let (Duty::Active(active), Some(known)) = (&self.duty, self.known) {
            assert_eq!((known.active, known.epoch), (self.config.seat, active.epoch), "active by another record");
        }
        assert!(self.happened.is_empty(), "the owner looks at what has happened in each step");
    }

    fn received<M: Paired>(&mut self, now: Instant, envelope: Envelope, out: &mut Outbox<'_, M>) {
        let from = envelope.from;
        if from == self.config.seat {
            return;
        }
        let contact = &mut self.contacts[from as usize];
        if self.voter.founding().contradicts(envelope.founding) {
            if contact.is_strange(envelope.run) {
                self.happened.push(Happened::Trouble(Trouble::OtherCluster(from)));
            }
            return;
        }
        let member = self.known.map(|known| known.members.at(from));
        let heard = contact.heard(now, &envelope, member, self.config.timing.watch_silence);
        if contact.is_doubled() {
            self.happened.push(Happened::Trouble(Trouble::Doubled(from)));
        }
        match heard {
            Heard::NotNow => return,
            Heard::New if from == self.config.seat.peer() => self.peer_is_new(out),
            Heard::New | Heard::Again => {}
        }
        match envelope.message {
            Message::Question(question) => self.vote(now, from, envelope.incarnation, question, out),
            Message::Answer { ballot, answer } => {
                self.answered(now, from, envelope.incarnation, ballot, answer, out);
            }
            Message::Beat { decided, sent, .. } => {
                let founding = self.voter.founding();
                if let Some(decided) = decided.filter(|decided| !founding.contradicts(decided.record.founding)) {
                    self.learn(now, decided, out);
                }
                self.look_at_members(now, out);
                if from == self.config.seat.peer() {
                    self.heard_of_stream(sent, out);
                    self.join_who_became_active(decided, out);
                }
            }
            Message::Join { active, join, end, epochs } => {
                let who = (envelope.incarnation, envelope.run);
                self.joined(who, active, join, (end, &epochs), out);
            }
            Message::Start { session, at } => self.started(session, at, out),
            Message::Records { session, at, records } => self.adopt(session, at, records, out),
            Message::Committed { session, before } => self.told_committed(session, before, out),
            Message::Acknowledged { session, position } => self.acknowledge(session, position, out),
            Message::Offer { session, at, epochs } => self.offered(now, session, at, epochs, out),
            Message::Fetch { session, at, from, bytes } => self.fetched(session, at, (from, bytes), out),
            Message::Piece { session, at, from, piece } => self.piece_arrived(now, (session, at), from, piece, out),
            Message::Confirm { session, number } => self.say_whether_it_follows(session, number, out),
            Message::Confirmed { session, number } => self.confirmed(session, number, out),
        }
    }

    fn beat<M: Paired>(&mut self, now: Instant, out: &mut Outbox<'_, M>) {
        // A node whose storage hangs is as good as dead: let the others see it so.
        if self.is_storage_stalled(now) {
            return;
        }
        for seat in self.config.seat.others() {
            self.greet(now, seat, out);
        }
        self.found(now, out);
        if matches!(self.duty, Duty::Standby(Standby { session: None })) && !self.is_fetching() {
            self.join(out);
        }
        self.repeat_committed(out);
        self.confirm_once_more(out);
    }

    /// Says that this node lives, and what it knows.
    fn greet<M: Paired>(&mut self, _now: Instant, seat: Seat, out: &mut Outbox<'_, M>) {
        let sent = (seat == self.config.seat.peer()).then(|| self.sent()).flatten();
        let message = Message::Beat { ignorant: self.voter.is_ignorant(), decided: self.voter.decided(), sent };
        self.hint(seat, message, out);
    }

    /// When to look next whether the other node is lost.
    fn watch_peer(&mut self, now: Instant) {
        let timing = self.config.timing;
        let lost_at = self.peer().lost_at(timing.silence);
        // Once it is lost, look again as often as a question takes.
        let again = now + timing.exchange;
        self.deadlines.set(Reason::Peer, if lost_at > now { lost_at } else { again });
    }

    fn peer(&self) -> &Contact {
        &self.contacts[self.config.seat.peer() as usize]
    }

    /// The member that is the other node is silent or dead. Somebody else in its seat is no sign of its life.
    #[must_use]
    pub fn is_peer_lost(&self, now: Instant) -> bool {
        self.peer().is_lost(now, self.config.timing.silence)
    }

    fn hint<M: Paired>(&self, to: Seat, message: Message, out: &mut Outbox<'_, M>) {
        if self.is_named && self.contacts[to as usize].is_up() {
            out.hint(M::pair_hint(PairHint::Send(to, self.envelope(message))));
        }
    }

    fn envelope(&self, message: Message) -> Envelope {
        let (incarnation, founding) = (self.voter.incarnation(), self.voter.founding());
        Envelope { from: self.config.seat, incarnation, run: self.run, founding, message }
    }

    pub(super) fn put_vote<M: Paired>(&self, out: &mut Outbox<'_, M>) {
        put(out, VOTE_CELL, encode_vote(&self.voter));
    }

    fn note_epoch<M: Paired>(&mut self, epoch: Epoch, first: Offset, out: &mut Outbox<'_, M>) {
        if self.epochs.note(epoch, first) {
            put(out, EPOCHS_CELL, self.epochs.encode());
        }
    }
}
