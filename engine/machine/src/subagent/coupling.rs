//! How a subagent couples with its director, and the lease that comes with it.

use super::{Reason, Subagent, SubagentHint};
use crate::attempt::{Attempt, RunId};
use crate::codec;
use crate::link::{LinkHint, LinkId};
use crate::message::{AttemptState, FromSubagent, SubagentCoupling, SubagentRefusal};
use crate::planted::Bug;
use crate::process::{KillCause, Signal};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use baton_protocol::outbox::Outbox;
use baton_protocol::record::Epoch;
use baton_protocol::time::{Instant, Now};
use baton_workflow::id::{AgentPath, SubagentId};

/// Whom a subagent belongs to: the first that has coupled, until it starts anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The agent.
    pub agent_path: AgentPath,
    /// Identifies the journal of the agent.
    pub agent_run_id: String,
    /// What the subagent is called there.
    pub subagent_id: SubagentId,
    /// The highest epoch of its director. A lower one is refused.
    pub epoch: Epoch,
}

/// A coupling that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) link: LinkId,
    number: u64,
    /// Number of the last launch or kill.
    executed: u64,
    /// Signs of life that the director has not returned: their numbers, and when they were sent.
    beats: VecDeque<(u64, Instant)>,
    beat: u64,
    pub(super) silent_since: Instant,
}

impl Session {
    pub(super) fn is(&self, link: LinkId, number: u64) -> bool {
        self.link == link && self.number == number
    }
}

impl Subagent {
    pub(super) fn couple(&mut self, now: Now, link: LinkId, coupling: SubagentCoupling, out: &mut Outbox<'_, Self>) {
        if self.session.as_ref().is_some_and(|session| session.link == link) {
            return;
        }
        if let Some(refusal) = self.refusal(&coupling) {
            return self.send(link, &FromSubagent::Refused(refusal), out);
        }
        let is_new_owner = self.owner.as_ref().is_some_and(|owner| owner.agent_run_id != coupling.agent_run_id);
        // A director that has reports which were never made knows another history of this run: one of both is a copy.
        let is_other_history = coupling.run_id == Some(self.run_id) && coupling.received > self.reports.last();
        let starts_anew = coupling.force || is_new_owner || is_other_history;
        if starts_anew && !self.processes.is_empty() {
            // Whoever couples then can be sure that nothing runs any more.
            self.end_all(out);
            return self.send(link, &FromSubagent::Refused(SubagentRefusal::Ending), out);
        }
        let SubagentCoupling { agent_path, agent_run_id, subagent_id, epoch, run_id, received, attempts, force: _ } =
            coupling;
        if starts_anew {
            self.start_anew();
        }
        let received = if run_id == Some(self.run_id) { received } else { 0 };
        let Some(freed) = self.reports.acknowledge(received) else {
            return self.hang_up(link, format!("report {received} was received but never made"), out);
        };
        self.free(freed, out);
        if let Some(old) = self.session.as_ref().map(|session| session.link) {
            self.hang_up(old, String::from("the director has coupled anew"), out);
        }

        self.owner = Some(Owner { agent_path, agent_run_id, subagent_id, epoch });
        self.sessions += 1;
        self.session = Some(Session {
            link,
            number: self.sessions,
            executed: 0,
            beats: VecDeque::from([(0, now.instant)]),
            beat: 0,
            silent_since: now.instant,
        });
        self.deadlines.cancel(&Reason::Uncoupled(link));
        self.deadlines.set(Reason::Beat, now.instant + self.config.timing.heartbeat);
        self.deadlines.set(Reason::Silence, now.instant + self.config.timing.subagent_silence);

        self.end_all_but(&attempts, out);
        let attempts = attempts.into_iter().map(|attempt| (attempt.clone(), self.state_of(&attempt))).collect();
        let (run_id, environment) = (self.run_id, self.config.environment.clone());
        let acknowledged = self.reports.acknowledged();
        self.tell(|session| FromSubagent::Coupled { session, run_id, acknowledged, environment, attempts }, out);
        for (first, reports) in self.reports.messages_after(received) {
            self.tell(|session| FromSubagent::Reports { session, first, reports }, out);
        }
        if self.is_stopping {
            self.tell(|session| FromSubagent::Stopping { session }, out);
        }
        if self.is_stopped {
            self.tell(|session| FromSubagent::Stopped { session }, out);
        }
    }

