//! State of rewriting a text on the page.

use record::{Refusal, Task, Version, json_line};
use serde::Serialize;

use super::work::Work;
use protocol::{Response, Run, Speed};

/// A sentence and its versions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sentence {
    /// Text of the sentence.
    pub source: String,
    /// Texts of versions that are not judged yet.
    pub waiting: Vec<String>,
    /// Judged versions, best first; `None` until they are judged.
    pub versions: Option<Vec<Version>>,
    /// Why there are no versions.
    pub note: Option<String>,
}

impl Sentence {
    /// Versions that every critic kept.
    pub fn kept(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter().flatten().filter(|v| v.kept())
    }

    /// The best version, or the sentence itself.
    #[must_use]
    pub fn best(&self) -> &str {
        self.kept().next().map_or(&self.source, |v| &v.text)
    }
}

/// State of rewriting a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rewriting {
    /// State of the run.
    pub work: Work,
    /// Number of sentences of the text.
    pub of: usize,
    /// Sentences that have been started.
    pub sentences: Vec<Sentence>,
    /// Number of sentences that are judged.
    pub judged: usize,
    /// Speed of the run so far.
    pub speed: Speed,
}

/// State of rewriting a text, without its sentences.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Glance {
    /// State of the run.
    pub work: Work,
    /// Number of sentences that have been started.
    pub begun: usize,
    /// Number of sentences that are judged.
    pub judged: usize,
    /// Speed of the run so far.
    pub speed: Speed,
    /// Status message for screen readers.
    pub told: String,
}

/// A line of the JSON Lines download.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    target: &'a str,
    kept: bool,
    refused_by: &'a str,
    forward: Option<f32>,
    backward: Option<f32>,
    rouge_l: f32,
    length_ratio: f32,
}

impl Rewriting {
    /// The state of a new run.
    #[must_use]
    pub fn begin(run: Run) -> Self {
        Self { work: Work::begin(run), ..Self::default() }
    }

    /// Updates the state by a response; responses of other runs are ignored. Returns the index of the changed sentence.
    pub fn hear(&mut self, response: &Response) -> Option<usize> {
        self.work.hear(response);
        match response {
            Response::Reading { run, sentence, of, source } if *run == self.work.run => {
                self.of = *of;
                let place = self.place(*sentence);
                place.source.clone_from(source);
                return Some(*sentence);
            }
            Response::Written { run, sentence, versions } if *run == self.work.run => {
                self.place(*sentence).waiting.extend(versions.iter().cloned());
                return Some(*sentence);
            }
            Response::Judged { run, sentence, versions, note, speed } if *run == self.work.run => {
                let place = self.place(*sentence);
                place.waiting.clear();
                place.versions = Some(versions.clone());
                place.note.clone_from(note);
                self.speed = *speed;
                self.judged += 1;
                return Some(*sentence);
            }
            Response::Done { run, speed, .. } if *run == self.work.run => self.speed = *speed,
            _ => {}
        }
        None
    }

    fn place(&mut self, sentence: usize) -> &mut Sentence {
        if self.sentences.len() <= sentence {
            self.sentences.resize_with(sentence + 1, Sentence::default);
        }
        &mut self.sentences[sentence]
    }

    /// The state without the sentences, which may change with every response and is cheap to compare.
    #[must_use]
    pub fn glance(&self, task: Task) -> Glance {
        Glance {
            work: self.work.clone(),
            begun: self.sentences.len(),
            judged: self.judged,
            speed: self.speed,
            told: self.told(task),
        }
    }

    /// The text, with the best kept version of each sentence.
    #[must_use]
    pub fn text(&self) -> String {
        self.sentences.iter().map(Sentence::best).collect::<Vec<_>>().join(" ")
    }

