//! Applying other thresholds to pairs that are already scored, without any model.

use std::collections::{BTreeMap, HashMap};

use super::entailment::{Direction, EntailmentCache};
use super::pair::Pair;
use super::panel::{Link, Panel};
use super::screen::{Case, Row};
use super::sentence_set::SentenceSet;
use crate::{Error, Result};
use record::Refusal;
use record::plan::{Paraphrase, Summary};
use record::{Funnel, Scored, Task};

/// The result of applying other thresholds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Refiltered {
    /// Every given row with its new `refused_by`, and new rows for pairs that are kept now but had none; ordered by
    /// context, task and sample.
    pub scored: Vec<Scored>,
    /// Steps of both tasks under the new thresholds. A pair that lacks a score counts as seen but not as passed.
    pub funnel: Funnel,
    /// Number of pairs that cannot be decided because the first score that matters was never computed. Their rows, if
    /// any, have `refused_by` = [`Refusal::Unscored`].
    pub missing: u64,
}

impl Refiltered {
    fn add(&mut self, other: Self) {
        self.scored.extend(other.scored);
        self.funnel.add(&other.funnel);
        self.missing += other.missing;
    }
}

/// Applies other thresholds to the rows and links of a run; `siblings` holds every context of the run. The run's own
/// thresholds reproduce the run's result. Entailments that the diversity filter never scored (no link) count as not
/// entailing, so that loosened thresholds may keep pairs that mean the same.
///
/// # Errors
/// [`Error::Missing`] if `siblings` lacks a context or row of the rows or links; [`Error::Broken`] for a pair of a
/// sentence with itself.
pub fn refilter(
    scored: &[Scored],
    links: &[Link],
    siblings: &BTreeMap<u64, SentenceSet>,
    paraphrase: &Paraphrase,
    summary: &Summary,
) -> Result<Refiltered> {
    let panel = Panel::new(paraphrase, summary);
    let mut by_context: BTreeMap<u64, (Vec<&Scored>, Vec<&Link>)> = BTreeMap::new();
    for context in siblings.keys() {
        by_context.entry(*context).or_default();
    }
    for row in scored {
        by_context.entry(row.context).or_default().0.push(row);
    }
    for link in links {
        by_context.entry(link.context).or_default().1.push(link);
    }
    let mut all = Refiltered::default();
    for (context, (scored, links)) in by_context {
        let siblings = siblings.get(&context).ok_or_else(|| missing(format!("context {context}")))?;
        all.add(panel.refilter(context, siblings, &scored, &links)?);
    }
    Ok(all)
}

fn missing(what: String) -> Error {
    Error::Missing {
        what,
        place: "the run's sampled sentences".into(),
        hint: "Filter with the samples that the pairs were scored from.".into(),
    }
}

/// The recorded scores of one context.
struct Known<'a> {
    rows: HashMap<(Task, Pair), (Pair, &'a Scored)>,
    cosines: HashMap<Pair, f32>,
    entailments: EntailmentCache,
}

