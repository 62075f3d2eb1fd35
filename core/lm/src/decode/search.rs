//! Greedy and beam search as state machines that are independent of the model. The caller runs the model on the rows of
//! [`BeamSearch::rows`], passes the logits to [`BeamSearch::advance`], and reorders the cache by [`Step::parents`].
//! Semantics are those of Hugging Face transformers 5, with scores in f64.

use super::process::{Processors, log_normaliser};
use crate::{Error, Result};

/// Why a hypothesis ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It ends with an end-of-text token.
    Eos,
    /// It reached the token limit, or the search was stopped.
    Length,
    /// The processors banned every next token.
    NoToken,
}

/// A finished sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// The new tokens, including the end-of-text token.
    pub tokens: Vec<u32>,
    /// Sum of processed log-probabilities divided by n^length_penalty, where n is the number of new tokens; in greedy
    /// search, `raw_logprob_sum`.
    pub score: f64,
    /// Sum of the tokens' log-probabilities without processors.
    pub raw_logprob_sum: f64,
    /// Why it ended.
    pub finish: Finish,
}

/// How to prepare the next run of the model: row i of the next batch is row `parents[i]` of this one, extended by
/// `tokens[i]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// For each new row, the row that it continues.
    pub parents: Vec<usize>,
    /// The token appended to each new row.
    pub tokens: Vec<u32>,
    /// Whether the search is over, with nothing left to run.
    pub done: bool,
}

/// When beam search stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyStopping {
    /// As soon as `num_beams` are finished.
    True,
    /// As soon as `num_beams` are finished and the best live beam, at its current length, cannot beat the worst of
    /// them.
    False,
    /// As soon as `num_beams` are finished and the best live beam cannot beat the worst of them even at the most
    /// favourable length.
    Never,
}

/// Options of beam search.
#[derive(Debug, Clone, PartialEq)]
pub struct BeamOptions {
    /// Number of beams, 1 to 1024.
    pub num_beams: usize,
    /// Maximum number of new tokens, 1 to 65,536.
    pub max_new_tokens: usize,
    /// Finished scores are divided by the number of new tokens to this power, -10 to 10.
    pub length_penalty: f64,
    /// When the search stops.
    pub early_stopping: EarlyStopping,
    /// End-of-text tokens, at most 64.
    pub eos: Vec<u32>,
    /// Processors applied to the log-probabilities, which are not renormalised.
    pub processors: Processors,
}

impl BeamOptions {
    pub(super) fn validate(&self) -> Result<()> {
        let check =
            |ok, name, expected, found: String| if ok { Ok(()) } else { Err(Error::input(name, expected, found)) };
        check((1..=1024).contains(&self.num_beams), "num_beams", "1 to 1024", self.num_beams.to_string())?;
        check_limits(self.max_new_tokens, &self.eos)?;
        check(self.length_penalty.abs() <= 10.0, "length_penalty", "-10 to 10", self.length_penalty.to_string())
    }

    /// Number of candidates per step: enough that at least `beams` of them are not end-of-text.
    fn candidates(&self, beams: usize) -> usize {
        beams * (1 + self.eos.len()).max(2)
    }

    /// The score of a finished hypothesis of `n` tokens, from the sum of log-probabilities.
    fn normalised(&self, sum: f64, n: usize) -> f64 {
        sum / (n as f64).powf(self.length_penalty)
    }
}

pub(super) fn check_limits(max_new_tokens: usize, eos: &[u32]) -> Result<()> {
    if !(1..=65_536).contains(&max_new_tokens) {
        return Err(Error::input("max_new_tokens", "1 to 65,536", max_new_tokens));
    }
    if eos.len() > 64 { Err(Error::input("eos", "at most 64 tokens", eos.len())) } else { Ok(()) }
}

/// The vocabulary size of logits `[rows, vocab]`.
pub(super) fn vocab_of(logits: &[f32], rows: usize) -> Result<usize> {
    if rows == 0 || logits.is_empty() || !logits.len().is_multiple_of(rows) {
        return Err(Error::input(
            "logits",
            format!("{rows} rows of equal length (0 = the search is done)"),
            logits.len(),
        ));
    }
    Ok(logits.len() / rows)
}

/// A live beam.
#[derive(Debug, Clone, Default)]
pub(super) struct Beam {
    /// The prompt and the new tokens.
    pub(super) tokens: Vec<u32>,
    score: f64,
    raw: f64,
}

/// A live beam extended by one token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// The value by which candidates are ranked.
    pub(super) rank: f64,
    /// The cumulative score of the extended beam.
    pub(super) score: f64,
    raw: f64,
    pub(super) row: usize,
    pub(super) token: u32,
}

/// The live and finished beams of a search or of one group.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) live: Vec<Beam>,
    /// At most `beams`, best first.
    pub(super) finished: Vec<Hypothesis>,
    beams: usize,
    prompt_len: usize,
    row: Vec<f32>,
}

