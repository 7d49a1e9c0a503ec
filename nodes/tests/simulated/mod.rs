//! The pair over simulated sockets: the driver, links, TLS and HTTP as in production, only sockets, disks and clocks are
//! simulated. What breaks here, and how long it takes, cannot be had on one machine: lost networks and hosts.
//!
//! Every take-over has to be over within the bound that is promised. A seed gives the same run each time.

mod world;

use baton_net::handshake::Versions;
use baton_net::http::events::ReadLimits;
use baton_net::tls::Tls;
use baton_protocol::record::Offset;
use baton_protocol::register::{Mode, Seat};
use baton_protocol::time::Timestamp;
use baton_storage::simulated::Fault;
use hyper::StatusCode;
use std::time::Duration;
use world::{BOUND, NOW, World, deploy, http, mode, name, orders, post, request, tls};

/// Until everything that can be coupled is.
const SOON: Duration = Duration::from_secs(15);

/// A coupled pair with a client that adds orders.
fn working(seed: u64) -> World {
    let mut world = World::new(seed, |_, _| {});
    world.until("coupled", SOON, |log| log.is_coupled(Seat::First));
    world.once(async |authority| deploy(&authority).await);
    world.client("client");
    world.until("working", SOON, |log| log.acknowledged().len() > 5);
    world
}

/// The next command is answered within the bound; tells how long it took.
fn goes_on(world: &mut World) -> Duration {
    let since = world.sim.elapsed();
    let took = world.until("working again", BOUND, move |log| log.last_answer() > since);
    world.log.add(&format!("commands are answered after {took:?}"));
    took
}

/// What was answered is there, on whichever node is active.
fn nothing_is_lost(world: &mut World, active: Seat) {
    let (acknowledged, log) = (world.log.acknowledged(), world.log.clone());
    let before = log.audits();
    world.once(async move |authority| {
        let found = orders(&authority, active).await;
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        log.audited();
    });
    world.until("audited", SOON, move |log| log.audits() > before);
}

/// The active dies and comes back; the trace of what was seen, with times.
fn take_over(seed: u64) -> Vec<String> {
    let mut world = working(seed);
    world.kill(Seat::First);
    let took = goes_on(&mut world);
    assert!(took < Duration::from_secs(1), "a dead process is noticed at once, this took {took:?}");
    world.restart(Seat::First);
    world.until("coupled again", SOON, |log| log.is_coupled(Seat::Second));
    nothing_is_lost(&mut world, Seat::Second);
    world.log.lines()
}

#[test]
fn the_standby_takes_over_from_a_dead_process_and_a_seed_gives_the_same_run() {
    let once = take_over(1);
    assert_eq!(once, take_over(1));
    assert_ne!(once, take_over(2));
}

#[test]
fn a_machine_that_is_gone_is_replaced() {
    let mut world = working(18);
    world.crash(Seat::First);
    let took = goes_on(&mut world);
    assert!(took <= Duration::from_secs(8), "a silent failure took {took:?}");
    world.restart(Seat::First);
    world.until("coupled again", SOON, |log| log.is_coupled(Seat::Second));
    nothing_is_lost(&mut world, Seat::Second);
}

#[test]
fn a_cut_off_active_is_replaced_and_its_tail_is_cut_when_it_comes_back() {
    let mut tails = 0;
    for seed in 3..6 {
        let mut world = working(seed);
        world.cut_off(Seat::First);
        let took = goes_on(&mut world);
        assert!(took <= Duration::from_secs(8), "a silent failure took {took:?}");
        world.pass(Duration::from_secs(1));
        tails += usize::from(parted(&world));
        world.mend();
        world.until("coupled again", SOON, |log| log.is_coupled(Seat::Second));
        nothing_is_lost(&mut world, Seat::Second);
        assert!(!parted(&world), "the journals differ");
    }
    assert!(tails > 0, "there was never a tail to be cut");
}

/// Whether what is on the two disks differs where both have something.
fn parted(world: &World) -> bool {
    let [first, second, _] = world.setups.lock().unwrap().clone().map(|setup| setup.disk.disk);
    let both = first.durable_end().offset.0.min(second.durable_end().offset.0);
    (0..both).any(|offset| first.durable_record(Offset(offset)) != second.durable_record(Offset(offset)))
}

