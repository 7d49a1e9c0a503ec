//! Orders survive storms, and a storm is the same each time.

use baton_sim::storm::{Report, pass};
use std::process::Command;

const SEEDS: std::ops::Range<u64> = 0..30;

#[test]
fn all_orders_survive() {
    let reports: Vec<Report> =
        SEEDS.map(|seed| pass(seed).unwrap_or_else(|problem| panic!("seed {seed}: {problem}"))).collect();
    assert!(reports.iter().all(|report| report.crashes > 10), "a storm without wind: {reports:?}");
    let digests: std::collections::BTreeSet<u64> = reports.iter().map(|report| report.digest).collect();
    assert_eq!(digests.len(), reports.len(), "different storms are different");
}

#[test]
fn the_same_seed_is_the_same_storm_here_and_in_another_process() {
    let here = pass(1).unwrap();
    assert_eq!(pass(1).unwrap(), here);
    let output = Command::new(env!("CARGO_BIN_EXE_storm")).arg("1").output().unwrap();
    let there = String::from_utf8(output.stdout).unwrap();
    assert!(there.contains(&format!("digest {:016x}", here.digest)), "{there}");
}
