//! The watch comes, goes, and is another one.

use super::super::script::{Cluster, new_host, secs};
use baton_protocol::pair::Order;
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Seat::{First, Second, Watch};

/// S21: without a watch there is no founding (there: no coupling). It comes, goes and comes back: nothing happens. Another
/// one takes its place: both nodes agree to it at once, without a time to wait. The old one returns: the same again. Only one
/// at a time has a say, since only members vote.
pub fn the_watch_changes() {
    let mut cluster = Cluster::switched_off();
    cluster.start(First);
    cluster.start(Second);
    cluster.throughout("nobody is active", secs(30), Cluster::is_none_active);
    cluster.start(Watch);
    cluster.until_coupled(secs(3));
    cluster.kill(Watch);
    cluster.run_for(secs(5));
    cluster.start(Watch);
    cluster.run_for(secs(5));
    cluster.news_are(&["first founds epoch 1, alone", "first goes on in epoch 2, coupled"]);
    cluster.kill(Watch);
    let old = cluster.exchange(Watch, new_host(Watch));
    cluster.start(Watch);
    let took = cluster.until("the new one is a member", secs(5), |cluster| cluster.epoch(First) == 3);
    cluster.until_coupled(secs(3));
    cluster.must("soon", |_| took < secs(4));
    cluster.kill(Watch);
    cluster.exchange(Watch, old);
    cluster.start(Watch);
    cluster.until("the old one is a member", secs(5), |cluster| cluster.epoch(First) == 4);
    cluster.until_coupled(secs(3));
    cluster.news_are(&["first goes on in epoch 3, coupled", "first goes on in epoch 4, coupled"]);
    cluster.add(1);
    cluster.kill(First);
    cluster.until("it votes", secs(1), |cluster| cluster.is_alone(Second));
}

/// S22: both nodes lose power, and meanwhile the watch is replaced by another one. Both start: they agree without it, and take
/// it in.
pub fn the_watch_is_another_one_after_a_restart_of_both() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.power_off(First);
    cluster.power_off(Second);
    cluster.kill(Watch);
    cluster.exchange(Watch, new_host(Watch));
    cluster.start(Watch);
    cluster.run_for(secs(10));
    cluster.start(First);
    cluster.start(Second);
    cluster.until("the new watch is a member", secs(5), |cluster| cluster.epoch(First) == 4);
    cluster.until_coupled(secs(5));
    cluster.add(2);
    cluster.news_are(&["first restarts in epoch 3, coupled", "first goes on in epoch 4, coupled"]);
}

/// S23: a watch that stands alone, a machine by itself, as in all these stories. Its process, `baton watch`, with credentials and
/// links, is tested with processes.
pub fn a_watch_that_stands_alone_is_enough() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.must("it knows the record", |cluster| {
        let known = cluster.host(Watch).voter().and_then(|voter| voter.decided()).map(|decided| decided.record);
        known.is_some() && known == cluster.known(First)
    });
    cluster.news_are(&[]);
}

/// S25: the watch is away, then the active is killed: one voter is left, nobody may act. The watch returns, remembers, and the
/// standby takes over; no person has to confirm anything.
pub fn the_active_dies_while_the_watch_is_away() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.kill(Watch);
    cluster.run_for(secs(1));
    cluster.kill(First);
    cluster.throughout("nobody is active", secs(60), Cluster::is_none_active);
    cluster.start(Watch);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_alone(Second));
    cluster.add(2);
    cluster.news_are(&["second takes over in epoch 3, alone"]);
}

/// S25, S27, with another watch: the active is lost for good, and the watch is a new one, which knows nothing and cannot vote.
/// Here a person has to act, as one voter is left: the standby is forced, and the new watch beside it is no obstacle. When the lost
/// one returns after all, it follows, and couples: the new watch has been taken in with the order.
pub fn a_person_forces_the_standby_beside_a_new_watch() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.kill(Watch);
    cluster.power_off(First);
    cluster.wipe(Watch);
    cluster.start(Watch);
    cluster.throughout("nobody is active", secs(30), Cluster::is_none_active);
    cluster.order(Second, Order::Force);
    cluster.until("the second is active", secs(1), |cluster| cluster.is_alone(Second));
    cluster.add(2);
    cluster.start(First);
    cluster.until_coupled(secs(10));
    cluster.news_are(&["second is forced in epoch 1048579, alone", "second goes on in epoch 1048580, coupled"]);
    cluster.must("nothing is lost", |cluster| cluster.numbers() == [1, 2] && cluster.is_only_active(Second));
}

