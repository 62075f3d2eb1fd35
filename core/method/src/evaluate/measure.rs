//! The available columns: their names, which direction is better, what they need, and how their score is computed from
//! sums over rows. All scores are in percent.

use crate::{Error, Result};
use record::Task;
use text::metric::bleu::{Bleu, BleuStats};
use text::metric::bootstrap::mean;
use text::metric::chrf::{Chrf, ChrfStats};
use text::metric::ibleu::{Ibleu, IbleuStats};

/// Threshold of P(entailment) from which a text counts as entailed.
pub const ENTAILED: f32 = 0.75;

/// Words per n-gram in [`Measure::Novelty`].
pub const NOVEL: usize = 2;

/// A column: a metric of a system's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Corpus BLEU against the references.
    Bleu,
    /// Corpus BLEU against the source: how much is copied.
    SelfBleu,
    /// Corpus iBLEU: 0.7 BLEU - 0.3 self-BLEU.
    Ibleu,
    /// Corpus chrF against the references.
    Chrf,
    /// ROUGE-1 F against the references, mean over items.
    Rouge1,
    /// ROUGE-2 F against the references, mean over items.
    Rouge2,
    /// ROUGE-L F against the references, mean over items.
    RougeL,
    /// ROUGE-Lsum F, sentence by sentence, against the references, mean over items.
    RougeLsum,
    /// BERTScore F1 against the best reference, mean over items.
    BertScoreReference,
    /// BERTScore F1 against the source, mean over items.
    BertScoreSource,
    /// BERT-iBLEU, mean over items.
    BertIbleu,
    /// ParaScore without references, mean over items.
    ParaScore,
    /// ParaScore with references, mean over items.
    ParaScoreReference,
    /// Cosine of the sentence embeddings of output and source, mean over items.
    Cosine,
    /// P(source entails output), mean over items.
    Forward,
    /// P(output entails source), mean over items.
    Backward,
    /// Share of outputs with P >= [`ENTAILED`]: in both directions for paraphrases, from source to output for
    /// summaries.
    Entailed,
    /// SummaC-ZS, mean over items.
    SummacZs,
    /// Share of the output's bigrams that are not in the source, mean over items.
    Novelty,
    /// Share of outputs that copy the source or a run of its words.
    Copies,
    /// Share of outputs with a number that the source lacks; for paraphrases also of those that lack a number of the
    /// source.
    NumberErrors,
    /// The same for names of people, places and so on.
    EntityErrors,
    /// Length of the output divided by that of the source, in characters, mean over items.
    Length,
    /// Share of outputs that are usable according to [`super::usable`].
    Usable,
}

/// Whether higher or lower scores are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Higher scores are better.
    Higher,
    /// Lower scores are better.
    Lower,
    /// Neither direction is better in general.
    Neither,
}

/// The kind of model that a column needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// An encoder, see [`super::TokenEncoder`].
    Encoder,
    /// An entailment model, see [`super::Judge`].
    Judge,
}

