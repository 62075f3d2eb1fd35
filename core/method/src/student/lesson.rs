//! Training a student on pairs.

use std::collections::BTreeMap;

use burn::tensor::DType;
use lm::decode::TextModel;
use lm::device::Compute;
use lm::model::config::Config;
use lm::model::loader::Source;
use lm::model::save::Trained;
use lm::model::{LanguageModel, ModelFolder};
use lm::tokenizer::Tokenizer;
use lm::train::Parameters;
use lm::train::objective::Likelihood;
use lm::train::trainer::{Settings, Trainer};
use record::{Kept, Task};

use super::examples::{Examples, balanced, examples};
use super::format::{self, Format};
use crate::Result;

/// Number of parameters below which all weights are trained, as adapters would save nothing.
pub const SMALL: usize = 10_000_000;

/// Training settings for a student with this number of parameters: low-rank adapters, or all weights if `whole` is set
/// or the model is small.
#[must_use]
pub fn settings(parameters: usize, whole: bool) -> Settings {
    let small = parameters < SMALL;
    match whole || small {
        true => Settings { lora: None, learning_rate: if small { 5e-4 } else { 3e-5 }, ..Settings::default() },
        false => Settings::default(),
    }
}

/// The default prompt format for a student of this architecture.
///
/// # Errors
/// As [`LanguageModel::sizes_of`].
pub fn format_for(base: &ModelFolder, tasks: &[Task]) -> Result<Format> {
    Ok(match LanguageModel::sizes_of(&base.config)?.start {
        Some(_) => Format::encoder_decoder(tasks),
        None => Format::causal(tasks),
    })
}

/// A student in training.
pub struct Lesson {
    /// The training, whose steps the caller takes.
    pub trainer: Trainer<Likelihood>,
    /// The student without its weights.
    pub frame: Frame,
    /// Number of dropped examples, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// A student without its weights: configuration, tokenizer and prompt format.
pub struct Frame {
    /// The prompt format.
    pub format: Format,
    config: Config,
    tokenizer: Tokenizer,
    /// Id of the end-of-text token.
    end: u32,
    compute: Compute,
}

impl Lesson {
    /// A training of the base model on `pairs`, at step 0; the rarer task's examples are repeated.
    ///
    /// # Errors
    /// Errors of reading the base model; [`crate::Error::Input`] without pairs that fit the model, or for settings out
    /// of range.
    pub fn new(
        base: &ModelFolder,
        pairs: &[Kept],
        format: Format,
        settings: Settings,
        seed: u64,
        compute: &Compute,
    ) -> Result<Self> {
        let (config, tokenizer, end) = (base.config.clone(), base.tokenizer()?.clone(), base.end()?);
        let sizes = LanguageModel::sizes_of(&config)?;
        let made = examples(&format, pairs, &tokenizer, (end, sizes.start.is_some()), sizes.positions)?;
        let Examples { examples, dropped, .. } = balanced(made);
        let parameters = Parameters::read(&base.tensors, settings.lora.clone(), seed, &compute.device)?;
        let trainer = Trainer::new(Likelihood::new(config.clone())?, parameters, settings, examples, seed)?;
        let frame = Frame { format, config, tokenizer, end, compute: compute.clone() };
        Ok(Self { trainer, frame, dropped })
    }

    /// The student as the files of a model folder, with adapters merged into the weights.
    ///
    /// # Errors
    /// [`crate::Error::Device`] when the weights cannot be read back.
    pub async fn trained(&self) -> Result<Trained> {
        let Frame { format, config, tokenizer, end, .. } = &self.frame;
        let weights = self.trainer.parameters.merged().await?;
        let mut trained = Trained::new(config, tokenizer, (Some(*end), config.pad()), weights)?;
        trained.extra = Some((format::FILE, format.to_bytes()?));
        Ok(trained)
    }
}

impl Frame {
    /// The student as a language model with these weights.
    ///
    /// # Errors
    /// Errors of building the model.
    pub fn student(&self, parameters: &Parameters) -> Result<TextModel> {
        let live = parameters.live(false, DType::F32);
        let lm = LanguageModel::build(&self.config, Source::Live(&live), &self.compute.device)?;
        TextModel::new(&self.config, lm, self.tokenizer.clone(), &self.compute)
    }
}
