//! Real models behind the critics' traits: a pair classifier as [`EntailmentModel`], BERT as [`SentenceEncoder`].
//! Batches are built by length, so that little padding is computed.

use burn::tensor::{Tensor, activation};

use super::{BoxFuture, EntailmentModel, SentenceEncoder};
use crate::device::Compute;
use crate::event::{Rest, Signal, no_rest};
use crate::model::{Batch, Bert, ModelFolder, PairClassifier};
use crate::text::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Tokens of one batch, padding included. On a CPU what fits its caches, and enough batches for all cores; a GPU wants
/// few launches.
const HOST_TOKENS: usize = 512;
const GPU_TOKENS: usize = 2048;

/// Most batches read side by side on a CPU; each holds its own activations.
#[cfg(feature = "threads")]
const LANES: usize = 8;

/// Hears how many directed pairs were read since loading; any `FnMut(u64) -> Signal` is one.
pub trait PairObserver {
    /// Called after each batch; may answer "stop".
    fn read(&mut self, pairs: u64) -> Signal;

    /// Awaited after each batch, where the work runs on one thread.
    fn rest(&mut self) -> Rest<'_> {
        no_rest()
    }
}

impl<F: FnMut(u64) -> Signal> PairObserver for F {
    fn read(&mut self, pairs: u64) -> Signal {
        self(pairs)
    }
}

/// Counts what is read, and passes it on.
#[derive(Default)]
struct Counter<'a> {
    pairs: u64,
    observer: Option<&'a mut (dyn PairObserver + 'static)>,
}

impl Counter<'_> {
    fn read(&mut self, rows: usize) -> bool {
        self.pairs += rows as u64;
        self.observer.as_mut().is_none_or(|o| o.read(self.pairs) == Signal::Continue)
    }

    async fn rest(&mut self) {
        if let Some(observer) = &mut self.observer {
            observer.rest().await;
        }
    }
}

/// An entailment critic with its tokenizer.
pub struct Entailment {
    classifier: PairClassifier,
    tokenizer: Tokenizer,
    label: usize,
    is_host: bool,
    /// Directed pairs read since loading.
    pub pairs: u64,
    /// Called after each batch.
    pub observer: Option<Box<dyn PairObserver>>,
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
        Ok(Self { classifier, tokenizer, label, is_host: compute.is_host(), pairs: 0, observer: None })
    }

    /// Labels by id, as `id2label` has them.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.classifier.labels
    }

    /// Id of the entailment label.
    #[must_use]
    pub fn label(&self) -> usize {
        self.label
    }

    /// Ids of a pair as the classifier reads them.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn ids(&self, premise: &str, hypothesis: &str) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode_pair(premise, hypothesis)?.0)
    }

    /// Probabilities of all labels, in the order of the pairs. A pair longer than the model has no row (`None`).
    ///
    /// # Errors
    /// The tokenizer's, the device's, [`Error::NonFinite`].
    pub async fn probabilities(&mut self, pairs: &[(&str, &str)]) -> Result<Vec<Option<Vec<f32>>>> {
        let rows = pairs.iter().map(|(x, y)| self.tokenizer.encode_pair(x, y)).collect::<Result<Vec<_>>>()?;
        let Self { classifier, is_host, pairs: seen, observer, .. } = self;
        let mut out = vec![None; pairs.len()];
        let forward = |batch: &Batch| activation::softmax(classifier.logits(batch), 1);
        let batches = Batches::new(&rows, classifier.positions(), classifier.pad(), *is_host);
        let mut counter = Counter { pairs: *seen, observer: observer.as_deref_mut() };
        let done = batches
            .run(forward, "the entailment critic", &mut counter, |batch, values| {
                for (&i, p) in batch.iter().zip(values.chunks(classifier.labels.len())) {
                    out[i] = Some(p.to_vec());
                }
            })
            .await;
        *seen = counter.pairs;
        done.map(|()| out)
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
    is_host: bool,
}

impl Encoder {
    /// Loads the encoder of a folder.
    ///
    /// # Errors
    /// The folder's.
    pub fn load(folder: &ModelFolder, compute: &Compute) -> Result<Self> {
        let tokenizer = folder.tokenizer()?.clone();
        let bert = Bert::load(&folder.config, &folder.tensors, &compute.device)?;
        Ok(Self { bert, tokenizer, is_host: compute.is_host() })
    }

