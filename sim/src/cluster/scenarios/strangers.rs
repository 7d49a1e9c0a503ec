//! Who does not belong here: voters of other clusters, copies of data folders, and words that come too late.

use super::super::host::Host;
use super::super::script::{Cluster, millis, secs};
use baton_protocol::pair::Order;
use baton_protocol::pair::timing::Timing;
use baton_protocol::record::Record;
use baton_protocol::register::Mode;
use baton_protocol::register::Seat::{self, First, Second, Watch};

/// S8 (b): in the second seat stands a node of another cluster, with a journal and a memory of its own. It is not taken in and
/// deposes nobody, and a person is told. The right machine couples when it is back.
pub fn a_node_of_another_cluster_is_not_obeyed() {
    let stranger = of_another_cluster(Second);
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.kill(Second);
    let right = cluster.exchange(Second, stranger);
    cluster.expect_trouble();
    cluster.start(Second);
    cluster.throughout("the first stays active", secs(20), |cluster| cluster.is_only_active(First));
    cluster.must("it goes on alone", |cluster| cluster.is_alone(First));
    cluster.add(2);
    for news in [
        "first is in trouble: OtherCluster(Second)",
        "watch is in trouble: OtherCluster(Second)",
        "second is in trouble: OtherCluster(First)",
    ] {
        cluster.must(news, |cluster| cluster.has_news(news));
    }
    cluster.kill(Second);
    cluster.exchange(Second, right);
    cluster.start(Second);
    cluster.until_coupled(secs(3));
    cluster.must("nothing is lost", |cluster| cluster.numbers() == [1, 2]);
}

/// S8 (c): the watch is that of another cluster. It gets no vote: the pair goes on, and a person is told.
pub fn a_watch_of_another_cluster_has_no_vote() {
    let stranger = of_another_cluster(Watch);
    let mut cluster = Cluster::coupled();
    cluster.kill(Watch);
    cluster.exchange(Watch, stranger);
    cluster.expect_trouble();
    cluster.start(Watch);
    cluster.throughout("they stay coupled", secs(20), |cluster| cluster.mode(First) == Some(Mode::Coupled));
    cluster.add(1);
    cluster.must("it is told", |cluster| cluster.has_news("first is in trouble: OtherCluster(Watch)"));
    cluster.kill(Second);
    cluster.throughout("nobody decides with the stranger", secs(20), |cluster| cluster.epoch(First) == 2);
}

/// The data folder of the standby was copied, and both are in use. The one that was there first is heard, the copy is not; the
/// others tell a person. The standby takes over when the active dies, and the copy never does.
pub fn a_copy_of_the_standby_is_not_heard() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.expect_trouble();
    cluster.start_copy(Second);
    cluster.throughout("they stay coupled", secs(20), |cluster| cluster.mode(First) == Some(Mode::Coupled));
    cluster.must("the active tells", |cluster| cluster.has_news("first is in trouble: Doubled(Second)"));
    cluster.must("the watch tells", |cluster| cluster.has_news("watch is in trouble: Doubled(Second)"));
    cluster.add(2);
    cluster.kill(First);
    cluster.until("the second is active", secs(2), |cluster| cluster.is_alone(Second));
    cluster.throughout("the copy is not", secs(20), |cluster| !cluster.is_copy_active(Second));
    cluster.add(3);
    cluster.start(First);
    cluster.until_coupled(secs(5));
    cluster.must("nothing is lost", |cluster| cluster.numbers() == [1, 2, 3]);
}

/// The data folder of the active was copied: the copy believes that it was active and wants an epoch of its own. Nobody hears it.
pub fn a_copy_of_the_active_is_not_heard() {
    for is_alone in [false, true] {
        let mut cluster = Cluster::coupled();
        cluster.add(1);
        if is_alone {
            cluster.kill(Second);
            cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
        }
        cluster.expect_trouble();
        cluster.start_copy(First);
        cluster.throughout("the first stays active", secs(20), |cluster| {
            cluster.is_only_active(First) && !cluster.is_copy_active(First)
        });
        cluster.must("the watch tells", |cluster| cluster.has_news("watch is in trouble: Doubled(First)"));
        cluster.add(2);
    }
}

