//! Converts the tokenizer in a GGUF file to a `tokenizer.json`.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::file::{Gguf, entry_error};
use super::reader::Value;
use crate::{Error, Result};

/// The pattern by which Llama 3 splits text before applying merges.
const LLAMA_3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Token types that are matched before the text is split: control (special) tokens and user-defined ones.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// A `tokenizer.json` of byte-level BPE.
///
/// `tokenizer.ggml.pre` decides where text is split: `smollm` (each digit separately, then as in GPT-2), `llama-bpe`
/// (as in Llama 3, where merges are skipped for words in the vocabulary), `default`, `gpt-2` or no entry (as in GPT-2).
/// A start token is added if `add_bos_token` is true or, without that entry, for `llama-bpe`.
///
/// # Errors
/// [`Error::Unsupported`] for another tokenizer or another way to split, [`Error::Config`] and [`Error::Broken`] for
/// entries that are missing or contradict each other.
pub fn tokenizer(gguf: &Gguf) -> Result<Json> {
    let text = |key: &str| gguf.metadata(key).and_then(Value::as_str);
    let unsupported = |what: &str, found: Option<&str>, expected: &str| Error::Unsupported {
        file: gguf.place(),
        found: format!("the {what} {:?}", found.unwrap_or_default()),
        expected: expected.to_owned(),
    };
    let model = text("tokenizer.ggml.model");
    if model != Some("gpt2") {
        return Err(unsupported("tokenizer", model, "gpt2 (byte-level BPE)"));
    }
    let byte_level = |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex });
    let pre = text("tokenizer.ggml.pre").unwrap_or("default");
    let llama_3 = matches!(pre, "llama-bpe" | "llama3" | "llama-v3");
    let pre_tokenizer = match pre {
        "smollm" => {
            let digits = json!({ "type": "Digits", "individual_digits": true });
            json!({ "type": "Sequence", "pretokenizers": [digits, byte_level(true)] })
        }
        _ if llama_3 => {
            let split =
                json!({ "type": "Split", "pattern": { "Regex": LLAMA_3 }, "behavior": "Isolated", "invert": false });
            json!({ "type": "Sequence", "pretokenizers": [split, byte_level(false)] })
        }
        "default" | "gpt-2" | "gpt2" => byte_level(true),
        other => return Err(unsupported("pre-tokenizer", Some(other), "smollm, llama-bpe, gpt-2, default")),
    };

    let tokens = strings(gguf, "tokenizer.ggml.tokens")?;
    let vocab = vocabulary(gguf, tokens)?;
    let merges = merges(gguf, &vocab)?;
    let added = added(gguf, tokens)?;
    let start = gguf.metadata("tokenizer.ggml.add_bos_token").and_then(Value::as_bool).unwrap_or(llama_3);
    let post_processor = match token_id(gguf, "bos", tokens.len())? {
        Some(id) if start => {
            let (token, sequence) =
                (&tokens[id], |id: &str, kind: u8| json!({ "Sequence": { "id": id, "type_id": kind } }));
            let special = |kind: u8| json!({ "SpecialToken": { "id": token, "type_id": kind } });
            let mut special_tokens = serde_json::Map::new();
            special_tokens.insert(token.clone(), json!({ "id": token, "ids": [id], "tokens": [token] }));
            json!({
                "type": "TemplateProcessing",
                "single": [special(0), sequence("A", 0)],
                "pair": [special(0), sequence("A", 0), special(1), sequence("B", 1)],
                "special_tokens": special_tokens,
            })
        }
        _ => Json::Null,
    };
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": llama_3,
            "vocab": vocab,
            "merges": merges,
        },
    }))
}

fn strings<'a>(gguf: &'a Gguf, key: &str) -> Result<&'a [String]> {
    match gguf.metadata(key) {
        Some(Value::Strings(list)) if !list.is_empty() => Ok(list),
        Some(_) => Err(config(gguf, key, "an array of strings", "something else")),
        None => Err(config(gguf, key, "an array of strings", "nothing")),
    }
}

fn config(gguf: &Gguf, key: &str, expected: &str, found: &str) -> Error {
    Error::Config { file: gguf.place(), field: key.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}

fn vocabulary<'a>(gguf: &Gguf, tokens: &'a [String]) -> Result<BTreeMap<&'a str, usize>> {
    let rows = gguf.info("token_embd.weight").and_then(|info| info.shape.first().copied());
    if rows.is_some_and(|rows| tokens.len() > rows) {
        let reason = format!("it has {} tokens but embeddings for {}", tokens.len(), rows.unwrap_or_default());
        return Err(Error::broken(gguf.place(), reason));
    }
    let mut vocab = BTreeMap::new();
    for (id, token) in tokens.iter().enumerate() {
        if let Some(first) = vocab.insert(token.as_str(), id) {
            return Err(Error::broken(gguf.place(), format!("tokens {first} and {id} are both {token:?}")));
        }
    }
    Ok(vocab)
}

fn merges<'a>(gguf: &'a Gguf, vocab: &BTreeMap<&str, usize>) -> Result<Vec<[&'a str; 2]>> {
    let known = |part: &str| vocab.contains_key(part);
    let pair = |merge: &'a String| {
        let (left, right) = merge.split_once(' ')?;
        (known(left) && known(right) && known(&format!("{left}{right}"))).then_some([left, right])
    };
    let list = strings(gguf, "tokenizer.ggml.merges")?;
    list.iter()
        .map(|merge| {
            pair(merge).ok_or_else(|| {
                let reason = format!("the merge {merge:?} does not join two tokens of the vocabulary into a third");
                Error::broken(gguf.place(), reason)
            })
        })
        .collect()
}

