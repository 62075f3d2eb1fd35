//! What a training teaches: how examples become batches, and a batch a loss and its gradients.

use super::example::{Batch, Example};
use super::gradient::{self, Options, Precision};
use super::parameters::{Gradients, Parameters};
use super::settings::Settings;
use crate::Result;
use crate::model::LanguageModel;
use crate::model::config::Config;

/// What a [`super::trainer::Trainer`] needs to know of a model and its examples.
pub trait Objective {
    /// What is learned from.
    type Example: Sync;
    /// Examples that are worked on together.
    type Batch: Sync;

    /// Refuses settings that this training has no use for.
    ///
    /// # Errors
    /// [`crate::Error::Input`] names the entry.
    fn check(&self, _settings: &Settings) -> Result<()> {
        Ok(())
    }

    /// Positions of an example.
    fn length(&self, example: &Self::Example) -> usize;

    /// Examples of one group are all trained on, or all held out.
    fn group(&self, example: &Self::Example) -> u64;

    /// A batch of examples, as they are in this epoch; held-out ones are looked at as in epoch 0.
    fn batch(&self, examples: &[&Self::Example], epoch: u64) -> Self::Batch;

    /// What the loss is a mean over.
    fn targets(&self, batch: &Self::Batch) -> usize;

    /// Positions that are computed, padding included.
    fn positions(&self, batch: &Self::Batch) -> usize;

    /// Adds the gradients of a batch to `sink`. Answers the sum of the losses of its targets, in nats.
    fn gradients(
        &self,
        parameters: &Parameters,
        batch: &Self::Batch,
        options: Options,
        sink: &mut Gradients,
    ) -> impl Future<Output = Result<f64>>;

    /// The sum of the losses of a batch; nothing is dropped or smoothed.
    fn loss(
        &self,
        parameters: &Parameters,
        batch: &Self::Batch,
        compute: Precision,
    ) -> impl Future<Output = Result<f64>>;
}

/// Maximum likelihood of what follows a prompt.
#[derive(Debug, Clone)]
pub struct Likelihood {
    /// The model's config.
    pub config: Config,
    start: Option<u32>, // of the decoder
}

impl Likelihood {
    /// For the language model of a config.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for another model; [`crate::Error::Config`].
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

    fn batch(&self, examples: &[&Example], _epoch: u64) -> Batch {
        Batch::new(examples, self.start)
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
