//! The quotation critic: a quotation that is opened but never closed is incomplete.

use super::contract::FreeCritic;
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use record::Refusal;

/// Accepts pairs whose sentences close every quotation they open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotes;

impl FreeCritic for Quotes {
    fn refusal(&self) -> Refusal {
        Refusal::Quotes
    }

    /// 1 = all quotations of both sentences are closed, 0 = not.
    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
        let whole = |index| siblings.get(index).quotes;
        pairs.iter().map(|pair| f32::from(u8::from(whole(pair.x) && whole(pair.y)))).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn quotations_close() {
        let siblings = SentenceSet::new([(0, "He said \"no\"."), (1, "He said \"no.")]).unwrap();
        let pairs = [(0, 0), (0, 1), (1, 0)].map(|(x, y)| Pair { x, y });
        assert_eq!(Quotes.scores(&siblings, &pairs), [1.0, 0.0, 0.0]);
    }
}
