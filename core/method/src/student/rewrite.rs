//! Rewriting sentences with a student: several versions of each sentence, judged by the critics.

use lm::decode::TextModel;
use lm::decode::drive::drive;
use lm::decode::group::{GroupBeamSearch, GroupOptions};
use lm::decode::process::{Processor, Processors};
use lm::decode::sample::SampleOptions;
use lm::decode::search::{self, BeamOptions, BeamSearch, EarlyStopping, Hypothesis};
use lm::decode::siblings::{Job, Limits, Stop, sample};
use record::monitor::Stage;
use record::random::Purpose;
use record::{Finish, Monitor, Refusal, Sample, Style, Task, Version};

use super::Format;
use super::likelihood::Likelihoods;
use crate::critic::Critics;
use crate::{Error, Result};

/// Sampling options and number of versions of a style.
#[must_use]
pub fn sampling(style: Style) -> (SampleOptions, u32) {
    let (temperature, top_p, samples) = match style {
        Style::Faithful => (0.4, 0.9, 8),
        Style::Balanced => (0.7, 0.9, 10),
        Style::Diverse => (1.0, 0.95, 16),
    };
    // A version may repeat n-grams of its source.
    let options = SampleOptions {
        temperature,
        top_p,
        no_repeat_ngram: 3,
        no_repeat_from_prompt: false,
        ..SampleOptions::default()
    };
    (options, samples)
}

/// How versions are generated.
#[derive(Debug, Clone)]
pub struct Options {
    /// Paraphrase or summary.
    pub task: Task,
    /// Length of a summary as a fraction of its source's, in characters.
    pub length: f32,
    /// Number of versions per sentence.
    pub samples: u32,
    /// Sampling options.
    pub sampling: SampleOptions,
    /// Beam search instead of sampling.
    pub beams: Option<Beams>,
    /// Rows decoded together, and most tokens of a version.
    pub limits: Limits,
    /// Seed of the random streams.
    pub seed: u64,
}

/// Beam search with [`Options::samples`] beams, which is deterministic and returns the most likely versions first.
#[derive(Debug, Clone, Copy)]
pub struct Beams {
    /// Exponent of the length by which log-probabilities are divided.
    pub length_penalty: f64,
    /// Subtracted from a token's log-probability for each beam that has just chosen it (diverse beam search,
    /// Vijayakumar et al., 2016); 0 = plain beam search.
    pub diversity_penalty: f64,
}

/// A source sentence with the versions that the student wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewritten {
    /// Number of the sentence in the run.
    pub number: u64,
    /// The source sentence.
    pub text: String,
    /// Whether the prompt leaves no room for a version, so that none was written.
    pub too_long: bool,
    /// All versions with their scores, in the order of the samples.
    pub versions: Vec<Version>,
}

impl Rewritten {
    /// The versions in the order of a style, without repeated texts.
    #[must_use]
    pub fn ranked(&self, style: Style) -> Vec<&Version> {
        let mut all: Vec<&Version> = self.versions.iter().collect();
        all.sort_by(|a, b| style.rank(a, b));
        let mut distinct: Vec<&Version> = Vec::new();
        for version in all {
            if distinct.iter().all(|v| v.text != version.text) {
                distinct.push(version);
            }
        }
        distinct
    }

    /// The best kept version by a style's ranking.
    #[must_use]
    pub fn best(&self, style: Style) -> Option<&Version> {
        self.versions.iter().filter(|v| v.kept()).min_by(|a, b| style.rank(a, b))
    }

    /// The kept version with the lowest ROUGE-L to its source (paper, section 3.3).
    #[must_use]
    pub fn most_different(&self) -> Option<&Version> {
        let kept = self.versions.iter().filter(|v| v.kept());
        kept.min_by(|a, b| a.scored.rouge_l.total_cmp(&b.scored.rouge_l).then(a.row.cmp(&b.row)))
    }
}

/// A student with the critics that judge its versions.
pub struct Rewriter<'a> {
    /// The student.
    pub student: &'a TextModel,
    /// The student's prompt format.
    pub format: &'a Format,
    /// The critics of its versions.
    pub critics: &'a mut Critics,
}

