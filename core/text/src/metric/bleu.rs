//! BLEU (Papineni et al. 2002) as sacrebleu computes it: case-sensitive, 13a tokens, n-grams of 1 to 4, counts clipped
//! to the largest count in any reference, the reference length closest to that of the hypothesis (the shorter of two
//! equally close), exponential smoothing (method 3 of Chen and Cherry 2014).
//!
//! Each row gives [`BleuStats`]; the statistics of a corpus, or of a bootstrap sample of it, are the sum over its rows,
//! from which [`Bleu::score`] computes the score.

use std::ops::AddAssign;

use super::ngram::{NgramCounts, totals};
use super::signature::{ReferenceCount, VERSION};
use super::sums::sums;
use super::tokenize_13a::tokenize_13a;
use super::vocabulary::Vocabulary;
use crate::{Error, Result};

/// Length of the longest n-grams that are counted.
pub const ORDER: usize = 4;

/// Sufficient statistics of BLEU for one or more rows. They are integers, so sums are exact in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BleuStats {
    /// Number of tokens in the hypotheses.
    pub hypothesis_len: u64,
    /// Number of tokens in the references that are closest in length.
    pub reference_len: u64,
    /// Number of matched n-grams of 1 to 4 tokens, clipped.
    pub matches: [u64; ORDER],
    /// Number of n-grams of 1 to 4 tokens in the hypotheses.
    pub totals: [u64; ORDER],
}

impl BleuStats {
    /// Length of [`Self::values`].
    pub const WIDTH: usize = 2 + 2 * ORDER;

    /// The statistics as floats that can be summed in their place, exact below 2^53: both lengths, matches, totals.
    #[must_use]
    pub fn values(&self) -> [f64; Self::WIDTH] {
        let counts = [self.hypothesis_len, self.reference_len].into_iter().chain(self.matches).chain(self.totals);
        let mut values = [0.0; Self::WIDTH];
        values.iter_mut().zip(counts).for_each(|(value, count)| *value = count as f64);
        values
    }

    /// The statistics from a sum of [`Self::values`]; missing values count as 0.
    #[must_use]
    pub fn from_values(values: &[f64]) -> Self {
        let count = |at: usize| values.get(at).map_or(0, |&value| value as u64);
        Self {
            hypothesis_len: count(0),
            reference_len: count(1),
            matches: std::array::from_fn(|n| count(2 + n)),
            totals: std::array::from_fn(|n| count(2 + ORDER + n)),
        }
    }
}

impl AddAssign for BleuStats {
    fn add_assign(&mut self, other: Self) {
        self.hypothesis_len += other.hypothesis_len;
        self.reference_len += other.reference_len;
        for n in 0..ORDER {
            self.matches[n] += other.matches[n];
            self.totals[n] += other.totals[n];
        }
    }
}

sums!(BleuStats);

/// A BLEU score and its components, in percent: 100 is a perfect match (up to a rounding error of 1e-13).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BleuScore {
    /// Brevity penalty times the geometric mean of the precisions.
    pub score: f64,
    /// Smoothed precisions of n-grams of 1 to 4 tokens, in percent.
    pub precisions: [f64; ORDER],
    /// exp(1 - reference length / hypothesis length) if the hypotheses are shorter than the references, otherwise 1.
    pub brevity_penalty: f64,
}

/// Settings of BLEU that differ between corpus and sentence scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bleu {
    /// Ignore n-gram orders for which the hypotheses are too short, instead of scoring 0.
    pub effective_order: bool,
}

impl Bleu {
    /// For statistics summed over a corpus: no effective order.
    pub const CORPUS: Self = Self { effective_order: false };
    /// For the statistics of a single row: effective order.
    pub const SENTENCE: Self = Self { effective_order: true };

