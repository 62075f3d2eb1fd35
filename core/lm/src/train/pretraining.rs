//! Pretraining examples from running text, for training a domain model from scratch.

use serde::{Deserialize, Serialize};

use super::gradient::{Options, Precision};
use super::objective::{Likelihood, Objective};
use super::parameters::{Gradients, Parameters};
use super::{Batch, Example};
use crate::model::LanguageModel;
use crate::model::config::Config;
use crate::tokenizer::Tokenizer;
use crate::train_tokenizer::{SENTINELS, sentinel};
use crate::{Error, Result};
use record::random::{Purpose, Stream};
use text::sentence;

/// The pretraining task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Predict the next token.
    Causal,
    /// Predict the spans that were removed from the text (T5: Raffel et al. 2020, section 3.1.4).
    Spans,
    /// Reconstruct the whole text from one with spans removed (BART's text infilling: Lewis et al. 2020).
    Denoising,
}

/// Share of the tokens that is removed, and mean length of a removed span, as in T5.
const NOISE: f64 = 0.15;
const SPAN: f64 = 3.0;

/// A run of whole sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Index of the window in the corpus.
    pub number: u64,
    /// Index of its document; the windows of a document are either all trained on or all held out.
    pub document: u64,
    /// Whether it is the first window of its document.
    pub begins: bool,
    /// Token ids; the last window of a document ends with the end-of-text token.
    pub ids: Vec<u32>,
}

/// Splits each document into runs of whole sentences of at most `longest` tokens, not counting the end-of-text token.
/// Longer sentences are cut.
///
/// # Errors
/// The tokenizer's; [`Error::Input`] when there is no text.
pub fn windows(documents: &[String], tokenizer: &Tokenizer, longest: usize, end: u32) -> Result<Vec<Window>> {
    let longest = longest.max(2);
    let mut windows: Vec<Window> = Vec::new();
    for (document, text) in (0..).zip(documents) {
        let mut begins = true;
        let mut add = |ids: Vec<u32>| {
            let number = windows.len() as u64;
            windows.push(Window { number, document, begins: std::mem::take(&mut begins), ids });
        };
        let mut window: Vec<u32> = Vec::new();
        for text in sentence::split(text) {
            let mut ids = tokenizer.encode(&if window.is_empty() { text.to_owned() } else { format!(" {text}") })?;
            if !window.is_empty() && window.len() + ids.len() > longest {
                add(std::mem::take(&mut window));
                ids = tokenizer.encode(text)?;
            }
            window.extend(ids);
            while window.len() > longest {
                let rest = window.split_off(longest);
                add(std::mem::replace(&mut window, rest));
            }
        }
        if !window.is_empty() {
            window.push(end);
            add(window);
        }
    }
    if windows.is_empty() {
        return Err(Error::input("the corpus", "at least one text", "none"));
    }
    Ok(windows)
}

/// The pretraining objective. The removed spans differ between epochs.
///
/// A causal model learns how documents begin from `end`, which takes the place of the preceding text. Both what an
/// encoder reads and what its decoder writes end with `end`.
#[derive(Debug, Clone)]
pub struct Pretraining {
    /// The likelihood of the model's targets, which is maximised.
    pub likelihood: Likelihood,
    task: Task,
    end: u32,
    seed: u64,
    sentinels: Vec<u32>,
}

impl Pretraining {
    /// # Errors
    /// [`Error::Input`] when the tokenizer lacks the sentinel tokens, or the model does not suit the task;
    /// [`Error::Config`].
    pub fn new(config: Config, task: Task, tokenizer: &Tokenizer, end: u32, seed: u64) -> Result<Self> {
        let encoder = LanguageModel::sizes_of(&config)?.start.is_some();
        if encoder == (task == Task::Causal) {
            let expected = if encoder {
                "spans or denoising, as the model has an encoder"
            } else {
                "causal, as the model has no encoder"
            };
            return Err(Error::input("--task", expected, format!("{task:?}").to_lowercase()));
        }
        let sentinels: Vec<u32> = (0..SENTINELS).filter_map(|i| tokenizer.id(&sentinel(i))).collect();
        if task != Task::Causal && sentinels.len() < SENTINELS {
            let (first, last) = (sentinel(0), sentinel(SENTINELS - 1));
            let expected = format!("the tokens {first} to {last} (a tokenizer of `pretrain` has them)");
            return Err(Error::input("the tokenizer", expected, format!("{} of them", sentinels.len())));
        }
        Ok(Self { likelihood: Likelihood::new(config)?, task, end, seed, sentinels })
    }

