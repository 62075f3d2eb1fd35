//! Language models of all supported architectures.

use burn::tensor::{Device, Tensor};

use super::bart::{Bart, BartConfig};
use super::biogpt::{BioGpt, BioGptConfig};
use super::cache::{Cache, Prefix, Sequences};
use super::config::Config;
use super::decoder::{Decoder, Pass, Sizes};
use super::encoder::Batch;
use super::gated::{self, Gated, GatedConfig};
use super::gpt2::{Gpt2, Gpt2Config};
use super::layers;
use super::loader::{Loader, Source};
use super::neox::{NeoX, NeoXConfig};
use super::opt::{Opt, OptConfig};
use super::t5::{T5, T5Config};
use super::tensors::Tensors;
use crate::{Error, Result};

/// Architectures with an encoder of the prompt.
const ENCODED: [&str; 3] = ["t5", "bart", "pegasus"];

fn unsupported(config: &Config, model_type: &str) -> Error {
    Error::Unsupported {
        file: config.file().to_owned(),
        found: format!("model_type \"{model_type}\" as a language model"),
        expected: format!("gpt2, biogpt, opt, gpt_neox, t5, bart, pegasus, {}", gated::NAMES.join(", ")),
    }
}

/// A language model of any supported architecture.
#[derive(Debug)]
pub struct LanguageModel {
    /// The decoder, which has the encoder if there is one.
    pub decoder: Box<dyn Decoder>,
}

impl LanguageModel {
    /// Builds the model of a configuration from a checkpoint's tensors.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another architecture; [`Error::Config`] or [`Error::Tensor`] if configuration and
    /// weights do not fit; errors of reading the file.
    pub fn load(config: &Config, tensors: &Tensors, device: &Device) -> Result<Self> {
        Self::build(config, Source::Checkpoint(tensors), device)
    }

    /// Builds the model from a checkpoint or from parameters in training.
    ///
    /// # Errors
    /// As [`LanguageModel::load`].
    pub fn build(config: &Config, source: Source<'_>, device: &Device) -> Result<Self> {
        let loader = |prefixes, embedding| Loader::of(source, device, prefixes, embedding);
        config.check(ENCODED.contains(&config.model_type()?))?;
        let decoder: Box<dyn Decoder> = match config.model_type()? {
            "gpt2" => {
                let sizes = Gpt2Config::read(config)?;
                Box::new(Gpt2::load(sizes, loader(&["transformer.", ""], "ln_f.weight")?)?)
            }
            "biogpt" => {
                let sizes = BioGptConfig::read(config)?;
                Box::new(BioGpt::load(sizes, loader(&["biogpt.", ""], "layer_norm.weight")?)?)
            }
            kind if gated::NAMES.contains(&kind) => {
                let sizes = GatedConfig::read(config)?;
                Box::new(Gated::load(sizes, loader(&["model.", ""], "norm.weight")?)?)
            }
            "opt" => {
                let loader = loader(&["model.decoder.", "decoder.", ""], "embed_positions.weight")?;
                Box::new(Opt::load(OptConfig::read(config)?, loader)?)
            }
            "gpt_neox" => {
                let loader = loader(&["gpt_neox.", ""], "final_layer_norm.weight")?;
                Box::new(NeoX::load(NeoXConfig::read(config)?, loader)?)
            }
            "bart" | "pegasus" => {
                let loader = loader(&["model.", ""], "decoder.layers.0.fc1.weight")?;
                Box::new(Bart::load(BartConfig::read(config)?, loader)?)
            }
            "t5" => Box::new(T5::load(T5Config::read(config)?, loader(&[""], "decoder.final_layer_norm.weight")?)?),
            other => return Err(unsupported(config, other)),
        };
        Ok(Self { decoder })
    }

    /// Sizes from a configuration, without weights.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another architecture; [`Error::Config`] for an invalid entry.
    pub fn sizes_of(config: &Config) -> Result<Sizes> {
        config.check(ENCODED.contains(&config.model_type()?))?;
        match config.model_type()? {
            "gpt2" => Gpt2Config::read(config).map(|c| c.sizes),
            "biogpt" => BioGptConfig::read(config).map(|c| c.sizes),
            "opt" => OptConfig::read(config).map(|c| c.sizes),
            "gpt_neox" => NeoXConfig::read(config).map(|c| c.sizes),
            "bart" | "pegasus" => BartConfig::read(config).map(|c| c.sizes),
            "t5" => T5Config::read(config).map(|c| c.sizes),
            kind if gated::NAMES.contains(&kind) => GatedConfig::read(config).map(|c| c.sizes),
            other => Err(unsupported(config, other)),
        }
    }

    /// Sizes of the model.
    #[must_use]
    pub fn sizes(&self) -> &Sizes {
        self.decoder.sizes()
    }

    /// Hidden states, after the final norm, of the new positions of each row.
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
        let pass = Pass::new(rows, positions);
        let mut x = self.decoder.embed(layers::ids(ids.iter().copied(), device), &pass);
        for layer in 0..self.sizes().layers {
            x = self.decoder.layer(layer, x, &pass, cache);
        }
        self.decoder.norm(x)
    }

    /// Projects hidden states to logits of the vocabulary.
    ///
    /// # Shapes
    /// `[n, hidden] -> [n, vocabulary]`
    #[must_use]
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.decoder.logits(hidden)
    }

    /// Prefills a prompt: a prefix that many rows can continue, and the logits `[vocabulary]` of the next token.
    ///
    /// # Errors
    /// As [`LanguageModel::open`].
    pub fn prefill(&self, ids: &[u32], device: &Device) -> Result<(Prefix, Tensor<1>)> {
        let (cache, logits) = self.open(ids, device)?;
        Ok((cache.into_prefix(), logits))
    }

    /// Prefills a prompt: the cache of one row, and the logits `[vocabulary]` of the next token. With an encoder that
    /// is the first token that the decoder generates.
    ///
    /// # Errors
    /// [`Error::Input`] when the prompt is empty or leaves no position for a next token.
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
        if let Some(encoder) = self.decoder.encoder() {
            let memory = encoder.encode(&Batch::new(&[(ids, &types)], 0), &mut cache, device);
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
