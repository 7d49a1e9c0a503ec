//! What a node's events say about its relations to other nodes: who belongs to whom, up to where each has heard the other,
//! and what is on its way between them. Folded like the state, and part of the same image.

use crate::answers::{Answers, Progress};
use crate::attempt::{Attempt, RunId};
use crate::codec::{Stamped, epoch, event_id};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::record::Epoch;
use baton_workflow::id::{AgentPath, ControllerId, OrderId, SubagentId, WorkflowId};
use baton_workflow::model::event::{AgentEvent, Event, NodeEvent, SubagentEvent};
use baton_workflow::model::instruction::Instruction;
use baton_workflow::model::item::Item;
use baton_workflow::model::key::ItemKey;
use baton_workflow::model::operation::ItemEvent;
use baton_workflow::model::order::{AttachedState, OrderMark, OrderState};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::problem::Problem;
use baton_workflow::state::State;
use baton_workflow::state::subagent::{SubagentState, Subagents};
use baton_workflow::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The relations of a controller or a director.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Relations {
    /// Identifies the journal; empty before its first event.
    pub journal_id: String,
    /// Of a director: whom it belongs to.
    pub dedication: Option<Dedication>,
    /// Of a director: the highest epoch of its controller. A lower one is not obeyed.
    #[serde(with = "epoch")]
    pub superior_epoch: Epoch,
    /// Of a director: the event that began its present identity; zero for the first.
    #[serde(with = "event_id")]
    pub begin: EventId,
    /// Of a director: the controller has adopted its events until here, at least.
    #[serde(with = "event_id")]
    pub released: EventId,
    /// Of a controller: its agents.
    pub agents: BTreeMap<AgentPath, AgentRelation>,
    /// Of a director: its subagents. Of a controller: what it has heard of them.
    pub subagents: Subagents,
    /// The events since which subagents are reachable, or not.
    pub subagents_since: BTreeMap<SubagentId, u64>,
    /// The addresses of the runs of subagents which the director knows.
    pub run_addresses: BTreeMap<SubagentId, String>,
    /// Of a director: the processes which it takes for running.
    pub processes: BTreeMap<OrderId, RunningProcess>,
    /// Of a director: the orders which stand at a job and have not started it, and the events since which they do.
    pub at_jobs: BTreeMap<OrderId, u64>,
    /// Of a controller: the commands which are being carried out in parts, by the event with which they began.
    pub commands: BTreeMap<u64, BegunCommand>,
    /// Of a controller: the answers to commands which have an id.
    pub answers: Answers,
    /// Of a node of a pair: what its journal says about the pair.
    pub cluster: Cluster,
}

/// What a journal says about the pair that keeps it. Who may write it is decided elsewhere; this is for readers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The active node; empty while it was never one of a pair.
    pub active_id: String,
    /// Whether the standby has everything.
    pub is_coupled: bool,
    /// Whether the active has stopped on purpose.
    pub is_shut_down: bool,
    /// The watch; empty while there is none.
    pub watch_id: String,
}

/// A command that is being carried out in parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BegunCommand {
    /// The command, in JSON.
    pub command: String,
    /// The last order for which it is done.
    pub until: Option<OrderId>,
}

/// Whom a director belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dedication {
    /// The agent.
    pub agent_path: AgentPath,
    /// The controller.
    pub controller_id: ControllerId,
    /// Identifies the controller's journal.
    pub controller_run_id: String,
    /// Identifies the journal of the agent.
    pub agent_run_id: String,
}

/// An agent, seen from the controller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentRelation {
    /// Identifies the agent's journal, once the agent is dedicated to this controller.
    pub run_id: Option<String>,
    /// The last event of the agent that was adopted.
    #[serde(with = "event_id")]
    pub adopted: EventId,
    /// Whether it was coupled at last, and not shut down since.
    pub is_coupled: bool,
    /// Why it cannot be reached now.
    pub problem: Option<Problem>,
    /// The event since which it is reachable, or not.
    #[serde(with = "event_id")]
    pub since: EventId,
    /// Whether it is to be reset; and then, whether by force.
    pub resetting: Option<bool>,
    /// What is on its way to the agent.
    pub transit: Transit,
    /// Of an agent with two directors: what the controller as their cluster watch has voted, in hexadecimal digits.
    pub vote: Option<String>,
}

