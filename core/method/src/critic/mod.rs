//! Critics: one file each. A critic gives every pair a score and says which scores it accepts; [`panel`] is their order.
//!
//! Critics that need no model are [`FreeCritic`]s. Selection among pairs ([`cap`], [`diversity`]) looks at several pairs
//! at once and is not a critic in this sense, but has a line in the funnel like one.

use std::future;

use record::Refusal;
pub use record::monitor::BoxFuture;

use crate::Result;

pub mod cap;
pub mod cosine;
pub mod diversity;
pub mod entailment;
pub mod entity;
pub mod length;
pub mod modality;
pub mod number;
pub mod pair;
pub mod panel;
pub mod quotes;
pub mod refilter;
pub mod rouge;
mod screen;
pub mod statement;
pub mod versions;
pub mod words;

pub use cosine::SentenceEncoder;
pub use entailment::EntailmentModel;
pub use pair::{Pair, SentenceSet};
pub use panel::{Critics, Link, Panel, Verdicts};

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

/// Applies `scores` to chunks of pairs, on all cores where there are threads. Chunks are large, so that work shared
/// by the pairs of a chunk is done once.
fn by_chunk(pairs: &[Pair], scores: impl Fn(&[Pair]) -> Vec<f32> + Sync) -> Vec<f32> {
    const CHUNK: usize = 1 << 14;
    #[cfg(not(target_family = "wasm"))]
    if pairs.len() > CHUNK {
        use rayon::prelude::*;
        return pairs.par_chunks(CHUNK).map(&scores).collect::<Vec<_>>().concat();
    }
    pairs.chunks(CHUNK).flat_map(scores).collect()
}
