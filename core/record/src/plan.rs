//! The plan: everything needed to repeat a run. TOML in, validated, hashed, written into the run folder.

use serde::{Deserialize, Serialize};

use crate::device::DeviceSpec;
use crate::names::named;
use crate::{Error, Result};

/// Everything needed to repeat a run. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seed of every random stream of the run.
    pub seed: u64,
    /// Kind of device: floating point differs between kinds, so it is part of what repeats a run.
    pub device: DeviceSpec,
    /// The models.
    pub models: Models,
    /// Where left contexts come from.
    pub contexts: Contexts,
    /// How siblings are sampled.
    pub siblings: SiblingSettings,
    /// Thresholds of the paraphrase critics.
    pub paraphrase: Paraphrase,
    /// Thresholds of the summary critics.
    pub summary: Summary,
}

/// The models, by name in the model folder or by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// Causal language model that writes contexts and siblings.
    pub teacher: String,
    /// Sequence classifier with an entailment label.
    pub critic: String,
    /// Sentence encoder for the cosine floor; empty where no critic of the plan needs it.
    pub encoder: String,
    /// What a student starts from; empty = the teacher.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub student: String,
}

/// Left contexts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// How many contexts to sample siblings for.
    pub count: usize,
    /// `news`, `newswire`, `biomedical`, `none`, or `seeds`.
    pub source: Source,
    /// With `seeds`: the user's sentences, in order, in this file (txt: a line each; jsonl: field `text`).
    #[serde(default)]
    pub seeds: String,
    /// sha256 of the seeds file, so that a run is not resumed with other seeds.
    #[serde(default)]
    pub seeds_sha256: String,
    /// Fewest sentences of a context (paper: 1).
    pub min_sentences: usize,
    /// Most sentences of a context (paper: 5).
    pub max_sentences: usize,
    /// Most new tokens while the teacher writes a context (paper: 150).
    pub max_tokens: usize,
    /// Sampling temperature (paper: 1.0).
    pub temperature: f32,
    /// Nucleus mass (paper: 0.9).
    pub top_p: f32,
}

/// Where contexts start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A dateline of the project's own lists, continued by the teacher.
    News,
    /// A dateline and the beginning of a report ("The central bank warned on Tuesday that"), of the project's own lists.
    Newswire,
    /// A section word, continued by the teacher.
    Biomedical,
    /// The start-of-text token alone.
    None,
    /// The user's own sentences.
    Seeds,
}

/// How siblings are sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiblingSettings {
    /// Continuations of each context (paper: 100).
    pub k: usize,
    /// Sampling temperature (paper 0.7, code 0.5).
    pub temperature: f32,
    /// Nucleus mass (paper 0.9).
    pub top_p: f32,
    /// Keep the k most likely tokens; 0 = off.
    pub top_k: usize,
    /// Keep tokens of at least this share of the likeliest one's probability; 0 = off.
    pub min_p: f32,
    /// Locally typical mass; 1 = off.
    pub typical_p: f32,
    /// 1 = off.
    pub repetition_penalty: f32,
    /// No n-gram twice, context included; 0 = off (code: 3).
    pub no_repeat_ngram: usize,
    /// The text may not end before this many new tokens; 0 = it may end at once.
    #[serde(default, skip_serializing_if = "is_none_asked")]
    pub min_tokens: usize,
    /// Most new tokens of a sibling (code: 100).
    pub max_tokens: usize,
    /// Rows decoded together. Part of the plan, as matrix products of another height round differently.
    pub batch: usize,
}

/// Which number rule a preset uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberRule {
    /// Every number of either side occurs in the other.
    Strict,
    /// The authors' code: every number of y occurs in x.
    Reference,
    /// No number rule (the paper).
    Off,
}

named! {
    /// How one pair is chosen among the surviving pairs of a context that say the same.
    pub enum Diversity {
        /// Algorithm 1 of the paper: the best pair of every connected component.
        Component = "component",
        /// A maximal set of pairs that do not entail each other, best first.
        Independent = "independent",
        /// Keep all.
        Off = "off",
    }
}

/// A floor in a file: -1 is none. The entry is always written, so that two plans have the same entries.
mod floor {
    use serde::{Deserialize, Deserializer, Serializer};

    const OFF: f32 = -1.0;

