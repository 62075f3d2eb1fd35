//! Draws one token from one row of logits, fast: no full-vocabulary sort, no allocation once [`Scratch`] has grown.
//!
//! Same distribution as the chain of `process` in transformers' order: repetition penalty, no-repeat n-gram, banned
//! tokens, minimum length, temperature, top-k, top-p, min-p, typical. The draw runs through the kept tokens from the
//! likeliest to the least likely (ties: lower id first), so that a GPU which hands out only its best candidates can
//! often prove what the full row would give.

mod candidates;
mod rank;

pub use candidates::{Candidates, Outcome};

use kernels::{max_of, weigh};

use super::process::{Processor, Processors, completing_ngrams, penalised};
use crate::{Error, Result};
use rank::{Cut, Ranked, token, weight};

/// How to sample.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleOptions {
    /// 0.001 to 1000.
    pub temperature: f32,
    /// Keep the k likeliest (ties stay); 0 = off.
    pub top_k: usize,
    /// Nucleus mass; 1 = off.
    pub top_p: f32,
    /// Least share of the likeliest token's probability; 0 = off.
    pub min_p: f32,
    /// Locally typical mass; 1 = off. Without top-k or top-p it sorts the whole row.
    pub typical_p: f32,
    /// 1 = off.
    pub repetition_penalty: f32,
    /// No n-gram twice, prompt included; 0 = off.
    pub no_repeat_ngram: usize,
    /// Whether n-grams of the prompt count; a student that reads its source there may repeat them.
    pub no_repeat_from_prompt: bool,
    /// Tokens never drawn.
    pub banned: Vec<u32>,
    /// `eos` is banned until there are this many new tokens.
    pub min_new_tokens: usize,
    /// End-of-text tokens, for `min_new_tokens`.
    pub eos: Vec<u32>,
}

impl Default for SampleOptions {
    /// Plain sampling at temperature 1.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            no_repeat_ngram: 0,
            no_repeat_from_prompt: true,
            banned: Vec::new(),
            min_new_tokens: 0,
            eos: Vec::new(),
        }
    }
}

impl SampleOptions {
    /// The same distribution as a chain of whole-row processors, in which n-grams of the prompt count.
    ///
    /// # Errors
    /// [`Error::Input`] names the value that is out of range.
    pub fn processors(&self) -> Result<Processors> {
        let mut chain = vec![Processor::RepetitionPenalty(self.repetition_penalty)];
        if self.no_repeat_ngram > 0 {
            chain.push(Processor::NoRepeatNgram(self.no_repeat_ngram));
        }
        chain.push(Processor::Banned(self.banned.iter().map(|&t| vec![t]).collect()));
        chain.push(Processor::MinLength { min_new_tokens: self.min_new_tokens, eos: self.eos.clone() });
        chain.push(Processor::Temperature(self.temperature));
        if self.top_k > 0 {
            chain.push(Processor::TopK(self.top_k));
        }
        chain.extend([Processor::TopP(self.top_p), Processor::MinP(self.min_p), Processor::Typical(self.typical_p)]);
        Processors::new(chain)
    }
}

/// Buffers that are reused from row to row; one per thread.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// Tokens of the history, sorted; empty without a repetition penalty.
    penalised: Vec<u32>,
    /// What this history bans, sorted; the options' own bans are not in it.
    banned: Vec<u32>,
    weights: Vec<f32>,
    ranked: Ranked,
    typical: Vec<(f64, u64)>,
}

/// A validated sampler; holds no state between rows.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SampleOptions,
}

impl Sampler {
    /// # Errors
    /// [`Error::Input`] names the value that is out of range.
    pub fn new(mut options: SampleOptions) -> Result<Self> {
        options.processors()?;
        options.banned.sort_unstable();
        options.banned.dedup();
        Ok(Self { options })
    }

    /// The options it was made from; `banned` is sorted.
    #[must_use]
    pub fn options(&self) -> &SampleOptions {
        &self.options
    }

