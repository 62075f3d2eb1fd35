//! What leaves the device after a step: whole rows of logits where the device is the host, else each row's best
//! candidates, and a whole row only where these cannot prove the draw.

use burn::tensor::Tensor;

use crate::model::layers::ids;

use super::sample::Candidates;
use crate::Result;
use crate::device::to_host;

/// Candidates a row. With the temperatures of a teacher nearly every nucleus is smaller.
const CANDIDATES: usize = 64;

/// The logits of a step, on the device and what was read of them.
pub(super) struct Readout {
    logits: Tensor<2>,
    vocabulary: usize,
    read: Read,
}

enum Read {
    /// Row after row.
    Whole(Vec<f32>),
    /// Row after row: logits, ids (exact, as a vocabulary is below 2^24) and the log-normaliser.
    Best { ids: Vec<u32>, logits: Vec<f32>, normalisers: Vec<f32>, each: usize },
}

/// One row of a [`Readout`].
pub(super) enum RowRead<'a> {
    Whole(&'a mut [f32]),
    Best(Candidates<'a>),
}

impl Readout {
    /// # Shapes
    /// `logits [rows, vocabulary]`
    pub(super) async fn new(logits: Tensor<2>, temperature: f32, is_host: bool) -> Result<Self> {
        let [rows, vocabulary] = logits.dims();
        if is_host {
            let read = Read::Whole(to_host(logits.clone()).await?);
            return Ok(Self { logits, vocabulary, read });
        }
        let each = CANDIDATES.min(vocabulary);
        let (best, ids) = logits.clone().topk_with_indices(each, 1);
        let largest = best.clone().slice([0..rows, 0..1]);
        // ln sum exp(x / T) = max / T + ln sum exp((x - max) / T): a GPU sums pairwise.
        let sums = ((logits.clone() - largest.clone()) / temperature).exp().sum_dim(1);
        let normalisers = sums.log() + largest / temperature;
        let all = to_host(Tensor::cat(vec![best, ids.float(), normalisers], 1)).await?;
        let (mut best, mut ids, mut normalisers) = (Vec::new(), Vec::new(), Vec::new());
        for row in all.chunks_exact(2 * each + 1) {
            best.extend_from_slice(&row[..each]);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            ids.extend(row[each..2 * each].iter().map(|&id| id as u32));
            normalisers.push(row[2 * each]);
        }
        Ok(Self { logits, vocabulary, read: Read::Best { ids, logits: best, normalisers, each } })
    }

    /// All rows, in order.
    pub(super) fn rows(&mut self) -> Vec<RowRead<'_>> {
        let vocab = self.vocabulary;
        match &mut self.read {
            Read::Whole(values) => values.chunks_mut(vocab).map(RowRead::Whole).collect(),
            Read::Best { ids, logits, normalisers, each } => ids
                .chunks(*each)
                .zip(logits.chunks(*each))
                .zip(normalisers.iter())
                .map(|((ids, logits), &log_normaliser)| {
                    RowRead::Best(Candidates { ids, logits, log_normaliser, vocab })
                })
                .collect(),
        }
    }

    /// Reads some rows whole: `[rows.len() * vocabulary]`.
    pub(super) async fn whole(&self, rows: &[usize]) -> Result<Vec<f32>> {
        let index = ids(rows.iter().copied(), &self.logits.device());
        to_host(self.logits.clone().select(0, index)).await
    }
}
