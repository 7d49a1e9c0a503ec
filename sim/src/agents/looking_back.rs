//! When all is well again: that it is, and that what the journal tells of each order is what may happen to an order.

use super::place::{agent_path, subagent_id};
use super::shown::Sometimes;
use super::work::{Deed, Wanted, has_ended};
use super::{Event as WorldEvent, World};
use baton_machine::codec::{Assembly, Stamped};
use baton_machine::controller::Controller;
use baton_machine::relations::Transit;
use baton_protocol::event_id::EventId;
use baton_protocol::pair::Pair;
use baton_protocol::register::{Mode, Seat};
use baton_protocol::time::Duration;
use baton_workflow::id::{OrderId, SubagentId};
use baton_workflow::model::event::{AgentEvent, Event, NodeEvent, SubagentEvent};
use baton_workflow::model::order::OrderState;
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::model::outcome::{Disruption, Outcome};
use baton_workflow::problem::Problem;
use std::collections::BTreeMap;

/// What the journal tells of an order.
#[derive(Debug, Default)]
struct Life {
    /// Where its process runs.
    at: Option<SubagentId>,
    lost_at: Option<SubagentId>,
    output: String,
    losses: u64,
    is_over: bool,
}

impl World {
    pub(super) fn become_well(&mut self) -> Result<(), String> {
        let patience = self.patience();
        let deadline = self.now + patience;
        while self.now < deadline {
            self.run_until(self.now + Duration::from_millis(500))?;
            if self.unwell().is_none() {
                return self.answered_are_there();
            }
        }
        let what = self.unwell().unwrap_or_default();
        Err(format!("L2: after healing it is not well within {patience:?}: {what}"))
    }

    /// What is not well; none if nothing is.
    fn unwell(&self) -> Option<String> {
        let Some(controller) = self.active_controller().filter(|controller| controller.is_working()) else {
            return Some("no controller works".to_owned());
        };
        if self.plan.has_two_controllers {
            let known: Vec<_> =
                self.controllers.values().filter_map(|it| it.machine()?.pair()).map(Pair::known).collect();
            let is_coupled =
                known.len() == 2 && known[0] == known[1] && known[0].is_some_and(|known| known.mode == Mode::Coupled);
            if !is_coupled {
                return Some(format!("the controllers are not coupled: {known:?}"));
            }
        }
        let is_deed = |event: &WorldEvent| matches!(event, WorldEvent::Do(deed) if !matches!(deed, Deed::Repair));
        if self.events.values().any(is_deed) {
            return Some("somebody is going to do something".to_owned());
        }
        if !self.work.is_all_answered() {
            return Some("a command is not answered".to_owned());
        }
        for agent in 0..self.plan.agents {
            if let Some(what) = self.unwell_agent(controller, agent) {
                return Some(what);
            }
        }
        for wanted in self.work.orders.iter().filter(|wanted| wanted.added.is_some()) {
            if let Some(order) = controller.state().order(&wanted.id).filter(|order| !has_ended(&order.state)) {
                let there = order.agent_path().and_then(|path| {
                    let (_, keeper) = self.directors.iter().find(|((agent, _), _)| agent_path(*agent) == *path)?;
                    let director = keeper.machine()?;
                    let at = director.state().order(&order.id);
                    let process = director.replica().relations().processes.get(&order.id);
                    Some(format!("{:?}, {process:?}", at.map(|at| (&at.state, &at.attached_state, &at.mark))))
                });
                return Some(format!(
                    "{} of {} is {:?} at {}, {:?}, mark {:?}, suspended {}; at the agent: {there:?}",
                    order.id,
                    wanted.workflow,
                    order.state,
                    order.position(),
                    order.attached_state,
                    order.mark,
                    order.is_suspended
                ));
            }
        }
        self.processes.live.keys().next().map(|attempt| format!("the process of {attempt} still lives"))
    }

