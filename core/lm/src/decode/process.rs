//! Logits processors over whole rows, written for clarity. The searches use them, and the faster sampler in `sample` is
//! tested against them. Semantics are those of Hugging Face transformers; a banned token gets a logit of `-inf`.

use crate::{Error, Result};

/// A logits processor and its setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Processor {
    /// Divides logits by the temperature, 0.001 to 1000.
    Temperature(f32),
    /// Keeps the k largest logits, at least 1, and those equal to the k-th.
    TopK(usize),
    /// Nucleus sampling: keeps the smallest set of most likely tokens with at least this mass, above 0; of equal
    /// tokens, those with lower ids come first. 1 turns it off.
    TopP(f32),
    /// Keeps tokens with at least this fraction of the most likely token's probability, 0 to 1. 0 turns it off.
    MinP(f32),
    /// Locally typical sampling: keeps tokens in ascending order of |-log p - entropy| until this mass, above 0, is
    /// reached, and those tied with the last. 1 turns it off.
    Typical(f32),
    /// Divides the positive and multiplies the negative logits of all tokens in the history by the penalty, 0.001 to
    /// 1000; once per distinct token. 1 turns it off.
    RepetitionPenalty(f32),
    /// Bans tokens that would complete an n-gram of this length, at least 1, that already occurs in the history,
    /// including the prompt.
    NoRepeatNgram(usize),
    /// Bans token sequences: the token of sequences of one, and the last token of longer ones when the history ends
    /// with the others.
    Banned(Vec<Vec<u32>>),
    /// Bans the end-of-text tokens until there are enough new tokens.
    MinLength {
        /// Minimum number of new tokens.
        min_new_tokens: usize,
        /// The end-of-text tokens.
        eos: Vec<u32>,
    },
}

fn check(ok: bool, name: &str, expected: &str, found: impl std::fmt::Display) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::input(name, expected, found)) }
}

impl Processor {
    /// # Errors
    /// [`Error::Input`] for a value out of range.
    pub fn validate(&self) -> Result<()> {
        let unit = |v: f32| v > 0.0 && v <= 1.0;
        match self {
            Self::Temperature(t) => check((1e-3..=1e3).contains(t), "temperature", "0.001 to 1000", t),
            Self::TopK(k) => check(*k > 0, "top_k", "at least 1", k),
            Self::TopP(p) => check(unit(*p), "top_p", "above 0, at most 1", p),
            Self::MinP(p) => check((0.0..=1.0).contains(p), "min_p", "0 to 1", p),
            Self::Typical(p) => check(unit(*p), "typical_p", "above 0, at most 1", p),
            Self::RepetitionPenalty(p) => check((1e-3..=1e3).contains(p), "repetition_penalty", "0.001 to 1000", p),
            Self::NoRepeatNgram(n) => check(*n > 0, "no_repeat_ngram", "at least 1", n),
            Self::Banned(sequences) => check(
                sequences.iter().all(|s| !s.is_empty()),
                "banned",
                "sequences of at least one token",
                "an empty one",
            ),
            Self::MinLength { .. } => Ok(()),
        }
    }

    /// Changes `logits` `[vocab]` in place. `history` consists of the prompt, its first `prompt_len` tokens, and the
    /// new tokens. Token ids beyond the vocabulary are ignored.
    pub fn apply(&self, history: &[u32], prompt_len: usize, logits: &mut [f32]) {
        match self {
            Self::Temperature(t) => logits.iter_mut().for_each(|x| *x /= t),
            Self::TopK(k) => keep_top_k(*k, logits),
            Self::TopP(p) => keep_top_p(f64::from(*p), logits),
            Self::MinP(p) => {
                let (weights, _) = softmax(logits);
                keep(logits, |i| weights[i] >= f64::from(*p));
            }
            Self::Typical(p) => keep_typical(f64::from(*p), logits),
            Self::RepetitionPenalty(penalty) => {
                for token in unique(history) {
                    if let Some(x) = logits.get_mut(token as usize) {
                        *x = penalised(*x, *penalty);
                    }
                }
            }
            Self::NoRepeatNgram(n) => completing_ngrams(history, *n).for_each(|token| ban(logits, token)),
            Self::Banned(sequences) => {
                for sequence in sequences {
                    if let [before @ .., last] = sequence.as_slice()
                        && history.ends_with(before)
                    {
                        ban(logits, *last);
                    }
                }
            }
            Self::MinLength { min_new_tokens, eos } => {
                if history.len().saturating_sub(prompt_len) < *min_new_tokens {
                    eos.iter().for_each(|&token| ban(logits, token));
                }
            }
        }
    }
}

