//! GPT-2 (Radford et al., 2019). Reference implementation: `GPT2LMHeadModel` of transformers.

use burn::tensor::{Int, Tensor};

use super::cache::{Cache, Scores};
use super::config::{Config, HEADS, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use super::decoder::{Decoder, Pass, Sizes};
use super::layers::{Activation, Embedding, LayerNorm, Linear, merge_heads, split_heads};
use super::loader::Loader;
use crate::Result;

#[derive(Debug)]
struct Block {
    ln_1: LayerNorm,
    c_attn: Linear, // fused q, k, v
    c_proj: Linear,
    ln_2: LayerNorm,
    c_fc: Linear,
    mlp_proj: Linear,
}

/// A GPT-2 language model; the output projection may be tied to the embedding.
#[derive(Debug)]
pub struct Gpt2 {
    sizes: Sizes,
    wte: Embedding,
    wpe: Embedding,
    blocks: Vec<Block>,
    ln_f: LayerNorm,
    head: Option<Linear>,
    activation: Activation,
    scales: Vec<f32>,
}

/// The `config.json` of a GPT-2 model.
#[derive(Debug, Clone)]
pub(super) struct Gpt2Config {
    pub sizes: Sizes,
    /// Width of the feed-forward layer.
    inner: usize,
    eps: f64,
    activation: Activation,
    /// Divisor of the queries of each layer.
    scales: Vec<f32>,
}

impl Gpt2Config {
    pub(super) fn read(config: &Config) -> Result<Self> {
        let config = &config.aliased(&[
            ("n_embd", "hidden_size"),
            ("n_head", "num_attention_heads"),
            ("n_layer", "num_hidden_layers"),
            ("n_positions", "max_position_embeddings"),
        ]);
        let hidden = config.size("n_embd", HIDDEN)?;
        let heads = config.size("n_head", HEADS)?;
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        config.only("add_cross_attention", &["false"])?;
        let (head_dim, layers) = (config.head_dim("n_head", hidden, heads)?, config.size("n_layer", LAYERS)?);
        #[allow(clippy::cast_precision_loss)]
        let scaled = if config.flag_or("scale_attn_weights", true)? { (head_dim as f32).sqrt() } else { 1.0 };
        let by_layer = config.flag_or("scale_attn_by_inverse_layer_idx", false)?;
        #[allow(clippy::cast_precision_loss)]
        let scales = (1..=layers).map(|layer| if by_layer { scaled * layer as f32 } else { scaled }).collect();
        Ok(Self {
            sizes: Sizes {
                hidden,
                heads,
                kv_heads: heads,
                head_dim,
                layers,
                vocabulary,
                positions: config.size("n_positions", POSITIONS)?,
                eos: config.eos(vocabulary)?,
                start: None,
                tied: config.flag_or("tie_word_embeddings", true)?,
            },
            inner: config.size_or("n_inner", HIDDEN, 4 * hidden)?,
            eps: config.positive_or("layer_norm_epsilon", 1e-5)?,
            activation: config.activation("activation_function", Activation::GeluTanh)?,
            scales,
        })
    }
}

impl Gpt2 {
    /// Builds the model from weights with the names that transformers uses, with or without the `transformer.` prefix.
    pub(super) fn load(config: Gpt2Config, w: Loader<'_>) -> Result<Self> {
        let Gpt2Config { sizes, inner, eps, activation, scales } = config;
        let d = sizes.hidden;
        let blocks = (0..sizes.layers)
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
        let (wte, head) = w.tables(&["wte.weight"], "/lm_head", [sizes.vocabulary, d], sizes.tied)?;
        let model = Self {
            wte,
            head,
            activation,
            scales,
            wpe: w.embedding("wpe.weight", sizes.positions, d)?,
            blocks,
            ln_f: w.layer_norm("ln_f", d, eps)?,
            sizes,
        };
        w.finish(model.sizes.layers)?;
        Ok(model)
    }
}

impl Decoder for Gpt2 {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn embed(&self, ids: Tensor<1, Int>, pass: &Pass) -> Tensor<2> {
        let positions = pass.on(&ids.device());
        self.wte.forward(ids) + self.wpe.forward(positions)
    }

    fn layer(&self, i: usize, x: Tensor<2>, pass: &Pass, cache: &mut dyn Cache) -> Tensor<2> {
        let (block, heads) = (&self.blocks[i], self.sizes.attention());
        let normed = block.ln_1.forward(x.clone());
        let [q, k, v] = split_heads(&block.c_attn, normed, pass.rows, heads, self.scales[i]);
        let attended = block.c_proj.forward(merge_heads(cache.attend(i, q, k, v, &Scores::default())));
        let x = x + cache.residual(i, 0, attended);
        let h = self.activation.forward(block.c_fc.forward(block.ln_2.forward(x.clone())));
        x + cache.residual(i, 1, block.mlp_proj.forward(h))
    }

    fn norm(&self, x: Tensor<2>) -> Tensor<2> {
        self.ln_f.forward(x)
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.head {
            Some(head) => head.forward(hidden),
            None => self.wte.unembed(hidden),
        }
    }
}
