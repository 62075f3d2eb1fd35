//! Blind judgement by people: a reproducible sample of kept and refused pairs, the answers, and the precision.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use record::{Error, Result, json_line};
use record::{Kept, Scored, Task};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fs::io_error;

/// Name of the file of answers in a run folder.
pub const JUDGEMENTS: &str = "judgements.jsonl";
const MOST_BYTES: u64 = 1 << 28;

/// Identifies a pair within a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PairId {
    /// The task.
    pub task: Task,
    /// Number of the context.
    pub context: u64,
    /// Row of the source sentence.
    pub x: u32,
    /// Row of the target sentence.
    pub y: u32,
}

impl From<&Scored> for PairId {
    fn from(s: &Scored) -> Self {
        Self { task: s.task, context: s.context, x: s.x, y: s.y }
    }
}

/// A pair to judge; its scores are hidden until [`Question::reveal`].
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pair: Kept,
}

impl Question {
    /// Identifier of the pair.
    #[must_use]
    pub fn id(&self) -> PairId {
        (&self.pair.scored).into()
    }

    /// The source sentence.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.pair.text
    }

    /// The target sentence.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.pair.target
    }

    /// The record of an answer about this pair.
    #[must_use]
    pub fn judged(&self, answer: Answer) -> Judgement {
        Judgement { pair: self.id(), kept: self.pair.scored.kept(), answer }
    }

    /// The pair with its scores.
    #[must_use]
    pub fn reveal(self) -> Kept {
        self.pair
    }
}

/// Draws pairs uniformly from a stream. The same seed draws the same pairs, independently of their order.
#[derive(Debug)]
pub struct Draw {
    seed: u64,
    /// For kept and for refused pairs: how many to draw, and the pairs drawn so far by key.
    sides: [(usize, BTreeMap<[u8; 32], Kept>); 2],
}

impl Draw {
    /// A draw of at most `kept` kept and `refused` refused pairs.
    #[must_use]
    pub fn new(seed: u64, kept: usize, refused: usize) -> Self {
        Self { seed, sides: [(kept, BTreeMap::new()), (refused, BTreeMap::new())] }
    }

    /// Offers a pair.
    pub fn offer(&mut self, pair: &Kept) {
        let (most, drawn) = &mut self.sides[usize::from(!pair.scored.kept())];
        let key = key(b"draw", self.seed, (&pair.scored).into());
        if *most == 0 || (drawn.len() >= *most && drawn.last_key_value().is_some_and(|(last, _)| key >= *last)) {
            return;
        }
        if let Entry::Vacant(place) = drawn.entry(key) {
            place.insert(pair.clone());
            if drawn.len() > *most {
                drawn.pop_last();
            }
        }
    }

    /// The drawn pairs, kept and refused ones in random order.
    #[must_use]
    pub fn finish(self) -> Vec<Question> {
        let mut out: Vec<_> =
            self.sides.into_iter().flat_map(|(_, d)| d.into_values()).map(|pair| Question { pair }).collect();
        out.sort_by_cached_key(|q| key(b"mix", self.seed, q.id()));
        out
    }
}

/// A pseudo-random sort key of a pair.
fn key(purpose: &[u8], seed: u64, pair: PairId) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(purpose);
    digest.update(seed.to_le_bytes());
    digest.update([pair.task as u8]);
    digest.update(pair.context.to_le_bytes());
    digest.update(pair.x.to_le_bytes());
    digest.update(pair.y.to_le_bytes());
    digest.finalize().into()
}

/// An answer to whether y is a good paraphrase or summary of x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// x and y are equivalent (paraphrase), or x entails y (summary).
    Yes,
    /// A detail differs.
    Partly,
    /// Neither of the above.
    No,
}

/// An answer with its pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The judged pair.
    #[serde(flatten)]
    pub pair: PairId,
    /// Whether the critics kept the pair.
    pub kept: bool,
    /// The person's answer.
    pub answer: Answer,
}

/// The answers in `judgements.jsonl`. A later answer about a pair replaces an earlier one.
#[derive(Debug)]
pub struct Judgements {
    path: PathBuf,
    answers: BTreeMap<PairId, Judgement>,
}

impl Judgements {
    /// Reads the file; if it does not exist, there are no answers yet. An unfinished last line of a killed process is
    /// ignored.
    ///
    /// # Errors
    /// [`Error::Io`] when reading fails; [`Error::Line`] for an invalid line.
    pub fn open(path: &Path) -> Result<Self> {
        let mut answers = BTreeMap::new();
        if path.exists() {
            let bytes = crate::fs::read_small(path, MOST_BYTES)?;
            let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
            for (i, line) in bytes[..whole].split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.is_empty()) {
                let file = path.display().to_string();
                let judgement: Judgement = serde_json::from_slice(line).map_err(|e| Error::Line {
                    file,
                    line: i + 1,
                    reason: e.to_string(),
                })?;
                answers.insert(judgement.pair, judgement);
            }
        }
        Ok(Self { path: path.into(), answers })
    }

    /// Appends an answer to the file and syncs it.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails.
    pub fn record(&mut self, judgement: Judgement) -> Result<()> {
        let line = serde_json::to_string(&judgement).map_err(|e| Error::io("writing", self.path.display(), e))?;
        append(&self.path, json_line(line).as_bytes()).map_err(io_error("writing", &self.path))?;
        self.answers.insert(judgement.pair, judgement);
        Ok(())
    }

    /// The answer about a pair, if there is one.
    #[must_use]
    pub fn get(&self, pair: &PairId) -> Option<Answer> {
        self.answers.get(pair).map(|j| j.answer)
    }

    /// All answers, ordered by pair.
    pub fn iter(&self) -> impl Iterator<Item = &Judgement> {
        self.answers.values()
    }

    /// Counts of the answers about a task's kept (or refused) pairs.
    #[must_use]
    pub fn tally(&self, task: Task, kept: bool) -> Tally {
        let mut tally = Tally::default();
        for j in self.iter().filter(|j| j.pair.task == task && j.kept == kept) {
            match j.answer {
                Answer::Yes => tally.yes += 1,
                Answer::Partly => tally.partly += 1,
                Answer::No => tally.no += 1,
            }
        }
        tally
    }
}

