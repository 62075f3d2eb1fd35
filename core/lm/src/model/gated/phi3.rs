//! Phi 3 and 4 mini (Abdin et al., 2024): fused projections, and rotary positions of a part of each head. Reference
//! implementation: `Phi3ForCausalLM` of transformers.

use super::GatedConfig;
use crate::Result;
use crate::model::config::Config;

pub(super) fn read(config: &Config) -> Result<GatedConfig> {
    config.only("attention_bias", &["false"])?;
    let mut read = GatedConfig { fused: true, inner_bias: false, ..GatedConfig::shared(config, 10_000.0, false)? };
    read.slide(config, |_| true)?;
    Ok(read)
}
