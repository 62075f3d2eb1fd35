//! Language models behind one door: causal ones, and T5, whose prompts an encoder reads.

use burn::tensor::{Device, Tensor};

use super::biogpt::BioGpt;
use super::cache::{Cache, Prefix, Sequences};
use super::config::Config;
use super::encoder::Batch;
use super::gpt2::Gpt2;
use super::layers::{self, Linear};
use super::llama::Llama;
use super::loader::{Loader, Source};
use super::memory::Memory;
use super::t5::{Reading, T5};
use super::tensors::Tensors;
use crate::{Error, Result};

/// Sizes of a language model; of the decoder, where there is an encoder too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Blocks.
    pub layers: usize,
    /// Tokens.
    pub vocabulary: usize,
    /// Longest sequence.
    pub positions: usize,
    /// End-of-text ids.
    pub eos: Vec<u32>,
    /// First token of the decoder, where an encoder reads the prompt.
    pub start: Option<u32>,
}

impl Sizes {
    /// What queries are divided by before they meet keys.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn score_scale(&self) -> f32 {
        (self.head_dim as f32).sqrt()
    }
}

/// `x [rows * new, hidden]` to q, divided by `scale`, and k, v: `[rows, heads or kv_heads, new, head_dim]`.
pub(super) fn split_heads(qkv: &Linear, x: Tensor<2>, rows: usize, shape: &Sizes, scale: f32) -> [Tensor<4>; 3] {
    let new = x.dims()[0] / rows;
    let (q, kv) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    let [q, k, v] = qkv.split(x, [q, kv, kv]);
    #[allow(clippy::float_cmp)]
    let q = if scale == 1.0 { q } else { q / scale };
    [q, k, v].map(|t| {
        let heads = t.dims()[1] / shape.head_dim;
        t.reshape([rows, new, heads, shape.head_dim]).swap_dims(1, 2)
    })
}

/// `[rows, heads, new, head_dim]` to `[rows * new, heads * head_dim]`.
pub(super) fn merge_heads(x: Tensor<4>) -> Tensor<2> {
    let [rows, heads, new, dim] = x.dims();
    x.swap_dims(1, 2).reshape([rows * new, heads * dim])
}

fn unsupported(config: &Config, model_type: &str) -> Error {
    Error::Unsupported {
        file: config.file().to_owned(),
        found: format!("model_type \"{model_type}\" as a language model"),
        expected: "gpt2, biogpt, llama, t5".into(),
    }
}

/// A language model: a teacher or a student.
#[derive(Debug)]
pub enum LanguageModel {
    /// GPT-2.
    Gpt2(Gpt2),
    /// BioGPT.
    BioGpt(BioGpt),
    /// Llama, SmolLM2.
    Llama(Llama),
    /// T5: an encoder reads the prompt.
    T5(Box<T5>),
}

/// What the layers of one forward pass share.
#[derive(Debug, Clone)]
pub struct Pass {
    rows: usize,
    rotation: Option<(Tensor<4>, Tensor<4>)>, // cos, sin [rows, 1, new, head_dim]
}

impl LanguageModel {
    /// Builds the model that a config names from a checkpoint's tensors.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another architecture; [`Error::Config`], [`Error::Tensor`] and the file's own.
    pub fn load(config: &Config, tensors: &Tensors, device: &Device) -> Result<Self> {
        Self::build(config, Source::Checkpoint(tensors), device)
    }

    /// As [`LanguageModel::load`], from a checkpoint or from parameters that are being trained.
    ///
    /// # Errors
    /// As [`LanguageModel::load`].
    pub fn build(config: &Config, source: Source<'_>, device: &Device) -> Result<Self> {
        Ok(match config.model_type()? {
            "gpt2" => {
                Gpt2::shape(config)?;
                Self::Gpt2(Gpt2::load(config, Loader::of(source, device, &["transformer.", ""], "wte.weight")?)?)
            }
            "biogpt" => {
                BioGpt::shape(config)?;
                Self::BioGpt(BioGpt::load(
                    config,
                    Loader::of(source, device, &["biogpt.", ""], "embed_tokens.weight")?,
                )?)
            }
            "llama" => {
                Llama::shape(config)?;
                Self::Llama(Llama::load(config, Loader::of(source, device, &["model.", ""], "embed_tokens.weight")?)?)
            }
            "t5" => {
                T5::shape(config)?;
                Self::T5(Box::new(T5::load(config, Loader::of(source, device, &[""], "shared.weight")?)?))
            }
            other => return Err(unsupported(config, other)),
        })
    }

