//! The post-norm transformer block that BERT and RoBERTa share, and right-padded batches for all encoders.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::config::{Config, HEADS, HIDDEN};
use super::layers::{Activation, HIDDEN_SCORE, LayerNorm, Linear, softmax, to};
use super::loader::Loader;
use crate::Result;

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

/// One encoder block: self-attention and feed-forward network, each followed by a layer norm.
#[derive(Debug)]
pub(super) struct Block {
    qkv: Linear,
    out: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
    shape: Shape,
}

/// What the blocks of an encoder have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub hidden: usize,
    /// Width of the feed-forward layer.
    pub inner: usize,
    pub heads: usize,
    pub eps: f64,
    pub activation: Activation,
}

impl Shape {
    /// The shape by the entries that BERT and its kin share; `eps` is the default.
    pub(super) fn read(config: &Config, eps: f64) -> Result<Self> {
        let hidden = config.size("hidden_size", HIDDEN)?;
        let heads = config.size("num_attention_heads", HEADS)?;
        config.head_dim("num_attention_heads", hidden, heads)?;
        for (field, accepted) in
            [("position_embedding_type", "absolute"), ("is_decoder", "false"), ("add_cross_attention", "false")]
        {
            config.only(field, &[accepted])?;
        }
        Ok(Self {
            hidden,
            inner: config.size("intermediate_size", HIDDEN)?,
            heads,
            eps: config.positive_or("layer_norm_eps", eps)?,
            activation: config.activation("hidden_act", Activation::Gelu)?,
        })
    }
}

impl Block {
    pub(super) fn load(w: &Loader<'_>, prefix: &str, shape: Shape) -> Result<Self> {
        let Shape { hidden: d, inner, eps, .. } = shape;
        let n = |part: &str| format!("{prefix}.{part}");
        let [q, k, v] = ["query", "key", "value"].map(|p| n(&format!("attention.self.{p}")));
        Ok(Self {
            qkv: w.fused(&[(&q, d), (&k, d), (&v, d)], d, true)?,
            out: w.linear(&n("attention.output.dense"), d, d, true)?,
            attention_norm: w.layer_norm(&n("attention.output.LayerNorm"), d, eps)?,
            up: w.linear(&n("intermediate.dense"), d, inner, true)?,
            down: w.linear(&n("output.dense"), inner, d, true)?,
            norm: w.layer_norm(&n("output.LayerNorm"), d, eps)?,
            shape,
        })
    }

    /// Applies the block, `[rows * length, hidden] -> [rows * length, hidden]`, with dropout by `drop(part, y)`.
    pub(super) fn forward(
        &self,
        x: Tensor<2>,
        rows: usize,
        mask: Option<&Tensor<4>>,
        drop: impl Fn(usize, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let [n, d] = x.dims();
        let (length, dim) = (n / rows, d / self.shape.heads);
        let qkv = self.qkv.split(x.clone(), [d; 3]);
        let [q, k, v] = qkv.map(|t| t.reshape([rows, length, self.shape.heads, dim]).swap_dims(1, 2));
        #[allow(clippy::cast_precision_loss)]
        let scores = (q / (dim as f32).sqrt()).matmul(k.swap_dims(2, 3)); // [rows, heads, query, key]
        let mut scores = to(scores, DType::F32);
        if let Some(mask) = mask {
            scores = scores + mask.clone();
        }
        let out = to(softmax(scores), v.dtype()).matmul(v).swap_dims(1, 2).reshape([n, d]);
        let x = self.attention_norm.forward(drop(0, self.out.forward(out)) + x);
        let h = self.down.forward(self.shape.activation.forward(self.up.forward(x.clone())));
        self.norm.forward(drop(1, h) + x)
    }
}
