//! How likely a language model finds given texts: the negative log-likelihood of a target after a prompt.

use burn::tensor::Device;
use record::Monitor;

use crate::batches::{Batches, Counted};
use crate::device::Compute;
use crate::model::LanguageModel;
use crate::model::layers::ids;
use crate::train::attention::Whole;
use crate::train::loss::cross_entropy;
use crate::train::{Batch, Example};
use crate::{Error, Result};

/// Number of target tokens whose logits are in memory together.
const TOKENS: usize = 256;

/// Mean negative log-likelihood of each example's target tokens after its prompt, in nats per token; 0 for an empty
/// target.
///
/// # Errors
/// [`Error::Input`] for an example without a prompt or longer than the model's positions; [`Error::NonFinite`] for NaN
/// or infinity; errors of the device; [`Error::Interrupted`] when the host asked to stop.
pub async fn nll(
    lm: &LanguageModel,
    compute: &Compute,
    examples: &[Example],
    monitor: &mut Monitor<'_>,
) -> Result<Vec<f32>> {
    let sizes = lm.sizes();
    for example in examples {
        let decoded = if sizes.start.is_some() { example.target.len() } else { example.len() };
        let longest = decoded.max(example.prompt.len());
        if example.prompt.is_empty() || longest > sizes.positions {
            let expected = format!("a prompt, and at most {} tokens with the target", sizes.positions);
            let found = format!("{} and {} tokens", example.prompt.len(), example.target.len());
            return Err(Error::input("a text to score", expected, found));
        }
    }
    let mut out = vec![0.0; examples.len()];
    let lengths = examples.iter().map(|e| if e.target.is_empty() { 0 } else { e.len() });
    let batches = Batches::new(lengths, compute.is_host());
    let forward = |rows: &[usize]| {
        let chosen: Vec<&Example> = rows.iter().map(|&i| &examples[i]).collect();
        async move { means(lm, &compute.device, &chosen).await }
    };
    batches
        .run(forward, (Counted::Nothing, monitor), |rows, means| {
            for (&i, &mean) in rows.iter().zip(means) {
                out[i] = mean;
            }
        })
        .await?;
    Ok(out)
}

/// The mean over each example's target tokens, for a batch.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
async fn means(lm: &LanguageModel, device: &Device, examples: &[&Example]) -> Result<Vec<f32>> {
    let batch = Batch::new(examples, lm.sizes().start);
    let mut cache = Whole::new(batch.length, None, device);
    if let Some((source, encoder)) = batch.source.as_ref().zip(lm.decoder.encoder()) {
        let memory = encoder.encode(source, &mut cache, device);
        cache.remember(memory);
    }
    let states = lm.forward(batch.rows, &batch.ids, &batch.positions, &mut cache, device);
    let picked = states.select(0, ids(batch.at.iter().copied(), device)); // [targets, hidden]
    let (mut means, mut from) = (Vec::with_capacity(examples.len()), 0);
    for example in examples {
        let mut sum = 0.0;
        for labels in batch.labels[from..from + example.target.len()].chunks(TOKENS) {
            let rows = picked.clone().slice([from..from + labels.len(), 0..lm.sizes().hidden]);
            sum += cross_entropy(lm.logits(rows), labels, 0.0, 1.0).await?.0;
            from += labels.len();
        }
        if !sum.is_finite() {
            return Err(Error::NonFinite { what: "a likelihood".into(), place: "the language model".into() });
        }
        means.push((sum / example.target.len() as f64) as f32);
    }
    Ok(means)
}
