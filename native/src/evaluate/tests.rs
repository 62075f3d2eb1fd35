use std::future::ready;
use std::path::PathBuf;

use clap::Parser;
use lm::lanes::wait;
use method::critic::BoxFuture;
use method::evaluate::Encoded;
use record::Monitor;
use record::monitor::{Progress, Signal, Unwatched};

use super::*;

#[path = "datasets_tests.rs"]
mod datasets;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: EvaluateArgs,
}

fn parse(args: &[&str]) -> std::result::Result<EvaluateArgs, clap::Error> {
    Line::try_parse_from(std::iter::once("evaluate").chain(args.iter().copied())).map(|line| line.args)
}

/// Says by length whether it is entailed.
struct ByLength;

impl Judge for ByLength {
    fn signature(&self) -> String {
        "model:length".to_owned()
    }

    fn entail<'a>(
        &'a mut self,
        pairs: &'a [(&'a str, &'a str)],
        _: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<[f32; 3]>>> {
        let p = |x: &str, y: &str| x.len().min(y.len()) as f32 / x.len().max(y.len()) as f32;
        Box::pin(ready(Ok(pairs.iter().map(|(x, y)| [p(x, y), 0.0, 1.0 - p(x, y)]).collect())))
    }
}

/// A token for each byte, by its value.
struct Bytes;

impl TokenEncoder for Bytes {
    fn signature(&self) -> String {
        "model:bytes|layer:0|idf:no".to_owned()
    }

    fn embed<'a>(&'a mut self, texts: &'a [&'a str], _: &'a mut Monitor<'_>) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        Box::pin(ready(Ok(texts.iter().map(|text| vec![1.0, text.len() as f32]).collect())))
    }

    fn encode<'a>(&'a mut self, texts: &'a [&'a str], _: &'a mut Monitor<'_>) -> BoxFuture<'a, Result<Vec<Encoded>>> {
        let encoded = |text: &&str| Encoded {
            sentence: vec![1.0, text.len() as f32],
            tokens: text.bytes().flat_map(|b| [f32::from(b % 16), f32::from(b / 16), 1.0]).collect(),
            weights: vec![1.0; text.len()],
        };
        Box::pin(ready(Ok(texts.iter().map(encoded).collect())))
    }
}

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new(items: usize) -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        let nouns = ["ship", "river", "road", "<b>town</b>", "mill | barn", "日本"];
        let noun = |i: usize| nouns[i % nouns.len()];
        let (mut bench, mut ours, mut other) = (String::new(), String::new(), String::new());
        for i in 0..items {
            let source = format!("The old {} of number {} was closed on Monday & again in May.", noun(i), i % 40);
            let reference =
                format!("On Monday, and once more in May, the old {} of number {} was shut.", noun(i), i % 40);
            bench += &serde_json::json!({"text": source, "references": [reference]}).to_string();
            let rewritten = format!("On Monday and in May the old {} of number {} was closed down.", noun(i), i % 40);
            ours += &serde_json::json!({"paraphrase": rewritten, "summary": format!("The {} was closed.", noun(i))})
                .to_string();
            let worse = format!("The {} closed {} times.", noun(i + 1), i);
            other += &serde_json::json!({"paraphrase": worse, "summary": worse}).to_string();
            [&mut bench, &mut ours, &mut other].into_iter().for_each(|file| file.push('\n'));
        }
        for (name, text) in [("bench.jsonl", bench), ("ours.jsonl", ours), ("other.jsonl", other)] {
            std::fs::write(files.path(name), text).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn args(&self, task: &str, more: &[&str]) -> EvaluateArgs {
        let path = |name: &str| self.path(name).display().to_string();
        let (bench, ours) = (path("bench.jsonl"), format!("ours={}", path("ours.jsonl")));
        let other = format!("a system with quite a long <name>={}", path("other.jsonl"));
        let mut args = vec!["--task", task, "--data", &bench, "--system", &ours, "--system", &other];
        args.extend_from_slice(more);
        if !more.contains(&"--resamples") {
            args.extend(["--resamples", "100"]);
        }
        parse(&args).unwrap()
    }
}

