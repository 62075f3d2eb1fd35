//! Every command of the binary, with its built-in models and a run of made-up sentences: exit code, files written, and
//! output, which is compared word for word where it is the same on every processor.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use impossible_tests::made::{self, FIRMS};
use impossible_tests::program::{Called, Program, Transcript, ended};
use impossible_tests::{golden, new_encoder};
use record::Task;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_impossible-under-test");
const SENTENCE: &str = "The company said it will pay a dividend of 12 cts a share on March 31.";
/// Options for judging by the built-in critic alone, without a sentence encoder.
const JUDGES: [&str; 6] = ["--critic", "tiny-critic", "--cosine-min", "-1", "--summary-cosine-min", "-1"];
/// A run of 6 contexts, which are two ranges.
const DISTILL: [&str; 7] = ["distill", "--contexts", "6", "--k", "24", "--until", "dataset"];

/// One folder for all tests of this file. It contains `made`, a finished run that no test may change.
fn program() -> Result<&'static Program> {
    static PROGRAM: OnceLock<Result<Program, String>> = OnceLock::new();
    let make = || -> Result<Program> {
        let program = Program::new(BINARY, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("commands"))?;
        made::run(&program.at("made"), &made::plan(), (0, 1))?;
        Ok(program)
    };
    PROGRAM.get_or_init(|| make().map_err(|e| format!("{e:#}"))).as_ref().map_err(|e| anyhow!("{e}"))
}

/// The folder, after adding a finished run `name` that the test may change.
fn own(name: &str) -> Result<&'static Program> {
    let program = program()?;
    made::run(&program.at(name), &made::plan(), (0, 1))?;
    Ok(program)
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// The JSON value printed by a call with `--json`; fails unless it is exactly one.
fn told(called: &Called) -> Result<Value> {
    let mut rows = called.json()?;
    ensure!(rows.len() == 1, "{}", called.out);
    rows.pop().context("nothing")
}

fn rows(path: &Path) -> Result<usize> {
    Ok(std::fs::read_to_string(path).with_context(|| path.display().to_string())?.lines().count())
}

/// A field of a JSON object that must be a finite number.
fn number(value: &Value, field: &str) -> Result<f64> {
    value[field].as_f64().filter(|n| n.is_finite()).with_context(|| format!("{field} of {value}"))
}

#[test]
fn help_and_completions() -> Result<()> {
    let program = program()?;
    let mut all = Transcript::of(program);
    let help = all.call(0, &["--help"])?;
    all.call(2, &[])?;
    all.call(2, &["distil"])?;
    all.call(0, &["--version"])?;
    all.check("help")?;
    let commands: Vec<&str> =
        help.out.lines().filter_map(|l| l.strip_prefix("  ")?.split(' ').next()).filter(|c| !c.is_empty()).collect();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = program.call(0, &["completions", shell])?.out;
        for command in ["distill", "train-critic", "completions"] {
            ensure!(commands.contains(&command) && script.contains(command), "{shell} does not complete {command}");
        }
    }
    program.call(2, &["completions", "dos"])?;
    Ok(())
}

#[test]
fn distill_makes_a_dataset() -> Result<()> {
    let program = program()?;
    let mut all = Transcript::without_numbers(program);
    let out = ["--out", "distilled"];
    all.call(0, &[&DISTILL[..], &out].concat())?;
    all.check("distill")?;
    // The run is finished, so the same command changes nothing and reports the same numbers.
    let again = told(&program.call(0, &[&DISTILL[..], &out, &["--json"]].concat())?)?;
    ensure!(again["run"] == "distilled" && again["contexts"] == 6, "{again}");
    for task in Task::ALL {
        let name = task.name();
        let pairs = rows(&program.at(&format!("distilled/dataset/{name}.jsonl")))?;
        ensure!(again[name] == json!(pairs), "{pairs} {name} pairs: {again}");
    }
    ensure!(again["summary"].as_u64().is_some_and(|n| n > 0), "no pair from six contexts: {again}");
    // A range has four contexts, so the second of two shards is the remaining two contexts.
    let part = told(&program.call(0, &[&DISTILL[..], &["--out", "part", "--shard", "2/2", "--json"]].concat())?)?;
    ensure!(part["contexts"] == 2, "{part}");
    // A preview saves nothing.
    let preview = ["distill", "--contexts", "4", "--k", "24", "--preview", "1", "--out", "previewed", "--json"];
    let shown = program.call(0, &preview)?.json()?;
    let funnel = shown.last().context("nothing")?;
    ensure!(shown.len() <= 3 && funnel["contexts"] == json!({"made": 4}), "{funnel}");
    ensure!(!program.at("previewed").exists(), "a preview left a folder");
    Ok(())
}

#[test]
fn distill_goes_on_from_the_users_texts() -> Result<()> {
    let program = program()?;
    let texts = FIRMS.map(|firm| json!({"news": format!("{firm} Corp said on Monday it expects higher earnings.")}));
    std::fs::write(program.at("news.jsonl"), lines(&texts[..3]))?;
    let seeds = ["--seeds", "news.jsonl", "--out", "from-news"];
    let done = told(&program.call(0, &[&DISTILL[..], &seeds, &["--field", "news", "--json"]].concat())?)?;
    ensure!(done["contexts"] == 3, "{done}");
    let contexts = std::fs::read_to_string(program.at("from-news/shards/00000000/contexts.jsonl"))?;
    for (line, text) in contexts.lines().zip(&texts) {
        let context: Value = serde_json::from_str(line)?;
        ensure!(context["text"] == text["news"], "{context}");
    }
    let mut all = Transcript::of(program);
    all.call(2, &[&DISTILL[..], &seeds].concat())?;
    std::fs::write(program.at("empty.txt"), "\n\n")?;
    std::fs::write(program.at("news.csv"), "news\n")?;
    all.call(2, &["distill", "--seeds", "empty.txt", "--out", "nothing"])?;
    all.call(2, &["distill", "--seeds", "news.csv", "--out", "nothing"])?;
    all.check("seeds")
}

