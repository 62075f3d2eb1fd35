//! Right-padded batches of texts for models that read them at once.

use burn::tensor::{Device, Tensor, TensorData};

use super::layers::HIDDEN_SCORE;

/// Dropout as a function of (layer, part, y), where y is what the part adds to the residual stream: part 0 is
/// attention, part 1 the feed-forward network.
pub type Drop<'a> = &'a dyn Fn(usize, usize, Tensor<2>) -> Tensor<2>;

/// A [`Drop`] without dropout.
pub fn keep(_layer: usize, _part: usize, y: Tensor<2>) -> Tensor<2> {
    y
}

/// Token ids of several texts, padded on the right to the longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Token ids, `[rows * length]`.
    pub ids: Vec<u32>,
    /// Segment of each token (BERT's token type), `[rows * length]`.
    pub types: Vec<u32>,
    /// Number of real tokens of each row.
    pub lengths: Vec<usize>,
    /// Number of tokens of the longest row.
    pub length: usize,
}

impl Batch {
    /// Pads rows of `(ids, types)` with `pad`.
    #[must_use]
    pub fn new(rows: &[(&[u32], &[u32])], pad: u32) -> Self {
        let length = rows.iter().map(|r| r.0.len()).max().unwrap_or(0);
        let mut batch = Self { ids: Vec::new(), types: Vec::new(), lengths: Vec::new(), length };
        for (ids, types) in rows {
            batch.ids.extend_from_slice(ids);
            batch.ids.resize(batch.ids.len() + length - ids.len(), pad);
            batch.types.extend_from_slice(types);
            batch.types.resize(batch.ids.len(), 0);
            batch.lengths.push(ids.len());
        }
        batch
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// Whether any row has padding.
    #[must_use]
    pub fn padded(&self) -> bool {
        self.lengths.iter().any(|&n| n < self.length)
    }

    /// 1 for real tokens, 0 for padding, `[rows, length]`.
    pub(super) fn mask(&self, device: &Device) -> Tensor<2> {
        let values: Vec<f32> =
            self.lengths.iter().flat_map(|&n| (0..self.length).map(move |i| if i < n { 1.0 } else { 0.0 })).collect();
        Tensor::from_data(TensorData::new(values, [self.rows(), self.length]), device)
    }

    /// Additive attention mask, `[rows, 1, 1, length]`; `None` without padding.
    pub(super) fn scores(&self, device: &Device) -> Option<Tensor<4>> {
        self.padded().then(|| ((self.mask(device) - 1.0) * -HIDDEN_SCORE).reshape([self.rows(), 1, 1, self.length]))
    }
}
