//! The commands that train and use students.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use lm::train::gradient::Precision;
use lm::train::optimizer::Kind;
use lm::train::schedule::Shape;
use record::{Style, Task};
use serde::de::DeserializeOwned;
use serde::de::value::{Error as WordError, StrDeserializer};

use super::{Moved, Thresholds, choice};

/// Parses a word as in a settings file.
pub(super) fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(StrDeserializer::<WordError>::new(text)).map_err(|e| e.to_string())
}

/// Settings common to all training commands.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Training")]
pub struct FitFlags {
    /// Number of epochs.
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// Number of examples per step.
    #[arg(long = "train-batch", value_name = "N")]
    pub train_batch: Option<usize>,
    /// Maximum number of padded tokens processed at once; a step is split into as many parts as necessary.
    #[arg(long, value_name = "N")]
    pub batch_tokens: Option<usize>,
    /// Peak learning rate.
    #[arg(long, value_name = "R")]
    pub learning_rate: Option<f64>,
    /// Share of the steps used for learning rate warm-up.
    #[arg(long, value_name = "SHARE")]
    pub warmup: Option<f64>,
    /// Learning rate schedule after the warm-up: constant, linear, cosine, inverse-sqrt.
    #[arg(long, value_name = "SHAPE", value_parser = word::<Shape>)]
    pub schedule: Option<Shape>,
    /// Optimiser: adamw or adafactor.
    #[arg(long, value_name = "NAME", value_parser = word::<Kind>)]
    pub optimizer: Option<Kind>,
    /// Weight decay.
    #[arg(long, value_name = "D")]
    pub weight_decay: Option<f64>,
    /// Maximum global norm of the gradients; 0 for no limit.
    #[arg(long, value_name = "NORM")]
    pub clip: Option<f64>,
    /// Dropout rate in the residual stream.
    #[arg(long, value_name = "P")]
    pub dropout: Option<f32>,
    /// Label smoothing.
    #[arg(long, value_name = "E")]
    pub label_smoothing: Option<f32>,
    /// Number type of matrix products: f32, f16 or bf16, if the device supports it. Weights stay in f32.
    #[arg(long, value_name = "TYPE", value_parser = word::<Precision>)]
    pub compute: Option<Precision>,
    /// Share of the groups (contexts, documents, premises) in the held-out set.
    #[arg(long, value_name = "SHARE")]
    pub validation: Option<f64>,
    /// Number of steps between evaluations on the held-out set.
    #[arg(long, value_name = "N")]
    pub evaluate_every: Option<u64>,
}

/// Settings of a student's training.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Training")]
pub struct TrainFlags {
    /// Settings common to all training commands.
    #[command(flatten)]
    pub fit: FitFlags,
    /// Train all weights instead of low-rank adapters.
    #[arg(long, conflicts_with_all = ["lora_rank", "lora_alpha", "lora_targets"])]
    pub full: bool,
    /// Rank of the adapters.
    #[arg(long, value_name = "N")]
    pub lora_rank: Option<usize>,
    /// Alpha of the adapters, which are scaled by alpha / rank (default: twice the rank).
    #[arg(long, value_name = "A")]
    pub lora_alpha: Option<f64>,
    /// Weights that get adapters, by the end of their names (q_proj,v_proj).
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub lora_targets: Vec<String>,
    /// Save memory by computing each layer twice (gradient checkpointing).
    #[arg(long)]
    pub checkpointing: bool,
}

/// What a student is trained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Goal {
    /// Paraphrase pairs.
    Paraphrase,
    /// Sentence-summary pairs.
    Summary,
    /// Writing damaged sentences back; needs sentences only.
    Reword,
}

