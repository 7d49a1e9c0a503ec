//! The controller's link to an agent: dialling, coupling, signs of life, and what was sent in the session.
//!
//! The agent has one or two directors; they are dialled in turn until one answers. A session begins with
//! [`FromAgent::Coupled`]; commands are sent once it is *reconciled*, that is when the agent's events until the coupling have
//! been adopted and both sides are compared.

use super::{Controller, Reason, hang_up, say_now};
use crate::codec;
use crate::host::{Act, Lane};
use crate::link::{LinkHint, LinkId, Peer};
use crate::message::{AgentCommand, AgentCoupling, CausedCommand, FromAgent, ToAgent};
use crate::replica::Turn;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::outbox::Outbox;
use baton_protocol::time::Instant;
use baton_workflow::id::{AgentPath, OrderId, WorkflowId};
use baton_workflow::model::event::{AgentEvent, Event};
use baton_workflow::model::key::ItemKey;
use baton_workflow::problem::Problem;
use core::time::Duration;

/// Most commands in one message.
const MESSAGE_COMMANDS: usize = 1_000;

/// Most bytes of commands in one message, unless it has only one.
const MESSAGE_BYTES: usize = 1 << 20;

/// About how many bytes of commands are sent to an agent in one step.
const STEP_BYTES: usize = 8 << 20;

/// What to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AgentReason {
    /// Dial again.
    Redial,
    /// Nothing came of dialling or coupling.
    Coupling,
    /// Give a sign of life.
    Beat,
    /// The agent has been silent.
    Silence,
}

/// An agent, and how it is reached now.
#[derive(Clone, Debug, Default)]
pub(super) struct AgentLink {
    /// Where its directors are.
    pub(super) addresses: Vec<String>,
    /// How often it was dialled.
    dials: usize,
    /// How often in a row what it told did not fit.
    setbacks: u32,
    phase: Phase,
    /// What a workflow needs at the agent. Forgotten when an item changes.
    pub(super) needs: BTreeMap<WorkflowId, Arc<[ItemKey]>>,
}

#[derive(Clone, Debug, Default)]
enum Phase {
    #[default]
    Waiting,
    Dialling,
    Coupling(LinkId),
    Coupled(Session),
}

/// A coupling that lasts.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) link: LinkId,
    pub(super) number: u64,
    since: Instant,
    /// Number of the last message with commands.
    messages: u64,
    /// Where the agent's journal ended when it coupled.
    pub(super) end: EventId,
    /// What it had then.
    pub(super) orders: BTreeSet<OrderId>,
    pub(super) items: BTreeMap<ItemKey, Option<u32>>,
    pub(super) is_inventory_complete: bool,
    pub(super) is_reconciled: bool,
    /// Orders handed over in this session, but not yet confirmed.
    pub(super) offered: BTreeSet<OrderId>,
    /// Whether some orders were too many to be offered at once.
    pub(super) may_offer_more: bool,
    /// To be sent at the end of the step, or later if they are many.
    commands: VecDeque<CausedCommand>,
}

impl AgentLink {
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.phase {
            Phase::Coupled(session) => Some(session),
            Phase::Waiting | Phase::Dialling | Phase::Coupling(_) => None,
        }
    }

    /// The orders which are on their way in this session.
    pub(super) fn offered(&self) -> Option<&BTreeSet<OrderId>> {
        match &self.phase {
            Phase::Coupled(session) => Some(&session.offered),
            Phase::Waiting | Phase::Dialling | Phase::Coupling(_) => None,
        }
    }

    fn has_commands(&self) -> bool {
        matches!(&self.phase, Phase::Coupled(session) if !session.commands.is_empty())
    }

    pub(super) fn is_reconciled(&self) -> bool {
        matches!(&self.phase, Phase::Coupled(session) if session.is_reconciled)
    }

    pub(super) fn has_link(&self, link: LinkId) -> bool {
        self.link() == Some(link)
    }

    fn link(&self) -> Option<LinkId> {
        match &self.phase {
            Phase::Waiting | Phase::Dialling => None,
            Phase::Coupling(link) => Some(*link),
            Phase::Coupled(session) => Some(session.link),
        }
    }
}

