//! Orders which wait at the jobs of an agent for the start of their process.
//!
//! A process needs a slot of its job and a slot of the agent, and admission. At each job whoever came first is served
//! first, and so it is among jobs when slots of the agent are scarce. An order which forces admission may pass the
//! others while admission is closed. An order holds its slots from when it is taken out of the line until its process has
//! ended, so also while it waits for a subagent.
//!
//! Time comes in as a value; when admission is open is asked only when it may have changed. Nothing looks at all
//! waiting orders: every operation costs the logarithm of their number.

mod parking;

pub use parking::Parking;

use crate::id::OrderId;
use crate::model::job::JobKey;
use crate::model::order::Obstacle;
use crate::problem::{Checked, Problem};
use crate::schedule::{FIND_LIMIT, Interval};
use crate::time::Timestamp;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What a job says about its starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobRules {
    /// How many processes of the job may run at a time.
    pub process_limit: u32,
    /// Whether the job has an admission time scheme.
    pub has_admission_times: bool,
}

/// An order which can start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStart {
    /// The order.
    pub order_id: OrderId,
    /// Its job.
    pub job_key: Arc<JobKey>,
    /// When its admission period ends; absent when there is none, also for an order which forced admission.
    pub end_of_admission_period: Option<Timestamp>,
}

/// Tells the admission interval of a job which has not ended at a time, glued with those which follow without a gap
/// ([`crate::schedule::Admission::find_long_time_interval`]); `None` when there is none.
pub type AdmissionOf<'a> = &'a dyn Fn(&JobKey, Timestamp) -> Option<Interval>;

/// What was found out about the admission of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Window {
    /// When it was found out.
    since: Timestamp,
    start: Timestamp,
    end: Timestamp,
    /// Whether it had begun then.
    is_open: bool,
}

impl Window {
    fn new(now: Timestamp, interval: Option<Interval>) -> Self {
        // Without an interval within the limit, look again then.
        let interval = interval.unwrap_or(Interval { start: now + FIND_LIMIT, end: Timestamp::MAX });
        Self { since: now, start: interval.start, end: interval.end, is_open: interval.contains(now) }
    }

    fn is_valid(self, now: Timestamp) -> bool {
        self.since <= now && now < if self.is_open { self.end } else { self.start }
    }
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Job {
    rules: JobRules,
    running: u32,
    /// By ticket.
    waiting: BTreeMap<u64, OrderId>,
    /// Those of `waiting` which force admission.
    forced: BTreeSet<u64>,
    window: Option<Window>,
    /// Where it is listed in [`JobQueues::startable`].
    listed: Option<u64>,
    /// Where it is listed in [`JobQueues::openings`].
    opening: Option<Timestamp>,
}

/// Where an order is.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Standing {
    job_key: Arc<JobKey>,
    ticket: u64,
    forces_admission: bool,
    has_slots: bool,
}

/// The queues of all jobs of an agent.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct JobQueues {
    process_limit: Option<u32>,
    running: u32,
    next_ticket: u64,
    jobs: BTreeMap<Arc<JobKey>, Job>,
    orders: BTreeMap<OrderId, Standing>,
    /// Jobs which can start an order as soon as the agent has a slot, as far as known, by the ticket of their first order.
    startable: BTreeMap<u64, Arc<JobKey>>,
    /// When to look again at jobs whose admission is closed.
    openings: BTreeSet<(Timestamp, Arc<JobKey>)>,
}

impl JobQueues {
    /// Sets how many processes may run at the agent; `None`: any number. Ends nothing.
    pub fn set_process_limit(&mut self, process_limit: Option<u32>) {
        self.process_limit = process_limit;
    }