impl Pool {
    pub(super) fn new(prompt: &[u32], beams: usize) -> Self {
        let live = vec![Beam { tokens: prompt.to_vec(), ..Beam::default() }];
        Self { live, finished: Vec::new(), beams, prompt_len: prompt.len(), row: Vec::new() }
    }

    pub(super) fn full(&self) -> bool {
        self.finished.len() >= self.beams
    }

    /// The best candidates, best first (ties: lower beam, then lower token). `logits` `[live, vocab]`; `penalty` of a
    /// token lowers its rank, and its score if `carried`.
    pub(super) fn best(
        &mut self,
        logits: &[f32],
        options: &BeamOptions,
        carried: bool,
        penalty: impl Fn(u32) -> f64,
    ) -> Result<Vec<Candidate>> {
        let vocab = vocab_of(logits, self.live.len())?;
        let wanted = options.candidates(self.beams);
        let order =
            |a: &Candidate, b: &Candidate| b.rank.total_cmp(&a.rank).then((a.row, a.token).cmp(&(b.row, b.token)));
        let (mut best, mut least): (Vec<Candidate>, _) = (Vec::new(), f64::NEG_INFINITY);
        let Self { live, row: buffer, .. } = self;
        for (row, (beam, logits)) in live.iter().zip(logits.chunks(vocab)).enumerate() {
            let total = log_normaliser(logits, "beam search")?;
            buffer.clear();
            buffer.extend(logits.iter().map(|&x| (f64::from(x) - total) as f32));
            options.processors.apply(&beam.tokens, self.prompt_len, buffer);
            for (token, &log_p) in (0..).zip(buffer.iter()) {
                let score = beam.score + f64::from(log_p);
                // A penalty can only lower the rank, so the bound on the score is safe.
                if !(score >= least && log_p > f32::NEG_INFINITY) {
                    continue;
                }
                let rank = score - penalty(token);
                let raw = beam.raw + f64::from(logits[token as usize]) - total;
                best.push(Candidate { rank, score: if carried { rank } else { score }, raw, row, token });
                if best.len() >= 2 * wanted + 64 {
                    best.select_nth_unstable_by(wanted - 1, order);
                    best.truncate(wanted);
                    least = best[wanted - 1].rank;
                }
            }
        }
        best.sort_unstable_by(order);
        best.truncate(wanted);
        Ok(best)
    }

    /// Finishes the end-of-text candidates among the best `beams` (at the token limit, all of those), and continues the
    /// best of the others. Returns the rows and tokens of those others, even at the limit, where none of them stays
    /// alive.
    pub(super) fn absorb(&mut self, best: &[Candidate], options: &BeamOptions) -> (Vec<usize>, Vec<u32>) {
        let new = self.live.first().map_or(0, |beam| beam.tokens.len() + 1 - self.prompt_len);
        let last = new >= options.max_new_tokens;
        if best.is_empty() {
            self.finish_live(options, Finish::NoToken);
        }
        let mut next: Vec<Beam> = Vec::new();
        let mut step = (Vec::new(), Vec::new());
        for (place, candidate) in best.iter().enumerate() {
            let is_eos = options.eos.contains(&candidate.token);
            let finishes = (is_eos || last) && place < self.beams;
            let lives = !is_eos && next.len() < self.beams;
            let mut tokens = if finishes || lives { self.live[candidate.row].tokens.clone() } else { continue };
            tokens.push(candidate.token);
            if lives {
                next.push(Beam { tokens: tokens.clone(), score: candidate.score, raw: candidate.raw });
                step.0.push(candidate.row);
                step.1.push(candidate.token);
            }
            if finishes {
                self.finished.push(Hypothesis {
                    tokens: tokens.split_off(self.prompt_len),
                    score: options.normalised(candidate.score, new),
                    raw_logprob_sum: candidate.raw,
                    finish: if is_eos { Finish::Eos } else { Finish::Length },
                });
            }
        }
        if last {
            next.clear();
        }
        self.live = next;
        self.settle();
        step
    }

    /// Turns the live beams into hypotheses in their current state.
    pub(super) fn finish_live(&mut self, options: &BeamOptions, finish: Finish) {
        for mut beam in std::mem::take(&mut self.live) {
            let tokens = beam.tokens.split_off(self.prompt_len);
            let score = options.normalised(beam.score, tokens.len().max(1));
            self.finished.push(Hypothesis { tokens, score, raw_logprob_sum: beam.raw, finish });
        }
        self.settle();
    }

    /// Sorts by score and keeps the best. The sort is stable, so earlier hypotheses stay before equal later ones.
    fn settle(&mut self) {
        self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.finished.truncate(self.beams);
    }

    /// Whether a live beam may still beat the worst finished one.
    fn can_improve(&self, options: &BeamOptions) -> bool {
        let (Some(best), Some(worst)) = (self.live.first(), self.finished.last()) else { return !self.live.is_empty() };
        let n = match options.early_stopping {
            EarlyStopping::Never if options.length_penalty > 0.0 => options.max_new_tokens,
            _ => best.tokens.len() - self.prompt_len,
        };
        !self.full() || options.normalised(best.score, n) > worst.score
    }
}

