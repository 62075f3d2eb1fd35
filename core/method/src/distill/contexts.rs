//! Left contexts: a prefix or the user's own sentences, continued by the teacher (paper, section 3.1).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::prefix::Prefixes;
use crate::Result;
use lm::decode::TextModel;
use lm::decode::sample::SampleOptions;
use lm::decode::siblings::{Job, Limits, Stop, sample};
use record::monitor::Stage;
use record::plan::{Plan, Source};
use record::random::{Purpose, Stream};
use record::{Context, ContextOutcome, Finish, Monitor};
use text::sentence;

/// Attempts per context before it is given up.
const ATTEMPTS: u32 = 8;

/// A part of the user's text, for one context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// The sentences, joined by spaces.
    pub text: String,
    /// Number of complete sentences; the last one may be incomplete, and the teacher then completes it.
    pub sentences: usize,
    /// Source of the text ("news.txt, line 12").
    pub origin: String,
}

/// Splits (origin, text) pairs into seeds of at most `max` sentences and drops duplicates.
pub fn seeds<'a>(texts: impl Iterator<Item = (String, &'a str)>, max: usize) -> Vec<Seed> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (origin, text) in texts {
        for window in sentence::split(text).chunks(max.max(1)) {
            let text = window.join(" ");
            if seen.insert(text.clone()) {
                let open = window.last().is_some_and(|last| !sentence::usable(last));
                out.push(Seed { text, sentences: window.len() - usize::from(open), origin: origin.clone() });
            }
        }
    }
    out
}

/// The contexts of a range, with the outcomes of all attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextBatch {
    /// Contexts, ordered by id.
    pub contexts: Vec<Context>,
    /// Number of attempts by outcome.
    pub counts: BTreeMap<ContextOutcome, u64>,
}

struct Draft {
    id: u64,
    start: String,
    /// Length in bytes of the part of `start` that precedes the first sentence (the dateline); 0 for seeds.
    prefix: usize,
    origin: String,
    /// Number of complete sentences in `start`.
    have: usize,
    /// Number of sentences that the context should have.
    want: usize,
}

/// Generates the contexts of a range. The random numbers of each depend on the plan's seed and its own number alone.
///
/// # Errors
/// Errors of the teacher; [`crate::Error::Interrupted`] when the host asked to stop.
pub async fn make(
    teacher: &TextModel,
    plan: &Plan,
    range: Range<u64>,
    seeds: &[Seed],
    monitor: &mut Monitor<'_>,
) -> Result<ContextBatch> {
    monitor.stage(Stage::Contexts)?;
    let prefixes = Prefixes::new()?;
    let c = &plan.contexts;
    let options =
        SampleOptions { temperature: c.temperature, top_p: c.top_p, no_repeat_ngram: 3, ..SampleOptions::default() };
    let sampler = teacher.sampler(options)?;
    let mut made = ContextBatch::default();
    let mut texts = BTreeSet::new();
    let mut pending: Vec<u64> = range.collect();
    for attempt in 0..ATTEMPTS {
        let (mut jobs, mut drafts) = (Vec::new(), Vec::new());
        for id in std::mem::take(&mut pending) {
            let Some(draft) = draft(plan, &prefixes, seeds, id, attempt) else {
                made.count(ContextOutcome::NoSeed);
                continue;
            };
            if draft.have >= draft.want {
                made.settle(&draft, draft.start.clone(), c.min_sentences, &mut texts);
                continue;
            }
            match teacher.prompt(&draft.start, c.max_tokens) {
                Ok(prompt) => {
                    let stop = Stop::Sentences(draft.want - draft.have);
                    jobs.push(Job { context: id, prompt, rows: attempt..attempt + 1, stop });
                    drafts.push(draft);
                }
                Err(_) => made.count(ContextOutcome::TooLong),
            }
        }
        let limits = Limits { batch: plan.siblings.batch, max_tokens: c.max_tokens };
        let rows = sample(teacher, &jobs, &sampler, limits, (plan.seed, Purpose::Context), monitor).await?;
        for (draft, row) in drafts.iter().zip(rows) {
            let text = format!("{} {}", draft.start, row.text).trim().to_owned();
            let settled = match row.finish {
                Finish::Sentence => made.settle(draft, text, c.min_sentences, &mut texts),
                _ => {
                    made.count(ContextOutcome::Unfinished);
                    false
                }
            };
            if !settled {
                pending.push(draft.id);
            }
        }
    }
    for _ in pending {
        made.count(ContextOutcome::GivenUp);
    }
    made.contexts.sort_by_key(|c| c.id);
    Ok(made)
}

fn draft(plan: &Plan, prefixes: &Prefixes, seeds: &[Seed], id: u64, attempt: u32) -> Option<Draft> {
    let c = &plan.contexts;
    let span = c.max_sentences - c.min_sentences + 1;
    let want = c.min_sentences + Stream::new(plan.seed, Purpose::Context, id, u32::MAX).below(span);
    if c.source == Source::Seeds {
        let seed = seeds.get(usize::try_from(id).ok()?)?;
        let want = want.min(c.min_sentences);
        return Some(Draft {
            id,
            start: seed.text.clone(),
            prefix: 0,
            origin: seed.origin.clone(),
            have: seed.sentences,
            want,
        });
    }
    let start = prefixes.draw(c.source, plan.seed, id, attempt);
    let (text, prefix) = (start.text(), start.prefix.len());
    Some(Draft { id, origin: text.clone(), start: text, prefix, have: 0, want })
}

impl ContextBatch {
    fn count(&mut self, outcome: ContextOutcome) {
        *self.counts.entry(outcome).or_default() += 1;
    }

    /// Accepts a context unless it is too short, degenerate or a duplicate; counts the outcome.
    fn settle(&mut self, draft: &Draft, text: String, fewest: usize, texts: &mut BTreeSet<String>) -> bool {
        let body = text.get(draft.prefix..).unwrap_or(&text);
        let sentences = sentence::split(body);
        if sentences.len() < fewest {
            self.count(ContextOutcome::TooFewSentences);
            return false;
        }
        if let Some(outcome) = sentence::degenerate(&sentences) {
            self.count(outcome);
            return false;
        }
        if !texts.insert(text.clone()) {
            self.count(ContextOutcome::Duplicate);
            return false;
        }
        self.count(ContextOutcome::Made);
        let sentences = sentences.len();
        self.contexts.push(Context { id: draft.id, text, origin: draft.origin.clone(), sentences });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_sentences_of_a_seed_are_counted() {
        let texts = ["A bank said on Monday that", "It rained. It snowed.", "It rained. Then the", "One. Two. Three."];
        let found = seeds(texts.iter().map(|text| (String::new(), *text)), 2);
        let counts: Vec<_> = found.iter().map(|seed| (seed.text.as_str(), seed.sentences)).collect();
        let expected = [
            ("A bank said on Monday that", 0),
            ("It rained. It snowed.", 2),
            ("It rained. Then the", 1),
            ("One. Two.", 2),
            ("Three.", 1),
        ];
        assert_eq!(counts, expected);
    }
}
