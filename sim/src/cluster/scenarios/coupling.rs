//! Two nodes keep one journal.

use super::super::script::{Cluster, millis, secs};
use baton_protocol::register::Mode;
use baton_protocol::register::Seat::{First, Second, Watch};

/// S1: the standby refuses clients, the active answers many; in the end both journals are equal, byte by byte. That an active
/// sends no acknowledgements is built in: only who follows a stream can.
pub fn the_standby_refuses_and_has_everything() {
    let mut cluster = Cluster::coupled();
    cluster.ask_only(Second, 900);
    cluster.must("the standby refuses", |cluster| cluster.is_refused_by(Second, 900));
    (1..=100).for_each(|number| cluster.ask(number));
    cluster.until("all are answered", secs(1), |cluster| cluster.answered().len() == 100);
    cluster.must("in order", |cluster| cluster.numbers() == (1..=100).collect::<Vec<_>>());
    cluster.run_for(secs(2));
    cluster.must("the journals are equal", Cluster::are_journals_equal);
    cluster.news_are(&[]);
}

/// S3: records of 9 MB, longer than a message usually is, replicate. That the transport cuts such messages into pieces is
/// tested with links.
pub fn long_records_replicate() {
    let mut cluster = Cluster::coupled();
    cluster.ask_long(1, 9 << 20);
    cluster.ask(2);
    cluster.ask_long(3, 9 << 20);
    cluster.until("all are answered", secs(1), |cluster| cluster.answered() == [1, 2, 3]);
    cluster.run_for(secs(2));
    cluster.must("the journals are equal", Cluster::are_journals_equal);
    cluster.must("it is long", |cluster| {
        cluster.host(Second).disk().records().iter().map(|record| record.payload.len()).sum::<usize>() > 18 << 20
    });
}

/// S4: what was replicated (there: items) is the same state at both nodes, and still is after a stop and a start of both. Items
/// are tested with the controller; here the state is the list.
pub fn the_state_is_the_same_before_and_after_a_restart_of_both() {
    let mut cluster = Cluster::coupled();
    (1..=3).for_each(|number| cluster.add(number));
    let same = |cluster: &Cluster| {
        let list = |seat| cluster.host(seat).node().map(|node| node.machine().list().to_vec());
        list(First).is_some() && list(First) == list(Second)
    };
    cluster.run_for(secs(2));
    cluster.must("the states are equal", same);
    cluster.stop_gracefully(First);
    cluster.stop_gracefully(Second);
    cluster.start(First);
    cluster.start(Second);
    cluster.until_coupled(secs(3));
    cluster.add(4);
    cluster.run_for(secs(2));
    cluster.must("the states are equal", same);
    cluster.news_are(&["first is stopped", "first restarts in epoch 4, alone", "first goes on in epoch 5, coupled"]);
}

/// S5: 3,000 numbers by many clients at once are answered in batches: in far less time than one after the other would need.
/// Throughput in real time is a benchmark.
pub fn acknowledgements_come_in_batches() {
    let mut cluster = Cluster::coupled();
    (1..=3_000).for_each(|number| cluster.ask(number));
    let took = cluster.until("all are answered", secs(1), |cluster| cluster.answered().len() == 3_000);
    cluster.must("in batches", |_| took < millis(100));
    cluster.must("none twice", |cluster| cluster.numbers().len() == 3_000);
}

/// S6: both nodes can be read, and show the same. Log files are read through the proxy: tested with that.
pub fn both_nodes_can_be_read() {
    let mut cluster = Cluster::coupled();
    (1..=10).for_each(|number| cluster.add(number));
    cluster.run_for(secs(2));
    cluster.must("both show the same", |cluster| {
        cluster.committed_at(First) == cluster.committed_at(Second) && cluster.numbers().len() == 10
    });
}

/// S13: the active loses power and is back before anybody has missed it: it stays active, in a new epoch, and they are still
/// coupled; then the standby stops gracefully. Where its host says that it is dead, the standby would have taken over at once.
pub fn an_active_that_is_back_at_once_stays_active() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.power_off(First);
    cluster.run_for(secs(2));
    cluster.start(First);
    cluster.until_coupled(secs(2));
    cluster.add(2);
    cluster.must("the first is active", |cluster| cluster.is_only_active(First));
    cluster.stop_gracefully(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    cluster.news_are(&["first restarts in epoch 3, coupled", "first goes on in epoch 4, alone"]);
}

/// S34: both are stopped gracefully, the active first; both start, and are coupled again.
pub fn both_are_stopped_and_couple_again() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.stop_gracefully(First);
    cluster.until("the stop is known", secs(1), |cluster| cluster.mode(Second) == Some(Mode::Stopped));
    cluster.stop_gracefully(Second);
    cluster.run_for(secs(60));
    cluster.start(Second);
    cluster.throughout("the standby waits", secs(10), Cluster::is_none_active);
    cluster.start(First);
    cluster.until_coupled(secs(3));
    cluster.news_are(&["first is stopped", "first restarts in epoch 4, alone", "first goes on in epoch 5, coupled"]);
    cluster.add(2);
}

/// S38: the standby moves to another machine with a copy of its disk: that is the same node after a restart. Then the old
/// machine is started in its place, which has missed something: it catches up. Two at a time cannot be linked, as a node dials
/// one address; jobs of moved subagents are tested with directors.
pub fn the_standby_moves_with_its_journal() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.stop_gracefully(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    let old = cluster.host(Second).clone();
    cluster.start(Second);
    cluster.until_coupled(secs(3));
    cluster.add(2);
    cluster.stop_gracefully(Second);
    cluster.add(3);
    cluster.exchange(Second, old);
    cluster.start(Second);
    cluster.until_coupled(secs(3));
    cluster.run_for(secs(2));
    cluster.must("the journals are equal", Cluster::are_journals_equal);
    cluster.news_are(&[
        "first goes on in epoch 3, alone",
        "first goes on in epoch 4, coupled",
        "first goes on in epoch 5, alone",
        "first goes on in epoch 6, coupled",
    ]);
    cluster.must("the watch had nothing to do", |cluster| cluster.starts(Watch) == 1);
}
