//! What a context starts with: a dateline, a section heading or nothing (paper, section 3.1 and appendix; the
//! proportions follow the authors' code). The source `newswire` is this project's addition: a dateline and the
//! beginning of a report, which keeps a small teacher on topic.

use serde::Deserialize;

use crate::{Error, Result};
use record::plan::Source;
use record::random::{Purpose, Stream};

#[derive(Deserialize)]
struct News {
    outlets: Vec<String>,
    /// City and country.
    places: Vec<[String; 2]>,
    /// Subjects. Subject and act make the beginning of a report: "The central bank warned on Tuesday that".
    subjects: Vec<String>,
    /// Acts, in the past tense, which agrees with every subject.
    acts: Vec<String>,
}

#[derive(Deserialize)]
struct Words {
    words: Vec<String>,
}

/// How a context starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The part before the first sentence: a dateline or a section heading.
    pub prefix: String,
    /// The beginning of the first sentence; empty unless the source is `newswire`.
    pub opening: String,
}

impl Start {
    /// Prefix and opening, separated by a space, as they start the teacher's prompt.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{} {}", self.prefix, self.opening).trim().to_owned()
    }
}

/// The lists that starts are drawn from.
pub struct Prefixes {
    news: News,
    biomedical: Words,
}

impl Prefixes {
    /// The lists of `assets/prefixes`, which are built into the program.
    ///
    /// # Errors
    /// [`Error::Broken`] when a list is not valid JSON.
    pub fn new() -> Result<Self> {
        let bad = |file: &str, e: serde_json::Error| Error::broken(file, e);
        Ok(Self {
            news: serde_json::from_str(include_str!("../../../../assets/prefixes/news.json"))
                .map_err(|e| bad("news.json", e))?,
            biomedical: serde_json::from_str(include_str!("../../../../assets/prefixes/biomedical.json"))
                .map_err(|e| bad("biomedical.json", e))?,
        })
    }

    /// Draws the start of an attempt at a context.
    #[must_use]
    pub fn draw(&self, source: Source, seed: u64, context: u64, attempt: u32) -> Start {
        let mut stream = Stream::new(seed, Purpose::Prefix, context, attempt);
        let prefix = match source {
            Source::News | Source::Newswire => {
                let shape = stream.below(4);
                let outlet = &self.news.outlets[stream.below(self.news.outlets.len())];
                let [city, country] = &self.news.places[stream.below(self.news.places.len())];
                match shape {
                    0 | 1 => format!("({outlet}) --"),
                    2 => format!("{country} ({outlet}) --"),
                    _ => format!("{}, {country} ({outlet}) --", city.to_uppercase()),
                }
            }
            Source::Biomedical => self.biomedical.words[stream.below(self.biomedical.words.len())].clone(),
            Source::None | Source::Seeds => String::new(),
        };
        let mut pick = |list: &[String]| list[stream.below(list.len())].clone();
        let opening = match source {
            Source::Newswire => format!("{} {}", pick(&self.news.subjects), pick(&self.news.acts)),
            _ => String::new(),
        };
        Start { prefix, opening }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn newswire_is_news_with_a_beginning() {
        let prefixes = Prefixes::new().unwrap();
        let mut openings = HashSet::new();
        for id in 0..200 {
            let news = prefixes.draw(Source::News, 7, id, 0);
            let wire = prefixes.draw(Source::Newswire, 7, id, 0);
            assert_eq!(news.prefix, wire.prefix);
            assert_eq!((news.opening.as_str(), news.text()), ("", news.prefix.clone()));
            assert!(wire.prefix.ends_with("--") && wire.text().starts_with(&wire.prefix));
            // The opening is an incomplete sentence, which the teacher has to complete.
            assert!([" that", " to", " for"].iter().any(|end| wire.opening.ends_with(end)), "{}", wire.opening);
            assert_eq!(wire, prefixes.draw(Source::Newswire, 7, id, 0));
            openings.insert(wire.opening);
        }
        assert!(openings.len() > 150, "{}", openings.len());
    }
}
