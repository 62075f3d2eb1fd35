//! Metrics composed of other metrics, and metrics of a pair of texts: BERT-iBLEU, SummaC-ZS, compression, novelty,
//! copying, number errors. `x` is the source, `y` the paraphrase or summary.

use std::collections::HashSet;

use super::token::words;
use crate::number::numbers;
use crate::{Error, Result};

/// Weight of BERTScore in BERT-iBLEU, as in Niu et al. (2021).
pub const BETA: f64 = 4.0;

/// BERT-iBLEU of Niu et al. (2021): `(1 + beta) F (1 - SB) / (beta (1 - SB) + F)`, the weighted harmonic mean of `f1`,
/// the BERTScore F1 of `y` against `x`, and 1 - `self_bleu`, the BLEU of `y` against `x` in [0, 1]. 0 where it is
/// undefined or negative: for exact copies, and for texts that are not alike.
#[must_use]
pub fn bert_ibleu(f1: f64, self_bleu: f64, beta: f64) -> f64 {
    let new = 1.0 - self_bleu;
    let below = beta * new + f1;
    if below > 0.0 { ((1.0 + beta) * f1 * new / below).max(0.0) } else { 0.0 }
}

/// An NLI model's probabilities, each in [0, 1], for a source sentence (premise) and a summary sentence (hypothesis).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inference {
    /// Probability of entailment.
    pub entailment: f64,
    /// Probability of contradiction.
    pub contradiction: f64,
}

/// SummaC-ZS of Laban et al. (2022), in [-1, 1]: for each summary sentence, the largest P(entailment) minus the largest
/// P(contradiction) over the source sentences; averaged over the summary sentences.
///
/// `inferences` is `[summary sentences, source sentences]`, row by row.
///
/// # Errors
/// [`Error::Input`] when there is no sentence on either side, rows are incomplete, or a probability is not in [0, 1].
pub fn summac_zs(inferences: &[Inference], source_sentences: usize) -> Result<f64> {
    let name = "SummaC-ZS";
    if source_sentences == 0 || inferences.is_empty() {
        return Err(Error::input(name, "a sentence on each side", "none"));
    }
    if !inferences.len().is_multiple_of(source_sentences) {
        let expected = format!("{source_sentences} source sentences for each summary sentence");
        return Err(Error::input(name, expected, format!("{} pairs", inferences.len())));
    }
    let mut sum = 0.0;
    for row in inferences.chunks(source_sentences) {
        let (mut entailment, mut contradiction) = (0.0_f64, 0.0_f64);
        for pair in row {
            for p in [pair.entailment, pair.contradiction] {
                // A softmax in single precision may slightly exceed 1.
                if !(0.0..=1.0 + 1e-4).contains(&p) {
                    return Err(Error::input(name, "probabilities", p));
                }
            }
            entailment = entailment.max(pair.entailment);
            contradiction = contradiction.max(pair.contradiction);
        }
        sum += entailment - contradiction;
    }
    Ok(sum / (inferences.len() / source_sentences) as f64)
}

/// The length of `y` divided by the length of `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compression {
    /// Ratio of the numbers of characters (Unicode scalar values).
    pub characters: f64,
    /// Ratio of the numbers of [`words`].
    pub words: f64,
}

/// Compression of `y` relative to `x`; `None` if `x` is empty.
#[must_use]
pub fn compression(x: &str, y: &str) -> Option<Compression> {
    let ratio = |x: usize, y: usize| (x > 0).then(|| y as f64 / x as f64);
    let characters = ratio(x.chars().count(), y.chars().count())?;
    Some(Compression { characters, words: ratio(words(x).len(), words(y).len())? })
}

