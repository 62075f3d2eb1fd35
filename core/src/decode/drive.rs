//! Runs a search with a model: the prompt once, then one token a row and step, the cache reordered as the search says.

use super::group::GroupBeamSearch;
use super::readout::host;
use super::search::{BeamSearch, Greedy, Step};
use crate::device::Compute;
use crate::model::cache::Sequences;
use crate::model::{Batch, LanguageModel};
use crate::{Error, Result};

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
/// The search's and the device's; [`Error::Input`] for an empty prompt.
pub async fn drive(lm: &LanguageModel, compute: &Compute, prompt: &[u32], search: &mut impl Search) -> Result<()> {
    let (device, hidden) = (&compute.device, lm.shape().hidden);
    if prompt.is_empty() {
        return Err(Error::input("prompt", "at least one token", "none"));
    }
    let mut cache = Sequences::new(lm.shape().layers, device);
    let types = vec![0; prompt.len()];
    if let Some(memory) = lm.encode(&Batch::new(&[(prompt, &types)], 0), &mut cache, device) {
        cache = cache.with_memory(memory);
    }
    let start = lm.first();
    let prompt = start.as_ref().map_or(prompt, std::slice::from_ref);
    let place = |p: usize| u32::try_from(p).unwrap_or(u32::MAX);
    cache.extend(&[vec![true; prompt.len()]]);
    let places: Vec<u32> = (0..prompt.len()).map(place).collect();
    let states = lm.forward(1, prompt, &places, &mut cache, device);
    let last = states.slice([prompt.len() - 1..prompt.len(), 0..hidden]);
    let mut logits = host(lm.logits(last)).await?.repeat(search.rows());
    for step in prompt.len().. {
        let mut next = search.advance(&logits)?;
        if next.done {
            break;
        }
        if step == prompt.len() {
            // All first rows continue the one that was read.
            next.parents.fill(0);
        }
        cache.reorder(&next.parents);
        let rows = next.tokens.len();
        cache.extend(&vec![vec![true]; rows]);
        let states = lm.forward(rows, &next.tokens, &vec![place(step); rows], &mut cache, device);
        logits = host(lm.logits(states)).await?;
    }
    Ok(())
}
