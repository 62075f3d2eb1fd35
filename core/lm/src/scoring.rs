//! Batched scoring of many texts: a sentence-pair classifier and a sentence encoder with their tokenizers. Texts are
//! batched by length, so that there is little padding.

use burn::tensor::{Tensor, activation};

use record::Monitor;

use crate::Result;
use crate::batches::{Batches, Counted, values};
use crate::device::Compute;
use crate::model::{Batch, ModelFolder, PairClassifier, SentenceEncoder};
use crate::tokenizer::Tokenizer;

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
    /// As [`PairClassifier::load`]; [`crate::Error::Missing`] without a tokenizer; [`crate::Error::Config`] when no
    /// label starts with "entail".
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
    /// Errors of the tokenizer and the device; [`crate::Error::NonFinite`] for NaN or infinity;
    /// [`crate::Error::Interrupted`] when the host asked to stop.
    pub async fn probabilities(
        &self,
        pairs: &[(&str, &str)],
        monitor: &mut Monitor<'_>,
    ) -> Result<Vec<Option<Vec<f32>>>> {
        let rows = pairs.iter().map(|(x, y)| self.tokenizer.encode_pair(x, y)).collect::<Result<Vec<_>>>()?;
        let classifier = &self.classifier;
        let mut out = vec![None; pairs.len()];
        let pad = classifier.pad();
        let forward = |chosen: &[usize]| activation::softmax(classifier.logits(&batch(&rows, chosen, pad)), 1);
        let batches = batches(&rows, classifier.positions(), self.is_host);
        batches
            .run(
                |rows| values(forward(rows), "the pair classifier"),
                (Counted::Pairs, monitor),
                |batch, values| {
                    for (&i, p) in batch.iter().zip(values.chunks(classifier.labels.len())) {
                        out[i] = Some(p.to_vec());
                    }
                },
            )
            .await?;
        Ok(out)
    }
}

/// A sentence encoder with its tokenizer.
#[derive(Debug)]
pub struct TextEncoder {
    encoder: SentenceEncoder,
    tokenizer: Tokenizer,
    is_host: bool,
}

impl TextEncoder {
    /// Loads encoder and tokenizer from a folder.
    ///
    /// # Errors
    /// As [`SentenceEncoder::load`]; [`crate::Error::Missing`] without a tokenizer.
    pub fn load(folder: &ModelFolder, compute: &Compute) -> Result<Self> {
        let tokenizer = folder.tokenizer()?.clone();
        let encoder = SentenceEncoder::load(folder, &compute.device)?;
        Ok(Self { encoder, tokenizer, is_host: compute.is_host() })
    }

    /// Number of layers of the encoder.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.encoder.layers()
    }

    /// Whether an embedding is the mean of the states that [`Self::states`] gives.
    #[must_use]
    pub fn is_mean(&self) -> bool {
        self.encoder.is_mean()
    }

    /// Width of the hidden states.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.encoder.hidden()
    }

    /// Tokens of texts, each with `prompt` in front and cut to `most`.
    fn rows(&self, texts: &[&str], prompt: &str, most: usize) -> Result<Vec<Row>> {
        let row = |text: &&str| {
            let lower = self.encoder.lowercase.then(|| text.to_lowercase());
            let text = lower.as_deref().unwrap_or(text);
            let joined = (!prompt.is_empty()).then(|| format!("{prompt}{text}"));
            let (mut ids, mut types) = self.tokenizer.encode_special(joined.as_deref().unwrap_or(text))?;
            self.tokenizer.cut((&mut ids, &mut types), most);
            Ok((ids, types))
        };
        texts.iter().map(row).collect()
    }

    /// Hidden states of layer `layer` (from 1) and of the last layer, concatenated, for each token of each text:
    /// `[tokens, 2 * hidden]`. The first and the last token are special tokens. A text longer than the model's maximum
    /// is truncated.
    ///
    /// # Errors
    /// Errors of the tokenizer and the device; [`crate::Error::NonFinite`] for NaN or infinity;
    /// [`crate::Error::Interrupted`] when the host asked to stop.
    pub async fn states(&self, texts: &[&str], layer: usize, monitor: &mut Monitor<'_>) -> Result<Vec<Vec<f32>>> {
        // Without the prompt, which would be tokens that all texts share.
        let most = self.encoder.longest();
        let rows = self.rows(texts, "", most)?;
        let width = 2 * self.encoder.hidden();
        let mut out = vec![Vec::new(); texts.len()];
        let forward = |chosen: &[usize]| {
            let (states, last) = self.encoder.states(&batch(&rows, chosen, 0), layer);
            Tensor::cat(vec![states, last], 1)
        };
        batches(&rows, most, self.is_host)
            .run(
                |rows| values(forward(rows), "the sentence encoder"),
                (Counted::Nothing, monitor),
                |batch, values| {
                    for (&i, states) in batch.iter().zip(values.chunks(values.len() / batch.len())) {
                        out[i] = states[..rows[i].0.len() * width].to_vec();
                    }
                },
            )
            .await?;
        Ok(out)
    }

    /// One vector of length 1 per text, pooled as the folder's files say. A text longer than the model's maximum
    /// is truncated.
    ///
    /// # Errors
    /// As [`Self::states`].
    pub async fn embed(&self, texts: &[&str], monitor: &mut Monitor<'_>) -> Result<Vec<Vec<f32>>> {
        let most = self.encoder.positions();
        let rows = self.rows(texts, &self.encoder.prompt, most)?;
        let mut out = vec![Vec::new(); texts.len()];
        let forward = |chosen: &[usize]| self.encoder.embed(&batch(&rows, chosen, 0));
        batches(&rows, most, self.is_host)
            .run(
                |rows| values(forward(rows), "the sentence encoder"),
                (Counted::Nothing, monitor),
                |batch, values| {
                    for (&i, v) in batch.iter().zip(values.chunks(values.len() / batch.len())) {
                        out[i] = v.to_vec();
                    }
                },
            )
            .await?;
        Ok(out)
    }
}

/// A token sequence with its segment ids.
type Row = (Vec<u32>, Vec<u32>);

/// Rows in batches of similar length; empty rows and rows of more than `longest` tokens are left out.
fn batches(rows: &[Row], longest: usize, is_host: bool) -> Batches {
    Batches::new(rows.iter().map(|row| if row.0.len() <= longest { row.0.len() } else { 0 }), is_host)
}

fn batch(rows: &[Row], chosen: &[usize], pad: u32) -> Batch {
    let views: Vec<(&[u32], &[u32])> = chosen.iter().map(|&i| (&rows[i].0[..], &rows[i].1[..])).collect();
    Batch::new(&views, pad)
}
