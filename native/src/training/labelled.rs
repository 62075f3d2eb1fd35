//! Training pairs of a critic: files of labelled pairs, siblings of runs, and labels by a larger critic.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use lm::lanes::wait;
use lm::scoring::PairModel;
use method::critic::SentenceSet;
use method::distill::pipeline::sentences;
use record::Monitor;
use record::random::{Purpose, Stream};
use record::{Error, Result};
use serde::{Deserialize, Serialize};
use text::metric::rouge::rouge_l;

use crate::fs::{io_error, read_small, sha256, write_file};
use crate::run::jsonl::each_line;
use crate::run::{RunFolder, Shard};

/// A premise and a hypothesis, with the probability of each label if known.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledPair {
    /// Group of the pair (its premise or context). Pairs of a group are either all trained on or all held out.
    pub group: u64,
    /// The premise.
    pub premise: String,
    /// The hypothesis.
    pub hypothesis: String,
    /// Probabilities in the order of the critic's labels.
    pub target: Option<Vec<f32>>,
}

#[derive(Deserialize)]
struct Line {
    premise: String,
    hypothesis: String,
    label: Option<String>,
    probabilities: Option<BTreeMap<String, f32>>,
}

fn place(labels: &[String], name: &str) -> std::result::Result<usize, String> {
    let found = labels.iter().position(|l| l.eq_ignore_ascii_case(name));
    found.ok_or_else(|| format!("has the label \"{name}\"; the critic's are {}", labels.join(", ")))
}

/// Sorts probabilities by label name into the order of `labels` and checks that they add up to 1.
fn ordered(labels: &[String], of: impl Iterator<Item = (String, f32)>) -> std::result::Result<Vec<f32>, String> {
    let mut target = vec![0.0; labels.len()];
    for (name, p) in of {
        target[place(labels, &name)?] = p;
    }
    let sum: f32 = target.iter().sum();
    if target.iter().all(|p| (0.0..=1.0).contains(p)) && (sum - 1.0).abs() < 0.01 {
        target.iter_mut().for_each(|p| *p /= sum);
        return Ok(target);
    }
    Err(format!("has probabilities that do not add up to 1: {target:?}"))
}

/// Reads `.jsonl` files of pairs with `premise`, `hypothesis` and optionally `label` (a name) or `probabilities` (by
/// name). Pairs with the same premise form a group.
///
/// # Errors
/// [`Error::Line`] with the first invalid line; errors of reading the files.
pub fn read(files: &[PathBuf], labels: &[String]) -> Result<Vec<LabelledPair>> {
    let (mut pairs, mut groups) = (Vec::new(), BTreeMap::new());
    for file in files {
        let rows = each_line(file, |line| {
            let line: Line = serde_json::from_str(line).map_err(|e| format!("is not a pair: {e}"))?;
            let clean = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let (premise, hypothesis) = (clean(&line.premise), clean(&line.hypothesis));
            if premise.is_empty() || hypothesis.is_empty() {
                return Err("has an empty premise or hypothesis".into());
            }
            let target = match (line.label, line.probabilities) {
                (None, None) => None,
                (Some(label), None) => Some(ordered(labels, [(label, 1.0)].into_iter())?),
                (None, Some(p)) => Some(ordered(labels, p.into_iter())?),
                (Some(_), Some(_)) => return Err("has a label and probabilities; one of them is enough".into()),
            };
            let next = groups.len() as u64;
            let group = *groups.entry(premise.clone()).or_insert(next);
            pairs.push(LabelledPair { group, premise, hypothesis, target });
            Ok(Vec::new())
        })?;
        rows.strict(file)?;
    }
    join_turned(&mut pairs);
    Ok(pairs)
}

/// Indices of pairs that occur in both directions, as (first, its reverse).
#[must_use]
pub fn both_ways<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(usize, usize)> {
    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    let mut both = Vec::new();
    for (i, (x, y)) in pairs.enumerate() {
        if let Some(&j) = seen.get(&(y, x)) {
            both.push((j, i));
        }
        seen.entry((x, y)).or_insert(i);
    }
    both
}

/// Joins the groups of a pair and its reverse, so that neither is trained on while the other is held out.
fn join_turned(pairs: &mut [LabelledPair]) {
    let both = both_ways(pairs.iter().map(|p| (p.premise.as_str(), p.hypothesis.as_str())));
    let mut parent: BTreeMap<u64, u64> = BTreeMap::new();
    fn root(parent: &BTreeMap<u64, u64>, mut group: u64) -> u64 {
        while let Some(&up) = parent.get(&group) {
            group = up;
        }
        group
    }
    for (x, y) in both {
        let (a, b) = (root(&parent, pairs[x].group), root(&parent, pairs[y].group));
        if a != b {
            parent.insert(a.max(b), a.min(b));
        }
    }
    for pair in pairs {
        pair.group = root(&parent, pair.group);
    }
}

