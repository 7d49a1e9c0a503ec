//! Simulated processes: what vectors and scenarios say that jobs do.

use super::World;
use crate::conformance::matching::Matcher;
use crate::conformance::workflow::jobs::{Behaviour, End, Jobs, Lasts, Reaction};
use baton_machine::attempt::Attempt;
use baton_machine::message::Channel;
use baton_machine::process::{Ended, ProcessSpec, Program, Signal};
use baton_machine::subagent::{SubagentHint, SubagentInput};
use baton_protocol::time::Timestamp;
use baton_workflow::id::{OrderId, SubagentId};
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::value::Fields;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A running process.
struct Process {
    subagent_id: SubagentId,
    attempt: Attempt,
    script: String,
    behaviour: Arc<Behaviour>,
    started: Timestamp,
    /// When it ends by itself.
    ends: Option<Timestamp>,
}

/// All processes of a world.
pub struct Processes {
    jobs: Jobs,
    matcher: Matcher,
    /// In the order of their starts.
    running: Vec<Process>,
    last_pid: u32,
    /// Files which processes have deleted, to be told to the directors.
    deleted_files: Vec<String>,
    complaint: Option<Problem>,
}

impl Processes {
    /// None yet.
    #[must_use]
    pub fn new(jobs: Jobs, matcher: Matcher) -> Self {
        Self { jobs, matcher, running: Vec::new(), last_pid: 0, deleted_files: Vec::new(), complaint: None }
    }

    /// Does what subagents asked for. `true` if something was asked.
    ///
    /// # Errors
    /// What a process complains of: its script is unknown, or its environment is not what is expected.
    pub fn serve(&mut self, world: &mut World) -> Checked<bool> {
        let mut is_busy = false;
        while let Some((subagent_id, hint)) = world.take_process_hint() {
            is_busy = true;
            match hint {
                SubagentHint::Start { attempt, spec } => self.start(world, subagent_id, attempt, &spec),
                SubagentHint::Kill { attempt, signal } => self.signal(world, &attempt, signal),
                SubagentHint::Link(_)
                | SubagentHint::Pause { .. }
                | SubagentHint::Resume { .. }
                | SubagentHint::Lease { .. }
                | SubagentHint::Stopped => {}
            }
        }
        match self.complaint.take() {
            Some(problem) => Err(problem),
            None => Ok(is_busy),
        }
    }

