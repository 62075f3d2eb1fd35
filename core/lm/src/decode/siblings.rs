//! Batched sampling: many rows, each of which continues the context of its job with its own random stream.
//!
//! The prompt of a job is prefilled once for all of its rows. When a row is finished, the next row of the same job or
//! of the next one takes its slot, so that the batch stays full until the jobs run out.

#[cfg(not(target_family = "wasm"))]
mod lanes;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use super::readout::{Readout, RowRead};
use super::sample::{Outcome, Sampler, Scratch};
use super::text_model::TextModel;
use crate::Result;
use crate::device::to_host;
use crate::model::cache::{Prefix, SiblingCache};
use record::random::{Purpose, Stream};
use record::{Finish, Monitor, Sample};
use text::sentence;

/// Rows per tile of the CPU's matrix kernel; removing fewer rows from the batch saves no time.
const TILE: usize = 6;

/// When to stop sampling a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// When its first sentence is complete.
    FirstSentence,
    /// When this many sentences are complete.
    Sentences(usize),
    /// Only at an end-of-text token or the token limit.
    EndOfText,
}

/// A request to sample several continuations of one prompt.
#[derive(Debug, Clone)]
pub struct Job {
    /// Number of the context, which selects the random stream.
    pub context: u64,
    /// Token ids of the context.
    pub prompt: Vec<u32>,
    /// Numbers of the rows to sample, which select the random streams.
    pub rows: Range<u32>,
    /// When to stop sampling a row.
    pub stop: Stop,
}

/// Batch size and token limit.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most rows decoded together.
    pub batch: usize,
    /// Most new tokens of a row.
    pub max_tokens: usize,
}

struct Active {
    job: usize,
    row: u32,
    history: Vec<u32>, // the prompt (with an encoder: the decoder's start token), then the new tokens
    from: usize,       // index of the first new token
    stream: Stream,
    done: Option<(String, Finish)>,
}

/// A prefilled prompt: its key/value cache and the logits of the token that follows it.
#[derive(Clone)]
struct Read {
    prefix: Prefix,
    logits: Vec<f32>,
}

/// Prompts that were prefilled before the loop, by index of the job.
type Prefilled = BTreeMap<usize, Read>;

#[derive(Clone, Copy)]
struct Loop<'a> {
    model: &'a TextModel,
    jobs: &'a [Job],
    sampler: &'a Sampler,
    limits: Limits,
    seed: u64,
    purpose: Purpose,
}

/// Samples every row of every job and returns the rows in the order of jobs and rows. `seed` and `purpose` select the
/// random streams.
///
/// # Errors
/// [`crate::Error::Interrupted`] when the host asked to stop; [`crate::Error::NonFinite`] for logits with NaN or
/// infinity.
pub async fn sample(
    model: &TextModel,
    jobs: &[Job],
    sampler: &Sampler,
    limits: Limits,
    (seed, purpose): (u64, Purpose),
    monitor: &mut Monitor<'_>,
) -> Result<Vec<Sample>> {
    let this = Loop { model, jobs, sampler, limits, seed, purpose };
    #[cfg(not(target_family = "wasm"))]
    let mut rows = if model.compute.is_host() {
        this.in_lanes(monitor)?
    } else {
        this.run(this.queue(), &Prefilled::new(), monitor).await?
    };
    #[cfg(target_family = "wasm")]
    let mut rows = this.run(this.queue(), &Prefilled::new(), monitor).await?;
    rows.sort_by_key(|r| (r.0, r.1.row));
    Ok(rows.into_iter().map(|r| r.1).collect())
}

