//! The columns that need an entailment model: mean probability and share of entailment, SummaC-ZS, usable outputs.

use std::collections::HashMap;

use super::measure::ENTAILED;
use super::usable::usable;
use super::{Benchmark, Column, Measure, Model, Table, VERSION, advance, wrong_count};
use crate::critic::BoxFuture;
use crate::{Error, Result};
use record::Monitor;
use record::Task;
use text::metric::composite::{Inference, summac_zs};
use text::sentence;

/// Number of pairs passed to the model in one call: many, so that it can batch pairs of similar length.
const CALL: usize = 1024;

/// A natural language inference model. It forms its own batches, handles pairs that are too long for it, and returns
/// [`Error::Interrupted`] if the user stops it.
pub trait Judge {
    /// The model, such as `model:NAME`; part of the signatures of columns.
    fn signature(&self) -> String;

    /// P(entailment), P(neutral), P(contradiction), each in [0, 1], for each (premise, hypothesis), in order. Neither
    /// text is empty.
    ///
    /// # Errors
    /// The model's.
    fn entail<'a>(
        &'a mut self,
        pairs: &'a [(&'a str, &'a str)],
        monitor: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<[f32; 3]>>>;
}

/// Adds the columns that need an entailment model. Each distinct (premise, hypothesis) is evaluated once for all
/// systems. An empty output has probabilities and SummaC-ZS of 0.
///
/// # Errors
/// The model's; [`Error::Tensor`] if it does not return a result for every pair, [`Error::NonFinite`] for NaN and
/// [`Error::Input`] for values that are not probabilities; [`Error::Interrupted`]. The table is then unchanged.
pub async fn add(
    table: &mut Table,
    benchmark: &Benchmark,
    judge: &mut dyn Judge,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    let (task, wanted) = (benchmark.task(), table.wanted(Model::Judge));
    if wanted.is_empty() {
        return Ok(());
    }
    let mut answers = Answers::default();
    let mut of_outputs = Vec::with_capacity(benchmark.items().len());
    for (at, item) in benchmark.items().iter().enumerate() {
        let by_sentence = wanted.contains(&Measure::SummacZs);
        let sources = if by_sentence { sentence::split(&item.source) } else { Vec::new() };
        for system in benchmark.systems() {
            let output = system.outputs.get(at).map_or("", String::as_str);
            of_outputs.push(Asked::new(task, &wanted, &item.source, &sources, output, &mut answers));
        }
    }
    let signature = judge.signature();
    answers.ask(judge, monitor).await?;
    let systems = benchmark.systems().len();
    let mut values = vec![vec![Vec::with_capacity(table.items); systems]; wanted.len()];
    for (index, asked) in of_outputs.iter().enumerate() {
        for (column, &measure) in values.iter_mut().zip(&wanted) {
            column[index % systems].push(100.0 * asked.score(task, measure, &answers)?);
        }
    }
    let columns = wanted.into_iter().zip(values);
    let columns = columns.map(|(m, values)| Column::of_values(m, settings(task, m, &signature), values));
    table.add(columns.collect::<Result<_>>()?);
    Ok(())
}

/// Distinct pairs of texts and the model's probabilities for them.
#[derive(Default)]
struct Answers<'a> {
    index: HashMap<(&'a str, &'a str), usize>,
    pairs: Vec<(&'a str, &'a str)>,
    found: Vec<[f32; 3]>,
}

impl<'a> Answers<'a> {
    fn want(&mut self, premise: &'a str, hypothesis: &'a str) -> Option<usize> {
        let (premise, hypothesis) = (premise.trim(), hypothesis.trim());
        if premise.is_empty() || hypothesis.is_empty() {
            return None;
        }
        let next = self.pairs.len();
        Some(*self.index.entry((premise, hypothesis)).or_insert_with(|| {
            self.pairs.push((premise, hypothesis));
            next
        }))
    }