#[test]
fn commits_go_on_when_the_standby_is_lost() {
    let mut world = working(7);
    world.cut_off(Seat::Second);
    goes_on(&mut world);
    assert!(world.log.is_active(Seat::First));
    world.mend();
    world.until("coupled again", SOON, |log| log.is_coupled(Seat::First));
    world.crash(Seat::Second);
    goes_on(&mut world);
    world.restart(Seat::Second);
    world.until("coupled once more", SOON, |log| log.is_coupled(Seat::First));
    // Without the watch nothing changes.
    world.cut_off(Seat::Watch);
    world.pass(Duration::from_secs(10));
    assert!(goes_on(&mut world) < Duration::from_secs(1) && world.log.is_coupled(Seat::First));
    nothing_is_lost(&mut world, Seat::First);
}

#[test]
fn a_person_switches_over() {
    let mut world = working(8);
    world.once(async |authority| post(&authority, "/controller/api/cluster/switch-over", "").await);
    world.until("switched over", SOON, |log| log.is_coupled(Seat::Second));
    assert!(goes_on(&mut world) < Duration::from_secs(2));
    nothing_is_lost(&mut world, Seat::Second);
}

#[test]
fn a_connection_that_is_dead_in_one_direction_is_survived() {
    for (from, to) in [(Seat::First, Seat::Second), (Seat::Second, Seat::First), (Seat::First, Seat::Watch)] {
        let mut world = working(9);
        world.sim.partition_oneway(name(from), name(to));
        goes_on(&mut world);
        world.pass(BOUND);
        world.mend();
        world.until("coupled again", SOON, |log| log.is_coupled(Seat::First) || log.is_coupled(Seat::Second));
        let active = if world.log.is_active(Seat::First) { Seat::First } else { Seat::Second };
        nothing_is_lost(&mut world, active);
    }
}

#[test]
fn a_disk_that_hangs_or_fails_is_like_a_lost_node() {
    let mut world = working(10);
    let disk = world.setups.lock().unwrap()[0].disk.disk.clone();
    disk.stall(true);
    goes_on(&mut world);
    assert!(world.log.is_active(Seat::Second));
    disk.stall(false);
    world.until("coupled again", SOON, |log| log.is_coupled(Seat::Second));
    let disk = world.setups.lock().unwrap()[1].disk.disk.clone();
    disk.fail(Fault::Full, 0);
    goes_on(&mut world);
    assert!(world.log.lines().iter().any(|line| line.contains("second ends")), "{:#?}", world.log.lines());
    disk.mend();
    world.crash(Seat::Second);
    world.restart(Seat::Second);
    world.until("coupled once more", SOON, |log| log.is_coupled(Seat::First));
    nothing_is_lost(&mut world, Seat::First);
}

#[test]
fn a_node_of_another_cluster_is_refused_and_nobody_works_with_it() {
    let mut world = World::new(11, |setups, _| setups[1].cluster = "other");
    world.pass(BOUND);
    assert!(!world.log.is_active(Seat::First) && !world.log.is_active(Seat::Second), "{:#?}", world.log.lines());
    world.setups.lock().unwrap()[1].cluster = "test";
    world.crash(Seat::Second);
    world.restart(Seat::Second);
    world.until("coupled", SOON, |log| log.is_coupled(Seat::First));
}

#[test]
fn two_nodes_in_the_first_seat_do_no_harm() {
    let mut world = World::new(12, |setups, _| setups[1].seat = Seat::First);
    world.pass(BOUND);
    let active = [Seat::First, Seat::Second].into_iter().filter(|seat| world.log.is_active(*seat)).count();
    assert!(active <= 1, "{:#?}", world.log.lines());
    assert_ne!(mode(world.log.standing(Seat::First)), Some(Mode::Coupled));
}

