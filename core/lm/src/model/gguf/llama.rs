//! Presents a Llama in a GGUF file as a Hugging Face checkpoint, with the same config entries, tensor names and row
//! order.
//!
//! It reverses the conversion by `LlamaModel` in llama.cpp's `convert_hf_to_gguf.py`.

use std::collections::BTreeMap;
use std::sync::Arc;

use half::f16;
use serde_json::{Value as Json, json};

use super::file::{Gguf, entry_error, unsupported};
use super::reader::Value;
use super::tokenizer;
use super::vocabulary::token_id;
use crate::model::files::Files;
use crate::model::number::unknown;
use crate::model::tensor_source::TensorInfo;
use crate::{Error, Result};

/// The tensors of a layer: names in GGUF files and in Hugging Face checkpoints.
const LAYER: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// A Llama in a GGUF file, with the tensor names of a Hugging Face checkpoint.
pub struct Llama {
    gguf: Gguf,
    config: Json,
    /// The tensors by Hugging Face name.
    tensors: BTreeMap<String, Source>,
}

struct Source {
    /// Name in the file.
    name: String,
    /// Number of heads whose rows the converter interleaved (for query and key projections).
    heads: Option<usize>,
}

/// Opens a GGUF file of the `llama` architecture.
///
/// # Errors
/// As [`Gguf::open`]; [`Error::Unsupported`] for other architectures, experts, scaled rotary embeddings and tensors a
/// Llama does not have; [`Error::Config`] and [`Error::Tensor`] for metadata that is missing or contradicts tensors.
pub fn llama(files: Arc<dyn Files>, name: &str) -> Result<Llama> {
    let gguf = Gguf::open(files, name)?;
    let heads = check_architecture(&gguf)?;
    let tensors = rename(&gguf, &heads)?;
    let config = config(&gguf, &heads)?;
    Ok(Llama { gguf, config, tensors })
}

impl Llama {
    /// The entries of a `config.json` for `LlamaForCausalLM`.
    #[must_use]
    pub fn config(&self) -> &Json {
        &self.config
    }

    /// A `tokenizer.json` of byte-level BPE, which adds the start token if the file requests it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where it is not byte-level BPE, [`Error::Broken`] where its parts contradict each other.
    pub fn tokenizer(&self) -> Result<Json> {
        tokenizer::tokenizer(&self.gguf)
    }

    /// The underlying GGUF file.
    #[must_use]
    pub fn gguf(&self) -> &Gguf {
        &self.gguf
    }

    /// The path or name of the file, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        self.gguf.place()
    }

    /// All Hugging Face names, sorted. They include `lm_head.weight` only if it is not tied to the embeddings.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    /// Shape and type of a tensor; `None` if no tensor has this name.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<TensorInfo> {
        self.gguf.info(&self.tensors.get(name)?.name)
    }

    /// Reads a tensor in row-major order, with the rows of query and key projections in Hugging Face's order.
    ///
    /// # Errors
    /// [`Error::Tensor`] for an unknown name, [`Error::NonFinite`] for NaN and infinity.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        self.read(name, |name| self.gguf.read_f32(name))
    }

    /// Like [`Llama::read_f32`], in half precision.
    ///
    /// # Errors
    /// As [`Llama::read_f32`]; [`Error::Tensor`] also for a value beyond the range of `f16`.
    pub fn read_f16(&self, name: &str) -> Result<Vec<f16>> {
        self.read(name, |name| self.gguf.read_f16(name))
    }

    fn read<T: Copy>(&self, name: &str, read: impl Fn(&str) -> Result<Vec<T>>) -> Result<Vec<T>> {
        let source = self.tensors.get(name).ok_or_else(|| unknown(self.place(), name))?;
        let values = read(&source.name)?;
        let rows = self.gguf.info(&source.name).and_then(|info| info.shape.first().copied());
        match (source.heads, rows) {
            (Some(heads), Some(rows)) => Ok(halves_apart(&values, rows, rows / heads)),
            _ => Ok(values),
        }
    }
}

