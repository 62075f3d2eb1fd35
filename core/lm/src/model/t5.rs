//! T5 (Raffel et al., 2020), v1.0, v1.1 and Flan: an encoder and a decoder with relative positions. Reference
//! implementation: `T5ForConditionalGeneration` of transformers.

use burn::tensor::{DType, Device, Int, Tensor};

use super::cache::{Cache, Scores};
use super::config::{Config, HEADS, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use super::decoder::{Decoder, Encoder, Pass, Reading, Sizes};
use super::encoder::Batch;
use super::layers::{Activation, Embedding, Linear, RmsNorm, ids, merge_heads, softmax, split_heads, to};
use super::loader::Loader;
use super::memory::{Bias, Memory};
use crate::Result;

/// Default number of positions; T5 was trained with 512 but has no fixed limit.
const USUAL_POSITIONS: usize = 512;

/// Self-attention: norm, fused query, key and value, and output projection.
#[derive(Debug)]
struct SelfAttention {
    norm: RmsNorm,
    qkv: Linear,
    out: Linear,
}

/// Cross-attention of the decoder to the encoder's states.
#[derive(Debug)]
struct CrossAttention {
    norm: RmsNorm,
    q: Linear,
    kv: Linear,
    out: Linear,
}

#[derive(Debug)]
struct FeedForward {
    norm: RmsNorm,
    up: Linear, // fused gate and up projection if gated
    down: Linear,
    inner: usize,
    gated: bool,
    activation: Activation,
}

#[derive(Debug)]
struct Block {
    attention: SelfAttention,
    cross: Option<CrossAttention>, // decoder only
    feed_forward: FeedForward,
}

/// Buckets of distances that share an attention bias.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets {
    pub count: usize,
    /// Distance from which on all have the last bucket.
    pub furthest: usize,
}

impl Buckets {
    fn read(config: &Config) -> Result<Self> {
        let count = config.size_or("relative_attention_num_buckets", 4..=4096, 32)?;
        if !count.is_multiple_of(2) {
            return Err(config.wrong("relative_attention_num_buckets", "an even number", count));
        }
        let furthest =
            config.size_or("relative_attention_max_distance", count / 2 + 1..=65_536, 128.max(count / 2 + 1))?;
        Ok(Self { count, furthest })
    }

    /// The bucket of a distance: one bucket per distance in the first half of `count` buckets, then logarithmic ones.
    fn of(self, distance: usize, count: usize) -> usize {
        let exact = count / 2;
        if distance < exact {
            return distance;
        }
        // In f32 and in this order, so that rounding is that of the reference.
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let wide = {
            let whole = (self.furthest as f64 / exact as f64).ln() as f32;
            ((distance as f32 / exact as f32).ln() / whole * (count - exact) as f32) as usize
        };
        exact.saturating_add(wide).min(count - 1)
    }

    /// Buckets of the distances 0 to `furthest`, for a decoder.
    fn back(self) -> Vec<usize> {
        (0..=self.furthest).map(|d| self.of(d, self.count)).collect()
    }

    /// Buckets of all pairs of `length` positions, `[query, key]`, for an encoder, which has half of them for keys
    /// after the query.
    pub(super) fn pairs(self, length: usize) -> Vec<usize> {
        let half = self.count / 2;
        let of = |q: usize, k: usize| self.of(q.abs_diff(k), half) + if k > q { half } else { 0 };
        (0..length).flat_map(|q| (0..length).map(move |k| of(q, k))).collect()
    }
}

/// A T5 model.
#[derive(Debug)]
pub struct T5 {
    sizes: Sizes,
    buckets: Buckets,
    tokens: Embedding,
    encoder: Vec<Block>,
    encoder_bias: Tensor<2>, // [buckets, heads]
    encoder_norm: RmsNorm,
    decoder: Vec<Block>,
    decoder_bias: Tensor<2>,
    decoder_norm: RmsNorm,
    head: Option<Linear>,
    scaled: bool,
}

/// The `config.json` of a T5 model.
#[derive(Debug, Clone)]
pub(super) struct T5Config {
    /// Sizes of the decoder.
    pub sizes: Sizes,
    /// Number of layers of the encoder.
    encoder_layers: usize,
    /// Width of the feed-forward layer.
    inner: usize,
    eps: f64,
    gated: bool,
    activation: Activation,
    buckets: Buckets,
    /// Whether final states are divided by the square root of the width.
    scaled: bool,
}

