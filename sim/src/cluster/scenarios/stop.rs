//! The active stops on purpose, and nobody takes over.

use super::super::script::{Cluster, secs};
use baton_protocol::pair::Order;
use baton_protocol::register::Seat::{First, Second, Watch};

/// S14: the active stops gracefully, and that is recorded: the standby does not take over. It starts again, is active, and
/// they couple.
pub fn a_stopped_active_is_not_replaced() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.stop_gracefully(First);
    cluster.throughout("nobody takes over", secs(60), Cluster::is_none_active);
    cluster.start(First);
    cluster.until_coupled(secs(3));
    cluster.add(2);
    cluster.news_are(&["first is stopped", "first restarts in epoch 4, alone", "first goes on in epoch 5, coupled"]);
}

/// S14, further: after the stop a person appoints the standby; the stopped one follows when it returns.
pub fn a_person_appoints_the_standby_of_a_stopped_active() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.stop_gracefully(First);
    cluster.run_for(secs(10));
    cluster.order(Second, Order::Appoint);
    cluster.until("the second is active", secs(1), |cluster| cluster.is_alone(Second));
    cluster.add(2);
    cluster.start(First);
    cluster.until_coupled(secs(3));
    cluster.news_are(&[
        "first is stopped",
        "second is appointed in epoch 4, alone",
        "second goes on in epoch 5, coupled",
    ]);
}

/// S29: all are shut down at once, in either order, and everything comes back as it was.
pub fn everything_is_shut_down_and_comes_back() {
    for order in [[First, Second, Watch], [Second, First, Watch]] {
        let mut cluster = Cluster::coupled();
        cluster.add(1);
        order.into_iter().for_each(|seat| cluster.stop_gracefully(seat));
        cluster.run_for(secs(3_600));
        order.into_iter().for_each(|seat| cluster.start(seat));
        cluster.until_coupled(secs(5));
        cluster.add(2);
        cluster.must("the first is active", |cluster| cluster.is_only_active(First));
        cluster.must("nothing is lost", |cluster| cluster.numbers() == [1, 2]);
    }
}