#[test]
fn inspect_shows_pairs() -> Result<()> {
    let program = program()?;
    let mut all = Transcript::of(program);
    all.call(0, &["inspect", "made", "--limit", "2"])?;
    let kept = all.call(0, &["inspect", "made", "--json", "--task", "summary", "--context", "1"])?;
    all.call(0, &["inspect", "made", "--refused-by", "diversity", "--limit", "1"])?;
    all.call(0, &["inspect", "made", "--refused-by", "all", "--sort", "forward", "--ascending", "--limit", "2"])?;
    all.call(0, &["inspect", "made", "--only", "rouge_l=0.99.."])?;
    all.call(2, &["inspect", "made", "--refused-by", "taste"])?;
    all.call(2, &["inspect", "made", "--sort", "taste"])?;
    all.call(2, &["inspect", "made", "--only", "rouge_l"])?;
    all.call(2, &["inspect", "made", "--task", "haiku"])?;
    all.call(2, &["inspect", "no-such-run"])?;
    all.check("inspect")?;
    for row in kept.json()? {
        ensure!(row["scored"]["task"] == "summary" && row["scored"]["refused_by"] == "", "{row}");
        ensure!(row["scored"]["context"] == 1 && row["text"].as_str().is_some_and(|t| t.starts_with("Baker")), "{row}");
    }
    Ok(())
}

#[test]
fn filter_chooses_again() -> Result<()> {
    let program = own("filtered")?;
    let mut all = Transcript::of(program);
    all.call(0, &["filter", "--run", "filtered", "--rouge-max", "0.6", "--out", "fewer"])?;
    all.call(0, &["filter", "--run", "filtered", "--diversity", "off", "--json"])?;
    all.call(0, &["filter", "--run", "filtered", "--critics", "paper", "--out", "as-the-paper"])?;
    all.call(2, &["filter", "--run", "filtered", "--rouge-max", "1.5"])?;
    all.call(2, &["filter", "--run", "no-such-run"])?;
    all.check("filter")?;
    let pairs = |folder: &str, task: &str| rows(&program.at(folder).join(format!("{task}.jsonl")));
    ensure!(pairs("fewer", "paraphrase")? < pairs("filtered/dataset", "paraphrase")?, "a lower ceiling kept as many");
    ensure!(pairs("filtered/filtered", "summary")? > pairs("filtered/dataset", "summary")?, "no more without a choice");
    Ok(())
}

#[test]
fn judge_counts_answers_and_keeps_them() -> Result<()> {
    let program = own("judged")?;
    let mut all = Transcript::of(program);
    let judge = ["judge", "judged", "--task", "summary", "--sample", "2", "--refused", "2"];
    all.ask(0, &judge, "yes\nperhaps\np\nq\n")?;
    // The remaining two pairs are judged, after which none is left.
    all.ask(0, &[&judge[..], &["--json"]].concat(), "n\ny\n")?;
    all.ask(0, &judge, "")?;
    all.call(2, &["judge", "no-such-run"])?;
    all.check("judge")?;
    ensure!(rows(&program.at("judged/judgements.jsonl"))? == 4, "four answers");
    Ok(())
}

#[test]
fn audit_needs_an_encoder() -> Result<()> {
    let program = program()?;
    let mut all = Transcript::of(program);
    all.call(2, &["audit", "--run", "made"])?;
    all.call(2, &["audit", "--run", "no-such-run"])?;
    all.check("audit")?;
    new_encoder(&program.at("encoders/all-MiniLM-L6-v2"))?;
    let audit = ["audit", "--models", "encoders", "--run", "made", "--sample", "20"];
    let text = program.call(0, &audit)?.out;
    // Each context has six pairs.
    ensure!(text.contains(" of 36 pairs, scored without floors") && text.contains("both ways"), "{text}");
    let found = told(&program.call(0, &[&audit[..], &["--json"]].concat())?)?;
    let bands = found["bands"].as_array().context("no bands")?;
    let pairs: u64 = bands.iter().filter_map(|band| band["pairs"].as_u64()).sum();
    ensure!(json!(pairs) == found["sample"] && (1..=20).contains(&pairs), "{found}");
    for band in bands {
        ensure!(number(band, "entailed_both_ways")? <= number(band, "entailed_one_way")?, "{band}");
        ensure!(number(band, "entailed_one_way")? <= number(band, "pairs")?, "{band}");
    }
    Ok(())
}

