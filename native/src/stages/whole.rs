//! The stages after a run's pairs: a student, self-distillation and the next student; or a reworder, its pairs and a
//! student. Finished stages are skipped.

use std::path::{Path, PathBuf};

use anyhow::Result;
use record::Task;
use record::plan::{Plan, Source};

use super::student::{Aside, Done, Request, base, train};
use super::{refine, reworder, showcase};
use crate::args::{Distill, Moved, Refine, TrainFlags, Until};
use crate::fs::{io_error, write_lines};
use crate::models::student::Judges;
use crate::run::RunFolder;
use crate::session::Session;

/// Number of sentences of a file that are rewritten without `--sources`: all of them.
const ALL: usize = 1_000_000;

/// Trains the students of a run up to a stage and prints the result.
///
/// # Errors
/// Errors of the stages.
pub fn students(session: &Session, args: &Distill, plan: &Plan, out: &Path, until: Until) -> Result<()> {
    let run = RunFolder::open(out)?.spelled_as(plan);
    if until == Until::Reworded {
        let done = reworded(session, args, &run)?;
        return session.say(&done, || done.told());
    }
    // A preset with its own student model is a demonstration of the whole method.
    let shows = !run.plan().models.student.is_empty();
    let stage0 = Request {
        data: vec![out.join("dataset")],
        out: out.join("student/stage0"),
        aside: Aside::Anything,
        base: base(&run),
        tasks: Task::ALL.to_vec(),
        seed: run.plan().seed,
        flags: &args.train,
        judges: Judges::of(run.plan()),
        run: &run,
    };
    let mut done = train(session, &stage0)?;
    if until == Until::Refined {
        done = refined(session, args, &run, done)?;
    }
    if shows && args.sentences.is_none() && run.plan().contexts.source != Source::Seeds {
        return showcase::run(session, &run, &stage0.base, &done);
    }
    session.say(&done, || done.told())
}

/// The student after self-distillation, or the given one if the critics accepted none of its versions.
fn refined(session: &Session, args: &Distill, run: &RunFolder, done: Done) -> Result<Done> {
    let sources = if run.plan().models.student.is_empty() { 1000 } else { 512 };
    let sources = args.sources.unwrap_or(sources);
    let pairs = refine::make_pairs(session, run, &request(args, run, None, args.sentences.clone(), sources))?;
    if pairs.kept == [0, 0] {
        note!(
            "The critics accepted none of the student's versions of {} sentences, so the student is not trained \
             further. Use more contexts or more sentences (--sources).",
            pairs.sources
        );
        return Ok(done);
    }
    refine::next_student(session, run, (None, None), &pairs, (&args.train, Aside::Anything))
}

fn request(
    args: &Distill,
    run: &RunFolder,
    student: Option<PathBuf>,
    sentences: Option<PathBuf>,
    sources: usize,
) -> Refine {
    Refine {
        run: run.dir().to_owned(),
        student,
        out: None,
        sentences,
        field: args.plan.field.clone(),
        sources,
        samples: 10,
        pairs_only: false,
        moved: Moved::default(),
        train: TrainFlags::default(),
    }
}

/// A reworder of the run's sentences and of those to reword, the pairs that it makes of the latter, and a student that
/// starts from its weights and is trained on these and the run's pairs.
fn reworded(session: &Session, args: &Distill, run: &RunFolder) -> Result<Done> {
    let sources = args.sources.unwrap_or(if args.sentences.is_some() { ALL } else { 2000 });
    let sentences = match &args.sentences {
        Some(file) => file.clone(),
        None => fresh(session, run, sources)?,
    };
    let files = [sentences.clone()];
    let request_reworder = reworder::Request {
        run: Some(run),
        texts: (&files, args.plan.field.as_deref()),
        out: reworder::folder(Some(run.dir())),
        aside: Aside::Anything,
        base: base(run),
        seed: run.plan().seed,
        flags: &args.train,
    };
    let reworder = reworder::train(session, &request_reworder)?;
    let refine = request(args, run, Some(reworder.student.clone()), Some(sentences), sources);
    let pairs = refine::make_pairs(session, run, &refine)?;
    if pairs.kept == [0, 0] {
        note!(
            "The critics accepted none of the reworder's candidates for {} sentences, so no student is trained. Use \
             more sentences (--sources), or train the reworder for longer (--epochs).",
            pairs.sources
        );
        return Ok(reworder);
    }
    let student = Request {
        run,
        data: vec![run.dir().join("dataset"), pairs.folder],
        out: run.dir().join("student/stage0"),
        aside: Aside::Anything,
        base: reworder.student.display().to_string(),
        tasks: Task::ALL.to_vec(),
        seed: run.plan().seed,
        flags: &args.train,
        judges: pairs.judges,
    };
    train(session, &student)
}

/// A file of new sentences by the run's teacher, which is written once.
fn fresh(session: &Session, run: &RunFolder, sources: usize) -> Result<PathBuf> {
    refine::check_sentences(run.plan(), None)?;
    let folder = run.dir().join("student");
    let file = folder.join(format!("sentences-{sources}.jsonl"));
    if !file.is_file() {
        let texts = refine::fresh(session, run.plan(), run.plan().seed + 1, sources)?;
        let lines: Vec<serde_json::Value> = texts.into_iter().map(|text| serde_json::json!({ "text": text })).collect();
        std::fs::create_dir_all(&folder).map_err(io_error("creating", &folder))?;
        write_lines(&file, &lines)?;
    }
    Ok(file)
}
