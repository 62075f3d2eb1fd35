//! The critics of one task, and the pairs of one context as they pass through them.

use super::cap::{Candidate, cap};
use super::contract::{Critic, FreeCritic};
use super::cosine::Cosine;
use super::cosine::SentenceEncoder;
use super::diversity::{self, Linked, Node};
use super::entailment::{Direction, EntailmentCache};
use super::entity::Entities;
use super::length::{Range, Shorter, ratio};
use super::modality::Modality;
use super::number::Numbers;
use super::pair::Pair;
use super::quotes::Quotes;
use super::rouge::{RougeL, rouge_l};
use super::sentence_set::SentenceSet;
use super::statement::Statements;
use super::words::Words;
use crate::{Error, Result};
use record::Refusal;
use record::plan::{Diversity, NumberRule, Paraphrase, Summary};
use record::{FunnelStep, Monitor, Scored, Step, Task};

/// Pairs held at a time by the free critics; all pairs of 4096 siblings would need much memory, and most are refused.
const CHUNK: usize = 1 << 18;

/// Which sentence of an unordered pair becomes x.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Orientation {
    /// The earlier sample.
    Sample,
    /// The earlier sample, unless only the other direction is within the length range.
    IntoRange(Range),
    /// The longer sentence.
    LongerFirst,
}

/// The critics of a task that the plan switches on.
pub(super) struct Rules {
    pub task: Task,
    orientation: Orientation,
    free: Vec<Box<dyn FreeCritic>>,
    pub cosine: Option<Cosine>,
    /// Directions with their minimum probabilities.
    pub entailment: Vec<(Direction, f32)>,
    cap: Option<usize>,
    pub diversity: Diversity,
    pub tau: f32,
}

fn floor(min: f32, neutral: f32) -> Option<f32> {
    (min > neutral).then_some(min)
}

impl Rules {
    pub fn paraphrase(plan: &Paraphrase) -> Self {
        let range = Range { min: plan.length_min, max: plan.length_max };
        let mut free: Vec<Box<dyn FreeCritic>> = Vec::new();
        let mut orientation = Orientation::Sample;
        if plan.length_min > 0.0 || plan.length_max < f32::MAX {
            free.push(Box::new(range));
            if plan.numbers == NumberRule::Strict {
                orientation = Orientation::IntoRange(range);
            }
        }
        if plan.min_words > 0 {
            free.push(Box::new(Words { min: plan.min_words }));
        }
        if plan.quotes {
            free.push(Box::new(Quotes));
        }
        if plan.statements {
            free.push(Box::new(Statements));
        }
        if plan.rouge_min > 0.0 || plan.rouge_max < 1.0 {
            free.push(Box::new(RougeL { min: plan.rouge_min, max: plan.rouge_max }));
        }
        match plan.numbers {
            NumberRule::Strict => free.push(Box::new(Numbers::Both)),
            NumberRule::Reference => free.push(Box::new(Numbers::OfY)),
            NumberRule::Off => {}
        }
        if plan.entities {
            free.push(Box::new(Entities::Both));
        }
        if plan.modality {
            free.push(Box::new(Modality::Both));
        }
        let entailment = floor(plan.entailment_min, 0.0);
        Self {
            task: Task::Paraphrase,
            orientation,
            free,
            cosine: plan.cosine_min.map(|min| Cosine { min }),
            entailment: entailment
                .map(|min| [(Direction::Forward, min), (Direction::Backward, min)])
                .into_iter()
                .flatten()
                .collect(),
            cap: None,
            diversity: plan.diversity,
            tau: entailment.unwrap_or(diversity::DEFAULT_TAU),
        }
    }