/// Novelty (See et al. 2017): the share of the word n-grams of `y`, repetitions included, that do not occur in `x`, in
/// [0, 1]. `None` when `y` has fewer than `n` words, or `n` is 0.
#[must_use]
pub fn novelty(x: &str, y: &str, n: usize) -> Option<f64> {
    let (x, y) = (words(x), words(y));
    if n == 0 || y.len() < n {
        return None;
    }
    let known: HashSet<&[String]> = x.windows(n).collect();
    let new = y.windows(n).filter(|gram| !known.contains(gram)).count();
    Some(new as f64 / (y.len() - n + 1) as f64)
}

/// Whether a text is copied from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copying {
    /// `y` has exactly the words of `x`, in order; or both are empty.
    Whole,
    /// The words of `y` are a contiguous part of those of `x`.
    Excerpt,
    /// Neither, or `y` is empty.
    None,
}

/// Whether `y` copies `x`, ignoring case and punctuation. Takes linear time.
#[must_use]
pub fn copying(x: &str, y: &str) -> Copying {
    // No word contains a space, so the spaces mark word boundaries.
    let line = |text: &str| format!(" {} ", words(text).join(" "));
    let (x_line, y_line) = (line(x), line(y));
    if x_line == y_line {
        Copying::Whole
    } else if !y_line.trim().is_empty() && x_line.contains(&y_line) {
        Copying::Excerpt
    } else {
        Copying::None
    }
}

/// Numbers that only one side mentions, as normalised by [`numbers`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberErrors {
    /// Only in `y`: an error in paraphrases and summaries.
    pub added: Vec<String>,
    /// Only in `x`: an error in paraphrases.
    pub lost: Vec<String>,
}

