//! The controller's links to an agent: dialling, coupling, signs of life, and what was sent in the session.
//!
//! An agent has one director, or two of which one is active. Each is dialled and asked to couple; the other one of two refuses and is
//! asked again every now and then, so that whoever becomes active is met soon. There is at most one session. It begins with
//! [`FromAgent::Coupled`], and one of a higher epoch ends the one before; commands are sent once it is *reconciled*, that is
//! when the agent's events until the coupling have been adopted and both sides are compared.

use super::agent_watch::seat_of;
use super::{Controller, Reason, hang_up, say_now};
use crate::host::{Act, Lane};
use crate::link::{Ending, LinkHint, LinkId, Peer};
use crate::message::{AgentCoupling, CausedCommand, FromAgent, ToAgent};
use crate::office::NOT_ACTIVE;
use crate::replica::Turn;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::outbox::Outbox;
use baton_protocol::pair::PairInput;
use baton_protocol::record::Epoch;
use baton_protocol::time::Instant;
use baton_protocol::watch::Watch;
use baton_workflow::id::{AgentPath, OrderId, WorkflowId};
use baton_workflow::model::event::{AgentEvent, Event};
use baton_workflow::model::item::{AgentRef, Item};
use baton_workflow::model::key::ItemKey;
use baton_workflow::problem::Problem;
use core::time::Duration;

/// What to look at. A number says which director.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AgentReason {
    /// Dial again, or ask again.
    Redial(usize),
    /// Nothing came of dialling or coupling.
    Coupling(usize),
    /// Give a sign of life.
    Beat,
    /// The agent has been silent.
    Silence,
    /// The watch of its directors gives a sign of life.
    Watch,
}

/// An agent, and how it is reached now.
#[derive(Clone, Debug, Default)]
pub(super) struct AgentLink {
    directors: Vec<DirectorLink>,
    pub(super) session: Option<Session>,
    /// Of two directors: the watch.
    pub(super) watch: Option<Watch>,
    /// Of the newest director of a pair that has coupled. An older one is not heard.
    epoch: Epoch,
    /// How often in a row what it told did not fit.
    setbacks: u32,
    /// What a workflow needs at the agent. Forgotten when an item changes.
    pub(super) needs: BTreeMap<WorkflowId, Arc<[ItemKey]>>,
}

/// A director, and how it is reached now.
#[derive(Clone, Debug)]
struct DirectorLink {
    peer: Peer,
    /// Where it may be; tried in turn.
    addresses: Vec<String>,
    /// How often it was dialled.
    dials: usize,
    phase: Phase,
    /// Why it has not coupled.
    problem: Option<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Dialling,
    Asked(LinkId),
    /// It is not the active one of its pair.
    Standby(LinkId),
    Coupled(LinkId),
}

/// A coupling that lasts.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) link: LinkId,
    pub(super) number: u64,
    since: Instant,
    /// Number of the last message with commands.
    pub(super) messages: u64,
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
    pub(super) commands: VecDeque<CausedCommand>,
}

impl AgentLink {
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        self.session.as_mut()
    }

    /// The orders which are on their way in this session.
    pub(super) fn offered(&self) -> Option<&BTreeSet<OrderId>> {
        self.session.as_ref().map(|session| &session.offered)
    }

    pub(super) fn is_reconciled(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_reconciled)
    }

    pub(super) fn has_link(&self, link: LinkId) -> bool {
        self.director_at(link).is_some()
    }

    pub(super) fn is_session(&self, link: LinkId) -> bool {
        self.session.as_ref().is_some_and(|session| session.link == link)
    }

    pub(super) fn director_at(&self, link: LinkId) -> Option<usize> {
        self.directors.iter().position(|director| director.phase.link() == Some(link))
    }

    /// The link to a director.
    pub(super) fn link_to(&self, number: usize) -> Option<LinkId> {
        self.directors.get(number)?.phase.link()
    }

    fn links(&self) -> impl Iterator<Item = LinkId> {
        self.directors.iter().filter_map(|director| director.phase.link())
    }

    /// Why there is no session; none while a director may still couple.
    fn problem(&self, path: &AgentPath) -> Option<Problem> {
        match &self.directors[..] {
            [director] => director.problem.clone(),
            [first, second] => {
                let (first, second) = (first.problem.as_ref()?, second.problem.as_ref()?);
                let message = format!("Agent:{path} has no active director. The first: {first}. The second: {second}");
                Some(Problem::coded("NoDirector", [], message))
            }
            _ => None,
        }
    }
}

