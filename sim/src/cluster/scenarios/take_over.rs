//! The active is lost, and the standby takes over.

use super::super::script::{Cluster, numbers_of, secs};
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Seat::{First, Second, Watch};

/// S9: the active is killed while work is under way, the standby takes over within a second and has everything; the failed one
/// returns, has nothing to cut, couples; the journals are equal; they switch back. Then the standby no longer hears the
/// active, which lives: it asks, the watch and the active refuse, and both stay coupled.
pub fn a_killed_active_is_replaced_and_a_living_one_is_not() {
    let mut cluster = Cluster::coupled();
    (1..=5).for_each(|number| cluster.add(number));
    cluster.kill(First);
    cluster.until("the second is active", secs(1), |cluster| cluster.is_alone(Second));
    cluster.add(6);
    cluster.start(First);
    cluster.until_coupled(secs(3));
    cluster.run_for(secs(2));
    cluster.must("the journals are equal", Cluster::are_journals_equal);
    cluster.order(Second, baton_protocol::pair::Order::SwitchOver);
    cluster.until("they have switched", secs(1), |cluster| cluster.is_only_active(First));
    cluster.until_coupled(secs(3));
    cluster.news_are(&[
        "second takes over in epoch 3, alone",
        "second goes on in epoch 4, coupled",
        "second is deposed",
        "first is handed over to in epoch 5, coupled",
    ]);
    cluster.cut_one_way(First, Second);
    cluster.throughout("the living one stays", secs(30), |cluster| cluster.is_only_active(First));
    cluster.mend_all();
    cluster.until_coupled(secs(10));
}

/// S11: there a person has to confirm a fail-over when it is configured so. Here nobody is asked as long as two voters are left:
/// what decides is whether the watch, too, has no sign of life.
pub fn no_person_has_to_confirm_a_take_over() {
    let mut cluster = Cluster::coupled();
    cluster.power_off(First);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_alone(Second));
    cluster.add(1);
    cluster.news_are(&["second takes over in epoch 3, alone"]);
}

/// S12: the active ends as in a crash; the standby takes over; the other returns, without any further restart, and follows.
pub fn the_failed_one_returns_with_one_start() {
    let mut cluster = Cluster::coupled();
    (1..=3).for_each(|number| cluster.ask(number));
    cluster.kill(First);
    cluster.until("the second is active", secs(1), |cluster| cluster.is_alone(Second));
    cluster.until("all are answered", secs(5), |cluster| cluster.answered().len() == 3);
    cluster.forget_news();
    cluster.start(First);
    cluster.until_coupled(secs(3));
    cluster.run_for(secs(2));
    cluster.must("the second is active", |cluster| cluster.is_only_active(Second) && cluster.starts(First) == 2);
    cluster.must("the journals are equal", Cluster::are_journals_equal);
}

/// S20: what the active sends does not arrive, what it gets does (there: its web server is down). It can commit nothing, the
/// standby takes over with the watch; the old one hears of it, and follows without a restart when it can be heard again.
pub fn an_active_that_is_not_heard_is_replaced() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.cut_one_way(First, Second);
    cluster.cut_one_way(First, Watch);
    cluster.ask_only(First, 2);
    cluster.until("the second is active", Timing::TARGET, |cluster| cluster.is_alone(Second));
    cluster.until("the first knows", secs(2), |cluster| !cluster.is_active(First));
    cluster.add(3);
    cluster.must("what it could not commit is not answered", |cluster| cluster.answered() == [1, 3]);
    cluster.mend_all();
    cluster.until_coupled(secs(5));
    cluster.news_are(&[
        "second takes over in epoch 3, alone",
        "first is deposed",
        "first cuts at 2",
        "second goes on in epoch 4, coupled",
    ]);
    cluster.must("without a restart", |cluster| cluster.starts(First) == 1 && cluster.numbers() == [1, 3]);
}

/// S30, S32: a director is killed while the other one's subagent runs a job: the pair is the same code, and takes over within a
/// second, below the time after which a subagent gives its jobs up. That jobs are kept or restarted is tested with subagents.
pub fn a_killed_director_is_replaced_before_its_subagents_give_up() {
    let mut cluster = Cluster::coupled();
    cluster.add(1);
    cluster.kill(First);
    let took = cluster.until("the second is active", secs(1), |cluster| cluster.is_alone(Second));
    cluster.add(2);
    cluster.must("at once", |_| took < secs(1));
    cluster.news_are(&["second takes over in epoch 3, alone"]);
}

/// S39: a reader follows the committed records of whoever is active, through a switch-over, a restart and a take-over: it sees
/// each number once, in order. The proxy that does so over HTTP is tested with that.
pub fn a_reader_sees_each_record_once() {
    let mut cluster = Cluster::coupled();
    let mut read = Vec::new();
    let mut number = 0;
    for act in 0..8 {
        match act {
            1 => cluster.order(First, baton_protocol::pair::Order::SwitchOver),
            3 => cluster.power_off(Second),
            4 => cluster.start(Second),
            6 => cluster.kill(First),
            _ => {}
        }
        for _ in 0..20 {
            number += 1;
            cluster.ask(number);
            cluster.run_for(secs(1) / 4);
            let active = [First, Second].into_iter().filter(|seat| cluster.is_active(*seat));
            if let Some(active) = active.max_by_key(|seat| cluster.epoch(*seat)) {
                let more = cluster.committed_at(active).get(read.len()..).unwrap_or_default().to_vec();
                read.extend(more);
            }
        }
    }
    cluster.run_for(secs(5));
    let mut sorted = numbers_of(&read);
    sorted.sort_unstable();
    cluster.must("each once", |_| sorted == (1..=number).collect::<Vec<_>>());
    cluster.must("as committed", |cluster| numbers_of(&read) == cluster.numbers());
    cluster.news_are(&[
        "first is deposed",
        "second is handed over to in epoch 3, coupled",
        "first takes over in epoch 4, alone",
        "first goes on in epoch 5, coupled",
        "second takes over in epoch 6, alone",
    ]);
}
