//! The rule for `--out`, for every command that has it: a folder with other files is refused and nothing in or around it
//! changes; an earlier output of the same kind is continued, or replaced by `--force`.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use impossible_tests::program::{Called, Program, copy_folder, ended, files};
use impossible_tests::{made, new_encoder};
use record::random::{Purpose, Stream};

const BINARY: &str = env!("CARGO_BIN_EXE_impossible-under-test");

/// A folder for the tests of this file, with a finished run `run`, its student, and texts.
fn program() -> Result<&'static Program> {
    static PROGRAM: OnceLock<Result<Program, String>> = OnceLock::new();
    let make = || -> Result<Program> {
        let program = Program::new(BINARY, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("outputs"))?;
        made::run(&program.at("run"), &made::plan(), (0, 1))?;
        let lines: String =
            (0..40).map(|i| format!("The firm number {i} said it will pay {i} cts a share.\n")).collect();
        std::fs::write(program.at("texts.txt"), lines)?;
        let rows = |field: &str| -> String {
            (0..40).map(|i| format!("{{\"{field}\":\"It pays {i} cts.\",\"text\":\"It will pay {i} cts a share.\",\"references\":[\"It pays {i}.\"]}}\n")).collect()
        };
        std::fs::write(program.at("data.jsonl"), rows("more"))?;
        std::fs::write(program.at("ours.jsonl"), rows("paraphrase"))?;
        let pairs: String = (0..40)
            .map(|i| {
                let label = ["entailment", "neutral", "contradiction"][i % 3];
                format!("{{\"premise\":\"Firm {i} pays.\",\"hypothesis\":\"It pays {i}.\",\"label\":\"{label}\"}}\n")
            })
            .collect();
        std::fs::write(program.at("nli.jsonl"), pairs)?;
        Ok(program)
    };
    PROGRAM.get_or_init(|| make().map_err(|e| format!("{e:#}"))).as_ref().map_err(|e| anyhow!("{e}"))
}

/// Every command that writes a folder, without its `--out`, and whether it replaces an earlier output by `--force`.
const COMMANDS: [(&[&str], bool); 8] = [
    (&["distill", "--contexts", "1", "--k", "4", "--until", "dataset"], false),
    (&["merge", "run"], false),
    (&["train", "--run", "run", "--epochs", "1"], false),
    (
        &[
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
        ],
        false,
    ),
    (
        &[
            "train-critic",
            "--pairs",
            "nli.jsonl",
            "--tokenizer",
            "models/tiny-critic",
            "--epochs",
            "1",
            "--validation",
            "0.2",
        ],
        false,
    ),
    (&["export", "--model", "tiny-student"], true),
    (&["filter", "--run", "run"], true),
    (
        &[
            "evaluate",
            "--task",
            "paraphrase",
            "--data",
            "data.jsonl",
            "--system",
            "a=ours.jsonl",
            "--no-models",
            "--resamples",
            "100",
        ],
        true,
    ),
];

fn call(program: &Program, args: &[&str], out: &str, more: &[&str]) -> Result<Called> {
    program.ask(&[args, &["--out", out], more].concat(), "")
}

/// Writes random files, some with names that this program uses itself.
fn scatter(dir: &Path, stream: &mut Stream) -> Result<()> {
    const NAMES: [&str; 20] = [
        "student.toml",
        "critic.toml",
        "plan.toml",
        ".lock",
        "notes.txt",
        "model/notes.txt",
        "model/config.json",
        "sub/deep/data.bin",
        "report.html",
        "dataset/paraphrase.jsonl",
        "checkpoints/best.safetensors",
        "shards/00000000/contexts.jsonl",
        "manifest.json",
        "funnel.json",
        "README.md",
        "model.safetensors",
        "evaluation.json",
        "metrics.jsonl",
        ".hidden",
        "tokenizer.json",
    ];
    std::fs::create_dir_all(dir)?;
    for name in NAMES {
        if stream.below(3) == 0 {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().context("no folder")?)?;
            let bytes: Vec<u8> = (0..stream.below(200)).map(|_| stream.below(256) as u8).collect();
            std::fs::write(path, bytes)?;
        }
    }
    // At least one file, so that the folder is not empty.
    Ok(std::fs::write(dir.join("mine"), "mine")?)
}

