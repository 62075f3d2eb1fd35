//! Self-distillation (paper, section 3.3): a student rewrites new sentences, the critics filter its versions, and the
//! next student is trained on the accepted ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use lm::decode::sample::SampleOptions;
use lm::decode::siblings::Limits;
use lm::device::Compute;
use lm::lanes::wait;
use method::distill::contexts::make;
use method::student::rewrite::{Options, Rewriter, Rewritten};
use record::plan::Source;
use record::presets::{MINILM, Role};
use record::{Error, Kept, Monitor, Rewrites, Style, Task, Version, VersionCounts};
use serde::{Deserialize, Serialize};
use text::sentence;

use super::student::{self, Request, train};
use crate::args::{Refine, TrainFlags};
use crate::fs::{hash_file, io_error, read_lines, read_small, regular, sha256, sweep, write_file, write_lines};
use crate::language;
use crate::models::Place;
use crate::models::student::{Judges, format_of, judges_of, locate, open_student};
use crate::output::{self, Kind, Lock, MANIFEST, Manifest};
use crate::run::RunFolder;
use crate::run::dataset::write_pairs;
use crate::run::jsonl::read_seeds;
use crate::session::Session;

/// Number of sentences whose versions are sampled, judged and saved together.
const PART: usize = 64;

/// Fewest words of a sentence to rewrite.
const FEWEST_WORDS: usize = 8;

/// Requested lengths of summaries as fractions of the source's, one per part in turn.
const LENGTHS: [f32; 4] = [0.4, 0.5, 0.6, 0.7];

/// Most pairs of one sentence and task by a reworder.
const PER_SENTENCE: usize = 3;

/// Largest accepted file of a part, in bytes.
const LARGEST_PART: u64 = 64 << 20;

/// Settings that the pairs depend on, saved as `refine.toml`.
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
    /// SHA-256 of the prompts and critics of a reworder, on which its versions and their acceptance depend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reworder_sha256: Option<String>,
}

/// File name of a [`Plan`].
const PLAN: &str = "refine.toml";

/// File name of the sentences.
const SOURCES: &str = "sources.jsonl";

impl Plan {
    fn text(&self) -> record::Result<String> {
        toml::to_string(self).map_err(|e| Error::input("refine", "values that TOML can hold", e))
    }
}

/// A saved part.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Part {
    pairs: Vec<Kept>,
    counts: BTreeMap<Task, VersionCounts>,
}

/// A line of `sources.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
struct SourceLine {
    text: String,
}

/// The pairs of self-distillation.
#[derive(Debug, Serialize)]
pub struct Pairs {
    /// Folder of the pairs' dataset.
    #[serde(rename = "dataset", serialize_with = "crate::fs::lossy")]
    pub folder: PathBuf,
    /// Number of sentences that were rewritten.
    #[serde(skip)]
    pub sources: usize,
    /// Number of kept pairs, in the order of [`Task::ALL`].
    pub kept: [usize; 2],
    /// The critics that accepted them.
    #[serde(skip)]
    pub judges: Judges,
}

impl Pairs {
    /// The result as text for the user.
    #[must_use]
    pub fn told(&self) -> String {
        format!(
            "{} paraphrase and {} summary pairs from {} sentences.\n  {}",
            self.kept[0],
            self.kept[1],
            self.sources,
            self.folder.display()
        )
    }
}

/// Trains the next student, starting from the weights of the one that wrote the pairs: by default from `stage0` to
/// `stage1` of the run.
///
/// # Errors
/// As [`train`].
pub fn next_student(
    session: &Session,
    run: &RunFolder,
    (student, out): (Option<&Path>, Option<&Path>),
    pairs: &Pairs,
    (flags, aside): (&TrainFlags, student::Aside),
) -> Result<student::Done> {
    let student = student.map_or_else(|| run.dir().join("student/stage0"), Path::to_owned);
    let base = locate(&session.store, &student)?;
    let format = format_of(&base)?.ok_or_else(|| no_student(run, &base))?;
    let request = Request {
        run,
        data: vec![pairs.folder.clone()],
        out: out.map_or_else(|| run.dir().join("student/stage1"), Path::to_owned),
        aside,
        tasks: format.tasks,
        base: base.to_string(),
        seed: run.plan().seed + 1,
        flags,
        judges: pairs.judges.clone(),
    };
    train(session, &request)
}

