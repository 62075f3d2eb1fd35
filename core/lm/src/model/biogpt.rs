//! BioGPT (Luo et al., 2022). Reference implementation: `BioGptForCausalLM` of transformers.

use burn::tensor::{Int, Tensor};

use super::cache::{Cache, Scores};
use super::config::{Config, HEADS, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use super::decoder::{Decoder, Pass, Sizes};
use super::layers::{Activation, Embedding, LayerNorm, Linear, merge_heads, split_heads};
use super::loader::Loader;
use crate::Result;

/// Number of unused rows at the start of the position table, as in fairseq.
const POSITION_OFFSET: usize = 2;

/// The reference implementation does not read `layer_norm_eps`: its layers have the default of PyTorch's `LayerNorm`.
const EPSILON: f64 = 1e-5;

#[derive(Debug)]
struct Block {
    norm: LayerNorm,
    qkv: Linear,
    out: Linear,
    final_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

/// A BioGPT language model; the output projection may be tied to the embedding.
#[derive(Debug)]
pub struct BioGpt {
    sizes: Sizes,
    scale: f32,
    tokens: Embedding,
    positions: Embedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Option<Linear>,
    activation: Activation,
}

/// The `config.json` of a BioGPT model.
#[derive(Debug, Clone)]
pub(super) struct BioGptConfig {
    pub sizes: Sizes,
    /// Width of the feed-forward layer.
    inner: usize,
    /// Whether embeddings are multiplied by the square root of the width.
    scaled: bool,
    activation: Activation,
}

impl BioGptConfig {
    pub(super) fn read(config: &Config) -> Result<Self> {
        let hidden = config.size("hidden_size", HIDDEN)?;
        let heads = config.size("num_attention_heads", HEADS)?;
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        Ok(Self {
            sizes: Sizes {
                hidden,
                heads,
                kv_heads: heads,
                head_dim: config.head_dim("num_attention_heads", hidden, heads)?,
                layers: config.size("num_hidden_layers", LAYERS)?,
                vocabulary,
                positions: config.size("max_position_embeddings", POSITIONS)?,
                eos: config.eos(vocabulary)?,
                start: None,
                tied: config.flag_or("tie_word_embeddings", true)?,
            },
            inner: config.size("intermediate_size", HIDDEN)?,
            scaled: config.flag_or("scale_embedding", true)?,
            activation: config.activation("hidden_act", Activation::Gelu)?,
        })
    }
}

impl BioGpt {
    /// Builds the model from weights with the names that transformers uses.
    pub(super) fn load(config: BioGptConfig, w: Loader<'_>) -> Result<Self> {
        let BioGptConfig { sizes, inner, scaled, activation } = config;
        let d = sizes.hidden;
        let blocks = (0..sizes.layers)
            .map(|i| {
                let n = |part: &str| format!("layers.{i}.{part}");
                let [q, k, v] = ["q", "k", "v"].map(|p| n(&format!("self_attn.{p}_proj")));
                Ok(Block {
                    norm: w.layer_norm(&n("self_attn_layer_norm"), d, EPSILON)?,
                    qkv: w.fused(&[(&q, d), (&k, d), (&v, d)], d, true)?,
                    out: w.linear(&n("self_attn.out_proj"), d, d, true)?,
                    final_norm: w.layer_norm(&n("final_layer_norm"), d, EPSILON)?,
                    fc1: w.linear(&n("fc1"), d, inner, true)?,
                    fc2: w.linear(&n("fc2"), inner, d, true)?,
                })
            })
            .collect::<Result<_>>()?;
        #[allow(clippy::cast_precision_loss)]
        let scale = if scaled { (d as f32).sqrt() } else { 1.0 };
        let (tokens, head) =
            w.tables(&["embed_tokens.weight"], "/output_projection", [sizes.vocabulary, d], sizes.tied)?;
        let model = Self {
            scale,
            tokens,
            head,
            activation,
            positions: w.embedding("embed_positions.weight", sizes.positions + POSITION_OFFSET, d)?,
            blocks,
            norm: w.layer_norm("layer_norm", d, EPSILON)?,
            sizes,
        };
        w.finish(model.sizes.layers)?;
        Ok(model)
    }
}

impl Decoder for BioGpt {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn embed(&self, ids: Tensor<1, Int>, pass: &Pass) -> Tensor<2> {
        #[allow(clippy::cast_possible_wrap)]
        let positions = pass.on(&ids.device()) + POSITION_OFFSET as i64;
        self.tokens.forward(ids) * self.scale + self.positions.forward(positions)
    }

    fn layer(&self, i: usize, x: Tensor<2>, pass: &Pass, cache: &mut dyn Cache) -> Tensor<2> {
        let (block, heads) = (&self.blocks[i], self.sizes.attention());
        let normed = block.norm.forward(x.clone());
        let [q, k, v] = split_heads(&block.qkv, normed, pass.rows, heads, self.sizes.score_scale());
        let attended = block.out.forward(merge_heads(cache.attend(i, q, k, v, &Scores::default())));
        let x = x + cache.residual(i, 0, attended);
        let h = self.activation.forward(block.fc1.forward(block.final_norm.forward(x.clone())));
        x + cache.residual(i, 1, block.fc2.forward(h))
    }

    fn norm(&self, x: Tensor<2>) -> Tensor<2> {
        self.norm.forward(x)
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.head {
            Some(head) => head.forward(hidden),
            None => self.tokens.unembed(hidden),
        }
    }
}
