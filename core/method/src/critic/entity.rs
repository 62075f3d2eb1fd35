//! The entity critic, because the entailment critic accepts swapped names, acronyms, places, weekdays and months.

use super::contract::FreeCritic;
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use record::Refusal;
use text::entity::{agree, contained};

/// Which entities must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entities {
    /// Every entity of either sentence occurs in the other.
    Both,
    /// Every entity of y occurs in x.
    OfY,
}

impl FreeCritic for Entities {
    fn refusal(&self) -> Refusal {
        Refusal::Entities
    }

    /// 1 = agree, 0 = not.
    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
        let lists = &siblings.entities;
        match self {
            Self::Both => lists.pair_scores(siblings, pairs, |s| s.entities, agree),
            Self::OfY => lists.pair_scores(siblings, pairs, |s| s.entities, |x, y| contained(y, x)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn swapped_and_dropped_names() {
        let siblings = SentenceSet::new([
            (0, "The coach of Manchester praised Ronaldo."),
            (1, "The coach of Liverpool praised Ronaldo."),
            (2, "The coach praised Ronaldo."),
        ])
        .unwrap();
        let pairs = [(0, 1), (0, 2), (2, 0), (1, 1)].map(|(x, y)| Pair { x, y });
        assert_eq!(Entities::Both.scores(&siblings, &pairs), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(Entities::OfY.scores(&siblings, &pairs), [0.0, 1.0, 0.0, 1.0]);
    }
}
