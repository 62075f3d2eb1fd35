//! The training objective: write a sentence back from its damaged form, which differs in every epoch.

use lm::model::LanguageModel;
use lm::model::config::Config;
use lm::tokenizer::Tokenizer;
use lm::train::gradient::{Options, Precision};
use lm::train::objective::{Likelihood, Objective};
use lm::train::parameters::Gradients;
use lm::train::{Batch, Example, Parameters};

use super::Format;
use crate::reword::{Damage, words::Words};
use crate::{Error, Result};

/// Tokens by which a damaged sentence may be longer than the sentence.
const RESERVE: usize = 4;

/// A sentence to be written back.
#[derive(Debug, Clone)]
pub struct Sentence {
    number: u64,
    words: Words,
    /// Number of tokens of the prompt with all words, and a few more for marks and small letters.
    prompt: usize,
    /// Token ids of the sentence, with the end-of-text token.
    target: Vec<u32>,
}

/// Denoising of sentences: the likelihood of each sentence after the prompt with its damaged form.
#[derive(Debug, Clone)]
pub struct Rewording {
    likelihood: Likelihood,
    tokenizer: Tokenizer,
    format: Format,
    damage: Damage,
    end: u32,
    encoder: bool,
    seed: u64,
}

impl Rewording {
    /// The objective for a language model with this tokenizer and end-of-text token; `format` has the damage of
    /// versions, `damage` is that of training.
    ///
    /// # Errors
    /// As [`Likelihood::new`] and [`Damage::validate`].
    pub fn new(
        config: &Config,
        (tokenizer, end): (Tokenizer, u32),
        format: Format,
        damage: Damage,
        seed: u64,
    ) -> Result<Self> {
        damage.validate()?;
        let encoder = LanguageModel::sizes_of(config)?.start.is_some();
        Ok(Self { likelihood: Likelihood::new(config.clone())?, tokenizer, format, damage, end, encoder, seed })
    }

    /// The sentences that fit the model with their prompt, and the number of those that do not.
    ///
    /// # Errors
    /// Errors of the tokenizer; [`Error::Input`] when none is left.
    pub fn sentences(&self, texts: &[String]) -> Result<(Vec<Sentence>, usize)> {
        let positions = LanguageModel::sizes_of(&self.likelihood.config)?.positions;
        let mut sentences = Vec::new();
        for (number, text) in (0..).zip(texts) {
            let mut target = self.tokenizer.encode(&self.format.target(text))?;
            target.push(self.end);
            let prompt = self.prompt(text)?.len() + RESERVE;
            let taken = if self.encoder { prompt.max(target.len()) } else { prompt + target.len() };
            if taken <= positions {
                sentences.push(Sentence { number, words: Words::read(text), prompt, target });
            }
        }
        if sentences.is_empty() {
            let expected = format!("sentences of at most {positions} tokens with their prompt");
            return Err(Error::input("the sentences", expected, format!("{} of them, none shorter", texts.len())));
        }
        let left_out = texts.len() - sentences.len();
        Ok((sentences, left_out))
    }

    fn prompt(&self, words: &str) -> Result<Vec<u32>> {
        let mut prompt = self.tokenizer.encode_prompt(&self.format.around(words))?;
        prompt.extend(self.encoder.then_some(self.end));
        Ok(prompt)
    }

    fn example(&self, sentence: &Sentence, epoch: u64) -> Result<Example> {
        let pass = u32::try_from(epoch).unwrap_or(u32::MAX);
        let damaged = self.damage.apply(&sentence.words, 1.0, (self.seed, sentence.number, pass));
        let mut prompt = self.prompt(&damaged)?;
        prompt.truncate(sentence.prompt);
        Ok(Example { group: sentence.number, prompt, target: sentence.target.clone() })
    }
}

impl Objective for Rewording {
    type Example = Sentence;
    type Batch = Batch;

    fn length(&self, sentence: &Sentence) -> usize {
        sentence.prompt + sentence.target.len()
    }

    fn group(&self, sentence: &Sentence) -> u64 {
        sentence.number
    }

    fn batch(&self, sentences: &[&Sentence], epoch: u64) -> Result<Batch> {
        let examples = sentences.iter().map(|s| self.example(s, epoch)).collect::<Result<Vec<_>>>()?;
        self.likelihood.batch(&examples.iter().collect::<Vec<_>>(), epoch)
    }

    fn targets(&self, batch: &Batch) -> usize {
        self.likelihood.targets(batch)
    }

    fn positions(&self, batch: &Batch) -> usize {
        self.likelihood.positions(batch)
    }

    async fn gradients(
        &self,
        parameters: &Parameters,
        batch: &Batch,
        options: Options,
        sink: &mut Gradients,
    ) -> Result<f64> {
        self.likelihood.gradients(parameters, batch, options, sink).await
    }

    async fn loss(&self, parameters: &Parameters, batch: &Batch, precision: Precision) -> Result<f64> {
        self.likelihood.loss(parameters, batch, precision).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tiny;

    #[test]
    fn damage_differs_between_epochs_and_is_the_same_for_the_same_numbers() {
        let teacher = tiny::folder("teacher");
        let ends = (teacher.tokenizer().unwrap().clone(), teacher.end().unwrap());
        let objective = |seed| {
            let format = Format::reworder(false, Damage::writing());
            Rewording::new(&teacher.config, ends.clone(), format, Damage::training(), seed).unwrap()
        };
        let texts = ["The company said it will pay a dividend of 12 cts on March 31.", "It is."].map(str::to_owned);
        let (sentences, left_out) = objective(1).sentences(&texts).unwrap();
        assert_eq!((sentences.len(), left_out), (2, 0));
        let example = |seed, epoch| objective(seed).example(&sentences[0], epoch).unwrap();
        assert_eq!(example(1, 0), example(1, 0));
        assert!(example(1, 0).prompt != example(1, 1).prompt && example(1, 0).prompt != example(2, 0).prompt);
        let (prompt, target) =
            (ends.0.decode(&example(1, 0).prompt).unwrap(), ends.0.decode(&sentences[0].target).unwrap());
        assert!(
            prompt.starts_with("Words:") && prompt.contains("12 cts") && target.contains(&texts[0]),
            "{prompt} {target}"
        );
        assert!(example(1, 0).prompt.len() <= sentences[0].prompt);
        let long = vec!["word ".repeat(5000) + "."];
        assert!(matches!(objective(1).sentences(&long), Err(Error::Input { .. })));
    }
}
