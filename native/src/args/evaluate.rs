//! The command line of `evaluate`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use method::evaluate::{Measure, Model, baseline, dataset};
use record::Task;
use record::{Error, Result};
use text::metric::bootstrap::Settings;

use super::choice;

/// How the rows of a system's file are matched to those of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Join {
    /// By `id` if every row of both files has one, else in order.
    Auto,
    /// Line by line.
    Order,
    /// By the field `id`.
    Id,
}

/// `evaluate`.
#[derive(Debug, ClapArgs)]
pub struct EvaluateArgs {
    /// Task of the systems; with --dataset, the only dataset of the run to evaluate.
    #[arg(long, value_parser = choice::task(), required_unless_present = "dataset")]
    pub task: Option<Task>,
    /// The benchmark: .jsonl with the fields `text` and `references`.
    #[arg(long, value_name = "FILE", required_unless_present = "dataset", conflicts_with = "dataset")]
    pub data: Option<PathBuf>,
    /// Field of the source texts.
    #[arg(long, value_name = "FIELD", default_value = "text")]
    pub source: String,
    /// Field of the references, a text or a list of texts (default: `references`, if present).
    #[arg(long, value_name = "FIELD")]
    pub reference: Option<String>,
    /// Outputs of a system: .jsonl with the field `paraphrase` or `summary`. The first system is compared with each of
    /// the others.
    #[arg(long, value_name = "NAME=FILE", conflicts_with = "dataset")]
    pub system: Vec<String>,
    /// Field of the outputs (default: the name of the task).
    #[arg(long, value_name = "FIELD")]
    pub output: Option<String>,
    /// How rows are matched to those of the benchmark.
    #[arg(long, value_enum, default_value = "auto")]
    pub join: Join,
    /// Number of words in the lead baseline for summaries.
    #[arg(long, value_name = "N", default_value_t = baseline::LEAD)]
    pub lead: usize,
    /// Omit the baselines (copied input and lead).
    #[arg(long)]
    pub no_baselines: bool,
    /// Add a row for this language model, prompted without examples (zero-shot).
    #[arg(long, value_name = "MODEL", conflicts_with = "dataset")]
    pub zero_shot: Option<String>,
    /// Entailment model: a name or path. It should differ from the critic that filtered the data.
    #[arg(long, value_name = "MODEL")]
    pub critic: Option<String>,
    /// Sentence encoder for BERTScore and the cosine: a name or path.
    #[arg(long, value_name = "MODEL")]
    pub encoder: Option<String>,
    /// Encoder layer for BERTScore, from 1 (default: the last).
    #[arg(long, value_name = "L")]
    pub layer: Option<usize>,
    /// Only columns that need no model.
    #[arg(long, conflicts_with_all = ["critic", "encoder", "layer"])]
    pub no_models: bool,
    /// Only these columns, by their names in the JSON output: bleu, rouge_l, bert_ibleu, ...
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "dataset")]
    pub only: Vec<String>,
    /// Compute ROUGE on Porter stems.
    #[arg(long)]
    pub stem: bool,
    /// Number of bootstrap resamples.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub resamples: u32,
    /// Seed of resamples and samples.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Run folder or .jsonl of pairs, to compute statistics of the data itself. If given twice, both are measured at
    /// the same number of pairs.
    #[arg(long, value_name = "RUN")]
    pub dataset: Vec<PathBuf>,
    /// Maximum number of pairs of a dataset to measure.
    #[arg(long, value_name = "N", default_value_t = dataset::Settings::default().most)]
    pub most: usize,
    /// Also write evaluation.json, evaluation.md and evaluation.html into this folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace an earlier evaluation in that folder.
    #[arg(long, requires = "out")]
    pub force: bool,
    /// Print Markdown instead of the table.
    #[arg(long)]
    pub markdown: bool,
    /// Number of worst and of best examples per system on the page.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub examples: usize,
}

impl EvaluateArgs {
    /// Whether the requested evaluation needs this kind of model.
    ///
    /// # Errors
    /// [`Error::Input`] for a column that the task does not have.
    pub fn needs(&self, model: Model) -> Result<bool> {
        let needed = match self.task {
            _ if self.no_models => false,
            _ if !self.dataset.is_empty() => model == Model::Encoder,
            Some(task) => Measure::choose(task, &self.only)?.iter().any(|measure| measure.model() == Some(model)),
            None => false,
        };
        Ok(needed)
    }

    /// The field of the outputs.
    #[must_use]
    pub fn output_field(&self, task: Task) -> &str {
        self.output.as_deref().unwrap_or(task.name())
    }

    /// Settings of the bootstrap.
    #[must_use]
    pub fn bootstrap(&self) -> Settings {
        Settings { resamples: self.resamples, seed: self.seed, ..Settings::default() }
    }

    /// Settings of the dataset statistics.
    ///
    /// # Errors
    /// [`Error::Input`] for more than two datasets, or a maximum of 0 pairs.
    pub fn dataset_settings(&self) -> Result<dataset::Settings> {
        if self.dataset.len() > 2 {
            return Err(Error::input("--dataset", "one or two", self.dataset.len()));
        }
        if self.most == 0 {
            return Err(Error::input("--most", "at least 1", 0));
        }
        Ok(dataset::Settings { most: self.most, seed: self.seed, ..dataset::Settings::default() })
    }
}
