//! The director's link to a subagent: dialling, coupling, signs of life, the reports of processes, and their loss.
//!
//! A subagent that is silent or refuses gets no more jobs at once: that is an event, so that it is chosen by nobody until it
//! couples again. Its processes are lost when it is known to be dead, when it is another run, or when its lease (see
//! [`crate::message`]) must have run out.

use super::{Director, Reason, hang_up, is_dead, say_now};
use crate::attempt::{Attempt, RunId};
use crate::host::Act;
use crate::link::{Ending, LinkHint, LinkId, Peer};
use crate::message::{
    AttemptState, Channel, FromSubagent, MachineLoad, Report, Reported, SubagentCoupling, SubagentRefusal, ToSubagent,
};
use crate::planted::Bug;
use crate::process::{KillCause, ProcessSpec, Signal};
use crate::replica::Turn;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::outbox::Outbox;
use baton_protocol::time::Instant;
use baton_workflow::decimal::Decimal;
use baton_workflow::id::{OrderId, SubagentId};
use baton_workflow::model::event::{Event, SubagentEvent};
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::state::subagent::{Coupling, Metering, SubagentState};
use core::time::Duration;

/// Why a subagent that is moving gets no more processes.
const MOVES: &str = "SubagentMoves";

/// What to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SubagentReason {
    /// Dial again.
    Redial,
    /// Nothing came of dialling or coupling.
    Coupling,
    /// Give a sign of life.
    Beat,
    /// The subagent has been silent.
    Silence,
    /// The lease of the subagent must have run out.
    Lost,
}

/// A subagent, and how it is reached now.
#[derive(Clone, Debug, Default)]
pub(super) struct SubagentLink {
    address: String,
    phase: Phase,
    /// Of its last coupling.
    pub(super) environment: BTreeMap<String, String>,
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
struct Session {
    link: LinkId,
    number: u64,
    since: Instant,
    /// Number of the last launch or kill.
    messages: u64,
    /// Number of the last report that has arrived.
    received: u64,
    /// Number of the last sign of life that has arrived.
    heard: u64,
    /// What it has told of its machine last, and until when that is believed.
    metering: Option<(Instant, MachineLoad)>,
}

impl SubagentLink {
    /// What is known of its machine.
    pub(super) fn metering(&self, now: Instant) -> Option<Metering> {
        let Phase::Coupled(Session { metering: Some((until, load)), .. }) = &self.phase else { return None };
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        (now <= *until).then(|| Metering {
            cpu_load: load.cpu_per_mille.and_then(|load| Decimal::from_parts(load.into(), 3)),
            committed_virtual_memory_size: signed(load.committed_memory),
            free_memory_size: signed(load.free_memory),
            total_memory_size: signed(load.total_memory),
        })
    }

    pub(super) fn is_coupled(&self) -> bool {
        matches!(self.phase, Phase::Coupled(_))
    }

    /// Over which it is coupled.
    pub(super) fn coupled_link(&self) -> Option<LinkId> {
        match &self.phase {
            Phase::Coupled(session) => Some(session.link),
            Phase::Waiting | Phase::Dialling | Phase::Coupling(_) => None,
        }
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

    fn session(&mut self) -> Option<&mut Session> {
        match &mut self.phase {
            Phase::Coupled(session) => Some(session),
            Phase::Waiting | Phase::Dialling | Phase::Coupling(_) => None,
        }
    }
}

impl Director {
    /// Reaches for the subagents that there are, where they are.
    pub(super) fn refresh_subagents(&mut self, turn: Turn<'_>) {
        let relations = self.replica.relations();
        let known: BTreeMap<SubagentId, String> = relations
            .subagents
            .iter()
            .filter_map(|(id, _)| Some((id.clone(), relations.address_of(id)?.into())))
            .collect();
        let gone: Vec<SubagentId> = self.subagents.keys().filter(|id| !known.contains_key(*id)).cloned().collect();
        for id in gone {
            if let Some(link) = self.subagents.remove(&id).and_then(|subagent| subagent.link()) {
                self.links.remove(&link);
            }
            self.disarm(&id);
            self.deadlines.cancel(&Reason::Subagent(id, SubagentReason::Lost));
        }
        for (id, address) in known {
            let is_new = !self.subagents.contains_key(&id);
            let subagent = self.subagents.entry(id.clone()).or_default();
            let has_moved = !is_new && subagent.address != address;
            subagent.address = address;
            if is_new {
                self.arm(turn, &id, SubagentReason::Redial, Duration::ZERO);
                // What the predecessor has heard last is not known; not later than when it must have ceased to be sure.
                let lease = self.config.timing.reconnect_timeout + self.config.timing.loss_margin;
                self.arm(turn, &id, SubagentReason::Lost, lease + self.office.doubt());
            }
            if has_moved {
                self.arm(turn, &id, SubagentReason::Silence, Duration::ZERO);
            } else {
                self.let_move(turn, &id);
            }
        }
    }

