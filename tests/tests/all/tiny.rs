//! `impossible distill` without any options, which uses the built-in models.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use impossible::report::showcase;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_impossible-under-test");

fn distill(dir: &Path) -> Result<Value> {
    let output = Command::new(BINARY)
        .args(["--quiet", "--json", "--device", "flex", "distill"])
        .current_dir(dir)
        // An empty folder, so that only the built-in models can be used.
        .env("IMPOSSIBLE_MODELS", dir.join("models"))
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(serde_json::from_str(text.lines().last().context("no output")?)?)
}

fn bytes(dir: &Path, name: &str) -> Result<Vec<u8>> {
    std::fs::read(dir.join("runs/tiny").join(name)).with_context(|| name.to_owned())
}

fn losses(dir: &Path) -> Result<Vec<f64>> {
    let text = String::from_utf8(bytes(dir, "student/stage0/metrics.jsonl")?)?;
    let line = |line: &str| serde_json::from_str::<Value>(line).ok()?.get("loss")?.as_f64();
    Ok(text.lines().filter_map(line).collect())
}

#[test]
fn the_whole_method_without_flags_or_network() -> Result<()> {
    let (first, second) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let started = Instant::now();
    let told = distill(first.path())?;
    eprintln!("`impossible distill` took {:.0} s", started.elapsed().as_secs_f64());

    let pairs = |name: &str| -> Result<usize> {
        Ok(String::from_utf8(bytes(first.path(), &format!("dataset/{name}.jsonl"))?)?.lines().count())
    };
    let (paraphrases, summaries) = (pairs("paraphrase")?, pairs("summary")?);
    eprintln!("{paraphrases} paraphrase and {summaries} summary pairs");
    // Paraphrases are rare with models of this size; on another processor there may be none.
    ensure!(summaries > 20, "{summaries} summary pairs");

    let losses = losses(first.path())?;
    let quarter = (losses.len() / 4).max(1);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let (from, to) = (mean(&losses[..quarter]), mean(&losses[losses.len() - quarter..]));
    ensure!(to < from, "the loss went from {from:.3} to {to:.3}");

    let run = first.path().join("runs/tiny");
    let showcase = showcase::read(&run).context("no comparison of the students")?;
    let last = showcase.students.last().context("no student")?;
    for (task, made) in &last.tasks {
        eprintln!("{task}: {:.2} kept versions a sentence, {:.2} of all copies", made.kept, made.copies);
        ensure!(made.copies < 0.2, "{task}: a copier: {made:?}");
    }
    ensure!(last.tasks.get("summary").is_some_and(|m| m.kept > 0.0), "no summary passed the critics");
    ensure!(told["showcase"]["students"].as_array().is_some_and(|s| s.len() >= 2), "{told}");
    let report = String::from_utf8(bytes(first.path(), "report.html")?)?;
    ensure!(report.contains("Before and after"), "the report lacks the students");

    distill(second.path())?;
    for name in [
        "plan.toml",
        "dataset/paraphrase.jsonl",
        "dataset/summary.jsonl",
        "dataset/summary.parquet",
        "student/stage0/model/model.safetensors",
        "student/showcase.json",
    ] {
        ensure!(bytes(first.path(), name)? == bytes(second.path(), name)?, "{name} is another in a second run");
    }
    Ok(())
}
