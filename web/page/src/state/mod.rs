//! State of the page, independent of a browser so that it can be tested natively.

use record::Refusal;

pub mod diff;
pub mod distilling;
pub mod link;
pub mod plane;
pub mod rewriting;
pub mod shelf;
pub mod training;
pub mod work;

/// The views of the app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Room {
    /// Paraphrasing a text.
    #[default]
    Paraphrase,
    /// Summarising the sentences of a text.
    Summarise,
    /// A live distillation, and training of a student.
    Distil,
    /// Selection of models, and models stored on this device.
    Models,
    /// Explanation of the method.
    How,
}

impl Room {
    /// All views, in the order of the navigation.
    pub const ALL: [Self; 5] = [Self::Paraphrase, Self::Summarise, Self::Distil, Self::Models, Self::How];

    /// Name of the view in links.
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

    /// Title of the view.
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

/// The reason for a refusal as text after "refused:".
#[must_use]
pub fn reason(refusal: Option<Refusal>) -> &'static str {
    match refusal {
        None => "nothing",
        Some(Refusal::Length) => "its length",
        Some(Refusal::Rouge) => "too many or too few of the same words",
        Some(Refusal::Words) => "too few words",
        Some(Refusal::Quotes) => "a quotation that does not close",
        Some(Refusal::Statements) => "it is a question",
        Some(Refusal::Numbers) => "other numbers",
        Some(Refusal::Entities) => "other names",
        Some(Refusal::Modality) => "another negation, modality or direction",
        Some(Refusal::Cosine) => "another subject",
        Some(Refusal::Forward) => "it does not follow from the source",
        Some(Refusal::Backward) => "the source does not follow from it",
        Some(Refusal::Nll) => "unlikely after other damaged forms of the source",
        Some(Refusal::Cap) => "its summary was used before",
        Some(Refusal::Diversity) => "another kept pair says the same",
        Some(Refusal::Unscored) => "a score that was never computed",
        Some(Refusal::Copy) => "it is the source, word for word",
        Some(Refusal::Unfinished) => "it has no end",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_room_has_its_own_word_and_a_link_leads_there() {
        for room in Room::ALL {
            assert_eq!(link::read(&format!("#{}", room.slug())).room, room);
        }
        let titles: BTreeSet<&str> = Room::ALL.into_iter().map(Room::title).collect();
        assert_eq!(titles.len(), Room::ALL.len());
        assert_eq!(link::read("").room, Room::default());
    }

    #[test]
    fn every_refusal_has_its_own_reason() {
        let reasons: BTreeSet<&str> = Refusal::ALL.iter().map(|refusal| reason(Some(*refusal))).collect();
        assert_eq!(reasons.len(), Refusal::ALL.len());
        assert!(!reasons.contains(reason(None)) && reasons.iter().all(|reason| !reason.is_empty()));
    }
}
