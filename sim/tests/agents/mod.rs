//! Worlds of agents: none breaks an invariant, every planted fault is found, and a seed always makes the same world.

use baton_machine::planted::{Bug, Bugs};
use baton_sim::agents::scenarios::coupling::the_last_word;
use baton_sim::agents::scenarios::{ALL, ELSEWHERE};
use baton_sim::agents::shown::{Shown, Sometimes};
use baton_sim::agents::{BOUND, pass, shrink};
use baton_sim::campaign;
use baton_sim::quiet::quietly;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::process::Command;

/// What the worlds of these seeds show.
fn worlds(seeds: Range<u64>, bugs: Bugs, goes_on: bool) -> BTreeMap<u64, Shown> {
    let mut all = BTreeMap::new();
    let take = |seed, shown: Shown| {
        let is_fine = shown.violation.is_none();
        all.insert(seed, shown);
        goes_on || is_fine
    };
    campaign::run(seeds, campaign::cores(), |seed| pass(seed, bugs), take);
    all
}

/// A short campaign; the long one is a command of its own.
#[test]
fn no_world_breaks_an_invariant() {
    let shown = worlds(0..200, Bugs::NONE, true);
    let wrong: Vec<String> = shown
        .iter()
        .filter_map(|(seed, shown)| Some(format!("{}; repeat: cargo swarm {seed} --agents", shown.violation.as_ref()?)))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
    let seen: BTreeSet<Sometimes> = shown.values().flat_map(|shown| shown.seen.keys().copied()).collect();
    // So few worlds need not have an outage longer than a lease; `the_power_of_a_subagent_is_lost` tells of one.
    let wanted = Sometimes::ALL.into_iter().filter(|what| *what != Sometimes::LostBySilence);
    let missing: Vec<Sometimes> = wanted.filter(|what| !seen.contains(what)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
    assert!(shown.values().all(|shown| shown.wait.is_some_and(|(_, wait)| wait <= BOUND)), "a bound was not measured");
}

#[test]
fn worlds_find_every_planted_fault() {
    // Who was replaced has its last words only when they were held up on the way: that is a scenario.
    for bug in Bug::ALL.into_iter().filter(|bug| *bug != Bug::ObeyTheOld) {
        let shown = worlds(0..600, Bugs::plant(bug), false);
        let found = shown.iter().find_map(|(seed, shown)| Some((*seed, shown.violation.clone()?)));
        assert!(found.is_some(), "{bug:?} is not found");
    }
}

#[test]
fn what_is_not_needed_for_a_violation_is_left_out() {
    let bugs = Bugs::plant(Bug::LaunchUnchecked);
    let shown = worlds(0..600, bugs, false);
    let (seed, violation) = shown.into_iter().find_map(|(seed, shown)| Some((seed, shown.violation?))).unwrap();
    let finding = shrink(seed, bugs, violation);
    assert!(!finding.without.is_empty(), "{finding:?}");
    assert!(finding.violation.starts_with("S9"), "{}", finding.violation);
}

#[test]
fn a_seed_makes_the_same_world_again() {
    for seed in [1, 42, 8_725] {
        let (one, two) = (pass(seed, Bugs::NONE), pass(seed, Bugs::NONE));
        assert_eq!((one.digest, one.draws, one.steps), (two.digest, two.draws, two.steps));
        assert_ne!(one.digest, pass(seed + 1, Bugs::NONE).digest);
        // In another process too.
        let output = Command::new(env!("CARGO_BIN_EXE_swarm"))
            .args([&seed.to_string(), "--agents", "--digest"])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.trim(), format!("{seed} {:016x} {} {}", one.digest, one.draws, one.steps));
    }
}

#[test]
fn every_scenario_comes_out_as_told() {
    let failed: Vec<String> = ALL
        .iter()
        .filter_map(|scenario| Some(format!("{}: {}", scenario.name, quietly(scenario.run).err()?)))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// The last word of a controller that was replaced is heard by nodes with that fault, and the story tells so.
#[test]
fn a_scenario_finds_who_obeys_the_old() {
    let words = quietly(|| the_last_word(Bugs::plant(Bug::ObeyTheOld))).unwrap_err();
    assert!(words.starts_with("S11"), "{words}");
}

#[test]
fn what_is_told_elsewhere_is_told_there() {
    for (numbers, file, test) in ELSEWHERE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {test}()")), "{numbers}: {file} has no test {test}");
    }
}
