//! The interface of language models: a decoder, and an encoder of the prompt if the architecture has one. Layers are
//! called one at a time, so that training with checkpointing can build a graph for each.

use std::fmt::Debug;
use std::sync::OnceLock;

use burn::tensor::{Device, Int, Tensor};

use super::cache::Cache;
use super::encoder::Batch;
use super::layers::{Heads, ids};
use super::memory::Memory;

/// Sizes of a language model; with an encoder, those of the decoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of token ids.
    pub vocabulary: usize,
    /// Largest number of positions of a sequence.
    pub positions: usize,
    /// End-of-text ids.
    pub eos: Vec<u32>,
    /// The decoder's start token; `None` for models without an encoder.
    pub start: Option<u32>,
    /// Whether the output projection is tied to the embedding.
    pub tied: bool,
}

impl Sizes {
    /// Divisor of the queries, the square root of the head width.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn score_scale(&self) -> f32 {
        (self.head_dim as f32).sqrt()
    }

    /// Numbers and width of the attention heads.
    pub(super) fn attention(&self) -> Heads {
        Heads { query: self.heads, key_value: self.kv_heads, dim: self.head_dim }
    }
}

/// cos and sin of rotary position embeddings, `[rows, 1, new, turned values of a head]`.
pub type Rotation = (Tensor<4>, Tensor<4>);

/// Values that the layers of one forward pass share.
#[derive(Debug, Clone)]
pub struct Pass {
    /// Number of rows.
    pub rows: usize,
    /// Position of each new token, `[rows * new]`.
    pub positions: Vec<u32>,
    /// The model's rotary embeddings, computed by the first layer that needs them.
    pub(super) rotations: OnceLock<Vec<Rotation>>,
}

impl Pass {
    /// A pass over the new positions of `rows` rows, listed row by row.
    #[must_use]
    pub fn new(rows: usize, positions: &[u32]) -> Self {
        Self { rows, positions: positions.to_vec(), rotations: OnceLock::new() }
    }

    /// The positions as a tensor, `[rows * new]`.
    pub(super) fn on(&self, device: &Device) -> Tensor<1, Int> {
        ids(self.positions.iter().copied(), device)
    }
}

/// A decoder: embeddings, layers, a final norm, and the projection to the vocabulary.
pub trait Decoder: Debug + Send + Sync {
    /// Sizes of the model.
    fn sizes(&self) -> &Sizes;

    /// Embeds tokens: the residual stream before the first layer.
    ///
    /// # Shapes
    /// `ids [rows * new] -> [rows * new, hidden]`
    fn embed(&self, ids: Tensor<1, Int>, pass: &Pass) -> Tensor<2>;

    /// Applies one layer; attention and dropout are those of `cache`.
    ///
    /// # Shapes
    /// `[rows * new, hidden] -> [rows * new, hidden]`
    fn layer(&self, layer: usize, x: Tensor<2>, pass: &Pass, cache: &mut dyn Cache) -> Tensor<2>;

    /// Applies the final norm.
    ///
    /// # Shapes
    /// `[rows * new, hidden] -> [rows * new, hidden]`
    fn norm(&self, x: Tensor<2>) -> Tensor<2>;

    /// Projects hidden states to logits of the vocabulary.
    ///
    /// # Shapes
    /// `[n, hidden] -> [n, vocabulary]`
    fn logits(&self, hidden: Tensor<2>) -> Tensor<2>;

    /// The encoder of the prompt, if the architecture has one.
    fn encoder(&self) -> Option<&dyn Encoder> {
        None
    }
}

/// Values that the layers of an encoder share in one pass.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Number of rows.
    pub rows: usize,
    /// Relative position bucket of each pair of positions, `[length * length]`; `None` without such a bias.
    pub pairs: Option<Tensor<1, Int>>,
    /// Additive attention mask, `[rows, 1, 1, length]`; `None` without padding.
    pub mask: Option<Tensor<4>>,
}

/// An encoder of prompts.
pub trait Encoder {
    /// Number of layers.
    fn layers(&self) -> usize;

    /// Embeds a right-padded batch: the residual stream before the first layer.
    ///
    /// # Shapes
    /// `-> [rows * length, hidden]`
    fn embed(&self, batch: &Batch, device: &Device) -> (Tensor<2>, Reading);

    /// Applies one layer; `cache` applies dropout.
    ///
    /// # Shapes
    /// `[rows * length, hidden] -> [rows * length, hidden]`
    fn layer(&self, layer: usize, x: Tensor<2>, reading: &Reading, cache: &mut dyn Cache) -> Tensor<2>;

    /// Applies the final norm, which gives the states that the decoder attends to.
    fn norm(&self, x: Tensor<2>, batch: &Batch) -> Memory;

    /// Runs the whole encoder on a batch.
    fn encode(&self, batch: &Batch, cache: &mut dyn Cache, device: &Device) -> Memory {
        let (mut x, reading) = self.embed(batch, device);
        for layer in 0..self.layers() {
            x = self.layer(layer, x, &reading, cache);
        }
        self.norm(x, batch)
    }
}