    /// Draws from a full row. `logits` `[vocab]` is changed (penalty and bans); `history` = prompt and what follows,
    /// the first `prompt_len` of it the prompt; `u` in [0, 1), see `random`. `None`: every token is banned.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for NaN, +inf or a row of nothing but `-inf`; [`Error::Input`] for an empty row or a bad u.
    pub fn draw(
        &self,
        logits: &mut [f32],
        history: &[u32],
        prompt_len: usize,
        u: f64,
        scratch: &mut Scratch,
    ) -> Result<Option<u32>> {
        let options = &self.options;
        check_call(logits.len(), u)?;
        self.find_edits(history, prompt_len, scratch);
        let any_finite = self.edit(logits, scratch)?;
        let max = max_of(logits).ok_or_else(non_finite)?;
        if max == f32::NEG_INFINITY {
            return if any_finite { Ok(None) } else { Err(non_finite()) };
        }
        let Scratch { weights, ranked, .. } = scratch;
        let mut total = weigh(logits, max, options.temperature, weights);
        let (top_p, min_p) = (f64::from(options.top_p), options.min_p);
        let (nucleus, typical) = (top_p < 1.0, options.typical_p < 1.0);
        if 0 < options.top_k && options.top_k < logits.len() {
            ranked.collect_top(weights, options.top_k);
            total = ranked.mass();
            ranked.keys.retain(|&key| weight(key) >= min_p);
        } else {
            // Tokens below `least` weigh, all together, less than the 1 - share that cannot matter.
            let share = match (nucleus, typical || min_p > 0.0) {
                (true, _) => top_p,
                (false, false) => u,
                (false, true) => 1.0,
            };
            let least = (0.999 * (1.0 - share) * total / logits.len() as f64) as f32;
            ranked.collect(weights, least.max(min_p));
        }
        ranked.prepare();
        let cut = if nucleus { ranked.locate(top_p * total) } else { None };
        let mass = if nucleus || typical || min_p > 0.0 { None } else { Some(total) };
        Ok(Some(self.finish(cut, mass, u, scratch)))
    }

    /// Cuts the prepared candidates, applies the typical filter and draws. `mass`: where it is not that of the kept.
    fn finish(&self, cut: Option<Cut>, mass: Option<f64>, u: f64, scratch: &mut Scratch) -> u32 {
        let Scratch { ranked, typical, .. } = scratch;
        let mut mass = cut.map(|c| c.through).or(mass).unwrap_or_else(|| ranked.mass());
        if self.options.typical_p < 1.0 {
            if let Some(cut) = cut {
                ranked.keys.retain(|&key| key <= cut.key);
            }
            ranked.keep_typical(f64::from(self.options.typical_p), mass, typical);
            mass = ranked.mass();
            ranked.prepare();
        }
        // Rounding may leave the last token just short of the target.
        ranked.locate(u * mass).map_or_else(|| ranked.least_likely(), |cut| token(cut.key))
    }

    fn find_edits(&self, history: &[u32], prompt_len: usize, scratch: &mut Scratch) {
        let options = &self.options;
        let Scratch { penalised, banned, .. } = scratch;
        penalised.clear();
        if options.repetition_penalty != 1.0 {
            penalised.extend_from_slice(history);
            penalised.sort_unstable();
            penalised.dedup();
        }
        banned.clear();
        let start = if options.no_repeat_from_prompt { 0 } else { prompt_len.min(history.len()) };
        banned.extend(completing_ngrams(&history[start..], options.no_repeat_ngram));
        if history.len().saturating_sub(prompt_len) < options.min_new_tokens {
            banned.extend_from_slice(&options.eos);
        }
        banned.sort_unstable();
        banned.dedup();
    }

    /// Applies the edits to a full row; whether any edited logit was finite.
    fn edit(&self, logits: &mut [f32], scratch: &Scratch) -> Result<bool> {
        let mut any_finite = false;
        for &token in &scratch.penalised {
            if let Some(x) = logits.get_mut(token as usize) {
                *x = penalised(*x, self.options.repetition_penalty);
            }
        }
        for &token in scratch.banned.iter().chain(&self.options.banned) {
            if let Some(x) = logits.get_mut(token as usize) {
                if x.is_nan() || *x == f32::INFINITY {
                    return Err(non_finite());
                }
                any_finite |= x.is_finite();
                *x = f32::NEG_INFINITY;
            }
        }
        Ok(any_finite)
    }
}

fn non_finite() -> Error {
    Error::NonFinite { what: "a logit".into(), place: "sampling".into() }
}

fn check_call(len: usize, u: f64) -> Result<()> {
    if len == 0 {
        return Err(Error::input("logits", "at least one token", "none"));
    }
    if (0.0..1.0).contains(&u) { Ok(()) } else { Err(Error::input("u", "0 to below 1", u)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