#[test]
fn verify_and_merge_find_damage() -> Result<()> {
    let program = program()?;
    for (name, part) in [("first", 0), ("second", 1)] {
        made::run(&program.at(name), &made::plan(), (part, 2))?;
    }
    let other = record::plan::Plan { seed: 8, ..made::plan() };
    made::run(&program.at("other"), &other, (1, 2))?;
    let mut all = Transcript::of(program);
    all.call(0, &["verify", "first"])?;
    all.call(0, &["merge", "first", "--out", "one-half"])?;
    all.call(0, &["merge", "first", "second", "--out", "both", "--json"])?;
    all.call(0, &["verify", "both", "--json"])?;
    all.call(2, &["merge", "first", "other", "--out", "mixed"])?;
    all.call(2, &["merge", "first", "no-such-run", "--out", "mixed"])?;
    for file in ["plan.toml", "manifest.json", "dataset/paraphrase.parquet", "shards/00000004/manifest.json"] {
        let read = |run: &str| std::fs::read(program.at(run).join(file));
        ensure!(read("made")? == read("both")?, "{file} of the merged run is another");
    }
    let victim = program.at("both/shards/00000004/scored.parquet");
    let mut bytes = std::fs::read(&victim)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&victim, bytes)?;
    std::fs::remove_file(program.at("both/dataset/README.md"))?;
    all.call(3, &["verify", "both"])?;
    all.call(3, &["merge", "both", "--out", "copied"])?;
    all.call(3, &["inspect", "both", "--context", "5"])?;
    all.call(2, &["verify", "no-such-run"])?;
    all.check("verify")
}

#[test]
fn evaluate_measures_datasets_and_systems() -> Result<()> {
    let program = program()?;
    let source = |firm: &str| made::siblings(firm)[0].clone();
    let benchmark = FIRMS.map(|firm| json!({"text": source(firm), "references": [made::siblings(firm)[1]]}));
    std::fs::write(program.at("benchmark.jsonl"), lines(&benchmark))?;
    let outputs = FIRMS.map(|firm| json!({"paraphrase": format!("A dividend of 12 cts will be paid by {firm} Corp.")}));
    std::fs::write(program.at("outputs.jsonl"), lines(&outputs))?;
    std::fs::write(program.at("short.jsonl"), lines(&outputs[..5]))?;
    std::fs::write(program.at("summaries.jsonl"), lines(&FIRMS.map(|firm| json!({"summary": firm}))))?;
    let mut all = Transcript::of(program);
    all.call(0, &["evaluate", "--dataset", "made", "--no-models"])?;
    let pairs =
        ["evaluate", "--dataset", "made/dataset/summary.jsonl", "--task", "summary", "--no-models", "--markdown"];
    all.call(0, &pairs)?;
    let systems =
        ["evaluate", "--task", "paraphrase", "--data", "benchmark.jsonl", "--no-models", "--resamples", "100"];
    let good = [&systems[..], &["--system", "ours=outputs.jsonl"]].concat();
    all.call(0, &good)?;
    for system in ["ours=short.jsonl", "ours=summaries.jsonl", "ours"] {
        all.call(2, &[&systems[..], &["--no-baselines", "--system", system]].concat())?;
    }
    all.call(2, &[&systems[..], &["--source", "txt"]].concat())?;
    all.call(2, &[&systems[..], &["--only", "taste"]].concat())?;
    all.call(2, &["evaluate", "--dataset", "no-such-run", "--no-models"])?;
    all.call(2, &["evaluate", "--task", "paraphrase"])?;
    all.check("evaluate")?;
    program.call(0, &[&good[..], &["--json", "--out", "evaluated"]].concat())?;
    for file in ["evaluation.json", "evaluation.md", "evaluation.html"] {
        ensure!(program.at("evaluated").join(file).is_file(), "{file} is missing");
    }
    Ok(())
}

#[test]
fn a_student_is_exported_and_rewrites() -> Result<()> {
    let program = program()?;
    let mut all = Transcript::of(program);
    all.call(0, &["export", "--student", "models/tiny-student", "--precision", "f16", "--out", "half"])?;
    all.call(0, &["export", "--student", "models/tiny-student", "--out", "whole", "--json"])?;
    all.call(0, &["export", "--model", "models/tiny-critic", "--precision", "f16", "--out", "critic"])?;
    all.call(2, &["export", "--model", "no-such-model", "--out", "nothing"])?;
    all.check("export")?;
    let log_sum = |folder: &str| -> Result<f64> {
        number(&serde_json::from_slice(&std::fs::read(program.at(folder).join("golden.json"))?)?, "log_sum")
    };
    let size = |folder: &str| -> Result<u64> { Ok(program.at(folder).join("model.safetensors").metadata()?.len()) };
    // The built-in weights are stored in half precision, so exporting them in it rounds nothing.
    ensure!((log_sum("half")? - log_sum("whole")?).abs() < 1e-6, "{} and {}", log_sum("half")?, log_sum("whole")?);
    ensure!(size("half")? * 10 < size("whole")? * 6, "half precision is half the size");
    for file in ["config.json", "tokenizer.json", "generation_config.json", "README.md", "impossible.json"] {
        ensure!(program.at("half").join(file).is_file(), "{file} is missing");
    }

    let given = ["--student", "half", "--all", "--num", "3", "--json", SENTENCE];
    for (command, field) in [("paraphrase", "paraphrase"), ("summarize", "summary")] {
        let value = told(&program.call(0, &[&[command], &JUDGES[..], &given].concat())?)?;
        ensure!(value["text"] == SENTENCE && value[field].is_string(), "{value}");
        let candidates = value["sentences"][0]["candidates"].as_array().context("no candidates")?;
        ensure!((1..=3).contains(&candidates.len()), "{value}");
        ensure!(value["outputs"].as_array().map(Vec::len) == Some(candidates.len()), "{value}");
        for c in candidates {
            ensure!(c["kept"].as_bool() == Some(c["refused_by"].is_null()), "{c}");
            ensure!(c["text"].as_str().is_some_and(|text| !text.trim().is_empty()), "{c}");
        }
    }
    // The built-in student is judged by its own critic. A file and stdin give one line per text, and the same lines.
    let student = ["--student", "tiny-student"];
    std::fs::write(program.at("texts.jsonl"), lines(&FIRMS.map(|firm| json!({"news": made::siblings(firm)[0]}))))?;
    let file =
        program.call(0, &[&["summarize"], &student[..], &["--file", "texts.jsonl", "--field", "news"]].concat())?;
    ensure!(file.out.lines().count() == FIRMS.len(), "{}", file.out);
    let texts: String = FIRMS.map(|firm| made::siblings(firm)[0].clone() + "\n").concat();
    let stdin = program.ask(&[&["summarize"], &student[..]].concat(), &texts)?;
    stdin.expect(0, &["summarize"])?;
    ensure!(stdin.out == file.out, "{}{}", stdin.out, file.out);
    let beams = ["--beams", "--samples", "3", "--explain", SENTENCE];
    let searched = program.call(0, &[&["summarize"], &student[..], &beams].concat())?;
    ensure!(searched.out.contains(&format!("\n  {SENTENCE}\n")), "{}", searched.out);
    ensure!(searched.out == program.call(0, &[&["summarize"], &student[..], &beams].concat())?.out, "other beams");

    let mut all = Transcript::of(program);
    all.call(2, &["paraphrase", "--student", "no-such-student", SENTENCE])?;
    all.call(2, &["paraphrase", "--student", "models/tiny-teacher", SENTENCE])?;
    all.call(2, &["paraphrase", "--student", "half", SENTENCE])?;
    all.call(2, &["paraphrase", "--student", "tiny-student", "--num", "0", SENTENCE])?;
    all.call(2, &["paraphrase", "--student", "tiny-student", "--style", "loud", SENTENCE])?;
    all.call(2, &["summarize", "--student", "tiny-student", "--length", "2", SENTENCE])?;
    all.call(2, &["summarize", "--student", "tiny-student", " "])?;
    all.call(2, &["summarize", "--student", "tiny-student", "--file", "texts.jsonl"])?;
    all.call(2, &["summarize", "--student", "tiny-student", "--file", "texts.jsonl", SENTENCE])?;
    all.check("rewrite")
}

