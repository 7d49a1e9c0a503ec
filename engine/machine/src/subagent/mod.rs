//! The subagent: runs processes for one director, and remembers nothing beyond its own life.
//!
//! It has no journal: what it knows is lost with it, and so are its processes; the director sees that by the new
//! [`RunId`]. It starts an attempt at most once, tells what happens to it in numbered reports until they are
//! acknowledged, and ends everything when its lease on the director's attention runs out (see
//! [`RECONNECT_TIMEOUT`](crate::timing::Timing::reconnect_timeout)). It obeys the director with the highest epoch it has seen.
//!
//! A process whose output is not received is paused, so memory is bounded per process.

mod coupling;
mod process;
mod reports;

pub use coupling::Owner;

use crate::attempt::{Attempt, RunId};
use crate::codec;
use crate::link::{LinkHint, LinkId, LinkInput};
use crate::message::{Channel, FromSubagent, MachineLoad, Report, Reported, ToSubagent};
use crate::planted::{Bug, Bugs};
use crate::process::{End, Ended, KillCause, ProcessSpec, Signal};
use crate::timing::Timing;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use baton_protocol::deadline::Deadlines;
use baton_protocol::gate;
use baton_protocol::machine::{Input, Machine};
use baton_protocol::outbox::Outbox;
use baton_protocol::random::Random;
use baton_protocol::time::{Instant, Now};
use baton_workflow::id::OrderId;
use baton_workflow::value::Fields;
use core::ops::Bound;
use core::time::Duration;
use coupling::Session;
use process::Process;
use reports::{Freed, Reports};

/// What makes one subagent differ from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubagentConfig {
    /// The environment of its processes, in which the director evaluates expressions.
    pub environment: BTreeMap<String, String>,
    /// Its times. Director and subagents must have the same.
    pub timing: Timing,
}

/// What the host says.
#[derive(Clone, Debug, PartialEq)]
pub enum SubagentInput {
    /// About links.
    Link(LinkInput),
    /// A process runs.
    Started {
        /// Which.
        attempt: Attempt,
        /// Its number in the operating system.
        pid: u32,
    },
    /// A process wrote.
    Output {
        /// Which.
        attempt: Attempt,
        /// Where to.
        channel: Channel,
        /// What; some kilobytes at most.
        chunk: String,
    },
    /// A process has ended, and all its output has been delivered.
    Ended {
        /// Which.
        attempt: Attempt,
        /// How.
        how: Ended,
        /// The values it returned, texts if through the file for return values; or why that file is not understood.
        return_values: Result<Fields, String>,
        /// How long it ran.
        duration: Duration,
    },
    /// The load of this machine now. To be told every second or so.
    Metering(MachineLoad),
    /// Take no more processes. [`SubagentHint::Stopped`] follows when all have ended and their ends are received.
    Stop {
        /// Whether to end those that run.
        signal: Option<Signal>,
    },
}

/// What the host is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum SubagentHint {
    /// About links.
    Link(LinkHint),
    /// Start a process. Answered by [`SubagentInput::Started`] and [`SubagentInput::Ended`], or by the latter alone.
    Start {
        /// Which; given once.
        attempt: Attempt,
        /// What.
        spec: ProcessSpec,
    },
    /// Send a signal to a process that was started.
    Kill {
        /// Which.
        attempt: Attempt,
        /// Which signal.
        signal: Signal,
    },
    /// Do not read the output of a process for now.
    Pause {
        /// Which.
        attempt: Attempt,
    },
    /// Read on.
    Resume {
        /// Which.
        attempt: Attempt,
    },
    /// Until then the processes may run without another such hint. Then they must end, even if this machine is not stepped
    /// any more because its process stands still: the director takes them for dead soon after.
    Lease {
        /// By the monotonic clock of the steps.
        until: Instant,
    },
    /// All is done after [`SubagentInput::Stop`].
    Stopped,
}

/// Promises of a machine that has no journal: there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPromise {}

impl gate::Promise for NoPromise {}

/// When to look again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// A sign of life is to be given.
    Beat,
    /// The director has been silent.
    Silence,
    /// Nobody coupled over this link.
    Uncoupled(LinkId),
    /// The lease ends.
    Lease,
    /// The grace of a process ends.
    Grace(Attempt),
}

/// The subagent. See the module.
#[derive(Clone, Debug)]
pub struct Subagent {
    config: SubagentConfig,
    bugs: Bugs,
    random: Random,
    run_id: RunId,
    owner: Option<Owner>,
    sessions: u64,
    session: Option<Session>,
    deadlines: Deadlines<Reason>,
    processes: BTreeMap<Attempt, Process>,
    /// Those which have been started, by their orders.
    by_order: BTreeMap<OrderId, Attempt>,
    /// Attempts which begin when the former process of their order has ended.
    waiting: BTreeMap<OrderId, Attempt>,
    /// Ended, but the director has not confirmed that.
    finished: BTreeMap<Attempt, u64>,
    reports: Reports,
    /// What the director does not know yet of this machine.
    metering: Option<MachineLoad>,
    is_stopping: bool,
    is_stopped: bool,
}

