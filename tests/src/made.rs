//! A run of made-up sentences whose entailment is the share of common words: its files have the same bytes on every
//! processor.

use std::collections::HashSet;
use std::future;
use std::path::Path;

use anyhow::Result;
use impossible::report;
use impossible::run::{RunFolder, ShardData, ranges};
use lm::lanes::wait;
use method::critic::{BoxFuture, EntailmentModel, Panel};
use method::distill::pipeline::{RANGE, sentences};
use record::monitor::Unwatched;
use record::plan::Plan;
use record::{Context, ContextOutcome, DeviceSpec, Finish, Funnel, Monitor, Preset, Sample, SampleOutcome};

/// Contexts of the run, in two ranges.
pub const FIRMS: [&str; 6] = ["Allied", "Baker", "Crown", "Delta", "Essex", "Fargo"];

/// Siblings of a firm's context; the last one has no end.
#[must_use]
pub fn siblings(firm: &str) -> [String; 5] {
    [
        format!("{firm} Corp said it will pay a dividend of 12 cts a share on March 31."),
        format!("{firm} Corp said on March 31 it will pay a dividend of 12 cts a share."),
        format!("{firm} Corp said it will pay a dividend of 15 cts a share on March 31."),
        format!("{firm} Corp said it will pay a dividend."),
        format!("{firm} Corp said it will pay a"),
    ]
}

/// The plan of the run: preset tiny for so many contexts.
#[must_use]
pub fn plan() -> Plan {
    let mut plan = Preset::Tiny.plan(DeviceSpec::Flex);
    (plan.contexts.count, plan.siblings.k) = (FIRMS.len(), 5);
    plan
}

/// Share of y's words that x has.
struct Words;

impl EntailmentModel for Words {
    fn entail<'a>(
        &'a mut self,
        pairs: &'a [(&'a str, &'a str)],
        _: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, record::Result<Vec<f32>>> {
        let words = |text: &'a str| text.split([' ', '.']).collect::<HashSet<_>>();
        let share = |&(x, y): &(&'a str, &'a str)| {
            let (x, y) = (words(x), words(y));
            y.intersection(&x).count() as f32 / y.len() as f32
        };
        Box::pin(future::ready(Ok(pairs.iter().map(share).collect())))
    }
}

/// Writes the i-th (from 0) of n parts of the run, with its dataset and report.
///
/// # Errors
/// The folder's.
pub fn run(dir: &Path, plan: &Plan, (part, parts): (u64, u64)) -> Result<()> {
    let folder = RunFolder::create_or_resume(dir, plan)?;
    let panel = Panel::new(&plan.paraphrase, &plan.summary);
    for range in ranges(plan.contexts.count as u64, RANGE, part, parts) {
        let (mut contexts, mut samples, mut scored, mut links) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut funnel = Funnel::default();
        for (id, firm) in (0..).zip(FIRMS).filter(|(id, _)| range.contains(id)) {
            let text = format!("NEW YORK - {firm} Corp raised its dividend.");
            contexts.push(Context { id, text, origin: String::new(), sentences: 1 });
            samples.extend((0..).zip(siblings(firm)).map(|(row, text)| {
                let finish = if text.ends_with('.') { Finish::Sentence } else { Finish::Length };
                Sample { context: id, row, text, tokens: 20, finish }
            }));
            let mut set = sentences(&samples, id)?;
            let mut unwatched = Unwatched;
            let mut monitor = Monitor::new(&mut unwatched, 0, 0);
            let verdicts = wait(panel.judge(id, &mut set, None, &mut Words, &mut monitor))?;
            scored.extend(verdicts.scored);
            links.extend(verdicts.links);
            funnel.add(&verdicts.funnel);
        }
        funnel.contexts.insert(ContextOutcome::Made, contexts.len() as u64);
        for sample in &samples {
            *funnel.samples.entry(SampleOutcome::from(sample.finish)).or_default() += 1;
        }
        let data =
            ShardData { contexts: &contexts, samples: &samples, scored: &scored, links: &links, funnel: &funnel };
        folder.write_shard(&range, data)?;
    }
    let written = folder.write_dataset()?;
    Ok(report::write(&folder, &written)?)
}