#[test]
fn a_reworder_is_trained_on_sentences_and_writes_candidates() -> Result<()> {
    let program = program()?;
    let texts: String = FIRMS.iter().flat_map(|firm| made::siblings(firm)).map(|text| text + "\n").collect();
    std::fs::write(program.at("sentences.txt"), texts)?;
    let train = ["train", "--task", "reword", "--sentences", "sentences.txt", "--base", "tiny-teacher", "--json"];
    let more = ["--epochs", "2", "--validation", "0.2", "--out", "reworder"];
    let done = told(&program.call(0, &[&train[..], &more].concat())?)?;
    ensure!(number(&done, "steps")? >= 2.0 && number(&done, "validation")? > 0.0, "{done}");
    let plan = std::fs::read_to_string(program.at("reworder/student.toml"))?;
    ensure!(plan.contains("[format.damage]") && plan.contains("[training_damage]"), "{plan}");
    // The same command has nothing left to do, another seed is another training, and both come to the same bytes.
    let weights = |folder: &str| std::fs::read(program.at(folder).join("model/model.safetensors"));
    let metrics = || std::fs::read_to_string(program.at("reworder/metrics.jsonl"));
    let (model, lines) = (weights("reworder")?, metrics()?);
    let again = told(&program.call(0, &[&train[..], &more].concat())?)?;
    ensure!(again == done && metrics()? == lines, "{again} after {done}");
    program.call(2, &[&train[..], &more, &["--seed", "8"]].concat())?;
    program.call(0, &[&train[..], &more[..4], &["--out", "reworder2"]].concat())?;
    ensure!(weights("reworder2")? == model, "other weights");

    let judges = [&JUDGES[..], &["--all", "--json"]].concat();
    let reword = |more: &[&str]| -> Result<Value> {
        let command =
            [&["reword", "--model", "reworder", "--candidates", "6"], &judges[..], more, &[SENTENCE]].concat();
        told(&program.call(0, &command)?)
    };
    let value = reword(&[])?;
    let candidates = value["sentences"][0]["candidates"].as_array().context("no candidates")?;
    ensure!((2..=6).contains(&candidates.len()), "{value}");
    ensure!(candidates.iter().all(|c| c["rouge_l"].is_number() && c["text"].is_string()), "{value}");
    ensure!(value == reword(&[])? && value != reword(&["--seed", "8"])?, "the seed decides");
    ensure!(value != reword(&["--noise", "100"])? && value != reword(&["--function", "0"])?, "the damage decides");
    reword(&["--task", "summary", "--length", "0.5"])?;
    // It is a student, too, whose pairs the next student learns from.
    program.call(0, &[&["paraphrase", "--student", "reworder"], &judges[..], &[SENTENCE]].concat())?;

    let mut all = Transcript::of(program);
    all.call(2, &["reword", "--model", "tiny-student", SENTENCE])?;
    all.call(2, &["reword", "--model", "reworder", "--critic", "tiny-critic", "--candidates", "0", SENTENCE])?;
    all.call(2, &["reword", "--model", "reworder", "--noise", "1,-2", SENTENCE])?;
    all.call(2, &[&["paraphrase", "--student", "reworder", "--beams", SENTENCE], &JUDGES[..]].concat())?;
    all.call(2, &["train", "--sentences", "sentences.txt"])?;
    all.call(2, &["train"])?;
    all.call(2, &["train", "--task", "reword"])?;
    all.call(2, &["train", "--task", "reword", "--sentences", "no-such-file.txt"])?;
    all.check("reword")
}

