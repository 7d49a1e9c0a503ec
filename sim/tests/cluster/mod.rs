//! Clusters of toys: no world breaks an invariant, every planted fault is found, and a seed always makes the same world.

mod explorer;
mod scenarios;

use baton_protocol::pair::planted::{Bug, Bugs};
use baton_sim::cluster::controllers;
use baton_sim::cluster::shown::Sometimes;
use baton_sim::cluster::swarm::pass;
use std::collections::BTreeSet;
use std::process::Command;

/// A short campaign; the long one is a command of its own.
#[test]
fn no_world_breaks_an_invariant() {
    let mut seen = BTreeSet::new();
    for seed in 0..400 {
        let shown = pass(seed, Bugs::NONE);
        assert_eq!(shown.violation, None, "seed {seed}");
        seen.extend(shown.seen.into_keys());
    }
    let missing: Vec<Sometimes> = Sometimes::ALL.into_iter().filter(|what| !seen.contains(what)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

#[test]
fn worlds_find_every_planted_fault() {
    for bug in Bug::ALL {
        let is_found = (0..6_000).any(|seed| pass(seed, Bugs::plant(bug)).violation.is_some());
        assert!(is_found, "{bug:?} is not found");
    }
}

#[test]
fn a_seed_makes_the_same_world_again() {
    for seed in [1, 42, 8_725] {
        let (one, two) = (pass(seed, Bugs::NONE), pass(seed, Bugs::NONE));
        assert_eq!((one.digest, one.draws, one.steps), (two.digest, two.draws, two.steps));
        assert_ne!(one.digest, pass(seed + 1, Bugs::NONE).digest);
        // In another process too.
        let output = Command::new(env!("CARGO_BIN_EXE_swarm")).args([&seed.to_string(), "--digest"]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.trim(), format!("{seed} {:016x} {} {}", one.digest, one.draws, one.steps));
    }
}

/// Two controllers and a watch, with clients and a reader.
#[test]
fn a_pair_of_controllers_keeps_what_it_answers() {
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for seed in 0..150 {
        let shown = controllers::pass(seed, Bugs::NONE);
        wrong.extend(
            shown.violation.map(|violation| format!("{violation}; repeat: cargo swarm {seed} --controllers --tell")),
        );
        seen.extend(shown.seen.into_keys());
    }
    assert_eq!(wrong, Vec::<String>::new());
    let missing: Vec<_> = controllers::Sometimes::ALL.into_iter().filter(|what| !seen.contains(what)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

#[test]
fn a_seed_makes_the_same_pair_of_controllers_again() {
    let (one, two) = (controllers::pass(7, Bugs::NONE), controllers::pass(7, Bugs::NONE));
    assert_eq!((one.digest, one.orders), (two.digest, two.orders));
}

#[test]
fn worlds_of_controllers_find_planted_faults() {
    let missed: Vec<Bug> = [Bug::AcknowledgeBeforeSync, Bug::CommitUnacknowledged, Bug::CutTooMuch, Bug::KeepEpoch]
        .into_iter()
        .filter(|&bug| (0..300).all(|seed| controllers::pass(seed, Bugs::plant(bug)).violation.is_none()))
        .collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
