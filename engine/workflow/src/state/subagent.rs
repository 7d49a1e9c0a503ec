//! The director's view of its subagents, and the choice of one for a process.
//!
//! A job names a bundle, a subagent, the director's own subagent (an empty name), or nothing: then any of them will do. In
//! a bundle the highest priority counts, those of equal priority serve in turn. A choice is made once and recorded with the
//! start of the process; the turn continues after the subagent of the last recorded start, so it is the same after a recovery.
//!
//! A subagent takes processes while it is coupled and answers, is not disabled, and is not being deleted. One that is named
//! directly takes them even when disabled.

mod selection;

pub use selection::{Metering, SubagentSelection, SubagentTarget, SubagentWait};

use crate::expression::scope::unknown_key;
use crate::id::{OrderId, SubagentBundleId, SubagentId};
use crate::json::Json as _;
use crate::model::event::SubagentEvent;
use crate::model::item::{SubagentBundle, SubagentItem};
use crate::problem::{Checked, Problem};
use crate::value::{Name, Value};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How a subagent and the director are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Coupling {
    /// It has to be dedicated: it is new to the director, or was restarted, reset or shut down.
    Reset(ResetReason),
    /// It is being reset.
    Resetting {
        /// Whether even when it does not answer.
        force: bool,
    },
    /// It belongs to the director.
    Coupled,
    /// It ends, and takes no more processes.
    ShutdownStarted,
}

/// Why a subagent has to be dedicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ResetReason {
    /// It never was.
    Fresh,
    /// It was restarted.
    Restarted,
    /// It was reset by command.
    ResetCommand,
    /// It was shut down.
    Shutdown,
}

/// A subagent as its director sees it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SubagentState {
    #[serde(with = "super::item_text")]
    item: Arc<SubagentItem>,
    coupling: Coupling,
    run_id: Option<String>,
    is_detaching: bool,
    event_id: i64,
    problem: Option<Problem>,
    /// The orders whose processes run here, with the bundle each was chosen from.
    processes: BTreeMap<OrderId, Option<SubagentBundleId>>,
}

impl SubagentState {
    fn new(item: Arc<SubagentItem>) -> Self {
        Self {
            item,
            coupling: Coupling::Reset(ResetReason::Fresh),
            run_id: None,
            is_detaching: false,
            event_id: 0,
            problem: None,
            processes: BTreeMap::new(),
        }
    }

    /// The item.
    #[must_use]
    pub fn item(&self) -> &Arc<SubagentItem> {
        &self.item
    }

    /// How it is connected.
    #[must_use]
    pub fn coupling(&self) -> Coupling {
        self.coupling
    }

    /// Identifies the process of the subagent, once it is dedicated.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    /// The last of its events which the director has seen.
    #[must_use]
    pub fn event_id(&self) -> i64 {
        self.event_id
    }

    /// Why it cannot be reached.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// Whether it is being deleted.
    #[must_use]
    pub fn is_detaching(&self) -> bool {
        self.is_detaching
    }

    /// The orders whose processes run here.
    pub fn orders(&self) -> impl Iterator<Item = &OrderId> {
        self.processes.keys()
    }

    /// How many processes run here.
    #[must_use]
    pub fn process_count(&self) -> usize {
        self.processes.len()
    }