impl T5Config {
    pub(super) fn read(config: &Config) -> Result<Self> {
        let config = &config.aliased(&[
            ("d_model", "hidden_size"),
            ("d_kv", "head_dim"),
            ("num_layers", "num_hidden_layers"),
            ("num_heads", "num_attention_heads"),
        ]);
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        let heads = config.size("num_heads", HEADS)?;
        let encoder_layers = config.size("num_layers", LAYERS)?;
        let start = config.size_or("decoder_start_token_id", 0..=vocabulary - 1, 0)?;
        let sizes = Sizes {
            hidden: config.size("d_model", HIDDEN)?,
            heads,
            kv_heads: heads,
            head_dim: config.size("d_kv", 1..=4096)?,
            layers: config.size_or("num_decoder_layers", LAYERS, encoder_layers)?,
            vocabulary,
            positions: config.size_or("n_positions", POSITIONS, USUAL_POSITIONS)?,
            eos: config.eos(vocabulary)?,
            start: u32::try_from(start).ok(),
            tied: config.flag_or("tie_word_embeddings", true)?,
        };
        config.only("feed_forward_proj", &["relu", "gelu", "silu", "gated-relu", "gated-gelu", "gated-silu"])?;
        let kind = config.get("feed_forward_proj").and_then(serde_json::Value::as_str).unwrap_or("relu");
        let (gated, activation) = match kind {
            "gated-gelu" => (true, Activation::GeluTanh), // as in the reference implementation
            "gated-silu" => (true, Activation::Silu),
            "gated-relu" => (true, Activation::Relu),
            "gelu" => (false, Activation::Gelu),
            "silu" => (false, Activation::Silu),
            _ => (false, Activation::Relu),
        };
        // Files of transformers 5 store what follows from `feed_forward_proj`, and it would win over that entry.
        config.only("is_gated_act", &[if gated { "true" } else { "false" }])?;
        if config.get("dense_act_fn").is_some() && config.activation("dense_act_fn", activation)? != activation {
            return Err(config.wrong("dense_act_fn", format!("the function of feed_forward_proj, {kind}"), "another"));
        }
        Ok(Self {
            scaled: config.flag_or("scale_decoder_outputs", sizes.tied)?,
            sizes,
            encoder_layers,
            inner: config.size("d_ff", HIDDEN)?,
            eps: config.positive_or("layer_norm_epsilon", 1e-6)?,
            gated,
            activation,
            buckets: Buckets::read(config)?,
        })
    }
}

impl T5 {
    /// Builds the model from weights with the names that transformers uses.
    pub(super) fn load(config: T5Config, w: Loader<'_>) -> Result<Self> {
        let T5Config { sizes, encoder_layers, inner, eps, gated, activation, buckets, scaled } = config;
        let (d, width) = (sizes.hidden, sizes.heads * sizes.head_dim);
        let block = |stack: &str, i: usize, crossing: bool| -> Result<Block> {
            let n = |layer: usize, part: &str| format!("{stack}.block.{i}.layer.{layer}.{part}");
            let [q, k, v] = ["q", "k", "v"].map(|p| n(0, &format!("SelfAttention.{p}")));
            let attention = SelfAttention {
                norm: w.rms_norm(&n(0, "layer_norm"), d, eps, 0.0)?,
                qkv: w.fused(&[(&q, width), (&k, width), (&v, width)], d, false)?,
                out: w.linear(&n(0, "SelfAttention.o"), width, d, false)?,
            };
            let cross = if crossing {
                let [k, v] = ["k", "v"].map(|p| n(1, &format!("EncDecAttention.{p}")));
                Some(CrossAttention {
                    norm: w.rms_norm(&n(1, "layer_norm"), d, eps, 0.0)?,
                    q: w.linear(&n(1, "EncDecAttention.q"), d, width, false)?,
                    kv: w.fused(&[(&k, width), (&v, width)], d, false)?,
                    out: w.linear(&n(1, "EncDecAttention.o"), width, d, false)?,
                })
            } else {
                None
            };
            let last = if crossing { 2 } else { 1 };
            let wi = |part: &str| n(last, &format!("DenseReluDense.{part}"));
            let feed_forward = FeedForward {
                norm: w.rms_norm(&n(last, "layer_norm"), d, eps, 0.0)?,
                up: if gated {
                    w.fused(&[(&wi("wi_0"), inner), (&wi("wi_1"), inner)], d, false)?
                } else {
                    w.linear(&wi("wi"), d, inner, false)?
                },
                down: w.linear(&wi("wo"), inner, d, false)?,
                inner,
                gated,
                activation,
            };
            Ok(Block { attention, cross, feed_forward })
        };
        let bias = |stack: &str| {
            let name = format!("{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
            w.matrix(&name, buckets.count, sizes.heads)
        };
        let names = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
        // The reference ties them unless the file has both.
        let tied = sizes.tied || !w.has("lm_head.weight");
        let (tokens, head) = w.tables(&names, "lm_head", [sizes.vocabulary, d], tied)?;
        let model = Self {
            buckets,
            tokens,
            scaled,
            encoder: (0..encoder_layers).map(|i| block("encoder", i, false)).collect::<Result<_>>()?,
            encoder_bias: bias("encoder")?,
            encoder_norm: w.rms_norm("encoder.final_layer_norm", d, eps, 0.0)?,
            decoder: (0..sizes.layers).map(|i| block("decoder", i, true)).collect::<Result<_>>()?,
            decoder_bias: bias("decoder")?,
            decoder_norm: w.rms_norm("decoder.final_layer_norm", d, eps, 0.0)?,
            head,
            sizes,
        };
        w.finish(model.sizes.layers.max(encoder_layers))?;
        Ok(model)
    }
}

impl Encoder for T5 {
    fn layers(&self) -> usize {
        self.encoder.len()
    }

