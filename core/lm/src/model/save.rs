//! Saving a model as a folder in the layout of the Hugging Face hub, which this program and transformers can load.

use std::collections::BTreeMap;

use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use super::LanguageModel;
use super::config::Config;
use super::safetensors::INDEX;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Weights by name, each with its shape and its values in row-major order.
pub type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Number type of the saved weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point, as trained.
    F32,
    /// 16-bit floating point.
    F16,
}

/// A weight with its name: (name, (shape, values)).
type Named<'a> = (&'a String, &'a (Vec<usize>, Vec<f32>));

/// How the weights are written.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Number type of the weights.
    pub precision: Precision,
    /// Largest size of a weight file in bytes; `None` = one file.
    pub shard: Option<u64>,
}

impl Default for Layout {
    /// One file of 32-bit weights.
    fn default() -> Self {
        Self { precision: Precision::F32, shard: None }
    }
}

/// The content of a model folder.
#[derive(Debug, Clone)]
pub struct Trained {
    /// Configuration, from which `config.json` is written.
    pub config: Config,
    /// Text of `tokenizer.json`.
    pub tokenizer: String,
    /// Id and text of the end-of-text token; `None` for a classifier.
    pub eos: Option<(u32, String)>,
    /// Text of the padding token, if there is one.
    pub pad: Option<String>,
    /// Names and contents of more files.
    pub extra: Vec<(&'static str, Vec<u8>)>,
    /// The weights.
    pub weights: Weights,
    /// Text of the model card, `README.md`.
    pub card: String,
}

impl Trained {
    /// A model folder of these parts, with an empty model card; `eos` and `pad` are token ids.
    ///
    /// # Errors
    /// Errors of writing the tokenizer as JSON.
    pub fn new(
        config: &Config,
        tokenizer: &Tokenizer,
        (eos, pad): (Option<u32>, Option<u32>),
        weights: Weights,
    ) -> Result<Self> {
        let token = |id| tokenizer.token(id);
        Ok(Self {
            config: config.clone(),
            tokenizer: tokenizer.to_json()?,
            eos: eos.map(|id| (id, token(id).unwrap_or_default())),
            pad: pad.and_then(token),
            extra: Vec::new(),
            weights,
            card: String::new(),
        })
    }
}

fn bytes(values: &[f32], precision: Precision) -> Vec<u8> {
    match precision {
        Precision::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Precision::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
    }
}

/// Ranges of tensors that fit into a file of at most `most` bytes; a larger tensor gets a file of its own.
fn shards(sizes: &[u64], most: Option<u64>) -> Vec<std::ops::Range<usize>> {
    let most = most.unwrap_or(u64::MAX);
    let (mut out, mut from, mut size) = (Vec::new(), 0, 0_u64);
    for (i, &n) in sizes.iter().enumerate() {
        if i > from && size.saturating_add(n) > most {
            out.push(from..i);
            (from, size) = (i, 0);
        }
        size = size.saturating_add(n);
    }
    out.push(from..sizes.len());
    out
}

/// Passes every file of the folder to `put` as (name, content), one at a time; `place` is the folder's name in
/// messages.
///
/// # Errors
/// Errors of `put`; [`Error::NonFinite`] for weights that are not finite in this precision.
pub fn save(
    place: &str,
    model: &Trained,
    layout: Layout,
    put: &mut dyn FnMut(&str, &[u8]) -> Result<()>,
) -> Result<()> {
    let precision = layout.precision;
    let most = if precision == Precision::F16 { f32::from(f16::MAX) } else { f32::MAX };
    for (name, (_, values)) in &model.weights {
        if !values.iter().all(|v| v.abs() <= most) {
            let what = format!("a value of tensor `{name}`, in this precision,");
            return Err(Error::NonFinite { what, place: place.to_owned() });
        }
    }
    let sizes = if model.eos.is_some() { Some(LanguageModel::sizes_of(&model.config)?) } else { None };
    let start = sizes.as_ref().and_then(|sizes| sizes.start);
    let tied = sizes.is_some_and(|sizes| sizes.tied);
    let dtype = if precision == Precision::F16 { Dtype::F16 } else { Dtype::F32 };
    let failed = |e: safetensors::SafeTensorError| Error::broken(place, e.to_string());
    // A tied head is not saved, nor are the tables of an encoder and a decoder that share one: these copies would be
    // outdated. A table that exists under such a name only is no copy.
    let has = |ends: &[&str]| model.weights.keys().any(|name| ends.iter().any(|end| name.ends_with(end)));
    let (table, shared) =
        (has(&["embed_tokens.weight", "wte.weight", "embed_in.weight", "shared.weight"]), has(&["shared.weight"]));
    let copy = |name: &str| {
        let head =
            ["lm_head.weight", "output_projection.weight", "embed_out.weight"].iter().any(|end| name.ends_with(end));
        (tied && table && head) || (start.is_some() && shared && name.ends_with("coder.embed_tokens.weight"))
    };
    let used = model.weights.iter().filter(|(name, _)| !copy(name));
    let used: Vec<Named<'_>> = used.collect();
    let width = if dtype == Dtype::F16 { 2 } else { 4 };
    let sizes: Vec<u64> = used.iter().map(|(_, (_, v))| v.len() as u64 * width).collect();
    let parts = shards(&sizes, layout.shard);
    let file = |part: &[Named<'_>]| -> Result<Vec<u8>> {
        let data: Vec<_> = part.iter().map(|(name, (shape, v))| (*name, shape, bytes(v, precision))).collect();
        let views = data
            .iter()
            .map(|(name, shape, data)| Ok((name.as_str(), TensorView::new(dtype, (*shape).clone(), data)?)))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(failed)?;
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        safetensors::serialize(views, Some(metadata)).map_err(failed)
    };

    let mut config = model.config.entries().clone();
    config.insert("torch_dtype".into(), json!(if dtype == Dtype::F16 { "float16" } else { "float32" }));
    let mut tokens = json!({"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false});
    let mut generation = None;
    if let Some(token) = model.pad.as_ref().or(model.eos.as_ref().map(|e| &e.1)) {
        tokens["pad_token"] = json!(token);
    }
    if let Some((eos, token)) = &model.eos {
        config.insert("eos_token_id".into(), json!(eos));
        tokens["eos_token"] = json!(token);
        let pad = config.get("pad_token_id").filter(|v| !v.is_null()).cloned().unwrap_or(json!(eos));
        let mut settings = json!({
            "eos_token_id": eos, "pad_token_id": pad, "do_sample": true, "temperature": 0.7, "top_p": 0.9,
            "no_repeat_ngram_size": 0, "max_new_tokens": 100,
        });
        if let Some(start) = start {
            settings["decoder_start_token_id"] = json!(start);
            config.insert("decoder_start_token_id".into(), json!(start));
        }
        generation = Some(settings);
    }
    let text = |value: &Value| serde_json::to_vec_pretty(value).map_err(|e| Error::broken("the model", e.to_string()));

    if let [whole] = &parts[..] {
        put("model.safetensors", &file(&used[whole.clone()])?)?;
    } else {
        let mut places = serde_json::Map::new();
        for (i, part) in parts.iter().enumerate() {
            let name = format!("model-{:05}-of-{:05}.safetensors", i + 1, parts.len());
            places.extend(used[part.clone()].iter().map(|(tensor, _)| ((*tensor).clone(), json!(name))));
            put(&name, &file(&used[part.clone()])?)?;
        }
        let total: u64 = sizes.iter().sum();
        put(INDEX, &text(&json!({"metadata": {"total_size": total}, "weight_map": places}))?)?;
    }
    put("config.json", &text(&Value::Object(config))?)?;
    if let Some(generation) = generation {
        put("generation_config.json", &text(&generation)?)?;
    }
    let tokenizer = Tokenizer::parse("tokenizer.json", model.tokenizer.as_bytes())?.to_compact_json()?;
    put("tokenizer.json", tokenizer.as_bytes())?;
    put("tokenizer_config.json", &text(&tokens)?)?;
    for (name, content) in &model.extra {
        put(name, content)?;
    }
    put("README.md", model.card.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_hold_every_tensor_once() {
        assert_eq!((shards(&[4, 4, 4], None).len(), shards(&[], Some(8)).len()), (1, 1));
        assert_eq!(shards(&[4, 4, 4], Some(8)), [0..2, 2..3]);
        assert_eq!(shards(&[9, 4, 4, 9], Some(8)), [0..1, 1..3, 3..4]);
        assert_eq!(shards(&[4, 4], Some(0)), [0..1, 1..2]);
    }
}
