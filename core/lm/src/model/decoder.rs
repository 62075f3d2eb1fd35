//! What every language model here is: a decoder, with an encoder of the prompt where the architecture has one. Training
//! takes the layers one at a time, so that each can be a graph of its own.

use std::fmt::Debug;
use std::sync::OnceLock;

use burn::tensor::{Device, Int, Tensor};

use super::cache::Cache;
use super::encoder::Batch;
use super::layers::{Heads, ids};
use super::memory::Memory;

/// Sizes of a language model; of the decoder, where there is an encoder too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Blocks.
    pub layers: usize,
    /// Tokens.
    pub vocabulary: usize,
    /// Longest sequence.
    pub positions: usize,
    /// End-of-text ids.
    pub eos: Vec<u32>,
    /// First token of the decoder, where an encoder reads the prompt.
    pub start: Option<u32>,
}

impl Sizes {
    /// What queries are divided by before they meet keys.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn score_scale(&self) -> f32 {
        (self.head_dim as f32).sqrt()
    }

    /// The attention heads.
    pub(super) fn attention(&self) -> Heads {
        Heads { query: self.heads, key_value: self.kv_heads, dim: self.head_dim }
    }
}

/// cos and sin `[rows, 1, new, head_dim]` of rotary positions.
pub type Rotation = (Tensor<4>, Tensor<4>);

/// What the layers of one forward pass share.
#[derive(Debug, Clone)]
pub struct Pass {
    /// Rows.
    pub rows: usize,
    /// Position of each new token, `[rows * new]`.
    pub positions: Vec<u32>,
    /// Made by the first layer that rotates.
    pub(super) rotation: OnceLock<Rotation>,
}

impl Pass {
    /// A pass over the new positions of `rows` rows, row after row.
    #[must_use]
    pub fn new(rows: usize, positions: &[u32]) -> Self {
        Self { rows, positions: positions.to_vec(), rotation: OnceLock::new() }
    }

    /// The positions on a device, `[rows * new]`.
    pub(super) fn on(&self, device: &Device) -> Tensor<1, Int> {
        ids(self.positions.iter().copied(), device)
    }
}

/// A decoder: embeddings, layers, a final norm, and the projection to the vocabulary.
pub trait Decoder: Debug + Send + Sync {
    /// Sizes.
    fn sizes(&self) -> &Sizes;

    /// The residual stream before the first layer.
    ///
    /// # Shapes
    /// `ids [rows * new] -> [rows * new, hidden]`
    fn embed(&self, ids: Tensor<1, Int>, pass: &Pass) -> Tensor<2>;

    /// One layer.
    ///
    /// # Shapes
    /// `[rows * new, hidden] -> [rows * new, hidden]`
    fn layer(&self, layer: usize, x: Tensor<2>, pass: &Pass, cache: &mut dyn Cache) -> Tensor<2>;

    /// The final norm.
    ///
    /// # Shapes
    /// `[rows * new, hidden] -> [rows * new, hidden]`
    fn norm(&self, x: Tensor<2>) -> Tensor<2>;

    /// Projection to the vocabulary.
    ///
    /// # Shapes
    /// `[n, hidden] -> [n, vocabulary]`
    fn logits(&self, hidden: Tensor<2>) -> Tensor<2>;

    /// The encoder that reads the prompt, where the architecture has one.
    fn encoder(&self) -> Option<&dyn Encoder> {
        None
    }
}

/// What the layers of an encoder share in one pass.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Rows.
    pub rows: usize,
    /// Bucket of each pair of positions, `[length * length]`.
    pub pairs: Tensor<1, Int>,
    /// Additive attention mask `[rows, 1, 1, length]`; none without padding.
    pub mask: Option<Tensor<4>>,
}

/// An encoder of prompts.
pub trait Encoder {
    /// Number of layers.
    fn layers(&self) -> usize;

    /// The stream before the first layer, of a right-padded batch.
    ///
    /// # Shapes
    /// `-> [rows * length, hidden]`
    fn embed(&self, batch: &Batch, device: &Device) -> (Tensor<2>, Reading);

    /// One layer; `cache` may drop some of what it adds.
    ///
    /// # Shapes
    /// `[rows * length, hidden] -> [rows * length, hidden]`
    fn layer(&self, layer: usize, x: Tensor<2>, reading: &Reading, cache: &mut dyn Cache) -> Tensor<2>;

    /// The final norm: what the decoder attends to.
    fn norm(&self, x: Tensor<2>, batch: &Batch) -> Memory;

    /// All of it.
    fn encode(&self, batch: &Batch, cache: &mut dyn Cache, device: &Device) -> Memory {
        let (mut x, reading) = self.embed(batch, device);
        for layer in 0..self.layers() {
            x = self.layer(layer, x, &reading, cache);
        }
        self.norm(x, batch)
    }
}
