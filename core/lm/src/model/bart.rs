//! BART (Lewis et al., 2020) and PEGASUS (Zhang et al., 2020). Reference implementations:
//! `BartForConditionalGeneration`, `BartForSequenceClassification` and `PegasusForConditionalGeneration` of transformers.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::cache::{Cache, Scores, Sequences};
use super::config::{Config, HEADS, HIDDEN, LAYERS, VOCABULARY};
use super::decoder::{Decoder, Encoder, Pass, Reading, Sizes};
use super::encoder::Batch;
use super::layers::{Activation, Embedding, Heads, LayerNorm, Linear, ids, merge_heads, softmax, split_heads, to};
use super::loader::{Loader, Source};
use super::memory::Memory;
use crate::Result;

/// Epsilon of all layer norms, which is no setting.
const EPSILON: f64 = 1e-5;

#[derive(Debug)]
struct Cross {
    q: Linear,
    kv: Linear,
    out: Linear,
    norm: LayerNorm,
}

#[derive(Debug)]
struct Block {
    qkv: Linear,
    out: Linear,
    attention_norm: LayerNorm,
    cross: Option<Cross>, // decoder only
    fc1: Linear,
    fc2: Linear,
    norm: LayerNorm,
}

/// Encoder or decoder.
#[derive(Debug)]
struct Stack {
    positions: Tensor<2>, // [positions, hidden]
    /// Norm of the embeddings (BART).
    embedding_norm: Option<LayerNorm>,
    blocks: Vec<Block>,
    /// Norm of the last states (PEGASUS).
    norm: Option<LayerNorm>,
    heads: Heads,
}

/// A BART or PEGASUS model.
#[derive(Debug)]
pub(super) struct Bart {
    config: BartConfig,
    tokens: Embedding,
    encoder: Stack,
    decoder: Stack,
    logits_bias: Option<Tensor<2>>, // [1, vocabulary]
}

/// The `config.json` of a BART or PEGASUS model.
#[derive(Debug, Clone)]
pub(super) struct BartConfig {
    /// Sizes of the decoder.
    pub sizes: Sizes,
    /// Number of layers of the encoder.
    encoder_layers: usize,
    encoder_heads: usize,
    /// Widths of the feed-forward layers of encoder and decoder.
    inner: [usize; 2],
    activation: Activation,
    /// Factor of the embeddings.
    scale: f32,
    /// Whether it is PEGASUS: norms before each part and at the end, sinusoidal positions.
    pegasus: bool,
}

impl BartConfig {
    pub(super) fn read(config: &Config) -> Result<Self> {
        let config = &config.aliased(&[
            ("d_model", "hidden_size"),
            ("encoder_layers", "num_hidden_layers"),
            ("encoder_attention_heads", "num_attention_heads"),
        ]);
        let pegasus = config.model_type()? == "pegasus";
        let hidden = config.size("d_model", HIDDEN)?;
        let [encoder_heads, heads] = ["encoder_attention_heads", "decoder_attention_heads"]
            .map(|field| config.size(field, HEADS).and_then(|n| config.head_dim(field, hidden, n).map(|_| n)));
        let (encoder_heads, heads) = (encoder_heads?, heads?);
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        // Old files describe their architecture by entries that the reference does not read.
        let (yes, no) = if pegasus { ("true", "false") } else { ("false", "true") };
        for (field, accepted) in [
            ("normalize_before", yes),
            ("add_final_layer_norm", yes),
            ("static_position_embeddings", yes),
            ("normalize_embedding", no),
            ("add_bias_logits", "false"),
            ("extra_pos_embeddings", if pegasus { "1" } else { "2" }),
            ("tie_word_embeddings", "true"),
        ] {
            config.only(field, &[accepted])?;
        }
        let start = config.size_or("decoder_start_token_id", 0..=vocabulary - 1, if pegasus { 0 } else { 2 })?;
        #[allow(clippy::cast_precision_loss)]
        let scale = if config.flag_or("scale_embedding", false)? { (hidden as f32).sqrt() } else { 1.0 };
        Ok(Self {
            sizes: Sizes {
                hidden,
                heads,
                kv_heads: heads,
                head_dim: hidden / heads,
                layers: config.size("decoder_layers", LAYERS)?,
                vocabulary,
                // The table of PEGASUS is computed if the file lacks it.
                positions: config.size("max_position_embeddings", 1..=1 << 16)?,
                eos: config
                    .with_default("eos_token_id", u64::from(!pegasus).saturating_add(1).into())
                    .eos(vocabulary)?,
                start: u32::try_from(start).ok(),
                tied: true,
            },
            encoder_layers: config.size("encoder_layers", LAYERS)?,
            encoder_heads,
            inner: [config.size("encoder_ffn_dim", HIDDEN)?, config.size("decoder_ffn_dim", HIDDEN)?],
            activation: config.activation("activation_function", Activation::Gelu)?,
            scale,
            pegasus,
        })
    }

