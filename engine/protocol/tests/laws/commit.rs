//! Nothing gets out before it is on the disks, nothing that waits is lost or overtaken, and nothing waits for ever; whatever
//! the order of writes, confirmations, acknowledgements, takeovers, truncations and crashes.

use crate::cases;
use crate::host::{Act, Bug, Host, Of};
use baton_protocol::record::{Chain, Epoch, Offset, Position, Record};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Op {
    /// Writes a record: one's own, or a copy of the active's when following.
    Write(u8),
    Put,
    /// Promises something about all but the last `back` records.
    Say {
        lane: u8,
        latest_only: bool,
        of: Of,
        back: usize,
    },
    Withdraw(u8),
    Sync(usize),
    Confirm(usize),
    /// The standby takes over that many records, and acknowledges all but the last `back`.
    Copy {
        records: usize,
        back: usize,
    },
    Told(usize),
    CoupleOrNot,
    Activate {
        coupled: bool,
    },
    Follow,
    Truncate(usize),
    Crash(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..40_u8).prop_map(Op::Write),
        1 => Just(Op::Put),
        10 => (0..3_u8, any::<bool>(), of(), prop_oneof![3 => Just(0), 1 => 0..4_usize])
            .prop_map(|(lane, latest_only, of, back)| Op::Say { lane, latest_only, of, back }),
        1 => (0..3_u8).prop_map(Op::Withdraw),
        5 => (1..4_usize).prop_map(Op::Sync),
        6 => any::<usize>().prop_map(Op::Confirm),
        5 => (0..4_usize, 0..2_usize).prop_map(|(records, back)| Op::Copy { records, back }),
        2 => (0..4_usize).prop_map(Op::Told),
        3 => Just(Op::CoupleOrNot),
        2 => any::<bool>().prop_map(|coupled| Op::Activate { coupled }),
        1 => Just(Op::Follow),
        2 => (0..6_usize).prop_map(Op::Truncate),
        1 => (0..4_usize).prop_map(Op::Crash),
    ]
}

fn of() -> impl Strategy<Value = Of> {
    prop_oneof![3 => Just(Of::Durable), 3 => Just(Of::Committed), 1 => Just(Of::Puts)]
}

fn apply(host: &mut Host, op: Op) {
    let end = host.written.len();
    match op {
        Op::Write(length) if host.follows() => {
            let epoch = Epoch(host.journal().epoch().0.max(1));
            let payload = Arc::from(vec![length; usize::from(length)]);
            host.act(Act::Adopt(Record::write(host.position(end), epoch, payload).unwrap()));
        }
        Op::Write(length) => _ = host.act(Act::Append(vec![length; usize::from(length)])),
        Op::Put => _ = host.act(Act::Put),
        Op::Say { lane, latest_only, of, back } => host.say(lane, latest_only, of, end.saturating_sub(back)),
        Op::Withdraw(lane) => {
            host.give_up(|word| word.lane == lane);
            host.act(Act::Withdraw(lane));
        }
        Op::Sync(tasks) => host.sync(tasks),
        Op::Confirm(choice) => host.confirm(choice),
        Op::Copy { records, back } => {
            host.copy(records);
            let acknowledged = host.position(host.standby.saturating_sub(back));
            assert!(host.act(Act::Acknowledge(acknowledged)), "{acknowledged:?} was refused");
        }
        Op::Told(more) if host.follows() => {
            host.told = end.min(host.told + more);
            host.act(Act::Told(Offset(host.told as u64)));
        }
        Op::CoupleOrNot if host.coupled() => _ = host.act(Act::Decouple),
        Op::CoupleOrNot if !host.follows() => _ = host.act(Act::Couple(Offset(host.standby as u64))),
        Op::Activate { coupled } if host.follows() => {
            let acked = coupled.then_some(Offset(host.standby as u64));
            host.act(Act::Activate(host.journal().epoch().next(), acked));
        }
        Op::Follow if !host.follows() => {
            host.told = 0;
            host.give_up(|word| word.of == Of::Committed);
            host.act(Act::Follow(host.journal().epoch().next()));
        }
        Op::Truncate(back) if host.follows() => {
            let to = end.saturating_sub(back).max(host.committed).max(host.told);
            if to < end {
                assert!(host.act(Act::Truncate(host.position(to))), "not cut at {to}");
            }
        }
        Op::Crash(survivors) => host.crash(survivors),
        Op::Told(_) | Op::CoupleOrNot | Op::Activate { .. } | Op::Follow | Op::Truncate(_) => {}
    }
}

fn keeps_its_word(ops: Vec<Op>, alone: bool, bug: Bug) {
    let mut host = Host::new(bug, alone);
    for op in ops {
        apply(&mut host, op);
    }
    host.heal();
}

fn plans() -> impl Strategy<Value = (Vec<Op>, bool)> {
    (vec(op(), 0..80), any::<bool>())
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_node_keeps_its_word((ops, alone) in plans()) {
        keeps_its_word(ops, alone, Bug::None);
    }
}

/// The law above is worth something only if it sees a disk that lies.
fn is_found(bug: Bug) {
    let mut runner = TestRunner::new_with_rng(cases(5_000), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&plans(), |(ops, alone)| {
        keeps_its_word(ops, alone, bug);
        Ok(())
    });
    let Err(TestError::Fail(reason, _)) = outcome else { panic!("{bug:?} was not found: {outcome:?}") };
    assert!(reason.message().contains("promised what is not on the disk"), "{reason}");
}

