//! Starts the guard, and processes through it.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::unix::pipe;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::cgroup;
use super::connection::{Closed, Connection, STARTS_IN_FLIGHT};
use super::launch::{self, Launch, LaunchError, Program};
use super::output::OutputPipe;
use super::running::Running;
use super::scripts::{ScriptFile, ScriptStore, empty_directory};
use super::wire::{self, MAX_REQUEST, ProcessId};
use super::{GUARD_COMMAND, clock, return_values};

/// So long a new guard may wait for its predecessor in the same work directory to kill what it left.
const START_LIMIT: Duration = Duration::from_secs(15);

/// The waits before trying again to run a file that somebody is still writing.
const BUSY_DELAYS: [Duration; 4] =
    [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(500), Duration::from_millis(1500)];

/// The number of files that the program tries to be allowed to open.
const OPEN_FILES: u64 = 1 << 17;

/// The files that a running process takes: its output pipes.
const FILES_PER_PROCESS: u64 = 2;

/// The files that are left to the rest of the program: connections, the journal.
const RESERVED_FILES: u64 = 1000;

/// What a launcher needs to know.
#[derive(Clone, Debug)]
pub struct LauncherConfig {
    /// A directory for this launcher alone: scripts, return values, the guard's lock. Made if it does not exist.
    pub work_directory: PathBuf,
    /// The `baton` command, to be run as guard. `None`: the running program is it.
    pub guard_program: Option<PathBuf>,
    /// At most so many processes at once. `None`: as many as the number of files that this program may open allows, which is
    /// the upper bound in any case.
    pub process_limit: Option<usize>,
}

/// Why a launcher does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The work directory cannot be prepared.
    #[error("cannot prepare the work directory {0} for job processes: {1}")]
    WorkDirectory(PathBuf, io::Error),
    /// The guard cannot be started.
    #[error("cannot start the guard of the job processes, {0}: {1}")]
    Guard(PathBuf, io::Error),
    /// The guard ended at once; its standard error, shared with this program, says why.
    #[error("the guard of the job processes in {0} has ended instead of getting ready")]
    GuardEnded(PathBuf),
    /// Another guard holds the work directory.
    #[error("the guard of the job processes has not got ready within {START_LIMIT:?}: another one still uses {0}")]
    Occupied(PathBuf),
}

/// Launches processes. Clones are handles to the same; when the last one and the last [`Running`] is dropped, everything
/// that still runs below it is killed.
#[derive(Clone)]
pub struct Launcher {
    pub(super) shared: Arc<Shared>,
}

/// What the launcher and its processes share.
pub(super) struct Shared {
    runtime: Handle,
    connection: Arc<Connection>,
    /// Launches that the guard has not answered.
    starts: Arc<Semaphore>,
    /// Running processes.
    slots: Arc<Semaphore>,
    process_limit: usize,
    scripts: ScriptStore,
    values: PathBuf,
    work_directory: PathBuf,
    next_id: AtomicU64,
}

