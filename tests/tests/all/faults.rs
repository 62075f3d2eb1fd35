//! Every file operation of every command fails once: reading, writing, syncing, renaming, mapping, creating and removing.
//! Afterwards the same command completes with the same bytes. By default one operation of each command and kind of fault is
//! tried; `IMPOSSIBLE_FAULTS=40` tries 40 spread over the whole command, `IMPOSSIBLE_FAULTS=each` the first and the last of
//! every kind of operation on every file, `IMPOSSIBLE_FAULTS=all` every operation (some hours).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use impossible_tests::program::{self, Called, Program, copy_folder, ended};
use impossible_tests::{hub, made};

const BINARY: &str = env!("CARGO_BIN_EXE_impossible-under-test");

/// The library that makes operations fail, which cargo builds with the tests.
fn library() -> Option<PathBuf> {
    let path = Path::new(BINARY).parent()?.join("examples/libfaults.so");
    path.is_file().then_some(path)
}

/// A command with what it needs in its folder `work`, and the folder that it writes.
struct Case {
    name: &'static str,
    /// The command, whose working folder is `work`.
    args: &'static [&'static str],
    /// Makes what the command starts from, with commands that meet no fault.
    needs: &'static [&'static [&'static str]],
    out: &'static str,
}

const TRAIN: &[&str] = &["train", "--run", "made", "--epochs", "1"];

const CASES: [Case; 10] = [
    Case {
        name: "distill",
        args: &["distill", "--contexts", "2", "--k", "6", "--until", "dataset", "--out", "run"],
        needs: &[],
        out: "run",
    },
    Case { name: "train", args: TRAIN, needs: &[], out: "made/student" },
    Case {
        name: "refine",
        args: &["refine", "--run", "made", "--sources", "2", "--samples", "4", "--pairs-only"],
        needs: &[TRAIN],
        out: "made/refine",
    },
    Case { name: "filter", args: &["filter", "--run", "made", "--diversity", "off"], needs: &[], out: "made/filtered" },
    Case { name: "merge", args: &["merge", "made", "--out", "merged"], needs: &[], out: "merged" },
    Case {
        name: "export",
        args: &["export", "--model", "tiny-student", "--out", "exported"],
        needs: &[],
        out: "exported",
    },
    Case {
        name: "evaluate",
        args: &["evaluate", "--dataset", "made", "--no-models", "--out", "evaluated"],
        needs: &[],
        out: "evaluated",
    },
    Case {
        name: "pretrain",
        args: &[
            "pretrain",
            "--text",
            "texts.txt",
            "--vocabulary",
            "512",
            "--epochs",
            "1",
            "--length",
            "32",
            "--task",
            "causal",
            "--samples",
            "0",
            "--out",
            "new",
        ],
        needs: &[],
        out: "new",
    },
    Case { name: "pull", args: &["--models", "store", "pull", "own/critic"], needs: &[], out: "store/critic" },
    Case {
        name: "train-critic",
        args: &[
            "train-critic",
            "--pairs",
            "nli.jsonl",
            "--tokenizer",
            "../models/tiny-critic",
            "--epochs",
            "1",
            "--validation",
            "0.2",
            "--out",
            "critic",
        ],
        needs: &[],
        out: "critic",
    },
];

/// Kinds of faults, see `examples/faults.rs`, and whether the command succeeds in spite of it.
const KINDS: [(&str, bool); 7] = [
    ("eio", false),
    ("enospc", false),
    ("eintr", true),
    ("short", true),
    ("lost", false),
    ("crash", false),
    ("drop", false),
];

/// Files by name.
type Contents = BTreeMap<String, Vec<u8>>;

/// All files below a folder, without those that show the time or list such files.
fn files(dir: &Path) -> Result<Contents> {
    let mut all = program::files(dir)?;
    let clock = |name: &str| {
        ["report.html", "timings.json", "manifest.json"].contains(&name.rsplit('/').next().unwrap_or(name))
    };
    all.retain(|name, _| !name.ends_with('/') && !clock(name));
    Ok(all)
}

/// The program with a folder for each case.
struct Bench {
    program: Program,
    library: PathBuf,
    /// Address of a hub with the repository `own/critic`.
    hub: String,
}

