//! What a run writes: sampled sentences, scored pairs, kept pairs, and the count of everything dropped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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

/// Why the sampling of a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// A whole first sentence.
    Sentence,
    /// End-of-text token before a sentence was complete.
    EndOfText,
    /// The token limit came first.
    Length,
    /// The sentence has fewer than three characters or no letter.
    TooShort,
    /// No token could be sampled (all banned).
    NoToken,
}

/// A sampled first sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The context.
    pub context: u64,
    /// Row of the context, from 0; with the seed and the context it names the random stream.
    pub row: u32,
    /// The sentence; what there is of it when `finish` is not `Sentence`.
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
    /// Name of the critic that refused it; empty = kept.
    pub refused_by: String,
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

/// Pairs in and pairs left, critic by critic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funnel {
    /// Contexts made and refused, by reason ("made", "duplicate", "too short", ...).
    pub contexts: BTreeMap<String, u64>,
    /// Samples by [`Finish`], plus "duplicate".
    pub samples: BTreeMap<String, u64>,
    /// For each task the critics in order.
    pub paraphrase: Vec<FunnelStep>,
    /// For each task the critics in order.
    pub summary: Vec<FunnelStep>,
}

/// One critic's line of the funnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunnelStep {
    /// The critic's name ("pairs" for the first line).
    pub critic: String,
    /// Pairs it saw.
    pub seen: u64,
    /// Pairs it let through.
    pub passed: u64,
}

impl Funnel {
    /// Adds the counts of another part of the run. Steps of the same critic are added; new critics go to the end.
    pub fn add(&mut self, other: &Self) {
        for (into, from) in [(&mut self.contexts, &other.contexts), (&mut self.samples, &other.samples)] {
            for (reason, n) in from {
                *into.entry(reason.clone()).or_default() += n;
            }
        }
        for (into, from) in [(&mut self.paraphrase, &other.paraphrase), (&mut self.summary, &other.summary)] {
            for step in from {
                match into.iter_mut().find(|s| s.critic == step.critic) {
                    Some(s) => {
                        s.seen += step.seen;
                        s.passed += step.passed;
                    }
                    None => into.push(step.clone()),
                }
            }
        }
    }

    /// The steps of a task.
    #[must_use]
    pub fn steps(&self, task: Task) -> &[FunnelStep] {
        match task {
            Task::Paraphrase => &self.paraphrase,
            Task::Summary => &self.summary,
        }
    }
}
