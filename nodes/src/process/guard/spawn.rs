//! Starts one process by the standard library, on its fast path only.
//!
//! The standard library uses `posix_spawn` (which does not copy the parent's page tables) as long as there is no hook to run
//! in the child and no search in a changed `PATH`. The latter we do ourselves. Its slow path would also wait for a failed
//! child, which here only the reaper may.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::Pid;

use super::super::wire::LaunchRequest;

const SHELL: &str = "/bin/sh";

/// Where programs are looked for when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Starts the process in a group of its own. Errors are those of the system, `ENOENT`, `EACCES`, `ETXTBSY` …, and `ENOEXEC` for what
/// is neither a binary nor begins with `#!`.
pub(super) fn spawn(launch: &LaunchRequest, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Pid> {
    let program = find(launch)?;
    let mut command = if launch.through_shell {
        let mut shell = Command::new(SHELL);
        shell.arg(program);
        shell
    } else {
        Command::new(program)
    };
    command.args(&launch.arguments);
    if launch.clear_environment {
        command.env_clear();
    }
    for (name, value) in &launch.environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(directory) = &launch.working_directory {
        command.current_dir(directory);
    }
    let child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0).spawn()?;
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| Errno::INVAL.into())
}

/// The program with its directory.
fn find(launch: &LaunchRequest) -> io::Result<PathBuf> {
    let program = Path::new(&launch.program);
    if program.as_os_str().as_bytes().contains(&b'/') {
        return Ok(program.to_owned());
    }
    let mut refused = false;
    for directory in std::env::split_paths(&search_path(launch)) {
        let candidate = directory.join(program);
        if candidate.is_file() {
            if access(&candidate, Access::EXEC_OK).is_ok() {
                return Ok(candidate);
            }
            refused = true;
        }
    }
    Err(if refused { Errno::ACCESS.into() } else { Errno::NOENT.into() })
}

fn search_path(launch: &LaunchRequest) -> OsString {
    let set = launch.environment.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    let inherited = || if launch.clear_environment { None } else { std::env::var_os("PATH") };
    set.unwrap_or_else(inherited).unwrap_or_else(|| OsStr::new(DEFAULT_PATH).to_owned())
}
