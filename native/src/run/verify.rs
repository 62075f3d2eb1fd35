//! Checking all files of a run folder against its manifests.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use record::Result;

use super::manifest::{DatasetManifest, FileEntry, MANIFEST, ShardManifest, check_file};
use super::{RunFolder, gaps, read};

/// State of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Length and SHA-256 match the manifest.
    Ok,
    /// The file does not match, for this reason.
    Broken(String),
    /// The file does not exist.
    Missing,
}

/// A file with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// Path within the run folder, with `/`.
    pub path: String,
    /// State of the file.
    pub state: State,
}

/// The state of a run folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Every file that a manifest lists, shards first.
    pub files: Vec<FileState>,
    /// Shard folders without a valid manifest, which the next run writes again.
    pub unfinished: Vec<String>,
    /// Contexts of the plan that no shard covers.
    pub gaps: Vec<Range<u64>>,
    /// Whether the run's dataset has been written.
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

    fn check(&mut self, dir: &Path, prefix: &str, files: &BTreeMap<String, FileEntry>) {
        for (name, entry) in files {
            let path = dir.join(name);
            let state = match check_file(&path, entry) {
                Ok(()) => State::Ok,
                Err(_) if !path.exists() => State::Missing,
                Err(e) => State::Broken(e.to_string()),
            };
            self.files.push(FileState { path: format!("{prefix}{name}"), state });
        }
    }

    fn broken(&mut self, path: String, reason: &dyn ToString) {
        self.files.push(FileState { path, state: State::Broken(reason.to_string()) });
    }
}

/// Checks the run folder `dir`.
///
/// # Errors
/// As [`RunFolder::open`]; [`record::Error::Io`] when the folder cannot be listed. Damage is not an error but part of
/// the result.
pub fn verify(dir: &Path) -> Result<Verification> {
    let folder = RunFolder::open(dir)?;
    let mut out = Verification::default();
    let mut covered: Vec<Range<u64>> = Vec::new();
    for (first, path) in read::folders(dir)? {
        let prefix = format!("shards/{first:08}/");
        let Ok(manifest) = ShardManifest::read(&path) else {
            out.unfinished.push(format!("shards/{first:08}"));
            continue;
        };
        let range = manifest.range();
        if manifest.plan_hash != folder.hash() {
            out.broken(prefix + MANIFEST, &"it belongs to another plan");
        } else if range.start != first || covered.last().is_some_and(|last| last.end > first) {
            out.broken(prefix + MANIFEST, &format!("its contexts {} to {} overlap others", range.start, range.end - 1));
        } else {
            out.check(&path, &prefix, &manifest.files);
            covered.push(range);
        }
    }
    out.gaps = gaps(covered.into_iter(), folder.plan().contexts.count as u64);
    if dir.join(MANIFEST).exists() {
        match DatasetManifest::read(dir) {
            Ok(manifest) if manifest.plan_hash == folder.hash() => {
                out.has_dataset = true;
                out.check(dir, "", &manifest.files);
            }
            Ok(_) => out.broken(MANIFEST.to_owned(), &"it belongs to another plan"),
            Err(e) => out.broken(MANIFEST.to_owned(), &e),
        }
    }
    Ok(out)
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
        assert_eq!(good.files.len(), 2 * 5 + 6);
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
            fs::remove_file(&path).unwrap();
            assert_eq!(state(&verify(dir.path()).unwrap()), State::Missing);
            fs::write(&path, bytes).unwrap();
        }
        assert!(verify(dir.path()).unwrap().is_complete());
    }

    #[test]
    fn unfinished_is_not_broken() {
        let dir = tempfile::tempdir().unwrap();
        finish_run(dir.path(), &plan(), 5);
        fs::remove_file(dir.path().join("shards/00000005/manifest.json")).unwrap();
        let found = verify(dir.path()).unwrap();
        assert!(found.is_ok() && !found.is_complete());
        assert_eq!((found.unfinished, found.gaps), (vec!["shards/00000005".to_owned()], vec![5..10]));
    }
}