    pub fn summary(plan: &Summary) -> Self {
        let mut free: Vec<Box<dyn FreeCritic>> = vec![Box::new(Shorter { max: plan.length_max })];
        if plan.min_words > 0 {
            free.push(Box::new(Words { min: plan.min_words }));
        }
        if plan.quotes {
            free.push(Box::new(Quotes));
        }
        if plan.statements {
            free.push(Box::new(Statements));
        }
        if plan.numbers {
            free.push(Box::new(Numbers::OfY));
        }
        if plan.entities {
            free.push(Box::new(Entities::OfY));
        }
        if plan.modality {
            free.push(Box::new(Modality::OfY));
        }
        let entailment = floor(plan.entailment_min, 0.0);
        Self {
            task: Task::Summary,
            orientation: Orientation::LongerFirst,
            free,
            cosine: plan.cosine_min.map(|min| Cosine { min }),
            entailment: entailment.map(|min| (Direction::Forward, min)).into_iter().collect(),
            cap: (plan.max_per_summary > 0).then_some(plan.max_per_summary),
            diversity: plan.diversity,
            tau: entailment.unwrap_or(diversity::DEFAULT_TAU),
        }
    }

    /// The same rules without reorientation: the first sentence of a given pair is x.
    pub fn source_first(self) -> Self {
        Self { orientation: Orientation::Sample, ..self }
    }

    /// The pair in the direction in which this task judges it.
    pub fn orient(&self, siblings: &SentenceSet, pair: Pair) -> Pair {
        let pair = pair.sorted();
        match self.orientation {
            Orientation::Sample => pair,
            Orientation::IntoRange(range) => range.orient(siblings, pair),
            Orientation::LongerFirst => Shorter::orient(siblings, pair),
        }
    }

    /// The first free critic that refuses each pair; `None` if all accept it.
    pub fn first_refusal(&self, siblings: &SentenceSet, pairs: &[Pair]) -> Vec<Option<Refusal>> {
        let mut refused = vec![None; pairs.len()];
        for critic in &self.free {
            for (refused, score) in refused.iter_mut().zip(critic.scores(siblings, pairs)) {
                if refused.is_none() && !critic.accepts(score) {
                    *refused = Some(critic.refusal());
                }
            }
        }
        refused
    }

    /// The row of a pair that passed the free critics.
    fn row(&self, context: u64, siblings: &SentenceSet, pair: Pair, rouge_l: f32) -> Row {
        Row {
            pair,
            scored: Scored {
                task: self.task,
                context,
                x: siblings.get(pair.x).row,
                y: siblings.get(pair.y).row,
                length_ratio: ratio(siblings, pair),
                rouge_l,
                numbers: self.has(Refusal::Numbers).then_some(1.0),
                entities: self.has(Refusal::Entities).then_some(1.0),
                modality: self.has(Refusal::Modality).then_some(1.0),
                cosine: None,
                forward: None,
                backward: None,
                nll: None,
                refused_by: None,
            },
        }
    }

    fn has(&self, critic: Refusal) -> bool {
        self.free.iter().any(|c| c.refusal() == critic)
    }
}

/// A pair that passed the free critics, and its scores.
pub(super) struct Row {
    pub pair: Pair,
    pub scored: Scored,
}

impl Row {
    fn alive(&self) -> bool {
        self.scored.kept()
    }

    fn score(&self, task: Task) -> f64 {
        let backward = if task == Task::Paraphrase { self.scored.backward } else { None };
        [self.scored.forward, backward].into_iter().flatten().map(f64::from).sum()
    }
}

/// The pairs of one context and their progress through the critics of one task.
pub(super) struct Case {
    pub rules: Rules,
    pub rows: Vec<Row>,
    pub steps: Vec<FunnelStep>,
}

