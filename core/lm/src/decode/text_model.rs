//! A language model with its tokenizer, ready to be sampled from.

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
    /// Its tokens.
    pub tokenizer: Tokenizer,
    /// Where it lives.
    pub compute: Compute,
    /// Ids that end a text: the config's, and every special token.
    pub ends: Vec<u32>,
    /// Ids that contain a line break, and ids beyond the tokenizer's own.
    pub banned: Vec<u32>,
}

impl TextModel {
    /// Loads the model of a folder.
    ///
    /// # Errors
    /// The folder's; [`Error::Config`] when the tokenizer has more ids than the model.
    pub fn load(folder: &ModelFolder, compute: &Compute) -> Result<Self> {
        let lm = LanguageModel::load(&folder.config, &folder.tensors, &compute.device)?;
        Self::new(&folder.config, lm, folder.tokenizer()?.clone(), compute)
    }

    /// Puts a model and its tokenizer together.
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

    /// Ids of a prompt; an empty prompt is the start of a text.
    ///
    /// # Errors
    /// [`Error::Input`] when an empty prompt meets a model without a start or end token, or the prompt leaves no room
    /// for `new` tokens.
    pub fn prompt(&self, text: &str, new: usize) -> Result<Vec<u32>> {
        let mut ids = self.tokenizer.encode(text)?;
        // An encoder's texts end with the end-of-text token; a causal text may start with it.
        if ids.is_empty() || self.lm.sizes().start.is_some() {
            ids.extend(self.lm.sizes().eos.first().or(self.ends.first()));
        }
        // What a decoder writes takes no room from what an encoder reads.
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

    /// The sampler of this vocabulary, with line breaks banned.
    ///
    /// # Errors
    /// [`Error::Input`] for options out of range.
    pub fn sampler(&self, mut options: super::sample::SampleOptions) -> Result<Sampler> {
        options.banned.extend_from_slice(&self.banned);
        Sampler::new(options)
    }
}
