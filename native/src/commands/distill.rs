//! `impossible distill`: contexts, siblings, critics, dataset.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use impossible_core::Error;
use impossible_core::critic::SentenceEncoder;
use impossible_core::critic::models::Entailment;
use impossible_core::device::DeviceSpec;
use impossible_core::distill::contexts::{Seed, seeds};
use impossible_core::distill::pipeline::{self, Models, RANGE};
use impossible_core::event::{Event, Signal, Stage};
use impossible_core::plan::{Plan, Source};
use impossible_core::record::{Finish, Kept, Task};
use serde::Serialize;

use super::{Session, refine, showcase, train, wait};
use crate::args::{Distill, Refine, TrainFlags, Until};
use crate::progress::{Progress, stop_flag};
use crate::run::view::{Style, render};
use crate::run::{RunFolder, ShardData, jsonl, ranges};
use crate::{models, plans};

#[derive(Serialize)]
struct Done<'a> {
    run: &'a Path,
    contexts: u64,
    paraphrase: u64,
    summary: u64,
}

/// `i/N` from 1 to `(i - 1, N)`.
fn part(text: Option<&str>) -> impossible_core::Result<(u64, u64)> {
    let Some(text) = text else { return Ok((0, 1)) };
    let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
    match parsed {
        Some((i, n)) if (1..=n).contains(&i) => Ok((i - 1, n)),
        _ => Err(Error::input("--shard", "i/N with i from 1 to N", format!("\"{text}\""))),
    }
}

/// The user's sentences, cut into contexts; the plan's count shrinks to what there is.
pub(super) fn load_seeds(
    plan: &mut Plan,
    field: Option<&str>,
    asked: Option<usize>,
) -> impossible_core::Result<Vec<Seed>> {
    if plan.contexts.source != Source::Seeds {
        return Ok(Vec::new());
    }
    let path = Path::new(&plan.contexts.seeds);
    let rows = jsonl::read_seeds(path, field)?;
    let name = path.file_name().map_or_else(|| plan.contexts.seeds.clone(), |n| n.to_string_lossy().into_owned());
    let texts = rows.iter().map(|r| (format!("{name}, line {}", r.line), r.text.as_str()));
    let seeds = seeds(texts, plan.contexts.max_sentences);
    if seeds.is_empty() {
        return Err(Error::input(&plan.contexts.seeds, "at least one sentence", "none"));
    }
    plan.contexts.count = asked.unwrap_or(seeds.len()).min(seeds.len());
    Ok(seeds)
}

pub(super) fn run(session: &Session, args: &Distill) -> Result<()> {
    let spec = session.spec()?;
    // The plan records what `auto` stands for here: a run belongs to one kind of device.
    let spec = if spec == DeviceSpec::Auto { session.compute()?.spec } else { spec };
    let mut plan = plans::plan(&args.plan, spec)?;
    let seeds = load_seeds(&mut plan, args.plan.field.as_deref(), args.plan.contexts)?;
    if args.preview.is_some() {
        plan.contexts.count = plan.contexts.count.min(usize::try_from(RANGE).unwrap_or(1));
    }
    let (i, n) = part(args.shard.as_deref())?;
    let out_dir = &args.out.clone().unwrap_or_else(|| Path::new("runs").join(args.plan.preset().as_str()));
    // A preset with a student of its own shows the whole method; with the user's texts it needs sentences to go on with.
    let until = args.until.unwrap_or(match plan.contexts.source {
        _ if plan.models.student.is_empty() || args.shard.is_some() => Until::Dataset,
        Source::Seeds if args.sentences.is_none() => Until::Student,
        _ => Until::Refined,
    });
    let stop = stop_flag()?;
    let compute = plans::device(&plan)?.open()?;

    let folder = if args.preview.is_some() { None } else { Some(RunFolder::create_or_resume(out_dir, &plan)?) };
    let mine = ranges(plan.contexts.count as u64, RANGE, i, n);
    let todo: Vec<_> = mine.iter().filter(|r| folder.as_ref().is_none_or(|f| !f.shard_done(r))).cloned().collect();
    let (total, left) = (count(&mine), count(&todo));
    let mut progress = Progress::new(total, total - left, session.quiet, stop.clone());
    if !todo.is_empty() {
        let teacher = models::teacher(&session.store, &plan.models.teacher, &compute)?;
        let mut entailment = models::entailment(&session.store, &plan.models.critic, &compute)?;
        watch(&mut entailment, stop.clone());
        let needs_encoder = plan.paraphrase.cosine_min > -1.0 || plan.summary.cosine_min > -1.0;
        let mut encoder =
            if needs_encoder { Some(models::encoder(&session.store, &plan.models.encoder, &compute)?) } else { None };
        let mut event = Event { stage: Stage::Contexts, done: total - left, total, tokens: 0, pairs: 0, kept: 0 };
        for range in todo {
            let mut models = Models {
                teacher: &teacher,
                entailment: &mut entailment,
                encoder: encoder.as_mut().map(|e| e as &mut dyn SentenceEncoder),
            };
            let draft = folder.as_ref().and_then(|f| f.draft(&range));
            let mut save = |draft: &pipeline::Draft| folder.as_ref().map_or(Ok(()), |f| f.save_draft(&range, draft));
            let task = (range.clone(), &seeds[..]);
            let out = match wait(pipeline::run(&plan, &mut models, task, draft, &mut save, &mut event, &mut progress)) {
                Ok(out) => out,
                Err(error) => {
                    close(&folder, &mut progress)?;
                    return Err(advise(error, out_dir).into());
                }
            };
            let Some(folder) = &folder else {
                progress.finish();
                return preview(session, &out, args.preview.unwrap_or(0));
            };
            progress.enter(Stage::Writing);
            let data = ShardData {
                contexts: &out.contexts,
                samples: &out.samples,
                scored: &out.scored,
                links: &out.links,
                funnel: &out.funnel,
            };
            folder.write_shard(&range, data)?;
            if stop.load(Ordering::Relaxed) {
                close(&Some(folder), &mut progress)?;
                return Err(advise(Error::Interrupted, out_dir).into());
            }
        }
    }
    close(&folder, &mut progress)?;
    let Some(folder) = folder else { return Ok(()) };
    let written = folder.write_dataset()?;
    let made = written.funnel.contexts.get("made").copied().unwrap_or(0);
    if made == 0 {
        let found = format!("{:?}", written.funnel.contexts);
        return Err(Error::input(
            "contexts",
            "at least one usable context",
            format!("none; refused by reason: {found}"),
        )
        .into());
    }
    if written.funnel.samples.get("sentence").copied().unwrap_or(0) == 0 {
        let found = format!("{:?}", written.funnel.samples);
        return Err(Error::input(
            "the teacher",
            "usable first sentences",
            format!("none; samples by outcome: {found}"),
        )
        .into());
    }
    if until != Until::Dataset {
        drop(folder);
        return close_the_loop(session, args, out_dir, until, &stop);
    }
    let done = Done { run: out_dir, contexts: made, paraphrase: written.kept[0], summary: written.kept[1] };
    session.say(&done, || {
        let out = out_dir.display();
        format!(
            "{} paraphrase pairs and {} summary pairs from {made} contexts.\n  {out}/dataset/paraphrase.jsonl\n  {out}/dataset/summary.jsonl\n  {out}/report.html\nRead them: impossible inspect {out}\nOther thresholds: impossible filter --run {out} --rouge-max 0.6",
            done.paraphrase, done.summary
        )
    })
}

