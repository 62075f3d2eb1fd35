//! The commands of students.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use impossible_core::student::Style;
use impossible_core::train::gradient::Precision;
use impossible_core::train::optimizer::Kind;
use impossible_core::train::schedule::Shape;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as WordError, StrDeserializer};

use super::{TaskName, Thresholds};

/// A word of a settings file.
pub(super) fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(StrDeserializer::<WordError>::new(text)).map_err(|e| e.to_string())
}

/// Settings that every training has.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct FitFlags {
    /// Times each example is seen.
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// Examples a step.
    #[arg(long = "train-batch", value_name = "N")]
    pub train_batch: Option<usize>,
    /// Padded tokens worked on at once; a step takes as many parts as it needs.
    #[arg(long, value_name = "N")]
    pub batch_tokens: Option<usize>,
    /// Largest learning rate.
    #[arg(long, value_name = "R")]
    pub learning_rate: Option<f64>,
    /// Share of the steps over which the rate rises.
    #[arg(long, value_name = "SHARE")]
    pub warmup: Option<f64>,
    /// What follows: constant, linear, cosine, inverse-sqrt.
    #[arg(long, value_name = "SHAPE", value_parser = word::<Shape>)]
    pub schedule: Option<Shape>,
    /// adamw or adafactor.
    #[arg(long, value_name = "NAME", value_parser = word::<Kind>)]
    pub optimizer: Option<Kind>,
    /// Weight decay.
    #[arg(long, value_name = "D")]
    pub weight_decay: Option<f64>,
    /// Largest global norm of the gradients; 0 = no limit.
    #[arg(long, value_name = "NORM")]
    pub clip: Option<f64>,
    /// Dropout of the residual stream.
    #[arg(long, value_name = "P")]
    pub dropout: Option<f32>,
    /// Label smoothing.
    #[arg(long, value_name = "E")]
    pub label_smoothing: Option<f32>,
    /// Number type of the products: f32, f16 or bf16, where the device computes with it. Weights stay in f32.
    #[arg(long, value_name = "TYPE", value_parser = word::<Precision>)]
    pub compute: Option<Precision>,
    /// Share of the groups (contexts, documents, premises) that is held out.
    #[arg(long, value_name = "SHARE")]
    pub validation: Option<f64>,
    /// Steps between two looks at held-out examples.
    #[arg(long, value_name = "N")]
    pub evaluate_every: Option<u64>,
}

/// Settings of a student's training.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct TrainFlags {
    /// What every training has.
    #[command(flatten)]
    pub fit: FitFlags,
    /// Train all weights instead of low-rank adapters.
    #[arg(long, conflicts_with_all = ["lora_rank", "lora_alpha", "lora_targets"])]
    pub full: bool,
    /// Width of the adapters.
    #[arg(long, value_name = "N")]
    pub lora_rank: Option<usize>,
    /// Scale of the adapters times their width; else twice the width.
    #[arg(long, value_name = "A")]
    pub lora_alpha: Option<f64>,
    /// Weights that get adapters, by the ends of their names (q_proj,v_proj).
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub lora_targets: Vec<String>,
    /// Keep less in memory, compute each layer twice.
    #[arg(long)]
    pub checkpointing: bool,
}

/// `train`.
#[derive(Debug, ClapArgs)]
pub struct Train {
    /// Run folder.
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// Folders of pairs (of several runs); else RUN/dataset.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Folder of the training; else RUN/student/stage0.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Model to start from; else the run's teacher.
    #[arg(long, value_name = "MODEL")]
    pub base: Option<String>,
    /// Only this task; else one student for both.
    #[arg(long, value_enum)]
    pub task: Option<TaskName>,
    /// Seed; else the run's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Training.
    #[command(flatten)]
    pub train: TrainFlags,
}

/// `refine`.
#[derive(Debug, ClapArgs)]
pub struct Refine {
    /// Run folder.
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// Student that makes the pairs; else RUN/student/stage0/model.
    #[arg(long, value_name = "DIR")]
    pub student: Option<PathBuf>,
    /// Your own sentences to rewrite: .txt (a text a line) or .jsonl; else the teacher writes fresh ones.
    #[arg(long, value_name = "FILE")]
    pub sentences: Option<PathBuf>,
    /// Field of a .jsonl file of sentences.
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// Sentences to rewrite.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub sources: usize,
    /// Versions of each sentence.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub samples: u32,
    /// Make the pairs and stop.
    #[arg(long)]
    pub pairs_only: bool,
    /// Training of the next student.
    #[command(flatten)]
    pub train: TrainFlags,
}

