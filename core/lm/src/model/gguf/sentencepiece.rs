//! Tokenizers of SentencePiece's BPE (`llama` in a GGUF file; also those of Mistral, Phi 3 and Gemma).

use std::collections::HashSet;

use serde_json::{Value as Json, json};

use super::file::{Gguf, config_error, unsupported};
use super::reader::Value;
use super::vocabulary::{Role, Vocabulary, flag, numbers, token_id};
use crate::{Error, Result};

/// What SentencePiece writes for a space.
const SPACE: &str = "\u{2581}";
/// Bounds of a vocabulary, against files that would take hours or all memory: the sum of the squares of the lengths of
/// its tokens in bytes, and the bytes of all merges. The largest vocabulary in use, Gemma's, needs 2^25 and 2^23.
const LARGEST_SQUARES: usize = 1 << 30;
const LARGEST_MERGES: usize = 1 << 26;

/// The entries of a `tokenizer.json` but for the post-processor.
///
/// SentencePiece joins the two neighbours whose union has the highest score. In a list of merges, ordered by the score of
/// the union, that is the first one.
///
/// # Errors
/// [`Error::Config`] and [`Error::Broken`] for entries that are missing or contradict each other;
/// [`Error::Unsupported`] for text that is normalised.
pub(super) fn sentencepiece(gguf: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<Json> {
    check_normalisation(gguf)?;
    let prefix = flag(gguf, "add_space_prefix", true)?;
    // Without the roles special tokens would be taken for text.
    numbers(gguf, "tokenizer.ggml.token_type", vocabulary.tokens.len())?;
    let spaces = json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE });
    let normalizer = if prefix {
        json!({ "type": "Sequence", "normalizers": [{ "type": "Prepend", "prepend": SPACE }, spaces] })
    } else {
        spaces
    };
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": vocabulary.added(&[Role::Control, Role::Unknown], &[Role::UserDefined]),
        "normalizer": normalizer,
        "pre_tokenizer": null,
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown(gguf, vocabulary)?,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": vocabulary.roles.contains(&Role::Byte),
            "ignore_merges": false,
            "vocab": &vocabulary.ids,
            "merges": merges(gguf, vocabulary)?,
        },
    }))
}

fn check_normalisation(gguf: &Gguf) -> Result<()> {
    let rules = |key: &str| match gguf.metadata(key) {
        None | Some(Value::Bool(false)) => false,
        Some(Value::Numbers(numbers)) => !numbers.is_empty(),
        Some(_) => true,
    };
    for key in ["tokenizer.ggml.remove_extra_whitespaces", "tokenizer.ggml.precompiled_charsmap"] {
        if rules(key) {
            let expected = "SentencePiece tokenizers that take text as it is";
            return Err(unsupported(gguf, format!("a tokenizer with `{key}`"), expected));
        }
    }
    Ok(())
}

/// The token for what no other token covers.
fn unknown<'a>(gguf: &Gguf, vocabulary: &Vocabulary<'a>) -> Result<Option<&'a str>> {
    let named = token_id(gguf, "unknown", vocabulary.tokens.len())?;
    let id = named.or_else(|| vocabulary.roles.iter().position(|role| *role == Role::Unknown));
    Ok(id.map(|id| vocabulary.tokens[id].as_str()))
}

