//! The critics on given pairs of a source and a student's version of it, instead of all pairs of a context.

use std::collections::HashMap;

use super::cosine::SentenceEncoder;
use super::entailment::{Entailment, EntailmentModel, Entailments};
use super::pair::Pair;
use super::panel::{Critics, Panel};
use super::screen::{Case, Rules, embed};
use super::sentence_set::SentenceSet;
use crate::Result;
use record::{Monitor, Scored, Task};

/// Pairs judged together. Their sentences must not exceed the limit of a [`SentenceSet`].
const CHUNK: usize = 2000;

impl Panel {
    /// Judges (source, version) pairs for a task, with the source as x and without cap and diversity filter. Returns
    /// one row per pair, in order; the caller sets its `context`, `x` and `y`.
    ///
    /// # Errors
    /// Errors of the models; [`Error::Input`](record::Error::Input) if the plan has a cosine threshold but there is no
    /// encoder.
    pub async fn judge_pairs(
        &self,
        task: Task,
        pairs: &[(&str, &str)],
        mut encoder: Option<&mut dyn SentenceEncoder>,
        nli: &mut dyn EntailmentModel,
        monitor: &mut Monitor<'_>,
    ) -> Result<Vec<Scored>> {
        let mut out = Vec::with_capacity(pairs.len());
        for chunk in pairs.chunks(CHUNK) {
            let encoder = encoder.as_mut().map(|e| &mut **e as &mut dyn SentenceEncoder);
            out.extend(self.judge_chunk(task, chunk, encoder, &mut *nli, monitor).await?);
        }
        Ok(out)
    }

    async fn judge_chunk(
        &self,
        task: Task,
        texts: &[(&str, &str)],
        encoder: Option<&mut dyn SentenceEncoder>,
        nli: &mut dyn EntailmentModel,
        monitor: &mut Monitor<'_>,
    ) -> Result<Vec<Scored>> {
        // Sentences that differ only in white space are one sentence, as in `SentenceSet::new`.
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut rows: HashMap<String, u32> = HashMap::new();
        let mut unique = Vec::new();
        for text in texts.iter().flat_map(|&(x, y)| [x, y]) {
            rows.entry(squeezed(text)).or_insert_with(|| {
                let row = u32::try_from(unique.len()).unwrap_or(u32::MAX);
                unique.push((row, text));
                row
            });
        }
        let mut siblings = SentenceSet::new(unique)?;
        let index = |text: &str| rows.get(&squeezed(text)).and_then(|&row| siblings.index_of(row));
        let wanted = texts.iter().map(|&(x, y)| {
            let (x, y) = (index(x), index(y));
            // A blank text is judged as a copy of the other one.
            Pair { x: x.or(y).unwrap_or(0), y: y.or(x).unwrap_or(0) }
        });
        let wanted: Vec<Pair> = wanted.collect();
        let rules = match task {
            Task::Paraphrase => Rules::paraphrase(&self.paraphrase),
            Task::Summary => Rules::summary(&self.summary),
        };
        let mut case = Case::given(&siblings, rules.source_first(), &wanted);
        if case.rules.cosine.is_some() {
            embed(std::slice::from_ref(&case), &mut siblings, encoder, monitor).await?;
        }
        if let Some(mut critic) = case.rules.cosine {
            case.run(&siblings, &mut critic).await?;
        }
        let mut entailments = Entailments::new(nli, monitor);
        for (direction, min) in case.rules.entailment.clone() {
            let mut critic = Entailment { direction, min, entailments: &mut entailments, calls: 0 };
            case.run(&siblings, &mut critic).await?;
        }
        Ok(case.rows.into_iter().map(|row| row.scored).collect())
    }
}

impl Critics {
    /// Judges (source, version) pairs, as [`Panel::judge_pairs`].
    ///
    /// # Errors
    /// As [`Panel::judge_pairs`].
    pub async fn judge_pairs(
        &mut self,
        task: Task,
        pairs: &[(&str, &str)],
        monitor: &mut Monitor<'_>,
    ) -> Result<Vec<Scored>> {
        let encoder = self.encoder.as_mut().map(|encoder| &mut **encoder as &mut dyn SentenceEncoder);
        self.panel.judge_pairs(task, pairs, encoder, &mut *self.entailment, monitor).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use record::Refusal;
    use record::monitor::Unwatched;

    use super::*;
    use crate::critic::panel::tests::{Letters, Nli, now, overlap, presets};

    #[test]
    fn white_space_makes_no_other_sentence() {
        let panel = &presets()[2];
        let (first, second) =
            ("the bank rose by 3 percent.", "the company said that sales rose by 5 percent in London.");
        let version = "in London, sales rose by 5 percent, the company said.";
        let judged = |version: &str| {
            let pairs = [(first, first), (second, version)];
            let rows = now(panel.judge_pairs(
                Task::Paraphrase,
                &pairs,
                Some(&mut Letters::default()),
                &mut Nli::new(overlap),
                &mut Monitor::new(&mut Unwatched, 0, 0),
            ));
            let row = &rows.unwrap()[1];
            (row.rouge_l, row.length_ratio, row.refused_by)
        };
        let copy = judged(second);
        assert_eq!(judged(&format!(" {version}\n")), judged(version));
        assert_ne!(judged(version), copy);
        assert_eq!(judged(&second.replace(' ', "\t ")), copy);
        assert_eq!(judged(" "), copy);
    }

    #[test]
    fn every_pair_gets_a_row_in_order_with_its_reason() {
        let panel = &presets()[2];
        let source = "the company said that sales rose by 5 percent in London last year.";
        let versions = [
            source,
            "the company said that sales rose by 7 percent in London last year.",
            "in London sales rose last year by 5 percent, the company that said the.",
            "sales rose by 5 percent in London.",
        ];
        let pairs: Vec<_> = versions.iter().map(|v| (source, *v)).collect();
        let judge = |task, pairs: &[(&str, &str)]| {
            now(panel.judge_pairs(
                task,
                pairs,
                Some(&mut Letters::default()),
                &mut Nli::new(overlap),
                &mut Monitor::new(&mut Unwatched, 0, 0),
            ))
            .unwrap()
        };
        let refused = |rows: &[Scored]| rows.iter().map(|r| r.refused_by).collect::<Vec<_>>();
        let paraphrases = judge(Task::Paraphrase, &pairs);
        assert_eq!(refused(&paraphrases)[..2], [Some(Refusal::Copy), Some(Refusal::Rouge)]);
        assert_eq!(refused(&paraphrases)[3], Some(Refusal::Length));
        let kept = &paraphrases[2];
        assert!(kept.forward.is_some() && kept.cosine.is_some(), "{kept:?}");
        let summaries = judge(Task::Summary, &pairs);
        assert_eq!(refused(&summaries), [Some(Refusal::Copy), Some(Refusal::Length), Some(Refusal::Length), None]);
        // A version that is longer than its source is not a summary; given pairs are not reversed.
        assert_eq!(refused(&judge(Task::Summary, &[(versions[3], source)])), [Some(Refusal::Length)]);
        assert!(judge(Task::Summary, &[]).is_empty());
    }
}
