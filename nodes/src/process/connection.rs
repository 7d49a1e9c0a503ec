//! The program's end of what connects it with its guard: requests go out over a socket, reports come in over a pipe.
//!
//! When the guard dies although it should not, everything that still runs is killed from here and reported as lost.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, sendmsg, shutdown};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::cgroup;
use super::guard::tree;
use super::running::Status;
use super::wire::{Malformed, ProcessId, REPORT, Report};

/// At most so many launches are with the guard and not yet answered.
pub(super) const STARTS_IN_FLIGHT: usize = 16;

/// How often an ending guard is looked after.
const GUARD_POLL: Duration = Duration::from_millis(5);

/// How much is read from the pipe at once, in bytes.
const READ_SIZE: usize = 4 << 10;

/// The guard has ended.
#[derive(Debug)]
pub(super) struct Closed;

/// What the guard will say about a process.
pub(super) struct Answers {
    /// The process number or the system's error number.
    pub(super) started: oneshot::Receiver<Result<i32, i32>>,
    pub(super) ended: oneshot::Receiver<Status>,
}

pub(super) struct Connection {
    /// Not known to the runtime: it would be woken up by each request that the guard reads, to be told that more could be sent.
    requests: UnixStream,
    /// Held while a frame is being sent.
    sending: tokio::sync::Mutex<()>,
    processes: Mutex<HashMap<ProcessId, Process>>,
    phase: watch::Sender<Phase>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Starting,
    Open,
    Closed,
}

struct Process {
    pid: Option<i32>,
    started: Option<(oneshot::Sender<Result<i32, i32>>, OwnedSemaphorePermit)>,
    ended: oneshot::Sender<Status>,
}

impl Connection {
    /// Over a socket that does not block.
    pub(super) fn new(requests: UnixStream) -> Self {
        let phase = watch::Sender::new(Phase::Starting);
        Self { requests, sending: tokio::sync::Mutex::default(), processes: Mutex::default(), phase }
    }

    /// Waits until the guard says that it is ready.
    pub(super) async fn opened(&self) -> Result<(), Closed> {
        match self.phase.subscribe().wait_for(|phase| *phase > Phase::Starting).await {
            Ok(phase) if *phase == Phase::Open => Ok(()),
            _ => Err(Closed),
        }
    }

    /// Waits until the guard and everything below it is gone.
    pub(super) async fn closed(&self) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase == Phase::Closed).await;
    }

    /// Lets the guard kill everything and end.
    pub(super) fn close(&self) {
        let _ = shutdown(&self.requests, Shutdown::Write);
    }

    /// Makes the process known before its launch is requested. The permit is given back with the answer.
    pub(super) fn register(&self, id: ProcessId, permit: OwnedSemaphorePermit) -> Result<Answers, Closed> {
        let (started, await_started) = oneshot::channel();
        let (ended, await_ended) = oneshot::channel();
        let mut processes = self.lock();
        // Within the lock: whoever closes takes the processes out afterwards.
        if *self.phase.borrow() == Phase::Closed {
            return Err(Closed);
        }
        processes.insert(id, Process { pid: None, started: Some((started, permit)), ended });
        Ok(Answers { started: await_started, ended: await_ended })
    }

    /// Sends a frame, with up to two descriptors. To be run to its end, else the guard is left with half of it.
    pub(super) async fn send(&self, request: &[u8], descriptors: Vec<OwnedFd>) -> Result<(), Closed> {
        let _sending = self.sending.lock().await;
        let mut sent = 0;
        while sent < request.len() {
            let descriptors = if sent == 0 { descriptors.as_slice() } else { &[] };
            match send_part(&self.requests, &request[sent..], descriptors) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable().await.map_err(|_| Closed)?;
                }
                Err(_) => return Err(Closed),
            }
        }
        Ok(())
    }

    /// Waits until the guard has read. Rare: it reads faster than we send.
    async fn writable(&self) -> io::Result<()> {
        tokio::net::UnixStream::from_std(self.requests.try_clone()?)?.writable().await
    }

    /// Reads reports until the guard has ended, then looks after what it may have left.
    pub(super) async fn receive(self: Arc<Self>, reports: pipe::Receiver, mut guard: Child, work_directory: PathBuf) {
        if self.receive_reports(reports).await.is_err() {
            let _ = guard.kill();
        }
        let regular = loop {
            match guard.try_wait() {
                Ok(None) => tokio::time::sleep(GUARD_POLL).await,
                Ok(Some(status)) => break status.success(),
                Err(_) => break false,
            }
        };
        self.phase.send_replace(Phase::Closed);
        let processes = std::mem::take(&mut *self.lock());
        if !regular {
            let groups = processes.values().filter_map(|process| Pid::from_raw(process.pid?)).collect();
            let _ = tokio::task::spawn_blocking(move || kill_survivors(groups, &work_directory)).await;
        }
        // Their listeners learn by the channels' end.
        drop(processes);
        self.phase.send_modify(|_| ());
    }

    async fn receive_reports(&self, mut pipe: pipe::Receiver) -> Result<(), Malformed> {
        let mut bytes = Vec::new();
        loop {
            let mut buffer = [0; READ_SIZE];
            let length = match pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => return Ok(()),
                Ok(length) => length,
            };
            bytes.extend_from_slice(&buffer[..length]);
            let (reports, rest) = bytes.as_chunks::<REPORT>();
            for report in reports {
                self.dispatch(Report::decode(*report)?);
            }
            bytes = rest.to_vec();
        }
    }

    fn dispatch(&self, report: Report) {
        let mut processes = self.lock();
        match report {
            Report::Ready => {
                self.phase.send_replace(Phase::Open);
            }
            Report::Started(id, pid) => {
                if let Some(process) = processes.get_mut(&id) {
                    process.pid = Some(pid);
                    if let Some((started, _permit)) = process.started.take() {
                        // Whoever does not listen any more drops the process's handle, which kills it.
                        let _ = started.send(Ok(pid));
                    }
                }
            }
            Report::Failed(id, errno) => {
                if let Some((started, _permit)) = processes.remove(&id).and_then(|process| process.started) {
                    let _ = started.send(Err(errno));
                }
            }
            Report::Exited(id, code) => {
                if let Some(process) = processes.remove(&id) {
                    let _ = process.ended.send(Status::Exited(code));
                }
            }
            Report::Signaled(id, signal) => {
                if let Some(process) = processes.remove(&id) {
                    let _ = process.ended.send(Status::Signaled(signal));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProcessId, Process>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send_part(stream: &UnixStream, bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let borrowed: Vec<_> = descriptors.iter().map(OwnedFd::as_fd).collect();
    if !borrowed.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&borrowed));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut ancillary, flags)?)
}

/// What the guard would have done: it is dead, so its processes belong to nobody. Their groups are still theirs, because
/// a number is not given out again while a group bears it.
fn kill_survivors(groups: Vec<Pid>, work_directory: &Path) {
    cgroup::kill_left(work_directory);
    for group in groups {
        let _ = kill_process_group(group, Signal::KILL);
    }
    tree::kill_marked(&tree::Marker::new(work_directory));
}
