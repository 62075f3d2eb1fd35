//! State of a distillation on the page.

use record::{Kept, Task, json_line};

use super::work::Work;
use protocol::{Filtered, Response, Run, Speed};

/// Number of siblings of the current context that are shown.
const SHOWN: usize = 60;

/// State of a distillation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distilling {
    /// State of the run.
    pub work: Work,
    /// Number of requested contexts.
    pub of: usize,
    /// Texts of the contexts so far.
    pub contexts: Vec<String>,
    /// The latest usable siblings of the current context, newest last.
    pub siblings: Vec<String>,
    /// Number of rows sampled so far.
    pub rows: u64,
    /// Speed of the run, when it has ended.
    pub speed: Speed,
}

impl Distilling {
    /// The state of a new run.
    #[must_use]
    pub fn begin(run: Run) -> Self {
        Self { work: Work::begin(run), ..Self::default() }
    }

    /// Updates the state by a response; responses of other runs are ignored.
    pub fn hear(&mut self, response: &Response) {
        self.work.hear(response);
        match response {
            Response::Context { run, of, text, .. } if *run == self.work.run => {
                self.of = *of;
                self.contexts.push(text.clone());
                self.siblings.clear();
            }
            Response::Siblings { run, sentences, rows, .. } if *run == self.work.run => {
                self.rows += u64::from(*rows);
                self.siblings.extend(sentences.iter().cloned());
                let surplus = self.siblings.len().saturating_sub(SHOWN);
                self.siblings.drain(..surplus);
            }
            Response::Done { run, speed, .. } if *run == self.work.run => self.speed = *speed,
            _ => {}
        }
    }

    /// A status message for screen readers.
    #[must_use]
    pub fn told(&self, pairs: &Filtered) -> String {
        match (&self.work.problem, self.work.run) {
            (Some(problem), _) => problem.what.clone(),
            (_, 0) => String::new(),
            _ if self.work.running => format!("Context {} of {}.", self.contexts.len().max(1), self.of.max(1)),
            _ => {
                let [p, s] = Task::ALL.map(|task| count(&pairs.kept, task));
                let how = if self.work.stopped { "Stopped" } else { "Done" };
                format!("{how}: {p} paraphrase and {s} summary pairs from {} contexts.", pairs.contexts)
            }
        }
    }
}

/// Number of pairs of a task.
#[must_use]
pub fn count(kept: &[Kept], task: Task) -> usize {
    kept.iter().filter(|k| k.scored.task == task).count()
}

/// The dataset as JSON Lines, one object with `text`, `target` and nested scores per pair, as `impossible inspect
/// --json` prints them.
#[must_use]
pub fn jsonl(kept: &[Kept]) -> String {
    kept.iter().filter_map(|k| serde_json::to_string(k).ok()).map(json_line).collect()
}

/// The dataset as CSV (RFC 4180).
#[must_use]
pub fn csv(kept: &[Kept]) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let number = |n: Option<f32>| n.map_or_else(String::new, |n| format!("{n:.4}"));
    let mut out = "task,text,target,forward,backward,rouge_l,length_ratio\r\n".to_owned();
    for k in kept {
        let s = &k.scored;
        let cells = [
            s.task.name().to_owned(),
            quote(&k.text),
            quote(&k.target),
            number(s.forward),
            number(s.backward),
            number(Some(s.rouge_l)),
            number(Some(s.length_ratio)),
        ];
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::rewriting::tests::version;

    #[test]
    fn the_newest_siblings_are_shown() {
        let mut state = Distilling::begin(1);
        let siblings = |run, n: usize| Response::Siblings {
            run,
            context: 0,
            sentences: (0..n).map(|i| format!("Sibling {i}.")).collect(),
            rows: 100,
        };
        state.hear(&Response::Context { run: 1, context: 0, of: 2, text: "A context.".into() });
        state.hear(&siblings(1, 50));
        state.hear(&siblings(1, 50));
        state.hear(&siblings(9, 50));
        assert_eq!((state.rows, state.siblings.len()), (200, SHOWN));
        assert_eq!(state.siblings.last().map(String::as_str), Some("Sibling 49."));
        state.hear(&Response::Context { run: 1, context: 1, of: 2, text: "Another.".into() });
        assert!(state.siblings.is_empty() && state.told(&Filtered::default()).contains("2 of 2"));
    }

    #[test]
    fn downloads_hold_every_pair() {
        let scored = version("", None).scored;
        let kept = [Kept { text: "He said \"no\", twice.".into(), target: "He refused.".into(), scored }];
        let table = csv(&kept);
        assert_eq!(table.lines().count(), 2);
        assert!(table.contains("\"He said \"\"no\"\", twice.\",\"He refused.\",0.9000,,0.7000,1.0000"), "{table}");
        let back: Vec<Kept> = jsonl(&kept).lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        assert_eq!(back, kept);
        assert_eq!((count(&kept, Task::Paraphrase), count(&kept, Task::Summary)), (1, 0));
    }
}
