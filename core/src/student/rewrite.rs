//! A student at work: several versions of each sentence, judged by the critics.

use std::collections::HashMap;

use super::{Format, Style, Version};
use crate::critic::{EntailmentModel, Panel, SentenceEncoder};
use crate::decode::Teacher;
use crate::decode::drive::drive;
use crate::decode::group::{GroupBeamSearch, GroupOptions};
use crate::decode::process::{Processor, Processors};
use crate::decode::sample::SampleOptions;
use crate::decode::search::{self, BeamOptions, BeamSearch, EarlyStopping, Hypothesis};
use crate::decode::siblings::{Job, Limits, Stop, sample};
use crate::event::{Event, Observer, Signal, Stage};
use crate::record::{Finish, Sample, Task};
use crate::{Error, Result};

impl Style {
    /// Temperature and nucleus mass, and how many versions are drawn.
    #[must_use]
    pub fn sampling(self) -> (SampleOptions, u32) {
        let (temperature, top_p, samples) = match self {
            Self::Faithful => (0.4, 0.9, 8),
            Self::Balanced => (0.7, 0.9, 10),
            Self::Diverse => (1.0, 0.95, 16),
        };
        // What the student reads it may write again.
        let options = SampleOptions {
            temperature,
            top_p,
            no_repeat_ngram: 3,
            no_repeat_from_prompt: false,
            ..SampleOptions::default()
        };
        (options, samples)
    }
}

/// How versions are sampled.
#[derive(Debug, Clone)]
pub struct Options {
    /// The task.
    pub task: Task,
    /// Length of a summary as a share of its source's.
    pub length: f32,
    /// Versions of each sentence.
    pub samples: u32,
    /// Sampling.
    pub sampling: SampleOptions,
    /// Beam search in place of sampling.
    pub beams: Option<Beams>,
    /// Rows decoded together, and the longest version in tokens.
    pub limits: Limits,
    /// Seed.
    pub seed: u64,
}

/// Beam search of `samples` beams: always the same versions, the likeliest first.
#[derive(Debug, Clone, Copy)]
pub struct Beams {
    /// Log-probabilities are divided by the length to this power.
    pub length_penalty: f64,
    /// Taken from a token for each beam that has just taken it (Vijayakumar et al. 2016); 0 = plain beam search.
    pub diversity_penalty: f64,
}

/// `refused_by` of a sample that is no whole sentence.
pub const UNFINISHED: &str = "unfinished";

/// The stage of a student's random streams.
const STAGE: u32 = 4;

/// Samples versions of each source; rows by source and row. `numbers[i]` is the number of source i in the run, which
/// with the seed names its random stream.
///
/// # Errors
/// The student's; [`Error::Input`] for a source that leaves no room for a version; [`Error::Interrupted`].
pub async fn versions(
    student: &Teacher,
    format: &Format,
    sources: &[(u64, &str)],
    options: &Options,
    event: &mut Event,
    observer: &mut dyn Observer,
) -> Result<Vec<Sample>> {
    format.check(options.task)?;
    let sampler = student.sampler(options.sampling.clone())?;
    let jobs = sources
        .iter()
        .map(|(number, text)| {
            let prompt = format.prompt(options.task, text, options.length);
            let prompt = student.prompt(&prompt, options.limits.max_tokens)?;
            Ok(Job { context: *number, prompt, rows: 0..options.samples, stop: Stop::EndOfText })
        })
        .collect::<Result<Vec<_>>>()?;
    event.stage = Stage::Siblings;
    if let Some(beams) = options.beams {
        let mut out = Vec::new();
        for job in &jobs {
            if observer.event(event) == Signal::Stop {
                return Err(Error::Interrupted);
            }
            let found = search(student, &job.prompt, options, beams).await?;
            event.tokens += found.iter().map(|h| h.tokens.len() as u64).sum::<u64>();
            for (row, hypothesis) in (0..).zip(found) {
                let ended = hypothesis.finish == search::Finish::Eos;
                let tokens = &hypothesis.tokens[..hypothesis.tokens.len() - usize::from(ended)];
                out.push(Sample {
                    context: job.context,
                    row,
                    text: student.tokenizer.decode(tokens)?.trim().to_owned(),
                    tokens: u32::try_from(hypothesis.tokens.len()).unwrap_or(u32::MAX),
                    finish: if ended { Finish::EndOfText } else { Finish::Length },
                });
            }
        }
        return Ok(out);
    }
    // Both tasks may rewrite the same sentence under one seed.
    let stage = STAGE + u32::from(options.task == Task::Summary);
    sample(student, &jobs, &sampler, options.limits, (options.seed, stage), event, observer).await
}

