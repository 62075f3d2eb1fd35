//! Training a student on pairs.

use std::collections::BTreeMap;

use burn::tensor::DType;
use lm::decode::TextModel;
use lm::device::Compute;
use lm::model::config::Config;
use lm::model::loader::Source;
use lm::model::save::Trained;
use lm::model::{LanguageModel, ModelFolder};
use lm::tokenizer::Tokenizer;
use lm::train::Parameters;
use lm::train::objective::{Likelihood, Objective};
use lm::train::trainer::{Settings, Trainer};
use record::{Kept, Task};

use super::examples::{Examples, balanced, examples};
use super::format::{self, Format};
use super::rewording::Rewording;
use crate::Result;
use crate::reword::Damage;

/// Number of parameters below which all weights are trained, as adapters would save nothing.
pub const SMALL: usize = 10_000_000;

/// Training settings for a student with this number of parameters: low-rank adapters, or all weights if `whole` is set
/// or the model is small.
#[must_use]
pub fn settings(parameters: usize, whole: bool) -> Settings {
    let small = parameters < SMALL;
    match whole || small {
        true => Settings { lora: None, learning_rate: if small { 5e-4 } else { 3e-5 }, ..Settings::default() },
        false => Settings::default(),
    }
}

/// The default prompt format for a student of this architecture.
///
/// # Errors
/// As [`LanguageModel::sizes_of`].
pub fn format_for(base: &ModelFolder, tasks: &[Task]) -> Result<Format> {
    Ok(match LanguageModel::sizes_of(&base.config)?.start {
        Some(_) => Format::encoder_decoder(tasks),
        None => Format::causal(tasks),
    })
}

/// A student in training.
pub struct Lesson<O: Objective = Likelihood> {
    /// The training, whose steps the caller takes.
    pub trainer: Trainer<O>,
    /// The student without its weights.
    pub frame: Frame,
    /// Number of dropped examples, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// A student without its weights: configuration, tokenizer and prompt format.
pub struct Frame {
    /// The prompt format.
    pub format: Format,
    config: Config,
    tokenizer: Tokenizer,
    /// Id of the end-of-text token.
    end: u32,
    compute: Compute,
}

impl Lesson {
    /// A training of the base model on `pairs`, at step 0; the rarer task's examples are repeated.
    ///
    /// # Errors
    /// Errors of reading the base model; [`crate::Error::Input`] without pairs that fit the model, or for settings out
    /// of range.
    pub fn new(
        base: &ModelFolder,
        pairs: &[Kept],
        format: Format,
        settings: Settings,
        seed: u64,
        compute: &Compute,
    ) -> Result<Self> {
        let frame = Frame::new(base, format, compute)?;
        let sizes = LanguageModel::sizes_of(&frame.config)?;
        let ends = (frame.end, sizes.start.is_some());
        let made = examples(&frame.format, pairs, &frame.tokenizer, ends, sizes.positions)?;
        let Examples { examples, dropped, .. } = balanced(made);
        let parameters = Parameters::read(&base.tensors, settings.lora.clone(), seed, &compute.device)?;
        let objective = Likelihood::new(frame.config.clone())?;
        let trainer = Trainer::new(objective, parameters, settings, examples, seed)?;
        Ok(Self { trainer, frame, dropped })
    }
}

impl Lesson<Rewording> {
    /// A training of the base model as a reworder, on sentences alone, at step 0. `format` has the damage of versions,
    /// `damage` is that of training.
    ///
    /// # Errors
    /// As [`Lesson::new`].
    pub fn rewording(
        base: &ModelFolder,
        sentences: &[String],
        (format, damage): (Format, Damage),
        settings: Settings,
        seed: u64,
        compute: &Compute,
    ) -> Result<Self> {
        let frame = Frame::new(base, format, compute)?;
        let ends = (frame.tokenizer.clone(), frame.end);
        let objective = Rewording::new(&frame.config, ends, frame.format.clone(), damage, seed)?;
        let (examples, longer) = objective.sentences(sentences)?;
        let parameters = Parameters::read(&base.tensors, settings.lora.clone(), seed, &compute.device)?;
        let trainer = Trainer::new(objective, parameters, settings, examples, seed)?;
        let dropped = [("longer than the model's context", longer as u64)];
        Ok(Self { trainer, frame, dropped: dropped.into_iter().filter(|(_, n)| *n > 0).collect() })
    }
}

impl<O: Objective> Lesson<O> {
    /// The student as the files of a model folder, with adapters merged into the weights.
    ///
    /// # Errors
    /// [`crate::Error::Device`] when the weights cannot be read back.
    pub async fn trained(&self) -> Result<Trained> {
        let Frame { format, config, tokenizer, end, .. } = &self.frame;
        let weights = self.trainer.parameters.merged().await?;
        let mut trained = Trained::new(config, tokenizer, (Some(*end), config.pad()), weights)?;
        trained.extra.push((format::FILE, format.to_bytes()?));
        Ok(trained)
    }
}

impl Frame {
    fn new(base: &ModelFolder, format: Format, compute: &Compute) -> Result<Self> {
        let (config, tokenizer, end) = (base.config.clone(), base.tokenizer()?.clone(), base.end()?);
        Ok(Self { format, config, tokenizer, end, compute: compute.clone() })
    }