    #[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option)] // as serde calls it
    pub(super) fn serialize<S: Serializer>(floor: &Option<f32>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f32(floor.unwrap_or(OFF))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f32>, D::Error> {
        // Other values are for `validate` to judge.
        #[allow(clippy::float_cmp)]
        f32::deserialize(from).map(|floor| (floor != OFF).then_some(floor))
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_off(value: &bool) -> bool {
    !*value
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_none_asked(value: &usize) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_zero(value: &f32) -> bool {
    *value <= 0.0
}

/// Paraphrase critics. A threshold at its neutral value (0 or 1) switches its critic off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paraphrase {
    /// Least len(y) / len(x) in characters.
    pub length_min: f32,
    /// Most len(y) / len(x) in characters.
    pub length_max: f32,
    /// Least ROUGE-L F.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rouge_min: f32,
    /// Most ROUGE-L F.
    pub rouge_max: f32,
    /// Number rule.
    pub numbers: NumberRule,
    /// Names, acronyms, places, weekdays and months must agree.
    pub entities: bool,
    /// Negation, modality, degree and direction must agree.
    #[serde(default)]
    pub modality: bool,
    /// Fewest words of either sentence.
    #[serde(default)]
    pub min_words: usize,
    /// Quotations must close.
    #[serde(default)]
    pub quotes: bool,
    /// No question.
    #[serde(default, skip_serializing_if = "is_off")]
    pub statements: bool,
    /// Smallest accepted cosine of the sentence embeddings; `None` (-1 in files) = no encoder needed.
    #[serde(with = "floor")]
    pub cosine_min: Option<f32>,
    /// Least p(x => y) and p(y => x).
    pub entailment_min: f32,
    /// Selection among pairs that say the same.
    pub diversity: Diversity,
}

/// Summary critics: x => y one way, y shorter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// len(y) must stay below this share of len(x), in characters.
    pub length_max: f32,
    /// Fewest words of y.
    #[serde(default)]
    pub min_words: usize,
    /// Quotations must close.
    #[serde(default)]
    pub quotes: bool,
    /// No question.
    #[serde(default, skip_serializing_if = "is_off")]
    pub statements: bool,
    /// No number in y that x lacks.
    pub numbers: bool,
    /// No entity in y that x lacks.
    pub entities: bool,
    /// No negation, modality, degree or direction in y that x lacks, none of x's lost that y's words depend on.
    #[serde(default)]
    pub modality: bool,
    /// Smallest accepted cosine of the sentence embeddings; `None` (-1 in files) = off.
    #[serde(with = "floor")]
    pub cosine_min: Option<f32>,
    /// Least p(x => y).
    pub entailment_min: f32,
    /// Most pairs of one context that share a summary; 0 = no limit.
    pub max_per_summary: usize,
    /// Selection among pairs that say the same.
    pub diversity: Diversity,
}

named! {
    /// The critics' presets.
    pub enum Critics {
        /// Exactly the paper's critics (without tree distance, which needs a parser).
        Paper = "paper",
        /// The authors' code, its one-sided number check included.
        Reference = "reference",
        /// Ours: numbers, entities and modality agree, a cosine floor, higher entailment, per-summary caps.
        Strict = "strict",
    }
}

impl Paraphrase {
    /// Thresholds of a preset.
    #[must_use]
    pub fn preset(critics: Critics) -> Self {
        let paper = Self {
            length_min: 0.0,
            length_max: f32::MAX,
            rouge_min: 0.0,
            rouge_max: 0.75,
            numbers: NumberRule::Off,
            entities: false,
            modality: false,
            min_words: 0,
            quotes: false,
            statements: false,
            cosine_min: None,
            entailment_min: 0.75,
            diversity: Diversity::Component,
        };
        match critics {
            Critics::Paper => paper,
            Critics::Reference => Self { length_min: 0.8, length_max: 1.5, numbers: NumberRule::Reference, ..paper },
            Critics::Strict => Self {
                length_min: 0.8,
                length_max: 1.5,
                numbers: NumberRule::Strict,
                entities: true,
                modality: true,
                min_words: 5,
                quotes: true,
                statements: true,
                // Measured by blind reading: of pairs below, one in eleven says the same, of pairs above more than half.
                rouge_min: 0.65,
                cosine_min: Some(0.9),
                entailment_min: 0.97,
                diversity: Diversity::Independent,
                ..paper
            },
        }
    }
}

impl Paraphrase {
    /// Refuses thresholds that no pair can meet or that are no numbers.
    ///
    /// # Errors
    /// [`Error::Input`] names the entry, what it accepts and what it holds.
    pub fn validate(&self) -> Result<()> {
        check(
            self.length_min >= 0.0 && self.length_min < self.length_max,
            "paraphrase.length_min",
            "0 to below length_max",
            self.length_min,
        )?;
        check((0.0..=1.0).contains(&self.rouge_max), "paraphrase.rouge_max", "0 to 1", self.rouge_max)?;
        let floor = (0.0..=self.rouge_max).contains(&self.rouge_min);
        check(floor, "paraphrase.rouge_min", "0 to rouge_max", self.rouge_min)?;
        check_floor(self.cosine_min, "paraphrase.cosine_min")?;
        check((0.0..=1.0).contains(&self.entailment_min), "paraphrase.entailment_min", "0 to 1", self.entailment_min)
    }
}

impl Summary {
    /// As [`Paraphrase::validate`].
    ///
    /// # Errors
    /// As [`Paraphrase::validate`].
    pub fn validate(&self) -> Result<()> {
        let length = self.length_max > 0.0 && self.length_max <= 1.0;
        check(length, "summary.length_max", "above 0, at most 1", self.length_max)?;
        check_floor(self.cosine_min, "summary.cosine_min")?;
        check((0.0..=1.0).contains(&self.entailment_min), "summary.entailment_min", "0 to 1", self.entailment_min)
    }

    /// Thresholds of a preset.
    #[must_use]
    pub fn preset(critics: Critics) -> Self {
        let paper = Self {
            length_max: 0.8,
            min_words: 0,
            quotes: false,
            statements: false,
            numbers: false,
            entities: false,
            modality: false,
            cosine_min: None,
            entailment_min: 0.75,
            max_per_summary: 0,
            diversity: Diversity::Component,
        };
        match critics {
            Critics::Paper | Critics::Reference => paper,
            Critics::Strict => Self {
                min_words: 5,
                quotes: true,
                statements: true,
                numbers: true,
                entities: true,
                modality: true,
                cosine_min: Some(0.85),
                entailment_min: 0.99,
                max_per_summary: 3,
                diversity: Diversity::Independent,
                ..paper
            },
        }
    }
}

impl Plan {
    /// Whether any critic of the plan needs a sentence encoder.
    #[must_use]
    pub fn needs_encoder(&self) -> bool {
        self.paraphrase.cosine_min.is_some() || self.summary.cosine_min.is_some()
    }
}

fn check(ok: bool, name: &str, expected: &str, found: impl std::fmt::Display) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::input(name, expected, found)) }
}

