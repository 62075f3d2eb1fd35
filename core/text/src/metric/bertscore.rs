//! The arithmetic of BERTScore (Zhang et al. 2020) on token embeddings: each token is matched with the most similar
//! token of the other side. The model, the layer and the choice of tokens are up to the caller, and should be reported
//! with the score.

use std::collections::{HashMap, HashSet};

use crate::{Error, Result};

/// A text as BERTScore compares it: the embeddings and weights of its tokens.
#[derive(Debug, Clone, Copy)]
pub struct Embedded<'a> {
    /// Hidden states of one layer, `[tokens, hidden_size]`, row by row. They need not be normalised: only their
    /// direction matters.
    pub embeddings: &'a [f32],
    /// Weight of each token, `[tokens]`: 1, or its [`Idf`]; 0 for special tokens, which other tokens may match but
    /// which do not count themselves.
    pub weights: &'a [f32],
}

/// BERTScore of a candidate against a reference. Unless rescaled, precision and recall are mean cosines, in [-1, 1].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BertScore {
    /// Mean over the candidate's tokens of the best cosine with a reference token.
    pub precision: f64,
    /// Mean over the reference's tokens of the best cosine with a candidate token.
    pub recall: f64,
    /// Harmonic mean of the two; 0 where it is undefined.
    pub f1: f64,
}

impl BertScore {
    fn new(precision: f64, recall: f64) -> Self {
        let sum = precision + recall;
        Self { precision, recall, f1: if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum } }
    }

    /// The maximum precision, recall and F1 over several references, each taken separately as in bert-score; zeros for
    /// no references.
    #[must_use]
    pub fn best(scores: &[Self]) -> Self {
        scores
            .iter()
            .copied()
            .reduce(|a, b| Self {
                precision: a.precision.max(b.precision),
                recall: a.recall.max(b.recall),
                f1: a.f1.max(b.f1),
            })
            .unwrap_or_default()
    }

    /// Rescales each value linearly so that `baseline`, the mean score of unrelated texts (precision, recall, F1),
    /// becomes 0 and 1 stays 1.
    ///
    /// # Errors
    /// [`Error::Input`] when a baseline is not below 1.
    pub fn rescaled(self, baseline: Self) -> Result<Self> {
        let stretch = |value: f64, base: f64| {
            if base < 1.0 {
                Ok((value - base) / (1.0 - base))
            } else {
                Err(Error::input("BERTScore baseline", "a number below 1", base))
            }
        };
        Ok(Self {
            precision: stretch(self.precision, baseline.precision)?,
            recall: stretch(self.recall, baseline.recall)?,
            f1: stretch(self.f1, baseline.f1)?,
        })
    }
}

/// BERTScore of `candidate` against `reference`. If the weights of a side sum to 0 (an empty text), the score is zero.
/// Memory is linear in the number of tokens, time in the product of both numbers.
///
/// # Errors
/// [`Error::Input`] when a side is not `[tokens, hidden_size]` or a weight is negative or not finite,
/// [`Error::NonFinite`] for NaN or infinity among the embeddings.
pub fn bertscore(candidate: Embedded, reference: Embedded, hidden_size: usize) -> Result<BertScore> {
    let y = normalised(candidate, hidden_size, "candidate")?;
    let x = normalised(reference, hidden_size, "reference")?;
    let total = |side: Embedded| side.weights.iter().map(|&w| f64::from(w)).sum::<f64>();
    if total(candidate) == 0.0 || total(reference) == 0.0 {
        return Ok(BertScore::default());
    }
    let mut best_y = vec![f32::NEG_INFINITY; candidate.weights.len()];
    let mut best_x = vec![f32::NEG_INFINITY; reference.weights.len()];
    for (a, best_a) in y.chunks_exact(hidden_size).zip(&mut best_y) {
        for (b, best_b) in x.chunks_exact(hidden_size).zip(&mut best_x) {
            let cosine = dot(a, b);
            *best_a = best_a.max(cosine);
            *best_b = best_b.max(cosine);
        }
    }
    let mean = |best: &[f32], side: Embedded| {
        let sum: f64 = best.iter().zip(side.weights).map(|(&s, &w)| f64::from(s) * f64::from(w)).sum();
        sum / total(side)
    };
    Ok(BertScore::new(mean(&best_y, candidate), mean(&best_x, reference)))
}