#[test]
fn files_of_the_user_survive_every_command() -> Result<()> {
    let program = program()?;
    let mut stream = Stream::new(1, Purpose::Audit, 0, 0);
    for round in 0..3 {
        for (at, (args, force)) in COMMANDS.iter().enumerate() {
            let around = format!("users-{round}-{at}");
            let out = format!("{around}/out");
            scatter(&program.at(&out), &mut stream)?;
            std::fs::write(program.at(&around).join("beside.txt"), "beside")?;
            let before = files(&program.at(&around))?;
            let mut tries: Vec<&[&str]> = vec![&[]];
            if *force {
                tries.push(&["--force"]);
            }
            for more in tries {
                let called = call(program, args, &out, more)?;
                // A file with the name of a plan that cannot be read may be the damaged plan of an earlier output.
                called.expect(if called.code == 3 { 3 } else { 2 }, args)?;
                ensure!(called.err.contains(&out), "{args:?}: {}", called.err);
                ensure!(files(&program.at(&around))? == before, "{args:?} {more:?} changed a file of the user");
            }
            // A file in place of the folder.
            let file = format!("{around}/beside.txt");
            call(program, args, &file, &[])?.expect(2, args)?;
            ensure!(files(&program.at(&around))? == before, "{args:?} changed a file of the user");
        }
    }
    Ok(())
}

#[test]
fn an_earlier_output_is_continued_or_replaced_and_no_other_kind_is() -> Result<()> {
    let program = program()?;
    for (at, (args, force)) in COMMANDS.iter().enumerate() {
        let out = format!("own-{at}");
        call(program, args, &out, &[])?.expect(0, args)?;
        let first = files(&program.at(&out))?;
        std::fs::write(program.at(&out).join("mine"), "mine")?;
        let again: &[&str] = if *force { &["--force"] } else { &[] };
        if *force && args[0] != "filter" {
            let refused = call(program, args, &out, &[])?;
            refused.expect(2, args)?;
            ensure!(refused.err.contains("--force"), "{args:?}: {}", refused.err);
        }
        call(program, args, &out, again)?.expect(0, args)?;
        let mut second = files(&program.at(&out))?;
        ensure!(second.remove("mine").as_deref() == Some(b"mine"), "{args:?} removed a file of the user");
        for clock in ["report.html", "timings.json"] {
            ensure!(second.remove(clock).is_some() == first.contains_key(clock), "{args:?}: {clock}");
        }
        for (name, bytes) in &second {
            ensure!(first.get(name) == Some(bytes), "{args:?}: {name} is another after the second call");
        }
        // The next command's output is another kind.
        let (other, _) = COMMANDS[(at + 1) % COMMANDS.len()];
        if (args[0], other[0]) == ("distill", "merge") {
            continue;
        }
        let before = files(&program.at(&out))?;
        let refused = call(program, other, &out, &[])?;
        refused.expect(2, other)?;
        ensure!(files(&program.at(&out))? == before, "{other:?} changed the output of {args:?}");
    }
    Ok(())
}

