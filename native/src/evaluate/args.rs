//! The command line of `evaluate`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use impossible_core::evaluate::{Measure, Model, baseline, dataset};
use impossible_core::metric::bootstrap::Settings;
use impossible_core::record::Task;
use impossible_core::{Error, Result};

use crate::args::TaskName;

/// How the rows of a system's file are matched with those of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Join {
    /// By `id` where every row of both files has one, else in order.
    Auto,
    /// Line by line.
    Order,
    /// By the field `id`.
    Id,
}

/// `evaluate`.
#[derive(Debug, ClapArgs)]
pub struct EvaluateArgs {
    /// What the systems do; with --dataset only this one of the run's datasets.
    #[arg(long, value_enum, required_unless_present = "dataset")]
    pub task: Option<TaskName>,
    /// The benchmark: .jsonl with the fields `text` and `references`.
    #[arg(long, value_name = "FILE", required_unless_present = "dataset", conflicts_with = "dataset")]
    pub data: Option<PathBuf>,
    /// Field of the source texts.
    #[arg(long, value_name = "FIELD", default_value = "text")]
    pub source: String,
    /// Field of the references, a text or a list of texts; else `references`, if it is there.
    #[arg(long, value_name = "FIELD")]
    pub reference: Option<String>,
    /// A system's outputs: .jsonl with the field `paraphrase` or `summary`. The first is compared with each other.
    #[arg(long, value_name = "NAME=FILE", conflicts_with = "dataset")]
    pub system: Vec<String>,
    /// Field of the outputs; else the task's name.
    #[arg(long, value_name = "FIELD")]
    pub output: Option<String>,
    /// How rows are matched.
    #[arg(long, value_enum, default_value = "auto")]
    pub join: Join,
    /// Words of the lead row of summaries.
    #[arg(long, value_name = "N", default_value_t = baseline::LEAD)]
    pub lead: usize,
    /// No rows for the copied input and the lead.
    #[arg(long)]
    pub no_baselines: bool,
    /// Add a row: this language model, asked in words without an example.
    #[arg(long, value_name = "MODEL", conflicts_with = "dataset")]
    pub zero_shot: Option<String>,
    /// Entailment model: a name or a path. Use another one than the critic the data was filtered with.
    #[arg(long, value_name = "MODEL")]
    pub critic: Option<String>,
    /// Sentence encoder of BERTScore and the cosine: a name or a path.
    #[arg(long, value_name = "MODEL")]
    pub encoder: Option<String>,
    /// Layer of BERTScore, from 1; else the encoder's last.
    #[arg(long, value_name = "L")]
    pub layer: Option<usize>,
    /// Only columns that need no model.
    #[arg(long, conflicts_with_all = ["critic", "encoder", "layer"])]
    pub no_models: bool,
    /// Only these columns, by their names in the JSON output: bleu, rouge_l, bert_ibleu, ...
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "dataset")]
    pub only: Vec<String>,
    /// ROUGE on Porter stems.
    #[arg(long)]
    pub stem: bool,
    /// Bootstrap resamples.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub resamples: u32,
    /// Seed of resamples and samples.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// A run folder or a .jsonl of pairs: figures of the data itself. Given twice, both at the same number of pairs.
    #[arg(long, value_name = "RUN")]
    pub dataset: Vec<PathBuf>,
    /// Most pairs of a dataset to measure.
    #[arg(long, value_name = "N", default_value_t = dataset::Settings::default().most)]
    pub most: usize,
    /// Also write evaluation.json, evaluation.md and evaluation.html into this folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Markdown on stdout instead of the table.
    #[arg(long)]
    pub markdown: bool,
    /// Worst and best examples of each system on the page.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub examples: usize,
}

impl EvaluateArgs {
    /// The task asked for.
    #[must_use]
    pub fn task(&self) -> Option<Task> {
        self.task.map(|task| match task {
            TaskName::Paraphrase => Task::Paraphrase,
            TaskName::Summary => Task::Summary,
        })
    }

    /// Whether a model is needed for what was asked.
    ///
    /// # Errors
    /// [`Error::Input`] for a column that is none of the task's.
    pub fn needs(&self, model: Model) -> Result<bool> {
        let needed = match self.task() {
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

    /// How to resample.
    #[must_use]
    pub fn bootstrap(&self) -> Settings {
        Settings { resamples: self.resamples, seed: self.seed, ..Settings::default() }
    }

    /// How much of a dataset to measure.
    ///
    /// # Errors
    /// [`Error::Input`] for more than two datasets or none of their pairs.
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
