//! How many orders are in each state: kept with each event, so that nobody has to look at all orders.

use alloc::collections::BTreeMap;

/// The numbers of orders in each state, by the names of the states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderCounts(BTreeMap<&'static str, usize>);

impl OrderCounts {
    /// The states in which there are orders, and how many.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.0.iter().map(|(state, count)| (*state, *count))
    }

    /// An order has left a state, or entered one.
    pub(super) fn change(&mut self, before: Option<&'static str>, after: Option<&'static str>) {
        if let Some(before) = before
            && let Some(count) = self.0.get_mut(before)
        {
            *count -= 1;
            if *count == 0 {
                self.0.remove(before);
            }
        }
        if let Some(after) = after {
            *self.0.entry(after).or_default() += 1;
        }
    }
}
