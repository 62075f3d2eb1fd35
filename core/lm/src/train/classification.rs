//! Training of pair classifiers, on labels or on the probabilities of another classifier (distillation: Hinton et al.
//! 2015).

use burn::tensor::{DType, Tensor, TensorData};

use super::attention::Dropout;
use super::gradient::{Options, Precision, backward};
use super::objective::Objective;
use super::parameters::{Gradients, Parameters, host};
use super::settings::Settings;
use crate::model::config::Config;
use crate::model::encoder;
use crate::model::layers::to;
use crate::model::loader::Source;
use crate::model::{PairClassifier, classifier};
use crate::{Error, Result};

/// A pair as the classifier reads it, and its target probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct PairExample {
    /// Examples of one group (such as the pairs of a context or premise) are either all trained on or all held out.
    pub group: u64,
    /// Tokens of the pair, including special tokens.
    pub ids: Vec<u32>,
    /// Segment (token type) of each token.
    pub types: Vec<u32>,
    /// Target probability of each label, in the order of the classifier's labels.
    pub target: Vec<f32>,
}

/// Architectures that are trained as classifiers: those whose whole model takes part in dropout and half precision.
const TRAINED: [&str; 8] =
    ["bert", "roberta", "xlm-roberta", "distilbert", "electra", "mpnet", "modernbert", "deberta-v2"];

/// A batch of pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct PairBatch {
    /// The input of the encoder.
    pub inputs: encoder::Batch,
    /// Target probabilities, `[rows * labels]`.
    pub target: Vec<f32>,
}

/// The training objective of a classifier: cross-entropy with target probabilities of the labels.
#[derive(Debug, Clone)]
pub struct Classification {
    /// The classifier's config.
    pub config: Config,
    labels: usize,
    pad: u32,
}

impl Classification {
    /// The objective for a classifier with this config.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn new(config: Config) -> Result<Self> {
        config.only("model_type", &TRAINED)?;
        let (labels, pad) = (config.labels()?.len(), classifier::PairClassifier::pad_of(&config)?);
        Ok(Self { config, labels, pad })
    }

    /// Logits of a batch, `[rows * labels]`, without dropout.
    ///
    /// # Errors
    /// The model's.
    pub async fn logits(&self, parameters: &Parameters, batch: &PairBatch, compute: Precision) -> Result<Vec<f32>> {
        let live = parameters.live(false, compute.dtype());
        let model = PairClassifier::build(&self.config, Source::Live(&live), &parameters.device)?;
        flat(model.logits(&batch.inputs)).await
    }
}

/// The values of a matrix, copied to the host as f32.
async fn flat(t: Tensor<2>) -> Result<Vec<f32>> {
    let [rows, columns] = t.dims();
    host(to(t, DType::F32).reshape([rows * columns])).await
}

/// Sum of the cross-entropies of the rows, in nats, and its gradient at the logits times `scale`.
fn cross_entropy(logits: &[f32], target: &[f32], labels: usize, smoothing: f32, scale: f32) -> (f64, Vec<f32>) {
    let (mut loss, mut slope) = (0.0, Vec::with_capacity(logits.len()));
    #[allow(clippy::cast_precision_loss)]
    let each = smoothing / labels as f32;
    for (logits, target) in logits.chunks(labels).zip(target.chunks(labels)) {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let log_sum = most + logits.iter().map(|x| (x - most).exp()).sum::<f32>().ln();
        for (x, t) in logits.iter().zip(target) {
            let (log_p, t) = (x - log_sum, t * (1.0 - smoothing) + each);
            loss -= f64::from(t * log_p);
            slope.push((log_p.exp() - t) * scale);
        }
    }
    (loss, slope)
}

impl Objective for Classification {
    type Example = PairExample;
    type Batch = PairBatch;

    fn check(&self, settings: &Settings) -> Result<()> {
        if settings.checkpointing {
            return Err(Error::input("train.checkpointing", "false for a classifier", true));
        }
        Ok(())
    }

    fn length(&self, example: &PairExample) -> usize {
        example.ids.len()
    }

    fn group(&self, example: &PairExample) -> u64 {
        example.group
    }

    fn batch(&self, examples: &[&PairExample], _epoch: u64) -> Result<PairBatch> {
        let rows: Vec<(&[u32], &[u32])> = examples.iter().map(|e| (&e.ids[..], &e.types[..])).collect();
        let target = examples.iter().flat_map(|e| e.target.iter().copied()).collect();
        Ok(PairBatch { inputs: encoder::Batch::new(&rows, self.pad), target })
    }

    fn targets(&self, batch: &PairBatch) -> usize {
        batch.inputs.rows()
    }

    fn positions(&self, batch: &PairBatch) -> usize {
        batch.inputs.ids.len()
    }

    async fn gradients(
        &self,
        parameters: &Parameters,
        batch: &PairBatch,
        options: Options,
        sink: &mut Gradients,
    ) -> Result<f64> {
        let rows = batch.inputs.rows();
        if rows == 0 {
            return Ok(0.0);
        }
        let device = parameters.device.clone().autodiff();
        let live = parameters.live(true, options.compute.dtype());
        let model = PairClassifier::build(&self.config, Source::Live(&live), &device)?;
        let dropout = options.dropout.filter(|d: &Dropout| d.rate > 0.0);
        let drop = |layer: usize, part: usize, y: Tensor<2>| match dropout {
            Some(d) => d.apply(layer, part, y),
            None => y,
        };
        let logits = model.logits_with(&batch.inputs, &drop);
        let values = flat(logits.clone().inner()).await?;
        let (loss, slope) = cross_entropy(&values, &batch.target, self.labels, options.smoothing, options.scale);
        let slope = Tensor::from_data(TensorData::new(slope, [rows, self.labels]), &parameters.device);
        let slope = to(slope, logits.dtype());
        backward(logits, slope, &live, sink);
        Ok(loss)
    }

    async fn loss(&self, parameters: &Parameters, batch: &PairBatch, compute: Precision) -> Result<f64> {
        let logits = self.logits(parameters, batch, compute).await?;
        Ok(cross_entropy(&logits, &batch.target, self.labels, 0.0, 1.0).0)
    }
}