/// The finished beams after a prompt, best first.
async fn search(student: &Teacher, prompt: &[u32], options: &Options, beams: Beams) -> Result<Vec<Hypothesis>> {
    let sampling = &options.sampling;
    // A search ends at 64 tokens at most: the model's own first; further special tokens are never written.
    let own = &student.lm.shape().eos;
    let others = student.ends.iter().filter(|id| !own.contains(id));
    let mut ends: Vec<u32> = own.iter().chain(others).copied().collect();
    let beyond = ends.split_off(ends.len().min(64));
    let banned = student.banned.iter().chain(&beyond).map(|&id| vec![id]).collect();
    let mut chain = vec![Processor::Banned(banned)];
    chain.extend((sampling.no_repeat_ngram > 0).then_some(Processor::NoRepeatNgram(sampling.no_repeat_ngram)));
    let (num_beams, max_new_tokens) = (options.samples as usize, options.limits.max_tokens);
    let (eos, processors) = (ends, Processors::new(chain)?);
    // What the student read may be repeated: the search sees the last token only.
    let seen = student.lm.shape().start.or(prompt.last().copied()).unwrap_or(0);
    if beams.diversity_penalty != 0.0 {
        let mut search = GroupBeamSearch::new(
            GroupOptions {
                num_beams,
                num_groups: num_beams,
                diversity_penalty: beams.diversity_penalty,
                penalty_carried: true,
                max_new_tokens,
                length_penalty: beams.length_penalty,
                eos,
                processors,
            },
            &[seen],
        )?;
        drive(&student.lm, &student.compute, prompt, &mut search).await?;
        let mut found: Vec<Hypothesis> = search.finish().into_iter().flatten().collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        return Ok(found);
    }
    let early_stopping = EarlyStopping::False;
    let length_penalty = beams.length_penalty;
    let options = BeamOptions { num_beams, max_new_tokens, length_penalty, early_stopping, eos, processors };
    let mut search = BeamSearch::new(options, &[seen])?;
    drive(&student.lm, &student.compute, prompt, &mut search).await?;
    Ok(search.finish())
}

/// Judges samples of sources: one [`Version`] a sample, in order.
///
/// # Errors
/// The critics'.
pub async fn judge(
    panel: &Panel,
    task: Task,
    sources: &[(u64, &str)],
    samples: Vec<Sample>,
    encoder: Option<&mut dyn SentenceEncoder>,
    nli: &mut dyn EntailmentModel,
) -> Result<Vec<Version>> {
    let place: HashMap<u64, usize> = sources.iter().enumerate().map(|(i, (number, _))| (*number, i)).collect();
    let of = |sample: &Sample| {
        place.get(&sample.context).copied().ok_or_else(|| {
            Error::input("samples", "samples of the sources", format!("one of source {}", sample.context))
        })
    };
    let order = samples.iter().map(of).collect::<Result<Vec<_>>>()?;
    let pairs: Vec<(&str, &str)> = order.iter().zip(&samples).map(|(&i, s)| (sources[i].1, s.text.as_str())).collect();
    let scored = panel.judge_pairs(task, &pairs, encoder, nli).await?;
    let versions = samples.into_iter().zip(order).zip(scored).map(|((sample, source), mut scored)| {
        (scored.context, scored.x, scored.y) = (sample.context, 0, sample.row);
        if sample.finish != Finish::EndOfText && sample.finish != Finish::Sentence {
            scored.refused_by = UNFINISHED.into();
        }
        Version { source, row: sample.row, text: sample.text, scored }
    });
    Ok(versions.collect())
}

/// Of the versions of one source that every critic kept, the one worded most differently (paper, section 3.3).
#[must_use]
pub fn most_different(versions: &[Version]) -> Option<&Version> {
    versions
        .iter()
        .filter(|v| v.kept())
        .min_by(|a, b| a.scored.rouge_l.total_cmp(&b.scored.rouge_l).then(a.row.cmp(&b.row)))
}
