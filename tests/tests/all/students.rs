//! Training, self-distillation, use and export of a student by the binary. Skipped unless `IMPOSSIBLE_MODELS` contains
//! the
//! models of preset `small`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use impossible::run::dataset::write_pairs;
use impossible_tests::{models_are_here, new_model};
use record::plan::Plan;
use record::{Funnel, Kept, Scored, Task};

const BINARY: &str = env!("CARGO_BIN_EXE_impossible-under-test");

fn call(args: &[&str]) -> Result<Output> {
    Ok(Command::new(BINARY).args(["--quiet"]).args(args).stdin(Stdio::null()).output()?)
}

fn done(args: &[&str]) -> Result<String> {
    let output = call(args)?;
    ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn refused(args: &[&str], code: i32, words: &[&str]) -> Result<()> {
    let output = call(args)?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "{args:?}: {:?}: {told}", output.status.code());
    ensure!(!told.contains("panicked") && words.iter().all(|w| told.contains(w)), "{args:?}: {told}");
    Ok(())
}

const PAIRS: [(Task, &str, &str); 6] = [
    (Task::Paraphrase, "The council closed the bridge on Monday.", "On Monday the bridge was closed by the council."),
    (Task::Paraphrase, "Heavy rain flooded the old market.", "The old market was flooded by heavy rain."),
    (Task::Paraphrase, "The firm named Ada Moss as its new chair.", "Ada Moss was named the new chair of the firm."),
    (Task::Summary, "The mayor, who had been ill since March, resigned on Friday.", "The mayor resigned on Friday."),
    (Task::Summary, "The museum, built in 1902 by local masons, will reopen in May.", "The museum will reopen in May."),
    (Task::Summary, "The team won the final after a long delay for rain.", "The team won the final."),
];

