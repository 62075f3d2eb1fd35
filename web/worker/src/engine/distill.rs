//! Running a distillation and reporting it to the page.

use std::ops::Range;

use impossible_worker::distilled::{Distilled, Memory, Shared};
use method::critic::Panel;
use method::distill::contexts::{Seed, seeds};
use method::distill::pipeline::Pipeline;
use record::{Error, Finish, Monitor, Result, Sample};

use super::desk::{Attention, Desk};
use super::models::Models;
use protocol::{Distill, Response};

/// Runs the pipeline, one context at a time, and reports to the page.
pub(super) async fn run(desk: &Desk, models: &mut Models, shared: &Shared, settings: &Distill) -> Result<()> {
    let mut fresh = Distilled::new(settings, &models.compute, &models.thresholds);
    let texts = settings.seeds.iter().enumerate().map(|(i, t)| (format!("line {}", i + 1), t.as_str()));
    let own: Vec<Seed> = seeds(texts, 3);
    if !settings.seeds.is_empty() {
        if own.is_empty() {
            return Err(Error::input("your sentences", "at least one whole sentence", "none"));
        }
        fresh.plan.contexts.count = fresh.plan.contexts.count.min(own.len());
    }
    let plan = fresh.plan.clone();
    *shared.borrow_mut() = Some(fresh);
    let (run, of) = (desk.run(), plan.contexts.count);
    models.critics.panel = Panel::new(&plan.paraphrase, &plan.summary);
    let mut pipeline = Pipeline { plan: &plan, teacher: &models.teacher, critics: &mut models.critics, seeds: &own };
    let ranges: Vec<Range<u64>> = (0..of as u64).map(|id| id..id + 1).collect();
    let mut attention = Attention::new(desk, |rows: &[Sample]| {
        let Some(context) = rows.first().map(|row| row.context) else { return };
        let usable = rows.iter().filter(|row| row.finish == Finish::Sentence);
        let sentences = usable.map(|row| row.text.clone()).collect();
        let rows = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        desk.say(Response::Siblings { run, context, sentences, rows });
    });
    let mut monitor = Monitor::new(&mut attention, 0, of as u64);
    let mut memory = Memory { say: |response| desk.say(response), shared, run, of };
    pipeline.run(&ranges, &mut memory, &mut monitor).await
}