/// Restores the row order of each head. The converter interleaved the two halves of the rows, which rotary embeddings
/// rotate in pairs: 0, h/2, 1, h/2+1, ...
fn halves_apart<T: Copy>(values: &[T], rows: usize, head: usize) -> Vec<T> {
    let width = values.len() / rows;
    let mut out = Vec::with_capacity(values.len());
    for head in values.chunks_exact(head * width) {
        for half in 0..2 {
            for pair in head.chunks_exact(2 * width) {
                out.extend_from_slice(&pair[half * width..][..width]);
            }
        }
    }
    out
}

struct Heads {
    layers: usize,
    query: usize,
    key_value: usize,
    /// Dimension of a head.
    dim: usize,
    hidden: usize,
}

fn shape_error(gguf: &Gguf, tensor: &str, expected: String, shape: &[usize]) -> Error {
    Error::Tensor { file: gguf.place(), tensor: tensor.to_owned(), expected, found: format!("{shape:?}") }
}

/// A metadata entry that must be an integer from 1 to 2^31 - 1.
fn whole(gguf: &Gguf, key: &str) -> Result<usize> {
    let value = gguf.metadata(key).and_then(Value::as_u64).filter(|n| (1..1 << 31).contains(n));
    let value = value.and_then(|n| usize::try_from(n).ok());
    value.ok_or_else(|| entry_error(gguf, key, "a whole number above 0"))
}

fn whole_or(gguf: &Gguf, key: &str, default: usize) -> Result<usize> {
    if gguf.metadata(key).is_some() { whole(gguf, key) } else { Ok(default) }
}

/// A metadata entry that must be a positive finite floating-point number.
fn positive(gguf: &Gguf, key: &str, default: Option<f64>) -> Result<f64> {
    let value = if gguf.metadata(key).is_some() { gguf.metadata(key).and_then(Value::as_f64) } else { default };
    value.filter(|v| *v > 0.0 && v.is_finite()).ok_or_else(|| entry_error(gguf, key, "a number above 0"))
}

fn check_architecture(gguf: &Gguf) -> Result<Heads> {
    match gguf.metadata("general.architecture") {
        Some(Value::String(name)) if name == "llama" => {}
        Some(Value::String(name)) => return Err(unsupported(gguf, format!("the architecture {name:?}"), "llama")),
        _ => return Err(entry_error(gguf, "general.architecture", "the name of an architecture")),
    }
    if gguf.metadata("llama.expert_count").is_some_and(|n| n.as_u64() != Some(0)) {
        return Err(unsupported(gguf, "a mixture of experts", "dense Llama models"));
    }
    let scaling = gguf.metadata("llama.rope.scaling.type").is_some_and(|kind| kind.as_str() != Some("none"));
    if scaling || gguf.info("rope_freqs.weight").is_some() {
        return Err(unsupported(gguf, "scaled rotary embeddings", "Llama models without rope scaling"));
    }
    let layers = whole(gguf, "llama.block_count")?;
    let query = whole(gguf, "llama.attention.head_count")?;
    let key_value = whole_or(gguf, "llama.attention.head_count_kv", query)?;
    let hidden = whole(gguf, "llama.embedding_length")?;
    if !query.is_multiple_of(key_value) {
        return Err(entry_error(gguf, "llama.attention.head_count_kv", &format!("a divisor of the {query} heads")));
    }
    if gguf.metadata("llama.attention.key_length").is_none() && !hidden.is_multiple_of(query) {
        return Err(entry_error(gguf, "llama.attention.head_count", &format!("a divisor of the width {hidden}")));
    }
    let dim = whole_or(gguf, "llama.attention.key_length", hidden / query)?;
    if !dim.is_multiple_of(2) {
        return Err(entry_error(gguf, "llama.attention.head_count", "heads of even width"));
    }
    for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
        if whole_or(gguf, key, dim)? != dim {
            return Err(entry_error(gguf, key, &format!("the width of a head, {dim}")));
        }
    }
    if layers > gguf.names().len() {
        return Err(entry_error(gguf, "llama.block_count", "no more layers than the file has tensors"));
    }
    Ok(Heads { layers, query, key_value, dim, hidden })
}

