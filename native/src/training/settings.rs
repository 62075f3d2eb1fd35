//! Training settings from command-line flags.

use lm::train::trainer::Settings;
use method::student::lesson;

use crate::args::{FitFlags, TrainFlags};

/// Settings overridden by the flags that all trainings have.
#[must_use]
pub fn fit(flags: &FitFlags, mut s: Settings) -> Settings {
    s.epochs = flags.epochs.unwrap_or(s.epochs);
    s.batch = flags.train_batch.unwrap_or(s.batch);
    s.batch_tokens = flags.batch_tokens.unwrap_or(s.batch_tokens);
    s.warmup = flags.warmup.unwrap_or(s.warmup);
    s.schedule = flags.schedule.unwrap_or(s.schedule);
    s.optimizer = flags.optimizer.unwrap_or(s.optimizer);
    s.weight_decay = flags.weight_decay.unwrap_or(s.weight_decay);
    s.clip = flags.clip.unwrap_or(s.clip);
    s.validation = flags.validation.unwrap_or(s.validation);
    s.dropout = flags.dropout.unwrap_or(s.dropout);
    s.label_smoothing = flags.label_smoothing.unwrap_or(s.label_smoothing);
    s.compute = flags.compute.unwrap_or(s.compute);
    s.evaluate_every = flags.evaluate_every.unwrap_or(s.evaluate_every);
    s.learning_rate = flags.learning_rate.unwrap_or(s.learning_rate);
    s
}

/// Settings for a student with this number of parameters, overridden by flags; flags of adapters select low-rank
/// adapters.
#[must_use]
pub fn student(flags: &TrainFlags, parameters: usize) -> Settings {
    let adapters = flags.lora_rank.is_some() || flags.lora_alpha.is_some() || !flags.lora_targets.is_empty();
    let mut s = if adapters { Settings::default() } else { lesson::settings(parameters, flags.full) };
    s.checkpointing = flags.checkpointing;
    if let Some(lora) = &mut s.lora {
        lora.rank = flags.lora_rank.unwrap_or(lora.rank);
        lora.alpha = flags.lora_alpha.unwrap_or(2.0 * lora.rank as f64);
        if !flags.lora_targets.is_empty() {
            lora.targets.clone_from(&flags.lora_targets);
        }
    }
    fit(&flags.fit, s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_students_are_trained_whole_unless_adapters_are_asked_for() {
        let of = |flags: &TrainFlags, parameters| {
            let s = student(flags, parameters);
            (s.lora.as_ref().map(|lora| (lora.rank, lora.alpha as u32)), s.learning_rate)
        };
        let plain = TrainFlags::default();
        assert_eq!(of(&plain, 3_000_000), (None, 5e-4));
        assert_eq!(of(&plain, 135_000_000), (Some((16, 32)), 2e-4));
        let full = TrainFlags { full: true, ..TrainFlags::default() };
        assert_eq!(of(&full, 135_000_000), (None, 3e-5));
        let rank = TrainFlags { lora_rank: Some(4), ..TrainFlags::default() };
        assert_eq!(of(&rank, 3_000_000), (Some((4, 8)), 2e-4));
        let rate = FitFlags { learning_rate: Some(1e-3), ..FitFlags::default() };
        assert_eq!(of(&TrainFlags { fit: rate, ..rank }, 3_000_000), (Some((4, 8)), 1e-3));
    }
}
