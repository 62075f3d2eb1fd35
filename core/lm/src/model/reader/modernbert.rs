//! ModernBERT (Warner et al., 2024). Reference implementation: `ModernBertModel` of transformers.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::Body;
use crate::Result;
use crate::model::config::{Config, HEADS, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use crate::model::decoder::Rotation;
use crate::model::encoder::{Batch, Drop};
use crate::model::layers::{Activation, Embedding, HIDDEN_SCORE, LayerNorm, Linear, ids, softmax, to};
use crate::model::loader::Loader;
use crate::model::rope::{Rope, rotate};

#[derive(Debug)]
struct Block {
    /// Absent in the first layer.
    attention_norm: Option<LayerNorm>,
    qkv: Linear,
    out: Linear,
    norm: LayerNorm,
    up: Linear,
    down: Linear,
    /// Whether it sees positions near its own only.
    local: bool,
}

/// A ModernBERT body.
#[derive(Debug)]
pub(super) struct ModernBert {
    hidden: usize,
    inner: usize,
    heads: usize,
    positions: usize,
    activation: Activation,
    /// Largest distance that local layers see.
    reach: usize,
    /// Rotary embeddings of global and of local layers.
    ropes: [Rope; 2],
    tokens: Embedding,
    norm: LayerNorm,
    blocks: Vec<Block>,
    final_norm: LayerNorm,
    device: Device,
}

impl ModernBert {
    pub(super) fn load(config: &Config, w: &Loader<'_>) -> Result<Self> {
        let d = config.size("hidden_size", HIDDEN)?;
        let heads = config.size("num_attention_heads", HEADS)?;
        let dim = config.head_dim("num_attention_heads", d, heads)?;
        let inner = config.size("intermediate_size", HIDDEN)?;
        let layers = config.size("num_hidden_layers", LAYERS)?;
        let eps = config.positive_or("norm_eps", 1e-5)?;
        let [norm_bias, attention_bias, inner_bias] = [
            config.flag_or("norm_bias", false)?,
            config.flag_or("attention_bias", false)?,
            config.flag_or("mlp_bias", false)?,
        ];
        let norm = |name: &str| w.norm(name, d, eps, norm_bias);
        let local = local_layers(config, layers)?;
        let blocks = (0..layers)
            .map(|i| {
                let n = |part: &str| format!("layers.{i}.{part}");
                Ok(Block {
                    attention_norm: if i == 0 { None } else { Some(norm(&n("attn_norm"))?) },
                    qkv: w.linear(&n("attn.Wqkv"), d, 3 * d, attention_bias)?,
                    out: w.linear(&n("attn.Wo"), d, d, attention_bias)?,
                    norm: norm(&n("mlp_norm"))?,
                    up: w.linear(&n("mlp.Wi"), d, 2 * inner, inner_bias)?,
                    down: w.linear(&n("mlp.Wo"), inner, d, inner_bias)?,
                    local: local[i],
                })
            })
            .collect::<Result<_>>()?;
        let global = config.positive_or("global_rope_theta", 160_000.0)?;
        // The older reference takes null for the base of global layers.
        let near = match config.entries().get("local_rope_theta") {
            Some(value) if value.is_null() => global,
            _ => config.positive_or("local_rope_theta", 10_000.0)?,
        };
        let ropes = [
            Rope::read(config, dim, global, Some("full_attention"))?,
            Rope::read(config, dim, near, Some("sliding_attention"))?,
        ];
        let positions = config.size_or("max_position_embeddings", POSITIONS, 8192)?;
        Ok(Self {
            hidden: d,
            inner,
            heads,
            positions: ropes.iter().filter_map(|rope| rope.limit).fold(positions, usize::min),
            activation: config.activation("hidden_activation", Activation::Gelu)?,
            reach: config.size_or("local_attention", 1..=1 << 20, 128)? / 2,
            ropes,
            tokens: w.embedding("embeddings.tok_embeddings.weight", config.size("vocab_size", VOCABULARY)?, d)?,
            norm: norm("embeddings.norm")?,
            blocks,
            final_norm: norm("final_norm")?,
            device: w.device().clone(),
        })
    }

    /// What is added to the scores of global and of local layers; `None` if nothing is hidden.
    fn masks(&self, batch: &Batch) -> [Option<Tensor<4>>; 2] {
        let (length, padding) = (batch.length, batch.scores(&self.device));
        if length <= self.reach + 1 {
            return [padding.clone(), padding];
        }
        let score = |q: usize, k: usize| if q.abs_diff(k) <= self.reach { 0.0 } else { HIDDEN_SCORE };
        let values: Vec<f32> = (0..length).flat_map(|q| (0..length).map(move |k| score(q, k))).collect();
        let near = Tensor::from_data(TensorData::new(values, [1, 1, length, length]), &self.device);
        [padding.clone(), Some(padding.map_or(near.clone(), |padding| padding + near))]
    }
}

/// Whether each layer is local.
fn local_layers(config: &Config, layers: usize) -> Result<Vec<bool>> {
    let every = config.size_or("global_attn_every_n_layers", LAYERS, 3)?;
    match config.windowed(layers)? {
        Some(listed) => Ok(listed),
        None => Ok((0..layers).map(|layer| layer % every != 0).collect()),
    }
}

impl Block {
    fn attend(
        &self,
        x: Tensor<2>,
        (rows, heads): (usize, usize),
        rotation: &Rotation,
        mask: Option<&Tensor<4>>,
    ) -> Tensor<2> {
        let [n, d] = x.dims();
        let (length, dim) = (n / rows, d / heads);
        let normed = self.attention_norm.as_ref().map_or(x.clone(), |norm| norm.forward(x));
        let qkv = self.qkv.split(normed, [d; 3]);
        let [q, k, v] = qkv.map(|t| t.reshape([rows, length, heads, dim]).swap_dims(1, 2));
        #[allow(clippy::cast_precision_loss)]
        let q = rotate(q / (dim as f32).sqrt(), rotation);
        let mut scores = to(q.matmul(rotate(k, rotation).swap_dims(2, 3)), DType::F32);
        if let Some(mask) = mask {
            scores = scores + mask.clone();
        }
        let out = to(softmax(scores), v.dtype()).matmul(v).swap_dims(1, 2).reshape([n, d]);
        self.out.forward(out)
    }
}

impl Body for ModernBert {
    fn hidden(&self) -> usize {
        self.hidden
    }

    fn layers(&self) -> usize {
        self.blocks.len()
    }

    fn positions(&self) -> usize {
        self.positions
    }

    fn forward(&self, batch: &Batch, layer: usize, drop: Drop<'_>) -> (Tensor<2>, Tensor<2>) {
        let rows = batch.rows();
        let places: Vec<u32> = (0..u32::try_from(batch.length).unwrap_or(0)).collect();
        let rotations = [0, 1].map(|i| self.ropes[i].rotation(1, &places, &self.device));
        let masks = self.masks(batch);
        let mut x = self.norm.forward(self.tokens.forward(ids(batch.ids.iter().copied(), &self.device)));
        let mut chosen = x.clone();
        for (i, block) in self.blocks.iter().enumerate() {
            let kind = usize::from(block.local);
            let attended = block.attend(x.clone(), (rows, self.heads), &rotations[kind], masks[kind].as_ref());
            x = x + drop(i, 0, attended);
            let [active, other] = block.up.split(block.norm.forward(x.clone()), [self.inner; 2]);
            x = x + drop(i, 1, block.down.forward(self.activation.forward(active) * other));
            if i + 1 == layer {
                chosen = x.clone();
            }
        }
        // As in the reference, the states of the last layer are those after the final norm.
        let last = self.final_norm.forward(x);
        (if layer >= self.blocks.len() { last.clone() } else { chosen }, last)
    }
}