/// Sentences to rewrite: the user's, or new ones by the teacher with a seed that the run does not use.
fn sources(session: &Session, run: &RunFolder, args: &Refine) -> Result<Vec<String>> {
    if let Some(file) = &args.sentences {
        let mut found = Found::new(args.sources);
        let seeds = read_seeds(file, args.field.as_deref())?;
        language::tell(&file.display().to_string(), seeds.iter().map(|seed| seed.text.as_str()));
        for seed in seeds {
            if !found.take(&seed.text) {
                break;
            }
        }
        return Ok(found.sentences);
    }
    check_sentences(run.plan(), None)?;
    // Cannot overflow, as `Plan::validate` limits the seed.
    fresh(session, run.plan(), run.plan().seed + 1, args.sources)
}

/// Checks that there are sentences to rewrite: a file of the user's, or a teacher that may write them.
///
/// # Errors
/// [`Error::Input`] without a file if the run's contexts are the user's own.
pub fn check_sentences(plan: &record::plan::Plan, file: Option<&Path>) -> record::Result<()> {
    if file.is_none() && plan.contexts.source == Source::Seeds {
        let expected = "a file of sentences, as this run's contexts are the user's own";
        return Err(Error::input("--sentences", expected, "nothing"));
    }
    Ok(())
}

/// Distinct usable sentences, up to a maximum number.
struct Found {
    most: usize,
    seen: BTreeSet<String>,
    sentences: Vec<String>,
}

impl Found {
    fn new(most: usize) -> Self {
        Self { most, seen: BTreeSet::new(), sentences: Vec::new() }
    }

