//! What was never committed is cut off, and nothing else.

use super::super::script::{Cluster, secs};
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Seat::{First, Second};

/// S10: the active has written what nobody else has, and is lost; the other takes over. When it returns it cuts exactly that
/// off and couples, with one start (there it takes two).
pub fn the_failed_one_cuts_its_tail() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.isolate(First);
    cluster.ask_only(First, 2);
    cluster.ask_only(First, 3);
    cluster.run_for(secs(1));
    cluster.kill(First);
    cluster.must("it has a tail", |cluster| cluster.numbers_on_disk(First) == [1, 2, 3]);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_alone(Second));
    cluster.add(4);
    cluster.mend_all();
    cluster.start(First);
    cluster.until_coupled(secs(3));
    cluster.run_for(secs(2));
    cluster.news_are(&["second takes over in epoch 3, alone", "first cuts at 2", "second goes on in epoch 4, coupled"]);
    cluster.must("the journals are equal", Cluster::are_journals_equal);
    cluster.must("without the tail", |cluster| {
        cluster.numbers_on_disk(First) == [1, 4] && cluster.answered() == [1, 4] && cluster.starts(First) == 2
    });
}

/// S19: the standby is away, the active loses power while it writes, and so its last record: nobody had an answer. Both start,
/// couple, the client asks again; and a second round is like the first.
pub fn the_last_record_is_damaged() {
    let mut cluster = Cluster::coupled();
    for round in 0..2 {
        let number = 10 * round;
        cluster.kill(Second);
        cluster.until("the first goes on alone", secs(1), |cluster| cluster.is_alone(First));
        cluster.add(number + 1);
        cluster.ask(number + 2);
        cluster.power_off(First);
        cluster.must("the last record is lost", |cluster| !cluster.numbers_on_disk(First).contains(&(number + 2)));
        cluster.start(First);
        cluster.start(Second);
        cluster.until_coupled(secs(3));
        cluster.until("it is answered", secs(5), |cluster| cluster.is_answered(number + 2));
        cluster.run_for(secs(2));
        cluster.must("the journals are equal", Cluster::are_journals_equal);
    }
    cluster.news_are(&[
        "first goes on in epoch 3, alone",
        "first restarts in epoch 4, alone",
        "first goes on in epoch 5, coupled",
        "first goes on in epoch 6, alone",
        "first restarts in epoch 7, alone",
        "first goes on in epoch 8, coupled",
    ]);
}
