//! Contrastive search (Su et al. 2022): of the k most likely next tokens, it takes the one with the largest
//! `(1 - alpha) * p - alpha * s`, where s is the maximum cosine of its hidden state with those of all previous tokens.
//!
//! The rule is that of transformers 4 (transformers 5 no longer contains it): p is the softmax of the processed logits
//! over the whole vocabulary, and hidden states are those of the last layer after the final norm.

use super::process::{Processors, log_normaliser};
use super::search::{Finish, Hypothesis, Step, check_limits, vocab_of};
use crate::{Error, Result};

/// Options of contrastive search.
#[derive(Debug, Clone, PartialEq)]
pub struct ContrastiveOptions {
    /// Number of candidates per step, 1 to 1024.
    pub top_k: usize,
    /// Weight of the degeneration penalty, 0 to 1; 0 is greedy search.
    pub alpha: f64,
    /// Maximum number of new tokens, 1 to 65,536.
    pub max_new_tokens: usize,
    /// End-of-text tokens, at most 64.
    pub eos: Vec<u32>,
    /// Processors applied to the logits of each step.
    pub processors: Processors,
}

/// A candidate for the next token, whose hidden state the model must compute.
#[derive(Debug, Clone, Copy)]
struct Choice {
    token: u32,
    probability: f64,
    raw: f64,
}

/// Contrastive search over one prompt.
///
/// Run the model on the prompt and call [`Contrastive::start`]; then run it on every token of
/// [`Contrastive::candidates`], each as a row of its own after the same cache, and call [`Contrastive::advance`].
#[derive(Debug, Clone)]
pub struct Contrastive {
    options: ContrastiveOptions,
    hidden_size: usize,
    tokens: Vec<u32>,
    prompt_len: usize,
    /// Hidden states of `tokens`, each scaled to length 1: `[tokens, hidden]`.
    context: Vec<f32>,
    choices: Vec<Choice>,
    ids: Vec<u32>,
    raw: f64,
    finish: Option<Finish>,
}

impl Contrastive {
    /// # Errors
    /// [`Error::Input`] for an option out of range, an empty prompt or a hidden size of 0.
    pub fn new(options: ContrastiveOptions, prompt: &[u32], hidden_size: usize) -> Result<Self> {
        check_limits(options.max_new_tokens, &options.eos)?;
        if !(1..=1024).contains(&options.top_k) {
            return Err(Error::input("top_k", "1 to 1024", options.top_k));
        }
        if !(0.0..=1.0).contains(&options.alpha) {
            return Err(Error::input("alpha", "0 to 1", options.alpha));
        }
        if prompt.is_empty() || hidden_size == 0 {
            return Err(Error::input(
                "prompt and hidden size",
                "at least 1",
                format!("{} and {hidden_size}", prompt.len()),
            ));
        }
        Ok(Self {
            options,
            hidden_size,
            tokens: prompt.to_vec(),
            prompt_len: prompt.len(),
            context: Vec::new(),
            choices: Vec::new(),
            ids: Vec::new(),
            raw: 0.0,
            finish: None,
        })
    }

    /// Takes the prompt's hidden states `[prompt, hidden]` and the logits after its last token `[vocab]`.
    ///
    /// # Errors
    /// [`Error::Input`] for other lengths, [`Error::NonFinite`] for NaN or infinity.
    pub fn start(&mut self, hidden: &[f32], logits: &[f32]) -> Result<()> {
        self.check_hidden(hidden, self.prompt_len)?;
        self.context = hidden.chunks(self.hidden_size).flat_map(unit).collect();
        self.choose_candidates(logits)
    }

    /// The candidate tokens on which to run the model next; empty before the start and when the search is done.
    #[must_use]
    pub fn candidates(&self) -> &[u32] {
        &self.ids
    }