    /// A subagent that is moving gets no more processes where it was, unless it is to stay there after all.
    fn let_move(&mut self, turn: Turn<'_>, id: &SubagentId) {
        let relations = self.replica.relations();
        let Some(known) = relations.subagents.get(id) else { return };
        let was_moving =
            known.coupling() == Coupling::Coupled && known.problem().is_some_and(|problem| &*problem.code == MOVES);
        if relations.is_moving(id) && known.is_reachable() {
            let message = format!("Subagent:{id} moves to another address when what it runs has come to its end");
            let problem = Problem::coded(MOVES, [], message);
            self.subagent_event(turn, id, SubagentEvent::SubagentCouplingFailed { problem });
        } else if !relations.is_moving(id) && was_moving && self.subagents.get(id).is_some_and(SubagentLink::is_coupled)
        {
            self.subagent_event(turn, id, SubagentEvent::SubagentCoupled);
        }
    }

    /// Those which were moving and have nothing left where they were.
    pub(super) fn go_on_with_moves(&mut self, turn: Turn<'_>) {
        let relations = self.replica.relations();
        let is_left =
            |(id, link): (&SubagentId, &SubagentLink)| relations.address_of(id) != Some(link.address.as_str());
        if self.subagents.iter().any(is_left) {
            self.refresh_subagents(turn);
        }
    }

    /// After a restart: what the journal says of connections was true before.
    pub(super) fn uncouple_all(&mut self, turn: Turn<'_>) {
        let subagents = self.replica.relations().subagents.iter();
        let reachable: Vec<SubagentId> =
            subagents.filter(|(_, subagent)| subagent.is_reachable()).map(|(id, _)| id.clone()).collect();
        for id in reachable {
            let problem = Problem::coded("DirectorRestarted", [], "The director has been restarted");
            self.subagent_event(turn, &id, SubagentEvent::SubagentCouplingFailed { problem });
        }
    }

    pub(super) fn subagent_is_due(
        &mut self,
        turn: Turn<'_>,
        id: &SubagentId,
        reason: SubagentReason,
        out: &mut Outbox<'_, Self>,
    ) {
        let Some(subagent) = self.subagents.get_mut(id) else { return };
        // To couple and to return signs of life renews a lease.
        let is_sure = self.office.is_sure(turn.now.instant, out.journal().role());
        match reason {
            SubagentReason::Redial => {
                if !is_sure {
                    self.arm(turn, id, SubagentReason::Redial, self.config.timing.redial);
                } else if let Phase::Waiting = subagent.phase {
                    subagent.phase = Phase::Dialling;
                    let address = subagent.address.clone();
                    self.arm(turn, id, SubagentReason::Coupling, self.config.timing.coupling);
                    out.hint(Act::Link(LinkHint::Dial { peer: Peer::Subagent(id.clone()), address }));
                }
            }
            SubagentReason::Coupling => match subagent.phase {
                Phase::Dialling => self.subagent_link_failed(turn, id, Ending::Lost),
                Phase::Coupling(_) => self.give_up_subagent(turn, id, "the subagent does not answer", out),
                Phase::Waiting | Phase::Coupled(_) => {}
            },
            SubagentReason::Beat => {
                if let Some(session) = subagent.session() {
                    let heard = session.heard;
                    let (link, session) = (session.link, session.number);
                    let heard = is_sure.then_some(heard);
                    self.arm(turn, id, SubagentReason::Beat, self.config.timing.heartbeat);
                    say_now(link, &ToSubagent::Beat { session, heard }, out);
                }
            }
            SubagentReason::Silence => self.give_up_subagent(turn, id, "the subagent is silent", out),
            SubagentReason::Lost => {
                if !subagent.is_coupled() {
                    let message = format!("Subagent:{id} has been silent for so long that it has ended its processes");
                    let problem = Problem::coded("ProcessLostDueToSilence", [], message);
                    self.processes_are_lost(turn, id, &problem);
                }
            }
        }
    }

