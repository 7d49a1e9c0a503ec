//! Orders which wait in a line, each at most once.
//!
//! Orders of a smaller rank come first, those of equal rank in the order of their arrival. An order may leave from
//! anywhere in the line. Every operation costs the logarithm of the length.

use crate::id::OrderId;
use alloc::collections::{BTreeMap, BTreeSet};

/// A line of orders. With the rank `()` it is first come, first served.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(bound(deserialize = "R: Ord + serde::Deserialize<'de>"))]
pub(crate) struct OrderQueue<R = ()> {
    next_ticket: u64,
    places: BTreeMap<OrderId, (R, u64)>,
    line: BTreeMap<(R, u64), OrderId>,
}

impl<R> Default for OrderQueue<R> {
    fn default() -> Self {
        Self { next_ticket: 0, places: BTreeMap::new(), line: BTreeMap::new() }
    }
}

impl<R: Ord + Clone> OrderQueue<R> {
    /// Puts an order at the end of its rank. No effect if it is already in the line.
    pub(crate) fn push(&mut self, order_id: OrderId, rank: R) -> bool {
        let ticket = self.next_ticket;
        let is_new = self.insert(order_id, rank, ticket);
        if is_new {
            self.next_ticket += 1;
        }
        is_new
    }

    /// Like [`Self::push`], for a line whose tickets come from outside. Equal tickets must not be given twice.
    pub(crate) fn insert(&mut self, order_id: OrderId, rank: R, ticket: u64) -> bool {
        if self.places.contains_key(&order_id) {
            return false;
        }
        self.line.insert((rank.clone(), ticket), order_id.clone());
        self.places.insert(order_id, (rank, ticket));
        true
    }

    /// Takes an order out. The result says whether it was in the line.
    pub(crate) fn remove(&mut self, order_id: &OrderId) -> bool {
        match self.places.remove(order_id) {
            Some(place) => self.line.remove(&place).is_some(),
            None => false,
        }
    }

    /// Gives an order another rank; among equal ones it keeps its age. No effect if it is not in the line.
    pub(crate) fn change_rank(&mut self, order_id: &OrderId, rank: R) {
        if let Some((_, ticket)) = self.places.get(order_id) {
            let ticket = *ticket;
            self.remove(order_id);
            self.insert(order_id.clone(), rank, ticket);
        }
    }

    pub(crate) fn contains(&self, order_id: &OrderId) -> bool {
        self.places.contains_key(order_id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The first order with its ticket.
    pub(crate) fn first(&self) -> Option<(u64, &OrderId)> {
        self.line.first_key_value().map(|((_, ticket), order_id)| (*ticket, order_id))
    }

    /// The orders, first the smallest rank.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &OrderId> {
        self.line.values()
    }

    /// The orders in the order of their arrival, whatever their rank. Costs a sort.
    pub(crate) fn by_arrival(&self) -> impl Iterator<Item = &OrderId> {
        self.line.iter().map(|((_, ticket), order_id)| (*ticket, order_id)).collect::<BTreeMap<_, _>>().into_values()
    }

    /// Whether both indexes tell the same.
    pub(crate) fn is_consistent(&self) -> bool {
        self.places.len() == self.line.len()
            && self.line.iter().all(|(place, order_id)| self.places.get(order_id) == Some(place))
            && self.line.values().collect::<BTreeSet<_>>().len() == self.line.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn id(text: &str) -> OrderId {
        OrderId::new(text)
    }

    fn texts<'a>(orders: impl Iterator<Item = &'a OrderId>) -> Vec<&'a str> {
        orders.map(OrderId::as_str).collect()
    }

    #[test]
    fn serves_by_rank_then_arrival() {
        let mut queue = OrderQueue::default();
        for (order, rank) in [("A", 2), ("B", 1), ("C", 2), ("D", 1)] {
            assert!(queue.push(id(order), rank));
        }
        assert!(!queue.push(id("A"), 0));
        assert_eq!(texts(queue.iter()), ["B", "D", "A", "C"]);
        assert_eq!(texts(queue.by_arrival()), ["A", "B", "C", "D"]);
        assert_eq!(queue.first().map(|(_, order)| order.as_str()), Some("B"));
        queue.change_rank(&id("A"), 1);
        assert_eq!(texts(queue.iter()), ["A", "B", "D", "C"]);
        assert!(queue.remove(&id("B")) && !queue.remove(&id("B")));
        assert_eq!(texts(queue.iter()), ["A", "D", "C"]);
        assert_eq!((queue.len(), queue.contains(&id("B"))), (3, false));
        assert!(queue.is_consistent());
    }
}
