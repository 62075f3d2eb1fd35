#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::future::ready;

use serde_json::Value;

use super::*;
use crate::critic::BoxFuture;
use record::Task;
use record::random::{Purpose, Stream};
use text::metric::bootstrap::{self, Settings};
use text::metric::composite::{BETA, bert_ibleu};
use text::metric::token::words;

#[path = "model_tests.rs"]
mod model;

fn golden(name: &str) -> String {
    let path = format!("{}/../../tests/golden/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn lines(name: &str) -> Vec<Value> {
    golden(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

/// The golden pairs with up to `references` references each; one system outputs the hypotheses, another the sources.
fn golden_benchmark(task: Task, references: usize) -> Benchmark {
    let rows = lines("pairs.jsonl");
    let item = |row: &Value| Item {
        id: row["id"].to_string(),
        source: row["source"].as_str().unwrap().to_owned(),
        references: strings(&row["references"]).into_iter().take(references).collect(),
    };
    let items: Vec<_> = rows.iter().map(item).collect();
    let copy = baseline::copy(&items);
    let mut benchmark = Benchmark::new(task, items).unwrap();
    let outputs = rows.iter().map(|row| row["hypothesis"].as_str().unwrap().to_owned()).collect();
    benchmark.push(System { name: "ours".to_owned(), outputs }).unwrap();
    benchmark.push(copy).unwrap();
    benchmark
}

/// Sentences from a few words, so that n-grams repeat; some items are empty, long or in other scripts.
pub(super) fn made_up(task: Task, n: usize, systems: usize) -> Benchmark {
    let mut stream = Stream::new(5, Purpose::Other, 0, 0);
    let mut sentence = |most: usize| {
        let len = stream.below(most) + 1;
        let word =
            |w: usize| ["the", "Ada", "sold", "40", "ships", "in", "Oslo", "and", "may", "12.", "sea", "wind"][w];
        (0..len).map(|_| word(stream.below(12))).collect::<Vec<_>>().join(" ")
    };
    let mut items: Vec<_> = (0..n)
        .map(|i| Item {
            id: format!("line {}", i + 1),
            source: sentence(14),
            references: vec![sentence(9), sentence(9)],
        })
        .collect();
    items[0].source = "😀 — ünïcödé 12. ".repeat(400);
    let mut benchmark = Benchmark::new(task, items).unwrap();
    for name in ["a", "b", "c", "d"].into_iter().take(systems) {
        let mut outputs: Vec<String> = (0..n).map(|_| sentence(9)).collect();
        outputs[n / 2] = String::new();
        outputs[n - 1] = "日本のGPU2台".to_owned();
        benchmark.push(System { name: name.to_owned(), outputs }).unwrap();
    }
    benchmark
}

/// All columns that need no model.
fn text_table(benchmark: &Benchmark, stem: bool) -> Result<Table> {
    surface::table(benchmark, Measure::of(benchmark.task()), stem)
}

fn score(table: &Table, measure: Measure, system: usize) -> f64 {
    let column = table.column(measure).unwrap();
    measure.score(&column.systems[system].rows.totals())
}

fn near(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-9, "{what}: {found} instead of {expected}");
}

#[test]
fn corpus_scores_equal_sacrebleu_and_rouge_score() {
    let bleu: Value = serde_json::from_str(&golden("bleu.json")).unwrap();
    let rouge = lines("rouge.jsonl");
    for (references, of_bleu, of_rouge) in
        [(usize::MAX, "all_references", "multi_reference"), (1, "first_reference", "first_reference")]
    {
        for stem in [false, true] {
            let table = text_table(&golden_benchmark(Task::Paraphrase, references), stem).unwrap();
            near(score(&table, Measure::Bleu, 0), &bleu["corpus"][of_bleu]["score"], of_bleu);
            near(score(&table, Measure::SelfBleu, 0), &bleu["corpus"]["against_source"]["score"], "source");
            near(score(&table, Measure::Ibleu, 0), &bleu["corpus"][format!("ibleu_alpha0.7_{of_bleu}")], "iBLEU");
            near(score(&table, Measure::Chrf, 0), &bleu["corpus"][format!("chrf_{of_bleu}")], "chrF");
            let key = if stem { "stem" } else { "plain" };
            for (measure, name) in
                [(Measure::Rouge1, "rouge1"), (Measure::Rouge2, "rouge2"), (Measure::RougeL, "rougeL")]
            {
                let f = |row: &Value| row[key][of_rouge][name][2].as_f64().unwrap();
                let mean = 100.0 * rouge.iter().map(f).sum::<f64>() / rouge.len() as f64;
                let found = score(&table, measure, 0);
                assert!((found - mean).abs() < 1e-9, "{name}: {found} instead of {mean}");
                assert!(table.column(measure).unwrap().signature.contains("stem:") && rouge.len() == 42);
            }
            let sacrebleu = bleu["corpus"][of_bleu]["signature"].as_str().unwrap();
            let found = &table.column(Measure::Bleu).unwrap().signature;
            assert_eq!(found.split("version").next(), sacrebleu.split("version").next());
            assert_eq!(score(&table, Measure::Copies, 1), 100.0);
            assert!((score(&table, Measure::SelfBleu, 1) - 100.0).abs() < 1e-9);
        }
    }
    let table = text_table(&golden_benchmark(Task::Paraphrase, usize::MAX), false).unwrap();
    for (i, row) in bleu["sentences"].as_array().unwrap().iter().enumerate() {
        let item = |measure| table.column(measure).unwrap().systems[0].items[i];
        near(item(Measure::Bleu), &row["references"]["score"], "sentence");
        near(item(Measure::SelfBleu), &row["against_source"]["score"], "sentence against source");
        near(item(Measure::Ibleu), &row["ibleu_alpha0.7"], "sentence iBLEU");
        near(item(Measure::Chrf), &row["chrf"], "sentence chrF");
    }
}

#[test]
fn a_system_has_the_same_scores_alone_and_among_others() {
    for task in Task::ALL {
        // More than two chunks.
        let together = made_up(task, 5000, 3);
        let table = text_table(&together, false).unwrap();
        let of_task: Vec<_> = Measure::of(task).iter().filter(|m| m.model().is_none()).collect();
        assert!(table.columns.iter().map(|c| &c.measure).eq(of_task), "{task:?}");
        for system in together.systems() {
            let mut alone = Benchmark::new(task, together.items().to_vec()).unwrap();
            alone.push(system.clone()).unwrap();
            let alone = text_table(&alone, false).unwrap();
            let index = together.systems().iter().position(|s| s == system).unwrap();
            for (one, all) in alone.columns.iter().zip(&table.columns) {
                assert_eq!((one.measure, &one.systems[0].rows), (all.measure, &all.systems[index].rows));
                assert_eq!(one.signature, all.signature);
            }
        }
    }
}

#[test]
fn a_chosen_column_is_the_same_as_among_all() {
    for task in Task::ALL {
        let benchmark = made_up(task, 300, 2);
        let all = text_table(&benchmark, true).unwrap();
        for column in &all.columns {
            let table = surface::table(&benchmark, &[column.measure], true).unwrap();
            let [found] = table.columns.as_slice() else { panic!("{} columns", table.columns.len()) };
            assert_eq!((found.measure, &found.signature), (column.measure, &column.signature));
            assert!(found.systems.iter().map(|s| &s.rows).eq(column.systems.iter().map(|s| &s.rows)));
            assert_eq!((table.chosen, table.left_out), (vec![column.measure], vec![]));
        }
    }
    let benchmark = made_up(Task::Paraphrase, 10, 1);
    let table = surface::table(&benchmark, &[Measure::BertIbleu], false).unwrap();
    assert_eq!(table.columns.iter().map(|c| c.measure).collect::<Vec<_>>(), [Measure::SelfBleu]);
    assert_eq!(table.wanted(Model::Encoder), [Measure::BertIbleu]);
    assert!(table.wanted(Model::Judge).is_empty());
}

#[test]
fn missing_references_leave_out_their_columns_only() {
    let mut items = golden_benchmark(Task::Paraphrase, 2).items().to_vec();
    items[3].references.clear();
    items[3].id = "line 4".to_owned();
    items[9].references.clear();
    for (items, reason) in [
        (items.clone(), "2 of 42 items have no reference, the first of them line 4"),
        (
            items.into_iter().map(|item| Item { references: vec![], ..item }).collect(),
            "the benchmark has no references",
        ),
    ] {
        for task in Task::ALL {
            let mut benchmark = Benchmark::new(task, items.clone()).unwrap();
            benchmark.push(baseline::copy(&items)).unwrap();
            let mut table = text_table(&benchmark, false).unwrap();
            assert_eq!(table.left_out.len(), 1);
            assert_eq!(table.left_out[0].reason, reason);
            assert!(table.left_out[0].measures.iter().all(|m| m.references()));
            table.leave_out(Model::Encoder, "no encoder".to_owned());
            table.leave_out(Model::Judge, "no judge".to_owned());
            table.leave_out(Model::Judge, "again".to_owned());
            let out: usize = table.left_out.iter().map(|l| l.measures.len()).sum();
            assert_eq!((out + table.columns.len(), table.left_out.len()), (Measure::of(task).len(), 3));
            let headline = table.headline().unwrap().measure;
            assert_eq!(headline, Measure::Novelty);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(Benchmark::new(Task::Summary, vec![]).is_err());
    let mut benchmark = golden_benchmark(Task::Summary, 1);
    let system = |name: &str, n| System { name: name.to_owned(), outputs: vec!["x".to_owned(); n] };
    let e = benchmark.push(system("short", 41)).unwrap_err().to_string();
    assert!(e.contains("`short`") && e.contains("42") && e.contains("41"), "{e}");
    assert!(benchmark.push(system("copy", 42)).unwrap_err().to_string().contains("`copy`"));
    assert!(benchmark.push(system("", 42)).is_err());
    assert_eq!(benchmark.systems().len(), 2);
    let no_system = Benchmark::new(Task::Paraphrase, benchmark.items().to_vec()).unwrap();
    let report = Report::new(text_table(&no_system, false).unwrap(), Settings::default()).unwrap();
    assert_eq!(report.columns().count(), 0);
}

#[test]
fn intervals_and_tests_are_those_of_the_corpus_score() {
    let benchmark = golden_benchmark(Task::Paraphrase, usize::MAX);
    let settings = Settings { resamples: 200, seed: 3, ..Settings::default() };
    let report = Report::new(text_table(&benchmark, false).unwrap(), settings).unwrap();
    let column = report.table.column(Measure::Bleu).unwrap();
    let of_bleu = |totals: &[f64]| Measure::Bleu.score(totals);
    let cell = report.cell(Measure::Bleu, 0).unwrap();
    assert_eq!(cell.interval, Some(bootstrap::confidence(&column.systems[0].rows, of_bleu, settings).unwrap()));
    let mean_of_items = column.systems[0].items.iter().sum::<f64>() / 42.0;
    assert!((cell.score - mean_of_items).abs() > 1.0, "corpus BLEU is no mean of sentence BLEU");
    let copy = report.cell(Measure::Bleu, 1).unwrap();
    let test = bootstrap::compare(&column.systems[0].rows, &column.systems[1].rows, of_bleu, settings).unwrap();
    assert_eq!((cell.against_first, copy.against_first), (None, Some(test)));
    let copies = report.cell(Measure::Copies, 1).unwrap();
    assert!(copies.differs() && copies.score == 100.0 && report.cell(Measure::Forward, 0).is_none());
    assert_eq!(copies.against_first.unwrap().difference.score, report.cell(Measure::Copies, 0).unwrap().score - 100.0);
    for (column, cells) in report.columns() {
        assert_eq!((cells.len(), column.systems.len()), (2, 2));
        for cell in cells {
            let interval = cell.interval.unwrap();
            assert!(interval.low <= interval.high && interval.score == cell.score, "{:?}", column.measure);
        }
        let best = Report::best(column, cells);
        match column.measure {
            Measure::SelfBleu | Measure::Copies | Measure::Ibleu => assert_eq!(best, [0], "{:?}", column.measure),
            Measure::Novelty | Measure::Length => assert!(best.is_empty()),
            _ => assert!(!best.is_empty()),
        }
    }
    let bad = Settings { resamples: 0, ..settings };
    assert!(Report::new(text_table(&benchmark, false).unwrap(), bad).is_err());
}

#[test]
fn a_column_without_values_has_no_interval() {
    let items = vec![Item { source: "One two three.".to_owned(), ..Item::default() }; 3];
    let mut benchmark = Benchmark::new(Task::Summary, items).unwrap();
    for (name, last) in [("a", "x"), ("b", "x new words")] {
        let outputs = ["😀", "", last].map(str::to_owned).to_vec();
        benchmark.push(System { name: name.to_owned(), outputs }).unwrap();
    }
    let report = Report::new(text_table(&benchmark, false).unwrap(), Settings::default()).unwrap();
    let [a, b] = [0, 1].map(|system| *report.cell(Measure::Novelty, system).unwrap());
    assert!(a.score.is_nan() && a.n == 0 && a.interval.is_none());
    assert!(b.score == 100.0 && b.n == 1 && b.interval.is_none() && b.against_first.is_none() && !b.differs());
    assert_eq!(Report::best(report.table.column(Measure::Novelty).unwrap(), &[a, b]), Vec::<usize>::new());
}

#[test]
fn extremes_of_a_system() {
    let table = Column::of_values(Measure::Copies, String::new(), vec![vec![3.0, f64::NAN, 1.0, 3.0, 2.0]]).unwrap();
    assert_eq!(Table::extremes(&table, 0, 2, true), [2, 4], "few copies are good");
    assert_eq!(Table::extremes(&table, 0, 2, false), [0, 3]);
    let column = Column { measure: Measure::RougeL, ..table };
    assert_eq!(Table::extremes(&column, 0, 9, true), [0, 3, 4, 2]);
    assert_eq!(Table::extremes(&column, 1, 9, true), Vec::<usize>::new());
}

#[test]
fn summaries_are_compared_sentence_by_sentence() {
    let item = Item {
        id: "1".to_owned(),
        source: "Rain fell all day. The river rose. Two roads were closed in Oslo.".to_owned(),
        references: vec!["Two roads were closed.\nRain fell.".to_owned()],
    };
    let mut benchmark = Benchmark::new(Task::Summary, vec![item.clone()]).unwrap();
    for (name, output) in [("turned", "Rain fell. Two roads were closed."), ("wrong", "3 roads were closed in Bergen")]
    {
        benchmark.push(System { name: name.to_owned(), outputs: vec![output.to_owned()] }).unwrap();
    }
    benchmark.push(baseline::lead(&[item], 2)).unwrap();
    let table = text_table(&benchmark, false).unwrap();
    assert_eq!(score(&table, Measure::RougeLsum, 0), 100.0);
    assert!(score(&table, Measure::RougeL, 0) < 70.0);
    let errors: Vec<_> =
        (0..3).map(|s| (score(&table, Measure::NumberErrors, s), score(&table, Measure::EntityErrors, s))).collect();
    assert_eq!(errors, [(0.0, 0.0), (100.0, 100.0), (0.0, 0.0)]);
    assert_eq!((score(&table, Measure::Copies, 2), score(&table, Measure::Novelty, 2)), (100.0, 0.0));
    assert!((score(&table, Measure::Length, 2) - 100.0 * 9.0 / 65.0).abs() < 1e-9);
}
