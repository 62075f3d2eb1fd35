//! The training loop, one optimiser step per call. The caller writes checkpoints and metrics and may stop after any
//! step.

use serde::{Deserialize, Serialize};

use super::attention::Dropout;
use super::example::{held_out, order};
use super::gradient::{self, Precision};
use super::objective::Objective;
use super::optimizer::{self, Optimizer};
use super::parameters::{self, Gradients, Parameters};
use super::schedule::Schedule;
pub use super::settings::Settings;
use crate::{Error, Result};

/// Position and running values of a training, as checkpoints store them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Optimiser steps taken.
    pub step: u64,
    /// Current epoch, from 0.
    pub epoch: u64,
    /// Batches of the current epoch that are done.
    pub batch: u64,
    /// Lowest held-out loss so far and its step. `f32`, whose shortest decimal form is read back exactly.
    pub best: Option<(f32, u64)>,
    /// Loss scale of f16 training as an exponent of two, and the number of steps since it changed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub scale: (u32, u64),
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_zero(scale: &(u32, u64)) -> bool {
    *scale == (0, 0)
}

/// Exponent of the initial loss scale in f16 training, and the number of steps without overflow after which the scale
/// is doubled, as in `GradScaler` of PyTorch (Micikevicius et al., 2018).
const FIRST_SCALE: u32 = 16;
const DOUBLE_AFTER: u64 = 2000;

/// Exponent of the largest loss scale; beyond it f32 sums would overflow too.
const LARGEST_SCALE: u32 = 64;

/// Results of one training step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Report {
    /// Number of the step, from 1.
    pub step: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Mean loss per target token, in nats.
    pub loss: f64,
    /// Learning rate of the step.
    pub rate: f64,
    /// Global L2 norm of the gradients before clipping.
    pub norm: f64,
    /// Number of target tokens.
    pub targets: usize,
    /// Number of token positions computed, padding included.
    pub positions: usize,
}

/// A training run: objective, parameters, optimiser, examples and position.
pub struct Trainer<O: Objective> {
    /// Forward pass and loss.
    pub objective: O,
    /// The model's parameters.
    pub parameters: Parameters,
    /// The optimiser with its moments.
    pub optimizer: Optimizer,
    /// Position in the training.
    pub state: State,
    settings: Settings,
    seed: u64,
    train: Vec<O::Example>,
    validation: Vec<O::Example>,
    order: Option<(u64, Vec<Vec<usize>>)>,
}

impl<O: Objective + Sync> Trainer<O> {
    /// A training at step 0. Splits the examples into a training set and a held-out set.
    ///
    /// # Errors
    /// [`Error::Input`] if the training set is empty, for settings out of range, or for a number type that the device
    /// lacks.
    pub fn new(
        objective: O,
        parameters: Parameters,
        settings: Settings,
        examples: Vec<O::Example>,
        seed: u64,
    ) -> Result<Self> {
        settings.validate()?;
        objective.check(&settings)?;
        let groups: Vec<u64> = examples.iter().map(|e| objective.group(e)).collect();
        let out = held_out(&groups, settings.validation, seed);
        let (validation, train): (Vec<_>, Vec<_>) =
            examples.into_iter().partition(|e| out.contains(&objective.group(e)));
        if train.is_empty() {
            return Err(Error::input("the training set", "at least one example", "none"));
        }
        let optimizer = Optimizer::new(optimizer::Options {
            kind: settings.optimizer,
            weight_decay: settings.weight_decay,
            clip: settings.clip,
        });
        let scale = (if settings.compute == Precision::F16 { FIRST_SCALE } else { 0 }, 0);
        if !parameters.device.supports_dtype(settings.compute.dtype()) {
            let found = format!("{:?}", settings.compute).to_lowercase();
            return Err(Error::input("train.compute", "a number type that the device computes with (f32)", found));
        }
        let state = State { scale, ..State::default() };
        Ok(Self { objective, parameters, optimizer, state, settings, seed, train, validation, order: None })
    }

    /// Number of training examples and of held-out examples.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.train.len(), self.validation.len())
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The held-out examples.
    #[must_use]
    pub fn held_out(&self) -> &[O::Example] {
        &self.validation
    }

