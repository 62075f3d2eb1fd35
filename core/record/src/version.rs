//! How versions of a sentence are drawn and ranked, and what is known of one.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::plan::{Paraphrase, Summary};
use crate::rows::Scored;

/// How versions are drawn and ranked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// Low temperature, ranked by entailment.
    Faithful,
    /// The settings of self-distillation, ranked by entailment and difference.
    #[default]
    Balanced,
    /// High temperature, ranked by difference.
    Diverse,
}

impl Style {
    /// Better first: what every critic kept before what one refused.
    #[must_use]
    pub fn rank(self, a: &Version, b: &Version) -> Ordering {
        let value = |v: &Version| {
            let (entailment, difference) = (v.entailment().unwrap_or(0.0), 1.0 - v.scored.rouge_l);
            match self {
                Self::Faithful => entailment,
                Self::Balanced => entailment + difference / 2.0,
                Self::Diverse => difference,
            }
        };
        b.kept().cmp(&a.kept()).then(value(b).total_cmp(&value(a))).then(a.row.cmp(&b.row))
    }

    /// Thresholds of a run's critics for sentences of a user's own, which may be as short as she likes, and questions.
    #[must_use]
    pub fn thresholds(self, mut paraphrase: Paraphrase, mut summary: Summary) -> (Paraphrase, Summary) {
        (paraphrase.min_words, summary.min_words) = (1, 3);
        (paraphrase.statements, summary.statements) = (false, false);
        if self == Self::Diverse {
            paraphrase.rouge_min = 0.0;
        }
        (paraphrase, summary)
    }
}

/// One version of a sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Which sentence, from 0.
    pub source: usize,
    /// Which sample of it, from 0.
    pub row: u32,
    /// Its text.
    pub text: String,
    /// What the critics say; `x` and `context` are the sentence's number, `y` the sample's.
    pub scored: Scored,
}

impl Version {
    /// Whether every critic accepted it.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.scored.kept()
    }

    /// p(x => y), and p(y => x) where it was asked: the lower of both.
    #[must_use]
    pub fn entailment(&self) -> Option<f32> {
        let forward = self.scored.forward?;
        Some(self.scored.backward.map_or(forward, |b| b.min(forward)))
    }
}