impl Rewriter<'_> {
    /// Writes versions of each source and judges them. A source is given as its number in the run, which selects its
    /// random stream, and its text. The monitor counts tokens and pairs, not sources.
    ///
    /// # Errors
    /// Errors of the models; [`crate::Error::Input`] for a task that the student was not trained on;
    /// [`crate::Error::Interrupted`] when the host asked to stop.
    pub async fn rewrite(
        &mut self,
        sources: &[(u64, &str)],
        options: &Options,
        monitor: &mut Monitor<'_>,
    ) -> Result<Vec<Rewritten>> {
        self.format.check(options.task)?;
        if self.format.damage.is_some() && options.beams.is_some() {
            let expected = "sampling: a reworder is given other words for each version";
            return Err(Error::input("--beams", expected, "beam search"));
        }
        let (mut out, mut jobs) = (Vec::with_capacity(sources.len()), Vec::new());
        for (source, &(number, text)) in sources.iter().enumerate() {
            let (room, task) = (options.limits.max_tokens, (options.task, options.length));
            let whole = self.student.prompt(&self.format.prompt(options.task, text, options.length), room);
            out.push(Rewritten { number, text: text.to_owned(), too_long: whole.is_err(), versions: Vec::new() });
            // A sentence that is too long is not damaged, however long it is.
            let Ok(whole) = whole else { continue };
            let mut add = |prompt, rows| {
                jobs.push((source, Job { context: number, prompt, rows, stop: Stop::EndOfText }));
            };
            if self.format.damage.is_none() {
                add(whole, 0..options.samples);
                continue;
            }
            let prompts = self.format.prompts(task, text, options.samples, (options.seed, number));
            for (row, prompt) in (0..).zip(&prompts) {
                // The words of a sentence that just fits may have a few more tokens than the sentence.
                if let Ok(prompt) = self.student.prompt(prompt, room) {
                    add(prompt, row..row + 1);
                }
            }
        }
        monitor.stage(Stage::Versions)?;
        let samples = self.samples(&jobs, options, monitor).await?;
        monitor.stage(Stage::Critics)?;
        let pairs: Vec<(&str, &str)> =
            samples.iter().map(|(i, sample)| (out[*i].text.as_str(), sample.text.as_str())).collect();
        let scored = self.critics.judge_pairs(options.task, &pairs, monitor).await?;
        for ((source, sample), mut scored) in samples.into_iter().zip(scored) {
            (scored.context, scored.x, scored.y) = (out[source].number, 0, sample.row);
            if sample.finish != Finish::EndOfText && sample.finish != Finish::Sentence {
                scored.refused_by = Some(Refusal::Unfinished);
            }
            out[source].versions.push(Version { source, row: sample.row, text: sample.text, scored });
        }
        if let (Some(damage), Some(most)) = (&self.format.damage, self.critics.panel.nll_max(options.task)) {
            let likelihoods = Likelihoods { reworder: self.student, format: self.format, damage, seed: options.seed };
            let mut versions: Vec<&mut Version> = out.iter_mut().flat_map(|r| &mut r.versions).collect();
            likelihoods.judge(sources, &mut versions, most, monitor).await?;
        }
        Ok(out)
    }

    /// Unjudged versions with the index of their source, ordered by source and row.
    async fn samples(
        &self,
        jobs: &[(usize, Job)],
        options: &Options,
        monitor: &mut Monitor<'_>,
    ) -> Result<Vec<(usize, Sample)>> {
        let Some(beams) = options.beams else {
            // The same sentence may be rewritten for both tasks with one seed, so each task has a purpose of its own.
            let purpose = match options.task {
                Task::Paraphrase => Purpose::Paraphrases,
                Task::Summary => Purpose::Summaries,
            };
            let sampler = self.student.sampler(options.sampling.clone())?;
            let all: Vec<Job> = jobs.iter().map(|(_, job)| job.clone()).collect();
            let rows = sample(self.student, &all, &sampler, options.limits, (options.seed, purpose), monitor).await?;
            let sources = jobs.iter().flat_map(|(source, job)| job.rows.clone().map(move |_| *source));
            return Ok(sources.zip(rows).collect());
        };
        let mut out = Vec::new();
        for (source, job) in jobs {
            monitor.tell()?;
            let found = search(self.student, &job.prompt, options, beams).await?;
            let rows = (0..).zip(found).map(|(row, hypothesis)| {
                let ended = hypothesis.finish == search::Finish::Eos;
                let tokens = &hypothesis.tokens[..hypothesis.tokens.len() - usize::from(ended)];
                Ok(Sample {
                    context: job.context,
                    row,
                    text: self.student.tokenizer.decode(tokens)?.trim().to_owned(),
                    tokens: u32::try_from(hypothesis.tokens.len()).unwrap_or(u32::MAX),
                    finish: if ended { Finish::EndOfText } else { Finish::Length },
                })
            });
            let rows = rows.collect::<Result<Vec<Sample>>>()?;
            monitor.sampled(&rows)?;
            out.extend(rows.into_iter().map(|row| (*source, row)));
        }
        Ok(out)
    }
}

