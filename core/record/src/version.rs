//! Versions of a sentence that a student wrote, and how they are sampled and ranked.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::plan::{Paraphrase, Summary};
use crate::rows::Scored;

/// How versions are sampled and ranked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// Low temperature, ranked by entailment minus [`nll`](Scored::nll).
    Faithful,
    /// The default temperature, ranked by entailment minus `nll` plus half of 1 - ROUGE-L.
    #[default]
    Balanced,
    /// High temperature and a wider nucleus, ranked by 1 - ROUGE-L.
    Diverse,
}

impl Style {
    /// Orders versions best first: kept ones before refused ones, then by the style's value, then by row.
    #[must_use]
    pub fn rank(self, a: &Version, b: &Version) -> Ordering {
        let value = |v: &Version| {
            let truth = v.entailment().unwrap_or(0.0) - v.scored.nll.unwrap_or(0.0);
            let difference = 1.0 - v.scored.rouge_l;
            match self {
                Self::Faithful => truth,
                Self::Balanced => truth + difference / 2.0,
                Self::Diverse => difference,
            }
        };
        b.kept().cmp(&a.kept()).then(value(b).total_cmp(&value(a))).then(a.row.cmp(&b.row))
    }

    /// A run's thresholds, relaxed for the user's own sentences: one word is enough for a paraphrase and three for a
    /// summary, questions are allowed, and [`Style::Diverse`] has no minimum ROUGE-L.
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

/// One version of a sentence, with its scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Index of the source sentence, from 0.
    pub source: usize,
    /// Number of the sample of this sentence, from 0.
    pub row: u32,
    /// The version's text.
    pub text: String,
    /// The critics' scores and decision; `context` is the sentence's number, `x` is 0 and `y` is the sample's number.
    pub scored: Scored,
}

impl Version {
    /// Whether every critic accepted the version.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.scored.kept()
    }

    /// The lower of the entailment probabilities in both directions, or the forward one if only that was scored; `None`
    /// without either.
    #[must_use]
    pub fn entailment(&self) -> Option<f32> {
        let forward = self.scored.forward?;
        Some(self.scored.backward.map_or(forward, |b| b.min(forward)))
    }
}
