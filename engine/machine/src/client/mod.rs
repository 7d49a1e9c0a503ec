//! The client of a controller or a pair of controllers: finds the active node, follows take-overs and switch-overs, repeats what
//! had no answer, and goes on reading events after the last one it has seen.
//!
//! It knows the nodes by number only, and moves no bytes: the host sends what [`ClientOutput`] says, and tells what it heard. A
//! request is repeated until it is answered or its deadline is over, so it must do no harm to carry it out twice: commands have
//! an id for that (see [`answers`](crate::answers)). What has none is [`Request::Once`]: it is repeated only as long as it was
//! certainly not carried out.
//!
//! Where it turns to: the node that answered last; another one when that one cannot be reached, keeps silent or says that it is
//! not active (at once to the one it names); and after each of them had its turn in vain, after a pause, which grows, and is
//! drawn at random so that many clients do not come at the same time.

mod stream;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use baton_protocol::deadline::Deadlines;
use baton_protocol::event_id::EventId;
use baton_protocol::random::Random;
use baton_protocol::time::{Duration, Instant};
use stream::Stream;

/// Requests that wait for an answer at a time.
pub const MAX_CALLS: usize = 10_000;

/// Names a node: its place in the list of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeNumber(pub usize);

/// Names what was asked. Chosen by the caller, used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// Names one sending of a request, or one opening of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// What a client takes for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTiming {
    /// So long an exchange may have no answer. A stream: so long there may be no sign of life.
    pub silence: Duration,
    /// The first pause after all nodes had their turn in vain.
    pub pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl ClientTiming {
    /// 10 s of silence; pauses from 100 ms to 2 s.
    pub const DEFAULT: Self = Self {
        silence: Duration::from_secs(10),
        pause: Duration::from_millis(100),
        longest_pause: Duration::from_secs(2),
    };
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<R> {
    /// It does no harm when it is carried out twice.
    Repeatable(R),
    /// It must not be carried out twice.
    Once(R),
}

/// What came of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<A> {
    /// The answer.
    Answer(A),
    /// The node is not active, and has done nothing.
    NotActive {
        /// The one that is, if the node knows it.
        active: Option<NodeNumber>,
    },
    /// The node is active, but cannot do it now, and has done nothing.
    Busy,
    /// The node does not know whether it is done.
    Unknown,
    /// The node was not reached.
    Unreached,
    /// The connection broke, or there was nonsense.
    Broken,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// Its time is over.
    Deadline {
        /// Whether it may be done.
        may_be_done: bool,
    },
    /// It must not be carried out twice, and may be done.
    MayBeDone,
    /// Too many wait for answers.
    TooMany,
}

/// What the host is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientOutput<R, A> {
    /// Send it.
    Send {
        /// To be handed back with what is heard.
        exchange: ExchangeId,
        /// To whom.
        to: NodeNumber,
        /// What.
        request: R,
    },
    /// Ask for the events after this one.
    Open {
        /// To be handed back with what is heard.
        exchange: ExchangeId,
        /// Whom.
        to: NodeNumber,
        /// After which.
        after: EventId,
    },
    /// Forget this exchange: what is heard of it does not matter any more.
    Drop {
        /// Which.
        exchange: ExchangeId,
    },
    /// Tell the caller.
    Done {
        /// Who asked.
        call: CallId,
        /// The answer.
        outcome: Result<A, GaveUp>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// The call is over.
    CallEnds(CallId),
    /// Send it again.
    Repeat(CallId),
    /// There is silence.
    Silence(ExchangeId),
    /// Open the stream again.
    Reopen,
}

/// What waits for an answer.
#[derive(Clone, Debug)]
struct Call<R> {
    request: Request<R>,
    /// Under way.
    exchange: Option<ExchangeId>,
    /// It may be done by an exchange that had no answer.
    may_be_done: bool,
    turns: Turns,
}

/// How often nodes had their turn in vain.
#[derive(Clone, Copy, Debug, Default)]
struct Turns {
    /// Since the last pause.
    in_round: usize,
    /// Pauses.
    rounds: u32,
}

/// Which exchange is for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Call(CallId),
    Stream,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Client<R> {
    nodes: usize,
    timing: ClientTiming,
    random: Random,
    /// Whom to ask.
    active: NodeNumber,
    last_exchange: u64,
    calls: BTreeMap<CallId, Call<R>>,
    exchanges: BTreeMap<ExchangeId, (Purpose, NodeNumber)>,
    stream: Option<Stream>,
    deadlines: Deadlines<Reason>,
}

impl<R: Clone> Client<R> {
    /// A client of so many nodes, at least one.
    #[must_use]
    pub fn new(nodes: usize, timing: ClientTiming, seed: u64) -> Self {
        Self {
            nodes: nodes.max(1),
            timing,
            random: Random::new(seed).child("client"),
            active: NodeNumber(0),
            last_exchange: 0,
            calls: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            stream: None,
            deadlines: Deadlines::new(),
        }
    }

    /// The node that it takes for active.
    #[must_use]
    pub fn active(&self) -> NodeNumber {
        self.active
    }

    /// Somebody wants an answer until `deadline`.
    pub fn call<A>(
        &mut self,
        now: Instant,
        call: CallId,
        request: Request<R>,
        deadline: Instant,
        out: &mut Vec<ClientOutput<R, A>>,
    ) {
        if self.calls.len() >= MAX_CALLS {
            return out.push(ClientOutput::Done { call, outcome: Err(GaveUp::TooMany) });
        }
        self.calls.insert(call, Call { request, exchange: None, may_be_done: false, turns: Turns::default() });
        self.deadlines.set(Reason::CallEnds(call), deadline);
        self.send(now, call, out);
    }