/// A chain of validated processors, applied in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Processors(Vec<Processor>);

impl Processors {
    /// # Errors
    /// [`Error::Input`] names the first value that is out of range.
    pub fn new(chain: Vec<Processor>) -> Result<Self> {
        chain.iter().try_for_each(Processor::validate)?;
        Ok(Self(chain))
    }

    /// Whether the chain has no processors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies all processors; see [`Processor::apply`].
    pub fn apply(&self, history: &[u32], prompt_len: usize, logits: &mut [f32]) {
        self.0.iter().for_each(|p| p.apply(history, prompt_len, logits));
    }
}

/// The logarithm of the sum of exp(logit) over a row `[vocab]`: a token's log-probability is its logit minus this.
///
/// # Errors
/// [`Error::NonFinite`] naming `place` where a logit is NaN or +inf, or all are `-inf`. Single `-inf` may occur.
pub fn log_normaliser(logits: &[f32], place: &str) -> Result<f64> {
    let max = logits.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    let total: f64 = logits.iter().map(|&x| f64::from(x - max).exp()).sum();
    if max.is_finite() && total.is_finite() {
        return Ok(f64::from(max) + total.ln());
    }
    Err(Error::NonFinite { what: "a logit".into(), place: place.into() })
}

/// The logit, with the repetition penalty, of a token that has already occurred.
pub(super) fn penalised(logit: f32, penalty: f32) -> f32 {
    if logit < 0.0 { logit * penalty } else { logit / penalty }
}

/// Tokens that would complete an n-gram that already occurs in the history; may contain duplicates.
pub(super) fn completing_ngrams(history: &[u32], n: usize) -> impl Iterator<Item = u32> {
    let context = history.len().checked_sub(n.saturating_sub(1)).map_or(&[][..], |start| &history[start..]);
    let windows = if n == 0 || n > history.len() { &[][..] } else { history };
    windows.windows(n.max(1)).filter_map(move |w| w.split_last()).filter(move |(_, w)| *w == context).map(|(&t, _)| t)
}

fn unique(history: &[u32]) -> Vec<u32> {
    let mut tokens = history.to_vec();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

fn ban(logits: &mut [f32], token: u32) {
    if let Some(x) = logits.get_mut(token as usize) {
        *x = f32::NEG_INFINITY;
    }
}

fn keep(logits: &mut [f32], mut stays: impl FnMut(usize) -> bool) {
    for (i, x) in logits.iter_mut().enumerate() {
        if !stays(i) {
            *x = f32::NEG_INFINITY;
        }
    }
}

/// exp(logit - max) of each token, and the sum; all zero if every token is banned.
fn softmax(logits: &[f32]) -> (Vec<f64>, f64) {
    let max = f64::from(logits.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m }));
    let weight = |&x: &f32| if x == f32::NEG_INFINITY { 0.0 } else { (f64::from(x) - max).exp() };
    let weights: Vec<f64> = logits.iter().map(weight).collect();
    let total = weights.iter().sum();
    (weights, total)
}

fn keep_top_k(k: usize, logits: &mut [f32]) {
    let mut sorted = logits.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    if let Some(&least) = sorted.get(k.saturating_sub(1)) {
        logits.iter_mut().filter(|x| **x < least).for_each(|x| *x = f32::NEG_INFINITY);
    }
}

fn keep_top_p(p: f64, logits: &mut [f32]) {
    if p >= 1.0 {
        return;
    }
    let (weights, total) = softmax(logits);
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    let mut before = 0.0;
    for i in order {
        if before >= p * total {
            logits[i] = f32::NEG_INFINITY;
        }
        before += weights[i];
    }
}

