//! Draws from the best candidates of a row, for devices where reading back whole rows takes longer than the model.

use kernels::{exp_neg, max_of};

use super::rank::{key, token, weight};
use super::{Sampler, Scratch, check_call, non_finite};
use crate::decode::process::penalised;
use crate::{Error, Result};

/// The best candidates of a row, as read back from the device in place of the whole row.
#[derive(Debug, Clone, Copy)]
pub struct Candidates<'a> {
    /// Distinct token ids of the `ids.len()` largest logits of the row, in any order.
    pub ids: &'a [u32],
    /// Their raw logits: without penalties or bans, and not divided by the temperature.
    pub logits: &'a [f32],
    /// The logarithm of the sum over the **whole** vocabulary of exp(logit / temperature), from the same raw logits, to
    /// within 1e-5: sum pairwise (as GPU reductions do) or in f64, not sequentially in f32.
    pub log_normaliser: f32,
    /// Size of the vocabulary.
    pub vocab: usize,
}

/// The result of drawing from candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The token, which is certainly the same as with the full row.
    Token(u32),
    /// Every token of the vocabulary is banned.
    NoToken,
    /// The candidates do not determine the token: read the full row and call [`Sampler::draw`] with the same `u`.
    NeedFullRow,
}

impl Sampler {
    /// Draws from the best candidates of a row. The result is the same as with the full row, or
    /// [`Outcome::NeedFullRow`]. The other arguments are as for [`Sampler::draw`].
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a NaN or infinite logit or normaliser; [`Error::Input`] for no candidates, for ids and
    /// logits of different lengths, or a bad u.
    pub fn draw_candidates(
        &self,
        candidates: &Candidates<'_>,
        history: &[u32],
        prompt_len: usize,
        u: f64,
        scratch: &mut Scratch,
    ) -> Result<Outcome> {
        let Candidates { ids, logits, log_normaliser, vocab } = *candidates;
        let options = &self.options;
        check_call(logits.len(), u)?;
        if ids.len() != logits.len() {
            return Err(Error::input("candidates", format!("{} logits", ids.len()), logits.len()));
        }
        if !log_normaliser.is_finite() || logits.iter().any(|x| !x.is_finite()) {
            return Err(non_finite());
        }
        let complete = ids.len() >= vocab;
        let inverse = 1.0 / options.temperature;
        self.find_edits(history, prompt_len, scratch);
        if options.repetition_penalty < 1.0 && !complete {
            return Ok(Outcome::NeedFullRow);
        }
        let Scratch { penalised: seen, banned, ranked, weights, .. } = scratch;
        weights.clear();
        let mut edits_inside = 0;
        for (&id, &x) in ids.iter().zip(logits) {
            let is_banned = options.banned.binary_search(&id).is_ok() || banned.binary_search(&id).is_ok();
            let is_seen = seen.binary_search(&id).is_ok();
            edits_inside += usize::from(is_banned) + usize::from(is_seen);
            let x = if is_seen { penalised(x, options.repetition_penalty) } else { x };
            weights.push(if is_banned { f32::NEG_INFINITY } else { x });
        }
        let max = max_of(weights).ok_or_else(non_finite)?;
        let floor = logits.iter().fold(f32::INFINITY, |m, &x| if x < m { x } else { m });
        if max == f32::NEG_INFINITY && complete {
            return Ok(Outcome::NoToken);
        }
        if max <= floor && !complete {
            return Ok(Outcome::NeedFullRow);
        }
        // Bounds on the row's mass relative to `max`: the mass that edits removed from candidates is known; from each
        // other token they removed at most the weight of the floor.
        let relative = |x: f32| (f64::from(x - max) * f64::from(inverse)).exp();
        let before = (f64::from(log_normaliser) - f64::from(max) * f64::from(inverse)).exp();
        let mut removed = 0.0;
        ranked.keys.clear();
        let least = if complete { 0.0 } else { exp_neg((floor - max) * inverse) };
        let mut inside = 0.0;
        for ((&id, &old), &x) in ids.iter().zip(logits).zip(weights.iter()) {
            let w = exp_neg((x - max) * inverse);
            inside += f64::from(w);
            if x != old {
                removed += relative(old) - f64::from(w);
            }
            // A token that is not a candidate may equal the floor and have a lower id, so only the order of those above
            // it is certain.
            if w > least {
                ranked.keys.push(key(w, id));
            }
        }
        let slack = before * (1e-5 + f64::from(log_normaliser.abs()) * f64::from(f32::EPSILON));
        let outside = (seen.len() + banned.len() + options.banned.len()).saturating_sub(edits_inside) as f64;
        let mut bounds = [before - removed - slack - outside * f64::from(least), before - removed + slack];
        if complete {
            bounds = [inside; 2];
        }
        if !bounds[1].is_finite() {
            return Ok(Outcome::NeedFullRow);
        }
        bounds = bounds.map(|b| b.max(inside));
        // From here on, `closed` means that `keys` is the complete set of kept tokens.
        let mut closed = complete;
        if 0 < options.top_k && options.top_k < vocab {
            if ranked.keys.len() < options.top_k && !complete {
                return Ok(Outcome::NeedFullRow);
            }
            ranked.truncate(options.top_k);
            bounds = [ranked.mass(); 2];
            closed = true;
        }
        if options.min_p > 0.0 {
            ranked.keys.retain(|&key| weight(key) >= options.min_p);
            closed |= options.min_p > least;
        }
        ranked.prepare();
        let mut cut = None;
        if options.top_p < 1.0 {
            let [low, high] = bounds.map(|b| ranked.locate(f64::from(options.top_p) * b));
            if low != high || (low.is_none() && !closed) {
                return Ok(Outcome::NeedFullRow);
            }
            (cut, closed) = (low, true);
        }
        if closed {
            return Ok(Outcome::Token(self.finish(cut, None, u, scratch)));
        }
        if options.min_p > 0.0 || options.typical_p < 1.0 {
            return Ok(Outcome::NeedFullRow);
        }
        let [low, high] = bounds.map(|b| ranked.locate(u * b));
        Ok(match (low, high) {
            (Some(a), Some(b)) if a.key == b.key => Outcome::Token(token(a.key)),
            _ => Outcome::NeedFullRow,
        })
    }
}
