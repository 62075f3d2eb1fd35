//! Training a tokenizer on a corpus with the `tokenizers` crate. Teacher, critic and student of a new domain share the
//! one tokenizer.
//!
//! The special tokens have the lowest ids. A single text is encoded without special tokens, a pair as `<s> x </s> y
//! </s>`.

use tokenizers::decoders::metaspace::Metaspace;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer as Inner};

use super::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Id and text of the padding token, which is also the decoder's start token, as in T5.
pub const PAD: (u32, &str) = (0, "<pad>");
/// Id and text of the token that ends a text and separates the texts of a pair.
pub const END: (u32, &str) = (1, "</s>");
/// Id and text of the token that starts a pair.
pub const START: (u32, &str) = (2, "<s>");
/// Id and text of the unknown token; byte-pair encoding never produces it.
pub const UNKNOWN: (u32, &str) = (3, "<unk>");

/// Number of sentinel tokens, which mark masked spans as in T5.
pub const SENTINELS: usize = 32;

/// Text of a sentinel token, counted from 0.
#[must_use]
pub fn sentinel(i: usize) -> String {
    format!("<extra_id_{i}>")
}

/// Kind of tokenizer model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Byte-level byte-pair encoding (Radford et al., 2019).
    Bpe,
    /// Unigram language model (Kudo, 2018). The library sums in the order of a hash table, so that two trainings on the
    /// same texts may differ in the last digits of the scores.
    Unigram,
}

/// Trains a tokenizer with at most `vocabulary` ids, 512 to 262,144.
///
/// # Errors
/// [`Error::Input`] for a vocabulary too small or too large, or a corpus without text; [`Error::Broken`] when the
/// library fails.
pub fn train(kind: Kind, texts: &[String], vocabulary: usize) -> Result<Tokenizer> {
    let failed = |e: tokenizers::Error| Error::broken("the new tokenizer", e);
    if !(512..=262_144).contains(&vocabulary) {
        return Err(Error::input("vocabulary", "512 to 262,144", vocabulary));
    }
    if texts.iter().all(|t| t.trim().is_empty()) {
        return Err(Error::input("the corpus", "at least one text", "none"));
    }
    let special: Vec<AddedToken> = [PAD.1, END.1, START.1, UNKNOWN.1]
        .into_iter()
        .map(str::to_owned)
        .chain((0..SENTINELS).map(sentinel))
        .map(|token| AddedToken::from(token, true))
        .collect();
    let texts = texts.iter().map(String::as_str);
    let mut inner = match kind {
        Kind::Bpe => {
            let mut inner = Inner::new(BPE::default());
            inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
            inner.with_decoder(Some(ByteLevel::default()));
            let trainer = BpeTrainer::builder()
                .show_progress(false)
                .vocab_size(vocabulary)
                .min_frequency(2)
                .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
                .special_tokens(special);
            inner.train(&mut TrainerWrapper::from(trainer.build()), texts).map_err(failed)?;
            inner
        }
        Kind::Unigram => {
            let mut inner = Inner::new(Unigram::default());
            let spaces = Metaspace::new('\u{2581}', PrependScheme::Always, true);
            inner.with_pre_tokenizer(Some(spaces.clone()));
            inner.with_decoder(Some(spaces));
            let trainer = UnigramTrainer::builder()
                .show_progress(false)
                .vocab_size(u32::try_from(vocabulary).unwrap_or(u32::MAX))
                .special_tokens(special)
                .unk_token(Some(UNKNOWN.1.to_owned()))
                .build()
                .map_err(|e| Error::broken("the new tokenizer", e.to_string()))?;
            inner.train(&mut TrainerWrapper::from(trainer), texts).map_err(failed)?;
            inner
        }
    };
    let template = TemplateProcessing::builder()
        .try_single("$A")
        .and_then(|b| b.try_pair("<s>:0 $A:0 </s>:0 $B:1 </s>:1"))
        .map_err(|e| Error::broken("the new tokenizer", e.clone()))?
        .special_tokens(vec![(START.1, START.0), (END.1, END.0)])
        .build()
        .map_err(|e| Error::broken("the new tokenizer", e.to_string()))?;
    inner.with_post_processor(Some(template));
    // Serialise and parse, so that the tokenizer is exactly the one that will be read from the file later.
    let text = inner.to_string(false).map_err(failed)?;
    let tokenizer = Tokenizer::parse("the new tokenizer", text.as_bytes())?;
    for (id, token) in [PAD, END, START, UNKNOWN] {
        if tokenizer.id(token) != Some(id) {
            return Err(Error::broken("the new tokenizer", format!("the library gave {token} another id than {id}")));
        }
    }
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Vec<String> {
        let line = |i: usize| {
            let (a, b) = (["oil", "grain", "steel"][i % 3], ["rose", "fell"][i % 2]);
            format!("The price of {a} {b} by {i} pct on Monday, traders said.")
        };
        (0..200).map(line).collect()
    }

    #[test]
    fn text_comes_back_and_pairs_are_marked() -> Result<()> {
        for kind in [Kind::Bpe, Kind::Unigram] {
            let tokenizer = train(kind, &corpus(), 600)?;
            assert!(tokenizer.table() <= 600, "{}", tokenizer.table());
            let text = "The price of steel rose on Monday.";
            let ids = tokenizer.encode(text)?;
            // Unigram pieces must occur in two words, and this corpus is small.
            let most = if kind == Kind::Bpe { 14 } else { 40 };
            assert!(ids.len() < most && ids.iter().all(|&id| id > 3), "{ids:?}");
            assert_eq!(tokenizer.decode(&ids)?.trim(), text);
            let (pair, types) = tokenizer.encode_pair("The price", "of oil")?;
            assert_eq!((pair.first(), pair.last()), (Some(&START.0), Some(&END.0)));
            assert_eq!(pair.iter().filter(|&&id| id == END.0).count(), 2);
            let second = pair.iter().position(|&id| id == END.0).map_or(0, |at| types.len() - at - 1);
            assert_eq!(types.iter().sum::<u32>() as usize, second, "the second text is of kind 1");
            assert_eq!(tokenizer.id(&sentinel(SENTINELS - 1)), Some(3 + SENTINELS as u32));
            if kind == Kind::Bpe {
                assert_eq!(tokenizer.to_json()?, train(kind, &corpus(), 600)?.to_json()?, "not the same twice");
            }
        }
        let bytes = train(Kind::Bpe, &corpus(), 600)?;
        assert_eq!(bytes.decode(&bytes.encode("naïve 😀")?)?, "naïve 😀");
        Ok(())
    }

    #[test]
    fn bad_input_is_an_error() {
        assert!(matches!(train(Kind::Bpe, &corpus(), 100), Err(Error::Input { .. })));
        assert!(matches!(train(Kind::Bpe, &[" ".into()], 600), Err(Error::Input { .. })));
    }
}
