//! The files of a watched directory, at the agent: which have been reported, and which wait until they are old enough.
//!
//! What is found in the directory is compared with what has been reported; so nothing is lost by a restart or a fail-over. A file
//! which vanished and came back in between is not noticed: it is the same.

use crate::expression::pattern::Pattern;
use crate::id::ExternalOrderName;
use crate::model::watch::{FileWatch, OrderWatchEvent};
use crate::problem::Checked;
use crate::time::{Duration, Timestamp};
use crate::value::Value;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A watch with the files it has reported.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FileWatchState {
    #[serde(with = "crate::state::item_text")]
    item: Arc<FileWatch>,
    present: BTreeSet<ExternalOrderName>,
}

impl FileWatchState {
    /// A watch whose superior already knows these files.
    #[must_use]
    pub fn new(item: Arc<FileWatch>, known: impl IntoIterator<Item = ExternalOrderName>) -> Self {
        Self { item, present: known.into_iter().collect() }
    }

    /// The item.
    #[must_use]
    pub fn item(&self) -> &Arc<FileWatch> {
        &self.item
    }

    /// The files which have been reported and have not vanished since.
    pub fn present(&self) -> impl Iterator<Item = &ExternalOrderName> {
        self.present.iter()
    }

    /// What is to be reported after the directory was read: first what vanished, then what appeared. `found` are all names
    /// there, `is_mature` tells whether a new file has been unchanged long enough.
    ///
    /// # Errors
    /// The pattern is invalid or too expensive.
    pub fn decide_scan<'a>(
        &self,
        directory: &str,
        pattern: &Pattern,
        found: impl IntoIterator<Item = &'a ExternalOrderName>,
        is_mature: &mut dyn FnMut(&ExternalOrderName) -> bool,
    ) -> Checked<Vec<OrderWatchEvent>> {
        let mut matching = BTreeSet::new();
        for name in found {
            if pattern.matches(name.as_str())? {
                matching.insert(name);
            }
        }
        let gone = self.present.iter().filter(|name| !matching.contains(name)).map(vanished);
        let new = matching.iter().filter(|name| !self.present.contains(**name) && is_mature(name));
        Ok(gone.chain(new.map(|name| appeared(directory, name))).collect())
    }

    /// What is to be reported of a file which was found, and is old enough.
    ///
    /// # Errors
    /// The pattern is invalid or too expensive.
    pub fn decide_found(
        &self,
        directory: &str,
        pattern: &Pattern,
        name: &ExternalOrderName,
    ) -> Checked<Option<OrderWatchEvent>> {
        let is_new = !self.present.contains(name) && pattern.matches(name.as_str())?;
        Ok(is_new.then(|| appeared(directory, name)))
    }

    /// What is to be reported of a file which is gone.
    #[must_use]
    pub fn decide_gone(&self, name: &ExternalOrderName) -> Option<OrderWatchEvent> {
        self.present.contains(name).then(|| vanished(name))
    }

    /// What is to be reported when the watch changes, before the directory is read again: with another pattern or delay only
    /// what does not match any more, else everything vanishes.
    ///
    /// # Errors
    /// The pattern is invalid or too expensive.
    pub fn decide_change(&self, changed: &FileWatch, pattern: &Pattern) -> Checked<Vec<OrderWatchEvent>> {
        let with_former_details = FileWatch {
            pattern: self.item.pattern.clone(),
            delay: self.item.delay,
            agent_path: self.item.agent_path.clone(),
            item_revision: self.item.item_revision,
            ..changed.clone()
        };
        if with_former_details != *self.item {
            return Ok(self.decide_all_vanished());
        }
        let mut events = Vec::new();
        for name in &self.present {
            if !pattern.matches(name.as_str())? {
                events.push(vanished(name));
            }
        }
        Ok(events)
    }

    /// The vanishing of all files, when the watch is deleted or goes to another agent.
    #[must_use]
    pub fn decide_all_vanished(&self) -> Vec<OrderWatchEvent> {
        self.present.iter().map(vanished).collect()
    }

    /// The item was changed.
    pub fn apply_item(&mut self, item: Arc<FileWatch>) {
        self.item = item;
    }

    /// An event of this watch.
    pub fn apply(&mut self, event: &OrderWatchEvent) {
        match event {
            OrderWatchEvent::ExternalOrderAppeared { external_order_name, .. } => {
                self.present.insert(external_order_name.clone());
            }
            OrderWatchEvent::ExternalOrderVanished { external_order_name } => {
                self.present.remove(external_order_name);
            }
            OrderWatchEvent::ExternalOrderRejected { .. } => {}
        }
    }
}

fn appeared(directory: &str, name: &ExternalOrderName) -> OrderWatchEvent {
    let separator = if directory.ends_with('/') { "" } else { "/" };
    let file = Value::string(&format!("{directory}{separator}{name}"));
    let arguments = [("file".into(), file)].into_iter().collect();
    OrderWatchEvent::ExternalOrderAppeared { external_order_name: name.clone(), arguments, order_id: None }
}

fn vanished(name: &ExternalOrderName) -> OrderWatchEvent {
    OrderWatchEvent::ExternalOrderVanished { external_order_name: name.clone() }
}

/// New files which have not been unchanged long enough to be reported. Not recorded: after a restart they are found anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileDelays {
    due_at: BTreeMap<ExternalOrderName, Timestamp>,
    by_time: BTreeSet<(Timestamp, ExternalOrderName)>,
}

impl FileDelays {
    /// A new file was found or changed at this time; it has to rest as long as `delay` from then on.
    pub fn touched(&mut self, name: &ExternalOrderName, at: Timestamp, delay: Duration) {
        self.gone(name);
        self.due_at.insert(name.clone(), at + delay);
        self.by_time.insert((at + delay, name.clone()));
    }

    /// The file is gone, or is reported.
    pub fn gone(&mut self, name: &ExternalOrderName) {
        if let Some(due) = self.due_at.remove(name) {
            self.by_time.remove(&(due, name.clone()));
        }
    }

    /// When the next file has rested long enough.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(due, _)| *due)
    }

    /// Takes out the first file which has rested long enough. To be asked until there is none.
    pub fn take_due(&mut self, now: Timestamp) -> Option<ExternalOrderName> {
        let (due, name) = self.by_time.pop_first()?;
        if due > now {
            self.by_time.insert((due, name));
            return None;
        }
        self.due_at.remove(&name);
        Some(name)
    }
}
