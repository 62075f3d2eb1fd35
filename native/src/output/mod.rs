//! Folders that commands write: which may be written to, who is writing, and what was written.
//!
//! One rule holds for every `--out`: the folder is new, or empty, or an earlier output of the same kind by this program.
//! Any other folder is refused and nothing in it is touched. Runs and trainings are continued in their folder; other
//! outputs replace an earlier one only with `--force`, and all at once.

mod lock;
pub mod manifest;
mod staged;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use record::{Error, Result};
use serde::{Deserialize, Serialize};

pub use lock::Lock;
pub use manifest::{MANIFEST, Manifest};
pub use staged::Staged;

use crate::fs::{io_error, temporary};

/// A kind of output folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run of `distill` or `merge`.
    Run,
    /// A student's training.
    Student,
    /// A training by `pretrain`.
    Pretraining,
    /// A training by `train-critic`.
    Critic,
    /// The self-distillation of a run, `RUN/refine`.
    Refinement,
    /// Pairs that `filter` wrote.
    Pairs,
    /// A model that `export` wrote.
    Export,
    /// Results of `evaluate`.
    Evaluation,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Run,
        Self::Student,
        Self::Pretraining,
        Self::Critic,
        Self::Refinement,
        Self::Pairs,
        Self::Export,
        Self::Evaluation,
    ];

    /// The kind as messages name it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Run => "a run",
            Self::Student => "the training of a student",
            Self::Pretraining => "a pretraining",
            Self::Critic => "the training of a critic",
            Self::Refinement => "the self-distillation of a run",
            Self::Pairs => "pairs of `filter`",
            Self::Export => "an exported model",
            Self::Evaluation => "an evaluation",
        }
    }

    /// Entries by which a folder that is continued is recognised; the other kinds have a [`Manifest`].
    fn marks(self) -> &'static [&'static str] {
        match self {
            Self::Run => &["plan.toml", "shards"],
            Self::Student => &["student.toml"],
            Self::Pretraining => &["pretrain.toml"],
            Self::Critic => &["critic.toml"],
            Self::Refinement => &["refine.toml"],
            Self::Pairs | Self::Export | Self::Evaluation => &[],
        }
    }

    /// The entries that outputs of this kind consist of; `None` if it is all files of the folder.
    fn contents(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Student => Some(&["student.toml", "checkpoints", "metrics.jsonl", "model", "report.html"]),
            Self::Pretraining => Some(&[
                "pretrain.toml",
                "checkpoints",
                "metrics.jsonl",
                "model",
                "report.html",
                "samples.jsonl",
                "tokenizer.json",
            ]),
            Self::Critic => Some(&[
                "critic.toml",
                "checkpoints",
                "labels",
                "labels-test",
                "measured.json",
                "metrics.jsonl",
                "model",
                "report.html",
            ]),
            Self::Refinement => Some(&["refine.toml", "dataset", "parts", "sources.jsonl"]),
            Self::Run | Self::Pairs | Self::Export | Self::Evaluation => None,
        }
    }
}

/// Locks a folder whose output is continued, and creates it if necessary.
///
/// # Errors
/// [`Error::Input`] for a folder with other files, and when another process is writing to it; [`Error::Io`] when it is
/// not writable.
pub fn claim(dir: &Path, kind: Kind) -> Result<Lock> {
    check(dir, kind)?;
    fs::create_dir_all(dir).map_err(io_error("creating", dir))?;
    let lock = Lock::take(dir, kind)?;
    // Another process may have begun another output since.
    check(dir, kind)?;
    Ok(lock)
}

/// Checks that `dir` is new or empty, or an output of this kind, finished or not.
///
/// # Errors
/// As [`claim`].
pub fn check(dir: &Path, kind: Kind) -> Result<()> {
    let Some(names) = entries(dir)? else { return Ok(()) };
    let marks = kind.marks();
    let all = marks.iter().all(|mark| names.iter().any(|name| name == mark));
    // The output may have been cut off while its first entries were being made.
    let begun = names.iter().all(|name| marks.contains(&name.as_str()) && !filled(&dir.join(name)));
    if all || begun { Ok(()) } else { Err(foreign(dir, kind, &names)) }
}

fn filled(path: &Path) -> bool {
    path.is_dir() && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

/// Names of the entries of a folder without locks and temporary files, sorted; `None` if it does not exist.
fn entries(dir: &Path) -> Result<Option<Vec<String>>> {
    let found = match fs::read_dir(dir) {
        Ok(found) => found,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            return Err(Error::input(dir.display(), "a folder, or a path for a new one", "a file"));
        }
        Err(e) => return Err(io_error("reading", dir)(e)),
    };
    let mut names = Vec::new();
    for entry in found {
        let name = entry.map_err(io_error("reading", dir))?.file_name().to_string_lossy().into_owned();
        if name != lock::LOCK && !temporary(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(Some(names))
}

/// The kind of an existing output folder, by its marks or its manifest.
#[must_use]
pub fn kind_of(dir: &Path) -> Option<Kind> {
    if let Ok(Some(manifest)) = Manifest::read(dir) {
        return Some(manifest.kind);
    }
    let marked = |kind: &Kind| !kind.marks().is_empty() && kind.marks().iter().all(|mark| dir.join(mark).exists());
    Kind::ALL.into_iter().find(marked)
}

/// The error for a folder that holds something else.
fn foreign(dir: &Path, kind: Kind, names: &[String]) -> Error {
    let found = match kind_of(dir) {
        Some(other) => other.title().to_owned(),
        None => format!("a folder with other files, such as {}", names.first().map_or("", String::as_str)),
    };
    Error::input(dir.display(), format!("a new or empty folder, or {} of this program", kind.title()), found)
}

/// Whether a file or one of its folders does not exist.
fn no_folder(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_claimed_if_new_or_empty_or_of_the_same_kind() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/b");
        drop(claim(&dir, Kind::Student).unwrap());
        // Empty but for the lock.
        drop(claim(&dir, Kind::Critic).unwrap());
        fs::write(dir.join("critic.toml"), "").unwrap();
        fs::write(dir.join("notes.txt"), "").unwrap();
        drop(claim(&dir, Kind::Critic).unwrap());
        let e = claim(&dir, Kind::Student).unwrap_err().to_string();
        assert!(e.ends_with("found the training of a critic"), "{e}");
        fs::remove_file(dir.join("critic.toml")).unwrap();
        let e = claim(&dir, Kind::Critic).unwrap_err().to_string();
        assert!(e.contains("such as notes.txt"), "{e}");
    }

    #[test]
    fn a_run_needs_plan_and_shards_or_has_just_begun() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, shards) = (temp.path(), temp.path().join("shards"));
        fs::create_dir(&shards).unwrap();
        check(dir, Kind::Run).unwrap();
        fs::write(shards.join("mine"), "").unwrap();
        assert!(check(dir, Kind::Run).is_err(), "another program's shards");
        fs::write(dir.join("plan.toml"), "").unwrap();
        check(dir, Kind::Run).unwrap();
        assert_eq!(kind_of(dir), Some(Kind::Run));
    }
}
