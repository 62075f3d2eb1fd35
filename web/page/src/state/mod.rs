//! What the page knows, without a browser: tested natively.

pub mod diff;
pub mod distilling;
pub mod link;
pub mod plane;
pub mod rewriting;
pub mod shelf;
pub mod training;
pub mod work;

/// The rooms of the app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Room {
    /// Other words.
    #[default]
    Paraphrase,
    /// Fewer words.
    Summarise,
    /// The method, live.
    Distil,
    /// The models that play, and those of this device.
    Models,
    /// The idea.
    How,
}

impl Room {
    /// All, in the order of the navigation.
    pub const ALL: [Self; 5] = [Self::Paraphrase, Self::Summarise, Self::Distil, Self::Models, Self::How];

    /// Its word in an address.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Paraphrase => "paraphrase",
            Self::Summarise => "summarise",
            Self::Distil => "distil",
            Self::Models => "models",
            Self::How => "how",
        }
    }

    /// Its name.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Paraphrase => "Paraphrase",
            Self::Summarise => "Summarise",
            Self::Distil => "Distil",
            Self::Models => "Models",
            Self::How => "How it works",
        }
    }
}

/// A critic's name in words, for "refused: ...".
#[must_use]
pub fn reason(critic: &str) -> &str {
    match critic {
        "length" => "its length",
        "rouge_l" => "too many or too few of the same words",
        "words" => "too few words",
        "quotes" => "a quotation that does not close",
        "statements" => "it is a question",
        "numbers" => "other numbers",
        "entities" => "other names",
        "modality" => "another negation, modality or direction",
        "cosine" => "another subject",
        "forward" => "it does not follow from the source",
        "backward" => "the source does not follow from it",
        "cap" => "its summary was used before",
        "diversity" => "another kept pair says the same",
        "unscored" => "a score that was never computed",
        "copy" => "it is the source, word for word",
        "unfinished" => "it has no end",
        other => other,
    }
}
