//! Messages between the page and its worker. Responses to a run carry its number, except [`Response::Pairs`] and
//! [`Response::Shelf`], which describe the current state.

use record::plan::{Paraphrase, Summary};
use record::{Funnel, Kept, Scored, Style, Task, Version};
use serde::{Deserialize, Serialize};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
#[cfg(target_family = "wasm")]
mod wire;
#[cfg(target_family = "wasm")]
pub use wire::{Json, Remote};

/// Largest accepted text to rewrite, in characters.
pub const LONGEST_TEXT: usize = 100_000;

/// Number of a piece of work, assigned by the page in ascending order.
pub type Run = u64;

/// The device that the user selected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// WebGPU if there is a hardware adapter, else the CPU.
    #[default]
    Auto,
    /// WebGPU, even with a software adapter.
    Gpu,
    /// The CPU.
    Cpu,
}

/// Requests of the page to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Lists the available devices.
    Check,
    /// Opens a device, loads three models, and compares their outputs with golden values.
    Load {
        /// URL of the site, with a slash at the end.
        base: String,
        /// The selected device.
        wanted: Wanted,
        /// Name of the broadcast channel on which the worker reports that it has crashed.
        alarm: String,
        /// The models to use.
        cast: Cast,
    },
    /// Lists the models stored on this device.
    Shelf,
    /// Downloads a model to this device, or resumes an unfinished download.
    Keep {
        /// Number of the run.
        run: Run,
        /// Source of the model.
        source: Source,
    },
    /// Removes a model, complete or unfinished, from this device.
    Remove {
        /// Name of the stored model.
        name: String,
    },
    /// Rewrites a text, sentence by sentence.
    Generate {
        /// Number of the run.
        run: Run,
        /// The text.
        text: String,
        /// How to rewrite it.
        settings: Rewrite,
    },
    /// Runs a distillation: contexts, siblings and critics.
    Distill {
        /// Number of the run.
        run: Run,
        /// Size and thresholds of the distillation.
        settings: Distill,
    },
    /// Applies other thresholds to the pairs of the last distillation.
    Refilter {
        /// The thresholds.
        thresholds: Thresholds,
    },
    /// Trains the student on the kept pairs, or resumes an interrupted training.
    Train {
        /// Number of the run.
        run: Run,
        /// Number of epochs.
        epochs: u64,
    },
    /// Selects the student that rewrites texts.
    Use(Student),
    /// Packs the trained student as a zip archive for download.
    Export {
        /// Number of the run.
        run: Run,
    },
    /// Stops a run as soon as possible.
    Interrupt {
        /// Number of the run.
        run: Run,
    },
    /// Discards the distillation and the trained student.
    Reset,
}

/// The role of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Language model that generates contexts and siblings.
    Teacher,
    /// Entailment classifier.
    Critic,
    /// Model that rewrites sentences.
    Student,
}

impl Part {
    /// All roles, in the order of the method.
    pub const ALL: [Self; 3] = [Self::Teacher, Self::Critic, Self::Student];

    /// Name of the role.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Critic => "critic",
            Self::Student => "student",
        }
    }
}

/// The selected model for each role: the name of a stored model, or `None` for the model of the site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast {
    /// The teacher.
    pub teacher: Option<String>,
    /// The critic.
    pub critic: Option<String>,
    /// The student.
    pub student: Option<String>,
}

impl Cast {
    /// The stored model selected for a role; `None` for the site's.
    #[must_use]
    pub fn of(&self, part: Part) -> Option<&str> {
        match part {
            Part::Teacher => self.teacher.as_deref(),
            Part::Critic => self.critic.as_deref(),
            Part::Student => self.student.as_deref(),
        }
    }

    /// Selects a stored model for a role, or with `None` the site's.
    pub fn give(&mut self, part: Part, name: Option<String>) {
        *match part {
            Part::Teacher => &mut self.teacher,
            Part::Critic => &mut self.critic,
            Part::Student => &mut self.student,
        } = name;
    }
}

/// Source of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A repository of a model hub.
    Hub {
        /// URL of the hub, without a slash at the end.
        endpoint: String,
        /// `OWNER/REPOSITORY`.
        repo: String,
        /// Branch, tag or commit.
        revision: String,
    },
    /// URL of a folder, with a slash at the end.
    Url(String),
    /// Files that were dropped on the page.
    Dropped {
        /// Name of the files' folder, or of the zip archive.
        name: String,
        /// The files.
        files: Vec<DroppedFile>,
    },
}

