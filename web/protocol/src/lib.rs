//! What the page and its worker say to each other. Answers to a piece of work carry the number of its run, but for
//! [`Response::Pairs`] and [`Response::Shelf`], which say how things stand.

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

/// Most characters of a text.
pub const LONGEST_TEXT: usize = 100_000;

/// A piece of work, counted by the page.
pub type Run = u64;

/// Which device the visitor wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// WebGPU where there is a hardware adapter, else the CPU.
    #[default]
    Auto,
    /// WebGPU, of whatever kind.
    Gpu,
    /// The CPU.
    Cpu,
}

/// What the page asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// What devices are there?
    Check,
    /// Opens a device, loads three models, and checks what they compute.
    Load {
        /// Address of the site, with a slash at its end.
        base: String,
        /// The device.
        wanted: Wanted,
        /// Name of the channel on which the worker says that it is dead.
        alarm: String,
        /// The models to use.
        cast: Cast,
    },
    /// Which models are kept on this device?
    Shelf,
    /// Keeps a model on this device, or goes on with one that was begun.
    Keep {
        /// The run.
        run: Run,
        /// Where it comes from.
        source: Source,
    },
    /// Removes a model from this device, whole or begun.
    Remove {
        /// Its name on the shelf.
        name: String,
    },
    /// Rewrites a text, sentence by sentence.
    Generate {
        /// The run.
        run: Run,
        /// The text.
        text: String,
        /// How.
        settings: Rewrite,
    },
    /// Contexts, siblings, critics.
    Distill {
        /// The run.
        run: Run,
        /// How.
        settings: Distill,
    },
    /// Other thresholds on the pairs of the last distillation.
    Refilter {
        /// The thresholds.
        thresholds: Thresholds,
    },
    /// Trains the student on the kept pairs, or goes on with a training that was stopped.
    Train {
        /// The run.
        run: Run,
        /// Times each pair is seen.
        epochs: u64,
    },
    /// Which student writes.
    Use(Student),
    /// Packs the trained student.
    Export {
        /// The run.
        run: Run,
    },
    /// Stops a run at the next moment at which it can.
    Interrupt {
        /// The run.
        run: Run,
    },
    /// Forgets the distillation and the trained student.
    Reset,
}

/// The part a model plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Writes contexts and siblings.
    Teacher,
    /// Judges entailment.
    Critic,
    /// Rewrites.
    Student,
}

impl Part {
    /// All, in the order of the method.
    pub const ALL: [Self; 3] = [Self::Teacher, Self::Critic, Self::Student];

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Critic => "critic",
            Self::Student => "student",
        }
    }
}

/// Names on the shelf of the models that play; where there is none, the model that the site carries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast {
    /// Teacher.
    pub teacher: Option<String>,
    /// Critic.
    pub critic: Option<String>,
    /// Student.
    pub student: Option<String>,
}

impl Cast {
    /// Who plays a part.
    #[must_use]
    pub fn of(&self, part: Part) -> Option<&str> {
        match part {
            Part::Teacher => self.teacher.as_deref(),
            Part::Critic => self.critic.as_deref(),
            Part::Student => self.student.as_deref(),
        }
    }

    /// Gives a part to a model of the shelf, or back to the site's.
    pub fn give(&mut self, part: Part, name: Option<String>) {
        *match part {
            Part::Teacher => &mut self.teacher,
            Part::Critic => &mut self.critic,
            Part::Student => &mut self.student,
        } = name;
    }
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A repository of a hub.
    Hub {
        /// Address of the hub, without a slash at its end.
        endpoint: String,
        /// `OWNER/REPOSITORY`.
        repo: String,
        /// Branch, tag or commit.
        revision: String,
    },
    /// A folder at an address that ends with a slash.
    Url(String),
    /// Files that were dropped on the page.
    Dropped {
        /// Name of their folder, or of the zip.
        name: String,
        /// The files.
        files: Vec<DroppedFile>,
    },
}

/// A file that was dropped on the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedFile {
    /// Its name, without folders.
    pub name: String,
    /// Address of its bytes, valid in this tab.
    pub url: String,
    /// Its size.
    pub bytes: u64,
}

