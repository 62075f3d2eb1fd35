//! Tokenizers from `tokenizer.json`, with the `tokenizers` crate; padding and truncation settings of the file are
//! ignored.

use tokenizers::Tokenizer as Inner;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::sequence::Sequence;
use tokenizers::processors::template::TemplateProcessing;

use crate::model::files::check_content;
use crate::{Error, Result};

/// Largest accepted `tokenizer.json`, in bytes; the largest in use have less than 40 MB.
pub const LARGEST_FILE: usize = 256 << 20;

/// Names of tokens that end a text, most specific first.
const ENDS: [&str; 8] =
    ["</s>", "<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<eos>", "<|eot_id|>", "<|end|>", "[EOS]"];

/// Converts text to token ids and back.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Inner,
    file: String,
    /// Special tokens that the file puts in front of a text, such as `<s>`.
    start: Vec<u32>,
    /// Number of special tokens that it puts behind a text.
    behind: usize,
    /// Number of rows of the embedding table that the ids index.
    rows: Option<usize>,
}

/// Converts panics of the `tokenizers` crate, which malformed files and inputs can cause, to errors (not on the web).
fn guarded<T>(file: &str, what: &str, work: impl FnOnce() -> T + std::panic::UnwindSafe) -> Result<T> {
    std::panic::catch_unwind(work)
        .map_err(|_| Error::broken(file, format!("the tokenizer library failed while {what}")))
}

