//! The command line as the user types it.

mod new;
mod plan;
mod student;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::evaluate::args::EvaluateArgs;

pub use new::{Pretrain, Size, TrainCritic};
pub use plan::{CriticsName, DiversityName, PlanFlags, PresetName, Thresholds};
pub use student::{Export, FitFlags, Refine, Rewrite, Train, TrainFlags};

/// Paraphrase and summary datasets out of one small language model, on your own machine.
#[derive(Debug, Parser)]
#[command(
    name = "impossible",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 try again, 2 wrong input, 3 broken data, 130 interrupted."
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Folder of models; else $IMPOSSIBLE_MODELS, else the platform's cache folder.
    #[arg(long, global = true, value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// Where to compute: auto, flex, ndarray, vulkan, metal, dx12, webgpu, cuda:N. `auto` takes a real GPU if there is one, else flex (CPU).
    #[arg(long, global = true, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// Machine-readable output on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress on stderr.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the method: contexts, siblings, critics, dataset. A run that was stopped goes on where it was.
    Distill(Box<Distill>),
    /// Sample the first sentences a teacher writes after a context.
    Generate(Generate),
    /// Make a language model for a domain from nothing: tokenizer, weights, training.
    Pretrain(Box<Pretrain>),
    /// Make an entailment critic for a domain, from labelled pairs or from a larger critic.
    TrainCritic(Box<TrainCritic>),
    /// Train a student on the pairs of a run. A training that was stopped goes on where it was
    Train(Box<Train>),
    /// Let the student make pairs from fresh sentences, filter them, and train it on them (self-distillation)
    Refine(Box<Refine>),
    /// Paraphrase sentences with a student.
    Paraphrase(Box<Rewrite>),
    /// Shorten sentences with a student.
    Summarize(Box<Rewrite>),
    /// Write a student, a teacher or a critic as a model folder for other libraries, or in half precision.
    Export(Export),
    /// Apply other thresholds to a finished run, without sampling again.
    Filter(Filter),
    /// Show pairs side by side.
    Inspect(Inspect),
    /// Score a random sample of pairs without the floors: what they cost and what they buy.
    Audit(Audit),
    /// Read pairs blind and say whether they are good; prints precision with its interval.
    Judge(Judge),
    /// Score systems on a benchmark beside honest baselines, or a dataset by itself.
    Evaluate(Box<EvaluateArgs>),
    /// Join runs made with --shard.
    Merge(Merge),
    /// Re-hash every file of a run.
    Verify(Verify),
    /// Get models: small, paper, biomedical, or a repository.
    Pull(Pull),
    /// What this machine has, and what is missing.
    Doctor,
    /// Measure sampling, entailment and embedding on this machine.
    Bench(Bench),
    /// Shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Last stage to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// The filtered dataset.
    Dataset,
    /// A student trained on it.
    Student,
    /// The student after self-distillation.
    Refined,
}

/// `distill`.
#[derive(Debug, ClapArgs)]
pub struct Distill {
    /// The plan.
    #[command(flatten)]
    pub plan: PlanFlags,
    /// Run folder; else runs/PRESET.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Last stage; else `refined` for preset tiny, `dataset` for all others.
    #[arg(long, value_enum)]
    pub until: Option<Until>,
    /// With `--until refined`: your own sentences for the student to rewrite; else the teacher writes fresh ones.
    #[arg(long, value_name = "FILE")]
    pub sentences: Option<PathBuf>,
    /// With `--until refined`: sentences to rewrite.
    #[arg(long, value_name = "N")]
    pub sources: Option<usize>,
    /// With `--until student` or `refined`.
    #[command(flatten)]
    pub train: TrainFlags,
    /// This machine's part of the work: the i-th (from 1) of N.
    #[arg(long, value_name = "i/N")]
    pub shard: Option<String>,
    /// Show this many kept pairs of the first contexts, and stop.
    #[arg(long, value_name = "N")]
    pub preview: Option<usize>,
}

/// `generate`.
#[derive(Debug, ClapArgs)]
pub struct Generate {
    /// The context; else read from stdin.
    pub context: Option<String>,
    /// The plan.
    #[command(flatten)]
    pub plan: PlanFlags,
}

