//! Weak spots of asking who may act: consent, the watch, starts. Each story is named after what cannot happen here.

use super::super::script::{Cluster, millis, secs};
use baton_protocol::pair::Order;
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Mode;
use baton_protocol::register::Seat::{First, Second, Watch};

/// 9.1: the peer is a black hole and the old link to it does not even break in time. Nobody has to reach it: the take-over, and
/// the loss of the standby, are decided with the watch, within the bound.
pub fn a_black_holed_peer_blocks_nothing() {
    let mut cluster = Cluster::coupled();
    cluster.power_off(First);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_alone(Second));
    cluster.news_are(&["second takes over in epoch 3, alone"]);
    let mut cluster = Cluster::coupled();
    cluster.power_off(Second);
    cluster.ask(1);
    cluster.until("commits go on", Timing::TARGET, |cluster| cluster.is_answered(1));
    cluster.news_are(&["first goes on in epoch 3, alone"]);
}

/// 9.2: both ask at the same time, while the watch stands still, and again. Questions do not cancel each other, nobody halts, one is
/// granted: the living active.
pub fn both_ask_and_do_not_cancel_each_other() {
    let mut cluster = Cluster::coupled();
    cluster.cut(First, Second);
    cluster.pause(Watch);
    cluster.throughout("nobody is granted anything", secs(10), |cluster| cluster.epoch(First) == 2);
    cluster.resume(Watch);
    cluster.until("one is granted", Timing::TARGET, |cluster| cluster.epoch(First).max(cluster.epoch(Second)) == 3);
    cluster.run_for(secs(2));
    cluster.must("one is active", |cluster| {
        cluster.is_one_active() && cluster.starts(First) + cluster.starts(Second) == 2
    });
    cluster.throughout("it stays so", secs(30), |cluster| cluster.epoch(First).max(cluster.epoch(Second)) == 3);
    cluster.mend(First, Second);
    cluster.until_coupled(secs(5));
}

/// 9.3: a single survivor is not lost for ever: either node comes back with the watch alone and is active; a stopped one does not
/// wait for a standby that was lost since; and when both others are lost, a person forces it, by a command.
pub fn a_single_survivor_is_not_stuck() {
    for survivor in [First, Second] {
        let mut cluster = Cluster::coupled();
        cluster.add(1);
        cluster.power_off(First);
        cluster.power_off(Second);
        cluster.run_for(secs(10));
        cluster.start(survivor);
        cluster.until("it is active", Timing::TARGET, |cluster| cluster.is_only_active(survivor));
        cluster.until("it is alone", Timing::TARGET, |cluster| cluster.is_alone(survivor));
        cluster.must("nothing is lost", |cluster| cluster.numbers() == [1]);
    }
    let mut cluster = Cluster::coupled();
    cluster.stop_gracefully(First);
    cluster.power_off(Second);
    cluster.start(First);
    cluster.until("it does not wait for the standby", secs(2), |cluster| cluster.is_alone(First));
    for survivor in [First, Second] {
        let mut cluster = Cluster::coupled();
        cluster.add(1);
        [First, Second, Watch].into_iter().for_each(|seat| cluster.power_off(seat));
        cluster.start(survivor);
        cluster.throughout("unasked it does nothing", secs(30), Cluster::is_none_active);
        cluster.forget_news();
        cluster.order(survivor, Order::Force);
        cluster.until("it is active", secs(1), |cluster| cluster.is_alone(survivor));
        cluster.add(2);
        cluster.start(survivor.peer());
        cluster.start(Watch);
        cluster.until_coupled(secs(5));
        cluster.must("the forced one is active", |cluster| cluster.is_only_active(survivor));
        cluster.must("nothing is lost", |cluster| cluster.numbers() == [1, 2]);
    }
}

/// 9.4: a node that gets no answer at its start does not act. It is active when it has an answer, not before.
pub fn an_unanswered_start_does_not_make_active() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    [First, Second, Watch].into_iter().for_each(|seat| cluster.power_off(seat));
    cluster.start(First);
    cluster.ask_only(First, 2);
    cluster.throughout("it does not act", secs(120), |cluster| cluster.is_none_active() && !cluster.is_answered(2));
    cluster.must("it refuses", |cluster| cluster.is_refused_by(First, 2));
    cluster.start(Watch);
    // It asks less often by now.
    cluster.until("it is active", secs(10), |cluster| cluster.is_only_active(First));
}