impl DirectorLink {
    fn new(peer: Peer, addresses: Vec<String>) -> Self {
        Self { peer, addresses, dials: 0, phase: Phase::Waiting, problem: None }
    }
}

impl Phase {
    fn link(self) -> Option<LinkId> {
        match self {
            Self::Waiting | Self::Dialling => None,
            Self::Asked(link) | Self::Standby(link) | Self::Coupled(link) => Some(link),
        }
    }
}

impl Controller {
    /// Reaches for the agents that there are, where they are.
    pub(super) fn refresh_agents(&mut self, turn: Turn<'_>) {
        let mut known = BTreeMap::new();
        for item in self.state().items().simple() {
            if let Item::AgentRef(agent) = item {
                known.insert(agent.path.clone(), self.directors_of(agent));
            }
        }
        let gone: Vec<AgentPath> = self.agents.keys().filter(|path| !known.contains_key(*path)).cloned().collect();
        for path in gone {
            let links = self.agents.remove(&path);
            self.forget_links(&path, links.iter().flat_map(AgentLink::links).collect());
        }
        for (path, directors) in known {
            let agent = self.agents.entry(path.clone()).or_default();
            agent.needs.clear();
            if agent.directors.iter().map(|director| &director.peer).eq(directors.iter().map(|(peer, _)| peer)) {
                for (director, (_, addresses)) in agent.directors.iter_mut().zip(directors) {
                    director.addresses = addresses;
                }
                continue;
            }
            let links = agent.links().collect();
            (agent.session, agent.watch, agent.epoch) = (None, None, Epoch::default());
            agent.directors = directors.into_iter().map(|(peer, at)| DirectorLink::new(peer, at)).collect();
            let count = agent.directors.len();
            self.forget_links(&path, links);
            for number in 0..count {
                self.arm(turn, &path, AgentReason::Redial(number), Duration::ZERO);
            }
            if count == 2 {
                self.appoint_watch(turn, &path);
            }
        }
    }

    /// Who is to be dialled, and where.
    fn directors_of(&self, agent: &AgentRef) -> Vec<(Peer, Vec<String>)> {
        let items = self.state().items();
        let found: Vec<_> = agent.directors.iter().filter_map(|id| items.subagent(id)).collect();
        if let [_, _] = found[..] {
            let peer = |id| Peer::Director { agent: agent.path.clone(), subagent: id };
            return found.into_iter().map(|item| (peer(item.id.clone()), Vec::from([item.uri.clone()]))).collect();
        }
        let addresses = found.into_iter().map(|item| item.uri.clone()).chain(agent.uri.clone()).collect();
        Vec::from([(Peer::Agent(agent.path.clone()), addresses)])
    }

    fn forget_links(&mut self, path: &AgentPath, links: Vec<LinkId>) {
        for link in links {
            self.links.remove(&link);
        }
        self.deadlines.retain(|Reason::Agent(agent, _)| agent != path);
    }