/// `train`.
#[derive(Debug, ClapArgs)]
pub struct Train {
    /// Run folder.
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// With --task reword: files of sentences or texts to learn from, .txt or .jsonl, beside those of --run.
    #[arg(long, value_name = "FILES", num_args = 1..)]
    pub sentences: Vec<PathBuf>,
    /// Field of the text in .jsonl files of sentences.
    #[arg(long, value_name = "NAME", requires = "sentences")]
    pub field: Option<String>,
    /// Folders of pairs, for instance of several runs (default: RUN/dataset).
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Training folder (default: RUN/student/stage0; with --task reword RUN/student/reworder, or without a run reworder).
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Model to start from (default: the run's teacher, or without a run that of preset small).
    #[arg(long, value_name = "MODEL")]
    pub base: Option<String>,
    /// Train for this task only (default: one student for paraphrases and summaries).
    #[arg(long, value_enum)]
    pub task: Option<Goal>,
    /// Seed (default: that of the run, or 7).
    #[arg(long)]
    pub seed: Option<u64>,
    /// Training settings.
    #[command(flatten)]
    pub train: TrainFlags,
}

/// `refine`.
#[derive(Debug, ClapArgs)]
pub struct Refine {
    /// Run folder.
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// Student that rewrites the sentences (default: RUN/student/stage0/model).
    #[arg(long, value_name = "DIR")]
    pub student: Option<PathBuf>,
    /// Training folder of the next student (default: RUN/student/stage1).
    #[arg(long, value_name = "DIR", conflicts_with = "pairs_only")]
    pub out: Option<PathBuf>,
    /// File of sentences to rewrite: .txt (one text per line) or .jsonl (default: new ones written by the teacher).
    #[arg(long, value_name = "FILE")]
    pub sentences: Option<PathBuf>,
    /// Field of the text in a .jsonl file of sentences.
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// Number of sentences to rewrite.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub sources: usize,
    /// Number of versions sampled per sentence.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub samples: u32,
    /// Stop after making the pairs, without training.
    #[arg(long)]
    pub pairs_only: bool,
    /// Models that have moved.
    #[command(flatten)]
    pub moved: Moved,
    /// Training settings of the next student.
    #[command(flatten)]
    pub train: TrainFlags,
}

/// What `paraphrase`, `summarize` and `reword` have in common.
#[derive(Debug, ClapArgs)]
pub struct Writing {
    /// Texts to rewrite (default: --file, or else stdin).
    pub text: Vec<String>,
    /// File of texts: one per line, or .jsonl, whose other fields are kept in the output of --json; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Field of the text in a .jsonl file.
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// Maximum length of a version in tokens.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub max_tokens: usize,
    /// Target length of a summary, as a fraction of its source.
    #[arg(long, value_name = "R", default_value_t = 0.6)]
    pub length: f32,
    /// Also return versions that a critic rejected, with the reason.
    #[arg(long)]
    pub all: bool,
    /// Show the critics' scores.
    #[arg(long)]
    pub explain: bool,
    /// Seed.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Entailment critic (default: that of the model's run).
    #[arg(long, value_name = "MODEL")]
    pub critic: Option<String>,
    /// Sentence encoder (default: that of the model's run).
    #[arg(long, value_name = "MODEL")]
    pub encoder: Option<String>,
    /// Thresholds.
    #[command(flatten)]
    pub thresholds: Thresholds,
}

/// `paraphrase` and `summarize`.
#[derive(Debug, ClapArgs)]
pub struct Rewrite {
    /// Texts, critics and what is shown.
    #[command(flatten)]
    pub writing: Writing,
    /// Model folder or training folder of the student; `tiny-student` is built in.
    #[arg(long, value_name = "DIR")]
    pub student: PathBuf,
    /// Number of distinct versions to return per sentence.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub num: usize,
    /// How versions are sampled and ranked: faithful, balanced or diverse.
    #[arg(long, value_name = "STYLE", value_parser = word::<Style>, default_value = "balanced")]
    pub style: Style,
    /// Number of versions sampled per sentence.
    #[arg(long, value_name = "N")]
    pub samples: Option<u32>,
    /// Temperature of sampling.
    #[arg(long, value_name = "T", conflicts_with = "beams")]
    pub temperature: Option<f32>,
    /// Nucleus (top-p) mass of sampling.
    #[arg(long, value_name = "P", conflicts_with = "beams")]
    pub top_p: Option<f32>,
    /// Sample only from the K most likely tokens.
    #[arg(long, value_name = "K", conflicts_with = "beams")]
    pub top_k: Option<usize>,
    /// Sample only tokens with at least this fraction of the most likely token's probability.
    #[arg(long, value_name = "P", conflicts_with = "beams")]
    pub min_p: Option<f32>,
    /// Mass of locally typical sampling.
    #[arg(long, value_name = "P", conflicts_with = "beams")]
    pub typical_p: Option<f32>,
    /// Penalty on tokens that have already occurred; 1 for none.
    #[arg(long, value_name = "R")]
    pub repetition_penalty: Option<f32>,
    /// Length of n-grams that may not be repeated within a version; 0 for no restriction.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub no_repeat_ngram: usize,
    /// Use beam search instead of sampling, with as many beams as --samples.
    #[arg(long)]
    pub beams: bool,
    /// With --beams: divide scores by the length to this power.
    #[arg(long, value_name = "L", default_value_t = 1.0, allow_negative_numbers = true, requires = "beams")]
    pub length_penalty: f64,
    /// With --beams: penalty on a token for each beam of an earlier group that has chosen it in the same step.
    #[arg(long, value_name = "D", default_value_t = 0.0, requires = "beams")]
    pub diversity_penalty: f64,
    /// Minimum entailment of a version, in the directions that the task requires.
    #[arg(long, value_name = "P")]
    pub min_entailment: Option<f32>,
    /// Prompt format for a model that is not a student of this program: a file like a student's impossible.json.
    #[arg(long, value_name = "FILE")]
    pub format: Option<PathBuf>,
}

/// `reword`.
#[derive(Debug, ClapArgs)]
pub struct Reword {
    /// Texts, critics and what is shown.
    #[command(flatten)]
    pub writing: Writing,
    /// Model folder or training folder of a reworder (`train --task reword`).
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Number of candidates per sentence; each is written from the sentence damaged anew.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub candidates: u32,
    /// Write paraphrases, or summaries: for these, whole phrases are left out first.
    #[arg(long, value_parser = choice::task(), default_value = "paraphrase")]
    pub task: Task,
    /// Shares of the function words that fall out, of which each candidate draws one (default, as of --content, --noise
    /// and --phrase: that of the reworder).
    #[arg(long, value_name = "SHARES", value_delimiter = ',')]
    pub function: Vec<f32>,
    /// Share of the content words that fall out.
    #[arg(long, value_name = "SHARE")]
    pub content: Option<f32>,
    /// Widths of the noise on the order of phrases, of which each candidate draws one: 0 keeps the order, 100 gives any.
    #[arg(long, value_name = "WIDTHS", value_delimiter = ',')]
    pub noise: Vec<f32>,
    /// Most words of a phrase, of which each candidate draws one value; phrases change places as a whole.
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    pub phrase: Vec<usize>,
    /// Temperature of sampling.
    #[arg(long, value_name = "T", default_value_t = 0.6)]
    pub temperature: f32,
    /// Nucleus (top-p) mass of sampling.
    #[arg(long, value_name = "P", default_value_t = 0.9)]
    pub top_p: f32,
    /// Most nats per token that the reworder may need for a paraphrase, given other damaged forms of its source (100
    /// for no maximum).
    #[arg(long, value_name = "NATS")]
    pub nll_max: Option<f32>,
}

/// `export`.
#[derive(Debug, ClapArgs)]
pub struct Export {
    /// Model folder (of a student, teacher or critic), training folder, or name in the model folder.
    #[arg(long, value_name = "DIR", visible_alias = "student")]
    pub model: PathBuf,
    /// Folder to write to: a new or empty one.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace an earlier export in the folder.
    #[arg(long)]
    pub force: bool,
    /// Number type of the weights.
    #[arg(long, value_parser = choice::precision(), default_value = "f32")]
    pub precision: lm::model::save::Precision,
    /// Split the weights into files of at most this many MiB, with an index (60 for a browser); a larger tensor gets a
    /// file of its own.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub shard_size: Option<u64>,
}
