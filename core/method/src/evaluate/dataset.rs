//! Statistics of a dataset of pairs: lexical diversity, overlap of the two sides, duplicates. Most depend on the number
//! of pairs, so that number is always stated, and two datasets are compared at the same number.

use std::collections::HashSet;

use super::encoder::cosine;
use super::{TokenEncoder, advance, each, wrong_count};
use crate::{Error, Result};
use record::Monitor;
use text::metric::bootstrap::{equal_samples, sample};
use text::metric::diversity::{Diversity, Lexical, jaccard};
use text::metric::duplicate::{Likeness, exact, near};
use text::metric::ibleu::self_bleu;

/// Number of pairs embedded in one call.
const CALL: usize = 256;

/// A pair of source and target.
pub type Pair = (String, String);

/// Sample sizes and other settings of the statistics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Maximum number of pairs that are measured; from larger datasets a uniform sample is drawn.
    pub most: usize,
    /// Number of texts in the self-BLEU sample, at least 2.
    pub self_bleu: usize,
    /// Number of pairs in the cosine sample.
    pub cosine: usize,
    /// Seed of the samples.
    pub seed: u64,
    /// When two texts count as near duplicates.
    pub likeness: Likeness,
}

impl Default for Settings {
    /// At most 100,000 pairs, with samples of 1,000 texts for self-BLEU and 10,000 pairs for the cosine.
    fn default() -> Self {
        Self { most: 100_000, self_bleu: 1000, cosine: 10_000, seed: 0, likeness: Likeness::default() }
    }
}

/// Statistics of one side of the pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Side {
    /// Entropies, distinct n-grams, MSTTR.
    pub lexical: Lexical,
    /// Number of texts that repeat an earlier one byte for byte.
    pub exact: usize,
    /// Number of near duplicates of an earlier text, including exact ones.
    pub near: usize,
    /// Mean self-BLEU of [`Figures::self_bleu_n`] texts, in percent; `None` for fewer than two.
    pub self_bleu: Option<f64>,
}

/// Statistics of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Number of pairs in the dataset.
    pub total: usize,
    /// Number of pairs measured, all or a uniform sample; the other statistics refer to these.
    pub n: usize,
    /// Statistics of the sources.
    pub text: Side,
    /// Statistics of the targets.
    pub target: Side,
    /// Number of pairs that repeat an earlier one in both texts.
    pub repeated_pairs: usize,
    /// Jaccard index of the token sets of each pair, in [0, 1].
    pub jaccard: Vec<f64>,
    /// Number of texts in the self-BLEU sample.
    pub self_bleu_n: usize,
    /// Cosines of the sentence embeddings of each pair in the cosine sample, in [-1, 1]; `None` if not computed.
    pub cosine: Option<Vec<f64>>,
}

/// The mean of the values; `None` if there are none.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Indices of the pairs to measure in a dataset of `total` pairs.
#[must_use]
pub fn draw(total: usize, settings: &Settings) -> Vec<usize> {
    sample(total, settings.most, settings.seed)
}

/// Indices of the same number of pairs from two datasets of `a` and `b` pairs.
#[must_use]
pub fn draw_equal(a: usize, b: usize, settings: &Settings) -> (Vec<usize>, Vec<usize>) {
    equal_samples(a, b, settings.most, settings.seed)
}

/// Computes all statistics but the cosine for the pairs at `rows`. Time and memory are linear in the number of words.
///
/// # Errors
/// [`Error::Input`] when there is no pair, a row does not exist, or the likeness is out of range.
pub fn figures(pairs: &[Pair], rows: &[usize], settings: &Settings) -> Result<Figures> {
    let drawn = drawn(pairs, rows)?;
    let sides = each(2, |side| {
        let texts: Vec<&str> = drawn.iter().map(|(x, y)| if side == 0 { x.as_str() } else { y }).collect();
        let sample: Vec<&str> = sample(texts.len(), settings.self_bleu, settings.seed)
            .into_iter()
            .filter_map(|i| texts.get(i).copied())
            .collect();
        Ok(Side {
            lexical: Diversity::of(&texts),
            exact: exact(&texts).duplicates(),
            near: near(&texts, settings.likeness)?.duplicates(),
            self_bleu: if sample.len() < 2 { None } else { Some(self_bleu(&sample)?.mean) },
        })
    });
    let [text, target] = <[Result<Side>; 2]>::try_from(sides).map_err(|sides| wrong_count("sides", 2, sides.len()))?;
    let mut seen = HashSet::new();
    Ok(Figures {
        total: pairs.len(),
        n: drawn.len(),
        text: text?,
        target: target?,
        repeated_pairs: drawn.iter().filter(|pair| !seen.insert(**pair)).count(),
        jaccard: drawn.iter().map(|(x, y)| jaccard(x, y)).collect(),
        self_bleu_n: settings.self_bleu.min(drawn.len()),
        cosine: None,
    })
}

/// The statistics of two datasets at the same number of pairs.
///
/// # Errors
/// As [`figures`].
pub fn compared(a: &[Pair], b: &[Pair], settings: &Settings) -> Result<(Figures, Figures)> {
    let (of_a, of_b) = draw_equal(a.len(), b.len(), settings);
    Ok((figures(a, &of_a, settings)?, figures(b, &of_b, settings)?))
}