    /// Nobody waits for the answer any more.
    pub fn cancel<A>(&mut self, call: CallId, out: &mut Vec<ClientOutput<R, A>>) {
        self.end_call(call, out);
    }

    /// Something came of an exchange, or it ended.
    pub fn heard<A>(&mut self, now: Instant, exchange: ExchangeId, heard: Heard<A>, out: &mut Vec<ClientOutput<R, A>>) {
        let Some((purpose, from)) = self.end_exchange(exchange) else { return };
        match purpose {
            Purpose::Call(call) => self.heard_of_call(now, call, from, heard, out),
            Purpose::Stream => self.heard_of_stream(now, from, &heard, out),
        }
    }

    /// The deadline is reached.
    pub fn due<A>(&mut self, now: Instant, out: &mut Vec<ClientOutput<R, A>>) {
        while let Some(reason) = self.deadlines.take_due(now) {
            match reason {
                Reason::CallEnds(id) => {
                    if let Some(call) = self.end_call(id, out) {
                        let may_be_done = call.may_be_done || call.exchange.is_some();
                        out.push(ClientOutput::Done { call: id, outcome: Err(GaveUp::Deadline { may_be_done }) });
                    }
                }
                Reason::Repeat(call) => self.send(now, call, out),
                Reason::Silence(exchange) => {
                    out.push(ClientOutput::Drop { exchange });
                    self.heard(now, exchange, Heard::Broken, out);
                }
                Reason::Reopen => self.open(now, out),
            }
        }
    }

    /// When [`Self::due`] is to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn send<A>(&mut self, now: Instant, id: CallId, out: &mut Vec<ClientOutput<R, A>>) {
        let to = self.active;
        let Some(call) = self.calls.get(&id) else { return };
        let (Request::Repeatable(request) | Request::Once(request)) = call.request.clone();
        let exchange = self.begin_exchange(now, Purpose::Call(id), to);
        if let Some(call) = self.calls.get_mut(&id) {
            call.exchange = Some(exchange);
        }
        out.push(ClientOutput::Send { exchange, to, request });
    }

    fn heard_of_call<A>(
        &mut self,
        now: Instant,
        id: CallId,
        from: NodeNumber,
        heard: Heard<A>,
        out: &mut Vec<ClientOutput<R, A>>,
    ) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.exchange = None;
        let may_be_done = matches!(heard, Heard::Unknown | Heard::Broken);
        call.may_be_done |= may_be_done;
        if may_be_done && matches!(call.request, Request::Once(_)) {
            self.end_call(id, out);
            return out.push(ClientOutput::Done { call: id, outcome: Err(GaveUp::MayBeDone) });
        }
        let mut turns = call.turns;
        if let Heard::Answer(answer) = heard {
            self.active = from;
            self.end_call(id, out);
            return out.push(ClientOutput::Done { call: id, outcome: Ok(answer) });
        }
        let at = self.next_turn(now, &mut turns, from, &heard);
        if let Some(call) = self.calls.get_mut(&id) {
            call.turns = turns;
        }
        if at <= now {
            self.send(now, id, out);
        } else {
            self.deadlines.set(Reason::Repeat(id), at);
        }
    }

    /// Whose turn it is when this node had its turn in vain is [`Self::active`]; and when.
    fn next_turn<A>(&mut self, now: Instant, turns: &mut Turns, from: NodeNumber, heard: &Heard<A>) -> Instant {
        let named = match heard {
            Heard::NotActive { active: Some(active) } if active.0 < self.nodes && *active != from => Some(*active),
            _ => None,
        };
        let stays = matches!(heard, Heard::Busy);
        // Another call may have found the active one meanwhile.
        if self.active == from && !stays {
            self.active = named.unwrap_or(NodeNumber((from.0 + 1) % self.nodes));
        }
        turns.in_round += 1;
        if turns.in_round < self.nodes && !stays {
            return now;
        }
        turns.in_round = 0;
        let pause = self.timing.pause.saturating_mul(1 << turns.rounds.min(16)).min(self.timing.longest_pause);
        turns.rounds = turns.rounds.saturating_add(1);
        let nanos = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        now + Duration::from_nanos(self.random.between(nanos / 2, nanos))
    }

    fn begin_exchange(&mut self, now: Instant, purpose: Purpose, to: NodeNumber) -> ExchangeId {
        self.last_exchange += 1;
        let exchange = ExchangeId(self.last_exchange);
        self.exchanges.insert(exchange, (purpose, to));
        self.deadlines.set(Reason::Silence(exchange), now + self.timing.silence);
        exchange
    }

    fn end_exchange(&mut self, exchange: ExchangeId) -> Option<(Purpose, NodeNumber)> {
        self.deadlines.cancel(&Reason::Silence(exchange));
        self.exchanges.remove(&exchange)
    }

    fn end_call<A>(&mut self, id: CallId, out: &mut Vec<ClientOutput<R, A>>) -> Option<Call<R>> {
        let call = self.calls.remove(&id)?;
        self.deadlines.cancel(&Reason::CallEnds(id));
        self.deadlines.cancel(&Reason::Repeat(id));
        if let Some(exchange) = call.exchange {
            self.end_exchange(exchange);
            out.push(ClientOutput::Drop { exchange });
        }
        Some(call)
    }
}
