//! The commands `pretrain` and `train-critic` on a small made-up domain: a teacher, two T5 models and a critic are
//! trained,
//! and a run uses the teacher and the critic.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use impossible_tests::{folder, wait};
use lm::decode::TextModel;
use lm::device::{Compute, DeviceSpec};
use lm::scoring::PairModel;
use record::Monitor;
use record::monitor::Unwatched;
use record::random::{Purpose, Stream};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_impossible-under-test");

fn call(args: &[&str]) -> Result<Output> {
    Ok(Command::new(BINARY).args(["--quiet", "--device", "flex"]).args(args).stdin(Stdio::null()).output()?)
}

fn done(args: &[&str]) -> Result<Value> {
    let output = call(&[args, &["--json"]].concat())?;
    ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(serde_json::from_str(text.lines().last().context("no output")?)?)
}

fn refused(args: &[&str], words: &[&str]) -> Result<()> {
    let output = call(args)?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(2), "{args:?}: {:?}: {told}", output.status.code());
    ensure!(!told.contains("panicked") && words.iter().all(|w| told.contains(w)), "{args:?}: {told}");
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

const FIRMS: [&str; 6] = ["Alder Corp", "Birch Inc", "Cedar Ltd", "Dogwood Co", "Elm Group", "Fir Holdings"];
const THINGS: [&str; 5] = ["profit", "revenue", "output", "debt", "turnover"];