    pub(super) fn subagent_link_is_up(
        &mut self,
        turn: Turn<'_>,
        link: LinkId,
        id: SubagentId,
        out: &mut Outbox<'_, Self>,
    ) {
        let is_wanted = |subagent: &&mut SubagentLink| matches!(subagent.phase, Phase::Dialling);
        let dedication = self.replica.relations().dedication.clone();
        let (Some(subagent), Some(dedication)) = (self.subagents.get_mut(&id).filter(is_wanted), dedication) else {
            return hang_up(link, "not needed any more", out);
        };
        subagent.phase = Phase::Coupling(link);
        self.links.insert(link, id.clone());
        self.arm(turn, &id, SubagentReason::Coupling, self.config.timing.coupling);
        let relations = self.replica.relations();
        let run = relations.run_of(&id);
        // The subagents of an agent that was reset still belong to its former identity.
        let is_taken_over = relations.begin > EventId::BEFORE_FIRST && run.is_none();
        let force = is_taken_over || self.is_resetting(&id);
        let processes = relations.processes_of(&id);
        let attempts = processes
            .iter()
            .filter_map(|order_id| relations.processes.get(order_id).map(|process| process.attempt(order_id)))
            .collect();
        let coupling = SubagentCoupling {
            agent_path: dedication.agent_path,
            agent_run_id: dedication.agent_run_id,
            subagent_id: id,
            epoch: turn.epoch,
            run_id: run.map(|(run_id, _)| run_id),
            received: run.map_or(0, |(_, received)| received),
            attempts,
            force,
        };
        self.say(turn, link, &ToSubagent::Couple(coupling));
    }

    /// There is no link to the subagent, or no more.
    pub(super) fn subagent_link_failed(&mut self, turn: Turn<'_>, id: &SubagentId, ending: Ending) {
        let message = match ending {
            Ending::Refused => format!("Subagent:{id} is not there"),
            Ending::Lost => format!("Subagent:{id} cannot be reached"),
        };
        self.fail_subagent(turn, id, Problem::coded("SubagentUnreachable", [], message));
        if is_dead(ending) || self.bugs.has(Bug::HandOverBeforeFence) {
            let message = format!("Subagent:{id} has ended, and its processes with it");
            self.processes_are_lost(turn, id, &Problem::coded("ProcessLostDueToSubagentDeath", [], message));
        }
    }

    /// Ends the link to a subagent, and tries again later.
    pub(super) fn give_up_subagent(
        &mut self,
        turn: Turn<'_>,
        id: &SubagentId,
        reason: &str,
        out: &mut Outbox<'_, Self>,
    ) {
        if let Some(link) = self.subagents.get(id).and_then(SubagentLink::link) {
            hang_up(link, reason, out);
        }
        self.fail_subagent(turn, id, Problem::new(format!("Subagent:{id}: {reason}")));
    }

    fn fail_subagent(&mut self, turn: Turn<'_>, id: &SubagentId, problem: Problem) {
        let Some(subagent) = self.subagents.get_mut(id) else { return };
        if let Some(link) = subagent.link() {
            self.links.remove(&link);
        }
        // Who was here for a while is dialled at once; who comes and goes must wait.
        let lasted = subagent.session().map_or(Duration::ZERO, |session| turn.now.instant.since(session.since));
        subagent.phase = Phase::Waiting;
        self.disarm(id);
        self.arm(turn, id, SubagentReason::Redial, self.config.timing.redial.saturating_sub(lasted));
        let known = self.replica.relations().subagents.get(id).and_then(|subagent| subagent.problem());
        if known != Some(&problem) {
            self.subagent_event(turn, id, SubagentEvent::SubagentCouplingFailed { problem });
        }
    }

    /// The processes of a subagent are not running any more.
    pub(super) fn processes_are_lost(&mut self, turn: Turn<'_>, id: &SubagentId, problem: &Problem) {
        let orders = self.replica.relations().processes_of(id);
        for order_id in &orders {
            self.process_is_lost(turn, order_id, problem.clone());
        }
        self.replica.steps(turn, orders);
    }