/// The hypotheses of a beam search after a prompt, best first.
async fn search(student: &TextModel, prompt: &[u32], options: &Options, beams: Beams) -> Result<Vec<Hypothesis>> {
    let sampling = &options.sampling;
    // A search accepts at most 64 end tokens: the configuration's first; special tokens beyond these are banned.
    let own = &student.lm.sizes().eos;
    let others = student.ends.iter().filter(|id| !own.contains(id));
    let mut ends: Vec<u32> = own.iter().chain(others).copied().collect();
    let beyond = ends.split_off(ends.len().min(64));
    let banned = student.banned.iter().chain(&beyond).map(|&id| vec![id]).collect();
    let mut chain = vec![Processor::Banned(banned)];
    chain.extend((sampling.no_repeat_ngram > 0).then_some(Processor::NoRepeatNgram(sampling.no_repeat_ngram)));
    let (num_beams, max_new_tokens) = (options.samples as usize, options.limits.max_tokens);
    let (eos, processors) = (ends, Processors::new(chain)?);
    // n-grams of the prompt may be repeated, so the search gets its last token only.
    let seen = student.lm.sizes().start.or(prompt.last().copied()).unwrap_or(0);
    if beams.diversity_penalty != 0.0 {
        let mut search = GroupBeamSearch::new(
            GroupOptions {
                num_beams,
                num_groups: num_beams,
                diversity_penalty: beams.diversity_penalty,
                penalty_carried: true,
                max_new_tokens,
                length_penalty: beams.length_penalty,
                eos,
                processors,
            },
            &[seen],
        )?;
        drive(&student.lm, &student.compute, prompt, &mut search).await?;
        let mut found: Vec<Hypothesis> = search.finish().into_iter().flatten().collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        return Ok(found);
    }
    let early_stopping = EarlyStopping::False;
    let length_penalty = beams.length_penalty;
    let options = BeamOptions { num_beams, max_new_tokens, length_penalty, early_stopping, eos, processors };
    let mut search = BeamSearch::new(options, &[seen])?;
    drive(&student.lm, &student.compute, prompt, &mut search).await?;
    Ok(search.finish())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use lm::lanes::wait;
    use record::monitor::{Progress, Signal, Unwatched, Watch};
    use record::plan::Paraphrase;
    use record::{Error, Scored};

    use super::*;
    use crate::critic::Panel;
    use crate::reword::Damage;
    use crate::tiny;

    const SOURCES: [(u64, &str); 2] = [
        (5, "The company said it will pay a dividend of 12 cts a share on March 31, which is up from 10 cts."),
        (9, "The bank said its first quarter net profit rose to 3.2 mln dlrs from 2.9 mln dlrs a year earlier."),
    ];

    fn options(task: Task) -> Options {
        Options {
            task,
            length: 0.6,
            samples: 4,
            sampling: sampling(Style::Balanced).0,
            beams: None,
            limits: Limits { batch: 8, max_tokens: 40 },
            seed: 7,
        }
    }

    fn rewrite(
        sources: &[(u64, &str)],
        options: &Options,
        tasks: &[Task],
        watch: &mut dyn Watch,
    ) -> Result<Vec<Rewritten>> {
        let format = Format { tasks: tasks.to_vec(), ..tiny::student_format() };
        let mut critics = tiny::critics();
        let student = tiny::text_model("student");
        let mut rewriter = Rewriter { student: &student, format: &format, critics: &mut critics };
        wait(rewriter.rewrite(sources, options, &mut Monitor::new(watch, 0, 0)))
    }

    #[test]
    fn every_source_has_its_versions_in_order() {
        let long = "The company said it will pay a dividend. ".repeat(100);
        let sources = [SOURCES[0], (6, &long), SOURCES[1]];
        for task in Task::ALL {
            let written = rewrite(&sources, &options(task), &Task::ALL, &mut Unwatched).unwrap();
            let told: Vec<_> = written.iter().map(|r| (r.number, r.too_long, r.versions.len())).collect();
            assert_eq!(told, [(5, false, 4), (6, true, 0), (9, false, 4)]);
            for (at, rewritten) in written.iter().enumerate() {
                assert_eq!(rewritten.text, sources[at].1);
                for (row, version) in (0..).zip(&rewritten.versions) {
                    let s = &version.scored;
                    assert_eq!((version.source, version.row, s.task), (at, row, task));
                    assert_eq!((s.context, s.x, s.y), (rewritten.number, 0, row));
                    // A kept version is entailed by its source, and a kept summary is also shorter.
                    assert!(!version.kept() || s.forward.is_some_and(|p| p >= 0.5), "{version:?}");
                    assert!(task == Task::Paraphrase || !version.kept() || s.length_ratio < 0.8, "{version:?}");
                }
            }
            assert_eq!(written, rewrite(&sources, &options(task), &Task::ALL, &mut Unwatched).unwrap());
        }
        let [a, b] = [7, 8].map(|seed| Options { seed, ..options(Task::Summary) });
        let texts = |options: &Options| {
            let written = rewrite(&SOURCES, options, &Task::ALL, &mut Unwatched).unwrap();
            written.into_iter().flat_map(|r| r.versions).map(|v| v.text).collect::<Vec<_>>()
        };
        assert_ne!(texts(&a), texts(&b), "the seed changes nothing");
    }

    #[test]
    fn beams_give_the_same_distinct_versions_whatever_the_seed() {
        for diversity_penalty in [0.0, 0.5] {
            let beams = Some(Beams { length_penalty: 1.0, diversity_penalty });
            let found = [7, 8].map(|seed| {
                let options = Options { beams, seed, samples: 3, ..options(Task::Summary) };
                rewrite(&SOURCES, &options, &Task::ALL, &mut Unwatched).unwrap()
            });
            assert_eq!(found[0], found[1]);
            for rewritten in &found[0] {
                let rows: Vec<u32> = rewritten.versions.iter().map(|v| v.row).collect();
                assert_eq!(rows, (0..u32::try_from(rows.len()).unwrap()).collect::<Vec<_>>());
                assert!((1..=3).contains(&rows.len()));
                let distinct = rewritten.ranked(Style::Balanced).len();
                // In diverse beam search, groups of one beam each may end with the same text.
                assert!(distinct == rows.len() || diversity_penalty > 0.0, "{rewritten:?}");
            }
        }
    }

    #[test]
    fn a_task_that_was_not_taught_and_a_stop_give_nothing() {
        let refused = rewrite(&SOURCES, &options(Task::Paraphrase), &[Task::Summary], &mut Unwatched);
        assert!(matches!(refused, Err(Error::Input { .. })), "{refused:?}");
        let mut stop = |p: &Progress| if p.stage == Stage::Critics { Signal::Stop } else { Signal::Continue };
        for beams in [None, Some(Beams { length_penalty: 1.0, diversity_penalty: 0.0 })] {
            let options = Options { beams, ..options(Task::Summary) };
            assert_eq!(rewrite(&SOURCES, &options, &Task::ALL, &mut stop), Err(Error::Interrupted));
        }
        assert_eq!(rewrite(&[], &options(Task::Summary), &Task::ALL, &mut Unwatched), Ok(Vec::new()));
    }

    #[test]
    fn a_reworder_scores_what_the_other_critics_accept() {
        let student = tiny::text_model("student");
        let format = Format::reworder(false, Damage::writing());
        let mut critics = tiny::critics();
        let plan = tiny::plan();
        let scores = |most: Option<f32>, critics: &mut Critics| {
            let loose = Paraphrase::preset(record::plan::Critics::Paper);
            let paraphrase = Paraphrase { rouge_max: 0.99, entailment_min: 0.0, nll_max: most, ..loose };
            critics.panel = Panel::new(&paraphrase, &plan.summary);
            let mut rewriter = Rewriter { student: &student, format: &format, critics };
            let options = Options { samples: 12, ..options(Task::Paraphrase) };
            let mut watch = Unwatched;
            let written = wait(rewriter.rewrite(&SOURCES, &options, &mut Monitor::new(&mut watch, 0, 0))).unwrap();
            written.into_iter().flat_map(|r| r.versions).map(|v| v.scored).collect::<Vec<_>>()
        };
        let (off, all, none) =
            (scores(None, &mut critics), scores(Some(100.0), &mut critics), scores(Some(0.001), &mut critics));
        assert!(off.iter().any(Scored::kept) && off.iter().all(|s| s.nll.is_none()), "{off:?}");
        for ((off, all), none) in off.iter().zip(&all).zip(&none) {
            assert_eq!((off.kept(), off.kept()), (all.kept(), all.nll.is_some()));
            assert_eq!((all.nll, none.kept()), (none.nll, false));
            assert_eq!(off.kept(), none.refused_by == Some(Refusal::Nll));
        }
    }

    fn version(row: u32, text: &str, rouge_l: f32, forward: f32, refused_by: Option<Refusal>) -> Version {
        let scored = Scored {
            task: Task::Paraphrase,
            context: 3,
            x: 0,
            y: row,
            length_ratio: 1.0,
            rouge_l,
            numbers: None,
            entities: None,
            modality: None,
            cosine: None,
            forward: Some(forward),
            backward: Some(forward),
            nll: None,
            refused_by,
        };
        Version { source: 0, row, text: text.into(), scored }
    }

    #[test]
    fn versions_are_chosen_by_style_and_by_difference() {
        let versions = vec![
            version(0, "close", 0.9, 0.99, None),
            version(1, "far", 0.3, 0.8, None),
            version(2, "refused", 0.1, 1.0, Some(Refusal::Numbers)),
            version(3, "close", 0.9, 0.99, None),
        ];
        let rewritten = Rewritten { number: 3, text: "A.".into(), too_long: false, versions };
        assert_eq!(rewritten.most_different().unwrap().text, "far");
        assert_eq!(rewritten.best(Style::Faithful).unwrap().text, "close");
        assert_eq!(rewritten.best(Style::Diverse).unwrap().text, "far");
        let ranked: Vec<&str> = rewritten.ranked(Style::Faithful).iter().map(|v| v.text.as_str()).collect();
        assert_eq!(ranked, ["close", "far", "refused"]);
        // A likelihood weighs as much as an entailment.
        let mut unlikely = version(4, "unlikely", 0.3, 0.99, None);
        unlikely.scored.nll = Some(0.9);
        let mut likely = version(5, "likely", 0.5, 0.9, None);
        likely.scored.nll = Some(0.3);
        let scored = Rewritten { versions: vec![unlikely, likely], ..rewritten.clone() };
        for (style, best) in [(Style::Faithful, "likely"), (Style::Balanced, "likely"), (Style::Diverse, "unlikely")] {
            assert_eq!(scored.best(style).unwrap().text, best);
        }
        let none = Rewritten { versions: vec![version(0, "b", 0.2, 0.9, Some(Refusal::Copy))], ..rewritten };
        assert!(none.best(Style::Balanced).is_none() && none.most_different().is_none());
    }
}
