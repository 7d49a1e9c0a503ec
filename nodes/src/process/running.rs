//! A process that runs: its events, and how to kill it.
//!
//! The process has ended for us when its main process has, and its output too. Descendants may keep the output pipes open:
//! then the end is declared [`OUTPUT_LIMIT`] after the main process's. They go on, until the launcher ends or
//! the process is killed meanwhile; what they write is read and dropped.
//!
//! When the process is being killed, nothing of it survives: with SIGTERM to the whole process group the descendants have
//! the same grace time as the main process, then everything gets SIGKILL; what holds no output gets it as soon as the main
//! process and the output have ended.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::launcher::{Prepared, Shared};
use super::output::{self, OutputPipe, Stream};
use super::return_values::{self, ReturnValuesError};
use super::wire::{self, ProcessId};

/// So long after the main process's end (or after SIGKILL, if that is later) the end of its output is awaited.
const OUTPUT_LIMIT: Duration = Duration::from_millis(500);

/// How much of a stream is read after that, in bytes: what may still be in the pipe. More is not from the main process.
const MAX_PIPE: usize = 1 << 20;

/// Something that happened to a process.
#[derive(Debug)]
pub enum Event {
    /// It has written this.
    Output {
        /// Where to.
        stream: Stream,
        /// At most about 48 KiB of it. Invalid UTF-8 has become U+FFFD.
        text: String,
    },
    /// It has ended; the last event.
    Ended(Ended),
}

/// How a process has ended.
#[derive(Debug)]
pub struct Ended {
    /// How its main process has ended.
    pub status: Status,
    /// The return values in the order of the file. Empty when the process has been killed by us.
    pub return_values: Result<Vec<(String, String)>, ReturnValuesError>,
    /// Descendants still hold an output pipe; what they write later is dropped.
    pub output_abandoned: bool,
}

/// How a main process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this exit code (0 to 255).
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// Nobody knows, because the guard ended before it. It does not run any more.
    Lost,
}

/// A process that has been started.
///
/// Whoever has it must ask for its [events](Self::next) until the last; output not asked for stays in the pipe and finally
/// stops the process. Dropped before, it is killed.
pub struct Running {
    killer: Killer,
    prepared: Prepared,
    pid: i32,
    stdout: OutputPipe,
    stderr: OutputPipe,
    /// Whose turn it is when both have a chunk.
    stderr_first: bool,
    await_end: oneshot::Receiver<Status>,
    end: Option<(Status, Instant)>,
    stages: watch::Receiver<Stage>,
    output_abandoned: bool,
    read_late: usize,
}

/// Kills one process. May be cloned and used from anywhere, also outside of the runtime, and does nothing after
/// the process's end.
#[derive(Clone)]
pub struct Killer {
    shared: Arc<Shared>,
    id: ProcessId,
    stage: Arc<watch::Sender<Stage>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    Terminating,
    Killed(Instant),
    Ended,
}

impl Running {
    pub(super) fn new(
        shared: Arc<Shared>,
        prepared: Prepared,
        pid: i32,
        [stdout, stderr]: [OutputPipe; 2],
        await_end: oneshot::Receiver<Status>,
    ) -> Self {
        let (stage, stages) = watch::channel(Stage::Running);
        Self {
            killer: Killer { shared, id: prepared.id, stage: Arc::new(stage) },
            prepared,
            pid,
            stdout,
            stderr,
            stderr_first: false,
            await_end,
            end: None,
            stages,
            output_abandoned: false,
            read_late: 0,
        }
    }

