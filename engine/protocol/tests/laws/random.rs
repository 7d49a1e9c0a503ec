//! Streams depend on seed and name only, and do not disturb each other.

use crate::cases;
use baton_protocol::random::Random;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn first(mut random: Random, count: usize) -> Vec<u64> {
    (0..count).map(|_| random.next()).collect()
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn draws_of_one_stream_do_not_shift_another(seed: u64, name in "[a-z]{0,8}", draws in 0..50_usize, number: u64) {
        let mut parent = Random::new(seed);
        let (child, numbered) = (parent.child(&name), parent.numbered_child(&name, number));
        let (untouched, mut sibling) = (parent.clone(), parent.child("sibling"));
        let expected = first(untouched, 3);
        for _ in 0..draws {
            sibling.next();
        }
        prop_assert_eq!(first(parent.clone(), 3), expected);
        (0..draws).for_each(|_| _ = parent.next());
        prop_assert_eq!(parent.child(&name), child);
        prop_assert_eq!(parent.numbered_child(&name, number), numbered);
        prop_assert_eq!(parent.draws(), draws as u64);
    }

    #[test]
    fn streams_differ(seed: u64) {
        let root = Random::new(seed);
        let mut streams = vec![root.clone(), Random::new(seed ^ 1), root.child(""), root.child("a"), root.child("b")];
        streams.extend((0..50).map(|number| root.numbered_child("a", number)));
        streams.push(root.child("a").child("b"));
        let heads: BTreeSet<u64> = streams.iter().flat_map(|stream| first(stream.clone(), 20)).collect();
        prop_assert_eq!(heads.len(), streams.len() * 20);
    }

    #[test]
    fn bounds_are_kept(seed: u64, a: u64, b: u64) {
        let mut random = Random::new(seed);
        let (low, high) = (a.min(b), a.max(b));
        prop_assert!((low..=high).contains(&random.between(low, high)));
        prop_assert!(high == 0 || random.below(high) < high);
    }
}