/// A file that was dropped on the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedFile {
    /// Name of the file, without folders.
    pub name: String,
    /// Object URL of the content, valid in this tab.
    pub url: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// A model that is stored on this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Name of the stored model.
    pub name: String,
    /// Role that the model can have.
    pub part: Part,
    /// Source of the model, as text for the user.
    pub origin: String,
    /// Licence, if the source states it.
    pub licence: Option<String>,
    /// Files of the model.
    pub files: Vec<StoredFile>,
}

impl Stored {
    /// Total size of the files in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }
}

/// A file of a stored model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Name of the file.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// A model whose download is unfinished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Name of the stored model.
    pub name: String,
    /// Source for resuming the download; for dropped files without the files.
    pub source: Source,
    /// Number of bytes stored so far.
    pub bytes: u64,
}

/// The models stored on this device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// Complete models.
    pub models: Vec<Stored>,
    /// Unfinished models.
    pub begun: Vec<Begun>,
    /// Bytes that this site uses, as estimated by the browser.
    pub used: u64,
    /// Bytes that this site may use, as estimated by the browser.
    pub quota: u64,
    /// Why the storage cannot be read, if it cannot.
    pub problem: Option<Problem>,
}

/// Progress of a download.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Keeping {
    /// Number of the run.
    pub run: Run,
    /// Name of the stored model.
    pub name: String,
    /// Name of the current file.
    pub file: String,
    /// Index of the current file, from 0.
    pub nth: usize,
    /// Number of files.
    pub of: usize,
    /// Stored bytes of the current file.
    pub file_done: u64,
    /// Approximate size of the current file, if known.
    pub file_bytes: Option<u64>,
    /// Stored bytes of all files.
    pub done: u64,
    /// Approximate size of all files, if known.
    pub bytes: Option<u64>,
    /// Bytes received during this run.
    pub came: u64,
    /// Seconds since the first file began to arrive in this run.
    pub seconds: f64,
}

/// Responses of the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// Response to [`Request::Check`].
    Devices(Devices),
    /// Progress of loading.
    Loading {
        /// What is being loaded or checked.
        what: String,
        /// Fraction of the loading that is done, 0 to 1.
        share: f32,
    },
    /// The models are loaded and checked.
    Ready(Ready),
    /// Response to [`Request::Shelf`]; also sent after each [`Request::Keep`] and [`Request::Remove`].
    Shelf(Shelf),
    /// Progress of a download.
    Keeping(Keeping),
    /// A download is complete.
    Kept {
        /// Number of the run.
        run: Run,
        /// The stored model.
        model: Stored,
    },
    /// The worker starts to rewrite a sentence.
    Reading {
        /// Number of the run.
        run: Run,
        /// Index of the sentence, from 0.
        sentence: usize,
        /// Number of sentences.
        of: usize,
        /// Text of the sentence.
        source: String,
    },
    /// Versions that are written but not yet judged.
    Written {
        /// Number of the run.
        run: Run,
        /// Index of the sentence.
        sentence: usize,
        /// Texts of the versions.
        versions: Vec<String>,
    },
    /// All versions of a sentence, judged, best first.
    Judged {
        /// Number of the run.
        run: Run,
        /// Index of the sentence.
        sentence: usize,
        /// The versions, without repeated texts.
        versions: Vec<Version>,
        /// Why there are no versions, if the student could not write any.
        note: Option<String>,
        /// Speed of the run so far.
        speed: Speed,
    },
    /// A context of a distillation.
    Context {
        /// Number of the run.
        run: Run,
        /// Number of the context.
        context: u64,
        /// Number of contexts.
        of: usize,
        /// Text of the context.
        text: String,
    },
    /// Siblings of the current context.
    Siblings {
        /// Number of the run.
        run: Run,
        /// Number of the context.
        context: u64,
        /// Usable sentences among the rows that ended since the last message.
        sentences: Vec<String>,
        /// Number of rows that ended since the last message.
        rows: u32,
    },
    /// The pairs of all contexts so far, under the current thresholds.
    Pairs(Filtered),
    /// Progress of a training.
    Training(Training),
    /// The trained student is ready for download.
    Exported {
        /// Number of the run.
        run: Run,
        /// Object URL of the zip archive, valid in this tab.
        url: String,
        /// Name of the file.
        name: String,
        /// Size in bytes.
        bytes: u64,
    },
    /// A run has ended.
    Done {
        /// Number of the run.
        run: Run,
        /// Whether the user stopped it.
        stopped: bool,
        /// Speed of the run.
        speed: Speed,
    },
    /// A problem that does not end a run.
    Notice(Problem),
    /// A problem that ended a run or the loading.
    Failed {
        /// Number of the run; `None` for problems of loading.
        run: Option<Run>,
        /// What happened, and what the user can do.
        problem: Problem,
    },
}

/// A problem and what the user can do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What happened, as a sentence.
    pub what: String,
    /// What to do next, as a sentence.
    pub step: String,
}

