//! Reading `config.json`. Every entry is checked against bounds, so that later code gets valid sizes only.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::files::check_content;
use super::layers::Activation;
use crate::{Error, Result};

/// Bounds of sizes, generous for all models of the supported families; larger values are errors or attacks.
pub(crate) const HIDDEN: RangeInclusive<usize> = 1..=65_536;
pub(crate) const LAYERS: RangeInclusive<usize> = 1..=1_024;
pub(crate) const HEADS: RangeInclusive<usize> = 1..=1_024;
pub(crate) const VOCABULARY: RangeInclusive<usize> = 1..=4_194_304;
pub(crate) const POSITIONS: RangeInclusive<usize> = 1..=16_777_216;

const ACTIVATIONS: &str = "gelu, gelu_new, gelu_pytorch_tanh, silu, relu or tanh";

/// A parsed `config.json`.
#[derive(Debug, Clone)]
pub struct Config {
    file: String,
    entries: Map<String, Value>,
}

impl Config {
    /// Parses the bytes of a `config.json`; `file` is its name in messages.
    ///
    /// # Errors
    /// [`Error::Broken`] for anything but a UTF-8 JSON object.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        check_content(file, bytes)?;
        let text = std::str::from_utf8(bytes).map_err(|e| Error::broken(file, format!("not UTF-8 text ({e})")))?;
        match serde_json::from_str(text).map_err(|e| Error::broken(file, format!("not JSON ({e})")))? {
            Value::Object(entries) => Ok(Self { file: file.to_owned(), entries }),
            _ => Err(Error::broken(file, "a JSON object was expected")),
        }
    }

    /// Name of the file, for messages.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// All entries of the file.
    #[must_use]
    pub fn entries(&self) -> &Map<String, Value> {
        &self.entries
    }

    /// The value of an entry; `None` if it is absent or null.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.entries.get(field).filter(|v| !v.is_null())
    }

    pub(crate) fn wrong(&self, field: &str, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
        Error::Config {
            file: self.file.clone(),
            field: field.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// The architecture, from the entry `model_type`.
    ///
    /// # Errors
    /// [`Error::Config`] when it is absent or not a string.
    pub fn model_type(&self) -> Result<&str> {
        match self.get("model_type") {
            Some(Value::String(s)) => Ok(s),
            other => Err(self.wrong("model_type", "the name of an architecture", shown(other))),
        }
    }

    /// An integer within bounds.
    pub(crate) fn size(&self, field: &str, range: RangeInclusive<usize>) -> Result<usize> {
        self.get(field)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| range.contains(n))
            .ok_or_else(|| {
                self.wrong(
                    field,
                    format!("a whole number from {} to {}", range.start(), range.end()),
                    shown(self.get(field)),
                )
            })
    }

    /// An integer within bounds, or the default if the entry is absent.
    pub(crate) fn size_or(&self, field: &str, range: RangeInclusive<usize>, default: usize) -> Result<usize> {
        if self.get(field).is_none() { Ok(default) } else { self.size(field, range) }
    }

    /// A positive finite number, such as an epsilon or a base, or the default if the entry is absent.
    pub(crate) fn positive_or(&self, field: &str, default: f64) -> Result<f64> {
        match self.get(field) {
            None => Ok(default),
            Some(v) => v
                .as_f64()
                .filter(|x| x.is_finite() && *x > 0.0)
                .ok_or_else(|| self.wrong(field, "a positive number", shown(Some(v)))),
        }
    }

    pub(crate) fn flag_or(&self, field: &str, default: bool) -> Result<bool> {
        match self.get(field) {
            None => Ok(default),
            Some(v) => v.as_bool().ok_or_else(|| self.wrong(field, "true or false", shown(Some(v)))),
        }
    }

    /// Checks that the entry is absent or has one of these values, written as in JSON but without quotes.
    pub(crate) fn only(&self, field: &str, accepted: &[&str]) -> Result<()> {
        let Some(value) = self.get(field) else { return Ok(()) };
        let text = match value {
            Value::String(text) => text.clone(),
            // 1 and 1.0 are the same setting.
            Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |n| n.to_string()),
            other => other.to_string(),
        };
        if accepted.contains(&text.as_str()) {
            return Ok(());
        }
        Err(self.wrong(field, format!("{}, as nothing else is supported", accepted.join(" or ")), shown(Some(value))))
    }

    /// An activation function by its name in transformers.
    pub(crate) fn activation(&self, field: &str, default: Activation) -> Result<Activation> {
        match self.get(field) {
            None => Ok(default),
            Some(Value::String(name)) => match name.as_str() {
                "gelu" | "gelu_python" => Ok(Activation::Gelu),
                "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
                "silu" | "swish" => Ok(Activation::Silu),
                "relu" => Ok(Activation::Relu),
                "tanh" => Ok(Activation::Tanh),
                _ => Err(self.wrong(field, ACTIVATIONS, shown(self.get(field)))),
            },
            other => Err(self.wrong(field, ACTIVATIONS, shown(other))),
        }
    }

    /// The configuration with the values of other names for entries that it lacks: (entry, other name).
    pub(crate) fn aliased(&self, names: &[(&str, &str)]) -> Self {
        let found = names.iter().filter(|(entry, _)| self.get(entry).is_none());
        let found = found.filter_map(|(entry, other)| Some((*entry, self.get(other)?.clone())));
        let mut changed = self.clone();
        changed.entries.extend(found.map(|(entry, value)| (entry.to_owned(), value)));
        changed
    }

    /// Checks the entries that change the computation of any architecture of the reference and are not supported.
    pub(crate) fn check(&self, encoder_decoder: bool) -> Result<()> {
        if let Some(kind) = self.get("quantization_config") {
            let expected =
                "nothing: weights in this format are not supported; use the unquantised model, or a GGUF file";
            return Err(self.wrong("quantization_config", expected, shown(Some(kind))));
        }
        for entry in ["per_layer_config", "pruned_heads"] {
            self.only(entry, &["{}"])?;
        }
        self.only("tie_encoder_decoder", &["false"])?;
        self.only("is_encoder_decoder", &[if encoder_decoder { "true" } else { "false" }])
    }

    /// Whether each layer has a window (`sliding_attention` in `layer_types`); `None` without that entry.
    pub(crate) fn windowed(&self, layers: usize) -> Result<Option<Vec<bool>>> {
        let Some(types) = self.get("layer_types") else { return Ok(None) };
        let kinds = types.as_array().map(|list| {
            list.iter().map(|kind| match kind.as_str() {
                Some("sliding_attention") => Some(true),
                Some("full_attention") => Some(false),
                _ => None,
            })
        });
        let kinds: Option<Vec<bool>> = kinds.and_then(Iterator::collect);
        match kinds.filter(|kinds| kinds.len() == layers) {
            Some(kinds) => Ok(Some(kinds)),
            None => {
                let expected = format!("full_attention or sliding_attention for each of {layers} layers");
                Err(self.wrong("layer_types", expected, shown(Some(types))))
            }
        }
    }

    /// The configuration with another value of an entry.
    pub(crate) fn with(&self, field: &str, value: Value) -> Self {
        let mut changed = self.clone();
        changed.entries.insert(field.to_owned(), value);
        changed
    }

    /// The configuration with a value of an entry that it lacks.
    pub(crate) fn with_default(&self, field: &str, value: Value) -> Self {
        if self.entries.contains_key(field) { self.clone() } else { self.with(field, value) }
    }

    /// Width of a head, `hidden / heads`, which must be an integer.
    pub(crate) fn head_dim(&self, field: &str, hidden: usize, heads: usize) -> Result<usize> {
        if hidden.is_multiple_of(heads) {
            Ok(hidden / heads)
        } else {
            Err(self.wrong(field, format!("a divisor of the hidden size {hidden}"), heads))
        }
    }

    /// End-of-text ids, from `eos_token_id`, which may be a number, a list or absent. Ids outside the vocabulary, which
    /// published configurations have, can never be written and are left out.
    ///
    /// # Errors
    /// [`Error::Config`] for anything but whole numbers.
    pub fn eos(&self, vocabulary: usize) -> Result<Vec<u32>> {
        let ids = self.listed("eos_token_id").into_iter().map(|v| match v.as_i64() {
            Some(id) => Ok(u32::try_from(id).ok().filter(|id| (*id as usize) < vocabulary)),
            None => Err(self.wrong("eos_token_id", "a token id, or a list of them", v)),
        });
        ids.filter_map(Result::transpose).collect()
    }

    fn listed(&self, field: &str) -> Vec<Value> {
        match self.get(field) {
            None => Vec::new(),
            Some(Value::Array(list)) => list.clone(),
            Some(one) => vec![one.clone()],
        }
    }

    /// The configuration with the end-of-text ids of `generation_config.json` after its own ones.
    #[must_use]
    pub(crate) fn ending_as(mut self, generation: &Self) -> Self {
        let mut ids = self.listed("eos_token_id");
        for id in generation.listed("eos_token_id") {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let value = if ids.len() > 1 { Some(Value::Array(ids)) } else { ids.pop() };
        self.entries.extend(value.map(|value| ("eos_token_id".to_owned(), value)));
        self
    }

    /// Number of rows of the embedding table that token ids index, as far as the configuration says it.
    pub(crate) fn rows(&self) -> usize {
        self.size("vocab_size", VOCABULARY).unwrap_or(*VOCABULARY.end())
    }

    /// Id of the padding token, if the configuration has one.
    #[must_use]
    pub fn pad(&self) -> Option<u32> {
        self.get("pad_token_id")?.as_u64().and_then(|id| u32::try_from(id).ok())
    }

    /// Labels of a sequence classifier, in the order of their ids.
    ///
    /// # Errors
    /// [`Error::Config`] unless `id2label` has a label for each id from 0.
    pub fn labels(&self) -> Result<Vec<String>> {
        let bad = || self.wrong("id2label", "a label for each id from 0", shown(self.get("id2label")));
        let map = self.get("id2label").and_then(Value::as_object).ok_or_else(bad)?;
        (0..map.len())
            .map(|i| map.get(&i.to_string()).and_then(Value::as_str).map(str::to_owned).ok_or_else(bad))
            .collect()
    }
}

fn shown(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
    if text.chars().count() > 60 { text.chars().take(60).chain("...".chars()).collect() } else { text }
}