impl Measure {
    /// All columns of a task, in the order in which tables show them.
    #[must_use]
    pub fn of(task: Task) -> &'static [Self] {
        match task {
            Task::Paraphrase => &[
                Self::Ibleu,
                Self::BertIbleu,
                Self::Bleu,
                Self::SelfBleu,
                Self::Chrf,
                Self::Rouge1,
                Self::Rouge2,
                Self::RougeL,
                Self::BertScoreReference,
                Self::BertScoreSource,
                Self::ParaScore,
                Self::ParaScoreReference,
                Self::Cosine,
                Self::Forward,
                Self::Backward,
                Self::Entailed,
                Self::Novelty,
                Self::Copies,
                Self::NumberErrors,
                Self::EntityErrors,
                Self::Length,
                Self::Usable,
            ],
            Task::Summary => &[
                Self::Rouge1,
                Self::Rouge2,
                Self::RougeL,
                Self::RougeLsum,
                Self::BertScoreReference,
                Self::BertScoreSource,
                Self::Cosine,
                Self::Forward,
                Self::Entailed,
                Self::SummacZs,
                Self::Novelty,
                Self::Copies,
                Self::NumberErrors,
                Self::EntityErrors,
                Self::Length,
                Self::Usable,
            ],
        }
    }

    /// The columns of a task with the given names, in the order of [`Measure::of`]; all columns if no names are given.
    ///
    /// # Errors
    /// [`Error::Input`] for an unknown name.
    pub fn choose<S: AsRef<str>>(task: Task, names: &[S]) -> Result<Vec<Self>> {
        let all = Self::of(task);
        if let Some(unknown) = names.iter().find(|name| all.iter().all(|m| m.name() != name.as_ref())) {
            let known: Vec<_> = all.iter().map(|m| m.name()).collect();
            let expected = format!("some of {}", known.join(", "));
            return Err(Error::input("columns", expected, format_args!("`{}`", unknown.as_ref())));
        }
        let chosen = |m: &&Self| names.is_empty() || names.iter().any(|name| name.as_ref() == m.name());
        Ok(all.iter().filter(chosen).copied().collect())
    }

    /// Columns by which best and worst examples may be ordered; the first of them that a table has is used.
    #[must_use]
    pub fn headlines(task: Task) -> &'static [Self] {
        match task {
            Task::Paraphrase => &[Self::BertIbleu, Self::Ibleu, Self::ParaScore, Self::Forward, Self::Novelty],
            Task::Summary => &[Self::RougeL, Self::SummacZs, Self::Forward, Self::BertScoreSource, Self::Novelty],
        }
    }

    /// Name in files, of letters, digits and `_`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.names().0
    }

    /// Heading in narrow tables, at most 8 characters.
    #[must_use]
    pub fn head(self) -> &'static str {
        self.names().1
    }

    /// Name in running text.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.names().2
    }

    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Bleu => ("bleu", "BLEU", "BLEU"),
            Self::SelfBleu => ("self_bleu", "selfBLEU", "BLEU against the source"),
            Self::Ibleu => ("ibleu", "iBLEU", "iBLEU"),
            Self::Chrf => ("chrf", "chrF", "chrF"),
            Self::Rouge1 => ("rouge1", "R-1", "ROUGE-1 F"),
            Self::Rouge2 => ("rouge2", "R-2", "ROUGE-2 F"),
            Self::RougeL => ("rouge_l", "R-L", "ROUGE-L F"),
            Self::RougeLsum => ("rouge_lsum", "R-Lsum", "ROUGE-Lsum F"),
            Self::BertScoreReference => ("bertscore_reference", "BS-ref", "BERTScore F1 against references"),
            Self::BertScoreSource => ("bertscore_source", "BS-src", "BERTScore F1 against the source"),
            Self::BertIbleu => ("bert_ibleu", "B-iBLEU", "BERT-iBLEU"),
            Self::ParaScore => ("parascore", "ParaS", "ParaScore without references"),
            Self::ParaScoreReference => ("parascore_reference", "ParaS-r", "ParaScore with references"),
            Self::Cosine => ("cosine", "cosine", "Cosine with the source"),
            Self::Forward => ("forward", "P(x>y)", "P(source entails output)"),
            Self::Backward => ("backward", "P(y>x)", "P(output entails source)"),
            Self::Entailed => ("entailed", "entailed", "Entailed outputs"),
            Self::SummacZs => ("summac_zs", "SummaC", "SummaC-ZS"),
            Self::Novelty => ("novelty", "novel", "New bigrams"),
            Self::Copies => ("copies", "copies", "Copies"),
            Self::NumberErrors => ("number_errors", "num-err", "Outputs with number errors"),
            Self::EntityErrors => ("entity_errors", "name-err", "Outputs with name errors"),
            Self::Length => ("length_ratio", "length", "Length, of the source's"),
            Self::Usable => ("usable", "usable", "Usable outputs"),
        }
    }

    /// What the score says, in one line for people who do not know it.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Bleu => "word sequences that output and references share",
            Self::SelfBleu => "word sequences taken over from the source; lower is more reworded",
            Self::Ibleu => "0.7 BLEU - 0.3 selfBLEU: near the references and away from the source",
            Self::Chrf => "character sequences that output and references share",
            Self::Rouge1 => "words that output and references share",
            Self::Rouge2 => "word pairs that output and references share",
            Self::RougeL => "longest common word sequence with the references",
            Self::RougeLsum => "as R-L, line by line",
            Self::BertScoreReference => "likeness in meaning to the references, word by word",
            Self::BertScoreSource => "likeness in meaning to the source, word by word",
            Self::BertIbleu => "BERTScore with the source, weighed against selfBLEU",
            Self::ParaScore => "likeness in meaning to the source, with a bonus for new wording",
            Self::ParaScoreReference => "the same, with the references too",
            Self::Cosine => "likeness of the embeddings of source and output",
            Self::Forward => "the critic's probability that the output follows from the source",
            Self::Backward => "the critic's probability that the source follows from the output",
            Self::Entailed => "share of outputs with a probability of at least 75 % (both for paraphrases)",
            Self::SummacZs => "support by the best source sentence less contradiction by it (SummaC)",
            Self::Novelty => "word pairs that the source does not have",
            Self::Copies => "share of outputs that are the source or a run of its words",
            Self::NumberErrors => "share of outputs with a wrong, new or (paraphrases) missing number",
            Self::EntityErrors => "share of outputs with a new or (paraphrases) missing name",
            Self::Length => "length of the output as a share of the source's",
            Self::Usable => "share of outputs that are entailed, keep the numbers and are no copies",
        }
    }

    /// Whether higher or lower scores are better.
    #[must_use]
    pub fn better(self) -> Better {
        match self {
            Self::SelfBleu | Self::Copies | Self::NumberErrors | Self::EntityErrors => Better::Lower,
            Self::Novelty | Self::Length => Better::Neither,
            _ => Better::Higher,
        }
    }

    /// Whether the column needs references.
    #[must_use]
    pub fn references(self) -> bool {
        use Measure::{Bleu, Chrf, Ibleu, Rouge1, Rouge2, RougeL, RougeLsum};
        matches!(self, Bleu | Ibleu | Chrf | Rouge1 | Rouge2 | RougeL | RougeLsum)
            || matches!(self, Self::BertScoreReference | Self::ParaScoreReference)
    }

    /// The model that the column needs, if any.
    #[must_use]
    pub fn model(self) -> Option<Model> {
        match self {
            Self::BertScoreReference | Self::BertScoreSource | Self::BertIbleu => Some(Model::Encoder),
            Self::ParaScore | Self::ParaScoreReference | Self::Cosine => Some(Model::Encoder),
            Self::Forward | Self::Backward | Self::Entailed | Self::SummacZs | Self::Usable => Some(Model::Judge),
            _ => None,
        }
    }

    /// Range of the values of single items, for charts; values outside are clipped. `None` for shares, whose items are
    /// 0 or 100.
    #[must_use]
    pub fn range(self) -> Option<(f64, f64)> {
        match self {
            Self::Entailed | Self::Copies | Self::NumberErrors | Self::EntityErrors | Self::Usable => None,
            Self::Ibleu => Some((-30.0, 70.0)),
            Self::SummacZs => Some((-100.0, 100.0)),
            Self::Length => Some((0.0, 200.0)),
            _ => Some((0.0, 100.0)),
        }
    }

    /// The score from the sums over rows; NaN if no row has a value.
    #[must_use]
    pub fn score(self, totals: &[f64]) -> f64 {
        match self {
            Self::Bleu | Self::SelfBleu => Bleu::CORPUS.score(&BleuStats::from_values(totals)).score,
            Self::Ibleu => ibleu(Bleu::CORPUS, &IbleuStats::from_values(totals)),
            Self::Chrf => Chrf::Characters.score(&ChrfStats::from_values(totals)),
            _ => mean(totals),
        }
    }
}

