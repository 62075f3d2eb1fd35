//! Gemma 1 to 3 (Gemma Team, 2024 and 2025), text only. Reference implementations: `GemmaForCausalLM`,
//! `Gemma2ForCausalLM` and `Gemma3ForCausalLM` of transformers.

use serde_json::Value;

use super::GatedConfig;
use crate::Result;
use crate::model::config::Config;
use crate::model::layers::Activation;
use crate::model::rope::Rope;

pub(super) fn gemma(config: &Config) -> Result<GatedConfig> {
    // The first files say `gelu` and mean its approximation.
    let exact = config.get("hidden_act").is_some_and(|name| name == "gelu");
    let activation =
        if exact { Activation::GeluTanh } else { config.activation("hidden_act", Activation::GeluTanh)? };
    shared(config, activation, 16)
}

/// What all share.
fn shared(config: &Config, activation: Activation, kv_heads: u64) -> Result<GatedConfig> {
    config.only("use_bidirectional_attention", &["false"])?;
    let head_dim = config.size_or("head_dim", 2..=4096, 256)?;
    let config = &config
        .with_default("num_key_value_heads", kv_heads.into())
        .with("head_dim", head_dim.into())
        .with("hidden_act", Value::Null);
    let shared = GatedConfig::shared(config, 10_000.0, true)?;
    Ok(GatedConfig { gemma: true, activation, ..shared })
}

/// What the second and the third share. They read `hidden_activation`, and files have another function in `hidden_act`.
fn later(config: &Config) -> Result<GatedConfig> {
    shared(config, config.activation("hidden_activation", Activation::GeluTanh)?, 4)
}

/// Norms after each part, limits of scores and logits, and a window in every other layer.
pub(super) fn gemma2(config: &Config) -> Result<GatedConfig> {
    let mut read = later(config)?;
    read.output_norms = true;
    read.query_scale = query_scale(config)?;
    read.score_cap = cap(config, "attn_logit_softcapping", Some(50.0))?;
    read.logit_cap = cap(config, "final_logit_softcapping", Some(30.0))?;
    let config = &config.with_default("sliding_window", 4096.into());
    read.slide(config, |layer| layer % 2 == 0)?;
    Ok(read)
}

/// Normed queries and keys, and a window in most layers, which have rotary embeddings of their own.
pub(super) fn gemma3(config: &Config) -> Result<GatedConfig> {
    let mut read = later(config)?;
    (read.output_norms, read.query_norm) = (true, true);
    read.query_scale = query_scale(config)?;
    // `attn_logit_softcapping` is an entry that the reference never applies.
    read.logit_cap = cap(config, "final_logit_softcapping", None)?;
    let every = config.size_or("sliding_window_pattern", 1..=1_024, 6)?;
    let config = &config.with_default("sliding_window", 4096.into());
    read.slide(config, |layer| (layer + 1) % every != 0)?;
    let dim = read.sizes.head_dim;
    // Scaling in the older spelling is of the full layers only.
    let nested = config.get("rope_scaling").is_none();
    let local = if nested && config.get("rope_parameters").is_some_and(|p| p.get("sliding_attention").is_some()) {
        Rope::read(config, dim, 10_000.0, Some("sliding_attention"))?
    } else {
        Rope::plain(config, dim, config.positive_or("rope_local_base_freq", 10_000.0)?, 1.0)?
    };
    read.ropes = vec![Rope::read(config, dim, 1_000_000.0, Some("full_attention"))?, local];
    for limit in read.ropes.iter().filter_map(|rope| rope.limit) {
        read.sizes.positions = read.sizes.positions.min(limit);
    }
    for reach in &mut read.layers {
        reach.rope = Some(usize::from(reach.window.is_some()));
    }
    Ok(read)
}

#[allow(clippy::cast_possible_truncation)]
fn query_scale(config: &Config) -> Result<f32> {
    Ok(config.positive_or("query_pre_attn_scalar", 256.0)?.sqrt() as f32)
}

/// A limit; the default is for an absent entry, and null means none.
#[allow(clippy::cast_possible_truncation)]
fn cap(config: &Config, field: &str, default: Option<f64>) -> Result<Option<f32>> {
    match config.entries().get(field) {
        None => Ok(default.map(|cap| cap as f32)),
        Some(value) if value.is_null() => Ok(None),
        Some(_) => config.positive_or(field, 1.0).map(|cap| Some(cap as f32)),
    }
}
