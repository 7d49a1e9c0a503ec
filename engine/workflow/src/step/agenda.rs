//! Orders which may have a step to make, in the order of their turns.
//!
//! An agenda lives in memory only: what is on it follows from the state, since each order can be looked at any time without
//! harm. Who restarts, looks at all orders.

use crate::decimal::Decimal;
use crate::id::OrderId;
use crate::state::State;
use alloc::collections::BTreeMap;
use core::cmp::Reverse;

/// When it is an order's turn: by its priority, without one at once; and by the number of its arrival.
type Turn = (Option<Reverse<Decimal>>, u64);

/// Orders waiting for their next step: those whose step belongs to the one just made, then the highest priority, then the
/// earliest.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    waiting: BTreeMap<Turn, OrderId>,
    known: BTreeMap<OrderId, Turn>,
    count: u64,
    /// How often it has been an order's turn.
    steps: BTreeMap<OrderId, u32>,
}

impl Agenda {
    /// Whether no order waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many orders wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// An order may have a step to make.
    pub fn push(&mut self, state: &State, id: &OrderId) {
        if let Some(order) = state.order(id) {
            self.insert(Some(Reverse(order.priority.clone())), id);
        }
    }

    /// Takes over what another one has not come to, with the steps which it has counted: orders that go in circles do so
    /// from one agenda to the next.
    pub fn append(&mut self, rest: Self) {
        for ((priority, _), id) in rest.waiting {
            self.insert(priority, &id);
        }
        for (id, steps) in rest.steps {
            *self.steps.entry(id).or_default() += steps;
        }
    }

    pub(super) fn push_at_once(&mut self, id: &OrderId) {
        self.insert(None, id);
    }

    fn insert(&mut self, priority: Option<Reverse<Decimal>>, id: &OrderId) {
        if !self.known.contains_key(id) {
            self.count += 1;
            let turn = (priority, self.count);
            self.known.insert(id.clone(), turn.clone());
            self.waiting.insert(turn, id.clone());
        }
    }

    pub(super) fn remove(&mut self, id: &OrderId) {
        if let Some(turn) = self.known.remove(id) {
            self.waiting.remove(&turn);
        }
    }

    /// The next order, and how often it has been its turn.
    pub(super) fn pop(&mut self) -> Option<(OrderId, u32)> {
        let (_, id) = self.waiting.pop_first()?;
        self.known.remove(&id);
        let steps = self.steps.entry(id.clone()).or_default();
        *steps += 1;
        let steps = *steps;
        Some((id, steps))
    }
}
