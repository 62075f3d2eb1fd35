//! The entailment critics: probabilities by a model, scored at most once per context for each direction of a pair.

use std::collections::{HashMap, HashSet};

use super::contract::{BoxFuture, Critic};
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use crate::{Error, Result};
use lm::scoring::PairModel;
use record::{Monitor, Refusal};

/// Most pairs passed to the model in one call.
const CALL: usize = 1 << 14;

/// A model of the probability that a premise entails a hypothesis.
pub trait EntailmentModel {
    /// Probability in [0, 1] that the premise entails the hypothesis, for each (premise, hypothesis), in order. The
    /// model batches the pairs itself.
    ///
    /// # Errors
    /// Errors of the model; [`Error::Interrupted`] when the user asked to stop.
    fn entail<'a>(
        &'a mut self,
        pairs: &'a [(&'a str, &'a str)],
        monitor: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<f32>>>;
}

impl EntailmentModel for PairModel {
    /// As the trait says; a pair longer than the model's maximum length has p = 0.
    fn entail<'a>(
        &'a mut self,
        pairs: &'a [(&'a str, &'a str)],
        monitor: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<f32>>> {
        Box::pin(async move {
            let found = self.probabilities(pairs, monitor).await?;
            Ok(found.into_iter().map(|p| p.map_or(0.0, |p| p[self.entailment()])).collect())
        })
    }
}

/// Entailment probabilities of one context that have been scored, by indices of its siblings.
#[derive(Debug, Clone, Default)]
pub struct EntailmentCache {
    known: HashMap<Pair, f32>,
}

impl EntailmentCache {
    /// p(x => y), if it has been scored; 1 for a sentence and itself.
    #[must_use]
    pub fn get(&self, pair: Pair) -> Option<f32> {
        if pair.x == pair.y { Some(1.0) } else { self.known.get(&pair).copied() }
    }

    /// Records p(x => y).
    pub fn insert(&mut self, pair: Pair, p: f32) {
        self.known.insert(pair, p);
    }

    /// The scored directed pairs with p > tau, sorted.
    #[must_use]
    pub fn above(&self, tau: f32) -> Vec<Pair> {
        let mut above: Vec<_> = self.known.iter().filter(|&(_, &p)| p > tau).map(|(&pair, _)| pair).collect();
        above.sort_unstable();
        above
    }

    /// Those of `wanted` that have not been scored, without duplicates, in the given order.
    #[must_use]
    pub fn unknown(&self, wanted: &[Pair]) -> Vec<Pair> {
        let mut seen = HashSet::new();
        wanted.iter().copied().filter(|&pair| self.get(pair).is_none() && seen.insert(pair)).collect()
    }
}

/// The entailments of one context: a cache, and the model that scores missing pairs.
pub struct Entailments<'m, 'w> {
    /// Probabilities scored so far.
    pub cache: EntailmentCache,
    model: &'m mut dyn EntailmentModel,
    monitor: &'m mut Monitor<'w>,
}

impl<'m, 'w> Entailments<'m, 'w> {
    /// An empty cache in front of a model.
    pub fn new(model: &'m mut dyn EntailmentModel, monitor: &'m mut Monitor<'w>) -> Self {
        Self { cache: EntailmentCache::default(), model, monitor }
    }

    /// Scores all of `wanted` that are not in the cache and returns how many directed pairs that were.
    ///
    /// # Errors
    /// Errors of the model; [`Error::Tensor`] unless it returns one score per pair; [`Error::NonFinite`] for NaN or
    /// infinity.
    pub async fn fill(&mut self, siblings: &SentenceSet, wanted: &[Pair]) -> Result<u64> {
        let unknown = self.cache.unknown(wanted);
        for pairs in unknown.chunks(CALL) {
            let text = |index| siblings.get(index).text.as_str();
            let texts: Vec<_> = pairs.iter().map(|pair| (text(pair.x), text(pair.y))).collect();
            let scores = self.model.entail(&texts, self.monitor).await?;
            if scores.len() != pairs.len() {
                return Err(Error::Tensor {
                    file: "entailment critic".into(),
                    tensor: "probabilities".into(),
                    expected: pairs.len().to_string(),
                    found: scores.len().to_string(),
                });
            }
            if scores.iter().any(|p| !p.is_finite()) {
                return Err(Error::NonFinite { what: "an entailment".into(), place: "entailment critic".into() });
            }
            self.cache.known.extend(pairs.iter().copied().zip(scores));
        }
        Ok(unknown.len() as u64)
    }
}