    /// Sizes from a config, without weights.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another architecture; [`Error::Config`].
    pub fn sizes_of(config: &Config) -> Result<Sizes> {
        match config.model_type()? {
            "gpt2" => Gpt2::shape(config),
            "biogpt" => BioGpt::shape(config),
            "llama" => Llama::shape(config),
            "t5" => T5::shape(config),
            other => Err(unsupported(config, other)),
        }
    }

    /// Sizes.
    #[must_use]
    pub fn sizes(&self) -> &Sizes {
        match self {
            Self::Gpt2(m) => &m.shape,
            Self::BioGpt(m) => &m.shape,
            Self::Llama(m) => &m.shape,
            Self::T5(m) => &m.shape,
        }
    }

    /// Layers of the encoder; 0 without one.
    #[must_use]
    pub fn encoder_layers(&self) -> usize {
        match self {
            Self::T5(m) => m.encoder_layers(),
            _ => 0,
        }
    }

    /// The encoder's stream before its first layer; `None` without an encoder. [`LanguageModel::encode`] is this, every
    /// [`LanguageModel::encoder_block`], and [`LanguageModel::remember`]; training takes them one at a time.
    ///
    /// # Shapes
    /// `-> [rows * length, hidden]`
    #[must_use]
    pub fn read(&self, batch: &Batch, device: &Device) -> Option<(Tensor<2>, Reading)> {
        match self {
            Self::T5(m) => Some(m.read(batch, device)),
            _ => None,
        }
    }

    /// One layer of the encoder; `cache` may drop some of what it adds.
    ///
    /// # Shapes
    /// `[rows * length, hidden] -> [rows * length, hidden]`
    pub fn encoder_block(&self, layer: usize, x: Tensor<2>, reading: &Reading, cache: &mut dyn Cache) -> Tensor<2> {
        match self {
            Self::T5(m) => m.encoder_block(layer, x, reading, cache),
            _ => x,
        }
    }

    /// The final norm of the encoder.
    #[must_use]
    pub fn remember(&self, x: Tensor<2>, batch: &Batch) -> Memory {
        match self {
            Self::T5(m) => m.remember(x, batch),
            _ => Memory::new(x, batch),
        }
    }

    /// Reads right-padded sources with the encoder; `None` without one.
    pub fn encode(&self, batch: &Batch, cache: &mut dyn Cache, device: &Device) -> Option<Memory> {
        let (mut x, reading) = self.read(batch, device)?;
        for layer in 0..self.encoder_layers() {
            x = self.encoder_block(layer, x, &reading, cache);
        }
        Some(self.remember(x, batch))
    }

    /// Hidden states after the final norm of the new positions of each row, row after row.
    ///
    /// # Shapes
    /// `ids`, `positions` `[rows * new]` `-> [rows * new, hidden]`
    pub fn forward(
        &self,
        rows: usize,
        ids: &[u32],
        positions: &[u32],
        cache: &mut dyn Cache,
        device: &Device,
    ) -> Tensor<2> {
        let (mut x, pass) = self.start(rows, ids, positions, device);
        for layer in 0..self.sizes().layers {
            x = self.block(layer, x, &pass, cache);
        }
        self.finish(x)
    }