/// What is on its way from a controller to an agent, with the events which caused it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transit {
    /// Items to be handed over or taken back.
    pub items: BTreeMap<ItemKey, u64>,
    /// Orders to be handed over, by workflow.
    pub attaching: BTreeMap<WorkflowId, BTreeMap<OrderId, u64>>,
    /// Orders to be taken back.
    pub detaching: BTreeMap<OrderId, u64>,
    /// Subagents to be reset, and whether by force.
    pub resets: BTreeMap<SubagentId, (u64, bool)>,
    /// Marks which the agent does not know yet.
    pub marks: BTreeMap<OrderId, (u64, OrderMark)>,
}

/// A process that is taken for running.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunningProcess {
    /// The event that started it.
    #[serde(with = "event_id")]
    pub number: EventId,
    /// The epoch of that event.
    #[serde(with = "epoch")]
    pub epoch: Epoch,
    /// Where it runs.
    pub subagent_id: SubagentId,
    /// When it was started.
    pub started: Timestamp,
    /// When it is ended because its admission period is over.
    pub end_of_admission: Option<Timestamp>,
}

impl RunningProcess {
    /// Its name at the subagent.
    #[must_use]
    pub fn attempt(&self, order_id: &OrderId) -> Attempt {
        Attempt { number: self.number, epoch: self.epoch, order_id: order_id.clone() }
    }
}

impl Relations {
    /// The orders whose processes run at a subagent.
    #[must_use]
    pub fn processes_of(&self, subagent_id: &SubagentId) -> Vec<OrderId> {
        self.subagents.get(subagent_id).map(|subagent| subagent.orders().cloned().collect()).unwrap_or_default()
    }

    /// The run of a subagent which the director knows, and the number of the last of its reports in the journal.
    #[must_use]
    pub fn run_of(&self, subagent_id: &SubagentId) -> Option<(RunId, u64)> {
        let subagent = self.subagents.get(subagent_id)?;
        let run_id = RunId::parse(subagent.run_id()?)?;
        Some((run_id, event_id_of(subagent.event_id()).0))
    }

    /// Where a subagent is to be dialled: where its item says; but as long as processes are taken for running which were started
    /// at another address, there. What another run says, at the new address, proves nothing about them.
    #[must_use]
    pub fn address_of(&self, subagent_id: &SubagentId) -> Option<&str> {
        let subagent = self.subagents.get(subagent_id)?;
        let run = self.run_addresses.get(subagent_id).filter(|_| subagent.process_count() > 0);
        Some(run.unwrap_or(&subagent.item().uri))
    }

    /// Whether a subagent is moving: its item says another address than the one where its processes run.
    #[must_use]
    pub fn is_moving(&self, subagent_id: &SubagentId) -> bool {
        let subagent = self.subagents.get(subagent_id);
        subagent.is_some_and(|subagent| self.address_of(subagent_id) != Some(&subagent.item().uri))
    }

    /// What is on its way to an agent.
    #[must_use]
    pub fn transit(&self, agent: &AgentPath) -> Option<&Transit> {
        self.agents.get(agent).map(|agent| &agent.transit)
    }