    /// Number of unused rows at the start of the position tables.
    fn offset(&self) -> usize {
        if self.pegasus { 0 } else { 2 }
    }
}

/// The positions of PEGASUS: row p has sin(p / 10000^(2i / d)) in its first half, and the cosines in its second.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn sinusoids(rows: usize, d: usize, device: &Device) -> Tensor<2> {
    let half = d.div_ceil(2);
    let angle = |p: usize, i: usize| p as f64 / 10_000_f64.powf(2.0 * i as f64 / d as f64);
    let value = |p: usize, i: usize| if i < half { angle(p, i).sin() } else { angle(p, i - half).cos() };
    let values: Vec<f32> = (0..rows).flat_map(|p| (0..d).map(move |i| value(p, i) as f32)).collect();
    Tensor::from_data(TensorData::new(values, [rows, d]), device)
}

impl Stack {
    fn load(config: &BartConfig, w: &Loader<'_>, decoder: bool) -> Result<Self> {
        let d = config.sizes.hidden;
        let (name, layers, heads) = if decoder {
            ("decoder", config.sizes.layers, config.sizes.heads)
        } else {
            ("encoder", config.encoder_layers, config.encoder_heads)
        };
        let table = format!("{name}.embed_positions.weight");
        let rows = config.sizes.positions + config.offset();
        // Sinusoids are not trained.
        let positions = match (config.pegasus, w.has(&table)) {
            (true, false) => sinusoids(rows, d, w.device()),
            (true, true) => w.matrix(&table, rows, d)?.detach(),
            (false, _) => w.matrix(&table, rows, d)?,
        };
        let norm = |part: &str| w.layer_norm(&format!("{name}.{part}"), d, EPSILON);
        Ok(Self {
            positions,
            embedding_norm: if config.pegasus { None } else { Some(norm("layernorm_embedding")?) },
            blocks: (0..layers).map(|i| Block::load(config, w, (name, i), decoder)).collect::<Result<_>>()?,
            norm: if config.pegasus { Some(norm("layer_norm")?) } else { None },
            heads: Heads { query: heads, key_value: heads, dim: d / heads },
        })
    }

    fn embed(&self, tokens: Tensor<2>, positions: Tensor<1, Int>) -> Tensor<2> {
        let x = tokens + self.positions.clone().select(0, positions);
        self.embedding_norm.as_ref().map_or(x.clone(), |norm| norm.forward(x))
    }

    fn finish(&self, x: Tensor<2>) -> Tensor<2> {
        self.norm.as_ref().map_or(x.clone(), |norm| norm.forward(x))
    }
}

impl Block {
    fn load(config: &BartConfig, w: &Loader<'_>, (stack, layer): (&str, usize), decoder: bool) -> Result<Self> {
        let (d, inner) = (config.sizes.hidden, config.inner[usize::from(decoder)]);
        let n = |part: &str| format!("{stack}.layers.{layer}.{part}");
        let [q, k, v] = ["q", "k", "v"].map(|p| n(&format!("self_attn.{p}_proj")));
        let [key, value] = ["k", "v"].map(|p| n(&format!("encoder_attn.{p}_proj")));
        let cross = || {
            Ok(Cross {
                q: w.linear(&n("encoder_attn.q_proj"), d, d, true)?,
                kv: w.fused(&[(&key, d), (&value, d)], d, true)?,
                out: w.linear(&n("encoder_attn.out_proj"), d, d, true)?,
                norm: w.layer_norm(&n("encoder_attn_layer_norm"), d, EPSILON)?,
            })
        };
        Ok(Self {
            qkv: w.fused(&[(&q, d), (&k, d), (&v, d)], d, true)?,
            out: w.linear(&n("self_attn.out_proj"), d, d, true)?,
            attention_norm: w.layer_norm(&n("self_attn_layer_norm"), d, EPSILON)?,
            cross: decoder.then(cross).transpose()?,
            fc1: w.linear(&n("fc1"), d, inner, true)?,
            fc2: w.linear(&n("fc2"), inner, d, true)?,
            norm: w.layer_norm(&n("final_layer_norm"), d, EPSILON)?,
        })
    }
}

