//! The commands of the README, line by line, with preset `tiny` in place of downloaded models.

use std::path::Path;

use anyhow::{Result, ensure};
use impossible_tests::made;
use impossible_tests::program::Program;

const BINARY: &str = env!("CARGO_BIN_EXE_impossible-under-test");
const README: &str = include_str!("../../../README.md");

/// The commands of the README's code blocks that need neither a download nor hours, with preset `tiny`.
fn commands() -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let mut code = false;
    for line in README.lines() {
        if line.starts_with("```") {
            code = !code;
        }
        let Some(line) = line.strip_prefix("impossible ").filter(|_| code) else { continue };
        let line = line.split(" #").next().unwrap_or(line);
        if line.starts_with("pull ") || line.contains("--preset paper") {
            continue;
        }
        let line = line.replace("--preset small", "--preset tiny");
        let mut words: Vec<String> = Vec::new();
        for (i, part) in line.split('"').enumerate() {
            if i % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        let more: &[&str] = match words[0].as_str() {
            // The first run is that of another test, and takes a minute.
            "distill" if words.len() == 1 => &["--contexts", "4", "--k", "24", "--until", "dataset"],
            "distill" => &["--k", "48", "--until", "dataset"],
            "evaluate" => &["--resamples", "100"],
            _ => &[],
        };
        words.extend(more.iter().map(|&word| word.to_owned()));
        out.push(words);
    }
    out
}

#[test]
fn every_line_of_the_readme_works() -> Result<()> {
    let program = Program::new(BINARY, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("walk"))?;
    let sentence = |firm: &str, i: usize| made::siblings(firm)[i].clone();
    let texts: String = made::FIRMS.map(|firm| sentence(firm, 0) + "\n").concat();
    std::fs::write(program.at("my-texts.txt"), &texts)?;
    let more: Vec<String> = (0..30)
        .map(|i| format!("The company said it will pay a quarterly dividend of {i} cts a share on March 31.\n"))
        .collect();
    std::fs::write(program.at("more-texts.txt"), more.concat())?;
    std::fs::write(program.at("texts.txt"), &texts)?;
    let row =
        |firm: &str| format!("{{\"text\": {:?}, \"references\": [{:?}]}}\n", sentence(firm, 0), sentence(firm, 1));
    std::fs::write(program.at("bench.jsonl"), made::FIRMS.map(row).concat())?;
    let row = |firm: &str| format!("{{\"paraphrase\": {:?}}}\n", sentence(firm, 1));
    std::fs::write(program.at("out.jsonl"), made::FIRMS.map(row).concat())?;
    let commands = commands();
    for words in &commands {
        let args: Vec<&str> = words.iter().map(String::as_str).collect();
        eprintln!("impossible {}", args.join(" "));
        program.call(0, &args)?;
    }
    let verbs: Vec<&str> = commands.iter().filter_map(|words| words.first().map(String::as_str)).collect();
    for verb in ["distill", "inspect", "filter", "train", "refine", "summarize", "paraphrase", "export", "evaluate"] {
        ensure!(verbs.contains(&verb), "the README has no `{verb}`: {verbs:?}");
    }
    Ok(())
}
