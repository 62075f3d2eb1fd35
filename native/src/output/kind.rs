//! The kinds of output folders, and how a folder of each kind is recognised.

use serde::{Deserialize, Serialize};

/// A kind of output folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run of `distill` or `merge`.
    Run,
    /// A student's training.
    Student,
    /// A training by `pretrain`.
    Pretraining,
    /// A training by `train-critic`.
    Critic,
    /// The self-distillation of a run, `RUN/refine`.
    Refinement,
    /// Pairs that `filter` wrote.
    Pairs,
    /// A model that `export` wrote.
    Export,
    /// Results of `evaluate`.
    Evaluation,
}

impl Kind {
    pub(super) const ALL: [Self; 8] = [
        Self::Run,
        Self::Student,
        Self::Pretraining,
        Self::Critic,
        Self::Refinement,
        Self::Pairs,
        Self::Export,
        Self::Evaluation,
    ];

    /// The kind as messages name it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Run => "a run",
            Self::Student => "the training of a student",
            Self::Pretraining => "a pretraining",
            Self::Critic => "the training of a critic",
            Self::Refinement => "the self-distillation of a run",
            Self::Pairs => "pairs written by `filter`",
            Self::Export => "an exported model",
            Self::Evaluation => "an evaluation",
        }
    }

    /// Entries by which a folder that is continued is recognised; the other kinds have a [`Manifest`].
    pub(super) fn marks(self) -> &'static [&'static str] {
        match self {
            Self::Run => &["plan.toml", "shards"],
            Self::Student => &["student.toml"],
            Self::Pretraining => &["pretrain.toml"],
            Self::Critic => &["critic.toml"],
            Self::Refinement => &["refine.toml"],
            Self::Pairs | Self::Export | Self::Evaluation => &[],
        }
    }

    /// Entries that the plan of such an output has, and another file of that name hardly has.
    pub(super) fn plan_entries(self) -> &'static [&'static str] {
        match self {
            Self::Run => &["seed", "device", "models", "contexts", "siblings"],
            Self::Student => &["seed", "device", "base", "data", "format", "train"],
            Self::Pretraining => &["seed", "device", "task", "data", "config", "train"],
            Self::Critic => &["seed", "device", "data", "config", "train"],
            Self::Refinement => &["run", "student_sha256", "samples"],
            Self::Pairs | Self::Export | Self::Evaluation => &[],
        }
    }

    /// The entries that outputs of this kind consist of; `None` if it is all files of the folder.
    pub(super) fn contents(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Student => Some(&["student.toml", "checkpoints", "metrics.jsonl", "model", "report.html"]),
            Self::Pretraining => Some(&[
                "pretrain.toml",
                "checkpoints",
                "metrics.jsonl",
                "model",
                "report.html",
                "samples.jsonl",
                "tokenizer.json",
            ]),
            Self::Critic => Some(&[
                "critic.toml",
                "checkpoints",
                "labels",
                "labels-test",
                "measured.json",
                "metrics.jsonl",
                "model",
                "report.html",
            ]),
            Self::Refinement => Some(&["refine.toml", "dataset", "parts", "sources.jsonl"]),
            Self::Run | Self::Pairs | Self::Export | Self::Evaluation => None,
        }
    }
}