#[test]
fn an_expired_certificate_is_refused_until_it_is_renewed_without_a_restart() {
    let long_ago = Timestamp::from_millis(NOW.as_millis() - 20 * 365 * 86_400_000);
    let mut world = World::new(13, |setups, authority| setups[1].tls = tls(authority, Seat::Second, long_ago));
    world.pass(BOUND);
    assert!(!world.log.is_active(Seat::First), "{:#?}", world.log.lines());
    let running: Tls = world.setups.lock().unwrap()[1].tls.clone();
    running.replace(world::pem(&world.authority, Seat::Second, NOW)).unwrap();
    world.until("coupled", SOON, |log| log.is_coupled(Seat::First));
}

#[test]
fn versions_of_the_program_work_together_if_they_have_a_message_version_in_common() {
    let mut world = World::new(14, |setups, _| setups[1].versions = Versions { oldest: 1, newest: 2 });
    world.until("coupled", SOON, |log| log.is_coupled(Seat::First));
    let mut world = World::new(15, |setups, _| setups[1].versions = Versions { oldest: 2, newest: 2 });
    world.pass(BOUND);
    assert!(!world.log.is_active(Seat::First), "{:#?}", world.log.lines());
}

#[test]
fn a_reader_who_does_not_read_delays_nobody() {
    let mut world = working(16);
    world.once(async |authority| {
        let caller = http(&authority, Seat::First);
        let request = request("GET", "/controller/api/event?after=0", None, String::new());
        let stream = caller
            .open(request, Duration::from_secs(5), ReadLimits { line: 1 << 20, silence: Duration::from_secs(60) })
            .await
            .unwrap();
        assert_eq!(stream.status(), StatusCode::OK);
        // Holds it, and reads nothing.
        tokio::time::sleep(Duration::from_secs(120)).await;
        drop(stream);
    });
    world.pass(Duration::from_secs(30));
    assert!(goes_on(&mut world) < Duration::from_secs(1) && world.log.is_coupled(Seat::First));
}

#[test]
fn both_nodes_are_lost_and_come_back() {
    let mut world = working(17);
    world.crash(Seat::First);
    world.crash(Seat::Second);
    world.pass(Duration::from_secs(5));
    world.restart(Seat::Second);
    world.restart(Seat::First);
    goes_on(&mut world);
    let is_coupled = |log: &world::Log| log.is_coupled(Seat::First) || log.is_coupled(Seat::Second);
    world.until("coupled again", SOON, is_coupled);
    let active = if world.log.is_active(Seat::First) { Seat::First } else { Seat::Second };
    nothing_is_lost(&mut world, active);
    // Watch and active together: the standby alone must not go on by itself.
    world.crash(Seat::Watch);
    world.crash(active);
    world.pass(2 * BOUND);
    assert!(!world.log.is_active(active.peer()), "{:#?}", world.log.lines());
    world.restart(Seat::Watch);
    goes_on(&mut world);
    world.restart(active);
    world.until("coupled once more", SOON, is_coupled);
    nothing_is_lost(&mut world, active.peer());
}

#[test]
fn a_node_whose_disk_was_lost_gets_an_image() {
    let mut world = World::new(19, |setups, _| setups.iter_mut().for_each(|setup| setup.image_after = 4 << 10));
    world.until("coupled", SOON, |log| log.is_coupled(Seat::First));
    world.once(async |authority| deploy(&authority).await);
    ["one", "two", "three", "four"].into_iter().for_each(|client| world.client(client));
    // Readers may come back for the last few hundred records, so it takes some until the first are released.
    world.until("working", 4 * SOON, |log| log.acknowledged().len() > 1_000);
    let released = world.setups.lock().unwrap()[0].disk.disk.durable_released().offset.0;
    assert!(released > 10, "nothing was released");
    world.kill(Seat::Second);
    goes_on(&mut world);
    world.setups.lock().unwrap()[1].disk.disk.wipe();
    world.restart(Seat::Second);
    world.until("coupled again", 2 * SOON, |log| log.is_coupled(Seat::First));
    world.kill(Seat::First);
    world.until("taken over", BOUND, |log| log.is_active(Seat::Second));
    goes_on(&mut world);
    nothing_is_lost(&mut world, Seat::Second);
}