impl Session {
    /// To be sent to the agent, if it is known what it has.
    pub(super) fn tell(&mut self, cause: EventId, command: AgentCommand) {
        if self.is_reconciled {
            self.commands.push_back(CausedCommand { cause, command });
        }
    }
}

impl Session {
    fn execute(&mut self, commands: Vec<CausedCommand>) -> ToAgent {
        self.messages += 1;
        ToAgent::Execute { session: self.number, number: self.messages, commands }
    }
}

impl Controller {
    /// Reaches for the agents that there are, where they are.
    pub(super) fn refresh_agents(&mut self, turn: Turn<'_>) {
        let mut known = BTreeMap::new();
        for item in self.state().items().simple() {
            if let baton_workflow::model::item::Item::AgentRef(agent) = item {
                known.insert(agent.path.clone(), self.addresses(agent));
            }
        }
        let gone: Vec<AgentPath> = self.agents.keys().filter(|path| !known.contains_key(*path)).cloned().collect();
        for path in gone {
            if let Some(link) = self.agents.remove(&path).and_then(|agent| agent.link()) {
                self.links.remove(&link);
            }
            self.disarm(&path);
        }
        for (path, addresses) in known {
            let is_new = !self.agents.contains_key(&path);
            let agent = self.agents.entry(path.clone()).or_default();
            agent.needs.clear();
            agent.addresses = addresses;
            if is_new {
                self.arm(turn, &path, AgentReason::Redial, Duration::ZERO);
            }
        }
    }

    fn addresses(&self, agent: &baton_workflow::model::item::AgentRef) -> Vec<String> {
        let items = self.state().items();
        let directors = agent.directors.iter().filter_map(|id| items.subagent(id)).map(|subagent| subagent.uri.clone());
        directors.chain(agent.uri.clone()).collect()
    }

    pub(super) fn agent_is_due(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        reason: AgentReason,
        out: &mut Outbox<'_, Self>,
    ) {
        let Some(agent) = self.agents.get_mut(path) else { return };
        match reason {
            AgentReason::Redial => {
                let Phase::Waiting = agent.phase else { return };
                let is_nowhere = agent.addresses.is_empty();
                if is_nowhere || self.is_returning(path) {
                    return self.arm(turn, path, AgentReason::Redial, self.config.timing.redial);
                }
                let Some(agent) = self.agents.get_mut(path) else { return };
                let address = agent.addresses[agent.dials % agent.addresses.len()].clone();
                agent.dials += 1;
                agent.phase = Phase::Dialling;
                self.arm(turn, path, AgentReason::Coupling, self.config.timing.coupling);
                out.hint(Act::Link(LinkHint::Dial { peer: Peer::Agent(path.clone()), address }));
            }
            AgentReason::Coupling => match agent.phase {
                Phase::Dialling => self.link_failed(turn, path),
                Phase::Coupling(_) => self.give_up(turn, path, "the agent does not answer", out),
                Phase::Waiting | Phase::Coupled(_) => {}
            },
            AgentReason::Beat => {
                if let Some(session) = agent.session() {
                    let (link, session) = (session.link, session.number);
                    self.arm(turn, path, AgentReason::Beat, self.config.timing.heartbeat);
                    say_now(link, &ToAgent::Beat { session }, out);
                }
            }
            AgentReason::Silence => self.give_up(turn, path, "the agent is silent", out),
        }
    }

    pub(super) fn link_is_up(&mut self, turn: Turn<'_>, link: LinkId, path: AgentPath, out: &mut Outbox<'_, Self>) {
        let Some(agent) = self.agents.get_mut(&path).filter(|agent| matches!(agent.phase, Phase::Dialling)) else {
            return hang_up(link, "not needed any more", out);
        };
        agent.phase = Phase::Coupling(link);
        self.links.insert(link, path.clone());
        self.arm(turn, &path, AgentReason::Coupling, self.config.timing.coupling);
        let relation = self.replica.relations().agents.get(&path);
        let coupling = AgentCoupling {
            controller_id: self.config.controller_id.clone(),
            controller_run_id: self.replica.relations().journal_id.clone(),
            epoch: turn.epoch,
            agent_run_id: relation.and_then(|agent| agent.run_id.clone()),
            adopted: relation.map_or(EventId::BEFORE_FIRST, |agent| agent.adopted),
            reset: relation.and_then(|agent| agent.resetting),
            agent_path: path,
        };
        self.say(turn, link, &ToAgent::Couple(coupling));
    }

