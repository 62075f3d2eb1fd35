//! The number critic, because the entailment critic accepts changed amounts and years.

use super::contract::FreeCritic;
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use record::Refusal;
use text::number::{agree, contained};

/// Which numbers must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Every number of either sentence occurs in the other.
    Both,
    /// Every number of y occurs in x.
    OfY,
}

impl FreeCritic for Numbers {
    fn refusal(&self) -> Refusal {
        Refusal::Numbers
    }

    /// 1 = agree, 0 = not.
    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
        let lists = &siblings.numbers;
        match self {
            Self::Both => lists.pair_scores(siblings, pairs, |s| s.numbers, agree),
            Self::OfY => lists.pair_scores(siblings, pairs, |s| s.numbers, |x, y| contained(y, x)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_or_one() {
        let siblings =
            SentenceSet::new([(0, "Sales rose 5 percent in 2012."), (1, "Sales rose in 2012."), (2, "It grew.")]);
        let siblings = siblings.unwrap();
        let pairs = [(0, 1), (1, 0), (0, 0), (0, 2)].map(|(x, y)| Pair { x, y });
        assert_eq!(Numbers::Both.scores(&siblings, &pairs), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(Numbers::OfY.scores(&siblings, &pairs), [1.0, 0.0, 1.0, 1.0]);
    }
}
