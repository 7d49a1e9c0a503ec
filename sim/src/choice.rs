//! The only entropy of a simulated world: everything that is drawn comes from one seed.
//!
//! Each part of the world draws from a stream of its own, found by name, so that a draw more in one part shifts no other. All
//! draws are counted together: two runs of the same seed which differ in their counts are not the same run.

use baton_protocol::random::Random;
use std::cell::Cell;
use std::rc::Rc;

/// A stream of choices.
#[derive(Clone, Debug)]
pub struct Choice {
    random: Random,
    draws: Rc<Cell<u64>>,
}

impl Choice {
    /// The root of all choices of a world.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Self { random: Random::new(seed), draws: Rc::default() }
    }

    /// The choices of a part of the world. They depend on the seed and the name only.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self { random: self.random.child(name), draws: self.draws.clone() }
    }

    /// How many numbers have been drawn, in this stream and all others of the same seed.
    #[must_use]
    pub fn draws(&self) -> u64 {
        self.draws.get()
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.count(Random::next)
    }

    /// A number below `bound`, each equally likely.
    ///
    /// # Panics
    /// When `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.count(|random| random.below(bound))
    }

    /// A number from `least` up to and including `most`.
    ///
    /// # Panics
    /// When `least` is above `most`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        assert!(least <= most, "no number is between {least} and {most}");
        match (most - least).checked_add(1) {
            Some(count) => least + self.below(count),
            None => self.bits(),
        }
    }

    /// Whether something happens which happens `parts` times in a million.
    pub fn one_in_a_million(&mut self, parts: u64) -> bool {
        self.below(1_000_000) < parts
    }

    /// One of these; `None` of nothing.
    pub fn one_of<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        if things.is_empty() {
            return None;
        }
        let at = usize::try_from(self.below(things.len() as u64)).unwrap_or(0);
        things.get(at)
    }

    fn count<T>(&mut self, draw: impl FnOnce(&mut Random) -> T) -> T {
        let before = self.random.draws();
        let drawn = draw(&mut self.random);
        self.draws.set(self.draws.get() + (self.random.draws() - before));
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_choices() {
        let draw = || {
            let root = Choice::of_seed(7);
            let (mut a, mut b) = (root.child("network"), root.child("disk"));
            let drawn: Vec<u64> = (0..100).map(|_| a.below(10) * 100 + b.between(3, 5)).collect();
            (drawn, root.draws())
        };
        let (drawn, draws) = draw();
        assert_eq!(draw(), (drawn.clone(), draws));
        assert!(draws >= 200);
        assert!(drawn.iter().all(|n| (3..=5).contains(&(n % 100))));
        assert!(drawn.windows(2).any(|w| w[0] != w[1]));
    }

    #[test]
    fn a_draw_in_one_part_shifts_no_other() {
        let root = Choice::of_seed(7);
        let expected = root.child("disk").bits();
        root.child("network").bits();
        assert_eq!(root.child("disk").bits(), expected);
        assert_ne!(Choice::of_seed(8).child("disk").bits(), expected);
    }

    #[test]
    fn bounds_are_kept() {
        let mut choice = Choice::of_seed(1);
        assert_eq!(choice.between(u64::MAX, u64::MAX), u64::MAX);
        choice.between(0, u64::MAX);
        assert_eq!(choice.one_of::<u8>(&[]), None);
        assert!(choice.one_of(&[1, 2]).is_some());
        assert!((0..1000).all(|_| !choice.one_in_a_million(0) && choice.one_in_a_million(1_000_000)));
    }
}
