//! Event ids increase strictly through clock jumps, batches, restarts and takeovers, and stay as close to the clock as
//! that allows.

use crate::cases;
use baton_protocol::event_id::{EventId, EventIds};
use baton_protocol::time::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    /// The clock of the active node goes on, or jumps.
    Clock(i64),
    /// That many events in one record, written from a copy of the ids and observed afterwards.
    Batch(u16),
    /// Decided but never written: the record was refused.
    Refused(u16),
    /// Another node, or the same after a restart, goes on with what is in the journal, by a clock of its own.
    TakeOver(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let time = prop_oneof![4 => 0..5_000_i64, 1 => -3_000_000_000_000..3_000_000_000_000_i64, 1 => Just(i64::MIN)];
    prop_oneof![
        3 => time.clone().prop_map(Op::Clock),
        4 => prop_oneof![1..5_u16, 900..2_500_u16].prop_map(Op::Batch),
        1 => (1..5_u16).prop_map(Op::Refused),
        1 => time.prop_map(Op::TakeOver),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn increase_strictly(ops in vec(op(), 0..40)) {
        let mut clock = Timestamp::EPOCH;
        let mut journal: Vec<EventId> = Vec::new();
        let mut ids = EventIds::default();
        for op in ops {
            match op {
                Op::Clock(millis) => clock = Timestamp::from_millis(millis),
                Op::Refused(count) => {
                    let mut deciding = ids;
                    (0..count).for_each(|_| _ = deciding.next(clock));
                }
                Op::Batch(count) => {
                    let mut deciding = ids;
                    for _ in 0..count {
                        let last = journal.last().copied().unwrap_or_default();
                        let id = deciding.next(clock);
                        prop_assert!(id > last);
                        prop_assert!(id == EventId::at(clock) || id.0 == last.0 + 1, "{} at {:?}", id, clock);
                        prop_assert!(id >= EventId::at(clock));
                        journal.push(id);
                        ids.observe(id).unwrap();
                    }
                    prop_assert_eq!(ids, deciding);
                }
                Op::TakeOver(millis) => {
                    clock = Timestamp::from_millis(millis);
                    let mut replayed = EventIds::default();
                    journal.iter().for_each(|&id| replayed.observe(id).unwrap());
                    prop_assert_eq!(replayed, EventIds::after(journal.last().copied().unwrap_or(EventId::BEFORE_FIRST)));
                    ids = replayed;
                }
            }
        }
    }
}
