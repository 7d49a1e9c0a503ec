//! What runs below the guard, and the reports about it.
//!
//! One lock orders everything: a start is reported before its end, and no process is signalled after it has been
//! forgotten. Reports are only queued under the lock; one thread at a time sends what has come together, so nobody waits for
//! the lock while the system is busy with waking up the program. The queue is bounded by twice the processes that run. A child may end before the thread that started it has learned its number; such an end is kept as
//! unclaimed until every start that was going on at that moment has finished.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::{Errno, write};
use rustix::process::{Pid, Signal, WaitStatus, kill_process_group};

use super::super::wire::{ProcessId, Report};
use super::tree;

/// A start that is going on.
#[derive(Clone, Copy)]
pub(super) struct Ticket(u64);

pub(super) struct Registry {
    /// Where the reports go.
    pipe: OwnedFd,
    state: Mutex<State>,
    /// Signalled when a start has finished.
    finished: Condvar,
}

#[derive(Default)]
struct State {
    running: BTreeMap<ProcessId, Pid>,
    ids: HashMap<Pid, ProcessId>,
    /// The number of starts so far; the next ticket.
    begun: u64,
    finished: u64,
    /// The reaper waits for a start to finish.
    is_awaited: bool,
    starting: BTreeSet<u64>,
    /// Reports to be sent, encoded.
    reports: Vec<u8>,
    /// Some thread is sending reports and will send those in the queue, too.
    is_sending: bool,
    /// Ended children that nobody has registered, with the number of starts begun before.
    unclaimed: HashMap<Pid, (u64, WaitStatus)>,
}

impl Registry {
    pub(super) fn new(pipe: OwnedFd) -> Self {
        Self { pipe, state: Mutex::default(), finished: Condvar::new() }
    }

    /// Reports something that is not about a running process.
    pub(super) fn report(&self, report: Report) {
        let mut state = self.lock();
        state.report(report);
        self.send(state);
    }

    /// To be called right before starting a process.
    pub(super) fn begin(&self) -> Ticket {
        let mut state = self.lock();
        let ticket = state.begun;
        state.begun += 1;
        state.starting.insert(ticket);
        Ticket(ticket)
    }

    /// To be called right after; reports the start, and the end if it came first.
    pub(super) fn finish(&self, ticket: Ticket, id: ProcessId, result: io::Result<Pid>) {
        let mut state = self.lock();
        state.finished += 1;
        state.starting.remove(&ticket.0);
        match result {
            Ok(pid) => {
                state.report(Report::Started(id, pid.as_raw_pid()));
                // An end from before our start is that of a stranger whose number has been used again.
                match state.unclaimed.remove(&pid).filter(|(begun, _)| *begun > ticket.0) {
                    Some((_, status)) => state.report(report_of_end(id, status)),
                    None => {
                        state.running.insert(id, pid);
                        state.ids.insert(pid, id);
                    }
                }
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or_else(|| Errno::INVAL.raw_os_error());
                state.report(Report::Failed(id, errno));
            }
        }
        let oldest = state.starting.first().copied();
        state.unclaimed.retain(|_, (begun, _)| oldest.is_some_and(|oldest| *begun > oldest));
        let is_awaited = state.is_awaited;
        self.send(state);
        // After all else: whoever wakes up wants the lock.
        if is_awaited {
            self.finished.notify_all();
        }
    }

    /// The number of starts finished so far.
    pub(super) fn finished(&self) -> u64 {
        self.lock().finished
    }