    /// The prompt and the new tokens so far.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Takes the candidates' hidden states `[candidates, hidden]` and the logits after each, `[candidates, vocab]`. The
    /// only parent in the step is the row of the chosen candidate, whose cache is kept.
    ///
    /// # Errors
    /// [`Error::Input`] for other lengths or when there are no candidates, [`Error::NonFinite`] for NaN or infinity.
    pub fn advance(&mut self, hidden: &[f32], logits: &[f32]) -> Result<Step> {
        let vocab = vocab_of(logits, self.ids.len())?;
        self.check_hidden(hidden, self.ids.len())?;
        let mut best: Option<(usize, f64)> = None;
        for (i, (choice, state)) in self.choices.iter().zip(hidden.chunks(self.hidden_size)).enumerate() {
            let score = (1.0 - self.options.alpha) * choice.probability - self.options.alpha * self.likeness(state);
            if best.is_none_or(|(_, s)| score > s) {
                best = Some((i, score));
            }
        }
        let row = best.map_or(0, |b| b.0);
        let Choice { token, raw, .. } = self.choices[row];
        self.tokens.push(token);
        self.raw += raw;
        self.context.extend(unit(&hidden[row * self.hidden_size..(row + 1) * self.hidden_size]));
        let full = self.tokens.len() - self.prompt_len >= self.options.max_new_tokens;
        if self.options.eos.contains(&token) {
            self.finish = Some(Finish::Eos);
        } else if full {
            self.finish = Some(Finish::Length);
        }
        if self.finish.is_some() {
            self.ids.clear();
        } else {
            self.choose_candidates(&logits[row * vocab..(row + 1) * vocab])?;
        }
        Ok(Step { parents: vec![row], tokens: vec![token], done: self.ids.is_empty() })
    }

    /// The result; its `score` is `raw_logprob_sum`. An unfinished search counts as finished by length.
    #[must_use]
    pub fn finish(mut self) -> Hypothesis {
        let tokens = self.tokens.split_off(self.prompt_len);
        let finish = self.finish.unwrap_or(Finish::Length);
        Hypothesis { tokens, score: self.raw, raw_logprob_sum: self.raw, finish }
    }

    fn check_hidden(&self, hidden: &[f32], rows: usize) -> Result<()> {
        if hidden.len() != rows * self.hidden_size {
            let expected = format!("{rows} rows of {}", self.hidden_size);
            return Err(Error::input("hidden states", expected, hidden.len()));
        }
        if hidden.iter().all(|x| x.is_finite()) {
            return Ok(());
        }
        Err(Error::NonFinite { what: "a hidden state".into(), place: "contrastive search".into() })
    }

    /// Maximum cosine with the hidden states of the tokens so far.
    fn likeness(&self, state: &[f32]) -> f64 {
        let state: Vec<f32> = unit(state).collect();
        let cosine = |other: &[f32]| state.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        self.context.chunks(self.hidden_size).map(cosine).fold(f64::NEG_INFINITY, f64::max)
    }

    /// Selects the k most likely tokens, best first (ties: lower id); ends the search if every token is banned.
    fn choose_candidates(&mut self, logits: &[f32]) -> Result<()> {
        const PLACE: &str = "contrastive search";
        let raw_total = log_normaliser(logits, PLACE)?;
        let mut processed = logits.to_vec();
        self.options.processors.apply(&self.tokens, self.prompt_len, &mut processed);
        let mut order: Vec<u32> =
            (0..).zip(&processed).filter(|(_, x)| **x > f32::NEG_INFINITY).map(|(i, _)| i).collect();
        let likelier = |a: &u32, b: &u32| processed[*b as usize].total_cmp(&processed[*a as usize]).then(a.cmp(b));
        if order.len() > self.options.top_k {
            order.select_nth_unstable_by(self.options.top_k, likelier);
            order.truncate(self.options.top_k);
        }
        order.sort_unstable_by(likelier);
        self.choices.clear();
        if order.is_empty() {
            self.finish = Some(Finish::NoToken);
        } else {
            let total = log_normaliser(&processed, PLACE)?;
            self.choices.extend(order.iter().map(|&token| Choice {
                token,
                probability: (f64::from(processed[token as usize]) - total).exp(),
                raw: f64::from(logits[token as usize]) - raw_total,
            }));
        }
        self.ids = order;
        Ok(())
    }
}

