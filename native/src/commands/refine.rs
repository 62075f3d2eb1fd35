//! `impossible refine`: self-distillation (paper, section 3.3). The student rewrites fresh sentences, the same critics
//! judge, and of each sentence the version worded most differently becomes a pair of the next student's data.
//!
//! ```text
//! RUN/refine/refine.toml        what the pairs depend on
//! RUN/refine/sources.jsonl      the sentences
//! RUN/refine/parts/00000000.json     pairs and counts of 64 sentences
//! RUN/refine/dataset/           as a run's dataset
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use impossible_core::Error;
use impossible_core::critic::{Panel, SentenceEncoder};
use impossible_core::decode::sample::SampleOptions;
use impossible_core::decode::siblings::Limits;
use impossible_core::device::DeviceSpec;
use impossible_core::distill::contexts::make;
use impossible_core::event::{Event, Stage};
use impossible_core::plan::Source;
use impossible_core::record::{Funnel, FunnelStep, Kept, Task};
use impossible_core::student::rewrite::{Options, judge, most_different, versions};
use impossible_core::text::sentence;
use serde::{Deserialize, Serialize};

use super::rewrite::open_student;
use super::train::{Request, told, train};
use super::{Session, distill, wait};
use crate::args::{Refine, TrainFlags};
use crate::progress::{Progress, stop_flag};
use crate::run::RunFolder;
use crate::run::atomic::{hash_file, io_error, read_small, sweep, write_file};
use crate::run::dataset::write_pairs;
use crate::run::jsonl::read_seeds;
use crate::{models, plans};

/// Sentences whose versions are sampled, judged and saved together.
const PART: usize = 64;

/// Fewest words of a sentence that is worth rewriting.
const FEWEST_WORDS: usize = 8;

/// Lengths that summaries are asked for, in turn.
const LENGTHS: [f32; 4] = [0.4, 0.5, 0.6, 0.7];

/// What the pairs depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    run: String,
    student_sha256: String,
    sentences: String,
    sources: usize,
    samples: u32,
    temperature: f32,
    top_p: f32,
    no_repeat_ngram: usize,
}