    /// Computes the score from the statistics of a row or their sum over rows.
    #[must_use]
    pub fn score(&self, stats: &BleuStats) -> BleuScore {
        let [hypothesis, reference] = [stats.hypothesis_len, stats.reference_len].map(|len| len as f64);
        let brevity_penalty = if stats.hypothesis_len >= stats.reference_len {
            1.0
        } else if stats.hypothesis_len == 0 {
            0.0
        } else {
            (1.0 - reference / hypothesis).exp()
        };
        let mut precisions = [0.0; ORDER];
        if stats.matches == [0; ORDER] {
            return BleuScore { score: 0.0, precisions, brevity_penalty };
        }
        let mut halving = 1.0;
        let mut logs = 0.0;
        let mut orders = 0;
        for (precision, (&matches, &total)) in precisions.iter_mut().zip(stats.matches.iter().zip(&stats.totals)) {
            if total == 0 {
                break;
            }
            *precision = if matches == 0 {
                halving *= 2.0;
                100.0 / (halving * total as f64)
            } else {
                100.0 * matches as f64 / total as f64
            };
            logs += precision.ln();
            orders += 1;
        }
        let score = if orders == 0 || (orders < ORDER && !self.effective_order) {
            0.0
        } else {
            brevity_penalty * (logs / orders as f64).exp()
        };
        BleuScore { score, precisions, brevity_penalty }
    }

    /// The settings in sacrebleu's form, such as
    /// `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:impossible-0.1.0`.
    #[must_use]
    pub fn signature(&self, references: ReferenceCount) -> String {
        let effective = if self.effective_order { "yes" } else { "no" };
        format!("nrefs:{references}|case:mixed|eff:{effective}|tok:13a|smooth:exp|{VERSION}")
    }
}

/// Turns texts into token ids and rows into statistics. It holds the vocabulary and buffers, so use one counter for
/// many rows. Token ids are valid only with the counter that assigned them; statistics are independent of it.
#[derive(Debug, Clone, Default)]
pub struct BleuCounter {
    words: Vocabulary,
    ngrams: NgramCounts,
}

impl BleuCounter {
    /// A counter with an empty vocabulary.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The 13a tokens of `text` as ids.
    pub fn tokens(&mut self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        tokenize_13a(text, |token| tokens.push(self.words.id(token)));
        tokens
    }

    /// Statistics of a hypothesis against its references. Any of the texts may be empty.
    ///
    /// # Errors
    /// If there is no reference.
    pub fn stats<S: AsRef<str>>(&mut self, hypothesis: &str, references: &[S]) -> Result<BleuStats> {
        let hypothesis = self.tokens(hypothesis);
        let references: Vec<_> = references.iter().map(|text| self.tokens(text.as_ref())).collect();
        self.stats_of_tokens(&hypothesis, &references)
    }

    /// Like [`Self::stats`], for ids from [`Self::tokens`], so that references need to be tokenised only once for
    /// several systems.
    ///
    /// # Errors
    /// If there is no reference.
    pub fn stats_of_tokens<T: AsRef<[u32]>>(&mut self, hypothesis: &[u32], references: &[T]) -> Result<BleuStats> {
        let lens = references.iter().map(|reference| reference.as_ref().len());
        self.ngrams.clear(lens.clone().map(|len| len.saturating_mul(ORDER)).fold(0, usize::saturating_add));
        let reference_len = closest(hypothesis.len(), lens).ok_or_else(no_reference)?;
        for (owner, reference) in (0..).zip(references) {
            self.ngrams.add(owner, reference.as_ref(), ORDER);
        }
        Ok(BleuStats {
            hypothesis_len: hypothesis.len() as u64,
            reference_len: reference_len as u64,
            matches: self.ngrams.matches(u32::MAX, hypothesis, None),
            totals: totals(hypothesis.len()),
        })
    }
}

/// The length closest to `len`, the shorter of two equally close; `None` if there are no lengths.
pub(super) fn closest(len: usize, lens: impl Iterator<Item = usize>) -> Option<usize> {
    lens.min_by_key(|&other| (other.abs_diff(len), other))
}

pub(super) fn no_reference() -> Error {
    Error::input("references", "at least one for each row", "none")
}

#[cfg(test)]
#[path = "bleu_tests.rs"]
mod tests;