fn check_floor(floor: Option<f32>, name: &str) -> Result<()> {
    let found = floor.unwrap_or_default();
    check(floor.is_none_or(|floor| (-1.0..=1.0).contains(&floor)), name, "-1 (off) to 1", found)
}

impl Plan {
    /// Refuses values that no stage can work with.
    ///
    /// # Errors
    /// [`Error::Input`] names the entry, what it accepts and what it holds.
    pub fn validate(&self) -> Result<()> {
        let unit = |v: f32| v > 0.0 && v <= 1.0;
        // TOML's whole numbers are signed, and self-distillation takes the next one.
        check(self.seed < i64::MAX as u64, "seed", "0 to 9,223,372,036,854,775,806", self.seed)?;
        let c = &self.contexts;
        check((1..=10_000_000).contains(&c.count), "contexts.count", "1 to 10,000,000", c.count)?;
        check((1..=64).contains(&c.min_sentences), "contexts.min_sentences", "1 to 64", c.min_sentences)?;
        check(
            (c.min_sentences..=64).contains(&c.max_sentences),
            "contexts.max_sentences",
            "min_sentences to 64",
            c.max_sentences,
        )?;
        check((1..=4096).contains(&c.max_tokens), "contexts.max_tokens", "1 to 4096", c.max_tokens)?;
        check((0.001..=10.0).contains(&c.temperature), "contexts.temperature", "0.001 to 10", c.temperature)?;
        check(unit(c.top_p), "contexts.top_p", "above 0, at most 1", c.top_p)?;
        check(
            c.source != Source::Seeds || !c.seeds.is_empty(),
            "contexts.seeds",
            "a file of seed sentences",
            "nothing",
        )?;
        let s = &self.siblings;
        check((2..=4096).contains(&s.k), "siblings.k", "2 to 4096", s.k)?;
        check((0.001..=10.0).contains(&s.temperature), "siblings.temperature", "0.001 to 10", s.temperature)?;
        check(unit(s.top_p), "siblings.top_p", "above 0, at most 1", s.top_p)?;
        check((0.0..1.0).contains(&s.min_p), "siblings.min_p", "0 (off) to below 1", s.min_p)?;
        check(unit(s.typical_p), "siblings.typical_p", "above 0, at most 1 (off)", s.typical_p)?;
        check(
            s.repetition_penalty > 0.0 && s.repetition_penalty <= 10.0,
            "siblings.repetition_penalty",
            "above 0, at most 10 (1 = off)",
            s.repetition_penalty,
        )?;
        check((1..=1024).contains(&s.max_tokens), "siblings.max_tokens", "1 to 1024", s.max_tokens)?;
        check((0..=s.max_tokens).contains(&s.min_tokens), "siblings.min_tokens", "0 to max_tokens", s.min_tokens)?;
        check((1..=1024).contains(&s.batch), "siblings.batch", "1 to 1024", s.batch)?;
        let (p, m) = (&self.paraphrase, &self.summary);
        p.validate()?;
        m.validate()?;
        check(
            !self.needs_encoder() || !self.models.encoder.is_empty(),
            "models.encoder",
            "a sentence encoder, as cosine_min is set",
            "nothing",
        )
    }
}
