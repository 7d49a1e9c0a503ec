//! Kills what killed processes left behind: descendants that left the process group before their parent died.
//!
//! They have become children of the guard, strangers to it. Whose they are tells their environment (see
//! [`Marker`]). All processes killed meanwhile are swept for in one pass over the strangers, so that
//! killing many costs little more than killing one. A process that cleared its environment *and* left its parents is not
//! recognised; it lives until the guard ends.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::super::wire::ProcessId;
use super::registry::Registry;
use super::tree::{self, Marker};

/// How many passes must find nothing before a process counts as swept. Between two of them a child that was being born
/// during the first has shown up.
const CLEAN_PASSES: u32 = 2;

/// At most so many passes for one set of processes: something that breeds faster must not keep the others waiting.
const MAX_PASSES: u32 = 200;

/// Pause between two passes.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) struct Sweeper {
    registry: Arc<Registry>,
    marker: Marker,
    condemned: Mutex<BTreeSet<ProcessId>>,
    added: Condvar,
}

impl Sweeper {
    pub(super) fn new(registry: Arc<Registry>, marker: Marker) -> Self {
        Self { registry, marker, condemned: Mutex::default(), added: Condvar::new() }
    }

    /// Has everything killed that the process has left behind.
    pub(super) fn condemn(&self, id: ProcessId) {
        self.lock().insert(id);
        self.added.notify_one();
    }

    /// Sweeps for ever.
    pub(super) fn run(&self) {
        loop {
            let mut condemned = self.lock();
            while condemned.is_empty() {
                condemned = self.added.wait(condemned).unwrap_or_else(PoisonError::into_inner);
            }
            let ids = std::mem::take(&mut *condemned);
            drop(condemned);
            let mut clean = 0;
            for _ in 0..MAX_PASSES {
                thread::sleep(PAUSE);
                clean = if self.pass(&ids) { 0 } else { clean + 1 };
                if clean == CLEAN_PASSES {
                    break;
                }
            }
        }
    }

    /// Kills the strangers of these processes; returns whether there were any.
    fn pass(&self, ids: &BTreeSet<ProcessId>) -> bool {
        let mut found = false;
        for stranger in self.registry.strangers() {
            if self.marker.read(stranger).is_some_and(|id| ids.contains(&id)) {
                for descendant in tree::descendants(stranger) {
                    tree::kill(descendant);
                }
                tree::kill(stranger);
                found = true;
            }
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<ProcessId>> {
        self.condemned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
