//! The columns that need no model.

use std::borrow::Cow;

use super::measure::{NOVEL, ibleu};
use super::{Benchmark, Column, Item, LeftOut, Measure, References, Scores, Table, VERSION, each};
use crate::Result;
use record::Task;
use text::metric::bleu::{Bleu, BleuCounter, BleuStats};
use text::metric::bootstrap::Rows;
use text::metric::chrf::{Chrf, ChrfCounter, ChrfStats};
use text::metric::composite::{Copying, compression, copying, novelty};
use text::metric::ibleu::{Ibleu, IbleuStats};
use text::metric::rouge_n::RougeCounter;
use text::metric::signature::ReferenceCount;
use text::{entity, number, sentence};

/// Number of items per unit of work: enough to share a vocabulary, few enough to occupy all cores.
const CHUNK: usize = 2048;

/// A table of the `chosen` columns ([`Measure::choose`]), of which those that need no model are computed; choosing
/// BERT-iBLEU also adds self-BLEU. If any item has no reference, the columns that need references are left out, with
/// the reason. `stem` selects ROUGE on Porter stems. Memory is about half a kilobyte per output.
///
/// # Errors
/// The metrics'; for a valid [`Benchmark`] there are none.
pub fn table(benchmark: &Benchmark, chosen: &[Measure], stem: bool) -> Result<Table> {
    let task = benchmark.task();
    let asked = |m: Measure| chosen.contains(&m) || (m == Measure::SelfBleu && chosen.contains(&Measure::BertIbleu));
    let chosen: Vec<_> = Measure::of(task).iter().copied().filter(|&m| asked(m)).collect();
    let items = benchmark.items();
    let references = benchmark.references();
    let chunks = each(items.len().div_ceil(CHUNK), |chunk| {
        let range = chunk * CHUNK..items.len().min((chunk + 1) * CHUNK);
        let mut reader = Reader::new(task, stem, Wants::new(&chosen, matches!(references, References::All(_))));
        let mut rows = Vec::with_capacity(range.len() * benchmark.systems().len());
        for (index, item) in range.clone().zip(items.get(range).unwrap_or_default()) {
            reader.item(item, benchmark.systems().iter().filter_map(|s| s.outputs.get(index)), &mut rows)?;
        }
        Ok(rows)
    });
    let rows = chunks.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let mut table = Table {
        task,
        items: items.len(),
        systems: benchmark.systems().iter().map(|system| system.name.clone()).collect(),
        chosen: chosen.clone(),
        columns: Vec::new(),
        left_out: Vec::new(),
    };
    let count = match references {
        References::All(count) => Some(count),
        References::Missing { first, without } => {
            let measures: Vec<_> = chosen.iter().copied().filter(|m| m.references()).collect();
            let reason = if without == items.len() {
                "the benchmark has no references".to_owned()
            } else {
                let id = items.get(first).map_or("", |item| item.id.as_str());
                format!("{without} of {} items have no reference, the first of them {id}", items.len())
            };
            if !measures.is_empty() {
                table.left_out.push(LeftOut { measures, reason });
            }
            None
        }
    };
    for measure in chosen.into_iter().filter(|m| m.model().is_none()) {
        if measure.references() && count.is_none() {
            continue;
        }
        let signature = signature(task, measure, stem, count.unwrap_or(ReferenceCount::Same(0)));
        let systems = table.systems.len();
        let of = |system| scores(measure, rows.iter().skip(system).step_by(systems.max(1)));
        let systems = (0..systems).map(of).collect::<Result<_>>()?;
        table.columns.push(Column { measure, signature, systems });
    }
    Ok(table)
}

/// The statistics of one output.
#[derive(Debug, Clone, Default)]
struct Row {
    references: BleuStats,
    source: BleuStats,
    chrf: ChrfStats,
    /// F of ROUGE-1, -2, -L and -Lsum, in percent.
    rouge: [f64; 4],
    /// In percent; NaN for an output of fewer than two words.
    novelty: f64,
    length: f64,
    copy: bool,
    number_error: bool,
    entity_error: bool,
}

