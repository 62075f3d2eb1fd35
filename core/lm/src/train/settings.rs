//! Training settings.

use serde::{Deserialize, Serialize};

use super::gradient::Precision;
use super::lora::Lora;
use super::optimizer::Kind;
use super::schedule::Shape;
use crate::{Error, Result};

/// Settings of a training, as stored in its plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Number of epochs, 1 to 10,000; default 3.
    pub epochs: u64,
    /// Examples per optimiser step, 1 to 65,536; default 16.
    pub batch: usize,
    /// Most padded token positions in memory together, 16 to 16,777,216; default 2048. Gradients of a larger step are
    /// accumulated over parts of half this size, two of which the CPU computes in parallel.
    pub batch_tokens: usize,
    /// Peak learning rate, above 0 and at most 1; default 2e-4.
    pub learning_rate: f64,
    /// Fraction of the steps over which the learning rate rises linearly; default 0.1.
    pub warmup: f64,
    /// Shape of the learning rate after the warm-up; default cosine.
    pub schedule: Shape,
    /// Optimiser; default AdamW.
    pub optimizer: Kind,
    /// Weight decay, 0 to 1; default 0.01.
    pub weight_decay: f64,
    /// Global gradient norm above which gradients are scaled down; 0 = off; default 1.
    pub clip: f64,
    /// Dropout rate of the residual stream, 0 to below 1; default 0.
    pub dropout: f32,
    /// Label smoothing, 0 to below 1; default 0.
    pub label_smoothing: f32,
    /// Gradient checkpointing: saves memory but computes each layer twice; default off.
    pub checkpointing: bool,
    /// Number type of matrix products; default f32.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub compute: Precision,
    /// Fraction of the groups of examples (contexts) that is held out, 0 to 0.9; default 0.1.
    pub validation: f64,
    /// Steps between evaluations on the held-out examples, each with a checkpoint; 0 = at the end of every epoch;
    /// default 50.
    pub evaluate_every: u64,
    /// Low-rank adapters (LoRA); `None` = all weights are trained. Default: rank 16 and alpha 32 on all projections of
    /// every architecture.
    #[serde(default)]
    pub lora: Option<Lora>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            epochs: 3,
            batch: 16,
            batch_tokens: 2048,
            learning_rate: 2e-4,
            warmup: 0.1,
            schedule: Shape::Cosine,
            optimizer: Kind::AdamW,
            weight_decay: 0.01,
            clip: 1.0,
            dropout: 0.0,
            label_smoothing: 0.0,
            checkpointing: false,
            compute: Precision::F32,
            validation: 0.1,
            evaluate_every: 50,
            lora: Some(Lora {
                rank: 16,
                alpha: 32.0,
                targets: [
                    "q_proj",
                    "k_proj",
                    "v_proj",
                    "o_proj",
                    "gate_proj",
                    "up_proj",
                    "down_proj",
                    "qkv_proj",
                    "gate_up_proj",
                    "out_proj",
                    "fc1",
                    "fc2",
                    "attention.query_key_value",
                    "attention.dense",
                    "mlp.dense_h_to_4h",
                    "mlp.dense_4h_to_h",
                    "c_attn",
                    "c_proj",
                    "c_fc",
                    "SelfAttention.q",
                    "SelfAttention.k",
                    "SelfAttention.v",
                    "SelfAttention.o",
                    "EncDecAttention.q",
                    "EncDecAttention.k",
                    "EncDecAttention.v",
                    "EncDecAttention.o",
                    "wi",
                    "wi_0",
                    "wi_1",
                    "wo",
                ]
                .map(str::to_owned)
                .to_vec(),
            }),
        }
    }
}

impl Settings {
    /// Checks the range of every setting.
    ///
    /// # Errors
    /// [`Error::Input`] names the entry, what it accepts and what it holds.
    pub fn validate(&self) -> Result<()> {
        let check = |ok: bool, name: &str, expected: &str, found: String| {
            if ok { Ok(()) } else { Err(Error::input(format!("train.{name}"), expected, found)) }
        };
        let number = |v: f64| v.is_finite() && v >= 0.0;
        check((1..=10_000).contains(&self.epochs), "epochs", "1 to 10,000", self.epochs.to_string())?;
        check((1..=65_536).contains(&self.batch), "batch", "1 to 65,536", self.batch.to_string())?;
        let tokens = self.batch_tokens;
        check((16..=16_777_216).contains(&tokens), "batch_tokens", "16 to 16,777,216", tokens.to_string())?;
        let rate = self.learning_rate;
        check(number(rate) && rate > 0.0 && rate <= 1.0, "learning_rate", "above 0, at most 1", rate.to_string())?;
        check((0.0..=1.0).contains(&self.warmup), "warmup", "0 to 1", self.warmup.to_string())?;
        check((0.0..=1.0).contains(&self.weight_decay), "weight_decay", "0 to 1", self.weight_decay.to_string())?;
        check(number(self.clip), "clip", "0 (off) or more", self.clip.to_string())?;
        check((0.0..1.0).contains(&self.dropout), "dropout", "0 to below 1", self.dropout.to_string())?;
        let smoothing = self.label_smoothing;
        check((0.0..1.0).contains(&smoothing), "label_smoothing", "0 to below 1", smoothing.to_string())?;
        check((0.0..=0.9).contains(&self.validation), "validation", "0 to 0.9", self.validation.to_string())?;
        if let Some(lora) = &self.lora {
            check((1..=4096).contains(&lora.rank), "lora.rank", "1 to 4096", lora.rank.to_string())?;
            check(number(lora.alpha) && lora.alpha > 0.0, "lora.alpha", "above 0", lora.alpha.to_string())?;
        }
        Ok(())
    }
}
