//! `cargo bench -p baton --bench cluster`: what a pair of controllers and its watch do, as real processes on one machine.
//!
//! - `commits`: how long a commit takes, alone and coupled, next to a raw append and `fdatasync`
//! - `requests`: commands over the HTTP API, by several clients at a time
//! - `take-over [RUNS]`: how long no command is answered when the active node dies, or is silent
//! - `chaos [ROUNDS [SEED]]`: rounds of faults at random, and whether all promises are kept
//!
//! Without an argument: all but the last.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

mod commits;
#[path = "../../tests/figures/mod.rs"]
mod figures;
#[path = "../../tests/cluster/real/mod.rs"]
mod real;
mod requests;
mod take_over;

use real::Failure;
use real::chaos::{Plan, run};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often the active node is killed.
const RUNS: u64 = 50;

/// Rounds of chaos.
const ROUNDS: u64 = 300;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |index: usize| arguments.get(index).and_then(|number| number.parse().ok());
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match arguments.first().map(String::as_str) {
            None => {
                commits::measure().await?;
                requests::measure().await?;
                take_over::measure(RUNS).await
            }
            Some("commits") => commits::measure().await,
            Some("requests") => requests::measure().await,
            Some("take-over") => take_over::measure(number(1).unwrap_or(RUNS)).await,
            Some("chaos") => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
                chaos(number(1).unwrap_or(ROUNDS), number(2).unwrap_or(now)).await
            }
            Some(other) => {
                Err(format!("{other:?} is none of commits, requests, take-over [RUNS], chaos [ROUNDS [SEED]]").into())
            }
        }
    })
}

async fn chaos(rounds: u64, seed: u64) -> Result<(), Failure> {
    let plan = Plan {
        seed,
        rounds,
        time: Duration::MAX,
        longest: Duration::from_secs(20),
        slack: Duration::from_secs(1),
        first: Vec::new(),
    };
    println!("chaos {rounds} {seed}");
    let folder = tempfile::tempdir()?;
    match run(&plan, &folder.path().join("cluster"), &|line| println!("{line}")).await {
        Ok(report) => println!("{report}"),
        Err(error) => {
            let kept = folder.keep();
            return Err(format!("seed {seed}: {error}\nall files and logs are kept in {}", kept.display()).into());
        }
    }
    Ok(())
}
