//! One range of contexts, from prefix to verdicts.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::contexts::{Made, Seed, make};
use super::stage;
use crate::critic::{EntailmentModel, Link, Panel, SentenceEncoder, Siblings};
use crate::decode::Teacher;
use crate::decode::sample::SampleOptions;
use crate::decode::siblings::{Job, Limits, Stop, sample};
use crate::event::{Event, Observer, Signal, Stage};
use crate::plan::Plan;
use crate::record::{Context, Finish, Funnel, Sample, Scored};
use crate::{Error, Result};

/// Contexts that are made, sampled and judged together, and saved together. Fixed, as rows of contexts that share a
/// batch meet the same matrix products: another size would round differently.
pub const RANGE: u64 = 4;

/// The models of a run.
pub struct Models<'a> {
    /// Writes.
    pub teacher: &'a Teacher,
    /// Judges.
    pub entailment: &'a mut dyn EntailmentModel,
    /// Embeds; not needed when no critic of the plan asks for a cosine.
    pub encoder: Option<&'a mut dyn SentenceEncoder>,
}

/// What a range has before its critics run: enough to go on from there, to the same bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Contexts.
    pub made: Made,
    /// Samples of all contexts; `None` until the last one is there.
    pub samples: Option<Vec<Sample>>,
}

/// Everything one range gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Contexts.
    pub contexts: Vec<Context>,
    /// Samples, usable or not.
    pub samples: Vec<Sample>,
    /// Scored pairs of both tasks.
    pub scored: Vec<Scored>,
    /// Entailments that selection asked for.
    pub links: Vec<Link>,
    /// Counts.
    pub funnel: Funnel,
}

/// How a plan samples siblings; `ends` end a text.
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

/// Samples the siblings of contexts; rows by context and row.
///
/// # Errors
/// The teacher's; [`Error::Interrupted`].
pub async fn siblings(
    teacher: &Teacher,
    plan: &Plan,
    contexts: &[Context],
    event: &mut Event,
    observer: &mut dyn Observer,
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
    event.stage = Stage::Siblings;
    sample(teacher, &jobs, &sampler, limits, (plan.seed, stage::SIBLINGS), event, observer).await
}

/// Runs one range of contexts, from where `draft` ends. `save` is called when the contexts and when the samples are
/// whole.
///
/// # Errors
/// The models' and those of `save`; [`Error::Interrupted`] when the observer says stop.
pub async fn run(
    plan: &Plan,
    models: &mut Models<'_>,
    (range, seeds): (Range<u64>, &[Seed]),
    draft: Option<Draft>,
    save: &mut dyn FnMut(&Draft) -> Result<()>,
    event: &mut Event,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let mut draft = match draft {
        Some(draft) => draft,
        None => {
            let made = make(models.teacher, plan, range.clone(), seeds, event, observer).await?;
            let draft = Draft { made, samples: None };
            save(&draft)?;
            draft
        }
    };
    let Made { mut contexts, counts } = draft.made.clone();
    let mut out = Outcome { funnel: Funnel { contexts: counts, ..Funnel::default() }, ..Outcome::default() };
    // A context may have grown beyond what leaves room for a sibling.
    contexts.retain(|c| {
        let fits = models.teacher.prompt(&c.text, plan.siblings.max_tokens).is_ok();
        if !fits {
            *out.funnel.contexts.entry("longer than the teacher's context".into()).or_default() += 1;
        }
        fits
    });
    if draft.samples.is_none() {
        draft.samples = Some(siblings(models.teacher, plan, &contexts, event, observer).await?);
        save(&draft)?;
    }
    out.samples = draft.samples.unwrap_or_default();
    for sample in &out.samples {
        *out.funnel.samples.entry(finish_name(sample.finish).into()).or_default() += 1;
    }
    let panel = Panel::new(&plan.paraphrase, &plan.summary);
    for context in &contexts {
        event.stage = Stage::Critics;
        if observer.event(event) == Signal::Stop {
            return Err(Error::Interrupted);
        }
        let usable = out.samples.iter().filter(|s| s.context == context.id && s.finish == Finish::Sentence);
        let mut siblings = Siblings::new(usable.map(|s| (s.row, s.text.as_str())))?;
        *out.funnel.samples.entry("duplicate".into()).or_default() += siblings.duplicates();
        let encoder = models.encoder.as_mut().map(|e| &mut **e as &mut dyn SentenceEncoder);
        let verdicts = panel.judge(context.id, &mut siblings, encoder, models.entailment).await?;
        event.pairs += verdicts.nli_calls;
        event.kept += verdicts.scored.iter().filter(|s| s.refused_by.is_empty()).count() as u64;
        event.done += 1;
        out.funnel.add(&verdicts.funnel);
        out.scored.extend(verdicts.scored);
        out.links.extend(verdicts.links);
    }
    event.done += (range.end - range.start) - contexts.len() as u64;
    out.contexts = contexts;
    Ok(out)
}

fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Sentence => "sentence",
        Finish::EndOfText => "end_of_text",
        Finish::Length => "length",
        Finish::TooShort => "too_short",
        Finish::NoToken => "no_token",
    }
}
