//! Lexical diversity of a set of texts: entropy of the n-grams, distinct n-grams, and the mean segmental type-token
//! ratio (MSTTR); and the word overlap of the two sides of a pair. Self-BLEU is [`crate::metric::ibleu::self_bleu`].
//!
//! Tokens are separated by white space, and case matters. Entropies grow with the number of texts: compare two sets
//! only at equal size ([`crate::metric::bootstrap::equal_samples`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::token::whitespace_tokens;

/// Tokens per MSTTR segment, as in Impossible Distillation.
pub const SEGMENT: usize = 100;

/// N-gram counts of a growing set of texts. Memory is linear in the number of distinct words, bigrams and trigrams,
/// independent of the length of the texts. The order of the texts matters only for [`Lexical::msttr`] and
/// [`Lexical::msttr_with_last`].
#[derive(Debug, Clone)]
pub struct Diversity {
    words: HashMap<Box<str>, u32>,
    counts: Vec<u64>,
    bigrams: Grams,
    trigrams: Grams,
    texts: u64,
    segments: Segments,
}

/// The metrics that [`Diversity`] computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lexical {
    /// Number of texts.
    pub texts: u64,
    /// Number of tokens in them.
    pub tokens: u64,
    /// Shannon entropy in bits of the distribution of n-grams for n = 1, 2, 3 (H1, H2, H3), without n-grams that span
    /// two texts; 0 if there are none.
    pub entropy: [f64; 3],
    /// Number of distinct n-grams divided by number of n-grams, for n = 1, 2, 3, in (0, 1]; `None` if there are no
    /// n-grams.
    pub distinct: [Option<f64>; 3],
    /// Mean over full segments of distinct tokens divided by tokens, in percent. Segments span texts. `None` if there
    /// are fewer tokens than one segment holds.
    pub msttr: Option<f64>,
    /// The same with the last, incomplete segment counted as one more.
    pub msttr_with_last: Option<f64>,
}

impl Default for Diversity {
    fn default() -> Self {
        Self::new(SEGMENT)
    }
}

impl Diversity {
    /// Counts of no texts yet. `segment` is the length of an MSTTR segment in tokens; 0 counts as 1.
    #[must_use]
    pub fn new(segment: usize) -> Self {
        Self {
            words: HashMap::new(),
            counts: Vec::new(),
            bigrams: Grams::default(),
            trigrams: Grams::default(),
            texts: 0,
            segments: Segments { size: segment.max(1) as u64, full: 0, distinct: 0, len: 0, open: 0, seen: Vec::new() },
        }
    }

    /// The metrics of `texts`, with segments of [`SEGMENT`] tokens.
    pub fn of<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Lexical {
        let mut diversity = Self::default();
        for text in texts {
            diversity.add(text.as_ref());
        }
        diversity.lexical()
    }

    /// Adds a text.
    pub fn add(&mut self, text: &str) {
        self.texts += 1;
        // The previous word, and the bigram that it ended.
        let mut before = (None, None);
        for token in whitespace_tokens(text) {
            let word = self.word(token);
            self.segments.add(word);
            let bigram = before.0.map(|first| self.bigrams.add(first, word));
            if let (Some(first), Some(_)) = (before.1, bigram) {
                self.trigrams.add(first, word);
            }
            before = (Some(word), bigram);
        }
    }

    fn word(&mut self, token: &str) -> u32 {
        let word = match self.words.get(token) {
            Some(&word) => word,
            None => {
                let word = next_id(self.counts.len());
                self.words.insert(token.into(), word);
                self.counts.push(0);
                word
            }
        };
        self.counts[word as usize] += 1;
        word
    }