/// `filter`.
#[derive(Debug, ClapArgs)]
pub struct Filter {
    /// Run folder.
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// Where to write the new dataset; else `RUN/filtered`.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Critics to start from; else the run's own.
    #[arg(long, value_enum)]
    pub critics: Option<CriticsName>,
    /// Thresholds.
    #[command(flatten)]
    pub thresholds: Thresholds,
}

/// Which dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TaskName {
    /// Paraphrase pairs.
    Paraphrase,
    /// Sentence-summary pairs.
    Summary,
}

/// `inspect`.
#[derive(Debug, ClapArgs)]
pub struct Inspect {
    /// Run folder.
    pub run: PathBuf,
    /// Only this dataset.
    #[arg(long, value_enum)]
    pub task: Option<TaskName>,
    /// Sort by this score, highest first: length_ratio, rouge_l, numbers, entities, modality, cosine, forward, backward.
    #[arg(long, value_name = "SCORE")]
    pub sort: Option<String>,
    /// Lowest first.
    #[arg(long)]
    pub ascending: bool,
    /// Only pairs whose score lies in a range: SCORE=MIN..MAX.
    #[arg(long, value_name = "SCORE=MIN..MAX")]
    pub only: Vec<String>,
    /// Pairs that this critic refused, instead of kept ones ("all": whoever did).
    #[arg(long, value_name = "CRITIC")]
    pub refused_by: Option<String>,
    /// Only this context.
    #[arg(long, value_name = "ID")]
    pub context: Option<u64>,
    /// Most pairs to show.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
}

/// `audit`.
#[derive(Debug, ClapArgs)]
pub struct Audit {
    /// Run folder.
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// Pairs to score.
    #[arg(long, default_value_t = 500)]
    pub sample: usize,
    /// Seed of the sample.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// `judge`.
#[derive(Debug, ClapArgs)]
pub struct Judge {
    /// Run folder.
    pub run: PathBuf,
    /// Kept pairs to read.
    #[arg(long, default_value_t = 50)]
    pub sample: usize,
    /// Refused pairs to mix in.
    #[arg(long, default_value_t = 10)]
    pub refused: usize,
    /// Only this dataset.
    #[arg(long, value_enum, default_value = "paraphrase")]
    pub task: TaskName,
    /// Seed of the sample.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// `merge`.
#[derive(Debug, ClapArgs)]
pub struct Merge {
    /// Run folders of one plan.
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// Where the joined run goes.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `verify`.
#[derive(Debug, ClapArgs)]
pub struct Verify {
    /// Run folder.
    pub run: PathBuf,
}

/// `pull`.
#[derive(Debug, ClapArgs)]
pub struct Pull {
    /// `small`, `paper`, `biomedical`, or `OWNER/NAME[@REVISION]`.
    pub what: String,
    /// Another server of the hub's layout; else $HF_ENDPOINT, else the public hub.
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
}

/// `bench`.
#[derive(Debug, ClapArgs)]
pub struct Bench {
    /// Models to measure.
    #[arg(long, value_enum, default_value = "small")]
    pub preset: PresetName,
    /// Only this teacher (with no --critic or --encoder: only sampling).
    #[arg(long, value_name = "MODEL")]
    pub teacher: Option<String>,
    /// Only this critic.
    #[arg(long, value_name = "MODEL")]
    pub critic: Option<String>,
    /// Only this encoder.
    #[arg(long, value_name = "MODEL")]
    pub encoder: Option<String>,
    /// Siblings.
    #[arg(long, default_value_t = 100)]
    pub k: usize,
    /// Rows decoded together.
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Pairs for the critic (JSONL: text, target) instead of sampled ones.
    #[arg(long, value_name = "FILE")]
    pub pairs: Option<PathBuf>,
    /// Texts for the encoder (JSONL or a line each) instead of sampled ones.
    #[arg(long, value_name = "FILE")]
    pub texts: Option<PathBuf>,
    /// Only these measures.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub only: Vec<Measure>,
}

/// What `bench` measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Sampled tokens and usable sentences a second, at k = 1 and k.
    Sampling,
    /// Directed pairs a second.
    Entailment,
    /// Sentences a second.
    Embedding,
    /// Two contexts from siblings to kept pairs.
    Context,
    /// Tokens a second of 32 texts decoded together.
    Decoding,
    /// Steps of training with adapters; only when asked for.
    TrainingLora,
    /// Steps of training of all weights; only when asked for.
    TrainingFull,
}