/// Direction of entailment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// x entails y.
    Forward,
    /// y entails x.
    Backward,
}

impl Direction {
    /// The reason that is recorded for a refusal in this direction.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Forward => Refusal::Forward,
            Self::Backward => Refusal::Backward,
        }
    }

    /// The pair as (premise, hypothesis).
    #[must_use]
    pub fn of(self, pair: Pair) -> Pair {
        match self {
            Self::Forward => pair,
            Self::Backward => pair.reversed(),
        }
    }
}

/// Accepts p >= min in one direction.
pub struct Entailment<'e, 'm, 'w> {
    /// Direction that is scored.
    pub direction: Direction,
    /// Minimum probability.
    pub min: f32,
    /// Cache and model of the context.
    pub entailments: &'e mut Entailments<'m, 'w>,
    /// Number of directed pairs that the model scored for this critic.
    pub calls: u64,
}

impl Critic for Entailment<'_, '_, '_> {
    fn refusal(&self) -> Refusal {
        self.direction.refusal()
    }

    fn score<'a>(&'a mut self, siblings: &'a SentenceSet, pairs: &'a [Pair]) -> BoxFuture<'a, Result<Vec<f32>>> {
        Box::pin(async move {
            let directed: Vec<_> = pairs.iter().map(|&pair| self.direction.of(pair)).collect();
            self.calls += self.entailments.fill(siblings, &directed).await?;
            // After `fill` all are in the cache.
            Ok(directed.iter().map(|&pair| self.entailments.cache.get(pair).unwrap_or(f32::NAN)).collect())
        })
    }

    fn accepts(&self, score: f32) -> bool {
        score >= self.min
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::critic::panel::tests::{Nli, now};
    use record::monitor::Unwatched;

    #[test]
    fn a_direction_is_asked_once() {
        let siblings = SentenceSet::new([(0, "A long one."), (1, "A."), (2, "B.")]).unwrap();
        let mut model = Nli::new(|x, y| if x.len() > y.len() { 0.9 } else { 0.1 });
        let mut watch = Unwatched;
        let mut monitor = Monitor::new(&mut watch, 0, 0);
        let mut entailments = Entailments::new(&mut model, &mut monitor);
        let pairs = [Pair { x: 0, y: 1 }, Pair { x: 0, y: 2 }, Pair { x: 0, y: 1 }, Pair { x: 1, y: 1 }];
        let mut forward =
            Entailment { direction: Direction::Forward, min: 0.75, entailments: &mut entailments, calls: 0 };
        assert_eq!(now(forward.score(&siblings, &pairs)).unwrap(), [0.9, 0.9, 0.9, 1.0]);
        assert_eq!(forward.calls, 2);
        let reversed = pairs.map(Pair::reversed);
        let mut backward =
            Entailment { direction: Direction::Backward, min: 0.75, entailments: &mut entailments, calls: 0 };
        assert_eq!(now(backward.score(&siblings, &reversed)).unwrap(), [0.9, 0.9, 0.9, 1.0]);
        assert_eq!(backward.calls, 0);
        assert_eq!(now(backward.score(&siblings, &pairs)).unwrap(), [0.1, 0.1, 0.1, 1.0]);
        assert!(backward.accepts(0.75) && !backward.accepts(0.7) && !backward.accepts(f32::NAN));
        assert_eq!(entailments.cache.above(0.75), [Pair { x: 0, y: 1 }, Pair { x: 0, y: 2 }]);
        assert_eq!(model.asked.len(), 4);
    }

    #[test]
    fn bad_models_are_refused() {
        struct Bad(Vec<f32>);
        impl EntailmentModel for Bad {
            fn entail<'a>(
                &'a mut self,
                _: &'a [(&'a str, &'a str)],
                _: &'a mut Monitor<'_>,
            ) -> BoxFuture<'a, Result<Vec<f32>>> {
                Box::pin(std::future::ready(Ok(self.0.clone())))
            }
        }
        let siblings = SentenceSet::new([(0, "A."), (1, "B.")]).unwrap();
        let ask = |scores| {
            let mut model = Bad(scores);
            let mut watch = Unwatched;
            let mut monitor = Monitor::new(&mut watch, 0, 0);
            now(Entailments::new(&mut model, &mut monitor).fill(&siblings, &[Pair { x: 0, y: 1 }])).unwrap_err()
        };
        assert!(matches!(ask(vec![]), Error::Tensor { .. }));
        assert!(matches!(ask(vec![f32::NAN]), Error::NonFinite { .. }));
    }
}