/// The Hugging Face name of a tensor; `None` if a Llama has no such tensor.
fn hugging_face(name: &str, layers: usize) -> Option<String> {
    match name {
        "token_embd.weight" => return Some("model.embed_tokens.weight".to_owned()),
        "output_norm.weight" => return Some("model.norm.weight".to_owned()),
        "output.weight" => return Some("lm_head.weight".to_owned()),
        _ => {}
    }
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    let (part, end) = rest.split_once('.')?;
    let number: usize = layer.parse().ok()?;
    // Only the canonical spelling, so that no two names denote the same tensor.
    if number >= layers || number.to_string() != layer || !matches!(end, "weight" | "bias") {
        return None;
    }
    let (_, part) = LAYER.iter().find(|(gguf, _)| *gguf == part)?;
    Some(format!("model.layers.{number}.{part}.{end}"))
}

fn rename(gguf: &Gguf, heads: &Heads) -> Result<BTreeMap<String, Source>> {
    let mut tensors = BTreeMap::new();
    for name in gguf.names() {
        let Some(new) = hugging_face(name, heads.layers) else {
            let expected = format!("the tensors of a Llama with {} layers", heads.layers);
            return Err(unsupported(gguf, format!("tensor `{name}`"), &expected));
        };
        let part = name.split('.').nth(2).unwrap_or_default();
        let count = match part {
            "attn_q" => Some(heads.query),
            "attn_k" => Some(heads.key_value),
            _ => None,
        };
        if let Some(count) = count {
            let shape = gguf.info(name).map(|info| info.shape).unwrap_or_default();
            if shape.first().copied() != count.checked_mul(heads.dim) {
                return Err(shape_error(gguf, name, format!("{count} heads of {} rows", heads.dim), &shape));
            }
        }
        tensors.insert(new, Source { name: name.to_owned(), heads: count });
    }
    Ok(tensors)
}

