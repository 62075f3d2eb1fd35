//! OPT (Zhang et al., 2022). Reference implementation: `OPTForCausalLM` of transformers.

use burn::tensor::{Int, Tensor};

use super::cache::{Cache, Scores};
use super::config::{Config, HEADS, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use super::decoder::{Decoder, Pass, Sizes};
use super::layers::{Activation, Embedding, LayerNorm, Linear, merge_heads, split_heads};
use super::loader::Loader;
use crate::Result;

/// Number of unused rows at the start of the position table.
const POSITION_OFFSET: usize = 2;
/// Epsilon of all layer norms, which is no setting.
const EPSILON: f64 = 1e-5;

#[derive(Debug)]
struct Block {
    attention_norm: LayerNorm,
    qkv: Linear,
    out: Linear,
    norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

/// An OPT language model.
#[derive(Debug)]
pub(super) struct Opt {
    config: OptConfig,
    tokens: Embedding,
    positions: Embedding,
    /// From the width of the embeddings to that of the layers, and back, if they differ.
    projections: Option<[Linear; 2]>,
    blocks: Vec<Block>,
    norm: Option<LayerNorm>,
    head: Option<Linear>,
}

/// The `config.json` of an OPT model.
#[derive(Debug, Clone)]
pub(super) struct OptConfig {
    pub sizes: Sizes,
    /// Width of the feed-forward layer.
    inner: usize,
    /// Width of the embeddings.
    embedding: usize,
    activation: Activation,
    bias: bool,
    /// Whether norms have weights.
    affine: bool,
    /// Whether parts are normed before they are computed, and not after they are added.
    norm_first: bool,
    final_norm: bool,
}

impl OptConfig {
    pub(super) fn read(config: &Config) -> Result<Self> {
        let hidden = config.size("hidden_size", HIDDEN)?;
        let heads = config.size("num_attention_heads", HEADS)?;
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        let norm_first = config.flag_or("do_layer_norm_before", true)?;
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
            inner: config.size("ffn_dim", HIDDEN)?,
            embedding: config.size_or("word_embed_proj_dim", HIDDEN, hidden)?,
            activation: config.activation("activation_function", Activation::Relu)?,
            bias: config.flag_or("enable_bias", true)?,
            affine: config.flag_or("layer_norm_elementwise_affine", true)?,
            norm_first,
            final_norm: norm_first && !config.flag_or("_remove_final_layer_norm", false)?,
        })
    }
}

impl Opt {
    /// Builds the model from weights with the names that transformers uses.
    pub(super) fn load(config: OptConfig, w: Loader<'_>) -> Result<Self> {
        let OptConfig { ref sizes, inner, embedding, bias, .. } = config;
        let d = sizes.hidden;
        let norm = |name: &str| {
            if config.affine { w.layer_norm(name, d, EPSILON) } else { Ok(LayerNorm::plain(d, EPSILON, w.device())) }
        };
        let blocks = (0..sizes.layers)
            .map(|i| {
                let n = |part: &str| format!("layers.{i}.{part}");
                let [q, k, v] = ["q", "k", "v"].map(|p| n(&format!("self_attn.{p}_proj")));
                Ok(Block {
                    attention_norm: norm(&n("self_attn_layer_norm"))?,
                    qkv: w.fused(&[(&q, d), (&k, d), (&v, d)], d, bias)?,
                    out: w.linear(&n("self_attn.out_proj"), d, d, bias)?,
                    norm: norm(&n("final_layer_norm"))?,
                    fc1: w.linear(&n("fc1"), d, inner, bias)?,
                    fc2: w.linear(&n("fc2"), inner, d, bias)?,
                })
            })
            .collect::<Result<_>>()?;
        let (tokens, head) =
            w.tables(&["embed_tokens.weight"], "/lm_head", [sizes.vocabulary, embedding], sizes.tied)?;
        let model = Self {
            tokens,
            positions: w.embedding("embed_positions.weight", sizes.positions + POSITION_OFFSET, d)?,
            projections: if embedding == d {
                None
            } else {
                Some([w.linear("project_in", embedding, d, false)?, w.linear("project_out", d, embedding, false)?])
            },
            blocks,
            norm: if config.final_norm { Some(norm("final_layer_norm")?) } else { None },
            head,
            config,
        };
        w.finish(model.config.sizes.layers)?;
        Ok(model)
    }
}

impl Decoder for Opt {
    fn sizes(&self) -> &Sizes {
        &self.config.sizes
    }

    fn embed(&self, ids: Tensor<1, Int>, pass: &Pass) -> Tensor<2> {
        #[allow(clippy::cast_possible_wrap)]
        let positions = pass.on(&ids.device()) + POSITION_OFFSET as i64;
        let tokens = self.tokens.forward(ids);
        let tokens = self.projections.as_ref().map_or(tokens.clone(), |[wider, _]| wider.forward(tokens));
        tokens + self.positions.forward(positions)
    }

    fn layer(&self, i: usize, x: Tensor<2>, pass: &Pass, cache: &mut dyn Cache) -> Tensor<2> {
        let (block, sizes) = (&self.blocks[i], &self.config.sizes);
        let before =
            |norm: &LayerNorm, x: &Tensor<2>| if self.config.norm_first { norm.forward(x.clone()) } else { x.clone() };
        let after = |norm: &LayerNorm, x: Tensor<2>| if self.config.norm_first { x } else { norm.forward(x) };
        let normed = before(&block.attention_norm, &x);
        let [q, k, v] = split_heads(&block.qkv, normed, pass.rows, sizes.attention(), sizes.score_scale());
        let attended = block.out.forward(merge_heads(cache.attend(i, q, k, v, &Scores::default())));
        let x = after(&block.attention_norm, x + cache.residual(i, 0, attended));
        let h = self.config.activation.forward(block.fc1.forward(before(&block.norm, &x)));
        let fed = block.fc2.forward(h);
        after(&block.norm, x + cache.residual(i, 1, fed))
    }

    fn norm(&self, x: Tensor<2>) -> Tensor<2> {
        self.norm.as_ref().map_or(x.clone(), |norm| norm.forward(x))
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let hidden = self.projections.as_ref().map_or(hidden.clone(), |[_, narrower]| narrower.forward(hidden));
        match &self.head {
            Some(head) => head.forward(hidden),
            None => self.tokens.unembed(hidden),
        }
    }
}
