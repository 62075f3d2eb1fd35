//! ROUGE-1, -2, -L and -Lsum (Lin 2004) as rouge-score computes them, with and without stemming.
//!
//! Each row gives [`RougeStats`]; those of a corpus, or of a bootstrap sample of it, are the sum over its rows, and its
//! scores are the means over rows. For ROUGE-Lsum, newlines separate sentences.

use std::ops::AddAssign;

use super::bleu::no_reference;
use super::ngram::NgramCounts;
use super::porter::stem;
use super::rouge::{Pattern, Rouge, lcs_row};
use super::signature::{ReferenceCount, VERSION};
use super::sums::sums;
use super::union_lcs::UnionLcs;
use super::vocabulary::Vocabulary;
use crate::Result;
use crate::word::rouge_tokens;

/// Shortest word that is stemmed, in letters, as in rouge-score.
const MIN_STEMMED: usize = 4;
const ORDER: usize = 2;

/// The four ROUGE scores, each with precision, recall and F in [0, 1].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RougeScores {
    /// ROUGE-1: overlap of words.
    pub rouge1: Rouge,
    /// ROUGE-2: overlap of pairs of adjacent words.
    pub rouge2: Rouge,
    /// ROUGE-L: longest common subsequence of the whole texts.
    pub rouge_l: Rouge,
    /// ROUGE-Lsum: union of the longest common subsequences, sentence by sentence.
    pub rouge_lsum: Rouge,
}

impl RougeScores {
    fn zip(self, other: Self, op: impl Fn(Rouge, Rouge) -> Rouge) -> Self {
        Self {
            rouge1: op(self.rouge1, other.rouge1),
            rouge2: op(self.rouge2, other.rouge2),
            rouge_l: op(self.rouge_l, other.rouge_l),
            rouge_lsum: op(self.rouge_lsum, other.rouge_lsum),
        }
    }
}

/// Scores summed over rows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RougeStats {
    /// Number of rows.
    pub rows: u64,
    /// Sums of their scores.
    pub sums: RougeScores,
}

impl RougeStats {
    /// Length of [`Self::values`].
    pub const WIDTH: usize = 13;

    /// The statistics as floats that can be summed in their place: rows, then precision, recall and F of ROUGE-1, -2,
    /// -L, -Lsum.
    #[must_use]
    pub fn values(&self) -> [f64; Self::WIDTH] {
        let mut values = [self.rows as f64; Self::WIDTH];
        let RougeScores { rouge1, rouge2, rouge_l, rouge_lsum } = self.sums;
        let sums = [rouge1, rouge2, rouge_l, rouge_lsum].into_iter().flat_map(|r| [r.precision, r.recall, r.f]);
        values[1..].iter_mut().zip(sums).for_each(|(value, sum)| *value = sum);
        values
    }

    /// The statistics from a sum of [`Self::values`]; missing values count as 0.
    #[must_use]
    pub fn from_values(values: &[f64]) -> Self {
        let value = |at: usize| values.get(at).copied().unwrap_or(0.0);
        let rouge = |n: usize| {
            let at = 1 + 3 * n;
            Rouge { precision: value(at), recall: value(at + 1), f: value(at + 2) }
        };
        Self {
            rows: value(0) as u64,
            sums: RougeScores { rouge1: rouge(0), rouge2: rouge(1), rouge_l: rouge(2), rouge_lsum: rouge(3) },
        }
    }
    /// The mean scores over the rows; zero if there are none.
    #[must_use]
    pub fn mean(&self) -> RougeScores {
        let rows = self.rows.max(1) as f64;
        self.sums.zip(self.sums, |sum, _| Rouge {
            precision: sum.precision / rows,
            recall: sum.recall / rows,
            f: sum.f / rows,
        })
    }
}

impl AddAssign for RougeStats {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.sums = self.sums.zip(other.sums, |a, b| Rouge {
            precision: a.precision + b.precision,
            recall: a.recall + b.recall,
            f: a.f + b.f,
        });
    }
}

sums!(RougeStats);

/// A text as word ids, with the positions where its sentences end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RougeText {
    words: Vec<u32>,
    ends: Vec<usize>,
}

impl RougeText {
    /// Number of words.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are no words, as in a text without letters a-z and digits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    fn sentences(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.words[start..end])
    }
}

/// Turns texts into word ids and rows into statistics. It holds the vocabulary, stems and buffers, so use one counter
/// for many rows. A [`RougeText`] is valid only with the counter that made it; statistics are independent of it.
#[derive(Debug, Clone, Default)]
pub struct RougeCounter {
    stemmed: bool,
    words: Vocabulary,
    stems: Vocabulary,
    /// For each word the id of its stem.
    stem_of: Vec<u32>,
    ngrams: NgramCounts,
    lcs: UnionLcs,
    /// For each word its number within the current target.
    local: Vec<u32>,
    lowercase: String,
}

impl RougeCounter {
    /// A counter with or without Porter's stemmer, which applies to words of four letters or more.
    #[must_use]
    pub fn new(stemmed: bool) -> Self {
        Self { stemmed, ..Self::default() }
    }

    /// The settings, in the form of sacrebleu's signatures. rouge-score has none of its own.
    #[must_use]
    pub fn signature(&self, references: ReferenceCount) -> String {
        let stemmed = if self.stemmed { "porter-nltk" } else { "no" };
        format!("nrefs:{references}|multi:best-f|case:lc|tok:a-z0-9|stem:{stemmed}|lsum:newline|mean:rows|{VERSION}")
    }

    /// The words of a text as ids.
    pub fn text(&mut self, text: &str) -> RougeText {
        let mut found = RougeText::default();
        for line in text.split('\n') {
            self.line(line, &mut found.words);
            if found.ends.last().copied().unwrap_or(0) < found.words.len() {
                found.ends.push(found.words.len());
            }
        }
        found
    }