fn outcome(files: &Files, task: &str, more: &[&str], models: Models) -> Outcome {
    let args = files.args(task, more);
    wait(score(&args, load(&args).unwrap(), models, &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap()
}

fn whole(files: &Files, task: &str) -> Outcome {
    outcome(files, task, &[], Models { judge: Ok(&mut ByLength), encoder: Ok(&mut Bytes) })
}

#[test]
fn the_table_fits_a_terminal_and_says_what_it_is() {
    let files = Files::new(60);
    for (task, rows) in [("paraphrase", 3), ("summary", 4)] {
        let outcome = whole(&files, task);
        let text = outcome.text();
        assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 100, "{widest}\n{text}");
        assert!(text.starts_with(&format!("{task}, 60 items.")) && text.contains("* differs from ours"), "{text}");
        for column in &outcome.report.table.columns {
            let explained =
                |line: &str| line.starts_with(column.measure.head()) && line.ends_with(column.measure.meaning());
            assert!(text.lines().any(explained), "{}", column.measure.head());
            assert!(outcome.markdown().contains(&column.signature), "{}", column.signature);
        }
        assert_eq!(outcome.report.table.systems.len(), rows);
        assert!(text.contains("a system with qui…") && !text.contains("NaN") && !text.contains("Left out"), "{text}");
        assert_eq!(text.contains("lead-8"), task == "summary");
    }
}

#[test]
fn markdown_has_a_row_a_system_and_every_interval() {
    let files = Files::new(30);
    let outcome = whole(&files, "summary");
    let markdown = outcome.markdown();
    let table: Vec<_> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let columns = outcome.report.table.columns.len();
    assert_eq!(table.iter().filter(|line| cells(line) == columns + 2).count(), 2 + 4, "{markdown}");
    assert_eq!(table.iter().filter(|line| cells(line) == 4 + 2).count(), 2 + columns, "{markdown}");
    assert!(markdown.contains("a system with quite a long \\<name\\>") && markdown.contains("**"));
    assert!(markdown.contains("[") && markdown.contains(", p < 0.0") || markdown.contains(", p 0."), "{markdown}");
}

#[test]
fn json_holds_scores_intervals_and_tests() {
    let files = Files::new(30);
    let outcome = whole(&files, "paraphrase");
    let json = outcome.json();
    assert_eq!((json["items"].as_u64(), json["headline"].as_str()), (Some(30), Some("bert_ibleu")));
    let systems = json["systems"].as_array().unwrap();
    let names: Vec<_> = systems.iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ours", "a system with quite a long <name>", "copy"]);
    for column in json["columns"].as_array().unwrap() {
        let name = column["name"].as_str().unwrap();
        assert!(column["signature"].as_str().unwrap().contains("version:impossible-"));
        for (index, system) in systems.iter().enumerate() {
            let cell = &system["scores"][name];
            let (score, low) = (cell["score"].as_f64().unwrap(), cell["interval"][0].as_f64().unwrap());
            assert!(low <= score + 1e-9 && cell["n"] == 30, "{name}");
            assert_eq!(cell["first_minus_this"]["p_bootstrap"].is_number(), index > 0, "{name}");
        }
    }
    let copies = &systems[2]["scores"]["copies"];
    assert_eq!(
        (copies["score"].as_f64(), copies["first_minus_this"]["difference"].as_f64()),
        (Some(100.0), Some(-100.0))
    );
}

fn closed(html: &str) {
    for tag in
        ["table", "figure", "section", "li", "details", "svg", "main", "td", "th", "tr", "p", "span", "ol", "div"]
    {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert!(!html.contains("http") && !html.contains("<script") && !html.contains("NaN"));
}

#[test]
fn the_page_is_whole_and_escaped() {
    let files = Files::new(30);
    let outcome = whole(&files, "paraphrase");
    let html = outcome.page(5);
    closed(&html);
    assert!(html.contains("&lt;b&gt;town&lt;/b&gt;") && !html.contains("<b>") && !html.contains("<name>"));
    let pictures = outcome.report.table.columns.iter().filter(|column| column.measure.range().is_some()).count();
    assert_eq!((html.matches("<svg").count(), html.matches("<li>").count()), (pictures, 3 * 2 * 5));
    assert!(html.contains("By BERT-iBLEU of the single item"));
    let ids: Vec<_> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids.len(), ids.iter().collect::<std::collections::HashSet<_>>().len(), "ids are unique");
    assert_eq!(outcome.page(0).matches("<li>").count(), 0);
    // One item, one system, nothing to compare.
    let files = Files::new(1);
    let one = outcome_of_one(&files);
    closed(&one.page(5));
    assert!(one.text().contains("ours") && one.page(5).matches("<li>").count() == 2);
}

fn outcome_of_one(files: &Files) -> Outcome {
    let bench = files.path("bench.jsonl").display().to_string();
    let ours = format!("ours={}", files.path("ours.jsonl").display());
    let args = parse(&["--task", "summary", "--data", &bench, "--system", &ours, "--no-baselines"]).unwrap();
    wait(score(&args, load(&args).unwrap(), Models::none("no models"), &mut Monitor::new(&mut Unwatched, 0, 0)))
        .unwrap()
}

#[test]
fn what_can_be_computed_is_given_beside_the_problems() {
    let files = Files::new(20);
    std::fs::write(files.path("short.jsonl"), "{\"summary\": \"a\"}\n").unwrap();
    let (short, taken) =
        (files.path("short.jsonl").display().to_string(), format!("copy={}", files.path("ours.jsonl").display()));
    let more = ["--system", &short, "--system", "gone=nowhere.jsonl", "--system", &taken];
    let models = Models { judge: Err("`nli` is not there".to_owned()), encoder: Ok(&mut Bytes) };
    let outcome = outcome(&files, "summary", &more, models);
    assert_eq!(outcome.report.table.systems, ["ours", "a system with quite a long <name>", "copy", "lead-8"]);
    let problems: Vec<_> = outcome.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(
        problems[0].contains("expected 20 outputs")
            && problems[1].contains("nowhere.jsonl")
            && problems[2].contains("`copy`")
    );
    let text = outcome.text();
    assert!(text.contains("Left out: P(x>y), entailed, SummaC, usable. Reason: `nli` is not there."), "{text}");
    assert!(outcome.report.cell(Measure::BertScoreSource, 0).is_some());
    assert_eq!(outcome.json()["problems"].as_array().unwrap().len(), 3);
    assert!(finish(outcome.problems).unwrap_err().to_string().contains("expected 20 outputs"));
    assert!(finish(Vec::new()).is_ok());
}

#[test]
fn an_interruption_costs_the_columns_of_models_only() {
    let files = Files::new(20);
    let args = files.args("paraphrase", &[]);
    let models = Models { judge: Ok(&mut ByLength), encoder: Ok(&mut Bytes) };
    let outcome =
        wait(score(&args, load(&args).unwrap(), models, &mut Monitor::new(&mut |_: &Progress| Signal::Stop, 0, 0)))
            .unwrap();
    assert_eq!(outcome.problems, [Error::Interrupted]);
    assert_eq!(outcome.report.table.left_out.len(), 2);
    assert!(outcome.report.cell(Measure::Bleu, 1).is_some() && outcome.text().contains("interrupted"));
}

#[test]
fn chosen_columns_and_the_models_they_need() {
    let files = Files::new(5);
    for (more, encoder, judge) in [
        (&["--only", "bleu,rouge_l"][..], false, false),
        (&["--only", "cosine"], true, false),
        (&["--only", "usable,bleu"], false, true),
        (&[], true, true),
        (&["--no-models"], false, false),
    ] {
        let args = files.args("paraphrase", more);
        assert_eq!(
            (args.needs(Model::Encoder).unwrap(), args.needs(Model::Judge).unwrap()),
            (encoder, judge),
            "{more:?}"
        );
    }
    let only = outcome(&files, "paraphrase", &["--only", "rouge_l,bleu"], Models::none("not asked for"));
    assert_eq!(only.report.table.columns.iter().map(|c| c.measure.name()).collect::<Vec<_>>(), ["bleu", "rouge_l"]);
    assert!(only.report.table.left_out.is_empty() && only.page(3).contains("By BLEU of the single item"));
    let wrong = files.args("paraphrase", &["--only", "rouge_lsum"]);
    assert!(wrong.needs(Model::Judge).unwrap_err().to_string().contains("`rouge_lsum`"));
    assert!(
        wait(score(&wrong, load(&wrong).unwrap(), Models::none("none"), &mut Monitor::new(&mut Unwatched, 0, 0)))
            .is_err()
    );
}

#[test]
fn outputs_made_now_are_a_row() {
    let files = Files::new(4);
    let args = files.args("paraphrase", &["--zero-shot", "base"]);
    let mut loaded = load(&args).unwrap();
    let outputs = loaded.benchmark().items().iter().map(|item| format!("So: {}", item.source)).collect();
    loaded.push(baseline::ZERO_SHOT, outputs).unwrap();
    assert!(loaded.push("few", vec![]).is_err());
    let outcome = wait(score(&args, loaded, Models::none("none"), &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap();
    assert_eq!(outcome.report.table.systems[2..], ["zero-shot", "copy"]);
}

#[test]
fn files_are_written_together() {
    let files = Files::new(5);
    let outcome = whole(&files, "summary");
    let out = files.path("new/out");
    outcome.write(&out, 5).unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["evaluation.html", "evaluation.json", "evaluation.md"]);
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(read("evaluation.json"), format!("{:#}\n", outcome.json()));
    assert_eq!((read("evaluation.md"), read("evaluation.html")), (outcome.markdown(), outcome.page(5)));
    assert!(outcome.write(&files.path("ours.jsonl"), 5).is_err());
}

#[test]
fn arguments() {
    for bad in [
        &["--task", "summary"][..],
        &["--data", "a"],
        &[],
        &["--task", "summary", "--data", "a", "--dataset", "b"],
        &["--dataset", "a", "--system", "b=c"],
        &["--task", "summary", "--data", "a", "--no-models", "--critic", "c"],
        &["--task", "other", "--data", "a"],
    ] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
    let args = parse(&["--task", "summary", "--data", "a"]).unwrap();
    assert_eq!((args.lead, args.resamples, args.output_field(Task::Summary)), (8, 1000, "summary"));
    assert_eq!((args.bootstrap().level, args.source.as_str(), args.reference), (0.95, "text", None));
    assert!(parse(&["--dataset", "a", "--dataset", "b"]).unwrap().dataset_settings().is_ok());
    assert!(parse(&["--dataset", "a", "--dataset", "b", "--dataset", "c"]).unwrap().dataset_settings().is_err());
    assert!(parse(&["--dataset", "a", "--most", "0"]).unwrap().dataset_settings().is_err());
    let files = Files::new(3);
    let args = files.args("summary", &["--resamples", "0"]);
    assert!(
        wait(score(&args, load(&args).unwrap(), Models::none("none"), &mut Monitor::new(&mut Unwatched, 0, 0)))
            .is_err()
    );
}
