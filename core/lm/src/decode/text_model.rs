//! A language model with its tokenizer and its special ids, ready for sampling.

use super::sample::Sampler;
use crate::device::Compute;
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
    /// Ids that are never sampled: tokens with a line break, and ids without a token.
    pub banned: Vec<u32>,
}

impl TextModel {
    /// Loads model and tokenizer from a folder.
    ///
    /// # Errors
    /// Errors of reading the folder.
    pub fn load(folder: &ModelFolder, compute: &Compute) -> Result<Self> {
        let lm = LanguageModel::load(&folder.config, &folder.tensors, &compute.device)?;
        Ok(Self::new(lm, folder.tokenizer()?.clone(), compute))
    }

    /// Combines a model with its tokenizer.
    #[must_use]
    pub fn new(lm: LanguageModel, tokenizer: Tokenizer, compute: &Compute) -> Self {
        let vocabulary = lm.sizes().vocabulary;
        let tokenizer = tokenizer.within(vocabulary);
        let mut ends = lm.sizes().eos.clone();
        ends.extend(tokenizer.special());
        ends.sort_unstable();
        ends.dedup();
        let banned = tokenizer.unwritable(vocabulary);
        Self { lm, tokenizer, compute: compute.clone(), ends, banned }
    }

    /// Token ids of a prompt, with the special tokens that the tokenizer puts in front. If there is nothing else, the
    /// end-of-text token starts a text; with an encoder that token is appended to every prompt.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]; [`Error::Input`] when an empty prompt has no end-of-text token to start with, or when the prompt leaves no room
    /// for `new` tokens.
    pub fn prompt(&self, text: &str, new: usize) -> Result<Vec<u32>> {
        let mut ids = self.tokenizer.encode_prompt(text)?;
        // An encoder's input ends with the end-of-text token; an empty causal prompt consists of it.
        if ids.is_empty() || self.lm.sizes().start.is_some() {
            ids.extend(self.lm.sizes().eos.first().or(self.ends.first()));
        }
        // With an encoder, prompt and new tokens have positions of their own.
        if self.lm.sizes().start.is_some() && new >= self.lm.sizes().positions {
            let expected = format!("fewer than the model's {} positions", self.lm.sizes().positions);
            return Err(Error::input("the number of new tokens", expected, new));
        }
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
