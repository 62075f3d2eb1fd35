//! Words as numbers: each distinct word gets the next `u32`, so that counting works on integers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Every distinct word with its number, in order of first occurrence. Looking up a known word needs no allocation.
#[derive(Debug, Clone, Default)]
pub(super) struct Vocabulary {
    ids: HashMap<Box<str>, u32, BuildHasherDefault<WordHasher>>,
}

impl Vocabulary {
    /// The number of `word`; a new word gets the next number.
    pub fn id(&mut self, word: &str) -> u32 {
        if let Some(&id) = self.ids.get(word) {
            return id;
        }
        let next = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.ids.insert(word.into(), next);
        next
    }
}

const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// Hashes eight bytes per step. Unlike the default hasher it is not keyed: words chosen to collide would only cost
/// time.
#[derive(Debug, Clone, Copy, Default)]
struct WordHasher(u64);

impl WordHasher {
    fn step(&mut self, chunk: u64) {
        self.0 = (self.0.rotate_left(23) ^ chunk).wrapping_mul(MIX);
    }
}

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<8>();
        for &chunk in chunks {
            self.step(u64::from_le_bytes(chunk));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.step(u64::from_le_bytes(last));
    }

    fn write_u8(&mut self, byte: u8) {
        self.step(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        // The table uses the low bits as the index and the high ones as the tag, but only the high bits of a product
        // are well mixed.
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(MIX);
        mixed ^ (mixed >> 29)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_word_same_number_in_order_of_first_sight() {
        let mut words = Vocabulary::default();
        let ids: Vec<u32> = ["a", "B", "a", "", "\u{1F600}", "B"].iter().map(|word| words.id(word)).collect();
        assert_eq!(ids, [0, 1, 0, 2, 3, 1]);
    }

    #[test]
    fn many_words_stay_distinct() {
        let mut words = Vocabulary::default();
        for round in 0..2 {
            for n in 0..50_000u32 {
                assert_eq!(words.id(&format!("word{n}")), n, "round {round}");
            }
        }
    }
}