impl Loop<'_> {
    /// (job, row) of every row to sample.
    fn queue(&self) -> Vec<(usize, u32)> {
        self.jobs.iter().enumerate().flat_map(|(j, job)| job.rows.clone().map(move |row| (j, row))).collect()
    }

    /// Samples the rows of a queue in one batch, refilling free slots.
    async fn run(
        &self,
        queue: Vec<(usize, u32)>,
        prefilled: &Prefilled,
        monitor: &mut Monitor<'_>,
    ) -> Result<Vec<(usize, Sample)>> {
        let device = &self.model.compute.device;
        let shape = self.model.lm.sizes();
        let width = self.limits.batch.min(queue.len()).max(1);
        let mut queue = queue.into_iter();
        let mut slots: Vec<Option<Active>> = (0..width).map(|_| None).collect();
        let mut cache = SiblingCache::new(shape.layers, width, self.limits.max_tokens, device);
        let mut read: BTreeMap<usize, Read> = BTreeMap::new();
        let mut out: Vec<(usize, Sample)> = Vec::new();
        let mut drained = false;
        loop {
            let mut fresh = Vec::new();
            let mut left = false;
            let reported = out.len();
            for (i, slot) in slots.iter_mut().enumerate() {
                while slot.as_ref().is_none_or(|a| a.done.is_some()) {
                    if let Some(done) = slot.take() {
                        left = true;
                        out.push((done.job, done.into_row(self.jobs)));
                    }
                    let Some((job, row)) = queue.next() else {
                        drained = true;
                        break;
                    };
                    let prompt = match read.entry(job) {
                        Entry::Occupied(entry) => entry.into_mut(),
                        Entry::Vacant(entry) => entry.insert(match prefilled.get(&job) {
                            Some(read) => read.clone(),
                            None => self.read(job).await?,
                        }),
                    };
                    *slot = Some(self.start(job, row, prompt)?);
                    fresh.push(i);
                }
            }
            let ended: Vec<Sample> = out[reported..].iter().map(|(_, row)| row.clone()).collect();
            monitor.sampled(&ended)?;
            monitor.rest().await;
            let (prefill_only, live) = (fresh.is_empty(), slots.iter().flatten().count());
            if live == 0 {
                return Ok(out);
            }
            if drained && live.div_ceil(TILE) < slots.len().div_ceil(TILE) {
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
        }
    }

    async fn read(&self, job: usize) -> Result<Read> {
        let (prefix, logits) = self.model.lm.prefill(&self.jobs[job].prompt, &self.model.compute.device)?;
        Ok(Read { prefix, logits: to_host(logits.reshape([1, -1])).await? })
    }

    /// Starts a row and draws its first token from the logits of the prompt.
    fn start(&self, job: usize, row: u32, read: &Read) -> Result<Active> {
        let history = self.model.lm.sizes().start.map_or_else(|| self.jobs[job].prompt.clone(), |start| vec![start]);
        let from = history.len();
        let stream = Stream::new(self.seed, self.purpose, self.jobs[job].context, row);
        let mut active = Active { job, row, history, from, stream, done: None };
        self.draw(&mut active, RowRead::Whole(&mut read.logits.clone()), &mut Scratch::default())?;
        Ok(active)
    }

    /// Draws one token for every row.
    async fn step(&self, slots: &mut [Option<Active>], cache: &mut SiblingCache) -> Result<()> {
        let (mut ids, mut positions) = (Vec::new(), Vec::new());
        for slot in slots.iter() {
            // An empty slot is computed with token 0, and its result is ignored.
            ids.push(slot.as_ref().and_then(|a| a.history.last().copied()).unwrap_or(0));
            positions.push(slot.as_ref().map_or(0, |a| u32::try_from(a.history.len() - 1).unwrap_or(0)));
        }
        cache.advance();
        let (lm, compute) = (&self.model.lm, &self.model.compute);
        let hidden = lm.forward(slots.len(), &ids, &positions, cache, &compute.device);
        let temperature = self.sampler.options().temperature;
        let mut readout = Readout::new(lm.logits(hidden), temperature, compute.is_host()).await?;
        let open = self.draw_all(slots.iter_mut().zip(readout.rows()).collect())?;
        let unproved: Vec<usize> = (0..slots.len()).filter(|&i| open[i]).collect();
        if unproved.is_empty() {
            return Ok(());
        }
        let mut whole = readout.whole(&unproved).await?;
        let vocabulary = lm.sizes().vocabulary;
        let open_slots = slots.iter_mut().enumerate().filter(|(i, _)| open[*i]).map(|(_, slot)| slot);
        self.draw_all(open_slots.zip(whole.chunks_mut(vocabulary).map(RowRead::Whole)).collect())?;
        Ok(())
    }

    /// Draws a token for each of many rows; `true` where the whole row of logits is needed first.
    fn draw_all(&self, rows: Vec<(&mut Option<Active>, RowRead<'_>)>) -> Result<Vec<bool>> {
        let one = |scratch: &mut Scratch, (slot, row): (&mut Option<Active>, RowRead<'_>)| match slot {
            Some(active) => self.draw(active, row, scratch),
            None => Ok(false),
        };
        #[cfg(not(target_family = "wasm"))]
        {
            use rayon::prelude::*;
            rows.into_par_iter().map_init(Scratch::default, one).collect()
        }
        #[cfg(target_family = "wasm")]
        {
            let mut scratch = Scratch::default();
            rows.into_iter().map(|row| one(&mut scratch, row)).collect()
        }
    }

    /// Draws the next token of a row and decides whether the row is done. `true` means that the candidates do not
    /// determine the token and that nothing was drawn.
    fn draw(&self, active: &mut Active, read: RowRead<'_>, scratch: &mut Scratch) -> Result<bool> {
        let job = &self.jobs[active.job];
        let prompt = active.from;
        let new = active.history.len() - prompt;
        let u = active.stream.at(u32::try_from(new).unwrap_or(u32::MAX)).uniform();
        let token = match read {
            RowRead::Whole(logits) => self.sampler.draw(logits, &active.history, prompt, u, scratch)?,
            RowRead::Best(best) => match self.sampler.draw_candidates(&best, &active.history, prompt, u, scratch)? {
                Outcome::Token(token) => Some(token),
                Outcome::NoToken => None,
                Outcome::NeedFullRow => return Ok(true),
            },
        };
        let ended = match token {
            Some(token) if !self.model.ends.contains(&token) => {
                active.history.push(token);
                None
            }
            Some(_) => Some(Finish::EndOfText),
            None => Some(Finish::NoToken),
        };
        let limit = active.history.len() - prompt >= self.limits.max_tokens;
        let ended = ended.or(limit.then_some(Finish::Length));
        let text = self.model.tokenizer.decode(&active.history[prompt..])?;
        active.done = verdict(&text, job.stop, ended);
        Ok(false)
    }
}

/// Text and outcome of a row that is done, else `None`. `ended` is set if no token can follow.
fn verdict(text: &str, stop: Stop, ended: Option<Finish>) -> Option<(String, Finish)> {
    let whole = match stop {
        Stop::EndOfText => None,
        Stop::FirstSentence => sentence::first_sentence(text, ended.is_some()).map(str::to_owned),
        Stop::Sentences(n) => {
            let parts = sentence::split(text);
            // The last sentence may be incomplete.
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
    fn new_tokens(&self) -> usize {
        self.history.len() - self.from
    }

    fn into_row(self, jobs: &[Job]) -> Sample {
        let tokens = u32::try_from(self.new_tokens()).unwrap_or(u32::MAX);
        let (text, finish) = self.done.unwrap_or((String::new(), Finish::NoToken));
        Sample { context: jobs[self.job].context, row: self.row, text, tokens, finish }
    }
}

/// Slots by the prompt that they continue; empty slots join the first group.
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
