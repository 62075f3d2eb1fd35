//! Checking all files of a run folder, or of another output, against their manifests.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use record::{Error, Result};

use super::manifest::{DatasetManifest, FileEntry, MANIFEST, ShardManifest, check_file};
use super::ranges::gaps;
use super::{PLAN, REPORT, RunFolder, identity, read};
use crate::fs::temporary;
use crate::html::unsealed;
use crate::output::{self, Manifest};

/// State of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Length and SHA-256 are as recorded.
    Ok,
    /// The file does not match, for this reason.
    Broken(String),
    /// The file does not exist.
    Missing,
}

/// A file with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// Path within the folder, with `/`.
    pub path: String,
    /// State of the file.
    pub state: State,
}

/// The state of a run folder or of another output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Every file with a recorded hash, shards first.
    pub files: Vec<FileState>,
    /// Shard folders without a manifest, which the next run writes again.
    pub unfinished: Vec<String>,
    /// Files and folders without a recorded hash, which are therefore not checked.
    pub unchecked: Vec<String>,
    /// Contexts of the plan that no shard covers.
    pub gaps: Vec<Range<u64>>,
    /// Whether the run's dataset has been written; true for other outputs.
    pub has_dataset: bool,
}

impl Verification {
    /// Whether no file is broken or missing; gaps and unfinished shards are not damage.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.files.iter().all(|f| f.state == State::Ok)
    }

    /// Whether, in addition, all contexts are covered and the dataset has been written.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_ok() && self.gaps.is_empty() && self.has_dataset
    }

    fn check(&mut self, dir: &Path, prefix: &str, name: &str, entry: &FileEntry) {
        let path = dir.join(name);
        let state = match check_file(&path, entry) {
            Ok(()) => State::Ok,
            Err(_) if !path.exists() => State::Missing,
            Err(Error::Broken { reason, .. }) => State::Broken(reason),
            Err(e) => State::Broken(e.to_string()),
        };
        self.files.push(FileState { path: format!("{prefix}{name}"), state });
    }

    fn check_all(&mut self, dir: &Path, prefix: &str, files: &BTreeMap<String, FileEntry>) {
        for (name, entry) in files {
            self.check(dir, prefix, name, entry);
        }
    }

    fn broken(&mut self, path: String, reason: &str) {
        self.files.push(FileState { path, state: State::Broken(reason.to_owned()) });
    }

    fn of(&mut self, path: String, result: std::result::Result<(), String>) {
        let state = result.map_or_else(State::Broken, |()| State::Ok);
        self.files.push(FileState { path, state });
    }

    /// Checks an output folder by its manifest.
    fn output(&mut self, dir: &Path, prefix: &str) {
        match Manifest::read(dir) {
            Ok(Some(manifest)) => {
                for (name, entry) in &manifest.files {
                    let entry = FileEntry { bytes: entry.bytes, sha256: entry.sha256.clone(), rows: 0 };
                    self.check(dir, prefix, name, &entry);
                    // Cards of models are meant to be edited.
                    let card = name == "README.md" || name.ends_with("/README.md");
                    if card && self.files.last().is_some_and(|f| matches!(f.state, State::Broken(_))) {
                        self.files.pop();
                        self.unchecked.push(format!("{prefix}{name} (edited)"));
                    }
                }
            }
            Ok(None) => self.unchecked.push(format!("{prefix} (not finished, or by an older version)")),
            Err(e) => self.broken(format!("{prefix}{MANIFEST}"), &reason(e)),
        }
    }
}

fn reason(error: Error) -> String {
    match error {
        Error::Broken { reason, .. } => reason,
        other => other.to_string(),
    }
}

