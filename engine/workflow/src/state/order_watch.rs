//! Orders from files, seen from the controller, and the files themselves, seen from the agent.
//!
//! A file which appears becomes an order; the order is deleted when it has terminated and the file has vanished. A file which
//! appears again under its name while there is an order becomes another order after the first one has been deleted.
//!
//! Nothing here fails: what comes twice, or late, changes nothing.

mod files;

pub use files::{FileDelays, FileWatchState};

use crate::id::{ExternalOrderName, OrderId, OrderWatchPath};
use crate::model::order::ExternalOrderKey;
use crate::model::watch::{ExternalOrderState, OrderWatchEvent, QueuedExternalState};
use crate::value::Fields;
use alloc::collections::BTreeMap;

crate::json_union! {
    /// The snapshot form of what a watch found.
    #[derive(Clone, Debug, PartialEq)]
    pub enum OrderWatchSnapshot {
        /// A file.
        ExternalOrder => "ExternalOrder" {
            /// Who found it.
            order_watch_path: OrderWatchPath => "orderWatchPath";
            /// Its name.
            external_order_name: ExternalOrderName => "externalOrderName";
            /// What became of it.
            state: ExternalOrderState => "state";
        };
    }
}

/// What the controller has to do about a file.
#[derive(Clone, Debug, PartialEq)]
pub enum FileStep {
    /// Add an order, or reject the file (`ExternalOrderRejected`). While there is still an order of the same file, from an
    /// earlier life of the watch, wait for its deletion. An order id which another order has is a reason to reject.
    AddOrder {
        /// Arguments of the order.
        arguments: Fields,
        /// The order id, from old agents only.
        order_id: Option<OrderId>,
    },
    /// Tell the order that its file has vanished, if it has not been told yet (`OrderExternalVanished`).
    TellVanished {
        /// The order.
        order_id: OrderId,
    },
}

/// The problem code of a file whose name the controller's pattern does not match. The agent will not report it as vanished.
const PATTERN_DOES_NOT_MATCH: &str = "FileWatchPatternDoesntMatch";

/// What all watches found, at the controller.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct OrderWatches {
    watches: BTreeMap<OrderWatchPath, BTreeMap<ExternalOrderName, ExternalOrderState>>,
}

impl OrderWatches {
    /// What became of a file.
    #[must_use]
    pub fn get(&self, path: &OrderWatchPath, name: &ExternalOrderName) -> Option<&ExternalOrderState> {
        self.watches.get(path)?.get(name)
    }

    /// The files of a watch, by name. Their names are also what an agent has to know which gets the watch after it has lost
    /// its memory ([`FileWatchState::new`]): it then reports what vanished meanwhile, and nothing twice.
    pub fn files(&self, path: &OrderWatchPath) -> impl Iterator<Item = (&ExternalOrderName, &ExternalOrderState)> {
        self.watches.get(path).into_iter().flatten()
    }

    /// What is to be done about a file. To be asked after an event of the file, after the deletion of its order, and
    /// for all files after a start.
    #[must_use]
    pub fn next(&self, path: &OrderWatchPath, name: &ExternalOrderName) -> Option<FileStep> {
        match self.get(path, name)? {
            ExternalOrderState::Appeared { order_id, arguments } => {
                Some(FileStep::AddOrder { arguments: arguments.clone(), order_id: order_id.clone() })
            }
            ExternalOrderState::HasOrder { order_id, queued: Some(_) } => {
                Some(FileStep::TellVanished { order_id: order_id.clone() })
            }
            ExternalOrderState::HasOrder { queued: None, .. } | ExternalOrderState::Rejected { .. } => None,
        }
    }

    /// The vanishing of all files of a watch, for when the agent that watched is lost and nobody takes over.
    pub fn decide_all_vanished(&self, path: &OrderWatchPath) -> impl Iterator<Item = OrderWatchEvent> {
        self.files(path).filter_map(|(name, state)| match state {
            ExternalOrderState::HasOrder { queued: Some(QueuedExternalState::Vanished), .. } => None,
            _ => Some(OrderWatchEvent::ExternalOrderVanished { external_order_name: name.clone() }),
        })
    }

