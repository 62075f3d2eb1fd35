//! The question critic, because NLI models are not trained on entailment between questions.

use super::contract::FreeCritic;
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use record::Refusal;

/// Accepts pairs in which neither sentence is a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statements;

impl FreeCritic for Statements {
    fn refusal(&self) -> Refusal {
        Refusal::Statements
    }

    /// 1 = neither is a question, 0 = at least one is.
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