/// The statistics that the chosen columns need.
#[derive(Clone, Copy)]
struct Wants {
    bleu: bool,
    self_bleu: bool,
    chrf: bool,
    rouge: bool,
    novelty: bool,
    copies: bool,
    numbers: bool,
    names: bool,
    length: bool,
}

impl Wants {
    fn new(chosen: &[Measure], references: bool) -> Self {
        let any = |measures: &[Measure]| chosen.iter().any(|m| measures.contains(m) && (references || !m.references()));
        Self {
            bleu: any(&[Measure::Bleu, Measure::Ibleu]),
            self_bleu: any(&[Measure::SelfBleu, Measure::Ibleu]),
            chrf: any(&[Measure::Chrf]),
            rouge: any(&[Measure::Rouge1, Measure::Rouge2, Measure::RougeL, Measure::RougeLsum]),
            novelty: any(&[Measure::Novelty]),
            copies: any(&[Measure::Copies]),
            numbers: any(&[Measure::NumberErrors]),
            names: any(&[Measure::EntityErrors]),
            length: any(&[Measure::Length]),
        }
    }
}

struct Reader {
    task: Task,
    wants: Wants,
    bleu: BleuCounter,
    chrf: ChrfCounter,
    rouge: RougeCounter,
}

impl Reader {
    fn new(task: Task, stem: bool, wants: Wants) -> Self {
        let (bleu, chrf) = (BleuCounter::new(), ChrfCounter::new(Chrf::Characters));
        Self { task, wants, bleu, chrf, rouge: RougeCounter::new(stem) }
    }

    /// Adds a row for each output. The source and the references are processed only once.
    fn item<'a>(&mut self, item: &Item, outputs: impl Iterator<Item = &'a String>, rows: &mut Vec<Row>) -> Result<()> {
        let (wants, source) = (self.wants, item.source.as_str());
        let of_references: &[String] = if wants.bleu { &item.references } else { &[] };
        let of_references: Vec<_> = of_references.iter().map(|text| self.bleu.tokens(text)).collect();
        let of_source = [if wants.self_bleu { self.bleu.tokens(source) } else { Vec::new() }];
        let targets: &[String] = if wants.rouge { &item.references } else { &[] };
        let targets: Vec<_> = targets.iter().map(|text| self.rouge.text(&lines(self.task, text))).collect();
        let numbers = if wants.numbers { number::numbers(source) } else { Vec::new() };
        let names = if wants.names { entity::entities(source) } else { Vec::new() };
        for output in outputs {
            let mut row = Row { novelty: f64::NAN, length: f64::NAN, ..Row::default() };
            if wants.bleu || wants.self_bleu {
                let tokens = self.bleu.tokens(output);
                if wants.bleu {
                    row.references = self.bleu.stats_of_tokens(&tokens, &of_references)?;
                }
                if wants.self_bleu {
                    row.source = self.bleu.stats_of_tokens(&tokens, &of_source)?;
                }
            }
            if wants.chrf {
                row.chrf = self.chrf.stats(output, &item.references)?;
            }
            if wants.rouge {
                let prediction = self.rouge.text(&lines(self.task, output));
                let scores = self.rouge.stats_of_texts(&prediction, &targets)?.sums;
                row.rouge = [scores.rouge1, scores.rouge2, scores.rouge_l, scores.rouge_lsum].map(|r| 100.0 * r.f);
            }
            if wants.novelty {
                row.novelty = percent(novelty(source, output, NOVEL));
            }
            if wants.length {
                row.length = percent(compression(source, output).map(|length| length.characters));
            }
            row.copy = wants.copies && copying(source, output) != Copying::None;
            // An exact copy has no errors.
            let other = output != source;
            row.number_error = wants.numbers && other && {
                let found = number::numbers(output);
                !match self.task {
                    Task::Paraphrase => number::agree(&numbers, &found),
                    Task::Summary => number::contained(&found, &numbers),
                }
            };
            row.entity_error = wants.names && other && {
                let found = entity::entities(output);
                !match self.task {
                    Task::Paraphrase => entity::agree(&names, &found),
                    Task::Summary => entity::contained(&found, &names),
                }
            };
            rows.push(row);
        }
        Ok(())
    }
}

