//! What changes a plan.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

/// A set of models and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PresetName {
    /// Three models of one to three million parameters that this program carries: newswire, in two minutes.
    Tiny,
    /// SmolLM2-135M-Instruct, a small DeBERTa critic, MiniLM.
    Small,
    /// The paper's: GPT2-XL and RoBERTa-large WANLI.
    Paper,
    /// BioGPT-Large and RoBERTa-large WANLI.
    Biomedical,
}

impl PresetName {
    /// The word in files and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Paper => "paper",
            Self::Biomedical => "biomedical",
        }
    }
}

/// A set of critics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CriticsName {
    /// Exactly the paper's critics.
    Paper,
    /// The authors' code, its one-sided number check included.
    Reference,
    /// Ours: numbers, names and modality must agree; floors under cosine and ROUGE-L.
    Strict,
}

/// Everything that changes a plan.
#[derive(Debug, ClapArgs)]
pub struct PlanFlags {
    /// Models and defaults to start from; else `tiny`, or `small` where a model is named.
    #[arg(long, value_enum)]
    pub preset: Option<PresetName>,
    /// A plan file; flags change its entries.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Seed of all random streams.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Contexts to sample after.
    #[arg(long, value_name = "N")]
    pub contexts: Option<usize>,
    /// Your own sentences as contexts: .txt (a text a line) or .jsonl (field `text`).
    #[arg(long, value_name = "FILE")]
    pub seeds: Option<PathBuf>,
    /// Field of a .jsonl file of seeds.
    #[arg(long, value_name = "NAME", requires = "seeds")]
    pub field: Option<String>,
    /// Siblings of each context.
    #[arg(long, value_name = "N")]
    pub k: Option<usize>,
    /// Sampling temperature of siblings.
    #[arg(long, value_name = "T")]
    pub temperature: Option<f32>,
    /// Nucleus mass of siblings.
    #[arg(long, value_name = "P")]
    pub top_p: Option<f32>,
    /// Rows decoded together.
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Teacher: a name in the model folder or a path.
    #[arg(long, value_name = "MODEL")]
    pub teacher: Option<String>,
    /// Entailment critic: a name or a path.
    #[arg(long, value_name = "MODEL")]
    pub critic: Option<String>,
    /// Sentence encoder: a name or a path.
    #[arg(long, value_name = "MODEL")]
    pub encoder: Option<String>,
    /// Critics to start from.
    #[arg(long, value_enum)]
    pub critics: Option<CriticsName>,
    /// Thresholds.
    #[command(flatten)]
    pub thresholds: Thresholds,
}

impl PlanFlags {
    /// The preset to start from.
    #[must_use]
    pub fn preset(&self) -> PresetName {
        let named = self.teacher.is_some() || self.critic.is_some() || self.encoder.is_some();
        self.preset.unwrap_or(if named { PresetName::Small } else { PresetName::Tiny })
    }
}

/// `--diversity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiversityName {
    /// The best pair of every connected component (the paper's Algorithm 1).
    Component,
    /// A maximal set of pairs that do not entail each other, best first.
    Independent,
    /// Keep all.
    Off,
}

/// Thresholds of the critics.
#[derive(Debug, ClapArgs, Default)]
pub struct Thresholds {
    /// Least ROUGE-L F of a paraphrase pair.
    #[arg(long, value_name = "F")]
    pub rouge_min: Option<f32>,
    /// Most ROUGE-L F of a paraphrase pair.
    #[arg(long, value_name = "F")]
    pub rouge_max: Option<f32>,
    /// Least cosine of a paraphrase pair (-1 = off).
    #[arg(long, value_name = "C", allow_negative_numbers = true)]
    pub cosine_min: Option<f32>,
    /// Least entailment of a paraphrase pair, both ways.
    #[arg(long, value_name = "P")]
    pub entailment_min: Option<f32>,
    /// Whether negation, modality, degree and direction must agree, in both datasets.
    #[arg(long, value_name = "true|false")]
    pub modality: Option<bool>,
    /// How one pair is chosen among those of a context that say the same, in both datasets.
    #[arg(long, value_enum)]
    pub diversity: Option<DiversityName>,
    /// Least cosine of a summary pair (-1 = off).
    #[arg(long, value_name = "C", allow_negative_numbers = true)]
    pub summary_cosine_min: Option<f32>,
    /// Least entailment of a summary pair.
    #[arg(long, value_name = "P")]
    pub summary_entailment_min: Option<f32>,
    /// Most length of a summary, as a share of its source.
    #[arg(long, value_name = "R")]
    pub summary_length_max: Option<f32>,
}
