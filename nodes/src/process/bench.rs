//! What the launcher costs: the same command started directly and through it, in turns, in one run.
//!
//! "Directly" is the standard library in plain threads: spawn in a group of its own with the same environment, read both outputs
//! to their end, wait. That is the least that gives the same results.

use std::fmt;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::launch::{RETURN_VALUES, RETURN_VALUES_OF_JS7};
use super::{Event, Launch, LaunchError, Launcher};

/// How often both ways are measured in turns. The best of each counts, so that a disturbance does not.
const ROUNDS: usize = 3;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Load {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How many processes in each round.
    pub count: usize,
    /// How many of them at once.
    pub concurrency: usize,
}

/// What came out.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// Processes per second, directly.
    pub direct: f64,
    /// Processes per second, through the launcher.
    pub launched: f64,
    /// From asking for a process to knowing that it runs, through the launcher: the median.
    pub start_p50: Duration,
    /// The same, exceeded by one in a hundred.
    pub start_p99: Duration,
}

impl Comparison {
    /// The launcher's part of what is possible; 1 would be free of charge.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.launched / self.direct
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direct, launched, start_p50, start_p99 } = self;
        let ratio = self.ratio();
        write!(f, "direct {direct:6.0}/s  launched {launched:6.0}/s  ratio {ratio:.2}  ")?;
        write!(f, "start p50 {start_p50:.1?} p99 {start_p99:.1?}")
    }
}

/// Measures both ways.
///
/// # Errors
/// The command cannot be started.
pub async fn compare(launcher: &Launcher, load: &Load) -> Result<Comparison, LaunchError> {
    let (mut direct, mut launched) = (0_f64, 0_f64);
    let mut starts = Vec::new();
    for _ in 0..ROUNDS {
        let what = "starting the command directly";
        let duration = directly(load).map_err(|error| LaunchError::NotPrepared { what, error })?;
        direct = direct.max(per_second(load.count, duration));
        let (duration, round) = through(launcher, load).await?;
        launched = launched.max(per_second(load.count, duration));
        starts.extend(round);
    }
    starts.sort_unstable();
    let start_at = |percent: usize| starts.get(starts.len() * percent / 100).copied().unwrap_or_default();
    Ok(Comparison { direct, launched, start_p50: start_at(50), start_p99: start_at(99) })
}

#[expect(clippy::cast_precision_loss, reason = "counts of processes are small")]
fn per_second(count: usize, duration: Duration) -> f64 {
    count as f64 / duration.as_secs_f64()
}

/// The processes of each of the concurrent lines.
fn shares(load: &Load) -> impl Iterator<Item = usize> {
    let (count, lines) = (load.count, load.concurrency.max(1));
    (0..lines).map(move |line| count * (line + 1) / lines - count * line / lines)
}

fn directly(load: &Load) -> io::Result<Duration> {
    let Some((program, arguments)) = load.command.split_first() else {
        return Ok(Duration::ZERO);
    };
    let start = Instant::now();
    thread::scope(|scope| {
        let run = |share| {
            for _ in 0..share {
                let mut command = Command::new(program);
                command.args(arguments).env(RETURN_VALUES, "").env(RETURN_VALUES_OF_JS7, "");
                command.process_group(0).stdin(Stdio::null()).output()?;
            }
            Ok::<_, io::Error>(())
        };
        let lines: Vec<_> = shares(load).map(|share| scope.spawn(move || run(share))).collect();
        lines.into_iter().try_for_each(|line| line.join().unwrap_or(Ok(())))
    })?;
    Ok(start.elapsed())
}

async fn through(launcher: &Launcher, load: &Load) -> Result<(Duration, Vec<Duration>), LaunchError> {
    let Some((program, arguments)) = load.command.split_first() else {
        return Ok(Default::default());
    };
    let launch = Launch::command(program, arguments);
    let start = Instant::now();
    let mut lines = JoinSet::new();
    for share in shares(load) {
        let (launcher, launch) = (launcher.clone(), launch.clone());
        lines.spawn(async move {
            let mut starts = Vec::with_capacity(share);
            for _ in 0..share {
                let start = Instant::now();
                let mut running = launcher.launch(launch.clone()).await?;
                starts.push(start.elapsed());
                while let Some(Event::Output { .. }) = running.next().await {}
            }
            Ok::<_, LaunchError>(starts)
        });
    }
    let mut starts = Vec::with_capacity(load.count);
    while let Some(line) = lines.join_next().await {
        starts.extend(line.unwrap_or(Err(LaunchError::GuardLost))?);
    }
    Ok((start.elapsed(), starts))
}