impl Tokenizer {
    /// Parses a `tokenizer.json`; `file` is its name in messages.
    ///
    /// # Errors
    /// [`Error::Broken`] for anything but a tokenizer in JSON.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        check_content(file, bytes)?;
        if serde_json::from_slice::<serde_json::Value>(bytes).is_ok_and(|v| !v.is_object()) {
            return Err(Error::broken(file, "a JSON object was expected"));
        }
        let parsed = guarded(file, "reading it", || Inner::from_bytes(bytes))?;
        let mut inner = parsed.map_err(|e| Error::broken(file, e))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| Error::broken(file, e))?;
        let mut made = Self { inner, file: file.to_owned(), start: Vec::new(), behind: 0, rows: None };
        (made.start, made.behind) = made.around();
        Ok(made)
    }

    /// The tokenizer of a model whose embedding table has `rows` rows: a text with a token beyond it is an error.
    #[must_use]
    pub fn within(mut self, rows: usize) -> Self {
        self.rows = Some(rows);
        self
    }

    /// The tokenizer with `token` in front of every text with special tokens, if its file puts nothing there. Some
    /// tokenizers add it in code and not by their file.
    ///
    /// # Errors
    /// [`Error::Broken`] when the library refuses it.
    pub fn starting(mut self, token: &str) -> Result<Self> {
        let Some(id) = self.id(token).filter(|_| self.start.is_empty()) else { return Ok(self) };
        let broken = |reason: String| Error::broken(&self.file, reason);
        let mut template = TemplateProcessing::builder();
        // By its parts and not as one text, as the token may have any characters.
        let piece = |text: &str| tokenizers::processors::template::Template::try_from(vec![token, text]);
        let (single, pair) =
            (piece("$A:0"), tokenizers::processors::template::Template::try_from(vec![token, "$A:0", "$B:1"]));
        template.single(single.map_err(|e| broken(e.to_string()))?);
        template.pair(pair.map_err(|e| broken(e.to_string()))?);
        template.special_tokens(vec![(token.to_owned(), id)]);
        let template = PostProcessorWrapper::Template(template.build().map_err(|e| broken(e.to_string()))?);
        let all = self.inner.get_post_processor().cloned().into_iter().chain([template]).collect();
        self.inner.with_post_processor(Some(PostProcessorWrapper::Sequence(Sequence::new(all))));
        (self.start, self.behind) = self.around();
        Ok(self)
    }

    /// The special tokens that the post-processor puts in front of a text, and the number of those behind it.
    fn around(&self) -> (Vec<u32>, usize) {
        let probe = |special| self.encoding("a", special).map(|encoded| encoded.get_ids().to_vec()).unwrap_or_default();
        let (plain, whole) = (probe(false), probe(true));
        match whole.windows(plain.len().max(1)).position(|ids| ids == plain) {
            Some(at) => (whole[..at].to_vec(), whole.len() - at - plain.len()),
            None => (Vec::new(), 0),
        }
    }

    fn encoding<'s>(
        &self,
        text: impl Into<tokenizers::EncodeInput<'s>>,
        special: bool,
    ) -> Result<tokenizers::Encoding> {
        let text = text.into();
        let work = std::panic::AssertUnwindSafe(|| self.inner.encode_fast(text, special));
        let encoded = guarded(&self.file, "encoding", work)?.map_err(|e| Error::broken(&self.file, e))?;
        self.check(encoded.get_ids())?;
        Ok(encoded)
    }

    /// Checks that the model has an embedding for each of these ids.
    fn check(&self, ids: &[u32]) -> Result<()> {
        match self.rows.and_then(|rows| ids.iter().find(|id| **id as usize >= rows)) {
            None => Ok(()),
            Some(id) => Err(self.beyond(*id)),
        }
    }

    fn beyond(&self, id: u32) -> Error {
        let (token, rows) = (self.token(id).unwrap_or_default(), self.rows.unwrap_or_default());
        let reason = format!(
            "its token {token:?} has id {id}, but the model's embedding table has {rows} rows (vocab_size of config.json): \
             tokenizer and model do not belong together, or the table was not enlarged for added tokens"
        );
        Error::broken(&self.file, reason)
    }

    /// Token ids of a text, without special tokens.
    ///
    /// # Errors
    /// [`Error::Broken`] when the tokenizer cannot encode the text, for example without an `unk` token, and for a token
    /// that the model has no embedding for.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encoding(text, false)?.get_ids().to_vec())
    }

    /// Token ids of a text that a language model continues: with the special tokens that belong in front of it, and
    /// without those behind it.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>> {
        let encoded = self.encoding(text, false)?;
        self.check(&self.start)?;
        Ok([&self.start[..], encoded.get_ids()].concat())
    }

    /// Token ids and segment ids of a text, with special tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_special(&self, text: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let encoded = self.encoding(text, true)?;
        Ok((encoded.get_ids().to_vec(), encoded.get_type_ids().to_vec()))
    }

    /// Token ids and segment ids of a pair of texts, with special tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pair(&self, x: &str, y: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let encoded = self.encoding((x, y), true)?;
        Ok((encoded.get_ids().to_vec(), encoded.get_type_ids().to_vec()))
    }

    /// The text of token ids, without special tokens.
    ///
    /// # Errors
    /// [`Error::Broken`] when the library cannot decode them.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|e| Error::broken(&self.file, e))
    }

    /// The text of token ids, with special tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn decode_all(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, false).map_err(|e| Error::broken(&self.file, e))
    }

    /// The highest id plus one, which is the number of embeddings that a model needs. There may be fewer tokens, as ids
    /// may have holes.
    #[must_use]
    pub fn table(&self) -> usize {
        self.inner.get_vocab(true).values().max().map_or(0, |id| *id as usize + 1)
    }

    /// The content of a `tokenizer.json`, formatted over several lines.
    ///
    /// # Errors
    /// [`Error::Broken`] when the library cannot serialise it.
    pub fn to_json(&self) -> Result<String> {
        self.inner.to_string(true).map_err(|e| Error::broken(&self.file, e))
    }

    /// The content of a `tokenizer.json` without line breaks, which is half as long.
    ///
    /// # Errors
    /// As [`Self::to_json`].
    pub fn to_compact_json(&self) -> Result<String> {
        self.inner.to_string(false).map_err(|e| Error::broken(&self.file, e))
    }

    /// The token with an id.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Id of a token.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Ids of special tokens (end of text, padding and so on), sorted.
    #[must_use]
    pub fn special(&self) -> Vec<u32> {
        let mut ids: Vec<u32> =
            self.inner.get_added_tokens_decoder().iter().filter(|(_, t)| t.special).map(|(id, _)| *id).collect();
        ids.retain(|id| self.rows.is_none_or(|rows| (*id as usize) < rows));
        ids.sort_unstable();
        ids
    }

    /// Shortens the ids and segments of a text with special tokens to `most`, and keeps the special tokens behind it.
    pub fn cut(&self, (ids, types): (&mut Vec<u32>, &mut Vec<u32>), most: usize) {
        let from = most.saturating_sub(self.behind);
        if ids.len() > most && ids.len() >= self.behind {
            let to = ids.len() - self.behind.min(most);
            ids.drain(from..to);
            types.drain(from..to);
        }
    }

    /// The token that ends a text, by the names in use, for models whose configuration does not say it.
    #[must_use]
    pub fn end(&self) -> Option<u32> {
        let special = self.special();
        let mut named = ENDS.iter().filter_map(|name| self.id(name));
        named.find(|id| special.contains(id)).or_else(|| special.first().copied())
    }

    /// Ids below `rows` that must not be written: those without a token, and those whose text has a line break. What a
    /// token stands for is what the decoder makes of it: `Ċ` is a line break in a byte-level vocabulary, and a letter in
    /// others.
    #[must_use]
    pub fn unwritable(&self, rows: usize) -> Vec<u32> {
        let ids = 0..u32::try_from(rows).unwrap_or(u32::MAX);
        ids.filter(|&id| self.inner.id_to_token(id).is_none() || self.breaks_line(id)).collect()
    }

    fn breaks_line(&self, id: u32) -> bool {
        let work = std::panic::AssertUnwindSafe(|| self.inner.decode(&[id], false));
        guarded(&self.file, "decoding", work).is_ok_and(|text| text.is_ok_and(|text| text.contains(['\n', '\r'])))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A tokenizer of whole words with these ids.
    fn words(vocabulary: &[(&str, u32)], post_processor: &Value, decoder: &Value) -> Tokenizer {
        let vocabulary: serde_json::Map<String, Value> =
            vocabulary.iter().map(|(token, id)| ((*token).to_owned(), json!(id))).collect();
        let file = json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
            "added_tokens": [{"id": 0, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
                              "normalized": false, "special": true}],
            "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": post_processor, "decoder": decoder,
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
        });
        Tokenizer::parse("t", file.to_string().as_bytes()).unwrap()
    }

    const TOKENS: [(&str, u32); 5] = [("</s>", 0), ("<unk>", 1), ("a", 2), ("<s>", 5), ("b", 9)];

    #[test]
    fn a_start_token_is_put_in_front_of_prompts_only_once() {
        let plain = words(&TOKENS, &Value::Null, &Value::Null);
        assert_eq!(plain.encode_prompt("a b").unwrap(), [2, 9]);
        let made = plain.clone().starting("<s>").unwrap();
        assert_eq!((made.encode_prompt("a b").unwrap(), made.encode("a b").unwrap()), (vec![5, 2, 9], vec![2, 9]));
        assert_eq!(made.encode_prompt("").unwrap(), [5]);
        let again = Tokenizer::parse("t", made.to_json().unwrap().as_bytes()).unwrap().starting("</s>").unwrap();
        assert_eq!(again.encode_prompt("b").unwrap(), [5, 9], "the file says it now, and one start is enough");
        assert_eq!(again.encode_pair("a", "b").unwrap().0, [5, 2, 9]);
        assert_eq!(plain.starting("<none>").unwrap().encode_prompt("a").unwrap(), [2]);
        let both = json!({"type": "BertProcessing", "sep": ["</s>", 0], "cls": ["<s>", 5]});
        let both = words(&TOKENS, &both, &Value::Null);
        assert_eq!(both.encode_prompt("a b").unwrap(), [5, 2, 9], "nothing behind the text");
        assert!(both.clone().within(5).encode_prompt("a").is_err(), "a start token beyond the table");
        let (mut ids, mut types) = both.encode_special("a b a b").unwrap();
        both.cut((&mut ids, &mut types), 4);
        assert_eq!((ids, types.len()), (vec![5, 2, 9, 0], 4), "the end stays");
    }

    #[test]
    fn tokens_beyond_the_table_are_named_and_holes_are_not_written() {
        let all = words(&TOKENS, &Value::Null, &Value::Null).within(9);
        assert_eq!((all.table(), all.encode("a").unwrap()), (10, vec![2]));
        for error in [all.encode("a b").err(), all.encode_pair("a", "b").err(), all.encode_special("b").err()] {
            let text = error.unwrap().to_string();
            assert!(text.contains("\"b\" has id 9") && text.contains("9 rows"), "{text}");
        }
        assert_eq!(all.unwritable(10), [3, 4, 6, 7, 8]);
        assert_eq!(all.end(), Some(0));
    }

    #[test]
    fn a_line_break_is_what_the_decoder_makes_of_a_token() {
        let tokens = [("</s>", 0), ("<unk>", 1), ("Petri\u{10d}", 2), ("\u{10a}", 3), ("<0x0A>", 4), ("x\n", 5)];
        let letters = json!({"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "});
        assert_eq!(words(&tokens, &Value::Null, &letters).unwritable(6), [5]);
        assert_eq!(words(&tokens, &Value::Null, &json!({"type": "ByteFallback"})).unwritable(6), [4, 5]);
        let bytes = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
        assert_eq!(words(&tokens, &Value::Null, &bytes).unwritable(6), [2, 3, 5]);
    }
}
