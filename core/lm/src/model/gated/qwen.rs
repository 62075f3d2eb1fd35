//! Qwen 2, 2.5 and 3 without experts (Yang et al., 2024 and 2025). Reference implementations: `Qwen2ForCausalLM` and
//! `Qwen3ForCausalLM` of transformers.

use super::GatedConfig;
use crate::Result;
use crate::model::config::Config;

/// Queries, keys and values have biases.
pub(super) fn qwen2(config: &Config) -> Result<GatedConfig> {
    let config = &config.with_default("num_key_value_heads", 32.into()).with_default("sliding_window", 4096.into());
    let shared = GatedConfig::shared(config, 10_000.0, false)?;
    let mut read = GatedConfig { qkv_bias: true, out_bias: false, inner_bias: false, ..shared };
    if config.flag_or("use_sliding_window", false)? {
        let full = config.size_or("max_window_layers", 0..=1_024, 28)?;
        read.slide(config, |layer| layer >= full)?;
    }
    Ok(read)
}

/// Queries and keys are normed.
pub(super) fn qwen3(config: &Config) -> Result<GatedConfig> {
    // Heads have a width of their own, whatever the width of the model.
    let default = config.size_or("head_dim", 2..=4096, 128)?;
    let config = &config.with("head_dim", default.into());
    let bias = config.flag_or("attention_bias", false)?;
    Ok(GatedConfig { query_norm: true, qkv_bias: bias, out_bias: bias, ..qwen2(config)? })
}