/// The devices that the browser offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Devices {
    /// The WebGPU adapter, if there is one.
    pub gpu: Option<Adapter>,
}

/// A WebGPU adapter, as the browser describes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Adapter {
    /// Vendor, architecture and description.
    pub name: String,
    /// Whether it is a software adapter, which computes on the CPU.
    pub software: bool,
    /// Whether shaders support 16-bit floating point (`shader-f16`).
    pub f16: bool,
}

/// Results of loading the models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// "WebGPU" or "CPU".
    pub backend: String,
    /// The adapter, if the backend is WebGPU.
    pub adapter: Option<Adapter>,
    /// Why the requested device or models are not used, if they are not.
    pub fallback: Option<String>,
    /// Largest difference from the models' golden values; `None` if no model has any.
    pub golden: Option<f32>,
    /// The models in use.
    pub cast: Cast,
    /// Models without golden values, whose outputs were not checked.
    pub unchecked: Vec<String>,
    /// Seconds of loading, without the check.
    pub load_s: f64,
    /// Seconds of the check against golden values.
    pub test_s: f64,
    /// Default thresholds for the critic.
    pub thresholds: Thresholds,
}

/// Settings of rewriting a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// Paraphrase or summary.
    pub task: Task,
    /// How versions are sampled and ranked.
    pub style: Style,
    /// Number of versions per sentence.
    pub samples: u32,
    /// Length of a summary as a fraction of its source's, in characters.
    pub length: f32,
    /// Minimum entailment probability.
    pub entailment: f32,
    /// Seed of the random streams.
    pub seed: u64,
}

/// Settings of a distillation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distill {
    /// Number of contexts.
    pub contexts: usize,
    /// Number of siblings per context.
    pub k: usize,
    /// Sampling temperature of siblings.
    pub temperature: f32,
    /// The user's sentences as contexts; if empty, the teacher generates contexts.
    pub seeds: Vec<String>,
    /// Thresholds of the critics; by default those that suit the loaded critic.
    pub thresholds: Option<Thresholds>,
    /// Seed of the random streams.
    pub seed: u64,
}

/// Thresholds of the critics of both tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Thresholds of paraphrases.
    pub paraphrase: Paraphrase,
    /// Thresholds of summaries.
    pub summary: Summary,
}

/// A pair that the entailment critic scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The source sentence.
    pub text: String,
    /// The target sentence.
    pub target: String,
    /// The pair's scores, and the reason for its refusal if refused.
    pub scored: Scored,
}

/// The pairs of a distillation under given thresholds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Filtered {
    /// Pairs that the entailment critic scored, in the order of sampling; if there are many, all kept ones and some
    /// others.
    pub points: Vec<Point>,
    /// Kept pairs.
    pub kept: Vec<Kept>,
    /// Counts of outcomes, and of pairs before and after each critic.
    pub funnel: Funnel,
    /// Number of pairs that cannot be decided because a score was never computed.
    pub missing: u64,
    /// Number of contexts that have been judged.
    pub contexts: usize,
}

/// A step of a training, or sample versions by the student.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Number of the run.
    pub run: Run,
    /// Number of steps taken.
    pub step: u64,
    /// Number of steps in total.
    pub total: u64,
    /// Current epoch, from 0.
    pub epoch: u64,
    /// Loss of the step, in nats per token.
    pub loss: Option<f32>,
    /// Held-out loss after the step, in nats per token, if it was computed.
    pub validation: Option<f32>,
    /// Sample versions of a few sentences, before the training and after each epoch.
    pub looks: Vec<Look>,
    /// Seconds since the training was started or resumed.
    pub seconds: f64,
}

/// A sample version of a sentence by the student.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Paraphrase or summary.
    pub task: Task,
    /// The source sentence.
    pub source: String,
    /// The best version of it.
    pub version: String,
    /// Whether every critic accepted the version.
    pub kept: bool,
}

/// Selection of a student.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Student {
    /// The loaded student.
    #[default]
    Carried,
    /// The student trained on this page.
    Trained,
}

/// Speed of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Seconds to the first token.
    pub first_s: f64,
    /// Number of sampled tokens of siblings or versions.
    pub tokens: u64,
    /// Seconds of sampling siblings or versions.
    pub writing_s: f64,
    /// Number of directed pairs that the critic scored.
    pub pairs: u64,
    /// Seconds of the whole run.
    pub all_s: f64,
    /// Memory of the worker in bytes.
    pub memory: u64,
}

impl Speed {
    /// Tokens per second of sampling; 0 before any.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn tokens_per_s(&self) -> f64 {
        if self.writing_s > 0.0 { self.tokens as f64 / self.writing_s } else { 0.0 }
    }
}
