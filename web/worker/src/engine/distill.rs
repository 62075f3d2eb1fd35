//! A small distillation in the browser: contexts, siblings, pairs and critics. Scores are stored, so that other
//! thresholds can be applied without a model.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use lm::device::DeviceSpec;
use method::critic::{Link, Panel, SentenceSet, refilter as again};
use method::distill::contexts::{Seed, seeds};
use method::distill::pipeline::{Draft, Judged, Pipeline, Store, sentences};
use record::plan::{Plan, Source};
use record::{Error, Finish, Funnel, Kept, Monitor, Preset, Result, Sample, Scored};

use super::desk::{Attention, Desk};
use super::models::Models;
use protocol::{Distill, Filtered, Point, Response, Run, Thresholds};

/// Thresholds while scoring. They are loose, so that the user can change the thresholds later without scoring again.
const LOOSE_ENTAILMENT: f32 = 0.2;
const LOOSE_ROUGE: f32 = 0.95;

/// Approximate number of points that the page draws, in addition to all kept pairs.
const POINTS: usize = 1200;

/// The last distillation. It is never borrowed across an await, so that thresholds can be changed while something else
/// runs.
pub(super) type Shared = Rc<RefCell<Option<Distilled>>>;

/// Applies other thresholds to the last distillation; `None` if there is none.
pub(super) fn refilter(shared: &Shared, thresholds: Thresholds) -> Result<Option<Filtered>> {
    let mut slot = shared.borrow_mut();
    let Some(distilled) = slot.as_mut() else { return Ok(None) };
    distilled.thresholds = thresholds;
    distilled.filter().map(Some)
}

/// The state of a distillation.
pub(super) struct Distilled {
    pub(super) plan: Plan,
    /// The thresholds that the user set.
    pub(super) thresholds: Thresholds,
    siblings: BTreeMap<u64, SentenceSet>,
    scored: Vec<Scored>,
    links: Vec<Link>,
    counts: Funnel,
}

impl Distilled {
    pub(super) fn new(settings: &Distill, models: &Models) -> Self {
        let spec: DeviceSpec = models.compute.spec;
        let mut plan = Preset::Tiny.plan(spec);
        let thresholds = settings.thresholds.clone().unwrap_or_else(|| models.thresholds.clone());
        // The other critics are those of the user's thresholds as well.
        (plan.paraphrase, plan.summary) = (thresholds.paraphrase.clone(), thresholds.summary.clone());
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

    fn add(&mut self, judged: Judged) -> Result<()> {
        for context in &judged.contexts {
            self.siblings.insert(context.id, sentences(&judged.samples, context.id)?);
        }
        self.scored.extend(judged.scored);
        self.links.extend(judged.links);
        // The steps of the critics depend on the thresholds and are counted by `filter`.
        self.counts.add(&Funnel { paraphrase: Vec::new(), summary: Vec::new(), ..judged.funnel });
        Ok(())
    }

    fn text(&self, context: u64, row: u32) -> String {
        let siblings = self.siblings.get(&context);
        let found = siblings.and_then(|s| Some(s.get(s.index_of(row)?).text.clone()));
        found.unwrap_or_default()
    }

    /// The pairs under the user's thresholds.
    pub(super) fn filter(&self) -> Result<Filtered> {
        let Thresholds { paraphrase, summary } = &self.thresholds;
        paraphrase.validate()?;
        summary.validate()?;
        let again = again::refilter(&self.scored, &self.links, &self.siblings, paraphrase, summary)?;
        let mut funnel = self.counts.clone();
        funnel.add(&again.funnel);
        let read: Vec<&Scored> = again.scored.iter().filter(|s| s.forward.is_some()).collect();
        let every = read.len().div_ceil(POINTS).max(1);
        let pair = |s: &Scored| (self.text(s.context, s.x), self.text(s.context, s.y));
        // All kept pairs are drawn.
        let points = read
            .iter()
            .enumerate()
            .filter(|(i, s)| i.is_multiple_of(every) || s.kept())
            .map(|(_, s)| {
                let (text, target) = pair(s);
                Point { text, target, scored: (*s).clone() }
            })
            .collect();
        let kept = again
            .scored
            .iter()
            .filter(|s| s.kept())
            .map(|s| {
                let (text, target) = pair(s);
                Kept { text, target, scored: s.clone() }
            })
            .collect();
        Ok(Filtered { points, kept, funnel, missing: again.missing, contexts: self.siblings.len() })
    }

    /// Sentences that the student was not trained on: from each context one that is in no kept pair, at most `most`.
    pub(super) fn unseen(&self, kept: &[Kept], most: usize) -> Vec<String> {
        let used = |context: u64, row: u32| {
            kept.iter().any(|k| k.scored.context == context && (k.scored.x == row || k.scored.y == row))
        };
        self.siblings
            .iter()
            .filter_map(|(context, siblings)| {
                let all = siblings.all().iter().filter(|s| !used(*context, s.row));
                // A long sentence can be summarised.
                all.filter(|s| (40..180).contains(&s.text.len())).max_by_key(|s| (s.text.len(), s.row))
            })
            .take(most)
            .map(|s| s.text.clone())
            .collect()
    }
}

/// Sends the pipeline's results to the page and stores them in memory.
struct Memory<'a> {
    desk: &'a Desk,
    shared: &'a Shared,
    run: Run,
    of: usize,
}

impl Store for Memory<'_> {
    fn draft(&mut self, _: &Range<u64>) -> Result<Option<Draft>> {
        Ok(None)
    }

    fn keep_draft(&mut self, _: &Range<u64>, draft: &Draft) -> Result<()> {
        if draft.samples.is_none() {
            for context in &draft.made.contexts {
                let text = context.text.clone();
                self.desk.say(Response::Context { run: self.run, context: context.id, of: self.of, text });
            }
        }
        Ok(())
    }

    fn keep(&mut self, _: &Range<u64>, judged: Judged) -> Result<()> {
        if let Some(all) = self.shared.borrow_mut().as_mut() {
            all.add(judged)?;
            self.desk.say(Response::Pairs(all.filter()?));
        }
        Ok(())
    }
}

/// Runs the pipeline, one context at a time, and reports to the page.
pub(super) async fn run(desk: &Desk, models: &mut Models, shared: &Shared, settings: &Distill) -> Result<()> {
    let mut fresh = Distilled::new(settings, models);
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
    pipeline.run(&ranges, &mut Memory { desk, shared, run, of }, &mut monitor).await
}
