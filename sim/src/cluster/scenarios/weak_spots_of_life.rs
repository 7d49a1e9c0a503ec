//! Weak spots of coming, going and going on. Each story is named after what cannot happen here.

use super::super::script::{Cluster, millis, secs, timing_with_silence};
use baton_protocol::pair::Order;
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Seat::{First, Second, Watch};
use baton_protocol::time::Duration;

/// 9.15: nothing takes 20 seconds: for each single failure, the time until commits go on is within its bound.
pub fn no_failure_stops_commits_for_long() {
    type Strike = fn(&mut Cluster);
    let failures: [(&str, Duration, Strike); 8] = [
        ("the active dies", secs(1), |cluster| cluster.kill(First)),
        ("the active is silent", Timing::TARGET, |cluster| cluster.power_off(First)),
        ("the active is cut off", Timing::TARGET, |cluster| cluster.isolate(First)),
        ("the storage of the active hangs", Timing::TAKE_OVER, |cluster| cluster.stall_disk(First)),
        ("the standby dies", secs(1), |cluster| cluster.kill(Second)),
        ("the standby is silent", Timing::TARGET, |cluster| cluster.power_off(Second)),
        ("the nodes are cut from each other", Timing::TARGET, |cluster| cluster.cut(First, Second)),
        ("the watch dies", millis(100), |cluster| cluster.kill(Watch)),
    ];
    for (what, bound, strike) in failures {
        let mut cluster = Cluster::coupled();
        strike(&mut cluster);
        cluster.ask_every(millis(50), 1..=400);
        cluster.until(what, bound, |cluster| !cluster.answered().is_empty());
    }
}

/// 9.16: a standby that has just restarted takes over, too, when the active is lost in that moment: it need not be coupled anew
/// before. And after a switch-over or a take-over there is redundancy again as soon as the other one is there.
pub fn a_restarted_standby_is_not_useless() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.power_off(Second);
    cluster.run_for(secs(1));
    cluster.start(Second);
    cluster.power_off(First);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_alone(Second));
    cluster.start(First);
    cluster.until_coupled(secs(3));
    cluster.power_off(Second);
    cluster.until("the first is active", Timing::TARGET, |cluster| cluster.is_alone(First));
    cluster.news_are(&[
        "second takes over in epoch 3, alone",
        "second goes on in epoch 4, coupled",
        "first takes over in epoch 5, alone",
    ]);
    let mut cluster = Cluster::coupled();
    cluster.order(First, Order::SwitchOver);
    cluster.until("the second is active", secs(1), |cluster| cluster.is_only_active(Second));
    cluster.power_off(Second);
    cluster.until("the first is active", Timing::TARGET, |cluster| cluster.is_alone(First));
}

/// 9.17: whatever happens to a node that is alive, its process goes on: it loses its office, cuts, follows, and gets it back, with
/// the one start it had.
pub fn no_refusal_halts_a_process() {
    let mut cluster = Cluster::coupled();
    for (active, number) in [(First, 1), (Second, 2), (First, 3)] {
        cluster.isolate(active);
        cluster.ask_only(active, number);
        cluster.until("the other is active", Timing::TARGET, |cluster| cluster.is_active(active.peer()));
        cluster.run_for(secs(10));
        cluster.mend_all();
        cluster.until_coupled(secs(5));
    }
    cluster.must("each was started once", |cluster| cluster.starts(First) == 1 && cluster.starts(Second) == 1);
    cluster.news_are(&[
        "second takes over in epoch 3, alone",
        "first is deposed",
        "first cuts at 1",
        "second goes on in epoch 4, coupled",
        "first takes over in epoch 5, alone",
        "second is deposed",
        "second cuts at 2",
        "first goes on in epoch 6, coupled",
        "second takes over in epoch 7, alone",
        "first is deposed",
        "first cuts at 3",
        "second goes on in epoch 8, coupled",
    ]);
}

/// 9.18: the active is told to stop while commits wait for a standby that is gone: nothing waits for something that waits for it.
/// The loss is decided, what was written is committed, the stop is recorded, in bounded time.
pub fn a_stop_does_not_wait_for_ever() {
    let mut cluster = Cluster::coupled();
    cluster.power_off(Second);
    cluster.ask(1);
    cluster.order(First, Order::Stop);
    cluster.until("it is stopped", Timing::TARGET, |cluster| cluster.is_stopped(First));
    cluster.news_are(&["first goes on in epoch 3, alone", "first is stopped"]);
    cluster.must("what was written is answered", |cluster| cluster.is_answered(1));
}

/// 9.22: the active restarts after the second node was made known and before it was ever there. When it comes, it is coupled: who joins
/// asks, and no event starts it.
pub fn a_restart_before_the_first_coupling_does_not_lose_it() {
    let mut cluster = Cluster::switched_off();
    cluster.start(First);
    cluster.start(Second);
    cluster.start(Watch);
    cluster.until("it is founded", secs(3), |cluster| cluster.is_alone(First));
    cluster.power_off(Second);
    cluster.kill(First);
    cluster.start(First);
    cluster.until("it is active", secs(2), |cluster| cluster.is_alone(First));
    cluster.run_for(secs(10));
    cluster.start(Second);
    cluster.until_coupled(secs(3));
}

/// 9.23: times are of the process, not of the cluster: with another silence after a restart, it is that one which counts, at
/// once.
pub fn times_are_not_frozen() {
    let mut cluster = Cluster::coupled();
    cluster.kill(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    cluster.machine(Second).set_timing(timing_with_silence(secs(8)));
    cluster.start(Second);
    cluster.until_coupled(secs(3));
    cluster.run_for(secs(2));
    cluster.power_off(First);
    cluster.throughout("it is patient", millis(6_900), |cluster| !cluster.is_active(Second));
    cluster.until("the second is active", secs(4), |cluster| cluster.is_alone(Second));
}