    pub(super) fn agent_is_due(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        reason: AgentReason,
        out: &mut Outbox<'_, Self>,
    ) {
        let is_returning = self.is_returning(path);
        let Some(agent) = self.agents.get_mut(path) else { return };
        match reason {
            AgentReason::Redial(number) => {
                let Some(director) = agent.directors.get_mut(number) else { return };
                if director.addresses.is_empty() || is_returning {
                    return self.arm(turn, path, reason, self.config.timing.redial);
                }
                match director.phase {
                    Phase::Waiting => {
                        let address = director.addresses[director.dials % director.addresses.len()].clone();
                        director.dials += 1;
                        director.phase = Phase::Dialling;
                        let peer = director.peer.clone();
                        self.arm(turn, path, AgentReason::Coupling(number), self.config.timing.coupling);
                        out.hint(Act::Link(LinkHint::Dial { peer, address }));
                    }
                    Phase::Standby(link) => self.ask(turn, path, number, link),
                    Phase::Dialling | Phase::Asked(_) | Phase::Coupled(_) => {}
                }
            }
            AgentReason::Coupling(number) => match agent.directors.get(number).map(|director| director.phase) {
                Some(Phase::Dialling) => self.cannot_reach(turn, path, number, Ending::Lost),
                Some(Phase::Asked(link)) => self.give_up(turn, path, link, "the agent does not answer", out),
                _ => {}
            },
            AgentReason::Beat => {
                if let Some(session) = agent.session() {
                    let (link, session) = (session.link, session.number);
                    self.arm(turn, path, AgentReason::Beat, self.config.timing.heartbeat);
                    say_now(link, &ToAgent::Beat { session }, out);
                }
            }
            AgentReason::Silence => {
                if let Some(link) = agent.session().map(|session| session.link) {
                    self.give_up(turn, path, link, "the agent is silent", out);
                }
            }
            AgentReason::Watch => self.watch_is_due(turn, path, out),
        }
    }

    pub(super) fn link_is_up(&mut self, turn: Turn<'_>, link: LinkId, peer: &Peer, out: &mut Outbox<'_, Self>) {
        let Some((path, number)) = self.dialled(peer) else {
            return hang_up(link, "not needed any more", out);
        };
        self.links.insert(link, path.clone());
        self.ask(turn, &path, number, link);
        self.tell_watch(turn, &path, PairInput::Up(seat_of(number)), out);
    }

    /// The agent and the director who is being dialled so.
    fn dialled(&self, peer: &Peer) -> Option<(AgentPath, usize)> {
        let (Peer::Agent(path) | Peer::Director { agent: path, .. }) = peer else { return None };
        let is_dialled = |director: &DirectorLink| director.peer == *peer && director.phase == Phase::Dialling;
        Some((path.clone(), self.agents.get(path)?.directors.iter().position(is_dialled)?))
    }

    /// Asks a director to couple.
    fn ask(&mut self, turn: Turn<'_>, path: &AgentPath, number: usize, link: LinkId) {
        let director = self.agents.get_mut(path).and_then(|agent| agent.directors.get_mut(number));
        let Some(director) = director else { return };
        director.phase = Phase::Asked(link);
        self.arm(turn, path, AgentReason::Coupling(number), self.config.timing.coupling);
        let relation = self.replica.relations().agents.get(path);
        let coupling = AgentCoupling {
            controller_id: self.config.controller_id.clone(),
            controller_run_id: self.replica.relations().journal_id.clone(),
            epoch: turn.epoch,
            agent_run_id: relation.and_then(|agent| agent.run_id.clone()),
            adopted: relation.map_or(EventId::BEFORE_FIRST, |agent| agent.adopted),
            reset: relation.and_then(|agent| agent.resetting),
            agent_path: path.clone(),
        };
        self.say(turn, link, &ToAgent::Couple(coupling));
    }

    pub(super) fn dialling_failed(&mut self, turn: Turn<'_>, peer: &Peer, ending: Ending) {
        if let Some((path, number)) = self.dialled(peer) {
            self.cannot_reach(turn, &path, number, ending);
        }
    }