    /// All judged versions as JSON Lines.
    #[must_use]
    pub fn jsonl(&self) -> String {
        let mut out = String::new();
        for sentence in &self.sentences {
            for v in sentence.versions.iter().flatten() {
                let s = &v.scored;
                let line = Line {
                    text: &sentence.source,
                    target: &v.text,
                    kept: v.kept(),
                    refused_by: s.refused_by.map_or("", Refusal::name),
                    forward: s.forward,
                    backward: s.backward,
                    rouge_l: s.rouge_l,
                    length_ratio: s.length_ratio,
                };
                out.push_str(&json_line(serde_json::to_string(&line).unwrap_or_default()));
            }
        }
        out
    }

    /// A status message for screen readers.
    #[must_use]
    pub fn told(&self, task: Task) -> String {
        let kept = self.sentences.iter().filter(|s| s.kept().next().is_some()).count();
        let word = if task == Task::Paraphrase { "paraphrase" } else { "summary" };
        match (&self.work.problem, self.work.running, self.work.run) {
            (Some(problem), ..) => problem.what.clone(),
            (_, true, _) => format!("Sentence {} of {}.", (self.judged + 1).min(self.of.max(1)), self.of.max(1)),
            (_, _, 0) => String::new(),
            _ if self.work.stopped => format!("Stopped after {} of {} sentences.", self.judged, self.of),
            _ => format!("Done: {kept} of {} sentences have a {word} that every critic kept.", self.of),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use record::Scored;

    use super::*;

    pub(crate) fn version(text: &str, refused_by: Option<Refusal>) -> Version {
        let scored = Scored {
            task: Task::Paraphrase,
            context: 0,
            x: 0,
            y: 0,
            length_ratio: 1.0,
            rouge_l: 0.7,
            numbers: None,
            entities: None,
            modality: None,
            cosine: None,
            forward: Some(0.9),
            backward: None,
            nll: None,
            refused_by,
        };
        Version { source: 0, row: 0, text: text.into(), scored }
    }

    #[test]
    fn a_run_from_first_to_last_answer() {
        let mut state = Rewriting::begin(3);
        let source = "It rained.".to_owned();
        assert_eq!(state.hear(&Response::Reading { run: 3, sentence: 0, of: 2, source }), Some(0));
        assert_eq!(
            state.hear(&Response::Reading { run: 2, sentence: 0, of: 9, source: "Of an older run.".into() }),
            None
        );
        state.hear(&Response::Written { run: 3, sentence: 0, versions: vec!["Rain fell.".into()] });
        assert_eq!((state.of, state.sentences[0].waiting.len(), state.text().as_str()), (2, 1, "It rained."));
        let versions = vec![version("Rain fell.", None), version("It rained.", Some(Refusal::Copy))];
        let speed = Speed { tokens: 4, ..Speed::default() };
        state.hear(&Response::Judged { run: 3, sentence: 0, versions, note: None, speed });
        assert_eq!((state.judged, state.text().as_str()), (1, "Rain fell."));
        assert!(state.sentences[0].waiting.is_empty() && state.told(Task::Paraphrase).contains("2 of 2"));
        assert_eq!(state.jsonl().lines().count(), 2);
        state.hear(&Response::Done { run: 3, stopped: true, speed });
        assert!(!state.work.running && state.told(Task::Paraphrase).contains("Stopped after 1 of 2"));
    }

    #[test]
    fn a_failure_ends_what_runs_and_keeps_what_is_there() {
        let problem = protocol::Problem { what: "The device is gone.".into(), step: "Reload.".into() };
        let mut state = Rewriting::begin(1);
        state.hear(&Response::Reading { run: 1, sentence: 0, of: 1, source: "It rained.".into() });
        state.hear(&Response::Failed { run: Some(1), problem: problem.clone() });
        assert_eq!(
            (state.work.running, state.work.problem.as_ref(), state.sentences.len()),
            (false, Some(&problem), 1)
        );
        let mut idle = Rewriting::default();
        idle.work.fail(problem);
        assert_eq!(idle, Rewriting::default());
    }
}
