//! Loss of a batch and its gradients.
//!
//! The output projection is computed for a few hundred tokens at a time, so that the logits of all tokens are never in
//! memory together. With gradient checkpointing only the inputs of the layers are stored, and each layer is recomputed
//! in the backward pass.

use burn::tensor::{DType, Tensor};

use serde::{Deserialize, Serialize};

use super::attention::{Dropout, Whole};
use super::example::Batch;
use super::loss::cross_entropy;
use super::parameters::{Gradients, Parameters, collect};
use crate::Result;
use crate::model::LanguageModel;
use crate::model::config::Config;
use crate::model::decoder::Pass;
use crate::model::layers::{ids, to};
use crate::model::loader::{Live, Source};
use crate::model::memory::Memory;

/// Number of target tokens whose logits are in memory together.
const TOKENS: usize = 256;

/// How gradients are computed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Label smoothing, 0 to below 1.
    pub smoothing: f32,
    /// Factor of the summed loss whose gradients are computed.
    pub scale: f32,
    /// Dropout of the residual stream.
    pub dropout: Option<Dropout>,
    /// Gradient checkpointing: store the inputs of layers only, and compute each layer twice.
    pub checkpointing: bool,
    /// Number type of matrix products.
    pub compute: Precision,
}

/// Number type of matrix products in training. Weights, gradients and optimiser state are f32 (mixed precision,
/// Micikevicius et al., 2018).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 16-bit floating point, with loss scaling so that small gradients do not vanish.
    F16,
    /// bfloat16, with the range of 32-bit floating point.
    Bf16,
}

impl Precision {
    /// burn's type.
    #[must_use]
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
    pub(super) fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}

/// Adds the gradients of a batch to `sink` and returns the unscaled sum of the losses of its target tokens, in nats.
///
/// # Errors
/// Errors of building the model and of reading from the device.
pub async fn gradients(
    config: &Config,
    parameters: &Parameters,
    batch: &Batch,
    options: Options,
    sink: &mut Gradients,
) -> Result<f64> {
    if batch.labels.is_empty() {
        return Ok(0.0);
    }
    if options.checkpointing {
        return checkpointed(config, parameters, batch, options, sink).await;
    }
    let device = parameters.device.clone().autodiff();
    let live = parameters.live(true, options.compute.dtype());
    let lm = LanguageModel::build(config, Source::Live(&live), &device)?;
    let layers = lm.sizes().layers;
    let mut cache = Whole::new(batch.length, options.dropout, &device);
    let at = ids(batch.at.iter().copied(), &device);

    let decoder = &*lm.decoder;
    if let Some((source, encoder)) = batch.source.as_ref().zip(decoder.encoder()) {
        let memory = encoder.encode(source, &mut cache, &device);
        cache.remember(memory);
    }
    let pass = Pass::new(batch.rows, &batch.positions);
    let mut x = decoder.embed(ids(batch.ids.iter().copied(), &device), &pass);
    for layer in 0..layers {
        x = decoder.layer(layer, x, &pass, &mut cache);
    }
    let picked = decoder.norm(x).select(0, at); // [targets, hidden]
    let (loss, slope) = head(&lm, &live, picked.clone().inner(), batch, options, sink).await?;
    backward(picked, slope, &live, sink);
    Ok(loss)
}

/// As [`gradients`], with checkpointing: layer by layer from the last to the first, each recomputed from its input.
async fn checkpointed(
    config: &Config,
    parameters: &Parameters,
    batch: &Batch,
    options: Options,
    sink: &mut Gradients,
) -> Result<f64> {
    let device = parameters.device.clone().autodiff();
    let live = parameters.live(true, options.compute.dtype());
    let lm = LanguageModel::build(config, Source::Live(&live), &device)?;
    let mut cache = Whole::new(batch.length, options.dropout, &device);
    let at = ids(batch.at.iter().copied(), &device);
    let inputs = Inputs::compute(config, parameters, batch, options)?;
    let memory = batch.source.as_ref().zip(inputs.memory);
    let decoder = &*lm.decoder;
    let pass = Pass::new(batch.rows, &batch.positions);
    let start = decoder.embed(ids(batch.ids.iter().copied(), &device), &pass);
    let mut layers_left = inputs.decoder;
    let Some(x) = layers_left.pop().map(leaf) else { return Ok(0.0) };
    let picked = decoder.norm(x.clone()).select(0, at);
    let (loss, slope) = head(&lm, &live, picked.clone().inner(), batch, options, sink).await?;
    let mut slope = slope_at(&x, &mut backward(picked, slope, &live, sink));
    let mut memory_slope: Option<Tensor<2>> = None;
    while let Some(x) = layers_left.pop().map(leaf) {
        let states = memory.as_ref().map(|(_, m)| leaf(m.states.clone()));
        if let (Some((source, _)), Some(states)) = (&memory, &states) {
            cache.remember(Memory::new(states.clone(), source));
        }
        let y = decoder.layer(layers_left.len(), x.clone(), &pass, &mut cache);
        let mut gradients = backward(y, slope, &live, sink);
        slope = slope_at(&x, &mut gradients);
        if let Some(states) = states {
            let more = slope_at(&states, &mut gradients);
            memory_slope = Some(memory_slope.map_or_else(|| more.clone(), |sum| sum + more.clone()));
        }
    }
    if start.is_tracked() {
        backward(start, slope, &live, sink);
    }
    let (Some((source, _)), Some(slope)) = (memory, memory_slope) else { return Ok(loss) };
    let Some(encoder) = decoder.encoder() else { return Ok(loss) };
    let (start, reading) = encoder.embed(source, &device);
    let mut layers_left = inputs.encoder;
    let Some(x) = layers_left.pop().map(leaf) else { return Ok(loss) };
    let mut slope = through(encoder.norm(x.clone(), source).states, slope, &x, &live, sink);
    while let Some(x) = layers_left.pop().map(leaf) {
        let y = encoder.layer(layers_left.len(), x.clone(), &reading, &mut cache);
        slope = through(y, slope, &x, &live, sink);
    }
    if start.is_tracked() {
        backward(start, slope, &live, sink);
    }
    Ok(loss)
}

