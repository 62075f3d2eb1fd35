//! Training objectives: how examples are batched, and how a batch's loss and gradients are computed.

use super::example::{Batch, Example};
use super::gradient::{self, Options, Precision};
use super::parameters::{Gradients, Parameters};
use super::settings::Settings;
use crate::Result;
use crate::model::LanguageModel;
use crate::model::config::Config;

/// A training objective, as a [`super::trainer::Trainer`] needs it.
pub trait Objective {
    /// A training example.
    type Example: Sync;
    /// Examples that are computed together.
    type Batch: Sync;

    /// Checks that the objective supports the settings.
    ///
    /// # Errors
    /// [`crate::Error::Input`] names the unsupported entry.
    fn check(&self, _settings: &Settings) -> Result<()> {
        Ok(())
    }

    /// Number of token positions of an example.
    fn length(&self, example: &Self::Example) -> usize;

    /// The example's group. Examples of one group are either all trained on or all held out.
    fn group(&self, example: &Self::Example) -> u64;

    /// A batch of examples; noise, if any, depends on the epoch. Held-out examples use epoch 0.
    ///
    /// # Errors
    /// Errors of the tokenizer, where examples are made of text anew in each epoch.
    fn batch(&self, examples: &[&Self::Example], epoch: u64) -> Result<Self::Batch>;

    /// Number of targets, over which the loss is averaged.
    fn targets(&self, batch: &Self::Batch) -> usize;

    /// Number of token positions computed, padding included.
    fn positions(&self, batch: &Self::Batch) -> usize;

    /// Adds the gradients of a batch to `sink` and returns the sum of the losses of its targets, in nats.
    fn gradients(
        &self,
        parameters: &Parameters,
        batch: &Self::Batch,
        options: Options,
        sink: &mut Gradients,
    ) -> impl Future<Output = Result<f64>>;

    /// Sum of the losses of a batch's targets, without dropout and label smoothing.
    fn loss(
        &self,
        parameters: &Parameters,
        batch: &Self::Batch,
        compute: Precision,
    ) -> impl Future<Output = Result<f64>>;
}

/// Maximum likelihood of target tokens given a prompt.
#[derive(Debug, Clone)]
pub struct Likelihood {
    /// The model's configuration.
    pub config: Config,
    start: Option<u32>, // the decoder's start token
}

impl Likelihood {
    /// The objective for the language model of a configuration.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for another architecture; [`crate::Error::Config`] for an invalid entry.
    pub fn new(config: Config) -> Result<Self> {
        let start = LanguageModel::sizes_of(&config)?.start;
        Ok(Self { config, start })
    }
}

impl Objective for Likelihood {
    type Example = Example;
    type Batch = Batch;

    fn length(&self, example: &Example) -> usize {
        example.len()
    }

    fn group(&self, example: &Example) -> u64 {
        example.group
    }

    fn batch(&self, examples: &[&Example], _epoch: u64) -> Result<Batch> {
        Ok(Batch::new(examples, self.start))
    }

    fn targets(&self, batch: &Batch) -> usize {
        batch.labels.len()
    }

    fn positions(&self, batch: &Batch) -> usize {
        batch.positions()
    }

    async fn gradients(
        &self,
        parameters: &Parameters,
        batch: &Batch,
        options: Options,
        sink: &mut Gradients,
    ) -> Result<f64> {
        gradient::gradients(&self.config, parameters, batch, options, sink).await
    }

    async fn loss(&self, parameters: &Parameters, batch: &Batch, compute: Precision) -> Result<f64> {
        gradient::loss(&self.config, parameters, batch, compute).await
    }
}
