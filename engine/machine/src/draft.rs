//! The transaction which is being decided: its events, stamped and encoded one by one, and how much of a step is left.

use crate::codec::{self, Stamped};
use crate::relations::Relations;
use crate::replica::Turn;
use alloc::vec::Vec;
use baton_protocol::event_id::EventIds;
use baton_protocol::limit;
use baton_workflow::model::event::Event;
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::state::State;
use baton_workflow::step::Observer;

/// How much is done in one step of a machine. What is more, is done in the next ones, between which others have their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Orders which are looked at or processes which are started, before the rest is put off. At least 1.
    pub orders: usize,
    /// Bytes of events, before the rest is put off.
    pub bytes: usize,
}

impl Slice {
    /// For production: some ten milliseconds.
    pub const DEFAULT: Self = Self { orders: 5_000, bytes: 4 << 20 };
}

/// Longest events of one command or one step of an order together, in bytes: these are not divided.
pub const UNDIVIDED: usize = 32 << 20;

// A step which begins when the journal is not congested finds room: a slice, and what is not divided, at its end.
const _: () = assert!(Slice::DEFAULT.bytes + UNDIVIDED <= limit::Limits::DEFAULT.record_bytes / 2);

/// A transaction which is being decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    events: Vec<Stamped>,
    /// The events, encoded one after the other.
    encoded: Vec<u8>,
    /// Orders looked at in this step.
    looked: usize,
}

impl Draft {
    pub(crate) fn events(&self) -> &[Stamped] {
        &self.events
    }

    pub(crate) fn push(&mut self, stamped: Stamped) {
        codec::encode_into(&stamped, &mut self.encoded);
        self.events.push(stamped);
    }

    /// Counts an order, if this step has room for it.
    pub(crate) fn count_order(&mut self, slice: Slice) -> bool {
        let has_room = self.looked < slice.orders && self.encoded.len() < slice.bytes;
        self.looked += usize::from(has_room);
        has_room
    }

    /// How many more orders this step has room for.
    pub(crate) fn room(&self, slice: Slice) -> usize {
        if self.encoded.len() < slice.bytes { slice.orders.saturating_sub(self.looked) } else { 0 }
    }

    /// Ends it: the events, and the payloads of their records.
    pub(crate) fn finish(&mut self) -> (Vec<Stamped>, Vec<Vec<u8>>) {
        let Self { events, encoded, .. } = core::mem::take(self);
        let payloads = if events.is_empty() {
            Vec::new()
        } else {
            codec::transaction_records(events.len(), &encoded, limit::RECORD_PAYLOAD)
        };
        (events, payloads)
    }
}

/// Takes note of what is decided.
pub(crate) struct Recorder<'r> {
    pub(crate) turn: Turn<'r>,
    pub(crate) slice: Slice,
    pub(crate) ids: &'r mut EventIds,
    pub(crate) relations: &'r mut Relations,
    pub(crate) draft: &'r mut Draft,
}

impl Observer for Recorder<'_> {
    fn applied(&mut self, state: &State, event: Event) {
        let event_id = self.ids.next(self.turn.now.timestamp);
        let stamped = Stamped { event_id, timestamp: self.turn.around.now, event };
        self.relations.apply(state, self.turn.epoch, &stamped);
        self.draft.push(stamped);
    }

    fn fits(&self, events: &[Event]) -> bool {
        // All others are bounded by the limits of expressions.
        let may_be_long = |event: &Event| {
            use OrderEvent::{OrderAdded, OrderForked, OrderOrderAdded};
            matches!(
                event,
                Event::Item(_) | Event::Order(_, OrderForked { .. } | OrderOrderAdded { .. } | OrderAdded { .. })
            )
        };
        if events.len() <= 1_000 && !events.iter().any(may_be_long) {
            return true;
        }
        let mut length = self.draft.encoded.len();
        events.iter().all(|event| {
            length += codec::encoded_length(event);
            length <= UNDIVIDED
        })
    }

    fn may_go_on(&mut self) -> bool {
        self.draft.count_order(self.slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Transaction;
    use baton_protocol::event_id::EventId;
    use baton_workflow::model::event::NodeEvent;
    use baton_workflow::time::Timestamp;

    #[test]
    fn a_draft_is_encoded_as_its_transaction() {
        for count in [1_u64, 3, 300, 70_000] {
            let mut draft = Draft::default();
            for id in 1..=count {
                let event = Event::Node(NodeEvent::NodeShutDown);
                draft.push(Stamped { event_id: EventId(id), timestamp: Timestamp::EPOCH, event });
            }
            let (events, payloads) = draft.finish();
            assert_eq!(payloads, Transaction { events }.encode_records(limit::RECORD_PAYLOAD));
            assert!(draft.finish().1.is_empty());
        }
    }

    #[test]
    fn a_slice_is_full_by_orders_or_by_bytes() {
        let slice = Slice { orders: 2, bytes: 1_000 };
        let mut draft = Draft::default();
        assert!(draft.count_order(slice) && draft.count_order(slice) && !draft.count_order(slice));
        let mut draft = Draft { encoded: Vec::from([0; 1_000]), ..Draft::default() };
        assert!(!draft.count_order(slice));
        assert_eq!(draft.room(slice), 0);
    }
}
