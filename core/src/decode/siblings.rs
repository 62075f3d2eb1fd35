//! The batched loop: many rows, each continuing the context of its job, each with its own random stream.
//!
//! A context is read once for all its rows. A row leaves the batch when it has its sentence, and a row of this job or
//! the next takes its place, so the batch stays full until the jobs run out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use burn::tensor::{DType, Tensor};

use super::random::Stream;
use super::sample::{Sampler, Scratch};
use super::teacher::Teacher;
use crate::distill::event::{Event, Observer, Signal, Stage};
use crate::distill::record::Finish;
use crate::model::cache::{Prefix, Siblings};
use crate::text::sentence;
use crate::{Error, Result};

/// When a row has enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// At the end of its first sentence.
    FirstSentence,
    /// When this many sentences are complete.
    Sentences(usize),
}

/// Rows that continue one prompt.
#[derive(Debug, Clone)]
pub struct Job {
    /// Number of the context; part of the random stream.
    pub context: u64,
    /// Token ids of the context.
    pub prompt: Vec<u32>,
    /// Rows to sample; part of the random stream.
    pub rows: Range<u32>,
    /// When a row has enough.
    pub stop: Stop,
}

/// A finished row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Number of the context.
    pub context: u64,
    /// Row of the context.
    pub row: u32,
    /// The text that was asked for, or all there is when `finish` is not [`Finish::Sentence`].
    pub text: String,
    /// Tokens sampled.
    pub tokens: u32,
    /// Why it ended.
    pub finish: Finish,
}

/// Sizes of the loop.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows decoded together.
    pub batch: usize,
    /// Most new tokens of a row.
    pub max_tokens: usize,
}

struct Active {
    job: usize,
    row: u32,
    history: Vec<u32>, // prompt, then new tokens
    stream: Stream,
    done: Option<(String, Finish)>,
}

/// A prompt that rows are continuing.
struct Read {
    prefix: Prefix,
    logits: Vec<f32>,
}

struct Loop<'a> {
    teacher: &'a Teacher,
    jobs: &'a [Job],
    sampler: &'a Sampler,
    limits: Limits,
    seed: u64,
    stage: u32,
}

/// Samples every row of every job. Rows come back by job and row.
///
/// `stage` keeps the random streams of different uses apart.
///
/// # Errors
/// [`Error::Interrupted`] when the observer says stop; [`Error::NonFinite`] when the device computes nonsense.
pub async fn sample(
    teacher: &Teacher,
    jobs: &[Job],
    sampler: &Sampler,
    limits: Limits,
    (seed, stage): (u64, u32),
    event: &mut Event,
    observer: &mut dyn Observer,
) -> Result<Vec<Row>> {
    let this = Loop { teacher, jobs, sampler, limits, seed, stage };
    let mut rows = this.run(event, observer).await?;
    rows.sort_by_key(|r| (r.0, r.1.row));
    Ok(rows.into_iter().map(|r| r.1).collect())
}