#[test]
fn generate_writes_first_sentences() -> Result<()> {
    let program = program()?;
    let context = "NEW YORK - The company said";
    let generate = ["generate", context, "--k", "4"];
    let text = program.call(0, &generate)?;
    let rows = program.call(0, &[&generate[..], &["--json"]].concat())?.json()?;
    ensure!(rows.len() == 4, "{rows:?}");
    let texts: String = rows.iter().filter_map(|row| row["text"].as_str()).map(|text| format!("{text}\n")).collect();
    ensure!(texts == text.out, "{texts}{}", text.out);
    for (i, row) in rows.iter().enumerate() {
        ensure!(row["row"] == i && number(row, "tokens")? >= 1.0 && row["finish"].is_string(), "{row}");
    }
    let stdin = program.ask(&["generate", "--k", "4"], &format!("{context}\n"))?;
    ensure!(stdin.out == text.out, "a context on stdin is another one: {}", stdin.out);
    let other = program.call(0, &[&generate[..], &["--seed", "8"]].concat())?;
    ensure!(other.out != text.out, "the seed changes nothing");
    Ok(())
}

#[test]
fn doctor_and_bench_tell_of_this_machine() -> Result<()> {
    let program = program()?;
    let found = told(&program.call(0, &["doctor", "--json"])?)?;
    let host = &found["host"];
    ensure!(found["auto"].is_string() && number(&host["cpu"], "threads")? >= 1.0, "{found}");
    let models = host["models"].as_array().context("no models")?;
    for name in ["tiny-critic", "tiny-student", "tiny-teacher"] {
        ensure!(models.iter().any(|m| m["name"] == name && m["lacks"].is_null()), "{name} is not among {models:?}");
    }
    let small = &host["presets"][0];
    ensure!(small["name"] == "small" && small["command"] == "impossible pull small", "{small}");
    let text = program.call(0, &["doctor"])?.out;
    for line in ["system ", "processor ", "disk ", "--device auto stands for "] {
        ensure!(text.lines().any(|l| l.starts_with(line)), "no {line}in\n{text}");
    }

    let measured = |only: &str| -> Result<Vec<Value>> {
        program.call(0, &["bench", "--preset", "tiny", "--k", "8", "--only", only, "--json"])?.json()
    };
    let sampling = measured("sampling")?;
    ensure!(sampling[0]["k"] == 1 && sampling[1]["k"] == 8 && sampling[1]["device"] == "flex", "{sampling:?}");
    ensure!(number(&sampling[1], "tokens_per_s")? > 0.0, "{sampling:?}");
    let context = measured("entailment,context")?;
    ensure!(number(&context[0], "nli_pairs_per_s")? > 0.0, "{context:?}");
    ensure!(context.iter().filter(|row| row["measure"] == "context").count() == 2, "{context:?}");
    let text = program.call(0, &["bench", "--preset", "tiny", "--only", "decoding"])?.out;
    ensure!(text.starts_with("decoding ") && text.contains(" tokens/s "), "{text}");
    let training = measured("training-full")?;
    ensure!(number(&training[0], "positions_per_s")? > 0.0, "{training:?}");
    let mut all = Transcript::of(program);
    all.call(2, &["bench", "--preset", "tiny", "--k", "0"])?;
    all.call(2, &["bench", "--only", "luck"])?;
    all.call(2, &["bench", "--k", "8"])?;
    all.check("bench")
}

#[test]
fn pretrain_makes_models_of_a_dozen_lines() -> Result<()> {
    let program = program()?;
    let text: String = FIRMS
        .iter()
        .flat_map(|firm| made::siblings(firm).into_iter().take(2))
        .map(|line| format!("{line} The company said it earned more in the year than before.\n"))
        .collect();
    std::fs::write(program.at("lines.txt"), text)?;
    let few = ["--vocabulary", "512", "--length", "32", "--epochs", "1", "--train-batch", "4"];
    let held_out = ["--validation", "0.2", "--evaluate-every", "2", "--samples", "1"];
    let pretrain = [&["pretrain", "--text", "lines.txt"], &few[..], &held_out].concat();
    let mut all = Transcript::of(program);
    let teacher = [&pretrain[..], &["--out", "new-teacher", "--json"]].concat();
    let done = told(&program.call(0, &teacher)?)?;
    ensure!(done["documents"] == 12 && number(&done, "steps")? >= 2.0, "{done}");
    ensure!(number(&done, "perplexity")? > 1.0 && number(&done, "characters_per_token")? > 1.0, "{done}");
    ensure!(rows(&program.at("new-teacher/metrics.jsonl"))? as f64 == number(&done, "steps")?, "{done}");
    // A second call does not train again, and the model can generate.
    let weights = std::fs::read(program.at("new-teacher/model/model.safetensors"))?;
    ensure!(told(&program.call(0, &teacher)?)? == done, "a second call trained again");
    ensure!(std::fs::read(program.at("new-teacher/model/model.safetensors"))? == weights, "other weights");
    program.call(0, &["generate", "--teacher", "new-teacher/model", "--preset", "tiny", "--k", "2", "The company"])?;
    let denoiser = ["--task", "denoising", "--out", "denoiser", "--tokenizer", "new-teacher/model", "--json"];
    let done = told(&program.call(0, &[&pretrain[..], &denoiser].concat())?)?;
    ensure!(done["perplexity"].is_null() && number(&done, "validation")? > 0.0, "{done}");

    all.call(2, &[&pretrain[..], &["--out", "new-teacher", "--seed", "9"]].concat())?;
    all.call(2, &["pretrain", "--text", "lines.txt", "--out", "nothing", "--vocabulary", "100"])?;
    all.call(2, &["pretrain", "--text", "lines.txt", "--out", "nothing", "--length", "4"])?;
    all.call(2, &["pretrain", "--text", "lines.txt", "--field", "news", "--out", "nothing"])?;
    all.call(2, &["pretrain", "--text", "lines.txt", "--task", "poetry", "--out", "nothing"])?;
    all.check("pretrain")?;
    ensure!(!program.at("nothing").exists(), "a refused training left a folder");
    Ok(())
}

