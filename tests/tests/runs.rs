//! Whole runs of the binary on the real small models: same plan, same bytes, whether in one go, in two shards, or
//! killed and resumed. Runs where `IMPOSSIBLE_MODELS` has the models of preset small.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use impossible_tests::models_are_here;

const BINARY: &str = env!("CARGO_BIN_EXE_impossible-under-test");

fn distill(out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["distill", "--preset", "small", "--device", "flex", "--quiet", "--contexts", "5", "--k", "6"]);
    command.args(["--seed", "3", "--until", "dataset", "--out"]).arg(out).args(more);
    command.stdout(Stdio::null());
    command
}

fn code(mut command: Command) -> Result<i32> {
    command.status()?.code().context("killed")
}

/// Every file that must repeat, by path.
fn bytes(run: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut folders = vec![run.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.strip_prefix(run)?.display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if !["timings.json", "report.html", ".lock"].contains(&name.as_str()) {
                files.push((name, std::fs::read(path)?));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn same(a: &Path, b: &Path) -> Result<()> {
    let (a, b) = (bytes(a)?, bytes(b)?);
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    ensure!(names(&a) == names(&b), "{:?} and {:?}", names(&a), names(&b));
    for (x, y) in a.iter().zip(&b) {
        ensure!(x.1 == y.1, "{} differs", x.0);
    }
    Ok(())
}

#[test]
fn same_bytes_in_one_go_in_shards_and_after_a_kill() -> Result<()> {
    if !models_are_here("whole runs") {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    ensure!(code(distill(&at("whole"), &[]))? == 0, "the whole run failed");
    for file in ["plan.toml", "funnel.json", "report.html", "dataset/paraphrase.jsonl", "dataset/summary.parquet"] {
        ensure!(at("whole").join(file).exists(), "{file} is missing");
    }

    for i in ["1", "2"] {
        ensure!(code(distill(&at(&format!("part{i}")), &["--shard", &format!("{i}/2")]))? == 0, "part {i} failed");
    }
    let mut merge = Command::new(BINARY);
    merge.arg("merge").args([at("part1"), at("part2")]).arg("--out").arg(at("merged")).stdout(Stdio::null());
    ensure!(code(merge)? == 0, "merge failed");
    same(&at("whole"), &at("merged"))?;

    // Killed as soon as the first shard is there, then the same command again.
    let mut child = distill(&at("killed"), &[]).spawn()?;
    let shards = at("killed").join("shards");
    let start = Instant::now();
    while std::fs::read_dir(&shards)
        .map_or(0, |d| d.flatten().filter(|e| e.path().join("manifest.json").exists()).count())
        == 0
    {
        ensure!(start.elapsed() < Duration::from_secs(600), "no shard after ten minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    ensure!(code(distill(&at("killed"), &[]))? == 0, "resuming failed");
    same(&at("whole"), &at("killed"))?;

    // Another plan in the same folder is refused; a flipped byte is found.
    ensure!(code(distill(&at("whole"), &["--rouge-max", "0.7"]))? == 2, "another plan in one folder");
    let verify = |run: &Path| -> Result<i32> {
        let mut command = Command::new(BINARY);
        command.arg("verify").arg(run).stdout(Stdio::null());
        code(command)
    };
    ensure!(verify(&at("merged"))? == 0, "verify of a good run");
    let victim = at("merged").join("shards/00000000/samples.parquet");
    let mut data = std::fs::read(&victim)?;
    let middle = data.len() / 2;
    data[middle] ^= 1;
    std::fs::write(&victim, data)?;
    ensure!(verify(&at("merged"))? == 3, "a flipped byte was not found");

    // Other thresholds without sampling again.
    let mut filter = Command::new(BINARY);
    filter.args(["filter", "--rouge-max", "0.6", "--run"]).arg(at("whole")).stdout(Stdio::null());
    ensure!(code(filter)? == 0, "filter failed");
    ensure!(at("whole").join("filtered/paraphrase.jsonl").exists(), "filter wrote nothing");
    Ok(())
}

#[test]
fn wrong_input_has_exit_code_2() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let empty = dir.path().join("empty.txt");
    std::fs::write(&empty, "\n\n")?;
    let plan = dir.path().join("plan.toml");
    std::fs::write(&plan, "seed = 1\nsede = 2\n")?;
    let out = dir.path().join("out");
    let calls: Vec<Vec<&str>> = vec![
        vec!["distill", "--device", "gpu9"],
        vec!["distill", "--k", "1"],
        vec!["distill", "--shard", "3/2"],
        vec!["distill", "--seeds", empty.to_str().context("path")?],
        vec!["distill", "--plan", plan.to_str().context("path")?],
        vec!["distill", "--teacher", "no-such-model"],
        vec!["inspect", "no-such-run"],
        vec!["filter", "--run", "no-such-run"],
    ];
    for call in calls {
        let mut command = Command::new(BINARY);
        command.args(&call).stdout(Stdio::null()).stderr(Stdio::piped());
        if call[0] == "distill" {
            command.arg("--out").arg(&out);
        }
        let done = command.output()?;
        let message = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.code() == Some(2), "{call:?} ended with {:?}: {message}", done.status.code());
        ensure!(message.contains("error: ") && !message.contains("panicked"), "{call:?}: {message}");
    }
    Ok(())
}
