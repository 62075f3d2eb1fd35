//! Counts by outcome: of a run's contexts, samples and pairs, and of the versions that a student wrote.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::named;
use crate::rows::{Finish, Task};
use crate::verdict::Refusal;

named! {
    /// Outcome of one attempt to generate a context.
    pub enum ContextOutcome {
        /// The attempt was accepted as a context of the run.
        Made = "made",
        /// The text has unclosed brackets, code or markup.
        Broken = "broken",
        /// The same text is already a context.
        Duplicate = "duplicate",
        /// Every attempt at this context was refused.
        GivenUp = "given up",
        /// The text fills the teacher's positions, so that no new tokens fit.
        TooLong = "longer than the teacher's context",
        /// The seed file has fewer texts than the plan has contexts.
        NoSeed = "no seed left",
        /// The text reads like quiz questions or exercises.
        QuizLike = "quiz-like",
        /// Words or sentences are repeated.
        Repetitive = "repetitive",
        /// The sentences have fewer than six words on average.
        Short = "short",
        /// The text has fewer sentences than the plan's minimum.
        TooFewSentences = "too few sentences",
        /// Generation ended, at the token limit for example, before the required sentences were complete.
        Unfinished = "unfinished",
    }
}

named! {
    /// Outcome of one sampled continuation.
    pub enum SampleOutcome {
        /// A complete first sentence.
        Sentence = "sentence",
        /// A sentence that was already sampled in this context; it is counted under `sentence` as well.
        Duplicate = "duplicate",
        /// See [`Finish::EndOfText`].
        EndOfText = "end_of_text",
        /// See [`Finish::Length`].
        Length = "length",
        /// See [`Finish::NoToken`].
        NoToken = "no_token",
        /// See [`Finish::TooShort`].
        TooShort = "too_short",
    }
}

impl From<Finish> for SampleOutcome {
    fn from(finish: Finish) -> Self {
        match finish {
            Finish::Sentence => Self::Sentence,
            Finish::EndOfText => Self::EndOfText,
            Finish::Length => Self::Length,
            Finish::TooShort => Self::TooShort,
            Finish::NoToken => Self::NoToken,
        }
    }
}

/// What one row of the funnel counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// All pairs of all contexts, before any critic.
    Pairs,
    /// The critic that refuses pairs for this reason.
    Critic(Refusal),
    /// Selection of the most different accepted version of each source (self-distillation, paper section 3.3).
    MostDifferent,
}

impl Step {
    /// The name used in files and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pairs => "pairs",
            Self::Critic(refusal) => refusal.name(),
            Self::MostDifferent => "most different",
        }
    }
}

impl Serialize for Step {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        match name.as_ref() {
            "pairs" => Ok(Self::Pairs),
            "most different" => Ok(Self::MostDifferent),
            critic => Refusal::parse(critic)
                .map(Self::Critic)
                .ok_or_else(|| serde::de::Error::custom(format!("`{critic}` is not a step of the funnel"))),
        }
    }
}

/// Outcomes of contexts and samples, and the number of pairs before and after each critic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funnel {
    /// Attempts at contexts, by outcome.
    pub contexts: BTreeMap<ContextOutcome, u64>,
    /// Samples, by outcome; the outcomes overlap, see [`SampleOutcome::Duplicate`].
    pub samples: BTreeMap<SampleOutcome, u64>,
    /// Steps of the paraphrase critics, in the order in which they run.
    pub paraphrase: Vec<FunnelStep>,
    /// Steps of the summary critics, in the order in which they run.
    pub summary: Vec<FunnelStep>,
}

/// One row of the funnel: a critic with its input and output counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunnelStep {
    /// The critic; the first row of a task is [`Step::Pairs`].
    pub critic: Step,
    /// Pairs that reached the critic.
    pub seen: u64,
    /// Pairs that the critic accepted.
    pub passed: u64,
}

impl Funnel {
    /// Adds the counts of another part of the run: steps of the same critic are summed, other steps are appended.
    pub fn add(&mut self, other: &Self) {
        merge(&mut self.contexts, &other.contexts);
        merge(&mut self.samples, &other.samples);
        for (into, from) in [(&mut self.paraphrase, &other.paraphrase), (&mut self.summary, &other.summary)] {
            for step in from {
                match into.iter_mut().find(|s| s.critic == step.critic) {
                    Some(s) => {
                        s.seen += step.seen;
                        s.passed += step.passed;
                    }
                    None => into.push(*step),
                }
            }
        }
    }

