//! Starting the jobs of orders, and what their ends do.
//!
//! An order at an Execute instruction waits in the queue of its job until the job and the agent have a slot, its admission
//! time has come, and a subagent is there. Then its start is recorded, and the launch follows when that is committed.

use super::outcome::{self, killed_before_start};
use super::{Alarm, Director};
use crate::process::{End, ProcessSpec};
use crate::replica::Turn;
use alloc::sync::Arc;
use baton_workflow::flow::Flow;
use baton_workflow::id::{OrderId, SubagentBundleId, SubagentId};
use baton_workflow::model::event::Event;
use baton_workflow::model::instruction::Instruction;
use baton_workflow::model::job::{JobKey, WorkflowJob};
use baton_workflow::model::order::{Order, OrderState};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::outcome::Outcome;
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::schedule::{Admission, FIND_LIMIT};
use baton_workflow::scope::{Host, OrderScope};
use baton_workflow::state::subagent::SubagentSelection;
use baton_workflow::step::OrderStep;
use baton_workflow::time::Timestamp;

/// Whether an order may start its job now.
enum Start {
    /// Here, until the end of its admission period.
    Now(Place, Option<Timestamp>),
    /// Not this one, but another may.
    NotThisOne,
    /// None at present.
    None,
}

struct Place {
    subagent_id: SubagentId,
    bundle_id: Option<SubagentBundleId>,
    stick: bool,
}

impl Director {
    /// The job that the order waits for.
    pub(super) fn wanted_job(&self, turn: Turn<'_>, order: &Order) -> Option<JobKey> {
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
        (Some(&job_at.job.agent_path) == self.agent_path()).then_some(job_at.key)
    }

    /// Starts what may be started of the jobs which may have changed. Whether anything was decided.
    pub(super) fn start_jobs(&mut self, turn: Turn<'_>) -> bool {
        let before = self.replica.pending_len();
        for key in core::mem::take(&mut self.dirty) {
            self.start_job(turn, &key);
        }
        self.replica.pending_len() > before
    }

    /// The agent or its subagents may take more: all jobs may have orders to start.
    pub(super) fn all_jobs_may_start(&mut self) {
        self.dirty.extend(self.queues.wanted());
    }

    fn start_job(&mut self, turn: Turn<'_>, key: &JobKey) {
        let waiting: alloc::vec::Vec<OrderId> = self.queues.waiting_for(key).cloned().collect();
        for id in waiting {
            let Some((flow, job)) = self.job_of(&id) else { continue };
            if !self.has_slot(key, &job) {
                return;
            }
            match self.decide_start(turn, key, &id, &flow, &job) {
                Ok(Start::Now(place, end)) => self.start_process(turn, key, &id, place, end),
                Ok(Start::NotThisOne) => {}
                Ok(Start::None) => return,
                Err(problem) => {
                    self.queues.dequeue(&id);
                    let step = OrderStep::of(self.replica.state(), turn.around, &id);
                    let failure = step.map(|step| step.failed(Outcome::disrupted(problem)));
                    for event in failure.unwrap_or_default() {
                        self.replica.take(turn, event);
                    }
                    self.replica.steps(turn, [id]);
                }
            }
        }
    }

    fn has_slot(&self, key: &JobKey, job: &WorkflowJob) -> bool {
        let limit =
            self.agent_path().and_then(|path| self.state().items().agent(path)).map(|agent| agent.process_limit);
        let limit = match limit {
            None => 0,
            Some(None) => usize::MAX,
            Some(Some(limit)) => limit as usize,
        };
        self.queues.running() < limit && self.queues.running_of(key) < job.process_limit as usize
    }

    fn decide_start(
        &mut self,
        turn: Turn<'_>,
        key: &JobKey,
        id: &OrderId,
        flow: &Flow,
        job: &WorkflowJob,
    ) -> Checked<Start> {
        let Some(order) = self.replica.state().order(id) else { return Ok(Start::NotThisOne) };
        let mut end = None;
        if let Some(scheme) = job.admission_time_scheme.as_ref().filter(|_| !order.force_admission) {
            let admission = Admission::new(scheme, &flow.workflow().time_zone);
            match admission.find_long_time_interval(turn.around.now, FIND_LIMIT) {
                Some(interval) if interval.start <= turn.around.now => {
                    end = job.kill_at_end_of_admission_period.then_some(interval.end);
                }
                found => {
                    // Orders which ignore admission times may be behind.
                    self.alarms.set(Alarm::Job(key.clone()), found.map(|interval| interval.start));
                    return Ok(Start::NotThisOne);
                }
            }
        }
        let name = match &job.subagent_bundle_id_expr {
            None => None,
            Some(expression) => {
                let host = Host {
                    controller_id: self.replica.state().controller_id(),
                    env: turn.around.env,
                    zone: &flow.workflow().time_zone,
                };
                Some(expression.eval_to_string(&OrderScope::new(order, flow, host))?)
            }
        };
        let subagents = &self.replica.relations().subagents;
        let (target, stick) = subagents.target(&job.agent_path, name.as_deref(), order.sticky_subagents.first())?;
        Ok(match subagents.select(&target, &|_| None) {
            // After a restart the state says what was. What is, shows within the time that coupling takes.
            SubagentSelection::Selected { subagent_id, .. } if !self.is_coupled_with(&subagent_id) => Start::NotThisOne,
            SubagentSelection::Selected { subagent_id, subagent_bundle_id } => {
                Start::Now(Place { subagent_id, bundle_id: subagent_bundle_id, stick }, end)
            }
            SubagentSelection::Wait(_) if name.is_some() || stick => Start::NotThisOne,
            SubagentSelection::Wait(_) => Start::None,
        })
    }

    fn start_process(&mut self, turn: Turn<'_>, key: &JobKey, id: &OrderId, place: Place, end: Option<Timestamp>) {
        let is_fresh = self.state().order(id).is_some_and(|order| order.state == OrderState::Fresh);
        if is_fresh {
            self.replica.take(turn, Event::Order(id.clone(), OrderEvent::OrderStarted));
        }
        let event = OrderEvent::OrderProcessingStarted {
            subagent_id: Some(place.subagent_id),
            subagent_bundle_id: place.bundle_id,
            stick: place.stick,
            end_of_admission_period: end,
        };
        self.replica.take(turn, Event::Order(id.clone(), event));
        self.queues.started(id, key.clone());
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

    fn processed(&mut self, turn: Turn<'_>, id: &OrderId, outcome: Outcome) {
        self.replica.take(turn, Event::Order(id.clone(), OrderEvent::OrderProcessed { outcome }));
    }

    /// The key of the job at the order's position.
    pub(super) fn job_key_of(&self, id: &OrderId) -> Option<JobKey> {
        let order = self.state().order(id)?;
        let flow = self.state().flow(&order.workflow_position.workflow_id)?;
        flow.job_at(order.position()).ok().map(|job_at| job_at.key)
    }

    /// The job at the order's position.
    pub(super) fn job_of(&self, id: &OrderId) -> Option<(Arc<Flow>, Arc<WorkflowJob>)> {
        let order = self.state().order(id)?;
        let flow = self.state().flow(&order.workflow_position.workflow_id)?;
        let job = flow.job_at(order.position()).ok()?.job.clone();
        Some((flow.clone(), job))
    }
}
