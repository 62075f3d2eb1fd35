//! The comparison at the end of a demonstration run: versions of new sentences by the students before and after
//! training.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use lm::decode::siblings::Limits;
use lm::device::Compute;
use lm::lanes::wait;
use method::student::rewrite::{Options, Rewriter, Rewritten, sampling};
use record::presets::TINY_TEACHER;
use record::{ContextOutcome, Error, Funnel, Monitor, Refusal, SampleOutcome, Style, Task};

use super::refine;
use super::student::Done;
use crate::fs::{read_small, write_file};
use crate::models::Place;
use crate::models::student::{format_of, open_student};
use crate::report::showcase::{self, Rewritings, Showcase, Student};
use crate::report::students;
use crate::run::RunFolder;
use crate::session::Session;

/// Number of new sentences that every student rewrites.
const SENTENCES: usize = 48;
/// Versions per sentence and task.
const SAMPLES: u32 = 8;
/// Requested length of summaries as a fraction of the source's.
const LENGTH: f32 = 0.6;
/// Number of sentences that are printed.
const SHOWN: usize = 10;

/// Rewrites new sentences with every student of the run and prints the run's results. An existing comparison of the
/// same students is reused.
///
/// # Errors
/// Errors of the models and of reading the run; [`Error::Interrupted`] when the user asked to stop.
pub fn run(session: &Session, run: &RunFolder, base: &str, done: &Done) -> Result<()> {
    let folders = folders(session, run, base)?;
    let same = |s: &Showcase| s.students.iter().map(|s| &s.weights_sha256).eq(folders.iter().map(|f| &f.2));
    let showcase = match showcase::read(run.dir()).filter(same) {
        Some(showcase) => showcase,
        None => {
            let showcase = make(session, run, &folders)?;
            write_file(&run.dir().join(showcase::FILE), &serde_json::to_vec_pretty(&showcase)?)?;
            showcase
        }
    };
    if let Err(error) = students::refresh(run.dir()) {
        note!("The comparison is finished, but the run's report could not be updated: {error}");
    }
    let told = told(run, &showcase, done)?;
    let value = serde_json::json!({
        "run": run.dir().to_string_lossy(), "student": done.student.to_string_lossy(), "loss": done.loss, "validation": done.validation,
        "showcase": showcase,
    });
    session.say(&value, || told)
}

/// Name, place and SHA-256 of the weights of every student, in the order of training.
fn folders(session: &Session, run: &RunFolder, base: &str) -> Result<Vec<(&'static str, Place, String)>> {
    let stages = ["stage0", "stage1"].map(|name| (name, run.dir().join("student").join(name).join("model")));
    let mut out = Vec::new();
    let stages = stages.map(|(name, folder)| (name, Place::Disk(folder)));
    for (name, place) in std::iter::once(("before", session.store.resolve(base)?)).chain(stages) {
        // The base model may not be a student; it then has no prompt format.
        if format_of(&place)?.is_some() {
            let hash = place.weights_hash()?;
            out.push((name, place, hash));
        }
    }
    Ok(out)
}

