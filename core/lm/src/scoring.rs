//! Batched scoring of many texts: a sentence-pair classifier and a sentence encoder with their tokenizers. Texts are
//! batched by length, so that there is little padding.

use burn::tensor::{Tensor, activation};

use record::Monitor;

use crate::device::{Compute, to_host};
use crate::model::{Batch, Bert, ModelFolder, PairClassifier};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Most tokens per batch, padding included. On the CPU a batch should fit the caches and there should be enough batches
/// for all cores; a GPU needs large batches.
const HOST_TOKENS: usize = 512;
const GPU_TOKENS: usize = 2048;

/// Most batches computed in parallel on the CPU; each needs memory for its activations.
#[cfg(not(target_family = "wasm"))]
const LANES: usize = 8;

/// A sentence-pair classifier with its tokenizer, such as an NLI cross-encoder.
pub struct PairModel {
    classifier: PairClassifier,
    tokenizer: Tokenizer,
    entailment: usize,
    is_host: bool,
}

impl PairModel {
    /// Loads classifier and tokenizer from a folder.
    ///
    /// # Errors
    /// As [`PairClassifier::load`]; [`Error::Missing`] without a tokenizer; [`Error::Config`] when no label starts with
    /// "entail".
    pub fn load(folder: &ModelFolder, compute: &Compute) -> Result<Self> {
        let tokenizer = folder.tokenizer()?.clone();
        let classifier = PairClassifier::load(&folder.config, &folder.tensors, &compute.device)?;
        let entailment = classifier.entailment(&folder.config)?;
        Ok(Self { classifier, tokenizer, entailment, is_host: compute.is_host() })
    }

    /// Labels in the order of their ids.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.classifier.labels
    }

    /// Id of the entailment label.
    #[must_use]
    pub fn entailment(&self) -> usize {
        self.entailment
    }

    /// Token ids of a pair, with special tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_pair`].
    pub fn ids(&self, premise: &str, hypothesis: &str) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode_pair(premise, hypothesis)?.0)
    }

    /// Probabilities of all labels for each pair, in order; `None` for a pair with more tokens than the model's
    /// maximum.
    ///
    /// # Errors
    /// Errors of the tokenizer and the device; [`Error::NonFinite`] for NaN or infinity; [`Error::Interrupted`] when
    /// the host asked to stop.
    pub async fn probabilities(
        &self,
        pairs: &[(&str, &str)],
        monitor: &mut Monitor<'_>,
    ) -> Result<Vec<Option<Vec<f32>>>> {
        let rows = pairs.iter().map(|(x, y)| self.tokenizer.encode_pair(x, y)).collect::<Result<Vec<_>>>()?;
        let classifier = &self.classifier;
        let mut out = vec![None; pairs.len()];
        let forward = |batch: &Batch| activation::softmax(classifier.logits(batch), 1);
        let batches = Batches::new(&rows, classifier.positions(), classifier.pad(), self.is_host);
        batches
            .run(forward, "the pair classifier", (Counted::Pairs, monitor), |batch, values| {
                for (&i, p) in batch.iter().zip(values.chunks(classifier.labels.len())) {
                    out[i] = Some(p.to_vec());
                }
            })
            .await?;
        Ok(out)
    }
}

/// A sentence encoder with its tokenizer.
#[derive(Debug)]
pub struct TextEncoder {
    bert: Bert,
    tokenizer: Tokenizer,
    is_host: bool,
}

impl TextEncoder {
    /// Loads encoder and tokenizer from a folder.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another architecture than BERT; [`Error::Missing`] without a tokenizer; errors of
    /// reading the folder.
    pub fn load(folder: &ModelFolder, compute: &Compute) -> Result<Self> {
        let tokenizer = folder.tokenizer()?.clone();
        let bert = Bert::load(&folder.config, &folder.tensors, &compute.device)?;
        Ok(Self { bert, tokenizer, is_host: compute.is_host() })
    }

