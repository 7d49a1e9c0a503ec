//! A peer with a valid certificate and broken software: whatever it says, a voter neither panics nor grows without bound.
//!
//! The bytes are a script. The first one says who is told: the active, the standby, a node that knows of nothing, one that goes
//! alone, or the watch. Then come words of the others, made up of numbers that mean something to whoever is told, mixed with
//! syncs, deadlines, links, clients and answers of storage.

use crate::cluster::host::{Host, Left};
use crate::cluster::script::{Cluster, new_host};
use baton_protocol::limit::{IMAGE, Limits};
use baton_protocol::pair::message::{Envelope, ImagePiece, Message, Session};
use baton_protocol::pair::{Order, PairInput};
use baton_protocol::record::{Chain, Epoch, Offset, Position, Record};
use baton_protocol::register::{
    Accepted, Answer, Ballot, EpochRecord, FoundingId, Incarnation, Members, Mode, Question, Refusal, Seat,
};
use baton_protocol::time::{Duration, Instant};
use std::cell::OnceCell;

/// A voter answers each word with no more messages than this; records to catch up with are the most.
const MOST_MESSAGES: usize = 300;

/// See the module.
///
/// # Panics
/// When a voter panics, or does too much.
pub fn pair(data: &[u8]) {
    if let Some(envelope) = Envelope::decode(data) {
        assert_eq!(envelope.encode(), data, "a message has one form");
    }
    let mut script = Script { rest: data, heard: Vec::new(), runs: [7; 3] };
    let (mut host, runs) = stage(script.below(5));
    script.runs = runs;
    // Beyond all that was before.
    let mut now = Instant::ZERO + Duration::from_secs(1_000_000);
    let mut number = 100;
    while !script.rest.is_empty() {
        let left = match script.below(16) {
            0 => host.due(now),
            1 => {
                now = now + Duration::from_millis(u64::from(script.byte()) * 40);
                if host.deadline().is_some_and(|deadline| deadline <= now) { host.due(now) } else { Vec::new() }
            }
            2 | 3 => {
                let count = host.disk().unsynced();
                if count > 0 { host.sync(now, count) } else { Vec::new() }
            }
            4 => {
                number += 1;
                host.add(now, number)
            }
            5 => host.take(now, script.input(&host)),
            _ => {
                let envelope = script.envelope(&host);
                // As it travels, so that nothing is told which cannot be.
                match Envelope::decode(&envelope.encode()) {
                    Some(envelope) => host.take(now, PairInput::Received(envelope)),
                    None => Vec::new(),
                }
            }
        };
        script.hear(&left);
        assert!(left.len() <= MOST_MESSAGES, "{} messages at once", left.len());
        if let Some(node) = host.node() {
            assert!(node.held() <= Limits::DEFAULT.promises, "{} promises are held", node.held());
        }
        host.news();
    }
}

/// The one that is told, as it was in a cluster without faults, and the processes of all.
fn stage(which: u8) -> (Host, [u64; 3]) {
    thread_local! {
        static COUPLED: OnceCell<Cluster> = const { OnceCell::new() };
        static ALONE: OnceCell<Cluster> = const { OnceCell::new() };
    }
    let of = |cluster: &Cluster, seat| {
        let runs = Seat::ALL.map(|seat| run_of(cluster.host(seat)).unwrap_or(7));
        (cluster.host(seat).clone(), runs)
    };
    let coupled = |seat| COUPLED.with(|cell| of(cell.get_or_init(Cluster::coupled), seat));
    match which {
        0 => coupled(Seat::First),
        1 => coupled(Seat::Second),
        2 => coupled(Seat::Watch),
        3 => ALONE.with(|cell| of(cell.get_or_init(alone), Seat::First)),
        _ => {
            let mut host = new_host(Seat::Second);
            let now = Instant::ZERO + Duration::from_secs(999_999);
            host.start(now, 5);
            host.take(now, PairInput::Up(Seat::First));
            let runs = [7, run_of(&host).unwrap_or(7), 7];
            (host, runs)
        }
    }
}

/// As it says in its heartbeats.
fn run_of(host: &Host) -> Option<u64> {
    let mut host = host.clone();
    let mut now = Instant::ZERO + Duration::from_secs(1_000_000);
    if host.disk().is_busy() {
        host.sync(now, host.disk().unsynced());
    }
    now = now + Duration::from_secs(2);
    host.due(now).iter().find_map(|left| match left {
        Left::Message(_, envelope) => Some(envelope.run),
        _ => None,
    })
}

fn alone() -> Cluster {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.kill(Seat::Second);
    cluster.until("it goes on alone", Duration::from_secs(2), |cluster| cluster.is_alone(Seat::First));
    cluster.add(2);
    cluster
}

