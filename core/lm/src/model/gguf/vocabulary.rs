//! The tokens in a GGUF file, which tokenizers of all kinds list alike.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::file::{Gguf, config_error, entry_error};
use super::reader::{Numbers, Value};
use crate::{Error, Result};

/// Maximum number of tokens, as in `config.json`.
const LARGEST: usize = 1 << 22;

const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";

/// What a token is for: the types of SentencePiece, by their numbers in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Normal,
    Unknown,
    /// A special token.
    Control,
    /// Matched before the text is split.
    UserDefined,
    Byte,
    /// Unused, or of an unknown type.
    Other,
}

impl Role {
    fn of(number: Option<u64>) -> Self {
        match number {
            Some(1) => Self::Normal,
            Some(2) => Self::Unknown,
            Some(3) => Self::Control,
            Some(4) => Self::UserDefined,
            Some(6) => Self::Byte,
            _ => Self::Other,
        }
    }
}

/// The tokens of a file.
pub(super) struct Vocabulary<'a> {
    /// The tokens by id.
    pub tokens: &'a [String],
    /// The ids by token.
    pub ids: BTreeMap<&'a str, usize>,
    /// The roles by id; empty if the file has none.
    pub roles: Vec<Role>,
}

impl<'a> Vocabulary<'a> {
    /// # Errors
    /// [`Error::Config`] and [`Error::Broken`] for entries that are missing or contradict each other.
    pub fn read(gguf: &'a Gguf) -> Result<Self> {
        let tokens = strings(gguf, TOKENS)?;
        let rows = gguf.info("token_embd.weight").and_then(|info| info.shape.first().copied());
        if let Some(rows) = rows.filter(|rows| tokens.len() > *rows) {
            let reason = format!("it has {} tokens but embeddings for {rows}", tokens.len());
            return Err(Error::broken(gguf.place(), reason));
        }
        if tokens.len() > LARGEST {
            let reason = format!("it has {} tokens; at most {LARGEST} are expected", tokens.len());
            return Err(Error::broken(gguf.place(), reason));
        }
        let mut ids = BTreeMap::new();
        for (id, token) in tokens.iter().enumerate() {
            if let Some(first) = ids.insert(token.as_str(), id) {
                return Err(Error::broken(gguf.place(), format!("tokens {first} and {id} are both {token:?}")));
            }
        }
        let roles = match gguf.metadata(TYPES) {
            None => Vec::new(),
            Some(_) => numbers(gguf, TYPES, tokens.len())?.iter().map(|kind| Role::of(kind.as_u64())).collect(),
        };
        Ok(Self { tokens, ids, roles })
    }

    /// Entries of `added_tokens` for the tokens of these roles; `special` has the roles of special tokens.
    pub fn added(&self, special: &[Role], others: &[Role]) -> Vec<Json> {
        let entry = |(id, role): (usize, &Role)| {
            (special.contains(role) || others.contains(role)).then(|| {
                json!({
                    "id": id,
                    "content": self.tokens[id],
                    "single_word": false,
                    "lstrip": false,
                    "rstrip": false,
                    "normalized": false,
                    "special": special.contains(role),
                })
            })
        };
        self.roles.iter().enumerate().filter_map(entry).collect()
    }
}

/// An array of strings with at least one element.
pub(super) fn strings<'a>(gguf: &'a Gguf, key: &str) -> Result<&'a [String]> {
    match gguf.metadata(key) {
        Some(Value::Strings(list)) if !list.is_empty() => Ok(list),
        Some(_) => Err(config_error(gguf, key, "an array of strings", "something else")),
        None => Err(config_error(gguf, key, "an array of strings", "nothing")),
    }
}

/// An array of this many numbers.
pub(super) fn numbers<'a>(gguf: &'a Gguf, key: &str, count: usize) -> Result<&'a Numbers> {
    let expected = format!("{count} numbers");
    match gguf.metadata(key) {
        Some(Value::Numbers(numbers)) if numbers.len() == count => Ok(numbers),
        Some(Value::Numbers(numbers)) => Err(config_error(gguf, key, &expected, &numbers.len().to_string())),
        Some(_) => Err(config_error(gguf, key, &expected, "something else")),
        None => Err(config_error(gguf, key, &expected, "nothing")),
    }
}

/// `tokenizer.ggml.KEY`, which is true or false.
pub(super) fn flag(gguf: &Gguf, key: &str, default: bool) -> Result<bool> {
    let key = format!("tokenizer.ggml.{key}");
    let Some(value) = gguf.metadata(&key) else { return Ok(default) };
    value.as_bool().ok_or_else(|| entry_error(gguf, &key, "true or false"))
}

/// `tokenizer.ggml.KEY_token_id`; `None` if the file has no such entry, or one outside the vocabulary, which no token has.
pub(super) fn token_id(gguf: &Gguf, key: &str, vocabulary: usize) -> Result<Option<usize>> {
    let key = format!("tokenizer.ggml.{key}_token_id");
    let Some(value) = gguf.metadata(&key) else { return Ok(None) };
    let id = value.as_u64().ok_or_else(|| entry_error(gguf, &key, "a token id"))?;
    Ok(usize::try_from(id).ok().filter(|id| *id < vocabulary))
}
