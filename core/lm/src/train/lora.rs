//! Low-rank adaptation (Hu et al. 2021): `W + alpha / rank * B A` with W frozen.

use serde::{Deserialize, Serialize};

use record::random::{Purpose, Stream};

/// Settings of LoRA: which weights get adapters, and how large these are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lora {
    /// Rank of the adapter matrices.
    pub rank: usize,
    /// The product of the adapter matrices is scaled by alpha / rank.
    pub alpha: f64,
    /// Modules that get an adapter, by the end of their name (`q_proj`).
    pub targets: Vec<String>,
}

impl Lora {
    /// The scale of the adapters: alpha / rank.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// Whether the parameter with this name gets an adapter.
    #[must_use]
    pub fn targets(&self, name: &str) -> bool {
        name.strip_suffix(".weight").is_some_and(|stem| {
            self.targets.iter().any(|target| stem == target || stem.ends_with(&format!(".{target}")))
        })
    }
}

/// Whether the weight is one of GPT-2's projections, which are stored as `[in, out]`.
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

/// Initial values of matrix A: uniform in +-1 / sqrt(inputs), as PyTorch initialises a linear layer (`kaiming_uniform_`
/// with a = sqrt 5).
pub(super) fn initial(inputs: usize, rank: usize, seed: u64, number: usize) -> Vec<f32> {
    let mut stream = Stream::new(seed, Purpose::Adapters, number as u64, 0);
    let bound = 1.0 / (inputs as f64).sqrt();
    (0..inputs * rank).map(|_| ((2.0 * stream.uniform() - 1.0) * bound) as f32).collect()
}
