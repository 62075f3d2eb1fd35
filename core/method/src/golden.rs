//! Golden values: a model's outputs for a fixed input, stored beside its weights, by which another device can check
//! that it computes the same. A browser's shader compiler can be wrong without reporting an error.

use record::Monitor;
use record::monitor::Unwatched;
use serde::{Deserialize, Serialize};

use crate::student::Format;
use crate::{Error, Result};
use lm::decode::TextModel;
use lm::device::to_host;
use lm::model::files::{Files, read_all};
use lm::scoring::PairModel;
use record::Task;

/// Name of the file of golden values beside the weights.
pub const FILE: &str = "golden.json";

/// Number of largest logits that are stored.
const KEPT: usize = 32;

/// Largest accepted difference of a logit or a probability between devices that compute in f32.
pub const TOLERANCE: f32 = 5e-3;

const SENTENCE: &str = "The council voted on Tuesday to close the bridge for two years.";
const HYPOTHESIS: &str = "The bridge will be closed.";

/// The golden values of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Golden {
    /// Values of a language model.
    Text {
        /// The prompt.
        prompt: String,
        /// Token ids of the prompt.
        ids: Vec<u32>,
        /// The largest logits of the next token with their ids, in descending order.
        top: Vec<(u32, f32)>,
        /// ln(sum of exp) of all logits of the next token.
        log_sum: f64,
    },
    /// Values of an entailment critic.
    Pair {
        /// Premise and hypothesis.
        pair: [String; 2],
        /// Token ids of the pair.
        ids: Vec<u32>,
        /// Probabilities of all labels, in the order of `id2label`.
        probabilities: Vec<f32>,
    },
}

/// Golden values of a language model. For a student, `format` makes the prompt one of its training format.
///
/// # Errors
/// Errors of the model.
pub async fn text(model: &TextModel, format: Option<&Format>) -> Result<Golden> {
    let prompt = format.map_or_else(
        || SENTENCE.to_owned(),
        |format| format.prompt(format.tasks.first().copied().unwrap_or(Task::Paraphrase), SENTENCE, 0.6),
    );
    of_prompt(model, prompt).await
}

async fn of_prompt(model: &TextModel, prompt: String) -> Result<Golden> {
    let ids = model.prompt(&prompt, 1)?;
    let (_, logits) = model.lm.prefill(&ids, &model.compute.device)?;
    let logits = to_host(logits.reshape([1, -1])).await?;
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let log_sum = most + logits.iter().map(|&x| (f64::from(x) - most).exp()).sum::<f64>().ln();
    let mut top: Vec<(u32, f32)> = (0_u32..).zip(logits).collect();
    top.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    top.truncate(KEPT);
    Ok(Golden::Text { prompt, ids, top, log_sum })
}

/// Golden values of an entailment critic.
///
/// # Errors
/// Errors of the model.
pub async fn pair(critic: &PairModel) -> Result<Golden> {
    of_pair(critic, [SENTENCE.to_owned(), HYPOTHESIS.to_owned()]).await
}

async fn of_pair(critic: &PairModel, pair: [String; 2]) -> Result<Golden> {
    let ids = critic.ids(&pair[0], &pair[1])?;
    let probabilities = critic
        .probabilities(&[(&pair[0], &pair[1])], &mut Monitor::new(&mut Unwatched, 0, 0))
        .await?
        .pop()
        .flatten()
        .unwrap_or_default();
    Ok(Golden::Pair { pair, ids, probabilities })
}

/// Largest accepted file of golden values, in bytes.
const LARGEST: usize = 1 << 20;

impl Golden {
    /// Reads the golden values beside a model's weights; `None` if there is no such file.
    ///
    /// # Errors
    /// As [`Golden::parse`]; errors of reading the file.
    pub fn beside(files: &dyn Files) -> Result<Option<Self>> {
        if files.size(FILE)?.is_none() {
            return Ok(None);
        }
        Self::parse(FILE, (*read_all(files, FILE, LARGEST)?).as_ref()).map(Some)
    }

    /// Parses golden values; `file` is the file's name in messages.
    ///
    /// # Errors
    /// [`Error::Broken`] for anything but golden values in JSON.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| Error::broken(file, e.to_string()))
    }

    /// Largest absolute difference from the values that a language model computes here; infinite if the tokenizer gives
    /// other ids or the values belong to another kind of model.
    ///
    /// # Errors
    /// Errors of the model.
    pub async fn of_model(&self, model: &TextModel) -> Result<f32> {
        let Self::Text { prompt, .. } = self else { return Ok(f32::INFINITY) };
        Ok(self.distance(&of_prompt(model, prompt.clone()).await?))
    }

    /// As [`Golden::of_model`], for an entailment critic.
    ///
    /// # Errors
    /// Errors of the model.
    pub async fn of_critic(&self, critic: &PairModel) -> Result<f32> {
        let Self::Pair { pair, .. } = self else { return Ok(f32::INFINITY) };
        Ok(self.distance(&of_pair(critic, pair.clone()).await?))
    }

    fn distance(&self, found: &Self) -> f32 {
        let worst = |pairs: &mut dyn Iterator<Item = (f32, f32)>| {
            // NaN counts as an infinite difference.
            let distance =
                |(a, b): (f32, f32)| if a.is_finite() && b.is_finite() { (a - b).abs() } else { f32::INFINITY };
            pairs.map(distance).fold(0.0, f32::max)
        };
        match (self, found) {
            (Self::Text { ids, top, log_sum, .. }, Self::Text { ids: i, top: t, log_sum: l, .. })
                if ids == i && top.len() == t.len() =>
            {
                // Tokens with nearly the same logit may be in another order.
                let of = |token: u32| t.iter().find(|(found, _)| *found == token).map(|(_, logit)| *logit);
                let last = t.last().map_or(f32::NAN, |(_, logit)| *logit);
                let logits = top.iter().map(|&(token, logit)| (logit, of(token).unwrap_or(last)));
                worst(&mut logits.chain([(*log_sum as f32, *l as f32)]))
            }
            (Self::Pair { ids, probabilities, .. }, Self::Pair { ids: i, probabilities: p, .. })
                if ids == i && probabilities.len() == p.len() =>
            {
                worst(&mut probabilities.iter().copied().zip(p.iter().copied()))
            }
            _ => f32::INFINITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(top: &[(u32, f32)]) -> Golden {
        Golden::Text { prompt: "p".into(), ids: vec![1], top: top.to_vec(), log_sum: 3.0 }
    }

    #[test]
    fn small_differences_are_measured_and_others_have_no_end() {
        let golden = text(&[(4, 2.0), (9, 1.0)]);
        assert_eq!(golden.distance(&golden), 0.0);
        assert!((golden.distance(&text(&[(4, 2.001), (9, 1.0)])) - 0.001).abs() < 1e-5);
        assert!((golden.distance(&text(&[(9, 2.0), (4, 2.0)])) - 1.0).abs() < 1e-5);
        for other in [text(&[(4, f32::NAN), (9, 1.0)]), text(&[]), pair(&[0.5])] {
            assert_eq!(golden.distance(&other), f32::INFINITY);
        }
        assert!((pair(&[0.5, 0.5]).distance(&pair(&[0.4, 0.6])) - 0.1).abs() < 1e-5);
    }

    fn pair(probabilities: &[f32]) -> Golden {
        Golden::Pair { pair: ["a".into(), "b".into()], ids: vec![1], probabilities: probabilities.to_vec() }
    }
}
