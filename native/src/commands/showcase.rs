//! The end of a run that shows the whole method: what the student makes of fresh sentences, before and after.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use impossible_core::Error;
use impossible_core::critic::versions::COPY;
use impossible_core::critic::{Panel, SentenceEncoder};
use impossible_core::decode::siblings::Limits;
use impossible_core::event::{Event, Stage};
use impossible_core::record::{Funnel, Task};
use impossible_core::student::format;
use impossible_core::student::rewrite::{Options, judge, versions};
use impossible_core::student::{Style, Version};

use super::rewrite::open_student;
use super::{Session, distill, refine, train, wait};
use crate::progress::Progress;
use crate::run::atomic::{read_small, write_file};
use crate::run::showcase::{self, Made, Showcase, Student};
use crate::run::{RunFolder, students};
use crate::{models, plans};

/// Fresh sentences that every student rewrites.
const SENTENCES: usize = 48;
/// Versions of each.
const SAMPLES: u32 = 8;
/// Length of the summaries asked for.
const LENGTH: f32 = 0.6;
/// Sentences that are printed.
const SHOWN: usize = 10;

fn best(mine: &[&Version]) -> Option<String> {
    let kept = mine.iter().filter(|v| v.kept());
    kept.min_by(|a, b| Style::Balanced.rank(a, b)).map(|v| v.text.clone())
}

/// Rewrites fresh sentences with every student of the run, and tells the run's story.
pub(super) fn run(
    session: &Session,
    run: &RunFolder,
    base: &str,
    done: &train::Done,
    stop: &Arc<AtomicBool>,
) -> Result<()> {
    let folders = folders(session, run, base)?;
    let same = |s: &Showcase| s.students.iter().map(|s| &s.weights_sha256).eq(folders.iter().map(|f| &f.2));
    let showcase = match showcase::read(run.dir()).filter(same) {
        Some(showcase) => showcase,
        None => {
            let showcase = make(session, run, &folders, stop)?;
            write_file(&run.dir().join(showcase::FILE), &serde_json::to_vec_pretty(&showcase)?)?;
            showcase
        }
    };
    if let Err(error) = students::refresh(run.dir()) {
        eprintln!("The comparison is finished, but not in the run's report: {error}");
    }
    let told = told(run, &showcase, done)?;
    let value = serde_json::json!({
        "run": run.dir(), "student": done.student, "loss": done.loss, "validation": done.validation,
        "showcase": showcase,
    });
    session.say(&value, || told)
}

/// Name, folder and sha256 of the weights of every student, in the order of their making.
fn folders(session: &Session, run: &RunFolder, base: &str) -> Result<Vec<(&'static str, PathBuf, String)>> {
    let stages = ["stage0", "stage1"].map(|name| (name, run.dir().join("student").join(name).join("model")));
    let mut out = Vec::new();
    for (name, folder) in std::iter::once(("before", session.store.resolve(base)?)).chain(stages) {
        // What a student starts from may be no student yet.
        if folder.join(format::FILE).is_file() {
            let hash = models::weights_hash(&folder)?.unwrap_or_default();
            out.push((name, folder, hash));
        }
    }
    Ok(out)
}

fn make(
    session: &Session,
    run: &RunFolder,
    folders: &[(&'static str, PathBuf, String)],
    stop: &Arc<AtomicBool>,
) -> Result<Showcase> {
    let plan = run.plan();
    let compute = plans::device(plan)?.open()?;
    // Neither the run nor self-distillation has used this seed.
    let sentences = refine::fresh(session, plan, plan.seed + 2, SENTENCES, stop)?;
    let sources: Vec<(u64, &str)> = (0..).zip(sentences.iter().map(String::as_str)).collect();
    let mut critic = models::entailment(&session.store, &plan.models.critic, &compute)?;
    distill::watch(&mut critic, stop.clone());
    let panel = Panel::new(&plan.paraphrase, &plan.summary);
    let mut encoder = if panel.needs_encoder() {
        Some(models::encoder(&session.store, &plan.models.encoder, &compute)?)
    } else {
        None
    };
    let total = (folders.len() * sources.len()) as u64;
    let mut progress = Progress::of("sentences", total, 0, session.quiet, stop.clone());
    let mut event = Event { stage: Stage::Siblings, done: 0, total, tokens: 0, pairs: 0, kept: 0 };
    let mut students = Vec::new();
    for (name, folder, hash) in folders {
        let (student, format) = open_student(session, folder, None, &compute)?;
        let mut tasks = BTreeMap::new();
        for &task in &format.tasks {
            let options = Options {
                task,
                length: LENGTH,
                samples: SAMPLES,
                sampling: Style::Balanced.sampling().0,
                beams: None,
                limits: Limits { batch: plan.siblings.batch, max_tokens: plan.siblings.max_tokens },
                seed: plan.seed,
            };
            let drawn = wait(versions(&student, &format, &sources, &options, &mut event, &mut progress))?;
            progress.enter(Stage::Critics);
            let encoder = encoder.as_mut().map(|e| e as &mut dyn SentenceEncoder);
            let judged = wait(judge(&panel, task, &sources, drawn, encoder, &mut critic))?;
            tasks.insert(task.name().to_owned(), made(&judged, sources.len()));
        }
        event.done += sources.len() as u64;
        students.push(Student { name: (*name).to_owned(), weights_sha256: hash.clone(), tasks });
    }
    progress.finish();
    Ok(Showcase { sentences, samples: SAMPLES, students })
}

fn made(judged: &[Version], sentences: usize) -> Made {
    let of = |i: usize| judged.iter().filter(|v| v.source == i).collect::<Vec<_>>();
    let (mut with, mut different, mut bests) = (0, 0, Vec::new());
    for i in 0..sentences {
        let mine = of(i);
        let mut kept: Vec<&str> = mine.iter().filter(|v| v.kept()).map(|v| v.text.as_str()).collect();
        kept.sort_unstable();
        kept.dedup();
        different += kept.len();
        with += usize::from(!kept.is_empty());
        bests.push(best(&mine));
    }
    let copies = judged.iter().filter(|v| v.scored.refused_by == COPY).count();
    let share = |n: usize, of: usize| n as f64 / of.max(1) as f64;
    Made {
        with_a_version: share(with, sentences),
        kept: share(different, sentences),
        copies: share(copies, judged.len()),
        best: bests,
    }
}

/// One line a critic: what it let through.
fn funnel(funnel: &Funnel, task: Task) -> String {
    let steps: Vec<String> = funnel.steps(task).iter().map(|s| format!("{} {}", s.critic, s.passed)).collect();
    steps.join(" > ")
}

fn told(run: &RunFolder, showcase: &Showcase, done: &train::Done) -> Result<String> {
    let plan = run.plan();
    let file = run.dir().join("funnel.json");
    let counts: Funnel = serde_json::from_slice(&read_small(&file, 64 << 20)?)
        .map_err(|e| Error::broken(file.display(), e.to_string()))?;
    let dir = run.dir().display();
    let mut text = String::new();
    let usable = counts.samples.get("sentence").copied().unwrap_or(0);
    let contexts = counts.contexts.get("made").copied().unwrap_or(0);
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
        "task", "student", "with a version", "kept a sentence", "copies"
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
    if plan.models.teacher == "tiny-teacher" {
        text += "These models have one to three million parameters and know one thing, the newswire of 1987: this shows the \
                 method, it is no dataset to use.\nNext: impossible pull small; impossible distill --preset small\n";
    }
    Ok(text)
}

/// Sentences for which the last student has something to say, with what the first one said.
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
