//! Starting the jobs of orders, and what their ends do.
//!
//! An order at an Execute instruction waits in the queue of its job until the job and the agent have a slot, its admission
//! time has come, and a subagent is there. Then its start is recorded, and the launch follows when that is committed.

use super::Director;
use super::outcome::{self, killed_before_start};
use super::subagent_link::SubagentLink;
use crate::process::{End, ProcessSpec};
use crate::replica::Turn;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use baton_workflow::flow::Flow;
use baton_workflow::id::{OrderId, SubagentBundleId, SubagentId};
use baton_workflow::model::event::Event;
use baton_workflow::model::instruction::Instruction;
use baton_workflow::model::job::{JobKey, WorkflowJob};
use baton_workflow::model::order::{Obstacle, OrderState};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::outcome::Outcome;
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::schedule::{Admission, FIND_LIMIT, Interval};
use baton_workflow::scope::{Host, OrderScope};
use baton_workflow::state::State;
use baton_workflow::state::job_queue::{JobRules, JobStart};
use baton_workflow::state::subagent::{Metering, SubagentSelection, SubagentTarget};
use baton_workflow::step::OrderStep;
use baton_workflow::time::Timestamp;

/// Where the process of an order is going to run.
struct Place {
    subagent_id: SubagentId,
    bundle_id: Option<SubagentBundleId>,
}

/// What is found out about an order that waits for its job.
struct Waiting {
    key: JobKey,
    rules: JobRules,
    forces_admission: bool,
}

impl Director {
    /// The order may wait for its job now, or not any more.
    pub(super) fn line_up(&mut self, turn: Turn<'_>, id: &OrderId) {
        if self.replica.relations().processes.contains_key(id) {
            return;
        }
        match self.wanted_job(turn, id) {
            Some(waiting) => self.queues.enqueue(&waiting.key, waiting.rules, id, waiting.forces_admission),
            None => self.leave_line(id),
        }
    }

    /// The order waits for no job, and has no slot.
    pub(super) fn leave_line(&mut self, id: &OrderId) {
        self.queues.remove(id);
        self.parking.remove(id);
    }

    /// After a restart: the process of the order may still run.
    pub(super) fn recover_slot(&mut self, id: &OrderId) {
        if let Some((flow, job)) = self.job_of(id)
            && let Some(order) = self.replica.state().order(id)
            && let Ok(job_at) = flow.job_at(order.position())
        {
            self.queues.recover_running(&job_at.key, rules(&job), id);
        }
    }

    /// The number of processes that the agent may run; none before it knows itself.
    pub(super) fn refresh_limit(&mut self) {
        let agent = self.agent_path().and_then(|path| self.state().items().agent(path));
        let limit = agent.map_or(Some(0), |agent| agent.process_limit);
        self.queues.set_process_limit(limit);
    }

    fn wanted_job(&self, turn: Turn<'_>, id: &OrderId) -> Option<Waiting> {
        let order = self.state().order(id)?;
        let may_start = order.is_attached()
            && matches!(order.state, OrderState::Fresh | OrderState::Ready)
            && order.mark.is_none()
            && !order.is_suspended_or_stopped()
            && order.delayed_until().is_none_or(|until| until <= turn.around.now)
            && !self.state().is_workflow_suspended(&order.workflow_position.workflow_id.path);
        if !may_start {
            return None;
        }
        let flow = self.state().flow(&order.workflow_position.workflow_id)?;
        let position = order.position();
        let (Instruction::ExecuteNamed { .. } | Instruction::ExecuteAnonymous { .. }) = flow.instruction(position)?
        else {
            return None;
        };
        let job_at = flow.job_at(position).ok()?;
        let is_here = Some(&job_at.job.agent_path) == self.agent_path();
        let (rules, forces_admission) = (rules(job_at.job), order.force_admission);
        is_here.then_some(Waiting { key: job_at.key, rules, forces_admission })
    }

