//! How a cluster begins: from one node, with both, late, and with the wrong machine in a seat.

use super::super::script::{Cluster, millis, new_host, secs};
use baton_protocol::pair::Order;
use baton_protocol::register::Seat::{First, Second, Watch};

/// S2: the first node works before there is a second one; that joins and couples; journals are equal each time. Both are lost
/// before one takes over, both start, and the first stays active. A repeated command, which writes nothing, is answered while
/// they are coupled. Images of the state (TakeSnapshot) are tested with the store.
pub fn a_node_works_alone_before_the_second_one_joins() {
    let mut cluster = Cluster::switched_off();
    cluster.start(First);
    cluster.start(Watch);
    cluster.throughout("nobody is active unasked", secs(3), Cluster::is_none_active);
    cluster.order(First, Order::Found);
    cluster.until("it is founded by two", secs(1), |cluster| cluster.is_alone(First));
    (1..=20).for_each(|number| cluster.add(number));
    cluster.start(Second);
    cluster.until_coupled(secs(3));
    cluster.add(21);
    cluster.run_for(secs(2));
    cluster.must("the journals are equal", Cluster::are_journals_equal);
    cluster.power_off(First);
    cluster.run_for(secs(1));
    cluster.kill(Second);
    cluster.must("the journals are equal", Cluster::are_journals_equal);
    cluster.start(First);
    cluster.start(Second);
    cluster.until_coupled(secs(3));
    cluster.news_are(&[
        "first founds epoch 1, alone",
        "first goes on in epoch 2, alone",
        "first goes on in epoch 3, coupled",
        "first restarts in epoch 4, coupled",
    ]);
    let answers = cluster.answered().len();
    cluster.ask_only(First, 21);
    cluster.until("the repeated command is answered", millis(100), |cluster| cluster.answered().len() > answers);
    cluster.must("nothing is there twice", |cluster| cluster.numbers() == (1..=21).collect::<Vec<_>>());
}

/// S7: a node that works alone restarts, and only later gets a second one, which until then knows nothing and refuses clients.
/// That one ends without notice, and another machine with an empty disk takes its seat: it is taken in without a command (there,
/// a changed address is appointed). A journal whose beginning is released is joined by an image: tested with images.
pub fn the_second_node_is_appointed_late_and_replaced() {
    let mut cluster = Cluster::switched_off();
    cluster.start(First);
    cluster.start(Watch);
    cluster.run_for(secs(1));
    cluster.order(First, Order::Found);
    cluster.until("it is founded", secs(1), |cluster| cluster.is_alone(First));
    cluster.add(1);
    cluster.kill(First);
    cluster.start(First);
    cluster.until("it is active again", secs(2), |cluster| cluster.is_alone(First));
    cluster.add(2);
    cluster.cut(First, Second);
    cluster.start(Second);
    cluster.run_for(secs(3));
    cluster.ask_only(Second, 3);
    cluster.must("who knows nothing refuses", |cluster| cluster.epoch(Second) == 0 && cluster.is_refused_by(Second, 3));
    cluster.mend(First, Second);
    cluster.until_coupled(secs(3));
    cluster.kill(Second);
    cluster.until("the first goes on", secs(1), |cluster| cluster.is_alone(First));
    cluster.exchange(Second, new_host(Second));
    cluster.start(Second);
    cluster.until_coupled(secs(3));
    cluster.news_are(&[
        "first founds epoch 1, alone",
        "first restarts in epoch 2, alone",
        "first goes on in epoch 3, alone",
        "first goes on in epoch 4, coupled",
        "first goes on in epoch 5, alone",
        "first goes on in epoch 6, alone",
        "first goes on in epoch 7, coupled",
    ]);
    cluster.add(4);
    cluster.run_for(secs(2));
    cluster.must("the journals are equal", Cluster::are_journals_equal);
}

/// S8 (a): in the second seat stands a node that has the first seat of a cluster of its own. The two cannot found or couple;
/// here a node is built for its seat, so what is left of it is a second node that never comes: the first waits, and works when
/// a person says so.
pub fn a_first_node_without_a_second_one_works() {
    let mut cluster = Cluster::switched_off();
    cluster.start(First);
    cluster.start(Watch);
    cluster.throughout("it waits", secs(30), Cluster::is_none_active);
    cluster.order(First, Order::Found);
    cluster.until("it is active", secs(1), |cluster| cluster.is_alone(First));
    cluster.throughout("it keeps running", secs(30), |cluster| cluster.is_alone(First));
    cluster.add(1);
    cluster.news_are(&["first founds epoch 1, alone"]);
}

/// S31: a single node with a history becomes one of a pair without a restart; it is killed, and the second one goes on within a
/// second. What its jobs do meanwhile is tested with directors and subagents.
pub fn a_single_node_becomes_a_pair() {
    let mut cluster = Cluster::switched_off();
    cluster.start(First);
    cluster.start(Watch);
    cluster.run_for(secs(1));
    cluster.order(First, Order::Found);
    cluster.until("it is founded", secs(1), |cluster| cluster.is_alone(First));
    (1..=5).for_each(|number| cluster.add(number));
    cluster.start(Second);
    cluster.until_coupled(secs(3));
    cluster.must("it was not restarted", |cluster| cluster.starts(First) == 1);
    cluster.kill(First);
    cluster.until("the second one is active", secs(1), |cluster| cluster.is_alone(Second));
    cluster.add(6);
    cluster.news_are(&[
        "first founds epoch 1, alone",
        "first goes on in epoch 2, alone",
        "first goes on in epoch 3, coupled",
        "second takes over in epoch 4, alone",
    ]);
}

/// S35: both nodes are reset. As long as the watch remembers the old cluster, nobody founds a new one: the loss of both journals
/// is no accident that is passed over. When the watch is reset too, it is founded anew. The command ResetAgent is tested with
/// directors.
pub fn a_reset_cluster_is_founded_anew() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.kill(First);
    cluster.kill(Second);
    cluster.wipe(First);
    cluster.wipe(Second);
    cluster.start(First);
    cluster.start(Second);
    cluster.throughout("nobody is active", secs(30), Cluster::is_none_active);
    [First, Second, Watch].into_iter().for_each(|seat| cluster.kill(seat));
    cluster.wipe_all();
    cluster.start_all();
    cluster.until_coupled(secs(3));
    cluster.forget_news();
    cluster.must("it is empty", |cluster| cluster.numbers().is_empty() && cluster.epoch(First) == 2);
}
