//! What follows the pairs of a run: a student, self-distillation, and a better student. What is there already is skipped.

use std::path::Path;

use anyhow::Result;
use record::Task;
use record::plan::Source;

use super::student::{Done, Request, base, train};
use super::{refine, showcase};
use crate::args::{Distill, Refine, TrainFlags, Until};
use crate::run::RunFolder;
use crate::session::Session;

/// Students of a run up to the stage that is asked for.
///
/// # Errors
/// Those of the stages.
pub fn students(session: &Session, args: &Distill, out: &Path, until: Until) -> Result<()> {
    let run = RunFolder::open(out)?;
    // A preset with a student of its own shows the whole method.
    let shows = !run.plan().models.student.is_empty();
    let stage0 = Request {
        data: vec![out.join("dataset")],
        out: out.join("student/stage0"),
        base: base(&run),
        tasks: Task::ALL.to_vec(),
        seed: run.plan().seed,
        flags: &args.train,
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

/// The student after self-distillation, or as it was where the critics kept nothing of it.
fn refined(session: &Session, args: &Distill, run: &RunFolder, done: Done) -> Result<Done> {
    let sources = if run.plan().models.student.is_empty() { 1000 } else { 512 };
    let refine = Refine {
        run: run.dir().to_owned(),
        student: None,
        sentences: args.sentences.clone(),
        field: args.plan.field.clone(),
        sources: args.sources.unwrap_or(sources),
        samples: 10,
        pairs_only: false,
        train: TrainFlags::default(),
    };
    let pairs = refine::make_pairs(session, run, &refine)?;
    if pairs.kept == [0, 0] {
        eprintln!(
            "The critics kept none of the student's versions of {} sentences: the student stays as it is. More contexts, or \
             more sentences (--sources), help.",
            pairs.sources
        );
        return Ok(done);
    }
    refine::next_student(session, run, None, &pairs, &args.train)
}
