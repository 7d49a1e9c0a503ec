//! Weak spots of commits and of the journal. Each story is named after what cannot happen here.

use super::super::script::{Cluster, millis, secs};
use baton_protocol::event_id::EventIds;
use baton_protocol::pair::Order;
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Mode;
use baton_protocol::register::Seat::{First, Second, Watch};
use baton_protocol::time::Timestamp;

/// 9.7: the clock of the node that takes over is an hour behind. Epochs and offsets come from the journal and only increase; so do
/// ids of events, which are derived from the last id in the journal and the clock (the toy writes none, so they are taken here,
/// record by record, by the clock of its writer).
pub fn ids_do_not_go_back_with_the_clock() {
    let mut cluster = Cluster::coupled();
    (1..=5).for_each(|number| cluster.add(number));
    cluster.power_off(First);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_alone(Second));
    (6..=9).for_each(|number| cluster.add(number));
    let mut ids = EventIds::default();
    let mut last = None;
    for record in cluster.host(Second).disk().records() {
        let clock = if record.id.epoch.0 < 3 { 7_200_000 } else { 3_600_000 };
        let this = Some((ids.next(Timestamp::from_millis(clock)), record.id.epoch, record.id.offset));
        cluster.must("ids increase", |_| last < this);
        last = this;
    }
    cluster.must("of both writers", |cluster| cluster.epoch(Second) == 3);
}

/// 9.8: all three lose power at the same moment, at any moment. What was answered is there when they are back: acknowledgements, votes
/// and answers wait for the disk.
pub fn no_answer_is_lost_with_the_power_of_all() {
    let mut cluster = Cluster::coupled();
    cluster.ask_every(millis(3), 1..=10);
    cluster.at_each_moment(millis(40), |cluster| {
        let answered = cluster.answered();
        [First, Second, Watch].into_iter().for_each(|seat| cluster.power_off(seat));
        cluster.start_all();
        cluster.until_coupled(secs(5));
        cluster.must("it is there", |cluster| answered.iter().all(|number| cluster.numbers().contains(number)));
    });
}

/// 9.9: the active loses power at any moment of coupling, while clients ask. Either the standby may take over, and has everything
/// that was answered; or it may not, and waits.
pub fn nothing_is_committed_without_the_standby_while_they_couple() {
    let mut cluster = Cluster::coupled();
    cluster.kill(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    cluster.start(Second);
    cluster.ask_every(millis(2), 1..=40);
    cluster.at_each_moment(millis(100), |cluster| {
        let answered = cluster.answered();
        cluster.power_off(First);
        cluster.run_for(secs(9));
        if cluster.is_active(Second) {
            cluster.must("it has all", |cluster| {
                let here = cluster.numbers_on_disk(Second);
                answered.iter().all(|number| here.contains(number))
            });
        }
        cluster.start(First);
        cluster.until_coupled(secs(5));
    });
    cluster.must("they are coupled", Cluster::is_coupled);
}

/// 9.10: one of the three dies at any moment of a switch-over: there is always an active one within the bound, and the clients get
/// their answers. And when the standby cannot store anything, it is not handed over: the active stays, and says so.
pub fn a_switch_over_does_not_end_with_nobody() {
    for victim in [First, Second, Watch] {
        let mut cluster = Cluster::coupled();
        cluster.ask_every(millis(2), 1..=20);
        cluster.run_for(millis(10));
        cluster.order(First, Order::SwitchOver);
        cluster.at_each_moment(millis(50), |cluster| {
            cluster.kill(victim);
            cluster.until("one is active", secs(2), Cluster::is_one_active);
            cluster.until("all are answered", Timing::TARGET, |cluster| cluster.are_answered(1..=20));
        });
        cluster.must("they have switched", |cluster| cluster.is_only_active(Second));
    }
    let mut cluster = Cluster::coupled();
    cluster.stall_disk(Second);
    cluster.ask(1);
    cluster.order(First, Order::SwitchOver);
    cluster.throughout("the active stays", secs(12), |cluster| cluster.is_only_active(First));
    cluster.news_are(&["first refuses SwitchOver: NotCoupled", "first goes on in epoch 3, alone"]);
    cluster.must("it answers", |cluster| cluster.is_answered(1));
}

/// 9.11: the standby is lost, but that is not decided, as the watch is away: nobody is answered. The active dies: what it had
/// written is void or not, but no client was told anything.
pub fn nobody_is_answered_before_the_loss_is_decided() {
    let mut cluster = Cluster::coupled();
    cluster.kill(Watch);
    cluster.kill(Second);
    cluster.ask(1);
    cluster.throughout("nobody is answered", secs(60), |cluster| {
        !cluster.is_answered(1) && cluster.mode(First) == Some(Mode::Coupled)
    });
    cluster.power_off(First);
    cluster.start(Watch);
    cluster.start(Second);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_active(Second));
    cluster.until("it is answered now", secs(5), |cluster| cluster.is_answered(1));
    cluster.must("once", |cluster| cluster.numbers() == [1]);
}