/// A hidden state scaled to length 1; zero stays zero.
fn unit(state: &[f32]) -> impl Iterator<Item = f32> {
    let length = state.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    state.iter().map(move |&x| (f64::from(x) * scale) as f32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::process::Processor;
    use super::*;

    fn options(alpha: f64) -> ContrastiveOptions {
        ContrastiveOptions { top_k: 2, alpha, max_new_tokens: 2, eos: vec![], processors: Processors::default() }
    }

    /// Token 3 is more likely than 1, but its hidden state equals that of the prompt.
    fn first_token(alpha: f64) -> (u32, Step) {
        let logits = [0.0, 2.0, -1.0, 2.5];
        let mut search = Contrastive::new(options(alpha), &[5, 6], 2).unwrap();
        search.start(&[0.0, 2.0, 3.0, 3.0], &logits).unwrap();
        assert_eq!(search.candidates(), [3, 1]);
        let step = search.advance(&[0.0, 9.0, 1.0, -1.0], &[logits, [9.0, 0.0, 0.0, 0.0]].concat()).unwrap();
        let token = search.tokens()[2];
        assert_eq!(search.candidates()[0], if token == 1 { 0 } else { 3 });
        (token, step)
    }

    #[test]
    fn degeneration_penalty_decides() {
        // p(3) = 0.573, p(1) = 0.347; cosines 1 and 0: token 1 wins where (1 - a) 0.226 < a.
        let step = |row, token| Step { parents: vec![row], tokens: vec![token], done: false };
        assert_eq!(first_token(0.0), (3, step(0, 3)));
        assert_eq!(first_token(0.17), (3, step(0, 3)));
        assert_eq!(first_token(0.20), (1, step(1, 1)));
        assert_eq!(first_token(1.0), (1, step(1, 1)));
    }

    #[test]
    fn ends_by_length_eos_or_ban() {
        let logits = [0.0_f32, 2.0, -1.0, 2.5];
        let p = |token: usize| f64::from(logits[token]) - log_normaliser(&logits, "").unwrap();
        let run = |options: ContrastiveOptions| {
            let mut search = Contrastive::new(options, &[5], 1).unwrap();
            search.start(&[1.0], &logits).unwrap();
            while !search.candidates().is_empty() {
                let n = search.candidates().len();
                search.advance(&vec![1.0; n], &logits.repeat(n)).unwrap();
            }
            search.finish()
        };
        let found = run(options(0.5));
        assert_eq!((found.tokens, found.finish), (vec![3, 3], Finish::Length));
        assert!((found.raw_logprob_sum - 2.0 * p(3)).abs() < 1e-6);
        let found = run(ContrastiveOptions { eos: vec![3], ..options(0.5) });
        assert_eq!((found.tokens, found.finish), (vec![3], Finish::Eos));
        let nothing = Processors::new(vec![Processor::Banned((0..4).map(|t| vec![t]).collect())]).unwrap();
        let found = run(ContrastiveOptions { processors: nothing, ..options(0.5) });
        assert_eq!((found.tokens, found.finish), (vec![], Finish::NoToken));
    }

    #[test]
    fn bad_input_is_an_error() {
        assert!(Contrastive::new(ContrastiveOptions { top_k: 0, ..options(0.5) }, &[1], 2).is_err());
        assert!(Contrastive::new(options(1.5), &[1], 2).is_err());
        assert!(Contrastive::new(options(0.5), &[], 2).is_err());
        let mut search = Contrastive::new(options(0.5), &[1], 2).unwrap();
        assert!(matches!(search.advance(&[0.0; 2], &[0.0; 4]), Err(Error::Input { .. })));
        assert!(matches!(search.start(&[0.0; 3], &[0.0; 4]), Err(Error::Input { .. })));
        assert!(matches!(search.start(&[f32::NAN, 0.0], &[0.0; 4]), Err(Error::NonFinite { .. })));
        search.start(&[0.0; 2], &[0.0; 4]).unwrap();
        assert!(matches!(search.advance(&[0.0; 4], &[f32::NAN; 8]), Err(Error::NonFinite { .. })));
    }
}