    /// Folds an event which has been applied to the state. `epoch` is that of its record.
    pub(crate) fn apply(&mut self, state: &State, epoch: Epoch, stamped: &Stamped) {
        match &stamped.event {
            Event::Node(event) => self.apply_node_event(stamped.event_id, event),
            Event::Agent(path, event) => self.agents.entry(path.clone()).or_default().apply(stamped.event_id, event),
            Event::Subagent(id, event) => self.apply_subagent_event(stamped.event_id, id, event),
            Event::Item(event) => self.apply_item_event(stamped.event_id, event),
            Event::Order(id, event) => {
                self.apply_process_event(epoch, stamped, id, event);
                self.apply_job_event(state, stamped.event_id, id, event);
                self.apply_transit_event(state, stamped.event_id, id, event);
            }
            Event::Board(..) | Event::Plan(..) | Event::PlanSchema(..) | Event::OrderWatch(..) => {}
        }
    }

    fn apply_subagent_event(&mut self, event_id: EventId, id: &SubagentId, event: &SubagentEvent) {
        let is_reachable = |subagents: &Subagents| subagents.get(id).map(SubagentState::is_reachable);
        let before = is_reachable(&self.subagents);
        self.subagents.apply(id, event);
        let after = is_reachable(&self.subagents);
        self.apply_address(id, event);
        if after.is_some() && (after != before || !self.subagents_since.contains_key(id)) {
            self.subagents_since.insert(id.clone(), event_id.0);
        }
        let agent_path = self.subagents.get(id).map(|subagent| subagent.item().agent_path.clone());
        let Some(agent) = agent_path.and_then(|path| self.agents.get_mut(&path)) else { return };
        match event {
            SubagentEvent::SubagentResetStarted { force } => {
                agent.transit.resets.insert(id.clone(), (event_id.0, *force));
            }
            SubagentEvent::SubagentReset => {
                agent.transit.resets.remove(id);
            }
            _ => {}
        }
    }

    /// A run is where its subagent was when it was dedicated; or where it was coupled later, unless something of it runs, which may
    /// be elsewhere.
    fn apply_address(&mut self, id: &SubagentId, event: &SubagentEvent) {
        let Some(subagent) = self.subagents.get(id) else { return };
        let is_here = match event {
            SubagentEvent::SubagentDedicated { .. } => true,
            SubagentEvent::SubagentCoupled => subagent.process_count() == 0,
            _ => false,
        };
        if is_here {
            self.run_addresses.insert(id.clone(), subagent.item().uri.clone());
        }
    }

    fn apply_node_event(&mut self, event_id: EventId, event: &NodeEvent) {
        match event {
            NodeEvent::JournalInitialized { journal_id, .. } => self.journal_id.clone_from(journal_id),
            NodeEvent::DirectorDedicated { agent_path, controller_id, controller_run_id, agent_run_id } => {
                self.dedication = Some(Dedication {
                    agent_path: agent_path.clone(),
                    controller_id: controller_id.clone(),
                    controller_run_id: controller_run_id.clone(),
                    agent_run_id: agent_run_id.clone(),
                });
            }
            NodeEvent::DirectorReset { agent_run_id } => {
                *self = Self { journal_id: agent_run_id.clone(), begin: event_id, ..Self::default() };
            }
            NodeEvent::SuperiorObserved { epoch } => self.superior_epoch = Epoch(event_id_of(*epoch).0),
            NodeEvent::EventsReleased { until_event_id } => self.released = event_id_of(*until_event_id),
            NodeEvent::CommandBegun { command } => {
                self.commands.insert(event_id.0, BegunCommand { command: command.clone(), until: None });
            }
            NodeEvent::CommandContinued { begun, until } => {
                if let Some(command) = self.commands.get_mut(&event_id_of(*begun).0) {
                    command.until = Some(until.clone());
                }
            }
            NodeEvent::CommandEnded { begun } => {
                self.commands.remove(&event_id_of(*begun).0);
                self.answers.end(event_id_of(*begun).0);
            }
            NodeEvent::ClusterCoupled { active_id } => {
                self.cluster.active_id.clone_from(active_id);
                self.cluster.is_coupled = true;
            }
            NodeEvent::ClusterPassiveLost { .. } => self.cluster.is_coupled = false,
            NodeEvent::ClusterFailedOver { activated_id, .. } | NodeEvent::ClusterSwitchedOver { activated_id } => {
                self.cluster.active_id.clone_from(activated_id);
                (self.cluster.is_coupled, self.cluster.is_shut_down) = (false, false);
            }
            NodeEvent::ClusterNodesAppointed { setting } => self.cluster.active_id.clone_from(&setting.active_id),
            NodeEvent::ClusterActiveNodeShutDown => self.cluster.is_shut_down = true,
            NodeEvent::ClusterActiveNodeRestarted => {
                (self.cluster.is_coupled, self.cluster.is_shut_down) = (false, false);
            }
            NodeEvent::ClusterWatchRegistered { cluster_watch_id } => {
                self.cluster.watch_id.clone_from(cluster_watch_id);
            }
            NodeEvent::CommandAnswered { id, digest, answer } => {
                self.answers.put(event_id.0, id, digest, Progress::Done(answer.clone()));
            }
            NodeEvent::CommandNamed { id, digest, begun } => {
                self.answers.put(event_id.0, id, digest, Progress::Begun(event_id_of(*begun).0));
            }
            NodeEvent::ControllerInitialized { .. } | NodeEvent::NodeReady { .. } | NodeEvent::NodeShutDown => {}
        }
    }