/// iBLEU with weight [`Ibleu::ALPHA`].
pub(super) fn ibleu(bleu: Bleu, stats: &IbleuStats) -> f64 {
    Ibleu::new(Ibleu::ALPHA, bleu).map_or(f64::NAN, |ibleu| ibleu.score(stats))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_short() {
        for task in Task::ALL {
            let columns = Measure::of(task);
            let distinct = |name: fn(Measure) -> &'static str| columns.iter().map(|&m| name(m)).collect::<HashSet<_>>();
            for names in [distinct(Measure::name), distinct(Measure::head), distinct(Measure::title)] {
                assert_eq!(names.len(), columns.len());
            }
            assert!(
                columns
                    .iter()
                    .all(|m| m.head().len() <= 8 && !m.name().contains(|c: char| !c.is_alphanumeric() && c != '_'))
            );
            assert!(Measure::headlines(task).iter().all(|m| columns.contains(m) && m.range().is_some()));
            // There is a column to order examples by even without models and references.
            assert!(Measure::headlines(task).iter().any(|m| m.model().is_none() && !m.references()));
        }
    }

    #[test]
    fn columns_are_chosen_by_name() {
        let choose = |names: &[&str]| Measure::choose(Task::Paraphrase, names);
        assert_eq!(choose(&[]).unwrap(), Measure::of(Task::Paraphrase));
        assert_eq!(choose(&["rouge_l", "bleu", "bleu"]).unwrap(), [Measure::Bleu, Measure::RougeL]);
        let e = choose(&["bleu", "summac_zs"]).unwrap_err().to_string();
        assert!(e.contains("`summac_zs`") && e.contains("bert_ibleu, bleu"), "{e}");
    }

    #[test]
    fn nothing_is_no_score() {
        assert!(Measure::Novelty.score(&[0.0, 0.0]).is_nan());
        assert_eq!(Measure::Bleu.score(&[0.0; BleuStats::WIDTH]), 0.0);
        assert_eq!(Measure::Ibleu.score(&[0.0; IbleuStats::WIDTH]), 0.0);
        assert_eq!(Measure::Copies.score(&[100.0, 4.0]), 25.0);
    }
}