    /// The process number of the main process, which is that of its process group, too.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// To kill it with.
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// Waits for the next event; `None` after the last. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if self.stage() == Stage::Ended {
                return None;
            }
            // A process that writes faster than we read must not keep the others from being read.
            tokio::task::coop::consume_budget().await;
            if let Some(chunk) = self.next_chunk() {
                return Some(chunk);
            }
            if let Some((status, _)) = self.end
                && self.stdout.has_ended()
                && self.stderr.has_ended()
            {
                return Some(Event::Ended(self.ended(status)));
            }
            let limit = self.output_limit();
            if limit.is_some_and(|limit| limit <= Instant::now()) {
                self.abandon_output();
                continue;
            }
            let wake = [self.stdout.due(), self.stderr.due(), limit].into_iter().flatten().min();
            tokio::select! {
                biased;
                () = self.stdout.readable() => {}
                () = self.stderr.readable() => {}
                status = &mut self.await_end, if self.end.is_none() => {
                    self.end = Some((status.unwrap_or(Status::Lost), Instant::now()));
                }
                // The sender is ours, it does not close.
                _ = self.stages.changed() => {}
                () = sleep_until_some(wake) => {}
            }
        }
    }

    fn stage(&self) -> Stage {
        *self.killer.stage.borrow()
    }

    fn next_chunk(&mut self) -> Option<Event> {
        let has_ended = self.end.is_some();
        let is_late = self.output_limit().is_some_and(|limit| limit <= Instant::now());
        let mut streams = [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)];
        if self.stderr_first {
            streams.reverse();
        }
        for (stream, pipe) in streams {
            if !is_late || self.read_late < MAX_PIPE {
                let length = pipe.read(has_ended);
                if is_late {
                    self.read_late += length;
                }
            }
            if let Some(text) = pipe.chunk() {
                self.stderr_first = stream == Stream::Stdout;
                return Some(Event::Output { stream, text });
            }
        }
        None
    }

    /// When to stop waiting for the end of the output.
    fn output_limit(&self) -> Option<Instant> {
        let (_, ended_at) = self.end?;
        match self.stage() {
            // SIGKILL will come.
            Stage::Terminating => None,
            Stage::Killed(killed_at) => Some(ended_at.max(killed_at) + OUTPUT_LIMIT),
            Stage::Running | Stage::Ended => Some(ended_at + OUTPUT_LIMIT),
        }
    }

    fn abandon_output(&mut self) {
        for pipe in [&mut self.stdout, &mut self.stderr] {
            if let Some(pipe) = pipe.abandon() {
                self.output_abandoned = true;
                // Closing it would end with SIGPIPE what was left running on purpose.
                self.killer.shared.runtime().spawn(output::drain(pipe));
            }
        }
    }

    fn ended(&self, status: Status) -> Ended {
        let stage = self.killer.stage.send_replace(Stage::Ended);
        let is_killed = stage != Stage::Running;
        let path = &self.prepared.return_values;
        let return_values = if is_killed || status == Status::Lost {
            return_values::discard(path);
            Ok(Vec::new())
        } else {
            return_values::take(path)
        };
        if stage == Stage::Terminating {
            // What has survived SIGTERM and holds no output.
            self.killer.shared.request(wire::kill_frame(self.killer.id));
        }
        Ended { status, return_values, output_abandoned: self.output_abandoned }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stage() != Stage::Ended {
            self.killer.kill();
            return_values::discard(&self.prepared.return_values);
        }
    }
}

impl Killer {
    /// Sends SIGTERM to the process group, and after `grace` SIGKILL to everything that the process has started. Does
    /// nothing when the process is being killed already.
    pub fn terminate(&self, grace: Duration) {
        if grace.is_zero() {
            return self.kill();
        }
        if !self.advance(|stage| stage == Stage::Running, Stage::Terminating) {
            return;
        }
        self.shared.request(wire::terminate_frame(self.id));
        let killer = self.clone();
        self.shared.runtime().spawn(async move {
            let mut stages = killer.stage.subscribe();
            let over = stages.wait_for(|stage| *stage != Stage::Terminating);
            if tokio::time::timeout(grace, over).await.is_err() {
                killer.kill();
            }
        });
    }

    /// Sends SIGKILL to the process and to everything that it has started.
    pub fn kill(&self) {
        let killed = Stage::Killed(Instant::now());
        if self.advance(|stage| matches!(stage, Stage::Running | Stage::Terminating), killed) {
            self.shared.request(wire::kill_frame(self.id));
        }
    }

    fn advance(&self, is_allowed: impl FnOnce(Stage) -> bool, next: Stage) -> bool {
        self.stage.send_if_modified(|stage| {
            let advances = is_allowed(*stage);
            if advances {
                *stage = next;
            }
            advances
        })
    }
}

async fn sleep_until_some(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
