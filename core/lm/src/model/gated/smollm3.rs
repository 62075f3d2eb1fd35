//! SmolLM3: Llama with some layers without positions. Reference implementation: `SmolLM3ForCausalLM` of transformers.

use super::GatedConfig;
use crate::Result;
use crate::model::config::Config;

pub(super) fn read(config: &Config) -> Result<GatedConfig> {
    let config = &config.with_default("num_key_value_heads", 4.into());
    let mut read = GatedConfig::shared(config, 2_000_000.0, true)?;
    let every = config.size_or("no_rope_layer_interval", 1..=1_024, 4)?;
    let layers = read.sizes.layers;
    // The entry lists 1 for layers with positions.
    let listed = match config.get("no_rope_layers") {
        None => (0..layers).map(|layer| (layer + 1) % every != 0).collect(),
        Some(list) => {
            let flags = list.as_array().map(|list| list.iter().map(|v| v.as_u64().filter(|n| *n < 2)));
            let flags: Option<Vec<bool>> = flags.and_then(|flags| flags.map(|n| n.map(|n| n == 1)).collect());
            let expected = || format!("0 or 1 for each of {layers} layers");
            flags.filter(|f| f.len() == layers).ok_or_else(|| config.wrong("no_rope_layers", expected(), list))?
        }
    };
    for (reach, rotated) in read.layers.iter_mut().zip(listed) {
        reach.rope = reach.rope.filter(|_| rotated);
    }
    if config.flag_or("use_sliding_window", false)? {
        let rotated: Vec<bool> = read.layers.iter().map(|reach| reach.rope.is_some()).collect();
        read.slide(config, |layer| !rotated[layer])?;
    }
    Ok(read)
}
