//! Decoders with rotary positions, RMS norms and a gated feed-forward network: Llama and the models that vary it. Each has
//! a file that reads its configuration.

mod gemma;
mod llama;
mod phi3;
mod qwen;
mod smollm3;

use burn::tensor::{Int, Tensor};

use super::cache::{Cache, Scores};
use super::config::{Config, HEADS, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use super::decoder::{Decoder, Pass, Sizes};
use super::layers::{Activation, Embedding, Linear, RmsNorm, merge_heads, split_heads};
use super::loader::Loader;
use super::rope::{Rope, rotate};
use crate::Result;

/// Names of the architectures, as `model_type`.
pub(super) const NAMES: [&str; 9] =
    ["llama", "mistral", "qwen2", "qwen3", "smollm3", "phi3", "gemma", "gemma2", "gemma3_text"];

/// What a layer attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reach {
    /// Index of its rotary embeddings; `None` for a layer without positions.
    rope: Option<usize>,
    /// Number of positions that a query sees, its own included; all earlier ones without a window.
    window: Option<usize>,
}

/// How a model varies Llama.
#[derive(Debug, Clone)]
pub(super) struct GatedConfig {
    pub sizes: Sizes,
    /// Width of the feed-forward layer.
    inner: usize,
    eps: f64,
    activation: Activation,
    /// Whether the projections to queries, keys and values have biases.
    qkv_bias: bool,
    /// Whether the projection of attention has a bias.
    out_bias: bool,
    /// Whether the projections of the feed-forward network have biases.
    inner_bias: bool,
    /// Divisor of the queries.
    query_scale: f32,
    /// Whether queries and keys are normed.
    query_norm: bool,
    /// Whether the outputs of attention and feed-forward network are normed too.
    output_norms: bool,
    /// Whether the weights of a norm are stored less 1, and embeddings multiplied by the square root of the width.
    gemma: bool,
    /// Whether projections of the same input are stored as one.
    fused: bool,
    /// Limit of attention scores.
    score_cap: Option<f32>,
    /// Limit of logits.
    logit_cap: Option<f32>,
    ropes: Vec<Rope>,
    layers: Vec<Reach>,
}

impl GatedConfig {
    pub(super) fn read(config: &Config) -> Result<Self> {
        match config.model_type()? {
            "qwen2" => qwen::qwen2(config),
            "qwen3" => qwen::qwen3(config),
            "smollm3" => smollm3::read(config),
            "phi3" => phi3::read(config),
            "gemma" => gemma::gemma(config),
            "gemma2" => gemma::gemma2(config),
            "gemma3_text" => gemma::gemma3(config),
            "mistral" => llama::mistral(config),
            _ => llama::llama(config),
        }
    }

    /// The entries that all these models share, with Llama's defaults: the base of rotary embeddings is `theta`, and the
    /// output projection is tied to the embedding if `tied`, where the configuration does not say it.
    fn shared(config: &Config, theta: f64, tied: bool) -> Result<Self> {
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
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        let layers = config.size("num_hidden_layers", LAYERS)?;
        let partial = config.model_type()? == "phi3";
        let rope = Rope::of_part(config, head_dim, theta, None, partial)?;
        let positions = config.size_or("max_position_embeddings", POSITIONS, 2048)?;
        #[allow(clippy::cast_precision_loss)]
        let query_scale = (head_dim as f32).sqrt();
        Ok(Self {
            sizes: Sizes {
                hidden,
                heads,
                kv_heads,
                head_dim,
                layers,
                vocabulary,
                positions: rope.limit.map_or(positions, |limit| limit.min(positions)),
                eos: config.eos(vocabulary)?,
                start: None,
                tied: config.flag_or("tie_word_embeddings", tied)?,
            },
            inner: config.size("intermediate_size", HIDDEN)?,
            eps: config.positive_or("rms_norm_eps", 1e-6)?,
            activation: config.activation("hidden_act", Activation::Silu)?,
            qkv_bias: config.flag_or("attention_bias", false)?,
            out_bias: config.flag_or("attention_bias", false)?,
            inner_bias: config.flag_or("mlp_bias", false)?,
            query_scale,
            query_norm: false,
            output_norms: false,
            gemma: false,
            fused: false,
            score_cap: None,
            logit_cap: None,
            ropes: vec![rope],
            layers: vec![Reach { rope: Some(0), window: None }; layers],
        })
    }

