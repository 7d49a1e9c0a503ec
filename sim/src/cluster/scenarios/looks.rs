//! What a node shows is what is true, not what was true before it was replaced.

use super::super::script::{Cluster, LATENCY, millis, secs};
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Seat::{First, Second, Watch};

/// A node stands still and is replaced. What was asked of it meanwhile, it does not answer from what it knew before.
pub fn a_replaced_node_that_was_paused_shows_nothing() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.pause(First);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_active(Second));
    cluster.ask_only(Second, 2);
    cluster.run_for(millis(10));
    let look = cluster.look(First);
    cluster.resume(First);
    cluster.until_coupled(secs(3));
    cluster.must("nothing was shown", |cluster| cluster.shown(look).is_none());
    let look = cluster.look(Second);
    cluster.run_for(millis(10));
    cluster.must("the present state is shown", |cluster| cluster.shown(look).is_some_and(|length| length >= 4));
}

/// The same for a node that is cut off from both others, and so cannot hear that it was replaced.
pub fn a_replaced_node_that_is_cut_off_shows_nothing() {
    let mut cluster = Cluster::coupled();
    cluster.isolate(First);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_active(Second));
    cluster.ask_only(Second, 1);
    let look = cluster.look(First);
    cluster.run_for(secs(20));
    cluster.must("nothing was shown", |cluster| cluster.shown(look).is_none());
}

/// It costs a word and its answer, no disk; nothing while a node is alone; and while the standby is silent, it waits until the
/// loss is decided, as commits do.
pub fn who_looks_is_answered_soon() {
    let mut cluster = Cluster::coupled();
    let looks = [cluster.look(First), cluster.look(First)];
    let took = cluster.until("it is shown", secs(1), |cluster| cluster.shown(looks[0]).is_some());
    cluster.must("both are answered by one word or two", |_| took <= LATENCY * 2);
    cluster.run_for(LATENCY * 2);
    cluster.must("the other too", |cluster| cluster.shown(looks[1]).is_some());
    cluster.power_off(Second);
    let look = cluster.look(First);
    cluster.until("the loss is decided", Timing::TARGET, |cluster| cluster.shown(look).is_some());
    cluster.must("it was decided", |cluster| cluster.is_alone(First));
    let look = cluster.look(First);
    cluster.must("at once", |cluster| cluster.shown(look).is_some());
    cluster.kill(Watch);
    let look = cluster.look(First);
    cluster.must("still", |cluster| cluster.shown(look).is_some());
}

/// A link that breaks in the middle costs no more than it takes to be there again.
pub fn a_lost_word_is_said_again() {
    let mut cluster = Cluster::coupled();
    let look = cluster.look(First);
    cluster.cut(First, Second);
    cluster.run_for(secs(1));
    cluster.mend(First, Second);
    cluster.until("it is shown", secs(2), |cluster| cluster.shown(look).is_some());
    cluster.must("the pair is still coupled", Cluster::is_coupled);
}

/// A standby that lives but hears nothing of the active does not answer. It counts as lost after the time of silence, also when
/// nothing is written meanwhile, and then a look needs nobody.
pub fn a_deaf_standby_does_not_keep_looks_waiting() {
    let mut cluster = Cluster::coupled();
    cluster.cut_one_way(First, Second);
    let look = cluster.look(First);
    cluster.until("it is shown", Timing::TARGET, |cluster| cluster.shown(look).is_some());
    let look = cluster.look(First);
    cluster.until("it is shown at once", millis(10), |cluster| cluster.shown(look).is_some());
    cluster.must("one is active", Cluster::is_one_active);
}
