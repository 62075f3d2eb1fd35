//! The pipeline: contexts, siblings and critics, one range of contexts at a time, with results saved to the host's
//! store.

use std::ops::Range;

use lm::decode::TextModel;
use lm::decode::sample::SampleOptions;
use lm::decode::siblings::{Job, Limits, Stop, sample};
use record::monitor::Stage;
use record::plan::Plan;
use record::random::Purpose;
use record::{Context, ContextOutcome, Finish, Funnel, Monitor, Sample, SampleOutcome, Scored};
use serde::{Deserialize, Serialize};

use super::contexts::{ContextBatch, Seed, make};
use crate::Result;
use crate::critic::{Critics, Link, SentenceSet};

/// Number of contexts that are generated, sampled, judged and saved together. It is fixed because it decides which rows
/// share a batch, and with that the rounding of matrix products.
pub const RANGE: u64 = 4;

/// The state of a range before its critics run. Resuming from it gives the same bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Contexts with the outcomes of all attempts.
    pub made: ContextBatch,
    /// Samples of all contexts; `None` until all are complete.
    pub samples: Option<Vec<Sample>>,
}

/// The results of one range.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// Contexts that siblings were sampled for.
    pub contexts: Vec<Context>,
    /// All samples, including unusable ones.
    pub samples: Vec<Sample>,
    /// Scored pairs of both tasks.
    pub scored: Vec<Scored>,
    /// Entailments that the diversity filter needed in addition.
    pub links: Vec<Link>,
    /// Counts of outcomes.
    pub funnel: Funnel,
}

impl Judged {
    /// The sentence of a row of a context; empty if the row has no usable sentence.
    #[must_use]
    pub fn text(&self, context: u64, row: u32) -> &str {
        let wanted = |s: &&Sample| s.context == context && s.row == row && s.finish == Finish::Sentence;
        self.samples.iter().find(wanted).map_or("", |s| s.text.as_str())
    }
}

/// Storage for the pipeline's results, such as a run folder or a browser's memory.
pub trait Store {
    /// The draft of a range that an interrupted run saved.
    ///
    /// # Errors
    /// Errors of the store.
    fn draft(&mut self, range: &Range<u64>) -> Result<Option<Draft>>;

    /// Saves an unfinished range; called when its contexts are complete, and again when its samples are.
    ///
    /// # Errors
    /// Errors of the store, which end the pipeline.
    fn keep_draft(&mut self, range: &Range<u64>, draft: &Draft) -> Result<()>;

    /// Saves a finished range.
    ///
    /// # Errors
    /// Errors of the store, which end the pipeline.
    fn keep(&mut self, range: &Range<u64>, judged: Judged) -> Result<()>;
}

/// The distinct usable sentences of a context, from the samples of one or more contexts.
///
/// # Errors
/// As [`SentenceSet::new`].
pub fn sentences(samples: &[Sample], context: u64) -> Result<SentenceSet> {
    let usable = samples.iter().filter(|s| s.context == context && s.finish == Finish::Sentence);
    SentenceSet::new(usable.map(|s| (s.row, s.text.as_str())))
}

/// A plan's sampling options for siblings; `ends` are the ids that end a text.
fn sample_options(plan: &Plan, ends: &[u32]) -> SampleOptions {
    let s = &plan.siblings;
    SampleOptions {
        temperature: s.temperature,
        top_p: s.top_p,
        top_k: s.top_k,
        min_p: s.min_p,
        typical_p: s.typical_p,
        repetition_penalty: s.repetition_penalty,
        no_repeat_ngram: s.no_repeat_ngram,
        min_new_tokens: s.min_tokens,
        eos: ends.to_vec(),
        ..SampleOptions::default()
    }
}

/// Samples `k` siblings of each context; returns them ordered by context and row.
///
/// # Errors
/// Errors of the teacher; [`crate::Error::Interrupted`] when the host asked to stop.
pub async fn siblings(
    teacher: &TextModel,
    plan: &Plan,
    contexts: &[Context],
    monitor: &mut Monitor<'_>,
) -> Result<Vec<Sample>> {
    let s = &plan.siblings;
    let sampler = teacher.sampler(sample_options(plan, &teacher.ends))?;
    let rows = 0..u32::try_from(s.k).unwrap_or(u32::MAX);
    let jobs = contexts
        .iter()
        .map(|c| {
            let prompt = teacher.prompt(&c.text, s.max_tokens)?;
            Ok(Job { context: c.id, prompt, rows: rows.clone(), stop: Stop::FirstSentence })
        })
        .collect::<Result<Vec<_>>>()?;
    let limits = Limits { batch: s.batch, max_tokens: s.max_tokens };
    monitor.stage(Stage::Siblings)?;
    sample(teacher, &jobs, &sampler, limits, (plan.seed, Purpose::Siblings), monitor).await
}