    /// Gives all layers the window `sliding_window`.
    fn slide_all(&mut self, config: &Config) -> Result<()> {
        let window = config.get("sliding_window").map(|_| config.size("sliding_window", POSITIONS)).transpose()?;
        self.layers.iter_mut().for_each(|reach| reach.window = window);
        Ok(())
    }

    /// Gives the layers chosen by `layer_types`, or else by `default(layer)`, the window `sliding_window`.
    fn slide(&mut self, config: &Config, default: impl Fn(usize) -> bool) -> Result<()> {
        let chosen =
            config.windowed(self.sizes.layers)?.unwrap_or_else(|| (0..self.sizes.layers).map(default).collect());
        let window = config.get("sliding_window").map(|_| config.size("sliding_window", POSITIONS)).transpose()?;
        for (reach, chosen) in self.layers.iter_mut().zip(chosen) {
            reach.window = window.filter(|_| chosen);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Block {
    input_norm: RmsNorm,
    qkv: Linear,
    query_norms: Option<[RmsNorm; 2]>,
    o_proj: Linear,
    /// Norms of what attention and feed-forward network put out.
    output_norms: Option<[RmsNorm; 2]>,
    inner_norm: RmsNorm,
    gate_up: Linear,
    down: Linear,
}

/// A language model of this family.
#[derive(Debug)]
pub(super) struct Gated {
    config: GatedConfig,
    embedding_scale: f32,
    tokens: Embedding,
    blocks: Vec<Block>,
    norm: RmsNorm,
    head: Option<Linear>,
}

impl Gated {
    /// Builds the model from weights with the names that transformers uses.
    pub(super) fn load(config: GatedConfig, w: Loader<'_>) -> Result<Self> {
        let (d, vocabulary) = (config.sizes.hidden, config.sizes.vocabulary);
        let (tokens, head) = w.tables(&["embed_tokens.weight"], "/lm_head", [vocabulary, d], config.sizes.tied)?;
        #[allow(clippy::cast_precision_loss)]
        let embedding_scale = if config.gemma { (d as f32).sqrt() } else { 1.0 };
        let model = Self {
            embedding_scale,
            tokens,
            blocks: (0..config.sizes.layers).map(|i| Block::load(&config, &w, i)).collect::<Result<_>>()?,
            norm: norm(&config, &w, "norm", d)?,
            head,
            config,
        };
        w.finish(model.config.sizes.layers)?;
        Ok(model)
    }
}

fn norm(config: &GatedConfig, w: &Loader<'_>, name: &str, n: usize) -> Result<RmsNorm> {
    w.rms_norm(name, n, config.eps, if config.gemma { 1.0 } else { 0.0 })
}

impl Block {
    fn load(config: &GatedConfig, w: &Loader<'_>, layer: usize) -> Result<Self> {
        let (d, dim, inner) = (config.sizes.hidden, config.sizes.head_dim, config.inner);
        let n = |part: &str| format!("layers.{layer}.{part}");
        let norm = |part: &str, width: usize| norm(config, w, &n(part), width);
        let (q, kv) = (config.sizes.heads * dim, config.sizes.kv_heads * dim);
        let [q_proj, k_proj, v_proj] = ["q", "k", "v"].map(|p| n(&format!("self_attn.{p}_proj")));
        let (gate, up) = (n("mlp.gate_proj"), n("mlp.up_proj"));
        let (qkv, gate_up) = if config.fused {
            let qkv = w.linear(&n("self_attn.qkv_proj"), d, q + 2 * kv, false)?;
            (qkv, w.linear(&n("mlp.gate_up_proj"), d, 2 * inner, false)?)
        } else {
            let qkv = w.fused(&[(&q_proj, q), (&k_proj, kv), (&v_proj, kv)], d, config.qkv_bias)?;
            (qkv, w.fused(&[(&gate, inner), (&up, inner)], d, config.inner_bias)?)
        };
        let query_norms = match config.query_norm {
            true => Some([norm("self_attn.q_norm", dim)?, norm("self_attn.k_norm", dim)?]),
            false => None,
        };
        let (inner_norm, output_norms) = if config.output_norms {
            let outputs = [norm("post_attention_layernorm", d)?, norm("post_feedforward_layernorm", d)?];
            ("pre_feedforward_layernorm", Some(outputs))
        } else {
            ("post_attention_layernorm", None)
        };
        Ok(Self {
            input_norm: norm("input_layernorm", d)?,
            qkv,
            query_norms,
            o_proj: w.linear(&n("self_attn.o_proj"), q, d, config.out_bias)?,
            output_norms,
            inner_norm: norm(inner_norm, d)?,
            gate_up,
            down: w.linear(&n("mlp.down_proj"), inner, d, config.inner_bias)?,
        })
    }

    /// Norms what part 0 (attention) or 1 (feed-forward network) puts out, where the model does so.
    fn output(&self, part: usize, y: Tensor<2>) -> Tensor<2> {
        self.output_norms.as_ref().map_or(y.clone(), |norms| norms[part].forward(y))
    }
}

/// Norms each head of `[rows, heads, new, head_dim]`.
fn norm_heads(norm: &RmsNorm, x: Tensor<4>) -> Tensor<4> {
    let [rows, heads, new, dim] = x.dims();
    norm.forward(x.reshape([rows * heads * new, dim])).reshape([rows, heads, new, dim])
}

impl Decoder for Gated {
    fn sizes(&self) -> &Sizes {
        &self.config.sizes
    }

    fn embed(&self, ids: Tensor<1, Int>, _: &Pass) -> Tensor<2> {
        let x = self.tokens.forward(ids);
        if self.config.gemma { x * self.embedding_scale } else { x }
    }

    fn layer(&self, i: usize, x: Tensor<2>, pass: &Pass, cache: &mut dyn Cache) -> Tensor<2> {
        let config = &self.config;
        let (block, reach) = (&self.blocks[i], config.layers[i]);
        let normed = block.input_norm.forward(x.clone());
        // A norm of the queries undoes their scale.
        let scale = if config.query_norm { 1.0 } else { config.query_scale };
        let [mut q, mut k, v] = split_heads(&block.qkv, normed, pass.rows, config.sizes.attention(), scale);
        if let Some([of_queries, of_keys]) = &block.query_norms {
            (q, k) = (norm_heads(of_queries, q) / config.query_scale, norm_heads(of_keys, k));
        }
        if let Some(rope) = reach.rope {
            let made = || config.ropes.iter().map(|r| r.rotation(pass.rows, &pass.positions, &x.device())).collect();
            let rotation = &pass.rotations.get_or_init(made)[rope];
            (q, k) = (rotate(q, rotation), rotate(k, rotation));
        }
        let scores = Scores { bias: None, window: reach.window, cap: config.score_cap };
        let attended = block.o_proj.forward(merge_heads(cache.attend(i, q, k, v, &scores)));
        let x = x + cache.residual(i, 0, block.output(0, attended));
        let [gate, up] = block.gate_up.split(block.inner_norm.forward(x.clone()), [config.inner; 2]);
        let fed = block.down.forward(config.activation.forward(gate) * up);
        x + cache.residual(i, 1, block.output(1, fed))
    }

    fn norm(&self, x: Tensor<2>) -> Tensor<2> {
        self.norm.forward(x)
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let logits = match &self.head {
            Some(head) => head.forward(hidden),
            None => self.tokens.unembed(hidden),
        };
        match self.config.logit_cap {
            Some(cap) => (logits / cap).tanh() * cap,
            None => logits,
        }
    }
}