/// Arguments that train a new critic for a few steps.
fn few_steps(out: &str) -> Vec<&str> {
    let settings = ["--epochs", "1", "--train-batch", "8", "--validation", "0.5", "--evaluate-every", "2"];
    [&["train-critic", "--tokenizer", "models/tiny-teacher", "--out", out], &settings[..]].concat()
}

#[test]
fn a_critic_is_trained_on_labelled_pairs() -> Result<()> {
    let program = program()?;
    let label = |(i, firm): (usize, &str)| {
        let (hypothesis, label) = match i % 3 {
            0 => ("will pay a dividend.", "entailment"),
            1 => ("is an old firm.", "neutral"),
            _ => ("will pay no dividend.", "contradiction"),
        };
        json!({"premise": made::siblings(firm)[0], "hypothesis": format!("{firm} Corp {hypothesis}"), "label": label})
    };
    let pairs: Vec<Value> = FIRMS.into_iter().enumerate().map(label).collect();
    std::fs::write(program.at("labelled.jsonl"), lines(&pairs))?;
    let train = [&few_steps("new-critic")[..], &["--pairs", "labelled.jsonl", "--test", "labelled.jsonl"]].concat();
    let done = told(&program.call(0, &[&train[..], &["--json"]].concat())?)?;
    let (learned, held_out) = (number(&done, "pairs")?, &done["held_out"]);
    ensure!((1.0..6.0).contains(&learned) && done["test"]["pairs"] == 6, "{done}");
    for measured in [held_out, &done["test"]] {
        ensure!((0.0..=1.0).contains(&number(measured, "agreement")?), "{measured}");
        ensure!(number(measured, "cross_entropy")? > 0.0, "{measured}");
    }
    ensure!(number(&done["test"], "commonest")? == 1.0 / 3.0, "{done}");
    // The trained critic can be used to judge.
    let judged = ["--critic", "new-critic/model", "--all", "--json", SENTENCE];
    let value = told(&program.call(0, &[&["summarize", "--student", "tiny-student"], &judged[..]].concat())?)?;
    ensure!(value["sentences"][0]["candidates"].as_array().is_some_and(|c| !c.is_empty()), "{value}");

    let bad = [("no-label", json!({"premise": "A.", "hypothesis": "B."})), ("no-premise", json!({"text": "A."}))];
    let mut all = Transcript::of(program);
    for (name, line) in bad {
        std::fs::write(program.at(&format!("{name}.jsonl")), lines(&[line]))?;
        all.call(2, &[&few_steps("nothing")[..], &["--pairs", &format!("{name}.jsonl")]].concat())?;
    }
    all.call(2, &few_steps("nothing"))?;
    all.call(2, &[&few_steps("nothing")[..], &["--siblings", "made"]].concat())?;
    all.call(2, &["train-critic", "--pairs", "labelled.jsonl", "--out", "nothing"])?;
    all.call(2, &["train-critic", "--pairs", "labelled.jsonl", "--base", "tiny-teacher", "--out", "nothing"])?;
    all.check("train-critic")?;
    ensure!(!program.at("nothing").exists(), "a refused training left a folder");
    Ok(())
}

/// The teacher critic's probabilities for siblings are computed once and saved as labels.
#[test]
fn a_critic_learns_from_a_larger_one() -> Result<()> {
    let program = program()?;
    let more = ["--siblings", "made", "--sample", "12", "--teacher-critic", "tiny-critic", "--json"];
    let train = |out| [&few_steps(out)[..], &more].concat();
    let labels = |out: &str| program.at(out).join("labels/000000.json");
    let read = |out: &str| -> Result<Value> { Ok(serde_json::from_slice(&std::fs::read(labels(out))?)?) };
    let done = told(&program.call(0, &train("pupil"))?)?;
    let said = read("pupil")?;
    let rows = said["probabilities"].as_array().context("no probabilities")?;
    // Each of the 12 pairs is scored in both directions.
    ensure!(rows.len() == 24, "{said}");
    for row in rows {
        let row: Vec<f64> = serde_json::from_value(row.clone())?;
        ensure!(row.len() == 3 && (row.iter().sum::<f64>() - 1.0).abs() < 1e-4, "{row:?}");
    }
    ensure!(told(&program.call(0, &train("pupil"))?)? == done, "the same command came to something else");

    // Saved labels are used as they are; here they say that every pair is entailed.
    let mut yes = said.clone();
    yes["probabilities"] = rows.iter().map(|_| json!([1.0, 0.0, 0.0])).collect();
    let begun = |out: &str| -> Result<()> {
        std::fs::create_dir_all(program.at(out).join("labels"))?;
        std::fs::copy(program.at("pupil/critic.toml"), program.at(out).join("critic.toml"))?;
        Ok(())
    };
    begun("believer")?;
    std::fs::write(labels("believer"), serde_json::to_vec(&yes)?)?;
    let done = told(&program.call(0, &train("believer"))?)?;
    ensure!(number(&done["held_out"], "commonest")? == 1.0 && read("believer")? == yes, "{done}");

    // Labels of other pairs or another critic, and damaged ones, are computed again.
    let mut other = yes;
    other["asked"] = "another".into();
    for (out, bytes) in [("asker", serde_json::to_vec(&other)?), ("mender", b"{\"asked".to_vec())] {
        begun(out)?;
        std::fs::write(labels(out), bytes)?;
        program.call(0, &train(out))?;
        ensure!(read(out)? == said, "{out}: {}", read(out)?);
    }
    Ok(())
}