    /// Adds the new usable sentences of a text; returns whether there is room for more.
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

/// New sentences that the plan's teacher generates with another seed, at most `sentences`.
///
/// # Errors
/// Errors of the teacher; [`Error::Interrupted`] when the user asked to stop.
pub fn fresh(session: &Session, plan: &record::plan::Plan, seed: u64, sentences: usize) -> Result<Vec<String>> {
    /// Contexts generated together.
    const STEP: u64 = 16;
    let plan = record::plan::Plan { seed, ..plan.clone() };
    let mut found = Found::new(sentences);
    let teacher = session.text_model(&plan.models.teacher, &Compute::open(plan.device)?)?;
    let total = sentences.div_ceil(plan.contexts.min_sentences) as u64;
    let mut bar = session.bar("contexts", 0, total)?;
    let mut monitor = Monitor::new(&mut bar, 0, total);
    let mut from = 0;
    // Refused contexts have no sentences; the limit ends the loop even if all contexts are refused.
    while from < 4 * total + STEP {
        let made = wait(make(&teacher, &plan, from..from + STEP, &[], &mut monitor))?;
        from += STEP;
        monitor.count(STEP.min(total.saturating_sub(monitor.progress().done)));
        let more = made.contexts.iter().all(|c| found.take(c.text.get(prefix(&c.text)..).unwrap_or(&c.text)));
        if !more {
            break;
        }
    }
    bar.finish();
    Ok(found.sentences)
}

/// Byte position after a dateline ("OSLO (Reuters) --", "OSLO -"), which is not part of the sentence; 0 without one.
fn prefix(text: &str) -> usize {
    if let Some(at) = text.find(") --") {
        return at + 4;
    }
    match text.find(" - ") {
        Some(at) if at <= 30 && !text[..at].chars().any(char::is_lowercase) => at + 3,
        _ => 0,
    }
}

/// The run's plan with the thresholds that judge a student's versions: those of the run, which are made for siblings, but
/// for a reworder its own.
fn judging(run: &RunFolder, student: &Place) -> record::Result<record::plan::Plan> {
    let mut plan = run.plan().clone();
    if format_of(student)?.is_some_and(|format| format.damage.is_some())
        && let Some(judges) = judges_of(student)?
    {
        (plan.paraphrase, plan.summary) = (judges.paraphrase, judges.summary);
        if plan.needs_encoder() && plan.models.encoder.is_empty() {
            plan.models.encoder = if judges.encoder.is_empty() { MINILM.folder.to_owned() } else { judges.encoder };
        }
    }
    Ok(plan)
}

/// Generates the pairs of a run's student, continuing after the last saved part.
///
/// # Errors
/// [`Error::Missing`] without a student; [`Error::Input`] while another process makes them; errors of the models;
/// [`Error::Interrupted`] when the user asked to stop.
pub fn make_pairs(session: &Session, run: &RunFolder, args: &Refine) -> Result<Pairs> {
    let student = args.student.clone().unwrap_or_else(|| run.dir().join("student/stage0"));
    let student = match locate(&session.store, &student) {
        Err(Error::Missing { .. }) => return Err(no_student(run, &Place::Disk(student)).into()),
        found => found?,
    };
    let judging = judging(run, &student)?;
    let plan = plan_of(run, args, &student)?;
    let dir = run.dir().join("refine");
    let parts = dir.join("parts");
    let _lock = begin(run, &dir, &plan)?;
    std::fs::create_dir_all(&parts).map_err(io_error("creating", &parts))?;
    for folder in [&dir, &parts, &dir.join("dataset")] {
        sweep(folder)?;
    }
    let texts = texts(session, run, args, &dir)?;
    let numbered: Vec<(u64, &str)> = (0..).zip(texts.iter().map(String::as_str)).collect();
    let groups: Vec<&[(u64, &str)]> = numbered.chunks(PART).collect();
    let file = |i: usize| parts.join(format!("{i:08}.json"));
    // A part that cannot be read is made again.
    let todo: Vec<usize> = (0..groups.len()).filter(|&i| read_part(&file(i)).is_err()).collect();
    if !todo.is_empty() {
        let mut writer = Writer::open(session, run, (&plan, &judging), &student)?;
        let total = texts.len() as u64;
        let done = total - todo.iter().map(|&i| groups[i].len() as u64).sum::<u64>();
        let mut bar = session.bar("sentences", done, total)?;
        let mut monitor = Monitor::new(&mut bar, done, total);
        for i in todo {
            let part = match writer.part(groups[i], LENGTHS[i % LENGTHS.len()], &mut monitor) {
                Err(error) if error.downcast_ref() == Some(&Error::Interrupted) => {
                    let dir = dir.display();
                    note!(
                        "Finished parts of {PART} sentences are saved in {dir}. The same command goes on from there."
                    );
                    return Err(error);
                }
                part => part?,
            };
            write_file(&file(i), &serde_json::to_vec(&part)?)?;
            monitor.count(groups[i].len() as u64);
            monitor.tell()?;
        }
        bar.finish();
    }
    let mut rewrites = Rewrites { sentences: texts.len() as u64, tasks: BTreeMap::new() };
    let mut kept: [Vec<Kept>; 2] = Default::default();
    for file in (0..groups.len()).map(file) {
        let part = read_part(&file)?;
        for (task, counts) in &part.counts {
            rewrites.tasks.entry(*task).or_default().add(counts);
        }
        for pair in part.pairs {
            kept[usize::from(pair.scored.task == Task::Summary)].push(pair);
        }
    }
    let folder = dir.join("dataset");
    write_pairs(&folder, &judging, &kept, &rewrites)?;
    Manifest::write(&dir, Kind::Refinement)?;
    let kept = [kept[0].len(), kept[1].len()];
    Ok(Pairs { folder, sources: texts.len(), kept, judges: Judges::of(&judging) })
}

fn read_part(file: &Path) -> record::Result<Part> {
    serde_json::from_slice(&read_small(file, LARGEST_PART)?).map_err(|e| Error::broken(file.display(), e.to_string()))
}

/// A student with its critics, which processes parts.
struct Writer<'a> {
    student: lm::decode::TextModel,
    format: method::student::Format,
    critics: method::critic::Critics,
    run: &'a RunFolder,
    plan: &'a Plan,
}