impl Subagent {
    /// A subagent that nobody has coupled with.
    #[must_use]
    pub fn new(config: SubagentConfig) -> Self {
        Self {
            config,
            bugs: Bugs::NONE,
            random: Random::new(0),
            run_id: RunId(0),
            owner: None,
            sessions: 0,
            session: None,
            deadlines: Deadlines::new(),
            processes: BTreeMap::new(),
            by_order: BTreeMap::new(),
            waiting: BTreeMap::new(),
            finished: BTreeMap::new(),
            reports: Reports::default(),
            metering: None,
            is_stopping: false,
            is_stopped: false,
        }
    }

    /// With a fault, for tests of tests.
    #[must_use]
    pub fn with_bugs(mut self, bugs: Bugs) -> Self {
        self.bugs = bugs;
        self
    }

    /// Identifies this run.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    /// The attempts whose processes are being started or run.
    pub fn running(&self) -> impl Iterator<Item = &Attempt> {
        self.processes.keys()
    }

    /// How many processes are being started or run.
    #[must_use]
    pub fn running_count(&self) -> usize {
        self.processes.len()
    }

    /// The attempts after one whose processes are being started or run.
    pub fn running_after(&self, after: Option<&Attempt>) -> impl Iterator<Item = &Attempt> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.processes.range((from, Bound::Unbounded)).map(|(attempt, _)| attempt)
    }

    /// How many processes have ended without the director having confirmed that.
    #[must_use]
    pub fn unconfirmed_count(&self) -> usize {
        self.finished.len()
    }

    /// Whom it belongs to; none before the first director has coupled.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    /// Whether it takes no more processes.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    /// Whether a director is coupled.
    #[must_use]
    pub fn is_coupled(&self) -> bool {
        self.session.is_some()
    }

    /// The link over which a director is coupled.
    #[must_use]
    pub fn director_link(&self) -> Option<LinkId> {
        self.session.as_ref().map(|session| session.link)
    }

    fn on_link(&mut self, now: Now, input: LinkInput, out: &mut Outbox<'_, Self>) {
        match input {
            LinkInput::Up { link, .. } => {
                self.deadlines.set(Reason::Uncoupled(link), now.instant + self.config.timing.subagent_silence);
            }
            LinkInput::Failed { .. } => {}
            LinkInput::Down { link, .. } => self.forget_link(link),
            LinkInput::Received { link, frame } => match codec::decode_message(&frame) {
                Ok(message) => self.on_message(now, link, message, out),
                Err(error) => self.hang_up(link, error.to_string(), out),
            },
        }
    }

    fn on_message(&mut self, now: Now, link: LinkId, message: ToSubagent, out: &mut Outbox<'_, Self>) {
        let session = match message {
            ToSubagent::Couple(coupling) => return self.couple(now, link, coupling, out),
            ToSubagent::Launch { session, .. }
            | ToSubagent::Kill { session, .. }
            | ToSubagent::Received { session, .. }
            | ToSubagent::Beat { session, .. } => session,
        };
        // What is not of this session was sent before the director knew that it is over.
        let Some(current) = self.session.as_mut().filter(|current| current.is(link, session)) else { return };
        current.silent_since = now.instant;
        self.deadlines.set(Reason::Silence, now.instant + self.config.timing.subagent_silence);
        // All but signs of life leave a director when it is sure that no other one is active.
        match &message {
            ToSubagent::Beat { heard, .. } => heard.iter().for_each(|heard| self.renew_lease(*heard, out)),
            _ => self.renew_lease(0, out),
        }
        match message {
            ToSubagent::Couple(_) | ToSubagent::Beat { .. } => {}
            ToSubagent::Launch { number, attempt, spec, .. } => {
                if self.is_next(link, number, out) {
                    self.launch(attempt, spec, out);
                }
            }
            ToSubagent::Kill { number, attempt, signal, grace, cause, .. } => {
                if self.is_next(link, number, out) {
                    self.kill(now, &attempt, signal, grace, cause, out);
                }
            }
            ToSubagent::Received { until, .. } => match self.reports.acknowledge(until) {
                Some(freed) => self.free(freed, out),
                None => self.hang_up(link, format!("report {until} was acknowledged but never made"), out),
            },
        }
    }

    fn launch(&mut self, attempt: Attempt, spec: ProcessSpec, out: &mut Outbox<'_, Self>) {
        let mut state = self.state_of(&attempt);
        if state == crate::message::AttemptState::NotStarted && !self.is_stopping {
            state = crate::message::AttemptState::Running;
            // One process of an order at a time, whatever anybody says.
            let other = self.by_order.get(&attempt.order_id).cloned();
            if let Some(other) = other.filter(|_| !self.bugs.has(Bug::LaunchUnchecked)) {
                self.signal(&other, Signal::Kill, KillCause::Lost, out);
                let superseded = self.waiting.insert(attempt.order_id.clone(), attempt.clone());
                self.processes.insert(attempt.clone(), Process::waiting(spec));
                if let Some(superseded) = superseded {
                    self.signal(&superseded, Signal::Kill, KillCause::Lost, out);
                }
            } else {
                self.by_order.insert(attempt.order_id.clone(), attempt.clone());
                self.processes.insert(attempt.clone(), Process::default());
                out.hint(SubagentHint::Start { attempt: attempt.clone(), spec });
            }
        }
        self.tell(|session| FromSubagent::Launched { session, attempt, state }, out);
    }

    fn kill(
        &mut self,
        now: Now,
        attempt: &Attempt,
        signal: Signal,
        grace: Duration,
        cause: KillCause,
        out: &mut Outbox<'_, Self>,
    ) {
        if !self.processes.contains_key(attempt) {
            return;
        }
        let signal = if grace == Duration::ZERO { Signal::Kill } else { signal };
        if signal == Signal::Terminate && self.deadlines.get(&Reason::Grace(attempt.clone())).is_none() {
            self.deadlines.set(Reason::Grace(attempt.clone()), now.instant + grace);
        }
        self.signal(attempt, signal, cause, out);
    }

    /// Sends a signal to a process, at once or as soon as it runs. A weaker one than before changes the cause only.
    fn signal(&mut self, attempt: &Attempt, signal: Signal, cause: KillCause, out: &mut Outbox<'_, Self>) {
        let Some(process) = self.processes.get_mut(attempt) else { return };
        let is_sent = process.kill(signal, cause);
        if process.is_waiting() {
            return self.on_ended(
                attempt.clone(),
                Ended::KilledBeforeStart,
                Ok(Fields::default()),
                Duration::ZERO,
                out,
            );
        }
        if is_sent {
            out.hint(SubagentHint::Kill { attempt: attempt.clone(), signal });
        }
    }

    /// Ends everything that is not to be known any more.
    fn end_all(&mut self, out: &mut Outbox<'_, Self>) {
        let attempts: Vec<Attempt> = self.processes.keys().cloned().collect();
        for attempt in attempts {
            self.signal(&attempt, Signal::Kill, KillCause::Lost, out);
        }
    }

    fn on_started(&mut self, attempt: Attempt, pid: u32, out: &mut Outbox<'_, Self>) {
        let Some(process) = self.processes.get_mut(&attempt) else { return };
        if let Some(signal) = process.started() {
            out.hint(SubagentHint::Kill { attempt: attempt.clone(), signal });
        }
        self.report(Report { attempt, what: Reported::Started { pid } }, out);
    }

    fn on_output(&mut self, attempt: Attempt, channel: Channel, chunk: String, out: &mut Outbox<'_, Self>) {
        let Some(process) = self.processes.get_mut(&attempt) else { return };
        if channel == Channel::Stderr {
            process.note_error(&chunk);
        }
        let report = Report { attempt: attempt.clone(), what: Reported::Output { channel, chunk } };
        if process.output_is_waiting(report.bytes()) {
            out.hint(SubagentHint::Pause { attempt });
        }
        self.report(report, out);
    }

    fn on_ended(
        &mut self,
        attempt: Attempt,
        how: Ended,
        return_values: Result<Fields, String>,
        duration: Duration,
        out: &mut Outbox<'_, Self>,
    ) {
        let Some(process) = self.processes.remove(&attempt) else { return };
        let order_id = attempt.order_id.clone();
        self.deadlines.cancel(&Reason::Grace(attempt.clone()));
        let end = End { how, killed: process.cause(), return_values, error_line: process.error_line(), duration };
        let number = self.report(Report { attempt: attempt.clone(), what: Reported::Ended(end) }, out);
        if self.waiting.get(&order_id) == Some(&attempt) {
            self.waiting.remove(&order_id);
        } else if self.by_order.get(&order_id) == Some(&attempt) {
            self.by_order.remove(&order_id);
            self.start_waiting(&order_id, out);
        }
        self.finished.insert(attempt, number);
    }

    /// The former process of an order has ended; another one may wait for that.
    fn start_waiting(&mut self, order_id: &OrderId, out: &mut Outbox<'_, Self>) {
        let Some(attempt) = self.waiting.remove(order_id) else { return };
        let spec = self.processes.get_mut(&attempt).and_then(Process::take_waiting);
        if let Some(spec) = spec {
            self.by_order.insert(order_id.clone(), attempt.clone());
            out.hint(SubagentHint::Start { attempt, spec });
        }
    }

    fn report(&mut self, report: Report, out: &mut Outbox<'_, Self>) -> u64 {
        let number = self.reports.push(report.clone());
        self.tell(|session| FromSubagent::Reports { session, first: number, reports: Vec::from([report]) }, out);
        number
    }

    fn free(&mut self, freed: Vec<Freed>, out: &mut Outbox<'_, Self>) {
        for freed in freed {
            match freed {
                Freed::Ended(attempt) => {
                    self.finished.remove(&attempt);
                }
                Freed::Output(attempt, bytes) => {
                    if let Some(process) = self.processes.get_mut(&attempt)
                        && process.output_was_received(bytes)
                    {
                        out.hint(SubagentHint::Resume { attempt });
                    }
                }
            }
        }
    }

    fn stop(&mut self, signal: Option<Signal>, now: Now, out: &mut Outbox<'_, Self>) {
        if !self.is_stopping {
            self.is_stopping = true;
            self.tell(|session| FromSubagent::Stopping { session }, out);
        }
        if let Some(signal) = signal {
            let attempts: Vec<Attempt> = self.processes.keys().cloned().collect();
            for attempt in attempts {
                self.kill(now, &attempt, signal, self.config.timing.sigkill_delay, KillCause::Lost, out);
            }
        }
    }

    fn on_due(&mut self, now: Now, out: &mut Outbox<'_, Self>) {
        while let Some(reason) = self.deadlines.take_due(now.instant) {
            match reason {
                Reason::Beat => {
                    self.deadlines.set(Reason::Beat, now.instant + self.config.timing.heartbeat);
                    self.beat(now.instant, out);
                }
                Reason::Silence => {
                    if let Some(link) = self.session.as_ref().map(|session| session.link) {
                        self.hang_up(link, String::from("the director is silent"), out);
                    }
                }
                Reason::Uncoupled(link) => self.hang_up(link, String::from("nobody has coupled"), out),
                // Each step looks at it first.
                Reason::Lease => {}
                Reason::Grace(attempt) => {
                    let cause = self.processes.get(&attempt).and_then(Process::cause).unwrap_or(KillCause::Command);
                    self.signal(&attempt, Signal::Kill, cause, out);
                }
            }
        }
    }
}

