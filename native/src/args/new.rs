//! The commands that train new models.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use lm::train::pretraining::Task;
use lm::train_tokenizer::Kind;

use super::FitFlags;
use super::student::word;

/// Sizes of a new model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// One to four million parameters, for one narrow domain.
    Tiny,
}

/// `pretrain`.
#[derive(Debug, ClapArgs)]
pub struct Pretrain {
    /// Texts: .txt (one document per line) or .jsonl.
    #[arg(long, value_name = "FILES", num_args = 1.., required = true)]
    pub text: Vec<PathBuf>,
    /// Field of the text in .jsonl files.
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// Training folder; the model is written to OUT/model.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Training task: causal (for a teacher), spans or denoising (for a T5 as the base of a student).
    #[arg(long, value_name = "TASK", value_parser = word::<Task>, default_value = "causal")]
    pub task: Task,
    /// Size of the model: a Llama for `causal`, else a T5.
    #[arg(long, value_enum, default_value = "tiny")]
    pub preset: Size,
    /// Architecture to use instead: a config.json without vocab_size (gpt2, llama, t5).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Existing tokenizer (tokenizer.json, or a model folder) to use instead of a new one.
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Kind of a new tokenizer: bpe (byte-level) or unigram.
    #[arg(long, value_name = "KIND", value_parser = word::<Kind>, default_value = "bpe")]
    pub tokenizer_kind: Kind,
    /// Vocabulary size of a new tokenizer.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub vocabulary: usize,
    /// Maximum number of tokens in a training example.
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub length: usize,
    /// Number of texts sampled at each evaluation on held-out documents (causal only); 0 for none.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=100))]
    pub samples: u32,
    /// Seed of all random streams.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Training settings.
    #[command(flatten)]
    pub train: FitFlags,
}

/// `train-critic`.
#[derive(Debug, ClapArgs)]
pub struct TrainCritic {
    /// Labelled pairs (.jsonl: premise, hypothesis, and label or probabilities; pairs with neither need
    /// --teacher-critic).
    #[arg(long, value_name = "FILES", num_args = 1..)]
    pub pairs: Vec<PathBuf>,
    /// Runs whose siblings are used as pairs, in both directions.
    #[arg(long, value_name = "RUNS", num_args = 1.., requires = "teacher_critic")]
    pub siblings: Vec<PathBuf>,
    /// Number of sibling pairs from each run.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub sample: u64,
    /// Critic whose probabilities are the targets for pairs without a label.
    #[arg(long, value_name = "MODEL")]
    pub teacher_critic: Option<String>,
    /// Test pairs, not used for training: files like those of --pairs.
    #[arg(long, value_name = "FILES", num_args = 1..)]
    pub test: Vec<PathBuf>,
    /// Training folder; the critic is written to OUT/model.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Classifier to start from (default: a new one).
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["config", "tokenizer"])]
    pub base: Option<String>,
    /// Size of a new classifier.
    #[arg(long, value_enum, default_value = "tiny")]
    pub preset: Size,
    /// Architecture to use instead: a config.json without vocab_size (roberta).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Tokenizer of a new classifier: tokenizer.json, or a model folder.
    #[arg(long, value_name = "FILE", required_unless_present = "base")]
    pub tokenizer: Option<PathBuf>,
    /// Seed of all random streams.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Training settings.
    #[command(flatten)]
    pub train: FitFlags,
}