/// Folders and files with names that people rarely use.
#[cfg(unix)]
#[test]
fn odd_names_links_and_empty_files() -> Result<()> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let program = program()?;
    let odd = [OsStr::new("two\nlines"), OsStr::new(" "), OsStr::new("--dashes"), OsStr::from_bytes(b"not-\xff-utf-8")];
    for name in odd {
        let out = program.at("odd").join(name);
        for args in [&["filter", "--run", "run"][..], &["export", "--model", "tiny-student"]] {
            let target = out.join(args[0]);
            std::fs::create_dir_all(&out)?;
            let child = program.command(args).arg("--out").arg(&target).spawn()?;
            ended(child)?.expect(0, args)?;
            let verify = program.command(&["verify"]).arg(&target).spawn()?;
            ended(verify)?.expect(0, &["verify"])?;
        }
        let run = ["distill", "--contexts", "1", "--k", "4", "--until", "dataset"];
        for _ in 0..2 {
            ended(program.command(&run).arg("--out").arg(out.join("run")).spawn()?)?.expect(0, &run)?;
        }
    }
    // A link to a run is the run; a link to nowhere is a new folder's name that cannot be used.
    std::os::unix::fs::symlink(program.at("run"), program.at("linked"))?;
    program.call(0, &["inspect", "linked", "--limit", "1"])?;
    program.call(0, &["verify", "linked"])?;
    std::os::unix::fs::symlink("nowhere-at-all", program.at("dangling"))?;
    let called = program.ask(&["export", "--model", "tiny-student", "--out", "dangling"], "")?;
    ensure!(called.code != 0 && !called.err.contains("panicked"), "{}", called.err);
    // Empty files in place of each of a run's own.
    for (name, _) in files(&program.at("run"))? {
        let damaged = program.at("emptied");
        if damaged.exists() {
            std::fs::remove_dir_all(&damaged)?;
        }
        made::run(&damaged, &made::plan(), (0, 1))?;
        if name.ends_with('/') || std::fs::read(damaged.join(&name))?.is_empty() {
            continue;
        }
        std::fs::write(damaged.join(&name), "")?;
        let called = program.ask(&["verify", "emptied"], "")?;
        ensure!([2, 3].contains(&called.code) || name == "timings.json", "{name}: {}{}", called.out, called.err);
        for args in [
            &["inspect", "emptied"][..],
            &["filter", "--run", "emptied"],
            &["train", "--run", "emptied", "--epochs", "1"],
        ] {
            let called = program.ask(args, "")?;
            ensure!(!called.err.contains("panicked"), "{args:?}, {name} is empty: {}", called.err);
        }
    }
    Ok(())
}