    /// The student as a language model with these weights.
    ///
    /// # Errors
    /// Errors of building the model.
    pub fn student(&self, parameters: &Parameters) -> Result<TextModel> {
        let live = parameters.live(false, DType::F32);
        let lm = LanguageModel::build(&self.config, Source::Live(&live), &self.compute.device)?;
        Ok(TextModel::new(lm, self.tokenizer.clone(), &self.compute))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use lm::decode::sample::SampleOptions;
    use lm::decode::siblings::{Job, Limits, Stop, sample};
    use lm::lanes::wait;
    use record::monitor::Unwatched;
    use record::random::Purpose;
    use record::{Error, Monitor, Scored};

    use super::*;
    use crate::tiny;

    fn pair(context: u64, task: Task, text: &str, target: &str) -> Kept {
        let scored = Scored {
            task,
            context,
            x: 0,
            y: 1,
            length_ratio: 1.0,
            rouge_l: 0.5,
            numbers: None,
            entities: None,
            modality: None,
            cosine: None,
            forward: Some(0.9),
            backward: None,
            nll: None,
            refused_by: None,
        };
        Kept { text: text.into(), target: target.into(), scored }
    }

    /// Three pairs, which give four examples, since a paraphrase is learned in both directions.
    fn pairs() -> Vec<Kept> {
        vec![
            pair(0, Task::Paraphrase, "The firm raised its dividend.", "Its dividend was raised by the firm."),
            pair(1, Task::Summary, "The bank, which is old, cut its prime rate.", "The bank cut its prime rate."),
            pair(2, Task::Summary, "Sales, it said, fell in the first quarter.", "Sales fell in the first quarter."),
        ]
    }

    fn lesson(pairs: &[Kept], epochs: u64) -> Result<Lesson> {
        let base = tiny::folder("student");
        let format = format_for(&base, &Task::ALL)?;
        let settings = Settings { epochs, batch: 2, validation: 0.0, ..settings(base.parameters(), false) };
        Lesson::new(&base, pairs, format, settings, 3, &tiny::compute())
    }

    fn weights(lesson: &Lesson) -> std::collections::BTreeMap<String, (Vec<usize>, Vec<f32>)> {
        wait(lesson.trainer.parameters.merged()).unwrap()
    }

    #[test]
    fn two_steps_over_three_pairs_change_the_student_and_it_writes() {
        let mut taught = lesson(&pairs(), 1).unwrap();
        assert_eq!((taught.trainer.sizes(), taught.trainer.total()), ((4, 0), 2));
        assert_eq!(taught.frame.format, tiny::student_format());
        let before = weights(&taught);
        for step in 1..=2 {
            let report = wait(taught.trainer.step()).unwrap();
            assert!(report.step == step && report.loss.is_finite() && report.norm > 0.0, "{report:?}");
        }
        assert!(taught.trainer.finished());
        let after = weights(&taught);
        assert!(before.keys().eq(after.keys()));
        assert!(after.values().all(|(_, values)| values.iter().all(|v| v.is_finite())));
        assert_ne!(before, after);

        // The same steps give the same weights.
        let mut again = lesson(&pairs(), 1).unwrap();
        for _ in 0..2 {
            wait(again.trainer.step()).unwrap();
        }
        assert_eq!(weights(&again), after);

        // The current student can generate, and its folder contains the prompt format.
        let student = taught.frame.student(&taught.trainer.parameters).unwrap();
        let prompt = student.prompt(&taught.frame.format.prompt(Task::Summary, &pairs()[1].text, 0.6), 20).unwrap();
        let job = Job { context: 0, prompt, rows: 0..2, stop: Stop::EndOfText };
        let sampler = student.sampler(SampleOptions::default()).unwrap();
        let limits = Limits { batch: 2, max_tokens: 20 };
        let mut unwatched = Unwatched;
        let mut monitor = Monitor::new(&mut unwatched, 0, 0);
        let rows = wait(sample(&student, &[job], &sampler, limits, (1, Purpose::Other), &mut monitor)).unwrap();
        assert!(rows.len() == 2 && rows.iter().all(|row| row.tokens > 0), "{rows:?}");
        let trained = wait(taught.trained()).unwrap();
        assert_eq!(trained.extra, [(format::FILE, taught.frame.format.to_bytes().unwrap())]);
        assert_eq!(trained.weights, after);
    }

    #[test]
    fn what_is_taught_again_and_again_is_learned() {
        let mut lesson = lesson(&pairs(), 12).unwrap();
        let mut losses = Vec::new();
        while !lesson.trainer.finished() {
            losses.push(wait(lesson.trainer.step()).unwrap().loss);
        }
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&losses[..4]), mean(&losses[losses.len() - 4..]));
        assert!(last < 0.8 * first, "{losses:?}");
    }

    #[test]
    fn pairs_that_cannot_be_read_are_dropped_and_without_any_there_is_no_lesson() {
        let long = "The firm said its dividend was raised. ".repeat(200);
        let mut some = pairs();
        some.push(pair(3, Task::Summary, &long, "It was raised."));
        let lesson_of_some = lesson(&some, 1).unwrap();
        assert_eq!(lesson_of_some.dropped.values().sum::<u64>(), 1);
        assert_eq!(lesson_of_some.trainer.sizes(), (4, 0));
        for none in [&some[3..], &[]] {
            assert!(matches!(lesson(none, 1), Err(Error::Input { .. })));
        }
    }
}