    /// The residual stream before the first layer. [`LanguageModel::forward`] is this, every [`LanguageModel::block`], and
    /// [`LanguageModel::finish`]; training takes them one at a time.
    ///
    /// # Shapes
    /// `ids`, `positions` `[rows * new]` `-> [rows * new, hidden]`
    pub fn start(&self, rows: usize, ids: &[u32], positions: &[u32], device: &Device) -> (Tensor<2>, Pass) {
        let tensor = |values: &[u32]| layers::ids(values.iter().copied(), device);
        let (x, rotation) = match self {
            Self::Gpt2(m) => (m.start(tensor(ids), tensor(positions)), None),
            Self::BioGpt(m) => (m.start(tensor(ids), tensor(positions)), None),
            Self::Llama(m) => {
                let (x, rotation) = m.start(rows, tensor(ids), positions);
                (x, Some(rotation))
            }
            Self::T5(m) => (m.start(tensor(ids)), None),
        };
        (x, Pass { rows, rotation })
    }

    /// One layer.
    ///
    /// # Shapes
    /// `[rows * new, hidden] -> [rows * new, hidden]`
    pub fn block(&self, layer: usize, x: Tensor<2>, pass: &Pass, cache: &mut dyn Cache) -> Tensor<2> {
        match (self, &pass.rotation) {
            (Self::Gpt2(m), _) => m.block(layer, x, pass.rows, cache),
            (Self::BioGpt(m), _) => m.block(layer, x, pass.rows, cache),
            (Self::Llama(m), Some(rotation)) => m.block(layer, x, pass.rows, rotation, cache),
            (Self::Llama(_), None) => x, // a Pass of another architecture
            (Self::T5(m), _) => m.block(layer, x, pass.rows, cache),
        }
    }

    /// The final norm.
    ///
    /// # Shapes
    /// `[rows * new, hidden] -> [rows * new, hidden]`
    #[must_use]
    pub fn finish(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Gpt2(m) => m.finish(x),
            Self::BioGpt(m) => m.finish(x),
            Self::Llama(m) => m.finish(x),
            Self::T5(m) => m.finish(x),
        }
    }

    /// Output projection.
    ///
    /// # Shapes
    /// `[n, hidden] -> [n, vocabulary]`
    #[must_use]
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Gpt2(m) => m.logits(hidden),
            Self::BioGpt(m) => m.logits(hidden),
            Self::Llama(m) => m.logits(hidden),
            Self::T5(m) => m.logits(hidden),
        }
    }

    /// As [`LanguageModel::open`], as a prefix that many rows continue.
    ///
    /// # Errors
    /// As [`LanguageModel::open`].
    pub fn prefill(&self, ids: &[u32], device: &Device) -> Result<(Prefix, Tensor<1>)> {
        let (cache, logits) = self.open(ids, device)?;
        Ok((cache.into_prefix(), logits))
    }

    /// Reads a prompt: one row's cache, and the logits `[vocabulary]` of the token that follows. With an encoder, that is
    /// the first token of the decoder's text.
    ///
    /// # Errors
    /// [`Error::Input`] when it is empty or longer than the model.
    pub fn open(&self, ids: &[u32], device: &Device) -> Result<(Sequences, Tensor<1>)> {
        let shape = self.sizes();
        if ids.is_empty() || ids.len() >= shape.positions {
            return Err(Error::input(
                "prompt",
                format!("1 to {} tokens", shape.positions - 1),
                format!("{} tokens", ids.len()),
            ));
        }
        let mut cache = Sequences::new(shape.layers, device);
        let types = vec![0; ids.len()];
        if let Some(memory) = self.encode(&Batch::new(&[(ids, &types)], 0), &mut cache, device) {
            cache = cache.with_memory(memory);
        }
        let ids = shape.start.as_ref().map_or(ids, std::slice::from_ref);
        cache.extend(&[vec![true; ids.len()]]);
        let positions: Vec<u32> = (0..u32::try_from(ids.len()).unwrap_or(u32::MAX)).collect();
        let hidden = self.forward(1, ids, &positions, &mut cache, device);
        let last = hidden.slice([ids.len() - 1..ids.len(), 0..shape.hidden]);
        let logits = self.logits(last).reshape([shape.vocabulary]);
        Ok((cache, logits))
    }
}
