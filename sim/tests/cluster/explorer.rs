//! All runs of small clusters: nothing is violated, planted faults are found, and reducing states leaves none out. Larger ones:
//! `cargo explore`.

use baton_protocol::pair::planted::{Bug, Bugs};
use baton_sim::cluster::explorer::{Budget, Explored, Grain, Plan, explore};

/// In the order of the fields.
fn budget(adds: u8, crashes: u8, losses: u8, dues: u8, switches: u8) -> Budget {
    Budget { adds, crashes, losses, dues, switches, looks: 0 }
}

/// With two kills, and with one of each fault.
#[test]
fn small_clusters_are_exhausted() {
    for (grain, image_after, budget) in [
        (Grain::Host, 0, budget(2, 2, 0, 0, 0)),
        (Grain::Host, 0, budget(1, 1, 0, 1, 0)),
        (Grain::Host, 0, budget(1, 0, 1, 1, 1)),
        (Grain::Host, 2, budget(1, 2, 0, 0, 0)),
        (Grain::Host, 2, budget(1, 1, 1, 0, 0)),
        (Grain::Message, 0, budget(1, 0, 1, 1, 0)),
    ] {
        let explored = explore(&Plan { image_after, ..Plan::new(grain, budget) }, 3_000_000);
        assert_eq!(explored.counterexample, None);
        assert!(explored.is_exhausted, "{} states of {budget:?}", explored.states);
    }
}

#[test]
fn every_planted_fault_is_found() {
    let one_of_each = budget(1, 1, 0, 1, 0);
    let two_ask = budget(0, 1, 0, 2, 0);
    let a_look = Budget { looks: 1, ..budget(0, 0, 1, 2, 0) };
    let two_adds = budget(2, 1, 0, 0, 0);
    for bug in Bug::ALL {
        let is_found =
            [(one_of_each, 0), (two_ask, 0), (a_look, 0), (two_adds, 2)].into_iter().any(|(budget, image_after)| {
                let plan = Plan { image_after, bugs: Bugs::plant(bug), ..Plan::new(Grain::Host, budget) };
                explore(&plan, 500_000).counterexample.is_some()
            });
        assert!(is_found, "{bug:?} is not found");
    }
}

/// What makes a difference is the same in all states that are reached, whether those that differ in nothing else are one or not.
#[test]
fn reducing_states_leaves_none_out() {
    for (grain, image_after, budget) in [
        (Grain::Host, 0, budget(1, 1, 1, 0, 0)),
        (Grain::Host, 0, budget(1, 1, 0, 1, 0)),
        (Grain::Host, 2, budget(1, 1, 0, 0, 1)),
        (Grain::Message, 0, budget(1, 0, 1, 0, 0)),
    ] {
        let run = |is_reduced| -> Explored {
            let plan = Plan { image_after, is_reduced, keeps_forms: true, ..Plan::new(grain, budget) };
            explore(&plan, 1_000_000)
        };
        let (reduced, whole) = (run(true), run(false));
        assert!(reduced.is_exhausted && whole.is_exhausted, "{} and {}", reduced.states, whole.states);
        assert!(reduced.states < whole.states, "{budget:?}: {} states are not fewer", whole.states);
        assert!(reduced.forms == whole.forms, "{budget:?}: {} and {}", reduced.forms.len(), whole.forms.len());
    }
}
