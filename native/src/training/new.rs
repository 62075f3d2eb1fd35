//! Architecture and tokenizer of a new model.

use std::path::Path;

use lm::model::config::Config;
use lm::tokenizer::{LARGEST_FILE, Tokenizer};
use lm::train_tokenizer::{END, PAD};
use record::{Error, Result};
use serde_json::{Map, Value, json};

use crate::fs::read_small;

/// The teacher's architecture in preset `tiny`, a Llama; like the others without a vocabulary size.
pub const TINY_TEACHER: &str = include_str!("../../../assets/presets/tiny/teacher.json");
/// The student's architecture in preset `tiny`, a T5.
pub const TINY_STUDENT: &str = include_str!("../../../assets/presets/tiny/student.json");
/// The critic's architecture in preset `tiny`, a RoBERTa classifier.
pub const TINY_CRITIC: &str = include_str!("../../../assets/presets/tiny/critic.json");

/// The architecture of a file, or of a preset without one, adapted to a tokenizer: the vocabulary size is the
/// tokenizer's, and so are the padding and end-of-text tokens unless the file has them.
///
/// # Errors
/// [`Error::Broken`] for an invalid file; [`Error::Io`] when reading fails; [`Error::Input`] for a tokenizer without
/// special tokens.
pub fn architecture(file: Option<&Path>, preset: &str, tokenizer: &Tokenizer) -> Result<Config> {
    let (name, bytes) = match file {
        Some(path) if !path.is_file() => {
            let hint = "Name an existing file with --config.".to_owned();
            let what = "the architecture".to_owned();
            return Err(Error::Missing { what, place: path.display().to_string(), hint });
        }
        Some(path) => (path.display().to_string(), read_small(path, 1 << 20)?),
        None => ("the preset".to_owned(), preset.as_bytes().to_vec()),
    };
    let mut entries = without_nulls(Config::parse(&name, &bytes)?.entries());
    entries.insert("vocab_size".into(), json!(tokenizer.table()));
    let end = tokenizer.id(END.1).or_else(|| tokenizer.special().first().copied());
    let end = end.ok_or_else(|| {
        Error::input(
            "the tokenizer",
            format!("a special token that ends a text, such as {}", END.1),
            "no special token",
        )
    })?;
    let end = entries.entry("eos_token_id").or_insert(json!(end)).clone();
    entries.entry("pad_token_id").or_insert_with(|| tokenizer.id(PAD.1).map_or(end, |id| json!(id)));
    Config::parse(&name, Value::Object(entries).to_string().as_bytes())
}

fn without_nulls(entries: &Map<String, Value>) -> Map<String, Value> {
    fn clean(value: &Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Object(map) => Some(Value::Object(without_nulls(map))),
            Value::Array(list) => Some(Value::Array(list.iter().filter_map(clean).collect())),
            other => Some(other.clone()),
        }
    }
    entries.iter().filter_map(|(name, value)| Some((name.clone(), clean(value)?))).collect()
}

/// The entries of a configuration for a plan, without nulls, which TOML lacks.
#[must_use]
pub fn entries(config: &Config) -> Map<String, Value> {
    without_nulls(config.entries())
}

/// The `tokenizer.json` of a tokenizer by `pretrain` for a model with an encoder: with it other libraries append
/// [`END`] to each text, as the encoder expects. The file of any other tokenizer is unchanged.
///
/// # Errors
/// [`Error::Broken`] when the tokenizer cannot be serialised.
pub fn ending(tokenizer: &Tokenizer) -> Result<String> {
    let text = tokenizer.to_json()?;
    let broken = |e: serde_json::Error| Error::broken("tokenizer.json", e.to_string());
    let mut file: Value = serde_json::from_str(&text).map_err(broken)?;
    let post = &mut file["post_processor"];
    if post["special_tokens"][END.1].is_null() {
        return Ok(text);
    }
    match post["single"].as_array_mut() {
        Some(single) if single.len() == 1 => single.push(json!({"SpecialToken": {"id": END.1, "type_id": 0}})),
        _ => return Ok(text),
    }
    serde_json::to_string_pretty(&file).map_err(broken)
}

/// Checks that the tokenizer marks the boundary between the texts of a pair.
///
/// # Errors
/// [`Error::Input`] if it only concatenates them; errors of the tokenizer.
pub fn check_pairs(tokenizer: &Tokenizer) -> Result<()> {
    let joined = [tokenizer.encode("a b")?, tokenizer.encode("c d")?].concat();
    if tokenizer.encode_pair("a b", "c d")?.0 == joined {
        let expected = "one that marks the texts of a pair (a tokenizer of `pretrain`, BERT or RoBERTa does)";
        return Err(Error::input("--tokenizer", expected, "one that only joins them"));
    }
    Ok(())
}

/// Reads a `tokenizer.json`, given its path or that of its folder; returns the tokenizer and the file's content.
///
/// # Errors
/// [`Error::Missing`] if there is no such file; [`Error::Broken`] for an invalid one; [`Error::Io`] when reading fails.
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
