//! Hashes that are the same in every run.

use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher};

/// The hash of a value.
pub(crate) fn hash_of(value: &impl Hash) -> u64 {
    BuildHasherDefault::<Folding>::default().hash_one(value)
}

/// Multiplies and folds, word by word: as even as needed here, and several times faster than the standard one, which is made
/// to resist attacks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Folding(u64);

impl Folding {
    /// Of another kind than the default one.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 56);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        // Digits of pi, so that nothing is zero.
        let product = u128::from(self.0 ^ number ^ 0x243F_6A88_85A3_08D3) * u128::from(0x1319_8A2E_0370_7345_u64);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
