//! The method in miniature: contexts, siblings, pairs, critics. What was scored stays, so that other thresholds need no
//! model.

use std::collections::BTreeMap;

use impossible_core::critic::refilter::refilter;
use impossible_core::critic::{Link, Panel, Siblings};
use impossible_core::device::DeviceSpec;
use impossible_core::distill::contexts::{Seed, make, seeds};
use impossible_core::distill::pipeline::siblings;
use impossible_core::plan::{Plan, Source};
use impossible_core::record::{Finish, Funnel, Kept, Sample, Scored};
use impossible_core::{Error, Result};

use super::desk::{Desk, Writing, event, now};
use super::models::Models;
use crate::protocol::{Distill, Filtered, Point, Response, Thresholds};

/// While scoring, so that thresholds can be moved both ways without asking a model again.
const LOOSE_ENTAILMENT: f32 = 0.2;
const LOOSE_ROUGE: f32 = 0.95;

/// Most points that the page draws.
const POINTS: usize = 1200;

/// A distillation so far.
pub(super) struct Distilled {
    pub(super) plan: Plan,
    /// What the visitor set.
    pub(super) thresholds: Thresholds,
    siblings: BTreeMap<u64, Siblings>,
    scored: Vec<Scored>,
    links: Vec<Link>,
    counts: Funnel,
}

impl Distilled {
    pub(super) fn new(settings: &Distill, models: &Models) -> Self {
        let spec: DeviceSpec = models.compute.spec;
        let mut plan = Plan::tiny(spec);
        let thresholds = Thresholds { paraphrase: plan.paraphrase.clone(), summary: plan.summary.clone() };
        plan.seed = settings.seed.min(1 << 52);
        plan.contexts.count = settings.contexts.clamp(1, 64);
        plan.siblings.k = settings.k.clamp(2, 512);
        plan.siblings.batch = plan.siblings.k.min(if models.compute.is_host() { 48 } else { 128 });
        plan.siblings.temperature = settings.temperature.clamp(0.1, 2.0);
        if !settings.seeds.is_empty() {
            plan.contexts.source = Source::Seeds;
            "the visitor's sentences".clone_into(&mut plan.contexts.seeds);
        }
        plan.paraphrase.entailment_min = plan.paraphrase.entailment_min.min(LOOSE_ENTAILMENT);
        plan.paraphrase.rouge_min = 0.0;
        plan.paraphrase.rouge_max = LOOSE_ROUGE;
        plan.summary.entailment_min = plan.summary.entailment_min.min(LOOSE_ENTAILMENT);
        plan.summary.length_max = LOOSE_ROUGE;
        plan.summary.max_per_summary = 0;
        Self {
            plan,
            thresholds,
            siblings: BTreeMap::new(),
            scored: Vec::new(),
            links: Vec::new(),
            counts: Funnel::default(),
        }
    }

    fn text(&self, context: u64, row: u32) -> String {
        let siblings = self.siblings.get(&context);
        let found = siblings.and_then(|s| Some(s.get(s.index_of(row)?).text.clone()));
        found.unwrap_or_default()
    }

    /// The pairs under the visitor's thresholds.
    pub(super) fn filter(&self) -> Result<Filtered> {
        let Thresholds { paraphrase, summary } = &self.thresholds;
        paraphrase.validate()?;
        summary.validate()?;
        let again = refilter(&self.scored, &self.links, &self.siblings, paraphrase, summary)?;
        let mut funnel = self.counts.clone();
        funnel.add(&again.funnel);
        let read: Vec<&Scored> = again.scored.iter().filter(|s| s.forward.is_some()).collect();
        let every = read.len().div_ceil(POINTS).max(1);
        let pair = |s: &Scored| (self.text(s.context, s.x), self.text(s.context, s.y));
        // Kept pairs are all drawn.
        let points = read
            .iter()
            .enumerate()
            .filter(|(i, s)| i.is_multiple_of(every) || s.refused_by.is_empty())
            .map(|(_, s)| {
                let (text, target) = pair(s);
                Point { text, target, scored: (*s).clone() }
            })
            .collect();
        let kept = again
            .scored
            .iter()
            .filter(|s| s.refused_by.is_empty())
            .map(|s| {
                let (text, target) = pair(s);
                Kept { text, target, scored: s.clone() }
            })
            .collect();
        Ok(Filtered { points, kept, funnel, missing: again.missing, contexts: self.siblings.len() })
    }

