//! The panel: all critics of a plan in their order, on all pairs of one context, for both datasets at once.
//!
//! Paraphrases: length, ROUGE-L, numbers, entities | cosine, forward, backward, diversity. Summaries: length, words,
//! numbers, entities | cosine, forward, cap, diversity. Left of the bar no model is needed: pairs refused there are only
//! counted, as their scores can be had from the sentences at any time. Every other pair becomes a [`Scored`] row.
//! A critic at its neutral value has no line in the funnel; the length rule of summaries always has one.

use serde::{Deserialize, Serialize};

use super::cosine::SentenceEncoder;
use super::diversity::{EXTRA_CALLS, explore};
use super::entailment::{Entailment, EntailmentCache, EntailmentModel};
use super::screen::{Case, Rules};
use super::{Critic, Siblings, name};
use crate::distill::plan::{Paraphrase, Summary};
use crate::distill::record::{Funnel, Scored, Task};
use crate::{Error, Result};

/// An entailment that diversity asked for beyond the scores of the pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The dataset it was asked for.
    pub task: Task,
    /// The context.
    pub context: u64,
    /// Row of the premise.
    pub x: u32,
    /// Row of the hypothesis.
    pub y: u32,
    /// p(x => y).
    pub p: f32,
}

/// What the panel says of one context.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdicts {
    /// Every pair that passed the free critics of its task: paraphrases, then summaries, each in sample order.
    pub scored: Vec<Scored>,
    /// What else [`super::refilter`] needs to choose again.
    pub links: Vec<Link>,
    /// Steps of both tasks; contexts and samples are for the caller to count.
    pub funnel: Funnel,
    /// Directed pairs the entailment model has read.
    pub nli_calls: u64,
}

/// The critics of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    pub(super) paraphrase: Paraphrase,
    pub(super) summary: Summary,
}

impl Panel {
    /// A panel with these thresholds.
    #[must_use]
    pub fn new(paraphrase: &Paraphrase, summary: &Summary) -> Self {
        Self { paraphrase: paraphrase.clone(), summary: summary.clone() }
    }

    /// Whether [`Self::judge`] needs a sentence encoder.
    #[must_use]
    pub fn needs_encoder(&self) -> bool {
        self.paraphrase.cosine_min > -1.0 || self.summary.cosine_min > -1.0
    }

    pub(super) fn open(&self, context: u64, siblings: &Siblings) -> [Case; 2] {
        [Rules::paraphrase(&self.paraphrase), Rules::summary(&self.summary)]
            .map(|rules| Case::open(context, siblings, rules))
    }

    /// Judges all pairs of a context. The encoder is called once, for sentences of pairs that a cosine critic will see;
    /// each directed pair is read by the entailment model at most once, for both tasks together. Diversity reads at most
    /// as many directed pairs as scoring did, plus 200.
    ///
    /// # Errors
    /// The models'; [`Error::Input`] where the plan has a cosine critic and there is no encoder.
    pub async fn judge(
        &self,
        context: u64,
        siblings: &mut Siblings,
        encoder: Option<&mut dyn SentenceEncoder>,
        nli: &mut dyn EntailmentModel,
    ) -> Result<Verdicts> {
        let mut cases = self.open(context, siblings);
        siblings.embeddings = None;
        if self.needs_encoder() {
            let encoder = encoder
                .ok_or_else(|| Error::input("models.encoder", "a sentence encoder, as cosine_min is set", "nothing"))?;
            let mut indices: Vec<u32> = cases
                .iter()
                .filter(|case| case.rules.cosine.is_some())
                .flat_map(|case| case.alive().flat_map(|row| [row.pair.x, row.pair.y]))
                .collect();
            indices.sort_unstable();
            indices.dedup();
            siblings.embed(&indices, encoder).await?;
        }
        let siblings = &*siblings;

        let mut cache = EntailmentCache::default();
        let mut calls = [0; 2];
        for (case, calls) in cases.iter_mut().zip(&mut calls) {
            if let Some(mut critic) = case.rules.cosine {
                run(case, siblings, &mut critic).await?;
            }
            for (direction, min) in case.rules.entailment.clone() {
                let mut critic = Entailment { direction, min, cache: &mut cache, model: &mut *nli, calls: 0 };
                run(case, siblings, &mut critic).await?;
                *calls += critic.calls;
            }
            case.cap(siblings);
        }

        let mut verdicts = Verdicts::default();
        for (case, calls) in cases.iter_mut().zip(calls) {
            let Rules { task, diversity, tau, .. } = case.rules;
            let budget = calls + EXTRA_CALLS;
            let asked = explore(diversity, &case.nodes(), siblings, tau, budget, &mut cache, &mut *nli).await?;
            case.choose(&cache);
            verdicts.nli_calls += calls + asked.len() as u64;
            let row = |index| siblings.get(index).row;
            verdicts.links.extend(asked.into_iter().filter_map(|pair| {
                let p = cache.get(pair)?;
                Some(Link { task, context, x: row(pair.x), y: row(pair.y), p })
            }));
        }
        for case in cases {
            *verdicts.funnel.steps_mut(case.rules.task) = case.steps;
            verdicts.scored.extend(case.rows.into_iter().map(|row| row.scored));
        }
        Ok(verdicts)
    }
}

async fn run(case: &mut Case, siblings: &Siblings, critic: &mut dyn Critic) -> Result<()> {
    let scores = critic.score(siblings, &case.pairs()).await?;
    case.apply(critic.name(), scores.into_iter().map(Some), |score| critic.accepts(score));
    Ok(())
}
