//! The stream of events that a client reads: opened again after the last event that was seen, so that nothing is missed and
//! nothing is seen twice.

use super::{Client, ClientOutput, ExchangeId, Heard, NodeNumber, Purpose, Reason, Turns};
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::time::Instant;

/// The one stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// The last event that was seen.
    after: EventId,
    exchange: Option<ExchangeId>,
    turns: Turns,
}

impl<R: Clone> Client<R> {
    /// Reads events after this one from now on.
    pub fn follow<A>(&mut self, now: Instant, after: EventId, out: &mut Vec<ClientOutput<R, A>>) {
        self.unfollow(out);
        self.stream = Some(Stream { after, exchange: None, turns: Turns::default() });
        self.open(now, out);
    }

    /// Reads events no more.
    pub fn unfollow<A>(&mut self, out: &mut Vec<ClientOutput<R, A>>) {
        self.deadlines.cancel(&Reason::Reopen);
        if let Some(exchange) = self.stream.take().and_then(|stream| stream.exchange) {
            self.end_exchange(exchange);
            out.push(ClientOutput::Drop { exchange });
        }
    }

    /// The last event that was seen, while events are read.
    #[must_use]
    pub fn followed_until(&self) -> Option<EventId> {
        self.stream.as_ref().map(|stream| stream.after)
    }

    /// An event came. Whether it is a new one, which the reader is to see.
    pub fn event(&mut self, now: Instant, exchange: ExchangeId, id: EventId) -> bool {
        if !self.sign_of_life(now, exchange) {
            return false;
        }
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.after < id) else { return false };
        stream.after = id;
        true
    }

    /// The stream goes on. Whether it is the one that is read now.
    pub fn sign_of_life(&mut self, now: Instant, exchange: ExchangeId) -> bool {
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.exchange == Some(exchange)) else {
            return false;
        };
        stream.turns = Turns::default();
        if let Some((_, from)) = self.exchanges.get(&exchange) {
            self.active = *from;
        }
        self.deadlines.set(Reason::Silence(exchange), now + self.timing.silence);
        true
    }

    pub(super) fn open<A>(&mut self, now: Instant, out: &mut Vec<ClientOutput<R, A>>) {
        let to = self.active;
        let Some(after) = self.followed_until() else { return };
        let exchange = self.begin_exchange(now, Purpose::Stream, to);
        if let Some(stream) = &mut self.stream {
            stream.exchange = Some(exchange);
        }
        out.push(ClientOutput::Open { exchange, to, after });
    }

    pub(super) fn heard_of_stream<A>(
        &mut self,
        now: Instant,
        from: NodeNumber,
        heard: &Heard<A>,
        out: &mut Vec<ClientOutput<R, A>>,
    ) {
        let Some(stream) = &mut self.stream else { return };
        stream.exchange = None;
        let mut turns = stream.turns;
        let at = self.next_turn(now, &mut turns, from, heard);
        if let Some(stream) = &mut self.stream {
            stream.turns = turns;
        }
        if at <= now {
            self.open(now, out);
        } else {
            self.deadlines.set(Reason::Reopen, at);
        }
    }
}