    fn apply_item_event(&mut self, event_id: EventId, event: &ItemEvent) {
        match event {
            ItemEvent::ItemAttachable { key, agent_path } | ItemEvent::ItemDetachable { key, agent_path } => {
                let transit = &mut self.agents.entry(agent_path.clone()).or_default().transit;
                transit.items.insert(key.clone(), event_id.0);
            }
            ItemEvent::ItemAttached { key, agent_path, .. } | ItemEvent::ItemDetached { key, agent_path } => {
                if let Some(agent) = self.agents.get_mut(agent_path) {
                    agent.transit.items.remove(key);
                }
                // At an agent, what is detached is gone.
                if self.dedication.is_some() {
                    match key {
                        ItemKey::Subagent(id) => self.forget_subagent(id),
                        ItemKey::SubagentBundle(id) => self.subagents.delete_bundle(id),
                        _ => {}
                    }
                }
            }
            ItemEvent::ItemDeleted { key: ItemKey::Agent(path) } => {
                self.agents.remove(path);
            }
            ItemEvent::ItemDeleted { key: ItemKey::Subagent(id) } => {
                self.forget_subagent(id);
                for agent in self.agents.values_mut() {
                    agent.transit.resets.remove(id);
                }
            }
            ItemEvent::ItemDeleted { key: ItemKey::SubagentBundle(id) } => self.subagents.delete_bundle(id),
            ItemEvent::ItemDetachingFromMe { key: ItemKey::Subagent(id) } => self.subagents.set_detaching(id),
            ItemEvent::UnsignedSimpleItemAdded { item }
            | ItemEvent::UnsignedSimpleItemChanged { item }
            | ItemEvent::ItemAttachedToMe { item } => match item {
                Item::SubagentItem(item) => self.subagents.put(item),
                Item::SubagentBundle(item) => self.subagents.put_bundle(item),
                _ => {}
            },
            _ => {}
        }
    }

    fn forget_subagent(&mut self, id: &SubagentId) {
        self.subagents.delete(id);
        self.subagents_since.remove(id);
        self.run_addresses.remove(id);
    }

    fn apply_process_event(&mut self, epoch: Epoch, stamped: &Stamped, id: &OrderId, event: &OrderEvent) {
        match event {
            OrderEvent::OrderProcessingStarted {
                subagent_id: Some(subagent_id),
                subagent_bundle_id,
                end_of_admission_period,
                ..
            } => {
                self.subagents.apply_started(id, subagent_id, subagent_bundle_id.as_ref());
                self.processes.insert(
                    id.clone(),
                    RunningProcess {
                        number: stamped.event_id,
                        epoch,
                        subagent_id: subagent_id.clone(),
                        started: stamped.timestamp,
                        end_of_admission: *end_of_admission_period,
                    },
                );
            }
            OrderEvent::OrderProcessed { .. } => {
                if let Some(process) = self.processes.remove(id) {
                    self.subagents.apply_processed(id, &process.subagent_id);
                }
            }
            _ => {}
        }
    }

