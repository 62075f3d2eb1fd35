//! Settings of a training.

use serde::{Deserialize, Serialize};

use super::gradient::Precision;
use super::lora::Lora;
use super::optimizer::Kind;
use super::schedule::Shape;
use crate::{Error, Result};

/// Settings of a training; part of a run's plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Times each example is seen.
    pub epochs: u64,
    /// Examples a step.
    pub batch: usize,
    /// Padded positions that are worked on at once; a step takes as many parts as its examples need (accumulation). A
    /// step of several examples has at least two, which the CPU works on side by side, so each has half as many.
    pub batch_tokens: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Share of the steps over which the rate rises.
    pub warmup: f64,
    /// What follows.
    pub schedule: Shape,
    /// Optimiser.
    pub optimizer: Kind,
    /// Weight decay.
    pub weight_decay: f64,
    /// Largest global norm of the gradients; 0 = no limit.
    pub clip: f64,
    /// Dropout of the residual stream.
    pub dropout: f32,
    /// Label smoothing.
    pub label_smoothing: f32,
    /// Keep less in memory, compute each layer twice.
    pub checkpointing: bool,
    /// Number type of the products.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub compute: Precision,
    /// Share of the contexts that is held out.
    pub validation: f64,
    /// Steps between two looks at the held-out examples, each with a checkpoint; 0 = at the end of every epoch.
    pub evaluate_every: u64,
    /// Adapters instead of all weights.
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
    /// Refuses values that no training can work with.
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