/// The rows scaled to length 1; a row of zeros stays zero, so its cosine with any other is 0.
fn normalised(side: Embedded, hidden_size: usize, name: &str) -> Result<Vec<f32>> {
    let tokens = side.weights.len();
    if hidden_size == 0 || tokens.checked_mul(hidden_size) != Some(side.embeddings.len()) {
        let expected = format!("{tokens} tokens of {hidden_size} numbers, at least one number each");
        return Err(Error::input(format!("embeddings of the {name}"), expected, side.embeddings.len()));
    }
    if let Some(weight) = side.weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        return Err(Error::input(format!("token weight of the {name}"), "0 or more", weight));
    }
    let mut rows = side.embeddings.to_vec();
    for row in rows.chunks_exact_mut(hidden_size) {
        // No overflow or underflow: the square of any f32 fits in an f64.
        let norm = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Err(Error::NonFinite {
                what: format!("an embedding of the {name}"),
                place: "BERTScore".to_owned(),
            });
        }
        if norm > 0.0 {
            row.iter_mut().for_each(|v| *v = (f64::from(*v) / norm) as f32);
        }
    }
    Ok(rows)
}

/// Dot product, in independent partial sums that the compiler can vectorise.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Inverse document frequencies of token ids over a set of references, as in bert-score: ln((n + 1) / (n_token + 1)).
/// Tokens that occur in every reference, such as the special ones, get 0.
#[derive(Debug, Clone, Default)]
pub struct Idf {
    references: usize,
    with_token: HashMap<u32, usize>,
}

impl Idf {
    /// Counts the token ids of each reference, special tokens included.
    pub fn new<T: AsRef<[u32]>>(references: impl IntoIterator<Item = T>) -> Self {
        let mut idf = Self::default();
        for ids in references {
            idf.references += 1;
            for id in ids.as_ref().iter().collect::<HashSet<_>>() {
                *idf.with_token.entry(*id).or_default() += 1;
            }
        }
        idf
    }

