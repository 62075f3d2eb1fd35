//! The command line: its commands and options.

mod choice;
pub mod evaluate;
mod help;
mod new;
mod plan;
mod student;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use lm::device::DeviceSpec;
use record::plan::Critics;
use record::{Preset, Task};

use evaluate::EvaluateArgs;
pub use help::command;
pub use new::{Pretrain, Size, TrainCritic};
pub use plan::{PlanFlags, Thresholds};
pub use student::{Export, FitFlags, Goal, Refine, Reword, Rewrite, Train, TrainFlags, Writing};

/// Create paraphrase and summary datasets from one small language model, on your own machine.
#[derive(Debug, Parser)]
#[command(
    name = "impossible",
    version,
    about,
    after_help = "Exit codes: 0 success, 1 error that may be temporary, 2 wrong input, 3 broken data, 130 interrupted."
)]
pub struct Args {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
    /// Folder of models (default: $IMPOSSIBLE_MODELS, or else the platform's cache folder).
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub models: Option<PathBuf>,
    /// Device to compute on: auto, flex (CPU), or in builds with GPU support vulkan, metal, dx12, webgpu, cuda:N.
    /// `auto` uses a hardware GPU if there is one, else flex.
    #[arg(
        long,
        global = true,
        value_name = "DEVICE",
        default_value = "auto",
        value_parser = str::parse::<DeviceSpec>,
        help_heading = "Global options"
    )]
    pub device: DeviceSpec,
    /// Print machine-readable output (JSON) on stdout.
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Show no progress on stderr.
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the method: contexts, siblings, critics, dataset.
    ///
    /// An interrupted run is resumed by the same command, and a run grows with a larger --contexts.
    Distill(Box<Distill>),
    /// Sample the first sentences that a teacher writes after a context.
    Generate(Generate),
    /// Train a language model and its tokenizer from scratch.
    Pretrain(Box<Pretrain>),
    /// Train an entailment critic.
    ///
    /// On labelled pairs, or by distilling a larger critic.
    TrainCritic(Box<TrainCritic>),
    /// Train a student on the pairs of a run.
    ///
    /// An interrupted training is resumed by the same command.
    Train(Box<Train>),
    /// Train the student further on its own filtered pairs.
    ///
    /// Self-distillation: the student rewrites new sentences, the critics filter its versions, and the next student is
    /// trained on the accepted ones.
    Refine(Box<Refine>),
    /// Paraphrase sentences with a student.
    Paraphrase(Box<Rewrite>),
    /// Shorten sentences with a student.
    Summarize(Box<Rewrite>),
    /// Write candidates of sentences with a reworder; critics choose.
    ///
    /// Each sentence is damaged anew for each candidate (function words fall out, phrases change places), and the model
    /// writes it back.
    Reword(Box<Reword>),
    /// Export a model for other libraries and browsers.
    ///
    /// Writes a student, teacher or critic as a model folder, optionally in half precision.
    Export(Export),
    /// Apply other thresholds to a finished run, without sampling again.
    Filter(Filter),
    /// Show pairs side by side.
    Inspect(Inspect),
    /// Measure what the floors on cosine and ROUGE-L exclude.
    ///
    /// Scores a random sample of all pairs without these floors.
    Audit(Audit),
    /// Judge pairs by hand, blind; prints the precision.
    ///
    /// Pairs are shown without their scores. The precision has a 95 % confidence interval.
    Judge(Judge),
    /// Evaluate systems on a benchmark, or describe a dataset.
    ///
    /// Systems are compared with simple baselines and with each other.
    Evaluate(Box<EvaluateArgs>),
    /// Merge runs that were made with --shard.
    Merge(Merge),
    /// Check every file of a run or of another output.
    Verify(Verify),
    /// Download models: small, paper, biomedical, or a repository.
    Pull(Pull),
    /// Show what this machine offers, and what is missing.
    Doctor,
    /// Measure the speed of this machine.
    ///
    /// Sampling, entailment, embedding, and on request decoding and training.
    Bench(Bench),
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// The last stage to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// The filtered dataset.
    Dataset,
    /// A student trained on it.
    Student,
    /// The student trained further by self-distillation.
    Refined,
    /// A reworder, trained on the sentences of the run and of --sentences; the pairs that it makes of the latter; and a
    /// student trained on these and on the run's pairs.
    Reworded,
}

/// `distill`.
#[derive(Debug, ClapArgs)]
pub struct Distill {
    /// Run folder (default: runs/PRESET).
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Last stage to run (default: `refined` for preset tiny, `dataset` for all others).
    #[arg(long, value_enum)]
    pub until: Option<Until>,
    /// With `--until refined` or `reworded`: file of sentences to rewrite (default: new ones written by the teacher).
    #[arg(long, value_name = "FILE")]
    pub sentences: Option<PathBuf>,
    /// With `--until refined` or `reworded`: number of sentences to rewrite (default: 1000, for preset tiny 512; with
    /// `reworded` the whole file, or 2000 new ones).
    #[arg(long, value_name = "N")]
    pub sources: Option<usize>,
    /// Do only the i-th (from 1) of N parts of the work, to share it among machines.
    #[arg(long, value_name = "i/N")]
    pub shard: Option<String>,
    /// Show this many kept pairs from the first contexts, then stop.
    #[arg(long, value_name = "N")]
    pub preview: Option<usize>,
    /// The plan.
    #[command(flatten)]
    pub plan: PlanFlags,
    /// Training settings, with `--until student`, `refined` or `reworded`.
    #[command(flatten)]
    pub train: TrainFlags,
}