    /// Layers of the encoder.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.bert.layers()
    }

    /// Numbers of a hidden state.
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

    /// Hidden states of `layer` (from 1) and of the last layer for each token of each text, side by side:
    /// `[tokens, 2 * hidden_size]`, first and last token special. Of a text that is longer than the model the beginning
    /// is read.
    ///
    /// # Errors
    /// The tokenizer's, the device's, [`Error::NonFinite`].
    pub async fn states(&mut self, texts: &[&str], layer: usize) -> Result<Vec<Vec<f32>>> {
        let rows = self.rows(texts)?;
        let width = 2 * self.bert.hidden();
        let mut out = vec![Vec::new(); texts.len()];
        let forward = |batch: &Batch| {
            let (chosen, last) = self.bert.forward_with(batch, layer);
            Tensor::cat(vec![chosen, last], 1)
        };
        Batches::new(&rows, self.bert.positions(), 0, self.is_host)
            .run(forward, "the sentence encoder", &mut Counter::default(), |batch, values| {
                for (&i, states) in batch.iter().zip(values.chunks(values.len() / batch.len())) {
                    out[i] = states[..rows[i].0.len() * width].to_vec();
                }
            })
            .await?;
        Ok(out)
    }
}

impl SentenceEncoder for Encoder {
    /// Of a text that is longer than the model the beginning is read.
    fn embed<'a>(&'a mut self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        Box::pin(async move {
            let rows = self.rows(texts)?;
            let longest = self.bert.positions();
            let mut out = vec![Vec::new(); texts.len()];
            let forward = |batch: &Batch| self.bert.embed(batch);
            Batches::new(&rows, longest, 0, self.is_host)
                .run(forward, "the sentence encoder", &mut Counter::default(), |batch, values| {
                    for (&i, v) in batch.iter().zip(values.chunks(values.len() / batch.len())) {
                        out[i] = v.to_vec();
                    }
                })
                .await?;
            Ok(out)
        })
    }
}

/// Rows in batches of similar length; rows beyond `longest` are left out.
struct Batches<'a> {
    rows: &'a [(Vec<u32>, Vec<u32>)],
    batches: Vec<Vec<usize>>,
    pad: u32,
    #[cfg(feature = "threads")]
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
            #[cfg(feature = "threads")]
            is_host,
        }
    }

    fn batch(&self, rows: &[usize]) -> Batch {
        let views: Vec<(&[u32], &[u32])> = rows.iter().map(|&i| (&self.rows[i].0[..], &self.rows[i].1[..])).collect();
        Batch::new(&views, self.pad)
    }

    /// Runs every batch; `each` gets the rows of a batch and its values, `counter` says whether to go on.
    async fn run(
        self,
        forward: impl Fn(&Batch) -> Tensor<2> + Sync,
        place: &str,
        counter: &mut Counter<'_>,
        mut each: impl FnMut(&[usize], &[f32]),
    ) -> Result<()> {
        #[cfg(feature = "threads")]
        if self.is_host && self.batches.len() > 1 {
            use crate::lanes::{cores, scatter, wait};
            let mut ended = None;
            // The longest first, so that no lane is left alone with one at the end.
            scatter(
                cores().min(LANES),
                self.batches.iter().rev().collect(),
                |rows: &Vec<usize>, send| {
                    send((rows, wait(read(forward(&self.batch(rows)), place))));
                },
                |(rows, values)| {
                    match values {
                        Ok(values) => {
                            each(rows, &values);
                            if !counter.read(rows.len()) {
                                ended = Some(Error::Interrupted);
                            }
                        }
                        Err(error) => ended = Some(error),
                    }
                    ended.is_none()
                },
            )?;
            return ended.map_or(Ok(()), Err);
        }
        for rows in &self.batches {
            each(rows, &read(forward(&self.batch(rows)), place).await?);
            if !counter.read(rows.len()) {
                return Err(Error::Interrupted);
            }
            counter.rest().await;
        }
        Ok(())
    }
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