    /// Whether it answers and belongs to the director.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.coupling == Coupling::Coupled && self.problem.is_none() && !self.is_detaching
    }

    /// Whether it is chosen for new processes.
    #[must_use]
    pub fn is_selectable(&self) -> bool {
        self.is_reachable() && !self.item.disabled
    }

    /// The snapshot form.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let typed = |name: &str| Value::object([("TYPE", name.into())]);
        let reset = |reason| Value::object([("TYPE", "Reset".into()), ("reason", typed(reason))]);
        let coupling = match self.coupling {
            Coupling::Reset(ResetReason::Fresh) => reset("Fresh"),
            Coupling::Reset(ResetReason::Restarted) => reset("Restarted"),
            Coupling::Reset(ResetReason::ResetCommand) => reset("ResetCommand"),
            Coupling::Reset(ResetReason::Shutdown) => reset("Shutdown"),
            Coupling::Resetting { force } => Value::object([("TYPE", "Resetting".into()), ("force", force.into())]),
            Coupling::Coupled => typed("Coupled"),
            Coupling::ShutdownStarted => typed("ShutdownStarted"),
        };
        let mut members: Vec<(Name, Value)> = Vec::from([
            ("TYPE".into(), "SubagentItemState".into()),
            ("subagentItem".into(), self.item.write()),
            ("couplingState".into(), coupling),
            ("eventId".into(), self.event_id.into()),
        ]);
        members.extend(self.run_id.as_deref().map(|id| ("subagentRunId".into(), id.into())));
        members.extend(self.is_detaching.then(|| ("isDetaching".into(), true.into())));
        members.extend(self.problem.as_ref().map(|problem| ("problem".into(), problem.write())));
        Value::Object(members.into_iter().collect())
    }

    fn died(&mut self, reason: ResetReason) {
        self.coupling = Coupling::Reset(reason);
        self.event_id = 0;
        if reason != ResetReason::Shutdown {
            self.run_id = None;
        }
    }

    fn apply(&mut self, event: &SubagentEvent) {
        match event {
            SubagentEvent::SubagentDedicated { subagent_run_id } => {
                self.run_id = Some(subagent_run_id.clone());
                self.coupling = Coupling::Coupled;
                self.event_id = 0;
            }
            SubagentEvent::SubagentCoupled => {
                self.coupling = Coupling::Coupled;
                self.problem = None;
            }
            SubagentEvent::SubagentCouplingFailed { problem } => self.problem = Some(problem.clone()),
            SubagentEvent::SubagentEventsObserved { until_event_id } => self.event_id = *until_event_id,
            SubagentEvent::SubagentShutdownStarted => {
                self.coupling = Coupling::ShutdownStarted;
                self.event_id = 0;
            }
            SubagentEvent::SubagentShutdown => self.died(ResetReason::Shutdown),
            SubagentEvent::SubagentResetStarted { force } => self.coupling = Coupling::Resetting { force: *force },
            SubagentEvent::SubagentReset => self.died(ResetReason::ResetCommand),
            SubagentEvent::SubagentRestarted => self.died(ResetReason::Restarted),
        }
    }
}

/// A bundle with what has been started through it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct BundleState {
    #[serde(with = "super::item_text")]
    item: Arc<SubagentBundle>,
    last_used: Option<SubagentId>,
}

/// The subagents of a director, the same at both directors of a pair.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Subagents {
    subagents: BTreeMap<SubagentId, SubagentState>,
    /// The ids, first the subagent which came first.
    arrival: Vec<SubagentId>,
    /// The last one used without a bundle.
    last_used: Option<SubagentId>,
    bundles: BTreeMap<SubagentBundleId, BundleState>,
    /// How many processes which were started through a bundle run at a subagent.
    process_counts: BTreeMap<SubagentBundleId, BTreeMap<SubagentId, u32>>,
    /// How many processes which were started through any bundle.
    bundled_process_count: u32,
}

impl Subagents {
    /// A subagent.
    #[must_use]
    pub fn get(&self, id: &SubagentId) -> Option<&SubagentState> {
        self.subagents.get(id)
    }

    /// The subagents, first the one which came first.
    pub fn iter(&self) -> impl Iterator<Item = (&SubagentId, &SubagentState)> {
        self.arrival.iter().filter_map(|id| self.subagents.get_key_value(id))
    }

    /// The ids of all subagents, or of those of a bundle: for `subagentIds()`.
    ///
    /// # Errors
    /// There is no such bundle.
    pub fn ids(&self, bundle_id: Option<&SubagentBundleId>) -> Checked<Vec<SubagentId>> {
        match bundle_id {
            None => Ok(self.arrival.clone()),
            Some(id) => match self.bundles.get(id) {
                Some(bundle) => Ok(bundle.item.subagent_to_priority.keys().cloned().collect()),
                None => Err(unknown_key("SubagentBundleId", &format!("SubagentBundle:{id}"))),
            },
        }
    }

    /// Adds or changes a subagent. What runs there goes on; after a change of the address it has to be dedicated anew, as soon as
    /// nothing runs any more at the old one.
    pub fn put(&mut self, item: &Arc<SubagentItem>) {
        match self.subagents.get_mut(&item.id) {
            Some(state) => {
                if state.item.uri != item.uri && state.processes.is_empty() {
                    let before = state.coupling;
                    state.died(ResetReason::Fresh);
                    // A reset that has begun, ends at the new place.
                    if let Coupling::Resetting { .. } = before {
                        state.coupling = before;
                    }
                }
                state.item = item.clone();
                state.is_detaching = false;
            }
            None => {
                self.arrival.push(item.id.clone());
                self.subagents.insert(item.id.clone(), SubagentState::new(item.clone()));
            }
        }
    }

