//! Sentence-pair classifiers of all supported architectures, such as the entailment critic.

use burn::tensor::{Device, Tensor};

use super::bart::BartClassifier;
use super::config::{Config, HIDDEN, VOCABULARY};
use super::encoder::{Batch, Drop, keep};
use super::layers::{Activation, LayerNorm, Linear};
use super::loader::{Loader, Source};
use super::pooling::mean;
use super::reader::{self, Body};
use super::tensors::Tensors;
use crate::{Error, Result};

/// From the hidden states of a text to the logits of the labels.
#[derive(Debug)]
struct Head {
    /// Whether it reads the mean of the states, and not the state of the first token.
    mean: bool,
    dense: Linear,
    activation: Activation,
    norm: Option<LayerNorm>,
    out: Linear,
}

impl Head {
    fn load(config: &Config, w: &Loader<'_>, d: usize, labels: usize) -> Result<Self> {
        let [out, _] = PairClassifier::head(config)?;
        let out = out.strip_suffix(".weight").unwrap_or(out);
        let plain = |dense: &str, width: usize, activation: Activation| {
            Ok(Self {
                mean: false,
                dense: w.linear(dense, d, width, true)?,
                activation,
                norm: None,
                out: w.linear(&format!("/{out}"), width, labels, true)?,
            })
        };
        match config.model_type()? {
            "bert" => plain("pooler.dense", d, Activation::Tanh),
            "distilbert" => plain("/pre_classifier", d, Activation::Relu),
            "electra" => plain("/classifier.dense", d, Activation::Gelu),
            "deberta-v2" => {
                let width = config.size_or("pooler_hidden_size", HIDDEN, d)?;
                plain("/pooler.dense", width, config.activation("pooler_hidden_act", Activation::Gelu)?)
            }
            "modernbert" => {
                config.only("classifier_pooling", &["cls", "mean"])?;
                let bias = config.flag_or("norm_bias", false)?;
                Ok(Self {
                    mean: config.get("classifier_pooling").is_some_and(|kind| kind == "mean"),
                    dense: w.linear("/head.dense", d, d, config.flag_or("classifier_bias", false)?)?,
                    activation: config.activation("classifier_activation", Activation::Gelu)?,
                    norm: Some(w.norm("/head.norm", d, config.positive_or("norm_eps", 1e-5)?, bias)?),
                    out: w.linear("/classifier", d, labels, true)?,
                })
            }
            _ => plain("/classifier.dense", d, Activation::Tanh),
        }
    }

    /// `[rows * length, hidden] -> [rows, labels]`
    fn forward(&self, states: Tensor<2>, batch: &Batch) -> Tensor<2> {
        let (rows, hidden) = (batch.rows(), states.dims()[1]);
        let pooled = if self.mean {
            mean(states, batch)
        } else {
            let states = states.reshape([rows, batch.length, hidden]);
            states.slice([0..rows, 0..1, 0..hidden]).reshape([rows, hidden])
        };
        let x = self.activation.forward(self.dense.forward(pooled));
        self.out.forward(self.norm.as_ref().map_or(x.clone(), |norm| norm.forward(x)))
    }
}

#[derive(Debug)]
enum Model {
    Reader { body: Box<dyn Body>, head: Box<Head> },
    Bart(Box<BartClassifier>),
}

/// A sentence-pair classifier with its labels.
#[derive(Debug)]
pub struct PairClassifier {
    model: Model,
    pad: u32,
    /// Labels in the order of their ids, from `id2label`.
    pub labels: Vec<String>,
}

/// Whether the configuration is one of a pair classifier. Of models that others use as language models or encoders it
/// must name its labels or its class.
fn is_classifier(config: &Config) -> bool {
    let classes = config.get("architectures").and_then(serde_json::Value::as_array);
    let named = classes.is_some_and(|all| {
        all.iter().any(|class| class.as_str().is_some_and(|class| class.ends_with("ForSequenceClassification")))
    });
    config.model_type().is_ok_and(|kind| match kind {
        "roberta" | "deberta-v2" => true,
        "bart" => named,
        kind => reader::NAMES.contains(&kind) && named,
    })
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
    if !is_classifier(config) {
        return Ok(None);
    }
    config.check(config.model_type()? == "bart")?;
    entailment(config, &config.labels()?).map(Some)
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
        if !(reader::NAMES.contains(&kind) || kind == "bart") {
            return Err(Error::Unsupported {
                file: config.file().to_owned(),
                found: format!("model_type \"{kind}\" as a pair classifier"),
                expected: format!("{}, bart", reader::NAMES.join(", ")),
            });
        }
        let (labels, pad) = (config.labels()?, Self::pad_of(config)?);
        let model = if kind == "bart" {
            Model::Bart(Box::new(BartClassifier::load(config, source, device, labels.len())?))
        } else {
            let w = reader::loader(config, source, device)?;
            let body = reader::body(config, &w)?;
            let head = Box::new(Head::load(config, &w, body.hidden(), labels.len())?);
            w.finish(body.layers())?;
            Model::Reader { body, head }
        };
        Ok(Self { model, pad, labels })
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
        match &self.model {
            Model::Reader { body, .. } => body.positions(),
            Model::Bart(bart) => bart.positions(),
        }
    }

    /// Id of the padding token.
    #[must_use]
    pub fn pad(&self) -> u32 {
        self.pad
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
        match &self.model {
            Model::Reader { body, head } => head.forward(body.forward(batch, body.layers(), drop).1, batch),
            Model::Bart(bart) => bart.logits(batch),
        }
    }

    /// Id of the padding token, from a configuration without the weights.
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid `model_type` or `pad_token_id`.
    pub fn pad_of(config: &Config) -> Result<u32> {
        let default = match config.model_type()? {
            "roberta" | "xlm-roberta" | "mpnet" | "bart" => 1,
            "modernbert" => 50_283,
            _ => 0,
        };
        // An id beyond the table is as good as none: padding is masked.
        let last = config.size("vocab_size", VOCABULARY)? - 1;
        let pad = config.size_or("pad_token_id", 0..=*VOCABULARY.end(), default)?;
        Ok(u32::try_from(pad.min(last)).unwrap_or(0))
    }

    /// Names of weight and bias of the final projection, which computes the logits.
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid `model_type`.
    pub fn head(config: &Config) -> Result<[&'static str; 2]> {
        Ok(match config.model_type()? {
            "bert" | "distilbert" | "deberta-v2" | "modernbert" => ["classifier.weight", "classifier.bias"],
            "bart" => ["classification_head.out_proj.weight", "classification_head.out_proj.bias"],
            _ => ["classifier.out_proj.weight", "classifier.out_proj.bias"],
        })
    }
}
