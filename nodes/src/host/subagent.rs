//! The host of a subagent: turns what the machine wants into processes, and what processes do into inputs.

use super::files::FileStore;
use super::job::{self, Flow, Job, Workshop};
use super::links::Links;
use super::local::Local;
use super::metering;
use super::peek::Peek;
use super::tally::Tally;
use crate::driver::{self, Entrance, Halt, Host, Journal, Opened, Operator, Reading, Room, Running, Surroundings};
use crate::process::{Killer, Launcher, clock};
use baton_machine::attempt::Attempt;
use baton_machine::link::LinkInput;
use baton_machine::process::Signal;
use baton_machine::subagent::{NoPromise, Subagent, SubagentConfig, SubagentHint, SubagentInput};
use baton_protocol::node::Node;
use baton_protocol::record::Position;
use baton_protocol::time::Instant;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// After SIGTERM the machine decides when SIGKILL follows. This is for never.
const NO_GRACE_LIMIT: Duration = Duration::from_secs(u32::MAX as u64);

/// What a subagent needs.
pub struct Settings {
    /// The machine's settings.
    pub config: SubagentConfig,
    /// Starts its processes.
    pub launcher: Launcher,
    /// A folder for the files of its processes, for it alone. Emptied.
    pub files: PathBuf,
    /// Where relative paths of executables lead.
    pub executables: PathBuf,
    /// Nothing is started and no output is taken unless there is room.
    pub room: Room,
}

/// What a subagent is asked.
pub enum SubagentRequest {
    /// An input for the machine.
    Input(SubagentInput),
    /// A process runs.
    Started {
        /// Which.
        attempt: Attempt,
        /// Its number in the operating system.
        pid: u32,
        /// Ends it.
        killer: Killer,
    },
    /// Somebody wants to look at the node as it is.
    Peek(Peek<Subagent>),
}

impl From<SubagentInput> for SubagentRequest {
    fn from(input: SubagentInput) -> Self {
        Self::Input(input)
    }
}

impl From<Peek<Subagent>> for SubagentRequest {
    fn from(peek: Peek<Subagent>) -> Self {
        Self::Peek(peek)
    }
}

impl From<LinkInput> for SubagentRequest {
    fn from(input: LinkInput) -> Self {
        Self::Input(SubagentInput::Link(input))
    }
}

/// The host. See the module.
struct SubagentHost {
    links: Links<SubagentRequest>,
    shop: Arc<Workshop>,
    jobs: BTreeMap<Attempt, Job>,
    tally: Arc<Tally>,
    stopped: watch::Sender<bool>,
    /// What the monotonic clock of the machine showed when that of the steps began.
    began: Duration,
}

/// A subagent that runs.
pub struct Started {
    /// It.
    pub running: Running<SubagentRequest>,
    /// Takes what directors have dialled.
    pub links: Links<SubagentRequest>,
    /// Counts what happens.
    pub tally: Arc<Tally>,
    /// Whether it has ended as it was told by [`SubagentInput::Stop`].
    pub stopped: watch::Receiver<bool>,
}

/// Starts a subagent.
///
/// # Errors
/// When its folder cannot be made, or the operating system refuses something else.
pub fn start(settings: Settings, local: Local, operator: Operator) -> Result<Started, Halt> {
    let entrance = Entrance::new();
    let files =
        FileStore::new(settings.files.clone()).map_err(|error| Halt::Folder { folder: settings.files, error })?;
    let links = Links::new(local, None, entrance.requests());
    tokio::spawn(metering::measure(entrance.requests().downgrade()));
    let shop = Workshop {
        launcher: settings.launcher,
        files,
        executables: settings.executables,
        room: settings.room.clone(),
        requests: entrance.requests(),
    };
    let surroundings = Surroundings::real()?;
    let began = clock::monotonic().saturating_sub(surroundings.clock.instant().since(Instant::ZERO));
    let (tally, (stopping, stopped)) = (Arc::new(Tally::default()), watch::channel(false));
    let host = SubagentHost {
        links: links.clone(),
        shop: Arc::new(shop),
        jobs: BTreeMap::new(),
        tally: Arc::clone(&tally),
        stopped: stopping,
        began,
    };
    let Opened { journal, recovered, .. } = Journal::in_memory(&settings.room);
    let node = driver::alone(Subagent::new(settings.config), recovered);
    let running = driver::start(node, journal, host, entrance, operator, surroundings);
    Ok(Started { running, links, tally, stopped })
}

impl Host for SubagentHost {
    type Machine = Subagent;
    type Request = SubagentRequest;

    fn request(&mut self, node: &Node<Subagent>, request: SubagentRequest) -> Option<SubagentInput> {
        let input = match request {
            SubagentRequest::Input(input) => {
                if let SubagentInput::Ended { attempt, .. } = &input {
                    self.jobs.remove(attempt);
                }
                input
            }
            SubagentRequest::Started { attempt, pid, killer } => {
                if let Some(job) = self.jobs.get_mut(&attempt) {
                    job.killer = Some(killer);
                }
                SubagentInput::Started { attempt, pid }
            }
            SubagentRequest::Peek(peek) => {
                peek(node);
                return None;
            }
        };
        self.tally.count(&input);
        Some(input)
    }

    fn hint(&mut self, hint: SubagentHint, _: &mut Reading<'_, Self>) {
        match hint {
            SubagentHint::Link(hint) => self.links.hint(hint),
            SubagentHint::Start { attempt, spec } => {
                let (flow, flowing) = watch::channel(Flow::Reading);
                tokio::spawn(job::run(Arc::clone(&self.shop), attempt.clone(), spec, flowing));
                self.jobs.insert(attempt, Job { flow, killer: None });
            }
            SubagentHint::Kill { attempt, signal } => {
                if let Some(job) = self.jobs.get(&attempt) {
                    job.flow.send_replace(Flow::Ending);
                    match (&job.killer, signal) {
                        (Some(killer), Signal::Terminate) => killer.terminate(NO_GRACE_LIMIT),
                        (Some(killer), Signal::Kill) => killer.kill(),
                        // The machine kills what runs.
                        (None, _) => {}
                    }
                }
            }
            SubagentHint::Pause { attempt } => self.let_flow(&attempt, Flow::Paused),
            SubagentHint::Resume { attempt } => self.let_flow(&attempt, Flow::Reading),
            SubagentHint::Stopped => drop(self.stopped.send_replace(true)),
            SubagentHint::Lease { until } => self.shop.launcher.lease(self.began + until.since(Instant::ZERO)),
        }
    }

    fn promise(&mut self, (): (), promise: NoPromise) {
        match promise {}
    }

    fn image(_: &Subagent) -> Option<Vec<u8>> {
        None
    }

    fn imaged(&mut self, _: Position) -> Option<SubagentInput> {
        None
    }
}

impl SubagentHost {
    fn let_flow(&self, attempt: &Attempt, next: Flow) {
        if let Some(job) = self.jobs.get(attempt) {
            job.flow.send_if_modified(|flow| {
                let changes = *flow != Flow::Ending && *flow != next;
                if changes {
                    *flow = next;
                }
                changes
            });
        }
    }
}

impl Drop for SubagentHost {
    fn drop(&mut self) {
        self.links.close();
    }
}
