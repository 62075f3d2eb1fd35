//! The entries of a `config.json` for a model in a GGUF file, as [`crate::model::config`] reads them.

use serde_json::{Value as Json, json};

use super::file::unsupported;
use super::rotary::rotary;
use super::settings::{Settings, Sizes};
use super::vocabulary::token_id;
use crate::model::number::unknown;
use crate::{Error, Result};

/// # Errors
/// [`Error::Config`] and [`Error::Tensor`] for entries that are missing or contradict tensors; [`Error::Unsupported`] for
/// what the entries cannot express.
pub(super) fn config(settings: &Settings<'_>, sizes: &Sizes) -> Result<Json> {
    let (gguf, architecture) = (settings.gguf, settings.architecture);
    let vocabulary = vocabulary(settings, sizes)?;
    let epsilon = "attention.layer_norm_rms_epsilon";
    let mut config = json!({
        "architectures": [architecture.class],
        "model_type": architecture.model_type,
        "hidden_size": sizes.hidden,
        "intermediate_size": settings.whole("feed_forward_length")?,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.key_value_heads,
        "head_dim": sizes.head,
        "vocab_size": vocabulary,
        "max_position_embeddings": sizes.context,
        "rms_norm_eps": settings.positive(epsilon)?.ok_or_else(|| settings.wrong(epsilon, "a number above 0"))?,
        "tie_word_embeddings": gguf.info("output.weight").is_none(),
        "torch_dtype": "float32",
    });
    let biases = |parts: &[&str]| {
        let is_one =
            |name: &&str| name.ends_with(".bias") && name.split('.').nth(2).is_some_and(|p| parts.contains(&p));
        Json::from(gguf.names().iter().any(is_one))
    };
    if matches!(architecture.name, "llama" | "smollm3" | "qwen3") {
        config["attention_bias"] = biases(&["attn_q", "attn_k", "attn_v", "attn_output"]);
    }
    if matches!(architecture.name, "llama" | "smollm3") {
        config["mlp_bias"] = biases(&["ffn_gate", "ffn_up", "ffn_down"]);
    }
    if architecture.name == "smollm3" {
        // Nothing in the file says it: llama.cpp takes this for granted too.
        config["no_rope_layer_interval"] = 4.into();
    }
    let activation = if architecture.norms_shifted { "hidden_activation" } else { "hidden_act" };
    config[activation] = if architecture.norms_shifted { "gelu_pytorch_tanh" } else { "silu" }.into();
    let mut more = rotary(settings, sizes)?;
    match architecture.name {
        "phi3" => config["sliding_window"] = settings.optional_whole("attention.sliding_window")?.into(),
        "gemma2" => config_gemma_2(settings, sizes, &mut config)?,
        "gemma3" => config_gemma_3(settings, sizes, &mut config)?,
        _ => {}
    }
    if let Some(entries) = config.as_object_mut() {
        entries.append(&mut more);
    }
    for (entry, key) in [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")] {
        if let Some(id) = token_id(gguf, key, vocabulary)? {
            config[entry] = id.into();
        }
    }
    Ok(config)
}

/// Number of rows of the embedding table.
fn vocabulary(settings: &Settings<'_>, sizes: &Sizes) -> Result<usize> {
    let (gguf, table) = (settings.gguf, "token_embd.weight");
    let info = gguf.info(table).ok_or_else(|| unknown(gguf.place(), table))?;
    let rows = match info.shape[..] {
        [rows, hidden] if hidden == sizes.hidden => rows,
        _ => {
            return Err(Error::Tensor {
                file: gguf.place(),
                tensor: table.to_owned(),
                expected: format!("[vocabulary, {}]", sizes.hidden),
                found: format!("{:?}", info.shape),
            });
        }
    };
    if settings.whole_or("vocab_size", rows)? != rows {
        return Err(settings.wrong("vocab_size", &format!("the {rows} rows of token_embd.weight")));
    }
    Ok(rows)
}

fn config_gemma_2(settings: &Settings<'_>, sizes: &Sizes, config: &mut Json) -> Result<()> {
    if settings.whole_or("attention.sliding_window_pattern", 2)? != 2 {
        return Err(settings.wrong("attention.sliding_window_pattern", "2"));
    }
    config["query_pre_attn_scalar"] = query_scalar(sizes, 46).into();
    // Without an entry the defaults are those of the reference.
    for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
        if settings.get(key).is_some() {
            config[key] = settings.optional_positive(key)?.into();
        }
    }
    if settings.get("attention.sliding_window").is_some() {
        config["sliding_window"] = settings.optional_whole("attention.sliding_window")?.into();
    }
    Ok(())
}

