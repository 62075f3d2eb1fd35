//! Converts the tokenizer in a GGUF file to a `tokenizer.json`.

use serde_json::{Map, Value as Json, json};

use super::byte_level::byte_level;
use super::file::{Gguf, unsupported};
use super::reader::Value;
use super::sentencepiece::sentencepiece;
use super::vocabulary::{Role, Vocabulary, flag, token_id};
use crate::Result;

/// A `tokenizer.json` of byte-level BPE or of SentencePiece's BPE.
///
/// Start and end tokens are added if `add_bos_token` and `add_eos_token` are true. Without these entries there is no end
/// token, and a start token where the kind of tokenizer has one.
///
/// # Errors
/// [`crate::Error::Unsupported`] for another tokenizer or another way to split; [`crate::Error::Config`] and
/// [`crate::Error::Broken`] for entries that are missing or contradict each other.
pub(super) fn tokenizer(gguf: &Gguf) -> Result<Json> {
    let model = gguf.metadata("tokenizer.ggml.model").and_then(Value::as_str).unwrap_or_default();
    if !matches!(model, "gpt2" | "llama") {
        let expected = "gpt2 (byte-level BPE) and llama (SentencePiece BPE)";
        return Err(unsupported(gguf, format!("the tokenizer {model:?}"), expected));
    }
    let vocabulary = Vocabulary::read(gguf)?;
    let (mut json, start) =
        if model == "llama" { (sentencepiece(gguf, &vocabulary)?, true) } else { byte_level(gguf, &vocabulary)? };
    let edge = |key: &str, wanted: bool, usual: usize| -> Result<Option<usize>> {
        if !flag(gguf, &format!("add_{key}_token"), wanted)? {
            return Ok(None);
        }
        let named = token_id(gguf, key, vocabulary.tokens.len())?;
        // The ids of SentencePiece, which files may leave out.
        let usual = (model == "llama" && vocabulary.roles.get(usual) == Some(&Role::Control)).then_some(usual);
        Ok(named.or(usual))
    };
    json["post_processor"] = template(&vocabulary, edge("bos", start, 1)?, edge("eos", false, 2)?);
    Ok(json)
}

