//! GPT-2 (Radford et al. 2019). Reference: `GPT2LMHeadModel` of transformers.

use burn::tensor::{Int, Tensor};

use super::cache::Cache;
use super::config::{Config, HEADS, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use super::layers::{Activation, Embedding, LayerNorm, Linear};
use super::lm::{Sizes, merge_heads, split_heads};
use super::loader::Loader;
use crate::Result;

#[derive(Debug)]
struct Block {
    ln_1: LayerNorm,
    c_attn: Linear, // q, k, v
    c_proj: Linear,
    ln_2: LayerNorm,
    c_fc: Linear,
    mlp_proj: Linear,
}

/// A GPT-2 language model with tied output projection.
#[derive(Debug)]
pub struct Gpt2 {
    pub(super) shape: Sizes,
    wte: Embedding,
    wpe: Embedding,
    blocks: Vec<Block>,
    ln_f: LayerNorm,
}

impl Gpt2 {
    /// Sizes from a config.
    pub(super) fn shape(config: &Config) -> Result<Sizes> {
        let hidden = config.size("n_embd", HIDDEN)?;
        let heads = config.size("n_head", HEADS)?;
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        config.word_or("activation_function", &["gelu_new", "gelu_pytorch_tanh"])?;
        Ok(Sizes {
            hidden,
            heads,
            kv_heads: heads,
            head_dim: config.head_dim("n_head", hidden, heads)?,
            layers: config.size("n_layer", LAYERS)?,
            vocabulary,
            positions: config.size("n_positions", POSITIONS)?,
            eos: config.eos(vocabulary)?,
            start: None,
        })
    }

    /// Weights named as by transformers, with or without the `transformer.` prefix.
    pub(super) fn load(config: &Config, w: Loader<'_>) -> Result<Self> {
        let shape = Self::shape(config)?;
        let d = shape.hidden;
        let inner = config.size_or("n_inner", HIDDEN, 4 * d)?;
        let eps = config.positive_or("layer_norm_epsilon", 1e-5)?;
        let blocks = (0..shape.layers)
            .map(|i| {
                let n = |part: &str| format!("h.{i}.{part}");
                Ok(Block {
                    ln_1: w.layer_norm(&n("ln_1"), d, eps)?,
                    c_attn: w.conv1d(&n("attn.c_attn"), d, 3 * d)?,
                    c_proj: w.conv1d(&n("attn.c_proj"), d, d)?,
                    ln_2: w.layer_norm(&n("ln_2"), d, eps)?,
                    c_fc: w.conv1d(&n("mlp.c_fc"), d, inner)?,
                    mlp_proj: w.conv1d(&n("mlp.c_proj"), inner, d)?,
                })
            })
            .collect::<Result<_>>()?;
        let model = Self {
            wte: w.tied("wte.weight", shape.vocabulary, d)?,
            wpe: w.embedding("wpe.weight", shape.positions, d)?,
            blocks,
            ln_f: w.layer_norm("ln_f", d, eps)?,
            shape,
        };
        w.finish(model.shape.layers)?;
        Ok(model)
    }

    /// `ids`, `positions` `[rows * new]` `-> [rows * new, hidden]`.
    pub(super) fn start(&self, ids: Tensor<1, Int>, positions: Tensor<1, Int>) -> Tensor<2> {
        self.wte.forward(ids) + self.wpe.forward(positions)
    }

    /// Layer `i`, `[rows * new, hidden] -> [rows * new, hidden]`.
    pub(super) fn block(&self, i: usize, x: Tensor<2>, rows: usize, cache: &mut dyn Cache) -> Tensor<2> {
        let block = &self.blocks[i];
        let [q, k, v] =
            split_heads(&block.c_attn, block.ln_1.forward(x.clone()), rows, &self.shape, self.shape.score_scale());
        let attended = block.c_proj.forward(merge_heads(cache.attend(i, q, k, v, None)));
        let x = x + cache.residual(i, 0, attended);
        let h = Activation::GeluTanh.forward(block.c_fc.forward(block.ln_2.forward(x.clone())));
        x + cache.residual(i, 1, block.mlp_proj.forward(h))
    }

    /// The final norm.
    pub(super) fn finish(&self, x: Tensor<2>) -> Tensor<2> {
        self.ln_f.forward(x)
    }

    pub(super) fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.wte.unembed(hidden)
    }
}