/// Checks the run folder `dir`, or another output of this program.
///
/// # Errors
/// As [`RunFolder::open`]; [`record::Error::Io`] when the folder cannot be listed. Damage is not an error but part of
/// the result.
pub fn verify(dir: &Path) -> Result<Verification> {
    let mut out = Verification::default();
    let run = dir.join(PLAN).exists() || dir.join("shards").exists();
    if !run && Manifest::read(dir)?.is_some() {
        out.output(dir, "");
        out.has_dataset = true;
        return Ok(out);
    }
    if let Some(kind) = output::kind_of(dir).filter(|kind| *kind != output::Kind::Run) {
        let found = format!("{}, which is not finished yet or was made by an older version", kind.title());
        return Err(Error::input(dir.display(), "a run, or a finished output with a manifest", found));
    }
    let folder = match RunFolder::open(dir) {
        Err(e) if dir.join("shards").is_dir() => {
            out.broken(PLAN.to_owned(), &e.to_string());
            None
        }
        folder => Some(folder?),
    };
    // Files are checked against the hashes in manifests also where the plan is damaged.
    let plan = match &folder {
        Some(folder) => match super::check_plan(dir, &folder.hashes()) {
            Ok(()) => Some(folder),
            Err(e) => {
                out.broken(PLAN.to_owned(), &reason(e));
                None
            }
        },
        None => None,
    };
    let hashes = plan.map(RunFolder::hashes);
    let covered = shards(&mut out, dir, hashes.as_deref())?;
    let contexts: u64 = covered.iter().map(|range| range.end - range.start).sum();
    // Without a plan the dataset says how many contexts there were.
    let merged = DatasetManifest::read(dir).map_or(0, |manifest| manifest.contexts);
    let seen = covered.last().map_or(0, |range| range.end).max(merged);
    let count = plan.map_or(seen, |run| run.plan().contexts.count as u64);
    out.gaps = gaps(covered.into_iter(), count);
    dataset(&mut out, dir, hashes.as_deref(), contexts);
    if dir.join(identity::FILE).exists() {
        out.of(identity::FILE.to_owned(), identity::read(dir).map(drop).map_err(reason));
    }
    let page = dir.join(REPORT);
    if page.exists() {
        let text = std::fs::read(&page).map_err(|e| e.to_string()).map(|b| String::from_utf8_lossy(&b).into_owned());
        out.of(REPORT.to_owned(), text.and_then(|text| unsealed(&text).map(drop).map_err(str::to_owned)));
    }
    outputs(&mut out, dir, "")?;
    Ok(out)
}

/// Whether a manifest belongs to one of these plans; without any, that is unknown.
fn belongs(hashes: Option<&[&str]>, hash: &str) -> bool {
    hashes.is_none_or(|hashes| hashes.contains(&hash))
}

/// Checks the shards; returns the ranges that they cover. `hashes` are those of the run's plans.
fn shards(out: &mut Verification, dir: &Path, hashes: Option<&[&str]>) -> Result<Vec<Range<u64>>> {
    let mut covered: Vec<Range<u64>> = Vec::new();
    for (first, path) in read::folders(dir)? {
        let prefix = format!("shards/{first:08}/");
        if !path.join(MANIFEST).exists() {
            out.unfinished.push(format!("shards/{first:08}"));
            continue;
        }
        let manifest = match ShardManifest::read(&path) {
            Ok(manifest) => manifest,
            Err(e) => {
                out.broken(prefix + MANIFEST, &reason(e));
                continue;
            }
        };
        let range = manifest.range();
        if !belongs(hashes, &manifest.plan_hash) {
            out.broken(prefix + MANIFEST, "it belongs to another plan");
        } else if range.start != first || covered.last().is_some_and(|last| last.end > first) {
            out.broken(prefix + MANIFEST, &format!("its contexts {} to {} overlap others", range.start, range.end - 1));
        } else {
            out.check_all(&path, &prefix, &manifest.files);
            covered.push(range);
        }
    }
    Ok(covered)
}

/// Checks the dataset, and that the shards it was made of are still there; `contexts` is the number that they cover.
fn dataset(out: &mut Verification, dir: &Path, hashes: Option<&[&str]>, contexts: u64) {
    if !dir.join(MANIFEST).exists() {
        return;
    }
    match DatasetManifest::read(dir) {
        Ok(manifest) if belongs(hashes, &manifest.plan_hash) => {
            out.has_dataset = true;
            out.check_all(dir, "", &manifest.files);
            if manifest.contexts > contexts {
                for gap in &out.gaps {
                    let path = format!("shards/{:08} (contexts {} to {})", gap.start, gap.start, gap.end - 1);
                    out.files.push(FileState { path, state: State::Missing });
                }
            }
        }
        Ok(_) => out.broken(MANIFEST.to_owned(), "it belongs to another plan"),
        Err(e) => out.broken(MANIFEST.to_owned(), &reason(e)),
    }
}