fn keep_typical(mass: f64, logits: &mut [f32]) {
    if mass >= 1.0 {
        return;
    }
    let (weights, total) = softmax(logits);
    let surprise: Vec<f64> = weights.iter().map(|w| -(w / total).ln()).collect();
    let entropy: f64 = weights.iter().zip(&surprise).filter(|(w, _)| **w > 0.0).map(|(w, s)| w / total * s).sum();
    let away: Vec<f64> = surprise.iter().map(|s| (s - entropy).abs()).collect();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| away[a].total_cmp(&away[b]));
    let mut sum = 0.0;
    let last = order.iter().find(|&&i| {
        sum += weights[i];
        sum >= mass * total
    });
    if let Some(&last) = last {
        keep(logits, |i| away[i] <= away[last]);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(super) mod tests {
    use super::*;
    use serde_json::Value;

    pub(in super::super) fn golden() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/decoding/processors.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// JSON numbers as floats; `null` stands for -inf.
    pub(in super::super) fn floats(value: &Value) -> Vec<f32> {
        value.as_array().unwrap().iter().map(|x| x.as_f64().map_or(f32::NEG_INFINITY, |x| x as f32)).collect()
    }

    fn ids(value: &Value) -> Vec<u32> {
        value.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect()
    }

    pub(in super::super) fn processor(op: &str, value: &Value) -> Processor {
        let float = || value.as_f64().unwrap() as f32;
        let int = |v: &Value| v.as_u64().unwrap() as usize;
        match op {
            "temperature" => Processor::Temperature(float()),
            "top_k" => Processor::TopK(int(value)),
            "top_p" => Processor::TopP(float()),
            "min_p" => Processor::MinP(float()),
            "typical_p" => Processor::Typical(float()),
            "repetition_penalty" => Processor::RepetitionPenalty(float()),
            "no_repeat_ngram_size" => Processor::NoRepeatNgram(int(value)),
            "bad_words_ids" => Processor::Banned(value.as_array().unwrap().iter().map(ids).collect()),
            "min_new_tokens" => {
                Processor::MinLength { min_new_tokens: int(&value["min"]), eos: vec![int(&value["eos"]) as u32] }
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn golden_warpers() {
        let golden = golden();
        let cases = golden["cases"].as_array().unwrap();
        assert!(cases.len() > 200);
        for case in cases {
            let mut logits = floats(&golden["rows"][case["row"].as_str().unwrap()]);
            let ops = case["ops"].as_array().unwrap();
            let chain = ops.iter().map(|op| processor(op["op"].as_str().unwrap(), &op["value"])).collect();
            Processors::new(chain).unwrap().apply(&[], 0, &mut logits);
            let kept: Vec<u32> =
                (0..logits.len()).filter(|&i| logits[i] > f32::NEG_INFINITY).map(|i| i as u32).collect();
            assert_eq!(kept, ids(&case["kept"]), "{case}");
            let (weights, total) = softmax(&logits);
            for (w, p) in weights.iter().zip(floats(&case["probs"])) {
                assert!((w / total - f64::from(p)).abs() < 1e-5, "{case}");
            }
        }
    }

    #[test]
    fn golden_sequence_processors() {
        let golden = golden();
        for case in golden["sequence_processors"].as_array().unwrap() {
            let history = ids(&case["history"]);
            let mut logits = floats(&case["scores"]);
            let prompt_len = case["value"]["prompt_len"].as_u64().unwrap_or(0) as usize;
            processor(case["op"].as_str().unwrap(), &case["value"]).apply(&history, prompt_len, &mut logits);
            for (found, expected) in logits.iter().zip(floats(&case["out"])) {
                assert!(*found == expected || (found - expected).abs() < 1e-5, "{case}");
            }
        }
    }

    #[test]
    fn refuses_values_out_of_range() {
        use Processor as P;
        let bad = [
            P::Temperature(0.0),
            P::Temperature(f32::NAN),
            P::TopK(0),
            P::TopP(0.0),
            P::TopP(1.5),
            P::MinP(-0.1),
            P::MinP(f32::NAN),
            P::Typical(0.0),
            P::RepetitionPenalty(-1.0),
            P::NoRepeatNgram(0),
            P::Banned(vec![vec![1], vec![]]),
        ];
        for processor in bad {
            assert!(matches!(Processors::new(vec![processor.clone()]), Err(Error::Input { .. })), "{processor:?}");
        }
    }

    #[test]
    fn survives_any_row() {
        let eos = vec![1, 9];
        let all = [
            Processor::RepetitionPenalty(1.2),
            Processor::NoRepeatNgram(2),
            Processor::Banned(vec![vec![0], vec![7, 99]]),
            Processor::MinLength { min_new_tokens: 9, eos },
            Processor::Temperature(0.5),
            Processor::TopK(3),
            Processor::TopP(0.5),
            Processor::MinP(0.1),
            Processor::Typical(0.5),
        ];
        for row in [vec![], vec![f32::NAN; 3], vec![f32::NEG_INFINITY; 3], vec![f32::INFINITY, 0.0], vec![0.0]] {
            for processor in &all {
                processor.apply(&[7, 7, 123_456], 9, &mut row.clone());
            }
        }
    }
}