fn make(session: &Session, run: &RunFolder, folders: &[(&'static str, Place, String)]) -> Result<Showcase> {
    let plan = run.plan();
    let compute = Compute::open(plan.device)?;
    // The run uses `seed` and self-distillation `seed + 1`.
    let sentences = refine::fresh(session, plan, plan.seed + 2, SENTENCES)?;
    let sources: Vec<(u64, &str)> = (0..).zip(sentences.iter().map(String::as_str)).collect();
    let mut critics = session.critics(plan, &compute)?;
    let total = (folders.len() * sources.len()) as u64;
    let mut bar = session.bar("sentences", 0, total)?;
    let mut monitor = Monitor::new(&mut bar, 0, total);
    let mut students = Vec::new();
    for (name, place, hash) in folders {
        let (student, format) = open_student(place, &compute)?;
        let mut tasks = BTreeMap::new();
        for &task in &format.tasks {
            let options = Options {
                task,
                length: LENGTH,
                samples: SAMPLES,
                sampling: sampling(Style::Balanced).0,
                beams: None,
                limits: Limits { batch: plan.siblings.batch, max_tokens: plan.siblings.max_tokens },
                seed: plan.seed,
            };
            let mut rewriter = Rewriter { student: &student, format: &format, critics: &mut critics };
            let rewritten = wait(rewriter.rewrite(&sources, &options, &mut monitor))?;
            tasks.insert(task.name().to_owned(), summed(&rewritten));
        }
        monitor.count(sources.len() as u64);
        students.push(Student { name: (*name).to_owned(), weights_sha256: hash.clone(), tasks });
    }
    bar.finish();
    Ok(Showcase { sentences, samples: SAMPLES, students })
}

fn summed(sentences: &[Rewritten]) -> Rewritings {
    let (mut with, mut different, mut copies, mut versions) = (0, 0, 0, 0);
    for sentence in sentences {
        let mut kept: Vec<&str> = sentence.versions.iter().filter(|v| v.kept()).map(|v| v.text.as_str()).collect();
        kept.sort_unstable();
        kept.dedup();
        different += kept.len();
        with += usize::from(!kept.is_empty());
        copies += sentence.versions.iter().filter(|v| v.scored.refused_by == Some(Refusal::Copy)).count();
        versions += sentence.versions.len();
    }
    let share = |n: usize, of: usize| n as f64 / of.max(1) as f64;
    Rewritings {
        with_a_version: share(with, sentences.len()),
        kept: share(different, sentences.len()),
        copies: share(copies, versions),
        best: sentences.iter().map(|s| s.best(Style::Balanced).map(|v| v.text.clone())).collect(),
    }
}

/// The funnel in one line: each critic with the number of pairs that it accepted.
fn funnel(funnel: &Funnel, task: Task) -> String {
    let steps: Vec<String> = funnel.steps(task).iter().map(|s| format!("{} {}", s.critic.name(), s.passed)).collect();
    steps.join(" > ")
}

fn told(run: &RunFolder, showcase: &Showcase, done: &Done) -> Result<String> {
    let plan = run.plan();
    let file = run.dir().join("funnel.json");
    let counts: Funnel = serde_json::from_slice(&read_small(&file, 64 << 20)?)
        .map_err(|e| Error::broken(file.display(), e.to_string()))?;
    let dir = run.dir().display();
    let mut text = String::new();
    let usable = counts.samples(SampleOutcome::Sentence);
    let contexts = counts.contexts(ContextOutcome::Made);
    let _ = writeln!(text, "Contexts   {contexts}, written by {}", plan.models.teacher);
    let _ = writeln!(text, "Siblings   {usable} usable sentences of {} sampled after each context", plan.siblings.k);
    for task in Task::ALL {
        let _ = writeln!(text, "Critics    {}: {}", task.name(), funnel(&counts, task));
    }
    let _ = writeln!(
        text,
        "\n{} fresh sentences, {} versions of each, judged by {}:",
        showcase.sentences.len(),
        showcase.samples,
        plan.models.critic
    );
    let _ = writeln!(
        text,
        "  {:<10} {:<10} {:>14} {:>22} {:>8}",
        "task", "student", "with a version", "kept per sentence", "copies"
    );
    for task in Task::ALL {
        for student in &showcase.students {
            let Some(m) = student.tasks.get(task.name()) else { continue };
            let _ = writeln!(
                text,
                "  {:<10} {:<10} {:>12.0} % {:>22.2} {:>6.0} %",
                task.name(),
                student.name,
                100.0 * m.with_a_version,
                m.kept,
                100.0 * m.copies
            );
        }
    }
    text.push('\n');
    examples(&mut text, showcase);
    let _ = write!(
        text,
        "Dataset  {dir}/dataset/{{paraphrase,summary}}.jsonl\nStudent  {}\nReport   {dir}/report.html\n\n",
        done.student.display()
    );
    if plan.models.teacher == TINY_TEACHER {
        text += "These models have one to three million parameters and were trained on newswire of 1987 only. This run \
                 demonstrates the method; its dataset is not meant for use.\n\
                 Next: impossible pull small; impossible distill --preset small\n";
    }
    Ok(text)
}

/// Sentences with a kept version by the last student, beside the version by the first one.
fn examples(text: &mut String, showcase: &Showcase) {
    let (Some(first), Some(last)) = (showcase.students.first(), showcase.students.last()) else { return };
    let said = |student: &Student, task: Task, i: usize| {
        student.tasks.get(task.name()).and_then(|m| m.best.get(i).cloned().flatten())
    };
    let mut shown = 0;
    for (i, sentence) in showcase.sentences.iter().enumerate() {
        if shown == SHOWN {
            break;
        }
        if Task::ALL.iter().all(|&t| said(last, t, i).is_none()) {
            continue;
        }
        shown += 1;
        let _ = writeln!(text, "{sentence}");
        for task in Task::ALL {
            let now = said(last, task, i);
            let before = said(first, task, i);
            for (student, line) in [(first, before.clone()), (last, now.filter(|n| Some(n) != before.as_ref()))] {
                if let Some(line) = line {
                    let _ = writeln!(text, "  {:<10} {:<7} {line}", task.name(), student.name);
                }
            }
        }
        text.push('\n');
    }
}
