//! The active hands over by order.

use super::super::script::{Cluster, millis, secs};
use baton_protocol::pair::Order;
use baton_protocol::register::Seat::{First, Second};

/// S16: the active hands over and ends; the other is active at once, and goes on alone when the first one is gone.
pub fn the_active_hands_over_and_ends() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.order(First, Order::SwitchOver);
    cluster.until("the second is active", secs(1), |cluster| cluster.is_only_active(Second));
    cluster.kill(First);
    cluster.until("it goes on alone", secs(1), |cluster| cluster.is_alone(Second));
    cluster.add(2);
    cluster.news_are(&[
        "first is deposed",
        "second is handed over to in epoch 3, coupled",
        "second goes on in epoch 4, alone",
    ]);
}

/// S17, S33: work is under way while it is handed over, there and back; nothing is lost and nothing is there twice. They stay
/// coupled all the time and nobody is restarted, so jobs of a director's subagents are not touched (tested with subagents).
pub fn there_and_back() {
    let mut cluster = Cluster::coupled();
    (1..=5).for_each(|number| cluster.ask(number));
    cluster.order(First, Order::SwitchOver);
    cluster.until("the second is active", secs(1), |cluster| cluster.is_only_active(Second));
    (6..=10).for_each(|number| cluster.ask(number));
    cluster.until("all are answered", secs(5), |cluster| cluster.answered().len() == 10);
    cluster.until_coupled(secs(2));
    cluster.order(Second, Order::SwitchOver);
    cluster.until("the first is active", secs(1), |cluster| cluster.is_only_active(First));
    cluster.ask(11);
    cluster.until("all are answered", secs(5), |cluster| cluster.answered().len() == 11);
    cluster.news_are(&[
        "first is deposed",
        "second is handed over to in epoch 3, coupled",
        "second is deposed",
        "first is handed over to in epoch 4, coupled",
    ]);
    cluster.must("nobody was restarted", |cluster| cluster.starts(First) == 1 && cluster.starts(Second) == 1);
    cluster.must("nothing is there twice", |cluster| cluster.numbers().len() == 11);
}

/// The new active has its standby at once: commits do not wait for a heartbeat.
pub fn commits_go_on_at_once_after_a_switch_over() {
    let mut cluster = Cluster::coupled();
    for (from, number) in [(First, 1), (Second, 2), (First, 3), (Second, 4)] {
        cluster.order(from, Order::SwitchOver);
        cluster.until("the other is active", secs(1), |cluster| cluster.is_only_active(from.peer()));
        cluster.ask_only(from.peer(), number);
        cluster.until("the number is answered", millis(30), |cluster| cluster.is_answered(number));
    }
}