impl Case {
    /// Runs the free critics on all pairs of a context; only pairs that pass become rows.
    pub fn open(context: u64, siblings: &SentenceSet, rules: Rules) -> Self {
        let step = |critic: Refusal| FunnelStep { critic: Step::Critic(critic), seen: 0, passed: 0 };
        let all = siblings.pair_count();
        let mut steps = vec![FunnelStep { critic: Step::Pairs, seen: all, passed: all }];
        steps.extend(rules.free.iter().map(|critic| step(critic.refusal())));
        let mut rows = Vec::new();
        let mut pairs = siblings.pairs();
        loop {
            let mut alive: Vec<_> = pairs.by_ref().take(CHUNK).map(|pair| rules.orient(siblings, pair)).collect();
            if alive.is_empty() {
                break;
            }
            for (critic, step) in rules.free.iter().zip(&mut steps[1..]) {
                let scores = critic.scores(siblings, &alive);
                step.seen += alive.len() as u64;
                alive = alive
                    .into_iter()
                    .zip(scores)
                    .filter(|&(_, score)| critic.accepts(score))
                    .map(|(pair, _)| pair)
                    .collect();
                step.passed += alive.len() as u64;
            }
            let rouge = rouge_l(siblings, &alive);
            rows.extend(
                alive.into_iter().zip(rouge).map(|(pair, rouge_l)| rules.row(context, siblings, pair, rouge_l)),
            );
        }
        Self { rules, rows, steps }
    }

    /// Runs the free critics on the given pairs. Every pair becomes a row, refused or not.
    pub fn given(siblings: &SentenceSet, rules: Rules, pairs: &[Pair]) -> Self {
        let refused = rules.first_refusal(siblings, pairs);
        let rouge = rouge_l(siblings, pairs);
        let rows = pairs.iter().zip(rouge).zip(refused).map(|((&pair, rouge_l), refused)| {
            let mut row = rules.row(0, siblings, pair, rouge_l);
            let scored = &mut row.scored;
            if pair.x == pair.y {
                scored.refused_by = Some(Refusal::Copy);
            } else if refused.is_some() {
                // The critics after the one that refused have not been consulted.
                (scored.numbers, scored.entities, scored.modality) = (None, None, None);
                scored.refused_by = refused;
            }
            row
        });
        Self { rows: rows.collect(), rules, steps: Vec::new() }
    }

    /// Rows that no critic has refused yet.
    pub fn alive(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.alive())
    }

    /// Pairs that no critic has refused yet.
    pub fn pairs(&self) -> Vec<Pair> {
        self.alive().map(|row| row.pair).collect()
    }

    /// Applies a critic, given its score for each pair that is not refused yet; a pair without a score is refused as
    /// [`Refusal::Unscored`].
    pub fn apply(
        &mut self,
        critic: Refusal,
        scores: impl IntoIterator<Item = Option<f32>>,
        accepts: impl Fn(f32) -> bool,
    ) {
        let mut step = FunnelStep { critic: Step::Critic(critic), seen: 0, passed: 0 };
        for (row, score) in self.rows.iter_mut().filter(|row| row.alive()).zip(scores) {
            step.seen += 1;
            let scored = &mut row.scored;
            match critic {
                Refusal::Cosine => scored.cosine = score,
                Refusal::Forward => scored.forward = score,
                Refusal::Backward => scored.backward = score,
                _ => {}
            }
            match score {
                Some(score) if accepts(score) => step.passed += 1,
                Some(_) => scored.refused_by = Some(critic),
                None => scored.refused_by = Some(Refusal::Unscored),
            }
        }
        self.steps.push(step);
    }

    /// Runs a critic on the pairs that are not refused yet.
    pub async fn run(&mut self, siblings: &SentenceSet, critic: &mut dyn Critic) -> Result<()> {
        let scores = critic.score(siblings, &self.pairs()).await?;
        self.apply(critic.refusal(), scores.into_iter().map(Some), |score| critic.accepts(score));
        Ok(())
    }

    fn keep(&mut self, critic: Refusal, kept: &[usize]) {
        let mut flags = vec![0.0; self.alive().count()];
        for &index in kept {
            flags[index] = 1.0;
        }
        self.apply(critic, flags.into_iter().map(Some), |flag| flag > 0.5);
    }

    /// Applies the limit on pairs per summary, if the plan has one.
    pub fn cap(&mut self, siblings: &SentenceSet) {
        if let Some(max) = self.rules.cap {
            let candidates: Vec<_> = self
                .alive()
                .map(|row| Candidate { summary: &siblings.get(row.pair.y).text, score: row.score(self.rules.task) })
                .collect();
            let kept = cap(&candidates, max);
            self.keep(Refusal::Cap, &kept);
        }
    }

    /// The accepted pairs as nodes of the entailment graph.
    pub fn nodes(&self) -> Vec<Node> {
        self.alive().map(|row| Node { x: row.pair.x, y: row.pair.y, score: row.score(self.rules.task) }).collect()
    }

    /// Applies the diversity filter with the entailments that have been scored.
    pub fn choose(&mut self, cache: &EntailmentCache) {
        if self.rules.diversity != Diversity::Off {
            let kept =
                diversity::choose(self.rules.diversity, &self.nodes(), &Linked::new(cache.above(self.rules.tau)));
            self.keep(Refusal::Diversity, &kept);
        }
    }
}

