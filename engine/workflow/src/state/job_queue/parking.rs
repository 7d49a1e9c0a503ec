//! Orders which hold the slots for a process, but for which no subagent is available.
//!
//! Those with the same target wait in one line: when the first gets no subagent, the others get none either.

use crate::id::{OrderId, SubagentId};
use crate::state::order_queue::OrderQueue;
use crate::state::subagent::{Metering, SubagentSelection, SubagentTarget, Subagents};
use alloc::collections::BTreeMap;

/// The orders which wait for a subagent.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Parking {
    lines: BTreeMap<SubagentTarget, OrderQueue>,
    targets: BTreeMap<OrderId, SubagentTarget>,
    next_ticket: u64,
}

impl Parking {
    /// Lets an order wait.
    pub fn park(&mut self, order_id: &OrderId, target: &SubagentTarget) {
        if self.targets.contains_key(order_id) {
            return;
        }
        self.lines.entry(target.clone()).or_default().insert(order_id.clone(), (), self.next_ticket);
        self.next_ticket += 1;
        self.targets.insert(order_id.clone(), target.clone());
    }

    /// The order waits no more. No effect if it does not wait.
    pub fn remove(&mut self, order_id: &OrderId) {
        let Some(target) = self.targets.remove(order_id) else { return };
        if let Some(line) = self.lines.get_mut(&target) {
            line.remove(order_id);
            if line.is_empty() {
                self.lines.remove(&target);
            }
        }
    }

    /// How many orders wait for a subagent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether no order waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Whether the order waits for a subagent.
    #[must_use]
    pub fn contains(&self, order_id: &OrderId) -> bool {
        self.targets.contains_key(order_id)
    }

    /// The order which waits longest of those for which there is a subagent now, with that. To be asked until there is none,
    /// after a subagent has become available, a process has ended, a bundle was changed, or metering was renewed.
    #[must_use]
    pub fn next(
        &self,
        subagents: &Subagents,
        metering: &dyn Fn(&SubagentId) -> Option<Metering>,
    ) -> Option<(OrderId, SubagentSelection)> {
        self.lines
            .iter()
            .filter_map(|(target, line)| match subagents.select(target, metering) {
                selected @ SubagentSelection::Selected { .. } => line.first().map(|first| (first, selected)),
                SubagentSelection::Wait(_) => None,
            })
            .min_by_key(|((ticket, _), _)| *ticket)
            .map(|((_, order_id), selected)| (order_id.clone(), selected))
    }
}