impl Machine for Subagent {
    type Input = SubagentInput;
    type Lane = ();
    type Hint = SubagentHint;
    type Promise = NoPromise;

    fn step(&mut self, now: Now, input: Input<SubagentInput>, out: &mut Outbox<'_, Self>) {
        // Before the ends of processes that the host has killed for the same reason.
        if self.deadlines.get(&Reason::Lease).is_some_and(|until| until <= now.instant) {
            self.deadlines.cancel(&Reason::Lease);
            self.end_all(out);
            // Nothing is to be started without a lease. Who is sure to be the director couples anew.
            if let Some(link) = self.session.as_ref().map(|session| session.link) {
                self.hang_up(link, String::from("the director has not been sure for too long that it is active"), out);
            }
        }
        match input {
            Input::Start { seed } => {
                self.random = Random::new(seed).child("subagent run id");
                self.run_id = RunId(self.random.next());
            }
            Input::Stored(_) => {}
            Input::Due => self.on_due(now, out),
            Input::Arrived(input) => match input {
                SubagentInput::Link(input) => self.on_link(now, input, out),
                SubagentInput::Started { attempt, pid } => self.on_started(attempt, pid, out),
                SubagentInput::Output { attempt, channel, chunk } => self.on_output(attempt, channel, chunk, out),
                SubagentInput::Ended { attempt, how, return_values, duration } => {
                    self.on_ended(attempt, how, return_values, duration, out);
                }
                SubagentInput::Metering(load) => self.metering = Some(load),
                SubagentInput::Stop { signal } => self.stop(signal, now, out),
            },
        }
        if self.is_stopping && !self.is_stopped && self.processes.is_empty() && self.finished.is_empty() {
            self.is_stopped = true;
            self.tell(|session| FromSubagent::Stopped { session }, out);
            out.hint(SubagentHint::Stopped);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn check(&self) {
        self.deadlines.check();
        assert_eq!(
            self.processes.len(),
            self.by_order.len() + self.waiting.len(),
            "not one process for each order, and one that waits"
        );
        assert!(self.finished.len() as u64 <= self.reports.last(), "an end that was never reported");
        assert!(self.session.is_none() || self.owner.is_some(), "coupled with nobody");
    }
}