/// The numbers that differ between source `x` and `y`.
#[must_use]
pub fn number_errors(x: &str, y: &str) -> NumberErrors {
    let (x, y) = (numbers(x), numbers(y));
    let only = |these: &[String], others: &[String]| {
        // Both lists are sorted.
        these.iter().filter(|n| others.binary_search(n).is_err()).cloned().collect()
    };
    NumberErrors { added: only(&y, &x), lost: only(&x, &y) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::golden;
    use super::*;

    #[test]
    fn bert_ibleu_equals_the_golden_values() {
        let rows = golden::lines("bertscore.jsonl");
        for row in &rows {
            let f1 = row["bertscore_source"]["f1"].as_f64().unwrap();
            let found = bert_ibleu(f1, row["self_bleu"].as_f64().unwrap(), BETA);
            let expected = row["bert_ibleu_beta4"].as_f64().unwrap();
            assert!((found - expected).abs() <= 1e-12, "{found} instead of {expected}");
        }
        assert_eq!(rows.len(), 42);
    }

    #[test]
    fn bert_ibleu_is_bounded_and_grows_with_both() {
        let steps: Vec<f64> = (0..=20).map(|i| f64::from(i) / 20.0).collect();
        for &f1 in &steps {
            for pair in steps.windows(2) {
                let (low, high) = (bert_ibleu(f1, pair[1], BETA), bert_ibleu(f1, pair[0], BETA));
                assert!(low <= high + 1e-15 && (0.0..=1.0 + 1e-15).contains(&high));
                assert!(bert_ibleu(pair[0], f1, BETA) <= bert_ibleu(pair[1], f1, BETA) + 1e-15);
            }
        }
        assert_eq!((bert_ibleu(0.0, 1.0, BETA), bert_ibleu(1.0, 1.0, BETA)), (0.0, 0.0));
        assert_eq!((bert_ibleu(1.0, 0.0, BETA), bert_ibleu(-0.3, 0.2, BETA)), (1.0, 0.0));
    }

    fn inferences(rows: &[(f64, f64)]) -> Vec<Inference> {
        rows.iter().map(|&(entailment, contradiction)| Inference { entailment, contradiction }).collect()
    }

    #[test]
    fn summac_takes_the_largest_of_each_row() {
        // Summary sentence 1: 0.9 - 0.5; summary sentence 2: 0.2 - 0.7.
        let pairs = inferences(&[(0.1, 0.5), (0.9, 0.0), (0.3, 0.2), (0.2, 0.1), (0.0, 0.7), (0.1, 0.6)]);
        assert!((summac_zs(&pairs, 3).unwrap() + 0.05).abs() < 1e-12);
        // The order of source sentences does not matter.
        let turned = inferences(&[(0.3, 0.2), (0.9, 0.0), (0.1, 0.5), (0.1, 0.6), (0.2, 0.1), (0.0, 0.7)]);
        assert_eq!(summac_zs(&pairs, 3).unwrap(), summac_zs(&turned, 3).unwrap());
        assert_eq!(summac_zs(&inferences(&[(1.0, 0.0)]), 1).unwrap(), 1.0);
        assert_eq!(summac_zs(&inferences(&[(0.0, 1.0)]), 1).unwrap(), -1.0);
    }

    #[test]
    fn summac_refuses_what_is_no_matrix_of_probabilities() {
        for (rows, width) in [
            (vec![], 1),
            (vec![(0.1, 0.1)], 0),
            (vec![(0.1, 0.1); 3], 2),
            (vec![(f64::NAN, 0.1)], 1),
            (vec![(0.1, 1.5)], 1),
            (vec![(-0.1, 0.5)], 1),
        ] {
            assert!(matches!(summac_zs(&inferences(&rows), width), Err(Error::Input { .. })), "{rows:?}");
        }
    }

    #[test]
    fn compression_counts_characters_and_words() {
        let half = compression("The cat sat on the mat", "Naïve 😀 cats").unwrap();
        assert!((half.characters - 12.0 / 22.0).abs() < 1e-12 && (half.words - 2.0 / 6.0).abs() < 1e-12);
        assert_eq!(compression("", "a"), None);
        assert_eq!(compression("a", ""), Some(Compression { characters: 0.0, words: 0.0 }));
        assert_eq!(compression(" ", "a"), None);
    }

    #[test]
    fn novelty_is_the_share_of_new_ngrams() {
        let (x, y) = ("The cat sat on the mat.", "the cat is on the mat");
        let found: Vec<_> = (0..=7).map(|n| novelty(x, y, n)).collect();
        let expected = [None, Some(1.0 / 6.0), Some(2.0 / 5.0), Some(3.0 / 4.0), Some(1.0), Some(1.0), Some(1.0), None];
        assert_eq!(found, expected);
        assert_eq!(novelty("", "new new", 1), Some(1.0));
        assert_eq!((novelty("a", "", 1), novelty("A!", "a", 1)), (None, Some(0.0)));
    }

    #[test]
    fn copies_and_excerpts() {
        for (x, y, expected) in [
            ("The cat sat.", "the CAT sat", Copying::Whole),
            ("The cat sat on the mat.", "Sat on the mat!", Copying::Excerpt),
            ("The cat sat on the mat.", "at on the mat", Copying::None),
            ("The cat sat.", "The cat", Copying::Excerpt),
            ("The cat", "The cat sat.", Copying::None),
            ("The cat sat.", "The sat", Copying::None),
            ("", "", Copying::Whole),
            ("a", "", Copying::None),
            ("", "a", Copying::None),
            ("😀", "🎉", Copying::None),
            ("今日は天気がいい", "天気がいい。", Copying::Excerpt),
        ] {
            assert_eq!(copying(x, y), expected, "{x:?} {y:?}");
        }
        let long = "ab ".repeat(300_000);
        assert_eq!(copying(&long, &format!("{}b", "ab ".repeat(150_000))), Copying::None);
    }

    #[test]
    fn numbers_of_one_side_only() {
        let errors =
            number_errors("Sales rose 3% to $1.5 million in 2004.", "In 2004 sales hit 1,500,000, up 4 percent.");
        assert_eq!((errors.added, errors.lost), (vec!["4".to_owned()], vec!["3".to_owned()]));
        assert_eq!(number_errors("", ""), NumberErrors::default());
        let swapped = number_errors("7", "8 and 9");
        assert_eq!((swapped.added.len(), swapped.lost.len()), (2, 1));
    }
}
