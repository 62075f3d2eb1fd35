//! Variants of BLEU that penalise copying: iBLEU (Sun and Zhou 2012), which subtracts the overlap with the source, and
//! self-BLEU (Zhu et al. 2018), the overlap within a set of sentences.

use std::ops::AddAssign;

use super::bleu::{Bleu, BleuCounter, BleuStats, ORDER};
use super::ngram::{NgramCounts, totals};
use super::signature::ReferenceCount;
use super::sums::sums;
use crate::{Error, Result};

/// Sufficient statistics of iBLEU for one or more rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IbleuStats {
    /// The hypothesis against its references.
    pub references: BleuStats,
    /// The hypothesis against its source: its self-BLEU.
    pub source: BleuStats,
}

impl IbleuStats {
    /// Length of [`Self::values`].
    pub const WIDTH: usize = 2 * BleuStats::WIDTH;

    /// The statistics as floats that can be summed in their place: those against the references, then against the
    /// source.
    #[must_use]
    pub fn values(&self) -> [f64; Self::WIDTH] {
        let mut values = [0.0; Self::WIDTH];
        let (references, source) = values.split_at_mut(BleuStats::WIDTH);
        references.copy_from_slice(&self.references.values());
        source.copy_from_slice(&self.source.values());
        values
    }

    /// The statistics from a sum of [`Self::values`]; missing values count as 0.
    #[must_use]
    pub fn from_values(values: &[f64]) -> Self {
        let source = values.get(BleuStats::WIDTH..).unwrap_or_default();
        Self { references: BleuStats::from_values(values), source: BleuStats::from_values(source) }
    }
}

impl AddAssign for IbleuStats {
    fn add_assign(&mut self, other: Self) {
        self.references += other.references;
        self.source += other.source;
    }
}

sums!(IbleuStats);

/// iBLEU = alpha * BLEU(hypothesis, references) - (1 - alpha) * BLEU(hypothesis, source), in -100..=100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ibleu {
    alpha: f64,
    bleu: Bleu,
}

impl Ibleu {
    /// Default weight: it reproduces the copy-input rows of the Impossible Distillation paper, which does not state it.
    pub const ALPHA: f64 = 0.7;

    /// iBLEU with weight `alpha` for the references; `bleu` applies to both BLEU scores.
    ///
    /// # Errors
    /// If `alpha` is not in 0..=1.
    pub fn new(alpha: f64, bleu: Bleu) -> Result<Self> {
        if (0.0..=1.0).contains(&alpha) {
            Ok(Self { alpha, bleu })
        } else {
            Err(Error::input("iBLEU alpha", "a number from 0 to 1", alpha))
        }
    }

    /// Computes the score from the statistics of a row or their sum over rows.
    #[must_use]
    pub fn score(&self, stats: &IbleuStats) -> f64 {
        self.alpha * self.bleu.score(&stats.references).score
            - (1.0 - self.alpha) * self.bleu.score(&stats.source).score
    }

    /// The weight and the settings of BLEU in sacrebleu's form: `alpha:0.7|nrefs:1|...`.
    #[must_use]
    pub fn signature(&self, references: ReferenceCount) -> String {
        format!("alpha:{}|{}", self.alpha, self.bleu.signature(references))
    }
}

/// Self-BLEU of a set: how much its sentences repeat each other.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfBleu {
    /// Statistics of each sentence with all the others as references.
    pub rows: Vec<BleuStats>,
    /// Mean sentence BLEU of the rows, in percent: 100 if all sentences are the same.
    pub mean: f64,
}

/// Self-BLEU of a set. Time and memory are linear in the number of n-grams, not quadratic in the number of sentences.
/// The result depends on the size of the set: compare only sets of equal size.
///
/// # Errors
/// If there are fewer than two sentences.
pub fn self_bleu<S: AsRef<str>>(sentences: &[S]) -> Result<SelfBleu> {
    if sentences.len() < 2 {
        return Err(Error::input("sentences of self-BLEU", "at least two", sentences.len()));
    }
    let mut counter = BleuCounter::new();
    let tokens: Vec<_> = sentences.iter().map(|sentence| counter.tokens(sentence.as_ref())).collect();
    let mut lens: Vec<_> = tokens.iter().map(Vec::len).collect();
    lens.sort_unstable();
    let mut ngrams = NgramCounts::default();
    ngrams.clear(tokens.iter().map(Vec::len).sum());
    for (owner, tokens) in (0..).zip(&tokens) {
        ngrams.add(owner, tokens, ORDER);
    }
    let rows: Vec<_> = (0..)
        .zip(&tokens)
        .map(|(owner, tokens)| BleuStats {
            hypothesis_len: tokens.len() as u64,
            reference_len: closest_other(tokens.len(), &lens) as u64,
            matches: ngrams.matches(u32::MAX - owner, tokens, Some(owner)),
            totals: totals(tokens.len()),
        })
        .collect();
    let mean = rows.iter().map(|row| Bleu::SENTENCE.score(row).score).sum::<f64>() / rows.len() as f64;
    Ok(SelfBleu { rows, mean })
}

/// The length closest to `len` among the sorted lengths of all sentences, without the sentence itself.
fn closest_other(len: usize, sorted: &[usize]) -> usize {
    let first = sorted.partition_point(|&other| other < len);
    let after = sorted.partition_point(|&other| other <= len);
    if after - first > 1 {
        return len;
    }
    let shorter = first.checked_sub(1).map(|at| sorted[at]);
    let longer = sorted.get(after).copied();
    match (shorter, longer) {
        (Some(shorter), Some(longer)) if longer - len < len - shorter => longer,
        (Some(shorter), _) => shorter,
        (None, longer) => longer.unwrap_or(len),
    }
}

#[cfg(test)]
#[path = "ibleu_tests.rs"]
mod tests;