/// S27: as before, and the failed one returns and couples; and with an active that lives but reaches nobody (there unsolved):
/// it has lost its office when it is back, and follows.
pub fn the_active_is_lost_while_the_watch_is_away_and_returns() {
    for is_alive in [false, true] {
        let mut cluster = Cluster::coupled();
        cluster.add(1);
        cluster.kill(Watch);
        if is_alive {
            cluster.isolate(First);
        } else {
            cluster.power_off(First);
        }
        cluster.run_for(secs(10));
        cluster.start(Watch);
        cluster.until("the second is active", Timing::TARGET, |cluster| {
            cluster.is_active(Second) && cluster.epoch(Second) == 3
        });
        if is_alive {
            cluster.mend_all();
        } else {
            cluster.start(First);
        }
        cluster.until_coupled(secs(5));
        cluster.add(2);
        let deposed = if is_alive { vec!["first is deposed"] } else { vec![] };
        let mut news = vec!["second takes over in epoch 3, alone"];
        news.extend(deposed);
        news.push("second goes on in epoch 4, coupled");
        cluster.news_are(&news);
    }
}

/// S28: all three lose power, and the watch its memory, too (there intended, never written). Both nodes are back, agree, and take the
/// watch in. Nothing that was answered is lost.
pub fn both_nodes_were_lost_and_the_watch_knows_nothing() {
    let mut cluster = Cluster::coupled();
    (1..=5).for_each(|number| cluster.add(number));
    [First, Second, Watch].into_iter().for_each(|seat| cluster.power_off(seat));
    cluster.wipe(Watch);
    cluster.run_for(secs(10));
    cluster.start(Watch);
    cluster.start(Second);
    cluster.throughout("one node alone does nothing", secs(30), Cluster::is_none_active);
    cluster.start(First);
    cluster.until("the watch is a member", secs(5), |cluster| cluster.epoch(First) == 4);
    cluster.until_coupled(secs(5));
    cluster.must("nothing is lost", |cluster| cluster.numbers() == [1, 2, 3, 4, 5]);
    cluster.news_are(&["first restarts in epoch 3, coupled", "first goes on in epoch 4, coupled"]);
}

/// S36: the watch (of directors: the controller) is lost with its memory, the link between the nodes is cut. The link is whole
/// again and the first node restarted: they couple and nobody has to confirm. What the controller shows of it is tested there.
pub fn a_new_watch_and_a_restarted_active_need_no_person() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.kill(Watch);
    cluster.cut(First, Second);
    cluster.wipe(Watch);
    cluster.start(Watch);
    cluster.run_for(secs(20));
    cluster.mend(First, Second);
    cluster.power_off(First);
    cluster.start(First);
    cluster.until("the watch is a member", secs(10), |cluster| {
        cluster.is_coupled() && cluster.host(Watch).voter().is_some_and(|voter| !voter.is_ignorant())
    });
    cluster.add(2);
    cluster.must("nothing is lost", |cluster| cluster.numbers() == [1, 2] && cluster.is_one_active());
    cluster.forget_news();
    cluster.kill(First);
    cluster.until("the second is active", secs(1), |cluster| cluster.is_alone(Second));
}

/// S37: the watch is a new one and hears nothing of the active, which then is killed. Both nodes had agreed to the new watch by
/// then, so that the standby takes over at once and no person has to confirm the loss.
pub fn a_new_watch_that_hears_nothing_of_the_active() {
    let mut cluster = Cluster::coupled();
    cluster.kill(Watch);
    cluster.wipe(Watch);
    cluster.cut_one_way(First, Watch);
    cluster.start(Watch);
    cluster.run_for(secs(5));
    cluster.add(1);
    cluster.kill(First);
    cluster.until("the second is active", secs(1), |cluster| cluster.is_alone(Second));
    cluster.news_are(&["first goes on in epoch 3, coupled", "second takes over in epoch 4, alone"]);
}
