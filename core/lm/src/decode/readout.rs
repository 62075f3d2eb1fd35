//! Reading logits back after a decoding step: whole rows on the CPU; on a GPU only each row's largest logits, and the
//! whole row if these do not determine the sampled token.

use burn::tensor::Tensor;

use crate::model::layers::ids;

use super::sample::Candidates;
use crate::Result;
use crate::device::to_host;

/// Logits read per row on a GPU. At a teacher's temperatures nearly every nucleus is smaller.
const CANDIDATES: usize = 64;

/// The logits of one step, on the device, with the part that was read back.
pub(super) struct Readout {
    logits: Tensor<2>,
    vocabulary: usize,
    read: Read,
}

enum Read {
    /// All logits, `[rows * vocabulary]`.
    Whole(Vec<f32>),
    /// The `each` largest logits of every row with their ids, and the log-normaliser. Ids are read as f32, which is
    /// exact below 2^24.
    Best { ids: Vec<u32>, logits: Vec<f32>, normalisers: Vec<f32>, each: usize },
}

/// What was read of one row of logits.
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
        // ln sum exp(x / T) = max / T + ln sum exp((x - max) / T); a GPU sums pairwise, which is accurate enough in
        // f32.
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

    /// The rows, in order.
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

    /// Reads all logits of some rows: `[rows.len() * vocabulary]`.
    pub(super) async fn whole(&self, rows: &[usize]) -> Result<Vec<f32>> {
        let index = ids(rows.iter().copied(), &self.logits.device());
        to_host(self.logits.clone().select(0, index)).await
    }
}