/// A model that is kept on this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its name on the shelf.
    pub name: String,
    /// What it can play.
    pub part: Part,
    /// Where it came from, in words.
    pub origin: String,
    /// Its licence, where the source tells.
    pub licence: Option<String>,
    /// Its files.
    pub files: Vec<StoredFile>,
}

impl Stored {
    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }
}

/// A file of a stored model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its sha256, in hexadecimal digits.
    pub sha256: String,
}

/// A model of which a part is on this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Its name on the shelf.
    pub name: String,
    /// What to ask for again; without files, where it was dropped.
    pub source: Source,
    /// Bytes that are there.
    pub bytes: u64,
}

/// What is kept on this device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// Whole models.
    pub models: Vec<Stored>,
    /// Models that were begun.
    pub begun: Vec<Begun>,
    /// Bytes that this site uses, and may use, as the browser tells.
    pub used: u64,
    /// See `used`.
    pub quota: u64,
    /// Why it cannot be looked at.
    pub problem: Option<Problem>,
}

/// How far a model is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Keeping {
    /// The run.
    pub run: Run,
    /// Its name on the shelf.
    pub name: String,
    /// The file at work.
    pub file: String,
    /// Which of them, from 0.
    pub nth: usize,
    /// Of how many.
    pub of: usize,
    /// Bytes of this file that are there, and about how many it has, where that is known.
    pub file_done: u64,
    /// See `file_done`.
    pub file_bytes: Option<u64>,
    /// Bytes of all files that are there, and about how many there are, where that is known.
    pub done: u64,
    /// See `done`.
    pub bytes: Option<u64>,
    /// Bytes that came during this run.
    pub came: u64,
    /// Seconds of this run.
    pub seconds: f64,
}

/// What the worker answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Check`].
    Devices(Devices),
    /// A part of the loading is done.
    Loading {
        /// What is being loaded or checked.
        what: String,
        /// Share of all of it.
        share: f32,
    },
    /// Everything is there and computes what it should.
    Ready(Ready),
    /// To [`Request::Shelf`], and after each [`Request::Keep`] and [`Request::Remove`].
    Shelf(Shelf),
    /// How far a model is that is being kept.
    Keeping(Keeping),
    /// It is kept.
    Kept {
        /// The run.
        run: Run,
        /// The model.
        model: Stored,
    },
    /// A sentence was read; its versions are on their way.
    Reading {
        /// The run.
        run: Run,
        /// Which sentence.
        sentence: usize,
        /// Of how many.
        of: usize,
        /// Its text.
        source: String,
    },
    /// Versions that are written and not yet judged.
    Written {
        /// The run.
        run: Run,
        /// Which sentence.
        sentence: usize,
        /// Their texts.
        versions: Vec<String>,
    },
    /// All versions of a sentence, judged, best first.
    Judged {
        /// The run.
        run: Run,
        /// Which sentence.
        sentence: usize,
        /// Each text once.
        versions: Vec<Version>,
        /// Why there are none, where it is not the critics.
        note: Option<String>,
        /// So far.
        speed: Speed,
    },
    /// A context of a distillation.
    Context {
        /// The run.
        run: Run,
        /// Which context.
        context: u64,
        /// Of how many.
        of: usize,
        /// Its text.
        text: String,
    },
    /// Siblings of the context at work.
    Siblings {
        /// The run.
        run: Run,
        /// The context.
        context: u64,
        /// Usable sentences among the rows that ended since the last message.
        sentences: Vec<String>,
        /// Rows that ended since the last message.
        rows: u32,
    },
    /// What the critics say, of all contexts so far.
    Pairs(Filtered),
    /// Where a training stands.
    Training(Training),
    /// The trained student is ready, at this address, under this name.
    Exported {
        /// The run.
        run: Run,
        /// Address of the zip, valid in this tab.
        url: String,
        /// Name of the file.
        name: String,
        /// Bytes.
        bytes: u64,
    },
    /// A run is over.
    Done {
        /// The run.
        run: Run,
        /// Whether the visitor stopped it.
        stopped: bool,
        /// Of the run.
        speed: Speed,
    },
    /// Something small went wrong; what runs goes on.
    Notice(Problem),
    /// Something went wrong; the run it belongs to is over.
    Failed {
        /// The run; none while loading.
        run: Option<Run>,
        /// What, and what to do.
        problem: Problem,
    },
}