    pub(super) fn on_subagent_message(
        &mut self,
        turn: Turn<'_>,
        id: &SubagentId,
        message: FromSubagent,
        out: &mut Outbox<'_, Self>,
    ) {
        let number = match message {
            FromSubagent::Coupled { session, run_id, acknowledged, environment, attempts } => {
                if let Some(link) = self.accept_coupled(turn, id, session, environment, out) {
                    let since = turn.now.instant;
                    if self.is_other_history(id, run_id, acknowledged, &attempts) {
                        return self.reset_other_history(turn, id, out);
                    }
                    let session = Session {
                        link,
                        number: session,
                        since,
                        messages: 0,
                        received: acknowledged,
                        heard: 0,
                        metering: None,
                    };
                    self.subagent_coupled(turn, id, session, run_id, attempts);
                }
                return;
            }
            FromSubagent::Refused(refusal) => return self.subagent_refuses(turn, id, &refusal, out),
            FromSubagent::Launched { session, .. }
            | FromSubagent::Reports { session, .. }
            | FromSubagent::Beat { session, .. }
            | FromSubagent::Stopping { session }
            | FromSubagent::Stopped { session } => session,
        };
        let Some(session) = self.subagents.get_mut(id).and_then(SubagentLink::session) else { return };
        if session.number != number {
            return;
        }
        if let FromSubagent::Beat { number, metering, .. } = message {
            session.heard = session.heard.max(number);
            if let Some(load) = metering {
                session.metering = Some((turn.now.instant + self.config.timing.metering_life, load));
                self.may_unpark = true;
            }
        }
        self.arm(turn, id, SubagentReason::Silence, self.config.timing.subagent_silence);
        self.lease_from_now(turn, id);
        match message {
            FromSubagent::Reports { first, reports, .. } => self.on_reports(turn, id, first, reports, out),
            FromSubagent::Launched { attempt, state, .. } => {
                if state == AttemptState::NotStarted && self.is_current(id, &attempt) {
                    let message = format!("Subagent:{id} did not start the process");
                    self.process_is_not_started(turn, &attempt.order_id, Problem::new(message));
                    self.replica.steps(turn, [attempt.order_id]);
                    let known = self.replica.relations().subagents.get(id);
                    if known.is_some_and(SubagentState::is_reachable) {
                        // Only a subagent that ends may refuse; this one would be chosen again and again.
                        self.give_up_subagent(turn, id, "it does not start processes, though it does not end", out);
                    }
                }
            }
            FromSubagent::Stopping { .. } => {
                self.subagent_event(turn, id, SubagentEvent::SubagentShutdownStarted);
            }
            FromSubagent::Stopped { .. } => self.subagent_has_stopped(turn, id),
            FromSubagent::Coupled { .. } | FromSubagent::Refused(_) | FromSubagent::Beat { .. } => {}
        }
    }

    /// The subagent has ended as it was told, and nothing runs there any more: what is still taken for running, is lost now.
    fn subagent_has_stopped(&mut self, turn: Turn<'_>, id: &SubagentId) {
        let message = format!("Subagent:{id} has been shut down");
        self.processes_are_lost(turn, id, &Problem::coded("ProcessLostDueToShutdown", [], message));
        self.subagent_event(turn, id, SubagentEvent::SubagentShutdown);
    }

    /// Whether the subagent was asked to couple, over which link.
    fn accept_coupled(
        &mut self,
        turn: Turn<'_>,
        id: &SubagentId,
        number: u64,
        environment: BTreeMap<String, String>,
        out: &mut Outbox<'_, Self>,
    ) -> Option<LinkId> {
        let subagent = self.subagents.get_mut(id)?;
        match &subagent.phase {
            Phase::Coupling(link) => {
                let link = *link;
                subagent.environment = environment;
                Some(link)
            }
            Phase::Coupled(session) if session.number == number => None,
            Phase::Waiting | Phase::Dialling | Phase::Coupled(_) => {
                self.give_up_subagent(turn, id, "it coupled without being asked", out);
                None
            }
        }
    }

    /// Whether the end of a process may have been acknowledged to this run of the subagent which is not in our journal: that
    /// comes from a backup then.
    fn is_other_history(
        &self,
        id: &SubagentId,
        run_id: RunId,
        acknowledged: u64,
        attempts: &[(Attempt, AttemptState)],
    ) -> bool {
        let run = self.replica.relations().run_of(id);
        let known = self.replica.relations().subagents.get(id);
        // Of one that ends, it is not recorded what it has told.
        known.is_some_and(|known| known.coupling() == Coupling::Coupled)
            && run.is_some_and(|(known, received)| known == run_id && acknowledged > received)
            && attempts.iter().any(|(_, state)| *state == AttemptState::NotStarted)
    }

    /// What became of its processes, the subagent has told and forgotten. So they are lost, when it has started anew.
    fn reset_other_history(&mut self, turn: Turn<'_>, id: &SubagentId, out: &mut Outbox<'_, Self>) {
        if !self.is_resetting(id) {
            self.subagent_event(turn, id, SubagentEvent::SubagentResetStarted { force: true });
        }
        let reason = "it has told its director more than this director knows, so it has to start anew";
        self.give_up_subagent(turn, id, reason, out);
    }

