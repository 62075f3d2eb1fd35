//! Attention of a whole batch at once, nothing remembered: the cache of training.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::model::cache::{Cache, HIDDEN_SCORE};
use crate::model::layers::{softmax, to};
use crate::model::memory::{Bias, Memory, Project};
use crate::random::Stream;

/// Causal attention of right-padded rows. Padding stands right of every token that counts, so no token sees it.
pub struct Whole {
    length: usize,
    mask: Tensor<5>, // [1, 1, 1, length, length]
    memory: Option<Memory>,
    dropout: Option<Dropout>,
}

/// Drops parts of the residual stream. The same places for the same (seed, step), whatever was computed before, so that
/// a layer that is computed twice drops the same.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// Share that is dropped, 0 to below 1.
    pub rate: f32,
    /// Seed of the run.
    pub seed: u64,
    /// Number of the micro-batch in the run.
    pub step: u64,
}

impl Dropout {
    /// The stage of its random streams.
    const STAGE: u32 = 11;

    pub(super) fn apply(self, layer: usize, part: usize, x: Tensor<2>) -> Tensor<2> {
        let [rows, width] = x.dims();
        let site = u32::try_from(3 * layer + part).unwrap_or(u32::MAX);
        let mut stream = Stream::new(self.seed, Self::STAGE, self.step, site);
        let keep = 1.0 / (1.0 - self.rate);
        let mut mask = vec![0.0_f32; rows * width];
        let limit = (f64::from(self.rate) * 65536.0) as u64;
        // Four draws of 16 bits out of each number.
        for four in mask.chunks_mut(4) {
            let mut bits = stream.bits();
            for value in four {
                *value = if bits & 0xffff >= limit { keep } else { 0.0 };
                bits >>= 16;
            }
        }
        let mask = Tensor::from_data(TensorData::new(mask, [rows, width]), &x.device());
        let mask = to(mask, x.dtype());
        x * mask
    }
}

impl Whole {
    /// For rows of `length` positions.
    #[must_use]
    pub fn new(length: usize, dropout: Option<Dropout>, device: &Device) -> Self {
        let seen = (0..length).flat_map(|q| (0..length).map(move |k| if k <= q { 0.0 } else { HIDDEN_SCORE }));
        let data = TensorData::new(seen.collect::<Vec<f32>>(), [1, 1, 1, length, length]);
        let dropout = dropout.filter(|d| d.rate > 0.0);
        Self { length, mask: Tensor::from_data(data, device), memory: None, dropout }
    }

    /// What the encoder read for the rows.
    pub fn remember(&mut self, memory: Memory) {
        self.memory = Some(memory);
    }
}

impl Cache for Whole {
    fn attend(&mut self, _layer: usize, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, bias: Option<&Bias>) -> Tensor<4> {
        let [rows, heads, new, dim] = q.dims();
        let kv = k.dims()[1];
        let group = heads / kv;
        let q = q.reshape([rows, kv, group * new, dim]);
        let scores = q.matmul(k.swap_dims(2, 3)).reshape([rows, kv, group, new, new]);
        let mut scores = to(scores, DType::F32) + self.mask.clone();
        if let Some(bias) = bias {
            let bias = bias.of_queries(0..self.length).reshape([1, kv, group, new, new]);
            scores = scores + to(bias, DType::F32);
        }
        let weights = to(softmax(scores), v.dtype()).reshape([rows, kv, group * new, new]);
        weights.matmul(v).reshape([rows, heads, new, dim])
    }

    fn attend_memory(&mut self, _layer: usize, q: Tensor<4>, project: Project<'_>) -> Tensor<4> {
        // Not kept: with checkpointing each layer is a graph of its own.
        match &self.memory {
            Some(memory) => memory.attend(q, memory.keys(project)),
            None => q.zeros_like(),
        }
    }

    fn residual(&mut self, layer: usize, part: usize, x: Tensor<2>) -> Tensor<2> {
        match self.dropout {
            Some(dropout) => dropout.apply(layer, part, x),
            None => x,
        }
    }
}
