//! Rows of a run's files: contexts, sampled sentences, scored pairs and kept pairs.

use serde::{Deserialize, Serialize};

use crate::names::named;
use crate::verdict::{Refusal, or_kept};

/// A left context, which siblings are sampled from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Number of the context in the run, from 0.
    pub id: u64,
    /// The text that siblings continue.
    pub text: String,
    /// The prefix that the context started with, or the source of its seed ("news.txt, line 12").
    pub origin: String,
    /// Number of sentences.
    pub sentences: usize,
}

named! {
    /// Why the sampling of a row ended.
    pub enum Finish {
        /// A complete first sentence was sampled.
        Sentence = "sentence",
        /// The model sampled an end-of-text token before a sentence was complete.
        EndOfText = "end_of_text",
        /// The token limit was reached before a sentence was complete.
        Length = "length",
        /// The sentence has fewer than three characters or no letter.
        TooShort = "too_short",
        /// Every token was banned.
        NoToken = "no_token",
    }
}

/// One sampled continuation of a context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Number of the context.
    pub context: u64,
    /// Number of the sample in its context, from 0. Seed, context and row determine the random stream.
    pub row: u32,
    /// The sentence, or all sampled text if `finish` is not [`Finish::Sentence`].
    pub text: String,
    /// Number of sampled tokens.
    pub tokens: u32,
    /// Why sampling ended.
    pub finish: Finish,
}

/// The two datasets of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Two sentences that entail each other and are worded differently.
    Paraphrase,
    /// A sentence and a shorter one that it entails.
    Summary,
}

impl Task {
    /// Both tasks, in the order used in all tables.
    pub const ALL: [Self; 2] = [Self::Paraphrase, Self::Summary];

    /// `paraphrase` or `summary`, as in file and column names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Paraphrase => "paraphrase",
            Self::Summary => "summary",
        }
    }
}

/// A pair with its scores and the critic that refused it, if any. A score is `None` if it was never computed, either
/// because an earlier critic refused the pair or because the plan has no such critic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The task that the pair was judged for.
    pub task: Task,
    /// Number of the context.
    pub context: u64,
    /// Row of the source sentence x.
    pub x: u32,
    /// Row of the target sentence y.
    pub y: u32,
    /// len(y) / len(x), in characters.
    pub length_ratio: f32,
    /// ROUGE-L F1 of x and y.
    pub rouge_l: f32,
    /// 1 = numbers agree as the plan requires, 0 = not.
    pub numbers: Option<f32>,
    /// 1 = entities agree, 0 = not.
    pub entities: Option<f32>,
    /// 1 = negation, modality, degree and direction agree, 0 = not.
    pub modality: Option<f32>,
    /// Cosine of the sentence embeddings, -1 to 1.
    pub cosine: Option<f32>,
    /// Probability that x entails y.
    pub forward: Option<f32>,
    /// Probability that y entails x.
    pub backward: Option<f32>,
    /// Negative log-likelihood of y as a reworder writes it from damaged forms of x, in nats per token. Only versions
    /// of a reworder have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nll: Option<f32>,
    /// Why the pair was refused; `None` (an empty string in files) for a kept pair.
    #[serde(with = "or_kept")]
    pub refused_by: Option<Refusal>,
}

impl Scored {
    /// Whether every critic accepted the pair.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.refused_by.is_none()
    }
}

/// A row of a dataset: a kept pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The source sentence x.
    pub text: String,
    /// The target sentence y, its paraphrase or summary.
    pub target: String,
    /// The pair's scores.
    pub scored: Scored,
}