/// Reports of four sentences each, all made from the same template, one per line.
fn reports(n: u64) -> String {
    let mut out = String::new();
    for i in 0..n {
        let mut stream = Stream::new(1, Purpose::Context, i, 3);
        let mut pick = |of: &[&'static str]| of[stream.below(of.len())];
        let (firm, thing, other) = (pick(&FIRMS), pick(&THINGS), pick(&THINGS));
        let (way, why) =
            (pick(&["rose", "fell", "grew", "shrank"]), pick(&["demand", "prices", "costs", "the dollar"]));
        let day = pick(&["Monday", "Tuesday", "Friday"]);
        let _ = writeln!(
            out,
            "{firm} said on {day} that its {thing} {way} in the quarter. The change was due to {why}, the company said. \
             Analysts had expected that {other} would follow. It did not comment on its {other}."
        );
    }
    out
}

/// Labelled pairs in JSONL; the verb of the hypothesis determines the label.
fn labelled(n: u64) -> String {
    let mut out = String::new();
    for i in 0..n {
        let mut stream = Stream::new(4, Purpose::Summaries, i, 6);
        let (firm, thing) = (FIRMS[stream.below(6)], THINGS[stream.below(5)]);
        let (label, way) =
            [("entailment", "rose"), ("neutral", "may have changed"), ("contradiction", "fell")][stream.below(3)];
        let line = json!({"premise": format!("{firm} said, report {i}, that its {thing} rose."),
            "hypothesis": format!("The {thing} of {firm} {way}."), "label": label});
        let _ = writeln!(out, "{line}");
    }
    out
}

#[test]
fn a_domain_of_ones_own() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text);
    let reports_text = reports(300);
    write("reports.txt", &reports_text)?;
    write("pairs.jsonl", &labelled(800))?;
    write(
        "llama.json",
        r#"{"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
            "tie_word_embeddings": true, "rms_norm_eps": 1e-5}"#,
    )?;
    write(
        "t5.json",
        r#"{"model_type": "t5", "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2,
            "feed_forward_proj": "gated-gelu", "decoder_start_token_id": 0}"#,
    )?;
    write(
        "roberta.json",
        r#"{"model_type": "roberta", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 130, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
            "id2label": {"0": "contradiction", "1": "entailment", "2": "neutral"}}"#,
    )?;
    let (reports, pairs) = (at("reports.txt"), at("pairs.jsonl"));

    // Pretrains a teacher.
    let teacher = at("teacher");
    let llama = at("llama.json");
    let pretrain = ["pretrain", "--text", text(&reports)?, "--config", text(&llama)?, "--vocabulary", "512"];
    let short = ["--epochs", "6", "--evaluate-every", "20", "--validation", "0.1", "--train-batch", "16"];
    let causal = [&pretrain[..], &short[..], &["--out", text(&teacher)?]].concat();
    let told = done(&causal)?;
    let perplexity = told["perplexity"].as_f64().context("no perplexity")?;
    ensure!(perplexity < 4.0, "{told}");
    let weights = std::fs::read(teacher.join("model/model.safetensors"))?;
    ensure!(done(&causal)? == told && weights == std::fs::read(teacher.join("model/model.safetensors"))?);
    let samples = std::fs::read_to_string(teacher.join("samples.jsonl"))?;
    let last = samples.lines().last().context("no samples")?;
    ensure!(FIRMS.iter().any(|f| last.contains(&f[..3])) && last.contains("in the quarter."), "{last}");
    let model = teacher.join("model");
    let loaded = TextModel::load(&folder(model.clone())?, &Compute::open(DeviceSpec::Flex)?)?;
    ensure!((300..=512).contains(&loaded.tokenizer.table()) && loaded.lm.sizes().eos == [1]);
    refused(&[&causal[..], &["--length", "64"]].concat(), &["--length: expected", "another --out"])?;
    refused(&[&pretrain[..], &["--task", "spans", "--out", text(&at("x"))?]].concat(), &["encoder"])?;
    refused(&[&pretrain[..], &["--length", "3", "--out", text(&at("x"))?]].concat(), &["--length"])?;

    // Pretrains a T5 with each objective and the teacher's tokenizer.
    for task in ["spans", "denoising"] {
        let (out, t5) = (at(task), at("t5.json"));
        let told = done(
            &[
                &["pretrain", "--task", task, "--text", text(&reports)?, "--config", text(&t5)?, "--tokenizer"],
                &[text(&model)?, "--out", text(&out)?][..],
                &short[..],
            ]
            .concat(),
        )?;
        ensure!(told["validation"].as_f64().is_some_and(|loss| loss < 4.5), "{told}");
        let t5 = folder(out.join("model"))?;
        ensure!(t5.tokenizer()?.encode_special("The firm")?.0.last() == Some(&1), "an encoder's text has no end");
        ensure!(t5.tokenizer()?.encode("The firm")?.last() != Some(&1));
        TextModel::load(&t5, &Compute::open(DeviceSpec::Flex)?)?;
    }

    // Trains a critic on labelled pairs.
    let (critic, roberta) = (at("critic"), at("roberta.json"));
    let new = ["--config", text(&roberta)?, "--tokenizer", text(&model)?];
    let fit = [
        "--epochs",
        "16",
        "--train-batch",
        "16",
        "--validation",
        "0.2",
        "--dropout",
        "0.05",
        "--learning-rate",
        "0.004",
    ];
    let train = [&["train-critic", "--pairs", text(&pairs)?, "--out", text(&critic)?][..], &new[..], &fit[..]].concat();
    let told = done(&train)?;
    let held_out = &told["held_out"];
    let agreement = held_out["agreement"].as_f64().context("no agreement")?;
    ensure!(agreement > 0.95 && held_out["commonest"].as_f64().is_some_and(|c| c < 0.6), "{told}");
    ensure!(told["temperature"].as_f64().is_some_and(|t| (0.2..5.0).contains(&t)), "{told}");
    let loaded = PairModel::load(&folder(critic.join("model"))?, &Compute::open(DeviceSpec::Flex)?)?;
    ensure!(loaded.labels()[loaded.entailment()] == "entailment");
    let ask = [("Elm Group said, report 7, that its debt rose.", "The debt of Elm Group rose.")];
    let said = wait(loaded.probabilities(&ask, &mut Monitor::new(&mut Unwatched, 0, 0)))?;
    ensure!(said[0].as_ref().is_some_and(|p| p[1] > 0.8), "{said:?}");
    let half = at("half");
    let args = [
        &["train-critic", "--pairs", text(&pairs)?, "--out", text(&half)?][..],
        &new[..],
        &["--validation", "0.2", "--epochs", "1", "--compute", "bf16"],
    ];
    ensure!(done(&args.concat())?["held_out"]["cross_entropy"].as_f64().is_some_and(f64::is_finite));
    let nowhere = at("x");
    let none = [&["train-critic", "--pairs", text(&pairs)?, "--out", text(&nowhere)?], &new[..]].concat();
    refused(&[&none[..], &["--validation", "0"]].concat(), &["--validation"])?;
    ensure!(!nowhere.exists(), "a refused training left its folder");
    let bare = at("bare.jsonl");
    std::fs::write(&bare, "{\"premise\": \"A b.\", \"hypothesis\": \"C d.\"}\n")?;
    refused(
        &[&["train-critic", "--pairs", text(&bare)?, "--out", text(&at("x"))?], &new[..]].concat(),
        &["--teacher-critic"],
    )?;

    // Runs `distill` with both models, then trains a second critic on the run's siblings, labelled by the first one.
    // The contexts are the reports without their last sentence, which the teacher has learned to add.
    let (run, critic, seeds) = (at("run"), critic.join("model"), at("seeds.txt"));
    let begun: Vec<String> =
        reports_text.lines().filter_map(|l| Some(l.rsplit_once(" It did")?.0.to_owned())).collect();
    std::fs::write(&seeds, begun.join("\n"))?;
    let told = done(&[
        "distill",
        "--teacher",
        text(&model)?,
        "--critic",
        text(&critic)?,
        "--critics",
        "paper",
        "--seeds",
        text(&seeds)?,
        "--contexts",
        "4",
        "--k",
        "20",
        "--out",
        text(&run)?,
        "--until",
        "dataset",
    ])?;
    ensure!(told["contexts"] == 4, "{told}");
    let second = at("second");
    let args = [
        &["train-critic", "--siblings", text(&run)?, "--sample", "60", "--teacher-critic", text(&critic)?, "--out"],
        &[text(&second)?][..],
        &new[..],
        &["--validation", "0.3", "--epochs", "2"][..],
    ]
    .concat();
    let told = done(&args)?;
    ensure!(told["held_out"]["pairs_both_ways"].as_u64().is_some_and(|n| n > 0), "{told}");
    ensure!(second.join("labels/000000.json").is_file());
    ensure!(done(&args)? == told);
    Ok(())
}