/// Embeds, in one call, the sentences that the cosine critics of these cases need.
pub(super) async fn embed(
    cases: &[Case],
    siblings: &mut SentenceSet,
    encoder: Option<&mut dyn SentenceEncoder>,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    let encoder =
        encoder.ok_or_else(|| Error::input("models.encoder", "a sentence encoder, as cosine_min is set", "nothing"))?;
    let mut indices: Vec<u32> = cases
        .iter()
        .filter(|case| case.rules.cosine.is_some())
        .flat_map(|case| case.alive().flat_map(|row| [row.pair.x, row.pair.y]))
        .collect();
    indices.sort_unstable();
    indices.dedup();
    siblings.embed(&indices, encoder, monitor).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use record::plan::Critics;
    use text::metric::rouge::rouge_l as rouge;

    fn random(state: &mut u64) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize
    }

    /// About 15 words out of 400, some of them names and numbers.
    fn sentences(k: usize) -> SentenceSet {
        let mut state = 5;
        let texts: Vec<String> = (0..k)
            .map(|_| {
                let mut text = String::from("The");
                for _ in 0..10 + random(&mut state) % 9 {
                    let word = random(&mut state) % 400;
                    match word {
                        0..4 => write!(text, " {}", word + 3),
                        4..12 => write!(text, " Name{}", ["a", "b", "c", "d"][word % 4]),
                        _ => write!(text, " w{}", ["o", "or", "ord"][word % 3].repeat(1 + word / 40)),
                    }
                    .unwrap();
                }
                text + "."
            })
            .collect();
        SentenceSet::new(texts.iter().enumerate().map(|(row, text)| (row as u32, text.as_str()))).unwrap()
    }

    /// Pairs and steps are those of a plain double loop.
    #[test]
    fn screen_equals_one_pair_at_a_time() {
        let siblings = sentences(60);
        let plan = Paraphrase { rouge_min: 0.2, ..Paraphrase::preset(Critics::Strict) };
        let case = Case::open(3, &siblings, Rules::paraphrase(&plan));
        let range = Range { min: plan.length_min, max: plan.length_max };
        let mut expected = Vec::new();
        for pair in siblings.pairs() {
            let pair = range.orient(&siblings, pair);
            let f = rouge(&siblings.get(pair.x).tokens, &siblings.get(pair.y).tokens).f as f32;
            let one = [pair];
            let agree = Numbers::Both.scores(&siblings, &one)[0] * Entities::Both.scores(&siblings, &one)[0];
            if FreeCritic::accepts(&range, ratio(&siblings, pair))
                && (plan.rouge_min..=plan.rouge_max).contains(&f)
                && agree == 1.0
            {
                expected.push((pair, f));
            }
        }
        let found: Vec<_> = case.rows.iter().map(|row| (row.pair, row.scored.rouge_l)).collect();
        assert_eq!(found, expected);
        assert!(!found.is_empty() && (found.len() as u64) < siblings.pair_count() / 2);
        let rules = Rules::paraphrase(&plan);
        let oriented: Vec<_> = siblings.pairs().map(|pair| rules.orient(&siblings, pair)).collect();
        let refusals = rules.first_refusal(&siblings, &oriented);
        for step in &case.steps[1..] {
            let refused =
                refusals.iter().filter(|refusal| refusal.map(Step::Critic) == Some(step.critic)).count() as u64;
            assert_eq!(step.seen - step.passed, refused, "{:?}", step.critic);
        }
    }
}
