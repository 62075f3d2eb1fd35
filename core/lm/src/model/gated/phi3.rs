//! Phi 3 and 4 mini (Abdin et al., 2024): fused projections, and rotary positions of a part of each head. Reference
//! implementation: `Phi3ForCausalLM` of transformers.

use super::GatedConfig;
use crate::Result;
use crate::model::config::Config;

pub(super) fn read(config: &Config) -> Result<GatedConfig> {
    for bias in ["attention_bias", "mlp_bias", "lm_head_bias"] {
        config.only(bias, &["false"])?;
    }
    let config = &config
        .with_default("rms_norm_eps", 1e-5.into())
        .with_default("max_position_embeddings", 4096.into())
        .with_default("original_max_position_embeddings", 4096.into());
    let mut read = GatedConfig { fused: true, inner_bias: false, ..GatedConfig::shared(config, 10_000.0, false)? };
    read.slide_all(config)?;
    Ok(read)
}
