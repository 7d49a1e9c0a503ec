//! Who descends from whom, read from `/proc`. Without it (not on Linux) nothing is found, which is never an error here.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, getpid, getppid, kill_process};

use super::super::launch::RETURN_VALUES;
use super::super::return_values;
use super::super::wire::ProcessId;

/// At most so many descendants of one process are looked for at once; the rest is found as orphans.
const MAX_DESCENDANTS: usize = 10_000;

/// How a process is recognised as descendant of a job process after its parents are gone: by the environment variable with
/// the path of the return values file, which is unique for each process of each work directory.
pub(in super::super) struct Marker {
    prefix: Vec<u8>,
}

impl Marker {
    pub(in super::super) fn new(work_directory: &Path) -> Self {
        let mut prefix = format!("{RETURN_VALUES}=").into_bytes();
        prefix.extend_from_slice(return_values::directory(work_directory).as_os_str().as_bytes());
        prefix.push(b'/');
        Self { prefix }
    }

    /// The job process that this process descends from.
    pub(super) fn read(&self, pid: Pid) -> Option<ProcessId> {
        let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_pid())).ok()?;
        let id = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(self.prefix.as_slice()))?;
        std::str::from_utf8(id).ok()?.parse().ok()
    }
}

/// Kills all processes on this machine that carry a marker of the work directory: for when their guard is dead.
pub(in super::super) fn kill_marked(marker: &Marker) {
    let ours = [Some(getpid()), getppid()];
    // Whoever forks while we look is found by the next pass; each pass kills all parents.
    for _ in 0..MAX_PASSES {
        let mut found = false;
        for pid in numbers("/proc") {
            if !ours.contains(&Some(pid)) && marker.read(pid).is_some() {
                kill(pid);
                found = true;
            }
        }
        if !found {
            return;
        }
    }
}

/// At most so many passes over all processes of the machine.
const MAX_PASSES: u32 = 50;

/// The children of the calling process.
pub(super) fn own_children() -> Vec<Pid> {
    children(getpid())
}

/// The descendants of a process without itself.
pub(super) fn descendants(pid: Pid) -> Vec<Pid> {
    let mut found = children(pid);
    let mut next = 0;
    while let Some(pid) = found.get(next).copied()
        && found.len() < MAX_DESCENDANTS
    {
        found.extend(children(pid));
        next += 1;
    }
    found
}

/// Sends SIGKILL to a process that we have just seen. Numbers are given out in turn, so within this moment it is not a
/// new process.
pub(in super::super) fn kill(pid: Pid) {
    let _ = kill_process(pid, Signal::KILL);
}

fn children(pid: Pid) -> Vec<Pid> {
    let tasks = format!("/proc/{}/task", pid.as_raw_pid());
    let mut children = Vec::new();
    for task in numbers(&tasks) {
        let list = fs::read_to_string(format!("{tasks}/{}/children", task.as_raw_pid())).unwrap_or_default();
        children.extend(list.split_ascii_whitespace().filter_map(number));
    }
    children
}

/// The entries of a directory that are process numbers.
fn numbers(directory: &str) -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| number(entry.file_name().to_str()?))
}

fn number(text: &str) -> Option<Pid> {
    text.parse().ok().and_then(Pid::from_raw)
}
