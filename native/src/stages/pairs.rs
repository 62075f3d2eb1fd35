//! Generating contexts, siblings and judged pairs in a run folder, and writing the run's dataset.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use lm::decode::TextModel;
use lm::device::Compute;
use lm::lanes::wait;
use method::critic::Critics;
use method::distill::contexts::Seed;
use method::distill::pipeline::{Draft, Judged, Pipeline, RANGE, Store};
use record::plan::Plan;
use record::{ContextOutcome, Error, Monitor, SampleOutcome};

use crate::report;
use crate::run::RunFolder;
use crate::run::dataset::Written;
use crate::session::Session;

/// What to generate, and where.
pub struct Request<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Seeds by context, if the plan's source of contexts is `seeds`.
    pub seeds: &'a [Seed],
    /// The run folder.
    pub out: &'a Path,
    /// This machine's part of the ranges: (i, n) is the i-th of n parts, from 0.
    pub part: (u64, u64),
}

/// Generates the missing ranges, writes the dataset of all finished ranges and the report.
///
/// # Errors
/// Errors of the models and of the folder; [`Error::Input`] if there is no usable context or sentence;
/// [`Error::Interrupted`] when the user asked to stop.
pub fn make(session: &Session, request: &Request<'_>) -> Result<(RunFolder, Written)> {
    let plan = request.plan;
    let compute = Compute::open(plan.device)?;
    let mut folder = RunFolder::create_or_resume(request.out, plan)?;
    let mine = folder.ranges(RANGE, request.part);
    let todo = folder.todo(&mine)?;
    let (total, left) = (count(&mine), count(&todo));
    let mut bar = session.bar("contexts", total - left, total)?;
    if todo.is_empty() && folder.plan().models != plan.models {
        folder.settle_models(&session.identities(plan)?)?;
    }
    let made = if todo.is_empty() {
        Ok(())
    } else {
        let mut models = Opened::of(session, &compute, plan)?;
        // Only models that load are those of the run.
        folder.settle_models(&session.identities(plan)?)?;
        let mut monitor = Monitor::new(&mut bar, total - left, total);
        models.run((plan, request.seeds), &todo, &mut folder, &mut monitor)
    };
    bar.finish();
    folder.add_timings(&bar.timings)?;
    if let Err(Error::Interrupted) = made {
        note!(
            "What was finished is saved in {}: complete ranges of {RANGE} contexts, and contexts and samples of the \
             current one. The same command goes on from there.",
            request.out.display()
        );
    }
    made?;
    let written = folder.write_dataset()?;
    report::write(&folder, &written)?;
    check(&written)?;
    Ok((folder, written))
}

/// Generates and judges the first range of a plan without saving it.
///
/// # Errors
/// As [`make`].
pub fn preview(session: &Session, plan: &Plan, seeds: &[Seed]) -> Result<Judged> {
    let compute = Compute::open(plan.device)?;
    let total = (plan.contexts.count as u64).min(RANGE);
    let mut bar = session.bar("contexts", 0, total)?;
    let mut store = Memory::default();
    let mut models = Opened::of(session, &compute, plan)?;
    let mut monitor = Monitor::new(&mut bar, 0, total);
    let made = models.run((plan, seeds), std::slice::from_ref(&(0..total)), &mut store, &mut monitor);
    bar.finish();
    made?;
    Ok(store.0)
}

/// The models that generate and judge.
struct Opened {
    teacher: TextModel,
    critics: Critics,
}

impl Opened {
    fn of(session: &Session, compute: &Compute, plan: &Plan) -> record::Result<Self> {
        let teacher = session.text_model(&plan.models.teacher, compute)?;
        Ok(Self { teacher, critics: session.critics(plan, compute)? })
    }

    fn run(
        &mut self,
        (plan, seeds): (&Plan, &[Seed]),
        ranges: &[Range<u64>],
        store: &mut dyn Store,
        monitor: &mut Monitor<'_>,
    ) -> record::Result<()> {
        let mut pipeline = Pipeline { plan, teacher: &self.teacher, critics: &mut self.critics, seeds };
        wait(pipeline.run(ranges, store, monitor))
    }
}

/// A store that holds only the last range, for a preview.
#[derive(Default)]
struct Memory(Judged);

impl Store for Memory {
    fn draft(&mut self, _: &Range<u64>) -> record::Result<Option<Draft>> {
        Ok(None)
    }

    fn keep_draft(&mut self, _: &Range<u64>, _: &Draft) -> record::Result<()> {
        Ok(())
    }

    fn keep(&mut self, _: &Range<u64>, judged: Judged) -> record::Result<()> {
        self.0 = judged;
        Ok(())
    }
}

fn count(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|r| r.end - r.start).sum()
}

/// Checks that the teacher generated at least one usable context and one usable sentence.
fn check(written: &Written) -> record::Result<()> {
    let funnel = &written.funnel;
    if funnel.contexts(ContextOutcome::Made) == 0 {
        let found: Vec<String> = funnel.contexts.iter().map(|(outcome, n)| format!("{outcome}: {n}")).collect();
        let found = format!("none; attempts by outcome: {}", found.join(", "));
        return Err(Error::input("contexts", "at least one usable context", found));
    }
    if funnel.samples(SampleOutcome::Sentence) == 0 {
        let found: Vec<String> = funnel.samples.iter().map(|(outcome, n)| format!("{outcome}: {n}")).collect();
        let found = format!("none; samples by outcome: {}", found.join(", "));
        return Err(Error::input("the teacher", "usable first sentences", found));
    }
    Ok(())
}