impl Launcher {
    /// Starts the guard and waits until it is ready. What a predecessor left running in the same work directory, however
    /// it ended, is dead by then. To be called early, while the environment is the one that jobs are to inherit.
    ///
    /// Raises the number of files that this program may open, for itself, not for the jobs.
    ///
    /// # Errors
    /// The work directory cannot be written, is in use by another launcher, or the guard cannot be started.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn start(config: LauncherConfig) -> Result<Self, StartError> {
        let directory = config.work_directory;
        let bad_directory = |error| StartError::WorkDirectory(directory.clone(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(bad_directory)?;
        let directory = directory.canonicalize().map_err(bad_directory)?;

        let program = config.guard_program.unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        let connection = start_guard(&program, &directory).map_err(|error| StartError::Guard(program, error))?;
        let possible = allow_open_files().saturating_sub(RESERVED_FILES) / FILES_PER_PROCESS;
        let possible = usize::try_from(possible).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        let process_limit = config.process_limit.unwrap_or(usize::MAX).min(possible);
        match tokio::time::timeout(START_LIMIT, connection.opened()).await {
            Ok(Ok(())) => {}
            Ok(Err(Closed)) => return Err(StartError::GuardEnded(directory)),
            Err(_) => {
                connection.close();
                return Err(StartError::Occupied(directory));
            }
        }

        let values = return_values::directory(&directory);
        let prepare = || {
            empty_directory(&values)?;
            ScriptStore::new(&directory)
        };
        let scripts = prepare().map_err(|error| {
            connection.close();
            StartError::WorkDirectory(directory.clone(), error)
        })?;
        let shared = Shared {
            runtime: Handle::current(),
            connection,
            starts: Arc::new(Semaphore::new(STARTS_IN_FLIGHT)),
            slots: Arc::new(Semaphore::new(process_limit)),
            process_limit,
            scripts,
            values,
            work_directory: directory.clone(),
            next_id: AtomicU64::new(1),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How many processes can run at once.
    #[must_use]
    pub fn process_limit(&self) -> usize {
        self.shared.process_limit
    }

    /// The control group in which all processes run, if the machine lets us have one.
    #[must_use]
    pub fn control_group(&self) -> Option<PathBuf> {
        cgroup::of(&self.shared.work_directory)
    }

    /// Launches a process, in a process group of its own, with `/dev/null` as standard input. Returns when it runs.
    ///
    /// When the future is dropped early, the process is killed as soon as it runs.
    ///
    /// # Errors
    /// The process could not be started; nothing of it is left.
    pub async fn launch(&self, launch: Launch) -> Result<Running, LaunchError> {
        let shared = Arc::clone(&self.shared);
        // A task, so that nothing stops half-way when the caller loses interest.
        let launched = self.shared.runtime.spawn(shared.launch(launch)).await;
        launched.unwrap_or(Err(LaunchError::GuardLost))
    }

    /// Keeps a file open until everything that was launched is dead, even if this program dies before. The socket at which a
    /// node listens is held so: as long as something of it runs, nobody is told that the connection is refused.
    ///
    /// # Errors
    /// When the file cannot be handed over to the guard.
    pub async fn hold(&self, file: OwnedFd) -> Result<(), LaunchError> {
        Ok(self.shared.connection.send(&wire::hold_frame(), vec![file]).await?)
    }

    /// Has everything that runs killed at this moment of the monotonic clock (a time since its zero), unless this is called again
    /// before, for a later one: even when this program stands still, or the machine was suspended.
    pub fn lease(&self, until: Duration) {
        let until = u64::try_from(clock::to_boot(until).as_nanos()).unwrap_or(u64::MAX);
        self.shared.request(wire::lease_frame(until));
    }

    /// Kills everything that runs and ends the guard. Returns when all of it is gone.
    pub async fn stop(&self) {
        self.shared.connection.close();
        self.shared.connection.closed().await;
    }

    /// Waits until the guard has ended, by [`stop`](Self::stop) or, unexpectedly, by itself. All processes have been
    /// killed by then, nothing can be launched any more.
    pub async fn ended(&self) {
        self.shared.connection.closed().await;
    }
}

impl Shared {
    async fn launch(self: Arc<Self>, launch: Launch) -> Result<Running, LaunchError> {
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let slot = slot.map_err(|_| LaunchError::TooManyProcesses(self.process_limit))?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let return_values = self.values.join(id.to_string());
        let name = launch.name();
        let (script, file) = match &launch.program {
            Program::Script(text) => {
                let what = "writing the script";
                let script = self.scripts.get(text).map_err(|error| LaunchError::NotPrepared { what, error })?;
                let file = script.path().to_owned();
                (Some(script), file)
            }
            Program::File(file) => (None, file.clone()),
        };
        let directory = launch.working_directory.clone();
        let mut request = launch.request(id, &file, &return_values)?;
        let mut frame = wire::launch_frame(&request);
        if frame.len() > MAX_REQUEST {
            return Err(LaunchError::TooLarge(frame.len()));
        }
        let mut delays = BUSY_DELAYS.into_iter();
        let mut prepared = Prepared { id, slot, script, return_values };
        loop {
            let error = match self.attempt(&frame, prepared).await? {
                Attempt::Running(running) => return Ok(*running),
                Attempt::Failed(error, again) => {
                    prepared = again;
                    error
                }
            };
            if error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) && !request.through_shell {
                request.through_shell = true;
                frame = wire::launch_frame(&request);
                continue;
            }
            match delays.next() {
                Some(delay) if error.kind() == io::ErrorKind::ExecutableFileBusy => tokio::time::sleep(delay).await,
                _ => {
                    let reason = launch::reason(&error, &file, directory.as_deref());
                    return Err(LaunchError::NotStarted { program: name, reason, error });
                }
            }
        }
    }

    async fn attempt(self: &Arc<Self>, frame: &[u8], prepared: Prepared) -> Result<Attempt, LaunchError> {
        let starts = Arc::clone(&self.starts);
        let permit = starts.acquire_owned().await.map_err(|_| LaunchError::GuardLost)?;
        let pipes = || -> io::Result<_> {
            let ((stdout, stdout_end), (stderr, stderr_end)) = (io::pipe()?, io::pipe()?);
            let read = [OutputPipe::new(stdout.into())?, OutputPipe::new(stderr.into())?];
            Ok((read, [OwnedFd::from(stdout_end), OwnedFd::from(stderr_end)]))
        };
        let what = "making the output pipes";
        let (outputs, ends) = pipes().map_err(|error| LaunchError::NotPrepared { what, error })?;
        let answers = self.connection.register(prepared.id, permit)?;
        self.connection.send(frame, ends.into()).await?;
        match answers.started.await.map_err(|_| LaunchError::GuardLost)? {
            Ok(pid) => {
                let running = Running::new(Arc::clone(self), prepared, pid, outputs, answers.ended);
                Ok(Attempt::Running(Box::new(running)))
            }
            Err(errno) => Ok(Attempt::Failed(Errno::from_raw_os_error(errno).into(), prepared)),
        }
    }

    /// Sends a request from wherever, without waiting. If the guard is gone, so are the processes.
    pub(super) fn request(&self, frame: Vec<u8>) {
        let connection = Arc::clone(&self.connection);
        self.runtime.spawn(async move { connection.send(&frame, Vec::new()).await });
    }

    /// Where background work belongs.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.connection.close();
    }
}

/// What is to be kept for a process until it has ended.
pub(super) struct Prepared {
    pub(super) id: ProcessId,
    #[expect(dead_code, reason = "held, so that it is not given to another process")]
    pub(super) slot: OwnedSemaphorePermit,
    /// The interpreter may open the file late.
    #[expect(dead_code, reason = "held, so that the file is not removed")]
    pub(super) script: Option<Arc<ScriptFile>>,
    pub(super) return_values: PathBuf,
}

enum Attempt {
    Running(Box<Running>),
    Failed(io::Error, Prepared),
}

impl From<Closed> for LaunchError {
    fn from(_: Closed) -> Self {
        Self::GuardLost
    }
}

fn start_guard(program: &Path, directory: &Path) -> io::Result<Arc<Connection>> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let (reports, reports_end) = io::pipe()?;
    ours.set_nonblocking(true)?;
    let guard = Command::new(program)
        .arg0("baton")
        .arg(GUARD_COMMAND)
        .arg(directory)
        .stdin(OwnedFd::from(theirs))
        .stdout(reports_end)
        // Not to get the terminal's signals.
        .process_group(0)
        .spawn()?;
    let reports = pipe::Receiver::from_owned_fd(reports.into())?;
    let connection = Arc::new(Connection::new(ours));
    tokio::spawn(Arc::clone(&connection).receive(reports, guard, directory.to_owned()));
    Ok(connection)
}

/// Raises the number of files that this program may open as far as possible, and returns it.
fn allow_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < OPEN_FILES) {
        let maximum = limit.maximum.map(|maximum| maximum.max(OPEN_FILES));
        if setrlimit(Resource::Nofile, Rlimit { current: Some(OPEN_FILES), maximum }).is_err() {
            let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
