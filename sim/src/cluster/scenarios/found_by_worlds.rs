//! What worlds have found (`cargo swarm`), told as stories: each was wrong once.

use super::super::script::{Cluster, LATENCY, millis, new_host, secs};
use super::images::{AFTER, add_all, both_have_all, released};
use baton_protocol::pair::Order;
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Seat::{First, Second, Watch};

/// W1: the standby has asked to take over, lost the watch at any moment of that, and the active is back. Perhaps it is decided, so
/// the standby may not just go on following; and as a take-over it would be refused for ever. It asks what is decided.
pub fn a_take_over_that_may_be_decided_is_resolved() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.pause(First);
    cluster.until("the second asks", Timing::TARGET, |cluster| cluster.is_asking(Second));
    cluster.at_each_moment(millis(20), |cluster| {
        cluster.cut(Second, Watch);
        cluster.resume(First);
        // Until it asks anew.
        cluster.run_for(secs(4));
        cluster.mend(Second, Watch);
        cluster.until_coupled(secs(15));
        cluster.must("nothing is lost", |cluster| cluster.numbers() == [1]);
    });
}

/// W2: at any moment of the founding a voter dies, loses power, or is cut off. Nobody begins another cluster, and nobody waits for
/// ever: who has voted for the founding finds out what has become of it, and the first node goes on with what it has begun.
pub fn a_founding_that_is_interrupted_is_finished() {
    let mut cluster = Cluster::switched_off();
    cluster.start_all();
    cluster.at_each_moment(millis(30), |cluster| {
        for seat in [First, Second, Watch] {
            let mut killed = cluster.clone();
            killed.kill(seat);
            let mut lost = cluster.clone();
            lost.power_off(seat);
            for mut cluster in [killed, lost] {
                cluster.run_for(secs(5));
                cluster.start(seat);
                cluster.until_coupled(secs(15));
            }
            let mut cluster = cluster.clone();
            cluster.isolate(seat);
            cluster.run_for(secs(5));
            cluster.mend_all();
            cluster.until_coupled(secs(15));
        }
    });
}

/// W2: the first node was interrupted once, and has begun again. At any moment of that it is cut off, so that the others resolve what
/// they have voted for, and it learns of that.
pub fn a_founding_that_is_interrupted_twice_is_finished() {
    let mut cluster = Cluster::switched_off();
    cluster.start_all();
    cluster.at_each_moment(millis(10), |cluster| {
        cluster.kill(First);
        cluster.start(First);
        cluster.run_for(Timing::DEFAULT.heartbeat - millis(20));
        cluster.at_each_moment(millis(100), |cluster| {
            cluster.isolate(First);
            cluster.run_for(secs(5));
            cluster.mend_all();
            cluster.until_coupled(secs(15));
        });
    });
}

/// W2: the same when a person has said that two are enough, and then the second node comes.
pub fn a_founding_by_two_that_is_interrupted_is_finished() {
    let mut cluster = Cluster::switched_off();
    cluster.start(First);
    cluster.start(Watch);
    cluster.run_for(secs(1));
    cluster.order(First, Order::Found);
    cluster.at_each_moment(millis(20), |cluster| {
        for is_killed in [true, false] {
            let mut cluster = cluster.clone();
            if is_killed {
                cluster.kill(First);
            } else {
                cluster.power_off(First);
            }
            cluster.run_for(secs(1));
            cluster.start(First);
            cluster.start(Second);
            cluster.until_coupled(secs(15));
        }
    });
}

/// W3: the active is to stop, and waits for voters who do not come. A person can force it all the same; that ends the stop.
pub fn a_node_that_waits_to_stop_is_forced() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.power_off(Second);
    cluster.power_off(Watch);
    cluster.run_for(secs(20));
    cluster.order(First, Order::Stop);
    cluster.run_for(secs(20));
    cluster.must("it waits", |cluster| cluster.is_active(First) && !cluster.is_stopped(First));
    cluster.news_are(&[]);
    cluster.order(First, Order::Force);
    cluster.until("it is alone", secs(1), |cluster| cluster.is_alone(First));
    cluster.must("the stop is refused", |cluster| cluster.has_news("first refuses Stop: Busy"));
    cluster.add(2);
    cluster.start(Second);
    cluster.start(Watch);
    cluster.until_coupled(secs(10));
    cluster.must("nothing is lost", |cluster| cluster.is_only_active(First) && cluster.numbers() == [1, 2]);
}

/// W4: another machine sits in the second seat and is taken in; the watch has voted for that and has not heard that it is decided.
/// The new machine starts again and hears of the watch first, that says what was decided before. That excludes nobody.
pub fn what_was_decided_before_excludes_nobody() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.kill(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    cluster.exchange(Second, new_host(Second));
    cluster.cut(Second, Watch);
    cluster.start(Second);
    cluster.until("the first asks to take it in", secs(5), |cluster| cluster.is_asking(First));
    cluster.at_each_moment(millis(20), |cluster| {
        cluster.cut(First, Watch);
        cluster.run_for(secs(3));
        cluster.kill(Second);
        cluster.cut(First, Second);
        cluster.mend(Second, Watch);
        cluster.start(Second);
        cluster.run_for(secs(5));
        cluster.mend_all();
        cluster.until_coupled(secs(15));
        cluster.must("nothing is lost", |cluster| cluster.numbers() == [1]);
    });
}

/// W5: a standby was offered an image, and nothing of it has arrived. The active gives it up, and takes a newer one. Then the
/// message by which the standby has joined arrives a second time, so that the newer image is sent under the same name.
pub fn pieces_of_two_images_are_not_mixed() {
    let mut cluster = released();
    cluster.start(Second);
    cluster.until("the image is offered", secs(2), |cluster| cluster.is_fetching(Second));
    cluster.cut_one_way(First, Second);
    cluster.run_for(LATENCY);
    let (before, most) = (cluster.begin(First), 10 * u16::try_from(AFTER).unwrap_or(u16::MAX));
    add_all(&mut cluster, 61..=60 + 2 * most);
    cluster.must("the image is released", |cluster| cluster.begin(First).0 > before.0 + AFTER);
    cluster.join_again(Second);
    cluster.mend(First, Second);
    both_have_all(&mut cluster, 60 + 2 * most);
    let anew = cluster.count_news("second begins anew at");
    cluster.must("one image was installed", |_| anew == 1);
}

/// W6: both nodes were forced one after the other, each while it was alone: first the one that had asked more often, then the one
/// that had been in more epochs. When all are back, the last forcing counts, and nobody proposes the older one for ever.
pub fn the_second_of_two_forcings_counts() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.power_off(First);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_alone(Second));
    for _ in 0..3 {
        cluster.kill(Second);
        cluster.start(Second);
        cluster.until("it is active again", secs(2), |cluster| cluster.is_alone(Second));
    }
    cluster.power_off(Second);
    cluster.power_off(Watch);
    cluster.start(First);
    cluster.throughout("the first asks in vain", secs(300), Cluster::is_none_active);
    cluster.force(First);
    cluster.until("it is forced", secs(1), |cluster| cluster.is_alone(First));
    cluster.run_for(secs(1));
    cluster.power_off(First);
    cluster.start(Second);
    cluster.throughout("the second asks in vain", secs(3), Cluster::is_none_active);
    cluster.force(Second);
    cluster.until("it is forced", secs(1), |cluster| cluster.is_alone(Second));
    cluster.add(2);
    cluster.start(First);
    cluster.start(Watch);
    cluster.until_coupled(secs(15));
    cluster.must("the second is active", |cluster| cluster.is_only_active(Second) && cluster.numbers() == [1, 2]);
}