/// All splits of a token into two tokens, best score first. The order among equal scores is that of transformers.
fn merges<'a>(gguf: &Gguf, vocabulary: &Vocabulary<'a>) -> Result<Vec<[&'a str; 2]>> {
    let tokens = vocabulary.tokens;
    let scores = scores(gguf, tokens.len())?;
    let squares = tokens.iter().try_fold(0usize, |sum, token| sum.checked_add(token.len().checked_mul(token.len())?));
    if squares.is_none_or(|squares| squares > LARGEST_SQUARES) {
        return Err(Error::broken(gguf.place(), "its tokens are longer than those of any tokenizer"));
    }
    let normal = |id: &usize| vocabulary.roles.get(*id) == Some(&Role::Normal);
    let known: HashSet<&str> = (0..tokens.len()).filter(normal).map(|id| tokens[id].as_str()).collect();
    let (mut found, mut bytes) = (Vec::new(), 0);
    for id in (0..tokens.len()).filter(normal) {
        let (token, count) = (tokens[id].as_str(), tokens[id].chars().count());
        for (n, (at, _)) in token.char_indices().enumerate().skip(1) {
            let (left, right) = token.split_at(at);
            if known.contains(left) && known.contains(right) {
                found.push((scores[id], n, count - n, [left, right]));
                bytes += token.len();
            }
        }
        if bytes > LARGEST_MERGES {
            return Err(Error::broken(
                gguf.place(),
                "its tokens can be split in more ways than those of any tokenizer",
            ));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(b.2.cmp(&a.2)));
    Ok(found.into_iter().map(|(.., pair)| pair).collect())
}

fn scores(gguf: &Gguf, count: usize) -> Result<Vec<f32>> {
    let key = "tokenizer.ggml.scores";
    let scores: Vec<f32> = numbers(gguf, key, count)?
        .iter()
        .filter_map(|score| match score {
            Value::F32(score) if score.is_finite() => Some(score),
            _ => None,
        })
        .collect();
    if scores.len() == count {
        return Ok(scores);
    }
    Err(config_error(gguf, key, &format!("{count} finite 32-bit numbers"), &scores.len().to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::fixture::{Writer, memory};
    use super::super::tokenizer::tokenizer;
    use super::*;

    /// A vocabulary that SentencePiece 0.2.3 made of a few sentences, after its special tokens and bytes.
    const PIECES: &str = "▁t he ▁the in ▁m er il ld ns pa ▁1 ▁o ▁r ▁s ill ▁in ▁mill 98 ad af ag an at aç aï ce iv or pe re \
                          st ve wo ▁b ▁c ▁f ▁g ▁n ▁▁ 998 ade ▁ e t a n h s i l r o d g m p 1 9 c f v 2 8 b u w y ç é ï";

    fn file() -> Writer {
        let bytes: Vec<String> = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
        let mut tokens = vec!["<unk>", "<s>", "</s>"];
        tokens.extend(bytes.iter().map(String::as_str));
        tokens.extend(PIECES.split_whitespace());
        let roles: Vec<i32> = (0..tokens.len()).map(|id| [2, 3, 3].get(id).copied().unwrap_or(6)).collect();
        let roles: Vec<i32> = roles.into_iter().enumerate().map(|(id, role)| if id < 259 { role } else { 1 }).collect();
        let scores: Vec<f32> = (0..tokens.len()).map(|id| 259.0f32.min(id as f32) - id as f32).collect();
        let mut file = Writer::default();
        file.f32s("token_embd.weight", &[tokens.len(), 1], &vec![0.0; tokens.len()]);
        file.text("tokenizer.ggml.model", "llama").text("tokenizer.ggml.pre", "default");
        file.texts("tokenizer.ggml.tokens", &tokens);
        file.floats("tokenizer.ggml.scores", &scores).i32s("tokenizer.ggml.token_type", &roles);
        file
    }

    fn read(file: &Writer) -> Result<Json> {
        tokenizer(&Gguf::open(memory(file.bytes()), "m.gguf")?)
    }

    fn library(json: &Json) -> tokenizers::Tokenizer {
        tokenizers::Tokenizer::from_bytes(serde_json::to_vec(json).unwrap()).unwrap()
    }

    /// Expected: `encode` and `decode` of the Python package.
    #[test]
    fn ids_and_text_are_those_of_the_reference() {
        let tokenizer = library(&read(file().raw("tokenizer.ggml.add_bos_token", 7, &[0])).unwrap());
        let cases: [(&str, &[u32]); 7] = [
            ("the miller opens the old gate", &[261, 275, 264, 270, 287, 267, 261, 270, 266, 295, 281, 301]),
            ("  two  spaces ", &[297, 259, 291, 300, 272, 268, 284, 306, 300]),
            ("café naïve", &[293, 278, 327, 296, 283, 290]),
            ("12 bags in 1998!", &[269, 320, 292, 279, 306, 274, 269, 298, 36]),
            ("😀\nthe", &[300, 243, 162, 155, 131, 13, 302, 260]),
            ("", &[]),
            ("unthe\u{2581}x", &[300, 323, 304, 302, 260, 300, 123]),
        ];
        for (text, ids) in cases {
            assert_eq!(tokenizer.encode(text, true).unwrap().get_ids(), ids, "{text:?}");
            assert_eq!(tokenizer.decode(ids, true).unwrap(), text.replace('\u{2581}', " "), "{text:?}");
        }
    }

    #[test]
    fn gemma_has_no_prefix_and_start_tokens_are_those_of_sentencepiece() {
        let whole = library(&read(&file()).unwrap());
        assert_eq!(whole.encode("the", true).unwrap().get_ids(), [1, 261]);
        assert_eq!(whole.encode("the</s>the", true).unwrap().get_ids(), [1, 261, 2, 261]);
        let mut gemma = file();
        gemma.raw("tokenizer.ggml.add_space_prefix", 7, &[0]).raw("tokenizer.ggml.add_eos_token", 7, &[1]);
        let gemma = library(&read(&gemma).unwrap());
        assert_eq!(gemma.encode("the", true).unwrap().get_ids(), [1, 302, 260, 2]);
        assert_eq!(gemma.decode(&[261, 261], true).unwrap(), " the the");
        assert_eq!(gemma.decode(&[0, 260, 1, 2], true).unwrap(), "he");
    }

    #[test]
    fn unknown_characters_are_one_token_where_there_are_no_bytes() {
        let mut file = Writer::default();
        file.f32s("token_embd.weight", &[3, 1], &[0.0; 3]).text("tokenizer.ggml.model", "llama");
        file.texts("tokenizer.ggml.tokens", &["a", "<u>", "\u{2581}"]).floats("tokenizer.ggml.scores", &[0.0; 3]);
        file.i32s("tokenizer.ggml.token_type", &[1, 2, 1]);
        let tokenizer = library(&read(&file).unwrap());
        assert_eq!(tokenizer.encode("axya z", true).unwrap().get_ids(), [2, 0, 1, 0, 2, 1]);
    }

    #[test]
    fn entries_that_are_missing_or_contradict_each_other_are_refused() {
        for key in ["scores", "token_type"] {
            let key = format!("tokenizer.ggml.{key}");
            for file in [file().u32(&key, 1), file().floats(&key, &[0.0]), file().texts(&key, &["x"])] {
                let error = read(file).unwrap_err();
                assert!(matches!(&error, Error::Config { field, .. } if *field == key), "{error}");
            }
        }
        let count = PIECES.split_whitespace().count() + 259;
        let error = read(file().floats("tokenizer.ggml.scores", &vec![f32::NAN; count])).unwrap_err();
        assert!(matches!(&error, Error::Config { field, .. } if field.ends_with("scores")), "{error}");
        let error = read(file().raw("tokenizer.ggml.remove_extra_whitespaces", 7, &[1])).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { found, .. } if found.contains("whitespaces")), "{error}");
        let long = "a".repeat(1 << 16);
        let mut file = Writer::default();
        file.text("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", &[&long]);
        file.floats("tokenizer.ggml.scores", &[0.0]).i32s("tokenizer.ggml.token_type", &[1]);
        assert!(matches!(read(&file), Err(Error::Broken { .. })));
        // Each of them is two shorter ones in all ways.
        let many: Vec<String> = (1..600).map(|n| "a".repeat(n)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        file.texts("tokenizer.ggml.tokens", &many).floats("tokenizer.ggml.scores", &vec![0.0; many.len()]);
        file.i32s("tokenizer.ggml.token_type", &vec![1; many.len()]);
        assert!(matches!(read(&file), Err(Error::Broken { reason, .. }) if reason.contains("ways")));
    }
}