/// Puts every sentence of a summary on a line of its own, for ROUGE-Lsum.
fn lines(task: Task, text: &str) -> Cow<'_, str> {
    match task {
        Task::Paraphrase => Cow::Borrowed(text),
        Task::Summary => Cow::Owned(sentence::split(text).join("\n")),
    }
}

fn percent(value: Option<f64>) -> f64 {
    value.map_or(f64::NAN, |value| 100.0 * value)
}

/// The scores of a system in a column.
fn scores<'a>(measure: Measure, rows: impl Iterator<Item = &'a Row>) -> Result<Scores> {
    let [rouge1, rouge2, rouge_l, rouge_lsum] = [0, 1, 2, 3].map(|n: usize| move |row: &Row| row.rouge[n]);
    let share = |yes: bool| if yes { 100.0 } else { 0.0 };
    match measure {
        Measure::Bleu => sums(rows, |row| row.references.values(), |row| sentence_bleu(&row.references)),
        Measure::SelfBleu => sums(rows, |row| row.source.values(), |row| sentence_bleu(&row.source)),
        Measure::Ibleu => {
            let stats = |row: &Row| IbleuStats { references: row.references, source: row.source };
            sums(rows, |row| stats(row).values(), |row| ibleu(Bleu::SENTENCE, &stats(row)))
        }
        Measure::Chrf => sums(rows, |row| row.chrf.values(), |row| Chrf::Characters.score(&row.chrf)),
        Measure::Rouge1 => Scores::of_values(rows.map(rouge1).collect()),
        Measure::Rouge2 => Scores::of_values(rows.map(rouge2).collect()),
        Measure::RougeL => Scores::of_values(rows.map(rouge_l).collect()),
        Measure::RougeLsum => Scores::of_values(rows.map(rouge_lsum).collect()),
        Measure::Copies => Scores::of_values(rows.map(|row| share(row.copy)).collect()),
        Measure::NumberErrors => Scores::of_values(rows.map(|row| share(row.number_error)).collect()),
        Measure::EntityErrors => Scores::of_values(rows.map(|row| share(row.entity_error)).collect()),
        Measure::Length => Scores::of_values(rows.map(|row| row.length).collect()),
        _ => Scores::of_values(rows.map(|row| row.novelty).collect()),
    }
}

fn sentence_bleu(stats: &BleuStats) -> f64 {
    Bleu::SENTENCE.score(stats).score
}

fn sums<'a, const WIDTH: usize>(
    rows: impl Iterator<Item = &'a Row>,
    values: impl Fn(&Row) -> [f64; WIDTH],
    score: impl Fn(&Row) -> f64,
) -> Result<Scores> {
    let (mut all, mut items) = (Vec::new(), Vec::new());
    for row in rows {
        all.extend(values(row));
        items.push(score(row));
    }
    Ok(Scores { rows: Rows::new(WIDTH, all)?, items })
}

fn signature(task: Task, measure: Measure, stem: bool, references: ReferenceCount) -> String {
    let both = match task {
        Task::Paraphrase => "both-ways",
        Task::Summary => "of-output",
    };
    let rouge = || RougeCounter::new(stem).signature(references);
    match measure {
        Measure::Bleu => Bleu::CORPUS.signature(references),
        Measure::SelfBleu => format!("against:source|{}", Bleu::CORPUS.signature(ReferenceCount::Same(1))),
        Measure::Ibleu => Ibleu::new(Ibleu::ALPHA, Bleu::CORPUS).map_or(String::new(), |i| i.signature(references)),
        Measure::Chrf => Chrf::Characters.signature(references),
        Measure::Rouge1 | Measure::Rouge2 | Measure::RougeL => rouge(),
        Measure::RougeLsum => rouge().replace("lsum:newline", "lsum:sentences"),
        Measure::Copies => format!("against:source|copy:whole-or-run|tok:words|mean:rows|{VERSION}"),
        Measure::NumberErrors => format!("against:source|numbers:{both}|mean:rows|{VERSION}"),
        Measure::EntityErrors => format!("against:source|names:{both}|lang:en|mean:rows|{VERSION}"),
        Measure::Length => format!("against:source|unit:characters|mean:rows|{VERSION}"),
        _ => format!("against:source|n:{NOVEL}|tok:words|mean:rows|{VERSION}"),
    }
}