/// Writes a folder of pairs as `filter` does, with the first `take` pairs of each task.
fn pairs(dir: &Path, plan: &Plan, take: usize) -> Result<()> {
    let mut kept: [Vec<Kept>; 2] = Default::default();
    for (i, (task, text, target)) in PAIRS.iter().enumerate().filter(|(i, _)| i % 3 < take) {
        let scored = Scored {
            task: *task,
            context: i as u64,
            x: 0,
            y: 1,
            length_ratio: 1.0,
            rouge_l: 0.5,
            numbers: None,
            entities: None,
            modality: None,
            cosine: None,
            forward: Some(0.9),
            backward: None,
            nll: None,
            refused_by: None,
        };
        kept[usize::from(*task == Task::Summary)].push(Kept { text: (*text).into(), target: (*target).into(), scored });
    }
    Ok(write_pairs(dir, plan, &kept, &Funnel::default())?)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// Makes a run (`run`) to train in, and a folder (`pairs`) with all pairs of [`PAIRS`]; the plan is the run's.
fn run_and_pairs(dir: &Path) -> Result<(PathBuf, PathBuf, Plan)> {
    let (run, data) = (dir.join("run"), dir.join("pairs"));
    done(&[
        "distill",
        "--preset",
        "small",
        "--device",
        "flex",
        "--contexts",
        "1",
        "--k",
        "2",
        "--seed",
        "3",
        "--out",
        text(&run)?,
    ])?;
    let plan = impossible::run::read_plan(&run.join("plan.toml"))?;
    pairs(&data, &plan, 3)?;
    Ok((run, data, plan))
}

#[test]
fn a_student_from_pairs_to_use() -> Result<()> {
    if !models_are_here("students") {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    let (run, data, plan) = run_and_pairs(dir.path())?;
    let run_name = text(&run)?;

    // Training in one go, and training that is killed after its first checkpoint and resumed, write the same bytes.
    let train = ["train", "--run", run_name, "--data", text(&data)?, "--epochs", "2", "--train-batch", "4"];
    let more = ["--evaluate-every", "2", "--lora-rank", "4", "--dropout", "0.1", "--learning-rate", "0.001", "--out"];
    let train = [&train[..], &more].concat();
    let (whole, stopped) = (at("whole"), at("stopped"));
    let told = done(&[&train[..], &[text(&whole)?, "--json"]].concat())?;
    let told: serde_json::Value = serde_json::from_str(&told)?;
    ensure!(told["held_out"].as_u64().is_some_and(|n| n > 0) && told["validation"].is_f64(), "{told}");
    let mut child = Command::new(BINARY)
        .args(["--quiet"])
        .args([&train[..], &[text(&stopped)?]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let checkpoint = stopped.join("checkpoints/step-00000002.safetensors");
    for _ in 0..600 {
        if checkpoint.is_file() || child.try_wait()?.is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    child.kill()?;
    child.wait()?;
    ensure!(checkpoint.is_file(), "no checkpoint was written");
    done(&[&train[..], &[text(&stopped)?]].concat())?;
    for file in ["metrics.jsonl", "student.toml", "model/model.safetensors", "model/impossible.json", "report.html"] {
        let (a, b) = (std::fs::read(whole.join(file))?, std::fs::read(stopped.join(file))?);
        let start = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(1500)]).into_owned();
        ensure!(a == b, "{file} differs:\n{}\n{}", start(&a), start(&b));
    }
    let losses: Vec<f64> = std::fs::read_to_string(whole.join("metrics.jsonl"))?
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l)?["loss"].as_f64().context("no loss"))
        .collect::<Result<_>>()?;
    ensure!(losses.last() < losses.first(), "{losses:?}");

    // Refused: another plan in the same folder, a folder without a student, and data without pairs or without files.
    let other = [&train[..], &[text(&whole)?, "--seed", "99"]].concat();
    refused(&other, 2, &["--seed", "found 99"])?;
    refused(&["paraphrase", "--student", run_name, "A."], 2, &["impossible.json"])?;
    refused(&["refine", "--run", run_name], 2, &["impossible train"])?;
    pairs(&at("empty"), &plan, 0)?;
    refused(&["train", "--run", run_name, "--data", text(&at("empty"))?], 2, &["at least one pair"])?;
    refused(&["train", "--run", run_name, "--data", text(&at("nowhere"))?], 2, &["paraphrase.parquet"])?;

    // The student rewrites a sentence for either task.
    let sentence = "The council voted to close the old bridge for two years.";
    let student = text(&whole)?;
    for (command, field) in [("paraphrase", "paraphrase"), ("summarize", "summary")] {
        let told =
            done(&[command, "--device", "flex", "--student", student, "--all", "--num", "2", "--json", sentence])?;
        let told: serde_json::Value = serde_json::from_str(&told)?;
        ensure!(told["text"] == sentence && told[field].is_string(), "{told}");
        let candidates = told["sentences"][0]["candidates"].as_array().context("no candidates")?;
        ensure!(!candidates.is_empty() && candidates.len() <= 2, "{told}");
        for c in candidates {
            ensure!(c["kept"].as_bool() == Some(c["refused_by"].is_null()), "{c}");
        }
    }
    refused(&["paraphrase", "--student", student, "--num", "0", sentence], 2, &["--num"])?;
    refused(&["paraphrase", "--student", student, "--device", "flex", ""], 2, &["at least one sentence"])?;

    // Self-distillation on the user's own sentences; a second call changes nothing.
    std::fs::create_dir_all(run.join("student"))?;
    std::fs::rename(&whole, run.join("student/stage0"))?;
    let sentences = at("sentences.txt");
    std::fs::write(&sentences, format!("{sentence}\nThe firm said on Friday that it would open a shop in Leeds.\n"))?;
    let refine = ["refine", "--run", run_name, "--sentences", text(&sentences)?, "--samples", "3", "--pairs-only"];
    done(&refine)?;
    let dataset = run.join("refine/dataset/summary.jsonl");
    let first = std::fs::read(&dataset)?;
    done(&refine)?;
    ensure!(std::fs::read(&dataset)? == first, "a second call gave other pairs");
    refused(&[&refine[..], &["--student", text(&at("nowhere"))?]].concat(), 2, &["nowhere"])?;
    let other = ["refine", "--run", run_name, "--sentences", text(&sentences)?, "--samples", "4", "--pairs-only"];
    done(&other)?;
    ensure!(std::fs::read(run.join("earlier/1/refine/dataset/summary.jsonl"))? == first, "the earlier pairs are lost");

    // A model exported in half precision has nearly the same logits.
    let stage0 = run.join("student/stage0");
    let mut tops = Vec::new();
    for precision in ["f32", "f16"] {
        let out = at(precision);
        done(&["export", "--student", text(&stage0)?, "--out", text(&out)?, "--precision", precision])?;
        let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("golden.json"))?)?;
        tops.push(golden["log_sum"].as_f64().context("no log_sum")?);
        for file in ["config.json", "tokenizer.json", "generation_config.json", "README.md", "impossible.json"] {
            ensure!(out.join(file).is_file(), "{file} is missing");
        }
    }
    ensure!((tops[0] - tops[1]).abs() < 0.1, "{tops:?}");
    // An export in shards has the same golden logits, which are computed from the written files.
    let shards = at("shards");
    let how = ["--precision", "f16", "--shard-size", "60"];
    done(&[&["export", "--student", text(&stage0)?, "--out", text(&shards)?], &how[..]].concat())?;
    ensure!(
        std::fs::read(shards.join("golden.json"))? == std::fs::read(at("f16").join("golden.json"))?,
        "golden logits"
    );
    let weights =
        std::fs::read_dir(&shards)?.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "safetensors"));
    let sizes = weights.map(|f| Ok(f.metadata()?.len())).collect::<Result<Vec<_>>>()?;
    ensure!(sizes.len() > 3 && sizes.iter().all(|n| *n <= 60 << 20), "{sizes:?}");
    let size = |p: &str| Ok::<u64, std::io::Error>(std::fs::metadata(at(p).join("model.safetensors"))?.len());
    ensure!(size("f16")? * 10 < size("f32")? * 6, "half precision is half the size");
    Ok(())
}