impl Bart {
    /// Builds the model from weights with the names that transformers uses.
    pub(super) fn load(config: BartConfig, w: Loader<'_>) -> Result<Self> {
        let model = Self::body(config, &w)?;
        w.finish(model.config.sizes.layers.max(model.config.encoder_layers))?;
        Ok(model)
    }

    fn body(config: BartConfig, w: &Loader<'_>) -> Result<Self> {
        let vocabulary = config.sizes.vocabulary;
        let names = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
        let (tokens, _) = w.tables(&names, "/lm_head", [vocabulary, config.sizes.hidden], true)?;
        let bias = "/final_logits_bias";
        // A constant of the file, which is not trained.
        let logits_bias = if w.has(bias) { Some(w.matrix(bias, 1, vocabulary)?.detach()) } else { None };
        let [encoder, decoder] = [false, true].map(|decoder| Stack::load(&config, w, decoder));
        Ok(Self { tokens, encoder: encoder?, decoder: decoder?, logits_bias, config })
    }

    /// A part of a layer: norm before it or after its sum with the residual stream.
    fn part(&self, norm: &LayerNorm, x: Tensor<2>, part: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
        if self.config.pegasus { x.clone() + part(norm.forward(x)) } else { norm.forward(x.clone() + part(x)) }
    }

    fn embed_tokens(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        let x = self.tokens.forward(ids);
        #[allow(clippy::float_cmp)]
        if self.config.scale == 1.0 { x } else { x * self.config.scale }
    }

    fn feed(&self, block: &Block, x: Tensor<2>) -> Tensor<2> {
        block.fc2.forward(self.config.activation.forward(block.fc1.forward(x)))
    }
}

#[allow(clippy::cast_precision_loss)]
fn scale(heads: Heads) -> f32 {
    (heads.dim as f32).sqrt()
}

impl Encoder for Bart {
    fn layers(&self) -> usize {
        self.encoder.blocks.len()
    }

    fn embed(&self, batch: &Batch, device: &Device) -> (Tensor<2>, Reading) {
        let tokens = self.embed_tokens(ids(batch.ids.iter().copied(), device));
        let offset = self.config.offset();
        let positions = (0..batch.rows()).flat_map(|_| offset..offset + batch.length);
        let x = self.encoder.embed(tokens, ids(positions, device));
        (x, Reading { rows: batch.rows(), pairs: None, mask: batch.scores(device) })
    }

    fn layer(&self, i: usize, x: Tensor<2>, reading: &Reading, cache: &mut dyn Cache) -> Tensor<2> {
        let (block, heads) = (&self.encoder.blocks[i], self.encoder.heads);
        // The encoder's layers are numbered after the decoder's.
        let number = self.decoder.blocks.len() + i;
        let x = self.part(&block.attention_norm, x, |x| {
            let [q, k, v] = split_heads(&block.qkv, x, reading.rows, heads, scale(heads));
            let mut scores = to(q.matmul(k.swap_dims(2, 3)), DType::F32);
            if let Some(mask) = &reading.mask {
                scores = scores + mask.clone();
            }
            let attended = block.out.forward(merge_heads(to(softmax(scores), v.dtype()).matmul(v)));
            cache.residual(number, 0, attended)
        });
        self.part(&block.norm, x, |x| cache.residual(number, 1, self.feed(block, x)))
    }

    fn norm(&self, x: Tensor<2>, batch: &Batch) -> Memory {
        Memory::new(self.encoder.finish(x), batch)
    }
}

impl Decoder for Bart {
    fn sizes(&self) -> &Sizes {
        &self.config.sizes
    }

    fn embed(&self, ids: Tensor<1, Int>, pass: &Pass) -> Tensor<2> {
        #[allow(clippy::cast_possible_wrap)]
        let positions = pass.on(&ids.device()) + self.config.offset() as i64;
        self.decoder.embed(self.embed_tokens(ids), positions)
    }

