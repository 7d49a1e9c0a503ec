//! Lets worlds of clusters happen: `swarm [SEED | FIRST..END] [--tell]`. Without a seed, worlds until stopped. Ends with 1 at
//! the first world in which something is violated, and says how to repeat it. `--digest` prints
//! what proves that two runs are the same. `--plant BUG` plants a fault, to see it found.
//! `--go-on` does not stop at the first violation, but counts them. `--controllers` lets the worlds be those of controllers,
//! `--agents` those of agents.

mod agents;

use baton_protocol::pair::planted::{Bug, Bugs};
use baton_protocol::time::Duration;
use baton_sim::cluster::controllers;
use baton_sim::cluster::plan::Failure;
use baton_sim::cluster::shown::Sometimes;
use baton_sim::cluster::swarm::{pass, tell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration as Elapsed, Instant};

#[derive(Default)]
struct Campaign {
    worlds: u64,
    steps: u64,
    simulated: Duration,
    seen: BTreeMap<Sometimes, u64>,
    outages: BTreeMap<Failure, Vec<Duration>>,
    violations: Vec<(u64, String)>,
}

#[expect(clippy::print_stdout, reason = "a command")]
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let tells = words.iter().any(|word| word == "--tell");
    let range = words.iter().find_map(|word| range_of(word)).unwrap_or(0..u64::MAX);
    let bugs = Bug::ALL.into_iter().find(|bug| words.contains(&format!("{bug:?}"))).map_or(Bugs::NONE, Bugs::plant);
    if words.iter().any(|word| word == "--agents") {
        return agents::run(&words, range);
    }
    if words.iter().any(|word| word == "--controllers") {
        return controllers_of(range, bugs, tells);
    }
    if tells {
        println!("{}", tell(range.start, bugs, 0..u64::MAX));
        return ExitCode::SUCCESS;
    }
    if words.iter().any(|word| word == "--digest") {
        for seed in range {
            let shown = pass(seed, bugs);
            println!("{seed} {:016x} {} {}", shown.digest, shown.draws, shown.steps);
        }
        return ExitCode::SUCCESS;
    }
    let goes_on = words.iter().any(|word| word == "--go-on");
    let began = Instant::now();
    let (next, stop) = (AtomicU64::new(range.start), AtomicBool::new(false));
    let campaign = Mutex::new(Campaign::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= range.end {
                        return;
                    }
                    let shown = pass(seed, bugs);
                    let Ok(mut campaign) = campaign.lock() else { return };
                    campaign.worlds += 1;
                    campaign.steps += shown.steps;
                    campaign.simulated += shown.time;
                    for (what, count) in shown.seen {
                        *campaign.seen.entry(what).or_default() += count;
                    }
                    if let Some((failure, outage)) = shown.outage {
                        campaign.outages.entry(failure).or_default().push(outage);
                    }
                    if let Some(violation) = shown.violation {
                        if goes_on {
                            println!("seed {seed}: {violation}");
                        }
                        campaign.violations.push((seed, violation));
                        stop.store(!goes_on, Ordering::Relaxed);
                    }
                    if campaign.worlds.is_multiple_of(10_000) {
                        println!("{} worlds in {:.0?}", campaign.worlds, began.elapsed());
                    }
                }
            });
        }
    });
    let Ok(mut campaign) = campaign.into_inner() else { return ExitCode::FAILURE };
    report(&mut campaign, began.elapsed(), workers);
    campaign.violations.sort();
    if let Some((seed, violation)) = campaign.violations.first() {
        let count = campaign.violations.len();
        println!("\n{count} violations. Seed {seed}: {violation}\nrepeat it with: cargo swarm {seed} --tell");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "a command")]
fn report(campaign: &mut Campaign, elapsed: Elapsed, workers: usize) {
    let seconds = elapsed.as_secs_f64().max(1e-9);
    let worlds = campaign.worlds as f64;
    let simulated = campaign.simulated.as_secs_f64();
    println!(
        "{worlds} worlds of {:.1} s on average, {} steps, in {elapsed:.1?}",
        simulated / worlds.max(1.0),
        campaign.steps
    );
    println!("{:.0} worlds of 10 s per second and core", simulated / 10.0 / seconds / workers as f64);
    for what in Sometimes::ALL {
        println!("sometimes {what:?}: {}", campaign.seen.get(&what).copied().unwrap_or(0));
    }
    for (failure, outages) in &mut campaign.outages {
        outages.sort_unstable();
        let at = |part: f64| outages[((outages.len() - 1) as f64 * part) as usize];
        println!(
            "{failure:?}: {} times, median {:.2?}, 99 % {:.2?}, most {:.2?}, allowed {:.0?}",
            outages.len(),
            at(0.5),
            at(0.99),
            at(1.0),
            failure.bound()
        );
    }
}

fn range_of(word: &str) -> Option<Range<u64>> {
    match word.split_once("..") {
        Some((first, end)) => Some(first.parse().ok()?..end.parse().ok()?),
        None => word.parse().ok().map(|seed: u64| seed..seed + 1),
    }
}

#[expect(clippy::print_stdout, reason = "a command")]
fn controllers_of(seeds: Range<u64>, bugs: Bugs, tells: bool) -> ExitCode {
    let (mut worlds, mut orders) = (0_u64, 0);
    let mut seen: BTreeMap<controllers::Sometimes, u64> = BTreeMap::new();
    for seed in seeds {
        if tells {
            println!("{}", controllers::tell(seed, bugs));
            return ExitCode::SUCCESS;
        }
        let shown = controllers::pass(seed, bugs);
        worlds += 1;
        orders += shown.orders;
        for (what, count) in shown.seen {
            *seen.entry(what).or_default() += count;
        }
        if let Some(violation) = shown.violation {
            println!("{violation}; repeat: cargo swarm {seed} --controllers --tell");
            return ExitCode::FAILURE;
        }
    }
    println!("{worlds} worlds, {orders} orders");
    for what in controllers::Sometimes::ALL {
        println!("sometimes {what:?}: {}", seen.get(&what).copied().unwrap_or(0));
    }
    ExitCode::SUCCESS
}