    /// Number of context attempts with this outcome.
    #[must_use]
    pub fn contexts(&self, outcome: ContextOutcome) -> u64 {
        self.contexts.get(&outcome).copied().unwrap_or(0)
    }

    /// Number of samples with this outcome.
    #[must_use]
    pub fn samples(&self, outcome: SampleOutcome) -> u64 {
        self.samples.get(&outcome).copied().unwrap_or(0)
    }

    /// The steps of a task's critics.
    #[must_use]
    pub fn steps(&self, task: Task) -> &[FunnelStep] {
        match task {
            Task::Paraphrase => &self.paraphrase,
            Task::Summary => &self.summary,
        }
    }

    /// The steps of a task's critics, mutable.
    pub fn steps_mut(&mut self, task: Task) -> &mut Vec<FunnelStep> {
        match task {
            Task::Paraphrase => &mut self.paraphrase,
            Task::Summary => &mut self.summary,
        }
    }
}

/// Outcomes of the versions that a student wrote for one task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionCounts {
    /// All versions written.
    pub versions: u64,
    /// Versions that every critic accepted.
    pub kept: u64,
    /// Refused versions, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Source sentences with at least one kept version.
    pub sources: u64,
}

impl VersionCounts {
    /// Counts one version; `None` means that every critic accepted it.
    pub fn version(&mut self, refused_by: Option<Refusal>) {
        self.versions += 1;
        match refused_by {
            None => self.kept += 1,
            Some(refusal) => *self.refused.entry(refusal).or_default() += 1,
        }
    }

    /// Adds the counts of other sources.
    pub fn add(&mut self, other: &Self) {
        self.versions += other.versions;
        self.kept += other.kept;
        self.sources += other.sources;
        merge(&mut self.refused, &other.refused);
    }
}

/// Outcomes of a student's rewriting, by task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrites {
    /// Sentences given to the student.
    pub sentences: u64,
    /// Outcomes of the versions of each task.
    pub tasks: BTreeMap<Task, VersionCounts>,
}

fn merge<K: Ord + Copy>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (&key, n) in from {
        *into.entry(key).or_default() += n;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_parse() {
        fn check<T: Copy + PartialEq + std::fmt::Debug>(
            all: &[T],
            name: fn(T) -> &'static str,
            parse: fn(&str) -> Option<T>,
        ) {
            for one in all {
                assert_eq!(parse(name(*one)), Some(*one));
            }
            assert_eq!(parse("nothing of the kind"), None);
        }
        check(Refusal::ALL, Refusal::name, Refusal::parse);
        check(ContextOutcome::ALL, ContextOutcome::name, ContextOutcome::parse);
        check(SampleOutcome::ALL, SampleOutcome::name, SampleOutcome::parse);
    }

    #[test]
    fn parts_add_up_whatever_their_order() {
        let step = |critic, seen, passed| FunnelStep { critic, seen, passed };
        let part = |made, rouge| Funnel {
            contexts: BTreeMap::from([(ContextOutcome::Made, made)]),
            samples: BTreeMap::from([(SampleOutcome::Sentence, 2 * made)]),
            paraphrase: vec![step(Step::Pairs, 9, 9), step(Step::Critic(Refusal::Rouge), 9, rouge)],
            summary: Vec::new(),
        };
        let (mut ab, mut ba) = (part(1, 4), part(3, 5));
        ab.add(&part(3, 5));
        ba.add(&part(1, 4));
        assert_eq!(ab, ba);
        assert_eq!((ab.contexts(ContextOutcome::Made), ab.samples(SampleOutcome::Sentence)), (4, 8));
        assert_eq!(ab.steps(Task::Paraphrase)[1], step(Step::Critic(Refusal::Rouge), 18, 9));
        ab.add(&Funnel { summary: vec![step(Step::Critic(Refusal::Cap), 3, 1)], ..Funnel::default() });
        assert_eq!(ab.steps(Task::Summary).len(), 1);
    }

    #[test]
    fn versions_are_counted_by_reason() {
        let mut counts = VersionCounts::default();
        for refusal in [None, Some(Refusal::Copy), Some(Refusal::Copy), Some(Refusal::Forward)] {
            counts.version(refusal);
        }
        let mut twice = counts.clone();
        twice.add(&counts);
        assert_eq!((twice.versions, twice.kept, twice.refused[&Refusal::Copy]), (8, 2, 4));
    }
}
