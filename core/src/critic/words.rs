//! Fewest words of y: "He says." follows from much and tells nothing.

use super::{FreeCritic, Pair, Siblings, name};

/// Accepts pairs whose y has at least `min` words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// Fewest words.
    pub min: usize,
}

impl FreeCritic for Words {
    fn name(&self) -> &'static str {
        name::WORDS
    }

    fn scores(&self, siblings: &Siblings, pairs: &[Pair]) -> Vec<f32> {
        pairs.iter().map(|pair| siblings.get(pair.y).words as f32).collect()
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
    fn y_is_counted() {
        let siblings = Siblings::new([(0, "He says so - often."), (1, "He says.")]).unwrap();
        let critic = Words { min: 4 };
        let scores = critic.scores(&siblings, &[Pair { x: 0, y: 1 }, Pair { x: 1, y: 0 }]);
        assert_eq!(scores, [2.0, 4.0]);
        assert!(!critic.accepts(scores[0]) && critic.accepts(scores[1]));
    }
}
