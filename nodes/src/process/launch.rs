//! What to launch, and why that failed.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::wire::LaunchRequest;

/// The environment variable with the path of the return values file.
pub(super) const RETURN_VALUES: &str = "BATON_RETURN_VALUES";

/// The same under the name that existing job scripts know.
pub(super) const RETURN_VALUES_OF_JS7: &str = "JS7_RETURN_VALUES";

/// The same under the name that the scripts of its version 1 know; only for jobs which say that they are such.
pub(super) const RETURN_VALUES_OF_V1: &str = "SCHEDULER_RETURN_VALUES";

/// A process to be launched.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What to run.
    pub program: Program,
    /// The arguments, without the program's own name. Everybody on the machine can read them: nothing secret here.
    pub arguments: Vec<OsString>,
    /// Whether to start with an empty environment instead of the one that the program had when the launcher was started.
    pub clear_environment: bool,
    /// Variables to set (or, with `None`, to remove) on top of that, in this order. `BATON_RETURN_VALUES` and
    /// `JS7_RETURN_VALUES` are always set by the launcher.
    pub environment: Vec<(OsString, Option<OsString>)>,
    /// Whether the script expects the variables of version 1: `SCHEDULER_RETURN_VALUES` is set too then.
    pub v1_compatible: bool,
    /// Where the process starts; `None`: where the program runs.
    pub working_directory: Option<PathBuf>,
}

/// What a process runs.
#[derive(Clone, Debug)]
pub enum Program {
    /// The text of a script. Its first line may name the interpreter after `#!`, otherwise it is `/bin/sh`.
    Script(Arc<str>),
    /// An executable file: a path, or a name without slash that is searched for in the job's `PATH`. A file that is neither
    /// a binary nor begins with `#!` is run by `/bin/sh`.
    File(PathBuf),
}

/// Why a process could not be launched. Nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The system refused to start it.
    #[error("cannot start {program}: {reason} ({error})")]
    NotStarted {
        /// The program, or "the script".
        program: String,
        /// The probable reason, for people.
        reason: &'static str,
        /// The system's error; its `raw_os_error` is `ENOENT`, `EACCES`, …
        error: io::Error,
    },
    /// The script could not be written into the work directory, or the output pipes could not be made.
    #[error("cannot prepare the start: {what}: {error}")]
    NotPrepared {
        /// What failed.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
    /// No system would take this name of an environment variable.
    #[error("{0:?} is no name of an environment variable: it must not be empty nor contain '=' or NUL")]
    VariableName(OsString),
    /// Arguments and environment exceed 16 MiB.
    #[error("arguments and environment are too large: {0} bytes")]
    TooLarge(usize),
    /// As many processes run as can; each takes two open files. See [`Launcher::process_limit`](super::Launcher::process_limit).
    #[error(
        "{0} processes are running, more are not possible: raise the limit of open files (ulimit -n) of this program"
    )]
    TooManyProcesses(usize),
    /// The guard process has ended, nothing can be launched any more; start another launcher.
    #[error("the guard process has ended")]
    GuardLost,
}

impl Launch {
    /// A launch without arguments, in the inherited environment and working directory.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self {
            program,
            arguments: Vec::new(),
            clear_environment: false,
            environment: Vec::new(),
            v1_compatible: false,
            working_directory: None,
        }
    }

    /// A script.
    #[must_use]
    pub fn script(text: impl Into<Arc<str>>) -> Self {
        Self::new(Program::Script(text.into()))
    }

    /// An executable file with its arguments.
    #[must_use]
    pub fn command(file: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { arguments: arguments.into_iter().map(Into::into).collect(), ..Self::new(Program::File(file.into())) }
    }

    pub(super) fn name(&self) -> String {
        match &self.program {
            Program::Script(_) => "the script".to_owned(),
            Program::File(path) => path.display().to_string(),
        }
    }

    /// What the guard has to be told; `file` is where the program was found or written.
    pub(super) fn request(self, id: u64, file: &Path, return_values: &Path) -> Result<LaunchRequest, LaunchError> {
        let Self { program, arguments, clear_environment, mut environment, v1_compatible, working_directory } = self;
        for (name, _) in &environment {
            let bytes = name.as_encoded_bytes();
            if bytes.is_empty() || bytes.contains(&b'=') || bytes.contains(&0) {
                return Err(LaunchError::VariableName(name.clone()));
            }
        }
        let through_shell = matches!(&program, Program::Script(text) if !text.starts_with("#!"));
        let of_v1 = v1_compatible.then_some(RETURN_VALUES_OF_V1);
        for name in [RETURN_VALUES, RETURN_VALUES_OF_JS7].into_iter().chain(of_v1) {
            environment.push((name.into(), Some(return_values.into())));
        }
        Ok(LaunchRequest {
            id,
            program: file.into(),
            through_shell,
            arguments,
            clear_environment,
            environment,
            working_directory: working_directory.map(PathBuf::into_os_string),
        })
    }
}

/// The probable reason of a failed start.
pub(super) fn reason(error: &io::Error, file: &Path, working_directory: Option<&Path>) -> &'static str {
    if working_directory.is_some_and(|directory| !directory.is_dir()) {
        return "its working directory does not exist";
    }
    match error.kind() {
        io::ErrorKind::NotFound if file.exists() => "the interpreter named after #! does not exist",
        io::ErrorKind::NotFound => "no such program",
        io::ErrorKind::PermissionDenied => "not executable for this user",
        io::ErrorKind::ArgumentListTooLong => "arguments and environment are too large",
        io::ErrorKind::WouldBlock => "too many processes for this user or container",
        io::ErrorKind::ExecutableFileBusy => "somebody is still writing the file",
        io::ErrorKind::InvalidInput => "an argument or a variable contains a NUL byte",
        _ => "the system refuses",
    }
}
