//! Processes: what is to be started, how it is ended, and what came of it. Plain data between director, subagent and the
//! subagent's host.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use baton_workflow::model::outcome::Outcome;
use baton_workflow::value::Fields;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A process to be started: everything is evaluated already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// For people: order and job.
    pub label: String,
    /// What to run.
    pub program: Program,
    /// Variables to set, or to remove where there is no value, on top of the subagent's environment, in this order.
    pub environment: Vec<(Arc<str>, Option<String>)>,
    /// Files to write before. Deleted when the process has ended.
    pub files: Vec<SpecFile>,
    /// Where it starts. Absent: where the subagent says.
    pub working_directory: Option<String>,
    /// Whether return values are expected in the old form too.
    pub v1_compatible: bool,
}

/// What a process runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Program {
    /// The text of a script. Its first line may name the interpreter after `#!`.
    Script(Arc<str>),
    /// An executable file: an absolute path, or one below the directory of executables.
    File(String),
    /// A program and its arguments; the first is the program.
    Command(Vec<String>),
    /// A job built into the subagent.
    BuiltIn {
        /// Its name.
        name: String,
        /// Text for it.
        script: Arc<str>,
        /// Constant arguments.
        job_arguments: Fields,
        /// Arguments for this process.
        arguments: Fields,
    },
}

/// Stands for the directory of a process's files, in environment, arguments and command, until the subagent's host has made
/// the directory. The host replaces it there.
pub const FILES_DIRECTORY: &str = "\u{1}baton-files\u{1}";

/// A file for a process, made by `toFile`. To be written below the directory of the process's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecFile {
    /// Its name, without a directory.
    pub name: String,
    /// What it contains.
    pub content: String,
}

/// How to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Signal {
    /// SIGTERM: it is asked to end.
    Terminate,
    /// SIGKILL to it and everything that it started.
    Kill,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Kill => "SIGKILL",
        })
    }
}

/// Why a process was ended. The greater counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum KillCause {
    /// By command.
    Command,
    /// Its time was over.
    Timeout,
    /// Its subagent ended, or lost its director, or was reset.
    Lost,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// How.
    pub how: Ended,
    /// Why it was ended, if it was.
    pub killed: Option<KillCause>,
    /// The values it returned, texts if through the file for return values; or why that file is not understood.
    pub return_values: Result<Fields, String>,
    /// The last line it wrote to standard error, if it wrote anything.
    pub error_line: Option<String>,
    /// How long it ran.
    pub duration: Duration,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ended {
    /// By itself.
    Exited {
        /// Its return code.
        code: i32,
    },
    /// By a signal.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// It could not be started.
    NotStarted {
        /// Why.
        reason: String,
    },
    /// It was ended before it was started.
    KilledBeforeStart,
    /// A job built into the subagent has come to this outcome.
    Returned {
        /// The outcome, complete but for the values returned.
        outcome: Outcome,
    },
}