    /// Batches of an epoch, as indices of examples. Every epoch has the same number of batches.
    fn epoch(&mut self, epoch: u64) -> &[Vec<usize>] {
        if self.order.as_ref().is_none_or(|(e, _)| *e != epoch) {
            let lengths: Vec<usize> = self.train.iter().map(|e| self.objective.length(e)).collect();
            // A step's batch is limited by its number of examples only; `batch_tokens` splits it into parts later.
            let batches = order(&lengths, self.settings.batch, usize::MAX, self.seed, epoch);
            self.order = Some((epoch, batches));
        }
        self.order.as_ref().map_or(&[], |(_, batches)| batches)
    }

    /// Number of steps of the whole training.
    #[must_use]
    pub fn total(&self) -> u64 {
        let window = self.settings.batch.max(1);
        self.train.len().div_ceil(window) as u64 * self.settings.epochs
    }

    /// Whether all steps have been taken.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.state.epoch >= self.settings.epochs
    }

    /// Whether the held-out loss should be computed now: at the end of the training, and every `evaluate_every` steps
    /// or at the end of each epoch.
    #[must_use]
    pub fn due(&self) -> bool {
        match self.settings.evaluate_every {
            _ if self.finished() => true,
            0 => self.state.batch == 0,
            steps => self.state.step.is_multiple_of(steps),
        }
    }

    /// Takes one optimiser step. A failed step leaves the state unchanged.
    ///
    /// # Errors
    /// [`Error::NonFinite`] when loss or gradients are not finite; errors of the objective; [`Error::Input`] after the
    /// last step.
    pub async fn step(&mut self) -> Result<Report> {
        let (epoch, at) = (self.state.epoch, self.state.batch as usize);
        let total = self.total();
        let batches = self.epoch(epoch).to_vec();
        let Some(indices) = batches.get(at) else {
            return Err(Error::input("the training", "a step that is left", "none"));
        };
        let examples: Vec<&O::Example> = indices.iter().map(|&i| &self.train[i]).collect();
        let length = |e: &O::Example| self.objective.length(e);
        let parts = halves(&examples, length, self.settings.batch_tokens / 2);
        let batches_of = parts.iter().map(|p| self.objective.batch(p, epoch)).collect::<Result<Vec<O::Batch>>>()?;
        let targets: usize = batches_of.iter().map(|b| self.objective.targets(b)).sum();
        let step = self.state.step + 1;
        let schedule = Schedule {
            peak: self.settings.learning_rate,
            warmup: (self.settings.warmup * total as f64).round() as u64,
            total,
            shape: self.settings.schedule,
        };
        let rate = schedule.rate(self.state.step);
        let (mut power, mut since) = (self.state.scale.0.min(LARGEST_SCALE), self.state.scale.1);
        let (loss, norm) = loop {
            let (loss, mut sink) = self.gradients(&batches_of, targets, power).await?;
            let loss = loss / targets.max(1) as f64;
            if !loss.is_finite() {
                return Err(Error::NonFinite { what: "the loss".into(), place: format!("step {step}") });
            }
            if power > 0 {
                let back = 0.5_f64.powi(i32::try_from(power).unwrap_or(0));
                sink = sink.into_iter().map(|(name, gradient)| (name, gradient * back)).collect();
            }
            match self.optimizer.step(&mut self.parameters, sink, rate).await {
                Ok(norm) => break (loss, norm),
                // The scaled gradients overflowed f16: repeat the step with half the scale.
                Err(Error::NonFinite { .. }) if power > 0 => (power, since) = (power - 1, 0),
                Err(error) => return Err(error),
            }
        };
        if self.settings.compute == Precision::F16 {
            since += 1;
            if since >= DOUBLE_AFTER {
                (power, since) = ((power + 1).min(LARGEST_SCALE), 0);
            }
            self.state.scale = (power, since);
        }
        self.state.step = step;
        self.state.batch += 1;
        if at + 1 == batches.len() {
            (self.state.epoch, self.state.batch) = (epoch + 1, 0);
        }
        let positions = batches_of.iter().map(|b| self.objective.positions(b)).sum();
        Ok(Report { step, epoch, loss, rate, norm, targets, positions })
    }

    /// Summed loss and gradients of all parts. Gradients are of the loss per target token, scaled by 2^`power`. The CPU
    /// computes two parts at a time; results are added in the order of the parts.
    async fn gradients(&self, parts: &[O::Batch], targets: usize, power: u32) -> Result<(f64, Gradients)> {
        #[allow(clippy::cast_precision_loss)]
        let options = |part: usize| gradient::Options {
            smoothing: self.settings.label_smoothing,
            scale: 2.0_f32.powi(i32::try_from(power).unwrap_or(0)) / targets.max(1) as f32,
            compute: self.settings.compute,
            dropout: Some(Dropout {
                rate: self.settings.dropout,
                seed: self.seed,
                step: (self.state.step << 16) + part as u64,
            }),
            checkpointing: self.settings.checkpointing,
        };
        #[cfg(not(target_family = "wasm"))]
        if parts.len() > 1 && crate::device::is_flex(&self.parameters.device) {
            let mut found: Vec<Option<Result<(f64, Gradients)>>> = parts.iter().map(|_| None).collect();
            crate::lanes::scatter(
                LANES,
                parts.iter().enumerate().collect(),
                |(i, part), send| {
                    let mut sink = Gradients::new();
                    let work = self.objective.gradients(&self.parameters, part, options(i), &mut sink);
                    let loss = crate::lanes::wait(work);
                    send((i, loss.map(|loss| (loss, sink))));
                },
                |(i, part)| {
                    let fine = part.is_ok();
                    found[i] = Some(part);
                    fine
                },
            )?;
            let (mut total, mut sum) = (0.0, Gradients::new());
            for part in found.into_iter().flatten() {
                let (loss, gradients) = part?;
                total += loss;
                parameters::add(&mut sum, gradients);
            }
            return Ok((total, sum));
        }
        let (mut total, mut sum) = (0.0, Gradients::new());
        for (i, part) in parts.iter().enumerate() {
            let mut sink = Gradients::new();
            total += self.objective.gradients(&self.parameters, part, options(i), &mut sink).await?;
            parameters::add(&mut sum, sink);
        }
        Ok((total, sum))
    }

    /// Mean loss per held-out target token, in nats; `None` without held-out targets. Updates [`State::best`].
    ///
    /// # Errors
    /// Errors of the objective.
    pub async fn validate(&mut self) -> Result<Option<f32>> {
        let mut sorted: Vec<&O::Example> = self.validation.iter().collect();
        sorted.sort_by_key(|e| self.objective.length(e));
        let (mut total, mut targets) = (0.0, 0);
        for part in parts(&sorted, |e| self.objective.length(e), self.settings.batch_tokens) {
            let batch = self.objective.batch(&part, 0)?;
            targets += self.objective.targets(&batch);
            total += self.objective.loss(&self.parameters, &batch, self.settings.compute).await?;
        }
        if targets == 0 {
            return Ok(None);
        }
        let loss = (total / targets as f64) as f32;
        if self.state.best.is_none_or(|(best, _)| loss < best) {
            self.state.best = Some((loss, self.state.step));
        }
        Ok(Some(loss))
    }
}

/// Number of parts that the CPU computes in parallel.
#[cfg(not(target_family = "wasm"))]
const LANES: usize = 2;

/// Splits a step's examples into two halves, and each half into parts of at most `tokens` padded positions.
fn halves<'a, E>(examples: &[&'a E], length: impl Fn(&E) -> usize, tokens: usize) -> Vec<Vec<&'a E>> {
    let (a, b) = examples.split_at(examples.len() / 2);
    [parts(a, &length, tokens), parts(b, &length, tokens)].concat()
}

/// Splits examples into parts of at most `tokens` padded positions; a part has at least one example.
fn parts<'a, E>(examples: &[&'a E], length: impl Fn(&E) -> usize, tokens: usize) -> Vec<Vec<&'a E>> {
    let mut out: Vec<Vec<&E>> = Vec::new();
    let mut longest = 0;
    for &example in examples {
        let grown = longest.max(length(example));
        match out.last_mut() {
            Some(part) if (part.len() + 1) * grown <= tokens => {
                part.push(example);
                longest = grown;
            }
            _ => {
                out.push(vec![example]);
                longest = length(example);
            }
        }
    }
    out
}
