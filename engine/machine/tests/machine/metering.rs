//! Priorities in bundles of subagents which depend on processes and on the load of machines.

use crate::setup::job_with;
use crate::world::{Name, World};
use std::time::Duration;

/// A world with a bundle in which a subagent has this priority.
fn world_with_priority(expression: &str) -> World {
    let mut world = World::new();
    world.command(&format!(
        r#"{{"TYPE": "UpdateItems", "operations": [{{"TYPE": "AddOrChangeSimple", "item": {{"TYPE": "SubagentBundle", "id": "B",
            "subagentToPriority": {{"first": "{expression}", "second": "{expression}"}}}}}}]}}"#
    ));
    world.deploy("1", &job_with(r#""subagentBundleIdExpr": "'B'","#, "sleep 100000"));
    world
}

#[test]
fn the_machine_with_the_lowest_load_is_chosen() {
    let mut world = world_with_priority("1 - $js7CpuLoad");
    world.add_order("A");
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.runs("A"), None, "no load is known");
    world.measure(Name::First, 700, 1 << 20);
    world.measure(Name::Second, 300, 1 << 20);
    world.run_for(Duration::from_millis(600));
    let runs = world.runs("A");
    assert!(runs.is_some());
    world.add_order("B");
    world.run_for(Duration::from_millis(600));
    assert_eq!(world.runs("B"), Some(Name::Second));
    world.measure(Name::First, 100, 1 << 20);
    world.run_for(Duration::from_millis(600));
    world.add_order("C");
    world.run_for(Duration::from_millis(600));
    assert_eq!(world.runs("C"), Some(Name::First));
    // What was told is believed for a while only.
    world.run_for(Duration::from_secs(7));
    world.add_order("D");
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.runs("D"), None);
    world.measure(Name::Second, 1_000, 1 << 20);
    world.run_until("running", |world| world.runs("D") == Some(Name::Second));
}

#[test]
fn the_number_of_processes_is_limited_by_a_priority_that_is_missing() {
    let mut world = world_with_priority("if $js7SubagentProcessCount < 1 then $js7FreeMemorySize else missing");
    for n in 0..3 {
        world.measure(Name::First, 0, 1_000);
        world.measure(Name::Second, 0, 2_000);
        world.run_for(Duration::from_millis(600));
        world.add_order(&format!("O-{n}"));
        world.run_for(Duration::from_millis(600));
    }
    assert_eq!(world.runs("O-0"), Some(Name::Second));
    assert_eq!(world.runs("O-1"), Some(Name::First));
    assert_eq!(world.runs("O-2"), None);
}