    fn embed(&self, batch: &Batch, device: &Device) -> (Tensor<2>, Reading) {
        let x = self.tokens.forward(ids(batch.ids.iter().copied(), device));
        let pairs = Some(ids(self.buckets.pairs(batch.length), device));
        (x, Reading { rows: batch.rows(), pairs, mask: batch.scores(device) })
    }

    fn layer(&self, i: usize, x: Tensor<2>, reading: &Reading, cache: &mut dyn Cache) -> Tensor<2> {
        let block = &self.encoder[i];
        let (rows, length) = (reading.rows, x.dims()[0] / reading.rows);
        let normed = block.attention.norm.forward(x.clone());
        let [q, k, v] = split_heads(&block.attention.qkv, normed, rows, self.sizes.attention(), 1.0);
        let mut scores = to(q.matmul(k.swap_dims(2, 3)), DType::F32);
        if let Some(pairs) = &reading.pairs {
            let bias = self.encoder_bias.clone().select(0, pairs.clone());
            let bias = bias.reshape([1, length, length, self.sizes.heads]).permute([0, 3, 1, 2]);
            scores = scores + to(bias, DType::F32);
        }
        if let Some(mask) = &reading.mask {
            scores = scores + mask.clone();
        }
        let weights = to(softmax(scores), v.dtype());
        let attended = block.attention.out.forward(merge_heads(weights.matmul(v)));
        // The encoder's layers are numbered after the decoder's.
        let number = self.decoder.len() + i;
        let x = x + cache.residual(number, 0, attended);
        let fed = block.feed_forward.forward(x.clone());
        x + cache.residual(number, 1, fed)
    }

    fn norm(&self, x: Tensor<2>, batch: &Batch) -> Memory {
        Memory::new(self.encoder_norm.forward(x), batch)
    }
}

impl Decoder for T5 {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn embed(&self, ids: Tensor<1, Int>, _: &Pass) -> Tensor<2> {
        self.tokens.forward(ids)
    }

    fn layer(&self, i: usize, x: Tensor<2>, pass: &Pass, cache: &mut dyn Cache) -> Tensor<2> {
        let Block { attention, cross, feed_forward } = &self.decoder[i];
        let normed = attention.norm.forward(x.clone());
        let [q, k, v] = split_heads(&attention.qkv, normed, pass.rows, self.sizes.attention(), 1.0);
        let back = ids(self.buckets.back(), &x.device());
        let bias = Bias::new(self.decoder_bias.clone().select(0, back));
        let scores = Scores { bias: Some(&bias), ..Scores::default() };
        let attended = attention.out.forward(merge_heads(cache.attend(i, q, k, v, &scores)));
        let mut x = x + cache.residual(i, 0, attended);
        if let Some(cross) = cross {
            let heads = |t: Tensor<2>, rows: usize| {
                let length = t.dims()[0] / rows;
                t.reshape([rows, length, self.sizes.heads, self.sizes.head_dim]).swap_dims(1, 2)
            };
            let width = self.sizes.heads * self.sizes.head_dim;
            let project = |states: Tensor<2>, rows: usize| cross.kv.split(states, [width; 2]).map(|t| heads(t, rows));
            let q = heads(cross.q.forward(cross.norm.forward(x.clone())), pass.rows);
            let attended = cross.out.forward(merge_heads(cache.attend_memory(i, q, &project)));
            x = x + cache.residual(i, 2, attended);
        }
        let fed = feed_forward.forward(x.clone());
        x + cache.residual(i, 1, fed)
    }

    fn norm(&self, x: Tensor<2>) -> Tensor<2> {
        self.decoder_norm.forward(x)
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        #[allow(clippy::cast_precision_loss)]
        let hidden = if self.scaled { hidden / (self.sizes.hidden as f32).sqrt() } else { hidden };
        match &self.head {
            Some(head) => head.forward(hidden),
            None => self.tokens.unembed(hidden),
        }
    }

    fn encoder(&self) -> Option<&dyn Encoder> {
        Some(self)
    }
}

impl FeedForward {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.norm.forward(x);
        let h = if self.gated {
            let [gate, up] = self.up.split(x, [self.inner; 2]);
            self.activation.forward(gate) * up
        } else {
            self.activation.forward(self.up.forward(x))
        };
        self.down.forward(h)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_widen_and_end() {
        // 32 buckets and distances up to 128, as in the published models.
        let buckets = Buckets { count: 32, furthest: 128 };
        let back = buckets.back();
        assert_eq!(back[..17], (0..17).collect::<Vec<_>>());
        assert_eq!([back[18], back[19], back[31], back[127], back[128]], [16, 17, 21, 31, 31]);
        assert!(back.windows(2).all(|w| w[0] <= w[1]));
        let pairs = buckets.pairs(40);
        assert_eq!(pairs[0], 0);
        assert_eq!([pairs[1], pairs[40]], [17, 1], "the key after the query, the key before it");
        assert_eq!([pairs[8], pairs[16], pairs[39]], [24, 26, 28]);
    }
}