    /// Of a director. The order is as after the event.
    fn apply_job_event(&mut self, state: &State, event_id: EventId, id: &OrderId, event: &OrderEvent) {
        if self.dedication.is_none() {
            return;
        }
        if let OrderEvent::OrderForked { children } = event {
            for child in children {
                self.look_at_job(state, event_id, &child.order_id);
            }
        }
        match event {
            // These do not change where it stands.
            OrderEvent::OrderPriorityChanged { .. }
            | OrderEvent::OrderDeletionMarked
            | OrderEvent::OrderExternalVanished
            | OrderEvent::OrderStdoutWritten { .. }
            | OrderEvent::OrderStderrWritten { .. } => {}
            _ => self.look_at_job(state, event_id, id),
        }
    }

    fn look_at_job(&mut self, state: &State, event_id: EventId, id: &OrderId) {
        let is_at_job = state.order(id).is_some_and(|order| {
            let flow = state.flow(&order.workflow_position.workflow_id);
            matches!(order.state, OrderState::Fresh | OrderState::Ready)
                && matches!(
                    flow.and_then(|flow| flow.instruction(order.position())),
                    Some(Instruction::ExecuteNamed { .. } | Instruction::ExecuteAnonymous { .. })
                )
        });
        if is_at_job {
            self.at_jobs.insert(id.clone(), event_id.0);
        } else {
            self.at_jobs.remove(id);
        }
    }

    /// Of a controller. The order is as after the event.
    fn apply_transit_event(&mut self, state: &State, event_id: EventId, id: &OrderId, event: &OrderEvent) {
        let mark = |mark: OrderMark| (event_id.0, mark);
        match event {
            OrderEvent::OrderAttachable { agent_path } => {
                let Some(order) = state.order(id) else { return };
                let workflow_id = order.workflow_position.workflow_id.clone();
                let transit = &mut self.agents.entry(agent_path.clone()).or_default().transit;
                transit.attaching.entry(workflow_id).or_default().insert(id.clone(), event_id.0);
            }
            OrderEvent::OrderAttached { agent_path } => {
                if let (Some(order), Some(agent)) = (state.order(id), self.agents.get_mut(agent_path)) {
                    agent.transit.attached(&order.workflow_position.workflow_id, id);
                    if let Some(mark) = &order.mark {
                        agent.transit.marks.insert(id.clone(), (event_id.0, mark.clone()));
                    }
                }
            }
            OrderEvent::OrderDetachable => {
                if let Some(agent) = self.agent_of(state, id) {
                    agent.transit.marks.remove(id);
                    agent.transit.detaching.insert(id.clone(), event_id.0);
                }
            }
            OrderEvent::OrderDetached => {
                // It may come back before it has arrived, when its agent was reset or did not take it.
                let workflow_id = state.order(id).map(|order| &order.workflow_position.workflow_id);
                for agent in self.agents.values_mut() {
                    if let Some(workflow_id) = workflow_id {
                        agent.transit.attached(workflow_id, id);
                    }
                    agent.transit.detaching.remove(id);
                    agent.transit.marks.remove(id);
                }
            }
            OrderEvent::OrderCancellationMarked { mode } => {
                self.marked(state, id, mark(OrderMark::Cancelling { mode: mode.clone() }));
            }
            OrderEvent::OrderSuspensionMarked { mode } => {
                self.marked(state, id, mark(OrderMark::Suspending { mode: mode.clone() }));
            }
            OrderEvent::OrderResumptionMarked { position, history_operations, as_succeeded, restart_killed_job } => {
                let resuming = OrderMark::Resuming {
                    position: position.clone(),
                    history_operations: history_operations.clone(),
                    as_succeeded: *as_succeeded,
                    restart_killed_job: *restart_killed_job,
                };
                self.marked(state, id, mark(resuming));
            }
            OrderEvent::OrderGoMarked { position } => {
                self.marked(state, id, mark(OrderMark::Go { position: position.clone() }));
            }
            OrderEvent::OrderCancellationMarkedOnAgent
            | OrderEvent::OrderSuspensionMarkedOnAgent
            | OrderEvent::OrderMarkRejected { .. }
            | OrderEvent::OrderGoes
            | OrderEvent::OrderResumed { .. } => {
                if let Some(agent) = self.agent_of(state, id) {
                    agent.transit.marks.remove(id);
                }
            }
            _ => {}
        }
    }