/// The inputs of all layers, computed without gradients, followed by the output of the last layer.
struct Inputs {
    encoder: Vec<Tensor<2>>,
    memory: Option<Memory>,
    decoder: Vec<Tensor<2>>,
}

impl Inputs {
    fn compute(config: &Config, parameters: &Parameters, batch: &Batch, options: Options) -> Result<Self> {
        let (live, device) = (parameters.live(false, options.compute.dtype()), &parameters.device);
        let lm = LanguageModel::build(config, Source::Live(&live), device)?;
        let mut cache = Whole::new(batch.length, options.dropout, device);
        let mut this = Self { encoder: Vec::new(), memory: None, decoder: Vec::new() };
        let decoder = &*lm.decoder;
        if let Some((source, encoder)) = batch.source.as_ref().zip(decoder.encoder()) {
            let (mut x, reading) = encoder.embed(source, device);
            for layer in 0..encoder.layers() {
                this.encoder.push(x.clone());
                x = encoder.layer(layer, x, &reading, &mut cache);
            }
            this.encoder.push(x.clone());
            let memory = encoder.norm(x, source);
            cache.remember(memory.clone());
            this.memory = Some(memory);
        }
        let pass = Pass::new(batch.rows, &batch.positions);
        let mut x = decoder.embed(ids(batch.ids.iter().copied(), device), &pass);
        for layer in 0..lm.sizes().layers {
            this.decoder.push(x.clone());
            x = decoder.layer(layer, x, &pass, &mut cache);
        }
        this.decoder.push(x);
        Ok(this)
    }
}

/// A leaf of an autodiff graph.
fn leaf(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_inner(x).require_grad()
}

/// Sum of the losses of a batch's target tokens in nats, without dropout and label smoothing.
///
/// # Errors
/// Errors of building the model and of reading from the device.
pub async fn loss(config: &Config, parameters: &Parameters, batch: &Batch, compute: Precision) -> Result<f64> {
    let device = &parameters.device;
    let live = parameters.live(false, compute.dtype());
    let lm = LanguageModel::build(config, Source::Live(&live), device)?;
    let mut cache = Whole::new(batch.length, None, device);
    if let Some((source, encoder)) = batch.source.as_ref().zip(lm.decoder.encoder()) {
        let memory = encoder.encode(source, &mut cache, device);
        cache.remember(memory);
    }
    let x = lm.forward(batch.rows, &batch.ids, &batch.positions, &mut cache, device);
    let picked = x.select(0, ids(batch.at.iter().copied(), device));
    let hidden = lm.sizes().hidden;
    let mut total = 0.0;
    for (i, labels) in batch.labels.chunks(TOKENS).enumerate() {
        let rows = picked.clone().slice([i * TOKENS..i * TOKENS + labels.len(), 0..hidden]);
        total += cross_entropy(lm.logits(rows), labels, 0.0, 1.0).await?.0;
    }
    Ok(total)
}

/// The loss, and its gradient at the hidden states, `[targets, hidden]`. Gradients of the output projection's
/// parameters are added to `sink`.
async fn head(
    lm: &LanguageModel,
    live: &Live,
    picked: Tensor<2>,
    batch: &Batch,
    options: Options,
    sink: &mut Gradients,
) -> Result<(f64, Tensor<2>)> {
    let hidden = lm.sizes().hidden;
    let (mut total, mut slopes) = (0.0, Vec::new());
    for (i, labels) in batch.labels.chunks(TOKENS).enumerate() {
        let rows = picked.clone().slice([i * TOKENS..i * TOKENS + labels.len(), 0..hidden]);
        let leaf = Tensor::from_inner(rows).require_grad();
        let logits = lm.logits(leaf.clone());
        let (loss, slope) = cross_entropy(logits.clone().inner(), labels, options.smoothing, options.scale).await?;
        total += loss;
        let slope = to(slope, logits.dtype());
        slopes.push(through(logits, slope, &leaf, live, sink));
    }
    Ok((total, Tensor::cat(slopes, 0)))
}

/// Backpropagates from `y`, given the gradient of the loss at `y`, and adds the parameters' gradients to `sink`.
pub(super) fn backward(y: Tensor<2>, slope: Tensor<2>, live: &Live, sink: &mut Gradients) -> burn::tensor::Gradients {
    let mut gradients = (y * Tensor::from_inner(slope)).sum().backward();
    collect(live, &mut gradients, sink);
    gradients
}

/// As [`backward`], but returns the gradient at `x`.
fn through(y: Tensor<2>, slope: Tensor<2>, x: &Tensor<2>, live: &Live, sink: &mut Gradients) -> Tensor<2> {
    slope_at(x, &mut backward(y, slope, live, sink))
}

/// The gradient of the loss at a leaf; zeros if the loss does not depend on it.
fn slope_at(x: &Tensor<2>, gradients: &mut burn::tensor::Gradients) -> Tensor<2> {
    x.grad_remove(gradients).unwrap_or_else(|| Tensor::zeros(x.dims(), &x.clone().inner().device()))
}