    /// The metrics of the texts added so far.
    #[must_use]
    pub fn lexical(&self) -> Lexical {
        let counts = [&self.counts, &self.bigrams.counts, &self.trigrams.counts];
        let distinct = |counts: &Vec<u64>| {
            let total: u64 = counts.iter().sum();
            (total > 0).then(|| counts.len() as f64 / total as f64)
        };
        Lexical {
            texts: self.texts,
            tokens: self.counts.iter().sum(),
            entropy: counts.map(|counts| entropy_bits(counts.iter().copied())),
            distinct: counts.map(distinct),
            msttr: self.segments.mean(false),
            msttr_with_last: self.segments.mean(true),
        }
    }
}

/// Shannon entropy in bits of the distribution given by the counts; 0 if there are none. The result is bit-identical
/// for any order of the counts.
#[must_use]
pub fn entropy_bits(counts: impl IntoIterator<Item = u64>) -> f64 {
    let mut repeats = BTreeMap::<u64, u64>::new();
    for count in counts.into_iter().filter(|&count| count > 0) {
        *repeats.entry(count).or_default() += 1;
    }
    let total: f64 = repeats.iter().map(|(&count, &times)| count as f64 * times as f64).sum();
    repeats.iter().fold(0.0, |sum, (&count, &times)| {
        let p = count as f64 / total;
        sum - times as f64 * p * p.log2()
    })
}

/// Jaccard index of the sets of white-space tokens of two texts, in [0, 1]; 0 when both are empty.
#[must_use]
pub fn jaccard(x: &str, y: &str) -> f64 {
    let x: HashSet<&str> = whitespace_tokens(x).collect();
    let y: HashSet<&str> = whitespace_tokens(y).collect();
    let both = x.intersection(&y).count();
    let all = x.len() + y.len() - both;
    if all == 0 { 0.0 } else { both as f64 / all as f64 }
}

/// Numbers pairs of numbers in order of first occurrence, and counts them. A trigram is the pair of a bigram and a
/// word.
#[derive(Debug, Clone, Default)]
pub(super) struct Grams {
    ids: HashMap<u64, u32, BuildHasherDefault<PairHasher>>,
    counts: Vec<u64>,
}

impl Grams {
    /// Counts the pair once more and returns its number.
    pub(super) fn add(&mut self, first: u32, second: u32) -> u32 {
        let next = next_id(self.counts.len());
        let id = *self.ids.entry(u64::from(first) << 32 | u64::from(second)).or_insert(next);
        if id == next {
            self.counts.push(0);
        }
        self.counts[id as usize] += 1;
        id
    }
}

/// The next id after `len` of them. More than `u32::MAX` distinct words or n-grams would not fit in memory.
pub(super) fn next_id(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Hash of one `u64`: the finaliser of SplitMix64. With the default hasher, hashing would take most of the time.
#[derive(Debug, Clone, Default)]
pub(super) struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mut hash = (self.0 ^ value).wrapping_add(0x9E37_79B9_7F4A_7C15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.0 = hash ^ (hash >> 31);
    }
}

#[derive(Debug, Clone)]
struct Segments {
    size: u64,
    /// Number of complete segments, and the sum of their distinct tokens.
    full: u64,
    distinct: u64,
    /// Number of tokens and of distinct tokens in the incomplete segment.
    len: u64,
    open: u64,
    /// For each word the segment in which it last occurred, counted from 1.
    seen: Vec<u64>,
}

impl Segments {
    fn add(&mut self, word: u32) {
        let word = word as usize;
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        self.open += u64::from(self.seen[word] != self.full + 1);
        self.seen[word] = self.full + 1;
        self.len += 1;
        if self.len == self.size {
            self.distinct += self.open;
            self.full += 1;
            (self.len, self.open) = (0, 0);
        }
    }

    fn mean(&self, with_last: bool) -> Option<f64> {
        let last = with_last && self.len > 0;
        let segments = self.full + u64::from(last);
        let mut sum = self.distinct as f64 / self.size as f64;
        if last {
            sum += self.open as f64 / self.len as f64;
        }
        (segments > 0).then(|| 100.0 * sum / segments as f64)
    }
}

#[cfg(test)]
#[path = "diversity_tests.rs"]
mod tests;