    async fn ask(&mut self, judge: &mut dyn Judge, monitor: &mut Monitor<'_>) -> Result<()> {
        let total = self.pairs.len();
        advance(monitor, 0, total)?;
        for pairs in self.pairs.chunks(CALL) {
            let found = judge.entail(pairs, monitor).await?;
            if found.len() != pairs.len() {
                return Err(wrong_count("entailment model", pairs.len(), found.len()));
            }
            for &p in found.iter().flatten() {
                if !p.is_finite() {
                    return Err(Error::NonFinite { what: "a probability".into(), place: "entailment model".into() });
                }
                // A softmax in single precision may slightly exceed 1.
                if !(0.0..=1.0 + 1e-4).contains(&p) {
                    return Err(Error::input("entailment model", "probabilities", p));
                }
            }
            self.found.extend(found);
            advance(monitor, self.found.len(), total)?;
        }
        Ok(())
    }

    fn get(&self, index: Option<usize>) -> [f32; 3] {
        index.and_then(|index| self.found.get(index)).copied().unwrap_or_default()
    }
}

/// The pairs that are needed to score an output, as indices into [`Answers`].
struct Asked<'a> {
    source: &'a str,
    output: &'a str,
    forward: Option<usize>,
    backward: Option<usize>,
    /// `[output sentences, source sentences]`
    sentences: Vec<Option<usize>>,
    source_sentences: usize,
}

impl<'a> Asked<'a> {
    /// Registers the pairs that the columns need. `sources` are the sentences of the source if a column needs them,
    /// else empty.
    fn new(
        task: Task,
        wanted: &[Measure],
        source: &'a str,
        sources: &[&'a str],
        output: &'a str,
        answers: &mut Answers<'a>,
    ) -> Self {
        let outputs = if sources.is_empty() { Vec::new() } else { sentence::split(output) };
        let mut sentences = Vec::with_capacity(outputs.len() * sources.len());
        for y in outputs {
            sentences.extend(sources.iter().map(|x| answers.want(x, y)));
        }
        let both = wanted.contains(&Measure::Entailed) || wanted.contains(&Measure::Usable);
        let forward = both || wanted.contains(&Measure::Forward);
        let backward = (both && task == Task::Paraphrase) || wanted.contains(&Measure::Backward);
        Self {
            source,
            output,
            forward: if forward { answers.want(source, output) } else { None },
            backward: if backward { answers.want(output, source) } else { None },
            sentences,
            source_sentences: sources.len(),
        }
    }

    /// The score of a measure, in [0, 1]; SummaC-ZS in [-1, 1].
    fn score(&self, task: Task, measure: Measure, answers: &Answers) -> Result<f64> {
        let [forward, backward] = [self.forward, self.backward].map(|index| answers.get(index)[0]);
        let share = |yes: bool| f64::from(u8::from(yes));
        match measure {
            Measure::Forward => Ok(f64::from(forward)),
            Measure::Backward => Ok(f64::from(backward)),
            Measure::Entailed => Ok(share(forward >= ENTAILED && (task == Task::Summary || backward >= ENTAILED))),
            Measure::SummacZs if self.sentences.is_empty() => Ok(0.0),
            Measure::SummacZs => {
                let inference = |&index: &Option<usize>| {
                    let [entailment, _, contradiction] = answers.get(index).map(f64::from);
                    Inference { entailment, contradiction }
                };
                summac_zs(&self.sentences.iter().map(inference).collect::<Vec<_>>(), self.source_sentences)
            }
            _ => Ok(share(usable(task, self.source, self.output, forward, backward))),
        }
    }
}

fn settings(task: Task, measure: Measure, model: &str) -> String {
    let paraphrase = task == Task::Paraphrase;
    let ways = if paraphrase { "both" } else { "source>output" };
    let settings = match measure {
        Measure::Forward => "premise:source".to_owned(),
        Measure::Backward => "premise:output".to_owned(),
        Measure::Entailed => format!("entailed:{ways}|min:{ENTAILED}"),
        Measure::SummacZs => "granularity:sentence|op:max|entailment-contradiction".to_owned(),
        _ if paraphrase => format!("entailed:{ways}|min:{ENTAILED}|numbers:both-ways|copies:no"),
        _ => format!("entailed:{ways}|min:{ENTAILED}|numbers:of-output|shorter:characters"),
    };
    format!("{settings}|{model}|mean:rows|{VERSION}")
}
