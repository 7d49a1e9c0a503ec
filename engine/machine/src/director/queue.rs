//! Orders waiting for their jobs, and the slots of the jobs.
//!
//! One queue per job, first come first served. Orders whose process runs hold a slot of their job.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use baton_workflow::id::OrderId;
use baton_workflow::model::job::JobKey;

/// All queues and slots.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct JobQueues {
    jobs: BTreeMap<JobKey, Job>,
    /// Of each waiting order its job and its place.
    waiting: BTreeMap<OrderId, (JobKey, u64)>,
    /// Of each order whose process runs its job.
    running: BTreeMap<OrderId, JobKey>,
    places: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Job {
    queue: BTreeMap<u64, OrderId>,
    running: BTreeSet<OrderId>,
}

impl JobQueues {
    /// The order waits for this job, at the end of the queue if it did not before.
    pub(super) fn enqueue(&mut self, id: &OrderId, key: JobKey) {
        if self.waiting.get(id).is_some_and(|(before, _)| *before == key) {
            return;
        }
        self.dequeue(id);
        self.places += 1;
        self.jobs.entry(key.clone()).or_default().queue.insert(self.places, id.clone());
        self.waiting.insert(id.clone(), (key, self.places));
    }

    /// The order waits for no job.
    pub(super) fn dequeue(&mut self, id: &OrderId) {
        if let Some((key, place)) = self.waiting.remove(id) {
            if let Some(job) = self.jobs.get_mut(&key) {
                job.queue.remove(&place);
            }
            self.forget_if_idle(&key);
        }
    }

    /// The process of the order runs.
    pub(super) fn started(&mut self, id: &OrderId, key: JobKey) {
        self.dequeue(id);
        self.jobs.entry(key.clone()).or_default().running.insert(id.clone());
        self.running.insert(id.clone(), key);
    }

    /// The process of the order runs no more. Says of which job.
    pub(super) fn ended(&mut self, id: &OrderId) -> Option<JobKey> {
        let key = self.running.remove(id)?;
        if let Some(job) = self.jobs.get_mut(&key) {
            job.running.remove(id);
        }
        self.forget_if_idle(&key);
        Some(key)
    }

    /// The orders that wait for a job, the first first.
    pub(super) fn waiting_for(&self, key: &JobKey) -> impl Iterator<Item = &OrderId> {
        self.jobs.get(key).into_iter().flat_map(|job| job.queue.values())
    }

    /// How many processes of a job run.
    pub(super) fn running_of(&self, key: &JobKey) -> usize {
        self.jobs.get(key).map_or(0, |job| job.running.len())
    }

    /// How many processes run.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// The jobs for which orders wait.
    pub(super) fn wanted(&self) -> Vec<JobKey> {
        self.jobs.iter().filter(|(_, job)| !job.queue.is_empty()).map(|(key, _)| key.clone()).collect()
    }

    fn forget_if_idle(&mut self, key: &JobKey) {
        if self.jobs.get(key).is_some_and(|job| job.queue.is_empty() && job.running.is_empty()) {
            self.jobs.remove(key);
        }
    }

    /// Panics when slots and processes differ.
    pub(super) fn check(&self, processes: usize) {
        assert_eq!(self.running.len(), processes, "slots in use, processes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_workflow::id::{VersionId, WorkflowId, WorkflowPath};
    use baton_workflow::position::Position;

    fn key(nr: u32) -> JobKey {
        let workflow_id = WorkflowId { path: WorkflowPath::new("W"), version_id: VersionId::new("1") };
        JobKey::Anonymous { workflow_id, position: Position::root(nr) }
    }

    #[test]
    fn first_come_first_served() {
        let mut queues = JobQueues::default();
        let [a, b, c] = ["b", "a", "c"].map(OrderId::new);
        for id in [&a, &b, &c, &a] {
            queues.enqueue(id, key(0));
        }
        assert_eq!(queues.waiting_for(&key(0)).collect::<Vec<_>>(), [&a, &b, &c]);
        queues.started(&a, key(0));
        queues.enqueue(&b, key(1));
        assert_eq!(queues.waiting_for(&key(0)).collect::<Vec<_>>(), [&c]);
        assert_eq!((queues.running_of(&key(0)), queues.running()), (1, 1));
        assert_eq!(queues.wanted(), [key(0), key(1)]);
        assert_eq!(queues.ended(&a), Some(key(0)));
        assert_eq!(queues.ended(&a), None);
        queues.dequeue(&b);
        queues.dequeue(&c);
        assert_eq!(queues, JobQueues { places: queues.places, ..JobQueues::default() });
    }
}
