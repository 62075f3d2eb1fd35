//! The columns that need an encoder: BERTScore, BERT-iBLEU, ParaScore, cosine.

use std::collections::HashMap;

use super::{Benchmark, Column, Measure, Model, Table, VERSION, advance, wrong_count};
use crate::critic::BoxFuture;
use crate::{Error, Result};
use record::Monitor;
use text::metric::bertscore::{BertScore, Embedded, bertscore};
use text::metric::composite::{BETA, bert_ibleu};
use text::metric::parascore::{GAMMA, OMEGA, reference_free, with_references};

/// Number of items whose texts are passed to the encoder in one call; limits the memory for token embeddings.
const CALL: usize = 64;

/// The embeddings of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// Mean of the last hidden states over the tokens, `[hidden_size]`; need not be of length 1.
    pub sentence: Vec<f32>,
    /// Hidden states of the BERTScore layer, `[tokens, hidden_size]`.
    pub tokens: Vec<f32>,
    /// Weight of each token, `[tokens]`; 0 for special tokens.
    pub weights: Vec<f32>,
}

/// An encoder of texts. It forms its own batches, truncates texts that are too long, and returns [`Error::Interrupted`]
/// if the user stops it.
pub trait TokenEncoder {
    /// Model, layer and token weights, such as `model:NAME|layer:6|idf:no`; part of the signatures of columns.
    fn signature(&self) -> String;

    /// The mean-pooled sentence embedding of each text, in order, all of the same length.
    ///
    /// # Errors
    /// The model's.
    fn embed<'a>(
        &'a mut self,
        texts: &'a [&'a str],
        monitor: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>>>;

    /// The sentence and token embeddings of each text, in order, from one pass of the model.
    ///
    /// # Errors
    /// The model's.
    fn encode<'a>(
        &'a mut self,
        texts: &'a [&'a str],
        monitor: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<Encoded>>>;
}

/// Adds the columns that need an encoder. Every distinct text of 64 consecutive items is encoded once for all systems.
/// An empty output scores 0, except that ParaScore retains its diversity term.
///
/// # Errors
/// The encoder's; [`Error::Tensor`] if it does not return a result for every text, [`Error::Input`] and
/// [`Error::NonFinite`] for invalid embeddings; [`Error::Interrupted`]. The table is then unchanged.
pub async fn add(
    table: &mut Table,
    benchmark: &Benchmark,
    encoder: &mut dyn TokenEncoder,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    let wanted = table.wanted(Model::Encoder);
    if wanted.is_empty() {
        return Ok(());
    }
    let systems = benchmark.systems();
    if wanted.contains(&Measure::BertIbleu) && table.column(Measure::SelfBleu).is_none() {
        return Err(Error::input("table for BERT-iBLEU", "the columns that need no model", "no self-BLEU"));
    }
    let mut values = vec![vec![Vec::with_capacity(table.items); systems.len()]; wanted.len()];
    let total = benchmark.items().len();
    advance(monitor, 0, total)?;
    for start in (0..total).step_by(CALL) {
        let range = start..total.min(start + CALL);
        let texts = benchmark.texts(range.clone());
        let encoded = if texts.is_empty() { Vec::new() } else { encoder.encode(&texts, monitor).await? };
        if encoded.len() != texts.len() {
            return Err(wrong_count("encoder", texts.len(), encoded.len()));
        }
        let known: HashMap<&str, &Encoded> = texts.iter().copied().zip(&encoded).collect();
        for (at, item) in range.clone().zip(benchmark.items().get(range).unwrap_or_default()) {
            for (index, system) in systems.iter().enumerate() {
                let output = system.outputs.get(at).map_or("", String::as_str);
                let self_bleu =
                    table.column(Measure::SelfBleu).and_then(|c| c.systems.get(index)?.items.get(at).copied());
                let row = Row {
                    source: &item.source,
                    output,
                    references: &item.references,
                    self_bleu: self_bleu.unwrap_or(f64::NAN),
                    known: &known,
                };
                let row = row.scores()?;
                for (column, &measure) in values.iter_mut().zip(&wanted) {
                    column[index].push(100.0 * row.of(measure)?);
                }
            }
        }
        advance(monitor, start + CALL.min(total - start), total)?;
    }
    let signatures: Vec<_> = wanted.iter().map(|&measure| signature(measure, &encoder.signature())).collect();
    let columns = wanted.into_iter().zip(signatures).zip(values);
    let columns = columns.map(|((measure, signature), values)| Column::of_values(measure, signature, values));
    table.add(columns.collect::<Result<_>>()?);
    Ok(())
}