/// Appends one line in one write, with the file locked, after removing an unfinished last line of a killed process.
fn append(path: &Path, line: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.lock() {
        Err(e) if e.kind() != std::io::ErrorKind::Unsupported => return Err(e),
        _ => {}
    }
    let end = file.seek(SeekFrom::End(0))?;
    let tail = end.min(1 << 12);
    file.seek(SeekFrom::Start(end - tail))?;
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(tail).read_to_end(&mut bytes)?;
    let torn = bytes.len() - bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let end = end - torn as u64;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    file.write_all(line)?;
    file.sync_all()
}

/// Counts of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of [`Answer::Yes`].
    pub yes: u64,
    /// Number of [`Answer::Partly`].
    pub partly: u64,
    /// Number of [`Answer::No`].
    pub no: u64,
}

impl Tally {
    /// Number of all answers.
    #[must_use]
    pub fn total(self) -> u64 {
        self.yes + self.partly + self.no
    }

    /// Fraction of "yes" with its 95 % interval; "partly" counts as wrong.
    #[must_use]
    pub fn strict(self) -> Option<Share> {
        wilson(self.yes, self.total())
    }

    /// Fraction of "yes" and "partly" with its 95 % interval.
    #[must_use]
    pub fn lenient(self) -> Option<Share> {
        wilson(self.yes + self.partly, self.total())
    }
}

/// A fraction with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Successes divided by trials.
    pub value: f64,
    /// Lower bound of the interval.
    pub low: f64,
    /// Upper bound of the interval.
    pub high: f64,
}

/// Wilson score interval (Wilson, 1927) at 95 %; `None` without trials.
#[must_use]
pub fn wilson(successes: u64, trials: u64) -> Option<Share> {
    const Z: f64 = 1.959_963_984_540_054;
    if trials == 0 {
        return None;
    }
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let scale = 1.0 + Z * Z / n;
    let middle = (p + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(Share { value: p, low: (middle - half).max(0.0), high: (middle + half).min(1.0) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::fixture::range_data;
    use super::*;

    fn pairs() -> Vec<Kept> {
        let scored = range_data(&(0..40)).scored;
        scored.into_iter().map(|s| Kept { text: "x".into(), target: "y".into(), scored: s }).collect()
    }

    fn draw(seed: u64, pairs: &[Kept]) -> Vec<Question> {
        let mut draw = Draw::new(seed, 10, 20);
        pairs.iter().for_each(|p| draw.offer(p));
        draw.finish()
    }

    #[test]
    fn draw_repeats_whatever_the_order_and_mixes_both_sides() {
        let mut pairs = pairs();
        let first = draw(1, &pairs);
        pairs.reverse();
        assert_eq!(first, draw(1, &pairs));
        assert_ne!(first, draw(2, &pairs));
        let kept: Vec<_> = first.iter().map(|q| q.judged(Answer::No).kept).collect();
        assert_eq!((kept.len(), kept.iter().filter(|k| **k).count()), (30, 10));
        assert!(kept[..15].iter().any(|k| *k) && kept[15..].iter().any(|k| *k));
    }

    #[test]
    fn answers_survive_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(JUDGEMENTS);
        let questions = draw(1, &pairs());
        let mut judgements = Judgements::open(&path).unwrap();
        for q in &questions[..3] {
            judgements.record(q.judged(Answer::No)).unwrap();
        }
        judgements.record(questions[0].judged(Answer::Yes)).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"task\":\"para").unwrap();
        let mut judgements = Judgements::open(&path).unwrap();
        assert_eq!(judgements.iter().count(), 3);
        assert_eq!(judgements.get(&questions[0].id()), Some(Answer::Yes));
        judgements.record(questions[3].judged(Answer::Partly)).unwrap();
        let again = Judgements::open(&path).unwrap();
        assert_eq!(again.iter().count(), 4);
        let total: u64 = Task::ALL.iter().flat_map(|t| [true, false].map(|kept| again.tally(*t, kept).total())).sum();
        assert_eq!(total, 4);
        std::fs::write(&path, "\nno json\n").unwrap();
        assert!(matches!(Judgements::open(&path), Err(Error::Line { line: 2, .. })));
    }

    #[test]
    fn wilson_matches_published_values() {
        let close = |s: Share, low: f64, high: f64| (s.low - low).abs() < 5e-4 && (s.high - high).abs() < 5e-4;
        assert!(close(wilson(81, 263).unwrap(), 0.2553, 0.3662));
        assert!(close(wilson(0, 20).unwrap(), 0.0, 0.1611));
        assert!(close(wilson(10, 10).unwrap(), 0.7225, 1.0));
        assert_eq!(wilson(0, 0), None);
    }
}
