//! `swarm --agents`: worlds of agents. `--plant BUG` plants one of the faults of `baton_machine::planted`, `--without KIND,KIND`
//! lets some kinds of things not happen (that is what shrinking finds), `--tell` tells a seed in words, `--digest` prints what
//! proves that two runs are the same, `--threads N` leaves cores to others.

use baton_machine::planted::{Bug, Bugs};
use baton_protocol::time::Duration;
use baton_sim::agents::plan::{Kind, Plan};
use baton_sim::agents::shown::Sometimes;
use baton_sim::agents::{BOUND, Finding, pass_plan, plan_of, shrink, tell};
use baton_sim::campaign;
use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Default)]
struct Campaign {
    worlds: u64,
    steps: u64,
    orders: u64,
    processes: u64,
    simulated: Duration,
    seen: BTreeMap<Sometimes, u64>,
    waits: BTreeMap<Sometimes, Vec<Duration>>,
    violations: BTreeMap<u64, String>,
}

/// Runs what the words say.
#[expect(clippy::print_stdout, reason = "a command")]
pub(super) fn run(words: &[String], seeds: Range<u64>) -> ExitCode {
    let has = |option: &str| words.iter().any(|word| word == option);
    let after = |option: &str| words.iter().skip_while(|word| *word != option).nth(1);
    let bugs = Bug::ALL.into_iter().find(|bug| has(&format!("{bug:?}"))).map_or(Bugs::NONE, Bugs::plant);
    let without: Vec<Kind> =
        after("--without").into_iter().flat_map(|kinds| kinds.split(',')).filter_map(Kind::parse).collect();
    let plan = |seed| without.iter().fold(plan_of(seed, bugs), |plan: Plan, kind| plan.without(*kind));
    if has("--tell") {
        println!("{}", tell(seeds.start, &plan(seeds.start)));
        return ExitCode::SUCCESS;
    }
    if has("--digest") {
        for seed in seeds {
            let shown = pass_plan(seed, &plan(seed));
            println!("{seed} {:016x} {} {}", shown.digest, shown.draws, shown.steps);
        }
        return ExitCode::SUCCESS;
    }
    let goes_on = has("--go-on");
    let threads = after("--threads").and_then(|count| count.parse().ok()).unwrap_or_else(campaign::cores);
    let (began, mut all) = (Instant::now(), Campaign::default());
    campaign::run(
        seeds,
        threads,
        |seed| pass_plan(seed, &plan(seed)),
        |seed, shown| {
            all.worlds += 1;
            all.steps += shown.steps;
            all.orders += shown.orders as u64;
            all.processes += shown.processes as u64;
            all.simulated += shown.time;
            for (what, count) in shown.seen {
                *all.seen.entry(what).or_default() += count;
            }
            if let Some((how, wait)) = shown.wait {
                all.waits.entry(how).or_default().push(wait);
            }
            if all.worlds.is_multiple_of(10_000) {
                println!("{} worlds in {:.0?}", all.worlds, began.elapsed());
            }
            let Some(violation) = shown.violation else { return true };
            println!("seed {seed}: {violation}");
            all.violations.insert(seed, violation);
            goes_on
        },
    );
    report(&mut all, began.elapsed().as_secs_f64(), threads);
    let Some((seed, violation)) = all.violations.pop_first() else { return ExitCode::SUCCESS };
    println!("\n{} violations", all.violations.len() + 1);
    if without.is_empty() {
        tell_finding(&shrink(seed, bugs, violation));
    }
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "a command")]
fn tell_finding(finding: &Finding) {
    let Finding { seed, violation, without, plan } = finding;
    let without: Vec<String> = without.iter().map(|kind| format!("{kind:?}")).collect();
    println!("seed {seed}: {violation}\nwhat is needed for that: {plan:?}");
    let without = if without.is_empty() { String::new() } else { format!(" --without {}", without.join(",")) };
    println!("repeat it with: cargo swarm {seed} --agents{without} --tell");
}

#[expect(clippy::print_stdout, reason = "a command")]
fn report(all: &mut Campaign, seconds: f64, threads: usize) {
    let simulated = all.simulated.as_secs_f64();
    println!(
        "{} worlds of {:.1} s on average, {} steps, {} orders, {} processes, in {seconds:.1} s",
        all.worlds,
        simulated / all.worlds.max(1) as f64,
        all.steps,
        all.orders,
        all.processes
    );
    println!("{:.0} worlds of 10 s per second and core", simulated / 10.0 / seconds.max(1e-9) / threads as f64);
    for what in Sometimes::ALL {
        println!("sometimes {what:?}: {}", all.seen.get(&what).copied().unwrap_or(0));
    }
    for (how, waits) in &mut all.waits {
        waits.sort_unstable();
        let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize];
        println!(
            "{how:?}: {} times, new jobs waited: median {:.2?}, 99 % {:.2?}, most {:.2?}, allowed {BOUND:.0?}",
            waits.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}
