//! Reading `config.json`. Every entry is checked against bounds, so that later code gets valid sizes only.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// Bounds of sizes, generous for all models of the supported families; larger values are errors or attacks.
pub(crate) const HIDDEN: RangeInclusive<usize> = 1..=65_536;
pub(crate) const LAYERS: RangeInclusive<usize> = 1..=1_024;
pub(crate) const HEADS: RangeInclusive<usize> = 1..=1_024;
pub(crate) const VOCABULARY: RangeInclusive<usize> = 1..=4_194_304;
pub(crate) const POSITIONS: RangeInclusive<usize> = 1..=16_777_216;

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

    /// Checks that the entry is absent or one of the accepted words.
    pub(crate) fn word_or(&self, field: &str, accepted: &[&str]) -> Result<()> {
        match self.get(field) {
            None => Ok(()),
            Some(Value::String(s)) if accepted.contains(&s.as_str()) => Ok(()),
            other => Err(self.wrong(field, accepted.join(" or "), shown(other))),
        }
    }

    /// Width of a head, `hidden / heads`, which must be an integer.
    pub(crate) fn head_dim(&self, field: &str, hidden: usize, heads: usize) -> Result<usize> {
        if hidden.is_multiple_of(heads) {
            Ok(hidden / heads)
        } else {
            Err(self.wrong(field, format!("a divisor of the hidden size {hidden}"), heads))
        }
    }

    /// End-of-text ids, from `eos_token_id`, which may be a number, a list or absent.
    ///
    /// # Errors
    /// [`Error::Config`] for an id outside the vocabulary.
    pub fn eos(&self, vocabulary: usize) -> Result<Vec<u32>> {
        let ids = match self.get("eos_token_id") {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list.clone(),
            Some(one) => vec![one.clone()],
        };
        ids.iter()
            .map(|v| {
                v.as_u64()
                    .and_then(|n| u32::try_from(n).ok())
                    .filter(|n| (*n as usize) < vocabulary)
                    .ok_or_else(|| self.wrong("eos_token_id", format!("ids below the vocabulary size {vocabulary}"), v))
            })
            .collect()
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