/// Beam search over one prompt.
#[derive(Debug, Clone)]
pub struct BeamSearch {
    options: BeamOptions,
    pool: Pool,
    done: bool,
}

impl BeamSearch {
    /// `prompt` holds the tokens before the new ones, which processors take into account (for encoder-decoder models,
    /// the start token).
    ///
    /// # Errors
    /// [`Error::Input`] names the option that is out of range.
    pub fn new(options: BeamOptions, prompt: &[u32]) -> Result<Self> {
        options.validate()?;
        Ok(Self { pool: Pool::new(prompt, options.num_beams), options, done: false })
    }

    /// The prompt and new tokens of each live beam, best first: one at the start, then up to `num_beams`, none when
    /// done.
    #[must_use]
    pub fn rows(&self) -> Vec<&[u32]> {
        self.pool.live.iter().map(|beam| beam.tokens.as_slice()).collect()
    }

    /// Takes the logits after each row, `[rows, vocab]`.
    ///
    /// # Errors
    /// [`Error::Input`] if that is not the number of rows (or the search is done), [`Error::NonFinite`] for NaN or
    /// infinity.
    pub fn advance(&mut self, logits: &[f32]) -> Result<Step> {
        let best = self.pool.best(logits, &self.options, false, |_| 0.0)?;
        let (parents, tokens) = self.pool.absorb(&best, &self.options);
        let full = self.pool.full() && self.options.early_stopping == EarlyStopping::True;
        self.done = full || !self.pool.can_improve(&self.options);
        if self.done {
            self.pool.live.clear();
            return Ok(Step { parents: Vec::new(), tokens: Vec::new(), done: true });
        }
        Ok(Step { parents, tokens, done: false })
    }

    /// At most `num_beams` hypotheses, best first. In an unfinished search, live beams count as finished by length.
    #[must_use]
    pub fn finish(mut self) -> Vec<Hypothesis> {
        self.pool.finish_live(&self.options, Finish::Length);
        self.pool.finished
    }
}

/// Options of greedy search.
#[derive(Debug, Clone, PartialEq)]
pub struct GreedyOptions {
    /// Maximum number of new tokens, 1 to 65,536.
    pub max_new_tokens: usize,
    /// End-of-text tokens, at most 64.
    pub eos: Vec<u32>,
    /// Processors applied to the logits of each step.
    pub processors: Processors,
}

/// Greedy search over one prompt.
#[derive(Debug, Clone)]
pub struct Greedy {
    options: GreedyOptions,
    tokens: Vec<u32>,
    prompt_len: usize,
    raw: f64,
    finish: Option<Finish>,
    row: Vec<f32>,
}

impl Greedy {
    /// A search that continues `prompt`; see [`BeamSearch::new`].
    ///
    /// # Errors
    /// [`Error::Input`] names the option that is out of range.
    pub fn new(options: GreedyOptions, prompt: &[u32]) -> Result<Self> {
        check_limits(options.max_new_tokens, &options.eos)?;
        let (tokens, prompt_len) = (prompt.to_vec(), prompt.len());
        Ok(Self { options, tokens, prompt_len, raw: 0.0, finish: None, row: Vec::new() })
    }

    /// The prompt and the new tokens so far.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Takes the logits after the last token, `[vocab]`, and appends the most likely token (ties: lowest id).
    ///
    /// # Errors
    /// [`Error::Input`] if the search is done or the row is empty, [`Error::NonFinite`] for NaN or infinity.
    pub fn advance(&mut self, logits: &[f32]) -> Result<Step> {
        vocab_of(logits, usize::from(self.finish.is_none()))?;
        let total = log_normaliser(logits, "greedy search")?;
        self.row.clear();
        self.row.extend_from_slice(logits);
        self.options.processors.apply(&self.tokens, self.prompt_len, &mut self.row);
        let mut best: Option<(u32, f32)> = None;
        for (token, &x) in (0..).zip(&self.row) {
            if x > best.map_or(f32::NEG_INFINITY, |b| b.1) {
                best = Some((token, x));
            }
        }
        self.finish = best.is_none().then_some(Finish::NoToken);
        if let Some((token, _)) = best {
            self.tokens.push(token);
            self.raw += f64::from(logits[token as usize]) - total;
            let full = self.tokens.len() - self.prompt_len >= self.options.max_new_tokens;
            let eos = self.options.eos.contains(&token);
            self.finish = if eos { Some(Finish::Eos) } else { full.then_some(Finish::Length) };
        }
        let next = if self.finish.is_some() { None } else { best };
        Ok(Step {
            parents: next.iter().map(|_| 0).collect(),
            tokens: next.iter().map(|b| b.0).collect(),
            done: self.finish.is_some(),
        })
    }

    /// The result; an unfinished search counts as finished by length.
    #[must_use]
    pub fn finish(mut self) -> Hypothesis {
        let tokens = self.tokens.split_off(self.prompt_len);
        let finish = self.finish.unwrap_or(Finish::Length);
        Hypothesis { tokens, score: self.raw, raw_logprob_sum: self.raw, finish }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(super) mod tests;