impl Bench {
    /// A case's folder in the state from which its command starts.
    fn reset(&self, case: &Case) -> Result<PathBuf> {
        let (clean, work) = (self.program.at(&format!("{}-clean", case.name)), self.program.at(case.name));
        if !clean.exists() {
            made::run(&clean.join("made"), &made::plan(), (0, 1))?;
            let texts: String =
                (0..40).map(|i| format!("The firm number {i} said it will pay {i} cts a share.\n")).collect();
            std::fs::write(clean.join("texts.txt"), texts)?;
            let pairs: String = (0..60)
                .map(|i| {
                    let label = ["entailment", "neutral", "contradiction"][i % 3];
                    format!(
                        "{{\"premise\":\"Firm {i} pays.\",\"hypothesis\":\"It pays {i}.\",\"label\":\"{label}\"}}\n"
                    )
                })
                .collect();
            std::fs::write(clean.join("nli.jsonl"), pairs)?;
            for need in case.needs {
                ended(self.program.command(need).current_dir(&clean).spawn()?)?.expect(0, need)?;
            }
        }
        if work.exists() {
            std::fs::remove_dir_all(&work)?;
        }
        copy_folder(&clean, &work)?;
        Ok(work)
    }

    fn call(&self, case: &Case, work: &Path) -> Result<Called> {
        ended(self.command(case, work).spawn()?)
    }

    fn command(&self, case: &Case, work: &Path) -> Command {
        let mut command = self.program.command(case.args);
        command.current_dir(work).env("HF_ENDPOINT", &self.hub);
        command
    }

    /// Calls the command with a fault; returns what it wrote (`None` if it was ended) and the operation that failed.
    fn fault(&self, case: &Case, work: &Path, kind: &str, at: u64) -> Result<(Option<Called>, Option<String>)> {
        let hit = self.program.at(&format!("{}-hit", case.name));
        let _ = std::fs::remove_file(&hit);
        let mut command = self.command(case, work);
        command.env("LD_PRELOAD", &self.library).env("FAULTS_DIR", work);
        command.env("FAULTS_AT", at.to_string()).env("FAULTS_KIND", kind).env("FAULTS_HIT", &hit);
        let output = command.spawn()?.wait_with_output()?;
        let called = output.status.code().filter(|code| *code != 137).map(|code| -> Result<Called> {
            Ok(Called { code, out: String::from_utf8(output.stdout)?, err: String::from_utf8(output.stderr)? })
        });
        Ok((called.transpose()?, std::fs::read_to_string(&hit).ok()))
    }

    /// File operations of a command (name and path), and its output without a fault.
    fn operations(&self, case: &Case) -> Result<(Vec<String>, Contents)> {
        let work = self.reset(case)?;
        let list = self.program.at(&format!("{}-list", case.name));
        let mut command = self.command(case, &work);
        command.env("LD_PRELOAD", &self.library).env("FAULTS_DIR", &work);
        command.env("FAULTS_AT", u64::MAX.to_string()).env("FAULTS_KIND", "eio").env("FAULTS_LIST", &list);
        ended(command.spawn()?)?.expect(0, case.args)?;
        // Temporary names have numbers of their own.
        let operations = std::fs::read_to_string(&list)?;
        let operations = operations.lines().map(|line| line.replace(|c: char| c.is_ascii_digit(), "#"));
        Ok((operations.collect(), files(&work.join(case.out))?))
    }

    /// One fault, and the next call; returns whether there was an operation that could fail.
    fn one(&self, case: &Case, (kind, succeeds): (&str, bool), at: u64, expected: &Contents) -> Result<bool> {
        let work = self.reset(case)?;
        let (called, hit) = self.fault(case, &work, kind, at)?;
        let Some(hit) = hit else { return Ok(false) };
        let what = format!("{} with {kind} at {hit}", case.name);
        if let Some(called) = &called {
            ensure!(!called.err.contains("panicked"), "{what}: {}", called.err);
            ensure!(called.code == 0 || !succeeds, "{what}: exit code {}\n{}", called.code, called.err);
            let told = called.err.contains("error: ");
            ensure!(called.code == 0 || told, "{what}: exit code {} without a message", called.code);
            // A lost rename may look like damage; everything else may succeed later.
            let codes: &[i32] = if kind == "lost" { &[0, 1, 2, 3] } else { &[0, 1] };
            ensure!(codes.contains(&called.code), "{what}: exit code {}\n{}", called.code, called.err);
            if called.code != 0 && kind != "lost" {
                let system =
                    ["os error", "Input/output error", "No space left"].iter().any(|text| called.err.contains(text));
                ensure!(system, "{what}: the message does not say what failed: {}", called.err);
            }
        }
        let next = self.call(case, &work)?;
        let finished = called.as_ref().is_none_or(|called| called.code == 0);
        // What is finished, also by a command that was killed in its last step, is not overwritten without --force.
        if !(finished && next.code == 2 && next.err.contains("--force")) {
            ensure!(next.code == 0, "{what}, next call: exit code {}\n{}", next.code, next.err);
        }
        let found = files(&work.join(case.out))?;
        for (name, bytes) in expected {
            ensure!(found.get(name) == Some(bytes), "{what}: {name} is another after the next call");
        }
        if let Some(extra) = found.keys().find(|name| !expected.contains_key(*name)) {
            ensure!(false, "{what}: {extra} was left");
        }
        Ok(true)
    }
}

