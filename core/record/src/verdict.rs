//! Reasons for which pairs are refused.

use serde::{Deserialize, Deserializer, Serializer};

use crate::names::named;

named! {
    /// Why a pair was refused: the first critic that refused it, or why it could not be judged.
    pub enum Refusal {
        /// The ratio of the lengths in characters is out of range.
        Length = "length",
        /// ROUGE-L F1 of the two sentences is out of range.
        Rouge = "rouge_l",
        /// A sentence has too few words.
        Words = "words",
        /// A quotation is not closed.
        Quotes = "quotes",
        /// A sentence is a question.
        Statements = "statements",
        /// The numbers do not agree.
        Numbers = "numbers",
        /// Names, places or dates do not agree.
        Entities = "entities",
        /// Negation, modality, degree or direction do not agree.
        Modality = "modality",
        /// The cosine of the sentence embeddings is below the threshold.
        Cosine = "cosine",
        /// The probability that x entails y is below the threshold.
        Forward = "forward",
        /// The probability that y entails x is below the threshold.
        Backward = "backward",
        /// The reworder is unlikely to write y from other damaged forms of x.
        Nll = "nll",
        /// The plan's limit of pairs with the same summary is reached.
        Cap = "cap",
        /// Another kept pair of the context means the same.
        Diversity = "diversity",
        /// A loosened threshold needs a score that the run did not compute.
        Unscored = "unscored",
        /// The version is the same text as its source.
        Copy = "copy",
        /// The version ended at the token limit or without a token to sample.
        Unfinished = "unfinished",
    }
}

/// Serde of `Option<Refusal>` as a string; the empty string stands for `None`.
pub(crate) mod or_kept {
    use super::{Deserialize, Deserializer, Refusal, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
    pub(crate) fn serialize<S: Serializer>(refusal: &Option<Refusal>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(refusal.map_or("", Refusal::name))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Refusal>, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        if name.is_empty() {
            return Ok(None);
        }
        let unknown = || serde::de::Error::custom(format!("`{name}` is not a reason for refusal"));
        Refusal::parse(&name).map(Some).ok_or_else(unknown)
    }
}
