//! Why a pair is in no dataset.

use serde::{Deserialize, Deserializer, Serializer};

use crate::names::named;

named! {
    /// The reason why a pair was refused: the first critic that did not accept its score, or what kept the critics from
    /// scoring it.
    pub enum Refusal {
        /// Ratio of the lengths in characters.
        Length = "length",
        /// ROUGE-L F1 of the two sentences.
        Rouge = "rouge_l",
        /// Fewer words than asked for.
        Words = "words",
        /// A quotation that does not close.
        Quotes = "quotes",
        /// A question, where statements are asked for.
        Statements = "statements",
        /// The numbers do not agree.
        Numbers = "numbers",
        /// Names, places or dates do not agree.
        Entities = "entities",
        /// Negation, modality, degree or direction do not agree.
        Modality = "modality",
        /// Cosine of the sentence embeddings.
        Cosine = "cosine",
        /// p(x => y).
        Forward = "forward",
        /// p(y => x).
        Backward = "backward",
        /// The summary has as many pairs as the plan allows.
        Cap = "cap",
        /// Another kept pair of the context says the same.
        Diversity = "diversity",
        /// A threshold was loosened and needs a score that the run never computed.
        Unscored = "unscored",
        /// The version is its source, word for word.
        Copy = "copy",
        /// The version is no whole sentence.
        Unfinished = "unfinished",
    }
}

/// Serde of `Option<Refusal>` as a string, where the empty string is no refusal.
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
        let unknown = || serde::de::Error::custom(format!("`{name}` is no reason for a refusal"));
        Refusal::parse(&name).map(Some).ok_or_else(unknown)
    }
}
