//! A distillation of the browser: scored pairs that other thresholds can be applied to without a model, and the store
//! that collects them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use lm::device::Compute;
use method::critic::{Link, SentenceSet, refilter as again};
use method::distill::pipeline::{Draft, Judged, Store, sentences};
use protocol::{Distill, Filtered, Point, Response, Run, Thresholds};
use record::plan::{Plan, Source};
use record::{Funnel, Kept, Preset, Result, Scored};

/// Thresholds while scoring. They are loose, so that the user can change the thresholds later without scoring again.
const LOOSE_ENTAILMENT: f32 = 0.2;
const LOOSE_ROUGE: f32 = 0.95;

/// Approximate number of points that the page draws, in addition to all kept pairs.
const POINTS: usize = 1200;

/// The last distillation. It is never borrowed across an await, so that thresholds can be changed while something else
/// runs.
pub type Shared = Rc<RefCell<Option<Distilled>>>;

/// Applies other thresholds to the last distillation; `None` if there is none.
pub fn refilter(shared: &Shared, thresholds: Thresholds) -> Result<Option<Filtered>> {
    let mut slot = shared.borrow_mut();
    let Some(distilled) = slot.as_mut() else { return Ok(None) };
    distilled.thresholds = thresholds;
    distilled.filter().map(Some)
}

/// The state of a distillation.
pub struct Distilled {
    /// What is sampled, and thresholds loose enough to score each pair that the user's may keep.
    pub plan: Plan,
    /// The thresholds that the user set.
    pub thresholds: Thresholds,
    siblings: BTreeMap<u64, SentenceSet>,
    scored: Vec<Scored>,
    links: Vec<Link>,
    counts: Funnel,
}

impl Distilled {
    /// An empty distillation. `thresholds` apply where the settings have none; numbers outside the permitted range are
    /// set to its nearest end.
    pub fn new(settings: &Distill, compute: &Compute, thresholds: &Thresholds) -> Self {
        let mut plan = Preset::Tiny.plan(compute.spec);
        let thresholds = settings.thresholds.clone().unwrap_or_else(|| thresholds.clone());
        // The other critics are those of the user's thresholds as well.
        (plan.paraphrase, plan.summary) = (thresholds.paraphrase.clone(), thresholds.summary.clone());
        plan.seed = settings.seed.min(1 << 52);
        plan.contexts.count = settings.contexts.clamp(1, 64);
        plan.siblings.k = settings.k.clamp(2, 512);
        plan.siblings.batch = plan.siblings.k.min(if compute.is_host() { 48 } else { 128 });
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
    pub fn filter(&self) -> Result<Filtered> {
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
    pub fn unseen(&self, kept: &[Kept], most: usize) -> Vec<String> {
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
pub struct Memory<'a, F: FnMut(Response)> {
    /// Sends a response to the page.
    pub say: F,
    /// The distillation that takes the results.
    pub shared: &'a Shared,
    /// The page's number of the run.
    pub run: Run,
    /// Number of contexts.
    pub of: usize,
}

impl<F: FnMut(Response)> Store for Memory<'_, F> {
    fn draft(&mut self, _: &Range<u64>) -> Result<Option<Draft>> {
        Ok(None)
    }

    fn keep_draft(&mut self, _: &Range<u64>, draft: &Draft) -> Result<()> {
        if draft.samples.is_none() {
            for context in &draft.made.contexts {
                let text = context.text.clone();
                (self.say)(Response::Context { run: self.run, context: context.id, of: self.of, text });
            }
        }
        Ok(())
    }

    fn keep(&mut self, _: &Range<u64>, judged: Judged) -> Result<()> {
        if let Some(all) = self.shared.borrow_mut().as_mut() {
            all.add(judged)?;
            (self.say)(Response::Pairs(all.filter()?));
        }
        Ok(())
    }
}
