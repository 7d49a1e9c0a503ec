//! All scenarios, and that there are all.

use baton_sim::cluster::scenarios::ALL;
use std::collections::BTreeSet;
use std::panic::catch_unwind;

#[test]
fn every_scenario_comes_out_as_told() {
    let mut failed = Vec::new();
    for scenario in ALL {
        if catch_unwind(scenario.run).is_err() {
            failed.push(format!("{} {}", scenario.number, scenario.name));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_number_has_a_scenario() {
    let told: BTreeSet<String> = ALL.iter().map(|scenario| scenario.number.to_owned()).collect();
    let situations = (1..=39).map(|number| format!("S{number}"));
    let weak_spots = (1..=25).map(|number| format!("9.{number}"));
    let images = (1..=7).map(|number| format!("I{number}"));
    let looks = ["L1".to_owned()];
    let found = (1..=6).map(|number| format!("W{number}"));
    let wanted: BTreeSet<String> = situations.chain(weak_spots).chain(images).chain(looks).chain(found).collect();
    assert_eq!(told, wanted);
}