fn added(gguf: &Gguf, tokens: &[String]) -> Result<Vec<Json>> {
    let key = "tokenizer.ggml.token_type";
    let types = match gguf.metadata(key) {
        None => return Ok(Vec::new()),
        Some(Value::Numbers(types)) => types,
        Some(_) => return Err(config(gguf, key, "an array of numbers", "something else")),
    };
    if types.len() != tokens.len() {
        return Err(config(gguf, key, &format!("{} numbers", tokens.len()), &types.len().to_string()));
    }
    let mut added = Vec::new();
    for ((id, token), kind) in tokens.iter().enumerate().zip(types.iter()) {
        let kind = kind.as_u64();
        if kind == Some(CONTROL) || kind == Some(USER_DEFINED) {
            added.push(json!({
                "id": id,
                "content": token,
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": false,
                "special": kind == Some(CONTROL),
            }));
        }
    }
    Ok(added)
}

/// `tokenizer.ggml.KEY_token_id`; `None` if the file has no such entry, or one outside the vocabulary, which no token has.
pub(crate) fn token_id(gguf: &Gguf, key: &str, vocab: usize) -> Result<Option<usize>> {
    let key = format!("tokenizer.ggml.{key}_token_id");
    let Some(value) = gguf.metadata(&key) else { return Ok(None) };
    let id = value.as_u64().ok_or_else(|| entry_error(gguf, &key, "a token id"))?;
    Ok(usize::try_from(id).ok().filter(|id| *id < vocab))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::file::tests::{Writer, memory};
    use super::super::llama::{llama, tests::tiny};
    use super::*;

    fn file(pre: &str) -> Writer {
        let mut file = tiny();
        file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", pre);
        file.texts("tokenizer.ggml.tokens", &["<s>", "a", "b", "ab", "<x>"]).texts("tokenizer.ggml.merges", &["a b"]);
        let types: Vec<u8> = [3u32, 1, 1, 1, 4].iter().flat_map(|n| n.to_le_bytes()).collect();
        let header = [&5u32.to_le_bytes()[..], &5u64.to_le_bytes()].concat();
        file.raw("tokenizer.ggml.token_type", 9, &[header, types].concat());
        file.u32("tokenizer.ggml.bos_token_id", 0);
        file
    }

    fn read(file: &Writer) -> Result<Json> {
        llama(memory(file.bytes()), "m.gguf")?.tokenizer()
    }

    /// Encodes a text with the library that will read the JSON.
    fn encode(json: &Json, text: &str) -> Vec<u32> {
        let tokenizer = tokenizers::Tokenizer::from_bytes(serde_json::to_vec(json).unwrap()).unwrap();
        tokenizer.encode(text, true).unwrap().get_ids().to_vec()
    }

    #[test]
    fn the_library_reads_every_way_to_split() {
        for (pre, start) in [("smollm", false), ("default", false), ("gpt-2", false), ("llama-bpe", true)] {
            let json = read(&file(pre)).unwrap();
            let expected: &[u32] = if start { &[0, 3, 4, 1, 0] } else { &[3, 4, 1, 0] };
            assert_eq!(encode(&json, "ab<x>a<s>"), expected, "{pre}");
            let quiet = read(file(pre).raw("tokenizer.ggml.add_bos_token", 7, &[0])).unwrap();
            assert_eq!(encode(&quiet, "a"), [1], "{pre}");
            let loud = read(file(pre).raw("tokenizer.ggml.add_bos_token", 7, &[1])).unwrap();
            assert_eq!(encode(&loud, "a"), [0, 1], "{pre}");
        }
        let added = &read(&file("smollm")).unwrap()["added_tokens"];
        assert_eq!((&added[0]["special"], &added[1]["special"]), (&json!(true), &json!(false)));
    }

    #[test]
    fn other_tokenizers_and_contradictions_are_refused() {
        for (key, word) in [("tokenizer.ggml.model", "llama"), ("tokenizer.ggml.pre", "tekken")] {
            let error = read(file("smollm").text(key, word)).unwrap_err();
            assert!(matches!(&error, Error::Unsupported { found, .. } if found.contains(word)), "{error}");
        }
        assert!(matches!(read(&tiny()), Err(Error::Unsupported { .. })));
        for merge in ["ab", "a  b", "a z", "b a", "a b b", " a", ""] {
            let error = read(file("smollm").texts("tokenizer.ggml.merges", &[merge])).unwrap_err();
            assert!(matches!(&error, Error::Broken { reason, .. } if reason.contains("merge")), "{merge:?}: {error}");
        }
        let twice = read(file("smollm").texts("tokenizer.ggml.tokens", &["<s>", "a", "b", "ab", "a"]));
        assert!(matches!(twice, Err(Error::Broken { .. })));
        let many = ["<s>", "a", "b", "ab", "c", "d", "e"];
        assert!(matches!(read(file("smollm").texts("tokenizer.ggml.tokens", &many)), Err(Error::Broken { .. })));
        let fewer = read(file("smollm").texts("tokenizer.ggml.tokens", &["<s>", "a", "b", "ab"]));
        assert!(matches!(fewer, Err(Error::Config { .. })));
    }
}
