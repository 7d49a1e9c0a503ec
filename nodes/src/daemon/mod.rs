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

mod agent;
mod controller;
mod listen;
pub mod node;
mod signals;
pub mod stop;
mod watch;
mod watch_http;
mod worker;

pub use agent::{agent_main, subagent_main};
pub use controller::main as controller_main;
pub use watch::main as watch_main;

use crate::config::{self, Checked, Common, Environment, Findings};
use crate::driver::{Halt, Journal, News, Opened, Saying};
use crate::logging;
use crate::notify::ServiceManager;
use baton_net::tls::{MaterialError, Security, WallClock};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use stop::StopRequest;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

/// How long what still runs when the daemon ends may take.
const LEFT_OVER: Duration = Duration::from_secs(2);

/// `baton controller`, `baton watch`, `baton agent`, `baton subagent`
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
    /// Processes cannot be started.
    #[error(transparent)]
    Launcher(#[from] crate::process::StartError),
    /// The guard of the processes is gone.
    #[error(transparent)]
    Guard(#[from] crate::process::LaunchError),
    /// HTTP cannot be answered.
    #[error("HTTP: {0}")]
    Http(#[from] baton_net::accept::BindError),
    /// The API cannot be answered.
    #[error(transparent)]
    Api(#[from] crate::api::ServeError),
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

/// Reads a configuration and runs a daemon with it to its end.
fn main<C: Checked + Clone + Send + 'static>(
    name: &str,
    arguments: &DaemonArguments,
    read: impl FnOnce(&Path, &Environment) -> Result<C, Findings>,
    common: impl FnOnce(&C) -> &Common,
    daemon: impl AsyncFnOnce(C) -> Result<Ended, Unstarted>,
) -> ExitCode {
    let read = read(&arguments.config, &Environment::of_process());
    if arguments.check_config {
        return config::main(read);
    }
    let config = match read {
        Ok(config) => config,
        Err(findings) => {
            // Who closed the stream does not want it.
            let _ = writeln!(io::stderr(), "{findings}");
            return ExitCode::from(2);
        }
    };
    let common = common(&config);
    let _logging = match logging::start(common.log) {
        Ok(logging) => logging,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            return ExitCode::FAILURE;
        }
    };
    let (cluster, node, data) = (&common.cluster, &common.node, common.data.display());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %cluster, %node, %data, "{name} starts");
    let started = config::keep_checking(config.clone()).and_then(|()| runtime());
    let ended = started.map_err(Unstarted::from).and_then(|runtime| {
        let ended = runtime.block_on(daemon(config));
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

/// When the service manager wants to hear that the daemon is alive.
fn pulse(manager: &ServiceManager) -> Interval {
    // Nobody wants to hear it: then never, nearly.
    let period = manager.pulse().unwrap_or(Duration::from_secs(86_400));
    let mut pulse = tokio::time::interval(period);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pulse
}

/// Waits until a node that is not one of a pair of controllers halts, or is told to end.
async fn until_told(
    mut requested: mpsc::Receiver<StopRequest>,
    mut reloads: mpsc::Receiver<()>,
    security: &Security,
    news: &mut News,
) -> Ended {
    let manager = ServiceManager::of_process();
    manager.ready();
    let mut pulse = pulse(&manager);
    let ended = loop {
        tokio::select! {
            biased;
            _ = pulse.tick() => manager.alive(),
            () = listen_to(news) => break Ended::Halted,
            Some(()) = reloads.recv() => reload(security),
            Some(request) = requested.recv() => {
                break if request.restarts { Ended::ToStartAgain } else { Ended::AsTold };
            }
        }
    };
    manager.stopping();
    ended
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
