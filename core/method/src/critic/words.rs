//! The word-count critic: very short sentences such as "He says." follow from many others and carry little information.

use super::contract::FreeCritic;
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use record::Refusal;

/// Accepts pairs whose shorter sentence has at least `min` words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// Minimum number of words.
    pub min: usize,
}

impl FreeCritic for Words {
    fn refusal(&self) -> Refusal {
        Refusal::Words
    }

    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
        let words = |index| siblings.get(index).words;
        pairs.iter().map(|pair| words(pair.x).min(words(pair.y)) as f32).collect()
    }

    fn accepts(&self, score: f32) -> bool {
        score >= self.min as f32
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_is_counted() {
        let siblings = SentenceSet::new([(0, "He says so - often."), (1, "He says.")]).unwrap();
        let critic = Words { min: 4 };
        let scores = critic.scores(&siblings, &[(0, 1), (1, 0), (0, 0)].map(|(x, y)| Pair { x, y }));
        assert_eq!(scores, [2.0, 2.0, 4.0]);
        assert!(!critic.accepts(scores[0]) && critic.accepts(scores[2]));
    }
}
