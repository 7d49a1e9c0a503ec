//! The lease: by when the program must be heard of again, or all that it has started is killed.
//!
//! A program that was stopped (SIGSTOP, a debugger, a machine that was suspended) keeps its socket, so its end is not seen; but
//! others take what it runs for dead when its lease is over, and start it elsewhere. So the guard sees to it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::super::cgroup::Group;
use super::super::clock;
use super::registry::Registry;
use super::tree;

/// At most so many passes are made over what runs, should something breed as fast as it is killed. The next lease ends, too.
const MAX_PASSES: u32 = 1_000;

/// Pause between two of them.
const PAUSE: Duration = Duration::from_millis(2);

/// So often the clock is looked at: waiting does not count the time for which the machine was suspended.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Lease {
    /// By [`clock::boot`].
    until: Mutex<Option<Duration>>,
    renewed: Condvar,
}

impl Lease {
    /// The program lives, and wants this.
    pub(super) fn renew(&self, until: Duration) {
        let was_off = self.lock().replace(until).is_none();
        if was_off {
            self.renewed.notify_one();
        }
    }

    /// Kills what runs when the lease is over; for ever.
    pub(super) fn run(&self, registry: &Registry, group: Option<&Group>) {
        let mut until = self.lock();
        loop {
            let left = until.map(|until| until.saturating_sub(clock::boot()));
            until = match left {
                None => self.renewed.wait(until).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    *until = None;
                    drop(until);
                    kill_everything(registry, group);
                    self.lock()
                }
                Some(left) => {
                    self.renewed.wait_timeout(until, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Duration>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything below the guard, wherever it hides.
fn kill_everything(registry: &Registry, group: Option<&Group>) {
    if let Some(group) = group {
        group.kill_others();
    }
    for _ in 0..MAX_PASSES {
        registry.kill_all();
        let children = tree::own_children();
        if children.is_empty() {
            return;
        }
        // What a killed process leaves behind becomes our child.
        for child in children {
            tree::kill(child);
        }
        thread::sleep(PAUSE);
    }
}