/// A post-processor that puts these tokens in front of and behind every text.
fn template(vocabulary: &Vocabulary<'_>, first: Option<usize>, last: Option<usize>) -> Json {
    if first.is_none() && last.is_none() {
        return Json::Null;
    }
    let token = |id: usize| &vocabulary.tokens[id];
    let text = |name: &str, kind: u8| {
        let special = |id: Option<usize>| id.map(|id| json!({ "SpecialToken": { "id": token(id), "type_id": kind } }));
        let sequence = json!({ "Sequence": { "id": name, "type_id": kind } });
        [special(first), Some(sequence), special(last)].into_iter().flatten().collect::<Vec<_>>()
    };
    let pair = [text("A", 0), text("B", 1)].concat();
    let special = |id: usize| (token(id).clone(), json!({ "id": token(id), "ids": [id], "tokens": [token(id)] }));
    let specials: Map<String, Json> = first.into_iter().chain(last).map(special).collect();
    json!({
        "type": "TemplateProcessing",
        "single": text("A", 0),
        "pair": pair,
        "special_tokens": specials,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::file::Gguf;
    use super::super::fixture::{Writer, memory};
    use super::*;
    use crate::Error;

    fn file(pre: &str) -> Writer {
        let mut file = Writer::default();
        file.f32s("token_embd.weight", &[6, 1], &[0.0; 6]);
        file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", pre);
        file.texts("tokenizer.ggml.tokens", &["<s>", "a", "b", "ab", "<x>"]).texts("tokenizer.ggml.merges", &["a b"]);
        file.i32s("tokenizer.ggml.token_type", &[3, 1, 1, 1, 4]);
        file.u32("tokenizer.ggml.bos_token_id", 0).u32("tokenizer.ggml.eos_token_id", 4);
        file
    }

    fn read(file: &Writer) -> Result<Json> {
        tokenizer(&Gguf::open(memory(file.bytes()), "m.gguf")?)
    }

    /// Encodes a text with the library that will read the JSON.
    fn encode(json: &Json, text: &str) -> Vec<u32> {
        let tokenizer = tokenizers::Tokenizer::from_bytes(serde_json::to_vec(json).unwrap()).unwrap();
        tokenizer.encode(text, true).unwrap().get_ids().to_vec()
    }

    #[test]
    fn the_library_reads_every_way_to_split() {
        for (pre, start) in [
            ("smollm", false),
            ("default", false),
            ("gpt-2", false),
            ("llama-bpe", true),
            ("dbrx", false),
            ("qwen2", false),
            ("gpt-4o", false),
            ("tekken", true),
        ] {
            let json = read(&file(pre)).unwrap();
            let expected: &[u32] = if start { &[0, 3, 4, 1, 0] } else { &[3, 4, 1, 0] };
            assert_eq!(encode(&json, "ab<x>a<s>"), expected, "{pre}");
            let quiet = read(file(pre).raw("tokenizer.ggml.add_bos_token", 7, &[0])).unwrap();
            assert_eq!(encode(&quiet, "a"), [1], "{pre}");
            let loud = read(file(pre).raw("tokenizer.ggml.add_bos_token", 7, &[1])).unwrap();
            assert_eq!(encode(&loud, "a"), [0, 1], "{pre}");
            let closed = read(file(pre).raw("tokenizer.ggml.add_eos_token", 7, &[1])).unwrap();
            assert_eq!(encode(&closed, "a"), if start { vec![0, 1, 4] } else { vec![1, 4] }, "{pre}");
        }
        let added = &read(&file("smollm")).unwrap()["added_tokens"];
        assert_eq!((&added[0]["special"], &added[1]["special"]), (&json!(true), &json!(false)));
    }

    /// Words of each way to split, joined by `|`, as the expressions of the original files define them.
    #[test]
    fn text_is_split_as_the_pattern_says() {
        let text = "It's 12345 CamelCase naïve\u{301}\n\n  IT'S x/";
        for (pre, expected) in [
            ("smollm", "It|'s| |1|2|3|4|5| CamelCase| naïve|\u{301}|\n\n | IT|'|S| x|/"),
            ("gpt-2", "It|'s| 12345| CamelCase| naïve|\u{301}|\n\n | IT|'|S| x|/"),
            ("dbrx", "It|'s| |123|45| CamelCase| naïve|\u{301}\n\n| | IT|'S| x|/"),
            ("qwen2", "It|'s| |1|2|3|4|5| CamelCase| naïve|\u{301}\n\n| | IT|'S| x|/"),
            ("gpt-4o", "It's| |123|45| Camel|Case| naïve\u{301}|\n\n| | IT'S| x|/"),
            ("tekken", "It|'s| |1|2|3|4|5| Camel|Case| naïve\u{301}|\n\n| | IT|'S| x|/"),
        ] {
            let json = read(&file(pre)).unwrap();
            let tokenizer = tokenizers::Tokenizer::from_bytes(serde_json::to_vec(&json).unwrap()).unwrap();
            let mut words = tokenizers::PreTokenizedString::from(text);
            let splitter = tokenizer.get_pre_tokenizer().unwrap();
            tokenizers::PreTokenizer::pre_tokenize(splitter, &mut words).unwrap();
            let splits = words.get_splits(tokenizers::OffsetReferential::Original, tokenizers::OffsetType::Byte);
            let found: Vec<&str> = splits.iter().map(|(_, (from, to), _)| &text[*from..*to]).collect();
            assert_eq!(found.join("|"), expected, "{pre}");
        }
    }

    #[test]
    fn other_tokenizers_and_contradictions_are_refused() {
        for (key, word) in [("tokenizer.ggml.model", "t5"), ("tokenizer.ggml.pre", "viking")] {
            let error = read(file("smollm").text(key, word)).unwrap_err();
            assert!(matches!(&error, Error::Unsupported { found, .. } if found.contains(word)), "{error}");
        }
        assert!(matches!(read(&Writer::default()), Err(Error::Unsupported { .. })));
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
