//! Random initial weights for a config, for models trained from scratch.

use crate::model::LanguageModel;
use crate::model::config::{Config, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use crate::{Error, Result};
use record::random::{Purpose, Stream};

pub use crate::model::save::Weights;

/// Maximum number of values; models trained from scratch on one machine have fewer.
const MOST: usize = 1 << 31;

struct Draw {
    seed: u64,
    weights: Weights,
    total: usize,
}

impl Draw {
    /// Adds a matrix with values from N(0, deviation^2).
    fn matrix(&mut self, name: String, shape: [usize; 2], deviation: f64) -> Result<()> {
        let n = shape[0].saturating_mul(shape[1]);
        self.total = self.total.saturating_add(n);
        if self.total > MOST {
            let found = format!("more than {} with `{name}`", self.total);
            return Err(Error::input("config.json", format!("at most {MOST} parameters"), found));
        }
        let mut stream = Stream::new(self.seed, Purpose::Weights, self.weights.len() as u64, 0);
        // Box and Muller (1958).
        let mut normal = || {
            let radius = (-2.0 * (1.0 - stream.uniform()).ln()).sqrt();
            radius * (std::f64::consts::TAU * stream.uniform()).cos() * deviation
        };
        let values = (0..n).map(|_| normal() as f32).collect();
        self.weights.insert(name, (shape.to_vec(), values));
        Ok(())
    }

    fn vector(&mut self, name: String, n: usize, value: f32) {
        self.weights.insert(name, (vec![n], vec![value; n]));
    }
}

/// Initial weights of a new model; each tensor depends only on the seed and its index.
///
/// GPT-2 and Llama are initialised with `initializer_range`, and with smaller projections into the residual stream the
/// more layers there are (Radford et al. 2019). T5 is initialised as in its reference, except that a separate output
/// projection gets a deviation of 1 / sqrt(hidden), so that the first loss is near ln(vocabulary). RoBERTa differs from
/// its reference in the attention of the lower layers.
///
/// # Errors
/// [`Error::Config`]; [`Error::Unsupported`] for an architecture that is not trained from scratch; [`Error::Input`] for
/// one with more than 2^31 parameters.
pub fn initial(config: &Config, seed: u64) -> Result<Weights> {
    if config.model_type()? == "roberta" {
        return roberta(config, seed);
    }
    let shape = LanguageModel::sizes_of(config)?;
    let (d, vocabulary, layers) = (shape.hidden, shape.vocabulary, shape.layers);
    let (width, kv) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    let mut draw = Draw { seed, weights: Weights::new(), total: 0 };
    let root = |n: usize| 1.0 / (n as f64).sqrt();
    let deviation = config.positive_or("initializer_range", 0.02)?;
    let into_stream = deviation * root(2 * layers);
    match config.model_type()? {
        "gpt2" => {
            let inner = config.size_or("n_inner", HIDDEN, 4 * d)?;
            draw.matrix("transformer.wte.weight".into(), [vocabulary, d], deviation)?;
            draw.matrix("transformer.wpe.weight".into(), [shape.positions, d], deviation)?;
            if !shape.tied {
                draw.matrix("lm_head.weight".into(), [vocabulary, d], deviation)?;
            }
            let mut norms = vec!["transformer.ln_f".to_owned()];
            for i in 0..layers {
                let n = |part: &str| format!("transformer.h.{i}.{part}");
                norms.extend([n("ln_1"), n("ln_2")]);
                for (part, inputs, outputs, deviation) in [
                    ("attn.c_attn", d, 3 * d, deviation),
                    ("attn.c_proj", d, d, into_stream),
                    ("mlp.c_fc", d, inner, deviation),
                    ("mlp.c_proj", inner, d, into_stream),
                ] {
                    draw.matrix(n(&format!("{part}.weight")), [inputs, outputs], deviation)?;
                    draw.vector(n(&format!("{part}.bias")), outputs, 0.0);
                }
            }
            for norm in norms {
                draw.vector(format!("{norm}.weight"), d, 1.0);
                draw.vector(format!("{norm}.bias"), d, 0.0);
            }
        }
        "llama" => {
            let inner = config.size("intermediate_size", HIDDEN)?;
            draw.matrix("model.embed_tokens.weight".into(), [vocabulary, d], deviation)?;
            if !shape.tied {
                draw.matrix("lm_head.weight".into(), [vocabulary, d], deviation)?;
            }
            draw.vector("model.norm.weight".into(), d, 1.0);
            for i in 0..layers {
                let n = |part: &str| format!("model.layers.{i}.{part}.weight");
                draw.vector(n("input_layernorm"), d, 1.0);
                draw.vector(n("post_attention_layernorm"), d, 1.0);
                for (part, outputs, inputs, deviation) in [
                    ("self_attn.q_proj", width, d, deviation),
                    ("self_attn.k_proj", kv, d, deviation),
                    ("self_attn.v_proj", kv, d, deviation),
                    ("self_attn.o_proj", d, width, into_stream),
                    ("mlp.gate_proj", inner, d, deviation),
                    ("mlp.up_proj", inner, d, deviation),
                    ("mlp.down_proj", d, inner, into_stream),
                ] {
                    draw.matrix(n(part), [outputs, inputs], deviation)?;
                    let entry = if part.starts_with("mlp") { "mlp_bias" } else { "attention_bias" };
                    if config.flag_or(entry, false)? {
                        draw.vector(n(part).replace(".weight", ".bias"), outputs, 0.0);
                    }
                }
            }
        }
        "t5" => {
            let inner = config.size("d_ff", HIDDEN)?;
            let gated = config.get("feed_forward_proj").and_then(serde_json::Value::as_str);
            let gated = gated.is_some_and(|kind| kind.starts_with("gated-"));
            draw.matrix("shared.weight".into(), [vocabulary, d], 1.0)?;
            if !config.flag_or("tie_word_embeddings", true)? {
                draw.matrix("lm_head.weight".into(), [vocabulary, d], root(d))?;
            }
            let buckets = config.size_or("relative_attention_num_buckets", 4..=4096, 32)?;
            let stacks = [("encoder", config.size("num_layers", LAYERS)?, 1), ("decoder", layers, 2)];
            for (stack, layers, last) in stacks {
                let first = format!("{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
                draw.matrix(first, [buckets, shape.heads], root(d))?;
                draw.vector(format!("{stack}.final_layer_norm.weight"), d, 1.0);
                for i in 0..layers {
                    let n = |layer: usize, part: &str| format!("{stack}.block.{i}.layer.{layer}.{part}.weight");
                    for layer in 0..=last {
                        draw.vector(n(layer, "layer_norm"), d, 1.0);
                    }
                    for (layer, attention) in [(0, "SelfAttention"), (1, "EncDecAttention")].into_iter().take(last) {
                        let part = |p: &str| n(layer, &format!("{attention}.{p}"));
                        draw.matrix(part("q"), [width, d], root(d) * root(shape.head_dim))?;
                        draw.matrix(part("k"), [width, d], root(d))?;
                        draw.matrix(part("v"), [width, d], root(d))?;
                        draw.matrix(part("o"), [d, width], root(width))?;
                    }
                    let ups: &[&str] = if gated { &["wi_0", "wi_1"] } else { &["wi"] };
                    for up in ups {
                        draw.matrix(n(last, &format!("DenseReluDense.{up}")), [inner, d], root(d))?;
                    }
                    draw.matrix(n(last, "DenseReluDense.wo"), [d, inner], root(inner))?;
                }
            }
        }
        other => {
            return Err(Error::Unsupported {
                file: config.file().to_owned(),
                found: format!("model_type \"{other}\" as a new model"),
                expected: "gpt2, llama, t5, roberta".into(),
            });
        }
    }
    Ok(draw.weights)
}

/// A RoBERTa classifier: N(0, `initializer_range`^2) and zero biases as in its reference, with position and token type
/// embeddings a quarter as large, except for attention in the lower half of the layers. There the key weights equal the
/// query weights, reflected along the direction that separates the token types of the two texts, so that from the first
/// step a token attends to the same word in the other text. With the reference's initialisation the tiny critic barely
/// learned more than the label frequencies (docs/log/2026-11-26-tiny-models.md).
fn roberta(config: &Config, seed: u64) -> Result<Weights> {
    let mut draw = Draw { seed, weights: Weights::new(), total: 0 };
    let d = config.size("hidden_size", HIDDEN)?;
    let inner = config.size("intermediate_size", HIDDEN)?;
    let layers = config.size("num_hidden_layers", LAYERS)?;
    let deviation = config.positive_or("initializer_range", 0.02)?;
    let mut norms = vec!["roberta.embeddings.LayerNorm".to_owned()];
    for (table, rows) in [
        ("word", config.size("vocab_size", VOCABULARY)?),
        ("position", config.size("max_position_embeddings", POSITIONS)?),
        ("token_type", config.size_or("type_vocab_size", 1..=64, 2)?),
    ] {
        let of = if table == "word" { 1.0 } else { 0.25 };
        draw.matrix(format!("roberta.embeddings.{table}_embeddings.weight"), [rows, d], of * deviation)?;
    }
    let apart = kinds_apart(&mut draw, d, deviation);
    let mut linear = |name: String, outputs: usize, inputs: usize| {
        draw.matrix(format!("{name}.weight"), [outputs, inputs], deviation)?;
        draw.vector(format!("{name}.bias"), outputs, 0.0);
        Ok::<_, Error>(())
    };
    for i in 0..layers {
        let n = |part: &str| format!("roberta.encoder.layer.{i}.{part}");
        for part in ["query", "key", "value"] {
            linear(n(&format!("attention.self.{part}")), d, d)?;
        }
        linear(n("attention.output.dense"), d, d)?;
        linear(n("intermediate.dense"), inner, d)?;
        linear(n("output.dense"), d, inner)?;
        norms.extend([n("attention.output.LayerNorm"), n("output.LayerNorm")]);
    }
    linear("classifier.dense".into(), d, d)?;
    linear("classifier.out_proj".into(), config.labels()?.len(), d)?;
    for i in 0..layers.div_ceil(2) {
        let n = |part: &str| format!("roberta.encoder.layer.{i}.attention.self.{part}.weight");
        draw.matrix(n("query"), [d, d], 1.0 / (d as f64).sqrt())?;
        let query = draw.weights.get(&n("query")).cloned();
        let key = query.map(|(shape, rows)| (shape, rows.chunks(d).flat_map(|row| turned(row, &apart)).collect()));
        draw.weights.extend(key.map(|key| (n("key"), key)));
    }
    for norm in norms {
        draw.vector(format!("{norm}.weight"), d, 1.0);
        draw.vector(format!("{norm}.bias"), d, 0.0);
    }
    Ok(draw.weights)
}

/// Makes the embeddings of the first two token types opposites, and returns their direction, of length 1; empty if
/// there is only one type.
fn kinds_apart(draw: &mut Draw, d: usize, deviation: f64) -> Vec<f32> {
    let name = "roberta.embeddings.token_type_embeddings.weight";
    let Some((shape, values)) = draw.weights.get_mut(name) else { return Vec::new() };
    let [first, second] = match values.get_mut(..2 * d) {
        Some(both) if shape[0] >= 2 => {
            let (first, second) = both.split_at_mut(d);
            [first, second]
        }
        _ => return Vec::new(),
    };
    let mean = first.iter().sum::<f32>() / d as f32;
    // Layer normalisation would remove a mean.
    first.iter_mut().for_each(|v| *v -= mean);
    let length = first.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    let direction: Vec<f32> = first.iter().map(|v| v / length).collect();
    let far = (0.7 * deviation * (d as f64).sqrt()) as f32;
    for ((a, b), u) in first.iter_mut().zip(second).zip(&direction) {
        (*a, *b) = (far * u, -far * u);
    }
    direction
}

/// A row of a matrix reflected along `direction`.
fn turned(row: &[f32], direction: &[f32]) -> Vec<f32> {
    let along: f32 = row.iter().zip(direction).map(|(a, u)| a * u).sum();
    let back = direction.iter().chain(std::iter::repeat(&0.0));
    row.iter().zip(back).map(|(a, u)| a - 2.0 * along * u).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tensors::Tensors;

    #[test]
    fn every_architecture_loads_what_is_drawn() -> Result<()> {
        let device = crate::device::Compute::open(record::DeviceSpec::Flex)?.device;
        for text in [
            r#"{"model_type": "gpt2", "n_embd": 24, "n_head": 2, "n_layer": 2, "vocab_size": 50, "n_positions": 16}"#,
            r#"{"model_type": "llama", "hidden_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2,
                "num_hidden_layers": 2, "vocab_size": 50, "intermediate_size": 40}"#,
            r#"{"model_type": "t5", "d_model": 24, "d_kv": 5, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 1,
                "d_ff": 40, "vocab_size": 50}"#,
            r#"{"model_type": "t5", "d_model": 24, "d_kv": 5, "num_heads": 4, "num_layers": 1, "d_ff": 40,
                "vocab_size": 50, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false}"#,
        ] {
            let config = Config::parse("config.json", text.as_bytes())?;
            let weights = initial(&config, 5)?;
            assert_eq!(weights, initial(&config, 5)?);
            assert_ne!(weights, initial(&config, 6)?);
            let lm = LanguageModel::load(&config, &Tensors::Memory(weights), &device)?;
            let (_, logits) = lm.prefill(&[3, 7, 9], &device)?;
            let logits = logits.into_data().try_into_vec::<f32>().unwrap_or_default();
            let most = logits.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            assert!(logits.len() == 50 && most < 6.0, "{most} in {text}");
        }
        let bert = Config::parse("config.json", br#"{"model_type": "bert"}"#)?;
        assert!(matches!(initial(&bert, 0), Err(Error::Unsupported { .. })));
        Ok(())
    }
}
