//! Entailment: p(x => y) by a model, each direction of a pair at most once a context.

use std::collections::{HashMap, HashSet};

use super::{BoxFuture, Critic, Pair, Siblings, name};
use crate::{Error, Result};

/// Most pairs handed to the model in one call.
const CALL: usize = 1 << 14;

/// A classifier that says whether a hypothesis follows from a premise.
pub trait EntailmentModel {
    /// p(premise => hypothesis) in [0, 1] for each (premise, hypothesis), in order. The model makes its own batches, and
    /// answers [`Error::Interrupted`] where the user asked to stop.
    ///
    /// # Errors
    /// What the model fails with.
    fn entail<'a>(&'a mut self, pairs: &'a [(&'a str, &'a str)]) -> BoxFuture<'a, Result<Vec<f32>>>;
}

/// What is known of the entailments of one context, by indices of its siblings.
#[derive(Debug, Clone, Default)]
pub struct EntailmentCache {
    known: HashMap<Pair, f32>,
}

impl EntailmentCache {
    /// p(x => y), if known. A sentence entails itself.
    #[must_use]
    pub fn get(&self, pair: Pair) -> Option<f32> {
        if pair.x == pair.y { Some(1.0) } else { self.known.get(&pair).copied() }
    }

    /// Makes p(x => y) known.
    pub fn insert(&mut self, pair: Pair, p: f32) {
        self.known.insert(pair, p);
    }

    /// The directed pairs with p > tau, in order.
    #[must_use]
    pub fn above(&self, tau: f32) -> Vec<Pair> {
        let mut above: Vec<_> = self.known.iter().filter(|&(_, &p)| p > tau).map(|(&pair, _)| pair).collect();
        above.sort_unstable();
        above
    }

    /// Those of `wanted` that are not known, each once, in the order given.
    #[must_use]
    pub fn unknown(&self, wanted: &[Pair]) -> Vec<Pair> {
        let mut seen = HashSet::new();
        wanted.iter().copied().filter(|&pair| self.get(pair).is_none() && seen.insert(pair)).collect()
    }

    /// Asks the model for all of `wanted` that is not known. Answers how many directed pairs it read.
    ///
    /// # Errors
    /// The model's; [`Error::Tensor`] where it does not give one score a pair; [`Error::NonFinite`] for NaN or infinity.
    pub async fn fill(&mut self, siblings: &Siblings, wanted: &[Pair], model: &mut dyn EntailmentModel) -> Result<u64> {
        let unknown = self.unknown(wanted);
        for pairs in unknown.chunks(CALL) {
            let text = |index| siblings.get(index).text.as_str();
            let texts: Vec<_> = pairs.iter().map(|pair| (text(pair.x), text(pair.y))).collect();
            let scores = model.entail(&texts).await?;
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
            self.known.extend(pairs.iter().copied().zip(scores));
        }
        Ok(unknown.len() as u64)
    }
}

/// Which way a pair is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// p(x => y).
    Forward,
    /// p(y => x).
    Backward,
}

impl Direction {
    /// Name of the critic.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => name::FORWARD,
            Self::Backward => name::BACKWARD,
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
pub struct Entailment<'m> {
    /// The direction.
    pub direction: Direction,
    /// Least probability.
    pub min: f32,
    /// What is known of this context.
    pub cache: &'m mut EntailmentCache,
    /// Answers the rest.
    pub model: &'m mut dyn EntailmentModel,
    /// Directed pairs the model has read for this critic.
    pub calls: u64,
}

impl Critic for Entailment<'_> {
    fn name(&self) -> &'static str {
        self.direction.name()
    }

    fn score<'a>(&'a mut self, siblings: &'a Siblings, pairs: &'a [Pair]) -> BoxFuture<'a, Result<Vec<f32>>> {
        Box::pin(async move {
            let directed: Vec<_> = pairs.iter().map(|&pair| self.direction.of(pair)).collect();
            self.calls += self.cache.fill(siblings, &directed, self.model).await?;
            // All are known after `fill`.
            Ok(directed.iter().map(|&pair| self.cache.get(pair).unwrap_or(f32::NAN)).collect())
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

    #[test]
    fn a_direction_is_asked_once() {
        let siblings = Siblings::new([(0, "A long one."), (1, "A."), (2, "B.")]).unwrap();
        let mut model = Nli::new(|x, y| if x.len() > y.len() { 0.9 } else { 0.1 });
        let mut cache = EntailmentCache::default();
        let pairs = [Pair { x: 0, y: 1 }, Pair { x: 0, y: 2 }, Pair { x: 0, y: 1 }, Pair { x: 1, y: 1 }];
        let mut forward =
            Entailment { direction: Direction::Forward, min: 0.75, cache: &mut cache, model: &mut model, calls: 0 };
        assert_eq!(now(forward.score(&siblings, &pairs)).unwrap(), [0.9, 0.9, 0.9, 1.0]);
        assert_eq!(forward.calls, 2);
        let reversed = pairs.map(Pair::reversed);
        let mut backward =
            Entailment { direction: Direction::Backward, min: 0.75, cache: &mut cache, model: &mut model, calls: 0 };
        assert_eq!(now(backward.score(&siblings, &reversed)).unwrap(), [0.9, 0.9, 0.9, 1.0]);
        assert_eq!(backward.calls, 0);
        assert_eq!(now(backward.score(&siblings, &pairs)).unwrap(), [0.1, 0.1, 0.1, 1.0]);
        assert!(backward.accepts(0.75) && !backward.accepts(0.7) && !backward.accepts(f32::NAN));
        assert_eq!(cache.above(0.75), [Pair { x: 0, y: 1 }, Pair { x: 0, y: 2 }]);
        assert_eq!(model.asked.len(), 4);
    }

    #[test]
    fn bad_models_are_refused() {
        struct Bad(Vec<f32>);
        impl EntailmentModel for Bad {
            fn entail<'a>(&'a mut self, _: &'a [(&'a str, &'a str)]) -> BoxFuture<'a, Result<Vec<f32>>> {
                Box::pin(std::future::ready(Ok(self.0.clone())))
            }
        }
        let siblings = Siblings::new([(0, "A."), (1, "B.")]).unwrap();
        let ask = |scores| {
            now(EntailmentCache::default().fill(&siblings, &[Pair { x: 0, y: 1 }], &mut Bad(scores))).unwrap_err()
        };
        assert!(matches!(ask(vec![]), Error::Tensor { .. }));
        assert!(matches!(ask(vec![f32::NAN]), Error::NonFinite { .. }));
    }
}
