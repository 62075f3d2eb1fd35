//! Presents a model in a GGUF file as a Hugging Face checkpoint, with the same config entries, tensor names, row order and
//! values.
//!
//! It reverses the conversion by llama.cpp.

use std::collections::BTreeMap;
use std::sync::Arc;

use half::f16;
use serde_json::Value as Json;

use super::config::config;
use super::file::{Gguf, unsupported};
use super::rotary::is_rotary;
use super::settings::{Settings, Sizes};
use super::tokenizer;
use crate::model::files::Files;
use crate::model::number::{push_f16, unknown};
use crate::model::tensor_source::TensorInfo;
use crate::{Error, Result};

/// A model in a GGUF file, with the tensor names of a Hugging Face checkpoint.
pub struct Checkpoint {
    gguf: Gguf,
    config: Json,
    /// The tensors by Hugging Face name.
    tensors: BTreeMap<String, Source>,
}

struct Source {
    /// Name in the file.
    name: String,
    change: Change,
}

/// How the converter changed a tensor.
#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    /// It interleaved the halves of the rows of each of so many heads.
    Interleaved(usize),
    /// It added 1.
    Shifted,
}

impl Checkpoint {
    /// Opens a GGUF file of a known architecture.
    ///
    /// # Errors
    /// As [`Gguf::open`]; [`Error::Unsupported`] for other architectures, and for settings and tensors that are not
    /// understood; [`Error::Config`] and [`Error::Tensor`] for metadata that is missing or contradicts tensors.
    pub fn open(files: Arc<dyn Files>, name: &str) -> Result<Self> {
        let gguf = Gguf::open(files, name)?;
        let settings = Settings::read(&gguf)?;
        let sizes = Sizes::read(&settings)?;
        let tensors = rename(&settings, &sizes)?;
        let config = config(&settings, &sizes)?;
        Ok(Self { gguf, config, tensors })
    }

    /// The entries of a `config.json`.
    #[must_use]
    pub fn config(&self) -> &Json {
        &self.config
    }

    /// A `tokenizer.json`, which adds start and end tokens if the file requests them.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a tokenizer that is neither byte-level nor SentencePiece's BPE, [`Error::Config`] and
    /// [`Error::Broken`] where its parts are missing or contradict each other.
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