    /// The training example made from a window in an epoch.
    #[must_use]
    pub fn example(&self, window: &Window, epoch: u64) -> Example {
        let (group, ids) = (window.document, &window.ids);
        if self.task == Task::Causal {
            let prompt = if window.begins { vec![self.end] } else { Vec::new() };
            return Example { group, prompt, target: ids.clone() };
        }
        let text = ids.strip_suffix(&[self.end]).unwrap_or(ids);
        let mut stream =
            Stream::new(self.seed, Purpose::Noise, window.number, u32::try_from(epoch).unwrap_or(u32::MAX));
        let (mut prompt, mut spans) = (Vec::new(), Vec::new());
        for (kept, left_out, mark) in corrupted(text, &self.sentinels, &mut stream) {
            prompt.extend_from_slice(kept);
            prompt.push(mark);
            spans.push(mark);
            spans.extend_from_slice(left_out);
        }
        prompt.push(self.end);
        let mut target = if self.task == Task::Spans { spans } else { text.to_vec() };
        target.push(self.end);
        Example { group, prompt, target }
    }
}

impl Objective for Pretraining {
    type Example = Window;
    type Batch = Batch;

    fn length(&self, window: &Window) -> usize {
        // What is read plus what is written.
        if self.task == Task::Denoising { 2 * window.ids.len() } else { window.ids.len() + 1 }
    }

    fn group(&self, window: &Window) -> u64 {
        window.document
    }

    fn batch(&self, windows: &[&Window], epoch: u64) -> Result<Batch> {
        let examples: Vec<Example> = windows.iter().map(|w| self.example(w, epoch)).collect();
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

/// Divides a text into alternating stretches to keep and to remove; each pair has a sentinel.
fn corrupted<'a>(text: &'a [u32], sentinels: &[u32], stream: &mut Stream) -> Vec<(&'a [u32], &'a [u32], u32)> {
    if text.len() < 2 {
        // Too short to remove only a part of it.
        return sentinels.first().map(|&mark| (&text[..0], text, mark)).into_iter().collect();
    }
    let noise = ((text.len() as f64 * NOISE).round() as usize).clamp(1, text.len() - 1);
    let spans = ((noise as f64 / SPAN).round() as usize).clamp(1, noise.min(text.len() - noise)).min(sentinels.len());
    let (kept, left_out) = (parts(text.len() - noise, spans, stream), parts(noise, spans, stream));
    let mut rest = text;
    let mut out = Vec::with_capacity(spans);
    for ((k, n), mark) in kept.into_iter().zip(left_out).zip(sentinels) {
        let (before, after) = rest.split_at(k.min(rest.len()));
        let (gone, after) = after.split_at(n.min(after.len()));
        out.push((before, gone, *mark));
        rest = after;
    }
    out
}

/// Divides `total` into `n` parts of at least 1, with all divisions equally likely.
fn parts(total: usize, n: usize, stream: &mut Stream) -> Vec<usize> {
    // Choose n - 1 of the total - 1 places between two tokens.
    let mut cuts = Vec::with_capacity(n + 1);
    let (mut wanted, mut places) = (n - 1, total - 1);
    for place in 1..total {
        if stream.below(places) < wanted {
            cuts.push(place);
            wanted -= 1;
        }
        places -= 1;
        if wanted == 0 {
            break;
        }
    }
    cuts.push(total);
    let mut before = 0;
    cuts.into_iter().map(|cut| cut - std::mem::replace(&mut before, cut)).collect()
}

#[cfg(test)]
mod tests {
    use crate::train_tokenizer::{END, Kind, train};

    use super::*;

    fn corpus() -> Vec<String> {
        let sentence = |i: usize| format!("Company {i} said its profit rose to {} mln dlrs in the quarter.", 3 * i);
        (0..60).map(|i| [sentence(i), sentence(i + 1), sentence(i + 2)].join(" ")).collect()
    }