/// Checks the outputs in subfolders (students, self-distillation, filtered pairs) and lists what has no hash.
fn outputs(out: &mut Verification, dir: &Path, prefix: &str) -> Result<()> {
    /// What other functions check, and the folders whose content is listed.
    const KNOWN: [&str; 8] = [PLAN, "shards", "dataset", "funnel.json", MANIFEST, identity::FILE, REPORT, "plans"];
    let entries = std::fs::read_dir(dir).map_err(crate::fs::io_error("reading", dir))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in names {
        let path = dir.join(&name);
        if temporary(&name) || name.starts_with('.') || (prefix.is_empty() && KNOWN.contains(&name.as_str())) {
            continue;
        }
        let inner = format!("{prefix}{name}/");
        if !path.is_dir() {
            out.unchecked.push(format!("{prefix}{name}"));
        } else if output::kind_of(&path).is_some() || path.join(MANIFEST).exists() {
            out.output(&path, &inner);
        } else if name == "drafts" {
            out.unchecked.push(inner);
        } else {
            outputs(out, &path, &inner)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::single_range_in_vec_init)]
mod tests {
    use std::fs;

    use super::super::fixture::{finish_run, plan};
    use super::*;

    #[test]
    fn every_flipped_file_and_every_missing_one_is_found() {
        let dir = tempfile::tempdir().unwrap();
        finish_run(dir.path(), &plan(), 5);
        let good = verify(dir.path()).unwrap();
        assert!(good.is_complete(), "{good:?}");
        assert_eq!(good.files.len(), 2 * 5 + 6 + 1);
        for file in &good.files {
            let path = dir.path().join(&file.path);
            let bytes = fs::read(&path).unwrap();
            let mut bad = bytes.clone();
            let middle = bad.len() / 2;
            bad[middle] ^= 1;
            fs::write(&path, bad).unwrap();
            let state = |v: &Verification| v.files.iter().find(|f| f.path == file.path).unwrap().state.clone();
            let found = verify(dir.path()).unwrap();
            assert!(matches!(state(&found), State::Broken(_)) && !found.is_ok(), "{}", file.path);
            if file.path != REPORT {
                fs::remove_file(&path).unwrap();
                assert_eq!(state(&verify(dir.path()).unwrap()), State::Missing);
            }
            fs::write(&path, bytes).unwrap();
        }
        assert!(verify(dir.path()).unwrap().is_complete());
    }

    #[test]
    fn a_damaged_plan_hides_no_other_damage() {
        let dir = tempfile::tempdir().unwrap();
        finish_run(dir.path(), &plan(), 5);
        let files = verify(dir.path()).unwrap().files.len();
        fs::write(dir.path().join(PLAN), [0xff, 0xfe]).unwrap();
        let shard = "shards/00000005/manifest.json";
        fs::write(dir.path().join(shard), "{").unwrap();
        fs::write(dir.path().join("dataset/paraphrase.jsonl"), "").unwrap();
        let found = verify(dir.path()).unwrap();
        let broken: Vec<&str> =
            found.files.iter().filter(|f| matches!(f.state, State::Broken(_))).map(|f| f.path.as_str()).collect();
        assert_eq!(broken, [PLAN, shard, "dataset/paraphrase.jsonl"], "of {files}: {found:?}");
    }

    #[test]
    fn unfinished_is_not_broken_but_a_shard_of_the_dataset_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        finish_run(dir.path(), &plan(), 5);
        let shard = dir.path().join("shards/00000005");
        fs::remove_file(shard.join(MANIFEST)).unwrap();
        let found = verify(dir.path()).unwrap();
        assert_eq!((found.unfinished.clone(), found.gaps.clone()), (vec!["shards/00000005".to_owned()], vec![5..10]));
        assert!(!found.is_ok(), "the dataset was made of it");
        fs::remove_file(dir.path().join(MANIFEST)).unwrap();
        let found = verify(dir.path()).unwrap();
        assert!(found.is_ok() && !found.is_complete());
        fs::write(shard.join(MANIFEST), "{").unwrap();
        assert!(!verify(dir.path()).unwrap().is_ok(), "a manifest that cannot be read");
    }

    #[test]
    fn other_outputs_are_checked_and_files_without_a_hash_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        finish_run(dir.path(), &plan(), 5);
        let stage = dir.path().join("student/stage0");
        fs::create_dir_all(stage.join("model")).unwrap();
        let plan = "seed = 1\ndevice = 'flex'\nbase = ''\n[data]\n[format]\n[train]\n";
        fs::write(stage.join("student.toml"), plan).unwrap();
        fs::write(stage.join("model/model.safetensors"), "weights").unwrap();
        fs::write(dir.path().join("judgements.jsonl"), "").unwrap();
        let unfinished = "student/stage0/ (not finished, or by an older version)";
        assert_eq!(verify(dir.path()).unwrap().unchecked, ["judgements.jsonl", unfinished]);
        Manifest::write(&stage, output::Kind::Student).unwrap();
        let found = verify(dir.path()).unwrap();
        assert!(found.is_complete() && found.unchecked == ["judgements.jsonl"], "{found:?}");
        fs::write(stage.join("model/model.safetensors"), "weightz").unwrap();
        let found = verify(dir.path()).unwrap();
        let bad: Vec<&FileState> = found.files.iter().filter(|f| f.state != State::Ok).collect();
        assert!(bad.len() == 1 && bad[0].path == "student/stage0/model/model.safetensors", "{bad:?}");
        assert!(!verify(&stage).unwrap().is_ok());
    }
}
