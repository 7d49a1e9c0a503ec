//! The standby is lost, and the active goes on alone.

use super::super::script::{Cluster, secs};
use baton_protocol::pair::Order;
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Seat::{First, Second, Watch};

/// S15: the standby stops gracefully, the active goes on at once; a switch-over is not ordered at a standby.
pub fn the_standby_stops() {
    let mut cluster = Cluster::coupled();
    cluster.order(Second, Order::SwitchOver);
    cluster.stop_gracefully(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    cluster.add(1);
    cluster.news_are(&["second refuses SwitchOver: NotActive", "first goes on in epoch 3, alone"]);
}

/// S18: five times the standby disappears without notice and returns; commits go on within the bound each time, and both
/// couple again.
pub fn the_standby_disappears_five_times() {
    let mut cluster = Cluster::coupled();
    let mut news = Vec::new();
    for round in 0..5_u16 {
        cluster.power_off(Second);
        cluster.ask(2 * round + 1);
        cluster.until("it is answered", Timing::TARGET, |cluster| cluster.is_answered(2 * round + 1));
        cluster.start(Second);
        cluster.until_coupled(secs(3));
        cluster.add(2 * round + 2);
        cluster.run_for(secs(2));
        cluster.must("the journals are equal", Cluster::are_journals_equal);
        news.push(format!("first goes on in epoch {}, alone", 2 * round + 3));
        news.push(format!("first goes on in epoch {}, coupled", 2 * round + 4));
    }
    cluster.news_are(&news.iter().map(String::as_str).collect::<Vec<_>>());
    cluster.must("all in order", |cluster| cluster.numbers() == (1..=10).collect::<Vec<_>>());
}

/// S24: the watch is away, then the standby dies silently: commits wait, since one voter is left. The watch returns, remembers,
/// and the active goes on, without a person (there, one has to confirm it).
pub fn the_standby_dies_while_the_watch_is_away() {
    let mut cluster = Cluster::coupled();
    cluster.kill(Watch);
    cluster.add(1);
    cluster.power_off(Second);
    cluster.ask(2);
    cluster.throughout("nothing is answered", secs(60), |cluster| !cluster.is_answered(2));
    cluster.start(Watch);
    cluster.until("it is answered", Timing::TARGET, |cluster| cluster.is_answered(2));
    cluster.news_are(&["first goes on in epoch 3, alone"]);
}

/// S26: the watch is away, the link between the nodes is cut or the standby is stopped; both ask. The watch returns with its
/// memory: the living active goes on alone, the standby is refused; when the link is whole they couple again, without a person.
pub fn the_link_is_cut_while_the_watch_is_away() {
    for is_standby_alive in [true, false] {
        let mut cluster = Cluster::coupled();
        cluster.kill(Watch);
        if is_standby_alive {
            cluster.cut(First, Second);
        } else {
            cluster.power_off(Second);
        }
        cluster.ask(1);
        cluster.throughout("nothing is decided", secs(30), |cluster| {
            cluster.is_only_active(First) && !cluster.is_answered(1)
        });
        cluster.start(Watch);
        cluster.until("the first goes on alone", Timing::TARGET, |cluster| cluster.is_alone(First));
        cluster.until("it is answered", secs(3), |cluster| cluster.is_answered(1));
        if is_standby_alive {
            cluster.mend(First, Second);
        } else {
            cluster.start(Second);
        }
        cluster.until_coupled(secs(5));
        cluster.news_are(&["first goes on in epoch 3, alone", "first goes on in epoch 4, coupled"]);
        cluster.must("the standby has not taken over", |cluster| cluster.is_only_active(First));
    }
}

/// S26, with another watch: one that knows nothing cannot help, and says so by silence. When the link is whole again the two
/// nodes agree, and take the new watch in; no person is asked.
pub fn the_link_is_cut_and_the_watch_is_a_new_one() {
    let mut cluster = Cluster::coupled();
    cluster.kill(Watch);
    cluster.cut(First, Second);
    cluster.wipe(Watch);
    cluster.start(Watch);
    cluster.ask(1);
    cluster
        .throughout("nothing is decided", secs(30), |cluster| cluster.is_only_active(First) && !cluster.is_answered(1));
    cluster.mend(First, Second);
    cluster.until_coupled(secs(10));
    cluster.until("it is answered", secs(3), |cluster| cluster.is_answered(1));
    // The first one still asked whether the second was lost, less and less often.
    cluster.run_for(secs(12));
    cluster.forget_news();
    cluster.kill(First);
    cluster.until("the new watch votes", secs(1), |cluster| cluster.is_alone(Second));
}
