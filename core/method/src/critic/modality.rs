//! The modality critic, because the entailment critic takes planned, denied or alleged events for facts.

use super::contract::FreeCritic;
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use record::Refusal;
use text::modality::{agree, contained};

/// Which markers of negation, modality, degree and direction must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modality {
    /// The markers of both sentences agree.
    Both,
    /// y claims nothing that x does not claim.
    OfY,
}

impl FreeCritic for Modality {
    fn refusal(&self) -> Refusal {
        Refusal::Modality
    }

    /// 1 = agree, 0 = not.
    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32> {
        let lists = &siblings.modality;
        match self {
            Self::Both => lists.pair_scores(siblings, pairs, |s| s.modality, agree),
            Self::OfY => lists.pair_scores(siblings, pairs, |s| s.modality, |x, y| contained(y, x)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_no_facts() {
        let siblings = SentenceSet::new([
            (0, "The firm, which may be sold, opened a plant."),
            (1, "The firm opened a plant."),
            (2, "The firm might open a plant."),
        ])
        .unwrap();
        let pairs = [(0, 1), (1, 0), (0, 2), (1, 2)].map(|(x, y)| Pair { x, y });
        assert_eq!(Modality::Both.scores(&siblings, &pairs), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(Modality::OfY.scores(&siblings, &pairs), [1.0, 0.0, 1.0, 0.0]);
    }
}
