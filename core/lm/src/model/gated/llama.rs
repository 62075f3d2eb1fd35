//! Llama 1 to 3 (Touvron et al., 2023), such as SmolLM2 and TinyLlama, and Mistral (Jiang et al., 2023). Reference
//! implementations: `LlamaForCausalLM` and `MistralForCausalLM` of transformers.

use super::GatedConfig;
use crate::Result;
use crate::model::config::Config;

pub(super) fn llama(config: &Config) -> Result<GatedConfig> {
    config.only("pretraining_tp", &["1"])?;
    GatedConfig::shared(config, 10_000.0, false)
}

pub(super) fn mistral(config: &Config) -> Result<GatedConfig> {
    let shared = GatedConfig::shared(config, 10_000.0, false)?;
    let mut read = GatedConfig { qkv_bias: false, out_bias: false, inner_bias: false, ..shared };
    read.slide(config, |_| true)?;
    Ok(read)
}
