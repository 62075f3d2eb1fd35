//! Classifiers of sentence pairs behind one door: the entailment critic.

use burn::tensor::{Device, Tensor};

use super::config::Config;
use super::deberta::Deberta;
use super::encoder::Batch;
use super::roberta::Roberta;
use super::tensors::Tensors;
use crate::{Error, Result};

#[derive(Debug)]
enum Body {
    Roberta(Box<Roberta>),
    Deberta(Box<Deberta>),
}

/// A classifier of sentence pairs with its labels.
#[derive(Debug)]
pub struct PairClassifier {
    body: Body,
    /// Labels by id, as `id2label` has them.
    pub labels: Vec<String>,
}

impl PairClassifier {
    /// Builds the classifier that a config names from a checkpoint's tensors.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another architecture; [`Error::Config`], [`Error::Tensor`] and the file's own.
    pub fn load(config: &Config, tensors: &Tensors, device: &Device) -> Result<Self> {
        let kind = config.model_type()?;
        if !matches!(kind, "roberta" | "deberta-v2") {
            return Err(Error::Unsupported {
                file: config.file().to_owned(),
                found: format!("model_type \"{kind}\" as a pair classifier"),
                expected: "roberta, deberta-v2 (which is v3 as well)".into(),
            });
        }
        let labels = config.labels()?;
        let body = if kind == "roberta" {
            Body::Roberta(Box::new(Roberta::load(config, tensors, device, labels.len())?))
        } else {
            Body::Deberta(Box::new(Deberta::load(config, tensors, device, labels.len())?))
        };
        Ok(Self { body, labels })
    }

    /// Id of the entailment label.
    ///
    /// # Errors
    /// [`Error::Config`] when no label says "entailment".
    pub fn entailment(&self, config: &Config) -> Result<usize> {
        let place = self.labels.iter().position(|l| {
            let l = l.to_lowercase();
            l.starts_with("entail") && !l.contains("not")
        });
        place.ok_or_else(|| {
            config.wrong(
                "id2label",
                "a label named \"entailment\"",
                format!("{:?}; this is no entailment critic", self.labels),
            )
        })
    }

    /// Longest pair in tokens, special tokens included.
    #[must_use]
    pub fn positions(&self) -> usize {
        match &self.body {
            Body::Roberta(m) => m.positions,
            Body::Deberta(m) => m.positions,
        }
    }

    /// Id that pads a batch.
    #[must_use]
    pub fn pad(&self) -> u32 {
        match &self.body {
            Body::Roberta(m) => m.pad,
            Body::Deberta(m) => m.pad,
        }
    }

    /// # Shapes
    /// `-> [rows, labels]`
    #[must_use]
    pub fn logits(&self, batch: &Batch) -> Tensor<2> {
        match &self.body {
            Body::Roberta(m) => m.logits(batch),
            Body::Deberta(m) => m.logits(batch),
        }
    }
}