/// Student, self-distillation, better student; what is there already is skipped.
fn close_the_loop(
    session: &Session,
    args: &Distill,
    out: &Path,
    until: Until,
    stop: &std::sync::Arc<AtomicBool>,
) -> Result<()> {
    let run = RunFolder::open(out)?;
    let whole = !run.plan().models.student.is_empty();
    let stage0 = train::Request {
        data: vec![out.join("dataset")],
        out: out.join("student/stage0"),
        base: train::base(&run),
        tasks: Task::ALL.to_vec(),
        seed: run.plan().seed,
        flags: &args.train,
        run: &run,
    };
    let mut done = train::train(session, &stage0, stop)?;
    if until == Until::Refined {
        let refine = Refine {
            run: out.to_owned(),
            student: None,
            sentences: args.sentences.clone(),
            field: args.plan.field.clone(),
            sources: args.sources.unwrap_or(if whole { 512 } else { 1000 }),
            samples: 10,
            pairs_only: false,
            train: TrainFlags::default(),
        };
        let pairs = refine::make_pairs(session, &run, &refine, stop)?;
        if pairs.kept == [0, 0] {
            eprintln!(
                "The critics kept none of the student's versions of {} sentences: the student stays as it is. More contexts, or more sentences (--sources), help.",
                pairs.sources
            );
        } else {
            done = refine::next_student(session, &run, None, &pairs, &args.train, stop)?;
        }
    }
    if whole && args.sentences.is_none() && run.plan().contexts.source != Source::Seeds {
        return showcase::run(session, &run, &stage0.base, &done, stop);
    }
    session.say(&done, || train::told(&done))
}

fn count(ranges: &[std::ops::Range<u64>]) -> u64 {
    ranges.iter().map(|r| r.end - r.start).sum()
}

/// Lets Ctrl-C reach the critic between batches.
pub(super) fn watch(entailment: &mut Entailment, stop: std::sync::Arc<AtomicBool>) {
    entailment.observer =
        Some(Box::new(move |_| if stop.load(Ordering::Relaxed) { Signal::Stop } else { Signal::Continue }));
}

fn close<F: std::borrow::Borrow<RunFolder>>(folder: &Option<F>, progress: &mut Progress) -> Result<()> {
    progress.finish();
    if let Some(folder) = folder {
        folder.borrow().add_timings(&progress.timings)?;
    }
    Ok(())
}

fn advise(error: Error, out: &Path) -> Error {
    if error == Error::Interrupted {
        let out = out.display();
        eprintln!(
            "What was finished is saved in {out}: ranges of {RANGE} contexts, and the contexts and samples of the one at work. The same command goes on from there."
        );
    }
    error
}

fn preview(session: &Session, out: &pipeline::Outcome, limit: usize) -> Result<()> {
    let text = |context: u64, row: u32| {
        let found = out.samples.iter().find(|s| s.context == context && s.row == row && s.finish == Finish::Sentence);
        found.map(|s| s.text.clone()).unwrap_or_default()
    };
    for task in Task::ALL {
        let kept = out.scored.iter().filter(|s| s.task == task && s.refused_by.is_empty()).take(limit);
        for s in kept {
            let pair = Kept { text: text(s.context, s.x), target: text(s.context, s.y), scored: s.clone() };
            session.say(&pair, || render(&pair, Style { width: 100, colour: false }))?;
        }
    }
    session.say(&out.funnel, || format!("{:#?}", out.funnel))
}