    /// How many orders hold a slot.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.running
    }

    /// How many processes may run at the agent; none: any number.
    #[must_use]
    pub fn process_limit(&self) -> Option<u32> {
        self.process_limit
    }

    /// How many orders wait for a slot, at all jobs.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.orders.len().saturating_sub(self.running as usize)
    }

    /// How many orders wait at a job.
    #[must_use]
    pub fn waiting_at(&self, job_key: &JobKey) -> usize {
        self.jobs.get(job_key).map_or(0, |job| job.waiting.len())
    }

    /// Whether the order waits or holds a slot.
    #[must_use]
    pub fn contains(&self, order_id: &OrderId) -> bool {
        self.orders.contains_key(order_id)
    }

    /// Puts an order at the end of the line of its job. No effect if it waits or holds a slot already.
    pub fn enqueue(&mut self, job_key: &JobKey, rules: JobRules, order_id: &OrderId, forces_admission: bool) {
        if self.orders.contains_key(order_id) {
            return;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let job_key = self.open_job(job_key, rules);
        let standing = Standing { job_key: job_key.clone(), ticket, forces_admission, has_slots: false };
        self.orders.insert(order_id.clone(), standing);
        self.line_up(order_id, ticket, forces_admission, &job_key);
    }

    /// An order whose process runs already, as found by a recovery: takes slots even beyond the limits.
    pub fn recover_running(&mut self, job_key: &JobKey, rules: JobRules, order_id: &OrderId) {
        if self.orders.contains_key(order_id) {
            return;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let job_key = self.open_job(job_key, rules);
        self.running += 1;
        if let Some(job) = self.jobs.get_mut(&job_key) {
            job.running += 1;
        }
        self.relist(&job_key);
        self.orders.insert(order_id.clone(), Standing { job_key, ticket, forces_admission: false, has_slots: true });
    }

    /// The next order which can start now. It has its slots then. To be asked until there is none.
    #[must_use]
    pub fn next_start(&mut self, now: Timestamp, admission_of: AdmissionOf<'_>) -> Option<JobStart> {
        while let Some((time, job_key)) = self.openings.first()
            && *time <= now
        {
            let job_key = job_key.clone();
            if let Some(job) = self.jobs.get_mut(&job_key) {
                job.window = None;
            }
            self.relist(&job_key);
        }
        if self.process_limit.is_some_and(|limit| self.running >= limit) {
            return None;
        }
        loop {
            let job_key = self.startable.first_key_value()?.1.clone();
            let job = self.jobs.get_mut(&job_key)?;
            if job.look(now, &job_key, admission_of) {
                self.relist(&job_key);
                continue;
            }
            let ticket = job.listed?;
            let order_id = job.waiting.remove(&ticket)?;
            job.forced.remove(&ticket);
            job.running += 1;
            self.running += 1;
            let end_of_admission_period = job.open_window().map(|window| window.end);
            if let Some(standing) = self.orders.get_mut(&order_id) {
                standing.has_slots = true;
            }
            self.relist(&job_key);
            return Some(JobStart { order_id, job_key, end_of_admission_period });
        }
    }

    /// For an order which holds slots but has not started (it waited for a subagent): when its admission period ends, or that it
    /// must not start now; then it gives its slots back and is in the line again, where it was.
    pub fn admit(&mut self, order_id: &OrderId, now: Timestamp, admission_of: AdmissionOf<'_>) -> Option<JobStart> {
        let standing = self.orders.get(order_id)?.clone();
        let job = self.jobs.get_mut(&standing.job_key)?;
        let has_changed = job.look(now, &standing.job_key, admission_of);
        let window = job.open_window();
        let is_admitted = window.is_some() || !job.rules.has_admission_times || standing.forces_admission;
        if has_changed {
            self.relist(&standing.job_key);
        }
        // The limit of the agent may have been lowered meanwhile.
        if is_admitted && self.process_limit.is_none_or(|limit| self.running <= limit) {
            let end_of_admission_period = window.map(|window| window.end);
            return Some(JobStart { order_id: order_id.clone(), job_key: standing.job_key, end_of_admission_period });
        }
        self.give_back_slots(&standing.job_key);
        if let Some(standing) = self.orders.get_mut(order_id) {
            standing.has_slots = false;
        }
        self.line_up(order_id, standing.ticket, standing.forces_admission, &standing.job_key);
        None
    }

    /// The order waits no more, or its process has ended. No effect if it is not here.
    pub fn remove(&mut self, order_id: &OrderId) {
        let Some(standing) = self.orders.remove(order_id) else { return };
        if standing.has_slots {
            self.give_back_slots(&standing.job_key);
        } else if let Some(job) = self.jobs.get_mut(&standing.job_key) {
            job.waiting.remove(&standing.ticket);
            job.forced.remove(&standing.ticket);
        }
        self.relist(&standing.job_key);
    }

    /// When admission opens next for orders which wait.
    #[must_use]
    pub fn next_opening(&self) -> Option<Timestamp> {
        self.openings.first().map(|(time, _)| *time)
    }

    /// The clock was set back: admission is to be looked at anew. Costs a look at each job with waiting orders.
    pub fn look_again(&mut self) {
        let job_keys: Vec<Arc<JobKey>> = self.jobs.keys().cloned().collect();
        for job_key in job_keys {
            if let Some(job) = self.jobs.get_mut(&job_key) {
                job.window = None;
            }
            self.relist(&job_key);
        }
    }

    /// Why an order waits, as far as is known. Nothing when it does not wait.
    #[must_use]
    pub fn obstacles(&self, order_id: &OrderId) -> Vec<Obstacle> {
        let Some(standing) = self.orders.get(order_id).filter(|standing| !standing.has_slots) else {
            return Vec::new();
        };
        let Some(job) = self.jobs.get(&standing.job_key) else { return Vec::new() };
        let mut obstacles = Vec::new();
        if let Some(window) = job.window
            && !window.is_open
            && !standing.forces_admission
        {
            obstacles.push(Obstacle::WaitingForAdmission { until: window.start });
        }
        if job.running >= job.rules.process_limit {
            obstacles.push(Obstacle::JobProcessLimitReached { process_limit: Some(job.rules.process_limit) });
        }
        if self.process_limit.is_some_and(|limit| self.running >= limit) {
            obstacles.push(Obstacle::AgentProcessLimitReached);
        }
        obstacles
    }

    /// What must hold at any time; else what does not.
    ///
    /// # Errors
    /// An index disagrees with what it was made of.
    pub fn check(&self) -> Checked<()> {
        let (mut waiting, mut running) = (0, 0);
        for (job_key, job) in &self.jobs {
            waiting += job.waiting.len();
            running += job.running;
            let is_listed = job.listed.is_none_or(|ticket| self.startable.get(&ticket) == Some(job_key));
            let is_to_open = job.opening.is_none_or(|time| self.openings.contains(&(time, job_key.clone())));
            if !is_listed || !is_to_open || !job.forced.iter().all(|ticket| job.waiting.contains_key(ticket)) {
                return Err(Problem::new(format!("The queue of {job_key:?} is inconsistent")));
            }
        }
        let listed = self.jobs.values().filter(|job| job.listed.is_some()).count();
        let opening = self.jobs.values().filter(|job| job.opening.is_some()).count();
        if running != self.running
            || waiting + running as usize != self.orders.len()
            || listed != self.startable.len()
            || opening != self.openings.len()
        {
            return Err(Problem::new("The indexes of the job queues are inconsistent"));
        }
        Ok(())
    }

    fn open_job(&mut self, job_key: &JobKey, rules: JobRules) -> Arc<JobKey> {
        if let Some((job_key, _)) = self.jobs.get_key_value(job_key) {
            let job_key = job_key.clone();
            if let Some(job) = self.jobs.get_mut(&job_key) {
                job.rules = rules;
            }
            return job_key;
        }
        let job_key = Arc::new(job_key.clone());
        let job = Job {
            rules,
            running: 0,
            waiting: BTreeMap::new(),
            forced: BTreeSet::new(),
            window: None,
            listed: None,
            opening: None,
        };
        self.jobs.insert(job_key.clone(), job);
        job_key
    }

    fn line_up(&mut self, order_id: &OrderId, ticket: u64, forces_admission: bool, job_key: &Arc<JobKey>) {
        if let Some(job) = self.jobs.get_mut(job_key) {
            job.waiting.insert(ticket, order_id.clone());
            if forces_admission {
                job.forced.insert(ticket);
            }
        }
        self.relist(job_key);
    }

    fn give_back_slots(&mut self, job_key: &Arc<JobKey>) {
        self.running -= 1;
        if let Some(job) = self.jobs.get_mut(job_key) {
            job.running -= 1;
        }
    }

    /// Puts a job where it belongs in the indexes, and forgets one with nothing to do.
    fn relist(&mut self, job_key: &Arc<JobKey>) {
        let Some(job) = self.jobs.get_mut(job_key) else { return };
        let (listed, opening) = job.places();
        if let Some(ticket) = job.listed {
            self.startable.remove(&ticket);
        }
        if let Some(ticket) = listed {
            self.startable.insert(ticket, job_key.clone());
        }
        if let Some(time) = job.opening {
            self.openings.remove(&(time, job_key.clone()));
        }
        if let Some(time) = opening {
            self.openings.insert((time, job_key.clone()));
        }
        (job.listed, job.opening) = (listed, opening);
        if job.waiting.is_empty() && job.running == 0 {
            self.jobs.remove(job_key);
        }
    }
}

impl Job {
    /// Finds out about admission, if that is not known for now. Whether something new was found out.
    fn look(&mut self, now: Timestamp, job_key: &JobKey, admission_of: AdmissionOf<'_>) -> bool {
        if !self.rules.has_admission_times || self.window.is_some_and(|window| window.is_valid(now)) {
            return false;
        }
        self.window = Some(Window::new(now, admission_of(job_key, now)));
        true
    }

    fn open_window(&self) -> Option<Window> {
        self.window.filter(|window| window.is_open)
    }

    /// The ticket of the order to start next, and when to look at admission again.
    fn places(&self) -> (Option<u64>, Option<Timestamp>) {
        let closed = self.window.filter(|window| !window.is_open);
        let first = match closed {
            None => self.waiting.first_key_value().map(|(ticket, _)| *ticket),
            Some(_) => self.forced.first().copied(),
        };
        let opening = closed.filter(|_| !self.waiting.is_empty()).map(|window| window.start);
        (first.filter(|_| self.running < self.rules.process_limit), opening)
    }
}

#[cfg(test)]
mod tests;