#[test]
fn confirming_before_sync_is_found() {
    is_found(Bug::ConfirmsBeforeSync);
}

#[test]
fn forgetting_the_generation_is_found() {
    is_found(Bug::ForgetsGeneration);
}

/// A lane in which each promise supersedes the one before must not be put off by its own stream.
#[test]
fn superseding_starves_nobody() {
    let mut host = Host::new(Bug::None, true);
    for n in 0..100 {
        host.act(Act::Append(vec![1]));
        host.say(0, true, Of::Committed, host.written.len());
        assert!(host.held() <= 2);
        // The disk is always one record behind.
        host.sync(usize::from(n > 0));
        host.confirm(0);
        assert_eq!(host.out(), n, "each confirmation lets one out");
    }
}

/// What needs only the disk must not wait for the standby because something newer does.
#[test]
fn superseding_by_something_surer_delays_nothing() {
    let mut host = Host::new(Bug::None, true);
    host.act(Act::Couple(Offset(0)));
    host.act(Act::Append(vec![1]));
    host.say(0, true, Of::Durable, 1);
    host.say(0, true, Of::Committed, 1);
    host.sync(1);
    host.confirm(0);
    assert_eq!((host.out(), host.held()), (1, 1));
}

#[test]
fn superseding_keeps_the_newest_only() {
    let mut host = Host::new(Bug::None, true);
    host.act(Act::Append(vec![1]));
    for _ in 0..100 {
        host.say(0, true, Of::Durable, 1);
        assert_eq!(host.held(), 1);
    }
    host.sync(1);
    host.confirm(0);
    assert_eq!((host.out(), host.held()), (1, 0));
}

#[test]
fn what_the_standby_does_not_have_is_not_committed() {
    let mut host = Host::new(Bug::None, true);
    host.act(Act::Couple(Offset(0)));
    host.act(Act::Append(vec![1]));
    host.say(0, false, Of::Committed, 1);
    host.say(1, false, Of::Durable, 1);
    host.sync(1);
    assert_eq!(host.out(), 0);
    host.confirm(0);
    assert_eq!(host.out(), 1, "durable, so the promise that needs no more is out");

    let right = host.position(1);
    let wrong = Position { chain: Chain(right.chain.0 ^ 1), ..right };
    assert!(!host.act(Act::Acknowledge(wrong)), "another record at the same offset does not count");
    assert!(!host.act(Act::Acknowledge(Position { offset: Offset(2), ..right })), "nor one that does not exist");
    assert_eq!(host.out(), 1);
    host.copy(1);
    assert!(host.act(Act::Acknowledge(right)));
    assert_eq!(host.out(), 2);
}

#[test]
fn committed_records_are_not_cut() {
    let mut host = Host::new(Bug::None, true);
    host.act(Act::Append(vec![1]));
    host.sync(1);
    host.confirm(0);
    host.act(Act::Follow(Epoch(7)));
    assert!(!host.act(Act::Truncate(Position::ORIGIN)), "it was committed here");

    let copy = Record::write(host.position(1), Epoch(7), Arc::from([2])).unwrap();
    assert!(host.act(Act::Adopt(copy)));
    host.act(Act::Told(Offset(2)));
    host.act(Act::Told(Offset(1)));
    assert!(!host.act(Act::Truncate(host.position(1))), "the active has told that it is committed");
    assert_eq!(host.written.len(), 2);
}

#[test]
fn a_cut_is_at_a_place_of_this_journal() {
    let mut host = Host::new(Bug::None, false);
    for payload in [1, 2] {
        let end = host.position(host.written.len());
        host.act(Act::Adopt(Record::write(end, Epoch(1), Arc::from([payload])).unwrap()));
    }
    let right = host.position(1);
    assert!(!host.act(Act::Truncate(Position { chain: Chain(1), ..right })));
    assert!(!host.act(Act::Truncate(Position { offset: Offset(3), ..right })));
    assert!(host.act(Act::Truncate(right)));
    assert_eq!(host.written.len(), 1);
}

#[test]
fn every_start_has_an_epoch_of_its_own() {
    let mut host = Host::new(Bug::None, true);
    for epoch in 1..4 {
        assert_eq!(host.journal().epoch(), Epoch(epoch));
        host.act(Act::Append(vec![1]));
        assert_eq!(host.written.last().unwrap().id.epoch, Epoch(epoch));
        host.crash(1);
    }
}

#[test]
fn records_are_released_up_to_the_image() {
    let mut host = Host::new(Bug::None, true);
    for _ in 0..3 {
        host.act(Act::Append(vec![1]));
    }
    host.sync(3);
    host.confirm(0);
    host.act(Act::Imaged(host.position(2)));
    host.act(Act::Imaged(host.position(1)));
    assert_eq!(host.journal().image(), host.position(2), "an older image changes nothing");
    for before in [1, 2, 1] {
        host.act(Act::Release(Offset(before)));
    }
    assert_eq!(host.released(), [Offset(1), Offset(2)]);
    assert_eq!(host.journal().released(), Offset(2));
}

#[test]
#[should_panic(expected = "released, but the image is at")]
fn what_no_image_covers_is_not_released() {
    let mut host = Host::new(Bug::None, true);
    host.act(Act::Append(vec![1]));
    host.sync(1);
    host.confirm(0);
    host.act(Act::Release(Offset(1)));
}

#[test]
#[should_panic(expected = "committed")]
fn an_image_is_of_committed_records() {
    let mut host = Host::new(Bug::None, true);
    host.act(Act::Append(vec![1]));
    host.act(Act::Imaged(host.position(1)));
}