    /// Starts the jobs of all orders that can start now, as far as this step has room. Whether anything was decided.
    pub(super) fn start_jobs(&mut self, turn: Turn<'_>) -> bool {
        if self.is_stopping() {
            self.may_start_more = false;
            return false;
        }
        let before = self.replica.pending_len();
        let now = turn.around.now;
        self.may_start_more = self.replica.room() == 0;
        if core::mem::take(&mut self.may_unpark) {
            loop {
                if self.replica.room() == 0 {
                    self.may_unpark = true;
                    self.may_start_more = true;
                    break;
                }
                let Some((id, selection)) =
                    self.parking.next(&self.replica.relations().subagents, &metering_of(&self.subagents, turn))
                else {
                    break;
                };
                self.replica.count_order();
                self.parking.remove(&id);
                let state = self.replica.state();
                let start = self.queues.admit(&id, now, &|key, now| admission_of(state, key, now));
                if let (Some(start), Some(place)) = (start, Place::of(selection)) {
                    self.start_process(turn, &start, place);
                }
            }
        }
        loop {
            if self.replica.room() == 0 {
                self.may_start_more = true;
                break;
            }
            let state = self.replica.state();
            let next = self.queues.next_start(now, &|key, now| admission_of(state, key, now));
            let Some(start) = next else { break };
            self.replica.count_order();
            match self.target(turn, &start.order_id) {
                Ok((target, _)) => {
                    let subagents = &self.replica.relations().subagents;
                    let selection = subagents.select(&target, &metering_of(&self.subagents, turn));
                    match Place::of(selection) {
                        Some(place) => self.start_process(turn, &start, place),
                        None => self.parking.park(&start.order_id, &target),
                    }
                }
                Err(problem) => self.fail_before_start(turn, &start.order_id, problem),
            }
        }
        self.replica.pending_len() > before
    }

    /// Where the process of an order may run, and whether the order sticks to the subagent then.
    fn target(&self, turn: Turn<'_>, id: &OrderId) -> Checked<(SubagentTarget, bool)> {
        let state = self.replica.state();
        let (Some(order), Some((flow, job))) = (state.order(id), self.job_of(id)) else {
            return Err(Problem::new(format!("Order:{id} has lost its job")));
        };
        let name = match &job.subagent_bundle_id_expr {
            None => None,
            Some(expression) => {
                let zone = &flow.workflow().time_zone;
                let host = Host { controller_id: state.controller_id(), env: turn.around.env, zone };
                Some(expression.eval_to_string(&OrderScope::new(order, &flow, host))?)
            }
        };
        let subagents = &self.replica.relations().subagents;
        subagents.target(&job.agent_path, &self.config.local_subagent, name.as_deref(), order.sticky_subagents.first())
    }

    fn fail_before_start(&mut self, turn: Turn<'_>, id: &OrderId, problem: Problem) {
        self.leave_line(id);
        let step = OrderStep::of(self.replica.state(), turn.around, id);
        let failure = step.map(|step| step.failed(Outcome::disrupted(problem)));
        self.replica.follow(turn, failure.unwrap_or_default(), id.clone());
    }

    fn start_process(&mut self, turn: Turn<'_>, start: &JobStart, place: Place) {
        let id = &start.order_id;
        // It was found a moment ago by the same question.
        let stick = self.target(turn, id).is_ok_and(|(_, stick)| stick);
        if self.state().order(id).is_some_and(|order| order.state == OrderState::Fresh) {
            self.replica.take(turn, Event::Order(id.clone(), OrderEvent::OrderStarted));
        }
        let event = OrderEvent::OrderProcessingStarted {
            subagent_id: Some(place.subagent_id),
            subagent_bundle_id: place.bundle_id,
            stick,
            end_of_admission_period: start.end_of_admission_period,
        };
        self.replica.take(turn, Event::Order(id.clone(), event));
        self.watch_process(turn, id);
        self.launch_again(turn, id);
    }

    /// Launches the process of an order that is recorded as running.
    pub(super) fn launch_again(&mut self, turn: Turn<'_>, id: &OrderId) {
        if self.is_killed_by_mark(id).is_some() {
            return self.processed(turn, id, killed_before_start());
        }
        match self.process_spec(turn, id) {
            Ok(spec) => self.send_spec(turn, id, spec),
            Err(problem) => self.processed(turn, id, Outcome::disrupted(problem)),
        }
    }

