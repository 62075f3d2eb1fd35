//! ParaScore (Shen et al. 2022): BERTScore plus a reward for different wording that is constant once a paraphrase is
//! different enough.

use super::levenshtein::normalised;
use crate::{Error, Result};

/// Weight of the diversity term, as in the paper.
pub const OMEGA: f64 = 0.05;

/// Threshold of the normalised distance at which a paraphrase is different enough, as in the paper.
pub const GAMMA: f64 = 0.35;

/// Diversity score DS of a normalised distance `d` in [0, 1]: `GAMMA` for `d` of at least `GAMMA`; below that, linear
/// down to -1 for a copy.
#[must_use]
pub fn diversity_score(d: f64) -> f64 {
    if d >= GAMMA { GAMMA } else { d * (GAMMA + 1.0) / GAMMA - 1.0 }
}

/// Reference-free ParaScore of paraphrase `y` of `x`: `f1 + OMEGA DS`, where `f1` is the BERTScore F1 of `y` against
/// `x`. DS uses the normalised Levenshtein distance of characters.
///
/// # Errors
/// [`Error::Input`] when `f1` is not finite.
pub fn reference_free(f1: f64, x: &str, y: &str) -> Result<f64> {
    with_references(f1, &[], x, y)
}

/// ParaScore with references: `f1` is replaced by the best F1 of `y` against the source (`f1`) or any reference.
///
/// # Errors
/// [`Error::Input`] when one of the scores is not finite.
pub fn with_references(f1: f64, f1_references: &[f64], x: &str, y: &str) -> Result<f64> {
    let mut best = f1;
    for &score in std::iter::once(&f1).chain(f1_references) {
        if !score.is_finite() {
            return Err(Error::input("BERTScore F1 for ParaScore", "a number", score));
        }
        best = best.max(score);
    }
    Ok(best + OMEGA * diversity_score(normalised(x, y)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::{golden, levenshtein::levenshtein};
    use super::*;

    #[test]
    fn equals_the_golden_values() {
        let (pairs, rows) = (golden::pairs(), golden::lines("bertscore.jsonl"));
        assert_eq!((pairs.len(), rows.len()), (42, 42));
        for (pair, row) in pairs.iter().zip(&rows) {
            let (x, y) = (pair.source.as_str(), pair.hypothesis.as_str());
            let f1 = row["bertscore_source"]["f1"].as_f64().unwrap();
            let references: Vec<f64> =
                row["bertscore_references"].as_array().unwrap().iter().map(|r| r[2].as_f64().unwrap()).collect();
            assert_eq!(levenshtein(x, y) as u64, row["levenshtein_chars"].as_u64().unwrap());
            for (key, found) in [
                ("norm_distance", normalised(x, y)),
                ("diversity_score", diversity_score(normalised(x, y))),
                ("parascore_free", reference_free(f1, x, y).unwrap()),
                ("parascore_ref", with_references(f1, &references, x, y).unwrap()),
            ] {
                let expected = row[key].as_f64().unwrap();
                assert!((found - expected).abs() < 1e-12, "{} {key}: {found} instead of {expected}", pair.id);
            }
        }
    }

    #[test]
    fn the_reward_grows_up_to_its_limit() {
        assert_eq!((diversity_score(0.0), diversity_score(GAMMA), diversity_score(1.0)), (-1.0, GAMMA, GAMMA));
        let scores: Vec<f64> = (0..=100).map(|i| diversity_score(f64::from(i) / 100.0)).collect();
        assert!(scores.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(scores.iter().all(|score| (-1.0..=GAMMA).contains(score)));
    }

    #[test]
    fn a_score_that_is_no_number_is_an_error() {
        assert!(matches!(reference_free(f64::NAN, "a", "b"), Err(Error::Input { .. })));
        assert!(matches!(with_references(0.5, &[f64::INFINITY], "a", "b"), Err(Error::Input { .. })));
        assert!((reference_free(0.0, "", "").unwrap() + OMEGA).abs() < 1e-12);
    }
}