impl<'a> Known<'a> {
    fn new(context: u64, siblings: &SentenceSet, scored: &[&'a Scored]) -> Result<Self> {
        let mut known = Self { rows: HashMap::new(), cosines: HashMap::new(), entailments: EntailmentCache::default() };
        for &row in scored {
            let pair = pair(context, siblings, row.x, row.y)?;
            known.rows.insert((row.task, pair.sorted()), (pair, row));
            if let Some(cosine) = row.cosine {
                known.cosines.insert(pair.sorted(), cosine);
            }
            for (p, direction) in [(row.forward, Direction::Forward), (row.backward, Direction::Backward)] {
                if let Some(p) = p {
                    known.entailments.insert(direction.of(pair), p);
                }
            }
        }
        Ok(known)
    }

    /// Copies the recorded scores of the row's pair, exchanging forward and backward if the record has the other
    /// direction.
    fn recall(&self, task: Task, row: &mut Row) {
        let Some(&(pair, record)) = self.rows.get(&(task, row.pair.sorted())) else { return };
        let scored = &mut row.scored;
        scored.cosine = record.cosine;
        if pair == row.pair {
            (scored.forward, scored.backward) = (record.forward, record.backward);
            scored.numbers = scored.numbers.or(record.numbers);
            scored.entities = scored.entities.or(record.entities);
            scored.modality = scored.modality.or(record.modality);
        } else {
            (scored.forward, scored.backward) = (record.backward, record.forward);
        }
    }
}

fn pair(context: u64, siblings: &SentenceSet, x: u32, y: u32) -> Result<Pair> {
    let index = |row| siblings.index_of(row).ok_or_else(|| missing(format!("context {context}, row {row}")));
    let pair = Pair { x: index(x)?, y: index(y)? };
    if pair.x == pair.y {
        return Err(Error::broken(format!("the pairs of context {context}"), format!("row {x} is paired with itself")));
    }
    Ok(pair)
}

impl Panel {
    /// Applies the panel's thresholds to the rows and links of one context; see [`refilter`].
    ///
    /// # Errors
    /// As [`refilter`].
    pub fn refilter(
        &self,
        context: u64,
        siblings: &SentenceSet,
        scored: &[&Scored],
        links: &[&Link],
    ) -> Result<Refiltered> {
        let mut known = Known::new(context, siblings, scored)?;
        let mut result = Refiltered::default();
        let mut cases = self.open(context, siblings);
        for case in &mut cases {
            let task = case.rules.task;
            case.rows.iter_mut().for_each(|row| known.recall(task, row));
            if let Some(critic) = case.rules.cosine {
                let cosine = |row: &Row| row.scored.cosine.or_else(|| known.cosines.get(&row.pair.sorted()).copied());
                let scores: Vec<_> = case.alive().map(cosine).collect();
                case.apply(Refusal::Cosine, scores, |cosine| cosine >= critic.min);
            }
            for (direction, min) in case.rules.entailment.clone() {
                let scores: Vec<_> = case.alive().map(|row| known.entailments.get(direction.of(row.pair))).collect();
                case.apply(direction.refusal(), scores, |p| p >= min);
            }
            case.cap(siblings);
        }
        // A task's links are added just before its own selection, as in the run, where the earlier task lacked them.
        for case in &mut cases {
            for link in links.iter().filter(|link| link.task == case.rules.task) {
                known.entailments.insert(pair(context, siblings, link.x, link.y)?, link.p);
            }
            case.choose(&known.entailments);
        }
        for case in cases {
            result.missing +=
                case.rows.iter().filter(|row| row.scored.refused_by == Some(Refusal::Unscored)).count() as u64;
            let steps = match case.rules.task {
                Task::Paraphrase => &mut result.funnel.paraphrase,
                Task::Summary => &mut result.funnel.summary,
            };
            steps.clone_from(&case.steps);
            result.scored.extend(rows(&mut known, siblings, case));
        }
        Ok(result)
    }
}

/// Rows that had a record or are kept now, and records that the free critics refuse now, in sample order.
fn rows(known: &mut Known, siblings: &SentenceSet, case: Case) -> Vec<Scored> {
    let Case { rules, rows, .. } = case;
    let mut all: Vec<(Pair, Scored)> = Vec::new();
    for row in rows {
        let key = row.pair.sorted();
        if known.rows.remove(&(rules.task, key)).is_some() || row.scored.kept() {
            all.push((key, row.scored));
        }
    }
    let mut left: Vec<_> =
        known.rows.iter().filter(|((task, _), _)| *task == rules.task).map(|(&(_, key), &(_, r))| (key, r)).collect();
    left.sort_unstable_by_key(|&(key, _)| key);
    let pairs: Vec<_> = left.iter().map(|&(key, _)| rules.orient(siblings, key)).collect();
    for ((key, record), refused_by) in left.into_iter().zip(rules.first_refusal(siblings, &pairs)) {
        all.push((key, Scored { refused_by, ..record.clone() }));
    }
    all.sort_by_key(|&(key, _)| key);
    all.into_iter().map(|(_, scored)| scored).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::critic::panel::tests::{judge, presets, siblings};
    use record::plan::{Diversity, NumberRule};

    const K: u32 = 90;

    fn run(from: &Panel, to: &Panel) -> Refiltered {
        let mut siblings = siblings(K);
        let verdicts = judge(from, &mut siblings);
        let siblings = BTreeMap::from([(7, siblings)]);
        refilter(&verdicts.scored, &verdicts.links, &siblings, &to.paraphrase, &to.summary).unwrap()
    }

    fn kept(scored: &[Scored]) -> Vec<(Task, u32, u32)> {
        scored.iter().filter(|row| row.kept()).map(|row| (row.task, row.x, row.y)).collect()
    }

    fn without_diversity(mut panel: Panel) -> Panel {
        panel.paraphrase.diversity = Diversity::Off;
        panel.summary.diversity = Diversity::Off;
        panel
    }

    #[test]
    fn the_same_plan_gives_the_same_rows() {
        for panel in presets() {
            let verdicts = judge(&panel, &mut siblings(K));
            assert!(!verdicts.links.is_empty());
            let again = run(&panel, &panel);
            assert_eq!(again.scored, verdicts.scored);
            assert_eq!(again.funnel, verdicts.funnel);
            assert_eq!(again.missing, 0);
        }
    }

    #[test]
    fn tighter_thresholds_equal_a_new_run() {
        for from in presets().map(without_diversity) {
            let mut to = from.clone();
            (to.paraphrase.rouge_max, to.paraphrase.entailment_min) = (0.6, 0.8);
            (to.summary.length_max, to.summary.min_words, to.summary.entailment_min) = (0.7, 6, 0.9);
            (to.summary.max_per_summary, to.summary.numbers) = (2, true);
            let new = judge(&to, &mut siblings(K));
            let again = run(&from, &to);
            assert_eq!(kept(&again.scored), kept(&new.scored));
            assert_eq!(again.funnel, new.funnel);
            assert_eq!(again.missing, 0);
            let old = judge(&from, &mut siblings(K));
            assert_eq!(again.scored.len(), old.scored.len());
            assert!(again.scored.iter().any(|row| row.refused_by == Some(Refusal::Rouge)));
            assert!(again.scored.iter().any(|row| row.refused_by == Some(Refusal::Length)));
            assert!(kept(&again.scored).len() < kept(&old.scored).len());
        }
    }

    #[test]
    fn looser_thresholds_count_what_was_never_scored() {
        let [_, _, strict] = presets().map(without_diversity);
        let mut loose = strict.clone();
        (loose.paraphrase.cosine_min, loose.paraphrase.rouge_max) = (Some(0.8), 0.9);
        loose.summary.cosine_min = None;
        let again = run(&strict, &loose);
        let new = judge(&loose, &mut siblings(K));
        let kept = kept(&again.scored);
        assert!(again.missing > 0);
        assert!(again.scored.iter().any(|row| row.refused_by == Some(Refusal::Unscored)));
        assert!(new.scored.iter().filter(|row| row.kept()).count() > kept.len());
        assert!(again.funnel.paraphrase.windows(2).all(|two| two[0].passed == two[1].seen));
    }

    #[test]
    fn what_needs_no_model_is_admitted_without_a_row() {
        let [_, _, strict] = presets();
        let mut free = without_diversity(strict.clone());
        (free.paraphrase.cosine_min, free.paraphrase.entailment_min, free.paraphrase.rouge_max) = (None, 0.0, 1.0);
        (free.summary.cosine_min, free.summary.entailment_min, free.summary.max_per_summary) = (None, 0.0, 0);
        let again = run(&strict, &free);
        assert_eq!(again.missing, 0);
        assert_eq!(kept(&again.scored), kept(&judge(&free, &mut siblings(K)).scored));
    }

    #[test]
    fn a_record_of_the_other_direction_is_read_the_other_way() {
        let texts = [(0, "The firm reported that sales rose."), (1, "Sales, the firm said, rose.")];
        let siblings = SentenceSet::new(texts).unwrap();
        let [paper, _, mut strict] = presets().map(without_diversity);
        strict.paraphrase.numbers = NumberRule::Strict;
        (strict.paraphrase.length_min, strict.paraphrase.length_max) = (0.9, 1.5);
        let mut row = judge(&strict, &mut siblings.clone()).scored.remove(0);
        (row.forward, row.backward) = (Some(0.8), Some(0.9));
        assert_eq!((row.task, row.x, row.y), (Task::Paraphrase, 1, 0));
        let again = paper.refilter(7, &siblings, &[&row], &[]).unwrap().scored.remove(0);
        assert_eq!((again.x, again.y, again.forward, again.backward), (0, 1, Some(0.9), Some(0.8)));
        assert!(again.kept());
    }

    #[test]
    fn rows_of_other_samples_are_refused() {
        let [paper, ..] = presets();
        let siblings = siblings(K);
        let row = judge(&paper, &mut siblings.clone()).scored.remove(0);
        let try_one = |row: Scored| {
            let by_context = BTreeMap::from([(7, siblings.clone())]);
            refilter(&[row], &[], &by_context, &paper.paraphrase, &paper.summary).unwrap_err()
        };
        assert!(matches!(try_one(Scored { x: 9999, ..row.clone() }), Error::Missing { .. }));
        assert!(matches!(try_one(Scored { context: 8, ..row.clone() }), Error::Missing { .. }));
        assert!(matches!(try_one(Scored { x: row.y, ..row.clone() }), Error::Broken { .. }));
    }
}