struct Row<'a> {
    source: &'a str,
    output: &'a str,
    references: &'a [String],
    /// BLEU of the output against the source, in percent.
    self_bleu: f64,
    known: &'a HashMap<&'a str, &'a Encoded>,
}

/// Scores of an output, in [-1, 1].
struct Found<'a> {
    row: Row<'a>,
    f1_source: f64,
    f1_references: Vec<f64>,
    cosine: f64,
}

impl<'a> Row<'a> {
    fn scores(self) -> Result<Found<'a>> {
        let f1 = |x: &str| match (self.known.get(self.output), self.known.get(x)) {
            (Some(y), Some(x)) => score(y, x),
            _ => Ok(0.0),
        };
        let f1_source = f1(self.source)?;
        let f1_references = self.references.iter().map(|text| f1(text)).collect::<Result<_>>()?;
        let cosine = match (self.known.get(self.output), self.known.get(self.source)) {
            (Some(y), Some(x)) => cosine(&x.sentence, &y.sentence)?,
            _ => 0.0,
        };
        Ok(Found { row: self, f1_source, f1_references, cosine })
    }
}

impl Found<'_> {
    fn of(&self, measure: Measure) -> Result<f64> {
        let Row { source, output, .. } = self.row;
        match measure {
            Measure::BertScoreSource => Ok(self.f1_source),
            Measure::BertScoreReference => Ok(self.f1_references.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            Measure::BertIbleu => Ok(bert_ibleu(self.f1_source, self.row.self_bleu / 100.0, BETA)),
            Measure::ParaScore => reference_free(self.f1_source, source, output),
            Measure::ParaScoreReference => with_references(self.f1_source, &self.f1_references, source, output),
            _ => Ok(self.cosine),
        }
    }
}

/// BERTScore F1 of `y` against `x`; 0 if either has no tokens.
fn score(y: &Encoded, x: &Encoded) -> Result<f64> {
    let side = |side: &Encoded| side.tokens.len().checked_div(side.weights.len()).unwrap_or(0);
    if y.weights.is_empty() || x.weights.is_empty() {
        return Ok(BertScore::default().f1);
    }
    fn embedded(side: &Encoded) -> Embedded<'_> {
        Embedded { embeddings: &side.tokens, weights: &side.weights }
    }
    Ok(bertscore(embedded(y), embedded(x), side(y))?.f1)
}

/// Cosine of two vectors, in [-1, 1]; 0 if one is zero.
///
/// # Errors
/// [`Error::Tensor`] when they differ in length, [`Error::NonFinite`] for NaN or infinity.
pub(super) fn cosine(x: &[f32], y: &[f32]) -> Result<f64> {
    if x.len() != y.len() {
        let (expected, found) = (x.len().to_string(), y.len().to_string());
        return Err(Error::Tensor { file: "encoder".into(), tensor: "sentence embedding".into(), expected, found });
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let (both, norms) = (dot(x, y), dot(x, x).sqrt() * dot(y, y).sqrt());
    if !(both.is_finite() && norms.is_finite()) {
        return Err(Error::NonFinite { what: "a sentence embedding".into(), place: "encoder".into() });
    }
    Ok(if norms > 0.0 { (both / norms).clamp(-1.0, 1.0) } else { 0.0 })
}

fn signature(measure: Measure, model: &str) -> String {
    let settings = match measure {
        Measure::BertScoreSource => "against:source|f1|rescale:no",
        Measure::BertScoreReference => "against:references|multi:best-f1|rescale:no",
        Measure::BertIbleu => {
            return format!("beta:{BETA}|selfbleu:sentence-13a-exp|rescale:no|{model}|mean:rows|{VERSION}");
        }
        Measure::ParaScore | Measure::ParaScoreReference => {
            let against = if measure == Measure::ParaScore { "source" } else { "source+references" };
            return format!("against:{against}|omega:{OMEGA}|gamma:{GAMMA}|rescale:no|{model}|mean:rows|{VERSION}");
        }
        _ => "against:source|pool:mean",
    };
    format!("{settings}|{model}|mean:rows|{VERSION}")
}
