//! The binary as a user calls it, and transcripts of such calls that are compared with those checked in.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use record::presets::{TINY_CRITIC, TINY_STUDENT, TINY_TEACHER};
use serde_json::Value;

use crate::snapshot;

/// The binary at work in a folder.
pub struct Program {
    binary: PathBuf,
    dir: PathBuf,
    models: PathBuf,
}

/// What a call came to.
#[derive(Debug)]
pub struct Called {
    /// Exit code.
    pub code: i32,
    /// What it wrote to stdout.
    pub out: String,
    /// What it wrote to stderr.
    pub err: String,
}

impl Called {
    /// The JSON values of stdout, one a line.
    ///
    /// # Errors
    /// When a line is none.
    pub fn json(&self) -> Result<Vec<Value>> {
        self.out.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }
}

impl Program {
    /// The binary in a folder, which is emptied first. Its subfolder `models` has copies of the built-in models.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(binary: &str, dir: &Path) -> Result<Self> {
        Self::with_models(binary, dir, &dir.join("models"))
    }

    /// The binary in a folder, which is emptied first, with the models of another one.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn with_models(binary: &str, dir: &Path, models: &Path) -> Result<Self> {
        if dir.exists() {
            std::fs::remove_dir_all(dir)?;
        }
        std::fs::create_dir_all(dir)?;
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/tiny");
        for (name, folder) in [(TINY_TEACHER, "teacher"), (TINY_CRITIC, "critic"), (TINY_STUDENT, "student")] {
            copy_folder(&assets.join(folder), &models.join(name))?;
        }
        Ok(Self { binary: binary.into(), dir: dir.to_owned(), models: models.to_owned() })
    }

    /// A path of the folder.
    #[must_use]
    pub fn at(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// A call, still to be started: on the CPU, without progress.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["--quiet", "--device", "flex"]).args(args).current_dir(&self.dir);
        command.env("IMPOSSIBLE_MODELS", &self.models).env("COLUMNS", "100");
        for unset in ["HF_ENDPOINT", "HF_TOKEN", "NO_COLOR", "RUST_BACKTRACE"] {
            command.env_remove(unset);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a call.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, args: &[&str]) -> Result<Child> {
        Ok(self.command(args).spawn()?)
    }

    /// A call with a text on its stdin.
    ///
    /// # Errors
    /// When it cannot be started or was killed, and for output that is no text.
    pub fn ask(&self, args: &[&str], input: &str) -> Result<Called> {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn()?;
        // Who does not read to the end has a closed pipe.
        drop(child.stdin.take().context("no stdin")?.write_all(input.as_bytes()));
        ended(child)
    }

    /// A call that must end with this exit code.
    ///
    /// # Errors
    /// As [`Self::ask`], and for another exit code or a panic.
    pub fn call(&self, code: i32, args: &[&str]) -> Result<Called> {
        let called = self.ask(args, "")?;
        called.expect(code, args)?;
        Ok(called)
    }
}

/// Copies a folder with everything in it.
///
/// # Errors
/// When a file cannot be read or written.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().context("no name")?);
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// Path and content of all files below a folder, without locks; folders have a `/` at the end of their path.
///
/// # Errors
/// When a file cannot be read.
pub fn files(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let (mut out, mut folders) = (BTreeMap::new(), vec![(dir.to_owned(), String::new())]);
    while let Some((folder, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = format!("{prefix}{}", path.file_name().context("no name")?.to_string_lossy());
            if path.is_dir() {
                out.insert(format!("{name}/"), Vec::new());
                folders.push((path, format!("{name}/")));
            } else if !name.ends_with(".lock") {
                out.insert(name, std::fs::read(&path)?);
            }
        }
    }
    Ok(out)
}

/// Waits for a call.
///
/// # Errors
/// When it was killed, and for output that is no text.
pub fn ended(child: Child) -> Result<Called> {
    let output = child.wait_with_output()?;
    let code = output.status.code().context("killed")?;
    Ok(Called { code, out: String::from_utf8(output.stdout)?, err: String::from_utf8(output.stderr)? })
}

impl Called {
    /// Refuses another exit code, and a panic.
    ///
    /// # Errors
    /// With everything that the call wrote.
    pub fn expect(&self, code: i32, args: &[&str]) -> Result<()> {
        let Self { code: found, out, err } = self;
        ensure!(*found == code, "{args:?} ended with {found}, not {code}:\n{out}{err}");
        ensure!(!err.contains("panicked"), "{args:?}:\n{err}");
        Ok(())
    }
}

/// Calls and what they wrote, to be compared with a file of `tests/all/snapshots`.
pub struct Transcript<'a> {
    program: &'a Program,
    numbers: bool,
    text: String,
}

impl<'a> Transcript<'a> {
    /// Of output that is the same on every processor.
    #[must_use]
    pub fn of(program: &'a Program) -> Self {
        Self { program, numbers: true, text: String::new() }
    }

    /// Of output whose numbers are those of models or clocks: each is N.
    #[must_use]
    pub fn without_numbers(program: &'a Program) -> Self {
        Self { program, numbers: false, text: String::new() }
    }

    /// A call that must end with this exit code.
    ///
    /// # Errors
    /// As [`Program::call`].
    pub fn call(&mut self, code: i32, args: &[&str]) -> Result<Called> {
        self.ask(code, args, "")
    }

    /// A call with a text on its stdin that must end with this exit code.
    ///
    /// # Errors
    /// As [`Program::call`].
    pub fn ask(&mut self, code: i32, args: &[&str], input: &str) -> Result<Called> {
        let called = self.program.ask(args, input)?;
        called.expect(code, args)?;
        let quoted =
            |arg: &&str| if arg.contains(' ') || arg.is_empty() { format!("'{arg}'") } else { (*arg).to_owned() };
        let shown: Vec<String> = args.iter().map(quoted).collect();
        let mut told = String::new();
        for (stream, text) in [("", &called.out), ("stderr: ", &called.err)] {
            told.extend(text.lines().map(|line| format!("{stream}{line}").trim_end().to_owned() + "\n"));
        }
        let mut told = snapshot::normal(&told, &self.program.dir);
        if !self.numbers {
            told = snapshot::numberless(&told);
        }
        self.text += &format!("$ impossible {}\n{told}exit code {code}\n\n", shown.join(" "));
        Ok(called)
    }

    /// Compares all of it.
    ///
    /// # Errors
    /// Where it differs, with both.
    pub fn check(&self, name: &str) -> Result<()> {
        snapshot::same(name, self.text.trim_end())
    }
}
