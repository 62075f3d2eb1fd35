//! What a context starts with: a dateline, a section word, or nothing (paper, section 3.1 and appendix; the authors'
//! code for the shares).

use serde::Deserialize;

use super::stage;
use crate::plan::Source;
use crate::random::Stream;
use crate::{Error, Result};

#[derive(Deserialize)]
struct News {
    outlets: Vec<String>,
    places: Vec<[String; 2]>,
}

#[derive(Deserialize)]
struct Words {
    words: Vec<String>,
}

/// The lists of one source.
pub struct Prefixes {
    news: News,
    biomedical: Words,
}

impl Prefixes {
    /// The project's own lists.
    ///
    /// # Errors
    /// [`Error::Broken`] when this build carries broken lists.
    pub fn new() -> Result<Self> {
        let bad = |file: &str, e: toml::de::Error| Error::broken(file, e);
        Ok(Self {
            news: toml::from_str(include_str!("../../../assets/prefixes/news.toml"))
                .map_err(|e| bad("news.toml", e))?,
            biomedical: toml::from_str(include_str!("../../../assets/prefixes/biomedical.toml"))
                .map_err(|e| bad("biomedical.toml", e))?,
        })
    }

    /// The prefix of an attempt at a context.
    #[must_use]
    pub fn draw(&self, source: Source, seed: u64, context: u64, attempt: u32) -> String {
        let mut stream = Stream::new(seed, stage::PREFIX, context, attempt);
        match source {
            Source::News => {
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
        }
    }
}
