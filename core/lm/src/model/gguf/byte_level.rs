//! Tokenizers of byte-level BPE (`gpt2` in a GGUF file).

use serde_json::{Value as Json, json};

use super::file::{Gguf, unsupported};
use super::vocabulary::{Role, Vocabulary, strings};
use crate::{Error, Result};

/// The ways to split text before merges are applied, as regular expressions of `tokenizer.json` files.
const LLAMA_3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const QWEN_2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const GPT_4O: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const TEKKEN: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// What differs between byte-level tokenizers.
#[derive(Default)]
struct Style {
    /// The regular expression by which text is split; that of GPT-2 without one.
    split: Option<&'static str>,
    /// Whether each digit is a word.
    digits: bool,
    /// Whether text is put into Unicode's normal form C.
    composed: bool,
    /// Whether merges are skipped for words in the vocabulary.
    whole_words: bool,
    /// Whether a start token is added, if the file does not say.
    start: bool,
}

fn style(name: &str) -> Option<Style> {
    let plain = Style::default();
    Some(match name {
        "default" | "gpt-2" | "gpt2" => plain,
        "smollm" => Style { digits: true, ..plain },
        "llama-bpe" | "llama3" | "llama-v3" => Style { split: Some(LLAMA_3), whole_words: true, start: true, ..plain },
        "dbrx" => Style { split: Some(LLAMA_3), ..plain },
        "qwen2" => Style { split: Some(QWEN_2), composed: true, ..plain },
        "gpt-4o" => Style { split: Some(GPT_4O), ..plain },
        "tekken" => Style { split: Some(TEKKEN), whole_words: true, start: true, ..plain },
        _ => return None,
    })
}

impl Style {
    fn pre_tokenizer(&self) -> Json {
        let bytes = |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex });
        let first = match self.split {
            Some(pattern) => {
                json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false })
            }
            None if self.digits => json!({ "type": "Digits", "individual_digits": true }),
            None => return bytes(true),
        };
        json!({ "type": "Sequence", "pretokenizers": [first, bytes(self.split.is_none())] })
    }
}

/// The entries of a `tokenizer.json` but for the post-processor, and whether a start token is added if the file does not
/// say.
///
/// # Errors
/// [`Error::Unsupported`] names another way to split text; [`Error::Config`] and [`Error::Broken`] for merges that are
/// missing or contradict the vocabulary.
pub(super) fn byte_level(gguf: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<(Json, bool)> {
    let name = match gguf.metadata("tokenizer.ggml.pre") {
        None => "default",
        Some(value) => value.as_str().unwrap_or_default(),
    };
    let Some(style) = style(name) else {
        let expected = "default, gpt-2, smollm, llama-bpe, dbrx, qwen2, gpt-4o, tekken";
        return Err(unsupported(gguf, format!("the pre-tokenizer {name:?}"), expected));
    };
    let json = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": vocabulary.added(&[Role::Control], &[Role::UserDefined]),
        "normalizer": style.composed.then(|| json!({ "type": "NFC" })),
        "pre_tokenizer": style.pre_tokenizer(),
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": style.whole_words,
            "vocab": &vocabulary.ids,
            "merges": merges(gguf, vocabulary)?,
        },
    });
    Ok((json, style.start))
}

fn merges<'a>(gguf: &'a Gguf, vocabulary: &Vocabulary<'_>) -> Result<Vec<[&'a str; 2]>> {
    let known = |part: &str| vocabulary.ids.contains_key(part);
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
