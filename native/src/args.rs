//! The command line as the user types it.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::evaluate::args::EvaluateArgs;

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
    Distill(Distill),
    /// Sample the first sentences a teacher writes after a context.
    Generate(Generate),
    /// Train a student on the pairs of a run. A training that was stopped goes on where it was
    Train(Box<Train>),
    /// Let the student make pairs from fresh sentences, filter them, and train it on them (self-distillation)
    Refine(Box<Refine>),
    /// Paraphrase sentences with a student.
    Paraphrase(Box<Rewrite>),
    /// Shorten sentences with a student.
    Summarize(Box<Rewrite>),
    /// Write a student as a model folder for other libraries, or in half precision.
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

/// A set of models and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PresetName {
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
    /// Ours: numbers and names both ways, a cosine floor.
    Strict,
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

/// Everything that changes a plan.
#[derive(Debug, ClapArgs)]
pub struct PlanFlags {
    /// Models and defaults to start from.
    #[arg(long, value_enum, default_value = "small")]
    pub preset: PresetName,
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

/// `distill`.
#[derive(Debug, ClapArgs)]
pub struct Distill {
    /// The plan.
    #[command(flatten)]
    pub plan: PlanFlags,
    /// Run folder.
    #[arg(long, value_name = "DIR", default_value = "runs/small")]
    pub out: PathBuf,
    /// Last stage.
    #[arg(long, value_enum, default_value = "dataset")]
    pub until: Until,
    /// With `--until refined`: your own sentences for the student to rewrite; else the teacher writes fresh ones.
    #[arg(long, value_name = "FILE")]
    pub sentences: Option<PathBuf>,
    /// With `--until refined`: sentences to rewrite.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub sources: usize,
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

/// Settings of a training.
#[derive(Debug, Default, ClapArgs)]
pub struct TrainFlags {
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
    /// Train all weights instead of low-rank adapters.
    #[arg(long)]
    pub full: bool,
    /// Width of the adapters.
    #[arg(long, value_name = "N")]
    pub lora_rank: Option<usize>,
    /// Dropout of the residual stream.
    #[arg(long, value_name = "P")]
    pub dropout: Option<f32>,
    /// Label smoothing.
    #[arg(long, value_name = "E")]
    pub label_smoothing: Option<f32>,
    /// Keep less in memory, compute each layer twice.
    #[arg(long)]
    pub checkpointing: bool,
    /// Steps between two looks at held-out examples.
    #[arg(long, value_name = "N")]
    pub evaluate_every: Option<u64>,
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

/// How versions are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// Low temperature, ranked by entailment.
    Faithful,
    /// The settings of self-distillation, ranked by entailment and difference.
    Balanced,
    /// High temperature, ranked by difference.
    Diverse,
}

/// `paraphrase` and `summarize`.
#[derive(Debug, ClapArgs)]
pub struct Rewrite {
    /// Text; else --file, else stdin.
    pub text: Vec<String>,
    /// The student's model folder, or its training folder.
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
    /// How versions are drawn and ranked.
    #[arg(long, value_enum, default_value = "balanced")]
    pub style: Style,
    /// Versions drawn for each sentence.
    #[arg(long, value_name = "N")]
    pub samples: Option<u32>,
    /// Sampling temperature.
    #[arg(long, value_name = "T")]
    pub temperature: Option<f32>,
    /// Nucleus mass.
    #[arg(long, value_name = "P")]
    pub top_p: Option<f32>,
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
    /// Entailment critic.
    #[arg(long, value_name = "MODEL", default_value = "nli-deberta-v3-xsmall")]
    pub critic: String,
    /// Sentence encoder.
    #[arg(long, value_name = "MODEL", default_value = "all-MiniLM-L6-v2")]
    pub encoder: String,
    /// Thresholds.
    #[command(flatten)]
    pub thresholds: Thresholds,
}

/// `export`.
#[derive(Debug, ClapArgs)]
pub struct Export {
    /// The student's model folder, or its training folder.
    #[arg(long, value_name = "DIR")]
    pub student: PathBuf,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number type of the weights.
    #[arg(long, value_enum, default_value = "f32")]
    pub precision: crate::student::save::Precision,
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
}
