//! What became of everything that a run made: contexts, samples, pairs; and what became of a student's versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::named;
use crate::rows::{Finish, Task};
use crate::verdict::Refusal;

named! {
    /// What became of an attempt at a context.
    pub enum ContextOutcome {
        /// It is a context of the run.
        Made = "made",
        /// Its sentences are broken (unclosed brackets, code, markup).
        Broken = "broken",
        /// The same text is a context already.
        Duplicate = "duplicate",
        /// Every attempt at this context was refused.
        GivenUp = "given up",
        /// Its text leaves no room for new tokens in the teacher's positions.
        TooLong = "longer than the teacher's context",
        /// The file of seeds has fewer texts than the plan has contexts.
        NoSeed = "no seed left",
        /// It reads like a quiz.
        QuizLike = "quiz-like",
        /// Words or sentences are repeated.
        Repetitive = "repetitive",
        /// It has fewer than six words a sentence.
        Short = "short",
        /// It has fewer sentences than the plan asks for.
        TooFewSentences = "too few sentences",
        /// The token limit came before the last sentence ended.
        Unfinished = "unfinished",
    }
}

named! {
    /// What became of a sample.
    pub enum SampleOutcome {
        /// A whole first sentence.
        Sentence = "sentence",
        /// The same sentence was sampled before in this context (such samples are counted as `sentence` too).
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

/// A line of the funnel: all pairs, or a critic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// All pairs of all contexts.
    Pairs,
    /// The critic that gives this reason.
    Critic(Refusal),
    /// The choice of the most different version of each source (self-distillation).
    MostDifferent,
}

impl Step {
    /// The spelling in files and tables.
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
                .ok_or_else(|| serde::de::Error::custom(format!("`{critic}` is no line of a funnel"))),
        }
    }
}

/// Pairs in and pairs left, critic by critic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funnel {
    /// Attempts at contexts, by what became of them.
    pub contexts: BTreeMap<ContextOutcome, u64>,
    /// Samples, by what became of them.
    pub samples: BTreeMap<SampleOutcome, u64>,
    /// The critics of the paraphrases, in order.
    pub paraphrase: Vec<FunnelStep>,
    /// The critics of the summaries, in order.
    pub summary: Vec<FunnelStep>,
}

/// One line of the funnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunnelStep {
    /// The critic, or the line of all pairs, which comes first.
    pub critic: Step,
    /// Pairs that reached it.
    pub seen: u64,
    /// Pairs that it accepted.
    pub passed: u64,
}

impl Funnel {
    /// Adds the counts of another part of the run. Steps of the same critic are added; new critics go to the end.
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

    /// Contexts with this outcome.
    #[must_use]
    pub fn contexts(&self, outcome: ContextOutcome) -> u64 {
        self.contexts.get(&outcome).copied().unwrap_or(0)
    }

    /// Samples with this outcome.
    #[must_use]
    pub fn samples(&self, outcome: SampleOutcome) -> u64 {
        self.samples.get(&outcome).copied().unwrap_or(0)
    }

    /// The steps of a task.
    #[must_use]
    pub fn steps(&self, task: Task) -> &[FunnelStep] {
        match task {
            Task::Paraphrase => &self.paraphrase,
            Task::Summary => &self.summary,
        }
    }

    /// The steps of a task, to add to.
    pub fn steps_mut(&mut self, task: Task) -> &mut Vec<FunnelStep> {
        match task {
            Task::Paraphrase => &mut self.paraphrase,
            Task::Summary => &mut self.summary,
        }
    }
}

/// What became of the versions that a student wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionCounts {
    /// Versions written.
    pub versions: u64,
    /// Versions that every critic accepted.
    pub kept: u64,
    /// Refused versions, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Source sentences with a kept version.
    pub sources: u64,
}

impl VersionCounts {
    /// Counts one version.
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

/// What became of the sentences that a student rewrote, by task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrites {
    /// Sentences given to the student.
    pub sentences: u64,
    /// By task.
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