fn config(gguf: &Gguf, heads: &Heads) -> Result<Json> {
    let embeddings = gguf.info("token_embd.weight").ok_or_else(|| unknown(gguf.place(), "token_embd.weight"))?;
    let vocab = match embeddings.shape[..] {
        [vocab, hidden] if hidden == heads.hidden => vocab,
        _ => {
            let expected = format!("[vocabulary, {}]", heads.hidden);
            return Err(shape_error(gguf, "token_embd.weight", expected, &embeddings.shape));
        }
    };
    if whole_or(gguf, "llama.vocab_size", vocab)? != vocab {
        return Err(entry_error(gguf, "llama.vocab_size", &format!("the {vocab} rows of token_embd.weight")));
    }
    let bias = |part: &str| gguf.info(&format!("blk.0.{part}.bias")).is_some();
    let mut config = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": heads.hidden,
        "intermediate_size": whole(gguf, "llama.feed_forward_length")?,
        "num_hidden_layers": heads.layers,
        "num_attention_heads": heads.query,
        "num_key_value_heads": heads.key_value,
        "head_dim": heads.dim,
        "vocab_size": vocab,
        "max_position_embeddings": whole(gguf, "llama.context_length")?,
        "rms_norm_eps": positive(gguf, "llama.attention.layer_norm_rms_epsilon", None)?,
        "rope_theta": positive(gguf, "llama.rope.freq_base", Some(10_000.0))?,
        "hidden_act": "silu",
        "attention_bias": bias("attn_q"),
        "mlp_bias": bias("ffn_up"),
        "tie_word_embeddings": gguf.info("output.weight").is_none(),
        "torch_dtype": "float32",
    });
    for (entry, key) in [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")] {
        if let Some(id) = token_id(gguf, key, vocab)? {
            config[entry] = id.into();
        }
    }
    Ok(config)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(crate) mod tests {
    use super::super::fixture::{Writer, memory};
    use super::*;

    /// A Llama of one layer: 2 heads of width 4, 1 key-value head, 6 tokens.
    pub(crate) fn tiny() -> Writer {
        let mut file = Writer::default();
        file.text("general.architecture", "llama").raw(
            "llama.attention.layer_norm_rms_epsilon",
            6,
            &1e-5f32.to_le_bytes(),
        );
        for (key, value) in [
            ("block_count", 1),
            ("context_length", 64),
            ("embedding_length", 8),
            ("feed_forward_length", 4),
            ("attention.head_count", 2),
            ("attention.head_count_kv", 1),
        ] {
            file.u32(&format!("llama.{key}"), value);
        }
        for (name, rows, width) in [("token_embd", 6, 8), ("blk.0.attn_q", 8, 8), ("blk.0.attn_k", 4, 8)] {
            let values: Vec<f32> = (0..rows * width).map(|i| (i / width) as f32).collect();
            file.f32s(&format!("{name}.weight"), &[rows, width], &values);
        }
        file
    }

    fn open(file: &Writer) -> Result<Llama> {
        llama(memory(file.bytes()), "m.gguf")
    }

    #[test]
    fn names_config_and_rows_are_hugging_faces() {
        let model = open(&tiny()).unwrap();
        let query = "model.layers.0.self_attn.q_proj.weight";
        assert_eq!(model.names(), ["model.embed_tokens.weight", "model.layers.0.self_attn.k_proj.weight", query]);
        let rows = |name: &str| -> Vec<f32> { model.read_f32(name).unwrap().into_iter().step_by(8).collect() };
        assert_eq!(rows("model.embed_tokens.weight"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(rows(query), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
        assert_eq!(rows("model.layers.0.self_attn.k_proj.weight"), [0.0, 2.0, 1.0, 3.0]);
        assert_eq!(model.read_f16(query).unwrap()[8].to_f32(), 2.0);
        let config = model.config();
        assert_eq!(config["rms_norm_eps"], 1e-5);
        assert_eq!(config["rope_theta"], 10_000.0);
        assert_eq!(config["tie_word_embeddings"], true);
        assert_eq!((&config["head_dim"], &config["vocab_size"]), (&json!(4), &json!(6)));
        assert!(config.get("bos_token_id").is_none());
        assert!(matches!(model.read_f32("token_embd.weight"), Err(Error::Tensor { .. })));
    }

    #[test]
    fn other_models_and_contradictions_are_refused() {
        let unsupported = |file: &Writer, word: &str| match open(file).err().unwrap() {
            Error::Unsupported { found, .. } => assert!(found.contains(word), "{found}"),
            error => panic!("{word}: {error}"),
        };
        unsupported(tiny().text("general.architecture", "qwen2"), "qwen2");
        unsupported(tiny().u32("llama.expert_count", 8), "experts");
        unsupported(tiny().text("llama.rope.scaling.type", "yarn"), "rotary");
        unsupported(tiny().f32s("rope_freqs.weight", &[2], &[1.0; 2]), "rotary");
        unsupported(tiny().f32s("blk.1.attn_v.weight", &[4, 8], &[0.0; 32]), "blk.1.attn_v.weight");
        unsupported(tiny().f32s("blk.00.attn_v.weight", &[4, 8], &[0.0; 32]), "blk.00");
        for (key, value) in [
            ("llama.block_count", 1 << 30),
            ("llama.block_count", 0),
            ("llama.attention.head_count", 0),
            ("llama.attention.head_count", 3),
            ("llama.attention.head_count_kv", 4),
            ("llama.embedding_length", u32::MAX),
            ("llama.vocab_size", 7),
            ("llama.rope.dimension_count", 2),
            ("llama.context_length", 0),
        ] {
            let error = open(tiny().u32(key, value)).err().unwrap();
            assert!(matches!(&error, Error::Config { field, .. } if field == key), "{key} {value}: {error}");
        }
        let nan = f32::NAN.to_le_bytes();
        assert!(matches!(open(tiny().raw("llama.rope.freq_base", 6, &nan)), Err(Error::Config { .. })));
        for (key, value) in [("llama.embedding_length", 16), ("llama.attention.key_length", 6)] {
            assert!(matches!(open(tiny().u32(key, value)), Err(Error::Tensor { .. })), "{key}");
        }
    }
}
