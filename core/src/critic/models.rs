//! Real models behind the critics' traits: a pair classifier as [`EntailmentModel`], BERT as [`SentenceEncoder`].
//! Batches are built by length, so that little padding is computed.

use burn::tensor::{Tensor, activation};

use super::{BoxFuture, EntailmentModel, SentenceEncoder};
use crate::device::Compute;
use crate::distill::event::Signal;
use crate::model::{Batch, Bert, ModelFolder, PairClassifier};
use crate::text::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Tokens of one batch, padding included. Larger batches do not get faster on a CPU and cost memory.
const BATCH_TOKENS: usize = 2048;

/// Told how many directed pairs were read since loading; may answer "stop".
pub type PairObserver = Box<dyn FnMut(u64) -> Signal>;

/// An entailment critic with its tokenizer.
pub struct Entailment {
    classifier: PairClassifier,
    tokenizer: Tokenizer,
    label: usize,
    /// Directed pairs read since loading.
    pub pairs: u64,
    /// Called after each batch.
    pub observer: Option<PairObserver>,
}

impl Entailment {
    /// Loads the classifier of a folder.
    ///
    /// # Errors
    /// The folder's; [`Error::Config`] when no label says "entailment".
    pub fn load(folder: &ModelFolder, compute: &Compute) -> Result<Self> {
        let tokenizer = folder.tokenizer()?.clone();
        let classifier = PairClassifier::load(&folder.config, &folder.tensors, &compute.device)?;
        let label = classifier.entailment(&folder.config)?;
        Ok(Self { classifier, tokenizer, label, pairs: 0, observer: None })
    }

    /// Probabilities of all labels, in the order of the pairs. A pair longer than the model has no row (`None`).
    ///
    /// # Errors
    /// The tokenizer's, the device's, [`Error::NonFinite`].
    pub async fn probabilities(&mut self, pairs: &[(&str, &str)]) -> Result<Vec<Option<Vec<f32>>>> {
        let rows = pairs.iter().map(|(x, y)| self.tokenizer.encode_pair(x, y)).collect::<Result<Vec<_>>>()?;
        let mut out = vec![None; pairs.len()];
        for batch in batches(&rows, self.classifier.positions()) {
            let views: Vec<(&[u32], &[u32])> = batch.iter().map(|&i| (&rows[i].0[..], &rows[i].1[..])).collect();
            let logits = self.classifier.logits(&Batch::new(&views, self.classifier.pad()));
            let values = read(activation::softmax(logits, 1), "the entailment critic").await?;
            for (&i, p) in batch.iter().zip(values.chunks(self.classifier.labels.len())) {
                out[i] = Some(p.to_vec());
            }
            self.pairs += batch.len() as u64;
            if self.observer.as_mut().is_some_and(|o| o(self.pairs) == Signal::Stop) {
                return Err(Error::Interrupted);
            }
        }
        Ok(out)
    }
}

impl EntailmentModel for Entailment {
    /// A pair that is longer than the model is not read: p = 0.
    fn entail<'a>(&'a mut self, pairs: &'a [(&'a str, &'a str)]) -> BoxFuture<'a, Result<Vec<f32>>> {
        Box::pin(async move {
            let label = self.label;
            Ok(self.probabilities(pairs).await?.into_iter().map(|p| p.map_or(0.0, |p| p[label])).collect())
        })
    }
}

/// A sentence encoder with its tokenizer.
#[derive(Debug)]
pub struct Encoder {
    bert: Bert,
    tokenizer: Tokenizer,
}

impl Encoder {
    /// Loads the encoder of a folder.
    ///
    /// # Errors
    /// The folder's.
    pub fn load(folder: &ModelFolder, compute: &Compute) -> Result<Self> {
        let tokenizer = folder.tokenizer()?.clone();
        Ok(Self { bert: Bert::load(&folder.config, &folder.tensors, &compute.device)?, tokenizer })
    }
}

impl SentenceEncoder for Encoder {
    /// Of a text that is longer than the model the beginning is read.
    fn embed<'a>(&'a mut self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        Box::pin(async move {
            let mut rows = texts.iter().map(|t| self.tokenizer.encode_special(t)).collect::<Result<Vec<_>>>()?;
            let longest = self.bert.positions();
            for (ids, types) in &mut rows {
                ids.truncate(longest);
                types.truncate(longest);
            }
            let mut out = vec![Vec::new(); texts.len()];
            for batch in batches(&rows, longest) {
                let views: Vec<(&[u32], &[u32])> = batch.iter().map(|&i| (&rows[i].0[..], &rows[i].1[..])).collect();
                let embedding = self.bert.embed(&Batch::new(&views, 0));
                let width = embedding.dims()[1];
                let values = read(embedding, "the sentence encoder").await?;
                for (&i, v) in batch.iter().zip(values.chunks(width)) {
                    out[i] = v.to_vec();
                }
            }
            Ok(out)
        })
    }
}

/// Indices of the rows in batches of similar length; rows beyond `longest` are left out.
fn batches(rows: &[(Vec<u32>, Vec<u32>)], longest: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> =
        (0..rows.len()).filter(|&i| !rows[i].0.is_empty() && rows[i].0.len() <= longest).collect();
    order.sort_by_key(|&i| (rows[i].0.len(), i));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for i in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * rows[i].0.len() <= BATCH_TOKENS => batch.push(i),
            _ => batches.push(vec![i]),
        }
    }
    batches
}

async fn read(t: Tensor<2>, place: &str) -> Result<Vec<f32>> {
    let failed = |reason: String| Error::Device { device: "in use".into(), reason };
    let data = t.into_data_async().await.map_err(|e| failed(format!("reading results failed: {e}")))?;
    let values = data.try_into_vec::<f32>().map_err(|e| failed(format!("reading results failed: {e:?}")))?;
    if values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(Error::NonFinite { what: "an output".into(), place: place.into() })
    }
}