/// The active stood still for so long that its copy was heard and became active. When it goes on it is not heard, and learns
/// that it is not active any more: it commits nothing.
pub fn a_node_whose_copy_was_faster_is_deposed() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.run_for(secs(1));
    cluster.expect_trouble();
    cluster.stall_disk(Watch);
    cluster.pause(First);
    cluster.start_copy(First);
    cluster.run_for(secs(3));
    cluster.unstall_disk(Watch);
    cluster.run_for(secs(20));
    cluster.resume(First);
    cluster.run_for(secs(10));
    let active = [cluster.is_active(First), cluster.is_active(Second), cluster.is_copy_active(First)];
    assert_eq!(active.into_iter().filter(|active| *active).count(), 1, "one is active: {active:?}");
    cluster.must("the first is not", |cluster| !cluster.is_active(First));
}

/// S17: a switch-over that is ordered in the millisecond after they have coupled, in which the standby joins anew, is carried out.
pub fn a_switch_over_is_not_refused_because_the_standby_is_just_joining() {
    let mut cluster = Cluster::switched_off();
    cluster.start_all();
    cluster.until_coupled(secs(2));
    cluster.ask(1);
    cluster.order(First, Order::SwitchOver);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_only_active(Second));
}

/// The same at each moment while a standby comes back: it is handed over to, or the order is refused while there is no standby yet.
/// One who never comes is not waited for.
pub fn a_switch_over_waits_for_a_standby_that_comes_back() {
    let mut cluster = Cluster::coupled();
    cluster.kill(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    cluster.order(First, Order::SwitchOver);
    cluster.must("who is lost is not waited for", |cluster| cluster.has_news("first refuses SwitchOver: NotCoupled"));
    cluster.forget_news();
    cluster.start(Second);
    let is_there = |cluster: &Cluster| cluster.host(Second).voter().is_some_and(|voter| voter.decided().is_some());
    cluster.until("it has heard of the first", secs(2), is_there);
    cluster.at_each_moment(millis(30), |cluster| {
        cluster.order(First, Order::SwitchOver);
        cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_only_active(Second));
        cluster.add(1);
    });
    // It is there, but its disk does not work: within a silence the order is refused, and meanwhile clients are served.
    cluster.kill(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    cluster.start(Second);
    cluster.until("it has heard of the first", secs(2), is_there);
    cluster.cut_one_way(Second, First);
    cluster.until("the first goes on alone", secs(20), |cluster| cluster.is_alone(First));
    cluster.forget_news();
    cluster.order(First, Order::SwitchOver);
    let refused = |cluster: &Cluster| cluster.has_news("first refuses SwitchOver: NotCoupled");
    cluster.until("it is refused", secs(5), refused);
    cluster.add(2);
}

/// Storage answers a reading late, when another one has been ordered since, with records that were cut off: nobody gets them.
pub fn a_late_answer_of_storage_misleads_nobody() {
    let mut cluster = Cluster::coupled();
    (1..=3).for_each(|number| cluster.add(number));
    cluster.run_for(secs(1));
    cluster.kill(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    (4..=30).for_each(|number| cluster.add(number));
    cluster.hold_reads(First);
    cluster.start(Second);
    cluster.run_for(millis(500));
    cluster.must("the first reads", |cluster| cluster.is_reading(First));
    let has = cluster.host(Second).disk().records().len();
    // The first reads the record before the place where the second is to go on.
    let mut at = cluster.host(Second).disk().records()[has - 2].id.after();
    let forged: Vec<Record> = (0..3)
        .filter_map(|number| {
            let record = Record::write(at, at.epoch, [99, number].into()).ok()?;
            at = record.id.after();
            Some(record)
        })
        .collect();
    let from = forged[0].id.offset;
    cluster.answer_read(First, 0, from, forged);
    cluster.run_for(millis(100));
    cluster.must("nothing came", |cluster| cluster.host(Second).disk().records().len() == has);
    cluster.answer_reads(First);
    cluster.until_coupled(secs(3));
    cluster.run_for(secs(2));
    cluster.must("the journals are equal", Cluster::are_journals_equal);
}

fn of_another_cluster(seat: Seat) -> Host {
    let mut other = Cluster::of_seed(2);
    other.start_all();
    other.until_coupled(secs(3));
    (1..=9).for_each(|number| other.add(number));
    for _ in 0..3 {
        other.kill(Second);
        other.run_for(secs(2));
        other.start(Second);
        other.until_coupled(secs(3));
    }
    other.run_for(secs(2));
    other.kill(seat);
    other.host(seat).clone()
}
