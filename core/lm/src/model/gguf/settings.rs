//! The metadata of a model of a known architecture, and its sizes.

use super::architecture::Architecture;
use super::file::{Gguf, entry_error, unsupported};
use super::reader::Value;
use crate::{Error, Result};

/// The metadata of an architecture, whose keys are given without its name in front.
pub(super) struct Settings<'a> {
    pub gguf: &'a Gguf,
    pub architecture: Architecture,
}

impl<'a> Settings<'a> {
    /// # Errors
    /// [`Error::Unsupported`] for another architecture, and for metadata that is not known to say nothing about the
    /// computation.
    pub fn read(gguf: &'a Gguf) -> Result<Self> {
        let key = "general.architecture";
        let name = match gguf.metadata(key) {
            Some(Value::String(name)) => name,
            _ => return Err(entry_error(gguf, key, "the name of an architecture")),
        };
        let Some(architecture) = Architecture::named(name) else {
            return Err(unsupported(gguf, format!("the architecture {name:?}"), &Architecture::names()));
        };
        let settings = Self { gguf, architecture };
        if ["expert_count", "expert_used_count"].iter().any(|key| !settings.is(key, |v| v.as_u64() == Some(0))) {
            return Err(unsupported(gguf, "a mixture of experts", &format!("dense models of {name}")));
        }
        if !settings.is("attention.causal", |v| v.as_bool() == Some(true)) {
            return Err(unsupported(gguf, "attention to later tokens", "causal language models"));
        }
        let own = gguf.keys().filter_map(|key| key.strip_prefix(name)?.strip_prefix('.'));
        match own.into_iter().find(|key| !architecture.has_setting(key)) {
            None => Ok(settings),
            Some(key) => {
                let expected = format!("models of {name} without this entry");
                Err(unsupported(gguf, format!("the setting `{name}.{key}`"), &expected))
            }
        }
    }

    /// Whether an entry is absent or as expected.
    fn is(&self, key: &str, expected: impl Fn(&Value) -> bool) -> bool {
        self.get(key).is_none_or(expected)
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture.name)
    }

    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.gguf.metadata(&self.key(key))
    }

    /// The error for an entry with another value.
    pub fn wrong(&self, key: &str, expected: &str) -> Error {
        entry_error(self.gguf, &self.key(key), expected)
    }

    /// An entry that must be an integer from 1 to 2^31 - 1.
    pub fn whole(&self, key: &str) -> Result<usize> {
        let value = self.get(key).and_then(Value::as_u64).filter(|n| (1..1 << 31).contains(n));
        let value = value.and_then(|n| usize::try_from(n).ok());
        value.ok_or_else(|| self.wrong(key, "a whole number above 0"))
    }

    pub fn whole_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.get(key).is_some() { self.whole(key) } else { Ok(default) }
    }

    /// As [`Settings::whole`], where 0 means the same as no entry.
    pub fn optional_whole(&self, key: &str) -> Result<Option<usize>> {
        let nothing = self.is(key, |value| value.as_u64() == Some(0));
        if nothing { Ok(None) } else { self.whole(key).map(Some) }
    }

    /// An entry that must be a positive finite floating-point number; `None` if it is absent.
    pub fn positive(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let value = value.as_f64().filter(|v| *v > 0.0 && v.is_finite());
        value.map(Some).ok_or_else(|| self.wrong(key, "a number above 0"))
    }

    /// As [`Settings::positive`], where 0 means the same as no entry.
    pub fn optional_positive(&self, key: &str) -> Result<Option<f64>> {
        if self.is(key, |value| value.as_f64() == Some(0.0)) { Ok(None) } else { self.positive(key) }
    }
}

/// The sizes that other entries and tensors must agree with.
pub(super) struct Sizes {
    pub layers: usize,
    pub hidden: usize,
    /// Number of query heads.
    pub heads: usize,
    pub key_value_heads: usize,
    /// Dimension of a head.
    pub head: usize,
    /// Number of values of a head that are rotated.
    pub rotated: usize,
    /// Largest number of tokens of a text.
    pub context: usize,
}

impl Sizes {
    /// # Errors
    /// [`Error::Config`] for entries that are missing or contradict each other.
    pub fn read(settings: &Settings<'_>) -> Result<Self> {
        let layers = settings.whole("block_count")?;
        let heads = settings.whole("attention.head_count")?;
        let key_value_heads = settings.whole_or("attention.head_count_kv", heads)?;
        let hidden = settings.whole("embedding_length")?;
        if !heads.is_multiple_of(key_value_heads) {
            return Err(settings.wrong("attention.head_count_kv", &format!("a divisor of the {heads} heads")));
        }
        let key = "attention.key_length";
        if settings.get(key).is_none() && !hidden.is_multiple_of(heads) {
            return Err(settings.wrong("attention.head_count", &format!("a divisor of the width {hidden}")));
        }
        let head = settings.whole_or(key, hidden / heads)?;
        if !head.is_multiple_of(2) || head == 0 {
            return Err(settings.wrong("attention.head_count", "heads of even width"));
        }
        if settings.whole_or("attention.value_length", head)? != head {
            return Err(settings.wrong("attention.value_length", &format!("the width of a head, {head}")));
        }
        let rotated = settings.whole_or("rope.dimension_count", head)?;
        let partly = settings.architecture.name == "phi3" && rotated < head && rotated.is_multiple_of(2);
        if rotated != head && !partly {
            return Err(settings.wrong("rope.dimension_count", &format!("the width of a head, {head}")));
        }
        if layers > settings.gguf.names().len() {
            return Err(settings.wrong("block_count", "no more layers than the file has tensors"));
        }
        let context = settings.whole("context_length")?;
        Ok(Self { layers, hidden, heads, key_value_heads, head, rotated, context })
    }
}