    fn unwell_agent(&self, controller: &Controller, agent: u8) -> Option<String> {
        let path = agent_path(agent);
        if !controller.is_coupled_with(&path) {
            let problem = controller.replica().relations().agents.get(&path).and_then(|agent| agent.problem.clone());
            return Some(format!("Agent:{path} is not coupled: {problem:?}"));
        }
        let director = self.directors.get(&(agent, Seat::First)).and_then(|keeper| keeper.machine());
        let Some(director) = director else { return Some(format!("Agent:{path} has no director")) };
        for number in 1..=self.plan.subagents {
            let id = subagent_id(agent, number);
            let known = director.replica().relations().subagents.get(&id);
            if known.is_none_or(|known| !known.is_selectable()) || !director.is_coupled_with(&id) {
                return Some(format!("Subagent:{id} is not coupled: {known:?}"));
            }
        }
        let relation = controller.replica().relations().agents.get(&path)?;
        if relation.transit != Transit::default() || relation.resetting.is_some() {
            return Some(format!("something is on its way to Agent:{path}: {:?}", relation.transit));
        }
        let processes = &director.replica().relations().processes;
        processes.keys().next().map(|id| format!("the director believes that {id} runs"))
    }

    /// S7, S9, S10, I2, I3, I7: what the journal of the controllers tells.
    pub(super) fn look_back(&mut self) -> Result<(), String> {
        let (mut assembly, mut last) = (Assembly::default(), EventId::BEFORE_FIRST);
        let mut lives: BTreeMap<OrderId, Life> = BTreeMap::new();
        let mut seen = Vec::new();
        for record in &self.history {
            let assembled = assembly.add(record).map_err(|error| error.to_string())?;
            for stamped in assembled.into_iter().flat_map(|assembled| assembled.transaction.events) {
                if stamped.event_id <= last {
                    return Err(format!("S7: event {} follows event {last}", stamped.event_id));
                }
                last = stamped.event_id;
                match &stamped.event {
                    Event::Order(id, event) => {
                        self.look_at_order(lives.entry(id.clone()).or_default(), id, event, &mut seen)?;
                    }
                    _ => seen.extend(shown_by(&stamped)),
                }
            }
        }
        for what in seen {
            self.see(what);
        }
        let wanted: Vec<Wanted> = self.work.orders.clone();
        for wanted in wanted.iter().filter(|wanted| wanted.added.is_some()) {
            self.has_ended_well(wanted, lives.get(&wanted.id))?;
        }
        Ok(())
    }

    fn look_at_order(
        &self,
        life: &mut Life,
        id: &OrderId,
        event: &OrderEvent,
        seen: &mut Vec<Sometimes>,
    ) -> Result<(), String> {
        if life.is_over {
            return Err(format!("S10: {id} has ended, and then: {}", event.type_name()));
        }
        match event {
            OrderEvent::OrderProcessingStarted { subagent_id, .. } => {
                if life.at.is_some() {
                    return Err(format!("I2: {id} was started again before it was processed"));
                }
                if life.lost_at.take().is_some_and(|lost| Some(&lost) != subagent_id.as_ref()) {
                    seen.push(Sometimes::HandedOver);
                }
                life.at.clone_from(subagent_id);
                life.output.clear();
            }
            OrderEvent::OrderStdoutWritten { chunk } => {
                if life.at.is_none() {
                    return Err(format!("I7: {id} writes, but no process runs"));
                }
                life.output.push_str(chunk);
            }
            OrderEvent::OrderProcessed { outcome } => {
                let Some(at) = life.at.take() else {
                    return Err(format!("S9: {id} was processed twice"));
                };
                self.output_is_whole(id, &life.output, outcome)?;
                seen.extend(loss(outcome));
                if outcome.is_process_lost() {
                    life.losses += 1;
                    life.lost_at = Some(at);
                }
                match outcome {
                    Outcome::Killed { .. } => seen.push(Sometimes::Killed),
                    Outcome::TimedOut { .. } => seen.push(Sometimes::TimedOut),
                    _ => {}
                }
            }
            OrderEvent::OrderCaught { .. } => seen.push(Sometimes::Retried),
            OrderEvent::OrderResumed { .. } => seen.push(Sometimes::Resumed),
            OrderEvent::OrderFinished { .. } | OrderEvent::OrderCancelled => life.is_over = true,
            _ => {}
        }
        Ok(())
    }