    fn objective(task: Task, tokenizer: &Tokenizer) -> Result<Pretraining> {
        let config = if task == Task::Causal {
            r#"{"model_type": "llama", "hidden_size": 24, "num_attention_heads": 4, "num_hidden_layers": 1,
                "vocab_size": 600, "intermediate_size": 40}"#
        } else {
            r#"{"model_type": "t5", "d_model": 24, "d_kv": 6, "num_heads": 4, "num_layers": 1, "d_ff": 40,
                "vocab_size": 600}"#
        };
        Pretraining::new(Config::parse("config.json", config.as_bytes())?, task, tokenizer, END.0, 1)
    }

    #[test]
    fn windows_hold_every_token_of_whole_sentences() -> Result<()> {
        let (corpus, end) = (corpus(), END.0);
        let tokenizer = train(Kind::Bpe, &corpus, 600)?;
        let windows = windows(&corpus, &tokenizer, 40, end)?;
        assert!(windows.iter().all(|w| w.ids.len() <= 41));
        for (number, document) in corpus.iter().enumerate() {
            let mine: Vec<&Window> = windows.iter().filter(|w| w.document == number as u64).collect();
            let texts = mine.iter().map(|w| tokenizer.decode(&w.ids)).collect::<Result<Vec<_>>>()?;
            assert_eq!(&texts.join(" "), document);
            assert!(texts.iter().all(|t| t.starts_with("Company") && t.ends_with('.')), "{texts:?}");
            assert_eq!(mine.iter().filter(|w| w.ids.last() == Some(&end)).count(), 1);
            assert!(mine[0].begins && mine[1..].iter().all(|w| !w.begins));
        }
        // An overlong sentence is cut.
        let long = vec!["word ".repeat(500)];
        assert!(super::windows(&long, &tokenizer, 32, end)?.iter().all(|w| w.ids.len() <= 33));
        assert!(super::windows(&[" ".into()], &tokenizer, 32, end).is_err());

        let causal = objective(Task::Causal, &tokenizer)?;
        let begun = windows.iter().filter(|w| causal.example(w, 0).prompt == [end]);
        assert_eq!(begun.count(), corpus.len());
        Ok(())
    }

    #[test]
    fn spans_put_back_give_the_text() -> Result<()> {
        let (corpus, end) = (corpus(), END.0);
        let tokenizer = train(Kind::Bpe, &corpus, 600)?;
        let windows = windows(&corpus, &tokenizer, 64, end)?;
        let spans = objective(Task::Spans, &tokenizer)?;
        assert_eq!(spans.example(&windows[0], 3), spans.example(&windows[0], 3));
        assert_ne!(spans.example(&windows[0], 0), spans.example(&windows[0], 1));
        let marks: Vec<u32> = (0..SENTINELS).filter_map(|i| tokenizer.id(&sentinel(i))).collect();
        let (mut all, mut gone) = (0, 0);
        for window in &windows {
            let (example, ids) = (spans.example(window, 0), &window.ids);
            let text = ids.strip_suffix(&[end]).unwrap_or(ids);
            let span = |mark: u32| {
                let from = example.target.iter().position(|&t| t == mark).map_or(0, |i| i + 1);
                let rest = &example.target[from..example.target.len() - 1];
                rest.iter().copied().take_while(|t| !marks.contains(t)).collect::<Vec<u32>>()
            };
            let read = example.prompt.strip_suffix(&[end]).unwrap_or_default();
            let back: Vec<u32> =
                read.iter().flat_map(|&t| if marks.contains(&t) { span(t) } else { vec![t] }).collect();
            assert_eq!(back, text);
            all += text.len();
            gone += text.len() - read.iter().filter(|t| !marks.contains(t)).count();
        }
        assert!((10..20).contains(&(100 * gone / all)), "{gone} of {all}");
        let denoising = objective(Task::Denoising, &tokenizer)?.example(&windows[0], 0);
        assert_eq!(denoising.prompt, spans.example(&windows[0], 0).prompt);
        let text = windows[0].ids.strip_suffix(&[end]).unwrap_or(&windows[0].ids);
        assert_eq!(denoising.target, [text, &[end]].concat());
        let one = Window { number: 0, document: 0, begins: true, ids: vec![50, end] };
        assert_eq!(spans.example(&one, 0).target, [marks[0], 50, end]);
        Ok(())
    }

    #[test]
    fn parts_are_whole_and_of_any_size() {
        let mut stream = Stream::new(1, Purpose::Other, 3, 4);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let found = parts(6, 3, &mut stream);
            assert!(found.len() == 3 && found.iter().sum::<usize>() == 6 && found.iter().all(|&n| n > 0), "{found:?}");
            seen.insert(found);
        }
        assert_eq!(seen.len(), 10, "5 places, 2 cuts");
        assert_eq!((parts(4, 1, &mut stream), parts(3, 3, &mut stream)), (vec![4], vec![1, 1, 1]));
    }
}