/// 9.19: the last record of the standby is another one than was sent, well-formed and with a fitting checksum. It is noticed when they
/// compare where they are: the standby says so, changes nothing, and the active goes on alone.
pub fn a_journal_with_another_content_is_not_continued() {
    let mut cluster = Cluster::coupled();
    (1..=3).for_each(|number| cluster.add(number));
    cluster.run_for(secs(2));
    cluster.kill(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    cluster.machine(Second).forge_last_record(&[77, 0]);
    cluster.expect_trouble();
    cluster.start(Second);
    cluster.throughout("they do not couple", secs(20), |cluster| cluster.is_alone(First));
    cluster.must("it is noticed", |cluster| cluster.has_news("second is in trouble: Diverged"));
    cluster.add(4);
    cluster.must("nothing is changed", |cluster| cluster.numbers_on_disk(Second) == [1, 2, 77]);
}

/// 9.20: storage of either node, or a process, stands still for less than the silence (as when a state is written): nobody is taken for
/// lost, and what waited is answered. Images are written beside the journal: tested with the store.
pub fn a_stall_is_not_taken_for_a_loss() {
    for seat in [First, Second] {
        let mut cluster = Cluster::coupled();
        cluster.stall_disk(seat);
        cluster.ask(1);
        cluster.run_for(secs(3));
        cluster.must("it waits", |cluster| !cluster.is_answered(1));
        cluster.unstall_disk(seat);
        cluster.until("it is answered", secs(2), |cluster| cluster.is_answered(1));
        cluster.run_for(secs(5));
        cluster.pause(seat);
        cluster.run_for(secs(2));
        cluster.resume(seat);
        cluster.run_for(secs(10));
        cluster.news_are(&[]);
        cluster.must("they are coupled", Cluster::is_coupled);
    }
}

/// 9.21: a command is repeated at an active that has written it, but could not commit it: the repetition writes nothing, and is not
/// answered either. The record is void in the end, and nobody has been told otherwise.
pub fn a_repeated_command_does_not_show_what_is_not_committed() {
    let mut cluster = Cluster::coupled();
    cluster.isolate(First);
    cluster.ask_only(First, 7);
    cluster.run_for(secs(1));
    cluster.ask_only(First, 7);
    cluster.throughout("there is no answer", secs(20), |cluster| !cluster.is_answered(7));
    cluster.must("the second is active", |cluster| cluster.is_active(Second));
    cluster.mend_all();
    cluster.until_coupled(secs(5));
    cluster.run_for(secs(5));
    cluster.must("it is void, and nobody was told", |cluster| {
        cluster.numbers().is_empty() && cluster.answered().is_empty()
    });
    cluster.news_are(&[
        "second takes over in epoch 3, alone",
        "first is deposed",
        "first cuts at 1",
        "second goes on in epoch 4, coupled",
    ]);
}

/// 9.24: an active that was replaced while it stood still is asked in the moment it wakes, before it has heard anything: it
/// believes to be active, but what it says is of an older epoch, and it can confirm no change. While the standby is lost the active
/// keeps no promises back; that its journal is released meanwhile is tested with images.
pub fn a_replaced_active_confirms_nothing() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.pause(First);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_active(Second));
    cluster.ask(2);
    cluster.until("the client has found it", secs(3), |cluster| cluster.is_answered(2));
    cluster.run_for(secs(1));
    cluster.must("nothing is kept back", |cluster| cluster.host(Second).node().is_some_and(|node| node.held() == 0));
    cluster.resume(First);
    cluster.must("it believes to be active", |cluster| cluster.is_active(First));
    cluster.must("of an older epoch", |cluster| cluster.epoch(First) < cluster.epoch(Second));
    cluster.ask_only(First, 3);
    cluster.until_coupled(secs(5));
    cluster.run_for(secs(5));
    cluster.must("it has confirmed nothing", |cluster| !cluster.is_answered(3) && cluster.numbers() == [1, 2]);
}

/// 9.25, with storage: the storage of the active hangs, its records still arrive at the standby, and it works again at any moment around
/// the take-over; or while the standby asks and the watch stands still. Either the active stays, or it has lost its office; while
/// the standby asks it acknowledges nothing, so that nothing is confirmed which the next active does not have.
pub fn a_replaced_active_is_not_acknowledged() {
    let mut cluster = Cluster::coupled();
    cluster.stall_disk(First);
    cluster.ask_every(millis(100), 1..=100);
    cluster.run_for(millis(7_800));
    cluster.must("nothing is decided", |cluster| cluster.is_only_active(First));
    let mut undecided = cluster.clone();
    cluster.at_each_moment(millis(600), |cluster| {
        cluster.unstall_disk(First);
        cluster.until("all are answered", secs(15), |cluster| cluster.are_answered(1..=100));
        cluster.until_coupled(secs(5));
    });
    cluster.must("the second has taken over", |cluster| cluster.is_active(Second));
    undecided.pause(Watch);
    undecided.run_for(secs(2));
    undecided.must("the second asks", |cluster| {
        cluster.host(Second).node().is_some_and(|node| node.machine().pair().is_asking())
    });
    undecided.unstall_disk(First);
    undecided.until("all are answered", secs(15), |cluster| cluster.are_answered(1..=100));
    undecided.resume(Watch);
    undecided.until_coupled(secs(5));
}