#[test]
fn two_programs_at_once_and_the_second_says_who_works_there() -> Result<()> {
    let program = program()?;
    let train = ["train", "--run", "run", "--epochs", "200", "--out", "busy"];
    let mut first = program.start(&train)?;
    let begun = program.at("busy/checkpoints");
    while !begun.exists() {
        ensure!(first.try_wait()?.is_none(), "the first ended before it began");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let second = program.ask(&train, "")?;
    first.kill()?;
    let id = first.id();
    drop(ended(first));
    second.expect(2, &train)?;
    ensure!(
        second.err.contains(&format!("process {id}, which is writing the training of a student")),
        "{}",
        second.err
    );
    Ok(())
}

#[test]
fn every_file_of_a_run_is_verified() -> Result<()> {
    let program = program()?;
    let run = ["distill", "--contexts", "4", "--k", "24", "--sources", "20", "--out", "verified"];
    program.call(0, &[&run[..], &["--until", "refined"]].concat())?;
    program.call(0, &["filter", "--run", "verified"])?;
    let good = program.call(0, &["verify", "verified"])?;
    let unchecked = good.out.lines().last().unwrap_or_default().to_owned();
    ensure!(unchecked.starts_with("Not checked") && unchecked.contains("timings.json"), "{}", good.out);
    let mut tried = 0;
    for (name, bytes) in files(&program.at("verified"))? {
        let card = name.ends_with("model/README.md");
        if name.ends_with('/') || bytes.is_empty() || card || unchecked.contains(&name) {
            continue;
        }
        let path = program.at("verified").join(&name);
        for damage in ["flipped", "cut", "missing"] {
            let mut bad = bytes.clone();
            match damage {
                "flipped" => {
                    let middle = bad.len() / 2;
                    bad[middle] ^= 1;
                    std::fs::write(&path, &bad)?;
                }
                "cut" => std::fs::write(&path, &bad[..bad.len() / 2])?,
                // A run without plan is none; a missing report or manifest is one that has not been written yet.
                _ if ["plan.toml", "report.html", "manifest.json", "models.json"].contains(&name.as_str())
                    || name.ends_with("/manifest.json") =>
                {
                    continue;
                }
                _ => std::fs::remove_file(&path)?,
            }
            let called = program.ask(&["verify", "verified"], "")?;
            std::fs::write(&path, &bytes)?;
            let wrong_plan = name == "plan.toml" && called.code == 2;
            ensure!(
                called.code == 3 || wrong_plan,
                "{name} {damage}: exit code {}\n{}{}",
                called.code,
                called.out,
                called.err
            );
            tried += 1;
        }
    }
    eprintln!("{tried} damaged files");
    ensure!(tried > 60, "only {tried} damages");
    program.call(0, &["verify", "verified"])?;
    std::fs::rename(program.at("verified/shards/00000000"), program.at("aside"))?;
    let missing = program.call(3, &["verify", "verified"])?;
    ensure!(missing.out.contains("shards/00000000"), "{}", missing.out);
    Ok(())
}

#[test]
fn a_run_grows_and_equals_one_of_that_size() -> Result<()> {
    let program = program()?;
    let run = |out: &'static str, contexts: &'static str| {
        ["distill", "--k", "24", "--until", "dataset", "--out", out, "--contexts", contexts]
    };
    program.call(0, &run("grown", "3"))?;
    let shard = std::fs::read(program.at("grown/shards/00000000/samples.parquet"))?;
    program.call(0, &run("grown", "6"))?;
    program.call(0, &run("whole", "6"))?;
    ensure!(std::fs::read(program.at("grown/shards/00000000/samples.parquet"))? == shard, "the first shard changed");
    for file in ["plan.toml", "manifest.json", "dataset/summary.parquet", "dataset/paraphrase.jsonl", "funnel.json"] {
        let read = |run: &str| std::fs::read(program.at(run).join(file));
        ensure!(read("grown")? == read("whole")?, "{file} of the grown run is another");
    }
    ensure!(program.at("grown/plans/0001.toml").is_file(), "the plan before was not kept");
    program.call(0, &["verify", "grown"])?;
    let fewer = program.call(2, &run("grown", "4"))?;
    ensure!(fewer.err.contains("--contexts: expected 6") && fewer.err.contains("found 4"), "{}", fewer.err);
    Ok(())
}

#[test]
fn refine_grows_and_other_settings_set_the_earlier_pairs_aside() -> Result<()> {
    let program = program()?;
    made::run(&program.at("refined"), &made::plan(), (0, 1))?;
    program.call(0, &["train", "--run", "refined", "--epochs", "2"])?;
    let refine = |sources: &'static str| ["refine", "--run", "refined", "--sources", sources];
    program.call(0, &refine("8"))?;
    let grown = program.call(0, &refine("16"))?;
    ensure!(program.at("refined/earlier/1/student/stage1/model").is_dir(), "{}", grown.err);
    ensure!(rows(&program.at("refined/refine/sources.jsonl"))? == 16);
    let pairs = std::fs::read(program.at("refined/refine/dataset/summary.jsonl"))?;
    std::fs::remove_dir_all(program.at("refined/refine"))?;
    program.call(0, &refine("16"))?;
    ensure!(std::fs::read(program.at("refined/refine/dataset/summary.jsonl"))? == pairs, "grown pairs are others");
    program.call(0, &[&refine("16")[..], &["--samples", "4", "--out", "next"]].concat())?;
    ensure!(program.at("refined/earlier/1/refine/dataset").is_dir() && program.at("next/model").is_dir());
    program.call(0, &["verify", "refined"])?;
    Ok(())
}

fn rows(path: &Path) -> Result<usize> {
    Ok(std::fs::read_to_string(path)?.lines().count())
}

#[test]
fn a_run_with_students_grows_and_sets_the_smaller_ones_aside() -> Result<()> {
    let program = program()?;
    let run = |contexts: &'static str| {
        ["distill", "--k", "48", "--sources", "12", "--epochs", "1", "--out", "growing", "--contexts", contexts]
    };
    program.call(0, &run("3"))?;
    let small = std::fs::read(program.at("growing/student/stage0/model/model.safetensors"))?;
    program.call(0, &run("5"))?;
    let aside = program.at("growing/earlier/1");
    ensure!(std::fs::read(aside.join("student/stage0/model/model.safetensors"))? == small, "the student is lost");
    ensure!(aside.join("refine/dataset").is_dir() && aside.join("student/stage1/model").is_dir());
    ensure!(std::fs::read(program.at("growing/student/stage0/model/model.safetensors"))? != small);
    program.call(0, &["verify", "growing"])?;
    // Other settings are no dead end either, and an edited card stays.
    let card = program.at("growing/student/stage0/model/README.md");
    std::fs::write(&card, "My own card.\n")?;
    program.call(0, &run("5"))?;
    ensure!(std::fs::read_to_string(&card)? == "My own card.\n", "an edited card was written over");
    let fewer = run("5").map(|word| if word == "1" { "2" } else { word });
    program.call(0, &fewer)?;
    ensure!(program.at("growing/earlier/2/student/stage0").is_dir());
    Ok(())
}