    /// A subagent is to be deleted as soon as nothing runs there.
    pub fn set_detaching(&mut self, id: &SubagentId) {
        if let Some(state) = self.subagents.get_mut(id) {
            state.is_detaching = true;
        }
    }

    /// Deletes a subagent. What runs there counts no more.
    pub fn delete(&mut self, id: &SubagentId) {
        let orders: Vec<OrderId> =
            self.subagents.get(id).into_iter().flat_map(SubagentState::orders).cloned().collect();
        for order_id in orders {
            self.apply_processed(&order_id, id);
        }
        if self.subagents.remove(id).is_some() {
            self.arrival.retain(|other| other != id);
        }
    }

    /// Adds or changes a bundle.
    pub fn put_bundle(&mut self, item: &Arc<SubagentBundle>) {
        let last_used = self.bundles.remove(&item.id).and_then(|bundle| bundle.last_used);
        self.bundles.insert(item.id.clone(), BundleState { item: item.clone(), last_used });
    }

    /// Deletes a bundle.
    pub fn delete_bundle(&mut self, id: &SubagentBundleId) {
        self.bundles.remove(id);
    }

    /// An event of a subagent.
    pub fn apply(&mut self, id: &SubagentId, event: &SubagentEvent) {
        if let Some(state) = self.subagents.get_mut(id) {
            state.apply(event);
        }
    }

    /// `OrderProcessingStarted`, with the bundle which the event names.
    pub fn apply_started(&mut self, order_id: &OrderId, id: &SubagentId, bundle_id: Option<&SubagentBundleId>) {
        let Some(state) = self.subagents.get_mut(id) else { return };
        // The event does not name a bundle which is called like the subagent.
        let bundle_id = match bundle_id {
            Some(bundle_id) => Some(bundle_id.clone()),
            None => self.bundles.get_key_value(id.as_str()).map(|(bundle_id, _)| bundle_id.clone()),
        };
        match bundle_id.as_ref().map(|bundle_id| self.bundles.get_mut(bundle_id)) {
            Some(Some(bundle)) => bundle.last_used = Some(id.clone()),
            Some(None) => {}
            None => self.last_used = Some(id.clone()),
        }
        if state.processes.insert(order_id.clone(), bundle_id.clone()).is_none()
            && let Some(bundle_id) = bundle_id
        {
            *self.process_counts.entry(bundle_id).or_default().entry(id.clone()).or_default() += 1;
            self.bundled_process_count += 1;
        }
    }

    /// `OrderProcessed` at a subagent. No effect if nothing runs there for the order.
    pub fn apply_processed(&mut self, order_id: &OrderId, id: &SubagentId) {
        let removed = self.subagents.get_mut(id).and_then(|state| state.processes.remove(order_id));
        let Some(Some(bundle_id)) = removed else { return };
        self.bundled_process_count -= 1;
        if let Some(counts) = self.process_counts.get_mut(&bundle_id) {
            if let Some(count) = counts.get_mut(id) {
                *count -= 1;
            }
            counts.retain(|_, count| *count > 0);
            if counts.is_empty() {
                self.process_counts.remove(&bundle_id);
            }
        }
    }

    /// What must hold at any time; else what does not.
    ///
    /// # Errors
    /// An index disagrees with what it was made of.
    pub fn check(&self) -> Checked<()> {
        let mut counts: BTreeMap<SubagentBundleId, BTreeMap<SubagentId, u32>> = BTreeMap::new();
        for (id, state) in &self.subagents {
            for bundle_id in state.processes.values().flatten() {
                *counts.entry(bundle_id.clone()).or_default().entry(id.clone()).or_default() += 1;
            }
        }
        let total: u32 = counts.values().flat_map(BTreeMap::values).sum();
        let are_known = self.arrival.iter().all(|id| self.subagents.contains_key(id));
        if counts != self.process_counts
            || total != self.bundled_process_count
            || self.arrival.len() != self.subagents.len()
            || !are_known
        {
            return Err(Problem::new("The counts of the subagents are inconsistent"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