impl<'a> Writer<'a> {
    fn open(
        session: &Session,
        run: &'a RunFolder,
        (plan, judging): (&'a Plan, &record::plan::Plan),
        student: &Place,
    ) -> Result<Self> {
        let critics = session.identities(run.plan())?.into_iter().filter(|(role, _)| role != Role::Teacher.as_str());
        run.check_models(&critics.collect())?;
        let compute = Compute::open(run.plan().device)?;
        let (student, format) = open_student(student, &compute)?;
        Ok(Self { student, format, critics: session.critics(judging, &compute)?, run, plan })
    }

    fn part(&mut self, sources: &[(u64, &str)], length: f32, monitor: &mut Monitor<'_>) -> Result<Part> {
        let mut part = Part::default();
        let siblings = &self.run.plan().siblings;
        for &task in &self.format.tasks {
            let options = Options {
                task,
                length,
                samples: self.plan.samples,
                sampling: SampleOptions {
                    temperature: self.plan.temperature,
                    top_p: self.plan.top_p,
                    no_repeat_ngram: self.plan.no_repeat_ngram,
                    no_repeat_from_prompt: false,
                    ..SampleOptions::default()
                },
                beams: None,
                limits: Limits { batch: siblings.batch, max_tokens: siblings.max_tokens },
                seed: self.run.plan().seed,
            };
            let mut rewriter = Rewriter { student: &self.student, format: &self.format, critics: &mut self.critics };
            let counts = part.counts.entry(task).or_default();
            for rewritten in wait(rewriter.rewrite(sources, &options, monitor))? {
                rewritten.versions.iter().for_each(|version| counts.version(version.scored.refused_by));
                let chosen = chosen(&rewritten, self.format.damage.is_some());
                counts.sources += u64::from(!chosen.is_empty());
                monitor.kept(chosen.len() as u64);
                part.pairs.extend(chosen.into_iter().map(|version| {
                    let (target, scored) = (version.text.clone(), version.scored.clone());
                    Kept { text: rewritten.text.clone(), target, scored }
                }));
            }
        }
        Ok(part)
    }
}

/// The versions of a sentence that become pairs: of a student's the most different one (paper, section 3.3); of a
/// reworder's, whose most different version is the least likely to say the same, the best ones.
fn chosen(rewritten: &Rewritten, reworder: bool) -> Vec<&Version> {
    if reworder {
        return rewritten.ranked(Style::Balanced).into_iter().filter(|v| v.kept()).take(PER_SENTENCE).collect();
    }
    rewritten.most_different().into_iter().collect()
}

fn no_student(run: &RunFolder, place: &Place) -> Error {
    let hint = format!("Train one first: impossible train --run {}", run.dir().display());
    Error::Missing { what: "the student".into(), place: place.to_string(), hint }
}

/// The settings that the pairs of a run and its student depend on.
fn plan_of(run: &RunFolder, args: &Refine, student: &Place) -> Result<Plan> {
    if format_of(student)?.is_none() {
        return Err(no_student(run, student).into());
    }
    if let Some(file) = &args.sentences {
        regular(file, "--sentences")?;
    }
    Ok(Plan {
        run: run.hash().to_owned(),
        student_sha256: student.weights_hash()?,
        sentences: args.sentences.as_deref().map(hash_file).transpose()?.map_or_else(String::new, |h| h.1),
        sources: args.sources,
        samples: args.samples,
        temperature: 0.7,
        top_p: 0.9,
        no_repeat_ngram: 3,
        reworder_sha256: reworder_hash(student)?,
    })
}

/// Hash of the prompts and critics of a reworder; `None` for a student.
fn reworder_hash(student: &Place) -> Result<Option<String>> {
    let Some(format) = format_of(student)?.filter(|format| format.damage.is_some()) else { return Ok(None) };
    let mut bytes = format.to_bytes()?;
    if let Some(judges) = judges_of(student)? {
        bytes.extend(judges.to_bytes()?);
    }
    Ok(Some(sha256(&bytes)))
}

/// The sentences to rewrite: those that are saved, or new ones, which are saved first.
fn texts(session: &Session, run: &RunFolder, args: &Refine, dir: &Path) -> Result<Vec<String>> {
    let file = dir.join(SOURCES);
    if !file.is_file() {
        let lines: Vec<SourceLine> = sources(session, run, args)?.into_iter().map(|text| SourceLine { text }).collect();
        write_lines(&file, &lines)?;
    }
    let texts: Vec<String> = read_lines::<SourceLine>(&file)?.into_iter().map(|line| line.text).collect();
    if texts.is_empty() {
        // So that the next call looks again.
        std::fs::remove_file(&file).map_err(io_error("removing", &file))?;
        let expected = format!("at least one whole sentence of {FEWEST_WORDS} words");
        return Err(Error::input("the sentences to rewrite", expected, "none").into());
    }
    Ok(texts)
}

/// The settings of the pairs in `dir`; `None` if there are none or they are unreadable.
fn saved_plan(dir: &Path) -> Option<Plan> {
    toml::from_str(&String::from_utf8_lossy(&read_small(&dir.join(PLAN), 1 << 20).ok()?)).ok()
}

/// Locks the folder of the pairs and saves their settings. Pairs of other settings are set aside, unless only more
/// sentences are asked for.
fn begin(run: &RunFolder, dir: &Path, plan: &Plan) -> record::Result<Lock> {
    let goes_on = |dir: &Path| -> record::Result<bool> {
        let same = |saved: &Plan| *plan == Plan { sources: plan.sources, ..saved.clone() };
        if !dir.join(PLAN).is_file() {
            // Without their settings, pairs are those of other settings.
            return Ok(!dir.join(SOURCES).exists());
        }
        Ok(saved_plan(dir).is_some_and(|saved| same(&saved) && saved.sources <= plan.sources))
    };
    let (lock, moved) = output::claim_or_set_aside(run.dir(), dir, Kind::Refinement, goes_on)?;
    if let Some(moved) = moved {
        note!("The pairs that were made before with other settings were moved to {}.", moved.display());
    }
    if saved_plan(dir).is_some_and(|saved| saved.sources < plan.sources) {
        grow(dir)?;
    }
    write_file(&dir.join(PLAN), plan.text()?.as_bytes())?;
    Ok(lock)
}

/// Prepares for more sentences: the list is made anew, and the last part if it is not full. Full parts stay.
fn grow(dir: &Path) -> record::Result<()> {
    let sources = dir.join(SOURCES);
    let saved = if sources.is_file() { read_lines::<SourceLine>(&sources)?.len() } else { 0 };
    let part = dir.join("parts").join(format!("{:08}.json", saved / PART));
    let part = Some(part).filter(|_| !saved.is_multiple_of(PART));
    // The manifest first, as it no longer fits, and the list last, from which the rest follows.
    for file in [Some(dir.join(MANIFEST)), part, Some(sources)].into_iter().flatten() {
        match std::fs::remove_file(&file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io_error("removing", &file)(e)),
            _ => {}
        }
    }
    Ok(())
}
