//! The world as the runner of `workflow` vectors wants it.

use super::process::Processes;
use super::{Place, World as Nodes};
use crate::conformance::workflow::world::{
    AgentSetup, FileChange, Journaled, LockView, NoticeView, OrderView, PlanView, Setup, World,
};
use baton_machine::director::DirectorInput;
use baton_machine::timing::Timing;
use baton_workflow::id::{AgentPath, ExternalOrderName, LockPath, OrderId, SubagentId};
use baton_workflow::json::Json as _;
use baton_workflow::model::command::{Command, Response};
use baton_workflow::model::item::{AgentRef, Item, SubagentItem};
use baton_workflow::model::notice::NoticeId;
use baton_workflow::model::operation::ItemOperation;
use baton_workflow::model::order::{FreshOrder, Obstacle};
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::scope::named_values;
use baton_workflow::state::State;
use baton_workflow::state::board::Place as NoticePlace;
use baton_workflow::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A controller with agents, which are coupled.
struct Installation {
    nodes: Nodes,
    processes: Processes,
    agents: Vec<AgentSetup>,
    files: BTreeSet<String>,
}

/// Makes the world of a vector.
///
/// # Errors
/// The agents do not couple.
pub fn start(setup: Setup) -> Checked<Box<dyn World>> {
    let time = baton_protocol::time::Timestamp::from_millis(setup.time.as_millis());
    // No node fails by itself, so signs of life would only cost time: weeks pass in a moment.
    let mut installation = Installation {
        nodes: Nodes::new(time, Timing::PATIENT),
        processes: Processes::new(setup.jobs, setup.matcher),
        agents: setup.agents,
        files: BTreeSet::new(),
    };
    installation.nodes.start_controller();
    for agent in installation.agents.clone() {
        for id in &agent.subagents {
            installation.nodes.start_subagent(id);
        }
        installation.nodes.start_director(&agent.path, &agent.subagents[0]);
    }
    installation.settle()?;
    let operations = installation.agents.iter().flat_map(agent_items).collect();
    if !installation.agents.is_empty() {
        installation.update_items(operations)?;
        installation.settle()?;
    }
    Ok(Box::new(installation))
}

fn agent_items(agent: &AgentSetup) -> Vec<ItemOperation> {
    let subagents = agent.subagents.iter().map(|id| {
        Item::SubagentItem(Arc::new(SubagentItem {
            id: id.clone(),
            agent_path: agent.path.clone(),
            uri: format!("world:{id}"),
            disabled: false,
            item_revision: None,
        }))
    });
    let agent = Item::AgentRef(Arc::new(AgentRef {
        path: agent.path.clone(),
        directors: vec![agent.subagents[0].clone()],
        uri: None,
        process_limit: agent.process_limit,
        require_failover_confirmation: false,
        item_revision: None,
    }));
    subagents.chain([agent]).map(|item| ItemOperation::AddOrChangeSimple { item }).collect()
}

impl Installation {
    fn state(&self) -> Option<&State> {
        self.nodes.controller().map(|controller| controller.state())
    }

    fn execute(&mut self, command: Command) -> Checked<Response> {
        let caller = self.nodes.command(command);
        self.settle()?;
        self.nodes.answer(caller)
    }

    /// Tells all directors which watch the directory of a file what is in it now.
    fn tell_files(&mut self, path: &str) {
        let Some((directory, name)) = path.rsplit_once('/') else { return };
        let watching: Vec<_> = self
            .nodes
            .watched()
            .filter(|(_, watched)| watched.trim_end_matches('/') == directory)
            .map(|(key, _)| key.clone())
            .collect();
        let is_there = self.files.contains(path);
        for (agent, watch) in watching {
            let name = ExternalOrderName::new(name);
            let input = if is_there {
                DirectorInput::FileFound { watch, name }
            } else {
                DirectorInput::FileGone { watch, name }
            };
            self.nodes.tell_director(&agent, input);
        }
    }

    /// Tells the directors all files of the directories which they have begun to watch.
    fn tell_new_watches(&mut self) {
        for ((agent, watch), directory) in self.nodes.take_unread() {
            let prefix = format!("{}/", directory.trim_end_matches('/'));
            let names = self
                .files
                .iter()
                .filter_map(|path| path.strip_prefix(&prefix))
                .filter(|name| !name.contains('/'))
                .map(ExternalOrderName::new)
                .collect();
            self.nodes.tell_director(&agent, DirectorInput::Directory { watch, names });
        }
    }

    /// Lets a moment pass which no wall clock shows: those who lost a link dial again.
    fn pass_redial(&mut self) {
        // Whether they come to rest is asked again after the step.
        let _ = self.nodes.settle();
        let now = self.nodes.now().timestamp;
        self.nodes.set_clock(now, Timing::PATIENT.redial);
        self.nodes.wake_all();
    }

    fn view(notice_id: &NoticeId, place: &NoticePlace) -> NoticeView {
        NoticeView {
            notice_id: notice_id.clone(),
            is_posted: place.is_posted(),
            end_of_life: place.end_of_life(),
            is_announced: place.is_announced(),
            expecting: place.expecting().clone(),
            is_in_consumption: place.is_in_consumption(),
            consumption_count: place.consumption_count(),
        }
    }

    fn obstacles(&self, order: &baton_workflow::model::order::Order) -> Vec<Obstacle> {
        let now = Timestamp::from_millis(self.nodes.now().timestamp.as_millis());
        let director = order.agent_path().and_then(|path| self.nodes.director(path));
        match (order.is_attached(), director) {
            (true, Some(director)) => director.obstacles(&order.id, now),
            _ => self.state().map_or_else(Vec::new, |state| state.obstacles(order, now)),
        }
    }
}