/// A plan with the models and seeds that it needs.
pub struct Pipeline<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The model that generates contexts and siblings.
    pub teacher: &'a TextModel,
    /// The critics of the pairs, whose panel has the plan's thresholds.
    pub critics: &'a mut Critics,
    /// Seeds by context, if the plan's source of contexts is `seeds`.
    pub seeds: &'a [Seed],
}

impl Pipeline<'_> {
    /// Runs ranges of contexts, each resumed from its draft in the store. The monitor's units are contexts.
    ///
    /// # Errors
    /// Errors of the models and of the store; [`crate::Error::Interrupted`] when the host asked to stop. Ranges saved
    /// until then are complete.
    pub async fn run(&mut self, ranges: &[Range<u64>], store: &mut dyn Store, monitor: &mut Monitor<'_>) -> Result<()> {
        for range in ranges {
            let judged = self.range(range, store, monitor).await?;
            // Save the finished range before stopping.
            let stop = monitor.stage(Stage::Writing);
            store.keep(range, judged)?;
            stop?;
            monitor.rest().await;
        }
        Ok(())
    }

    async fn range(&mut self, range: &Range<u64>, store: &mut dyn Store, monitor: &mut Monitor<'_>) -> Result<Judged> {
        let mut draft = match store.draft(range)? {
            Some(draft) => draft,
            None => {
                let made = make(self.teacher, self.plan, range.clone(), self.seeds, monitor).await?;
                let draft = Draft { made, samples: None };
                store.keep_draft(range, &draft)?;
                draft
            }
        };
        let ContextBatch { mut contexts, counts } = draft.made.clone();
        let mut out = Judged { funnel: Funnel { contexts: counts, ..Funnel::default() }, ..Judged::default() };
        // A context may have become too long to leave room for a sibling.
        contexts.retain(|c| {
            let fits = self.teacher.prompt(&c.text, self.plan.siblings.max_tokens).is_ok();
            if !fits {
                *out.funnel.contexts.entry(ContextOutcome::TooLong).or_default() += 1;
            }
            fits
        });
        if draft.samples.is_none() {
            draft.samples = Some(siblings(self.teacher, self.plan, &contexts, monitor).await?);
            store.keep_draft(range, &draft)?;
        }
        out.samples = draft.samples.unwrap_or_default();
        for sample in &out.samples {
            *out.funnel.samples.entry(sample.finish.into()).or_default() += 1;
        }
        for context in &contexts {
            monitor.stage(Stage::Critics)?;
            let mut sentences = sentences(&out.samples, context.id)?;
            *out.funnel.samples.entry(SampleOutcome::Duplicate).or_default() += sentences.duplicates();
            let verdicts = self.critics.judge(context.id, &mut sentences, monitor).await?;
            monitor.kept(verdicts.scored.iter().filter(|s| s.kept()).count() as u64);
            monitor.count(1);
            out.funnel.add(&verdicts.funnel);
            out.scored.extend(verdicts.scored);
            out.links.extend(verdicts.links);
        }
        monitor.count((range.end - range.start) - contexts.len() as u64);
        out.contexts = contexts;
        Ok(out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
mod tests {
    use lm::lanes::wait;
    use record::monitor::{Progress, Signal, Unwatched, Watch};
    use record::{Error, Task};

    use super::*;
    use crate::tiny;

    /// A call of a method of the store.
    #[derive(Debug, PartialEq)]
    enum Call {
        Draft(Range<u64>),
        KeepDraft(Range<u64>, Draft),
        Keep(Range<u64>),
    }

    /// A store in memory that records its calls; `before` is a draft of an earlier run.
    #[derive(Default)]
    struct Memory {
        before: Option<Draft>,
        calls: Vec<Call>,
        judged: Vec<Judged>,
    }

    impl Memory {
        fn drafts(&self) -> Vec<&Draft> {
            let mut drafts = Vec::new();
            for call in &self.calls {
                if let Call::KeepDraft(_, draft) = call {
                    drafts.push(draft);
                }
            }
            drafts
        }
    }

    impl Store for Memory {
        fn draft(&mut self, range: &Range<u64>) -> Result<Option<Draft>> {
            self.calls.push(Call::Draft(range.clone()));
            Ok(self.before.take())
        }

        fn keep_draft(&mut self, range: &Range<u64>, draft: &Draft) -> Result<()> {
            self.calls.push(Call::KeepDraft(range.clone(), draft.clone()));
            Ok(())
        }

        fn keep(&mut self, range: &Range<u64>, judged: Judged) -> Result<()> {
            self.calls.push(Call::Keep(range.clone()));
            self.judged.push(judged);
            Ok(())
        }
    }

    /// Runs the ranges with the built-in models and their plan; returns the result and the final progress.
    fn run(ranges: &[Range<u64>], store: &mut Memory, watch: &mut dyn Watch) -> (Result<()>, Progress) {
        let (plan, teacher) = (tiny::plan(), tiny::text_model("teacher"));
        let mut critics = tiny::critics();
        let mut monitor = Monitor::new(watch, 0, 2);
        let mut pipeline = Pipeline { plan: &plan, teacher: &teacher, critics: &mut critics, seeds: &[] };
        let done = wait(pipeline.run(ranges, store, &mut monitor));
        (done, monitor.progress())
    }

    fn whole() -> (Memory, Progress) {
        let mut store = Memory::default();
        let (done, progress) = run(&[0..2], &mut store, &mut Unwatched);
        done.unwrap();
        (store, progress)
    }

    fn same(a: &Judged, b: &Judged) {
        assert_eq!((&a.contexts, &a.samples), (&b.contexts, &b.samples));
        assert_eq!((&a.scored, &a.links), (&b.scored, &b.links));
        assert_eq!(a.funnel, b.funnel);
    }

    #[test]
    fn contexts_then_samples_are_offered_then_all_is_kept() {
        let (store, progress) = whole();
        let [Call::Draft(_), Call::KeepDraft(_, contexts), Call::KeepDraft(_, samples), Call::Keep(range)] =
            &store.calls[..]
        else {
            panic!("{:?}", store.calls)
        };
        assert_eq!((range.clone(), progress.done), (0..2, 2));
        assert_eq!(contexts.samples, None);
        let judged = &store.judged[0];
        assert_eq!((&contexts.made.contexts, &samples.made.contexts), (&judged.contexts, &judged.contexts));
        assert_eq!(samples.samples.as_ref(), Some(&judged.samples));

        // Each context has eight rows, in order, and the funnel counts all of them.
        let rows: Vec<_> = judged.samples.iter().map(|s| (s.context, s.row)).collect();
        let expected: Vec<_> = judged.contexts.iter().flat_map(|c| (0..8).map(|row| (c.id, row))).collect();
        assert_eq!(rows, expected);
        let outcomes = judged.funnel.samples.iter().filter(|(outcome, _)| **outcome != SampleOutcome::Duplicate);
        assert_eq!(outcomes.map(|(_, n)| n).sum::<u64>(), judged.samples.len() as u64);
        assert_eq!(judged.funnel.contexts(ContextOutcome::Made), judged.contexts.len() as u64);

        // Pairs consist of two usable sentences of one context, and the funnel counts as many as are kept.
        assert!(!judged.scored.is_empty());
        for s in &judged.scored {
            let (x, y) = (judged.text(s.context, s.x), judged.text(s.context, s.y));
            assert!(!x.is_empty() && !y.is_empty() && x != y, "{s:?}");
        }
        for task in Task::ALL {
            let kept = judged.scored.iter().filter(|s| s.task == task && s.kept()).count() as u64;
            assert_eq!(judged.funnel.steps(task).last().unwrap().passed, kept);
        }
        assert_eq!(progress.kept, judged.scored.iter().filter(|s| s.kept()).count() as u64);
        assert!(judged.text(0, 99).is_empty());
    }

    #[test]
    fn a_draft_goes_on_to_the_same() {
        let (first, all) = whole();
        let drafts = first.drafts();
        for (draft, kept_again) in [(drafts[0], 1), (drafts[1], 0)] {
            let mut store = Memory { before: Some(draft.clone()), ..Memory::default() };
            let (done, progress) = run(&[0..2], &mut store, &mut Unwatched);
            done.unwrap();
            same(&store.judged[0], &first.judged[0]);
            assert_eq!((store.drafts().len(), progress.done), (kept_again, 2));
            // What the draft contains is not sampled again.
            assert!(progress.tokens < all.tokens, "{progress:?} after {all:?}");
            assert_eq!(progress.tokens == 0, kept_again == 0);
        }
    }

    #[test]
    fn a_stop_leaves_nothing_half_kept() {
        let (first, _) = whole();
        for (stage, drafts) in [(Stage::Contexts, 0), (Stage::Siblings, 1), (Stage::Critics, 2)] {
            let mut store = Memory::default();
            let mut stop = |p: &Progress| if p.stage == stage { Signal::Stop } else { Signal::Continue };
            assert_eq!(run(&[0..2], &mut store, &mut stop).0, Err(Error::Interrupted), "{stage:?}");
            assert_eq!(store.drafts(), first.drafts()[..drafts], "{stage:?}");
            assert!(store.judged.is_empty(), "{stage:?}");
        }
        // Also while the critics are scoring.
        let mut store = Memory::default();
        let mut stop = |p: &Progress| if p.pairs > 0 { Signal::Stop } else { Signal::Continue };
        assert_eq!(run(&[0..2], &mut store, &mut stop).0, Err(Error::Interrupted));
        assert!(store.judged.is_empty());
    }

    #[test]
    fn a_finished_range_is_kept_before_a_stop_is_obeyed() {
        let mut store = Memory::default();
        let mut stop = |p: &Progress| if p.stage == Stage::Writing { Signal::Stop } else { Signal::Continue };
        assert_eq!(run(&[0..1, 1..2], &mut store, &mut stop).0, Err(Error::Interrupted));
        assert_eq!(store.calls.last(), Some(&Call::Keep(0..1)));
        assert_eq!(store.judged.len(), 1);
    }
}
