//! Orders which may have a step to make, in the order of their turns.
//!
//! An agenda lives in memory only: what is on it follows from the state, since each order can be looked at any time without
//! harm. Who restarts, looks at all orders.

use crate::decimal::Decimal;
use crate::id::{OrderId, WorkflowId};
use crate::state::State;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
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
    /// What comes when nobody waits.
    sweeps: VecDeque<Sweep>,
}

/// Many orders, which are not listed but met one after the other by their ids.
#[derive(Clone, Debug)]
struct Sweep {
    /// The orders of this workflow version; none: all.
    workflow_id: Option<WorkflowId>,
    /// The last that was met.
    after: Option<OrderId>,
}

/// How many orders of a sweep are put on the agenda at a time.
const SWEEP: usize = 1_000;

impl Agenda {
    /// Whether no order waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sweeps.is_empty()
    }

    /// All orders of a workflow version may have a step to make.
    pub fn push_workflow(&mut self, id: &WorkflowId) {
        self.sweep(Some(id.clone()));
    }

    /// All orders may have a step to make.
    pub fn push_all(&mut self) {
        self.sweep(None);
    }

    fn sweep(&mut self, workflow_id: Option<WorkflowId>) {
        match self.sweeps.iter_mut().find(|sweep| sweep.workflow_id == workflow_id) {
            Some(sweep) => sweep.after = None,
            None => self.sweeps.push_back(Sweep { workflow_id, after: None }),
        }
    }

    fn refill(&mut self, state: &State) {
        while self.waiting.is_empty()
            && let Some(Sweep { workflow_id, after }) = self.sweeps.pop_front()
        {
            let ids: Vec<OrderId> = match &workflow_id {
                Some(id) => state.orders_of_after(id, after.as_ref()).take(SWEEP).cloned().collect(),
                None => state.order_ids_after(after.as_ref()).take(SWEEP).cloned().collect(),
            };
            for id in &ids {
                self.push(state, id);
            }
            if ids.len() == SWEEP {
                self.sweeps.push_front(Sweep { workflow_id, after: ids.last().cloned() });
            }
        }
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
        for sweep in rest.sweeps {
            match self.sweeps.iter_mut().find(|known| known.workflow_id == sweep.workflow_id) {
                Some(known) => known.after = known.after.take().min(sweep.after),
                None => self.sweeps.push_back(sweep),
            }
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
    pub(super) fn pop(&mut self, state: &State) -> Option<(OrderId, u32)> {
        self.refill(state);
        let (_, id) = self.waiting.pop_first()?;
        self.known.remove(&id);
        let steps = self.steps.entry(id.clone()).or_default();
        *steps += 1;
        let steps = *steps;
        Some((id, steps))
    }
}