/// `paraphrase` and `summarize`.
#[derive(Debug, ClapArgs)]
pub struct Rewrite {
    /// Text; else --file, else stdin.
    pub text: Vec<String>,
    /// The student's model folder, or its training folder; `tiny-student` is carried by this program.
    #[arg(long, value_name = "DIR")]
    pub student: PathBuf,
    /// Texts: .txt (one a line) or .jsonl.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Field of a .jsonl file.
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// Distinct versions of each sentence.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub num: usize,
    /// How versions are drawn and ranked: faithful, balanced or diverse.
    #[arg(long, value_name = "STYLE", value_parser = word::<Style>, default_value = "balanced")]
    pub style: Style,
    /// Versions drawn for each sentence.
    #[arg(long, value_name = "N")]
    pub samples: Option<u32>,
    /// Sampling temperature.
    #[arg(long, value_name = "T", conflicts_with = "beams")]
    pub temperature: Option<f32>,
    /// Nucleus mass.
    #[arg(long, value_name = "P", conflicts_with = "beams")]
    pub top_p: Option<f32>,
    /// Draw from the K likeliest tokens only.
    #[arg(long, value_name = "K", conflicts_with = "beams")]
    pub top_k: Option<usize>,
    /// Least share of the likeliest token's probability.
    #[arg(long, value_name = "P", conflicts_with = "beams")]
    pub min_p: Option<f32>,
    /// Locally typical mass.
    #[arg(long, value_name = "P", conflicts_with = "beams")]
    pub typical_p: Option<f32>,
    /// Makes tokens that were there less likely; 1 = off.
    #[arg(long, value_name = "R")]
    pub repetition_penalty: Option<f32>,
    /// No n-gram twice in a version; 0 = off.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub no_repeat_ngram: usize,
    /// Longest version in tokens.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub max_tokens: usize,
    /// Beam search instead of sampling, with as many beams as --samples.
    #[arg(long)]
    pub beams: bool,
    /// With --beams: divide log-probabilities by the length to this power.
    #[arg(long, value_name = "L", default_value_t = 1.0, allow_negative_numbers = true, requires = "beams")]
    pub length_penalty: f64,
    /// With --beams: what a token loses for each beam that has just taken it.
    #[arg(long, value_name = "D", default_value_t = 0.0, requires = "beams")]
    pub diversity_penalty: f64,
    /// Length of a summary, as a share of its source.
    #[arg(long, value_name = "R", default_value_t = 0.6)]
    pub length: f32,
    /// Give no version whose entailment, in the direction the task asks, is below this.
    #[arg(long, value_name = "P")]
    pub min_entailment: Option<f32>,
    /// Give versions that a critic refused as well, with the reason.
    #[arg(long)]
    pub all: bool,
    /// Show what the critics say.
    #[arg(long)]
    pub explain: bool,
    /// Seed.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// How tasks are put to a model that is no student of ours: a file like a student's impossible.json.
    #[arg(long, value_name = "FILE")]
    pub format: Option<PathBuf>,
    /// Entailment critic; else that of the student's run.
    #[arg(long, value_name = "MODEL")]
    pub critic: Option<String>,
    /// Sentence encoder; else that of the student's run.
    #[arg(long, value_name = "MODEL")]
    pub encoder: Option<String>,
    /// Thresholds.
    #[command(flatten)]
    pub thresholds: Thresholds,
}

/// `export`.
#[derive(Debug, ClapArgs)]
pub struct Export {
    /// A model folder (of a student, a teacher or a critic), or a training folder.
    #[arg(long, value_name = "DIR", visible_alias = "student")]
    pub model: PathBuf,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number type of the weights.
    #[arg(long, value_enum, default_value = "f32")]
    pub precision: crate::training::save::Precision,
    /// Cut the weights into files of at most this many MiB, with an index (60 for a browser); a larger tensor gets a file of its own.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub shard_size: Option<u64>,
}
