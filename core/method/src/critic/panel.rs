//! The panel: all critics of a plan, run in order on all pairs of one context, for both tasks.
//!
//! Paraphrases: length, words, quotes, statements, ROUGE-L, numbers, entities, modality | cosine, forward, backward,
//! diversity. Summaries: length, words, quotes, statements, numbers, entities, modality | cosine, forward, cap,
//! diversity. The critics left of the bar need no model. Pairs that they refuse are only counted, because their scores
//! can be recomputed from the sentences at any time; every other pair becomes a [`Scored`] row.
//! A critic that is switched off has no step in the funnel; the length critic of summaries is always on.

use serde::{Deserialize, Serialize};

use super::cosine::SentenceEncoder;
use super::diversity::{EXTRA_CALLS, explore};
use super::entailment::{Entailment, EntailmentModel, Entailments};
use super::screen::{Case, Rules, embed};
use super::sentence_set::SentenceSet;
use crate::Result;
use record::plan::{Paraphrase, Summary};
use record::{Funnel, Monitor, Scored, Task};

/// An entailment probability that the diversity filter needed in addition to the scores of the pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The task that it was scored for.
    pub task: Task,
    /// Number of the context.
    pub context: u64,
    /// Row of the premise.
    pub x: u32,
    /// Row of the hypothesis.
    pub y: u32,
    /// Probability that the premise entails the hypothesis.
    pub p: f32,
}

/// The panel's results for one context.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdicts {
    /// Every pair that passed the free critics of its task: paraphrases, then summaries, each in sample order.
    pub scored: Vec<Scored>,
    /// Entailments that [`super::refilter`] needs to repeat the diversity filter.
    pub links: Vec<Link>,
    /// Steps of both tasks; contexts and samples are counted by the caller.
    pub funnel: Funnel,
    /// Number of directed pairs that the entailment model scored.
    pub nli_calls: u64,
}

/// The thresholds of a plan's critics.
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
        self.paraphrase.cosine_min.is_some() || self.summary.cosine_min.is_some()
    }

    /// The most nats per token that a reworder may need for a kept version; `None` if it is not asked.
    #[must_use]
    pub fn nll_max(&self, task: Task) -> Option<f32> {
        if task == Task::Paraphrase { self.paraphrase.nll_max } else { None }
    }

    pub(super) fn open(&self, context: u64, siblings: &SentenceSet) -> [Case; 2] {
        [Rules::paraphrase(&self.paraphrase), Rules::summary(&self.summary)]
            .map(|rules| Case::open(context, siblings, rules))
    }

    /// Judges all pairs of a context. The encoder is called once, for the sentences of all pairs that reach a cosine
    /// critic. The entailment model scores each directed pair at most once for both tasks together. The diversity
    /// filter scores at most as many directed pairs as the critics did, plus 200.
    ///
    /// # Errors
    /// Errors of the models; [`Error::Input`](record::Error::Input) if the plan has a cosine threshold but there is no
    /// encoder.
    pub async fn judge(
        &self,
        context: u64,
        siblings: &mut SentenceSet,
        encoder: Option<&mut dyn SentenceEncoder>,
        nli: &mut dyn EntailmentModel,
        monitor: &mut Monitor<'_>,
    ) -> Result<Verdicts> {
        let mut cases = self.open(context, siblings);
        siblings.embeddings = None;
        if self.needs_encoder() {
            embed(&cases, siblings, encoder, monitor).await?;
        }
        let siblings = &*siblings;

        let mut entailments = Entailments::new(nli, monitor);
        let mut calls = [0; 2];
        for (case, calls) in cases.iter_mut().zip(&mut calls) {
            if let Some(mut critic) = case.rules.cosine {
                case.run(siblings, &mut critic).await?;
            }
            for (direction, min) in case.rules.entailment.clone() {
                let mut critic = Entailment { direction, min, entailments: &mut entailments, calls: 0 };
                case.run(siblings, &mut critic).await?;
                *calls += critic.calls;
            }
            case.cap(siblings);
        }

        let mut verdicts = Verdicts::default();
        for (case, calls) in cases.iter_mut().zip(calls) {
            let Rules { task, diversity, tau, .. } = case.rules;
            let budget = calls + EXTRA_CALLS;
            let asked = explore(diversity, &case.nodes(), siblings, tau, budget, &mut entailments).await?;
            case.choose(&entailments.cache);
            verdicts.nli_calls += calls + asked.len() as u64;
            let row = |index| siblings.get(index).row;
            verdicts.links.extend(asked.into_iter().filter_map(|pair| {
                let p = entailments.cache.get(pair)?;
                Some(Link { task, context, x: row(pair.x), y: row(pair.y), p })
            }));
        }
        let [paraphrase, summary] = cases;
        (verdicts.funnel.paraphrase, verdicts.funnel.summary) = (paraphrase.steps, summary.steps);
        verdicts.scored = paraphrase.rows.into_iter().chain(summary.rows).map(|row| row.scored).collect();
        Ok(verdicts)
    }
}

