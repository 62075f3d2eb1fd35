//! A language model with its tokenizer and its special ids, ready for sampling.

use super::sample::Sampler;
use crate::device::Compute;
use crate::model::config::Config;
use crate::model::{LanguageModel, ModelFolder};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// A language model with its tokenizer.
#[derive(Debug)]
pub struct TextModel {
    /// The model.
    pub lm: LanguageModel,
    /// The model's tokenizer.
    pub tokenizer: Tokenizer,
    /// The device that holds the weights.
    pub compute: Compute,
    /// Ids that end a text: the configuration's end-of-text ids and every special token.
    pub ends: Vec<u32>,
    /// Ids that are never sampled: tokens with a line break, and ids of the model that the tokenizer lacks.
    pub banned: Vec<u32>,
}

impl TextModel {
    /// Loads model and tokenizer from a folder.
    ///
    /// # Errors
    /// Errors of reading the folder; [`Error::Config`] when the tokenizer has more ids than the model.
    pub fn load(folder: &ModelFolder, compute: &Compute) -> Result<Self> {
        let lm = LanguageModel::load(&folder.config, &folder.tensors, &compute.device)?;
        Self::new(&folder.config, lm, folder.tokenizer()?.clone(), compute)
    }

    /// Combines a model with its tokenizer.
    ///
    /// # Errors
    /// [`Error::Config`] when the tokenizer has more ids than the model.
    pub fn new(config: &Config, lm: LanguageModel, tokenizer: Tokenizer, compute: &Compute) -> Result<Self> {
        let vocabulary = lm.sizes().vocabulary;
        if tokenizer.len() > vocabulary {
            return Err(Error::Config {
                file: config.file().to_owned(),
                field: "vocab_size".into(),
                expected: format!("at least the tokenizer's {} tokens", tokenizer.len()),
                found: vocabulary.to_string(),
            });
        }
        let mut ends = lm.sizes().eos.clone();
        ends.extend(tokenizer.special());
        ends.sort_unstable();
        ends.dedup();
        let mut banned = tokenizer.line_breaks(vocabulary);
        let ids = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        banned.extend(ids(tokenizer.len())..ids(vocabulary));
        Ok(Self { lm, tokenizer, compute: compute.clone(), ends, banned })
    }

    /// Token ids of a prompt. An empty prompt becomes the end-of-text token, which starts a text; with an encoder that
    /// token is appended to every prompt.
    ///
    /// # Errors
    /// [`Error::Input`] when an empty prompt has no end-of-text token to start with, or when the prompt leaves no room
    /// for `new` tokens.
    pub fn prompt(&self, text: &str, new: usize) -> Result<Vec<u32>> {
        let mut ids = self.tokenizer.encode(text)?;
        // An encoder's input ends with the end-of-text token; an empty causal prompt consists of it.
        if ids.is_empty() || self.lm.sizes().start.is_some() {
            ids.extend(self.lm.sizes().eos.first().or(self.ends.first()));
        }
        // With an encoder, prompt and new tokens have positions of their own.
        let taken = if self.lm.sizes().start.is_some() { 0 } else { new };
        let room = self.lm.sizes().positions.saturating_sub(taken + 1);
        if ids.is_empty() || ids.len() > room {
            let shown: String = text.chars().take(40).collect();
            return Err(Error::input(
                format!("context \"{shown}...\""),
                format!("1 to {room} tokens, so that {new} new ones fit the model"),
                format!("{} tokens", ids.len()),
            ));
        }
        Ok(ids)
    }

    /// A sampler with these options that also bans [`Self::banned`].
    ///
    /// # Errors
    /// [`Error::Input`] for options out of range.
    pub fn sampler(&self, mut options: super::sample::SampleOptions) -> Result<Sampler> {
        options.banned.extend_from_slice(&self.banned);
        Sampler::new(options)
    }
}
