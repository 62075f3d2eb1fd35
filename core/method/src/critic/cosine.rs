//! The cosine critic: most false positives of the entailment critic have a low cosine of the sentence embeddings.

use super::chunks::by_chunk;
use super::contract::{BoxFuture, Critic};
use super::embeddings::Embeddings;
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use crate::{Error, Result};
use lm::scoring::TextEncoder;
use record::{Monitor, Refusal};

/// A model that embeds sentences.
pub trait SentenceEncoder {
    /// One vector for each text, in order, all of the same length; they need not be normalised.
    ///
    /// # Errors
    /// Errors of the model.
    fn embed<'a>(
        &'a mut self,
        texts: &'a [&'a str],
        monitor: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>>>;
}

impl SentenceEncoder for TextEncoder {
    fn embed<'a>(
        &'a mut self,
        texts: &'a [&'a str],
        monitor: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        Box::pin(TextEncoder::embed(self, texts, monitor))
    }
}

impl SentenceSet {
    /// Embeds the sentences with these indices in one call of the encoder, and drops earlier embeddings.
    ///
    /// # Errors
    /// Errors of the encoder; [`Error::Tensor`] unless it returns one vector per text, all of the same length;
    /// [`Error::NonFinite`] for NaN or infinity.
    pub async fn embed(
        &mut self,
        indices: &[u32],
        encoder: &mut dyn SentenceEncoder,
        monitor: &mut Monitor<'_>,
    ) -> Result<()> {
        let texts: Vec<&str> = indices.iter().map(|&index| self.get(index).text.as_str()).collect();
        let vectors = if texts.is_empty() { Vec::new() } else { encoder.embed(&texts, monitor).await? };
        let dim = vectors.first().map_or(0, Vec::len);
        let mismatch = |expected: String, found: String| Error::Tensor {
            file: "sentence encoder".into(),
            tensor: "embeddings".into(),
            expected,
            found,
        };
        if vectors.len() != texts.len() {
            return Err(mismatch(format!("{} vectors", texts.len()), vectors.len().to_string()));
        }
        let mut slots = vec![u32::MAX; self.len()];
        let mut rows = Vec::with_capacity(dim * vectors.len());
        for (slot, (vector, &index)) in vectors.iter().zip(indices).enumerate() {
            if vector.len() != dim || dim == 0 {
                return Err(mismatch(format!("vectors of one length, {dim}, not 0"), vector.len().to_string()));
            }
            let norm = vector.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            if !norm.is_finite() {
                return Err(Error::NonFinite { what: "an embedding".into(), place: "sentence encoder".into() });
            }
            // The zero vector has cosine 0 with everything.
            let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
            rows.extend(vector.iter().map(|&v| (f64::from(v) * scale) as f32));
            slots[index as usize] = slot as u32;
        }
        self.embeddings = Some(Embeddings { slots, dim, rows });
        Ok(())
    }

    /// Cosine of two sentences; `None` unless both are embedded.
    #[must_use]
    pub fn cosine(&self, x: u32, y: u32) -> Option<f32> {
        self.embeddings.as_ref()?.cosine(x, y)
    }
}

/// Accepts cosine >= min. Needs [`SentenceSet::embed`] first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cosine {
    /// Minimum cosine.
    pub min: f32,
}

impl Critic for Cosine {
    fn refusal(&self) -> Refusal {
        Refusal::Cosine
    }

    fn score<'a>(&'a mut self, siblings: &'a SentenceSet, pairs: &'a [Pair]) -> BoxFuture<'a, Result<Vec<f32>>> {
        Box::pin(async move {
            let scores = by_chunk(pairs, |pairs| {
                pairs.iter().map(|pair| siblings.cosine(pair.x, pair.y).unwrap_or(f32::NAN)).collect()
            });
            if scores.iter().any(|score| score.is_nan()) {
                return Err(Error::Missing {
                    what: "the embedding of a sentence".into(),
                    place: "the siblings".into(),
                    hint: "Embed all sentences of the pairs first.".into(),
                });
            }
            Ok(scores)
        })
    }

    fn accepts(&self, score: f32) -> bool {
        score >= self.min
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::critic::panel::tests::now;
    use record::monitor::Unwatched;

    struct Fixed(Vec<Vec<f32>>);

    impl SentenceEncoder for Fixed {
        fn embed<'a>(&'a mut self, _: &'a [&'a str], _: &'a mut Monitor<'_>) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
            Box::pin(std::future::ready(Ok(self.0.clone())))
        }
    }

    fn siblings() -> SentenceSet {
        SentenceSet::new([(0, "A."), (1, "B."), (2, "C.")]).unwrap()
    }

    fn embed(siblings: &mut SentenceSet, indices: &[u32], encoder: &mut Fixed) -> Result<()> {
        now(siblings.embed(indices, encoder, &mut Monitor::new(&mut Unwatched, 0, 0)))
    }

    #[test]
    fn vectors_are_normalised() {
        let mut siblings = siblings();
        let mut x = vec![0.0; 20];
        x[0] = 3.0;
        x[17] = 4.0;
        let mut y = vec![0.0; 20];
        y[17] = 2e20;
        embed(&mut siblings, &[2, 0], &mut Fixed(vec![x, y])).unwrap();
        let pairs = [Pair { x: 0, y: 2 }, Pair { x: 2, y: 2 }];
        let scores = now(Cosine { min: 0.8 }.score(&siblings, &pairs)).unwrap();
        assert!((scores[0] - 0.8).abs() < 1e-6 && (scores[1] - 1.0).abs() < 1e-6, "{scores:?}");
        assert_eq!(siblings.cosine(0, 1), None);
        let missing = now(Cosine { min: 0.8 }.score(&siblings, &[Pair { x: 0, y: 1 }]));
        assert!(matches!(missing, Err(Error::Missing { .. })));
    }

    #[test]
    fn bad_encoders_are_refused() {
        for (vectors, finite) in [
            (vec![vec![1.0]], true),
            (vec![vec![1.0], vec![1.0, 2.0]], true),
            (vec![vec![], vec![]], true),
            (vec![vec![1.0], vec![f32::NAN]], false),
            (vec![vec![1.0], vec![f32::INFINITY]], false),
        ] {
            let error = embed(&mut siblings(), &[0, 1], &mut Fixed(vectors)).unwrap_err();
            assert_eq!(matches!(error, Error::Tensor { .. }), finite, "{error}");
        }
        let mut siblings = siblings();
        embed(&mut siblings, &[0, 1], &mut Fixed(vec![vec![0.0, 0.0], vec![1.0, 0.0]])).unwrap();
        assert_eq!(siblings.cosine(0, 1), Some(0.0));
    }
}