/// Which operations of a command fail.
#[derive(Debug, Clone, Copy)]
enum Places {
    One,
    Spread(u64),
    Each,
}

impl Places {
    fn parse(asked: &str) -> Self {
        match asked {
            "all" => Self::Spread(u64::MAX),
            "each" => Self::Each,
            number => number.parse().map_or(Self::One, Self::Spread),
        }
    }
}

/// Numbers (from 1) of the first and the last operation of each kind on each file.
fn firsts_and_lasts(list: &[String]) -> Vec<u64> {
    let mut places: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (operation, number) in list.iter().zip(1..) {
        places.entry(operation).or_insert((number, number)).1 = number;
    }
    places.into_values().flat_map(|(first, last)| [first, last]).collect::<BTreeSet<u64>>().into_iter().collect()
}

#[test]
fn every_command_survives_faults_of_its_files() -> Result<()> {
    let Some(library) = library().filter(|_| cfg!(target_os = "linux")) else {
        eprintln!("SKIPPED faults of files: no libfaults.so (Linux only)");
        return Ok(());
    };
    let program = Program::new(BINARY, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults"))?;
    let critic = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/tiny/critic");
    let bench = Bench { program, library, hub: hub::serve(&critic, "critic")? };
    let asked = std::env::var("IMPOSSIBLE_FAULTS").unwrap_or_default();
    let places = Places::parse(&asked);
    let only = std::env::var("IMPOSSIBLE_FAULTS_OF").ok();
    let mut failures = Vec::new();
    for (at, case) in CASES.iter().enumerate().filter(|(_, case)| only.as_ref().is_none_or(|name| name == case.name)) {
        let (list, expected) = bench.operations(case)?;
        let operations = list.len() as u64;
        ensure!(operations > 10, "{}: only {operations} operations were counted", case.name);
        let mut tried = 0;
        for (which, kind) in KINDS.iter().enumerate() {
            let numbers = match places {
                // Another place for every kind and command, but the same in every run.
                Places::One => vec![1 + (7919 * (which as u64 + 1) + 104_729 * at as u64) % operations],
                Places::Spread(many) => {
                    (1..=operations).step_by(usize::try_from(operations / many.min(operations))?).collect()
                }
                Places::Each => firsts_and_lasts(&list),
            };
            for number in numbers {
                match bench.one(case, *kind, number, &expected) {
                    Ok(true) => tried += 1,
                    Ok(false) => break,
                    Err(error) if !matches!(places, Places::One) => failures.push(format!("{error:#}")),
                    Err(error) => return Err(error),
                }
            }
        }
        eprintln!("{}: {operations} file operations, {tried} faults", case.name);
    }
    ensure!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

/// Making pairs and training on them does not depend on the date, nor on jumps of the wall clock: it is not even read.
/// (Lengths of time are measured with the monotonic clock.)
#[test]
fn making_pairs_and_training_read_no_wall_clock() -> Result<()> {
    let Some(library) = library().filter(|_| cfg!(target_os = "linux")) else {
        eprintln!("SKIPPED readings of the wall clock: no libfaults.so (Linux only)");
        return Ok(());
    };
    let program = Program::new(BINARY, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("clock"))?;
    made::run(&program.at("made"), &made::plan(), (0, 1))?;
    let distill = ["distill", "--contexts", "2", "--k", "6", "--until", "dataset", "--out", "run"];
    for args in [&distill[..], TRAIN] {
        let readings = program.at("readings");
        let _ = std::fs::remove_file(&readings);
        let mut command = program.command(args);
        command.env("LD_PRELOAD", &library).env("FAULTS_CLOCK", &readings);
        ended(command.spawn()?)?.expect(0, args)?;
        let readings = std::fs::read_to_string(&readings)?;
        ensure!(readings == "0", "{} reads the wall clock {readings} times", args[0]);
    }
    Ok(())
}
