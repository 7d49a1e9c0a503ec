//! `baton ctl`: operates controllers, agents and subagents through their HTTP APIs.
//!
//! It is given the URLs of one controller or of a pair, finds the active one, and follows it through take-overs: a command has an
//! id, is repeated until it is answered, and is carried out once. What can fail is told in one line on standard error; exit
//! statuses are those of the other commands: 1 when it was refused or nobody answered, 2 when the call makes no sense, and 3 when
//! it is not known whether it is done.

pub mod arguments;
mod commands;
mod deploy;
pub mod session;
mod show;
pub mod target;
mod workers;

use arguments::CtlArguments;
use baton_workflow::problem::Problem;
use session::{Session, Unanswered};
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;
use target::{Target, TargetError};

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The call makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// Nobody can be asked.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The controller refuses.
    #[error("{}", shown(.0))]
    Refused(Problem),
    /// Some of what was asked is not as it should be; it has been told.
    #[error("{0}")]
    Partly(String),
    /// There is no answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// The answer is not understood.
    #[error("the controller's answer is not understood: {0}")]
    Nonsense(String),
    /// Standard output is closed, or full.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    /// The operating system refuses.
    #[error("the operating system gives no threads: {0}")]
    System(io::Error),
}

impl Failure {
    fn status(&self) -> u8 {
        match self {
            Self::Senseless(_) | Self::Target(_) => 2,
            Self::Unanswered(Unanswered::MayBeDone { .. }) => 3,
            Self::Refused(_)
            | Self::Partly(_)
            | Self::Unanswered(_)
            | Self::Nonsense(_)
            | Self::Output(_)
            | Self::System(_) => 1,
        }
    }
}

fn shown(problem: &Problem) -> String {
    match &*problem.code {
        "Unauthorized" => format!("{}; expected is a token in BATON_TOKEN, or --token-file FILE", problem.message),
        _ => problem.message.clone(),
    }
}

/// Does what the arguments say.
#[must_use]
pub fn main(arguments: &CtlArguments) -> ExitCode {
    let result = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(run(arguments));
            runtime.shutdown_timeout(Duration::ZERO);
            result
        }
        Err(error) => Err(Failure::System(error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Who closes the pipe early has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            note(&failure.to_string());
            ExitCode::from(failure.status())
        }
    }
}

async fn run(arguments: &CtlArguments) -> Result<(), Failure> {
    let session = Session::new(Target::of(arguments)?, note)?;
    Box::pin(commands::run(arguments, session)).await
}

/// Tells a person something that is not the result.
fn note(text: &str) {
    // Where nobody can be told, the status must do.
    let _ = writeln!(io::stderr(), "baton ctl: {text}");
}
