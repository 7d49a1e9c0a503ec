//! Deadlines behave as a list that is searched from end to end, and a million of them is no trouble.

use crate::cases;
use baton_protocol::deadline::Deadlines;
use baton_protocol::time::Instant;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Set(u8, u64),
    Cancel(u8),
    Take(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..8_u8, 0..20_u64).prop_map(|(reason, at)| Op::Set(reason, at)),
        1 => (0..8_u8).prop_map(Op::Cancel),
        1 => (0..20_u64).prop_map(Op::Take),
    ]
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn as_a_slow_model(ops in vec(op(), 0..60)) {
        let mut deadlines = Deadlines::default();
        let mut model: Vec<(u64, u8)> = Vec::new();
        for op in ops {
            match op {
                Op::Set(reason, at) => {
                    deadlines.set(reason, Instant::from_nanos(at));
                    model.retain(|entry| entry.1 != reason);
                    model.push((at, reason));
                }
                Op::Cancel(reason) => {
                    let expected = model.iter().find(|entry| entry.1 == reason).map(|entry| Instant::from_nanos(entry.0));
                    prop_assert_eq!(deadlines.get(&reason), expected);
                    prop_assert_eq!(deadlines.cancel(&reason), expected);
                    model.retain(|entry| entry.1 != reason);
                }
                Op::Take(now) => {
                    model.sort_unstable();
                    let due = model.iter().filter(|entry| entry.0 <= now).count();
                    for (_, reason) in model.drain(..due) {
                        prop_assert_eq!(deadlines.take_due(Instant::from_nanos(now)), Some(reason));
                    }
                    prop_assert_eq!(deadlines.take_due(Instant::from_nanos(now)), None);
                }
            }
            deadlines.check();
            prop_assert_eq!(deadlines.len(), model.len());
            prop_assert_eq!(deadlines.is_empty(), model.is_empty());
            prop_assert_eq!(deadlines.next(), model.iter().min().map(|entry| Instant::from_nanos(entry.0)));
        }
    }
}

#[test]
fn a_million() {
    let mut deadlines = Deadlines::new();
    for reason in 0..1_000_000_u64 {
        deadlines.set(reason, Instant::from_nanos(reason.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40));
    }
    let (mut last, mut count) = (Instant::ZERO, 0);
    while let Some(next) = deadlines.next() {
        assert!(last <= next);
        last = next;
        deadlines.take_due(next).unwrap();
        count += 1;
    }
    assert_eq!(count, 1_000_000);
}