    /// An attached order is marked. The same resumption for the second time comes from the agent: it knows. Of the other marks
    /// it tells in other words, so those are from people, however often.
    fn marked(&mut self, state: &State, id: &OrderId, mark: (u64, OrderMark)) {
        let is_attached =
            state.order(id).is_some_and(|order| matches!(order.attached_state, Some(AttachedState::Attached { .. })));
        let Some(agent) = self.agent_of(state, id).filter(|_| is_attached) else { return };
        let marks = &mut agent.transit.marks;
        let may_be_agents = matches!(mark.1, OrderMark::Resuming { .. });
        if may_be_agents && marks.get(id).is_some_and(|(_, pending)| *pending == mark.1) {
            marks.remove(id);
        } else {
            marks.insert(id.clone(), mark);
        }
    }

    fn agent_of(&mut self, state: &State, id: &OrderId) -> Option<&mut AgentRelation> {
        let agent_path = state.order(id)?.attached_state.as_ref()?.agent_path();
        self.agents.get_mut(agent_path)
    }
}

impl Transit {
    fn attached(&mut self, workflow_id: &WorkflowId, id: &OrderId) {
        if let Some(orders) = self.attaching.get_mut(workflow_id) {
            orders.remove(id);
            if orders.is_empty() {
                self.attaching.remove(workflow_id);
            }
        }
    }
}

impl AgentRelation {
    /// Whether it is coupled, as far as is known.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.is_coupled && self.problem.is_none()
    }

    fn apply(&mut self, event_id: EventId, event: &AgentEvent) {
        let before = self.is_reachable();
        self.change(event);
        if self.is_reachable() != before || self.since == EventId::BEFORE_FIRST {
            self.since = event_id;
        }
    }

    fn change(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::AgentDedicated { agent_run_id, agent_event_id } => {
                self.run_id = Some(agent_run_id.clone());
                self.adopted = event_id_of(*agent_event_id);
                self.problem = None;
            }
            AgentEvent::AgentCoupled | AgentEvent::AgentReady { .. } => {
                self.is_coupled = true;
                self.problem = None;
            }
            AgentEvent::AgentCouplingFailed { problem } => self.problem = Some(problem.clone()),
            AgentEvent::AgentEventsObserved { until_event_id } => self.adopted = event_id_of(*until_event_id),
            AgentEvent::AgentShutDown => self.is_coupled = false,
            AgentEvent::AgentResetStarted { force } => {
                self.resetting = Some(*force);
                self.adopted = EventId::BEFORE_FIRST;
                self.is_coupled = false;
            }
            AgentEvent::AgentReset => {
                let (transit, vote) = (core::mem::take(&mut self.transit), self.vote.take());
                *self = Self { transit, vote, ..Self::default() };
            }
            AgentEvent::AgentClusterWatchVoted { vote } => self.vote = Some(vote.clone()),
        }
    }
}

/// Ids in events are signed, because their JSON numbers are.
fn event_id_of(id: i64) -> EventId {
    EventId(u64::try_from(id).unwrap_or(0))
}