    fn line(&mut self, line: &str, ids: &mut Vec<u32>) {
        if line.is_ascii() {
            // The same words as from `rouge_tokens`, without allocating a string for each.
            let mut lowercase = std::mem::take(&mut self.lowercase);
            lowercase.clear();
            lowercase.push_str(line);
            lowercase.make_ascii_lowercase();
            let words = lowercase.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
            ids.extend(words.map(|word| self.id(word)));
            self.lowercase = lowercase;
        } else {
            ids.extend(rouge_tokens(line).iter().map(|word| self.id(word)));
        }
    }

    fn id(&mut self, word: &str) -> u32 {
        let id = self.words.id(word);
        if !self.stemmed {
            return id;
        }
        if let Some(&stem) = self.stem_of.get(id as usize) {
            return stem;
        }
        let stem = if word.len() < MIN_STEMMED { self.stems.id(word) } else { self.stems.id(&stem(word)) };
        self.stem_of.push(stem);
        stem
    }

    /// Statistics of a prediction against its targets: for each of the four scores, the target with the largest F
    /// counts (the first of equals). Any of the texts may be empty.
    ///
    /// # Errors
    /// If there is no target.
    pub fn stats<S: AsRef<str>>(&mut self, prediction: &str, targets: &[S]) -> Result<RougeStats> {
        let prediction = self.text(prediction);
        let targets: Vec<_> = targets.iter().map(|target| self.text(target.as_ref())).collect();
        self.stats_of_texts(&prediction, &targets)
    }

    /// Like [`Self::stats`], for texts from [`Self::text`], so that targets need to be tokenised only once for several
    /// systems.
    ///
    /// # Errors
    /// If there is no target.
    pub fn stats_of_texts(&mut self, prediction: &RougeText, targets: &[RougeText]) -> Result<RougeStats> {
        let (first, more) = targets.split_first().ok_or_else(no_reference)?;
        let pattern = Pattern::new(&prediction.words);
        self.ngrams.clear(prediction.len().saturating_mul(ORDER));
        self.ngrams.add(0, &prediction.words, ORDER);
        let mut sums = self.scores(&pattern, prediction, first, 1);
        for (tag, target) in (2..).zip(more) {
            sums = sums.zip(self.scores(&pattern, prediction, target, tag), better);
        }
        Ok(RougeStats { rows: 1, sums })
    }

    fn scores(&mut self, pattern: &Pattern, prediction: &RougeText, target: &RougeText, tag: u32) -> RougeScores {
        let (x, y) = (target.len(), prediction.len());
        let [words, pairs] = self.ngrams.matches::<ORDER>(tag, &target.words, None).map(|matches| matches as usize);
        let rouge_l = Rouge::from_lcs(lcs_row(pattern, &target.words), x, y);
        RougeScores {
            rouge1: Rouge::from_lcs(words, x, y),
            rouge2: Rouge::from_lcs(pairs, x.saturating_sub(1), y.saturating_sub(1)),
            rouge_l,
            // With one sentence on each side, the union is the subsequence itself.
            rouge_lsum: if target.ends.len() <= 1 && prediction.ends.len() <= 1 {
                rouge_l
            } else {
                Rouge::from_lcs(self.union(prediction, target), x, y)
            },
        }
    }

    /// Number of words of the target that are on its LCS with any sentence of the prediction, each clipped to its count
    /// in the prediction.
    fn union(&mut self, prediction: &RougeText, target: &RougeText) -> usize {
        const ABSENT: u32 = u32::MAX;
        // Sized by the ids themselves rather than the vocabulary, since a text may come from another counter.
        let ids = target.words.iter().chain(&prediction.words).max().map_or(0, |&id| id as usize + 1);
        self.local.resize(ids.max(self.local.len()), ABSENT);
        let mut words = 0;
        for &word in &target.words {
            if self.local[word as usize] == ABSENT {
                self.local[word as usize] = words;
                words += 1;
            }
        }
        let local =
            |text: &RougeText| -> Vec<u32> { text.words.iter().map(|&word| self.local[word as usize]).collect() };
        let [x, y] = [target, prediction].map(|text| RougeText { words: local(text), ends: text.ends.clone() });
        let mut union = vec![false; x.len()];
        let mut rest = union.as_mut_slice();
        for x in x.sentences() {
            let (marks, more) = rest.split_at_mut(x.len());
            for y in y.sentences() {
                self.lcs.mark(x, y, words as usize, marks);
            }
            rest = more;
        }
        let mut left = vec![0usize; words as usize];
        for word in y.words {
            if let Some(left) = left.get_mut(word as usize) {
                *left += 1;
            }
        }
        let mut hits = 0;
        for (word, _) in x.words.iter().zip(&union).filter(|(_, on)| **on) {
            let left = &mut left[*word as usize];
            hits += usize::from(*left > 0);
            *left = left.saturating_sub(1);
        }
        for &word in &target.words {
            self.local[word as usize] = ABSENT;
        }
        hits
    }
}

/// The score with the larger F, the first of equals.
fn better(a: Rouge, b: Rouge) -> Rouge {
    // F rounded as in rouge-score, so that the same target is chosen where two tie up to the last bit.
    let f = |rouge: &Rouge| {
        let sum = rouge.precision + rouge.recall;
        if sum > 0.0 { 2.0 * rouge.precision * rouge.recall / sum } else { 0.0 }
    };
    if f(&b) > f(&a) { b } else { a }
}

#[cfg(test)]
#[path = "rouge_n_tests.rs"]
mod tests;
