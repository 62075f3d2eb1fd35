//! chrF (Popović 2015) and chrF++ (Popović 2017) as sacrebleu computes them: the F-score with beta 2 of the mean
//! precision and the mean recall over character n-grams of 1 to 6 without whitespace, and for chrF++ also over word
//! unigrams and bigrams. Case matters, and characters are code points. Of several references, the one that gives the
//! row the best score counts.

use std::ops::AddAssign;

use super::bleu::no_reference;
use super::ngram::{NgramCounts, totals};
use super::signature::{ReferenceCount, VERSION};
use super::sums::sums;
use super::tokenize_13a::is_space;
use super::vocabulary::Vocabulary;
use crate::Result;

const CHARACTERS: usize = 6;
const WORDS: usize = 2;
const BETA_SQUARED: f64 = 4.0;

/// Numbers of n-grams of one order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overlap {
    /// N-grams in the hypotheses; 0 for a row whose reference has none of this order.
    pub hypothesis: u64,
    /// N-grams in the references.
    pub reference: u64,
    /// N-grams in both, clipped.
    pub matches: u64,
}

/// Sufficient statistics of chrF for one or more rows. They are integers, so sums are exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChrfStats {
    /// Overlap of each order: character n-grams of 1 to 6, then word n-grams of 1 and 2 (zero for plain chrF).
    pub orders: [Overlap; CHARACTERS + WORDS],
}

impl ChrfStats {
    /// Length of [`Self::values`].
    pub const WIDTH: usize = 3 * (CHARACTERS + WORDS);

    /// The statistics as floats that can be summed in their place, exact below 2^53: hypothesis, reference, matches of
    /// each order.
    #[must_use]
    pub fn values(&self) -> [f64; Self::WIDTH] {
        let mut values = [0.0; Self::WIDTH];
        let counts = self.orders.iter().flat_map(|order| [order.hypothesis, order.reference, order.matches]);
        values.iter_mut().zip(counts).for_each(|(value, count)| *value = count as f64);
        values
    }

    /// The statistics from a sum of [`Self::values`]; missing values count as 0.
    #[must_use]
    pub fn from_values(values: &[f64]) -> Self {
        let count = |at: usize| values.get(at).map_or(0, |&value| value as u64);
        let order =
            |n: usize| Overlap { hypothesis: count(3 * n), reference: count(3 * n + 1), matches: count(3 * n + 2) };
        Self { orders: std::array::from_fn(order) }
    }
}

impl AddAssign for ChrfStats {
    fn add_assign(&mut self, other: Self) {
        for (sum, other) in self.orders.iter_mut().zip(other.orders) {
            sum.hypothesis += other.hypothesis;
            sum.reference += other.reference;
            sum.matches += other.matches;
        }
    }
}

sums!(ChrfStats);

/// The variant of chrF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chrf {
    /// chrF: characters only.
    Characters,
    /// chrF++: characters and words.
    PlusPlus,
}

impl Chrf {
    fn word_order(self) -> usize {
        match self {
            Self::Characters => 0,
            Self::PlusPlus => WORDS,
        }
    }

    /// Computes the score, in 0..=100, from the statistics of a row or their sum over rows. Orders for which one side
    /// is too short are ignored.
    #[must_use]
    pub fn score(self, stats: &ChrfStats) -> f64 {
        let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
        for order in &stats.orders[..CHARACTERS + self.word_order()] {
            if order.hypothesis > 0 && order.reference > 0 {
                precision += order.matches as f64 / order.hypothesis as f64;
                recall += order.matches as f64 / order.reference as f64;
                orders += 1.0;
            }
        }
        if precision + recall == 0.0 {
            return 0.0;
        }
        precision /= orders;
        recall /= orders;
        // The operations are in the order of sacrebleu's, since the choice among references compares these values.
        let score = (1.0 + BETA_SQUARED) * precision * recall;
        100.0 * (score / (BETA_SQUARED * precision + recall))
    }

