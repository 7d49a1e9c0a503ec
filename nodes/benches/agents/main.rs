//! `cargo bench -p baton --bench agents`: what a controller, an agent and its subagents do, as real processes on one machine.
//!
//! - `latency`: from asking for an order until its process runs, and from a line of output until it is seen at the controller
//! - `jobs [COUNT]`: shell jobs per second, next to starting the same directly
//! - `fail-over [RUNS]`: how long no job begins when a subagent dies, or is silent
//! - `sleeps [COUNT]`: so many jobs that sleep at a time on one agent, and how soon it tells how it is meanwhile
//! - `output [MEGABYTES]`: what a job may write in a second, next to a pipe, and what memory that takes
//! - `memory`: what idle daemons take
//! - `chaos [ROUNDS [SEED]]`: rounds of faults at random, and whether all promises are kept
//!
//! Without an argument: `latency`, `jobs`, `output` and `memory`.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

mod fail_over;
#[path = "../../tests/figures/mod.rs"]
mod figures;
mod jobs;
mod latency;
mod memory;
mod output;
#[path = "../../tests/agents/real/mod.rs"]
mod real;
mod sleeps;

use real::Failure;
use real::chaos::{self, Plan};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often a subagent is killed.
const RUNS: usize = 50;

/// Rounds of chaos.
const ROUNDS: u64 = 300;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |index: usize| arguments.get(index).and_then(|number| number.parse::<usize>().ok());
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match arguments.first().map(String::as_str) {
            None => {
                latency::measure().await?;
                jobs::measure(2_000).await?;
                output::measure(256).await?;
                memory::measure().await
            }
            Some("latency") => latency::measure().await,
            Some("jobs") => jobs::measure(number(1).unwrap_or(2_000)).await,
            Some("fail-over") => fail_over::measure(number(1).unwrap_or(RUNS)).await,
            Some("sleeps") => sleeps::measure(number(1).unwrap_or(15_000)).await,
            Some("output") => output::measure(number(1).unwrap_or(256)).await,
            Some("memory") => memory::measure().await,
            Some("chaos") => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
                let rounds = number(1).map_or(ROUNDS, |rounds| rounds as u64);
                chaos(rounds, number(2).map_or(now, |seed| seed as u64)).await
            }
            Some(other) => Err(format!(
                "{other:?} is none of latency, jobs, fail-over, sleeps, output, memory, chaos [ROUNDS [SEED]]"
            )
            .into()),
        }
    })
}

async fn chaos(rounds: u64, seed: u64) -> Result<(), Failure> {
    let plan = Plan { seed, rounds, time: Duration::MAX, longest: Duration::from_secs(20) };
    println!("chaos {rounds} {seed}");
    let folder = tempfile::tempdir()?;
    match chaos::run(&plan, folder.path(), &|line| println!("{line}")).await {
        Ok(report) => println!("{report}"),
        Err(error) => {
            let kept = folder.keep();
            return Err(format!("seed {seed}: {error}\nall files and logs are kept in {}", kept.display()).into());
        }
    }
    Ok(())
}

/// An installation that works, with one more workflow `JOB`, of one job with these members, at the first subagent.
async fn installation(
    folder: &std::path::Path,
    subagents: usize,
    job: serde_json::Value,
) -> Result<real::installation::Installation, Failure> {
    let mut installation = real::installation::Installation::new(folder, subagents)?;
    let mut items = installation.items(&installation.ledger.script());
    let mut members = serde_json::json!({"agentPath": real::installation::AGENT, "subagentSelectionId": "FIXED", "processLimit": 100_000});
    if let (Some(members), Some(job)) = (members.as_object_mut(), job.as_object()) {
        members.extend(job.clone());
    }
    if let Some(items) = items.as_array_mut() {
        let instructions = serde_json::json!([{"TYPE": "Execute.Anonymous", "job": members}]);
        items.push(serde_json::json!({"TYPE": "Workflow", "path": "JOB", "instructions": instructions}));
    }
    installation.begin(&items).await?;
    Ok(installation)
}
