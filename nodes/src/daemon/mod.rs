//! The daemons: what runs for months, and how it begins and ends.
//!
//! A daemon reads its configuration, opens its journal, starts its node, and then waits for somebody to tell it to end: a
//! signal, or a command over HTTP. What each ending means for the pair says [`stop`].
//!
//! | signal | meaning |
//! |---|---|
//! | SIGTERM, SIGINT | stop; given twice: abort |
//! | SIGQUIT | abort |
//! | SIGHUP | read the certificates again |
//!
//! Exit statuses: 0 after it was told to end, 1 when it halts or cannot start, 2 when its configuration makes no sense.

mod controller;
mod listen;
pub mod node;
mod signals;
pub mod stop;
mod watch;

pub use controller::main as controller_main;
pub use watch::main as watch_main;

use crate::config::{Common, Finding, Severity};
use crate::driver::{Halt, Journal, News, Opened, Saying};
use baton_net::tls::{MaterialError, Security, WallClock};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How long what still runs when the daemon ends may take.
const LEFT_OVER: Duration = Duration::from_secs(2);

/// `baton controller`, `baton watch`
#[derive(Debug, clap::Args)]
pub struct DaemonArguments {
    /// Its configuration.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Say what the configuration is and what is wrong with it, and do nothing else.
    #[arg(long)]
    pub check_config: bool,
}

/// Why a daemon ends before it runs.
#[derive(Debug, thiserror::Error)]
enum Unstarted {
    /// The system gives no threads or signals.
    #[error("the system does not give what a daemon needs: {0}")]
    System(#[from] io::Error),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] MaterialError),
    /// The journal cannot be used.
    #[error(transparent)]
    Halt(#[from] Halt),
    /// The node does not start.
    #[error(transparent)]
    Start(#[from] node::StartError),
}

/// How a daemon has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// As it was told.
    AsTold,
    /// As it was told, and it is to start again.
    ToStartAgain,
    /// It has halted. Why was logged.
    Halted,
}

/// Runs a daemon to its end.
fn run(name: &str, common: &Common, daemon: impl AsyncFnOnce() -> Result<Ended, Unstarted>) -> ExitCode {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"), cluster = %common.cluster, node = %common.node, data = %common.data.display(),
        "{name} starts"
    );
    let ended = runtime().map_err(Unstarted::from).and_then(|runtime| {
        let ended = runtime.block_on(daemon());
        runtime.shutdown_timeout(LEFT_OVER);
        ended
    });
    match ended {
        Ok(Ended::AsTold) => {
            tracing::info!("{name} has ended");
            ExitCode::SUCCESS
        }
        Ok(Ended::Halted) => ExitCode::FAILURE,
        Ok(Ended::ToStartAgain) => {
            tracing::info!("{name} starts again");
            let error = start_again();
            tracing::error!("{name} cannot start again: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!("{name} does not start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().thread_name("baton").build()
}

/// Replaces this process by a new one that was called in the same way. Returns only if that fails.
fn start_again() -> io::Error {
    let mut arguments = std::env::args_os();
    // What was called may have been replaced by a newer version meanwhile: that is wanted.
    match arguments.next() {
        Some(program) => Command::new(program).args(arguments).exec(),
        None => io::Error::other("it is not known how this process was called"),
    }
}

/// The journal of a daemon. Each node has one with its own name, so that a folder which was copied to another node is noticed.
async fn open(kind: &'static str, common: &Common) -> Result<Opened, Unstarted> {
    let Common { cluster, node, data, journal, .. } = common.clone();
    let name = format!("{kind} {cluster}/{node}");
    let opened = tokio::task::spawn_blocking(move || Journal::open(&data, &name, journal)).await;
    Ok(opened.map_err(io::Error::other)??)
}

fn security(common: &Common) -> Result<Security, Unstarted> {
    Ok(common.security(WallClock::new(crate::driver::wall_clock))?)
}

/// Reads the certificates again.
fn reload(security: &Security) {
    let Security::Tls(tls) = security else {
        return tracing::warn!("no certificates are configured, so there is nothing to be read again");
    };
    match tls.reload() {
        Ok(_) => tracing::info!("the certificates were read again and count for new connections"),
        Err(error) => tracing::error!("the new certificates cannot be used, the old ones stay in force: {error}"),
    }
}

/// Logs warnings of the node until it halts, and why it does.
async fn listen_to(news: &mut News) {
    loop {
        match news.next().await {
            Saying::Warning(warning) => tracing::warn!("{}", warning.text),
            Saying::Halted(halted) => {
                return tracing::error!(
                    "{halted}. Nothing that was not confirmed has left this node; mend the cause and start it again"
                );
            }
        }
    }
}

/// Prints what was found in a configuration. Whether it can be used.
fn print_findings(findings: &[Finding]) -> bool {
    let mut stderr = io::stderr().lock();
    for finding in findings {
        // Who closed the stream does not want it.
        let _ = writeln!(stderr, "{finding}");
    }
    !findings.iter().any(|finding| finding.severity == Severity::Error)
}
