//! The active controller is the cluster watch of the directors.

use super::world::Name::{C1, C2, D1, D2, S3};
use super::world::World;
use super::{job_at, ran_once};
use baton_protocol::pair::Order;
use baton_protocol::time::Duration;

fn is_working(world: &World, name: super::world::Name) -> bool {
    world.is_running(name) && world.director(name).is_working()
}

#[test]
fn the_standby_takes_over_with_the_vote_of_the_controller() {
    let mut world = World::watched_by_controllers();
    world.run_order("O", &job_at("three", "out one\\nsleep 20000\\nout two"));
    world.run_until("running", |world| world.runs("O") == Some(S3));
    world.run_for(Duration::from_secs(1));
    world.kill(D1);
    let time = world.run_until("taken over", |world| is_working(world, D2));
    assert!(time < Duration::from_secs(3), "{time:?}");
    ran_once(&mut world, "O");
    world.start(D1);
    world.settle(D2);
    world.check_equal(D1, D2);
    world.check_equal(C1, C2);
}

#[test]
fn nobody_takes_over_while_the_controller_sees_the_active_alive() {
    let mut world = World::watched_by_controllers();
    world.cut(D1, &[D2]);
    world.run_for(Duration::from_secs(30));
    assert!(is_working(&world, D1) && !is_working(&world, D2), "{}", world.describe());
    world.heal();
    world.settle(D1);
    world.check_equal(D1, D2);
}

#[test]
fn a_director_that_only_its_subagents_reach_is_replaced() {
    let mut world = World::watched_by_controllers();
    world.run_order("O", &job_at("three", "out one\\nsleep 30000\\nout two"));
    world.run_until("running", |world| world.runs("O") == Some(S3));
    world.run_for(Duration::from_secs(1));
    world.cut(D1, &[D2, C1, C2]);
    let time = world.run_until("taken over", |world| is_working(world, D2));
    assert!(time < Duration::from_secs(15), "{time:?}");
    ran_once(&mut world, "O");
    world.heal();
    world.settle(D2);
    world.check_equal(D1, D2);
}

#[test]
fn directors_switch_over_and_back() {
    let mut world = World::watched_by_controllers();
    world.run_order("O", &job_at("", "out one\\nsleep 10000\\nout two"));
    world.run_until("running", |world| world.runs("O").is_some());
    world.run_for(Duration::from_secs(1));
    world.order(D1, Order::SwitchOver);
    world.settle(D2);
    world.order(D2, Order::SwitchOver);
    world.settle(D1);
    ran_once(&mut world, "O");
    world.check_equal(D1, D2);
}

#[test]
fn a_controller_that_takes_over_votes_with_the_memory_of_its_predecessor() {
    let mut world = World::watched_by_controllers();
    let vote = |world: &World, name| {
        let agents = &world.controller(name).replica().relations().agents;
        agents.values().next().and_then(|agent| agent.vote.clone()).expect("a vote")
    };
    let first = vote(&world, C1);
    world.kill(C1);
    world.run_until("taken over", |world| world.controller(C2).is_working());
    // The same watch goes on.
    assert_eq!(vote(&world, C2)[..16], first[..16]);
    world.run_for(Duration::from_secs(5));
    world.kill(D1);
    let time = world.run_until("taken over", |world| is_working(world, D2));
    assert!(time < Duration::from_secs(3), "{time:?}");
    world.start(C1);
    world.start(D1);
    world.settle(D2);
    world.check_equal(D1, D2);
    world.check_equal(C1, C2);
}

#[test]
fn director_and_controller_die_at_the_same_time() {
    for pause in [0, 1, 3, 10, 100, 1_000, 4_500] {
        let mut world = World::watched_by_controllers();
        world.run_order("O", &job_at("three", "out one\\nsleep 30000\\nout two"));
        world.run_until("running", |world| world.runs("O") == Some(S3));
        world.run_for(Duration::from_secs(1));
        world.kill(D1);
        world.run_for(Duration::from_millis(pause));
        world.kill(C1);
        let time = world.run_until("taken over", |world| is_working(world, D2));
        assert!(time < Duration::from_secs(15), "{time:?} with a pause of {pause} ms");
        world.start(C1);
        world.start(D1);
        ran_once(&mut world, "O");
        world.settle(D2);
        world.check_equal(D1, D2);
    }
}