    fn subagent_coupled(
        &mut self,
        turn: Turn<'_>,
        id: &SubagentId,
        mut session: Session,
        run_id: RunId,
        attempts: Vec<(Attempt, AttemptState)>,
    ) {
        let run = self.replica.relations().run_of(id);
        let is_same = run.is_some_and(|(known, _)| known == run_id);
        if !is_same {
            let is_reset = self.is_resetting(id);
            let (code, what) =
                if is_reset { ("ProcessLostDueToReset", "reset") } else { ("ProcessLostDueToRestart", "restarted") };
            let problem = Problem::coded(code, [], format!("Subagent:{id} has been {what}"));
            self.processes_are_lost(turn, id, &problem);
            if is_reset {
                self.subagent_event(turn, id, SubagentEvent::SubagentReset);
            } else if run.is_some() {
                self.subagent_event(turn, id, SubagentEvent::SubagentRestarted);
            }
            let event = SubagentEvent::SubagentDedicated { subagent_run_id: run_id.to_string() };
            self.subagent_event(turn, id, event);
        }
        if let Some(subagent) = self.subagents.get_mut(id) {
            let received = run.filter(|_| is_same).map_or(0, |(_, received)| received);
            session.received = session.received.max(received);
            subagent.phase = Phase::Coupled(session);
        }
        let known = self.replica.relations().subagents.get(id);
        if known.is_some_and(|subagent| !subagent.is_reachable() && !subagent.is_detaching()) || is_same {
            self.subagent_event(turn, id, SubagentEvent::SubagentCoupled);
        }
        self.disarm(id);
        self.arm(turn, id, SubagentReason::Beat, Duration::ZERO);
        self.arm(turn, id, SubagentReason::Silence, self.config.timing.subagent_silence);
        self.lease_from_now(turn, id);
        if is_same {
            for (attempt, state) in attempts {
                self.resume_process(turn, id, &attempt, state);
            }
        }
    }

    /// What the subagent knows of a process that was started before.
    fn resume_process(&mut self, turn: Turn<'_>, id: &SubagentId, attempt: &Attempt, state: AttemptState) {
        if !self.is_current(id, attempt) {
            return;
        }
        match state {
            AttemptState::NotStarted => {
                self.launch_again(turn, &attempt.order_id);
                self.kill_again(turn, &attempt.order_id);
            }
            AttemptState::Running => self.kill_again(turn, &attempt.order_id),
            AttemptState::Finished => {}
        }
    }

    fn subagent_refuses(
        &mut self,
        turn: Turn<'_>,
        id: &SubagentId,
        refusal: &SubagentRefusal,
        out: &mut Outbox<'_, Self>,
    ) {
        let reason = format!("it refuses: {refusal}");
        self.give_up_subagent(turn, id, &reason, out);
    }

    pub(super) fn reset_subagent(&mut self, turn: Turn<'_>, id: &SubagentId, force: bool) -> Checked<()> {
        if self.replica.relations().subagents.get(id).is_none() {
            return Err(Problem::new(format!("Subagent:{id} is unknown here")));
        }
        if !self.is_resetting(id) {
            self.subagent_event(turn, id, SubagentEvent::SubagentResetStarted { force });
            self.arm(turn, id, SubagentReason::Silence, Duration::ZERO);
        }
        Ok(())
    }

    /// Whether the subagent is to start anew. Its processes are lost when it has.
    fn is_resetting(&self, id: &SubagentId) -> bool {
        let subagent = self.replica.relations().subagents.get(id);
        subagent.is_some_and(|subagent| matches!(subagent.coupling(), Coupling::Resetting { .. }))
    }