impl Loop<'_> {
    async fn run(&self, event: &mut Event, observer: &mut dyn Observer) -> Result<Vec<(usize, Row)>> {
        let device = &self.teacher.compute.device;
        let shape = self.teacher.lm.shape();
        let mut queue = self.jobs.iter().enumerate().flat_map(|(j, job)| job.rows.clone().map(move |row| (j, row)));
        let waiting: usize = self.jobs.iter().map(|j| j.rows.len()).sum();
        let width = self.limits.batch.min(waiting).max(1);
        let mut slots: Vec<Option<Active>> = (0..width).map(|_| None).collect();
        let mut cache = Siblings::new(shape.layers, width, self.limits.max_tokens, device);
        let mut read: BTreeMap<usize, Read> = BTreeMap::new();
        let mut out = Vec::new();
        let mut drained = false;
        loop {
            let mut fresh = Vec::new();
            let mut left = false;
            for (i, slot) in slots.iter_mut().enumerate() {
                while slot.as_ref().is_none_or(|a| a.done.is_some()) {
                    if let Some(done) = slot.take() {
                        left = true;
                        event.tokens += done.new_tokens(self.jobs) as u64;
                        out.push((done.job, done.into_row(self.jobs)));
                    }
                    let Some((job, row)) = queue.next() else {
                        drained = true;
                        break;
                    };
                    let prompt = match read.entry(job) {
                        Entry::Occupied(entry) => entry.into_mut(),
                        Entry::Vacant(entry) => entry.insert(self.read(job).await?),
                    };
                    *slot = Some(self.start(job, row, prompt)?);
                    fresh.push(i);
                }
            }
            let (prefill_only, live) = (fresh.is_empty(), slots.iter().flatten().count());
            if live == 0 {
                return Ok(out);
            }
            if drained && live * 2 <= slots.len() {
                let keep: Vec<usize> = (0..slots.len()).filter(|&i| slots[i].is_some()).collect();
                cache.keep(&keep);
                slots.retain(Option::is_some);
                fresh = fresh.iter().filter_map(|f| keep.iter().position(|k| k == f)).collect();
                left = true;
            }
            if left || !prefill_only {
                let used: Vec<usize> = slots.iter().flatten().map(|a| a.job).collect();
                read.retain(|job, _| used.contains(job));
                cache.regroup(members(&slots, &read), &fresh);
            }
            self.step(&mut slots, &mut cache).await?;
            event.stage = Stage::Siblings;
            if observer.event(event) == Signal::Stop {
                return Err(Error::Interrupted);
            }
        }
    }

    async fn read(&self, job: usize) -> Result<Read> {
        let (prefix, logits) = self.teacher.lm.prefill(&self.jobs[job].prompt, &self.teacher.compute.device)?;
        Ok(Read { prefix, logits: host(logits.reshape([1, -1])).await? })
    }

    /// A new row: its first token comes from the context's own logits.
    fn start(&self, job: usize, row: u32, read: &Read) -> Result<Active> {
        let history = self.jobs[job].prompt.clone();
        let stream = Stream::new(self.seed, self.stage, self.jobs[job].context, row);
        let mut active = Active { job, row, history, stream, done: None };
        self.draw(&mut active, &mut read.logits.clone(), &mut Scratch::default())?;
        Ok(active)
    }

    /// One token for every row.
    async fn step(&self, slots: &mut [Option<Active>], cache: &mut Siblings) -> Result<()> {
        let (mut ids, mut positions) = (Vec::new(), Vec::new());
        for slot in slots.iter() {
            // An empty slot computes along with any token; nobody reads the result.
            ids.push(slot.as_ref().and_then(|a| a.history.last().copied()).unwrap_or(0));
            positions.push(slot.as_ref().map_or(0, |a| u32::try_from(a.history.len() - 1).unwrap_or(0)));
        }
        cache.advance();
        let lm = &self.teacher.lm;
        let hidden = lm.forward(slots.len(), &ids, &positions, cache, &self.teacher.compute.device);
        let mut logits = host(lm.logits(hidden)).await?;
        let vocabulary = lm.shape().vocabulary;
        let rows = slots.iter_mut().zip(logits.chunks_mut(vocabulary));
        #[cfg(feature = "threads")]
        {
            use rayon::prelude::*;
            rows.collect::<Vec<_>>()
                .into_par_iter()
                .map_init(Scratch::default, |scratch, (slot, row)| match slot {
                    Some(active) => self.draw(active, row, scratch),
                    None => Ok(()),
                })
                .collect()
        }
        #[cfg(not(feature = "threads"))]
        {
            let mut scratch = Scratch::default();
            for (slot, row) in rows {
                if let Some(active) = slot {
                    self.draw(active, row, &mut scratch)?;
                }
            }
            Ok(())
        }
    }

    /// Draws the next token of a row and decides whether the row is done.
    fn draw(&self, active: &mut Active, logits: &mut [f32], scratch: &mut Scratch) -> Result<()> {
        let job = &self.jobs[active.job];
        let prompt = job.prompt.len();
        let new = active.history.len() - prompt;
        let u = active.stream.at(u32::try_from(new).unwrap_or(u32::MAX)).uniform();
        let token = self.sampler.draw(logits, &active.history, prompt, u, scratch)?;
        let ended = match token {
            Some(token) if !self.teacher.ends.contains(&token) => {
                active.history.push(token);
                None
            }
            Some(_) => Some(Finish::EndOfText),
            None => Some(Finish::NoToken),
        };
        let limit = active.history.len() - prompt >= self.limits.max_tokens;
        let ended = ended.or(limit.then_some(Finish::Length));
        let text = self.teacher.tokenizer.decode(&active.history[prompt..])?;
        active.done = verdict(&text, job.stop, ended);
        Ok(())
    }
}

/// Is the row done, and with what? `ended`: nothing can follow.
fn verdict(text: &str, stop: Stop, ended: Option<Finish>) -> Option<(String, Finish)> {
    let whole = match stop {
        Stop::FirstSentence => sentence::first_sentence(text, ended.is_some()).map(str::to_owned),
        Stop::Sentences(n) => {
            let parts = sentence::split(text);
            // The last part may still be growing.
            let complete = if ended.is_some() && parts.last().is_some_and(|p| sentence::usable(p)) {
                parts.len()
            } else {
                parts.len().saturating_sub(1)
            };
            let enough = complete >= n || (ended.is_some() && complete > 0);
            enough.then(|| parts[..complete.min(n)].join(" "))
        }
    };
    match (whole, ended) {
        (Some(s), _) if stop != Stop::FirstSentence || sentence::usable(&s) => Some((s, Finish::Sentence)),
        (Some(s), _) => Some((s, Finish::TooShort)),
        (None, Some(finish)) => Some((text.trim().to_owned(), finish)),
        (None, None) => None,
    }
}

impl Active {
    fn new_tokens(&self, jobs: &[Job]) -> usize {
        self.history.len() - jobs[self.job].prompt.len()
    }

    fn into_row(self, jobs: &[Job]) -> Row {
        let tokens = u32::try_from(self.new_tokens(jobs)).unwrap_or(u32::MAX);
        let (text, finish) = self.done.unwrap_or((String::new(), Finish::NoToken));
        Row { context: jobs[self.job].context, row: self.row, text, tokens, finish }
    }
}

/// Which rows continue which prompt; empty slots join the first group.
fn members(slots: &[Option<Active>], read: &BTreeMap<usize, Read>) -> Vec<(Prefix, Vec<usize>)> {
    let mut groups: Vec<(Prefix, Vec<usize>)> = Vec::new();
    for (job, read) in read {
        let rows: Vec<usize> = (0..slots.len()).filter(|&i| slots[i].as_ref().is_some_and(|a| a.job == *job)).collect();
        groups.push((read.prefix.clone(), rows));
    }
    if let Some(first) = groups.first_mut() {
        first.1.extend((0..slots.len()).filter(|&i| slots[i].is_none()));
        first.1.sort_unstable();
    }
    groups
}

/// Logits on the host, row after row.
async fn host(logits: Tensor<2>) -> Result<Vec<f32>> {
    let data = logits
        .into_data_async()
        .await
        .map_err(|e| Error::Device { device: "in use".into(), reason: format!("reading logits failed: {e}") })?;
    let data = if data.dtype() == DType::F32 { data } else { data.convert_dtype(DType::F32) };
    data.try_into_vec::<f32>()
        .map_err(|e| Error::Device { device: "in use".into(), reason: format!("reading logits failed: {e:?}") })
}