fn config_gemma_3(settings: &Settings<'_>, sizes: &Sizes, config: &mut Json) -> Result<()> {
    let Some(window) = settings.optional_whole("attention.sliding_window")? else {
        let expected = "models of gemma3 with `gemma3.attention.sliding_window`";
        return Err(unsupported(settings.gguf, "attention without a window", expected));
    };
    if settings.get("rope.freq_base").is_none() {
        return Err(settings.wrong("rope.freq_base", "a number above 0"));
    }
    config["query_pre_attn_scalar"] = query_scalar(sizes, 62).into();
    config["final_logit_softcapping"] = settings.optional_positive("final_logit_softcapping")?.into();
    config["sliding_window"] = window.into();
    config["sliding_window_pattern"] = settings.whole_or("attention.sliding_window_pattern", 6)?.into();
    config["rope_local_base_freq"] = settings.positive("rope.freq_base_swa")?.unwrap_or(10_000.0).into();
    Ok(())
}

/// Queries are divided by the square root of this number, which files do not have: the width of a head, but in the models
/// with 27 billion parameters, which have so many layers, the width of the model per head.
fn query_scalar(sizes: &Sizes, layers_of_27b: usize) -> usize {
    if sizes.layers == layers_of_27b { (sizes.hidden / sizes.heads).max(1) } else { sizes.head }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::file::Gguf;
    use super::super::fixture::{Writer, memory, tiny};
    use super::*;

    fn read(file: &Writer) -> Result<Json> {
        let gguf = Gguf::open(memory(file.bytes()), "m.gguf")?;
        let settings = Settings::read(&gguf)?;
        config(&settings, &Sizes::read(&settings)?)
    }

    #[test]
    fn the_entries_of_a_llama() {
        let config =
            read(tiny("llama").u32("tokenizer.ggml.eos_token_id", 5).u32("tokenizer.ggml.bos_token_id", 6)).unwrap();
        assert_eq!(config["architectures"], json!(["LlamaForCausalLM"]));
        assert_eq!((&config["rms_norm_eps"], &config["rope_theta"]), (&json!(1e-5), &json!(10_000.0)));
        assert_eq!((&config["head_dim"], &config["vocab_size"]), (&json!(4), &json!(6)));
        assert_eq!((&config["hidden_act"], &config["tie_word_embeddings"]), (&json!("silu"), &json!(true)));
        assert_eq!((&config["attention_bias"], &config["mlp_bias"]), (&json!(false), &json!(false)));
        assert_eq!(config["eos_token_id"], 5);
        // 6 is not an id.
        assert!(config.get("bos_token_id").is_none());
        assert_eq!(read(&tiny("llama").rows("output.weight", 6)).unwrap()["tie_word_embeddings"], false);
    }

    #[test]
    fn a_bias_in_any_layer_counts() {
        let mut file = tiny("smollm3");
        file.u32("smollm3.block_count", 2).f32s("blk.1.ffn_gate.bias", &[4], &[0.0; 4]);
        let config = read(&file).unwrap();
        assert_eq!((&config["attention_bias"], &config["mlp_bias"]), (&json!(false), &json!(true)));
        assert_eq!(config["no_rope_layer_interval"], 4);
    }

    #[test]
    fn windows_and_limits_of_gemma() {
        let plain = read(&tiny("gemma2")).unwrap();
        assert_eq!(
            (&plain["query_pre_attn_scalar"], &plain["hidden_activation"]),
            (&json!(4), &json!("gelu_pytorch_tanh"))
        );
        assert!(["sliding_window", "attn_logit_softcapping"].iter().all(|key| plain.get(key).is_none()));
        let mut file = tiny("gemma2");
        file.f32("gemma2.attn_logit_softcapping", 50.0).f32("gemma2.final_logit_softcapping", 0.0);
        let config = read(file.u32("gemma2.attention.sliding_window", 16)).unwrap();
        assert_eq!((&config["attn_logit_softcapping"], &config["sliding_window"]), (&json!(50.0), &json!(16)));
        assert!(config["final_logit_softcapping"].is_null());

        let mut file = tiny("gemma3");
        file.f32("gemma3.rope.freq_base", 1e6);
        let error = read(&file).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { found, .. } if found.contains("window")), "{error}");
        file.u32("gemma3.attention.sliding_window", 8).f32("gemma3.final_logit_softcapping", 30.0);
        let config = read(&file).unwrap();
        assert_eq!((&config["model_type"], &config["sliding_window_pattern"]), (&json!("gemma3_text"), &json!(6)));
        assert_eq!((&config["rope_theta"], &config["rope_local_base_freq"]), (&json!(1e6), &json!(10_000.0)));
        assert_eq!(config["final_logit_softcapping"], 30.0);
    }

    #[test]
    fn the_largest_gemmas_divide_queries_by_another_number() {
        let sizes = |layers| Sizes {
            layers,
            hidden: 4608,
            heads: 32,
            key_value_heads: 16,
            head: 128,
            rotated: 128,
            context: 8,
        };
        assert_eq!((query_scalar(&sizes(46), 46), query_scalar(&sizes(42), 46)), (144, 128));
    }
}