    /// Reads a tensor in row-major order, with rows and values as in Hugging Face checkpoints.
    ///
    /// # Errors
    /// [`Error::Tensor`] for an unknown name, [`Error::NonFinite`] for NaN and infinity.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let source = self.source(name)?;
        let mut values = self.gguf.read_f32(&source.name)?;
        match source.change {
            Change::Nothing => {}
            Change::Interleaved(heads) => values = self.apart(&source.name, heads, values),
            Change::Shifted => values.iter_mut().for_each(|value| *value -= 1.0),
        }
        Ok(values)
    }

    /// Like [`Checkpoint::read_f32`], in half precision.
    ///
    /// # Errors
    /// As [`Checkpoint::read_f32`]; [`Error::Tensor`] also for a value beyond the range of `f16`.
    pub fn read_f16(&self, name: &str) -> Result<Vec<f16>> {
        let source = self.source(name)?;
        match source.change {
            Change::Nothing => self.gguf.read_f16(&source.name),
            Change::Interleaved(heads) => Ok(self.apart(&source.name, heads, self.gguf.read_f16(&source.name)?)),
            Change::Shifted => {
                // Rounded once, after the subtraction.
                let mut values = Vec::new();
                push_f16(&self.place(), name, &self.read_f32(name)?, &mut values)?;
                Ok(values)
            }
        }
    }

    fn source(&self, name: &str) -> Result<&Source> {
        self.tensors.get(name).ok_or_else(|| unknown(self.place(), name))
    }

    fn apart<T: Copy>(&self, name: &str, heads: usize, values: Vec<T>) -> Vec<T> {
        match self.gguf.info(name).and_then(|info| info.shape.first().copied()) {
            Some(rows) => halves_apart(&values, rows, rows / heads),
            None => values,
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

/// The tensors by Hugging Face name.
fn rename(settings: &Settings<'_>, sizes: &Sizes) -> Result<BTreeMap<String, Source>> {
    let (gguf, architecture) = (settings.gguf, settings.architecture);
    let mut tensors = BTreeMap::new();
    for name in gguf.names() {
        if is_rotary(architecture.name, name) {
            continue;
        }
        let Some(new) = architecture.hugging_face(name, sizes.layers) else {
            let expected = format!("the tensors of a {} with {} layers", architecture.name, sizes.layers);
            return Err(unsupported(gguf, format!("tensor `{name}`"), &expected));
        };
        let change = match name.split('.').nth(2).unwrap_or_default() {
            "attn_q" if architecture.interleaved => interleaved(gguf, name, sizes.heads, sizes.head)?,
            "attn_k" if architecture.interleaved => interleaved(gguf, name, sizes.key_value_heads, sizes.head)?,
            _ if architecture.norms_shifted && name.ends_with("norm.weight") => Change::Shifted,
            _ => Change::Nothing,
        };
        tensors.insert(new, Source { name: name.to_owned(), change });
    }
    Ok(tensors)
}

fn interleaved(gguf: &Gguf, name: &str, heads: usize, head: usize) -> Result<Change> {
    let shape = gguf.info(name).map(|info| info.shape).unwrap_or_default();
    if shape.first().copied() == heads.checked_mul(head) {
        return Ok(Change::Interleaved(heads));
    }
    Err(Error::Tensor {
        file: gguf.place(),
        tensor: name.to_owned(),
        expected: format!("{heads} heads of {head} rows"),
        found: format!("{shape:?}"),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::fixture::{self, Writer, memory};
    use super::*;

    const QUERY: &str = "model.layers.0.self_attn.q_proj.weight";

    /// Two heads of width 4 for queries and one for keys.
    fn tiny(architecture: &str) -> Writer {
        fixture::tiny(architecture).rows("blk.0.attn_q.weight", 8).rows("blk.0.attn_k.weight", 4)
    }

    fn open(file: &Writer) -> Result<Checkpoint> {
        Checkpoint::open(memory(file.bytes()), "m.gguf")
    }

    #[test]
    fn names_and_rows_are_hugging_faces() {
        let model = open(&tiny("llama")).unwrap();
        assert_eq!(model.names(), ["model.embed_tokens.weight", "model.layers.0.self_attn.k_proj.weight", QUERY]);
        let rows = |name: &str| -> Vec<f32> { model.read_f32(name).unwrap().into_iter().step_by(8).collect() };
        assert_eq!(rows("model.embed_tokens.weight"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(rows(QUERY), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
        assert_eq!(rows("model.layers.0.self_attn.k_proj.weight"), [0.0, 2.0, 1.0, 3.0]);
        assert_eq!(model.read_f16(QUERY).unwrap()[8].to_f32(), 2.0);
        assert!(matches!(model.read_f32("token_embd.weight"), Err(Error::Tensor { .. })));
    }

    #[test]
    fn rows_are_interleaved_in_some_architectures() {
        for (architecture, second) in [("llama", 2.0), ("smollm3", 2.0), ("qwen2", 1.0), ("qwen3", 1.0), ("gemma", 1.0)]
        {
            assert_eq!(open(&tiny(architecture)).unwrap().read_f32(QUERY).unwrap()[8], second, "{architecture}");
        }
        // Biases too.
        let file = tiny("llama").f32s("blk.0.attn_q.bias", &[8], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]).bytes();
        let model = Checkpoint::open(memory(file), "m.gguf").unwrap();
        let bias = model.read_f32("model.layers.0.self_attn.q_proj.bias").unwrap();
        assert_eq!(bias, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
        assert_eq!(model.config()["attention_bias"], true);
    }

    #[test]
    fn norms_of_gemma_are_stored_less_1() {
        let mut file = tiny("gemma2");
        for part in ["post_attention_norm", "ffn_norm", "post_ffw_norm", "attn_norm"] {
            file.f32s(&format!("blk.0.{part}.weight"), &[2], &[1.5, 1.0]);
        }
        let model = open(file.f32s("output_norm.weight", &[1], &[3.0])).unwrap();
        for name in [
            "layers.0.post_attention_layernorm",
            "layers.0.pre_feedforward_layernorm",
            "layers.0.post_feedforward_layernorm",
            "layers.0.input_layernorm",
        ] {
            assert_eq!(model.read_f32(&format!("model.{name}.weight")).unwrap(), [0.5, 0.0], "{name}");
        }
        assert_eq!(model.read_f16("model.norm.weight").unwrap()[0].to_f32(), 2.0);
        assert_eq!(model.read_f32("model.embed_tokens.weight").unwrap()[8], 1.0);
    }

    #[test]
    fn parts_of_layers_are_those_of_the_architecture() {
        let names = |architecture: &str, part: &str| {
            let file = fixture::tiny(architecture).rows(&format!("blk.0.{part}"), 8);
            open(&file).map(|model| model.names().join(" ")).map_err(|error| error.to_string())
        };
        for (architecture, part, name) in [
            ("llama", "ffn_norm.weight", "post_attention_layernorm.weight"),
            ("qwen3", "attn_q_norm.weight", "self_attn.q_norm.weight"),
            ("gemma3", "attn_k_norm.weight", "self_attn.k_norm.weight"),
            ("phi3", "attn_qkv.weight", "self_attn.qkv_proj.weight"),
            ("phi3", "ffn_up.weight", "mlp.gate_up_proj.weight"),
            ("qwen2", "attn_k.bias", "self_attn.k_proj.bias"),
        ] {
            let file = |file: &mut Writer| match architecture {
                "gemma3" => open(file.u32("gemma3.attention.sliding_window", 8).f32("gemma3.rope.freq_base", 1e6)),
                _ => open(file),
            };
            let model = file(&mut fixture::tiny(architecture).rows(&format!("blk.0.{part}"), 8)).unwrap();
            assert!(model.names().contains(&format!("model.layers.0.{name}").as_str()), "{:?}", model.names());
        }
        for (architecture, part) in [
            ("llama", "attn_q_norm.weight"),
            ("llama", "attn_qkv.weight"),
            ("llama", "attn_norm.bias"),
            ("qwen2", "attn_output.bias"),
            ("qwen3", "ffn_up.bias"),
            ("phi3", "attn_q.weight"),
            ("phi3", "ffn_gate.weight"),
            ("gemma", "post_ffw_norm.weight"),
            ("qwen2", "attn_q.scale"),
        ] {
            let error = names(architecture, part).unwrap_err();
            assert!(error.contains(&format!("tensor `blk.0.{part}`")), "{error}");
        }
    }

    #[test]
    fn other_models_and_contradictions_are_refused() {
        let unsupported = |file: &Writer, word: &str| match open(file).err().unwrap() {
            Error::Unsupported { found, .. } => assert!(found.contains(word), "{found}"),
            error => panic!("{word}: {error}"),
        };
        unsupported(tiny("llama").text("general.architecture", "mamba"), "mamba");
        unsupported(tiny("llama").u32("llama.expert_count", 8), "experts");
        unsupported(tiny("llama").raw("llama.attention.causal", 7, &[0]), "later tokens");
        unsupported(tiny("llama").f32("llama.logit_scale", 2.0), "`llama.logit_scale`");
        unsupported(tiny("qwen2").u32("qwen2.attention.sliding_window", 8), "`qwen2.attention.sliding_window`");
        unsupported(&tiny("llama").rows("blk.1.attn_v.weight", 4), "blk.1.attn_v.weight");
        unsupported(&tiny("llama").rows("blk.00.attn_v.weight", 4), "blk.00");
        unsupported(&tiny("qwen2").rows("rope_freqs.weight", 2), "rope_freqs.weight");
        for (key, value) in [
            ("llama.block_count", 1 << 30),
            ("llama.block_count", 0),
            ("llama.attention.head_count", 0),
            ("llama.attention.head_count", 3),
            ("llama.attention.head_count", 16),
            ("llama.attention.head_count_kv", 4),
            ("llama.attention.value_length", 2),
            ("llama.embedding_length", u32::MAX),
            ("llama.vocab_size", 7),
            ("llama.rope.dimension_count", 2),
            ("llama.context_length", 0),
        ] {
            let error = open(tiny("llama").u32(key, value)).err().unwrap();
            assert!(matches!(&error, Error::Config { field, .. } if field == key), "{key} {value}: {error}");
        }
        assert!(matches!(open(tiny("llama").f32("llama.rope.freq_base", f32::NAN)), Err(Error::Config { .. })));
        for (key, value) in [("llama.embedding_length", 16), ("llama.attention.key_length", 6)] {
            assert!(matches!(open(tiny("llama").u32(key, value)), Err(Error::Tensor { .. })), "{key}");
        }
    }
}
