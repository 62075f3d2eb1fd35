//! Runs a search with a model: the prompt once, then one token a row and step, the cache reordered as the search says.

use super::group::GroupBeamSearch;
use super::readout::host;
use super::search::{BeamSearch, Greedy, Step};
use crate::Result;
use crate::device::Compute;
use crate::model::LanguageModel;

/// A search over the rows it wants to run next.
pub trait Search {
    /// Rows to run; at first all continue the prompt.
    fn rows(&self) -> usize;

    /// Takes the logits of these rows, `[rows, vocabulary]`.
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

/// Drives a search to its end.
///
/// # Errors
/// The search's and the device's; [`crate::Error::Input`] for a prompt that is empty or longer than the model.
pub async fn drive(lm: &LanguageModel, compute: &Compute, prompt: &[u32], search: &mut impl Search) -> Result<()> {
    let device = &compute.device;
    let (mut cache, logits) = lm.open(prompt, device)?;
    let mut logits = host(logits.reshape([1, -1])).await?.repeat(search.rows());
    let first = lm.shape().start.map_or(prompt.len(), |_| 1);
    for step in first.. {
        let mut next = search.advance(&logits)?;
        if next.done {
            break;
        }
        if step == first {
            // All first rows continue the one that was read.
            next.parents.fill(0);
        }
        cache.reorder(&next.parents);
        let rows = next.tokens.len();
        cache.extend(&vec![vec![true]; rows]);
        let places = vec![u32::try_from(step).unwrap_or(u32::MAX); rows];
        let states = lm.forward(rows, &next.tokens, &places, &mut cache, device);
        logits = host(lm.logits(states)).await?;
    }
    Ok(())
}
