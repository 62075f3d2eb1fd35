//! The commands that make models from nothing.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use impossible_core::text::train_tokenizer::Kind;
use impossible_core::train::pretraining::Task;

use super::FitFlags;
use super::student::word;

/// Sizes of a new model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// One to four million parameters: one narrow domain.
    Tiny,
}

/// `pretrain`.
#[derive(Debug, ClapArgs)]
pub struct Pretrain {
    /// Texts: .txt (a document a line) or .jsonl.
    #[arg(long, value_name = "FILES", num_args = 1.., required = true)]
    pub text: Vec<PathBuf>,
    /// Field of .jsonl files.
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// Folder of the training; the model comes to OUT/model.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What is learned: causal (a teacher), spans or denoising (T5, a student to be).
    #[arg(long, value_name = "TASK", value_parser = word::<Task>, default_value = "causal")]
    pub task: Task,
    /// Architecture: a Llama for `causal`, else a T5.
    #[arg(long, value_enum, default_value = "tiny")]
    pub preset: Size,
    /// Another architecture: a config.json without vocab_size (gpt2, llama, t5).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A tokenizer that is there (tokenizer.json, or a model folder), instead of a new one.
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Kind of a new tokenizer: bpe (of bytes) or unigram.
    #[arg(long, value_name = "KIND", value_parser = word::<Kind>, default_value = "bpe")]
    pub tokenizer_kind: Kind,
    /// Ids of a new tokenizer.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub vocabulary: usize,
    /// Most tokens of a run of sentences.
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub length: usize,
    /// Texts written at each look at held-out documents (causal); 0 = none.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=100))]
    pub samples: u32,
    /// Seed.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Training.
    #[command(flatten)]
    pub train: FitFlags,
}

/// `train-critic`.
#[derive(Debug, ClapArgs)]
pub struct TrainCritic {
    /// Pairs (.jsonl: premise, hypothesis, and label or probabilities; pairs without need --teacher-critic).
    #[arg(long, value_name = "FILES", num_args = 1..)]
    pub pairs: Vec<PathBuf>,
    /// Runs whose siblings become pairs, both ways.
    #[arg(long, value_name = "RUNS", num_args = 1.., requires = "teacher_critic")]
    pub siblings: Vec<PathBuf>,
    /// Pairs of siblings, of each run.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub sample: u64,
    /// A critic whose probabilities are learned, where a pair has no label.
    #[arg(long, value_name = "MODEL")]
    pub teacher_critic: Option<String>,
    /// Pairs that are not learned, only measured: files like those of --pairs.
    #[arg(long, value_name = "FILES", num_args = 1..)]
    pub test: Vec<PathBuf>,
    /// Folder of the training; the critic comes to OUT/model.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// A classifier to start from; else a new one.
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["config", "tokenizer"])]
    pub base: Option<String>,
    /// Architecture of a new one.
    #[arg(long, value_enum, default_value = "tiny")]
    pub preset: Size,
    /// Another architecture: a config.json without vocab_size (roberta).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Tokenizer of a new one: tokenizer.json, or a model folder.
    #[arg(long, value_name = "FILE", required_unless_present = "base")]
    pub tokenizer: Option<PathBuf>,
    /// Seed.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Training.
    #[command(flatten)]
    pub train: FitFlags,
}
