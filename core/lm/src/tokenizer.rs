//! Tokenizers from `tokenizer.json`, with the `tokenizers` crate; padding and truncation settings of the file are
//! ignored.

use tokenizers::Tokenizer as Inner;

use crate::{Error, Result};

/// Largest accepted `tokenizer.json`, in bytes; the largest in use have less than 40 MB.
pub const LARGEST_FILE: usize = 256 << 20;

/// Converts text to token ids and back.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Inner,
    file: String,
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
        if serde_json::from_slice::<serde_json::Value>(bytes).is_ok_and(|v| !v.is_object()) {
            return Err(Error::broken(file, "a JSON object was expected"));
        }
        let parsed = guarded(file, "reading it", || Inner::from_bytes(bytes))?;
        let mut inner = parsed.map_err(|e| Error::broken(file, e))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| Error::broken(file, e))?;
        Ok(Self { inner, file: file.to_owned() })
    }

    /// Token ids of a text, without special tokens.
    ///
    /// # Errors
    /// [`Error::Broken`] when the tokenizer cannot encode the text, for example without an `unk` token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoded =
            guarded(&self.file, "encoding", std::panic::AssertUnwindSafe(|| self.inner.encode_fast(text, false)))?;
        Ok(encoded.map_err(|e| Error::broken(&self.file, e))?.get_ids().to_vec())
    }

    /// Token ids and segment ids of a text, with special tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_special(&self, text: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let encoded =
            guarded(&self.file, "encoding", std::panic::AssertUnwindSafe(|| self.inner.encode_fast(text, true)))?;
        let encoded = encoded.map_err(|e| Error::broken(&self.file, e))?;
        Ok((encoded.get_ids().to_vec(), encoded.get_type_ids().to_vec()))
    }

    /// Token ids and segment ids of a pair of texts, with special tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pair(&self, x: &str, y: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let encoded =
            guarded(&self.file, "encoding", std::panic::AssertUnwindSafe(|| self.inner.encode_fast((x, y), true)))?;
        let encoded = encoded.map_err(|e| Error::broken(&self.file, e))?;
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

    /// Number of ids, added tokens included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The highest id plus one, which is the number of embeddings that a model needs if ids are not contiguous.
    #[must_use]
    pub fn table(&self) -> usize {
        self.inner.get_vocab(true).values().max().map_or(0, |id| *id as usize + 1)
    }

    /// Whether there are no tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        ids.sort_unstable();
        ids
    }

    /// Ids below `vocabulary` whose text contains a line break.
    #[must_use]
    pub fn line_breaks(&self, vocabulary: usize) -> Vec<u32> {
        (0..u32::try_from(vocabulary).unwrap_or(u32::MAX))
            .filter(|&id| {
                // Byte-level vocabularies write a line break as "Ċ" and a carriage return as "č".
                self.inner
                    .id_to_token(id)
                    .is_some_and(|t| t.contains(['\n', '\r', 'Ċ', 'č']) || t == "<0x0A>" || t == "<0x0D>")
            })
            .collect()
    }
}
