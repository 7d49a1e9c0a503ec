//! Job processes: launching, watching, killing.
//!
//! ```text
//!   program ── Launcher ──────── control socket ──────── guard ── job ── its children
//!              Running  ── stdout pipe, stderr pipe ───────────────┘
//! ```
//!
//! A [`Launcher`] does not start processes itself. It starts one **guard** (the same program with a hidden
//! sub-command) and asks it to. That buys three things that nothing inside the program can give:
//!
//! - Jobs die with the program, even on `kill -9`: the guard sees its control socket close and kills everything below
//!   it. It is the *subreaper* of all jobs, so a process that left its group and session is still its descendant.
//! - Starting costs the same whatever the size of the program, because the guard stays small.
//! - Exactly one process waits for children, so a process number is never signalled after it could have been reused.
//!
//! The guard reports over a pipe of its own. The program makes the two output pipes and passes the write ends along with the request; output never goes through
//! the guard. Each [`Running`] reads its own pipes only while somebody asks it for the next event: that is the whole
//! back-pressure, and an idle process holds no buffer.
//!
//! Linux only where it matters: subreaper and `/proc`. Elsewhere the guard still kills process groups, but does not find
//! processes that left theirs.

pub mod bench;
mod cgroup;
pub(crate) mod clock;
mod connection;
mod guard;
mod launch;
mod launcher;
mod output;
mod return_values;
mod running;
mod scripts;
mod wire;

pub use guard::guard_main;
pub use launch::{Launch, LaunchError, Program};
pub use launcher::{Launcher, LauncherConfig, StartError};
pub use output::Stream;
pub use return_values::ReturnValuesError;
pub use running::{Ended, Event, Killer, Running, Status};

/// The hidden sub-command under which the `baton` command is a guard. Its one argument is the work directory.
pub const GUARD_COMMAND: &str = "guard";