#[test]
fn what_failed_before_it_began_takes_the_corrected_command() -> Result<()> {
    let program = program()?;
    let distill =
        ["distill", "--preset", "tiny", "--contexts", "1", "--k", "4", "--until", "dataset", "--out", "corrected"];
    for teacher in ["no-such-model", "tiny-critic"] {
        program.call(2, &[&distill[..], &["--teacher", teacher]].concat())?;
    }
    program.call(0, &[&distill[..], &["--teacher", "models/tiny-teacher"]].concat())?;
    let plan = std::fs::read_to_string(program.at("corrected/plan.toml"))?;
    ensure!(plan.contains("teacher = \"models/tiny-teacher\""), "{plan}");
    made::run(&program.at("unrefined"), &made::plan(), (0, 1))?;
    program.call(0, &["train", "--run", "unrefined", "--epochs", "1"])?;
    std::fs::write(program.at("unusable.txt"), "Too short.\n")?;
    let refine = ["refine", "--run", "unrefined", "--samples", "2", "--pairs-only", "--sentences"];
    program.call(2, &[&refine[..], &["unusable.txt"]].concat())?;
    program.call(2, &[&refine[..], &["no-such-file.txt"]].concat())?;
    program.call(0, &[&refine[..], &["texts.txt"]].concat())?;
    Ok(())
}

#[test]
fn a_run_goes_on_under_any_spelling_of_its_paths() -> Result<()> {
    let program = program()?;
    let mut seeds = String::new();
    for i in 0..5 {
        seeds += &format!("Firm {i} said on Monday it expects higher earnings.\n");
    }
    std::fs::create_dir_all(program.at("spelled/sub"))?;
    std::fs::write(program.at("spelled/seeds.txt"), &seeds)?;
    let run = |seeds: &str, teacher: &str, out: &str, code: i32| -> Result<Called> {
        let fixed = ["distill", "--preset", "tiny", "--k", "8", "--until", "dataset"];
        program.call(code, &[&fixed[..], &["--seeds", seeds, "--teacher", teacher, "--out", out]].concat())
    };
    let student = |text: &str| text.to_owned();
    run("spelled/seeds.txt", "models/tiny-teacher", "spelled/run", 0)?;
    let first = files(&program.at("spelled/run"))?;
    std::fs::rename(program.at("spelled/run"), program.at("spelled/moved"))?;
    std::fs::rename(program.at("spelled/seeds.txt"), program.at("spelled/sub/renamed.txt"))?;
    let absolute = program.at("models/tiny-teacher").display().to_string();
    run("spelled/sub/../sub/renamed.txt", &absolute, "spelled/sub/../moved", 0)?;
    run("./spelled/sub/renamed.txt", "tiny-teacher", "spelled/moved", 0)?;
    let second = files(&program.at("spelled/moved"))?;
    for (name, bytes) in &first {
        ensure!(
            name.ends_with("report.html") || name.ends_with("timings.json") || second.get(name) == Some(bytes),
            "{name}"
        );
    }
    std::fs::write(program.at("spelled/other.txt"), seeds.replace("Monday", "Friday"))?;
    let other = run("spelled/other.txt", "tiny-teacher", "spelled/moved", 2)?;
    ensure!(other.err.contains("--seeds"), "{}", student(&other.err));
    // The same name with other weights is another model, as soon as something has to be made.
    std::fs::remove_dir_all(program.at("spelled/moved/shards/00000000"))?;
    let other = run("spelled/sub/renamed.txt", "models/tiny-student", "spelled/moved", 2)?;
    ensure!(other.err.contains("--teacher") && other.err.contains("was started with"), "{}", other.err);
    Ok(())
}

