//! What must never happen, whatever fails: looked at after each step. One function for each invariant.

use super::place::{Place, agent_path};
use super::shown::Sometimes;
use super::{Event, World};
use baton_machine::attempt::Attempt;
use baton_machine::codec::decode_message;
use baton_machine::director::Director;
use baton_machine::link::{LinkId, LinkInput};
use baton_machine::message::{AgentCommand, Message as _, ToAgent};
use baton_protocol::event_id::EventId;
use baton_protocol::record::{Epoch, Offset};
use baton_protocol::register::Seat;
use baton_protocol::time::{Duration, Instant};
use baton_workflow::id::{OrderId, SubagentId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What was so before, to be compared.
#[derive(Debug, Default)]
pub(super) struct Audit {
    pub(super) watch_syncs: bool,
    /// In which life of its director each attempt was launched.
    launched: BTreeMap<Attempt, u64>,
    agents: BTreeMap<u8, Agent>,
    /// In which epochs controllers have coupled, by the agents' ends of links.
    epochs: BTreeMap<LinkId, Epoch>,
}

/// What a controller wants that was replaced.
#[derive(Debug)]
pub(super) enum Replaced {
    /// To couple over this link.
    Couples(LinkId),
    /// Something with these orders, and whether they were there.
    Commands(Vec<(OrderId, bool)>),
}

/// Of an agent.
#[derive(Debug, Default)]
struct Agent {
    /// The attempts that its director takes for running.
    processes: BTreeMap<OrderId, EventId>,
    /// The subagents that it might have chosen after the last step.
    selectable: BTreeSet<SubagentId>,
    /// Where records end which are not durable, and the last event of each.
    writing: VecDeque<(Offset, EventId)>,
    /// The last event that is durable.
    durable: EventId,
    superior: Epoch,
    /// For whom, where and when processes were decided.
    decided: Vec<(OrderId, SubagentId, Instant)>,
}

impl Audit {
    /// In which life of its director an attempt was launched.
    pub(super) fn launched_in(&self, attempt: &Attempt) -> Option<u64> {
        self.launched.get(attempt).copied()
    }

    /// What its disk says may be older than what was decided.
    pub(super) fn director_starts(&mut self, agent: u8, director: &Director) {
        let agent = self.agents.entry(agent).or_default();
        let processes = &director.replica().relations().processes;
        agent.processes = processes.iter().map(|(id, process)| (id.clone(), process.number)).collect();
        agent.writing.clear();
    }

    pub(super) fn forget_journal(&mut self, agent: u8) {
        let durable = self.agents.get(&agent).map_or(EventId::BEFORE_FIRST, |agent| agent.durable);
        self.agents.insert(agent, Agent { durable, ..Agent::default() });
    }

    /// Where and when processes of an order were decided on.
    pub(super) fn decided(&self, agent: u8) -> &[(OrderId, SubagentId, Instant)] {
        self.agents.get(&agent).map_or(&[], |agent| &agent.decided)
    }
}

impl World {
    /// S9, I1: at most one process of an order lives, an attempt is started once, and only when its decision is durable.
    pub(super) fn audit_launch(&mut self, place: Place, attempt: &Attempt) -> Result<(), String> {
        if self.processes.started.contains(attempt) {
            return Err(format!("S9: {attempt} was started twice"));
        }
        if let Some((other, process)) = self.processes.of_order(attempt).next() {
            return Err(format!("S9: {attempt} is started at {place} while {other} lives at {}", process.place));
        }
        let Place::Subagent(number, _) = place else { return Ok(()) };
        let agent = self.audit.agents.entry(number).or_default();
        if attempt.number > agent.durable {
            return Err(format!(
                "S3: {attempt} is started, but the agent's journal is durable until {}",
                agent.durable
            ));
        }
        let life = self.life(Place::Director(number, Seat::First));
        self.audit.launched.insert(attempt.clone(), life);
        Ok(())
    }

    pub(super) fn audit_director(&mut self, number: u8, seat: Seat) -> Result<(), String> {
        let Some(keeper) = self.directors.get(&(number, seat)) else { return Ok(()) };
        let (Some(director), Some(node)) = (keeper.machine(), keeper.node()) else { return Ok(()) };
        let agent = self.audit.agents.entry(number).or_default();
        let (end, durable) = (node.journal().end().offset, node.journal().watermarks().committed);
        let relations = director.replica().relations();
        if agent.writing.back().map_or(Offset::ZERO, |(last, _)| *last) != end {
            agent.writing.retain(|(written, _)| *written <= end);
            agent.writing.push_back((end, director.replica().last_event_id()));
        }
        while agent.writing.front().is_some_and(|(end, _)| *end <= durable)
            && let Some((_, event_id)) = agent.writing.pop_front()
        {
            agent.durable = agent.durable.max(event_id);
        }
        if relations.superior_epoch < agent.superior && relations.dedication.is_some() && !self.work_was_reset(number) {
            return Err(format!(
                "S11: the agent has seen epoch {}, and forgets it",
                self.audit.agents[&number].superior
            ));
        }
        let Some(keeper) = self.directors.get(&(number, seat)) else { return Ok(()) };
        let Some(director) = keeper.machine() else { return Ok(()) };
        let agent = self.audit.agents.entry(number).or_default();
        // What is not durable, it may forget.
        if agent.writing.is_empty() {
            agent.superior = director.replica().relations().superior_epoch;
        }
        processes_are_allowed(number, agent, director, self.now)
    }

    fn work_was_reset(&self, agent: u8) -> bool {
        self.work.reset_agents.contains(&agent)
    }

    /// I5: a controller has adopted only what is durable at the agent.
    pub(super) fn audit_controller(&mut self, seat: Seat) -> Result<(), String> {
        let Some(keeper) = self.controllers.get(&seat) else { return Ok(()) };
        let Some(controller) = keeper.machine() else { return Ok(()) };
        for (path, relation) in &controller.replica().relations().agents {
            let Some((number, agent)) = self.audit.agents.iter().find(|(number, _)| agent_path(**number) == *path)
            else {
                continue;
            };
            if relation.adopted > agent.durable && !self.work.reset_agents.contains(number) {
                return Err(format!(
                    "I5: the controller has adopted event {} of Agent:{path}, which is durable until {}",
                    relation.adopted, agent.durable
                ));
            }
        }
        Ok(())
    }

    /// Before something arrives at an agent: what it would do for a controller that was replaced.
    pub(super) fn audit_before(&mut self, place: Place, input: &LinkInput) -> Option<Replaced> {
        let (Place::Director(agent, seat), LinkInput::Received { link, frame }) = (place, input) else { return None };
        if !self.plan.has_two_controllers || frame.kind != ToAgent::KIND {
            return None;
        }
        let director = self.directors.get(&(agent, seat))?.machine()?;
        let superior = director.replica().relations().superior_epoch;
        match decode_message(frame).ok()? {
            ToAgent::Couple(coupling) => {
                self.audit.epochs.insert(*link, coupling.epoch);
                let is_reset = coupling.reset.is_some();
                (coupling.epoch < superior && !is_reset).then_some(Replaced::Couples(*link))
            }
            ToAgent::Execute { commands, .. } if self.audit.epochs.get(link).is_some_and(|epoch| *epoch < superior) => {
                let ids = commands.into_iter().filter_map(|caused| match caused.command {
                    AgentCommand::AttachOrder(order) => Some(order.id),
                    AgentCommand::DetachOrder(id) => Some(id),
                    _ => None,
                });
                Some(Replaced::Commands(ids.map(|id| (id.clone(), director.state().order(&id).is_some())).collect()))
            }
            _ => None,
        }
    }

    /// S11: an agent does not obey a controller that was replaced.
    pub(super) fn audit_after(&self, place: Place, from: Place, replaced: Option<Replaced>) -> Result<(), String> {
        let (Place::Director(agent, seat), Some(replaced)) = (place, replaced) else { return Ok(()) };
        let Some(director) = self.directors.get(&(agent, seat)).and_then(|keeper| keeper.machine()) else {
            return Ok(());
        };
        match replaced {
            Replaced::Couples(link) if director.controller_link() == Some(link) => {
                Err(format!("S11: {place} has coupled with {from}, which was replaced"))
            }
            Replaced::Couples(_) => Ok(()),
            Replaced::Commands(orders) => {
                match orders.into_iter().find(|(id, was_there)| director.state().order(id).is_some() != *was_there) {
                    Some((id, _)) => Err(format!("S11: {place} does with {id} what {from} says, which was replaced")),
                    None => Ok(()),
                }
            }
        }
    }

    /// S8: now and then, what lives is compared with what a recovery would make of the disks.
    pub(super) fn compare(&mut self) -> Result<(), String> {
        let after = self.micros(3_000_000, 12_000_000);
        self.at(after, Event::Compare);
        let mut compared = 0;
        for keeper in self.controllers.values() {
            compared += u64::from(keeper.check_recovery()?);
        }
        for keeper in self.directors.values() {
            compared += u64::from(keeper.check_recovery()?);
        }
        if compared > 0 {
            self.see(Sometimes::Compared);
        }
        Ok(())
    }

    /// S2, S10: what was answered is in the controller that works now.
    pub(super) fn answered_are_there(&self) -> Result<(), String> {
        let Some(controller) = self.active_controller().filter(|controller| controller.is_working()) else {
            return Ok(());
        };
        let lost =
            |wanted: &&super::work::Wanted| wanted.added.is_some() && controller.state().order(&wanted.id).is_none();
        match self.work.orders.iter().find(lost) {
            Some(wanted) => Err(format!("S10: {} was added, and is not there any more", wanted.id)),
            None => Ok(()),
        }
    }

    /// The longest time that was promised to pass until all is well.
    pub(super) fn patience(&self) -> Duration {
        let timing = self.plan.setting.timing;
        super::LIVE_AGAIN + timing.reconnect_timeout + timing.loss_margin
    }
}

/// I8 to I10: new processes are within the limits, at a subagent that takes them, and at the best one.
fn processes_are_allowed(number: u8, agent: &mut Agent, director: &Director, now: Instant) -> Result<(), String> {
    let (state, relations) = (director.state(), director.replica().relations());
    let path = agent_path(number);
    let selectable: BTreeSet<SubagentId> =
        relations.subagents.iter().filter(|(_, subagent)| subagent.is_selectable()).map(|(id, _)| id.clone()).collect();
    let before = core::mem::replace(&mut agent.selectable, selectable);
    let new: Vec<(OrderId, EventId, SubagentId)> = relations
        .processes
        .iter()
        .filter(|(id, process)| agent.processes.get(*id) != Some(&process.number))
        .map(|(id, process)| (id.clone(), process.number, process.subagent_id.clone()))
        .collect();
    agent.processes.retain(|id, number| relations.processes.get(id).is_some_and(|process| process.number == *number));
    for (order_id, number, subagent_id) in new {
        agent.processes.insert(order_id.clone(), number);
        agent.decided.push((order_id.clone(), subagent_id.clone(), now));
        let limit = state.items().agent(&path).and_then(|agent| agent.process_limit);
        if limit.is_some_and(|limit| relations.processes.len() as u64 > u64::from(limit)) {
            let count = relations.processes.len();
            return Err(format!("I8: Agent:{path} starts {order_id} as process {count} of {limit:?}"));
        }
        // A subagent to which an order sticks is named directly, so it takes it although it is disabled.
        let is_stuck = state.order(&order_id).is_some_and(|order| !order.sticky_subagents.is_empty());
        if !is_stuck && !before.contains(&subagent_id) && !agent.selectable.contains(&subagent_id) {
            return Err(format!("I9: {order_id} is to run at {subagent_id}, which takes no processes"));
        }
        let is_fixed =
            state.order(&order_id).is_some_and(|order| order.workflow_position.workflow_id.path.as_str() == "FIXED");
        let better = |id: &&SubagentId| **id < subagent_id && agent.selectable.contains(*id);
        if is_fixed && let Some(better) = before.iter().find(better) {
            return Err(format!("I10: {order_id} is to run at {subagent_id}, though {better} is free and comes first"));
        }
    }
    Ok(())
}
