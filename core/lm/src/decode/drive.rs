//! Runs a search with a model: the prompt once, then one token per row and step, with the cache reordered by the
//! search.

use super::group::GroupBeamSearch;
use super::search::{BeamSearch, Greedy, Step};
use crate::Result;
use crate::device::{Compute, to_host};
use crate::model::LanguageModel;

/// A search that requests rows to run and takes their logits.
pub trait Search {
    /// Number of rows to run next; at the start all of them continue the prompt.
    fn rows(&self) -> usize;

    /// Takes the logits after these rows, `[rows, vocabulary]`.
    ///
    /// # Errors
    /// For logits of another size, or not finite.
    fn advance(&mut self, logits: &[f32]) -> Result<Step>;
}

impl Search for Greedy {
    fn rows(&self) -> usize {
        1
    }
    fn advance(&mut self, logits: &[f32]) -> Result<Step> {
        Self::advance(self, logits)
    }
}

impl Search for BeamSearch {
    fn rows(&self) -> usize {
        Self::rows(self).len()
    }
    fn advance(&mut self, logits: &[f32]) -> Result<Step> {
        Self::advance(self, logits)
    }
}

impl Search for GroupBeamSearch {
    fn rows(&self) -> usize {
        Self::rows(self).len()
    }
    fn advance(&mut self, logits: &[f32]) -> Result<Step> {
        Self::advance(self, logits)
    }
}

/// Runs a search to its end.
///
/// # Errors
/// The search's and the device's; [`crate::Error::Input`] for a prompt that is empty or longer than the model.
pub async fn drive(lm: &LanguageModel, compute: &Compute, prompt: &[u32], search: &mut impl Search) -> Result<()> {
    let device = &compute.device;
    let (mut cache, logits) = lm.open(prompt, device)?;
    let mut logits = to_host(logits.reshape([1, -1])).await?.repeat(search.rows());
    let first = lm.sizes().start.map_or(prompt.len(), |_| 1);
    for step in first.. {
        let mut next = search.advance(&logits)?;
        if next.done {
            break;
        }
        if step == first {
            // All rows continue the only one that has been run, the prompt.
            next.parents.fill(0);
        }
        cache.reorder(&next.parents);
        let rows = next.tokens.len();
        cache.extend(&vec![vec![true]; rows]);
        let places = vec![u32::try_from(step).unwrap_or(u32::MAX); rows];
        let states = lm.forward(rows, &next.tokens, &places, &mut cache, device);
        logits = to_host(lm.logits(states)).await?;
    }
    Ok(())
}
