//! The ROUGE-L critic: pairs with nearly the same wording are no paraphrases, pairs with few common words are seldom
//! equivalent.

use super::chunks::by_chunk;
use super::contract::FreeCritic;
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use record::Refusal;
use text::metric::rouge::{Pattern, Rouge, lcs_row};

/// Accepts min <= ROUGE-L F1 <= max.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RougeL {
    /// Minimum F1.
    pub min: f32,
    /// Maximum F1.
    pub max: f32,
}

/// ROUGE-L F1 of each pair; faster if neighbouring pairs share a sentence.
#[must_use]
pub fn rouge_l(siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
    by_chunk(pairs, |pairs| {
        let mut compiled: Option<(u32, Pattern)> = None;
        pairs
            .iter()
            .map(|pair| {
                // Consecutive pairs share their lower index. LCS is symmetric, so a pair's direction does not matter.
                let Pair { x: low, y: high } = pair.sorted();
                let [x, y] = [low, high].map(|index| &siblings.get(index).tokens);
                if compiled.as_ref().is_none_or(|(index, _)| *index != low) {
                    compiled = Some((low, Pattern::new(x)));
                }
                let lcs = compiled.as_ref().map_or(0, |(_, pattern)| lcs_row(pattern, y));
                Rouge::from_lcs(lcs, x.len(), y.len()).f as f32
            })
            .collect()
    })
}

impl FreeCritic for RougeL {
    fn refusal(&self) -> Refusal {
        Refusal::Rouge
    }

    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
        rouge_l(siblings, pairs)
    }

    fn accepts(&self, score: f32) -> bool {
        (self.min..=self.max).contains(&score)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_accepted_and_order_does_not_matter() {
        let siblings =
            SentenceSet::new([(0, "One two three four five."), (1, "one, two three"), (2, "six seven"), (3, "...")])
                .unwrap();
        let pairs = [(0, 1), (1, 0), (2, 0), (1, 2), (3, 0), (0, 1)].map(|(x, y)| Pair { x, y });
        let critic = RougeL { min: 0.1, max: 0.75 };
        let scores = critic.scores(&siblings, &pairs);
        assert_eq!(scores, [0.75, 0.75, 0.0, 0.0, 0.0, 0.75]);
        assert!(critic.accepts(scores[0]) && !critic.accepts(0.751));
        assert!(critic.accepts(0.1) && !critic.accepts(scores[2]));
    }
}
