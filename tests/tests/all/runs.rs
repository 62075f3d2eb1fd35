//! Whole runs of the binary with its built-in models: the same plan gives the same bytes in one go, in two shards, and
//! after an interruption. Repeated with the models of preset `small` if `IMPOSSIBLE_MODELS` contains them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use impossible_tests::models_are_here;
use impossible_tests::program::{Program, ended};

const BINARY: &str = env!("CARGO_BIN_EXE_impossible-under-test");

/// A run of 13 contexts, which are four ranges.
const TINY: [&str; 9] = ["distill", "--preset", "tiny", "--contexts", "13", "--k", "24", "--seed", "3"];
const SMALL: [&str; 9] = ["distill", "--preset", "small", "--contexts", "5", "--k", "6", "--seed", "3"];

/// A run of 9 contexts whose student is trained for about forty steps.
const STUDENT: [&str; 15] = [
    "distill",
    "--preset",
    "tiny",
    "--contexts",
    "9",
    "--k",
    "24",
    "--until",
    "student",
    "--epochs",
    "8",
    "--train-batch",
    "4",
    "--evaluate-every",
    "2",
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("runs").join(name)
}

/// The binary with its built-in models.
fn program() -> Result<&'static Program> {
    static PROGRAM: OnceLock<Result<Program, String>> = OnceLock::new();
    let made = PROGRAM.get_or_init(|| Program::new(BINARY, &folder("tiny")).map_err(|e| format!("{e:#}")));
    made.as_ref().map_err(|e| anyhow!("{e}"))
}

fn dataset<'a>(command: &[&'a str], out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [command, &["--until", "dataset", "--out", out], more].concat()
}

