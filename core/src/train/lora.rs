//! Low-rank adaptation (Hu et al. 2021): `W + alpha / rank * B A`, W frozen.

use serde::{Deserialize, Serialize};

use crate::random::Stream;

/// Which weights get adapters, and of which size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lora {
    /// Width of the adapters.
    pub rank: usize,
    /// Their scale is alpha / rank.
    pub alpha: f64,
    /// Parts of the names of weights that get one (`q_proj`).
    pub targets: Vec<String>,
}

impl Lora {
    /// alpha / rank.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// Whether a parameter of this name gets an adapter.
    #[must_use]
    pub fn targets(&self, name: &str) -> bool {
        name.strip_suffix(".weight").is_some_and(|stem| {
            self.targets.iter().any(|target| stem == target || stem.ends_with(&format!(".{target}")))
        })
    }
}

/// GPT-2 stores its projections `[in, out]`.
pub(super) fn is_conv1d(name: &str) -> bool {
    ["c_attn.weight", "c_proj.weight", "c_fc.weight"].iter().any(|end| name.ends_with(end))
}

pub(super) fn a(weight: &str) -> String {
    format!("{weight}.lora_a")
}

pub(super) fn b(weight: &str) -> String {
    format!("{weight}.lora_b")
}

pub(super) fn is_adapter(name: &str) -> bool {
    name.ends_with(".lora_a") || name.ends_with(".lora_b")
}

/// Uniform in +-1 / sqrt(inputs), as torch initialises a linear layer (`kaiming_uniform_` with a = sqrt 5).
pub(super) fn initial(inputs: usize, rank: usize, seed: u64, number: usize) -> Vec<f32> {
    const STAGE: u32 = 10;
    let mut stream = Stream::new(seed, STAGE, number as u64, 0);
    let bound = 1.0 / (inputs as f64).sqrt();
    (0..inputs * rank).map(|_| ((2.0 * stream.uniform() - 1.0) * bound) as f32).collect()
}