#[test]
fn a_student_is_trained_and_refined() -> Result<()> {
    let program = own("taught")?;
    let few = ["--run", "taught", "--epochs", "1", "--train-batch", "4", "--evaluate-every", "2"];
    let mut all = Transcript::without_numbers(program);
    all.call(2, &["refine", "--run", "taught", "--sources", "12", "--samples", "4", "--pairs-only"])?;
    all.call(0, &[&["train"], &few[..]].concat())?;
    all.call(0, &["refine", "--run", "taught", "--sources", "12", "--samples", "4", "--pairs-only"])?;
    all.call(0, &[&["refine"], &few[..], &["--sources", "12", "--samples", "4"]].concat())?;
    // More sentences are added to those that are there.
    all.call(0, &["refine", "--run", "taught", "--sources", "13", "--samples", "4", "--pairs-only"])?;
    all.call(2, &["refine", "--run", "taught", "--student", "no-such-student"])?;
    all.call(2, &[&["train"], &few[..], &["--seed", "99"]].concat())?;
    all.call(2, &["train", "--run", "no-such-run"])?;
    all.call(2, &["train", "--run", "taught", "--data", "no-such-data"])?;
    all.call(2, &["train", "--run", "taught", "--learning-rate=-1", "--out", "nothing"])?;
    all.call(2, &["train", "--run", "taught", "--base", "no-such-model", "--out", "nothing"])?;
    all.check("train")?;
    ensure!(!program.at("nothing").exists(), "a refused training left a folder");
    for stage in ["stage0", "stage1"] {
        let student = format!("taught/student/{stage}");
        let summarize = ["summarize", "--student", &student, "--all", "--json", SENTENCE];
        // A student within a run is judged by the run's critics.
        let value = told(&program.call(0, &summarize)?)?;
        ensure!(value["sentences"][0]["candidates"].as_array().is_some_and(|c| !c.is_empty()), "{value}");
    }
    let report = std::fs::read_to_string(program.at("taught/report.html"))?;
    ensure!(report.contains("stage0") && report.contains("stage1"), "the report lacks the students");
    Ok(())
}

#[test]
fn what_cannot_be_is_refused_by_its_name() -> Result<()> {
    let program = program()?;
    std::fs::write(program.at("plan.toml"), "seed = 1\nsede = 2\n")?;
    let mut all = Transcript::of(program);
    for call in [
        &["distill", "--device", "gpu9"][..],
        &["distill", "--preset", "huge"],
        &["distill", "--k", "1"],
        &["distill", "--temperature", "0"],
        &["distill", "--contexts", "0"],
        &["distill", "--rouge-min", "0.9", "--rouge-max", "0.5"],
        &["distill", "--shard", "3/2"],
        &["distill", "--shard", "half"],
        &["distill", "--plan", "plan.toml"],
        &["distill", "--seeds", "plan.toml"],
        &["distill", "--field", "news"],
        &["distill", "--teacher", "no-such-model", "--out", "modelless"],
        &[
            "distill",
            "--teacher",
            "tiny-critic",
            "--critic",
            "tiny-critic",
            "--cosine-min",
            "-1",
            "--out",
            "criticless",
        ],
        &["distill", "--out", "made"],
        &["generate", "--teacher", "tiny-critic", "A."],
        &["pull", "somewhere"],
        &["pull", "me/tiny", "--endpoint", "ftp://hub"],
    ] {
        all.call(2, call)?;
    }
    all.check("errors")
}

#[test]
fn a_model_is_exported_by_its_name_as_by_its_folder() -> Result<()> {
    let program = program()?;
    program.call(0, &["export", "--student", "tiny-student", "--precision", "f16", "--out", "by-name"])?;
    program.call(0, &["export", "--student", "models/tiny-student", "--precision", "f16", "--out", "by-folder"])?;
    for file in ["impossible.json", "README.md", "model.safetensors"] {
        let read =
            |folder: &str| std::fs::read(program.at(folder).join(file)).with_context(|| format!("{folder}/{file}"));
        ensure!(read("by-name")? == read("by-folder")?, "{file} differs");
    }
    Ok(())
}

#[test]
fn several_processes_may_be_the_first() -> Result<()> {
    let program = program()?;
    let fresh = ["--models", "fresh-models", "generate", "--k", "2", "The company"];
    let children = (0..4).map(|_| program.start(&fresh)).collect::<Result<Vec<_>>>()?;
    for child in children {
        ended(child)?.expect(0, &fresh)?;
    }
    Ok(())
}

#[test]
fn completions_into_a_closed_pipe_are_no_panic() -> Result<()> {
    let args = ["completions", "zsh"];
    let mut child = program()?.start(&args)?;
    drop(child.stdout.take());
    ended(child)?.expect(0, &args)
}