    /// I7: all output of a process comes before its end, in order and nothing twice.
    fn output_is_whole(&self, id: &OrderId, output: &str, outcome: &Outcome) -> Result<(), String> {
        let lines: Vec<u32> = output.lines().filter_map(|line| line.parse().ok()).collect();
        if !lines.iter().copied().eq(1..=u32::try_from(lines.len()).unwrap_or(0)) {
            return Err(format!("I7: {id} has written {output:?}"));
        }
        let is_done = matches!(outcome, Outcome::Succeeded { .. });
        let wanted = self.work.orders.iter().find(|wanted| wanted.id == *id);
        if is_done && wanted.is_some_and(|wanted| wanted.workflow == "OUTPUT") && lines.len() != 15 {
            return Err(format!("I7: of the output of {id}, {} lines of 15 came", lines.len()));
        }
        Ok(())
    }

    /// S10, I3: it has ended as it may.
    fn has_ended_well(&mut self, wanted: &Wanted, life: Option<&Life>) -> Result<(), String> {
        let id = &wanted.id;
        let Some(controller) = self.active_controller() else { return Ok(()) };
        let Some(order) = controller.state().order(id) else {
            return Err(format!("S10: {id} is not there any more"));
        };
        let was_reset = !self.work.reset_agents.is_empty();
        let losses = life.map_or(0, |life| life.losses);
        let is_once = wanted.workflow == "ONCE";
        let attempts = self.processes.started.iter().filter(|attempt| attempt.order_id == *id).count();
        let is_fine = match &order.state {
            OrderState::Finished => true,
            OrderState::Cancelled => wanted.is_touched || super::work::hangs(&wanted.workflow),
            OrderState::Failed | OrderState::FailedWhileFresh => {
                was_reset || wanted.is_touched || is_once || losses > 10
            }
            _ => false,
        };
        if !is_fine {
            return Err(format!("S10: {id} of {} has ended as {:?}", wanted.workflow, order.state));
        }
        if is_once && !wanted.is_touched && attempts > 1 {
            return Err(format!("I3: {id} must not be repeated, and was started {attempts} times"));
        }
        if is_once && order.state != OrderState::Finished && !was_reset && !wanted.is_touched {
            self.see(Sometimes::NotRepeated);
        }
        Ok(())
    }
}

/// What kind of loss of a process an outcome tells of.
fn loss(outcome: &Outcome) -> Option<Sometimes> {
    let problem = |problem: &Problem| match &*problem.code {
        "ProcessLostDueToRestart" => Some(Sometimes::LostByRestart),
        "ProcessLostDueToSubagentDeath" => Some(Sometimes::LostByDeath),
        "ProcessLostDueToSilence" => Some(Sometimes::LostBySilence),
        "ProcessLostDueToReset" => Some(Sometimes::LostByReset),
        "ProcessLostDueToSubagentEnd" => Some(Sometimes::LostByEnd),
        _ => None,
    };
    match outcome {
        Outcome::Disrupted { reason: Disruption::ProcessLost { problem: Some(found) }, .. }
        | Outcome::Disrupted { reason: Disruption::Other { problem: found }, .. } => problem(found),
        _ => None,
    }
}

fn shown_by(stamped: &Stamped) -> Option<Sometimes> {
    Some(match &stamped.event {
        Event::Agent(_, AgentEvent::AgentReset) => Sometimes::AgentReset,
        Event::Subagent(_, SubagentEvent::SubagentReset) => Sometimes::SubagentReset,
        Event::Item(event) if event.type_name() == "ItemDeleted" => Sometimes::SubagentDeleted,
        Event::Node(NodeEvent::ClusterFailedOver { .. }) => Sometimes::ControllerTookOver,
        Event::Node(NodeEvent::ClusterSwitchedOver { .. }) => Sometimes::ControllerSwitched,
        _ => return None,
    })
}
