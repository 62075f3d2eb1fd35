//! The options that change a plan.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use record::Preset;
use record::plan::{Critics, Diversity};

use super::choice;

/// The options that change a plan.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Plan")]
pub struct PlanFlags {
    /// Models and defaults to start from (default: `tiny`, or `small` if a model is specified).
    #[arg(long, value_parser = choice::preset())]
    pub preset: Option<Preset>,
    /// Plan file; command-line options override its entries.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Seed of all random streams.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Number of contexts.
    #[arg(long, value_name = "N")]
    pub contexts: Option<usize>,
    /// File of texts to use as contexts: .txt (one text per line) or .jsonl (field `text`).
    #[arg(long, value_name = "FILE")]
    pub seeds: Option<PathBuf>,
    /// Field of the text in a .jsonl file of seeds.
    #[arg(long, value_name = "NAME", requires = "seeds")]
    pub field: Option<String>,
    /// Number of siblings per context.
    #[arg(long, value_name = "N")]
    pub k: Option<usize>,
    /// Sampling temperature of siblings.
    #[arg(long, value_name = "T")]
    pub temperature: Option<f32>,
    /// Nucleus mass of siblings.
    #[arg(long, value_name = "P")]
    pub top_p: Option<f32>,
    /// Number of rows decoded together.
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Teacher: a name in the folder of models, or a path.
    #[arg(long, value_name = "MODEL")]
    pub teacher: Option<String>,
    /// Entailment critic: a name or path.
    #[arg(long, value_name = "MODEL")]
    pub critic: Option<String>,
    /// Sentence encoder: a name or path.
    #[arg(long, value_name = "MODEL")]
    pub encoder: Option<String>,
    /// Set of critics to start from.
    #[arg(long, value_parser = choice::critics())]
    pub critics: Option<Critics>,
    /// Thresholds.
    #[command(flatten)]
    pub thresholds: Thresholds,
}

impl PlanFlags {
    /// The preset to start from.
    #[must_use]
    pub fn preset(&self) -> Preset {
        let named = self.teacher.is_some() || self.critic.is_some() || self.encoder.is_some();
        self.preset.unwrap_or(if named { Preset::Small } else { Preset::Tiny })
    }
}

/// Thresholds of the critics.
#[derive(Debug, Clone, ClapArgs, Default)]
#[command(next_help_heading = "Thresholds")]
pub struct Thresholds {
    /// Minimum ROUGE-L F of a paraphrase pair.
    #[arg(long, value_name = "F")]
    pub rouge_min: Option<f32>,
    /// Maximum ROUGE-L F of a paraphrase pair.
    #[arg(long, value_name = "F")]
    pub rouge_max: Option<f32>,
    /// Minimum cosine of a paraphrase pair (-1 for none).
    #[arg(long, value_name = "C", allow_negative_numbers = true)]
    pub cosine_min: Option<f32>,
    /// Minimum entailment probability of a paraphrase pair, in both directions.
    #[arg(long, value_name = "P")]
    pub entailment_min: Option<f32>,
    /// Whether negation, modality, degree and direction must agree, in both datasets.
    #[arg(long, value_name = "true|false")]
    pub modality: Option<bool>,
    /// How duplicates are removed among the pairs of a context that say the same, in both datasets.
    #[arg(long, value_parser = choice::diversity())]
    pub diversity: Option<Diversity>,
    /// Minimum cosine of a summary pair (-1 for none).
    #[arg(long, value_name = "C", allow_negative_numbers = true)]
    pub summary_cosine_min: Option<f32>,
    /// Minimum probability that the source entails the summary.
    #[arg(long, value_name = "P")]
    pub summary_entailment_min: Option<f32>,
    /// Maximum length of a summary, as a fraction of its source.
    #[arg(long, value_name = "R")]
    pub summary_length_max: Option<f32>,
}
