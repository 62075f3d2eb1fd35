//! What a model that is made from nothing starts with: its architecture, and its tokenizer.

use std::path::Path;

use impossible_core::model::config::Config;
use impossible_core::text::tokenizer::{LARGEST_FILE, Tokenizer};
use impossible_core::text::train_tokenizer::{END, PAD};
use impossible_core::{Error, Result};
use serde_json::{Map, Value, json};

use crate::run::atomic::read_small;

/// Architectures of preset `tiny`, without vocabularies.
pub const TINY_TEACHER: &str = include_str!("../../../assets/presets/tiny/teacher.json");
/// A T5.
pub const TINY_STUDENT: &str = include_str!("../../../assets/presets/tiny/student.json");
/// A RoBERTa classifier.
pub const TINY_CRITIC: &str = include_str!("../../../assets/presets/tiny/critic.json");

/// The architecture of a file, or else of a preset, for a tokenizer: what it says of the vocabulary, of padding and of
/// the end of a text is the tokenizer's.
///
/// # Errors
/// [`Error::Config`], [`Error::Io`].
pub fn architecture(file: Option<&Path>, preset: &str, tokenizer: &Tokenizer) -> Result<Config> {
    let (name, bytes) = match file {
        Some(path) => (path.display().to_string(), read_small(path, 1 << 20)?),
        None => ("the preset".to_owned(), preset.as_bytes().to_vec()),
    };
    let mut entries = Config::parse(&name, &bytes)?.entries().clone();
    entries.insert("vocab_size".into(), json!(tokenizer.len()));
    for (field, (_, token)) in [("pad_token_id", PAD), ("eos_token_id", END)] {
        match tokenizer.id(token) {
            Some(id) => entries.insert(field.into(), json!(id)),
            None => None,
        };
    }
    Config::parse(&name, Value::Object(entries).to_string().as_bytes())
}

/// The entries of a config, for a plan.
#[must_use]
pub fn entries(config: &Config) -> Map<String, Value> {
    config.entries().clone()
}

/// A tokenizer's file, or that of a model folder: the tokenizer and the file's content.
///
/// # Errors
/// [`Error::Missing`], [`Error::Broken`], [`Error::Io`].
pub fn read_tokenizer(path: &Path) -> Result<(Tokenizer, Vec<u8>)> {
    let inner = path.join("tokenizer.json");
    let file = if inner.is_file() { inner } else { path.to_owned() };
    if !file.is_file() {
        return Err(Error::Missing {
            what: "tokenizer.json".into(),
            place: path.display().to_string(),
            hint: "Name a tokenizer.json or a folder that has one (of a teacher made by `impossible pretrain`).".into(),
        });
    }
    let bytes = read_small(&file, LARGEST_FILE as u64)?;
    Ok((Tokenizer::parse(&file.display().to_string(), &bytes)?, bytes))
}