/// 9.5: a node asks at its start in every state, not in one only: alone, coupled or stopped, without a link it is not active.
pub fn no_state_is_active_without_asking() {
    for state in [Mode::Alone, Mode::Coupled, Mode::Stopped] {
        let mut cluster = Cluster::coupled();
        match state {
            Mode::Alone => {
                cluster.kill(Second);
                cluster.until("it is alone", secs(1), |cluster| cluster.is_alone(First));
                cluster.kill(First);
            }
            Mode::Coupled => {
                cluster.power_off(First);
                cluster.power_off(Second);
            }
            Mode::Stopped => {
                cluster.stop_gracefully(First);
                cluster.kill(Second);
            }
        }
        cluster.isolate(First);
        cluster.start(First);
        cluster.throughout("it is not active", secs(30), Cluster::is_none_active);
        cluster.mend(First, Watch);
        cluster.until("it is active", secs(2), |cluster| cluster.is_only_active(First));
    }
}

/// 9.6: an active that is asked whether it may be replaced says no, always, and is none the weaker: in the next moment it can
/// itself declare the standby lost.
pub fn an_active_that_is_asked_is_not_inhibited() {
    let mut cluster = Cluster::coupled();
    cluster.cut_one_way(First, Second);
    cluster.throughout("the active stays", secs(20), |cluster| cluster.is_only_active(First));
    cluster.kill(Second);
    cluster.until("it goes on at once", secs(2), |cluster| cluster.is_alone(First));
    cluster.add(1);
}

/// 9.12: the active dies at any moment of coupling. Whatever the standby and the watch have heard by then, they never find that
/// states do not match: a standby that knows it is coupled takes over at once, and one that does not yet couples with the active
/// when that is back.
pub fn the_watch_is_not_told_too_late() {
    let mut cluster = Cluster::coupled();
    cluster.kill(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    cluster.start(Second);
    cluster.ask_every(millis(2), 1..=40);
    cluster.at_each_moment(millis(100), |cluster| {
        let is_known = cluster.mode(Second) == Some(Mode::Coupled);
        cluster.kill(First);
        if is_known {
            cluster.until("the second is active", secs(2), |cluster| cluster.is_alone(Second));
            cluster.must("as granted", |cluster| cluster.has_news("second takes over in epoch 5"));
        }
        cluster.run_for(secs(1));
        cluster.start(First);
        cluster.until_coupled(secs(5));
    });
    cluster.must("they are coupled", Cluster::is_coupled);
}

/// 9.13: the standby dies at any moment of its take-over, granted or not, written or not. It starts again, asks again, and one is
/// active; the same when the old active is back as well. A grant can be read again.
pub fn a_grant_is_not_lost_with_who_asked() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.kill(First);
    cluster.at_each_moment(millis(60), |cluster| {
        cluster.kill(Second);
        let mut both = cluster.clone();
        cluster.start(Second);
        cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_alone(Second));
        both.start(First);
        both.run_for(millis(10));
        both.start(Second);
        both.until_coupled(secs(10));
        both.must("nothing is lost", |cluster| cluster.numbers() == [1]);
    });
    cluster.must("it is active", |cluster| cluster.is_alone(Second));
}

/// 9.14: the watch restarts and the active is lost in the next moment: no person is needed, it remembers. When it has lost its
/// memory, both nodes have taken the new one in, and again no person is needed.
pub fn a_restarted_watch_does_not_ask_a_person() {
    for is_wiped in [false, true] {
        let mut cluster = Cluster::coupled();
        cluster.kill(Watch);
        if is_wiped {
            cluster.wipe(Watch);
        }
        cluster.start(Watch);
        cluster.run_for(if is_wiped { secs(5) } else { millis(5) });
        cluster.power_off(First);
        cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_alone(Second));
    }
}

/// 9.25: an active that stands still for less than the silence keeps its office; one that stands still longer loses it, and nothing
/// else: it follows, without a restart. And one that waits for a minute for the decision that its standby is lost is not taken
/// for dead meanwhile.
pub fn a_late_active_loses_nothing_but_its_office() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.pause(First);
    cluster.run_for(millis(2_400));
    cluster.resume(First);
    cluster.run_for(secs(10));
    cluster.news_are(&[]);
    cluster.pause(First);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_active(Second));
    cluster.run_for(secs(60));
    cluster.resume(First);
    cluster.until_coupled(secs(5));
    cluster.news_are(&[
        "second takes over in epoch 3, alone",
        "first is deposed",
        "second goes on in epoch 4, coupled",
    ]);
    cluster.must("without a restart", |cluster| cluster.starts(First) == 1 && cluster.numbers() == [1]);
    let mut cluster = Cluster::coupled();
    cluster.kill(Watch);
    cluster.cut(First, Second);
    cluster.throughout("it stays active", secs(60), |cluster| cluster.is_only_active(First));
    cluster.start(Watch);
    cluster.until("it goes on", Timing::TARGET, |cluster| cluster.is_alone(First));
}
