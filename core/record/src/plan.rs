//! The plan: every setting needed to reproduce a run. It is read from TOML, validated, and stored in the run folder.

use serde::{Deserialize, Serialize};

use crate::device::DeviceSpec;
use crate::names::named;
use crate::{Error, Result};

/// Every setting needed to reproduce a run. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seed of every random stream of the run.
    pub seed: u64,
    /// Kind of compute device. Floating-point results differ between kinds, so reproducing a run needs the same one.
    pub device: DeviceSpec,
    /// Names or paths of the models.
    pub models: Models,
    /// How left contexts are obtained.
    pub contexts: Contexts,
    /// How siblings are sampled.
    pub siblings: SiblingSettings,
    /// Thresholds of the paraphrase critics.
    pub paraphrase: Paraphrase,
    /// Thresholds of the summary critics.
    pub summary: Summary,
}

/// The models, each by its name in the model folder or by a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// Causal language model that generates contexts and siblings.
    pub teacher: String,
    /// Sequence-pair classifier with an entailment label.
    pub critic: String,
    /// Sentence encoder for the cosine threshold; may be empty if no cosine threshold is set.
    pub encoder: String,
    /// Model that the student is fine-tuned from; empty = the teacher.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub student: String,
}

/// How left contexts are obtained (paper, section 3.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// Number of contexts, 1 to 10,000,000.
    pub count: usize,
    /// `news`, `newswire`, `biomedical`, `none` or `seeds`.
    pub source: Source,
    /// For the source `seeds`: path of the file of the user's sentences (text: one per line; JSONL: field `text`).
    #[serde(default)]
    pub seeds: String,
    /// SHA-256 of the seed file, so that a run cannot be resumed with different seeds.
    #[serde(default)]
    pub seeds_sha256: String,
    /// Fewest sentences of a context, 1 to 64 (paper: 1).
    pub min_sentences: usize,
    /// Most sentences of a context, `min_sentences` to 64 (paper: 5).
    pub max_sentences: usize,
    /// Most tokens that the teacher generates for a context, 1 to 4096 (paper: 150).
    pub max_tokens: usize,
    /// Sampling temperature (paper: 1.0).
    pub temperature: f32,
    /// Nucleus mass (paper: 0.9).
    pub top_p: f32,
}

/// What a context starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A dateline from the project's lists ("PARIS, France (Reuters) --"), continued by the teacher.
    News,
    /// A dateline and the beginning of a report ("The central bank warned on Tuesday that"), from the project's lists.
    Newswire,
    /// A section heading of biomedical abstracts from the project's lists, continued by the teacher.
    Biomedical,
    /// The start-of-text token alone.
    None,
    /// Sentences that the user supplies.
    Seeds,
}

/// How siblings are sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiblingSettings {
    /// Continuations sampled per context, 2 to 4096 (paper: 100).
    pub k: usize,
    /// Sampling temperature (paper: 0.7; the authors' code: 0.5).
    pub temperature: f32,
    /// Nucleus mass, above 0 and at most 1 (paper: 0.9).
    pub top_p: f32,
    /// Sample from this many of the most likely tokens; 0 = off.
    pub top_k: usize,
    /// Drop tokens less likely than this fraction of the most likely token's probability; 0 = off.
    pub min_p: f32,
    /// Probability mass of locally typical sampling; 1 = off.
    pub typical_p: f32,
    /// Repetition penalty (Keskar et al., 2019); 1 = off.
    pub repetition_penalty: f32,
    /// Length of n-grams that may not occur twice, those of the context included; 0 = off (the authors' code: 3).
    pub no_repeat_ngram: usize,
    /// Number of new tokens before which end-of-text tokens are banned; 0 = off.
    #[serde(default, skip_serializing_if = "is_none_asked")]
    pub min_tokens: usize,
    /// Most new tokens of a sibling, 1 to 1024 (the authors' code: 100).
    pub max_tokens: usize,
    /// Rows decoded together. Part of the plan, because rounding in matrix products depends on the number of rows.
    pub batch: usize,
}

