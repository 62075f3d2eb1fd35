//! Llama (Touvron et al., 2023) with grouped-query attention, such as SmolLM2. Reference implementation:
//! `LlamaForCausalLM` of transformers.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::cache::Cache;
use super::config::{Config, HEADS, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use super::decoder::{Decoder, Pass, Rotation, Sizes};
use super::layers::{Activation, Embedding, Linear, RmsNorm, merge_heads, split_heads, to};
use super::loader::Loader;
use crate::Result;

#[derive(Debug)]
struct Block {
    input_norm: RmsNorm,
    qkv: Linear,
    o_proj: Linear,
    post_norm: RmsNorm,
    gate_up: Linear,
    down: Linear,
}

/// A Llama language model; the output projection may be tied to the embedding.
#[derive(Debug)]
pub struct Llama {
    sizes: Sizes,
    inner: usize,
    frequencies: Vec<f64>,
    tokens: Embedding,
    blocks: Vec<Block>,
    norm: RmsNorm,
    head: Option<Linear>,
}

/// The `config.json` of a Llama model.
#[derive(Debug, Clone)]
pub(super) struct LlamaConfig {
    pub sizes: Sizes,
    /// Width of the feed-forward layer.
    inner: usize,
    eps: f64,
    /// Base of the rotary frequencies.
    theta: f64,
    /// Whether the output projection is tied to the embedding.
    tied: bool,
}

impl LlamaConfig {
    pub(super) fn read(config: &Config) -> Result<Self> {
        let hidden = config.size("hidden_size", HIDDEN)?;
        let heads = config.size("num_attention_heads", HEADS)?;
        let kv_heads = config.size_or("num_key_value_heads", HEADS, heads)?;
        if !heads.is_multiple_of(kv_heads) {
            return Err(config.wrong("num_key_value_heads", format!("a divisor of the {heads} heads"), kv_heads));
        }
        let head_dim = if config.get("head_dim").is_some() {
            config.size("head_dim", 2..=4096)?
        } else {
            config.head_dim("num_attention_heads", hidden, heads)?
        };
        if !head_dim.is_multiple_of(2) {
            return Err(config.wrong("head_dim", "an even number, as rotary positions need", head_dim));
        }
        config.word_or("hidden_act", &["silu"])?;
        if let Some(scaling) = config.get("rope_scaling") {
            return Err(config.wrong("rope_scaling", "nothing: scaled rotary positions are not supported", scaling));
        }
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        // transformers 5 has the base in `rope_parameters`.
        let nested =
            config.get("rope_parameters").and_then(|p| p.get("rope_theta")).and_then(serde_json::Value::as_f64);
        Ok(Self {
            sizes: Sizes {
                hidden,
                heads,
                kv_heads,
                head_dim,
                layers: config.size("num_hidden_layers", LAYERS)?,
                vocabulary,
                positions: config.size_or("max_position_embeddings", POSITIONS, 2048)?,
                eos: config.eos(vocabulary)?,
                start: None,
            },
            inner: config.size("intermediate_size", HIDDEN)?,
            eps: config.positive_or("rms_norm_eps", 1e-6)?,
            theta: config.positive_or("rope_theta", nested.filter(|t| *t > 0.0).unwrap_or(10_000.0))?,
            tied: config.flag_or("tie_word_embeddings", false)?,
        })
    }
}

impl Llama {
    /// Builds the model from weights with the names that transformers uses.
    pub(super) fn load(config: LlamaConfig, w: Loader<'_>) -> Result<Self> {
        let LlamaConfig { sizes, inner, eps, theta, tied } = config;
        let (d, dim) = (sizes.hidden, sizes.head_dim);
        let blocks = (0..sizes.layers)
            .map(|i| {
                let n = |part: &str| format!("layers.{i}.{part}");
                let (q, kv) = (sizes.heads * dim, sizes.kv_heads * dim);
                let [q_proj, k_proj, v_proj] = ["q", "k", "v"].map(|p| n(&format!("self_attn.{p}_proj")));
                let (gate, up) = (n("mlp.gate_proj"), n("mlp.up_proj"));
                Ok(Block {
                    input_norm: w.rms_norm(&n("input_layernorm"), d, eps)?,
                    qkv: w.fused(&[(&q_proj, q), (&k_proj, kv), (&v_proj, kv)], d)?,
                    o_proj: w.linear(&n("self_attn.o_proj"), sizes.heads * dim, d)?,
                    post_norm: w.rms_norm(&n("post_attention_layernorm"), d, eps)?,
                    gate_up: w.fused(&[(&gate, inner), (&up, inner)], d)?,
                    down: w.linear(&n("mlp.down_proj"), inner, d)?,
                })
            })
            .collect::<Result<_>>()?;
        #[allow(clippy::cast_precision_loss)]
        let frequencies = (0..dim / 2).map(|i| theta.powf(-2.0 * i as f64 / dim as f64)).collect();
        let model = Self {
            inner,
            frequencies,
            tokens: if tied {
                w.tied("embed_tokens.weight", sizes.vocabulary, d)?
            } else {
                w.embedding("embed_tokens.weight", sizes.vocabulary, d)?
            },
            blocks,
            norm: w.rms_norm("norm", d, eps)?,
            head: if tied { None } else { Some(w.linear("/lm_head", d, sizes.vocabulary)?) },
            sizes,
        };
        w.finish(model.sizes.layers)?;
        Ok(model)
    }

    /// cos and sin, `[rows, 1, new, head_dim]`; both halves of the head have the same values.
    fn rotation(&self, rows: usize, positions: &[u32], device: &Device) -> Rotation {
        let dim = self.sizes.head_dim;
        let (mut cos, mut sin) = (Vec::with_capacity(positions.len() * dim), Vec::with_capacity(positions.len() * dim));
        for &p in positions {
            for _ in 0..2 {
                for f in &self.frequencies {
                    let angle = f64::from(p) * f;
                    #[allow(clippy::cast_possible_truncation)]
                    {
                        cos.push(angle.cos() as f32);
                        sin.push(angle.sin() as f32);
                    }
                }
            }
        }
        let shape = [rows, 1, positions.len() / rows, dim];
        (Tensor::from_data(TensorData::new(cos, shape), device), Tensor::from_data(TensorData::new(sin, shape), device))
    }
}

impl Decoder for Llama {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn embed(&self, ids: Tensor<1, Int>, _: &Pass) -> Tensor<2> {
        self.tokens.forward(ids)
    }

    fn layer(&self, i: usize, x: Tensor<2>, pass: &Pass, cache: &mut dyn Cache) -> Tensor<2> {
        let (cos, sin) = pass.rotation.get_or_init(|| self.rotation(pass.rows, &pass.positions, &x.device()));
        let (block, heads) = (&self.blocks[i], self.sizes.attention());
        let normed = block.input_norm.forward(x.clone());
        let [q, k, v] = split_heads(&block.qkv, normed, pass.rows, heads, self.sizes.score_scale());
        let (q, k) = (rotate(q, cos, sin), rotate(k, cos, sin));
        let attended = block.o_proj.forward(merge_heads(cache.attend(i, q, k, v, None)));
        let x = x + cache.residual(i, 0, attended);
        let [gate, up] = block.gate_up.split(block.post_norm.forward(x.clone()), [self.inner; 2]);
        let fed = block.down.forward(Activation::Silu.forward(gate) * up);
        x + cache.residual(i, 1, fed)
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

/// Applies rotary position embeddings: `x cos + (-x2, x1) sin`, where x1 and x2 are the halves of the head.
fn rotate(x: Tensor<4>, cos: &Tensor<4>, sin: &Tensor<4>) -> Tensor<4> {
    let [rows, heads, new, dim] = x.dims();
    let half = |from: usize| x.clone().slice([0..rows, 0..heads, 0..new, from..from + dim / 2]);
    let turned = Tensor::cat(vec![-half(dim / 2), half(0)], 3);
    let [cos, sin] = [cos, sin].map(|t| to(t.clone(), x.dtype()));
    x * cos + turned * sin
}
