//! Manifests: names, lengths and hashes of the files of a finished shard or dataset.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Component, Path};

use record::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::fs::{hash_file, io_error, read_small, sha256};

/// Version of the folder layout.
pub const FORMAT: u32 = 1;
/// File name of both manifests.
pub const MANIFEST: &str = "manifest.json";
/// The files of a shard.
pub const SHARD_FILES: [&str; 5] =
    ["contexts.jsonl", "funnel.json", "links.jsonl", "samples.parquet", "scored.parquet"];
const MOST_BYTES: u64 = 1 << 20;

/// One file of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Number of rows or lines of data; 0 for other files.
    pub rows: u64,
}

/// `shards/NNNNNNNN/manifest.json`; a shard without one is unfinished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardManifest {
    /// Version of the layout, [`FORMAT`].
    pub format: u32,
    /// Hash of the run's plan.
    pub plan_hash: String,
    /// First context of the range.
    pub first_context: u64,
    /// Last context of the range, inclusive.
    pub last_context: u64,
    /// Files by name.
    pub files: BTreeMap<String, FileEntry>,
    /// SHA-256 of the manifest without this entry; older versions wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

/// `manifest.json` of the run folder: the merged outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetManifest {
    /// Version of the layout, [`FORMAT`].
    pub format: u32,
    /// Hash of the run's plan.
    pub plan_hash: String,
    /// Number of contexts of the merged shards, refused ones included.
    pub contexts: u64,
    /// Files by path relative to the run folder, with `/`.
    pub files: BTreeMap<String, FileEntry>,
    /// SHA-256 of the manifest without this entry; older versions wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

/// A manifest with its own hash.
pub trait Sealed: Serialize + Clone {
    /// The manifest's own hash.
    fn seal(&mut self) -> &mut Option<String>;

    /// The manifest with its hash, as the content of its file.
    ///
    /// # Errors
    /// As [`to_json`].
    fn sealed(&self, shown: &Path) -> Result<Vec<u8>> {
        let mut whole = self.clone();
        *whole.seal() = None;
        *whole.seal() = Some(sha256(&to_json(&whole, shown)?));
        to_json(&whole, shown)
    }
}

impl Sealed for ShardManifest {
    fn seal(&mut self) -> &mut Option<String> {
        &mut self.seal
    }
}

impl Sealed for DatasetManifest {
    fn seal(&mut self) -> &mut Option<String> {
        &mut self.seal
    }
}

impl ShardManifest {
    /// Range of the shard's contexts.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.first_context..self.last_context.saturating_add(1)
    }

    /// Reads the manifest of the shard folder `dir`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Broken`] for an invalid manifest.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let manifest: Self = parse(&path)?;
        let broken = |reason: &str| Err(Error::broken(path.display(), reason));
        if manifest.format != FORMAT {
            return broken("it was written by another version of this program");
        }
        if manifest.last_context < manifest.first_context || manifest.last_context == u64::MAX {
            return broken("its context range is empty");
        }
        if !manifest.files.keys().map(String::as_str).eq(SHARD_FILES) {
            return broken("it does not list the five files of a shard");
        }
        Ok(manifest)
    }
}

impl DatasetManifest {
    /// Reads the manifest of the run folder `dir`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Broken`] for an invalid manifest or one with files outside the
    /// folder.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let manifest: Self = parse(&path)?;
        if manifest.format != FORMAT {
            return Err(Error::broken(path.display(), "it was written by another version of this program"));
        }
        let inside = |name: &String| Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
        match manifest.files.keys().find(|name| !inside(name)) {
            Some(name) => Err(Error::broken(path.display(), format!("`{name}` is not inside the run folder"))),
            None => Ok(manifest),
        }
    }
}

fn parse<T: serde::de::DeserializeOwned + Sealed>(path: &Path) -> Result<T> {
    let bytes = read_small(path, MOST_BYTES)?;
    let mut manifest: T = serde_json::from_slice(&bytes).map_err(|e| Error::broken(path.display(), e))?;
    if manifest.seal().is_some() && manifest.sealed(path)? != bytes {
        return Err(Error::broken(path.display(), "its own hash does not match"));
    }
    Ok(manifest)
}

/// JSON as written to run folders: indented, with a newline at the end.
///
/// # Errors
/// [`Error::Io`] when serialisation fails, which does not happen for the types of this module.
pub fn to_json<T: Serialize>(value: &T, shown: &Path) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::io("writing", shown.display(), e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Whether every file has the length that the manifest gives.
#[must_use]
pub fn sizes_match(dir: &Path, files: &BTreeMap<String, FileEntry>) -> bool {
    files.iter().all(|(name, entry)| dir.join(name).metadata().is_ok_and(|m| m.is_file() && m.len() == entry.bytes))
}

/// Re-reads a file and compares it with its entry.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Broken`] when length or hash differ.
pub fn check_file(path: &Path, entry: &FileEntry) -> Result<()> {
    let length = path.metadata().map_err(io_error("reading", path))?.len();
    if length != entry.bytes {
        return Err(Error::broken(path.display(), format!("expected {} bytes, found {length}", entry.bytes)));
    }
    let (_, found) = hash_file(path)?;
    if found != entry.sha256 {
        return Err(Error::broken(path.display(), format!("expected sha256 {}, found {found}", entry.sha256)));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn manifest_may_not_name_files_outside() {
        let dir = tempfile::tempdir().unwrap();
        let entry = FileEntry { bytes: 0, sha256: String::new(), rows: 0 };
        for name in ["../x", "/etc/x", "a/../../x"] {
            let files = BTreeMap::from([(name.to_owned(), entry.clone())]);
            let manifest = DatasetManifest { format: FORMAT, plan_hash: String::new(), contexts: 0, files, seal: None };
            std::fs::write(dir.path().join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
            assert!(matches!(DatasetManifest::read(dir.path()), Err(Error::Broken { .. })), "{name}");
        }
    }

    #[test]
    fn shard_manifest_lists_exactly_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let entry = FileEntry { bytes: 0, sha256: String::new(), rows: 0 };
        let mut files: BTreeMap<_, _> = SHARD_FILES.iter().map(|n| ((*n).to_owned(), entry.clone())).collect();
        let write = |files: &BTreeMap<String, FileEntry>, first, last| {
            let (plan_hash, files) = (String::new(), files.clone());
            let m = ShardManifest {
                format: FORMAT,
                plan_hash,
                first_context: first,
                last_context: last,
                files,
                seal: None,
            };
            std::fs::write(dir.path().join(MANIFEST), serde_json::to_vec(&m).unwrap()).unwrap();
            ShardManifest::read(dir.path())
        };
        assert_eq!(write(&files, 3, 5).unwrap().range(), 3..6);
        assert!(write(&files, 5, 3).is_err());
        files.insert("more".into(), entry);
        assert!(write(&files, 3, 5).is_err());
    }
}
