//! Sentence-pair classifiers of all supported architectures, such as the entailment critic.

use burn::tensor::{Device, Tensor};

use super::config::{Config, VOCABULARY};
use super::deberta::Deberta;
use super::encoder::{Batch, Drop, keep};
use super::loader::Source;
use super::roberta::Roberta;
use super::tensors::Tensors;
use crate::{Error, Result};

#[derive(Debug)]
enum Body {
    Roberta(Box<Roberta>),
    Deberta(Box<Deberta>),
}

/// A sentence-pair classifier with its labels.
#[derive(Debug)]
pub struct PairClassifier {
    body: Body,
    /// Labels in the order of their ids, from `id2label`.
    pub labels: Vec<String>,
}

/// Whether the configuration's architecture is supported as a pair classifier.
fn is_classifier(config: &Config) -> bool {
    config.model_type().is_ok_and(|kind| matches!(kind, "roberta" | "deberta-v2"))
}

fn entailment(config: &Config, labels: &[String]) -> Result<usize> {
    let place = labels.iter().position(|l| {
        let l = l.to_lowercase();
        l.starts_with("entail") && !l.contains("not")
    });
    place.ok_or_else(|| {
        config.wrong("id2label", "a label named \"entailment\"", format!("{labels:?}; this is no entailment critic"))
    })
}

/// Id of the entailment label of a pair classifier's configuration; `None` for other architectures.
///
/// # Errors
/// [`Error::Config`] when no label starts with "entail".
pub fn entailment_label(config: &Config) -> Result<Option<usize>> {
    if is_classifier(config) { entailment(config, &config.labels()?).map(Some) } else { Ok(None) }
}

impl PairClassifier {
    /// Builds the classifier of a configuration from a checkpoint's tensors.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another architecture; [`Error::Config`] or [`Error::Tensor`] if configuration and
    /// weights do not fit; errors of reading the file.
    pub fn load(config: &Config, tensors: &Tensors, device: &Device) -> Result<Self> {
        Self::build(config, Source::Checkpoint(tensors), device)
    }

    /// Builds the classifier from a checkpoint or from parameters in training.
    ///
    /// # Errors
    /// As [`PairClassifier::load`].
    pub fn build(config: &Config, source: Source<'_>, device: &Device) -> Result<Self> {
        let kind = config.model_type()?;
        if !is_classifier(config) {
            return Err(Error::Unsupported {
                file: config.file().to_owned(),
                found: format!("model_type \"{kind}\" as a pair classifier"),
                expected: "roberta, deberta-v2 (which is v3 as well)".into(),
            });
        }
        config.check(false)?;
        let labels = config.labels()?;
        let body = if kind == "roberta" {
            Body::Roberta(Box::new(Roberta::load(config, source, device, labels.len())?))
        } else {
            Body::Deberta(Box::new(Deberta::load(config, source, device, labels.len())?))
        };
        Ok(Self { body, labels })
    }

    /// Id of the entailment label.
    ///
    /// # Errors
    /// [`Error::Config`] when no label starts with "entail".
    pub fn entailment(&self, config: &Config) -> Result<usize> {
        entailment(config, &self.labels)
    }

    /// Largest number of tokens of a pair, special tokens included.
    #[must_use]
    pub fn positions(&self) -> usize {
        match &self.body {
            Body::Roberta(m) => m.positions,
            Body::Deberta(m) => m.positions,
        }
    }

    /// Id of the padding token.
    #[must_use]
    pub fn pad(&self) -> u32 {
        match &self.body {
            Body::Roberta(m) => m.pad,
            Body::Deberta(m) => m.pad,
        }
    }

    /// Logits of the labels.
    ///
    /// # Shapes
    /// `-> [rows, labels]`
    #[must_use]
    pub fn logits(&self, batch: &Batch) -> Tensor<2> {
        self.logits_with(batch, &keep)
    }

    /// As [`PairClassifier::logits`], with dropout by `drop`.
    ///
    /// # Shapes
    /// `-> [rows, labels]`
    #[must_use]
    pub fn logits_with(&self, batch: &Batch, drop: Drop<'_>) -> Tensor<2> {
        match &self.body {
            Body::Roberta(m) => m.logits(batch, drop),
            Body::Deberta(m) => m.logits(batch, drop),
        }
    }

    /// Id of the padding token, from a configuration without the weights.
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid `model_type` or `pad_token_id`.
    pub fn pad_of(config: &Config) -> Result<u32> {
        let default = usize::from(config.model_type()? == "roberta");
        let pad = config.size_or("pad_token_id", 0..=*VOCABULARY.end(), default)?;
        Ok(u32::try_from(pad).unwrap_or(0))
    }

    /// Names of weight and bias of the final projection, which computes the logits.
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid `model_type`.
    pub fn head(config: &Config) -> Result<[&'static str; 2]> {
        Ok(if config.model_type()? == "roberta" {
            ["classifier.out_proj.weight", "classifier.out_proj.bias"]
        } else {
            ["classifier.weight", "classifier.bias"]
        })
    }
}
