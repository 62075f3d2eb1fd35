//! The record of its origin that a completed pull leaves in a model folder.

use std::fs;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// File that a completed pull writes last into a model folder.
pub const RECORD: &str = "pulled.json";
/// File that marks a model folder in which a pull is running or was interrupted.
pub const UNDERWAY: &str = "pulling.json";
/// Maximum size in bytes of a JSON file; most have kilobytes, the shard index of a huge model a few megabytes.
pub(crate) const JSON_LIMIT: u64 = 32 << 20;

/// The record of what was pulled into a model folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The repository, or `pip:PACKAGE`.
    pub repo: String,
    /// The commit that the revision referred to, or the version of the package.
    pub revision: String,
    /// All files, sorted by name.
    pub files: Vec<RecordedFile>,
}

/// A file in a [`Record`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFile {
    /// Path relative to the folder, with `/`.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the file, 64 hex digits; empty while unknown.
    #[serde(default)]
    pub sha256: String,
}

/// The record of a completed pull; none if it is missing or unreadable.
#[must_use]
pub fn read_record(folder: &Path) -> Option<Record> {
    read_json(&folder.join(RECORD))
}

/// Reads a JSON file of limited size; none if it is missing, too large or invalid.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    let mut text = Vec::new();
    fs::File::open(path).ok()?.take(JSON_LIMIT + 1).read_to_end(&mut text).ok()?;
    if text.len() as u64 > JSON_LIMIT {
        return None;
    }
    serde_json::from_slice(&text).ok()
}