    fn cannot_reach(&mut self, turn: Turn<'_>, path: &AgentPath, number: usize, ending: Ending) {
        let problem = Problem::coded("AgentUnreachable", [], format!("Agent:{path} cannot be reached"));
        if let Some(watch) = self.agents.get_mut(path).and_then(|agent| agent.watch.as_mut()) {
            let input = PairInput::Down { seat: seat_of(number), refused: ending == Ending::Refused };
            watch.take(turn.now.instant, input, false);
        }
        self.fail(turn, path, number, problem);
    }

    pub(super) fn link_is_down(&mut self, turn: Turn<'_>, link: LinkId, out: &mut Outbox<'_, Self>) {
        out.withdraw(&Lane::Link(link));
        let Some(path) = self.links.get(&link).cloned() else { return };
        if let Some(number) = self.agents.get(&path).and_then(|agent| agent.director_at(link)) {
            let problem = format!("The connection with Agent:{path} has been lost");
            self.fail(turn, &path, number, Problem::coded("AgentConnectionLost", [], problem));
        }
    }

    /// Ends the link to a director of an agent, and tries again later.
    pub(super) fn give_up(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        link: LinkId,
        reason: &str,
        out: &mut Outbox<'_, Self>,
    ) {
        let Some(number) = self.agents.get(path).and_then(|agent| agent.director_at(link)) else { return };
        hang_up(link, reason, out);
        self.fail(turn, path, number, Problem::new(format!("Agent:{path}: {reason}")));
    }

    /// Ends all links to an agent, and tries again later.
    pub(super) fn give_up_all(&mut self, turn: Turn<'_>, path: &AgentPath, reason: &str, out: &mut Outbox<'_, Self>) {
        let links: Vec<LinkId> = self.agents.get(path).into_iter().flat_map(AgentLink::links).collect();
        for link in links {
            self.give_up(turn, path, link, reason, out);
        }
    }

    /// What the agent tells cannot be. Ends the link, and tries again after a time which gets longer and longer.
    pub(super) fn distrust(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        link: LinkId,
        problem: Problem,
        out: &mut Outbox<'_, Self>,
    ) {
        let Some(agent) = self.agents.get_mut(path) else { return };
        let Some(number) = agent.director_at(link) else { return };
        agent.setbacks = agent.setbacks.saturating_add(1);
        let setbacks = agent.setbacks;
        hang_up(link, &problem.message, out);
        self.fail(turn, path, number, problem);
        let timing = self.config.timing;
        let pause = timing.redial.saturating_mul(2_u32.saturating_pow(setbacks)).min(timing.longest_redial);
        self.arm(turn, path, AgentReason::Redial(number), pause);
    }

    fn fail(&mut self, turn: Turn<'_>, path: &AgentPath, number: usize, problem: Problem) {
        let Some(agent) = self.agents.get_mut(path) else { return };
        let Some(director) = agent.directors.get_mut(number) else { return };
        let link = director.phase.link();
        (director.phase, director.problem) = (Phase::Waiting, Some(problem));
        // Who was here for a while is dialled at once; who comes and goes must wait.
        let ended = agent.session.take_if(|session| Some(session.link) == link);
        let lasted = ended.as_ref().map_or(Duration::ZERO, |session| turn.now.instant.since(session.since));
        if let Some(link) = link {
            self.links.remove(&link);
            if let Some(watch) = &mut agent.watch {
                watch.take(turn.now.instant, PairInput::Down { seat: seat_of(number), refused: false }, false);
            }
        }
        if ended.is_some() {
            self.disarm(path, [AgentReason::Beat, AgentReason::Silence]);
        }
        self.disarm(path, [AgentReason::Coupling(number)]);
        self.arm(turn, path, AgentReason::Redial(number), self.config.timing.redial.saturating_sub(lasted));
        self.note_problem(turn, path);
    }

