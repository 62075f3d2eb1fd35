//! The traits of critics.

use std::future;

use record::Refusal;
pub use record::monitor::BoxFuture;

use super::pair::Pair;
use super::sentence_set::SentenceSet;
use crate::Result;

/// Scores single pairs and accepts or refuses them by their score.
pub trait Critic {
    /// The reason that is recorded when this critic refuses a pair.
    fn refusal(&self) -> Refusal;

    /// A score for each pair, in order.
    ///
    /// # Errors
    /// Errors of the critic's model.
    fn score<'a>(&'a mut self, siblings: &'a SentenceSet, pairs: &'a [Pair]) -> BoxFuture<'a, Result<Vec<f32>>>;

    /// Whether a pair with this score is accepted. NaN is never accepted.
    fn accepts(&self, score: f32) -> bool;
}

/// A critic that needs no model. Every `FreeCritic` implements [`Critic`] as well.
pub trait FreeCritic {
    /// The reason that is recorded when this critic refuses a pair.
    fn refusal(&self) -> Refusal;

    /// A score for each pair, in order, which depends on the pair alone.
    fn scores(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<f32>;

    /// Whether a pair with this score is accepted; the default suits critics with scores 1 and 0.
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
