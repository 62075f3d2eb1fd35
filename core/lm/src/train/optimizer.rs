//! AdamW (Loshchilov and Hutter 2019, as in `torch.optim.AdamW`) and Adafactor (Shazeer and Stern 2018, as in
//! transformers with `scale_parameter` and without `relative_step`), with gradient clipping by the global norm.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::parameters::{Gradients, Parameter, Parameters, host};
use crate::model::kernels;
use crate::{Error, Result};

/// The kind of optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// AdamW: two moments per value.
    AdamW,
    /// Adafactor: one second moment per row and column of a matrix, and per value of a vector.
    Adafactor,
}

/// Settings of the optimiser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The kind of optimiser.
    pub kind: Kind,
    /// Decoupled weight decay: each step shrinks every parameter by this fraction times the learning rate.
    pub weight_decay: f64,
    /// Maximum global norm of the gradients, to which larger ones are scaled down. 0 means no limit.
    pub clip: f64,
}

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// An optimiser and its state.
#[derive(Debug, Clone)]
pub struct Optimizer {
    options: Options,
    /// Moments of each parameter. AdamW: first and second; Adafactor: second, of the rows and columns of a matrix or
    /// all values of a vector.
    pub(super) moments: BTreeMap<String, Vec<Tensor<1>>>,
    /// Number of steps taken.
    pub(super) steps: u64,
}

impl Optimizer {
    /// An optimiser without any state yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, moments: BTreeMap::new(), steps: 0 }
    }

    /// Sizes of the moment tensors of a parameter of this shape.
    pub(super) fn moment_sizes(&self, shape: &[usize]) -> Vec<usize> {
        match (self.options.kind, shape) {
            (Kind::AdamW, _) => vec![shape.iter().product(); 2],
            (Kind::Adafactor, &[rows, columns]) => vec![rows, columns],
            (Kind::Adafactor, _) => vec![shape.iter().product()],
        }
    }

    /// Takes one step with learning rate `rate`. Returns the global norm of the gradients before clipping.
    ///
    /// # Errors
    /// [`Error::NonFinite`] where the norm is not finite; nothing is changed then.
    pub async fn step(&mut self, parameters: &mut Parameters, gradients: Gradients, rate: f64) -> Result<f64> {
        let norm = global_norm(&gradients).await?;
        if !norm.is_finite() {
            return Err(Error::NonFinite {
                what: "the norm of the gradients".into(),
                place: format!("step {}", self.steps + 1),
            });
        }
        self.steps += 1;
        let clip = self.options.clip;
        let scale = if clip > 0.0 { (clip / (norm + 1e-6)).min(1.0) } else { 1.0 };
        for (name, gradient) in gradients {
            let Some(parameter) = parameters.all.get_mut(&name) else { continue };
            let sizes = self.moment_sizes(&parameter.shape);
            let device = gradient.device();
            let moments = self
                .moments
                .remove(&name)
                .unwrap_or_else(|| sizes.iter().map(|&n| Tensor::zeros([n], &device)).collect());
            let moments = match self.options.kind {
                Kind::AdamW => self.adamw(parameter, gradient, moments, scale, rate),
                Kind::Adafactor => self.adafactor(parameter, gradient * scale, moments, rate),
            };
            self.moments.insert(name, moments);
        }
        Ok(norm)
    }

    fn adamw(
        &self,
        parameter: &mut Parameter,
        gradient: Tensor<1>,
        moments: Vec<Tensor<1>>,
        scale: f64,
        rate: f64,
    ) -> Vec<Tensor<1>> {
        let t = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let decay = 1.0 - rate * self.options.weight_decay;
        let size = rate / (1.0 - BETA_1.powi(t));
        let second = (1.0 - BETA_2.powi(t)).sqrt();
        let Ok([m, v]) = <[Tensor<1>; 2]>::try_from(moments) else { return Vec::new() };
        let empty = Tensor::zeros([0], &gradient.device());
        let value = std::mem::replace(&mut parameter.value, empty);
        if crate::device::is_flex(&gradient.device()) {
            let constants = kernels::AdamW {
                betas: [BETA_1, BETA_2].map(|b| b as f32),
                epsilon: EPSILON as f32,
                scale: scale as f32,
                decay: decay as f32,
                size: size as f32,
                second: second as f32,
            };
            let [value, m, v] = kernels::adamw([value, m, v], gradient, constants);
            parameter.value = value;
            return vec![m, v];
        }
        let gradient = gradient * scale;
        let m = m * BETA_1 + gradient.clone() * (1.0 - BETA_1);
        let v = v * BETA_2 + gradient.square() * (1.0 - BETA_2);
        let step = m.clone() / (v.clone().sqrt() / second + EPSILON) * size;
        parameter.value = value * decay - step;
        vec![m, v]
    }

    fn adafactor(
        &self,
        parameter: &mut Parameter,
        gradient: Tensor<1>,
        moments: Vec<Tensor<1>>,
        rate: f64,
    ) -> Vec<Tensor<1>> {
        const TINY: f64 = 1e-30;
        let t = self.steps as f64;
        let beta = 1.0 - t.powf(-0.8);
        let rms = |x: Tensor<1>| x.square().mean().sqrt();
        let square = gradient.clone().square() + TINY;
        let (update, moments) = match (parameter.shape.as_slice(), moments.as_slice()) {
            (&[rows, columns], [r, c]) => {
                let square = square.reshape([rows, columns]);
                let r = r.clone() * beta + square.clone().mean_dim(1).reshape([rows]) * (1.0 - beta);
                let c = c.clone() * beta + square.mean_dim(0).reshape([columns]) * (1.0 - beta);
                let by_row = (r.clone() / r.clone().mean()).sqrt().recip().reshape([rows, 1]);
                let by_column = c.clone().sqrt().recip().reshape([1, columns]);
                let update = gradient.reshape([rows, columns]) * by_row * by_column;
                (update.reshape([rows * columns]), vec![r, c])
            }
            (_, [v]) => {
                let v = v.clone() * beta + square * (1.0 - beta);
                (gradient / v.clone().sqrt(), vec![v])
            }
            _ => return moments,
        };
        let update = update.clone() / rms(update).clamp_min(1.0);
        let value = parameter.value.clone();
        let size = rms(value.clone()).clamp_min(1e-3) * rate;
        parameter.value = value * (1.0 - rate * self.options.weight_decay) - update * size;
        moments
    }
}

/// The Euclidean norm of all gradients together.
async fn global_norm(gradients: &Gradients) -> Result<f64> {
    let squares: Vec<Tensor<1>> = gradients.values().map(|g| kernels::sum_of_squares(g.clone())).collect();
    if squares.is_empty() {
        return Ok(0.0);
    }
    let squares = host(Tensor::cat(squares, 0)).await?;
    Ok(squares.into_iter().map(f64::from).sum::<f64>().sqrt())
}