impl World for Installation {
    fn set_clock(&mut self, now: Timestamp) {
        let former = self.nodes.now().timestamp.as_millis();
        let now = baton_protocol::time::Timestamp::from_millis(now.as_millis());
        let elapsed = u64::try_from(now.as_millis() - former).unwrap_or(0);
        self.nodes.set_clock(now, Duration::from_millis(elapsed));
        self.nodes.wake_all();
    }

    fn next_due(&self) -> Option<Timestamp> {
        let now = self.nodes.now();
        let deadline = self.nodes.deadline().map(|deadline| {
            let wait = deadline.since(now.instant);
            let millis = i64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
            now.timestamp.as_millis().saturating_add(millis)
        });
        let process = self.processes.next_end().map(baton_protocol::time::Timestamp::as_millis);
        let due = deadline.into_iter().chain(process).filter(|due| *due > now.timestamp.as_millis()).min()?;
        Some(Timestamp::from_millis(due))
    }

    fn settle(&mut self) -> Checked<()> {
        loop {
            self.nodes.settle()?;
            self.tell_new_watches();
            let is_busy = self.processes.serve(&mut self.nodes)?;
            self.processes.end_due(&mut self.nodes);
            for path in self.processes.take_deleted_files() {
                self.files.remove(&path);
                self.tell_files(&path);
            }
            if !is_busy && self.nodes.is_settled() {
                return Ok(());
            }
        }
    }

    fn add_order(&mut self, order: FreshOrder) -> Checked<()> {
        let id = order.id.0.clone();
        match self.execute(Command::AddOrder { order })? {
            Response::AddOrder { ignored_because_duplicate: true } => Err(Problem::coded(
                "DuplicateOrder",
                [("orderId", id.to_string())],
                format!("Order:{id} exists already"),
            )),
            _ => Ok(()),
        }
    }

    fn command(&mut self, command: Command) -> Checked<Response> {
        self.execute(command)
    }

    fn update_items(&mut self, operations: Vec<ItemOperation>) -> Checked<()> {
        self.execute(Command::UpdateItems { operations }).map(|_| ())
    }

    fn release(&mut self, script: &str, order_id: Option<&OrderId>) -> bool {
        self.processes.release(&mut self.nodes, script, order_id)
    }

    fn restart_controller(&mut self) {
        self.nodes.crash(&Place::Controller);
        self.nodes.start_controller();
        self.pass_redial();
    }

    fn restart_agent(&mut self, agent_path: &AgentPath) -> bool {
        let Some(agent) = self.agents.iter().find(|agent| agent.path == *agent_path).cloned() else {
            return false;
        };
        for id in &agent.subagents {
            self.nodes.crash(&Place::Subagent(id.clone()));
            self.processes.lose(id);
        }
        self.nodes.crash(&Place::Director(agent.path.clone()));
        for id in &agent.subagents {
            self.nodes.start_subagent(id);
        }
        self.nodes.start_director(&agent.path, &agent.subagents[0]);
        self.pass_redial();
        true
    }

    fn change_file(&mut self, change: FileChange, path: &str) {
        match change {
            FileChange::Created | FileChange::Modified => self.files.insert(path.to_owned()),
            FileChange::Deleted => self.files.remove(path),
        };
        self.tell_files(path);
    }

    fn enable_subagent(&mut self, subagent_id: &SubagentId, enabled: bool) -> Checked<()> {
        let known = self.state().and_then(|state| state.items().subagent(subagent_id)).cloned();
        let Some(known) = known else {
            return Err(Problem::new(format!("there is no Subagent:{subagent_id}")));
        };
        let item = SubagentItem { disabled: !enabled, item_revision: None, ..(*known).clone() };
        let item = Item::SubagentItem(Arc::new(item));
        self.update_items(vec![ItemOperation::AddOrChangeSimple { item }])
    }

    fn journal(&self) -> Vec<Journaled> {
        self.nodes
            .journal()
            .unwrap_or_default()
            .into_iter()
            .map(|stamped| Journaled { time: stamped.timestamp, event: stamped.event })
            .collect()
    }

    fn order(&self, order_id: &OrderId) -> Option<OrderView> {
        let state = self.state()?;
        let order = state.order(order_id)?;
        let flow = state.flow(&order.workflow_position.workflow_id)?;
        Some(OrderView {
            named_values: named_values(order, flow.workflow().order_preparation.as_ref()),
            obstacles: self.obstacles(order),
            order: order.clone(),
        })
    }

    fn lock(&self, path: &LockPath) -> Option<LockView> {
        let lock = self.state()?.locks().get(path)?;
        Some(LockView { acquired: lock.acquired().write(), queue: lock.queue().cloned().collect() })
    }

    fn notices(&self) -> Vec<NoticeView> {
        let Some(state) = self.state() else { return Vec::new() };
        state.notices().iter().map(|(id, place)| Self::view(id, place)).collect()
    }

    fn plans(&self) -> Vec<PlanView> {
        let Some(state) = self.state() else { return Vec::new() };
        state
            .plans()
            .schemas()
            .flat_map(|schema| schema.plans().map(move |(key, plan)| (schema.plan_id(key), plan)))
            .map(|(plan_id, plan)| PlanView {
                status: plan.status(),
                order_ids: plan.order_ids().cloned().collect(),
                notices: state.notices().of_plan(&plan_id).map(|(id, place)| Self::view(id, place)).collect(),
                plan_id,
            })
            .collect()
    }

    fn process_counts(&self) -> BTreeMap<SubagentId, u32> {
        self.processes.counts()
    }
}