    /// The weights of the given tokens, in the same order.
    #[must_use]
    pub fn weights(&self, ids: &[u32]) -> Vec<f32> {
        let weight = |id| {
            let with = self.with_token.get(id).copied().unwrap_or(0);
            ((self.references + 1) as f64 / (with + 1) as f64).ln() as f32
        };
        ids.iter().map(weight).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use record::random::{Purpose, Stream};

    fn random(stream: &mut Stream, n: usize) -> Vec<f32> {
        (0..n).map(|_| (stream.uniform() * 2.0 - 0.9) as f32).collect()
    }

    fn score(y: (&[f32], &[f32]), x: (&[f32], &[f32]), hidden: usize) -> BertScore {
        let side = |(embeddings, weights)| Embedded { embeddings, weights };
        bertscore(side(y), side(x), hidden).unwrap()
    }

    /// The whole matrix of cosines, in double precision.
    fn by_matrix(y: (&[f32], &[f32]), x: (&[f32], &[f32]), hidden: usize) -> [f64; 3] {
        let cosine = |a: &[f32], b: &[f32]| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let mean = |these: (&[f32], &[f32]), others: (&[f32], &[f32])| {
            let (mut sum, mut total) = (0.0, 0.0);
            for (a, &w) in these.0.chunks(hidden).zip(these.1) {
                let best = others.0.chunks(hidden).map(|b| cosine(a, b)).fold(-1.0, f64::max);
                sum += f64::from(w) * best;
                total += f64::from(w);
            }
            sum / total
        };
        let (p, r) = (mean(y, x), mean(x, y));
        [p, r, 2.0 * p * r / (p + r)]
    }

    #[test]
    fn equals_the_matrix_of_cosines() {
        let mut stream = Stream::new(1, Purpose::Other, 0, 0);
        for round in 0..200 {
            let hidden = [1, 7, 16, 33, 384][round % 5];
            let (n, m) = (1 + stream.below(20), 1 + stream.below(20));
            let (y, x) = (random(&mut stream, n * hidden), random(&mut stream, m * hidden));
            let weights = |stream: &mut Stream, n: usize| -> Vec<f32> {
                (0..n)
                    .map(|i| if i > 0 && stream.below(4) == 0 { 0.0 } else { stream.uniform() as f32 + 0.1 })
                    .collect()
            };
            let (v, w) = (weights(&mut stream, n), weights(&mut stream, m));
            let found = score((&y, &v), (&x, &w), hidden);
            let expected = by_matrix((&y, &v), (&x, &w), hidden);
            for (found, expected) in [found.precision, found.recall, found.f1].iter().zip(expected) {
                let scale = if expected.abs() > 1.0 { expected.abs() } else { 1.0 };
                assert!((found - expected).abs() < 1e-5 * scale, "{round}: {found} instead of {expected}");
            }
            // Swapping the sides swaps precision and recall; the length of an embedding does not matter.
            let back = score((&x, &w), (&y, &v), hidden);
            assert_eq!((back.precision, back.recall), (found.recall, found.precision));
            let longer: Vec<f32> = y.iter().map(|v| v * 4.0).collect();
            assert_eq!(score((&longer, &v), (&x, &w), hidden), found);
        }
    }

    #[test]
    fn a_text_is_like_itself_in_any_order() {
        let mut stream = Stream::new(2, Purpose::Other, 0, 0);
        let y = random(&mut stream, 9 * 48);
        let turned: Vec<f32> = y.chunks(48).rev().flatten().copied().collect();
        let same = score((&y, &[1.0; 9]), (&turned, &[1.0; 9]), 48);
        assert!(
            (same.precision - 1.0).abs() < 1e-6 && (same.recall - 1.0).abs() < 1e-6 && (same.f1 - 1.0).abs() < 1e-6
        );
    }

    #[test]
    fn special_tokens_may_be_matched_but_do_not_count() {
        let (special, a, b) = ([1.0, 0.0], [0.6, 0.8], [0.0, 1.0]);
        let y = [special, a].concat();
        let x = [special, b].concat();
        let found = score((&y, &[0.0, 1.0]), (&x, &[0.0, 1.0]), 2);
        assert!((found.precision - 0.8).abs() < 1e-6 && (found.recall - 0.8).abs() < 1e-6);
        let to_special = score((&[special, [0.8, 0.6]].concat(), &[0.0, 1.0]), (&x, &[0.0, 1.0]), 2);
        assert!((to_special.precision - 0.8).abs() < 1e-6 && (to_special.recall - 0.6).abs() < 1e-6);
        // Empty texts: special tokens alone, or nothing at all.
        assert_eq!(score((&special, &[0.0]), (&x, &[0.0, 1.0]), 2), BertScore::default());
        assert_eq!(score((&x, &[1.0, 1.0]), (&[], &[]), 2), BertScore::default());
        assert_eq!(score((&[0.0, 0.0], &[1.0]), (&b, &[1.0]), 2), BertScore::default());
    }

    #[test]
    fn wrong_shapes_and_numbers_are_errors() {
        let good = Embedded { embeddings: &[1.0, 0.0], weights: &[1.0] };
        for (embeddings, weights, hidden) in [
            (&[1.0_f32, 0.0][..], &[1.0_f32][..], 0),
            (&[1.0, 0.0], &[1.0], 3),
            (&[1.0, 0.0, 1.0], &[1.0], 2),
            (&[1.0, 0.0], &[-1.0], 2),
            (&[1.0, 0.0], &[f32::NAN], 2),
        ] {
            let bad = Embedded { embeddings, weights };
            assert!(matches!(bertscore(bad, good, hidden), Err(Error::Input { .. })), "{bad:?}");
            assert!(matches!(bertscore(good, bad, hidden), Err(Error::Input { .. })), "{bad:?}");
        }
        for value in [f32::NAN, f32::INFINITY] {
            let bad = Embedded { embeddings: &[1.0, value], weights: &[1.0] };
            assert!(matches!(bertscore(bad, good, 2), Err(Error::NonFinite { .. })));
        }
        let huge = Embedded { embeddings: &[f32::MAX, f32::MAX], weights: &[1.0] };
        assert!((bertscore(huge, huge, 2).unwrap().f1 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn several_references_and_baselines() {
        let scores = [BertScore::new(0.9, 0.5), BertScore::new(0.7, 0.8)];
        let best = BertScore::best(&scores);
        assert_eq!((best.precision, best.recall, best.f1), (0.9, 0.8, scores[1].f1));
        assert_eq!(BertScore::best(&[]), BertScore::default());
        let base = BertScore { precision: 0.8, recall: 0.5, f1: 0.6 };
        let rescaled = best.rescaled(base).unwrap();
        assert!((rescaled.precision - 0.5).abs() < 1e-12 && (rescaled.recall - 0.6).abs() < 1e-12);
        assert!(best.rescaled(BertScore { f1: 1.0, ..base }).is_err());
        assert!(best.rescaled(BertScore { recall: f64::NAN, ..base }).is_err());
    }

    #[test]
    fn idf_of_tokens() {
        let idf = Idf::new([vec![1, 7, 7, 2], vec![1, 8, 2], vec![1, 7, 9, 2]]);
        let expected = [0.0, (4.0_f32 / 3.0).ln(), 2.0_f32.ln(), 4.0_f32.ln(), 0.0];
        for (found, expected) in idf.weights(&[1, 7, 8, 5, 2]).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
        }
        assert_eq!(Idf::default().weights(&[3]), [0.0]);
    }
}