#[test]
fn later_stages_take_models_that_have_moved_but_no_others() -> Result<()> {
    let program = program()?;
    program.call(0, &["distill", "--contexts", "1", "--k", "6", "--until", "dataset", "--out", "moved"])?;
    copy_folder(&program.at("models/tiny-critic"), &program.at("elsewhere/critic"))?;
    new_encoder(&program.at("elsewhere/encoder"))?;
    let audit = ["audit", "--run", "moved", "--encoder", "elsewhere/encoder", "--critic"];
    program.call(0, &[&audit[..], &["elsewhere/critic"]].concat())?;
    let refine = ["refine", "--run", "moved", "--pairs-only", "--critic"];
    for command in [&audit[..], &refine] {
        let refused = program.call(2, &[command, &["tiny-student"]].concat())?.err;
        ensure!(refused.contains("--critic: expected the model that moved was started with"), "{refused}");
    }
    Ok(())
}

#[test]
fn a_student_is_judged_by_its_own_critics_wherever_it_is() -> Result<()> {
    let program = program()?;
    program.call(0, &["train", "--run", "run", "--epochs", "1", "--out", "trained"])?;
    program.call(0, &["export", "--model", "trained", "--out", "given-away"])?;
    let sentence = "The company said it will pay a dividend of 12 cts a share on March 31.";
    for student in ["trained", "trained/model", "./trained/model/../model", "given-away"] {
        let called = program.call(0, &["summarize", "--student", student, sentence])?;
        ensure!(!called.err.contains("preset small"), "{student}: {}", called.err);
    }
    let text = std::fs::read_to_string(program.at("given-away/critics.toml"))?;
    ensure!(text.contains("critic = \"tiny-critic\""), "{text}");
    let card = std::fs::read_to_string(program.at("given-away/README.md"))?;
    ensure!(card.contains("base_model: "), "{card}");
    program.call(0, &["verify", "trained"])?;
    program.call(0, &["verify", "given-away"])?;
    Ok(())
}

#[test]
fn rows_keep_their_fields_and_stdin_is_a_file() -> Result<()> {
    let program = program()?;
    let rows = "{\"id\":\"a7\",\"text\":\"The dividend is payable March 31, the company said.\",\"source\":{\"n\":1}}\n\
                {\"id\":\"b8\",\"text\":\"...\"}\n\
                {\"id\":\"c9\",\"text\":\"The company said it will pay a dividend.\"}\n";
    std::fs::write(program.at("ids.jsonl"), rows)?;
    let summarize = ["summarize", "--student", "tiny-student", "--json", "--file"];
    let named = program.call(0, &[&summarize[..], &["ids.jsonl"]].concat())?;
    let values = named.json()?;
    ensure!(values.len() == 3, "{}", named.out);
    for (value, id) in values.iter().zip(["a7", "b8", "c9"]) {
        ensure!(value["id"] == id && value["summary"].is_string(), "{value}");
    }
    ensure!(values[0]["source"]["n"] == 1 && values[1]["text"] == "...", "{}", named.out);
    let piped = program.ask(&[&summarize[..], &["-"]].concat(), rows)?;
    piped.expect(0, &summarize)?;
    ensure!(piped.out == named.out, "stdin gave other lines");
    Ok(())
}

#[test]
fn the_built_in_models_need_no_place_to_write_to() -> Result<()> {
    let program = program()?;
    std::fs::write(program.at("no-folder"), "a file")?;
    program.call(0, &["--models", "no-folder", "generate", "--k", "2", "The company"])?;
    program.call(0, &["--models", "nowhere", "generate", "--k", "2", "The company"])?;
    ensure!(!program.at("nowhere").exists(), "a folder of models was created");
    Ok(())
}