#[test]
fn files_and_devices_that_are_not_there_are_wrong_input() -> Result<()> {
    let program = program()?;
    program.call(2, &["distill", "--seeds", "no-such-file.txt", "--out", "seedless"])?;
    program.call(2, &["distill", "--plan", "no-such-file.toml"])?;
    program.call(2, &["--device", "cuda:0", "generate", "A"])?;
    Ok(())
}

#[test]
fn a_run_that_cannot_begin_leaves_no_plan() -> Result<()> {
    let program = program()?;
    let distill = ["distill", "--contexts", "1", "--k", "4", "--until", "dataset", "--out", "begun"];
    program.call(2, &[&distill[..], &["--preset", "small"]].concat())?;
    program.call(0, &distill)?;
    Ok(())
}

/// Commands and options that messages propose exist. The messages are those of the snapshots.
#[test]
fn messages_propose_commands_and_options_that_exist() -> Result<()> {
    let program = program()?;
    let help = program.call(0, &["--help"])?.out;
    let verbs: Vec<&str> =
        help.lines().filter_map(|l| l.strip_prefix("  ")?.split(' ').next()).filter(|v| !v.is_empty()).collect();
    let mut options = help.clone();
    for verb in verbs.iter().filter(|verb| !verb.starts_with('-')) {
        options += &program.call(0, &[verb, "--help"])?.out;
    }
    let options: Vec<&str> = options.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
    let (mut commands, mut flags) = (0, 0);
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/snapshots"))? {
        let text = std::fs::read_to_string(entry?.path())?;
        for line in text.lines().filter_map(|line| line.strip_prefix("stderr:")) {
            for verb in line.split("impossible ").skip(1).filter_map(|rest| rest.split([' ', '`', '.']).next()) {
                if verb.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !verb.is_empty() {
                    ensure!(verbs.contains(&verb), "there is no command `{verb}`: {line}");
                    commands += 1;
                }
            }
            for flag in line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|w| w.starts_with("--")) {
                // A misspelled flag of the user's, which the message quotes.
                if flag.len() > 3 && !line.contains("unexpected argument") {
                    ensure!(options.contains(&flag) || flag == "--help", "there is no option `{flag}`: {line}");
                    flags += 1;
                }
            }
        }
    }
    ensure!(commands > 5 && flags > 20, "{commands} commands, {flags} options");
    Ok(())
}

#[test]
fn a_token_that_the_model_has_no_embedding_for_is_named() -> Result<()> {
    let program = program()?;
    let encoder = program.at("mismatched/all-MiniLM-L6-v2");
    new_encoder(&encoder)?;
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden("models/bert").join(file), encoder.join(file))?;
    }
    let refused = program.call(3, &["audit", "--models", "mismatched", "--run", "made"])?;
    ensure!(refused.err.contains("the model's embedding table has"), "{}", refused.err);
    Ok(())
}

#[test]
fn distill_with_a_reworder_makes_pairs_and_a_student() -> Result<()> {
    let program = program()?;
    let texts: String = FIRMS.iter().flat_map(|firm| made::siblings(firm)).map(|text| text + "\n").collect();
    std::fs::write(program.at("to-reword.txt"), texts)?;
    let distill =
        ["distill", "--preset", "tiny", "--contexts", "2", "--k", "24", "--epochs", "1", "--out", "run", "--json"];
    let reworded = [&distill[..], &["--until", "reworded", "--sources", "12"]].concat();
    let own = [&reworded[..], &["--sentences", "to-reword.txt"]].concat();
    let done = told(&program.call(0, &own)?)?;
    let files = ["student/reworder/model/impossible.json", "refine/sources.jsonl", "refine/dataset/paraphrase.jsonl"];
    for file in files {
        ensure!(program.at("run").join(file).is_file(), "{file} is missing after {done}");
    }
    let pairs = || -> Result<usize> {
        let count = |task: &str| std::fs::read_to_string(program.at(&format!("run/refine/dataset/{task}.jsonl")));
        Ok(count("paraphrase")?.lines().count() + count("summary")?.lines().count())
    };
    ensure!(pairs()? > 0, "no pairs, so that no student was trained");
    let format = std::fs::read_to_string(program.at("run/student/stage0/model/impossible.json"))?;
    ensure!(done["student"].as_str().is_some_and(|s| s.ends_with("model")) && !format.contains("damage"), "{done}");
    // All stages are done: nothing is made again.
    let weights = || std::fs::read(program.at("run/student/reworder/model/model.safetensors"));
    let before = weights()?;
    ensure!(told(&program.call(0, &own)?)? == done && weights()? == before, "a second call changed something");
    program.call(0, &["verify", "run"])?;
    // Other settings, and new sentences by the teacher: what was made before is set aside.
    program.call(0, &[&reworded[..], &["--learning-rate", "0.001"]].concat())?;
    ensure!(weights()? != before && program.at("run/student/sentences-12.jsonl").is_file());
    ensure!(program.at("run/earlier/1/student/reworder/model").is_dir(), "the earlier reworder is lost");
    // On the user's own texts the sentences are asked for before the run, not after it.
    let seeds = ["--preset", "tiny", "--seeds", "to-reword.txt", "--until", "reworded", "--out", "own-texts"];
    let refused = program.call(2, &[&["distill"], &seeds[..]].concat())?;
    ensure!(refused.err.contains("--sentences") && !program.at("own-texts").exists(), "{}", refused.err);
    Ok(())
}