    pub(super) fn link_failed(&mut self, turn: Turn<'_>, path: &AgentPath) {
        self.fail(turn, path, Problem::coded("AgentUnreachable", [], format!("Agent:{path} cannot be reached")));
    }

    pub(super) fn link_is_down(&mut self, turn: Turn<'_>, link: LinkId, out: &mut Outbox<'_, Self>) {
        out.withdraw(&Lane::Link(link));
        if let Some(path) = self.links.get(&link).cloned() {
            let problem = format!("The connection with Agent:{path} has been lost");
            self.fail(turn, &path, Problem::coded("AgentConnectionLost", [], problem));
        }
    }

    /// Ends the link to an agent, and tries again later.
    pub(super) fn give_up(&mut self, turn: Turn<'_>, path: &AgentPath, reason: &str, out: &mut Outbox<'_, Self>) {
        if let Some(link) = self.agents.get(path).and_then(AgentLink::link) {
            hang_up(link, reason, out);
        }
        self.fail(turn, path, Problem::new(format!("Agent:{path}: {reason}")));
    }

    /// What the agent tells cannot be. Ends the link, and tries again after a time which gets longer and longer.
    pub(super) fn distrust(&mut self, turn: Turn<'_>, path: &AgentPath, problem: Problem, out: &mut Outbox<'_, Self>) {
        let Some(agent) = self.agents.get_mut(path) else { return };
        agent.setbacks = agent.setbacks.saturating_add(1);
        let setbacks = agent.setbacks;
        if let Some(link) = agent.link() {
            hang_up(link, &problem.message, out);
        }
        self.fail(turn, path, problem);
        let timing = self.config.timing;
        let pause = timing.redial.saturating_mul(2_u32.saturating_pow(setbacks)).min(timing.longest_redial);
        self.arm(turn, path, AgentReason::Redial, pause);
    }

    fn fail(&mut self, turn: Turn<'_>, path: &AgentPath, problem: Problem) {
        let Some(agent) = self.agents.get_mut(path) else { return };
        if let Some(link) = agent.link() {
            self.links.remove(&link);
        }
        // Who was here for a while is dialled at once; who comes and goes must wait.
        let lasted = agent.session().map_or(Duration::ZERO, |session| turn.now.instant.since(session.since));
        agent.phase = Phase::Waiting;
        self.disarm(path);
        self.arm(turn, path, AgentReason::Redial, self.config.timing.redial.saturating_sub(lasted));
        let known = self.replica.relations().agents.get(path).and_then(|agent| agent.problem.as_ref());
        if known != Some(&problem) {
            self.replica.take(turn, Event::Agent(path.clone(), AgentEvent::AgentCouplingFailed { problem }));
        }
    }

