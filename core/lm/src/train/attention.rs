//! The cache used in training: attention over a whole batch at once, without storing anything.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::model::cache::{Cache, Scores};
use crate::model::layers::HIDDEN_SCORE;
use crate::model::layers::{softmax, to};
use crate::model::memory::{Memory, Project};
use record::random::{Purpose, Stream};

/// Causal attention over right-padded rows. Padding is to the right of every token that counts, so none attends to it.
pub struct Whole {
    length: usize,
    masks: BTreeMap<Option<usize>, Tensor<5>>, // by window: [1, 1, 1, length, length]
    device: Device,
    memory: Option<Memory>,
    dropout: Option<Dropout>,
}

/// Dropout in the residual stream. The mask depends only on (seed, step) and the place in the model, so that a layer
/// that is recomputed drops the same values.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// Share of values that is dropped, at least 0 and below 1.
    pub rate: f32,
    /// Seed of the training run.
    pub seed: u64,
    /// Number of the micro-batch within the run.
    pub step: u64,
}

impl Dropout {
    pub(super) fn apply(self, layer: usize, part: usize, x: Tensor<2>) -> Tensor<2> {
        let [rows, width] = x.dims();
        let site = u32::try_from(3 * layer + part).unwrap_or(u32::MAX);
        let mut stream = Stream::new(self.seed, Purpose::Dropout, self.step, site);
        let keep = 1.0 / (1.0 - self.rate);
        let mut mask = vec![0.0_f32; rows * width];
        let limit = (f64::from(self.rate) * 65536.0) as u64;
        // Each random number gives four draws of 16 bits.
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
    /// Attention over rows of `length` positions.
    #[must_use]
    pub fn new(length: usize, dropout: Option<Dropout>, device: &Device) -> Self {
        let dropout = dropout.filter(|d| d.rate > 0.0);
        Self { length, masks: BTreeMap::new(), device: device.clone(), memory: None, dropout }
    }

    /// The mask that hides later positions and those before the window.
    fn mask(&mut self, window: Option<usize>) -> Tensor<5> {
        let length = self.length;
        let made = || {
            let seen = |q: usize, k: usize| k <= q && window.is_none_or(|window| q - k < window);
            let score = |q: usize, k: usize| if seen(q, k) { 0.0 } else { HIDDEN_SCORE };
            let values: Vec<f32> = (0..length).flat_map(|q| (0..length).map(move |k| score(q, k))).collect();
            Tensor::from_data(TensorData::new(values, [1, 1, 1, length, length]), &self.device)
        };
        self.masks.entry(window).or_insert_with(made).clone()
    }

    /// Sets the encoder output that the rows attend to.
    pub fn remember(&mut self, memory: Memory) {
        self.memory = Some(memory);
    }
}

impl Cache for Whole {
    fn attend(&mut self, _layer: usize, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, how: &Scores<'_>) -> Tensor<4> {
        let [rows, heads, new, dim] = q.dims();
        let kv = k.dims()[1];
        let group = heads / kv;
        let q = q.reshape([rows, kv, group * new, dim]);
        let scores = q.matmul(k.swap_dims(2, 3)).reshape([rows, kv, group, new, new]);
        let mask = self.mask(how.window_of(self.length));
        let mut scores = how.capped(to(scores, DType::F32)) + mask;
        if let Some(bias) = how.bias {
            let bias = bias.of_queries(0..self.length).reshape([1, kv, group, new, new]);
            scores = scores + to(bias, DType::F32);
        }
        let weights = to(softmax(scores), v.dtype()).reshape([rows, kv, group * new, new]);
        weights.matmul(v).reshape([rows, heads, new, dim])
    }

    fn attend_memory(&mut self, _layer: usize, q: Tensor<4>, project: Project<'_>) -> Tensor<4> {
        // The keys are not kept, since with checkpointing each layer is a graph of its own.
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