/// `generate`.
#[derive(Debug, ClapArgs)]
pub struct Generate {
    /// The context (default: read from stdin).
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
    /// Folder for the new dataset (default: `RUN/filtered`).
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace an earlier dataset of other thresholds in the folder.
    #[arg(long)]
    pub force: bool,
    /// Set of critics to start from (default: that of the run).
    #[arg(long, value_parser = choice::critics())]
    pub critics: Option<Critics>,
    /// Thresholds.
    #[command(flatten)]
    pub thresholds: Thresholds,
}

/// `inspect`.
#[derive(Debug, ClapArgs)]
pub struct Inspect {
    /// Run folder.
    pub run: PathBuf,
    /// Only this dataset.
    #[arg(long, value_parser = choice::task())]
    pub task: Option<Task>,
    /// Sort by this score, highest first: length_ratio, rouge_l, numbers, entities, modality, cosine, forward,
    /// backward.
    #[arg(long, value_name = "SCORE")]
    pub sort: Option<String>,
    /// Sort lowest first.
    #[arg(long)]
    pub ascending: bool,
    /// Only pairs whose score is in a range: SCORE=MIN..MAX.
    #[arg(long, value_name = "SCORE=MIN..MAX")]
    pub only: Vec<String>,
    /// Show pairs rejected by this critic instead of kept ones ("all" for any critic).
    #[arg(long, value_name = "CRITIC")]
    pub refused_by: Option<String>,
    /// Only pairs of this context.
    #[arg(long, value_name = "ID")]
    pub context: Option<u64>,
    /// Maximum number of pairs to show.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
}

/// `audit`.
#[derive(Debug, ClapArgs)]
pub struct Audit {
    /// Run folder.
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// Number of pairs to score.
    #[arg(long, default_value_t = 500)]
    pub sample: usize,
    /// Seed of the sample.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Models that have moved.
    #[command(flatten)]
    pub moved: Moved,
}

/// Where the models of a run are now; they must have the weights that it was started with.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct Moved {
    /// The run's teacher, if it has moved: a name in the model folder, or a path.
    #[arg(long, value_name = "MODEL")]
    pub teacher: Option<String>,
    /// The run's entailment critic, if it has moved.
    #[arg(long, value_name = "MODEL")]
    pub critic: Option<String>,
    /// The run's sentence encoder, if it has moved.
    #[arg(long, value_name = "MODEL")]
    pub encoder: Option<String>,
}

/// `judge`.
#[derive(Debug, ClapArgs)]
pub struct Judge {
    /// Run folder.
    pub run: PathBuf,
    /// Number of kept pairs to judge.
    #[arg(long, default_value_t = 50)]
    pub sample: usize,
    /// Number of rejected pairs to mix in.
    #[arg(long, default_value_t = 10)]
    pub refused: usize,
    /// Only this dataset.
    #[arg(long, value_parser = choice::task(), default_value = "paraphrase")]
    pub task: Task,
    /// Seed of the sample.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// `merge`.
#[derive(Debug, ClapArgs)]
pub struct Merge {
    /// Run folders with the same plan.
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// Folder for the merged run.
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
    /// Address of another server with the hub's layout (default: $HF_ENDPOINT, or else the public hub).
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
}

/// `bench`.
#[derive(Debug, ClapArgs)]
pub struct Bench {
    /// Preset whose models are measured.
    #[arg(long, value_parser = choice::preset(), default_value = "small")]
    pub preset: Preset,
    /// Measure this teacher (without --critic and --encoder, only sampling is measured).
    #[arg(long, value_name = "MODEL")]
    pub teacher: Option<String>,
    /// Measure this critic.
    #[arg(long, value_name = "MODEL")]
    pub critic: Option<String>,
    /// Measure this encoder.
    #[arg(long, value_name = "MODEL")]
    pub encoder: Option<String>,
    /// Number of siblings sampled together.
    #[arg(long, default_value_t = 100)]
    pub k: usize,
    /// Number of rows decoded together.
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Pairs for the critic (JSONL: text, target) instead of sampled ones.
    #[arg(long, value_name = "FILE")]
    pub pairs: Option<PathBuf>,
    /// Texts for the encoder (JSONL, or one per line) instead of sampled ones.
    #[arg(long, value_name = "FILE")]
    pub texts: Option<PathBuf>,
    /// Only these measurements.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub only: Vec<Measure>,
}

/// What `bench` measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Sampled tokens and usable sentences per second, with 1 and with k siblings.
    Sampling,
    /// Directed pairs per second.
    Entailment,
    /// Sentences per second.
    Embedding,
    /// Time for two contexts, from siblings to kept pairs.
    Context,
    /// Tokens per second for 32 texts decoded together.
    Decoding,
    /// Training steps with adapters; only when requested.
    TrainingLora,
    /// Training steps on all weights; only when requested.
    TrainingFull,
}