    fn send_spec(&mut self, turn: Turn<'_>, id: &OrderId, spec: ProcessSpec) {
        let Some(process) = self.replica.relations().processes.get(id) else { return };
        let (subagent_id, attempt) = (process.subagent_id.clone(), process.attempt(id));
        self.send_launch(turn, &subagent_id, attempt, spec);
    }

    pub(super) fn process_has_ended(&mut self, turn: Turn<'_>, id: &OrderId, end: &End) {
        let outcome = match (self.job_of(id), self.state().order(id)) {
            (Some((_, job)), Some(order)) => outcome::of_end(&job, order, end),
            _ => Outcome::disrupted(Problem::new("The job of the process is not known any more")),
        };
        self.processed(turn, id, outcome);
    }

    pub(super) fn process_is_lost(&mut self, turn: Turn<'_>, id: &OrderId, problem: Problem) {
        let job = self.job_of(id).map(|(_, job)| job);
        let Some(order) = self.state().order(id) else { return };
        let outcome = outcome::of_loss(job.as_deref(), order, problem);
        self.processed(turn, id, outcome);
    }

    /// The subagent says that the process never ran.
    pub(super) fn process_is_not_started(&mut self, turn: Turn<'_>, id: &OrderId, problem: Problem) {
        self.processed(turn, id, outcome::not_started(problem));
    }

    fn processed(&mut self, turn: Turn<'_>, id: &OrderId, outcome: Outcome) {
        self.replica.take(turn, Event::Order(id.clone(), OrderEvent::OrderProcessed { outcome }));
    }

    /// Why an order makes no step, as far as is known here.
    #[must_use]
    pub fn obstacles(&self, id: &OrderId, now: Timestamp) -> Vec<Obstacle> {
        let Some(order) = self.state().order(id) else { return Vec::new() };
        let mut obstacles = self.state().obstacles(order, now);
        obstacles.extend(self.queues.obstacles(id));
        obstacles
    }

    /// The job at the order's position.
    pub(super) fn job_of(&self, id: &OrderId) -> Option<(Arc<Flow>, Arc<WorkflowJob>)> {
        let order = self.state().order(id)?;
        let flow = self.state().flow(&order.workflow_position.workflow_id)?;
        let job = flow.job_at(order.position()).ok()?.job.clone();
        Some((flow.clone(), job))
    }
}

impl Place {
    fn of(selection: SubagentSelection) -> Option<Self> {
        match selection {
            SubagentSelection::Selected { subagent_id, subagent_bundle_id } => {
                Some(Self { subagent_id, bundle_id: subagent_bundle_id })
            }
            SubagentSelection::Wait(_) => None,
        }
    }
}

/// What is known of the machines of the subagents now.
fn metering_of(
    subagents: &BTreeMap<SubagentId, SubagentLink>,
    turn: Turn<'_>,
) -> impl Fn(&SubagentId) -> Option<Metering> {
    move |id| subagents.get(id).and_then(|subagent| subagent.metering(turn.now.instant))
}

fn rules(job: &WorkflowJob) -> JobRules {
    JobRules { process_limit: job.process_limit, has_admission_times: job.admission_time_scheme.is_some() }
}

/// The admission interval of a job that has not ended at a time.
fn admission_of(state: &State, key: &JobKey, now: Timestamp) -> Option<Interval> {
    let (JobKey::Named { workflow_id, .. } | JobKey::Anonymous { workflow_id, .. }) = key;
    let flow = state.flow(workflow_id)?;
    let job = match key {
        JobKey::Named { block, name, .. } => flow.named_job(block, name)?.0,
        JobKey::Anonymous { position, .. } => flow.job_at(position).ok()?.job,
    };
    let scheme = job.admission_time_scheme.as_ref()?;
    Admission::new(scheme, &flow.workflow().time_zone).find_long_time_interval(now, FIND_LIMIT)
}