    /// The agent has coupled.
    pub(super) fn coupled(&mut self, turn: Turn<'_>, path: &AgentPath, coupled: FromAgent, out: &mut Outbox<'_, Self>) {
        let FromAgent::Coupled { session: number, agent_run_id, begin, end, items } = coupled else { return };
        let link = match self.agents.get(path).map(|agent| &agent.phase) {
            Some(Phase::Coupling(link)) => *link,
            Some(Phase::Coupled(session)) if session.number == number => return,
            _ => return self.give_up(turn, path, "it coupled without being asked", out),
        };
        if self.replica.relations().agents.get(path).is_some_and(|agent| agent.resetting.is_some()) {
            self.replica.take(turn, Event::Agent(path.clone(), AgentEvent::AgentReset));
            self.attach_dedicated_items(turn, path);
        }
        let relation = self.replica.relations().agents.get(path);
        match relation.and_then(|agent| agent.run_id.as_deref()) {
            None => {
                let event = AgentEvent::AgentDedicated {
                    agent_run_id,
                    agent_event_id: i64::try_from(begin.0).unwrap_or(i64::MAX),
                };
                self.replica.take(turn, Event::Agent(path.clone(), event));
            }
            Some(known) if known != agent_run_id => {
                let reason = format!("it has the journal {agent_run_id}, but {known} is expected");
                return self.give_up(turn, path, &reason, out);
            }
            Some(_) => {}
        }
        // One that told what cannot be is believed when both have compared what they have.
        if self.agents.get(path).is_some_and(|agent| agent.setbacks == 0) {
            self.note_coupled(turn, path);
        }
        if let Some(agent) = self.agents.get_mut(path) {
            agent.phase = Phase::Coupled(Session {
                link,
                number,
                since: turn.now.instant,
                messages: 0,
                end,
                orders: BTreeSet::new(),
                items: items.into_iter().collect(),
                is_inventory_complete: false,
                is_reconciled: false,
                offered: BTreeSet::new(),
                may_offer_more: false,
                commands: VecDeque::new(),
            });
        }
        self.disarm(path);
        self.arm(turn, path, AgentReason::Beat, self.config.timing.heartbeat);
        self.heard(turn, path);
    }

    /// What both have is compared, and all fits.
    pub(super) fn trust(&mut self, turn: Turn<'_>, path: &AgentPath) {
        if let Some(agent) = self.agents.get_mut(path) {
            agent.setbacks = 0;
        }
        self.note_coupled(turn, path);
    }

    fn note_coupled(&mut self, turn: Turn<'_>, path: &AgentPath) {
        let relation = self.replica.relations().agents.get(path);
        if relation.is_some_and(|agent| !agent.is_coupled || agent.problem.is_some()) {
            self.replica.take(turn, Event::Agent(path.clone(), AgentEvent::AgentCoupled));
        }
    }

    /// The agent has given a sign of life.
    pub(super) fn heard(&mut self, turn: Turn<'_>, path: &AgentPath) {
        self.arm(turn, path, AgentReason::Silence, self.config.timing.agent_silence);
    }

    /// Sends the commands of this step, or of earlier ones, as far as they are not too many.
    pub(super) fn flush_commands(&mut self, turn: Turn<'_>, out: &Outbox<'_, Self>) {
        let mut messages = Vec::new();
        for agent in self.agents.values_mut() {
            let Some(session) = agent.session().filter(|session| !session.commands.is_empty()) else { continue };
            let (mut commands, mut bytes, mut sent) = (Vec::new(), 0, 0);
            while let Some(command) = session.commands.pop_front() {
                let length = codec::encoded_length(&command);
                if !commands.is_empty() && (bytes + length > MESSAGE_BYTES || commands.len() == MESSAGE_COMMANDS) {
                    messages.push((session.link, session.execute(core::mem::take(&mut commands))));
                    sent += bytes;
                    bytes = 0;
                }
                if sent >= STEP_BYTES || (sent > 0 && out.is_congested()) {
                    session.commands.push_front(command);
                    break;
                }
                commands.push(command);
                bytes += length;
            }
            if !commands.is_empty() {
                messages.push((session.link, session.execute(commands)));
            }
        }
        for (link, message) in messages {
            self.say(turn, link, &message);
        }
    }

    /// Whether there are commands which one step had no room for.
    pub(super) fn has_unsent_commands(&self) -> bool {
        self.agents.values().any(AgentLink::has_commands)
    }

    fn arm(&mut self, turn: Turn<'_>, path: &AgentPath, reason: AgentReason, after: Duration) {
        self.deadlines.set(Reason::Agent(path.clone(), reason), turn.now.instant + after);
    }

    fn disarm(&mut self, path: &AgentPath) {
        for reason in [AgentReason::Redial, AgentReason::Coupling, AgentReason::Beat, AgentReason::Silence] {
            self.deadlines.cancel(&Reason::Agent(path.clone(), reason));
        }
    }
}