/// What went wrong and what the visitor can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What happened, in a sentence.
    pub what: String,
    /// A next step, in a sentence.
    pub step: String,
}

/// The devices of this browser.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Devices {
    /// Its WebGPU adapter.
    pub gpu: Option<Adapter>,
}

/// A WebGPU adapter, in the browser's words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Adapter {
    /// Vendor and architecture.
    pub name: String,
    /// It computes on the CPU.
    pub software: bool,
    /// It has 16-bit numbers in shaders.
    pub f16: bool,
}

/// The models are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// "WebGPU" or "CPU".
    pub backend: String,
    /// The adapter, where it is WebGPU.
    pub adapter: Option<Adapter>,
    /// Why it is not the device, or not the models, that were asked for.
    pub fallback: Option<String>,
    /// Largest difference from the golden values of the models that have some; none where no model has.
    pub golden: Option<f32>,
    /// The models that play.
    pub cast: Cast,
    /// Those without golden values: what they compute here was not checked.
    pub unchecked: Vec<String>,
    /// Seconds to load.
    pub load_s: f64,
    /// Seconds of the self-test.
    pub test_s: f64,
    /// Thresholds that suit the critic.
    pub thresholds: Thresholds,
}

/// How a text is rewritten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// Paraphrase or summary.
    pub task: Task,
    /// How versions are drawn and ranked.
    pub style: Style,
    /// Versions of each sentence.
    pub samples: u32,
    /// Length of a summary as a share of its source's.
    pub length: f32,
    /// Least entailment.
    pub entailment: f32,
    /// Seed.
    pub seed: u64,
}

/// How a distillation runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distill {
    /// Contexts.
    pub contexts: usize,
    /// Siblings of each.
    pub k: usize,
    /// Sampling temperature of siblings.
    pub temperature: f32,
    /// The visitor's own sentences as contexts; the teacher writes them where there are none.
    pub seeds: Vec<String>,
    /// Thresholds; those of the models that the site carries, where there are none.
    pub thresholds: Option<Thresholds>,
    /// Seed.
    pub seed: u64,
}

/// Thresholds of both datasets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Of paraphrases.
    pub paraphrase: Paraphrase,
    /// Of summaries.
    pub summary: Summary,
}

/// A pair that the entailment critic read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// x.
    pub text: String,
    /// y.
    pub target: String,
    /// All scores, and who refused it.
    pub scored: Scored,
}

/// The pairs of a distillation under some thresholds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Filtered {
    /// Pairs that the entailment critic read, in the order of their sampling.
    pub points: Vec<Point>,
    /// Pairs that are kept.
    pub kept: Vec<Kept>,
    /// Critic by critic.
    pub funnel: Funnel,
    /// Pairs that would need a score that was never computed.
    pub missing: u64,
    /// Contexts that are judged.
    pub contexts: usize,
}

/// A step of a training, or a look at what the student writes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The run.
    pub run: Run,
    /// Steps taken.
    pub step: u64,
    /// Of how many.
    pub total: u64,
    /// Epoch at work, from 0.
    pub epoch: u64,
    /// Loss of the step, in nats a token.
    pub loss: Option<f32>,
    /// Loss of held-out pairs.
    pub validation: Option<f32>,
    /// What the student makes of a few sentences, at the end of an epoch.
    pub looks: Vec<Look>,
    /// Seconds since it began or went on.
    pub seconds: f64,
}

/// What the student makes of a sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The task.
    pub task: Task,
    /// The sentence.
    pub source: String,
    /// Its best version.
    pub version: String,
    /// The critics kept it.
    pub kept: bool,
}

/// A student of this page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Student {
    /// The one that the site carries.
    #[default]
    Carried,
    /// The one that was trained here.
    Trained,
}

/// How fast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Seconds to the first token.
    pub first_s: f64,
    /// Tokens written.
    pub tokens: u64,
    /// Seconds of writing.
    pub writing_s: f64,
    /// Pairs that the critic read.
    pub pairs: u64,
    /// Seconds of everything.
    pub all_s: f64,
    /// Bytes of the worker's memory.
    pub memory: u64,
}

impl Speed {
    /// Tokens a second, while it writes.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn tokens_per_s(&self) -> f64 {
        if self.writing_s > 0.0 { self.tokens as f64 / self.writing_s } else { 0.0 }
    }
}
