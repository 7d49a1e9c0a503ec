//! A standby that needs records which are released catches up from an image, by itself.

use super::super::script::{Cluster, secs};
use super::super::toy::Number;
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Seat::{self, First, Second};
use std::ops::RangeInclusive;

/// An image is taken after so many records.
pub(super) const AFTER: u64 = 10;

/// The second node is away, and the first one has released what the second would need next.
pub(super) fn released() -> Cluster {
    let mut cluster = Cluster::coupled_with_images(AFTER);
    add_all(&mut cluster, 1..=5);
    cluster.run_for(secs(1));
    cluster.kill(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    add_all(&mut cluster, 6..=60);
    cluster.must("records are released", |cluster| cluster.begin(First) > cluster.host(Second).disk().end().offset);
    cluster.forget_news();
    cluster
}

pub(super) fn add_all(cluster: &mut Cluster, numbers: RangeInclusive<Number>) {
    numbers.for_each(|number| cluster.add(number));
}

fn has_all(cluster: &Cluster, seat: Seat, last: Number) -> bool {
    let list = cluster.host(seat).node().map(|node| node.machine().list().to_vec()).unwrap_or_default();
    let numbers: Vec<_> = list.into_iter().filter(|number| *number != 0).collect();
    numbers == (1..=last).collect::<Vec<_>>() && cluster.numbers_on_disk(seat) == numbers
}

/// Both have all, are coupled, and one takes over from the other.
pub(super) fn both_have_all(cluster: &mut Cluster, last: Number) {
    cluster.until_coupled(secs(12));
    cluster.run_for(secs(2));
    cluster.must("both have all", |cluster| has_all(cluster, First, last) && has_all(cluster, Second, last));
    cluster.must("the journals are equal", Cluster::are_journals_equal);
}

/// I1: the standby comes back with an empty disk, and records are released: it becomes a member again, gets an image, couples,
/// and takes over when the active dies.
pub fn a_wiped_standby_comes_back() {
    let mut cluster = Cluster::coupled_with_images(AFTER);
    add_all(&mut cluster, 1..=40);
    cluster.kill(Second);
    cluster.wipe(Second);
    cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
    cluster.must("records are released", |cluster| cluster.begin(First).0 > 0);
    cluster.start(Second);
    both_have_all(&mut cluster, 40);
    cluster.must("from an image", |cluster| cluster.has_news("second begins anew at"));
    cluster.kill(First);
    cluster.until("the second takes over", secs(2), |cluster| cluster.is_alone(Second));
    cluster.add(41);
    cluster.start(First);
    both_have_all(&mut cluster, 41);
}

/// I2: the standby was away for so long that what it needs is released. It catches up while clients write, and takes over.
pub fn a_standby_is_away_for_long() {
    let mut cluster = released();
    cluster.ask_every(Timing::DEFAULT.heartbeat / 50, 61..=160);
    cluster.start(Second);
    cluster.until_coupled(secs(4));
    cluster.until("all are answered", secs(4), |cluster| cluster.are_answered(61..=160));
    both_have_all(&mut cluster, 160);
    cluster.must("from one image", |cluster| cluster.has_news("second begins anew at"));
    cluster.kill(First);
    cluster.until("the second takes over", secs(2), |cluster| cluster.is_alone(Second));
    cluster.add(161);
}

/// I3: at any moment of the transfer one of them is killed, or loses power: what is on its disk is the old journal or the new
/// one, nobody takes over who has not everything, and after a start it goes on.
pub fn a_crash_in_the_middle() {
    for (seat, is_killed) in [(Second, true), (Second, false), (First, true), (First, false)] {
        let mut cluster = released();
        cluster.start(Second);
        cluster.at_each_moment(secs(1), |cluster| {
            // When they are coupled already, it is another story.
            if cluster.is_coupled() {
                return;
            }
            if is_killed {
                cluster.kill(seat)
            } else {
                cluster.power_off(seat)
            }
            cluster.run_for(secs(1));
            cluster.must("the second does not take over", |cluster| !cluster.is_active(Second));
            cluster.start(seat);
            both_have_all(cluster, 60);
        });
    }
}

/// I4: in the middle of the transfer the standby is cut off, and the active goes on and releases the image: the standby gets a
/// newer one.
pub fn the_image_is_released_in_the_middle() {
    let mut cluster = released();
    cluster.start(Second);
    cluster.until("the image is on its way", secs(2), |cluster| cluster.is_fetching(Second));
    cluster.run_for(secs(0) + super::super::script::LATENCY * 3);
    cluster.must("it is not there yet", |cluster| cluster.is_fetching(Second));
    cluster.isolate(Second);
    cluster.run_for(secs(6));
    add_all(&mut cluster, 61..=120);
    cluster.mend_all();
    both_have_all(&mut cluster, 120);
    let anew = cluster.count_news("second begins anew at");
    cluster.must("one image was installed", |_| anew == 1);
}

/// I5: the node that was active returns with records that were never committed, and what comes before them is released by
/// the other one: it gives up all of it and begins anew.
pub fn a_former_active_begins_anew() {
    let mut cluster = Cluster::coupled_with_images(AFTER);
    add_all(&mut cluster, 1..=5);
    cluster.isolate(First);
    (901..=930).for_each(|number| cluster.ask_only(First, number));
    cluster.run_for(secs(1));
    cluster.kill(First);
    cluster.must("it has a tail", |cluster| cluster.numbers_on_disk(First).len() == 35);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_alone(Second));
    add_all(&mut cluster, 6..=22);
    cluster.mend_all();
    cluster.start(First);
    both_have_all(&mut cluster, 22);
    cluster.must("from an image", |cluster| cluster.has_news("first begins anew at"));
}

/// I6: a standby that is there, but acknowledges nothing, does not make the journal of the active grow for ever.
pub fn a_mute_standby_does_not_hold_back_the_journal() {
    let mut cluster = released();
    cluster.cut_one_way(First, Second);
    cluster.start(Second);
    for round in 0..10 {
        add_all(&mut cluster, 61 + 20 * round..=80 + 20 * round);
        cluster.run_for(secs(1));
        let kept = cluster.committed_until(First).0 - cluster.begin(First).0;
        cluster.must("the journal is short", |_| kept <= 8 * AFTER);
    }
    cluster.mend_all();
    both_have_all(&mut cluster, 260);
}

/// I7: while a standby gets the image, the active keeps it and the records after it, although it takes newer images.
pub fn what_the_standby_needs_is_kept() {
    let mut cluster = released();
    cluster.start(Second);
    cluster.until("the image is on its way", secs(2), |cluster| cluster.is_fetching(Second));
    let begin = cluster.begin(First);
    add_all(&mut cluster, 61..=64);
    (65..=85).for_each(|number| cluster.ask(number));
    cluster.throughout("nothing is released", super::super::script::millis(2), |cluster| {
        cluster.begin(First) <= begin.next()
    });
    both_have_all(&mut cluster, 85);
    let anew = cluster.count_news("second begins anew at");
    cluster.must("one image was enough", |_| anew == 1);
}