/// How the numbers of the two sentences x and y of a paraphrase must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberRule {
    /// Every number of either sentence occurs in the other.
    Strict,
    /// Every number of y occurs in x (the authors' code).
    Reference,
    /// Numbers are not compared (the paper).
    Off,
}

named! {
    /// Which of a context's accepted pairs are kept when several of them mean the same.
    pub enum Diversity {
        /// The best pair of every connected component of the entailment graph (Algorithm 1 of the paper).
        Component = "component",
        /// A maximal independent set of the entailment graph, chosen greedily from the best pair on.
        Independent = "independent",
        /// All pairs.
        Off = "off",
    }
}

/// Serde of an optional threshold, where -1 stands for `None`. The entry is always written, so that all plans have the
/// same entries.
mod floor {
    use serde::{Deserialize, Deserializer, Serializer};

    const OFF: f32 = -1.0;

    #[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option)] // as serde calls it
    pub(super) fn serialize<S: Serializer>(floor: &Option<f32>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f32(floor.unwrap_or(OFF))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f32>, D::Error> {
        // `validate` checks the range of all other values.
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

/// Thresholds of the paraphrase critics. A threshold that every pair meets (0 for a minimum, 1 for a maximum,
/// `f32::MAX` for `length_max`) switches its critic off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paraphrase {
    /// Minimum of len(y) / len(x), in characters.
    pub length_min: f32,
    /// Maximum of len(y) / len(x), in characters.
    pub length_max: f32,
    /// Minimum ROUGE-L F1, 0 to `rouge_max`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rouge_min: f32,
    /// Maximum ROUGE-L F1, 0 to 1 (paper: 0.75).
    pub rouge_max: f32,
    /// How numbers must agree.
    pub numbers: NumberRule,
    /// Whether names, acronyms, places, weekdays and months must agree.
    pub entities: bool,
    /// Whether negation, modality, degree and direction must agree.
    #[serde(default)]
    pub modality: bool,
    /// Fewest words of either sentence.
    #[serde(default)]
    pub min_words: usize,
    /// Whether every quotation that is opened must be closed.
    #[serde(default)]
    pub quotes: bool,
    /// Whether questions are refused.
    #[serde(default, skip_serializing_if = "is_off")]
    pub statements: bool,
    /// Minimum cosine of the sentence embeddings; `None` (-1 in files) = off, and no encoder is needed.
    #[serde(with = "floor")]
    pub cosine_min: Option<f32>,
    /// Minimum entailment probability in both directions, 0 to 1 (paper: 0.75).
    pub entailment_min: f32,
    /// Maximum [`nll`](crate::Scored::nll) of a reworder's version, in nats per token; `None` = off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nll_max: Option<f32>,
    /// Selection among pairs that mean the same.
    pub diversity: Diversity,
}

/// Thresholds of the summary critics: x entails y, and y is shorter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Upper bound (exclusive) of len(y) / len(x), in characters (paper: 0.8).
    pub length_max: f32,
    /// Fewest words of either sentence, which in effect limits the shorter y.
    #[serde(default)]
    pub min_words: usize,
    /// Whether every quotation that is opened must be closed.
    #[serde(default)]
    pub quotes: bool,
    /// Whether questions are refused.
    #[serde(default, skip_serializing_if = "is_off")]
    pub statements: bool,
    /// Whether every number of y must occur in x.
    pub numbers: bool,
    /// Whether every entity of y must occur in x.
    pub entities: bool,
    /// Whether y must not add negation, modality, degree or direction to x, or drop a marker that its words depend on.
    #[serde(default)]
    pub modality: bool,
    /// Minimum cosine of the sentence embeddings; `None` (-1 in files) = off.
    #[serde(with = "floor")]
    pub cosine_min: Option<f32>,
    /// Minimum of p(x entails y), 0 to 1 (paper: 0.75).
    pub entailment_min: f32,
    /// Most pairs of one context with the same summary; 0 = no limit.
    pub max_per_summary: usize,
    /// Selection among pairs that mean the same.
    pub diversity: Diversity,
}

named! {
    /// Presets of the critics' thresholds.
    pub enum Critics {
        /// The paper's critics, without tree edit distance, which needs a parser.
        Paper = "paper",
        /// The authors' code, with its one-sided number check.
        Reference = "reference",
        /// This project's: numbers, entities and modality must agree; cosine threshold; higher entailment thresholds;
        /// at most three pairs per summary.
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
            nll_max: None,
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
                // Blind reading: 1 in 11 pairs below this ROUGE-L are equivalent, more than half of those above.
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
    /// Thresholds for the candidates of a reworder: those of [`Critics::Strict`] without the floor on ROUGE-L and with
    /// others on cosine, entailment and likelihood, chosen on 523 candidates that two readers judged
    /// (`docs/rewording.jsonl`): 22 of the 28 that pass are good, 2 wrong.
    #[must_use]
    pub fn reworded() -> Self {
        Self {
            rouge_min: 0.0,
            cosine_min: Some(0.95),
            entailment_min: 0.99,
            nll_max: Some(0.45),
            statements: false,
            min_words: 1,
            ..Self::preset(Critics::Strict)
        }
    }

    /// Checks the ranges of the thresholds; NaN is refused.
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
        check((0.0..=1.0).contains(&self.entailment_min), "paraphrase.entailment_min", "0 to 1", self.entailment_min)?;
        let most = self.nll_max.unwrap_or(1.0);
        check(most > 0.0 && most <= 100.0, "paraphrase.nll_max", "above 0, at most 100", most)
    }
}

impl Summary {
    /// Checks the ranges of the thresholds; NaN is refused.
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
    /// Whether a cosine threshold is set, so that the run needs a sentence encoder.
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
    /// Checks the range of every setting.
    ///
    /// # Errors
    /// [`Error::Input`] names the entry, what it accepts and what it holds.
    pub fn validate(&self) -> Result<()> {
        let unit = |v: f32| v > 0.0 && v <= 1.0;
        // TOML integers are signed, and self-distillation uses seed + 1.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preset;

    fn plan() -> Plan {
        Preset::Small.plan(DeviceSpec::Flex)
    }

    /// The entry for which the changed plan is refused; empty if the plan is valid.
    fn refused(change: fn(&mut Plan)) -> String {
        let mut plan = plan();
        change(&mut plan);
        match plan.validate() {
            Ok(()) => String::new(),
            Err(Error::Input { name, .. }) => name,
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn each_entry_out_of_range_is_refused_by_name() {
        type Changes = [fn(&mut Plan)];
        let changes: &[(&str, &Changes)] = &[
            ("seed", &[|p| p.seed = i64::MAX as u64, |p| p.seed = u64::MAX]),
            ("contexts.count", &[|p| p.contexts.count = 0, |p| p.contexts.count = 10_000_001]),
            ("contexts.min_sentences", &[|p| p.contexts.min_sentences = 0, |p| p.contexts.min_sentences = 65]),
            ("contexts.max_sentences", &[|p| p.contexts.max_sentences = 65, |p| p.contexts.max_sentences = 0]),
            ("contexts.max_tokens", &[|p| p.contexts.max_tokens = 0, |p| p.contexts.max_tokens = 4097]),
            (
                "contexts.temperature",
                &[
                    |p| p.contexts.temperature = 0.0,
                    |p| p.contexts.temperature = 10.1,
                    |p| p.contexts.temperature = f32::NAN,
                ],
            ),
            ("contexts.top_p", &[|p| p.contexts.top_p = 0.0, |p| p.contexts.top_p = 1.1]),
            ("contexts.seeds", &[|p| p.contexts.source = Source::Seeds]),
            ("siblings.k", &[|p| p.siblings.k = 1, |p| p.siblings.k = 4097]),
            ("siblings.temperature", &[|p| p.siblings.temperature = -1.0, |p| p.siblings.temperature = f32::INFINITY]),
            ("siblings.top_p", &[|p| p.siblings.top_p = -0.1, |p| p.siblings.top_p = f32::NAN]),
            ("siblings.min_p", &[|p| p.siblings.min_p = 1.0, |p| p.siblings.min_p = -0.1]),
            ("siblings.typical_p", &[|p| p.siblings.typical_p = 0.0, |p| p.siblings.typical_p = 1.1]),
            (
                "siblings.repetition_penalty",
                &[|p| p.siblings.repetition_penalty = 0.0, |p| p.siblings.repetition_penalty = 11.0],
            ),
            ("siblings.max_tokens", &[|p| p.siblings.max_tokens = 0, |p| p.siblings.max_tokens = 1025]),
            ("siblings.min_tokens", &[|p| p.siblings.min_tokens = p.siblings.max_tokens + 1]),
            ("siblings.batch", &[|p| p.siblings.batch = 0, |p| p.siblings.batch = 1025]),
            (
                "paraphrase.length_min",
                &[|p| p.paraphrase.length_min = -0.1, |p| p.paraphrase.length_min = p.paraphrase.length_max],
            ),
            ("paraphrase.rouge_max", &[|p| p.paraphrase.rouge_max = 1.1, |p| p.paraphrase.rouge_max = f32::NAN]),
            (
                "paraphrase.rouge_min",
                &[|p| p.paraphrase.rouge_min = -0.1, |p| p.paraphrase.rouge_min = p.paraphrase.rouge_max + 0.01],
            ),
            (
                "paraphrase.cosine_min",
                &[|p| p.paraphrase.cosine_min = Some(1.1), |p| p.paraphrase.cosine_min = Some(f32::NAN)],
            ),
            (
                "paraphrase.entailment_min",
                &[|p| p.paraphrase.entailment_min = -0.1, |p| p.paraphrase.entailment_min = 1.1],
            ),
            ("summary.length_max", &[|p| p.summary.length_max = 0.0, |p| p.summary.length_max = 1.1]),
            ("summary.cosine_min", &[|p| p.summary.cosine_min = Some(-1.1)]),
            ("summary.entailment_min", &[|p| p.summary.entailment_min = f32::NAN]),
            ("paraphrase.nll_max", &[|p| p.paraphrase.nll_max = Some(0.0), |p| p.paraphrase.nll_max = Some(f32::NAN)]),
            ("models.encoder", &[|p| p.models.encoder.clear()]),
        ];
        for (name, changes) in changes {
            for (i, change) in changes.iter().enumerate() {
                assert_eq!(&refused(*change), name, "change {i} of {name}");
            }
        }
    }

    #[test]
    fn the_ends_of_each_range_are_accepted() {
        let changes: [fn(&mut Plan); 6] = [
            |p| (p.seed, p.contexts.count, p.siblings.k, p.siblings.batch) = (0, 1, 2, 1),
            |p| (p.seed, p.contexts.count, p.siblings.k) = (i64::MAX as u64 - 1, 10_000_000, 4096),
            |p| (p.contexts.min_sentences, p.contexts.max_sentences) = (64, 64),
            |p| (p.siblings.temperature, p.siblings.top_p, p.siblings.min_p) = (0.001, 1.0, 0.0),
            |p| (p.paraphrase.rouge_min, p.paraphrase.rouge_max, p.paraphrase.cosine_min) = (1.0, 1.0, Some(-1.0)),
            |p| (p.contexts.source, p.contexts.seeds) = (Source::Seeds, "seeds.txt".into()),
        ];
        for (i, change) in changes.into_iter().enumerate() {
            assert_eq!(refused(change), "", "change {i}");
        }
    }

    #[test]
    fn an_encoder_is_needed_for_a_floor_on_either_cosine() {
        let mut plan = plan();
        for (paraphrase, summary) in [(Some(0.5), None), (None, Some(0.5)), (None, None)] {
            (plan.paraphrase.cosine_min, plan.summary.cosine_min) = (paraphrase, summary);
            assert_eq!(plan.needs_encoder(), paraphrase.or(summary).is_some());
            plan.models.encoder.clear();
            assert_eq!(plan.validate().is_err(), plan.needs_encoder());
        }
    }
}