/// The cosines of a sample of [`Settings::cosine`] of the pairs at `rows`, for [`Figures::cosine`].
///
/// # Errors
/// As [`figures`]; the encoder's; [`Error::Interrupted`].
pub async fn cosines(
    pairs: &[Pair],
    rows: &[usize],
    settings: &Settings,
    encoder: &mut dyn TokenEncoder,
    monitor: &mut Monitor<'_>,
) -> Result<Vec<f64>> {
    let all = drawn(pairs, rows)?;
    let chosen = sample(all.len(), settings.cosine, settings.seed);
    let chosen: Vec<&Pair> = chosen.into_iter().filter_map(|i| all.get(i).copied()).collect();
    let mut found = Vec::with_capacity(chosen.len());
    advance(monitor, 0, chosen.len())?;
    for pairs in chosen.chunks(CALL) {
        let texts: Vec<&str> = pairs.iter().flat_map(|(x, y)| [x.as_str(), y.as_str()]).collect();
        let embedded = encoder.embed(&texts, monitor).await?;
        if embedded.len() != texts.len() {
            return Err(wrong_count("encoder", texts.len(), embedded.len()));
        }
        for pair in embedded.chunks_exact(2) {
            found.push(cosine(&pair[0], &pair[1])?);
        }
        advance(monitor, found.len(), chosen.len())?;
    }
    Ok(found)
}

fn drawn<'a>(pairs: &'a [Pair], rows: &[usize]) -> Result<Vec<&'a Pair>> {
    if rows.is_empty() {
        return Err(Error::input("dataset", "at least one pair", "none"));
    }
    let pair = |&row: &usize| {
        pairs.get(row).ok_or_else(|| Error::input("row of a dataset", format_args!("below {}", pairs.len()), row))
    };
    rows.iter().map(pair).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn golden(name: &str) -> String {
        let path = format!("{}/../../tests/golden/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    }

    fn golden_pairs() -> Vec<Pair> {
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        let row = |line| serde_json::from_str::<Value>(line).unwrap();
        golden("pairs.jsonl").lines().map(row).map(|row| (text(&row, "source"), text(&row, "hypothesis"))).collect()
    }

    #[test]
    fn equal_the_golden_values() {
        let pairs = golden_pairs();
        let golden: Value = serde_json::from_str(&golden("diversity.json")).unwrap();
        let settings = Settings::default();
        let found = figures(&pairs, &draw(pairs.len(), &settings), &settings).unwrap();
        assert_eq!((found.total, found.n, found.self_bleu_n, found.cosine), (42, 42, 42, None));
        for (side, name) in [(found.text, "sources"), (found.target, "hypotheses")] {
            let expected = &golden["sets"][name];
            let [_, h2, h3] = side.lexical.entropy;
            for (value, key) in [(h2, "h2"), (h3, "h3"), (side.lexical.msttr.unwrap(), "msttr100_full_segments")] {
                assert!((value - expected[key].as_f64().unwrap()).abs() < 1e-9, "{name} {key}");
            }
        }
        assert!((mean(&found.jaccard).unwrap() - golden["jaccard_mean"].as_f64().unwrap()).abs() < 1e-12);
    }

    #[test]
    fn repeats_are_counted_on_each_side_and_in_pairs() {
        let pair = |x: &str, y: &str| (x.to_owned(), y.to_owned());
        let pairs = [pair("a b", "c"), pair("a b", "c"), pair("a b", "d"), pair("A b.", "c"), pair("c", "a b")];
        let settings = Settings { self_bleu: 3, ..Settings::default() };
        let found = figures(&pairs, &[0, 1, 2, 3, 4], &settings).unwrap();
        assert_eq!((found.repeated_pairs, found.text.exact, found.text.near), (1, 2, 3));
        assert_eq!((found.target.exact, found.target.near, found.self_bleu_n), (2, 2, 3));
        let one = figures(&pairs, &[2], &settings).unwrap();
        assert_eq!((one.n, one.total, one.text.self_bleu, one.jaccard.len()), (1, 5, None, 1));
    }

    #[test]
    fn two_datasets_are_measured_at_the_same_number() {
        let a: Vec<Pair> = (0..500).map(|i| (format!("a{i} b{} c", i % 7), format!("d{i}"))).collect();
        let b = &a[..200];
        let settings = Settings { most: 150, self_bleu: 50, ..Settings::default() };
        for (most, n) in [(150, 150), (1000, 200)] {
            let (of_a, of_b) = compared(&a, b, &Settings { most, ..settings }).unwrap();
            assert_eq!((of_a.n, of_b.n, of_a.total, of_b.total), (n, n, 500, 200));
            assert_eq!((of_a.self_bleu_n, of_b.jaccard.len()), (50, n));
        }
        let (of_a, same) = compared(&a, &a, &settings).unwrap();
        assert_eq!(of_a, same);
        let other = figures(&a, &draw(a.len(), &Settings { seed: 1, ..settings }), &settings).unwrap();
        assert_ne!(of_a.text, other.text);
    }

    #[test]
    fn nothing_is_no_dataset() {
        let settings = Settings::default();
        assert!(figures(&[], &[], &settings).is_err());
        assert!(figures(&golden_pairs(), &[42], &settings).is_err());
        let bad = Settings { likeness: Likeness { ngram: 0, similarity: 0.5 }, ..settings };
        assert!(figures(&golden_pairs(), &[0], &bad).is_err());
        assert_eq!(mean(&[]), None);
    }
}