    /// Number of layers of the encoder.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.bert.layers()
    }

    /// Width of the hidden states.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.bert.hidden()
    }

    fn rows(&self, texts: &[&str]) -> Result<Vec<(Vec<u32>, Vec<u32>)>> {
        let mut rows = texts.iter().map(|t| self.tokenizer.encode_special(t)).collect::<Result<Vec<_>>>()?;
        for (ids, types) in &mut rows {
            ids.truncate(self.bert.positions());
            types.truncate(self.bert.positions());
        }
        Ok(rows)
    }

    /// Hidden states of layer `layer` (from 1) and of the last layer, concatenated, for each token of each text:
    /// `[tokens, 2 * hidden]`. The first and the last token are special tokens. A text longer than the model's maximum
    /// is truncated.
    ///
    /// # Errors
    /// Errors of the tokenizer and the device; [`Error::NonFinite`] for NaN or infinity; [`Error::Interrupted`] when
    /// the host asked to stop.
    pub async fn states(&self, texts: &[&str], layer: usize, monitor: &mut Monitor<'_>) -> Result<Vec<Vec<f32>>> {
        let rows = self.rows(texts)?;
        let width = 2 * self.bert.hidden();
        let mut out = vec![Vec::new(); texts.len()];
        let forward = |batch: &Batch| {
            let (chosen, last) = self.bert.forward_with(batch, layer);
            Tensor::cat(vec![chosen, last], 1)
        };
        Batches::new(&rows, self.bert.positions(), 0, self.is_host)
            .run(forward, "the sentence encoder", (Counted::Nothing, monitor), |batch, values| {
                for (&i, states) in batch.iter().zip(values.chunks(values.len() / batch.len())) {
                    out[i] = states[..rows[i].0.len() * width].to_vec();
                }
            })
            .await?;
        Ok(out)
    }

    /// One unit vector per text, the normalised mean of the last hidden states. A text longer than the model's maximum
    /// is truncated.
    ///
    /// # Errors
    /// As [`Self::states`].
    pub async fn embed(&self, texts: &[&str], monitor: &mut Monitor<'_>) -> Result<Vec<Vec<f32>>> {
        let rows = self.rows(texts)?;
        let mut out = vec![Vec::new(); texts.len()];
        let forward = |batch: &Batch| self.bert.embed(batch);
        Batches::new(&rows, self.bert.positions(), 0, self.is_host)
            .run(forward, "the sentence encoder", (Counted::Nothing, monitor), |batch, values| {
                for (&i, v) in batch.iter().zip(values.chunks(values.len() / batch.len())) {
                    out[i] = v.to_vec();
                }
            })
            .await?;
        Ok(out)
    }
}

/// What the monitor counts for a batch.
#[derive(Clone, Copy)]
enum Counted {
    Pairs,
    Nothing,
}

impl Counted {
    fn count(self, rows: usize, monitor: &mut Monitor<'_>) -> Result<()> {
        match self {
            Self::Pairs => monitor.scored(rows as u64),
            Self::Nothing => monitor.tell(),
        }
    }
}

/// Tokenized rows in batches of similar length; empty rows and rows of more than `longest` tokens are left out.
struct Batches<'a> {
    rows: &'a [(Vec<u32>, Vec<u32>)],
    batches: Vec<Vec<usize>>,
    pad: u32,
    #[cfg(not(target_family = "wasm"))]
    is_host: bool,
}

impl<'a> Batches<'a> {
    fn new(rows: &'a [(Vec<u32>, Vec<u32>)], longest: usize, pad: u32, is_host: bool) -> Self {
        let most = if is_host { HOST_TOKENS } else { GPU_TOKENS };
        let mut order: Vec<usize> =
            (0..rows.len()).filter(|&i| !rows[i].0.is_empty() && rows[i].0.len() <= longest).collect();
        order.sort_by_key(|&i| (rows[i].0.len(), i));
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for i in order {
            match batches.last_mut() {
                Some(batch) if (batch.len() + 1) * rows[i].0.len() <= most => batch.push(i),
                _ => batches.push(vec![i]),
            }
        }
        Self {
            rows,
            batches,
            pad,
            #[cfg(not(target_family = "wasm"))]
            is_host,
        }
    }

    fn batch(&self, rows: &[usize]) -> Batch {
        let views: Vec<(&[u32], &[u32])> = rows.iter().map(|&i| (&self.rows[i].0[..], &self.rows[i].1[..])).collect();
        Batch::new(&views, self.pad)
    }

    /// Runs every batch and passes its row indices and its output values to `each`.
    async fn run(
        self,
        forward: impl Fn(&Batch) -> Tensor<2> + Sync,
        place: &str,
        (counted, monitor): (Counted, &mut Monitor<'_>),
        mut each: impl FnMut(&[usize], &[f32]),
    ) -> Result<()> {
        #[cfg(not(target_family = "wasm"))]
        if self.is_host && self.batches.len() > 1 {
            use crate::lanes::{cores, scatter, wait};
            let mut ended = None;
            // The longest batches first, so that all lanes finish at about the same time.
            scatter(
                cores().min(LANES),
                self.batches.iter().rev().collect(),
                |rows: &Vec<usize>, send| {
                    send((rows, wait(read(forward(&self.batch(rows)), place))));
                },
                |(rows, values)| {
                    let counted = values.and_then(|values| {
                        each(rows, &values);
                        counted.count(rows.len(), monitor)
                    });
                    // Lanes at work when one of them failed still answer: the first error stays.
                    if let Err(error) = counted {
                        ended.get_or_insert(error);
                    }
                    ended.is_none()
                },
            )?;
            return ended.map_or(Ok(()), Err);
        }
        for rows in &self.batches {
            each(rows, &read(forward(&self.batch(rows)), place).await?);
            counted.count(rows.len(), monitor)?;
            monitor.rest().await;
        }
        Ok(())
    }
}

async fn read(values: Tensor<2>, place: &str) -> Result<Vec<f32>> {
    let values = to_host(values).await?;
    if values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(Error::NonFinite { what: "an output".into(), place: place.into() })
    }
}
