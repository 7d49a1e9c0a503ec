//! Randomness from one seed.
//!
//! A node gets one seed at its start. Each purpose draws from a child stream of its own, found by name: a draw added for one
//! purpose shifts no other. A child depends on the seed and the name only, not on what was drawn before. Not for secrets.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood 2014): a counter through a mixing function, integers only, the same
//! on every machine. Its state is seed and number of draws, so two runs that should be equal can be compared by draws too.

use crate::checksum::{Checksum, checksum};

/// A stream of random numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Random {
    seed: u64,
    draws: u64,
}

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, draws: 0 }
    }

    /// The stream for a purpose.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self::new(checksum(self.seed, name.as_bytes()))
    }

    /// The stream for one of many things of the same purpose.
    #[must_use]
    pub fn numbered_child(&self, name: &str, number: u64) -> Self {
        let mut mixed = Checksum::new(self.child(name).seed);
        mixed.update(&number.to_le_bytes());
        Self::new(mixed.finish())
    }

    /// How many numbers were drawn.
    #[must_use]
    pub const fn draws(&self) -> u64 {
        self.draws
    }

    /// The stream from its beginning.
    #[cfg(feature = "planted")]
    pub(crate) const fn rewind(&mut self) {
        self.draws = 0;
    }

    /// A number of 64 random bits.
    pub const fn next(&mut self) -> u64 {
        self.draws += 1;
        let z = self.seed.wrapping_add(self.draws.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, each equally likely.
    ///
    /// # Panics
    /// When `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        // The high half of a product is evenly distributed if the low halves of an incomplete last round are drawn again.
        let incomplete = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            if product as u64 >= incomplete {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number in `first..=last`, each equally likely.
    ///
    /// # Panics
    /// When `last` is below `first`.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        assert!(first <= last, "there is no number between {first} and {last}");
        match (last - first).checked_add(1) {
            Some(count) => first + self.below(count),
            None => self.next(),
        }
    }

    /// True in `hits` of `of` cases.
    ///
    /// # Panics
    /// When `of` is zero.
    pub fn chance(&mut self, hits: u64, of: u64) -> bool {
        self.below(of) < hits
    }

    /// One of the items; none of nothing.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len() as u64) as usize) }
    }

    /// Brings the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that Vigna's reference implementation yields for this seed.
    #[test]
    fn published_vectors() {
        let mut random = Random::new(1_234_567);
        for expected in [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ] {
            assert_eq!(random.next(), expected);
        }
        assert_eq!(random.draws(), 5);
    }

    #[test]
    fn bounds_are_met_and_kept() {
        let mut random = Random::new(1);
        let mut seen = [0; 5];
        for _ in 0..5_000 {
            seen[random.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (900..1_100).contains(&count)), "{seen:?}");
        assert_eq!(random.below(1), 0);
        assert!((7..=9).contains(&random.between(7, 9)));
        random.between(0, u64::MAX);
        assert!(!random.chance(0, 3) && random.chance(3, 3));
    }

    #[test]
    fn shuffling_keeps_the_items() {
        let mut random = Random::new(2);
        let mut items = [1, 2, 3, 4, 5, 6, 7, 8];
        random.shuffle(&mut items);
        assert_ne!(items, [1, 2, 3, 4, 5, 6, 7, 8]);
        items.sort_unstable();
        assert_eq!(items, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(random.pick::<u8>(&[]), None);
        assert_eq!(random.pick(&[3]), Some(&3));
    }
}
