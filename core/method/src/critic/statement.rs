//! Questions: two of them are seldom about the same, and the entailment critic was not made for them.

use super::contract::FreeCritic;
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use record::Refusal;

/// Accepts pairs of which neither sentence is a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statements;

impl FreeCritic for Statements {
    fn refusal(&self) -> Refusal {
        Refusal::Statements
    }

    /// 1 = both are statements, 0 = not.
    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
        let question = |index| siblings.get(index).question;
        pairs.iter().map(|pair| f32::from(u8::from(!question(pair.x) && !question(pair.y)))).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn pairs_with_a_question_are_refused() {
        let siblings = SentenceSet::new([(0, "Is it late?"), (1, "It is late.")]).unwrap();
        let pairs = [(0, 1), (1, 0), (1, 1)].map(|(x, y)| Pair { x, y });
        assert_eq!(Statements.scores(&siblings, &pairs), [0.0, 0.0, 1.0]);
    }
}
