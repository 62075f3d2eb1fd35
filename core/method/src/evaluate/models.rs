//! The project's own models as [`Judge`] and [`TokenEncoder`].

use super::{Encoded, Judge, TokenEncoder};
use lm::scoring::{PairModel, TextEncoder};
use record::Monitor;

use crate::critic::BoxFuture;
use crate::{Error, Result};

/// An entailment critic as a [`Judge`].
pub struct Critic {
    model: PairModel,
    name: String,
    /// Label indices of neutral and contradiction, if the model distinguishes them.
    others: Option<[usize; 2]>,
}

impl Critic {
    /// Wraps a critic; `name` becomes part of the signatures. For a critic with two labels ("not entailment") the
    /// probability of contradiction is always 0.
    #[must_use]
    pub fn new(model: PairModel, name: &str) -> Self {
        let find = |start: &str| model.labels().iter().position(|label| label.to_lowercase().starts_with(start));
        let others = find("neutral").zip(find("contradict")).map(|(neutral, contradiction)| [neutral, contradiction]);
        Self { model, name: name.to_owned(), others }
    }
}

impl Judge for Critic {
    fn signature(&self) -> String {
        format!("model:{}", self.name)
    }

    /// A pair that is too long for the model is not evaluated and counts as neutral.
    fn entail<'a>(
        &'a mut self,
        pairs: &'a [(&'a str, &'a str)],
        monitor: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<[f32; 3]>>> {
        Box::pin(async move {
            let (label, others) = (self.model.entailment(), self.others);
            let found = self.model.probabilities(pairs, monitor).await?;
            let of = |p: Vec<f32>| match others {
                Some([neutral, contradiction]) => [p[label], p[neutral], p[contradiction]],
                None => [p[label], 1.0 - p[label], 0.0],
            };
            Ok(found.into_iter().map(|p| p.map_or([0.0, 1.0, 0.0], of)).collect())
        })
    }
}

/// A sentence encoder for BERTScore and the cosine. As in bert-score, special tokens may be matched but do not count.
pub struct Bert {
    model: TextEncoder,
    name: String,
    layer: usize,
}

impl Bert {
    /// Wraps an encoder; `layer` is the layer for BERTScore, from 1, by default the last.
    ///
    /// # Errors
    /// [`Error::Input`] for a layer that the encoder lacks.
    pub fn new(model: TextEncoder, name: &str, layer: Option<usize>) -> Result<Self> {
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

    fn embed<'a>(
        &'a mut self,
        texts: &'a [&'a str],
        monitor: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        Box::pin(self.model.embed(texts, monitor))
    }

    fn encode<'a>(
        &'a mut self,
        texts: &'a [&'a str],
        monitor: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<Encoded>>> {
        Box::pin(async move {
            let states = self.model.states(texts, self.layer, monitor).await?;
            let hidden = self.model.hidden();
            let mut found: Vec<Encoded> = states.iter().map(|states| encoded(states, hidden)).collect();
            if !self.model.is_mean() {
                let sentences = self.model.embed(texts, monitor).await?;
                found.iter_mut().zip(sentences).for_each(|(found, sentence)| found.sentence = sentence);
            }
            Ok(found)
        })
    }
}

/// The embeddings from hidden states `[tokens, 2 * hidden]`: those of the chosen layer, then those of the last.
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