    /// An event of a watch.
    pub fn apply(&mut self, path: &OrderWatchPath, event: &OrderWatchEvent) {
        let files = self.watches.entry(path.clone()).or_default();
        match event {
            OrderWatchEvent::ExternalOrderAppeared { external_order_name, arguments, order_id } => {
                match files.get_mut(external_order_name) {
                    Some(ExternalOrderState::HasOrder { queued, .. }) => {
                        // Without a vanishing before, it is the file known already.
                        if queued.is_some() {
                            let (order_id, arguments) = (order_id.clone(), arguments.clone());
                            *queued = Some(QueuedExternalState::Appeared { order_id, arguments });
                        }
                    }
                    Some(ExternalOrderState::Appeared { .. } | ExternalOrderState::Rejected { .. }) | None => {
                        let (order_id, arguments) = (order_id.clone(), arguments.clone());
                        let state = ExternalOrderState::Appeared { order_id, arguments };
                        files.insert(external_order_name.clone(), state);
                    }
                }
            }
            OrderWatchEvent::ExternalOrderRejected { external_order_name, problem } => {
                if problem.code == PATTERN_DOES_NOT_MATCH {
                    files.remove(external_order_name);
                } else if let Some(state) = files.get_mut(external_order_name) {
                    *state = ExternalOrderState::Rejected { problem: Some(problem.clone()) };
                }
            }
            OrderWatchEvent::ExternalOrderVanished { external_order_name } => {
                match files.get_mut(external_order_name) {
                    Some(ExternalOrderState::HasOrder { queued, .. }) => *queued = Some(QueuedExternalState::Vanished),
                    Some(ExternalOrderState::Appeared { .. } | ExternalOrderState::Rejected { .. }) | None => {
                        files.remove(external_order_name);
                    }
                }
            }
        }
        self.forget_if_empty(path);
    }

    /// `OrderAdded` with an external order key.
    pub fn apply_order_added(&mut self, key: &ExternalOrderKey, order_id: &OrderId) {
        let files = self.watches.entry(key.order_watch_path.clone()).or_default();
        let state = ExternalOrderState::HasOrder { order_id: order_id.clone(), queued: None };
        files.insert(key.name.clone(), state);
    }

    /// `OrderDeleted` of an order of a file.
    pub fn apply_order_deleted(&mut self, key: &ExternalOrderKey, order_id: &OrderId) {
        let Some(files) = self.watches.get_mut(&key.order_watch_path) else { return };
        let Some(state) = files.get_mut(&key.name) else { return };
        let ExternalOrderState::HasOrder { order_id: known, queued } = state else { return };
        if known != order_id {
            return;
        }
        match queued.take() {
            Some(QueuedExternalState::Appeared { order_id, arguments }) => {
                *state = ExternalOrderState::Appeared { order_id, arguments };
            }
            Some(QueuedExternalState::Vanished) | None => {
                files.remove(&key.name);
            }
        }
        self.forget_if_empty(&key.order_watch_path);
    }

    /// The watch is deleted. Its orders go on.
    pub fn delete(&mut self, path: &OrderWatchPath) {
        self.watches.remove(path);
    }

    /// The snapshot forms of all files.
    pub fn snapshot(&self) -> impl Iterator<Item = OrderWatchSnapshot> {
        self.watches.iter().flat_map(|(path, files)| {
            files.iter().map(|(name, state)| OrderWatchSnapshot::ExternalOrder {
                order_watch_path: path.clone(),
                external_order_name: name.clone(),
                state: state.clone(),
            })
        })
    }

    fn forget_if_empty(&mut self, path: &OrderWatchPath) {
        if self.watches.get(path).is_some_and(BTreeMap::is_empty) {
            self.watches.remove(path);
        }
    }
}

#[cfg(test)]
mod tests;