    fn on_reports(
        &mut self,
        turn: Turn<'_>,
        id: &SubagentId,
        first: u64,
        reports: Vec<Report>,
        out: &mut Outbox<'_, Self>,
    ) {
        let Some(session) = self.subagents.get_mut(id).and_then(SubagentLink::session) else { return };
        let next = session.received.saturating_add(1);
        if first > next {
            let reason = format!("report {first} follows report {}", session.received);
            return self.give_up_subagent(turn, id, &reason, out);
        }
        let known = usize::try_from(next - first).unwrap_or(usize::MAX);
        if reports.len() <= known {
            return;
        }
        session.received = first.saturating_add(reports.len() as u64).saturating_sub(1);
        let (link, number, received) = (session.link, session.number, session.received);
        let reports = if self.bugs.has(Bug::DropResults) && session.heard == 0 { Vec::new() } else { reports };
        let mut is_worth_a_record = false;
        let mut ended = Vec::new();
        let mut output: Option<(OrderId, Channel, String)> = None;
        for Report { attempt, what } in reports.into_iter().skip(known) {
            is_worth_a_record |= !matches!(what, Reported::Started { .. });
            if !self.is_current(id, &attempt) {
                continue;
            }
            match what {
                Reported::Started { .. } => {}
                Reported::Output { channel, chunk } => match &mut output {
                    Some((order_id, last, text)) if *order_id == attempt.order_id && *last == channel => {
                        text.push_str(&chunk);
                    }
                    _ => {
                        self.output(turn, output.take());
                        output = Some((attempt.order_id, channel, chunk));
                    }
                },
                Reported::Ended(end) => {
                    self.output(turn, output.take());
                    self.process_has_ended(turn, &attempt.order_id, &end);
                    ended.push(attempt.order_id);
                }
            }
        }
        self.output(turn, output);
        if is_worth_a_record || self.bugs.has(Bug::DropResults) {
            let until_event_id = i64::try_from(received).unwrap_or(i64::MAX);
            self.subagent_event(turn, id, SubagentEvent::SubagentEventsObserved { until_event_id });
            self.say(turn, link, &ToSubagent::Received { session: number, until: received });
        }
        self.replica.steps(turn, ended);
    }

    fn output(&mut self, turn: Turn<'_>, output: Option<(OrderId, Channel, String)>) {
        let Some((order_id, channel, chunk)) = output else { return };
        let event = match channel {
            Channel::Stdout => OrderEvent::OrderStdoutWritten { chunk },
            Channel::Stderr => OrderEvent::OrderStderrWritten { chunk },
        };
        self.replica.take(turn, Event::Order(order_id, event));
    }

    /// Whether this attempt is what is taken for running at the subagent. All others are stragglers.
    fn is_current(&self, id: &SubagentId, attempt: &Attempt) -> bool {
        let process = self.replica.relations().processes.get(&attempt.order_id);
        process.is_some_and(|process| process.subagent_id == *id && process.attempt(&attempt.order_id) == *attempt)
    }

    /// Lets a subagent start a process, when that is committed. If it is not coupled, it will be asked when it is.
    pub(super) fn send_launch(&mut self, turn: Turn<'_>, id: &SubagentId, attempt: Attempt, spec: ProcessSpec) {
        let Some(session) = self.subagents.get_mut(id).and_then(SubagentLink::session) else { return };
        session.messages += 1;
        let (link, number, session) = (session.link, session.messages, session.number);
        self.say(turn, link, &ToSubagent::Launch { session, number, attempt, spec });
    }

    /// Lets a subagent end a process. If it is not coupled, it will be told when it is.
    pub(super) fn send_kill(
        &mut self,
        turn: Turn<'_>,
        id: &SubagentId,
        attempt: Attempt,
        signal: Signal,
        grace: Duration,
        cause: KillCause,
    ) {
        let Some(session) = self.subagents.get_mut(id).and_then(SubagentLink::session) else { return };
        session.messages += 1;
        let (link, number, session) = (session.link, session.messages, session.number);
        self.say(turn, link, &ToSubagent::Kill { session, number, attempt, signal, grace, cause });
    }

    pub(super) fn subagent_event(&mut self, turn: Turn<'_>, id: &SubagentId, event: SubagentEvent) {
        self.replica.take(turn, Event::Subagent(id.clone(), event));
    }

    /// The subagent may have heard from us that we heard it now. Its processes are lost when that lease must have run out.
    fn lease_from_now(&mut self, turn: Turn<'_>, id: &SubagentId) {
        self.arm(turn, id, SubagentReason::Lost, self.config.timing.reconnect_timeout + self.config.timing.loss_margin);
    }

    fn arm(&mut self, turn: Turn<'_>, id: &SubagentId, reason: SubagentReason, after: Duration) {
        self.deadlines.set(Reason::Subagent(id.clone(), reason), turn.now.instant + after);
    }

    /// All but the loss of its processes.
    fn disarm(&mut self, id: &SubagentId) {
        use SubagentReason::{Beat, Coupling, Redial, Silence};
        for reason in [Redial, Coupling, Beat, Silence] {
            self.deadlines.cancel(&Reason::Subagent(id.clone(), reason));
        }
    }
}
