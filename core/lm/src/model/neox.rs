//! GPT-NeoX (Black et al., 2022), such as Pythia. Reference implementation: `GPTNeoXForCausalLM` of transformers.

use burn::tensor::{Int, Tensor};

use super::cache::{Cache, Scores};
use super::config::{Config, HEADS, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use super::decoder::{Decoder, Pass, Sizes};
use super::layers::{Activation, Embedding, LayerNorm, Linear, merge_heads};
use super::loader::Loader;
use super::rope::{Rope, rotate};
use crate::Result;

#[derive(Debug)]
struct Block {
    attention_norm: LayerNorm,
    qkv: Linear,
    out: Linear,
    norm: LayerNorm,
    up: Linear,
    down: Linear,
}

/// A GPT-NeoX language model.
#[derive(Debug)]
pub(super) struct NeoX {
    config: NeoXConfig,
    tokens: Embedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Option<Linear>,
}

/// The `config.json` of a GPT-NeoX model.
#[derive(Debug, Clone)]
pub(super) struct NeoXConfig {
    pub sizes: Sizes,
    /// Width of the feed-forward layer.
    inner: usize,
    eps: f64,
    activation: Activation,
    attention_bias: bool,
    /// Whether attention and feed-forward network read the same states.
    parallel: bool,
    rope: Rope,
}

impl NeoXConfig {
    pub(super) fn read(config: &Config) -> Result<Self> {
        // The names of transformers 4, whose default is a quarter of each head.
        let older = [("partial_rotary_factor", "rotary_pct"), ("rope_theta", "rotary_emb_base")];
        let config = &config.with("rope_theta", serde_json::Value::Null).aliased(&older);
        let config = &config.with_default("partial_rotary_factor", 0.25.into());
        let hidden = config.size("hidden_size", HIDDEN)?;
        let heads = config.size("num_attention_heads", HEADS)?;
        let head_dim = config.head_dim("num_attention_heads", hidden, heads)?;
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        let rope = Rope::of_part(config, head_dim, 10_000.0, None, true)?;
        let positions = config.size_or("max_position_embeddings", POSITIONS, 2048)?;
        Ok(Self {
            sizes: Sizes {
                hidden,
                heads,
                kv_heads: heads,
                head_dim,
                layers: config.size("num_hidden_layers", LAYERS)?,
                vocabulary,
                positions: rope.limit.map_or(positions, |limit| limit.min(positions)),
                eos: config.eos(vocabulary)?,
                start: None,
                tied: config.flag_or("tie_word_embeddings", false)?,
            },
            inner: config.size("intermediate_size", HIDDEN)?,
            eps: config.positive_or("layer_norm_eps", 1e-5)?,
            activation: config.activation("hidden_act", Activation::Gelu)?,
            attention_bias: config.flag_or("attention_bias", true)?,
            parallel: config.flag_or("use_parallel_residual", true)?,
            rope,
        })
    }
}

impl NeoX {
    /// Builds the model from weights with the names that transformers uses.
    pub(super) fn load(config: NeoXConfig, w: Loader<'_>) -> Result<Self> {
        let NeoXConfig { ref sizes, inner, eps, attention_bias, .. } = config;
        let d = sizes.hidden;
        let blocks = (0..sizes.layers)
            .map(|i| {
                let n = |part: &str| format!("layers.{i}.{part}");
                Ok(Block {
                    attention_norm: w.layer_norm(&n("input_layernorm"), d, eps)?,
                    qkv: w.linear(&n("attention.query_key_value"), d, 3 * d, attention_bias)?,
                    out: w.linear(&n("attention.dense"), d, d, attention_bias)?,
                    norm: w.layer_norm(&n("post_attention_layernorm"), d, eps)?,
                    up: w.linear(&n("mlp.dense_h_to_4h"), d, inner, true)?,
                    down: w.linear(&n("mlp.dense_4h_to_h"), inner, d, true)?,
                })
            })
            .collect::<Result<_>>()?;
        let head = w.first(&["/embed_out.weight", "/lm_head.weight"]);
        let (tokens, head) = w.tables(
            &["embed_in.weight"],
            head.strip_suffix(".weight").unwrap_or(head),
            [sizes.vocabulary, d],
            sizes.tied,
        )?;
        let model = Self { tokens, blocks, norm: w.layer_norm("final_layer_norm", d, eps)?, head, config };
        w.finish(model.config.sizes.layers)?;
        Ok(model)
    }

    /// Queries divided by their scale, keys and values, which the file has head by head.
    fn split(&self, qkv: Tensor<2>, rows: usize) -> [Tensor<4>; 3] {
        let (heads, dim) = (self.config.sizes.heads, self.config.sizes.head_dim);
        let new = qkv.dims()[0] / rows;
        let by_head = qkv.reshape([rows, new, heads, 3 * dim]).swap_dims(1, 2); // [rows, heads, new, 3 * head_dim]
        let part = |i: usize| by_head.clone().slice([0..rows, 0..heads, 0..new, i * dim..(i + 1) * dim]);
        [part(0) / self.config.sizes.score_scale(), part(1), part(2)]
    }
}

impl Decoder for NeoX {
    fn sizes(&self) -> &Sizes {
        &self.config.sizes
    }

    fn embed(&self, ids: Tensor<1, Int>, _: &Pass) -> Tensor<2> {
        self.tokens.forward(ids)
    }

    fn layer(&self, i: usize, x: Tensor<2>, pass: &Pass, cache: &mut dyn Cache) -> Tensor<2> {
        let block = &self.blocks[i];
        let [q, k, v] = self.split(block.qkv.forward(block.attention_norm.forward(x.clone())), pass.rows);
        let made = || vec![self.config.rope.rotation(pass.rows, &pass.positions, &x.device())];
        let rotation = &pass.rotations.get_or_init(made)[0];
        let (q, k) = (rotate(q, rotation), rotate(k, rotation));
        let attended = block.out.forward(merge_heads(cache.attend(i, q, k, v, &Scores::default())));
        let added = x.clone() + cache.residual(i, 0, attended);
        let read = if self.config.parallel { x } else { added.clone() };
        let h = self.config.activation.forward(block.up.forward(block.norm.forward(read)));
        added + cache.residual(i, 1, block.down.forward(h))
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
