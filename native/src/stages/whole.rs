//! The stages after a run's pairs: a student, self-distillation, and the next student. Finished stages are skipped.

use std::path::Path;

use anyhow::Result;
use record::Task;
use record::plan::{Plan, Source};

use super::student::{Aside, Done, Request, base, train};
use super::{refine, showcase};
use crate::args::{Distill, Moved, Refine, TrainFlags, Until};
use crate::models::student::Judges;
use crate::run::RunFolder;
use crate::session::Session;

/// Trains the students of a run up to a stage and prints the result.
///
/// # Errors
/// Errors of the stages.
pub fn students(session: &Session, args: &Distill, plan: &Plan, out: &Path, until: Until) -> Result<()> {
    let run = RunFolder::open(out)?.spelled_as(plan);
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
    let refine = Refine {
        run: run.dir().to_owned(),
        student: None,
        out: None,
        sentences: args.sentences.clone(),
        field: args.plan.field.clone(),
        sources: args.sources.unwrap_or(sources),
        samples: 10,
        pairs_only: false,
        moved: Moved::default(),
        train: TrainFlags::default(),
    };
    let pairs = refine::make_pairs(session, run, &refine)?;
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