    /// Waits until more than `seen` starts have finished.
    pub(super) fn await_start(&self, seen: u64) {
        let mut state = self.lock();
        state.is_awaited = true;
        while state.finished == seen {
            state = self.finished.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_awaited = false;
    }

    /// Takes note of a reaped child.
    pub(super) fn ended(&self, pid: Pid, status: WaitStatus) {
        let mut state = self.lock();
        if let Some(id) = state.ids.remove(&pid) {
            state.running.remove(&id);
            state.report(report_of_end(id, status));
            self.send(state);
        } else if !state.starting.is_empty() {
            let begun = state.begun;
            state.unclaimed.insert(pid, (begun, status));
        }
    }

    /// Sends SIGTERM to the process group, if the process still runs.
    pub(super) fn terminate(&self, id: ProcessId) {
        let state = self.lock();
        if let Some(pid) = state.running.get(&id) {
            let _ = kill_process_group(*pid, Signal::TERM);
        }
    }

    /// Sends SIGKILL to the process group and to all descendants, if the process still runs.
    pub(super) fn kill(&self, id: ProcessId) {
        let state = self.lock();
        if let Some(pid) = state.running.get(&id) {
            let descendants = tree::descendants(*pid);
            let _ = kill_process_group(*pid, Signal::KILL);
            for descendant in descendants {
                tree::kill(descendant);
            }
        }
    }

    /// Sends SIGKILL to all process groups.
    pub(super) fn kill_all(&self) {
        for pid in self.lock().running.values() {
            let _ = kill_process_group(*pid, Signal::KILL);
        }
    }

    /// Whether nothing runs, nothing is being started, and everything has been reported.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.running.is_empty() && state.starting.is_empty() && state.reports.is_empty() && !state.is_sending
    }

    /// Our children that have not been started by us but been inherited, as subreaper.
    pub(super) fn strangers(&self) -> Vec<Pid> {
        let children = tree::own_children();
        let state = self.lock();
        children.into_iter().filter(|child| !state.ids.contains_key(child)).collect()
    }

    /// Sends the queued reports unless another thread is doing it.
    fn send<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        if state.is_sending {
            return;
        }
        state.is_sending = true;
        while !state.reports.is_empty() {
            let reports = std::mem::take(&mut state.reports);
            drop(state);
            write_all(&self.pipe, &reports);
            state = self.lock();
        }
        state.is_sending = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn report(&mut self, report: Report) {
        self.reports.extend_from_slice(&report.encode());
    }
}

/// Fails only if the program is gone, and then the reading side notices.
fn write_all(pipe: &OwnedFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match write(pipe, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn report_of_end(id: ProcessId, status: WaitStatus) -> Report {
    match status.terminating_signal() {
        Some(signal) => Report::Signaled(id, signal),
        None => Report::Exited(id, status.exit_status().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    use rustix::process::{WaitOptions, waitpid};

    use super::super::super::wire::REPORT;
    use super::*;

    fn registry() -> (Registry, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Registry::new(ours.into()), theirs)
    }

    fn reports(stream: &mut UnixStream) -> Vec<Report> {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes.as_chunks::<REPORT>().0.iter().map(|bytes| Report::decode(*bytes).unwrap()).collect()
    }

    /// A process that has ended with 7.
    fn ended_process() -> (Pid, WaitStatus) {
        #[expect(clippy::zombie_processes, reason = "waited for in the line below")]
        let child = Command::new("/bin/sh").args(["-c", "exit 7"]).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap()
    }

    #[test]
    fn end_that_comes_before_the_start_is_reported_after_it() {
        let (registry, mut stream) = registry();
        let (pid, status) = ended_process();
        let other = registry.begin();
        let ticket = registry.begin();
        registry.ended(pid, status);
        registry.finish(other, 2, Err(Errno::NOENT.into()));
        assert_eq!(reports(&mut stream), [Report::Failed(2, 2)]);
        registry.finish(ticket, 1, Ok(pid));
        assert_eq!(reports(&mut stream), [Report::Started(1, pid.as_raw_pid()), Report::Exited(1, 7)]);
        assert!(registry.is_idle());
        assert!(registry.lock().unclaimed.is_empty());
    }

    #[test]
    fn end_of_a_stranger_is_not_that_of_a_process_with_the_same_number() {
        let (registry, mut stream) = registry();
        let (pid, status) = ended_process();
        let hanging = registry.begin();
        registry.ended(pid, status);
        let ticket = registry.begin();
        registry.finish(ticket, 1, Ok(pid));
        assert_eq!(reports(&mut stream), [Report::Started(1, pid.as_raw_pid())]);
        assert!(!registry.is_idle());
        registry.ended(pid, status);
        assert_eq!(reports(&mut stream), [Report::Exited(1, 7)]);
        registry.finish(hanging, 2, Err(Errno::NOENT.into()));
        assert!(registry.is_idle());
        assert!(registry.lock().unclaimed.is_empty());
    }
}
