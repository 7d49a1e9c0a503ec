//! One process of a subagent, from its start to its end.

use super::built_in::{self, BuiltIn};
use super::files::FileStore;
use crate::driver::Room;
use crate::process::{self, Event, Killer, Launch, Launcher, Status, Stream};
use baton_machine::attempt::Attempt;
use baton_machine::message::Channel;
use baton_machine::process::{Ended, ProcessSpec, Program};
use baton_machine::subagent::SubagentInput;
use baton_workflow::model::outcome::Outcome;
use baton_workflow::value::{Fields, Name, Value};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::subagent::SubagentRequest;

/// What all processes of a subagent share.
pub(super) struct Workshop {
    pub(super) launcher: Launcher,
    pub(super) files: FileStore,
    /// Where relative paths of executables lead.
    pub(super) executables: PathBuf,
    /// Room for what processes cause.
    pub(super) room: Room,
    pub(super) requests: mpsc::Sender<SubagentRequest>,
}

/// Whether the output of a process is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Reading,
    Paused,
    /// It is being ended, so there will not be much more, and its end must be seen.
    Ending,
}

/// Starts a process and tells what happens to it.
pub(super) async fn run(shop: Arc<Workshop>, attempt: Attempt, spec: ProcessSpec, mut flow: watch::Receiver<Flow>) {
    // It does not matter here that the subagent is gone.
    let _ = may_flow(&mut flow, &shop.room).await;
    let start = Instant::now();
    let ended = carry_out(&shop, &attempt, &spec, flow).await;
    let (how, return_values) = ended.unwrap_or_else(|reason| (Ended::NotStarted { reason }, Ok(Fields::default())));
    let input = SubagentInput::Ended { attempt, how, return_values, duration: start.elapsed() };
    shop.tell(SubagentRequest::Input(input)).await;
}

type Values = Result<Fields, String>;

/// Runs it from start to end. An error if it cannot be started.
async fn carry_out(
    shop: &Workshop,
    attempt: &Attempt,
    spec: &ProcessSpec,
    flow: watch::Receiver<Flow>,
) -> Result<(Ended, Values), String> {
    if let Program::BuiltIn { name, script: _, job_arguments, arguments } = &spec.program {
        let job = built_in::find(name, job_arguments, arguments)?;
        let outcome = perform(shop, attempt, job, flow).await;
        return Ok((Ended::Returned { outcome }, Ok(Fields::default())));
    }
    let (running, files) = launch(shop, spec).await?;
    let ended = supervise(shop, attempt, running, flow).await;
    drop(files);
    Ok(ended)
}

/// Performs a built-in job.
async fn perform(shop: &Workshop, attempt: &Attempt, job: BuiltIn, mut flow: watch::Receiver<Flow>) -> Outcome {
    // It runs in this process.
    shop.tell(SubagentRequest::Input(SubagentInput::Started { attempt: attempt.clone(), pid: std::process::id() }))
        .await;
    tokio::select! {
        biased;
        // Also when the subagent is gone.
        _ = flow.wait_for(|flow| *flow == Flow::Ending) => built_in::killed(),
        () = tokio::time::sleep(job.lasts) => job.outcome,
    }
}

async fn launch(shop: &Workshop, spec: &ProcessSpec) -> Result<(process::Running, super::files::JobFiles), String> {
    let files =
        shop.files.write(&spec.files).map_err(|error| format!("cannot write a file for the process: {error}"))?;
    let mut launch = match &spec.program {
        Program::Script(text) => Launch::script(Arc::clone(text)),
        Program::File(path) => Launch::command(shop.executables.join(path), Vec::<OsString>::new()),
        Program::Command(words) => match words.split_first() {
            Some((program, arguments)) => {
                Launch::command(files.resolve(program), arguments.iter().map(|argument| files.resolve(argument)))
            }
            None => return Err("the command line is empty".to_owned()),
        },
        Program::BuiltIn { name, .. } => return Err(format!("{name} is no program")),
    };
    launch.v1_compatible = spec.v1_compatible;
    launch.working_directory = spec.working_directory.as_ref().map(PathBuf::from);
    launch.environment = spec
        .environment
        .iter()
        .map(|(name, value)| (OsString::from(&**name), value.as_ref().map(|value| files.resolve(value))))
        .collect();
    let running = shop.launcher.launch(launch).await.map_err(|error| error.to_string())?;
    Ok((running, files))
}

async fn supervise(
    shop: &Workshop,
    attempt: &Attempt,
    mut running: process::Running,
    mut flow: watch::Receiver<Flow>,
) -> (Ended, Values) {
    let pid = u32::try_from(running.pid()).unwrap_or(0);
    let started = SubagentRequest::Started { attempt: attempt.clone(), pid, killer: running.killer() };
    shop.tell(started).await;
    loop {
        // When nobody can pause any more, the subagent is gone; dropping the process kills it.
        if may_flow(&mut flow, &shop.room).await.is_err() {
            return (Ended::KilledBeforeStart, Ok(Fields::default()));
        }
        match running.next().await {
            Some(Event::Output { stream, text }) => {
                let channel = match stream {
                    Stream::Stdout => Channel::Stdout,
                    Stream::Stderr => Channel::Stderr,
                };
                let output = SubagentInput::Output { attempt: attempt.clone(), channel, chunk: text };
                shop.tell(SubagentRequest::Input(output)).await;
            }
            Some(Event::Ended(ended)) => {
                let how = match ended.status {
                    Status::Exited(code) => Ended::Exited { code },
                    Status::Signaled(signal) => Ended::Signaled { signal },
                    Status::Lost => Ended::Signaled { signal: rustix::process::Signal::KILL.as_raw() },
                };
                let values = ended.return_values.map_err(|error| error.to_string());
                return (how, values.map(|values| values.iter().map(field).collect()));
            }
            None => return (Ended::NotStarted { reason: "the process has no end".to_owned() }, Ok(Fields::default())),
        }
    }
}

/// Waits until output may be taken. An error if nobody is left who could say so.
async fn may_flow(flow: &mut watch::Receiver<Flow>, room: &Room) -> Result<(), watch::error::RecvError> {
    loop {
        let now = *flow.wait_for(|flow| *flow != Flow::Paused).await?;
        if now == Flow::Ending {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = room.is_left() => return Ok(()),
            changed = flow.changed() => changed?,
        }
    }
}

fn field((name, value): &(String, String)) -> (Name, Value) {
    (name.as_str().into(), Value::string(value))
}

impl Workshop {
    async fn tell(&self, request: SubagentRequest) {
        // A subagent that has ended does not care.
        let _ = self.requests.send(request).await;
    }
}

/// A process, for the host.
pub(super) struct Job {
    pub(super) flow: watch::Sender<Flow>,
    /// None until it runs.
    pub(super) killer: Option<Killer>,
}
