//! The one checksum of records and frames: XXH64.
//!
//! It guards against accidents (torn writes, flipped bits, a diverged journal), not against an attacker: links are
//! authenticated below us, and who can write to the disk needs no collision. XXH64 is specified bit by bit in public
//! (`xxhash_spec.md` of the xxHash project), passes the usual avalanche tests, is fast in plain integer arithmetic, and
//! will never change. Its values are stored on disks and compared between versions, so it must not be replaced without
//! a new version of the formats that contain it.

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

const STRIPE: usize = 32;

/// XXH64 of one slice.
#[must_use]
pub fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    let mut checksum = Checksum::new(seed);
    checksum.update(bytes);
    checksum.finish()
}

/// XXH64 of bytes that arrive in pieces. How they are cut does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checksum {
    seed: u64,
    lanes: [u64; 4],
    partial: [u8; STRIPE],
    filled: usize,
    length: u64,
}

impl Checksum {
    /// The checksum of no bytes yet.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        let lanes = [seed.wrapping_add(P1).wrapping_add(P2), seed.wrapping_add(P2), seed, seed.wrapping_sub(P1)];
        Self { seed, lanes, partial: [0; STRIPE], filled: 0, length: 0 }
    }

    /// Appends `bytes`.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if self.filled > 0 {
            let (taken, rest) = bytes.split_at(bytes.len().min(STRIPE - self.filled));
            self.partial[self.filled..self.filled + taken.len()].copy_from_slice(taken);
            self.filled += taken.len();
            bytes = rest;
            if self.filled < STRIPE {
                return;
            }
            mix_stripe(&mut self.lanes, &self.partial);
            self.filled = 0;
        }
        let (stripes, rest) = bytes.as_chunks::<STRIPE>();
        for stripe in stripes {
            mix_stripe(&mut self.lanes, stripe);
        }
        self.partial[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    /// The checksum of everything appended so far.
    #[must_use]
    pub fn finish(&self) -> u64 {
        let mut hash = if self.length < STRIPE as u64 {
            self.seed.wrapping_add(P5)
        } else {
            let [a, b, c, d] = self.lanes;
            let start = a
                .rotate_left(1)
                .wrapping_add(b.rotate_left(7))
                .wrapping_add(c.rotate_left(12))
                .wrapping_add(d.rotate_left(18));
            self.lanes.iter().fold(start, |hash, &lane| (hash ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4))
        };
        hash = hash.wrapping_add(self.length);

        let (words, rest) = self.partial[..self.filled].as_chunks::<8>();
        for word in words {
            hash = (hash ^ round(0, u64::from_le_bytes(*word))).rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
        }
        let (halves, rest) = rest.as_chunks::<4>();
        for half in halves {
            let half = u64::from(u32::from_le_bytes(*half));
            hash = (hash ^ half.wrapping_mul(P1)).rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
        }
        for &byte in rest {
            hash = (hash ^ u64::from(byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
        }

        hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
        hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
        hash ^ (hash >> 32)
    }
}

fn mix_stripe(lanes: &mut [u64; 4], stripe: &[u8; STRIPE]) {
    for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
        *lane = round(*lane, u64::from_le_bytes(*word));
    }
}

const fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// The input of xxHash's own self-test: bytes from a multiplicative generator.
    fn sanity_input(length: usize) -> Vec<u8> {
        let mut state: u64 = 2_654_435_761;
        (0..length)
            .map(|_| {
                let byte = (state >> 56) as u8;
                state = state.wrapping_mul(11_400_714_785_074_694_797);
                byte
            })
            .collect()
    }

    /// Published values: the self-test of xxHash (`XSUM_XXH64_testdata`), and the well-known ones of short texts.
    #[test]
    fn published_vectors() {
        const PRIME32: u64 = 2_654_435_761;
        for (length, seed, expected) in [
            (0, 0, 0xEF46_DB37_51D8_E999),
            (0, PRIME32, 0xAC75_FDA2_929B_17EF),
            (1, 0, 0xE934_A84A_DB05_2768),
            (1, PRIME32, 0x5014_6076_43A9_B4C3),
            (4, 0, 0x9136_A0DC_A574_57EE),
            (14, 0, 0x8282_DCC4_994E_35C8),
            (14, PRIME32, 0xC3BD_6BF6_3DEB_6DF0),
            (222, 0, 0xB641_AE8C_B691_C174),
            (222, PRIME32, 0x20CB_8AB7_AE10_C14A),
        ] {
            assert_eq!(checksum(seed, &sanity_input(length)), expected, "length {length}, seed {seed}");
        }
        assert_eq!(checksum(0, b"a"), 0xD24E_C4F1_A98C_6E5B);
        assert_eq!(checksum(0, b"abc"), 0x44BC_2CF5_AD77_0999);
    }

    #[test]
    fn pieces_make_the_same_checksum() {
        let input = sanity_input(200);
        for cut in 0..=input.len() {
            for second in [cut, (cut + 31).min(200), (cut + 33).min(200)] {
                let mut pieces = Checksum::new(7);
                pieces.update(&input[..cut]);
                pieces.update(&input[cut..second]);
                pieces.update(&input[second..]);
                assert_eq!(pieces.finish(), checksum(7, &input));
            }
        }
    }
}
