//! A hash for tables whose keys are our own numbers: a multiplication a word, mixed with a seed of the process.
//!
//! The standard one withstands strangers who choose keys so that they collide; numbers of pupils, days and terminals are given by the
//! school. A meal is looked up and written down in such tables several times, and half of the time for one went into hashing.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Makes hashers of one seed.
#[derive(Debug, Clone)]
pub(crate) struct Mixing(u64);

impl Default for Mixing {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u8))
    }
}

impl BuildHasher for Mixing {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer(self.0)
    }
}

/// The state of one hash.
pub(crate) struct Mixer(u64);

const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

impl Mixer {
    fn mix(&mut self, word: u64) {
        // Both halves of the product: the upper bits pick the group in the table, the lower ones the place in it.
        let product = u128::from(self.0 ^ word).wrapping_mul(u128::from(FACTOR));
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_spread_over_all_bits() {
        let mixing = Mixing::default();
        for shift in [0, 7, 32, 57] {
            let mut places = std::collections::HashSet::new();
            for pupil in 0..4096_u64 {
                let mut hasher = mixing.build_hasher();
                hasher.write_u64(pupil);
                hasher.write_u32(20_261_005);
                hasher.write_u32(1);
                places.insert(hasher.finish() >> shift & 0x7f);
            }
            assert_eq!(places.len(), 128, "bits {shift} and on");
        }
    }
}
