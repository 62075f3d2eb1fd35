//! What a critic is.

use std::future;

use record::Refusal;
pub use record::monitor::BoxFuture;

use super::pair::Pair;
use super::sentence_set::SentenceSet;
use crate::Result;

/// Judges single pairs.
pub trait Critic {
    /// The reason that a refusal by this critic gives.
    fn refusal(&self) -> Refusal;

    /// A score for each pair, in order.
    ///
    /// # Errors
    /// What the critic's model fails with.
    fn score<'a>(&'a mut self, siblings: &'a SentenceSet, pairs: &'a [Pair]) -> BoxFuture<'a, Result<Vec<f32>>>;

    /// Whether a pair with this score stays. NaN is never accepted.
    fn accepts(&self, score: f32) -> bool;
}

/// A critic that needs no model. Each is a [`Critic`] as well.
pub trait FreeCritic {
    /// The reason that a refusal by this critic gives.
    fn refusal(&self) -> Refusal;

    /// A score for each pair, in order; depends on nothing but the pair.
    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32>;

    /// Whether a pair with this score stays. By itself, for critics that say 1 or 0.
    fn accepts(&self, score: f32) -> bool {
        score > 0.5
    }
}

impl<C: FreeCritic> Critic for C {
    fn refusal(&self) -> Refusal {
        FreeCritic::refusal(self)
    }

    fn score<'a>(&'a mut self, siblings: &'a SentenceSet, pairs: &'a [Pair]) -> BoxFuture<'a, Result<Vec<f32>>> {
        Box::pin(future::ready(Ok(self.scores(siblings, pairs))))
    }

    fn accepts(&self, score: f32) -> bool {
        FreeCritic::accepts(self, score)
    }
}