    fn refusal(&self, coupling: &SubagentCoupling) -> Option<SubagentRefusal> {
        let owner = self.owner.as_ref()?;
        if owner.agent_run_id != coupling.agent_run_id {
            let (agent_path, agent_run_id) = (owner.agent_path.clone(), owner.agent_run_id.clone());
            return (!coupling.force).then_some(SubagentRefusal::OtherAgent { agent_path, agent_run_id });
        }
        if owner.subagent_id != coupling.subagent_id && !coupling.force {
            return Some(SubagentRefusal::OtherSubagent { subagent_id: owner.subagent_id.clone() });
        }
        if self.bugs.has(Bug::ObeyTheOld) {
            return None;
        }
        (owner.epoch > coupling.epoch).then_some(SubagentRefusal::Superseded { epoch: owner.epoch })
    }

    /// Begins another run: everything that was has ended, and is forgotten.
    fn start_anew(&mut self) {
        self.finished.clear();
        self.reports = super::Reports::default();
        self.run_id = RunId(self.random.next());
        self.deadlines.cancel(&Reason::Lease);
    }

    /// Ends what the director does not know, or has given up.
    fn end_all_but(&mut self, known: &[Attempt], out: &mut Outbox<'_, Self>) {
        let known: BTreeSet<&Attempt> = known.iter().collect();
        let unknown: Vec<Attempt> = self.processes.keys().filter(|attempt| !known.contains(attempt)).cloned().collect();
        for attempt in unknown {
            self.signal(&attempt, Signal::Kill, KillCause::Lost, out);
        }
    }

    pub(super) fn state_of(&self, attempt: &Attempt) -> AttemptState {
        if self.bugs.has(Bug::LaunchUnchecked) {
            AttemptState::NotStarted
        } else if self.processes.contains_key(attempt) {
            AttemptState::Running
        } else if self.finished.contains_key(attempt) {
            AttemptState::Finished
        } else {
            AttemptState::NotStarted
        }
    }

    /// Whether a launch or kill is the next one. A repeated one is ignored; a gap ends the session.
    pub(super) fn is_next(&mut self, link: LinkId, number: u64, out: &mut Outbox<'_, Self>) -> bool {
        let Some(session) = &mut self.session else { return false };
        if number == session.executed + 1 {
            session.executed = number;
            return true;
        }
        if number > session.executed {
            let reason = format!("message {number} follows message {}", session.executed);
            self.hang_up(link, reason, out);
        }
        false
    }

    pub(super) fn beat(&mut self, now: Instant, out: &mut Outbox<'_, Self>) {
        let Some(session) = &mut self.session else { return };
        session.beat += 1;
        let number = session.beat;
        session.beats.push_back((number, now));
        let metering = self.metering.take();
        self.tell(|session| FromSubagent::Beat { session, number, metering }, out);
    }

    /// The director has heard a sign of life: it knows that our processes may run until the lease that began with it ends.
    pub(super) fn renew_lease(&mut self, heard: u64, out: &mut Outbox<'_, Self>) {
        let Some(session) = &mut self.session else { return };
        let mut last = None;
        while let Some((_, sent)) = session.beats.pop_front_if(|(number, _)| *number <= heard) {
            last = Some(sent);
        }
        if let Some(sent) = last {
            let until = sent + self.config.timing.reconnect_timeout;
            self.deadlines.set(Reason::Lease, until);
            out.hint(SubagentHint::Lease { until });
        }
    }

    /// Says something to the director, if it is coupled.
    pub(super) fn tell(&self, message: impl FnOnce(u64) -> FromSubagent, out: &mut Outbox<'_, Self>) {
        if let Some(session) = &self.session {
            self.send(session.link, &message(session.number), out);
        }
    }

    fn send(&self, link: LinkId, message: &FromSubagent, out: &mut Outbox<'_, Self>) {
        match codec::encode_message(message) {
            Ok(frame) => out.hint(SubagentHint::Link(LinkHint::Send { link, frame })),
            Err(error) => out.hint(SubagentHint::Link(LinkHint::HangUp { link, reason: error.to_string() })),
        }
    }

    pub(super) fn hang_up(&mut self, link: LinkId, reason: String, out: &mut Outbox<'_, Self>) {
        self.forget_link(link);
        out.hint(SubagentHint::Link(LinkHint::HangUp { link, reason }));
    }

    pub(super) fn forget_link(&mut self, link: LinkId) {
        self.deadlines.cancel(&Reason::Uncoupled(link));
        if self.session.as_ref().is_some_and(|session| session.link == link) {
            self.session = None;
            self.deadlines.cancel(&Reason::Beat);
            self.deadlines.cancel(&Reason::Silence);
        }
    }
}