/// Bytes, read as what is to be said.
struct Script<'d> {
    rest: &'d [u8],
    /// What the one that is told has said last.
    heard: Vec<Envelope>,
    /// The processes of the voters, by their seats.
    runs: [u64; 3],
}

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        byte
    }

    fn below(&mut self, count: u8) -> u8 {
        self.byte() % count
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 0
    }

    /// A number near one that matters, or at the end of all numbers.
    fn number(&mut self, near: u64) -> u64 {
        match self.below(12) {
            0..=4 => near,
            5 | 6 => near.wrapping_add(1),
            7 => near.wrapping_sub(1),
            8 => near.wrapping_add(u64::from(self.byte())),
            9 => u64::from(self.byte()),
            10 => (1 << 62) - 1,
            _ => u64::MAX,
        }
    }

    /// Keeps of what was said the few last words, so that answers can fit.
    fn hear(&mut self, left: &[Left]) {
        for left in left {
            if let Left::Message(_, envelope) = left {
                self.heard.push(envelope.clone());
            }
        }
        let old = self.heard.len().saturating_sub(8);
        self.heard.drain(..old);
    }

    /// Something other than a word.
    fn input(&mut self, host: &Host) -> PairInput {
        let seat = Seat::ALL[usize::from(self.below(3))];
        match self.below(5) {
            0 => PairInput::Up(seat),
            1 => PairInput::Down { seat, refused: self.flag() },
            2 => {
                let records = self.records(host);
                let from = records.first().map_or(Offset(1), |record| record.id.offset);
                PairInput::Read { number: self.number(1), from, records }
            }
            3 => PairInput::ImageRead { at: self.position(host), from: self.number(0), piece: None },
            _ => PairInput::Ordered(match self.below(6) {
                0 => Order::SwitchOver,
                1 => Order::Stop,
                2 => Order::Appoint,
                3 => Order::AcceptLoss,
                4 => Order::Found,
                _ => Order::Force,
            }),
        }
    }

    fn envelope(&mut self, host: &Host) -> Envelope {
        let me = host.seat();
        let from = me.others()[usize::from(self.below(2))];
        let known = record(host);
        let incarnation = match self.below(8) {
            0 => Incarnation(self.number(1)),
            _ => known.map_or(Incarnation(1), |known| known.members.at(from)),
        };
        let run = self.runs[from as usize] ^ u64::from(self.below(16) == 0);
        let founding = match self.below(16) {
            0 => FoundingId(self.number(0)),
            _ => known.map_or(FoundingId::NONE, |known| known.founding),
        };
        Envelope { from, incarnation, run, founding, message: self.message(host, from) }
    }

    fn message(&mut self, host: &Host, from: Seat) -> Message {
        match self.below(12) {
            0 => {
                let (ballot, take_over) =
                    (self.ballot(host, from), [None, Some(false), Some(true)][usize::from(self.below(3))]);
                Message::Question(Question::Prepare { ballot, take_over })
            }
            1 => {
                let (ballot, record, founding) = (self.ballot(host, from), self.record(host), self.flag());
                Message::Question(Question::Accept { ballot, record, founding })
            }
            2 | 3 => Message::Answer { ballot: self.asked(host), answer: self.answer(host, from) },
            4 => {
                let decided = self.flag().then(|| self.accepted(host, from));
                let sent = self.flag().then(|| (self.session(host), Offset(self.number(host.disk().end().offset.0))));
                Message::Beat { ignorant: self.below(4) == 0, decided, sent }
            }
            5 => {
                let (active, end) = (self.run(host), self.position(host));
                Message::Join { active, join: self.number(1), end, epochs: self.epochs(host) }
            }
            6 => Message::Start { session: self.session(host), at: self.position(host) },
            7 => {
                let (session, records) = (self.session(host), self.records(host));
                Message::Records { session, at: self.position(host), records }
            }
            8 => Message::Committed { session: self.session(host), before: self.position(host).offset },
            9 => Message::Acknowledged { session: self.session(host), position: self.position(host) },
            10 => Message::Offer { session: self.session(host), at: self.position(host), epochs: self.epochs(host) },
            _ => {
                let (session, at, from) = (self.session(host), self.position(host), self.number(0));
                if self.flag() {
                    return Message::Fetch {
                        session,
                        at,
                        from,
                        bytes: [0, 1, 1 << 20, u32::MAX][usize::from(self.below(4))],
                    };
                }
                let bytes = vec![self.byte(); usize::from(self.byte())];
                let length = self.number(bytes.len() as u64).min(IMAGE);
                Message::Piece { session, at, from, piece: ImagePiece { length, checksum: self.number(0), bytes } }
            }
        }
    }

    fn ballot(&mut self, host: &Host, seat: Seat) -> Ballot {
        let promised = host.voter().map_or(0, |voter| voter.vote().promised.round);
        let seat = if self.below(8) == 0 { Seat::ALL[usize::from(self.below(3))] } else { seat };
        Ballot { round: self.number(promised + 1), seat }
    }

    /// The ballot of the last question.
    fn asked(&mut self, host: &Host) -> Ballot {
        let asked = self.heard.iter().rev().find_map(|envelope| match &envelope.message {
            Message::Question(question) => Some(question.ballot()),
            _ => None,
        });
        match asked {
            Some(ballot) if self.below(8) > 0 => ballot,
            _ => self.ballot(host, host.seat()),
        }
    }

    fn answer(&mut self, host: &Host, from: Seat) -> Answer {
        match self.below(10) {
            0..=3 => Answer::Promised(self.accepted(host, from)),
            4..=6 => Answer::Accepted,
            7 => Answer::Refused(Refusal::Late { promised: self.ballot(host, from) }),
            8 => Answer::Refused(Refusal::ActiveIsAlive),
            _ => Answer::Refused([Refusal::Ignorant, Refusal::Founded, Refusal::NoMember][usize::from(self.below(3))]),
        }
    }

    fn accepted(&mut self, host: &Host, from: Seat) -> Accepted {
        let own = host.voter().and_then(|voter| voter.vote().accepted);
        match own {
            Some(own) if self.flag() => own,
            _ => Accepted { ballot: self.ballot(host, from), record: self.record(host) },
        }
    }

    fn record(&mut self, host: &Host) -> EpochRecord {
        let known = record(host).unwrap_or(EpochRecord {
            founding: FoundingId(1),
            epoch: Epoch(1),
            active: Seat::First,
            process: 7,
            mode: Mode::Alone,
            began: Position::ORIGIN,
            members: Members::default(),
        });
        let own = host.voter().map_or(Incarnation(0), |voter| voter.incarnation());
        EpochRecord {
            epoch: Epoch(self.number(known.epoch.0)),
            active: if self.flag() { Seat::First } else { Seat::Second },
            process: match self.below(3) {
                0 => known.process,
                1 => self.run(host),
                _ => self.number(7),
            },
            mode: [Mode::Alone, Mode::Coupled, Mode::Stopped][usize::from(self.below(3))],
            began: self.position(host),
            members: match self.below(4) {
                0 => Members([Incarnation(self.number(1)); 3]),
                _ => known.members.with(host.seat(), own),
            },
            ..known
        }
    }

    /// The process that is told.
    fn run(&mut self, host: &Host) -> u64 {
        let run = self.runs[host.seat() as usize];
        if self.below(8) == 0 { self.number(run) } else { run }
    }

    fn session(&mut self, host: &Host) -> Session {
        let said = self.heard.iter().rev().find_map(|envelope| match &envelope.message {
            Message::Start { session, .. }
            | Message::Records { session, .. }
            | Message::Offer { session, .. }
            | Message::Acknowledged { session, .. }
            | Message::Fetch { session, .. } => Some(*session),
            Message::Beat { sent, .. } => sent.map(|(session, _)| session),
            Message::Join { active, join, .. } => Some(Session { active: *active, standby: envelope.run, join: *join }),
            _ => None,
        });
        match said {
            Some(session) if self.below(4) > 0 => session,
            _ => {
                let run = self.run(host);
                let other = self.runs[usize::from(self.below(2))];
                let (active, standby) = if self.flag() { (run, other) } else { (other, run) };
                Session { active, standby, join: self.number(1) }
            }
        }
    }

    fn position(&mut self, host: &Host) -> Position {
        let end = host.disk().end();
        match self.below(6) {
            0..=2 => end,
            3 => Position::ORIGIN,
            4 => {
                let records = host.disk().records();
                let at = usize::from(self.byte()).checked_rem(records.len()).and_then(|at| records.get(at));
                at.map_or(end, |record| record.id.after())
            }
            _ => Position {
                epoch: Epoch(self.number(end.epoch.0)),
                offset: Offset(self.number(end.offset.0)),
                chain: Chain(self.number(end.chain.0)),
            },
        }
    }

    fn epochs(&mut self, host: &Host) -> Vec<(Epoch, Offset)> {
        let end = host.disk().end();
        (0..self.below(4)).map(|_| (Epoch(self.number(end.epoch.0)), Offset(self.number(end.offset.0)))).collect()
    }

    /// Records which follow each other; at least in themselves they are in order.
    fn records(&mut self, host: &Host) -> Vec<Record> {
        let mut at = self.position(host);
        let mut records = Vec::new();
        for _ in 0..self.below(4) {
            if at.offset.0 == u64::MAX {
                break;
            }
            let epoch = Epoch(self.number(at.epoch.0));
            let Ok(record) = Record::write(at, epoch, [self.byte(), 1].into()) else { break };
            at = record.id.after();
            records.push(record);
        }
        records
    }
}

/// What the one that is told knows.
fn record(host: &Host) -> Option<EpochRecord> {
    host.voter().and_then(|voter| voter.vote().accepted).map(|accepted| accepted.record)
}