/// A part as saved.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Part {
    pairs: Vec<Kept>,
    /// By task: versions, and how many each critic refused.
    counts: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A line of `sources.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
struct SourceLine {
    text: String,
}

pub(super) struct Pairs {
    pub folder: PathBuf,
    pub sources: usize,
    pub kept: [usize; 2],
}

pub(super) fn run(session: &Session, args: &Refine) -> Result<()> {
    let run = RunFolder::open(&args.run)?;
    let stop = stop_flag()?;
    let pairs = make_pairs(session, &run, args, &stop)?;
    if args.pairs_only {
        let told = format!(
            "{} paraphrase and {} summary pairs from {} sentences.\n  {}",
            pairs.kept[0],
            pairs.kept[1],
            pairs.sources,
            pairs.folder.display()
        );
        return session.say(&serde_json::json!({"dataset": pairs.folder, "kept": pairs.kept}), || told);
    }
    let done = next_student(session, &run, args.student.as_deref(), &pairs, &args.train, &stop)?;
    session.say(&done, || told(&done))
}

/// Trains the next student, from the weights of the one that made the pairs.
pub(super) fn next_student(
    session: &Session,
    run: &RunFolder,
    student: Option<&Path>,
    pairs: &Pairs,
    flags: &TrainFlags,
    stop: &Arc<AtomicBool>,
) -> Result<super::train::Done> {
    let student = student.map_or_else(|| run.dir().join("student/stage0"), Path::to_owned);
    let base = super::export::model_folder(&student);
    let format = super::export::read_format(&base.join(impossible_core::student::format::FILE))?;
    let request = Request {
        run,
        data: vec![pairs.folder.clone()],
        out: run.dir().join("student/stage1"),
        base: base.display().to_string(),
        tasks: format.tasks,
        seed: run.plan().seed + 1,
        flags,
    };
    train(session, &request, stop)
}

/// Fresh sentences: the user's, or the teacher's own under streams that no context of the run has.
fn sources(session: &Session, run: &RunFolder, args: &Refine, stop: &Arc<AtomicBool>) -> Result<Vec<String>> {
    if let Some(file) = &args.sentences {
        let mut found = Found::new(args.sources);
        for seed in read_seeds(file, args.field.as_deref())? {
            if !found.take(&seed.text) {
                break;
            }
        }
        return Ok(found.sentences);
    }
    if run.plan().contexts.source == Source::Seeds {
        let expected = "a file of sentences, as this run's contexts are the user's own";
        return Err(Error::input("--sentences", expected, "nothing").into());
    }
    // The plan is validated: there is a next seed.
    fresh(session, run.plan(), run.plan().seed + 1, args.sources, stop)
}

/// Different usable sentences, up to a number.
struct Found {
    most: usize,
    seen: BTreeSet<String>,
    sentences: Vec<String>,
}

impl Found {
    fn new(most: usize) -> Self {
        Self { most, seen: BTreeSet::new(), sentences: Vec::new() }
    }

    /// Takes what is new in a text; whether there is room for more.
    fn take(&mut self, text: &str) -> bool {
        for s in sentence::split(text) {
            let usable = sentence::usable(s) && s.split_whitespace().count() >= FEWEST_WORDS;
            if usable && self.sentences.len() < self.most && self.seen.insert(s.to_owned()) {
                self.sentences.push(s.to_owned());
            }
        }
        self.sentences.len() < self.most
    }
}

/// Sentences that the plan's teacher writes under another seed.
pub(super) fn fresh(
    session: &Session,
    plan: &impossible_core::plan::Plan,
    seed: u64,
    sentences: usize,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<String>> {
    let plan = impossible_core::plan::Plan { seed, ..plan.clone() };
    let mut found = Found::new(sentences);
    let teacher = models::teacher(&session.store, &plan.models.teacher, &plans::device(&plan)?.open()?)?;
    let total = sentences.div_ceil(plan.contexts.min_sentences) as u64;
    let mut progress = Progress::new(total, 0, session.quiet, stop.clone());
    let mut event = Event { stage: Stage::Contexts, done: 0, total, tokens: 0, pairs: 0, kept: 0 };
    let (mut from, step) = (0, 16);
    // Contexts that are refused give nothing; a teacher whose contexts are all refused must not run for ever.
    while from < 4 * total + step {
        let made = wait(make(&teacher, &plan, from..from + step, &[], &mut event, &mut progress))?;
        from += step;
        event.done = (event.done + step).min(total);
        let more = made.contexts.iter().all(|c| found.take(c.text.get(prefix(&c.text)..).unwrap_or(&c.text)));
        if !more {
            break;
        }
    }
    progress.finish();
    Ok(found.sentences)
}

/// End of a dateline ("OSLO (Reuters) --", "OSLO -"): the sentence behind it stands without it.
fn prefix(text: &str) -> usize {
    if let Some(at) = text.find(") --") {
        return at + 4;
    }
    match text.find(" - ") {
        Some(at) if at <= 30 && !text[..at].chars().any(char::is_lowercase) => at + 3,
        _ => 0,
    }
}

pub(super) fn make_pairs(session: &Session, run: &RunFolder, args: &Refine, stop: &Arc<AtomicBool>) -> Result<Pairs> {
    let student_dir = args.student.clone().unwrap_or_else(|| run.dir().join("student/stage0"));
    let folder = super::export::model_folder(&student_dir);
    let weights = if folder.is_dir() { models::weights_hash(&folder)? } else { None };
    let Some(student_sha256) = weights else {
        let hint = format!("Train one first: impossible train --run {}", run.dir().display());
        return Err(Error::Missing { what: "the student".into(), place: folder.display().to_string(), hint }.into());
    };
    let plan = Plan {
        run: run.hash().to_owned(),
        student_sha256,
        sentences: args.sentences.as_deref().map(hash_file).transpose()?.map_or_else(String::new, |h| h.1),
        sources: args.sources,
        samples: args.samples,
        temperature: 0.7,
        top_p: 0.9,
        no_repeat_ngram: 3,
    };
    let dir = run.dir().join("refine");
    let parts_dir = dir.join("parts");
    std::fs::create_dir_all(&parts_dir).map_err(io_error("creating", &parts_dir))?;
    for folder in [&dir, &parts_dir] {
        sweep(folder)?;
    }
    begin(&dir, &plan)?;
    let file = dir.join("sources.jsonl");
    if !file.is_file() {
        let texts = sources(session, run, args, stop)?;
        let mut bytes = Vec::new();
        for text in texts {
            serde_json::to_writer(&mut bytes, &SourceLine { text })?;
            bytes.push(b'\n');
        }
        write_file(&file, &bytes)?;
    }
    let texts: Vec<String> = std::fs::read_to_string(&file)?
        .lines()
        .map(|line| serde_json::from_str::<SourceLine>(line).map(|l| l.text))
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| Error::broken(file.display(), e.to_string()))?;
    if texts.is_empty() {
        let expected = format!("at least one whole sentence of {FEWEST_WORDS} words");
        return Err(Error::input("the sentences to rewrite", expected, "none").into());
    }
    let part_file = |i: usize| parts_dir.join(format!("{i:08}.json"));
    let numbered: Vec<(u64, &str)> = texts.iter().enumerate().map(|(i, t)| (i as u64, t.as_str())).collect();
    let todo: Vec<usize> = (0..texts.len().div_ceil(PART)).filter(|&i| !part_file(i).is_file()).collect();
    if !todo.is_empty() {
        let spec: DeviceSpec = plans::device(run.plan())?;
        let compute = spec.open()?;
        let (student, format) = open_student(session, &student_dir, None, &compute)?;
        let mut entailment = models::entailment(&session.store, &run.plan().models.critic, &compute)?;
        distill::watch(&mut entailment, stop.clone());
        let panel = Panel::new(&run.plan().paraphrase, &run.plan().summary);
        let mut encoder = if panel.needs_encoder() {
            Some(models::encoder(&session.store, &run.plan().models.encoder, &compute)?)
        } else {
            None
        };
        let total = texts.len() as u64;
        let done = total - todo.iter().map(|&i| numbered.chunks(PART).nth(i).map_or(0, <[_]>::len) as u64).sum::<u64>();
        let mut progress = Progress::of("sentences", total, done, session.quiet, stop.clone());
        let mut event = Event { stage: Stage::Siblings, done, total, tokens: 0, pairs: 0, kept: 0 };
        for i in todo {
            let sources: Vec<(u64, &str)> = numbered.chunks(PART).nth(i).unwrap_or(&[]).to_vec();
            let mut part = Part::default();
            for &task in &format.tasks {
                let options = Options {
                    task,
                    length: LENGTHS[i % LENGTHS.len()],
                    samples: plan.samples,
                    sampling: SampleOptions {
                        temperature: plan.temperature,
                        top_p: plan.top_p,
                        no_repeat_ngram: plan.no_repeat_ngram,
                        no_repeat_from_prompt: false,
                        ..SampleOptions::default()
                    },
                    beams: None,
                    limits: Limits { batch: run.plan().siblings.batch, max_tokens: run.plan().siblings.max_tokens },
                    seed: run.plan().seed,
                };
                let fits = |t: &str| {
                    student.prompt(&format.prompt(task, t, options.length), options.limits.max_tokens).is_ok()
                };
                let readable: Vec<(u64, &str)> = sources.iter().copied().filter(|(_, t)| fits(t)).collect();
                let drawn = wait(versions(&student, &format, &readable, &options, &mut event, &mut progress))?;
                let encoder = encoder.as_mut().map(|e| e as &mut dyn SentenceEncoder);
                progress.enter(Stage::Critics);
                let judged = wait(judge(&panel, task, &readable, drawn, encoder, &mut entailment))?;
                let counts = part.counts.entry(task.name().to_owned()).or_default();
                for v in &judged {
                    *counts.entry("versions".into()).or_default() += 1;
                    let verdict = if v.kept() { "kept" } else { v.scored.refused_by.as_str() };
                    *counts.entry(verdict.to_owned()).or_default() += 1;
                }
                for (n, text) in &readable {
                    let mine: Vec<_> = judged.iter().filter(|v| v.scored.context == *n).cloned().collect();
                    if let Some(best) = most_different(&mine) {
                        *counts.entry("sentences with a pair".into()).or_default() += 1;
                        event.kept += 1;
                        part.pairs.push(Kept {
                            text: (*text).to_owned(),
                            target: best.text.clone(),
                            scored: best.scored.clone(),
                        });
                    }
                }
            }
            event.done += sources.len() as u64;
            write_file(&part_file(i), &serde_json::to_vec(&part)?)?;
        }
        progress.finish();
    }
    let mut kept: [Vec<Kept>; 2] = Default::default();
    let mut funnel = Funnel::default();
    funnel.contexts.insert("sentences".into(), texts.len() as u64);
    for i in 0..texts.len().div_ceil(PART) {
        let file = part_file(i);
        let part: Part = serde_json::from_slice(&read_small(&file, 64 << 20)?)
            .map_err(|e| Error::broken(file.display(), e.to_string()))?;
        for (name, counts) in part.counts {
            for (what, n) in counts {
                *funnel.samples.entry(format!("{name}: {what}")).or_default() += n;
            }
        }
        for pair in part.pairs {
            kept[usize::from(pair.scored.task == Task::Summary)].push(pair);
        }
    }
    for (task, kept) in Task::ALL.into_iter().zip(&kept) {
        let seen = funnel.samples.get(&format!("{}: versions", task.name())).copied().unwrap_or(0);
        let steps = if task == Task::Paraphrase { &mut funnel.paraphrase } else { &mut funnel.summary };
        steps.push(FunnelStep { critic: "most different".into(), seen, passed: kept.len() as u64 });
    }
    let folder = dir.join("dataset");
    write_pairs(&folder, run.plan(), &kept, &funnel)?;
    Ok(Pairs { folder, sources: texts.len(), kept: [kept[0].len(), kept[1].len()] })
}

/// Writes what the pairs depend on, or checks that it is the same.
fn begin(dir: &Path, plan: &Plan) -> impossible_core::Result<()> {
    let text = toml::to_string(plan).map_err(|e| Error::input("refine", "values that TOML can hold", e))?;
    let file = dir.join("refine.toml");
    if !file.exists() {
        return write_file(&file, text.as_bytes());
    }
    let theirs = String::from_utf8_lossy(&read_small(&file, 1 << 20)?).into_owned();
    if theirs == text {
        return Ok(());
    }
    let differs = theirs.lines().zip(text.lines()).find(|(a, b)| a != b);
    let (found, wanted) = differs.unwrap_or(("other entries", "these"));
    let expected = format!("{wanted}, as asked (remove the folder to make the pairs anew)");
    Err(Error::input(file.display(), expected, found))
}