/// First group number for runs, above those of files.
const RUNS: u64 = 1 << 48;

/// Draws at most `sample` pairs of siblings from each run and returns each in both directions. Half of them are pairs
/// that the run's entailment critic scored, if there are any. Of the others half are the most similar of eight random
/// pairs, and half are random pairs.
///
/// # Errors
/// Errors of reading the runs; [`Error::Input`] for a run without siblings.
pub fn siblings(runs: &[PathBuf], sample: usize, seed: u64) -> Result<Vec<LabelledPair>> {
    /// Number of successive draws without a new pair after which drawing stops.
    const PATIENCE: usize = 1000;
    let (mut pairs, mut groups) = (Vec::new(), BTreeMap::new());
    for (n, run) in (0..).zip(runs) {
        let mut drawn =
            Drawn { contexts: Vec::new(), asked: Vec::new(), stream: Stream::new(seed, Purpose::PairSample, n, 0) };
        for shard in RunFolder::open(run)?.shards()? {
            drawn.add(&shard?, &mut groups)?;
        }
        if drawn.contexts.is_empty() {
            return Err(Error::input(run.display(), "a run with siblings", "none"));
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut missed = 0;
        while seen.len() < sample && missed < PATIENCE {
            missed += 1;
            let Some((at, x, y)) = drawn.draw(seen.len()) else { continue };
            if x != y && seen.insert((at, x.min(y), x.max(y))) {
                missed = 0;
                let (group, siblings) = &drawn.contexts[at];
                let text = |i: u32| siblings.get(i).text.clone();
                let pair = |x, y| LabelledPair { group: *group, premise: text(x), hypothesis: text(y), target: None };
                pairs.extend([pair(x, y), pair(y, x)]);
            }
        }
    }
    Ok(pairs)
}

/// The siblings of a run, and the random stream that pairs are drawn with.
struct Drawn {
    contexts: Vec<(u64, SentenceSet)>,
    /// Pairs that the entailment critic scored: index of the context, and indices of both sentences.
    asked: Vec<(usize, u32, u32)>,
    stream: Stream,
}

impl Drawn {
    fn add(&mut self, shard: &Shard, groups: &mut BTreeMap<String, u64>) -> Result<()> {
        for context in &shard.contexts {
            let siblings = sentences(&shard.samples, context.id)?;
            if siblings.len() < 2 {
                continue;
            }
            let at = self.contexts.len();
            let asked = shard.scored.iter().filter(|s| s.context == context.id && s.forward.is_some());
            let places = asked.filter_map(|s| Some((at, siblings.index_of(s.x)?, siblings.index_of(s.y)?)));
            self.asked.extend(places);
            // A context that occurs in two runs is one group.
            let next = groups.len() as u64;
            let group = *groups.entry(context.text.clone()).or_insert(next);
            self.contexts.push((RUNS + group, siblings));
        }
        Ok(())
    }

    /// Draws the nth pair: index of the context, and indices of both sentences.
    fn draw(&mut self, n: usize) -> Option<(usize, u32, u32)> {
        /// Number of random candidates for a similar pair.
        const CHOICE: usize = 8;
        if n % 4 < 2 && !self.asked.is_empty() {
            return Some(self.asked[self.stream.below(self.asked.len())]);
        }
        let draws = if n.is_multiple_of(2) { CHOICE } else { 1 };
        let mut best: Option<(f64, u32, u32)> = None;
        let at = self.stream.below(self.contexts.len());
        let siblings = &self.contexts[at].1;
        for _ in 0..draws {
            let mut place = || u32::try_from(self.stream.below(siblings.len())).unwrap_or(0);
            let (x, y) = (place(), place());
            let likeness = rouge_l(&siblings.get(x).tokens, &siblings.get(y).tokens).f;
            if x != y && best.is_none_or(|(b, ..)| likeness > b) {
                best = Some((likeness, x, y));
            }
        }
        best.map(|(_, x, y)| (at, x, y))
    }
}

/// A file of a critic's probabilities.
#[derive(Serialize, Deserialize)]
struct Chunk {
    /// SHA-256 of the critic's hash, its labels and the pairs.
    asked: String,
    probabilities: Vec<Option<Vec<f32>>>,
}

/// Pairs per file, which is the most that an interrupted command has to score again.
const CHUNK: usize = 2048;

/// Scores the pairs without a target with a critic and uses its probabilities as their targets. Probabilities are saved
/// in `dir`, so that each pair is scored once. Pairs that are too long for the critic get no target. The monitor's
/// units are pairs without a target.
///
/// # Errors
/// Errors of the critic; [`Error::Input`] when its labels differ; [`Error::Io`] when reading or writing fails.
pub fn ask(
    (critic, critic_sha256): (&PairModel, &str),
    pairs: &mut [LabelledPair],
    labels: &[String],
    dir: &Path,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(io_error("creating", dir))?;
    let theirs = critic.labels().to_vec();
    let order = theirs.iter().map(|l| place(labels, l)).collect::<std::result::Result<Vec<_>, _>>();
    let order =
        order.map_err(|e| Error::input("--teacher-critic", "a critic of the same labels", format!("one that {e}")))?;
    let mut open: Vec<&mut LabelledPair> = pairs.iter_mut().filter(|p| p.target.is_none()).collect();
    for (i, chunk) in open.chunks_mut(CHUNK).enumerate() {
        let texts: Vec<(&str, &str)> = chunk.iter().map(|p| (p.premise.as_str(), p.hypothesis.as_str())).collect();
        let question = serde_json::to_vec(&(critic_sha256, &theirs, &texts));
        let question = sha256(&question.map_err(|e| Error::broken("pairs", e.to_string()))?);
        let file = dir.join(format!("{i:06}.json"));
        let kept = file.is_file().then(|| read_small(&file, 64 << 20)).transpose()?;
        let kept: Option<Chunk> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let probabilities = match kept.filter(|c| c.asked == question && c.probabilities.len() == texts.len()) {
            Some(chunk) => chunk.probabilities,
            None => {
                let probabilities = wait(critic.probabilities(&texts, monitor))?;
                let chunk = Chunk { asked: question, probabilities };
                let bytes = serde_json::to_vec(&chunk).map_err(|e| Error::broken("labels", e.to_string()))?;
                write_file(&file, &bytes)?;
                chunk.probabilities
            }
        };
        for (pair, p) in chunk.iter_mut().zip(probabilities) {
            pair.target = p.filter(|p| p.len() == order.len()).map(|p| {
                let mut target = vec![0.0; labels.len()];
                order.iter().zip(p).for_each(|(&at, p)| target[at] = p);
                target
            });
        }
        monitor.count(chunk.len() as u64);
        monitor.tell()?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_of_pairs() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("pairs.jsonl");
        let labels = ["entailment", "neutral", "contradiction"].map(str::to_owned);
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read(std::slice::from_ref(&file), &labels)
        };
        let pairs = read(
            "{\"premise\": \"It rained.\", \"hypothesis\": \"It was  wet.\", \"label\": \"Entailment\"}\n\
             {\"premise\": \"It rained.\", \"hypothesis\": \"Ann slept.\", \"probabilities\": {\"neutral\": 0.75, \"contradiction\": 0.25}}\n\
             {\"premise\": \"Ann slept.\", \"hypothesis\": \"It was late.\", \"more\": 1}\n\
             {\"premise\": \"It was wet.\", \"hypothesis\": \"It rained.\", \"label\": \"neutral\"}\n",
        )
        .unwrap();
        assert_eq!(pairs.iter().map(|p| p.group).collect::<Vec<_>>(), [0, 0, 1, 0]);
        assert_eq!(pairs[0].hypothesis, "It was wet.");
        let targets: Vec<Option<Vec<f32>>> = pairs.into_iter().map(|p| p.target).collect();
        assert_eq!(targets[..3], [Some(vec![1.0, 0.0, 0.0]), Some(vec![0.0, 0.75, 0.25]), None]);
        for (bad, why) in [
            ("{\"premise\": \"A.\", \"hypothesis\": \"B.\", \"label\": \"not_entailment\"}", "not_entailment"),
            ("{\"premise\": \"A.\", \"hypothesis\": \"B.\", \"probabilities\": {\"neutral\": 0.5}}", "add up to 1"),
            ("{\"premise\": \"A.\", \"hypothesis\": \" \"}", "empty"),
            ("{\"premise\": \"A.\"}", "hypothesis"),
            ("[]", "not a pair"),
        ] {
            let error = read(bad).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(why), "{error}");
        }
    }
}
