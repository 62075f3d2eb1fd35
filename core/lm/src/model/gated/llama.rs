//! Llama 1 to 3 (Touvron et al., 2023), such as SmolLM2 and TinyLlama, and Mistral (Jiang et al., 2023). Reference
//! implementations: `LlamaForCausalLM` and `MistralForCausalLM` of transformers.

use super::GatedConfig;
use crate::Result;
use crate::model::config::Config;

pub(super) fn llama(config: &Config) -> Result<GatedConfig> {
    GatedConfig::shared(config, 10_000.0, false)
}

pub(super) fn mistral(config: &Config) -> Result<GatedConfig> {
    // Here an absent entry is not a neutral one; null is.
    let config = &config.with_default("num_key_value_heads", 8.into()).with_default("sliding_window", 4096.into());
    for bias in ["attention_bias", "mlp_bias"] {
        config.only(bias, &["false"])?;
    }
    let shared = GatedConfig::shared(config, 10_000.0, false)?;
    let mut read = GatedConfig { qkv_bias: false, out_bias: false, inner_bias: false, ..shared };
    // Its reference does not read `layer_types`.
    read.slide_all(config)?;
    Ok(read)
}