    /// Sentences that are in no kept pair, one of each context: the student has not seen them.
    pub(super) fn unseen(&self, kept: &[Kept], most: usize) -> Vec<String> {
        let used = |context: u64, row: u32| {
            kept.iter().any(|k| k.scored.context == context && (k.scored.x == row || k.scored.y == row))
        };
        self.siblings
            .iter()
            .filter_map(|(context, siblings)| {
                let all = siblings.all().iter().filter(|s| !used(*context, s.row));
                // A long one has something to leave out.
                all.filter(|s| (40..180).contains(&s.text.len())).max_by_key(|s| (s.text.len(), s.row))
            })
            .take(most)
            .map(|s| s.text.clone())
            .collect()
    }
}

pub(super) async fn run(desk: &Desk, models: &mut Models, all: &mut Distilled, settings: &Distill) -> Result<()> {
    let texts = settings.seeds.iter().enumerate().map(|(i, t)| (format!("line {}", i + 1), t.as_str()));
    let own: Vec<Seed> = seeds(texts, 3);
    if !settings.seeds.is_empty() {
        if own.is_empty() {
            return Err(Error::input("your sentences", "at least one whole sentence", "none"));
        }
        all.plan.contexts.count = all.plan.contexts.count.min(own.len());
    }
    let (run, of) = (desk.run(), all.plan.contexts.count);
    // Thresholds that let every pair to the critic whose place on the plane can be of interest.
    let panel = Panel::new(&all.plan.paraphrase, &all.plan.summary);
    for id in 0..of as u64 {
        let mut event = event();
        let mut quiet = Writing { desk: desk.clone(), rows: |_: &[Sample]| {} };
        let made = make(&models.teacher, &all.plan, id..id + 1, &own, &mut event, &mut quiet).await?;
        for (reason, n) in made.counts {
            *all.counts.contexts.entry(reason).or_default() += n;
        }
        let Some(context) = made.contexts.into_iter().next() else { continue };
        desk.say(Response::Context { run, context: id, of, text: context.text.clone() });
        let mut streaming = Writing {
            desk: desk.clone(),
            rows: |rows: &[Sample]| {
                let usable = rows.iter().filter(|row| row.finish == Finish::Sentence);
                let sentences = usable.map(|row| row.text.clone()).collect();
                let rows = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                desk.say(Response::Siblings { run, context: id, sentences, rows });
            },
        };
        let start = now();
        let contexts = [context];
        let samples = siblings(&models.teacher, &all.plan, &contexts, &mut event, &mut streaming).await?;
        desk.wrote(samples.iter().map(|s| u64::from(s.tokens)).sum(), (now() - start) / 1000.0);
        for sample in &samples {
            let name = if sample.finish == Finish::Sentence { "sentence" } else { "unusable" };
            *all.counts.samples.entry(name.into()).or_default() += 1;
        }
        let usable = samples.iter().filter(|s| s.finish == Finish::Sentence);
        let mut these = Siblings::new(usable.map(|s| (s.row, s.text.as_str())))?;
        *all.counts.samples.entry("duplicate".into()).or_default() += these.duplicates();
        let verdicts = panel.judge(id, &mut these, None, &mut models.critic).await?;
        all.scored.extend(verdicts.scored);
        all.links.extend(verdicts.links);
        all.siblings.insert(id, these);
        desk.say(Response::Pairs(all.filter()?));
        desk.listen().await;
    }
    Ok(())
}
