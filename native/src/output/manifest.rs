//! `manifest.json` of an output folder: its kind, and length and SHA-256 of every file. It marks the folder as an output
//! of this program and is written last. (A run's own manifest is in [`crate::run::manifest`].)

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path};

use record::{Error, Result};
use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::fs::{hash_file, io_error, read_small, sha256, write_file};

/// File name of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// Version of the manifest.
const FORMAT: u32 = 1;
const MOST_BYTES: u64 = 64 << 20;

/// Length and hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// The manifest of an output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the manifest.
    format: u32,
    /// Kind of the output.
    pub kind: Kind,
    /// Files by path relative to the folder, with `/`.
    pub files: BTreeMap<String, Entry>,
    /// SHA-256 of the manifest with an empty seal.
    seal: String,
}

impl Manifest {
    /// The manifest of the files in `dir`, of which hidden ones and those that the kind does not write are left out.
    ///
    /// # Errors
    /// [`Error::Io`] when reading fails.
    pub fn of(dir: &Path, kind: Kind) -> Result<Self> {
        let mut files = BTreeMap::new();
        list(dir, "", &mut |path, name| {
            let top = name.split('/').next().unwrap_or(name);
            if name != MANIFEST && kind.contents().is_none_or(|all| all.contains(&top)) {
                let (bytes, sha256) = hash_file(path)?;
                files.insert(name.to_owned(), Entry { bytes, sha256 });
            }
            Ok(())
        })?;
        let mut manifest = Self { format: FORMAT, kind, files, seal: String::new() };
        manifest.seal = sha256(&manifest.bytes(&dir.join(MANIFEST))?);
        Ok(manifest)
    }

    /// The manifest of the files that `of` lists, as they are now.
    ///
    /// # Errors
    /// [`Error::Io`] when reading fails, for instance because one is missing.
    pub fn of_files(dir: &Path, of: &Self) -> Result<Self> {
        let mut now = of.clone();
        for (name, entry) in &mut now.files {
            let (bytes, sha256) = hash_file(&dir.join(name))?;
            *entry = Entry { bytes, sha256 };
        }
        Ok(now)
    }

    /// Writes the manifest of a finished output to its folder, which must be locked. Returns it.
    ///
    /// # Errors
    /// [`Error::Io`] when reading or writing fails.
    pub fn write(dir: &Path, kind: Kind) -> Result<Self> {
        let manifest = Self::of(dir, kind)?;
        let path = dir.join(MANIFEST);
        write_file(&path, &manifest.bytes(&path)?)?;
        Ok(manifest)
    }

    /// Reads the manifest of a folder; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Io`] when reading fails; [`Error::Broken`] for a manifest that is not one of this program, or damaged.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(MANIFEST);
        if !path.is_file() {
            return Ok(None);
        }
        let broken = |reason: String| Error::broken(path.display(), reason);
        let mut manifest: Self =
            serde_json::from_slice(&read_small(&path, MOST_BYTES)?).map_err(|e| broken(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(broken("it was written by another version of this program".to_owned()));
        }
        let seal = std::mem::take(&mut manifest.seal);
        if sha256(&manifest.bytes(&path)?) != seal {
            return Err(broken("its own hash does not match".to_owned()));
        }
        let inside = |name: &String| Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
        match manifest.files.keys().find(|name| !inside(name)) {
            Some(name) => Err(broken(format!("`{name}` is not inside the folder"))),
            None => Ok(Some(Self { seal, ..manifest })),
        }
    }

    fn bytes(&self, shown: &Path) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| Error::io("writing", shown.display(), e))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// Calls `each` with every file below `dir` and its name relative to it, without hidden files and folders.
fn list(dir: &Path, prefix: &str, each: &mut dyn FnMut(&Path, &str) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(io_error("reading", dir))? {
        let path = entry.map_err(io_error("reading", dir))?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            list(&path, &format!("{name}/"), each)?;
        } else {
            each(&path, &name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_byte_and_every_cut_of_a_manifest_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("model")).unwrap();
        fs::write(dir.path().join("model/config.json"), "{}").unwrap();
        fs::write(dir.path().join(".hidden"), "").unwrap();
        let written = Manifest::write(dir.path(), Kind::Export).unwrap();
        assert_eq!(written.files.keys().collect::<Vec<_>>(), ["model/config.json"]);
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(written));
        let path = dir.path().join(MANIFEST);
        let bytes = fs::read(&path).unwrap();
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            fs::write(&path, &bad).unwrap();
            let read = Manifest::read(dir.path());
            // White space between the entries carries nothing.
            let harmless = bytes[i].is_ascii_whitespace() && read.is_ok();
            assert!(harmless || matches!(read, Err(Error::Broken { .. })), "byte {i}");
            fs::write(&path, &bytes[..i]).unwrap();
            let cut = Manifest::read(dir.path());
            assert!(i + 1 == bytes.len() || matches!(cut, Err(Error::Broken { .. })), "cut at {i}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
    }
}
