//! What a run writes: contexts, sampled sentences, scored pairs, kept pairs.

use serde::{Deserialize, Serialize};

use crate::names::named;
use crate::verdict::{Refusal, or_kept};

/// A left context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Number of the context in the run, from 0.
    pub id: u64,
    /// The text siblings are sampled after.
    pub text: String,
    /// Prefix or seed it grew from.
    pub origin: String,
    /// How many sentences it has.
    pub sentences: usize,
}

named! {
    /// Why the sampling of a row ended.
    pub enum Finish {
        /// A whole first sentence.
        Sentence = "sentence",
        /// End-of-text token before a sentence was complete.
        EndOfText = "end_of_text",
        /// The token limit came first.
        Length = "length",
        /// The sentence has fewer than three characters or no letter.
        TooShort = "too_short",
        /// No token could be sampled, as all were banned.
        NoToken = "no_token",
    }
}

/// A sampled first sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The context.
    pub context: u64,
    /// Row of the context, from 0; with the seed and the context it names the random stream.
    pub row: u32,
    /// The sentence; where `finish` is not `Sentence`, the text sampled so far.
    pub text: String,
    /// Tokens sampled.
    pub tokens: u32,
    /// Why it ended.
    pub finish: Finish,
}

/// The two datasets of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Entailed both ways, worded differently.
    Paraphrase,
    /// Entailed one way, shorter.
    Summary,
}

impl Task {
    /// Both, in the order of every table.
    pub const ALL: [Self; 2] = [Self::Paraphrase, Self::Summary];

    /// `paraphrase` or `summary`: file stem and column name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Paraphrase => "paraphrase",
            Self::Summary => "summary",
        }
    }
}

/// A pair with every score that was computed, and the critic that refused it. `None` = never computed, as an
/// earlier critic had refused the pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The dataset it is a candidate for.
    pub task: Task,
    /// The context.
    pub context: u64,
    /// Row of x.
    pub x: u32,
    /// Row of y.
    pub y: u32,
    /// len(y) / len(x) in characters.
    pub length_ratio: f32,
    /// ROUGE-L F of x and y.
    pub rouge_l: f32,
    /// 1 = numbers agree as the plan demands, 0 = not.
    pub numbers: Option<f32>,
    /// 1 = entities agree, 0 = not.
    pub entities: Option<f32>,
    /// 1 = negation, modality, degree and direction agree, 0 = not.
    pub modality: Option<f32>,
    /// Cosine of the sentence embeddings.
    pub cosine: Option<f32>,
    /// p(x => y).
    pub forward: Option<f32>,
    /// p(y => x).
    pub backward: Option<f32>,
    /// Why it is in no dataset; an empty string in files where it is in one.
    #[serde(with = "or_kept")]
    pub refused_by: Option<Refusal>,
}

impl Scored {
    /// Whether every critic accepted it.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.refused_by.is_none()
    }
}

/// A row of the dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// x.
    pub text: String,
    /// y.
    pub target: String,
    /// All scores.
    pub scored: Scored,
}