    fn layer(&self, i: usize, x: Tensor<2>, pass: &Pass, cache: &mut dyn Cache) -> Tensor<2> {
        let (block, heads) = (&self.decoder.blocks[i], self.decoder.heads);
        let mut x = self.part(&block.attention_norm, x, |x| {
            let [q, k, v] = split_heads(&block.qkv, x, pass.rows, heads, scale(heads));
            let attended = block.out.forward(merge_heads(cache.attend(i, q, k, v, &Scores::default())));
            cache.residual(i, 0, attended)
        });
        if let Some(cross) = &block.cross {
            let by_head = |t: Tensor<2>, rows: usize| {
                let length = t.dims()[0] / rows;
                t.reshape([rows, length, heads.query, heads.dim]).swap_dims(1, 2)
            };
            let width = self.config.sizes.hidden;
            let project = |states: Tensor<2>, rows: usize| cross.kv.split(states, [width; 2]).map(|t| by_head(t, rows));
            x = self.part(&cross.norm, x, |x| {
                let q = by_head(cross.q.forward(x) / scale(heads), pass.rows);
                let attended = cross.out.forward(merge_heads(cache.attend_memory(i, q, &project)));
                cache.residual(i, 2, attended)
            });
        }
        self.part(&block.norm, x, |x| cache.residual(i, 1, self.feed(block, x)))
    }

    fn norm(&self, x: Tensor<2>) -> Tensor<2> {
        self.decoder.finish(x)
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let logits = self.tokens.unembed(hidden);
        self.logits_bias.as_ref().map_or(logits.clone(), |bias| logits + bias.clone())
    }

    fn encoder(&self) -> Option<&dyn Encoder> {
        Some(self)
    }
}

/// BART as a sentence-pair classifier, which reads the decoder's state at the end of the text.
#[derive(Debug)]
pub(super) struct BartClassifier {
    model: Bart,
    end: u32,
    dense: Linear,
    out: Linear,
    device: Device,
}

impl BartClassifier {
    pub(super) fn load(config: &Config, source: Source<'_>, device: &Device, labels: usize) -> Result<Self> {
        config.check(true)?;
        let read = BartConfig::read(config)?;
        let (d, end) = (read.sizes.hidden, read.sizes.eos.first().copied().unwrap_or(2));
        let w = Loader::of(source, device, &["model.", ""], "decoder.embed_positions.weight")?;
        let model = Bart::body(read, &w)?;
        let dense = w.linear("/classification_head.dense", d, d, true)?;
        let out = w.linear("/classification_head.out_proj", d, labels, true)?;
        w.finish(model.config.sizes.layers.max(model.config.encoder_layers))?;
        Ok(Self { model, end, dense, out, device: device.clone() })
    }

    /// Largest number of tokens of a pair.
    pub(super) fn positions(&self) -> usize {
        self.model.config.sizes.positions
    }

    /// Logits of the labels, `[rows, labels]`.
    pub(super) fn logits(&self, batch: &Batch) -> Tensor<2> {
        let (rows, length, sizes) = (batch.rows(), batch.length, &self.model.config.sizes);
        let mut cache = Sequences::new(sizes.layers, &self.device);
        let memory = self.model.encode(batch, &mut cache, &self.device);
        let mut cache = cache.with_memory(memory);
        // The decoder reads the same text behind its start token.
        let start = sizes.start.unwrap_or(self.end);
        let shifted: Vec<u32> = batch
            .ids
            .chunks(length)
            .flat_map(|row| std::iter::once(start).chain(row[..length - 1].iter().copied()))
            .collect();
        cache.extend(&vec![vec![true; length]; rows]);
        let places: Vec<u32> = (0..rows).flat_map(|_| 0..u32::try_from(length).unwrap_or(0)).collect();
        let pass = Pass::new(rows, &places);
        let mut x = Decoder::embed(&self.model, ids(shifted, &self.device), &pass);
        for layer in 0..sizes.layers {
            x = Decoder::layer(&self.model, layer, x, &pass, &mut cache);
        }
        let last = |(row, text): (usize, &[u32])| {
            let read = &text[..batch.lengths[row]];
            row * length + read.iter().rposition(|id| *id == self.end).unwrap_or(read.len().saturating_sub(1))
        };
        let ends: Vec<usize> = batch.ids.chunks(length).enumerate().map(last).collect();
        let states = Decoder::norm(&self.model, x).select(0, ids(ends, &self.device));
        self.out.forward(self.dense.forward(states).tanh())
    }
}