/// A T5 and a GPT-2 student with random initial weights learn six pairs by heart; the saved students, which decode in
/// batches, then reproduce the targets.
#[test]
fn students_of_other_kinds_learn_by_heart() -> Result<()> {
    if !models_are_here("students") {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    let (run, data, _) = run_and_pairs(dir.path())?;
    let run_name = text(&run)?;
    let t5 = serde_json::json!({
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": true,
        "d_model": 96, "d_kv": 24, "num_heads": 4, "num_layers": 2, "d_ff": 192, "vocab_size": 416,
        "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false, "pad_token_id": 0, "eos_token_id": 1,
        "decoder_start_token_id": 0,
    });
    let gpt2 = serde_json::json!({
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 96, "n_head": 4, "n_layer": 2,
        "n_positions": 256, "vocab_size": 512, "eos_token_id": 0, "bos_token_id": 0,
    });
    for (name, config, tokenizer) in [("t5", t5, "t5-unigram"), ("gpt2", gpt2, "gpt2-bpe")] {
        let (base, out) = (at(&format!("base-{name}")), at(&format!("student-{name}")));
        new_model(&base, &config, tokenizer, 1)?;
        let train = ["train", "--run", run_name, "--data", text(&data)?, "--base", text(&base)?, "--out", text(&out)?];
        let more = ["--full", "--learning-rate", "0.003", "--epochs", "150", "--train-batch", "9"];
        // Nothing is held out, since all pairs are tested below.
        let more = [&more[..], &["--evaluate-every", "1000", "--validation", "0", "--json"]].concat();
        let told: serde_json::Value = serde_json::from_str(&done(&[&train[..], &more].concat())?)?;
        let loss = told["loss"].as_f64().context("no loss")?;
        ensure!(loss < 0.05, "{name} ends at loss {loss}");
        let ask = |command: &str, decoding: &[&str], length: f64, pairs: &[(Task, &str, &str)]| -> Result<()> {
            let length = format!("{length:.2}");
            // Candidates are ranked by the critics, so the most probable beam need not be the first.
            let how = ["--all", "--num", "2", "--samples", "2", "--length", &length, "--json"];
            let sources: Vec<&str> = pairs.iter().map(|p| p.1).collect();
            let told = done(
                &[&[command, "--device", "flex", "--student", text(&out)?], &how[..], decoding, &sources].concat(),
            )?;
            for (line, (_, source, target)) in told.lines().zip(pairs) {
                let told: serde_json::Value = serde_json::from_str(line)?;
                let found = told["sentences"][0]["candidates"].as_array().context("no candidates")?;
                ensure!(found.iter().any(|c| c["text"] == *target), "{name}, {command} of {source:?}: {found:?}");
            }
            ensure!(told.lines().count() == pairs.len(), "{told}");
            Ok(())
        };
        let drawn = ["--temperature", "0.1"];
        for decoding in [&drawn[..], &["--beams"], &["--beams", "--diversity-penalty", "0.5"]] {
            ask("paraphrase", decoding, 1.0, &PAIRS[..3])?;
        }
        for pair in &PAIRS[3..] {
            let length = pair.2.chars().count() as f64 / pair.1.chars().count() as f64;
            ask("summarize", &drawn, length, std::slice::from_ref(pair))?;
        }
        let exported = at(&format!("exported-{name}"));
        done(&["export", "--student", text(&out)?, "--out", text(&exported)?])?;
        ensure!(exported.join("golden.json").is_file(), "no golden logits");
        if let Some(keep) = std::env::var_os("IMPOSSIBLE_KEEP_EXPORTS") {
            // Input of tests/interop/exported.py.
            let keep = PathBuf::from(keep).join(name);
            std::fs::create_dir_all(&keep)?;
            for file in std::fs::read_dir(&exported)? {
                let file = file?;
                std::fs::copy(file.path(), keep.join(file.file_name()))?;
            }
        }
    }
    Ok(())
}