/// A panel with the models that it needs.
pub struct Critics {
    /// The thresholds.
    pub panel: Panel,
    /// The entailment model.
    pub entailment: Box<dyn EntailmentModel>,
    /// The sentence encoder; required if the panel has a cosine threshold.
    pub encoder: Option<Box<dyn SentenceEncoder>>,
}

impl Critics {
    /// Judges all pairs of a context, as [`Panel::judge`].
    ///
    /// # Errors
    /// As [`Panel::judge`].
    pub async fn judge(
        &mut self,
        context: u64,
        siblings: &mut SentenceSet,
        monitor: &mut Monitor<'_>,
    ) -> Result<Verdicts> {
        let encoder = self.encoder.as_mut().map(|encoder| &mut **encoder as &mut dyn SentenceEncoder);
        self.panel.judge(context, siblings, encoder, &mut *self.entailment, monitor).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(super) mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::critic::contract::BoxFuture;
    use crate::critic::pair::Pair;
    use record::monitor::Unwatched;
    use record::plan::{Critics, Diversity, NumberRule};
    use record::{Error, FunnelStep, Refusal, Step};

    /// Runs a future that is ready at the first poll.
    pub fn now<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the future waits"),
        }
    }

    /// An entailment model made of a function of the texts, which records its calls.
    pub struct Nli<F> {
        p: F,
        pub asked: Vec<(String, String)>,
    }

    impl<F: Fn(&str, &str) -> f32> Nli<F> {
        pub fn new(p: F) -> Self {
            Self { p, asked: Vec::new() }
        }

        pub fn asked_pairs(&self, siblings: &SentenceSet) -> Vec<Pair> {
            let index = |text: &str| siblings.all().iter().position(|s| s.text == text).unwrap() as u32;
            self.asked.iter().map(|(x, y)| Pair { x: index(x), y: index(y) }).collect()
        }
    }

    impl<F: Fn(&str, &str) -> f32> EntailmentModel for Nli<F> {
        fn entail<'a>(
            &'a mut self,
            pairs: &'a [(&'a str, &'a str)],
            _: &'a mut Monitor<'_>,
        ) -> BoxFuture<'a, Result<Vec<f32>>> {
            self.asked.extend(pairs.iter().map(|(x, y)| (x.to_string(), y.to_string())));
            let scores = pairs.iter().map(|(x, y)| (self.p)(x, y)).collect();
            Box::pin(std::future::ready(Ok(scores)))
        }
    }

    /// An encoder that counts letters and records its calls.
    #[derive(Default)]
    pub struct Letters {
        pub asked: Vec<String>,
        pub calls: usize,
    }

    impl SentenceEncoder for Letters {
        fn embed<'a>(
            &'a mut self,
            texts: &'a [&'a str],
            _: &'a mut Monitor<'_>,
        ) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
            self.calls += 1;
            self.asked.extend(texts.iter().map(ToString::to_string));
            let count = |text: &&str| ('a'..='z').map(|c| text.matches(c).count() as f32).collect();
            Box::pin(std::future::ready(Ok(texts.iter().map(count).collect())))
        }
    }

    /// Fraction of y's words that occur in x, by which longer sentences entail shorter ones.
    pub fn overlap(x: &str, y: &str) -> f32 {
        let words = |text: &str| text.split(' ').map(|w| w.trim_matches('.').to_lowercase()).collect::<HashSet<_>>();
        let (x, y) = (words(x), words(y));
        y.intersection(&x).count() as f32 / y.len() as f32
    }

    /// Sentences that share subjects, verbs, places and numbers, some of them truncated.
    pub fn siblings(k: u32) -> SentenceSet {
        const PARTS: [&[&str]; 5] = [
            &["the company", "the firm", "a spokesman for Acme", "Acme"],
            &["said", "said on Monday", "reported"],
            &["that sales rose", "that sales had risen", "that profits fell", "sales rose"],
            &["5 percent", "by 5 percent", "7 percent", "sharply"],
            &["", "in London", "in the second quarter", "in London last year"],
        ];
        let texts: Vec<String> = (0..k)
            .map(|row| {
                let mut code = row.wrapping_mul(2_654_435_761) >> 7;
                let words = PARTS.map(|part| {
                    let word = part[code as usize % part.len()];
                    code /= part.len() as u32;
                    word
                });
                format!("{}.", words.join(" ").trim())
            })
            .collect();
        SentenceSet::new(texts.iter().enumerate().map(|(row, text)| (row as u32, text.as_str()))).unwrap()
    }

    pub fn presets() -> [Panel; 3] {
        [Critics::Paper, Critics::Reference, Critics::Strict].map(|critics| {
            let (mut paraphrase, mut summary) = (Paraphrase::preset(critics), Summary::preset(critics));
            // Thresholds for real models are too high for these letter and word counts.
            (paraphrase.cosine_min, summary.cosine_min) =
                (paraphrase.cosine_min.map(|c| c.min(0.85)), summary.cosine_min.map(|c| c.min(0.75)));
            (paraphrase.entailment_min, summary.entailment_min) = (0.75, 0.75);
            paraphrase.rouge_min = 0.0;
            Panel::new(&paraphrase, &summary)
        })
    }

    pub fn judge(panel: &Panel, siblings: &mut SentenceSet) -> Verdicts {
        now(panel.judge(
            7,
            siblings,
            Some(&mut Letters::default()),
            &mut Nli::new(overlap),
            &mut Monitor::new(&mut Unwatched, 0, 0),
        ))
        .unwrap()
    }

    fn names(steps: &[FunnelStep]) -> Vec<&str> {
        steps.iter().map(|step| step.critic.name()).collect()
    }

    #[test]
    fn critics_stand_in_order_and_absent_where_off() {
        let [paper, reference, strict] = presets().map(|panel| judge(&panel, &mut siblings(30)).funnel);
        assert_eq!(names(&paper.paraphrase), ["pairs", "rouge_l", "forward", "backward", "diversity"]);
        assert_eq!(names(&paper.summary), ["pairs", "length", "forward", "diversity"]);
        assert_eq!(
            names(&reference.paraphrase),
            ["pairs", "length", "rouge_l", "numbers", "forward", "backward", "diversity"]
        );
        assert_eq!(
            names(&strict.paraphrase),
            [
                "pairs",
                "length",
                "words",
                "quotes",
                "statements",
                "rouge_l",
                "numbers",
                "entities",
                "modality",
                "cosine",
                "forward",
                "backward",
                "diversity"
            ]
        );
        assert_eq!(
            names(&strict.summary),
            [
                "pairs",
                "length",
                "words",
                "quotes",
                "statements",
                "numbers",
                "entities",
                "modality",
                "cosine",
                "forward",
                "cap",
                "diversity"
            ]
        );
        let mut panel = presets()[2].clone();
        panel.paraphrase = Paraphrase {
            length_min: 0.0,
            length_max: f32::MAX,
            rouge_min: 0.0,
            rouge_max: 1.0,
            numbers: NumberRule::Off,
            ..panel.paraphrase
        };
        panel.paraphrase = Paraphrase {
            entities: false,
            modality: false,
            min_words: 0,
            quotes: false,
            statements: false,
            cosine_min: None,
            entailment_min: 0.0,
            diversity: Diversity::Off,
            ..panel.paraphrase
        };
        let mut all = siblings(12);
        let verdicts = judge(&panel, &mut all);
        assert_eq!(names(&verdicts.funnel.paraphrase), ["pairs"]);
        let kept = verdicts.scored.iter().filter(|row| row.task == Task::Paraphrase && row.kept());
        assert_eq!(kept.count() as u64, all.pair_count());
    }

    /// The funnel agrees with the rows, and each critic sees the pairs that the previous one accepted.
    #[test]
    fn funnel_and_rows_agree() {
        for panel in presets() {
            let mut siblings = siblings(90);
            let verdicts = judge(&panel, &mut siblings);
            for task in Task::ALL {
                let steps = verdicts.funnel.steps(task);
                assert_eq!(steps[0].seen, siblings.pair_count());
                assert!(steps.windows(2).all(|two| two[0].passed == two[1].seen), "{steps:?}");
                let mut refused = BTreeMap::<Option<Refusal>, u64>::new();
                for row in verdicts.scored.iter().filter(|row| row.task == task) {
                    *refused.entry(row.refused_by).or_default() += 1;
                }
                let kept = refused.remove(&None).unwrap_or(0);
                assert_eq!(kept, steps.last().unwrap().passed);
                assert!(kept > 0, "{task:?} {steps:?}");
                for (critic, n) in refused {
                    let step = steps.iter().find(|step| critic.map(Step::Critic) == Some(step.critic)).unwrap();
                    assert_eq!(n, step.seen - step.passed, "{critic:?}");
                }
            }
        }
    }

    #[test]
    fn scores_are_those_of_the_pair_and_thresholds_hold() {
        for panel in presets() {
            let mut siblings = siblings(90);
            let verdicts = judge(&panel, &mut siblings);
            let text = |row| siblings.get(siblings.index_of(row).unwrap()).text.as_str();
            for row in &verdicts.scored {
                let (x, y) = (text(row.x), text(row.y));
                assert_eq!(row.length_ratio, y.len() as f32 / x.len() as f32);
                assert_eq!(row.context, 7);
                assert!(row.forward.is_none_or(|p| p == overlap(x, y)));
                assert!(row.backward.is_none_or(|p| p == overlap(y, x)));
                let (min, cosine_min) = match row.task {
                    Task::Paraphrase => (panel.paraphrase.entailment_min, panel.paraphrase.cosine_min),
                    Task::Summary => (panel.summary.entailment_min, panel.summary.cosine_min),
                };
                if row.task == Task::Summary {
                    assert!(row.length_ratio < panel.summary.length_max && row.backward.is_none());
                } else {
                    assert!(row.rouge_l <= panel.paraphrase.rouge_max);
                    assert!(row.kept() <= row.backward.is_some_and(|p| p >= min));
                }
                assert!(row.kept() <= row.forward.is_some_and(|p| p >= min));
                assert!(row.forward.is_none() || cosine_min.is_none_or(|min| row.cosine.unwrap() >= min));
            }
        }
    }

    #[test]
    fn models_are_asked_once_and_within_bounds() {
        for panel in presets() {
            let mut siblings = siblings(90);
            let (mut encoder, mut nli) = (Letters::default(), Nli::new(overlap));
            let verdicts = now(panel.judge(
                7,
                &mut siblings,
                Some(&mut encoder),
                &mut nli,
                &mut Monitor::new(&mut Unwatched, 0, 0),
            ))
            .unwrap();
            assert_eq!(verdicts.nli_calls, nli.asked.len() as u64);
            assert_eq!(nli.asked.iter().collect::<HashSet<_>>().len(), nli.asked.len());
            assert!(2 * verdicts.links.len() as u64 <= verdicts.nli_calls + 2 * EXTRA_CALLS);
            assert_eq!(encoder.calls, usize::from(panel.needs_encoder()));
            assert_eq!(encoder.asked.iter().collect::<HashSet<_>>().len(), encoder.asked.len());
            let with_cosine = verdicts.scored.iter().filter(|row| row.cosine.is_some());
            assert_eq!(encoder.asked.len(), with_cosine.flat_map(|row| [row.x, row.y]).collect::<HashSet<_>>().len());
        }
    }

    #[test]
    fn strict_turns_a_pair_where_that_fits() {
        let texts = ["The firm reported that sales rose.", "Sales, the firm said, rose."];
        let rows = |panel: &Panel| {
            let mut siblings =
                SentenceSet::new(texts.iter().enumerate().map(|(row, text)| (row as u32, *text))).unwrap();
            judge(panel, &mut siblings).scored
        };
        let [_, reference, mut strict] = presets();
        (strict.paraphrase.length_min, strict.paraphrase.length_max) = (0.9, 1.5);
        let turned = &rows(&strict)[0];
        assert_eq!((turned.task, turned.x, turned.y), (Task::Paraphrase, 1, 0));
        let mut reference = Panel { summary: strict.summary.clone(), ..reference };
        (reference.paraphrase.length_min, reference.paraphrase.length_max) = (0.9, 1.5);
        assert!(rows(&reference).iter().all(|row| row.task == Task::Summary));
    }

    #[test]
    fn an_encoder_is_demanded_and_few_siblings_are_fine() {
        let [paper, _, strict] = presets();
        let judge = |panel: &Panel, k| {
            let mut watch = Unwatched;
            now(panel.judge(0, &mut siblings(k), None, &mut Nli::new(overlap), &mut Monitor::new(&mut watch, 0, 0)))
        };
        assert!(matches!(judge(&strict, 9), Err(Error::Input { name, .. }) if name == "models.encoder"));
        assert_eq!(judge(&paper, 1).unwrap().scored, []);
        assert_eq!(judge(&paper, 0).unwrap().nli_calls, 0);
    }
}
