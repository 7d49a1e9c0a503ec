//! A control group (version 2) for a guard and all that it starts, where the machine lets us have one.
//!
//! Being the subreaper, the guard finds its descendants wherever they hide. The group adds to that: everything in it is killed in
//! one stroke, however fast it forks; and when the guard itself is killed, what it leaves behind is found, even if it has left its
//! parents and cleared its environment.
//!
//! The group is a child of the one in which the program was started. The kernel lets us make it when we are root, or when that
//! group was delegated to us (`Delegate=yes` in a unit of systemd). Elsewhere there is none, which is never an error here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The file in the work directory with the path of the group.
const FILE: &str = "guard.cgroup";

/// How a group is named, before the number of its guard.
const PREFIX: &str = "baton-jobs-";

/// So long the kernel may take to kill a group.
const LIMIT: Duration = Duration::from_secs(10);

/// The group of a guard.
pub(super) struct Group {
    path: PathBuf,
    note: PathBuf,
}

impl Group {
    /// Makes a group and moves the calling process into it. What a predecessor left in its group is dead then.
    pub(super) fn enter(work_directory: &Path) -> Option<Self> {
        kill_left(work_directory);
        let group = Self {
            path: own_group()?.join(format!("{PREFIX}{}", std::process::id())),
            note: work_directory.join(FILE),
        };
        fs::create_dir(&group.path).ok()?;
        let entered = group.path.join("cgroup.kill").try_exists().and_then(|can_kill| {
            if !can_kill {
                return Err(io::Error::from(io::ErrorKind::Unsupported));
            }
            fs::write(&group.note, group.path.as_os_str().as_encoded_bytes())?;
            join(&group.path)
        });
        if entered.is_err() {
            let _ = fs::remove_file(&group.note);
            let _ = fs::remove_dir(&group.path);
            return None;
        }
        Some(group)
    }

    /// Moves the calling process out, and kills everything else in the group.
    pub(super) fn leave_and_kill(&self) {
        if self.path.parent().is_some_and(|parent| join(parent).is_ok()) {
            kill(&self.path);
        }
    }

    /// Kills everything but the calling process.
    pub(super) fn kill_others(&self) {
        self.leave_and_kill();
        let _ = join(&self.path);
    }

    /// Nothing is left in it.
    pub(super) fn remove(&self) {
        if fs::remove_dir(&self.path).is_ok() {
            let _ = fs::remove_file(&self.note);
        }
    }
}

/// The group of the guard with this work directory, if it has one.
pub(super) fn of(work_directory: &Path) -> Option<PathBuf> {
    let path = PathBuf::from(fs::read_to_string(work_directory.join(FILE)).ok()?);
    let is_ours = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
    (is_ours && path.is_dir()).then_some(path)
}

/// Kills what a guard that is dead has left in its group.
pub(super) fn kill_left(work_directory: &Path) {
    if let Some(path) = of(work_directory) {
        kill(&path);
        let _ = fs::remove_dir(&path);
    }
    let _ = fs::remove_file(work_directory.join(FILE));
}

/// Kills all members, and waits until they are gone. Nothing is done to a group in which the caller is.
fn kill(group: &Path) {
    if own_group().is_some_and(|own| own.starts_with(group)) || fs::write(group.join("cgroup.kill"), "1").is_err() {
        return;
    }
    let begin = Instant::now();
    let is_populated =
        || fs::read_to_string(group.join("cgroup.events")).is_ok_and(|events| events.contains("populated 1"));
    while is_populated() && begin.elapsed() < LIMIT {
        thread::sleep(Duration::from_millis(1));
    }
}

fn join(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), std::process::id().to_string())
}

/// The group of the calling process.
fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts.lines().find_map(mount_point)?;
    let path = mount.join(own.trim_start_matches('/'));
    path.join("cgroup.procs").is_file().then_some(path)
}

/// Where the file system of the groups is mounted, if this line of `mountinfo` is about it.
fn mount_point(line: &str) -> Option<PathBuf> {
    let (mount, kind) = line.split_once(" - ")?;
    if kind.split(' ').next() != Some("cgroup2") {
        return None;
    }
    mount.split(' ').nth(4).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_groups_are_mounted() {
        let line = "42 32 0:27 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(mount_point(line), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mount_point("41 32 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids"), None);
    }

    #[test]
    fn only_groups_of_guards_are_touched() {
        let directory = tempfile::tempdir().unwrap();
        let other = directory.path().join("system.slice");
        fs::create_dir(&other).unwrap();
        fs::write(directory.path().join(FILE), other.as_os_str().as_encoded_bytes()).unwrap();
        assert_eq!(of(directory.path()), None);
        kill_left(directory.path());
        assert!(other.is_dir() && !directory.path().join(FILE).exists());
    }
}
