//! Questions: two of them are seldom about the same, and the entailment critic was not made for them.

use super::{FreeCritic, Pair, SentenceSet};
use record::Refusal;

/// Accepts pairs of which neither sentence is a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statements;

/// Whether a sentence ends in a question mark, also among other marks. A bracket closes an aside, not the sentence.
#[must_use]
pub fn is_question(text: &str) -> bool {
    let marks = text.trim_end().chars().rev().take_while(|c| !c.is_alphanumeric() && *c != ')');
    marks.into_iter().any(|c| matches!(c, '?' | '\u{ff1f}'))
}

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
    fn questions_are_seen() {
        for (text, expected) in [
            ("", false),
            ("How many days is that?", true),
            ("Really?!", true),
            ("How many days (or nights) is that?", true),
            ("\u{201c}How many days is that?\u{201d} ", true),
            ("He asked: how many days is that? Nobody knew.", false),
            ("It is (is it?).", false),
        ] {
            assert_eq!(is_question(text), expected, "{text}");
        }
        let siblings = SentenceSet::new([(0, "Is it late?"), (1, "It is late.")]).unwrap();
        let pairs = [(0, 1), (1, 0), (1, 1)].map(|(x, y)| Pair { x, y });
        assert_eq!(Statements.scores(&siblings, &pairs), [0.0, 0.0, 1.0]);
    }
}
