//! The project's own models as [`Judge`] and [`TokenEncoder`].

use super::{Encoded, Judge, TokenEncoder};
use crate::critic::models::{Encoder, Entailment};
use crate::critic::{BoxFuture, SentenceEncoder};
use crate::{Error, Result};

/// An entailment critic as judge.
pub struct Critic {
    model: Entailment,
    name: String,
    /// Ids of neutral and contradiction, where the model tells them apart.
    others: Option<[usize; 2]>,
}

impl Critic {
    /// `name` goes into signatures. A critic of two labels ("not entailment") never says contradiction.
    #[must_use]
    pub fn new(model: Entailment, name: &str) -> Self {
        let find = |start: &str| model.labels().iter().position(|label| label.to_lowercase().starts_with(start));
        let others = find("neutral").zip(find("contradict")).map(|(neutral, contradiction)| [neutral, contradiction]);
        Self { model, name: name.to_owned(), others }
    }
}

impl Judge for Critic {
    fn signature(&self) -> String {
        format!("model:{}", self.name)
    }

    /// A pair that is longer than the model is not read: neutral.
    fn entail<'a>(&'a mut self, pairs: &'a [(&'a str, &'a str)]) -> BoxFuture<'a, Result<Vec<[f32; 3]>>> {
        Box::pin(async move {
            let (label, others) = (self.model.label(), self.others);
            let found = self.model.probabilities(pairs).await?;
            let of = |p: Vec<f32>| match others {
                Some([neutral, contradiction]) => [p[label], p[neutral], p[contradiction]],
                None => [p[label], 1.0 - p[label], 0.0],
            };
            Ok(found.into_iter().map(|p| p.map_or([0.0, 1.0, 0.0], of)).collect())
        })
    }
}

/// A sentence encoder for BERTScore and the cosine. Special tokens may be matched and do not count, as in bert-score.
pub struct Bert {
    model: Encoder,
    name: String,
    layer: usize,
}

impl Bert {
    /// `layer` of BERTScore, from 1; none = the last.
    ///
    /// # Errors
    /// [`Error::Input`] for a layer that the encoder lacks.
    pub fn new(model: Encoder, name: &str, layer: Option<usize>) -> Result<Self> {
        let layers = model.layers();
        let layer = layer.unwrap_or(layers);
        if !(1..=layers).contains(&layer) {
            return Err(Error::input("--layer", format_args!("1 to {layers}, as `{name}` has {layers} layers"), layer));
        }
        Ok(Self { model, name: name.to_owned(), layer })
    }
}

impl TokenEncoder for Bert {
    fn signature(&self) -> String {
        format!("model:{}|layer:{}|idf:no", self.name, self.layer)
    }

    fn embed<'a>(&'a mut self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        self.model.embed(texts)
    }

    fn encode<'a>(&'a mut self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Encoded>>> {
        Box::pin(async move {
            let states = self.model.states(texts, self.layer).await?;
            let hidden = self.model.hidden();
            Ok(states.iter().map(|states| encoded(states, hidden)).collect())
        })
    }
}

/// From `[tokens, 2 * hidden]`.
fn encoded(states: &[f32], hidden: usize) -> Encoded {
    let n = states.len() / (2 * hidden).max(1);
    let mut sentence = vec![0.0; hidden];
    let mut tokens = Vec::with_capacity(n * hidden);
    for state in states.chunks_exact(2 * hidden) {
        let (chosen, last) = state.split_at(hidden);
        tokens.extend_from_slice(chosen);
        sentence.iter_mut().zip(last).for_each(|(sum, value)| *sum += value / n as f32);
    }
    let weights = (0..n).map(|i| if i == 0 || i + 1 == n { 0.0 } else { 1.0 }).collect();
    Encoded { sentence, tokens, weights }
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn states_are_taken_apart() {
        // Three tokens of two numbers, chosen layer then last layer.
        let states = [1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0, 5.0, 6.0, 50.0, 60.0];
        let found = encoded(&states, 2);
        assert_eq!(found.tokens, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert!(found.sentence.iter().zip([30.0, 40.0]).all(|(a, b)| (a - b).abs() < 1e-4));
        assert_eq!(found.weights, [0.0, 1.0, 0.0]);
        assert!(encoded(&[], 2).weights.is_empty());
    }
}