    /// Records why there is no session, if there is none.
    fn note_problem(&mut self, turn: Turn<'_>, path: &AgentPath) {
        let agent = self.agents.get(path).filter(|agent| agent.session.is_none());
        let Some(problem) = agent.and_then(|agent| agent.problem(path)) else { return };
        let known = self.replica.relations().agents.get(path).and_then(|agent| agent.problem.as_ref());
        if known != Some(&problem) {
            self.replica.take(turn, Event::Agent(path.clone(), AgentEvent::AgentCouplingFailed { problem }));
        }
    }

    /// A director does not couple.
    pub(super) fn refused(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        link: LinkId,
        problem: Problem,
        out: &mut Outbox<'_, Self>,
    ) {
        let Some(agent) = self.agents.get_mut(path) else { return };
        let Some(number) = agent.director_at(link) else { return };
        let director = &mut agent.directors[number];
        let is_standby = problem.code == NOT_ACTIVE && matches!(director.peer, Peer::Director { .. });
        if !is_standby {
            let reason = format!("it refuses: {problem}");
            return self.give_up(turn, path, link, &reason, out);
        }
        (director.phase, director.problem) = (Phase::Standby(link), Some(problem));
        // One that hands over says so to whom it was coupled with.
        if agent.session.take_if(|session| session.link == link).is_some() {
            out.withdraw(&Lane::Link(link));
            self.disarm(path, [AgentReason::Beat, AgentReason::Silence]);
        }
        self.disarm(path, [AgentReason::Coupling(number)]);
        self.arm(turn, path, AgentReason::Redial(number), self.config.timing.redial);
        self.note_problem(turn, path);
    }

    /// The agent has coupled.
    pub(super) fn coupled(
        &mut self,
        turn: Turn<'_>,
        path: &AgentPath,
        link: LinkId,
        coupled: FromAgent,
        out: &mut Outbox<'_, Self>,
    ) {
        let FromAgent::Coupled { session: number, agent_run_id, begin, end, items, epoch } = coupled else { return };
        let is_resetting = self.replica.relations().agents.get(path).is_some_and(|agent| agent.resetting.is_some());
        let Some(agent) = self.agents.get_mut(path) else { return };
        let Some(director) = agent.director_at(link) else { return };
        match agent.directors[director].phase {
            Phase::Asked(_) => {}
            Phase::Coupled(_) if agent.session.as_ref().is_some_and(|session| session.number == number) => return,
            _ => return self.give_up(turn, path, link, "it coupled without being asked", out),
        }
        if agent.directors.len() > 1 && epoch < agent.epoch && !is_resetting {
            let reason =
                format!("it is a director of epoch {epoch}, but one of epoch {} has coupled already", agent.epoch);
            return self.give_up(turn, path, link, &reason, out);
        }
        agent.epoch = epoch;
        (agent.directors[director].phase, agent.directors[director].problem) = (Phase::Coupled(link), None);
        if let Some(before) = agent.session.as_ref().map(|session| session.link) {
            self.give_up(turn, path, before, "the other director is active now", out);
        }
        if is_resetting {
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
                return self.give_up(turn, path, link, &reason, out);
            }
            Some(_) => {}
        }
        // One that told what cannot be is believed when both have compared what they have.
        if self.agents.get(path).is_some_and(|agent| agent.setbacks == 0) {
            self.note_coupled(turn, path);
        }
        if let Some(agent) = self.agents.get_mut(path) {
            agent.session = Some(Session {
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
        self.disarm(path, [AgentReason::Redial(director), AgentReason::Coupling(director)]);
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

    pub(super) fn arm(&mut self, turn: Turn<'_>, path: &AgentPath, reason: AgentReason, after: Duration) {
        self.deadlines.set(Reason::Agent(path.clone(), reason), turn.now.instant + after);
    }

    fn disarm<const N: usize>(&mut self, path: &AgentPath, reasons: [AgentReason; N]) {
        for reason in reasons {
            self.deadlines.cancel(&Reason::Agent(path.clone(), reason));
        }
    }
}