    fn start(&mut self, world: &mut World, subagent_id: SubagentId, attempt: Attempt, spec: &ProcessSpec) {
        let script = match &spec.program {
            Program::Script(script) => script.to_string(),
            Program::File(path) => path.clone(),
            Program::Command(arguments) => arguments.join(" "),
            Program::BuiltIn { name, .. } => name.clone(),
        };
        let Some(behaviour) = self.jobs.call(&script, &attempt.order_id) else {
            let how = Ended::NotStarted { reason: format!("the vector says nothing about the script {script}") };
            return end(world, &subagent_id, attempt, how, Ok(Fields::default()), Duration::ZERO);
        };
        let environment = spec
            .environment
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.clone()?)))
            .collect::<BTreeMap<_, _>>();
        if let Err(difference) = behaviour.check_env(self.matcher, &environment) {
            self.complaint = Some(Problem::new(format!("the environment of {script}: {difference:?}")));
        }
        self.last_pid += 1;
        world.tell_subagent(&subagent_id, SubagentInput::Started { attempt: attempt.clone(), pid: self.last_pid });
        for (channel, text) in [(Channel::Stdout, &behaviour.stdout), (Channel::Stderr, &behaviour.stderr)] {
            if let Some(chunk) = text {
                let input = SubagentInput::Output { attempt: attempt.clone(), channel, chunk: chunk.clone() };
                world.tell_subagent(&subagent_id, input);
            }
        }
        let now = world.now().timestamp;
        let ends = match behaviour.lasts {
            Lasts::NoTime => Some(now),
            Lasts::For(duration) => Some(Timestamp::from_millis(now.as_millis() + duration.as_millis())),
            Lasts::UntilReleased => None,
        };
        self.running.push(Process { subagent_id, attempt, script, behaviour, started: now, ends });
        self.end_due(world);
    }

    /// Ends the processes whose time has come.
    pub fn end_due(&mut self, world: &mut World) {
        let now = world.now().timestamp;
        while let Some(at) = self.running.iter().position(|process| process.ends.is_some_and(|ends| ends <= now)) {
            let process = self.running.remove(at);
            let end = process.behaviour.end.clone();
            self.finish(world, process, None, end);
        }
    }

    /// When the next process ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.running.iter().filter_map(|process| process.ends).min()
    }

    fn finish(&mut self, world: &mut World, process: Process, stdout: Option<String>, how: End) {
        let Process { subagent_id, attempt, behaviour, started, .. } = process;
        if let Some(chunk) = stdout {
            let input = SubagentInput::Output { attempt: attempt.clone(), channel: Channel::Stdout, chunk };
            world.tell_subagent(&subagent_id, input);
        }
        if let Some(expression) = &behaviour.deletes_file {
            match self.file_of(world, &attempt.order_id, expression) {
                Ok(path) => self.deleted_files.push(path),
                Err(problem) => self.complaint = Some(problem),
            }
        }
        let millis = u64::try_from(world.now().timestamp.as_millis() - started.as_millis()).unwrap_or(0);
        let how = match how {
            End::ReturnCode(code) if code < 0 => Ended::Signaled { signal: -code },
            End::ReturnCode(code) => Ended::Exited { code },
            End::Outcome(outcome) => Ended::Returned { outcome },
        };
        end(world, &subagent_id, attempt, how, Ok(behaviour.outputs.clone()), Duration::from_millis(millis));
    }

    fn file_of(
        &self,
        world: &World,
        order_id: &OrderId,
        expression: &baton_workflow::expression::Expression,
    ) -> Checked<String> {
        let order = world
            .agents()
            .filter_map(|path| world.director(path)?.state().order(order_id))
            .next()
            .ok_or_else(|| Problem::new(format!("no agent has Order:{order_id}")))?;
        let scope = baton_workflow::expression::scope::FieldsScope(&order.arguments);
        Ok(expression.eval_to_string(&scope)?.to_string())
    }

    /// Files which processes have deleted since the last question.
    pub fn take_deleted_files(&mut self) -> Vec<String> {
        core::mem::take(&mut self.deleted_files)
    }

    fn signal(&mut self, world: &mut World, attempt: &Attempt, signal: Signal) {
        let Some(at) = self.running.iter().position(|process| process.attempt == *attempt) else { return };
        let reaction = match signal {
            Signal::Terminate => &self.running[at].behaviour.on_sigterm,
            Signal::Kill => &self.running[at].behaviour.on_sigkill,
        };
        if let Reaction::Ends { stdout, end } = reaction.clone() {
            let process = self.running.remove(at);
            self.finish(world, process, stdout, end);
        }
    }

    /// Lets the oldest waiting process of this script end, that of the order if given.
    pub fn release(&mut self, world: &mut World, script: &str, order_id: Option<&OrderId>) -> bool {
        let waiting = self.running.iter().position(|process| {
            process.script == script
                && process.behaviour.lasts == Lasts::UntilReleased
                && order_id.is_none_or(|id| process.attempt.order_id == *id)
        });
        match waiting {
            Some(at) => {
                let process = self.running.remove(at);
                let end = process.behaviour.end.clone();
                self.finish(world, process, None, end);
                true
            }
            None => false,
        }
    }

    /// The processes of a subagent are gone with it.
    pub fn lose(&mut self, subagent_id: &SubagentId) {
        self.running.retain(|process| process.subagent_id != *subagent_id);
    }

    /// Number of running processes by subagent.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<SubagentId, u32> {
        let mut counts = BTreeMap::new();
        for process in &self.running {
            *counts.entry(process.subagent_id.clone()).or_default() += 1;
        }
        counts
    }
}

fn end(
    world: &mut World,
    subagent_id: &SubagentId,
    attempt: Attempt,
    how: Ended,
    return_values: Result<Fields, String>,
    duration: Duration,
) {
    world.tell_subagent(subagent_id, SubagentInput::Ended { attempt, how, return_values, duration });
}