/// Path and content of every file of a run that must be reproducible, sorted by path.
fn bytes(run: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut folders = vec![run.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.strip_prefix(run)?.display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if !["timings.json", "report.html"].contains(&name.as_str()) && !name.ends_with(".lock") {
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

/// The numbers that `number` reads from the names of the files in `dir`: of finished shards, or of checkpoints' steps.
fn numbers(dir: &Path, number: fn(&Path) -> Option<u64>) -> Vec<u64> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| number(&entry.path())).collect()
}

fn shard(path: &Path) -> Option<u64> {
    path.join("manifest.json").exists().then(|| path.file_name()?.to_str()?.parse().ok())?
}

fn checkpoint(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
}

/// Waits until `there` holds; fails if the process ends before, or after ten minutes.
fn until(child: &mut Child, there: impl Fn() -> bool) -> Result<()> {
    let start = Instant::now();
    while !there() {
        ensure!(child.try_wait()?.is_none(), "it ended before it could be stopped");
        ensure!(start.elapsed() < Duration::from_secs(600), "nothing after ten minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Sends SIGINT, as Ctrl-C does.
#[cfg(unix)]
fn interrupt(child: &Child) -> Result<()> {
    ensure!(Command::new("kill").args(["-INT", &child.id().to_string()]).status()?.success(), "kill failed");
    Ok(())
}

fn in_one_go_in_shards_and_after_a_kill(program: &Program, command: &[&str]) -> Result<()> {
    program.call(0, &dataset(command, "whole", &[]))?;
    let whole = program.at("whole");
    for file in ["plan.toml", "funnel.json", "report.html", "dataset/paraphrase.jsonl", "dataset/summary.parquet"] {
        ensure!(whole.join(file).exists(), "{file} is missing");
    }
    // The run is finished already.
    let before = bytes(&whole)?;
    program.call(0, &dataset(command, "whole", &[]))?;
    ensure!(bytes(&whole)? == before, "the same command on a finished run changed it");

    for (part, shard) in [("part1", "1/2"), ("part2", "2/2")] {
        program.call(0, &dataset(command, part, &["--shard", shard]))?;
    }
    program.call(0, &["merge", "part1", "part2", "--out", "merged"])?;
    same(&whole, &program.at("merged"))?;

    // Killed as soon as the first shard is saved, then resumed with the same command.
    let mut child = program.start(&dataset(command, "killed", &[]))?;
    let shards = program.at("killed/shards");
    until(&mut child, || !numbers(&shards, shard).is_empty())?;
    child.kill()?;
    ensure!(!child.wait()?.success(), "it was done before it was killed");
    ensure!(numbers(&shards, shard).len() < numbers(&whole.join("shards"), shard).len(), "nothing was left to do");
    program.call(0, &dataset(command, "killed", &[]))?;
    same(&whole, &program.at("killed"))?;

    // Another plan in the same folder is refused; a flipped bit is found.
    let refused = program.call(2, &dataset(command, "whole", &["--rouge-max", "0.7"]))?;
    ensure!(
        refused.err.contains("--rouge-max: expected") && refused.err.contains("whole was started"),
        "{}",
        refused.err
    );
    program.call(0, &["verify", "merged"])?;
    let victim = program.at("merged/shards/00000000/samples.parquet");
    let mut data = std::fs::read(&victim)?;
    let middle = data.len() / 2;
    data[middle] ^= 1;
    std::fs::write(&victim, data)?;
    let found = program.call(3, &["verify", "merged"])?;
    ensure!(found.out.contains("shards/00000000/samples.parquet"), "{}", found.out);

    // Other thresholds can be applied without sampling again.
    program.call(0, &["filter", "--rouge-max", "0.6", "--run", "whole"])?;
    ensure!(whole.join("filtered/paraphrase.jsonl").exists(), "filter wrote nothing");
    Ok(())
}

#[test]
fn same_bytes_in_one_go_in_shards_and_after_a_kill() -> Result<()> {
    in_one_go_in_shards_and_after_a_kill(program()?, &TINY)
}

#[test]
fn same_bytes_of_the_small_models_too() -> Result<()> {
    if !models_are_here("whole runs") {
        return Ok(());
    }
    let models = std::env::var_os("IMPOSSIBLE_MODELS").map(PathBuf::from).context("no models")?;
    in_one_go_in_shards_and_after_a_kill(&Program::with_models(BINARY, &folder("small"), &models)?, &SMALL)
}

#[cfg(unix)]
#[test]
fn ctrl_c_says_how_to_go_on_and_the_same_command_does() -> Result<()> {
    let program = program()?;
    let stopped = dataset(&TINY, "stopped", &["--json"]);
    let mut child = program.start(&stopped)?;
    let shards = program.at("stopped/shards");
    until(&mut child, || !numbers(&shards, shard).is_empty())?;
    interrupt(&child)?;
    let told = ended(child)?;
    told.expect(130, &stopped)?;
    for line in [
        "Stopping after this step. Press Ctrl-C again to stop at once.",
        "What was finished is saved in stopped",
        "The same command goes on from there.",
        "error: interrupted",
    ] {
        ensure!(told.err.contains(line), "{}", told.err);
    }
    ensure!(told.out.is_empty(), "stdout is data, and there is none: {}", told.out);
    let made = numbers(&shards, shard);
    ensure!((1..4).contains(&made.len()), "{made:?}");
    // Finished shards are not made again.
    let written = std::fs::metadata(shards.join("00000000/manifest.json"))?.modified()?;
    program.call(0, &stopped)?;
    ensure!(std::fs::metadata(shards.join("00000000/manifest.json"))?.modified()? == written, "made twice");

    program.call(0, &dataset(&TINY, "unstopped", &[]))?;
    same(&program.at("unstopped"), &program.at("stopped"))
}

#[cfg(unix)]
#[test]
fn a_training_that_was_stopped_twice_ends_with_the_same_bytes() -> Result<()> {
    let program = program()?;
    let (whole, stopped) =
        ([&STUDENT[..], &["--out", "taught"]].concat(), [&STUDENT[..], &["--out", "paused"]].concat());
    program.call(0, &whole)?;
    let steps = |run: &str| numbers(&program.at(run).join("student/stage0/checkpoints"), checkpoint);
    let last = steps("taught").into_iter().max().context("no checkpoint")?;

    // Stopped by Ctrl-C: a checkpoint of the current step is saved.
    let mut child = program.start(&stopped)?;
    until(&mut child, || steps("paused").iter().any(|step| *step >= 2))?;
    interrupt(&child)?;
    let told = ended(child)?;
    told.expect(130, &stopped)?;
    let reached = steps("paused").into_iter().max().context("no checkpoint")?;
    let saved =
        format!("Step {reached} of {last} is saved in paused/student/stage0. The same command goes on from there.");
    ensure!(told.err.contains(&saved), "{saved}\n{}", told.err);
    ensure!(reached < last, "nothing was left to do");

    // Killed after a later checkpoint.
    let mut child = program.start(&stopped)?;
    until(&mut child, || steps("paused").iter().any(|step| *step > reached))?;
    child.kill()?;
    ensure!(!child.wait()?.success(), "it was done before it was killed");

    program.call(0, &stopped)?;
    same(&program.at("taught"), &program.at("paused"))
}