    /// The settings in sacrebleu's form.
    #[must_use]
    pub fn signature(self, references: ReferenceCount) -> String {
        let words = self.word_order();
        format!("nrefs:{references}|case:mixed|eff:yes|nc:{CHARACTERS}|nw:{words}|space:no|{VERSION}")
    }
}

/// Turns rows into statistics. It holds buffers, so use one counter for many rows.
#[derive(Debug, Clone)]
pub struct ChrfCounter {
    chrf: Chrf,
    words: Vocabulary,
    character_ngrams: NgramCounts,
    word_ngrams: NgramCounts,
}

impl ChrfCounter {
    /// A counter for chrF or chrF++.
    #[must_use]
    pub fn new(chrf: Chrf) -> Self {
        Self {
            chrf,
            words: Vocabulary::default(),
            character_ngrams: NgramCounts::default(),
            word_ngrams: NgramCounts::default(),
        }
    }

    /// Statistics of a hypothesis against the reference that gives the best score (the first of equals). Any of the
    /// texts may be empty.
    ///
    /// # Errors
    /// If there is no reference.
    pub fn stats<S: AsRef<str>>(&mut self, hypothesis: &str, references: &[S]) -> Result<ChrfStats> {
        let [characters, words] = self.units(hypothesis);
        self.character_ngrams.clear(characters.len().saturating_mul(CHARACTERS));
        self.character_ngrams.add(0, &characters, CHARACTERS);
        self.word_ngrams.clear(words.len().saturating_mul(WORDS));
        self.word_ngrams.add(0, &words, WORDS);
        let mut best: Option<(f64, ChrfStats)> = None;
        for (tag, reference) in (1..).zip(references) {
            let [reference_characters, reference_words] = self.units(reference.as_ref());
            let character_matches: [_; CHARACTERS] = self.character_ngrams.matches(tag, &reference_characters, None);
            let word_matches: [_; WORDS] = self.word_ngrams.matches(tag, &reference_words, None);
            let mut stats = ChrfStats::default();
            let (character_orders, word_orders) = stats.orders.split_at_mut(CHARACTERS);
            fill(character_orders, characters.len(), reference_characters.len(), character_matches);
            fill(word_orders, words.len(), reference_words.len(), word_matches);
            let score = self.chrf.score(&stats);
            if best.is_none_or(|(best, _)| score > best) {
                best = Some((score, stats));
            }
        }
        best.map(|(_, stats)| stats).ok_or_else(no_reference)
    }

    /// The code points without whitespace, and for chrF++ the words.
    fn units(&mut self, text: &str) -> [Vec<u32>; 2] {
        let characters = text.chars().filter(|&c| !is_space(c)).map(u32::from).collect();
        let mut words = Vec::new();
        if self.chrf == Chrf::PlusPlus {
            for word in text.split(is_space) {
                split_punctuation(word, |part| words.push(self.words.id(part)));
            }
        }
        [characters, words]
    }
}

/// Splits one ASCII punctuation mark off the end of a word or, if there is none, off its start. Like sacrebleu it never
/// does both: `(so)` becomes `(so` and `)`.
fn split_punctuation(word: &str, mut part: impl FnMut(&str)) {
    let marked = |at: usize| word.as_bytes().get(at).is_some_and(u8::is_ascii_punctuation);
    let last = word.len().saturating_sub(1);
    let cut = if marked(last) { last } else { usize::from(marked(0)) };
    for piece in [&word[..cut], &word[cut..]] {
        if !piece.is_empty() {
            part(piece);
        }
    }
}

fn fill<const N: usize>(orders: &mut [Overlap], hypothesis: usize, reference: usize, matches: [u64; N]) {
    let (hypothesis, reference) = (totals::<N>(hypothesis), totals::<N>(reference));
    for (n, order) in orders.iter_mut().enumerate().take(N) {
        let known = if reference[n] > 0 { hypothesis[n] } else { 0 };
        *order = Overlap { hypothesis: known, reference: reference[n], matches: matches[n] };
    }
}

#[cfg(test)]
#[path = "chrf_tests.rs"]
mod tests;
